/*
 * A column: one large array of fixed size, one value per chunk, cell or edge. Anonymous memory
 * straight from the system: zeroed, touched page by page as it is written, given back whole.
 * The budget is charged for the full size at creation.
 */
#pragma once

#include "base/budget.h"

struct cw_column {
    void *data;
    uint64_t size_bytes; /* as charged */
    struct cw_budget *budget;
};

/* False (and *ret_column untouched) when the budget or the system is out. Zero items are legal. */
bool cw_column_create(struct cw_budget *budget,
                      uint64_t count,
                      size_t item_bytes,
                      struct cw_column *ret_column);

/* Also legal on a zeroed column. */
void cw_column_destroy(struct cw_column *column);
