"""Programs that nobody here wrote: their own malloc_info, called through gdb, must agree."""

import subprocess

import pytest
from checks import check_identities, check_malloc_info
from conftest import Core
from programs import CALL_MALLOC_INFO, Program, gcore, require, run_to_exit

SQL = """
CREATE TABLE visit(id INTEGER PRIMARY KEY, who TEXT, page TEXT, seconds REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO visit SELECT i, 'user' || (i * 7919 % 1000), '/page/' || i, i * 0.25 FROM n;
CREATE INDEX visit_who ON visit(who);
DELETE FROM visit WHERE id % 10 = 3;
.system echo ready
"""

PERL = """
$| = 1;
my %hash;
for my $i (1 .. 60000) { $hash{"key $i"} = { id => $i, tags => [map { "t$_" } 1 .. $i % 5] }; }
delete @hash{map { "key " . 3 * $_ } 1 .. 15000};
print "ready\\n";
<STDIN>;
"""

LUA = """
local kept = {}
for i = 1, 100000 do kept[i] = { id = i, name = "name " .. i, half = i / 2 } end
for i = 1, 100000, 3 do kept[i] = nil end
collectgarbage()
io.write("ready\\n") io.flush()
io.read()
"""

BASH = """
declare -A seen
for ((i = 0; i < 20000; i++)); do seen[key$i]="value $i of many"; list[i]=$RANDOM; done
for ((i = 0; i < 20000; i += 3)); do unset "seen[key$i]"; done
echo ready
read
"""


def ask_process(program, folder):
    core = gcore(program.pid, folder / "the-core", before=[CALL_MALLOC_INFO])
    return Core(core, malloc_info_path=folder / "stderr")


def take_sqlite(folder):
    require("sqlite3")
    with Program(["sqlite3", ":memory:"], folder) as program:
        program.tell(SQL)
        program.wait_for_line("ready")
        program.wait_until_blocked()
        return ask_process(program, folder)


def take_interpreter(*argv):
    def take(folder):
        require(argv[0])
        with Program(argv, folder) as program:
            program.wait_for_line("ready")
            program.wait_until_blocked()
            return ask_process(program, folder)

    return take


def git_stream():
    """A history for git fast-import: many small commits over a few hundred files."""
    for i in range(1500):
        message = f"change {i}"
        content = "".join(f"line {line} of {i * 31 % 97}\n" for line in range(i % 40))
        yield "commit refs/heads/main\n"
        yield f"committer A <a@example.org> {1700000000 + i} +0000\n"
        yield f"data {len(message)}\n{message}\n"
        yield f"M 644 inline src/{i % 20}/file{i % 300}.txt\ndata {len(content)}\n{content}\n"


def take_git(folder):
    require("git")
    subprocess.run(["git", "init", "-q", "--bare", "repository"], cwd=folder, check=True)
    stream = "".join(git_stream())
    repository = folder / "repository"
    command = ["git", "-C", repository, "fast-import", "--quiet"]
    subprocess.run(command, input=stream, text=True, check=True)
    log = ["git", "-C", repository, "--no-pager", "log", "--graph", "--stat", "main"]
    core = run_to_exit(log, folder, folder / "the-core")
    return Core(core, malloc_info_path=folder / "stderr")


def c_source():
    """A preprocessed file of a size that makes a compiler work."""
    yield "struct node { struct node *next; int value; double weight; };\n"
    for i in range(1500):
        yield (
            f"static int scale_{i}(struct node *n, int by) {{ int sum = 0; "
            f"for (; n; n = n->next) {{ if (n->value % {i + 2} == by) sum += n->value * {i}; "
            f"else n->weight = sum / {i + 1}.0; }} return sum; }}\n"
            f"int run_{i}(struct node *n) {{ return scale_{i}(n, {i % 7}); }}\n"
        )


def take_cc1(folder):
    require("gcc")
    found = subprocess.run(
        ["gcc", "-print-prog-name=cc1"], capture_output=True, text=True, check=True
    )
    source = folder / "big.i"
    source.write_text("".join(c_source()))
    compile_it = [found.stdout.strip(), "-quiet", "-fpreprocessed", source, "-O1", "-o", "/dev/null"]
    core = run_to_exit(compile_it, folder, folder / "the-core")
    return Core(core, malloc_info_path=folder / "stderr")


TAKERS = {
    "sqlite3": take_sqlite,
    "perl": take_interpreter("perl", "-e", PERL),
    "lua": take_interpreter("lua5.4", "-e", LUA),
    "bash": take_interpreter("bash", "--norc", "-c", BASH),
    "git": take_git,
    "cc1": take_cc1,
}


@pytest.fixture(scope="session", params=TAKERS)
def core(request, cores):
    key = ("real", request.param)
    if key not in cores.made:
        cores.made[key] = TAKERS[request.param](cores.folder(f"real-{request.param}"))
    return cores.made[key]


def test_each_arena_is_that_of_malloc_info(cli, core):
    check_malloc_info(core.malloc_info, cli.report("analyze", core)["heap"], cli.chunks(core))


def test_sums_of_the_report_agree(cli, core):
    check_identities(cli.report("analyze", core))


def test_every_part_of_the_heap_is_known(cli, core):
    states = {chunk["state"] for chunk in cli.chunks(core).values()}
    assert "unknown" not in states
