"""
The release matrix: the samples run under every release of glibc that Debian still serves, and what
corewalk finds in their cores is held against what they know of themselves.

    tests/matrix/matrix.py --cli COMMAND [--folder FOLDER] [--only SYSTEM …] [--samples NAME …]
                           [--seed N] [--keep FOLDER] [--page FILE]

Systems are made in FOLDER when they are not there (chroots.sh); it needs root. Each sample is built
in its system and runs there, with numbers drawn from the seed. Of each run two cores are taken: by
the system's gdb, and by the kernel. Each is read twice: with the system's files, and with none.
The sample `damaged` plants its damages one by one.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "cli"))

import checks
import damage
from facts import MallocInfo, Oracle
from programs import Program, environment, kernel_core, kernel_core_of_crash, unlimited_cores
from samples import SAMPLES

CLI_SECONDS = 600
GDB_SECONDS = 600

# The systems, and the C library that each is there for.
SYSTEMS = {
    "bullseye": "2.31",
    "bookworm": "2.36",
    "trixie": "2.41",
    "forky": "2.43",
    "sid": "2.43",
    "experimental": "2.44",
    "bullseye-i386": "2.31",
    "trixie-i386": "2.41",
    "sid-i386": "2.43",
}

# What changes how malloc works: a name, the environment, the samples that it is tried with, and the
# first release that knows it.
VARIANTS = [
    ("tcache_count=0", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0", ("fragmented", "threads"), 26),
    ("tcache_count=200", "GLIBC_TUNABLES=glibc.malloc.tcache_count=200", ("fragmented",), 26),
    ("tcache_max=64", "GLIBC_TUNABLES=glibc.malloc.tcache_max=64", ("fragmented",), 26),
    (
        "tcache_max=4M",
        "GLIBC_TUNABLES=glibc.malloc.tcache_max=4000000",
        ("fragmented", "mmapped", "threads"),
        42,
    ),
    ("mxfast=0", "GLIBC_TUNABLES=glibc.malloc.mxfast=0", ("fragmented",), 31),
    ("mxfast=160", "GLIBC_TUNABLES=glibc.malloc.mxfast=160", ("fragmented",), 31),
    ("arena_max=1", "GLIBC_TUNABLES=glibc.malloc.arena_max=1", ("threads",), 26),
    ("arena_max=3", "GLIBC_TUNABLES=glibc.malloc.arena_max=3", ("threads",), 26),
    ("hugetlb=1", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1", ("fragmented", "mmapped"), 35),
    ("perturb", "MALLOC_PERTURB_=165", ("fragmented", "mmapped"), 17),
]


@dataclass
class System:
    name: str
    root: Path
    glibc: str = ""
    built: Path = None  # folder of the programs, as the host sees it

    @property
    def arch(self):
        return "i386" if self.name.endswith("-i386") else "amd64"

    @property
    def minor(self):
        return int(self.glibc.split(".")[1])

    def inside(self, path):
        """How the system itself sees a path of the host."""
        return path if self.root == Path("/") else Path("/") / path.relative_to(self.root)

    def argv(self, directory, *words):
        """Runs a command there; the namespace ends with it, and its mounts do too."""
        if self.root == Path("/"):
            return [str(word) for word in words]
        enter = (
            'root=$1 directory=$2; shift 2; mount --rbind /proc "$root/proc" && '
            'mount --rbind /dev "$root/dev" && exec chroot "$root" '
            """sh -c 'cd "$0" && exec "$@"' "$directory" "$@" """
        )
        inner = [self.root, self.inside(directory), *words]
        return ["unshare", "--mount", "sh", "-ec", enter, "sh", *map(str, inner)]

    def run(self, directory, *words):
        result = subprocess.run(
            self.argv(directory, *words),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GDB_SECONDS,
            env=environment(PATH="/usr/sbin:/usr/bin:/sbin:/bin"),
        )
        assert result.returncode == 0, f"{words[0]}: {result.stdout[-500:]}{result.stderr[-2000:]}"
        return result.stdout

    def has(self, tool):
        return (self.root / "usr/bin" / tool).exists()


@dataclass
class Files:
    """What corewalk may open beside the core."""

    sysroot: Path
    are_there: bool


@dataclass
class Run:
    """A sample in a system, under one of the variants, or with one of the damages."""

    sample: str
    variant: str = ""
    environment: dict = field(default_factory=dict)
    damage: str = ""

    @property
    def said(self):
        return self.damage or self.variant or "-"

    @property
    def is_abort(self):
        return self.damage in damage.ABORTS


@dataclass
class Row:
    system: System
    run: Run
    core: str  # gcore or kernel
    files: str  # "all" or "none"
    chunk_count: int = 0
    layout: str = ""
    verdict: str = ""

    @property
    def is_right(self):
        return self.verdict == "exact"


# ---- systems ------------------------------------------------------------------------------------


def is_this_machine(name):
    try:
        release = Path("/etc/os-release").read_text()
    except OSError:
        return False
    return f"VERSION_CODENAME={name}\n" in release


def make_system(folder, name):
    if is_this_machine(name):
        system = System(name, Path("/"))
    else:
        subprocess.run([HERE / "chroots.sh", folder, name], check=True, stdout=sys.stderr)
        system = System(name, folder / name)
    version = system.run(system.root, "getconf", "GNU_LIBC_VERSION")
    system.glibc = version.split()[1]
    expected = SYSTEMS[name]
    assert system.glibc == expected, f"{name} has glibc {system.glibc}, not {expected}"
    return system


def sources_of(sample):
    if (ROOT / "samples" / f"{sample}.c").exists():
        return "gcc", [f"{sample}.c", "sample.c", "oracle.c"]
    return "g++", [f"{sample}.cpp", "oracle_new.cpp", "sample.c", "oracle.c"]


def build_samples(system, directory):
    """As samples/CMakeLists.txt does, with the system's compiler."""
    sources = directory / "samples"
    shutil.copytree(ROOT / "samples", sources)
    text = (sources / "CMakeLists.txt").read_text()
    wrapped = text[text.index("set(wrapped ") + len("set(wrapped ") :].split(")")[0].split()
    flags = ["-D_GNU_SOURCE", "-O1", "-g", "-fno-builtin", "-pthread"]
    flags += [f"-Wl,--wrap={name}" for name in wrapped]
    for sample in (*SAMPLES, "damaged"):
        compiler, files = sources_of(sample)
        objects = []
        for name in files:
            objects.append(f"{sample}-{name}.o")
            standard = "-std=c++17" if name.endswith("pp") else "-std=gnu17"
            c_or_cxx = "g++" if name.endswith("pp") else "gcc"
            system.run(sources, c_or_cxx, standard, *flags[:5], "-c", name, "-o", objects[-1])
        system.run(sources, compiler, *flags, *objects, "-o", sample)
    system.built = sources


# ---- cores --------------------------------------------------------------------------------------


def runs_of(system):
    runs = [Run(sample) for sample in SAMPLES]
    for name, setting, samples, first_minor in VARIANTS:
        if system.minor >= first_minor:
            variable, _, value = setting.partition("=")
            runs += [Run(sample, name, {variable: value}) for sample in samples]
    planted = [kind for kind in damage.DAMAGES if damage.can_be_planted(kind, system.minor)]
    runs += [Run("damaged", damage=kind) for kind in planted]
    return runs


DEFAULT_COUNTS = {"fragmented": 4000, "threads": 1000, "mmapped": 40, "list": 20000}


def arguments_of(run, numbers):
    """A seed, and in half of the runs a size other than the sample's own."""
    arguments = ["--seed", str(numbers.randrange(1, 1 << 31))]
    if run.sample in DEFAULT_COUNTS and numbers.random() < 0.5:
        count = int(DEFAULT_COUNTS[run.sample] * numbers.uniform(0.3, 1.7))
        arguments += ["--count", str(count)]
    if run.damage:
        arguments += ["--text", run.damage]
    return arguments


def take_cores(system, run, directory, numbers):
    """(kind, path) of each core; the sample's own files are in the directory."""
    program = system.inside(system.built / run.sample)
    arguments = ["--oracle", system.inside(directory), *arguments_of(run, numbers)]
    argv = system.argv(directory, program, *arguments)
    cores = []
    before = unlimited_cores if run.is_abort else None
    with Program(argv, directory, before=before, **run.environment) as process:
        if run.is_abort:
            return [("kernel", kernel_core_of_crash(process, directory / "core-of-kernel"))]
        process.wait_for_line("ready")
        if system.has("gdb"):
            path = directory / "core-of-gdb"
            command = ["-ex", f"gcore {system.inside(path)}"]
            system.run(directory, "gdb", "-nx", "-batch", "-p", process.pid, *command)
            assert path.exists(), "gdb wrote no core"
            cores.append(("gcore", path))
        cores.append(("kernel", kernel_core(process, directory / "core-of-kernel")))
    return cores


# ---- checks -------------------------------------------------------------------------------------


def corewalk(command, files, *arguments, statuses=(0,)):
    """What it prints. Where files are missing it may say so by status 1."""
    arguments = [*arguments, "--sysroot", files.sysroot]
    result = subprocess.run(
        [str(word) for word in (command, *arguments)],
        capture_output=True,
        text=True,
        timeout=CLI_SECONDS,
    )
    if not files.are_there:
        statuses = (*statuses, 1)
    assert result.returncode in statuses, f"status {result.returncode}: {result.stderr[-300:]}"
    return result.stdout


def read_list(text):
    chunks = {}
    for line in text.splitlines():
        chunk = json.loads(line)
        chunks[int(chunk["address"], 16)] = chunk
    return chunks


def check_core(row, command, path, oracle, info, files):
    report = json.loads(corewalk(command, files, "analyze", "--format", "json", path))
    chunks = read_list(corewalk(command, files, "list", "--format", "json", path))
    row.chunk_count = len(chunks)
    row.layout = report["target"]["libc"].get("layout", "none")
    first, _, last = row.layout.replace("2.", "").partition("-")
    assert int(first) <= row.system.minor <= int(last or first), f"layout of {row.layout}"
    checks.check_allocations(oracle, chunks)
    checks.check_nothing_else_held(oracle, chunks)
    checks.check_freed(oracle, chunks)
    checks.check_all_known(chunks)
    checks.check_no_overlap(oracle, chunks)
    checks.check_identities(report)
    checks.check_mallinfo(oracle, report["heap"])
    checks.check_malloc_info(info, report["heap"], chunks)
    checks.check_list(report["heap"], chunks)
    assert not report["findings"], report["findings"][:3]
    corewalk(command, files, "check", "--fail-if", "findings", path)


def check_damaged_core(row, command, path, directory, oracle, files):
    kind = row.run.damage
    statuses = (1,) if kind in damage.INCOMPLETE else (0,)
    report = json.loads(
        corewalk(command, files, "analyze", "--format", "json", path, statuses=statuses)
    )
    row.layout = report["target"]["libc"].get("layout", "none")
    chunks = read_list(
        corewalk(command, files, "list", "--format", "json", path, statuses=statuses)
    )
    row.chunk_count = len(chunks)
    damage.check_findings(report, directory)
    if row.run.is_abort and files.are_there:
        damage.check_abort(report, directory)
    if kind in damage.OVERFLOWS + damage.LISTS:
        damage.check_rest_of_heap(oracle, chunks)
        damage.check_sums(report["heap"])
    if report["findings"]:
        corewalk(command, files, "check", "--fail-if", "findings", path, statuses=(3,))


def told(error):
    """What failed, and in which check: a bare assert says nothing itself."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.name}: {error or last.line}"


def check_run(system, run, command, directory, numbers):
    rows = []
    nothing = directory / "nothing"
    nothing.mkdir()
    cores = take_cores(system, run, directory, numbers)
    oracle = Oracle.read(directory / "oracle.jsonl")
    info = MallocInfo((directory / "malloc_info.xml").read_text(errors="replace"))
    for kind, path in cores:
        for files in (Files(system.root, True), Files(nothing, False)):
            row = Row(system, run, kind, "all" if files.are_there else "none")
            try:
                if run.damage:
                    check_damaged_core(row, command, path, directory, oracle, files)
                else:
                    check_core(row, command, path, oracle, info, files)
                row.verdict = "exact"
            except (AssertionError, subprocess.TimeoutExpired, KeyError, ValueError) as error:
                row.verdict = f"WRONG: {told(error)}"
            rows.append(row)
            print(line_of(row), flush=True)
    return rows


def check_system(system, command, numbers, samples, keep):
    rows = []
    scratch = system.root / "tmp"
    with tempfile.TemporaryDirectory(prefix="corewalk-matrix-", dir=scratch) as name:
        directory = Path(name)
        build_samples(system, directory)
        for index, run in enumerate(runs_of(system)):
            if samples and run.sample not in samples:
                continue
            folder = directory / f"run-{index}"
            folder.mkdir()
            try:
                rows += check_run(system, run, command, folder, numbers)
            except AssertionError as error:
                rows.append(Row(system, run, "none", "", verdict=f"NOT TAKEN: {told(error)}"))
                print(line_of(rows[-1]), flush=True)
            if keep and any(row.run is run and not row.is_right for row in rows):
                shutil.copytree(folder, keep / f"{system.name}-{index}")
            shutil.rmtree(folder)
    return rows


# ---- the table ----------------------------------------------------------------------------------

COLUMNS = "{:<14} {:<6} {:<6} {:<15} {:<24} {:<7} {:<5} {:>7}  {:<10} {}"
HEADINGS = ("system", "glibc", "arch", "sample", "with", "core", "files", "chunks", "layout", "is")


def line_of(row):
    system = row.system
    words = (system.name, system.glibc, system.arch, row.run.sample, row.run.said)
    words += (row.core, row.files, row.chunk_count, row.layout or "-", row.verdict)
    return COLUMNS.format(*words)[:1000].replace("\n", " ")


def right_of(rows):
    return sum(row.is_right for row in rows)


PAGE_COLUMNS = "{:<14} {:<6} {:<6} {:<15} {:<17} {:>7}  {:<10} {}"
PAGE_HEADINGS = ("system", "glibc", "arch", "sample", "with", "chunks", "layout", "exact")


def page_lines(rows):
    """A line for each run of a sample: how many of the readings of its cores are exact."""
    runs = {}
    for row in rows:
        runs.setdefault((row.system.name, row.run.sample, row.run.variant), []).append(row)
    for of_run in runs.values():
        system, run = of_run[0].system, of_run[0].run
        chunk_count = max(row.chunk_count for row in of_run)
        layouts = sorted({row.layout or "-" for row in of_run})
        words = (system.name, system.glibc, system.arch, run.sample, run.variant or "-")
        right = f"{right_of(of_run)} of {len(of_run)}"
        yield PAGE_COLUMNS.format(*words, chunk_count, " ".join(layouts), right)


def release_of(row):
    return row.system.glibc if row.system.arch == "amd64" else f"{row.system.glibc} i386"


def damage_lines(rows):
    """A line for each damage: how many readings of its cores are right in each release."""
    releases = sorted({release_of(row) for row in rows}, key=lambda name: (len(name), name))
    columns = "{:<25}" + "{:>10}" * len(releases)
    yield columns.format("damage", *releases)
    for kind in damage.DAMAGES:
        cells = []
        for release in releases:
            mine = [r for r in rows if r.run.damage == kind and release_of(r) == release]
            cells.append(f"{right_of(mine)}/{len(mine)}" if mine else "-")
        yield columns.format(kind, *cells)


def page_of(all_rows, seed):
    """The page for docs/: what was proven, run by run."""
    rows = [row for row in all_rows if not row.run.damage]
    damaged = [row for row in all_rows if row.run.damage]
    lines = [
        "# Releases that corewalk is exact on",
        "",
        "The samples of `samples/` were run under each of these releases, as the C library of a",
        "Debian suite, with numbers drawn from a seed and with what changes how malloc works. Two",
        "cores were taken of each run, by the suite's gdb and by the kernel, and each was read twice:",
        "with the suite's files, and with none, as a stranger's. A reading is exact when every chunk",
        "is what the sample knows it to be, every sum is what `mallinfo` or `mallinfo2` and",
        "`malloc_info` said at the same moment, and `check --fail-if findings` finds nothing.",
        "`layout` is what the probe made of the memory alone. The page is made, as root, by",
        "",
        f"    tests/run --matrix --seed {seed} --page docs/releases.md",
        "",
        f"**{right_of(rows)} of {len(rows)} readings are exact.** (From 2.43 on glibc's own sum of mapped",
        "bytes drifts by two words with each `mremap`; it is compared without them.)",
        "",
        "```",
        PAGE_COLUMNS.format(*PAGE_HEADINGS),
        *page_lines(rows),
        "```",
        "",
        "## Damages that are found on them",
        "",
        "The sample `damaged` plants one damage at a time, and writes down what must be found: what",
        "it is, where, and which block is to blame. A reading is right when that is found and nothing",
        "else, and the rest of the heap is still as the sample knows it. Those of `abort-…` are found",
        "by glibc, which ends the process: the core is the kernel's, and glibc's message is shown.",
        "From 2.43 on there are no fastbins to be damaged.",
        "",
        f"**{right_of(damaged)} of {len(damaged)} readings are right.**",
        "",
        "```",
        *damage_lines(damaged),
        "```",
        "",
        "Releases in between are served by no suite any more: `tests/unit/heap/test_glibc_releases.c`",
        "builds a full heap of each layout, 2.17 to 2.44 in both word sizes, and checks each chunk.",
    ]
    return "\n".join(lines) + "\n"


def default_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("COREWALK_SYSTEMS") or Path(cache) / "corewalk" / "systems")


def options():
    parser = argparse.ArgumentParser(description="The release matrix.")
    parser.add_argument("--cli", required=True, type=Path, help="the command line under test")
    parser.add_argument("--folder", default=default_folder(), type=Path, help="of the systems")
    parser.add_argument("--only", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--samples", nargs="+", choices=[*SAMPLES, "damaged"], help="only these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the cores that are read wrong")
    parser.add_argument("--page", type=Path, help="where to write the result")
    return parser.parse_args()


def main():
    given = options()
    rows = []
    print(COLUMNS.format(*HEADINGS).rstrip(), flush=True)
    for name in given.only:
        system = make_system(given.folder.resolve(), name)
        numbers = random.Random(f"{given.seed} {name}")
        rows += check_system(system, given.cli.resolve(), numbers, given.samples, given.keep)
    if given.page:
        given.page.write_text(page_of(rows, given.seed))
    right = right_of(rows)
    print(f"matrix: {right} passed, {len(rows) - right} failed")
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
