"""Cores as they come: compressed, from pipes, filtered by the kernel, damaged on the way."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import CLI_SECONDS, Core
from programs import Program, kernel_core, require

COMPRESSORS = {
    "zstd": ["zstd", "-q", "-c"],
    "zstd-without-checksum": ["zstd", "-q", "--no-check", "-c"],
    "lz4": ["lz4", "-q", "-c"],
    "lz4-legacy": ["lz4", "-l", "-q", "-c"],
    "xz": ["xz", "-1", "-c"],
    "xz-threads": ["xz", "-1", "-T2", "--block-size=256KiB", "-c"],
    "gzip": ["gzip", "-1", "-c"],
}

# As systemd-coredump names them; the endings lie.
STORED_NAME = "core.crowd.1000.0123456789abcdef0123456789abcdef.4711.1700000000000000.{}"


@pytest.fixture(scope="session", params=["gcore", "kernel"])
def core(request, cores):
    # Each arena reserves 64 MiB, which gdb writes as zeros.
    return cores.of("crowd", request.param, "--count", "400", MALLOC_ARENA_MAX="2").path


def pack(path, folder, compressor):
    command = COMPRESSORS[compressor]
    require(command[0])
    packed = folder / STORED_NAME.format("zst" if compressor.startswith("xz") else "xz")
    with packed.open("wb") as output:
        subprocess.run([*command, str(path)], stdout=output, check=True)
    return packed


HEADER = re.compile(r"^core +(.*(?:\n +.*)*)\n", re.M)


def body(page):
    """The page without the lines that name the file."""
    return HEADER.sub("", page.split("\nNext\n")[0], count=1)


def header(page):
    return " ".join(HEADER.search(page)[1].split())


def run_piped(cli, command, *arguments, status=0):
    with subprocess.Popen(command, stdout=subprocess.PIPE) as source:
        result = cli.run(*arguments, stdin=source.stdout, status=status)
        source.stdout.close()
    return result


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_compressed_core_is_read_like_the_core(cli, core, tmp_path, compressor):
    packed = pack(core, tmp_path, compressor)
    page = cli.run("analyze", packed).stdout
    assert body(page) == body(cli.run("analyze", core).stdout)
    name = compressor.split("-")[0]
    assert re.search(rf"\({SIZE} of {name}\), complete$", header(page)), header(page)
    assert cli.run("list", packed).stdout == cli.run("list", core).stdout


SIZE = r"[0-9.]+ [KMG]?i?B"


def test_the_report_names_the_compression(cli, core, tmp_path):
    packed = pack(core, tmp_path, "zstd")
    target = cli.report("analyze", Core(packed))["target"]
    assert target["compression"] == "zstd"
    assert target["compressed_bytes"] == packed.stat().st_size
    assert target["path"] == str(packed)
    assert "compression" not in cli.report("analyze", Core(core))["target"]


def test_standard_input(cli, core, tmp_path):
    expected = body(cli.run("analyze", core).stdout)
    packed = pack(core, tmp_path, "zstd")
    with core.open("rb") as whole:
        pages = [cli.run("analyze", "-", stdin=whole).stdout]
    pages.append(run_piped(cli, ["cat", core], "analyze", "-").stdout)
    pages.append(run_piped(cli, ["cat", core], "-").stdout)
    pages.append(run_piped(cli, ["cat", packed], "analyze", "-").stdout)
    pages.append(run_piped(cli, ["cat", core], "/dev/stdin").stdout)
    for page in pages:
        assert body(page) == expected
        assert header(page).startswith("standard input, ")
        assert "corewalk histogram - " in page
    assert cli.run("list", core).stdout == run_piped(cli, ["cat", packed], "list", "-").stdout


def test_fifos_and_descriptors(cli, core, tmp_path):
    expected = body(cli.run("analyze", core).stdout)
    script = f"{cli.path} <(cat {core})"
    page = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60).stdout
    assert body(page) == expected and header(page).startswith("file descriptor ")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["bash", "-c", f"sleep 0.3; cat {core} >{fifo}"]):
        assert body(cli.run(fifo).stdout) == expected


def test_a_result_never_goes_over_standard_input(cli, core):
    with core.open("rb") as whole:
        result = cli.run("-", "-o", core, stdin=whole, status=64)
    assert "overwrite" in result.stderr


@pytest.mark.parametrize("compressor", ["zstd", "xz", "gzip"])
def test_a_cut_stream_is_read_as_far_as_it_goes(cli, core, tmp_path, compressor):
    packed = pack(core, tmp_path, compressor)
    os.truncate(packed, packed.stat().st_size * 2 // 3)
    report = cli.report("analyze", Core(packed), status=1)
    assert {"core-packing-damaged", "core-truncated"} <= {n["code"] for n in report["coverage"]}
    assert report["target"]["complete"] is False
    assert report["target"]["missing_bytes"] > 0
    os.truncate(packed, 7)
    result = cli.run("analyze", packed, status=2)
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("compressor", ["zstd", "lz4", "xz", "gzip"])
def test_flips_that_can_be_unpacked_are_told_by_the_checksum(cli, core, tmp_path, compressor):
    """What the compressor itself calls damaged is so for us; flips that change nothing are not."""
    whole = pack(core, tmp_path, compressor).read_bytes()
    flipped = tmp_path / "flipped"
    damaged_count = 0
    for quarter in range(1, 4):
        content = bytearray(whole)
        content[len(whole) * quarter // 4] ^= 0x10
        flipped.write_bytes(content)
        result = cli.run("analyze", flipped, status=None)
        with flipped.open("rb") as stream:
            tool = COMPRESSORS[compressor][0]
            is_damaged = subprocess.run([tool, "-t"], stdin=stream, capture_output=True).returncode
        # Where nothing came before the damage, there is no page, but a line of error.
        assert (result.returncode != 0) == (is_damaged != 0), (quarter, result.stdout[:2000])
        if result.returncode == 1:
            assert "damaged" in result.stdout
        damaged_count += is_damaged != 0
    assert damaged_count > 0


def test_a_small_limit_leaves_the_beginning(cli, core, tmp_path):
    packed = pack(core, tmp_path, "zstd")
    path = Core(packed)
    report = cli.report("analyze", path, "--max-scratch", "500k", status=1)
    codes = {note["code"] for note in report["coverage"]}
    assert {"core-scratch-full", "core-truncated"} <= codes
    said = cli.run("analyze", "--max-scratch", "20", packed, status=2).stderr
    assert len(said.splitlines()) == 1 and "limit" in said
    for value in ["0", "much", "-1"]:
        assert "--max-scratch takes" in cli.run(packed, "--max-scratch", value, status=64).stderr


def test_scratch_files_lie_where_they_should_and_leave_nothing(cli, core, tmp_path):
    packed = pack(core, tmp_path, "gzip")
    folder = tmp_path / "scratch"
    folder.mkdir()
    trace = tmp_path / "trace"
    for environment, options in [
        ({"TMPDIR": str(folder)}, []),
        ({}, ["--scratch-dir", folder]),
    ]:
        # The leak check of AddressSanitizer cannot work while strace traces.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", **environment}
        if not Path("/usr/bin/strace").exists():
            cli.run("analyze", *options, packed, env=environment)
        else:
            command = ["strace", "-f", "-o", str(trace), "-e", "trace=open,openat", str(cli.path)]
            subprocess.run(
                [*command, "analyze", *map(str, options), str(packed)],
                env=environment,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            assert re.search(rf'"{folder}", [^)]*O_TMPFILE', trace.read_text())
        assert list(folder.iterdir()) == []
    result = cli.run("--scratch-dir", tmp_path / "none", packed, status=2)
    assert len(result.stderr.splitlines()) == 1 and "--scratch-dir" in result.stderr


def test_what_is_no_core_is_found_out_at_once(cli, tmp_path):
    """Else this would fill the disk."""
    require("zstd")
    for command in ["cat /dev/zero", "zstd -qc </dev/zero"]:
        result = run_piped(cli, ["sh", "-c", command], "analyze", "-", status=2)
        assert len(result.stderr.splitlines()) == 1 and "not a core" in result.stderr


def test_what_lies_behind_the_core_is_not_unpacked(cli, core, tmp_path):
    script = f"cat {core}; cat /dev/zero"
    page = run_piped(cli, ["sh", "-c", script], "analyze", "-").stdout
    assert header(page).endswith(", complete")


def test_waiting_for_input_is_interrupted(cli):
    with subprocess.Popen(
        [str(cli.path), "analyze", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_until_it_polls(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=CLI_SECONDS) == 2
        assert process.stderr.read() == b"corewalk: interrupted: nothing to show yet\n"


def wait_until_it_polls(pid):
    """SIGINT is caught from before the input is opened; what it then sleeps in is poll."""
    end = time.monotonic() + 60
    while not re.search(r"^SigCgt:.*[2367abef]$", Path(f"/proc/{pid}/status").read_text(), re.M):
        assert time.monotonic() < end
        time.sleep(0.02)


# ---- coredump_filter -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def filtered(cores):
    made = {}

    def take(mask):
        if mask not in made:
            folder = cores.folder(f"filtered-{mask}")
            argv = [cores.samples / "crowd", "--count", "400", "--oracle", folder]
            with Program(argv, folder) as program:
                program.wait_for_line("ready")
                Path(f"/proc/{program.pid}/coredump_filter").write_text(mask)
                made[mask] = kernel_core(program, folder / "the-core")
        return made[mask]

    return take


@pytest.mark.parametrize("mask", ["0x01", "0x11", "0x7f"])
def test_a_filter_that_keeps_private_memory_loses_nothing(cli, filtered, mask):
    """Without ELF headers (bit 4), or with all files: the heap is whole in each of them."""
    path = filtered(mask)
    report = cli.report("analyze", Core(path))
    assert report["findings"] == []
    assert report["target"]["complete"] is True
    chunks = cli.run("list", "--format", "json", path).stdout
    assert chunks.count("\n") > 2000
    whole = cli.report("analyze", Core(filtered("0x33")))
    for key in ("used", "mmapped"):
        assert report["heap"][key]["count"] == whole["heap"][key]["count"]


def test_a_core_without_private_memory_says_so(cli, filtered):
    path = filtered("0x00")
    report = cli.report("analyze", Core(path), status=1)
    assert report["target"]["complete"] is False
    assert "core-filtered" in {note["code"] for note in report["coverage"]}
    assert report["findings"] == []
    assert report.get("populations", []) == []
    assert report["target"]["missing_bytes"] > 0.99 * report["ledger"]["total_bytes"]
    page = cli.run("analyze", path, status=1).stdout
    assert "Verdict: undetermined" in page and "coredump_filter" in page
