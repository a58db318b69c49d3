"""Each sample's own record of its allocations against `corewalk list`."""

import pytest
from facts import expected_chunk
from samples import each_core

HELD = ("used", "mmapped")
FREE = ("tcache", "fastbin", "binned", "top", "internal")


def first_few(differences):
    return f"{len(differences)} in all: {differences[:5]}"


@each_core
def test_every_allocation_is_listed_as_it_is(cli, cores, subject):
    core = cores.of(*subject)
    chunks = cli.chunks(core)
    wrong = []
    for address, record in core.oracle.held.items():
        chunk = chunks.get(address, {})
        expected = expected_chunk(record)
        if record["state"] == "runtime" and chunk.get("state") == "internal":
            expected["state"] = "internal"
        if expected.get("arena") == "other":
            expected["arena"] = core.other_arena(cli)
        if any(chunk.get(key) != value for key, value in expected.items()):
            wrong.append({"record": record, "chunk": chunk})
    assert not wrong, first_few(wrong)


@each_core
def test_nothing_else_is_held(cli, cores, subject):
    core = cores.of(*subject)
    held = core.oracle.held
    extra = [
        chunk
        for address, chunk in cli.chunks(core).items()
        if chunk["state"] in HELD and address not in held
    ]
    assert not extra, first_few(extra)


@each_core
def test_what_was_freed_is_free_or_part_of_another(cli, cores, subject):
    core = cores.of(*subject)
    chunks = cli.chunks(core)
    wrong = [
        {"record": record, "chunk": chunks[address]}
        for address, record in core.oracle.freed.items()
        if address in chunks and chunks[address]["state"] not in FREE
    ]
    assert not wrong, first_few(wrong)


@each_core
def test_every_part_of_the_heap_is_known(cli, cores, subject):
    unknown = [c for c in cli.chunks(cores.of(*subject)).values() if c["state"] == "unknown"]
    assert not unknown, first_few(unknown)


@each_core
def test_chunks_do_not_overlap(cli, cores, subject):
    ends = 0
    header_bytes = 16
    for address, chunk in sorted(cli.chunks(cores.of(*subject)).items()):
        if chunk["state"] == "mmapped":
            continue  # its size is the whole mapping's, which may begin before the chunk
        assert address - header_bytes >= ends, chunk
        ends = address - header_bytes + chunk["bytes"]


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
