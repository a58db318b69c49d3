"""The damages that the sample `damaged` plants, and what must be found of each."""

OVERFLOWS = [
    "overflow-used-1",
    "overflow-used-8",
    "overflow-used-24",
    "overflow-zero-flags",
    "overflow-zero-size",
    "overflow-free-1",
    "overflow-free-8",
    "overflow-free-24",
    "overflow-top-1",
    "overflow-top-8",
    "overflow-top-24",
    "overflow-thread-8",
    "overflow-thread-flag",
    "overflow-string",
    "underrun",
    "top-zero",
    "top-huge",
    "top-misaligned",
]
LISTS = [
    "double-free-tcache",
    "double-free-fastbin",
    "late-tcache-link",
    "late-tcache-key",
    "late-fastbin-link",
    "late-small-fd",
    "late-small-bk",
    "late-large-fd",
    "late-large-bk",
    "late-large-nextsize",
    "late-large-nextsize-back",
    "late-unsorted-fd",
    "late-unsorted-bk",
    "late-tail",
]
STRUCTS = ["mapped-header", "arena-bin", "heap-info", "smashed-cache"]
# glibc itself finds these, and ends the process.
ABORTS = [
    "abort-invalid-pointer",
    "abort-fasttop",
    "abort-prev",
    "abort-tcache",
    "abort-top",
    "abort-next-size",
]
# Of these nothing is left to see in the heap itself.
MISUSES = {"abort-invalid-pointer", "abort-fasttop", "abort-prev", "abort-tcache"}
DAMAGES = [*OVERFLOWS, *LISTS, *STRUCTS, *ABORTS]

# Damages of one kind, at so many places.
SEVERAL = {"overflow-twice": 2, "overflow-five-times": 5, "overflow-thirty-times": 30}
LISTED = 20  # findings of a kind; the rest is counted

# Not all mappings are found then: the report says that it is incomplete.
INCOMPLETE = {"mapped-header"}

# The last release that has what they damage.
LAST_MINOR = {"double-free-fastbin": 42, "late-fastbin-link": 42}


def can_be_planted(kind, minor):
    return minor <= LAST_MINOR.get(kind, minor)


def expected_findings(directory):
    """(code, address, block to blame) of each, as the sample wrote them down."""
    path = directory / "expected"
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(code, address, culprit if culprit != "0" else None) for code, address, culprit in rows]


def found(report):
    return [
        (finding["code"], finding.get("address"), finding.get("culprit"))
        for finding in report["findings"]
        if finding["code"] != "libc-abort"
    ]


def check_findings(report, directory):
    """Only what was planted is found, where it was, and the right block is blamed."""
    expected = expected_findings(directory)
    assert found(report) == expected, (found(report), expected)
    assert all(finding["severity"] != "info" for finding in report["findings"])


def last_words(directory):
    """What glibc said before it ended the program."""
    return (directory / "stderr").read_text().splitlines()[-1]


def check_abort(report, directory):
    message = last_words(directory)
    assert report["target"].get("abort_message") == message, report["target"]
    said = [finding for finding in report["findings"] if finding["code"] == "libc-abort"]
    assert len(said) == 1 and message in said[0]["text"], (message, said)


def check_rest_of_heap(oracle, chunks, most_unknown=1):
    """All but so many ranges are as the sample knows them."""
    unknown = [
        range(address, address + chunk["bytes"])
        for address, chunk in chunks.items()
        if chunk["state"] == "unknown"
    ]
    assert len(unknown) <= most_unknown, unknown
    wrong = []
    for address, record in oracle.held.items():
        chunk = chunks.get(address, {})
        expected = oracle.expected_chunk(record)
        if record["state"] == "runtime" and chunk.get("state") == "internal":
            expected["state"] = "internal"
        is_same = all(chunk.get(key) == value for key, value in expected.items())
        if not is_same and not any(address in span for span in unknown):
            wrong.append((record, chunk))
    assert not wrong, wrong[:5]


def check_sums(heap):
    """All bytes of the arenas are accounted for."""
    states = ("used", "tcache", "fastbin", "binned", "top")
    total = sum(heap[state]["bytes"] for state in states) + heap["overhead_bytes"]
    total += heap.get("unknown", {"bytes": 0})["bytes"]
    assert total == heap["system_bytes"], (total, heap["system_bytes"])
