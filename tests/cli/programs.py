"""Starts programs and takes cores of them, by gdb and by the kernel."""

import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

READY_SECONDS = 120
GDB_SECONDS = 600


def environment(**extra):
    """Ours, without what changes how malloc works."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_", "DEBUGINFOD_", "COREWALK_"))
    }
    return {**kept, "LC_ALL": "C", **extra}


class Program:
    """A running program; its stderr goes to a file, so that malloc_info can be told to write there."""

    def __init__(self, argv, directory, before=None, **extra_environment):
        self.directory = Path(directory)
        self.stderr = self.directory / "stderr"
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(**extra_environment),
                preexec_fn=before,
            )
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def tell(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_until(self, is_ready, what):
        end = time.monotonic() + READY_SECONDS
        while not is_ready():
            assert self.process.poll() is None, f"ended early: {self.stderr.read_text()}"
            assert time.monotonic() < end, f"never came: {what}"
            time.sleep(0.02)

    def wait_for_line(self, line):
        stream = self.process.stdout
        seen = b""

        def arrived():
            nonlocal seen
            if select.select([stream], [], [], 0)[0]:
                seen += os.read(stream.fileno(), 65536)
            return line.encode() + b"\n" in seen

        self.wait_until(arrived, line)

    def wait_until_blocked(self):
        """Until all that was written to it is read and it sleeps in the kernel, waiting for more."""

        def blocked():
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            return state == "S" and bytes_waiting(self.process.stdin) == 0

        self.wait_until(blocked, "sleep")


def bytes_waiting(pipe):
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return count[0]


def gdb(*arguments, commands):
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off"]
    for line in commands:
        command += ["-ex", line]
    result = subprocess.run(
        [*command, *[str(argument) for argument in arguments]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=GDB_SECONDS,
        env=environment(),
    )
    return result.stdout + result.stderr


def gcore(pid, path, *, before=()):
    """A core of a running process, by gdb; it runs on afterwards."""
    said = gdb("-p", pid, commands=[*before, f"gcore {path}"])
    assert path.exists(), said
    return path


# To be told to gdb: the process writes malloc_info to its own stderr, which allocates nothing.
CALL_MALLOC_INFO = "print (int)malloc_info(0, (void*)&_IO_2_1_stderr_)"


def run_to_exit(argv, directory, core):
    """Runs a program to its end and takes a core just before, with malloc_info on its stderr."""
    directory = Path(directory)
    said = gdb(
        "--args",
        *argv,
        commands=[
            f"cd {directory}",
            "set breakpoint pending on",
            "break _exit",
            f"run >{directory}/stdout 2>{directory}/stderr",
            CALL_MALLOC_INFO,
            f"gcore {core}",
            "kill",
        ],
    )
    assert core.exists(), said
    return core


def core_pattern():
    """The kernel's pattern for core files, where it leaves them with the program; skips elsewhere."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|"):
        pytest.skip("the kernel hands cores to a program here (kernel.core_pattern)")
    if "/" in pattern:
        pytest.skip("the kernel writes cores elsewhere here (kernel.core_pattern)")
    return pattern


def unlimited_cores():
    """For Program: what a child does before it becomes the program."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def allow_core(program):
    unlimited = resource.RLIM_INFINITY
    try:
        resource.prlimit(program.pid, resource.RLIMIT_CORE, (unlimited, unlimited))
    except (PermissionError, ValueError, ProcessLookupError):
        pytest.skip("the core size limit cannot be raised here")


def collect_core(program, pattern, path):
    program.process.wait(timeout=GDB_SECONDS)
    prefix = re.split("%", pattern)[0]
    written = sorted(program.directory.glob(f"{prefix}*"))
    assert written, f"no core in {program.directory}"
    shutil.move(written[0], path)
    return path


def kernel_core(program, path):
    """Ends the program with SIGABRT and moves the kernel's core to `path`; skips where it cannot."""
    pattern = core_pattern()
    allow_core(program)
    program.process.send_signal(signal.SIGABRT)
    return collect_core(program, pattern, path)


def kernel_core_of_crash(program, path):
    """Waits for a program that ends itself, having been started with `unlimited_cores`."""
    return collect_core(program, core_pattern(), path)


def require(*names):
    for name in names:
        if shutil.which(name) is None:
            # Where everything must hold, a test that did not run does not hold.
            verdict = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            verdict(f"{name} is not installed")
