"""A report is sent to strangers: nothing of what the process held in memory may be in it."""

import socket

import pytest

SHORT = b"Qz67"
SECRETS = ("Wq7canary-argument", "Wq7canary-environment")
FORMATS = ["text", "json", "markdown"]
QUERIES = [
    ("analyze",),
    ("histogram",),
    ("histogram", "--by", "size"),
    ("list",),
    ("check",),
]


@pytest.fixture(scope="session", params=["gcore", "kernel"])
def core(request, cores):
    return cores.of("secrets", request.param, "--text", SECRETS[0], SAMPLE_SECRET=SECRETS[1])


def leaks(text):
    """Spellings of the secrets' first eight bytes: as text, as bytes in hexadecimal, as a word."""
    start = SECRETS[0][:8].encode()
    word = f"{int.from_bytes(start, 'little'):x}"
    spellings = [start.decode().lower(), start.hex(), start.hex(" "), word]
    return [spelling for spelling in spellings if spelling in text.lower()]


def test_the_core_has_the_secrets(core):
    content = core.path.read_bytes()
    assert all(content.count(secret.encode()) > 100 for secret in SECRETS)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("query", QUERIES, ids=" ".join)
def test_no_secret_is_shown(cli, core, query, format):
    result = cli.run(*query, "--format", format, core.path)
    assert result.stdout
    assert leaks(result.stdout + result.stderr) == []


@pytest.mark.parametrize("format", FORMATS)
def test_no_secret_is_shown_of_a_block(cli, core, format):
    """`block` shows words in hexadecimal when asked for an address, but never as text."""
    chunks = sorted(cli.chunks(core).items(), key=lambda item: item[1]["bytes"])
    for address, _ in chunks[:: max(1, len(chunks) // 20)]:
        result = cli.run("block", "--format", format, core.path, hex(address))
        assert "wq7cana" not in (result.stdout + result.stderr).lower()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("verb", ["check", "analyze"])
@pytest.mark.parametrize("kind", ["gcore", "gcore-i386"])
def test_no_short_content_is_shown_of_damage(cli, cores, kind, verb, format):
    """Where the secret is a mapped address, and stands in headers and links."""
    core = cores.of("short_secrets", kind)
    said = cli.run(verb, "--format", format, core.path, status=None).stdout.lower()
    word = f"{int.from_bytes(SHORT, 'little'):x}"
    spellings = [SHORT.decode().lower(), SHORT.hex(), SHORT.hex(" "), word, f"+0x{word[-3:]}"]
    assert [spelling for spelling in spellings if spelling in said] == []
    codes = {finding["code"] for finding in cli.report("check", core, status=None)["findings"]}
    assert {"chunk-size", "tcache-link", "bin-link"} <= codes


@pytest.mark.parametrize("format", FORMATS)
def test_the_host_is_not_named(cli, core, format):
    host = socket.gethostname()
    if len(host) < 6 or host in str(core.path) or host == "localhost":
        pytest.skip("the host's name is no distinctive word")
    assert host not in cli.run("analyze", "--format", format, core.path).stdout
