"""Completion in each shell, run by that shell. One that is not installed is skipped."""

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPLETION = ROOT / "corewalk/cli/completion"
SECONDS = 60


def surroundings(cli):
    return {**os.environ, "PATH": f"{cli.path.parent}:{os.environ['PATH']}", "TERM": "dumb"}


def bash(cli, folder, line):
    """Without the bash-completion package, so that = is a word of its own."""
    words = line.replace("=", " = ").split(" ")
    script = f"""
        source {COMPLETION}/corewalk.bash
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _corewalk
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        capture_output=True, text=True, check=True, timeout=SECONDS,
        cwd=folder, env=surroundings(cli),
    )
    assert result.stderr == ""
    return result.stdout.split()


def fish(cli, folder, line):
    result = subprocess.run(
        ["fish", "--no-config", "-c", f"source {COMPLETION}/corewalk.fish; complete -C '{line}'"],
        capture_output=True, text=True, check=True, timeout=SECONDS,
        cwd=folder, env={**surroundings(cli), "HOME": str(folder / "home")},
    )
    assert result.stderr == ""
    return [row.split("\t")[0] for row in result.stdout.splitlines()]


def zsh(cli, folder, line):
    """Typed into an interactive one."""
    offers = folder / "home/offers"
    offers.write_text("")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-f", "-i"], surroundings(cli))
    said = b""

    def read_until(wanted):
        nonlocal said
        end = time.monotonic() + SECONDS
        while wanted not in said and time.monotonic() < end:
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 4096)

    setup = f"source {ROOT}/tests/support/offers.zsh {offers} {COMPLETION}\n"
    os.write(terminal, setup.encode())
    read_until(b"ready\r")
    os.write(terminal, f"{line}\t".encode())
    try:
        read_until(b"never")
    except OSError:
        pass  # it is gone
    os.close(terminal)
    os.waitpid(child, 0)
    return offers.read_text().split()


SHELLS = {"bash": bash, "fish": fish, "zsh": zsh}


@pytest.fixture(params=SHELLS)
def offered(cli, tmp_path, request):
    """What the shell offers behind a line; an option's value without the option, files without /."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    for name in ["a.folder/inner", "home"]:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "the-core").touch()

    def offers(line):
        rows = SHELLS[request.param](cli, tmp_path, line)
        return {row.split("=", 1)[-1].rstrip("/") if "=" in line else row.rstrip("=/") for row in rows}

    return offers


VERBS = {"analyze", "check", "histogram", "list", "block", "help"}
FORMATS = {"text", "json", "markdown"}


@pytest.mark.parametrize(
    "line,expected",
    [
        ("corewalk hi", {"histogram"}),
        ("corewalk ch", {"check"}),
        ("corewalk ", VERBS | {"the-core", "a.folder", "home"}),
        ("corewalk help ", VERBS),
        ("corewalk the", {"the-core"}),
        ("corewalk check the", {"the-core"}),
        ("corewalk check --fail-if findings the", {"the-core"}),
        ("corewalk check --fail", {"--fail-if"}),
        ("corewalk check --fail-if ", {"findings"}),
        ("corewalk check --fail-if=", {"findings"}),
        ("corewalk analyze --format ", FORMATS),
        ("corewalk list --format=m", {"markdown"}),
        ("corewalk --format ", FORMATS),
        ("corewalk histogram --by ", {"name", "size", "arena", "state"}),
        ("corewalk histogram --by=s", {"size", "state"}),
        ("corewalk list --state held,f", {"held,fastbin"}),
        ("corewalk list --width ", set()),
        ("corewalk list --scratch-dir a", {"a.folder"}),
        ("corewalk list --exe the", {"the-core"}),
    ],
)
def test_what_fits_is_offered(offered, line, expected):
    assert offered(line) == expected


def test_options_are_those_of_the_verb(offered):
    common = {"--format", "--output", "--max-scratch", "--scratch-dir", "--timing", "--help"}
    assert common | {"--version"} <= offered("corewalk --")
    checks = offered("corewalk check --")
    assert common | {"--fail-if"} <= checks and "--by" not in checks
    histogram = offered("corewalk histogram --")
    assert common | {"--by", "--limit"} <= histogram and "--fail-if" not in histogram
