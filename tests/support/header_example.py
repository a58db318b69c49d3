"""The example at the top of the public header, as a program that takes the core's path."""

import re
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "corewalk/include/corewalk/corewalk.h"

PROGRAM = """#include <corewalk/corewalk.h>
#include <err.h>
#include <stdio.h>

static int write_to_stdout(void *context, const char *bytes, size_t count)
{
    (void)context;
    return fwrite(bytes, 1, count, stdout) == count ? 0 : -1;
}

int main(int argc, char **argv)
{
    (void)argc;
%s
    return 0;
}
"""


def program():
    comment = HEADER.read_text().split("*/")[0]
    lines = re.findall(r"^ \*     (.*)$", comment, re.M)
    assert any("corewalk_run(" in line for line in lines)
    return PROGRAM % "\n".join(lines).replace('"core.1234"', "argv[1]")
