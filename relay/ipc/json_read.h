/* json_read.h -- reads JSON: requests on the control socket, answers in the tool.
 *
 * libjansson does the work. It stands behind this header because its
 * constructors (json_object, json_array …) have the names of base/json.h's
 * writers: no file may include both.
 */
#ifndef IPC_JSON_READ_H
#define IPC_JSON_READ_H

#include <stdint.h>

#include "buf.h"
#include "postern/err.h"

struct jval;

/* One value and nothing behind it; objects with a key twice are refused. NULL: err says where. */
struct jval *jval_parse(struct span text, struct err *err);
void jval_free(struct jval **v);

/* All take NULL and a value of another type, and then find nothing. Texts are borrowed. */
const struct jval *jval_get(const struct jval *object, const char *key);
const struct jval *jval_at(const struct jval *array, size_t i);
size_t jval_count(const struct jval *v);		/* of an array or object */
struct span jval_text(const struct jval *object, const char *key);	/* "" when there is none */
int64_t jval_int(const struct jval *object, const char *key, int64_t otherwise);
bool jval_bool(const struct jval *object, const char *key);
bool jval_has(const struct jval *object, const char *key);	/* there, and not null */
bool jval_is_text(const struct jval *v);
bool jval_is_object(const struct jval *v);
bool jval_is_array(const struct jval *v);
bool jval_is_bool(const struct jval *v);
bool jval_is_int(const struct jval *v);
int64_t jval_integer(const struct jval *v);	/* the value itself */
struct span jval_str(const struct jval *v);		/* the value itself, a text */
double jval_num(const struct jval *v, double otherwise);	/* the value itself, a number */
/* The i-th member of an object in the order written; NULL behind the last. */
const struct jval *jval_member(const struct jval *object, size_t i, struct span *key);

/* The value as text again, on one line. */
void jval_write(const struct jval *v, struct buf *b);

#endif
