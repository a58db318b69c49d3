"""
Damage planted in live programs, once or several times: it is found where it is, the right block is
blamed, nothing else is said to be damaged, and the rest of the heap is still as it was.
"""

import re
from pathlib import Path

import pytest
from conftest import Core
from programs import Program, gcore, kernel_core_of_crash, unlimited_cores
from samples import each_core

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
SEVERAL = {"overflow-twice": 2, "overflow-five-times": 5, "overflow-thirty-times": 30}
LISTED = 20  # findings of a kind; the rest is counted
ABORTS = {
    "abort-invalid-pointer": "free(): invalid pointer",
    "abort-fasttop": "double free or corruption (fasttop)",
    "abort-prev": "double free or corruption (!prev)",
    "abort-tcache": "free(): double free detected in tcache 2",
    "abort-top": "malloc(): corrupted top size",
    "abort-next-size": "double free or corruption (out)",
}

# Of these nothing is left to see in the heap itself.
MISUSES = {"abort-invalid-pointer", "abort-fasttop", "abort-prev", "abort-tcache"}

# Not all mappings are found then: the report says that it is incomplete.
INCOMPLETE = {"mapped-header"}


def take(cores, kind):
    key = ("damaged", kind)
    if key not in cores.made:
        folder = cores.folder(f"damaged-{kind}")
        argv = [cores.samples / "damaged", "--oracle", folder, "--text", kind]
        path = folder / "the-core"
        before = unlimited_cores if kind in ABORTS else None
        with Program(argv, folder, before=before) as program:
            if kind in ABORTS:
                kernel_core_of_crash(program, path)
            else:
                program.wait_for_line("ready")
                gcore(program.pid, path)
        cores.made[key] = Core(path, folder)
    return cores.made[key]


def expected_findings(core):
    path = core.oracle_directory / "expected"
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(code, address, culprit if culprit != "0" else None) for code, address, culprit in rows]


def found(report):
    return [
        (finding["code"], finding.get("address"), finding.get("culprit"))
        for finding in report["findings"]
        if finding["code"] != "libc-abort"
    ]


@pytest.mark.parametrize("kind", OVERFLOWS + LISTS + STRUCTS)
def test_one_damage_is_one_finding(cli, cores, kind):
    core = take(cores, kind)
    report = cli.report("analyze", core, status=1 if kind in INCOMPLETE else 0)
    assert found(report) == expected_findings(core)
    assert all(finding["severity"] != "info" for finding in report["findings"])


@pytest.mark.parametrize("kind", SEVERAL)
def test_each_of_several_is_found(cli, cores, kind):
    core = take(cores, kind)
    expected = expected_findings(core)
    assert len(expected) == SEVERAL[kind]
    report = cli.report("analyze", core)
    assert found(report)[:LISTED] == expected[:LISTED]
    rest = report["findings"][LISTED:]
    assert [finding["text"].split(":")[0] for finding in rest] == (
        [f"and {len(expected) - LISTED} more of this kind"] if len(expected) > LISTED else []
    )
    unknown = [chunk for chunk in cli.chunks(core).values() if chunk["state"] == "unknown"]
    assert len(unknown) == len(expected)
    assert sum(chunk["bytes"] for chunk in unknown) <= 0x800 * len(expected)


@pytest.mark.parametrize("kind", OVERFLOWS + LISTS + list(SEVERAL))
def test_the_rest_of_the_heap_is_as_it_was(cli, cores, kind):
    core = take(cores, kind)
    chunks = cli.chunks(core)
    unknown = [
        range(address, address + chunk["bytes"])
        for address, chunk in chunks.items()
        if chunk["state"] == "unknown"
    ]
    assert len(unknown) <= SEVERAL.get(kind, 1)
    wrong = []
    for address, record in core.oracle.held.items():
        chunk = chunks.get(address, {})
        expected = core.oracle.expected_chunk(record)
        if record["state"] == "runtime" and chunk.get("state") == "internal":
            expected["state"] = "internal"
        is_same = all(chunk.get(key) == value for key, value in expected.items())
        if not is_same and not any(address in span for span in unknown):
            wrong.append((record, chunk))
    assert not wrong, wrong[:5]


def test_cached_blocks_behind_a_broken_link_are_said_to_be_doubtful(cli, cores):
    # Of four cached blocks, the last freed first in its list, the second one's link is broken.
    core = take(cores, "late-tcache-link")
    notes = [
        note
        for note in cli.report("analyze", core)["coverage"]
        if note["code"] == "probably-cached"
    ]
    assert len(notes) == 1
    assert "2 chunks of 192 bytes" in notes[0]["text"]


@pytest.mark.parametrize("kind", OVERFLOWS + LISTS + list(SEVERAL))
def test_sums_still_hold(cli, cores, kind):
    heap = cli.report("analyze", take(cores, kind))["heap"]
    states = ("used", "tcache", "fastbin", "binned", "top")
    total = sum(heap[state]["bytes"] for state in states) + heap["overhead_bytes"]
    total += heap.get("unknown", {"bytes": 0})["bytes"]
    assert total == heap["system_bytes"]


@pytest.mark.parametrize("kind", ABORTS)
def test_what_glibc_said_is_shown(cli, cores, kind):
    core = take(cores, kind)
    report = cli.report("check", core)
    assert report["target"]["abort_message"] == ABORTS[kind]
    assert report["target"]["signal"] == "SIGABRT"
    verdict = cli.report("analyze", core)["verdict"]["kind"]
    assert verdict in ("damaged", "misused") and (verdict == "misused") == (kind in MISUSES)
    said = [finding for finding in report["findings"] if finding["code"] == "libc-abort"]
    assert len(said) == 1 and ABORTS[kind] in said[0]["text"]
    assert found(report) == expected_findings(core)
    page = cli.run("analyze", core.path).stdout
    assert ABORTS[kind] in page
    assert len(page.splitlines()) <= 60


def test_check_names_the_block_to_blame(cli, cores):
    core = take(cores, "overflow-used-8")
    (_, address, culprit) = expected_findings(core)[0]
    page = cli.run("check", core.path).stdout
    assert re.search(r"\n  At least 1 damaged place, in [0-9,]+ chunks\.\n", page)
    assert f"used chunk {culprit}" in page
    assert re.search(r"glibc says +\"", page)
    assert max(map(len, page.splitlines())) <= 80 or str(core.path) in page
    finding = cli.report("check", core)["findings"][0]
    assert finding["address"] == address
    assert finding["culprit"] == culprit
    assert finding["culprit_bytes"] == 0x50
    assert "AAAAAAAA" not in page and "4141414141414141" not in page


@pytest.mark.parametrize("verb", ["check", "analyze"])
def test_fail_if_findings(cli, cores, verb):
    damaged = take(cores, "late-tcache-key")
    cli.run(verb, "--fail-if", "findings", damaged.path, status=3)
    cli.run(verb, damaged.path, status=0)
    cli.run(verb, "--fail-if", "findings", cores.of("fragmented").path, status=0)
    cli.run(verb, "--fail-if", "weather", damaged.path, status=64)


@each_core
def test_a_sound_heap_has_no_finding(cli, cores, subject):
    core = cores.of(*subject)
    assert cli.report("check", core)["findings"] == []
    page = cli.run("check", *core.arguments, core.path).stdout
    assert "No damage found in" in page


def test_every_damage_of_the_sample_is_tested(cores):
    source = Path(__file__).resolve().parents[2] / "samples/damaged.c"
    names = re.findall(r'\{"([a-z0-9-]+)", \w+\}', source.read_text())
    assert sorted(names) == sorted([*OVERFLOWS, *LISTS, *STRUCTS, *SEVERAL, *ABORTS])
