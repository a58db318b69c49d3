/* Seeds for fuzz_module: the smallest real library at hand, the one that the kernel lends us. */
#include <elf.h>
#include <sys/auxv.h>

#include "fuzz/seed.h"

int main(int argument_count, char **arguments)
{
    const uint8_t *vdso = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
    if (argument_count != 2) {
        return 64;
    }
    seed_write(arguments[1], "nothing", "", 0);
    if (vdso != NULL) {
        const Elf64_Ehdr *header = (const void *)vdso;
        size_t size = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
        seed_write(arguments[1], "vdso", vdso, size);
        seed_write(arguments[1], "half", vdso, size / 2);
    }
    return 0;
}
