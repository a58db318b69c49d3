"""Every header compiles alone; the public ones also as C++ and without our include path."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import header_example  # noqa: E402

SOURCE = ROOT / "corewalk"
PUBLIC = SOURCE / "include"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compile_alone(compiler, language, standard, include_dirs, header):
    command = [compiler, f"-std={standard}", *WARNINGS, *[f"-I{d}" for d in include_dirs]]
    source = f"#include <{header}>\n"
    if language == "c" and "gnu" in standard:
        command.append("-D_GNU_SOURCE")
        command.remove("-Wpedantic")
    subprocess.run([*command, "-x", language, "-"], input=source, text=True, check=True)


@pytest.mark.parametrize("header", sorted(PUBLIC.rglob("*.h")), ids=lambda p: p.name)
@pytest.mark.parametrize(
    "compiler,language,standard",
    [("gcc", "c", "c99"), ("gcc", "c", "c17"), ("g++", "c++", "c++11"), ("g++", "c++", "c++20")],
)
def test_public_header_stands_alone(compiler, language, standard, header):
    compile_alone(compiler, language, standard, [PUBLIC], header.relative_to(PUBLIC))


@pytest.mark.parametrize(
    "header",
    sorted(p for p in SOURCE.rglob("*.h") if PUBLIC not in p.parents),
    ids=lambda p: str(p.relative_to(SOURCE)),
)
def test_internal_header_stands_alone(header):
    compile_alone("gcc", "c", "gnu17", [SOURCE, PUBLIC], header.relative_to(SOURCE))


@pytest.mark.parametrize(
    "compiler,language,standard", [("gcc", "c", "gnu17"), ("g++", "c++", "gnu++20")]
)
def test_the_example_of_the_public_header_compiles(compiler, language, standard):
    command = [compiler, f"-std={standard}", "-Wall", "-Werror", "-fsyntax-only", f"-I{PUBLIC}"]
    source = header_example.program()
    subprocess.run([*command, "-x", language, "-"], input=source, text=True, check=True)
