"""Samples whose memory malloc lays out anew in every run, with several seeds."""

import pytest
from checks import (
    check_all_known,
    check_allocations,
    check_freed,
    check_identities,
    check_mallinfo,
    check_no_overlap,
    check_nothing_else_held,
)

SEEDS = {
    "blocked_brk": range(1, 13),
    "odd_brk": range(1, 7),
    "trimmed": range(1, 5),
    "foreign_sbrk": range(1, 5),
    "two_libcs": range(1, 7),
    "mmapped": range(1, 4),
}


def name_arenas(oracle, chunks):
    """Chunks with the program's own copy of malloc as the main one, and the other one's name."""
    names = {chunk["arena"] for chunk in chunks.values() if "arena" in chunk}
    own = next(
        chunks[address]["arena"]
        for address, record in oracle.held.items()
        if record["state"] == "used" and record["arena"] == "main"
    )
    (other,) = names - {own}
    swapped = {own: "main", other: "other"}
    return {
        address: {**chunk, "arena": swapped[chunk["arena"]]} if "arena" in chunk else chunk
        for address, chunk in chunks.items()
    }


@pytest.mark.parametrize("sample", SEEDS)
def test_every_chunk_is_right_with_every_seed(cli, cores, sample):
    for seed in SEEDS[sample]:
        core = cores.of(sample, "gcore", "--seed", str(seed))
        chunks = cli.chunks(core)
        if sample == "two_libcs":
            chunks = name_arenas(core.oracle, chunks)
        check_allocations(core.oracle, chunks, "other")
        check_nothing_else_held(core.oracle, chunks)
        check_freed(core.oracle, chunks)
        check_all_known(chunks)
        check_no_overlap(core.oracle, chunks)
        report = cli.report("analyze", core)
        assert report["findings"] == [], seed
        check_identities(report)
        if sample != "two_libcs":
            check_mallinfo(core.oracle, report["heap"])
