"""
Fixtures: the command line under test, and cores of the samples, each taken once a run.

COREWALK_CLI names the command line, or several separated by colons; tests run with each of them.
COREWALK_SAMPLES names the folder of the sample programs; by default it is the build's.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from facts import MallocInfo, Oracle
from machines import AARCH64_ROOT, build_samples, machine_of, qemu_core
from programs import Program, gcore, kernel_core

CLI_SECONDS = 600

COMMANDS = [Path(path).resolve() for path in os.environ.get("COREWALK_CLI", "").split(":") if path]


@dataclass(frozen=True)
class Core:
    path: Path
    oracle_directory: Path = None
    malloc_info_path: Path = None
    arguments: tuple = ()  # where its files are, when they are not at their paths

    @property
    def oracle(self):
        return read_oracle(self.oracle_directory / "oracle.jsonl")

    def other_arena(self, cli):
        """The address of the main arena of the copy of malloc that holds less."""
        arenas = cli.report("analyze", self)["heap"]["arenas"]
        mains = [arena for arena in arenas if arena["kind"] == "main"]
        assert len(mains) == 2
        return min(mains, key=lambda arena: arena["system_bytes"])["address"]

    @property
    def malloc_info(self):
        return MallocInfo(self.malloc_info_path.read_text(errors="replace"))


@lru_cache
def read_oracle(path):
    return Oracle.read(path)


@dataclass(frozen=True)
class Command:
    path: Path

    def run(self, *arguments, status=0, **options):
        """Runs it; the status must be that (None: any)."""
        result = subprocess.run(
            [str(self.path), *[str(argument) for argument in arguments]],
            capture_output=True,
            text=True,
            timeout=CLI_SECONDS,
            **options,
        )
        missing = result.stdout.find("What is missing")
        said = f"{' '.join(map(str, arguments))}: status {result.returncode}\n{result.stderr[-2000:]}"
        said += result.stdout[missing : missing + 1000] if missing >= 0 else ""
        assert status is None or result.returncode == status, said
        return result

    def report(self, verb, core, *arguments, status=0):
        return run_report(self, verb, core.path, (*core.arguments, *arguments), status)

    def chunks(self, core, *arguments):
        """The lines of `corewalk list`, by address."""
        return run_list(self, core.path, (*core.arguments, *arguments))


@lru_cache(maxsize=64)
def run_report(command, verb, path, arguments, status):
    return json.loads(command.run(verb, "--format", "json", path, *arguments, status=status).stdout)


@lru_cache(maxsize=8)
def run_list(command, path, arguments):
    lines = command.run("list", "--format", "json", *arguments, path).stdout.splitlines()
    chunks = {}
    for line in lines:
        chunk = json.loads(line)
        address = int(chunk["address"], 16)
        assert address not in chunks, f"listed twice: {line}"
        chunks[address] = chunk
    return chunks


def preset_of(path):
    """build/asan/corewalk/corewalk -> asan"""
    return path.parents[1].name


@pytest.fixture(scope="session", params=COMMANDS or [None], ids=lambda p: p and preset_of(p))
def cli(request):
    assert request.param, "COREWALK_CLI must name the command line (tests/run sets it)"
    return Command(request.param)


class Cores:
    def __init__(self, directory):
        self.directory = Path(directory)
        samples = os.environ.get("COREWALK_SAMPLES")
        self.samples = Path(samples) if samples else COMMANDS[0].parents[1] / "samples"
        self.made = {}
        self.built = {}
        self.taken_count = 0

    def folder(self, name):
        path = self.directory / name
        path.mkdir()
        return path

    def of(self, sample, kind="gcore", *arguments, **extra_environment):
        """A core of a sample that is ready; kind is one of samples.TAKEN."""
        key = (sample, kind, arguments)
        if key not in self.made:
            self.made[key] = self.take(sample, kind, arguments, extra_environment)
        return self.made[key]

    def samples_of(self, machine):
        if machine.name not in self.built:
            self.built[machine.name] = build_samples(machine, self.directory / machine.name)
        return self.built[machine.name]

    def take(self, sample, kind, arguments, extra_environment):
        way, _, machine_name = kind.partition("-")
        runner, program_path, core_arguments = (), self.samples / sample, ()
        if machine_name:
            machine = machine_of(machine_name)
            runner, program_path = machine.runner, self.samples_of(machine) / sample
        if way == "qemu":
            core_arguments = ("--exe", program_path, "--sysroot", AARCH64_ROOT)
        self.taken_count += 1
        folder = self.folder(f"{sample}-{kind}-{self.taken_count}")
        path = folder / "the-core"
        argv = [*runner, program_path, "--oracle", folder, *arguments]
        with Program(argv, folder, **extra_environment) as program:
            program.wait_for_line("ready")
            if way == "kernel":
                kernel_core(program, path)
            elif way == "qemu":
                qemu_core(program, path)
            else:
                gcore(program.pid, path)
        return Core(path, folder, folder / "malloc_info.xml", core_arguments)


@pytest.fixture(scope="session")
def cores():
    with tempfile.TemporaryDirectory(prefix="corewalk-cores-") as directory:
        yield Cores(directory)
