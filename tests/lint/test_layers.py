"""Executes the layer table of docs/ARCHITECTURE.md over every #include of corewalk/."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "corewalk"

# Outside headers that the table names by library.
LIBRARY_HEADERS = {
    "xxhash": r"xxhash\.h",
    "elf.h": r"elf\.h",
    "elfutils": r"(elfutils/.*|dwarf\.h|libelf\.h|gelf\.h)",
    "libiberty": r"libiberty/.*",
    "jansson": r"jansson\.h",
    "libarchive": r"archive(_entry)?\.h",
    "zlib": r"zlib\.h",
    "getopt": r"getopt\.h",
}


def read_table():
    rows = {}
    for line in (ROOT / "docs/ARCHITECTURE.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"`[a-z]+`", cells[0]):
            rows[cells[0].strip("`")] = {
                "layers": set(re.findall(r"`([a-z]+)`", cells[1])),
                "outside": {item.strip().strip("`") for item in cells[2].split(",") if item.strip()},
                "planned": cells[3].startswith("planned"),
            }
    return rows


TABLE = read_table()
FILES = sorted(p for p in SOURCE.rglob("*") if p.suffix in (".c", ".h", ".def"))


def layer_of(path):
    return path.relative_to(SOURCE).parts[0]


def includes_of(path):
    return re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', path.read_text(), re.M)


def test_every_folder_has_a_row_and_every_row_a_folder():
    folders = {p.name for p in SOURCE.iterdir() if p.is_dir()} - {"include"}
    built = {name for name, row in TABLE.items() if not row["planned"]}
    assert folders == built


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_includes_obey_the_table(path):
    layer = layer_of(path)
    if layer == "include":
        assert all(kind == "<" for kind, _ in includes_of(path))
        return
    row = TABLE[layer]
    libraries = "|".join(LIBRARY_HEADERS[name] for name in row["outside"]) or "(?!)"
    known = "|".join(LIBRARY_HEADERS.values())
    for kind, header in includes_of(path):
        if kind == '"':
            other = header.split("/")[0]
            assert (SOURCE / header).exists(), f"{header} is not a path from corewalk/"
            assert other == layer or other in row["layers"], f"{layer} may not include {header}"
        elif header.startswith("corewalk/"):
            assert "include" in row["layers"] or layer == "include", f"{layer}: {header}"
        elif re.fullmatch(known, header):
            assert re.fullmatch(libraries, header), f"{layer} may not use <{header}>"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_plugins_never_include_each_other(path):
    for _, header in includes_of(path):
        assert not re.search(r"/(alloc|classify|analysis|render|verb)_[a-z0-9_]+\.h$", header)
