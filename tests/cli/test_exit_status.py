"""Exit statuses: 0 done, 1 printed but incomplete, 2 cannot be analysed, 64 wrong usage."""

import os
import sys

import pytest
from conftest import Core


@pytest.fixture(scope="session")
def whole(cores):
    return cores.of("hash_table").path


def one_line(text):
    lines = text.splitlines()
    return len(lines) == 1 and lines[0].startswith("corewalk: ")


@pytest.mark.parametrize("arguments", [["help"], ["help", "analyze"], ["--help"], ["--version"]])
def test_help_is_no_failure(cli, arguments):
    result = cli.run(*arguments)
    assert result.stdout and not result.stderr


def test_help_names_every_verb(cli):
    text = cli.run("help").stdout
    for verb in ("analyze", "histogram", "list", "block", "help"):
        assert verb in text


@pytest.mark.parametrize("share", [0.98, 0.5, 0.1])
def test_truncated_core_is_read_as_far_as_it_goes(cli, whole, tmp_path, share):
    cut = tmp_path / "cut"
    size = int(whole.stat().st_size * share)
    with whole.open("rb") as source:
        cut.write_bytes(source.read(size))
    page = cli.run("analyze", cut, status=1).stdout
    assert page
    report = cli.report("analyze", Core(cut), status=1)
    assert report["target"]["complete"] is False
    assert report["target"]["missing_bytes"] > 0
    assert report["coverage"]


def not_cores(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    text = tmp_path / "text"
    text.write_text("no core\n" * 1000)
    head = tmp_path / "head"
    head.write_bytes(b"\x7fELF\x02\x01\x01")
    return {
        "nothing": tmp_path / "nothing",
        "directory": tmp_path,
        "empty": empty,
        "text": text,
        "head": head,
        "executable": sys.executable,
        "device": "/dev/null",
    }


@pytest.mark.parametrize(
    "what", ["nothing", "directory", "empty", "text", "head", "executable", "device"]
)
@pytest.mark.parametrize("verb", ["analyze", "list"])
def test_what_is_no_core_is_refused_in_one_line(cli, tmp_path, verb, what):
    result = cli.run(verb, not_cores(tmp_path)[what], status=2)
    assert result.stdout == ""
    assert one_line(result.stderr), result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-verb"],
        ["analyze"],
        ["analyze", "--no-such-option", "CORE"],
        ["analyze", "--format", "no-such-format", "CORE"],
        ["analyze", "--width", "wide", "CORE"],
        ["analyze", "--max-memory", "much", "CORE"],
        ["analyze", "CORE", "0x10", "more"],
        ["list", "--state", "no-such-state", "CORE"],
        ["histogram", "--by", "no-such-key", "CORE"],
        ["block", "CORE"],
        ["block", "CORE", "no-address"],
    ],
    ids=" ".join,
)
def test_wrong_usage(cli, whole, arguments):
    words = [whole if word == "CORE" else word for word in arguments]
    result = cli.run(*words, status=64)
    assert result.stdout == ""
    assert result.stderr


def test_too_little_memory_is_said(cli, whole):
    result = cli.run("analyze", "--max-memory", "64k", whole, status=2)
    assert result.stdout == ""
    assert one_line(result.stderr), result.stderr


def test_output_that_cannot_be_written_is_said(cli, whole, tmp_path):
    result = cli.run("analyze", "-o", tmp_path / "no/such/file", whole, status=2)
    assert one_line(result.stderr), result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("verb", ["analyze", "list"])
def test_full_disk_is_no_success(cli, whole, verb):
    result = cli.run(verb, "-o", "/dev/full", whole, status=2)
    assert one_line(result.stderr), result.stderr
