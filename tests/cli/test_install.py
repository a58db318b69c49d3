"""What `cmake --install` lays down works from where it lies: the program, the library, its header."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs import environment

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import header_example  # noqa: E402


def run(*command, **extra):
    words = [str(word) for word in command]
    result = subprocess.run(
        words, capture_output=True, text=True, timeout=300, env=environment(**extra)
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def prefix(cli, tmp_path_factory):
    build = cli.path.parents[1]
    if "COREWALK_SANITIZE:STRING=address" in (build / "CMakeCache.txt").read_text():
        pytest.skip("programs of others are not linked with the sanitizers")
    first = tmp_path_factory.mktemp("install") / "first"
    run("cmake", "--install", build, "--prefix", first)
    moved = first.with_name("moved")
    shutil.move(first, moved)
    return moved


@pytest.fixture(scope="module")
def core(cores):
    return cores.of("hash_table").path


def package_path(prefix):
    return next(prefix.rglob("corewalk.pc")).parent


def test_the_installed_program_finds_its_library(prefix, core):
    program = prefix / "bin/corewalk"
    assert run(program, "--version").startswith("corewalk ")
    assert "What fills the heap" in run(program, core)


def test_everything_is_laid_down(prefix):
    names = {path.name for path in prefix.rglob("*") if path.is_file()}
    assert {"corewalk", "corewalk.h", "corewalk.pc", "corewalk.1", "_corewalk"} <= names


@pytest.mark.parametrize(
    "compiler,standard,suffix", [("gcc", "gnu17", ".c"), ("g++", "gnu++20", ".cpp")]
)
def test_the_header_example_runs(prefix, core, tmp_path, compiler, standard, suffix):
    source = (tmp_path / "example").with_suffix(suffix)
    source.write_text(header_example.program())
    flags = run(
        "pkg-config", "--cflags", "--libs", "corewalk", PKG_CONFIG_PATH=str(package_path(prefix))
    ).split()
    program = tmp_path / "example"
    run(compiler, f"-std={standard}", "-Wall", "-Werror", source, "-o", program, *flags)
    page = run(program, core, LD_LIBRARY_PATH=str(package_path(prefix).parent))
    assert page == run(prefix / "bin/corewalk", core)
