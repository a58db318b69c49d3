"""
Damage planted in live programs, once or several times: it is found where it is, the right block is
blamed, nothing else is said to be damaged, and the rest of the heap is still as it was.
"""

import re
from pathlib import Path

import pytest
from conftest import Core
from damage import (
    ABORTS,
    DAMAGES,
    INCOMPLETE,
    LISTED,
    LISTS,
    MISUSES,
    OVERFLOWS,
    SEVERAL,
    STRUCTS,
    check_abort,
    check_findings,
    check_rest_of_heap,
    check_sums,
    expected_findings,
    found,
    last_words,
)
from programs import Program, gcore, kernel_core_of_crash, unlimited_cores
from samples import each_core


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


@pytest.mark.parametrize("kind", OVERFLOWS + LISTS + STRUCTS)
def test_one_damage_is_one_finding(cli, cores, kind):
    core = take(cores, kind)
    report = cli.report("analyze", core, status=1 if kind in INCOMPLETE else 0)
    check_findings(report, core.oracle_directory)


@pytest.mark.parametrize("kind", SEVERAL)
def test_each_of_several_is_found(cli, cores, kind):
    core = take(cores, kind)
    expected = expected_findings(core.oracle_directory)
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
    check_rest_of_heap(core.oracle, cli.chunks(core), SEVERAL.get(kind, 1))


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
    check_sums(cli.report("analyze", take(cores, kind))["heap"])


@pytest.mark.parametrize("kind", ABORTS)
def test_what_glibc_said_is_shown(cli, cores, kind):
    core = take(cores, kind)
    report = cli.report("check", core)
    assert report["target"]["signal"] == "SIGABRT"
    verdict = cli.report("analyze", core)["verdict"]["kind"]
    assert verdict in ("damaged", "misused") and (verdict == "misused") == (kind in MISUSES)
    check_abort(report, core.oracle_directory)
    check_findings(report, core.oracle_directory)
    page = cli.run("analyze", core.path).stdout
    assert last_words(core.oracle_directory) in page
    assert len(page.splitlines()) <= 60


@pytest.mark.parametrize("kind", ABORTS)
def test_what_glibc_stumbled_over_is_found_without_files(cli, cores, kind, tmp_path):
    core = take(cores, kind)
    report = cli.report("check", core, "--sysroot", tmp_path, status=None)
    check_findings(report, core.oracle_directory)


def test_check_names_the_block_to_blame(cli, cores):
    core = take(cores, "overflow-used-8")
    (_, address, culprit) = expected_findings(core.oracle_directory)[0]
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
    assert sorted(names) == sorted([*DAMAGES, *SEVERAL])
