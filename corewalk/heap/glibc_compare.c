/* Claims about the C library against the memory of its heap. */
#include "heap/glibc_compare.h"

#include <string.h>

/*
 * Layouts that stable branches and vendors carry back to older releases: up to the 16-bit counts of
 * caches, which are upstream on the branch of 2.28. None later is known to have been.
 */
enum { LAST_CARRIED_BACK = 28 };

/* ---- what is said -------------------------------------------------------------------------- */

static const struct cw_symbol *data_symbol(const struct cw_module *module, const char *name)
{
    const struct cw_symbol *symbol = cw_module_symbol_named(module, name);
    return symbol != NULL && !symbol->is_function ? symbol : NULL;
}

struct glibc_claims glibc_read_claims(const struct glibc *glibc)
{
    static const char prefix[] = "libc-";
    struct glibc_claims claims = {0};
    const struct cw_image *image = glibc->builder->image;
    const struct cw_module *libc = image != NULL ? cw_image_libc(image) : NULL;
    if (libc == NULL ||
        !cw_range_has(libc->start, libc->size_bytes, glibc_arena_at(glibc, 0)->address)) {
        return claims;
    }
    const char *version = cw_image_glibc_version(image);
    claims.is_by_banner = version != NULL;
    if (version == NULL && strncmp(libc->name, prefix, sizeof prefix - 1) == 0) {
        version = libc->name + sizeof prefix - 1;
    }
    claims.minor = version != NULL ? cw_damage_release(version) : 0;
    const struct cw_symbol *arena = data_symbol(libc, "main_arena");
    const struct cw_symbol *mp = data_symbol(libc, "mp_");
    claims.main_arena = arena != NULL ? arena->start : 0;
    claims.arena_bytes = arena != NULL ? arena->size_bytes : 0;
    claims.mp = mp != NULL ? mp->start : 0;
    return claims;
}

/* ---- against memory ------------------------------------------------------------------------ */

static bool agrees_with_release(const struct glibc *glibc, const struct glibc_claims *claims)
{
    unsigned first;
    unsigned last;
    glibc_release_range(glibc->candidates, &first, &last);
    if (claims->minor <= last && (claims->minor >= first || first <= LAST_CARRIED_BACK)) {
        return true;
    }
    cw_note_add(glibc->builder->findings,
                CW_WARNING,
                "layout-contradiction",
                0,
                "the C library is 2.%u by %s, but its heap is laid out as in 2.%u to 2.%u; the "
                "heap was read as memory shows it",
                claims->minor,
                claims->is_by_banner ? "its banner" : "the name of its file",
                first,
                last);
    return false;
}

static bool agrees_with_symbol(const struct glibc *glibc,
                               const char *name,
                               cw_addr claimed,
                               cw_addr found)
{
    if (claimed == found) {
        return true;
    }
    cw_note_add(glibc->builder->findings,
                CW_WARNING,
                "layout-contradiction",
                claimed,
                "by its symbol %s lies at 0x%" PRIx64 ", but memory shows it at 0x%" PRIx64
                "; the heap was read as memory shows it",
                name,
                claimed,
                found);
    return false;
}

static bool agrees_with_size(const struct glibc *glibc, uint64_t claimed)
{
    uint64_t found = glibc_arena_bytes(glibc->layout);
    if (claimed == found) {
        return true;
    }
    cw_note_add(glibc->builder->findings,
                CW_WARNING,
                "layout-contradiction",
                glibc_arena_at(glibc, 0)->address,
                "by its symbol main_arena has %" PRIu64 " bytes, but laid out as memory shows it "
                "it has %" PRIu64 "; the heap was read as memory shows it",
                claimed,
                found);
    return false;
}

static bool agrees_with_arena(const struct glibc *glibc, const struct glibc_claims *claims)
{
    cw_addr found = glibc_arena_at(glibc, 0)->address;
    return agrees_with_symbol(glibc, "main_arena", claims->main_arena, found) &&
           (claims->arena_bytes == 0 || agrees_with_size(glibc, claims->arena_bytes));
}

const char *glibc_compare(const struct glibc *glibc, const struct glibc_claims *claims)
{
    bool is_release = claims->minor != 0 && agrees_with_release(glibc, claims);
    bool is_arena = claims->main_arena != 0 && agrees_with_arena(glibc, claims);
    bool is_mp = claims->mp != 0 && glibc->mp.address != 0 &&
                 agrees_with_symbol(glibc, "mp_", claims->mp, glibc->mp.address);
    const char *release = !is_release            ? ""
                          : claims->is_by_banner ? "; its banner agrees"
                                                 : "; the name of its file agrees";
    const char *symbols = is_arena && is_mp ? "; the symbols main_arena and mp_ agree"
                          : is_arena        ? "; the symbol main_arena agrees"
                          : is_mp           ? "; the symbol mp_ agrees"
                                            : "";
    return cw_arena_printf(glibc->builder->heap->memory, "%s%s", release, symbols);
}
