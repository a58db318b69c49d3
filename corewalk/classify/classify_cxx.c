/*
 * C++ objects: the first word is a vtable's address point. Also arrays of them: the number of
 * elements comes first (Itanium C++ ABI, 2.7: the array cookie), then the elements.
 *
 *   new Widget     | vtable | members …
 *   new Widget[n]  | n | vtable | members … | vtable | members … |
 */
#include <inttypes.h>

#include "classify/classify.h"
#include "classify/word_cache.h"
#include "image/typeinfo.h"

/* Keys: the vtable's address, which is even; plus KEY_ARRAY; or KEY_MANY alone. */
enum {
    KEY_ARRAY = 1,
    KEY_MANY = 2,
};

enum verdict {
    UNASKED,
    IS_CLASS,
    IS_NONE,
};

static bool is_class(const struct cw_classifier_run *run, uint64_t word)
{
    uint32_t *verdict = cw_word_cache_find(run->scratch, word);
    if (*verdict == UNASKED) {
        struct cw_cxx_class class;
        *verdict = cw_cxx_class_at(run->context->image, word, &class) ? IS_CLASS : IS_NONE;
    }
    return *verdict == IS_CLASS;
}

/* The second and the last element must start with the vtable of the first. */
static bool match_array(const struct cw_classifier_run *run,
                        const struct cw_chunk_view *view,
                        uint64_t *ret_key)
{
    unsigned word_bytes = run->context->space->word_bytes;
    uint64_t count = view->first_word;
    uint64_t vtable = cw_load_word(view->data + word_bytes, word_bytes);
    if (!cw_module_filter_has(run->context->modules, vtable) || !is_class(run, vtable)) {
        return false;
    }
    /*
     * malloc rounds up by less than two words, so that this is exact for two elements and more;
     * a mapping of its own by up to a page, which makes it wrong for some, and those are missed.
     */
    uint64_t element = cw_align_down((view->usable_bytes - word_bytes) / count, word_bytes);
    uint64_t last = word_bytes + (count - 1) * element;
    uint64_t slack = view->usable_bytes - last - element;
    bool is_mapped = view->chunk.state == CW_CHUNK_MMAPPED;
    if (element == 0 || (slack >= 2 * (uint64_t)word_bytes && !is_mapped) ||
        !cw_range_holds(0, view->seen_bytes, last, word_bytes) ||
        cw_load_word(view->data + word_bytes + element, word_bytes) != vtable ||
        cw_load_word(view->data + last, word_bytes) != vtable) {
        return false;
    }
    *ret_key = vtable | KEY_ARRAY;
    return true;
}

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    if (view->head == CW_HEAD_MODULE) {
        *ret_key = cw_space_pointer(run->context->space, view->first_word);
        return is_class(run, *ret_key);
    }
    unsigned word_bytes = run->context->space->word_bytes;
    return view->first_word > 1 &&
           view->first_word < view->seen_bytes >> (word_bytes == 8 ? 3 : 2) &&
           match_array(run, view, ret_key);
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    struct cw_arena *memory = run->context->memory;
    struct cw_cxx_class class;
    cw_addr vtable = key & ~(uint64_t)KEY_ARRAY;
    if (key == KEY_MANY || !cw_cxx_class_at(run->context->image, vtable, &class)) {
        population->name = "C++ objects of many classes";
        population->evidence = "vtables, too many to tell apart";
        population->confidence = CW_PROBABLE;
        return true;
    }
    const struct cw_module *module = cw_image_module_at(run->context->image, vtable);
    uint64_t off = vtable - (module != NULL ? module->start : 0);
    bool is_array = (key & KEY_ARRAY) != 0;
    bool is_own = class.offset_to_top == 0;
    population->name = cw_arena_printf(memory, "%s%s", class.name, is_array ? "[]" : "");
    population->evidence = cw_arena_printf(memory,
                                           "%s%s at %s+0x%" PRIx64,
                                           is_array ? "element count, then " : "",
                                           is_own ? "vtable" : "vtable of a base",
                                           class.module,
                                           off);
    population->confidence = !is_own ? CW_GUESS : is_array ? CW_PROBABLE : CW_CERTAIN;
    return population->name != NULL && population->evidence != NULL;
}

static uint64_t coarsen(const struct cw_classifier_run *run, uint64_t key)
{
    (void)run;
    (void)key;
    return KEY_MANY;
}

const struct cw_classifier cw_classifier_cxx = {
    .name = "cxx",
    .kind = CW_POPULATION_VTABLE,
    .heads = 1U << CW_HEAD_MODULE | 1U << CW_HEAD_SMALL,
    .scratch_bytes = sizeof(struct cw_word_cache),
    .match = match,
    .describe = describe,
    .coarsen = coarsen,
};
