"""The page and its formats: the JSON contract, the width of text, what -o and --width do."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from checks import check_identities
from samples import each_core

SCHEMA = Path(__file__).resolve().parents[2] / "docs/report.schema.json"
VERBS = ["analyze", "histogram"]
PAGE_LINES = 66
NOT_FOR_PEOPLE = re.compile(r"\(null\)|\bnan\b|-nan|%[dslu]|0x0\b|\x1b")


@pytest.fixture(scope="session")
def schema():
    return json.loads(SCHEMA.read_text())


@each_core
def test_sums_of_the_report_agree(cli, cores, subject):
    check_identities(cli.report("analyze", cores.of(*subject)))


@each_core
@pytest.mark.parametrize("verb", VERBS)
def test_json_keeps_the_contract(cli, cores, schema, subject, verb):
    jsonschema.validate(cli.report(verb, cores.of(*subject)), schema)


@each_core
def test_a_sound_core_is_complete_and_without_findings(cli, cores, subject):
    report = cli.report("analyze", cores.of(*subject))
    assert report["target"]["complete"] is True
    assert report["findings"] == []
    assert [c for c in report["coverage"] if c["severity"] == "warning"] == []


@each_core
def test_the_page_fits_where_it_is_pasted(cli, cores, subject):
    core = cores.of(*subject)
    page = cli.run("analyze", *core.arguments, core.path).stdout
    lines = page.splitlines()
    assert max(map(len, lines)) <= 80
    # How the files were found, where the core does not name them, takes a few lines more.
    assert len(lines) <= PAGE_LINES + (6 if core.arguments else 0)
    assert page.endswith("\n")
    assert not NOT_FOR_PEOPLE.search(page)
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("verb", [*VERBS, "list"])
@pytest.mark.parametrize("format", ["text", "markdown", "json"])
def test_output_is_the_same_again_and_in_a_file(cli, cores, tmp_path, verb, format):
    core = cores.of("hash_table").path
    first = cli.run(verb, "--format", format, core).stdout
    assert first
    assert cli.run(verb, "--format", format, core).stdout == first
    out = tmp_path / "out"
    assert cli.run(verb, "--format", format, "-o", out, core).stdout == ""
    assert out.read_text() == first


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_width_is_kept(cli, cores, width):
    core = cores.of("cxx_containers").path
    page = cli.run("analyze", "--width", width, core).stdout
    # A path is never broken: a command must stay one that can be pasted.
    lines = [line for line in page.splitlines() if str(core) not in line]
    assert max(map(len, lines)) <= width


def test_histogram_by_state_and_size_sums_to_the_heap(cli, cores):
    core = cores.of("fragmented")
    for by in ("name", "size", "arena", "state"):
        assert cli.run("histogram", "--by", by, core.path).stdout


def test_classes_are_named_by_their_vtable(cli, cores):
    populations = cli.report("analyze", cores.of("cxx_containers"))["populations"]
    names = [row["name"] for row in populations if row["kind"] == "vtable"]
    assert any("shop::Reminder" in name for name in names), names
