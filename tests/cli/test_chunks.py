"""Each sample's own record of its allocations against `corewalk list`."""

import pytest
from checks import (
    check_all_known,
    check_allocations,
    check_freed,
    check_no_overlap,
    check_nothing_else_held,
)
from samples import each_core


@each_core
def test_every_allocation_is_listed_as_it_is(cli, cores, subject):
    core = cores.of(*subject)
    other_arena = core.other_arena(cli) if subject[0] == "two_libcs" else None
    check_allocations(core.oracle, cli.chunks(core), other_arena)


@each_core
def test_nothing_else_is_held(cli, cores, subject):
    core = cores.of(*subject)
    check_nothing_else_held(core.oracle, cli.chunks(core))


@each_core
def test_what_was_freed_is_free_or_part_of_another(cli, cores, subject):
    core = cores.of(*subject)
    check_freed(core.oracle, cli.chunks(core))


@each_core
def test_every_part_of_the_heap_is_known(cli, cores, subject):
    check_all_known(cli.chunks(cores.of(*subject)))


@each_core
def test_chunks_do_not_overlap(cli, cores, subject):
    core = cores.of(*subject)
    check_no_overlap(core.oracle, cli.chunks(core))


def test_filters_choose_lines_of_the_whole_list(cli, cores):
    core = cores.of("fragmented")
    chunks = cli.chunks(core)
    some = cli.chunks(core, "--state", "binned", "--min-size", "1000", "--max-size", "20000")
    expected = {
        address: chunk
        for address, chunk in chunks.items()
        if chunk["state"] == "binned" and 1000 <= chunk["bytes"] <= 20000
    }
    assert expected
    assert some == expected


@pytest.mark.parametrize("where", [0, 1], ids=["start", "inside"])
def test_block_finds_the_chunk_of_an_address(cli, cores, where):
    core = cores.of("fragmented")
    used = [
        (address, chunk)
        for address, chunk in sorted(cli.chunks(core).items())
        if chunk["state"] == "used" and chunk["bytes"] >= 64
    ]
    for address, chunk in used[:: len(used) // 3]:
        report = cli.report("block", core, hex(address + 24 * where))
        block = report["block"]
        assert block["state"] == "used"
        assert block["bytes"] == chunk["bytes"]
