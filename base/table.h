/* table.h -- hash tables: by 64-bit number and by bytes.
 *
 * Keys may come from strangers, so the hash is SipHash-2-4 with a random key
 * for each process. Values are pointers, never NULL. Byte keys are borrowed:
 * they must live as long as their entry. Removal while iterating is allowed
 * for the current entry only.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdint.h>

#include "postern/span.h"

struct table;

struct table *table_new(void);
void table_free(struct table **t);
void *table_get(const struct table *t, struct span key);
void table_put(struct table *t, struct span key, void *value);	/* replaces (the key too) */
void *table_remove(struct table *t, struct span key);		/* the value, or NULL */
size_t table_count(const struct table *t);
/* *at starts at 0; false at the end. */
bool table_next(const struct table *t, size_t *at, struct span *key, void **value);
/* Changes when entries have moved: who iterates a piece at a time, with changes in between, begins
 * anew then. */
unsigned table_moves(const struct table *t);

struct idtable;

struct idtable *idtable_new(void);
void idtable_free(struct idtable **t);
void *idtable_get(const struct idtable *t, uint64_t key);
void idtable_put(struct idtable *t, uint64_t key, void *value);
void *idtable_remove(struct idtable *t, uint64_t key);
size_t idtable_count(const struct idtable *t);
bool idtable_next(const struct idtable *t, size_t *at, uint64_t *key, void **value);
unsigned idtable_moves(const struct idtable *t);

uint64_t siphash(const uint8_t key[16], const void *p, size_t n);

#endif
