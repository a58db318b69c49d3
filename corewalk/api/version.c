/* Which library this is. */
#include <corewalk/corewalk.h>

uint32_t corewalk_abi(void)
{
    return COREWALK_ABI;
}

const char *corewalk_version(void)
{
    return COREWALK_VERSION;
}
