"""Comparisons that several test files make."""

from collections import Counter

from facts import bin_rows, fastbin_sizes, pair_arenas, sums_of_arena, sums_of_heap


def check_malloc_info(info, heap, chunks):
    """Every arena of the report, and its chunks, are those that malloc_info shows."""
    pairs, heaps_left, arenas_left = pair_arenas(info, heap["arenas"])
    assert sums_of_arena(pairs[0][1]) == sums_of_heap(pairs[0][0])
    assert not arenas_left and not heaps_left, (
        [sums_of_arena(arena) for arena in arenas_left],
        [sums_of_heap(heap) for heap in heaps_left],
    )
    assert heap["mmapped"] == info.mmapped
    of_arena = {}
    for chunk in chunks.values():
        of_arena.setdefault(chunk.get("arena"), []).append(chunk)
    for element, arena in pairs:
        name = "main" if arena["kind"] == "main" else arena["address"]
        check_bins(element, of_arena.get(name, []))


def check_bins(heap, chunks):
    """The chunks of one arena lie in the bins that malloc_info counts."""
    sizes = {
        state: Counter(chunk["bytes"] for chunk in chunks if chunk["state"] == state)
        for state in ("fastbin", "binned")
    }
    assert sizes["fastbin"] == fastbin_sizes(heap)
    bins, unsorted_count = bin_rows(heap)
    assert sum(sizes["binned"].values()) == sum(row[2] for row in bins) + unsorted_count
    for smallest, largest, count in bins:
        found = sum(n for size, n in sizes["binned"].items() if smallest <= size <= largest)
        assert count <= found <= count + unsorted_count, (smallest, largest)


def check_identities(report):
    """What a report says of itself adds up, by the last paragraphs of the JSON contract."""
    heap = report["heap"]
    states = ("used", "tcache", "fastbin", "binned", "top")
    assert sum(heap[state]["bytes"] for state in states) + heap["overhead_bytes"] == (
        heap["system_bytes"]
    )
    assert heap["system_bytes"] == sum(arena["system_bytes"] for arena in heap["arenas"])
    for state in ("used", "tcache", "fastbin", "binned"):
        of_arenas = [arena[state] for arena in heap["arenas"]]
        assert heap[state]["count"] == sum(tally["count"] for tally in of_arenas), state
        assert heap[state]["bytes"] == sum(tally["bytes"] for tally in of_arenas), state
    ledger = report["ledger"]
    assert sum(row["bytes"] for row in ledger["rows"]) == ledger["total_bytes"]
    check_populations(report)


def check_populations(report):
    held = {key: report["heap"]["used"][key] + report["heap"]["mmapped"][key] for key in (
        "count",
        "bytes",
    )}
    populations = report["populations"]
    assert sum(row["bytes"] for row in populations) == held["bytes"]
    assert sum(row["count"] for row in populations) == held["count"]
    order = [row["bytes"] for row in populations]
    assert order == sorted(order, reverse=True)
    naming = report["naming"]
    parts = naming["named_bytes"] + naming.get("shaped_bytes", 0) + naming["unnamed_bytes"]
    assert parts == held["bytes"]
    for row in populations:
        assert row["smallest_bytes"] * row["count"] <= row["bytes"], row
        assert row["largest_bytes"] * row["count"] >= row["bytes"], row
