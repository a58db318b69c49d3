"""Options of the command line: where they stand, where results go, and what lists say of themselves."""

import os
import shutil
import signal
import subprocess

import pytest


@pytest.fixture(scope="session")
def whole(cores):
    return cores.of("hash_table").path


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "copy")


@pytest.fixture
def cut(whole, tmp_path):
    path = tmp_path / "cut"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def links(core):
    symbolic = core.with_name("symbolic")
    symbolic.symlink_to(core.name)
    hard = core.with_name("hard")
    os.link(core, hard)
    return [core, symbolic, hard]


def test_a_result_never_goes_over_the_core(cli, copy):
    content = copy.read_bytes()
    for core in links(copy):
        for output in [copy, copy.with_name("symbolic"), copy.with_name("hard")]:
            result = cli.run(core, "-o", output, status=64)
            assert len(result.stderr.splitlines()) == 1 and "overwrite" in result.stderr
    assert copy.read_bytes() == content


def test_a_result_goes_where_it_should(cli, whole, tmp_path):
    page = cli.run(whole).stdout
    assert cli.run("-o", "-", whole).stdout == page
    assert cli.run("-o", tmp_path / "page", whole).stdout == ""
    assert (tmp_path / "page").read_text() == page


@pytest.mark.parametrize(
    "options",
    [["--"], ["--format", "text"], ["--debug-dir", "/usr/lib/debug"], ["--max-memory", "1G"], ["-q"]],
    ids=" ".join,
)
def test_options_before_the_core_mean_analyze(cli, whole, options):
    assert cli.run(*options, whole).stdout == cli.run("analyze", *options, whole).stdout


def test_a_path_is_no_verb(cli, tmp_path):
    assert "No such file" in cli.run(tmp_path / "missing", status=2).stderr
    assert "No such file" in cli.run("./missing", status=2).stderr
    assert "No such file" in cli.run("core.1234567", status=2).stderr
    assert "no verb or file" in cli.run("missing", status=64).stderr
    assert "is a directory" in cli.run(tmp_path, status=2).stderr


def test_a_verb_behind_options_is_said(cli, whole):
    assert "before all options" in cli.run("-q", "list", whole, status=64).stderr


@pytest.mark.parametrize("format", ["text", "json", "markdown"])
def test_a_list_of_a_cut_core_says_so(cli, cut, format):
    result = cli.run("list", "--format", format, cut, status=1)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("corewalk: incomplete: ")
    assert cli.run("histogram", "--format", format, cut, status=1).stderr == ""


def test_a_limited_list_says_so(cli, whole):
    lines = cli.run("list", "--limit", "3", whole).stdout.splitlines()
    assert len(lines) == 5 and "--limit" in lines[-1]
    assert "--limit" in cli.run("list", "--limit", "3", "--format", "markdown", whole).stdout
    assert len(cli.run("list", "--limit", "3", "--format", "json", whole).stdout.splitlines()) == 3
    assert "--limit" not in cli.run("list", "--limit", "100000000", whole).stdout
    for verb in ["list", "histogram"]:
        assert "above 0" in cli.run(verb, "--limit", "0", whole, status=64).stderr


@pytest.mark.parametrize("width", [None, 72, 120])
def test_a_list_fits_the_page(cli, whole, width):
    options = [] if width is None else ["--width", width]
    lines = cli.run("list", *options, whole).stdout.splitlines()
    assert max(map(len, lines)) <= (width or 80)


def test_an_address_in_no_chunk_is_said(cli, whole):
    assert "no memory at this address" in cli.run("block", whole, "0x0").stdout
    assert "in no chunk" in cli.run("list", "--address", "0xdead", whole, status=2).stderr


def test_an_interrupted_list_says_so(cli, cores):
    """The pipe is full, so that the list cannot be at its end when it is interrupted."""
    core = cores.of("list", "gcore", "--count", "200000").path
    with subprocess.Popen(
        [str(cli.path), "list", "--format", "json", str(core)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said == b"corewalk: interrupted: the list is not complete\n"
