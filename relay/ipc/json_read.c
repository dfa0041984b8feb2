/* json_read.c -- reads JSON through libjansson; see json_read.h. */
#include <jansson.h>

#include "ipc/json_read.h"

static json_t *
js(const struct jval *v)
{
	return (json_t *)(uintptr_t)v;
}

struct jval *
jval_parse(struct span text, struct err *err)
{
	json_error_t e;
	json_t *v = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
	    &e);

	if (v == NULL)
		err_set(err, 0, "no JSON: %s at byte %d", e.text, e.position);
	return (struct jval *)v;
}

void
jval_free(struct jval **v)
{
	if (*v)
		json_decref(js(*v));
	*v = NULL;
}

const struct jval *
jval_get(const struct jval *object, const char *key)
{
	return (const struct jval *)json_object_get(js(object), key);
}

const struct jval *
jval_at(const struct jval *array, size_t i)
{
	return (const struct jval *)json_array_get(js(array), i);
}

size_t
jval_count(const struct jval *v)
{
	return json_is_object(js(v)) ? json_object_size(js(v)) : json_array_size(js(v));
}

struct span
jval_str(const struct jval *v)
{
	if (!json_is_string(js(v)))
		return (struct span){ 0 };
	return span_make(json_string_value(js(v)), json_string_length(js(v)));
}

struct span
jval_text(const struct jval *object, const char *key)
{
	return jval_str(jval_get(object, key));
}

int64_t
jval_int(const struct jval *object, const char *key, int64_t otherwise)
{
	const json_t *v = js(jval_get(object, key));

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool
jval_bool(const struct jval *object, const char *key)
{
	return json_is_true(js(jval_get(object, key)));
}

bool
jval_has(const struct jval *object, const char *key)
{
	const json_t *v = js(jval_get(object, key));

	return v && !json_is_null(v);
}

bool
jval_is_text(const struct jval *v)
{
	return json_is_string(js(v));
}

bool
jval_is_object(const struct jval *v)
{
	return json_is_object(js(v));
}

double
jval_num(const struct jval *v, double otherwise)
{
	return json_is_number(js(v)) ? json_number_value(js(v)) : otherwise;
}

const struct jval *
jval_member(const struct jval *object, size_t i, struct span *key)
{
	void *it = json_object_iter(js(object));

	while (it && i--)
		it = json_object_iter_next(js(object), it);
	if (it == NULL)
		return NULL;
	*key = span_str(json_object_iter_key(it));
	return (const struct jval *)json_object_iter_value(it);
}

bool
jval_is_array(const struct jval *v)
{
	return json_is_array(js(v));
}

bool
jval_is_bool(const struct jval *v)
{
	return json_is_boolean(js(v));
}

bool
jval_is_int(const struct jval *v)
{
	return json_is_integer(js(v));
}

int64_t
jval_integer(const struct jval *v)
{
	return json_integer_value(js(v));
}

static int
take(const char *p, size_t n, void *b)
{
	return buf_put(b, p, n);
}

void
jval_write(const struct jval *v, struct buf *b)
{
	if (v == NULL || json_dump_callback(js(v), take, b, JSON_COMPACT | JSON_ENCODE_ANY) == -1)
		buf_puts(b, "null");
}
