"""Comparisons that several test files make."""

from collections import Counter

from facts import bin_rows, fastbin_sizes, pair_arenas, sums_of_arena, sums_of_heap


HELD = ("used", "mmapped")
FREE = ("tcache", "fastbin", "binned", "top", "internal")


def first_few(differences):
    return f"{len(differences)} in all: {differences[:5]}"


def check_allocations(oracle, chunks, other_arena=None):
    """Every allocation that the sample recorded is listed as it is."""
    wrong = []
    for address, record in oracle.held.items():
        chunk = chunks.get(address, {})
        expected = oracle.expected_chunk(record)
        if record["state"] == "runtime" and chunk.get("state") == "internal":
            expected["state"] = "internal"
        if expected.get("arena") == "other":
            expected["arena"] = other_arena
        if any(chunk.get(key) != value for key, value in expected.items()):
            wrong.append({"record": record, "chunk": chunk})
    assert not wrong, first_few(wrong)


def check_nothing_else_held(oracle, chunks):
    extra = [
        chunk
        for address, chunk in chunks.items()
        if chunk["state"] in HELD and address not in oracle.held
    ]
    assert not extra, first_few(extra)


def check_freed(oracle, chunks):
    """What the sample freed is free, or part of another chunk."""
    wrong = [
        {"record": record, "chunk": chunks[address]}
        for address, record in oracle.freed.items()
        if address in chunks and chunks[address]["state"] not in FREE
    ]
    assert not wrong, first_few(wrong)


def check_all_known(chunks):
    unknown = [chunk for chunk in chunks.values() if chunk["state"] == "unknown"]
    assert not unknown, first_few(unknown)


def check_no_overlap(oracle, chunks):
    ends = 0
    header_bytes = 2 * oracle.word_bytes
    for address, chunk in sorted(chunks.items()):
        if is_mapping(chunk):
            continue  # its size is the whole mapping's, which may begin before the chunk
        assert address - header_bytes >= ends, chunk
        ends = address - header_bytes + chunk["bytes"]


def is_mapping(chunk):
    """Held by the program, or freed into a thread's cache (from 2.43 on)."""
    return "arena" not in chunk


def tally(chunks):
    sizes = [chunk["bytes"] for chunk in chunks]
    return {"count": len(sizes), "bytes": sum(sizes)}


def same_mappings(counted, found, drifts):
    """
    glibc's count of mappings against ours. Its bytes drift from 2.43 on: each mremap leaves two
    words too many in them. A page or more would hide that a mapping's size was read wrong.
    """
    excess = counted["bytes"] - found["bytes"]
    return counted["count"] == found["count"] and (
        excess == 0 or (drifts and 0 < excess < 4096 and excess % 8 == 0)
    )


def check_mallinfo(oracle, heap):
    """The report's sums are those of mallinfo2 at the same moment (docs of glibc, §5)."""
    in_use = heap["used"]["bytes"] + heap["tcache"]["bytes"] + heap["overhead_bytes"]
    found = {
        "arena": heap["system_bytes"],
        "ordblks": heap["binned"]["count"] + len(heap["arenas"]),
        "smblks": heap["fastbin"]["count"],
        "fsmblks": heap["fastbin"]["bytes"],
        "uordblks": in_use,
        "fordblks": heap["binned"]["bytes"] + heap["fastbin"]["bytes"] + heap["top"]["bytes"],
        "keepcost": sum(a["top_bytes"] for a in heap["arenas"] if a["kind"] == "main"),
    }
    expected = {key: oracle.summary[key] for key in found}
    assert found == expected
    counted = {"count": oracle.summary["hblks"], "bytes": oracle.summary["hblkhd"]}
    assert same_mappings(counted, heap["mmapped"], oracle.glibc_minor >= 43), counted


def check_list(heap, chunks):
    """The list adds up to the report."""
    in_arenas = [chunk for chunk in chunks.values() if not is_mapping(chunk)]
    mappings = [chunk for chunk in chunks.values() if is_mapping(chunk)]
    for state in ("used", "tcache", "fastbin", "binned", "top"):
        assert heap[state] == tally([c for c in in_arenas if c["state"] == state]), state
    assert heap["mmapped"] == tally(mappings)
    cached = tally([chunk for chunk in mappings if chunk["state"] == "tcache"])
    assert heap.get("mmapped_cached", tally([])) == cached
    internal = tally([chunk for chunk in in_arenas if chunk["state"] == "internal"])
    assert internal["bytes"] <= heap["overhead_bytes"]


def check_malloc_info(info, heap, chunks):
    """Every arena of the report, and its chunks, are those that malloc_info shows."""
    pairs, heaps_left, arenas_left = pair_arenas(info, heap["arenas"])
    assert sums_of_arena(pairs[0][1]) == sums_of_heap(pairs[0][0])
    assert not arenas_left and not heaps_left, (
        [sums_of_arena(arena) for arena in arenas_left],
        [sums_of_heap(heap) for heap in heaps_left],
    )
    assert same_mappings(info.mmapped, heap["mmapped"], not info.has_fastbins), info.mmapped
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
    heap = report["heap"]
    cached = heap.get("mmapped_cached", tally([]))
    held = {
        key: heap["used"][key] + heap["mmapped"][key] - cached[key] for key in ("count", "bytes")
    }
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
