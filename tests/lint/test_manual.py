"""The manual page names every verb, option and format that the program itself knows."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def program():
    """The one under test, or the newest that was built."""
    named = [path for path in os.environ.get("COREWALK_CLI", "").split(":") if path]
    built = sorted(ROOT.glob("build/*/corewalk/corewalk"), key=lambda path: path.stat().st_mtime)
    if not named and not built:
        pytest.skip("nothing is built")
    return named[0] if named else built[-1]


@pytest.fixture(scope="module")
def manual():
    text = (ROOT / "docs/corewalk.1").read_text()
    return text.replace("\\-", "-")


def words(*arguments):
    command = [str(program()), "--words", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_every_verb_and_format_is_there(manual):
    for verb in words("verbs"):
        assert f"\n.B {verb}\n" in manual or f'\n.BI {verb} "' in manual, verb
    for name in words("formats"):
        assert name in manual, name


def test_every_option_and_its_values_are_there(manual):
    for verb in words("verbs"):
        for option in words("options", verb):
            name = option.rstrip("=")
            assert name in manual, f"{verb} {name}"
            for value in words("values", verb, name):
                assert value in manual, f"{verb} {name} {value}"
