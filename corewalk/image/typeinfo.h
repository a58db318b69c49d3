/*
 * C++ classes from memory, without debug info: a vtable's address point is preceded by a pointer
 * to its type_info, which is preceded by nothing we need (Itanium C++ ABI, 2.5.2 and 2.9.5):
 *
 *      vtable                         type_info (in .data.rel.ro or .rodata)
 *   -2W  offset to top               +0   vtable pointer of __class_type_info,
 *   -1W  type_info *  ───────────►        __si_class_type_info or __vmi_class_type_info
 *    0   first virtual function      +W   const char *  mangled name ("6Widget")
 *   (an object's first word points here)
 */
#pragma once

#include "image/image.h"

struct cw_cxx_class {
    cw_addr vtable; /* the address point */
    cw_addr type_info;
    int64_t offset_to_top; /* 0 for the complete object's own vtable */
    const char *name;      /* demangled, escaped; in the image's arena */
    const char *module;    /* name of the module that holds the vtable, escaped */
};

/*
 * Is `address` the address point of a vtable? Checks that it lies in a module, that the
 * type_info's own first word points into a vtable of the ABI's classes (by symbol, or by that
 * type_info's name where symbols are stripped), that the name is a well-formed mangled type, and
 * that the first function slot points to executable memory (or is zero: a pure table's).
 * Results, also negative ones, are remembered. Safe from several threads.
 */
bool cw_cxx_class_at(const struct cw_image *image, cw_addr address, struct cw_cxx_class *ret_class);
