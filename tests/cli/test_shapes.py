"""Heaps of unusual shape: several copies of malloc, and what ended threads leave behind."""

import subprocess

import pytest
from conftest import Core
from programs import Program, gcore, require

HELD = ("used", "mmapped")
MALLOC_ALIGNMENT = 16


def chunk_bytes(usable, extra):
    """A chunk that holds so much, and `extra` bytes of the allocator's own."""
    return (usable + extra + 8 + MALLOC_ALIGNMENT - 1) // MALLOC_ALIGNMENT * MALLOC_ALIGNMENT


@pytest.fixture(scope="module")
def checked(cores):
    """malloc by libc_malloc_debug.so, and besides by libc itself: both take from the same brk."""
    environment = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}
    return cores.take("two_libcs", "gcore", (), environment)


def module_of(cli, core):
    """The module of a chunk's arena, by what `list` calls the arena."""
    arenas = cli.report("analyze", core)["heap"]["arenas"]
    modules = {arena["address"]: arena["module"] for arena in arenas}
    named = {chunk["arena"] for chunk in cli.chunks(core).values() if "arena" in chunk}
    (first,) = set(modules) - named
    return {**modules, "main": modules[first]}


def test_each_copy_of_malloc_has_its_own_chunks(cli, checked):
    modules = module_of(cli, checked)
    assert sorted(modules[name] for name in modules if name != "main") == [
        "libc.so.6",
        "libc_malloc_debug.so.0",
    ]
    chunks = cli.chunks(checked)
    held = checked.oracle.held
    seen = {"main": 0, "other": 0}
    for address, record in held.items():
        chunk = chunks[address]
        assert chunk["state"] == ("mmapped" if record["state"] == "mmapped" else "used"), record
        if record["state"] != "used":
            continue
        is_other = record["arena"] == "other"
        seen[record["arena"]] += 1
        assert (modules[chunk["arena"]] == "libc.so.6") == is_other, (record, chunk)
        # The checking library keeps a byte of its own behind each block.
        expected = max(32, chunk_bytes(record["usable"], 0 if is_other else 1))
        assert expected <= chunk["bytes"] <= expected + MALLOC_ALIGNMENT, (record, chunk)
    assert min(seen.values()) > 1000


def test_nothing_of_a_shared_brk_counts_twice(cli, checked):
    report = cli.report("analyze", checked)
    heap = report["heap"]
    summary = checked.oracle.summary
    free = heap["binned"]["bytes"] + heap["fastbin"]["bytes"] + heap["top"]["bytes"]
    assert free == summary["fordblks"]
    assert heap["binned"]["count"] + len(heap["arenas"]) == summary["ordblks"]
    assert heap["top"]["bytes"] == summary["keepcost"]
    assert heap["mmapped"] == {"count": summary["hblks"], "bytes": summary["hblkhd"]}
    states = ("used", "tcache", "fastbin", "binned", "top")
    assert sum(heap[s]["bytes"] for s in states) + heap["overhead_bytes"] == heap["system_bytes"]
    assert heap["system_bytes"] < summary["arena"]  # each libc counts what the other has as well
    assert not report["findings"] and not report["coverage"]


def test_a_checking_malloc_alone_is_said_to_be_one(cli, cores):
    environment = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}
    core = cores.take("fragmented", "gcore", (), environment)
    report = cli.report("analyze", core)
    assert "the malloc of libc_malloc_debug.so.0" in report["target"]["libc"]["evidence"]
    assert not report["findings"] and not report["coverage"]
    heap = report["heap"]
    free = heap["binned"]["bytes"] + heap["fastbin"]["bytes"] + heap["top"]["bytes"]
    assert (heap["system_bytes"], free) == (
        core.oracle.summary["arena"],
        core.oracle.summary["fordblks"],
    )


def test_the_stacks_of_ended_threads_are_no_riddle(cli, cores):
    rows = cli.report("analyze", cores.of("threads"))["ledger"]["rows"]
    owners = {row["owner"]: row for row in rows}
    assert owners["cached-stack"]["count"] >= 1
    assert owners["cached-stack"]["bytes"] >= owners["cached-stack"]["count"] << 20


OVERRUN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char *blocks[200];
    for (int i = 0; i < 200; i++) {
        blocks[i] = malloc(10 + i * 7);
        memset(blocks[i], 'b', 10 + i * 7 + (argc > 1 && i == 100));
    }
    for (int i = 0; i < 200; i += 9) {
        free(blocks[i]);
    }
    fprintf(stderr, "%p", (void *)blocks[100]);
    puts("ready");
    fflush(stdout);
    pause();
}
"""


@pytest.mark.parametrize("mode", ["overrun", "sound", "unchecked"])
def test_an_overrun_by_one_byte_is_seen_by_malloc_check(cli, tmp_path, mode):
    require("gcc")
    source = tmp_path / "overrun.c"
    source.write_text(OVERRUN)
    subprocess.run(["gcc", "-w", "-o", tmp_path / "overrun", source], check=True)
    argv = [tmp_path / "overrun", *(["one"] if mode != "sound" else [])]
    environment = {"LD_PRELOAD": "libc_malloc_debug.so.0"}
    if mode != "unchecked":
        environment["GLIBC_TUNABLES"] = "glibc.malloc.check=3"
    with Program(argv, tmp_path, **environment) as program:
        program.wait_for_line("ready")
        core = Core(gcore(program.pid, tmp_path / "the-core"))
        block = program.stderr.read_text()
    findings = cli.report("analyze", core)["findings"]
    assert [(finding["code"], finding["culprit"]) for finding in findings] == (
        [("trailing-magic", block)] if mode == "overrun" else []
    )
