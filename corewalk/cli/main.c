/* The command line: `corewalk VERB …`. */
#include <stdio.h>

int main(void)
{
    fputs("corewalk: no verbs yet\n", stderr);
    return 64;
}
