"""
The samples on other machines than the library is built for: 32-bit programs run by this kernel, and
aarch64's under qemu-user. What cannot be built or run here is skipped.
"""

import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import GDB_SECONDS, environment

SOURCES = Path(__file__).resolve().parents[2] / "samples"
BUILD_SECONDS = 600

AARCH64_ROOT = Path("/usr/aarch64-linux-gnu")


@dataclass(frozen=True)
class Machine:
    name: str
    c: str
    cxx: str
    flags: str = ""
    runner: tuple = ()


def kernel_headers():
    """asm/ lies in a folder of the 64-bit machine, where gcc does not look for 32-bit programs."""
    triplet = run("gcc", "-print-multiarch").stdout.strip()
    folder = Path("/usr/include") / triplet
    return f"-idirafter {folder}" if triplet and folder.is_dir() else ""


def run(*words, **options):
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        env=environment(),
        **options,
    )


def machine_of(name):
    if name == "i386":
        return Machine(name, "gcc", "g++", f"-m32 {kernel_headers()}")
    return Machine(
        name,
        "aarch64-linux-gnu-gcc",
        "aarch64-linux-gnu-g++",
        runner=("qemu-aarch64-static", "-L", AARCH64_ROOT),
    )


def check_that_it_runs(machine, directory):
    for command in (machine.c, machine.cxx, "cmake", *machine.runner[:1]):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed: no {machine.name} programs")
    source = directory / "try.cpp"
    program = directory / "try"
    source.write_text("#include <new>\n#include <asm/types.h>\nint main() { return 0; }\n")
    built = run(machine.cxx, *machine.flags.split(), source, "-o", program)
    if built.returncode != 0:
        pytest.skip(f"{machine.name} programs cannot be built here: {built.stderr[-300:]}")
    try:
        status = run(*machine.runner, program).returncode
    except OSError as error:
        status = error
    if status != 0:
        pytest.skip(f"{machine.name} programs cannot be run here: {status}")


def build_samples(machine, directory):
    """As for our own machine, by samples/CMakeLists.txt alone."""
    directory.mkdir()
    check_that_it_runs(machine, directory)
    build = directory / "build"
    configured = run(
        "cmake",
        "-G",
        "Ninja",
        "-S",
        SOURCES,
        "-B",
        build,
        f"-DCMAKE_C_COMPILER={machine.c}",
        f"-DCMAKE_CXX_COMPILER={machine.cxx}",
        f"-DCMAKE_C_FLAGS={machine.flags}",
        f"-DCMAKE_CXX_FLAGS={machine.flags}",
    )
    assert configured.returncode == 0, configured.stderr
    built = run("cmake", "--build", build)
    assert built.returncode == 0, built.stdout + built.stderr
    return build


def qemu_core(program, path):
    """Ends the program with SIGABRT; qemu-user writes its core, and the kernel may write qemu's."""
    unlimited = resource.RLIM_INFINITY
    try:
        resource.prlimit(program.pid, resource.RLIMIT_CORE, (unlimited, unlimited))
    except (PermissionError, ValueError):
        pytest.skip("the core size limit cannot be raised here")
    before = set(program.directory.iterdir())
    program.process.send_signal(signal.SIGABRT)
    program.process.wait(timeout=GDB_SECONDS)
    written = set(program.directory.iterdir()) - before
    cores = [file for file in written if file.name.startswith("qemu_")]
    assert cores, f"no core in {program.directory}"
    shutil.move(cores[0], path)
    for file in written - set(cores):
        file.unlink()
    return path
