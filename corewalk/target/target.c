/* What all kinds of targets share. */
#include "target/target.h"

const char *cw_arch_name(enum cw_arch arch)
{
    switch (arch) {
    case CW_ARCH_X86_64:
        return "x86_64";
    case CW_ARCH_I386:
        return "i386";
    case CW_ARCH_AARCH64:
        return "aarch64";
    case CW_ARCH_UNKNOWN:
        break;
    }
    return "unknown";
}

void cw_target_close(struct cw_target *target)
{
    if (target->close != NULL) {
        target->close(target);
    }
    *target = (struct cw_target){0};
}
