/* Which library this is, and small services to callers. */
#include <corewalk/corewalk.h>

#include "base/text.h"

uint32_t corewalk_abi(void)
{
    return COREWALK_ABI;
}

const char *corewalk_version(void)
{
    return COREWALK_VERSION;
}

int corewalk_parse_size(const char *text, uint64_t *ret_bytes)
{
    return cw_text_parse_size(text, ret_bytes) ? COREWALK_OK : COREWALK_ERROR_ARGUMENT;
}
