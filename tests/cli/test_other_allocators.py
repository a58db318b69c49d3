"""
Programs whose memory is not glibc's: the first line says whose it is, and the ledger gives it what
the runtime itself counts. A program that is not installed is skipped.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import pytest
from conftest import run_report
from programs import Program, environment, gcore

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/report.schema.json").read_text()))
MIB = 1 << 20

PHP = """
$kept = [];
for ($i = 0; $i < 100000; $i++) { $kept[] = "item $i " . str_repeat("x", $i % 100); }
$large = str_repeat("y", 30 << 20);
echo memory_get_usage(true), "\\nready\\n";
fgets(STDIN);
"""

NODE = """
const kept = [];
for (let i = 0; i < 200000; i++) kept.push({ number: i, text: "item " + i });
console.log(JSON.stringify(process.memoryUsage()));
console.log("ready");
process.stdin.on("data", () => kept.length);
"""

GO = """
package main

import ("bufio"; "fmt"; "os"; "runtime")

type node struct { next *node; name string; data [5]int }

func main() {
	var last *node
	for i := 0; i < 200000; i++ {
		last = &node{last, fmt.Sprintf("item %d", i), [5]int{i}}
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf("%d\\nready\\n", stats.HeapSys+stats.StackSys)
	bufio.NewReader(os.Stdin).ReadString('\\n')
	runtime.KeepAlive(last)
}
"""

JAVA = """
import java.util.ArrayList;

public class Holder {
    static final ArrayList<String> kept = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 100000; i++) kept.add("item number " + i);
        System.out.println("ready");
        System.in.read();
    }
}
"""

# An ordinary program, to be run with malloc replaced, or linked with another C library.
PLAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *blocks[50000];

int main(void)
{
    for (int i = 0; i < 50000; i++) {
        blocks[i] = malloc(16 + i % 500);
        memset(blocks[i], 'a', 16 + i % 500);
    }
    memset(blocks[7] = malloc(20 << 20), 7, 20 << 20);
    puts("ready");
    fflush(stdout);
    return getchar();
}
"""


@dataclass
class Taken:
    core: Path
    said: str = ""
    facts: dict = field(default_factory=dict)


def need(*names):
    for name in names:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")


def compiled(folder, compiler, *flags):
    source = folder / "plain.c"
    source.write_text(PLAIN)
    binary = folder / "plain"
    subprocess.run([compiler, "-O1", "-o", binary, source, *flags], check=True)
    return binary


def take(argv, folder, **extra_environment):
    """A core of the program once it has said "ready", and what it said before."""
    said = folder / "said"
    with Program(
        ["sh", "-c", 'exec "$@" >said', "sh", *argv], folder, **extra_environment
    ) as program:
        program.wait_until(lambda: said.exists() and "ready\n" in said.read_text(), "ready")
        core = gcore(program.pid, folder / "the-core")
        return Taken(core, said.read_text())


def take_php(folder):
    need("php")
    script = folder / "script.php"
    script.write_text("<?php" + PHP)
    taken = take(["php", "-n", script], folder)
    taken.facts["zend-heap"] = int(taken.said.split()[0])
    return taken


def take_node(folder):
    need("node")
    script = folder / "script.js"
    script.write_text(NODE)
    taken = take(["node", "--max-old-space-size=64", script], folder, MALLOC_ARENA_MAX="2")
    taken.facts["v8-heap"] = json.loads(taken.said.splitlines()[0])["heapTotal"]
    return taken


def take_go(folder, *flags):
    need("go")
    source = folder / "holder.go"
    source.write_text(GO)
    settings = environment(
        GOFLAGS="-mod=mod", GOPROXY="off", GOCACHE=str(folder / "cache"), HOME=str(folder)
    )
    subprocess.run(["go", "build", *flags, source], cwd=folder, env=settings, check=True)
    taken = take([folder / "holder"], folder)
    taken.facts["go-heap"] = int(taken.said.split()[0])
    return taken


def take_java(folder):
    need("java", "javac")
    (folder / "Holder.java").write_text(JAVA)
    subprocess.run(["javac", "Holder.java"], cwd=folder, check=True)
    options = ["-Xmx64m", "-Xms64m", "-XX:CompressedClassSpaceSize=16m", "-Xshare:off"]
    options += ["-XX:ReservedCodeCacheSize=16m", "-XX:+UseSerialGC"]
    # Each arena reserves 64 MiB, which gdb writes as zeros, and there are as many as compilers.
    command = ["java", *options, "-cp", folder, "Holder"]
    taken = take(command, folder, MALLOC_ARENA_MAX="2")
    taken.facts["java-heap"] = 64 * MIB
    return taken


def take_redis(folder):
    need("redis-server", "redis-cli")
    socket = folder / "socket"
    ask = ["redis-cli", "-s", socket]
    options = ["--port", "0", "--unixsocket", socket, "--save", "", "--enable-debug-command", "yes"]
    with Program(["redis-server", *options], folder) as program:
        program.wait_until(socket.exists, "its socket")
        subprocess.run([*ask, "debug", "populate", "200000", "key", "100"], check=True)
        said = subprocess.run(
            [*ask, "memory", "malloc-stats"], check=True, capture_output=True, text=True
        ).stdout
        taken = Taken(gcore(program.pid, folder / "the-core"), said)
    if "jemalloc" not in said:
        pytest.skip("this redis-server was built without jemalloc")
    taken.facts = {name: int(re.search(rf"^Alloc.*\b{name}: (\d+)", said, re.M)[1])
                   for name in ("active", "metadata", "mapped", "retained")}
    return taken


def take_preloaded(library):
    def take_it(folder):
        said = subprocess.run(
            ["true"], env=environment(LD_PRELOAD=library), capture_output=True, text=True
        ).stderr
        if said:
            pytest.skip(f"{library} is not installed")
        return take([compiled(folder, "gcc")], folder, LD_PRELOAD=library)

    return take_it


def take_musl(*flags):
    def take_it(folder):
        need("musl-gcc")
        return take([compiled(folder, "musl-gcc", *flags)], folder)

    return take_it


def take_valgrind(folder):
    need("valgrind")
    return take(["valgrind", "-q", compiled(folder, "gcc")], folder)


def take_unknown(folder):
    """Nothing but mappings: no C library, no allocator that has a name."""
    source = folder / "bare.c"
    source.write_text(
        """
        static long call(long n, long a, long b, long c, long d, long e)
        {
            register long r10 __asm__("r10") = d;
            register long r8 __asm__("r8") = e;
            register long r9 __asm__("r9") = 0;
            __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                             : "rcx", "r11", "memory");
            return n;
        }
        void _start(void)
        {
            char *memory = (char *)call(9, 0, 32 << 20, 3, 0x22, -1);
            for (long i = 0; i < 32 << 20; i += 64) memory[i] = 7;
            call(1, 1, (long)"ready\\n", 6, 0, 0);
            call(0, 0, (long)memory, 1, 0, 0);
            call(60, 0, 0, 0, 0, 0);
        }
        """
    )
    if subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout != "x86_64\n":
        pytest.skip("its system calls are x86-64's")
    binary = folder / "bare"
    subprocess.run(["gcc", "-O1", "-static", "-nostdlib", "-o", binary, source], check=True)
    subprocess.run(["strip", binary], check=True)
    return take([binary], folder)


MAKERS = {
    "php": take_php,
    "node": take_node,
    "go": take_go,
    "go-stripped": lambda folder: take_go(folder, "-ldflags=-s -w"),
    "java": take_java,
    "redis": take_redis,
    "jemalloc": take_preloaded("libjemalloc.so.2"),
    "tcmalloc": take_preloaded("libtcmalloc_minimal.so.4"),
    "mimalloc": take_preloaded("libmimalloc.so.2.0"),
    "musl": take_musl(),
    "musl-static": take_musl("-static"),
    "valgrind": take_valgrind,
    "unknown": take_unknown,
}

# The first line, the id in JSON, the C library.
EXPECTED = {
    "php": ("PHP's Zend memory manager (symbol", "zend", "glibc"),
    "node": ("V8 (", "v8", "glibc"),
    "go": ("Go (symbol runtime.mallocgc of holder)", "go", "none"),
    "go-stripped": ("Go (section .gopclntab of holder)", "go", "none"),
    "java": ("Java (module libjvm.so), beside glibc's malloc", "java", "glibc"),
    "redis": ("jemalloc (module libjemalloc.so.2)", "jemalloc", "glibc"),
    "jemalloc": ("jemalloc (module libjemalloc.so.2)", "jemalloc", "glibc"),
    "tcmalloc": ("tcmalloc (module libtcmalloc_minimal.so.4", "tcmalloc", "glibc"),
    "mimalloc": ("mimalloc (module libmimalloc.so.2", "mimalloc", "glibc"),
    "musl": ("musl's malloc (symbol __dls2b of libc.so)", "musl", "musl"),
    "musl-static": ("musl's malloc (symbol __init_libc of plain)", "musl", "musl"),
    "valgrind": ("Valgrind (module vgpreload_", "valgrind", "glibc"),
    "unknown": ("not recognised: neither glibc's malloc nor another known", None, "unknown"),
}

# Those of which glibc's malloc still holds blocks.
MIXED = {"php", "node", "java"}


@pytest.fixture(scope="module")
def taken_once(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            try:
                made[name] = MAKERS[name](folder)
            except pytest.skip.Exception as reason:
                made[name] = reason
        if isinstance(made[name], pytest.skip.Exception):
            raise made[name]
        return made[name]

    yield get
    for taken in made.values():
        if isinstance(taken, Taken):
            taken.core.unlink(missing_ok=True)


@pytest.fixture(params=MAKERS)
def subject(request, taken_once):
    taken = taken_once(request.param)
    return request.param, taken


def analyzed(cli, name, taken):
    return run_report(cli, "analyze", taken.core, (), 0 if name in MIXED else 1)


def owned(report, owner):
    return sum(row["bytes"] for row in report["ledger"]["rows"] if row["owner"] == owner)


def test_the_first_line_says_whose_memory_it_is(cli, subject):
    name, taken = subject
    expected, _, flavor = EXPECTED[name]
    said = cli.run("analyze", taken.core, status=0 if name in MIXED else 1).stdout
    head = " ".join(said.split("program  ")[0].split())
    assert head.startswith(f"memory {expected}"), said[:400]
    if flavor == "glibc":
        state = "beside glibc's malloc" if name in MIXED else "glibc's malloc is unused"
        assert head.endswith(state), head
    assert max(map(len, said.splitlines())) <= 80
    assert "holds no chunk" not in said
    markdown = cli.run(
        "analyze", "--format", "markdown", taken.core, status=0 if name in MIXED else 1
    ).stdout
    assert markdown.startswith("- memory: ")


def test_json_says_the_same(cli, subject):
    name, taken = subject
    _, identity, flavor = EXPECTED[name]
    report = analyzed(cli, name, taken)
    SCHEMA.validate(report)
    assert report["target"]["libc"]["flavor"] == flavor
    found = {row["id"]: row for row in report["target"]["allocators"]}
    assert list(found) == ([identity] if identity else [])
    assert all(row["confidence"] == "certain" for row in found.values())
    ledger = report["ledger"]
    assert sum(row["bytes"] for row in ledger["rows"]) == ledger["total_bytes"]
    assert ("heap" in report) == (name in MIXED)
    if name in MIXED:
        assert report["heap"]["used"]["count"] > 100
    assert report["verdict"]["kind"] == "not-heap"
    assert report["findings"] == []


@pytest.mark.parametrize("name,owner", [("php", "zend-heap"), ("go", "go-heap"),
                                        ("go-stripped", "go-heap"), ("java", "java-heap")])
def test_the_ledger_gives_it_what_the_runtime_counts(cli, taken_once, name, owner):
    taken = taken_once(name)
    excess = owned(analyzed(cli, name, taken), owner) - taken.facts[owner]
    # Go's arenas also hold the collector's work buffers, which count as neither heap nor stacks.
    buffers = 32 << 10 if owner == "go-heap" else 1
    assert 0 <= excess < (1 << 20) and excess % buffers == 0 and (excess == 0 or buffers > 1)


def test_v8_has_its_pages_and_those_it_keeps_for_later(cli, taken_once):
    taken = taken_once("node")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    if int(version.strip("v").split(".")[0]) > 20:
        pytest.skip("pages of newer releases have no header to be known by")
    report = analyzed(cli, "node", taken)
    total = taken.facts["v8-heap"]
    # The heap goes on changing after it was asked, and empty pages are kept outside of the total.
    assert 0.9 * total < owned(report, "v8-heap") < total + 20 * MIB
    assert owned(report, "anonymous") < MIB


def test_jemalloc_has_its_extents(cli, taken_once):
    taken = taken_once("redis")
    report = analyzed(cli, "redis", taken)
    facts = taken.facts
    claimed = owned(report, "jemalloc")
    assert facts["active"] + facts["retained"] <= claimed + 256 * 1024
    assert claimed <= facts["mapped"] + facts["retained"]


def test_the_verdict_names_the_next_tool(cli, subject):
    name, taken = subject
    text = analyzed(cli, name, taken)["verdict"]["text"]
    assert ("To look inside: " in text) == (name != "unknown"), text


def test_unknown_memory_is_listed(cli, taken_once):
    report = analyzed(cli, "unknown", taken_once("unknown"))
    assert report["mappings"][0]["bytes"] >= 32 * MIB
    assert owned(report, "anonymous") >= 32 * MIB


@pytest.mark.parametrize("name,owner", [("php", "Zend memory manager (PHP)"), ("java", "Java heap"),
                                        ("go", "Go heap and goroutine stacks")])
def test_a_block_of_its_says_whose_memory_it_is(cli, taken_once, name, owner):
    taken = taken_once(name)
    row = next(row for row in analyzed(cli, name, taken)["ledger"]["rows"] if row["label"] == owner)
    headers = subprocess.run(
        ["readelf", "-lW", taken.core], check=True, capture_output=True, text=True
    ).stdout
    starts = re.findall(r"LOAD +0x\S+ (0x\S+) \S+ \S+ 0x\S+ RW ", headers)
    found = [
        report["block"]["owner"]
        for start in starts
        for report in [run_report(cli, "block", taken.core, (start,), 0 if name in MIXED else 1)]
        if "owner" in report["block"]
    ]
    assert row["owner"] in found


def test_other_verbs_say_it_too(cli, subject):
    name, taken = subject
    status = 0 if name in MIXED else 1
    said = cli.run("histogram", taken.core, status=status).stdout
    if name not in MIXED:
        assert said.startswith("memory ")
        assert "No heap of glibc's malloc was found" in said
    listed = cli.run("list", taken.core, "--limit", "5", status=status).stdout
    assert len(listed.splitlines()) == (7 if name in MIXED else 1)
