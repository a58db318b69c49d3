"""
Cores that are taken while threads are at work in malloc: nothing that an operation under way
explains may be called damage. COREWALK_MID_MALLOC_CORES says how many cores are taken (few by
default; 100 for a thorough run); COREWALK_MID_MALLOC_KEEP where to put those that fail.
"""

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from programs import (
    Program,
    gcore,
    kernel_core,
    kernel_core_of_crash,
    unlimited_cores,
)

CORE_COUNT = int(os.environ.get("COREWALK_MID_MALLOC_CORES", "6"))
KEEP = os.environ.get("COREWALK_MID_MALLOC_KEEP")

# What an operation may have taken from one sum and not yet added to another: its own chunk, which
# may be a whole unsorted remainder or the top.
IN_FLIGHT = 4


def wait_until_stopped(pid):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        states = {
            Path(f"/proc/{pid}/task/{task}/stat").read_text().rpartition(")")[2].split()[0]
            for task in os.listdir(f"/proc/{pid}/task")
        }
        if states <= {"T", "t"}:
            return
        time.sleep(0.001)


def judge(cli, path):
    """The report, and what is wrong with it."""
    result = cli.run("check", "--fail-if", "findings", "--format", "json", path, status=None)
    assert result.returncode in (0, 1, 3), f"{path}: status {result.returncode}\n{result.stderr}"
    report = json.loads(result.stdout)
    damage = [f for f in report["findings"] if f["severity"] != "info"]
    assert (result.returncode == 3) == bool(damage)
    heap = json.loads(cli.run("analyze", "--format", "json", path, status=None).stdout)["heap"]
    states = ("used", "tcache", "fastbin", "binned", "top")
    found = sum(heap[state]["bytes"] for state in states) + heap["overhead_bytes"]
    found += heap.get("unknown", {"bytes": 0})["bytes"]
    off = abs(found - heap["system_bytes"])
    return report, damage, off


class Verdicts:
    """What became of the cores of one way to take them."""

    def __init__(self, name, threads):
        self.name = name
        self.threads = threads
        self.seen = Counter()
        self.wrong = []

    def add(self, cli, path):
        report, damage, off = judge(cli, path)
        self.seen["cores"] += 1
        self.seen["in malloc"] += report["check"]["unfinished_count"] > 0
        self.seen["explained"] += any(f["severity"] == "info" for f in report["findings"])
        self.seen["sums off"] += off > 0
        if damage or off > (self.threads + 1) * IN_FLIGHT * (1 << 18):
            self.wrong.append((self.seen["cores"], off, damage))
            if KEEP:
                shutil.copy(path, Path(KEEP) / f"{self.name}-{self.threads}-{self.seen['cores']}")
        path.unlink()

    def judge(self):
        print(f"{self.name}, {self.threads} threads: {dict(self.seen)}")
        assert not self.wrong, self.wrong
        assert self.seen["in malloc"] > 0


@pytest.mark.parametrize("threads", [0, 3], ids=["alone", "threads"])
def test_an_operation_under_way_is_no_damage(cli, cores, tmp_path, threads):
    source = random.Random(threads)
    verdicts = Verdicts("gcore", threads)
    argv = [cores.samples / "stress", "--count", str(threads)]
    with Program(argv, tmp_path) as program:
        program.wait_for_line("ready")
        for number in range(CORE_COUNT):
            time.sleep(source.uniform(0.005, 0.08))
            program.process.send_signal(signal.SIGSTOP)
            wait_until_stopped(program.pid)
            path = gcore(program.pid, tmp_path / f"core-{number}")
            program.process.send_signal(signal.SIGCONT)
            verdicts.add(cli, path)
    verdicts.judge()


@pytest.mark.parametrize("threads", [0, 3], ids=["alone", "threads"])
def test_so_is_one_in_a_process_that_is_ended(cli, cores, tmp_path, threads):
    """By the kernel: one that is told to abort, or one in which a thread crashes outside malloc."""
    source = random.Random(threads)
    verdicts = Verdicts("kernel", threads)
    argv = [cores.samples / "stress", "--count", str(threads)]
    for number in range(CORE_COUNT):
        directory = tmp_path / str(number)
        directory.mkdir()
        path = tmp_path / f"core-{number}"
        with Program(argv, directory, before=unlimited_cores) as program:
            program.wait_for_line("ready")
            time.sleep(source.uniform(0.005, 0.08))
            if threads > 0 and number % 4 != 0:
                program.process.send_signal(signal.SIGUSR1)
                kernel_core_of_crash(program, path)
            else:
                kernel_core(program, path)
        verdicts.add(cli, path)
    verdicts.judge()
