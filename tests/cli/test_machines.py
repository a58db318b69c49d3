"""What other machines' cores, and cores without their notes, say of themselves."""

import struct

import pytest
from conftest import Core

PT_NOTE = 4

MACHINES = {
    "kernel": ("x86_64", 8),
    "kernel-i386": ("i386", 4),
    "gcore-i386": ("i386", 4),
    "qemu-aarch64": ("aarch64", 8),
}


def without_notes(core, path):
    """As a core that gdb could not write to its end: gdb writes notes last."""
    data = core.path.read_bytes()
    is_wide = data[4] == 2
    table, count = (32, 56) if is_wide else (28, 44)
    entry_bytes, offset_at = (56, 8) if is_wide else (32, 4)
    word = "<Q" if is_wide else "<I"
    (table_off,) = struct.unpack_from(word, data, table)
    for index in range(struct.unpack_from("<H", data, count)[0]):
        entry = table_off + index * entry_bytes
        if struct.unpack_from("<I", data, entry)[0] == PT_NOTE:
            (end,) = struct.unpack_from(word, data, entry + offset_at)
            path.write_bytes(data[:end])
            return Core(path)
    raise AssertionError("no notes")


@pytest.mark.parametrize("kind", MACHINES)
def test_the_machine_is_said(cli, cores, kind):
    target = cli.report("analyze", cores.of("mmapped", kind))["target"]
    assert (target["arch"], target["word_bytes"]) == MACHINES[kind]


@pytest.mark.parametrize("kind", ["gcore", "gcore-i386", "qemu-aarch64"])
def test_classes_are_named(cli, cores, kind):
    report = cli.report("histogram", cores.of("cxx_containers", kind))
    names = [row["name"] for row in report["populations"]]
    assert "shop::Reminder" in names


@pytest.mark.parametrize("kind", ["gcore", "gcore-i386"])
def test_modules_are_found_without_notes(cli, cores, tmp_path, kind):
    whole = cores.of("cxx_containers", kind)
    expected = cli.report("analyze", whole)
    cut = without_notes(whole, tmp_path / "cut")
    program = expected["target"]["executable"]["path"]
    report = cli.report("analyze", cut, "--exe", program, status=1)
    codes = [note["code"] for note in report["coverage"]]
    assert "core-files-listed" in codes
    assert not {"executable-missing", "libc-missing", "exe-unused"} & set(codes)
    assert report["target"]["libc"] == expected["target"]["libc"]
    for key in ("used", "tcache", "binned", "top"):
        assert report["heap"][key] == expected["heap"][key], key
    names = [row["name"] for row in report["populations"]]
    assert "shop::Reminder" in names
