"""The report's sums against mallinfo2 and malloc_info of the same moment (docs of glibc, §5)."""

from collections import Counter

import pytest
from checks import check_malloc_info
from samples import each_core


def tally(chunks, state):
    sizes = [chunk["bytes"] for chunk in chunks.values() if chunk["state"] == state]
    return {"count": len(sizes), "bytes": sum(sizes)}


@each_core
def test_sums_are_those_of_mallinfo2(cli, cores, subject):
    core = cores.of(*subject)
    heap = cli.report("analyze", core)["heap"]
    held = heap["used"]["bytes"] + heap["tcache"]["bytes"] + heap["overhead_bytes"]
    found = {
        "arena": heap["system_bytes"],
        "ordblks": heap["binned"]["count"] + len(heap["arenas"]),
        "smblks": heap["fastbin"]["count"],
        "fsmblks": heap["fastbin"]["bytes"],
        "hblks": heap["mmapped"]["count"],
        "hblkhd": heap["mmapped"]["bytes"],
        "uordblks": held,
        "fordblks": heap["binned"]["bytes"] + heap["fastbin"]["bytes"] + heap["top"]["bytes"],
        "keepcost": sum(a["top_bytes"] for a in heap["arenas"] if a["kind"] == "main"),
    }
    summary = dict(core.oracle.summary)
    summary.pop("threads")
    assert found == summary


@each_core
def test_each_arena_is_that_of_malloc_info(cli, cores, subject):
    core = cores.of(*subject)
    if subject[0] == "two_libcs":
        pytest.skip("malloc_info shows the arenas of one libc; mallinfo2 of both is summed above")
    check_malloc_info(core.malloc_info, cli.report("analyze", core)["heap"], cli.chunks(core))


@each_core
def test_the_list_adds_up_to_the_report(cli, cores, subject):
    core = cores.of(*subject)
    chunks = cli.chunks(core)
    heap = cli.report("analyze", core)["heap"]
    for state in ("used", "tcache", "fastbin", "binned", "top", "mmapped"):
        assert heap[state] == tally(chunks, state), state
    assert tally(chunks, "internal")["bytes"] <= heap["overhead_bytes"]


def test_a_heap_in_one_piece_has_no_overhead_but_chunks(cli, cores):
    core = cores.of("fragmented")
    heap = cli.report("analyze", core)["heap"]
    assert tally(cli.chunks(core), "internal")["bytes"] == heap["overhead_bytes"]


def test_each_living_thread_has_its_cache(cli, cores):
    core = cores.of("threads")
    sizes = Counter(c["bytes"] for c in cli.chunks(core).values() if c["state"] == "internal")
    assert core.oracle.summary["threads"] in sizes.values()
    assert cli.report("analyze", core)["target"]["thread_count"] == core.oracle.summary["threads"]


def test_the_threads_sample_has_arenas_of_several_heaps(cli, cores):
    arenas = cli.report("analyze", cores.of("threads"))["heap"]["arenas"]
    assert sum(arena["heap_count"] > 1 for arena in arenas) >= 2
