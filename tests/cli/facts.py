"""What else is known of a heap: a sample's oracle, mallinfo2, malloc_info."""

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field

@dataclass
class Oracle:
    held: dict = field(default_factory=dict)  # address -> record, with what libc allocated
    freed: dict = field(default_factory=dict)
    summary: dict = None
    word_bytes: int = 8
    glibc_minor: int = 0

    @classmethod
    def read(cls, path):
        oracle = cls()
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if "summary" in record:
                oracle.summary = record["summary"]
                oracle.word_bytes = oracle.summary.pop("word_bytes")
                oracle.glibc_minor = oracle.summary.pop("glibc_minor")
                continue
            group = oracle.freed if record["state"] == "freed" else oracle.held
            group[int(record["address"], 16)] = record
        assert oracle.summary, "the oracle is not complete"
        return oracle

    def expected_chunk(self, record):
        """What `corewalk list` must say of an allocation: state, bytes, arena."""
        if record["state"] == "mmapped":
            return {"state": "mmapped", "bytes": record["mapping"]}
        return {
            "state": "used",
            "bytes": record["usable"] + self.word_bytes,
            "arena": record["arena"],
        }


@dataclass(frozen=True)
class ArenaSums:
    system_bytes: int
    heap_count: int
    fastbin_count: int
    fastbin_bytes: int
    binned_count: int
    binned_and_top_bytes: int


class MallocInfo:
    """malloc_info's XML. Sizes of bin chunks there include the flag bit, 1 a chunk."""

    def __init__(self, text):
        start = text.index("<malloc ")
        end = text.index("</malloc>") + len("</malloc>")
        root = ElementTree.fromstring(text[start:end])
        heaps = root.findall("heap")
        self.main = heaps[0]
        self.threads = heaps[1:]
        self.has_fastbins = self.main.find("total[@type='fast']") is not None
        mmap = root.find("total[@type='mmap']")
        self.mmapped = {"count": int(mmap.get("count")), "bytes": int(mmap.get("size"))}

    def heaps(self):
        return [self.main, *self.threads]


def sums_of_heap(heap):
    def number(path, attribute):
        element = heap.find(path)
        return int(element.get(attribute)) if element is not None else 0

    free_count = number("total[@type='rest']", "count") - 1
    return ArenaSums(
        system_bytes=number("system[@type='current']", "size"),
        heap_count=number("aspace[@type='subheaps']", "size") or 1,
        fastbin_count=number("total[@type='fast']", "count"),
        fastbin_bytes=number("total[@type='fast']", "size"),
        binned_count=free_count,
        binned_and_top_bytes=number("total[@type='rest']", "size") - free_count,
    )


def sums_of_arena(arena):
    return ArenaSums(
        system_bytes=arena["system_bytes"],
        heap_count=arena["heap_count"],
        fastbin_count=arena["fastbin"]["count"],
        fastbin_bytes=arena["fastbin"]["bytes"],
        binned_count=arena["binned"]["count"],
        binned_and_top_bytes=arena["binned"]["bytes"] + arena["top_bytes"],
    )


def pair_arenas(info, arenas):
    """(heap of malloc_info, arena of the report) where they say the same; what is left over."""
    main = [arena for arena in arenas if arena["kind"] == "main"]
    assert len(main) == 1
    pairs = [(info.main, main[0])]
    heaps = list(info.threads)
    left = []
    for arena in arenas:
        if arena["kind"] == "main":
            continue
        same = [heap for heap in heaps if sums_of_heap(heap) == sums_of_arena(arena)]
        if same:
            heaps.remove(same[0])
            pairs.append((same[0], arena))
        else:
            left.append(arena)
    return pairs, heaps, left


def fastbin_sizes(heap):
    """Chunk size -> count, from the rows of fastbins (those whose sizes are whole)."""
    rows = heap.findall("sizes/size")
    return Counter(
        {int(row.get("to")): int(row.get("count")) for row in rows if int(row.get("to")) % 16 == 0}
    )


def bin_rows(heap):
    """(smallest, largest chunk size, count) of each small or large bin, and of the unsorted one."""
    rows = [row for row in heap.findall("sizes/size") if int(row.get("to")) % 16 != 0]
    bins = [(int(r.get("from")) - 1, int(r.get("to")) - 1, int(r.get("count"))) for r in rows]
    unsorted = heap.find("sizes/unsorted")
    if unsorted is None:
        return bins, 0
    return bins, int(unsorted.get("count"))
