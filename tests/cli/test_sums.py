"""The report's sums against mallinfo2 and malloc_info of the same moment (docs of glibc, §5)."""

from collections import Counter

import pytest
from checks import check_list, check_malloc_info, check_mallinfo, tally
from samples import each_core


@each_core
def test_sums_are_those_of_mallinfo2(cli, cores, subject):
    core = cores.of(*subject)
    check_mallinfo(core.oracle, cli.report("analyze", core)["heap"])


@each_core
def test_each_arena_is_that_of_malloc_info(cli, cores, subject):
    core = cores.of(*subject)
    if subject[0] == "two_libcs":
        pytest.skip("malloc_info shows the arenas of one libc; mallinfo2 of both is summed above")
    check_malloc_info(core.malloc_info, cli.report("analyze", core)["heap"], cli.chunks(core))


@each_core
def test_the_list_adds_up_to_the_report(cli, cores, subject):
    core = cores.of(*subject)
    check_list(cli.report("analyze", core)["heap"], cli.chunks(core))


def test_a_heap_in_one_piece_has_no_overhead_but_chunks(cli, cores):
    core = cores.of("fragmented")
    heap = cli.report("analyze", core)["heap"]
    internal = [chunk for chunk in cli.chunks(core).values() if chunk["state"] == "internal"]
    assert tally(internal)["bytes"] == heap["overhead_bytes"]


def test_each_living_thread_has_its_cache(cli, cores):
    core = cores.of("threads")
    sizes = Counter(c["bytes"] for c in cli.chunks(core).values() if c["state"] == "internal")
    assert core.oracle.summary["threads"] in sizes.values()
    assert cli.report("analyze", core)["target"]["thread_count"] == core.oracle.summary["threads"]


def test_the_threads_sample_has_arenas_of_several_heaps(cli, cores):
    arenas = cli.report("analyze", cores.of("threads"))["heap"]["arenas"]
    assert sum(arena["heap_count"] > 1 for arena in arenas) >= 2
