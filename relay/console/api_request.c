/* api_request.c -- a command's request, made of what a client sent: the members its route names, of
 * the types it names, and nobody else's. `as` is ours.
 */
#include <errno.h>

#include "addr.h"
#include "conf.h"
#include "console/routes.h"

#define LIST_MAX 1000			/* texts of a member */

void
api_command(struct client *k, struct json *j, struct buf *b, const char *command)
{
	json_begin(j, b);
	json_object(j);
	json_kcstr(j, "cmd", command);
	json_key(j, "as");
	json_raw(j, k->as);
}

static int
bad(struct err *err, const struct member *m, const char *what)
{
	return err_set(err, EINVAL, "`" SPAN_FMT "` has to be %s", SPAN_ARG(m->name), what);
}

static const char *
key_of(struct client *k, struct span name)
{
	return arena_str(k->arena, name);
}

/* ---- a query ---- */

static int
from_query(struct client *k, const struct member *m, struct json *j, bool *there, struct err *err)
{
	const char *key = key_of(k, m->key);
	struct span v;
	uint64_t n;

	*there = http_field(k->r.query, key_of(k, m->name), k->arena, &v);
	if (!*there)
		return 0;
	switch (m->type) {
	case 'i':
		if (!parse_uint(v, INT64_MAX, &n))
			return bad(err, m, "a number");
		json_kuint(j, key, n);
		return 0;
	case 'b':
		if (!span_is(v, "true") && !span_is(v, "false"))
			return bad(err, m, "true or false");
		json_kbool(j, key, span_is(v, "true"));
		return 0;
	default:
		json_kstr(j, key, v);
		return 0;
	}
}

/* Every name of the query must be a member. */
static int
no_others_in_query(struct client *k, struct err *err)
{
	struct span rest = k->r.query, v;

	while (rest.n) {
		size_t n = span_find(rest, '&');
		struct span name = span_sub(rest, 0, n);
		const char *members = k->route->members;
		bool known = false;
		struct member m;

		name.n = span_find(name, '=');
		while (route_member(&members, &m))
			known |= span_eq(m.name, name);
		if (!known)
			return err_set(err, EINVAL, "`" SPAN_FMT "` is not known here",
			    SPAN_ARG(span_sub(name, 0, 40)));
		if (!http_field(k->r.query, key_of(k, name), k->arena, &v))
			return err_set(err, EINVAL, "`" SPAN_FMT "` stands twice, or is not readable",
			    SPAN_ARG(name));
		rest = span_from(rest, n + 1);
	}
	return 0;
}

/* ---- a body ---- */

static int
put_list(const struct member *m, const struct jval *v, struct json *j, struct err *err)
{
	size_t n = jval_count(v);

	if (!jval_is_array(v) || n > LIST_MAX)
		return bad(err, m, "a list of texts, 1000 at most");
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		const struct jval *x = jval_at(v, i);

		if (jval_is_int(x))
			json_int(j, jval_integer(x));
		else if (jval_is_text(x))
			json_str(j, jval_str(x));
		else
			return bad(err, m, "a list of texts");
	}
	json_end_array(j);
	return 0;
}

static int
from_body(struct client *k, const struct member *m, const struct jval *body, struct json *j,
    bool *there, struct err *err)
{
	const char *key = key_of(k, m->name);
	const struct jval *v = jval_get(body, key);
	struct buf any;

	*there = jval_has(body, key);
	if (!*there)
		return 0;
	json_key(j, key);
	switch (m->type) {
	case 'i':
		if (!jval_is_int(v))
			return bad(err, m, "a number");
		json_int(j, jval_integer(v));
		return 0;
	case 'b':
		if (!jval_is_bool(v))
			return bad(err, m, "true or false");
		json_bool(j, jval_bool(body, key));
		return 0;
	case 'a':
		return put_list(m, v, j, err);
	case 's':
		if (jval_is_int(v))	/* an id, by somebody to whom it is a number */
			json_cstr(j, arena_printf(k->arena, "%lld", (long long)jval_integer(v)));
		else if (jval_is_text(v))
			json_str(j, jval_str(v));
		else
			return bad(err, m, "a text");
		return 0;
	default:
		buf_init(&any, HTTP_POLICY_MAX + HTTP_BODY_MAX);
		jval_write(v, &any);
		json_raw(j, buf_data(&any));
		buf_release(&any);
		return 0;
	}
}

static int
no_others_in_body(const struct client *k, const struct jval *body, struct err *err)
{
	struct span key;

	for (size_t i = 0; jval_member(body, i, &key); i++) {
		const char *members = k->route->members;
		bool known = false;
		struct member m;

		while (route_member(&members, &m))
			known |= span_eq(m.name, key);
		if (!known)
			return err_set(err, EINVAL, "`" SPAN_FMT "` is not known here",
			    SPAN_ARG(span_sub(key, 0, 40)));
	}
	return 0;
}

/* ---- both ---- */

static int
put_members(struct client *k, const struct jval *body, struct json *j, struct err *err)
{
	const char *members = k->route->members;
	bool query = k->r.method == HTTP_GET || k->r.method == HTTP_HEAD || k->r.method == HTTP_DELETE;
	struct member m;
	bool there;

	while (route_member(&members, &m)) {
		if ((query ? from_query(k, &m, j, &there, err) : from_body(k, &m, body, j, &there, err)) == -1)
			return -1;
		if (m.needed && !there)
			return err_set(err, EINVAL, "`" SPAN_FMT "` is missing", SPAN_ARG(m.name));
	}
	return query ? no_others_in_query(k, err) : no_others_in_body(k, body, err);
}

bool
api_request(struct client *k, struct buf *b, struct err *err)
{
	struct span name = route_parameter(k->route), body_text = k->r.body;
	struct jval *body = NULL;
	uint64_t number = 0;
	struct json j;
	int r = -1;

	api_command(k, &j, b, k->route->command);
	if (span_is(name, "number") && !parse_uint(k->parameter, INT64_MAX, &number)) {
		err_set(err, EINVAL, "not a number");
		goto out;
	}
	if (span_is(name, "number"))
		json_kuint(&j, "number", number);
	else if (name.n)
		json_kstr(&j, key_of(k, name), k->parameter);
	if (strcmp(k->route->path, "/queue") == 0 && !http_field(k->r.query, "by", k->arena, &name))
		json_kcstr(&j, "by", "site");
	if (body_text.n && (body = jval_parse(body_text, err)) == NULL)
		goto out;
	if (body && !jval_is_object(body)) {
		err_set(err, EINVAL, "the body has to be a JSON object");
		goto out;
	}
	if (put_members(k, body, &j, err) == -1)
		goto out;
	json_end_object(&j);
	r = buf_failed(b) ? err_set(err, EINVAL, "too much") : 0;
out:
	jval_free(&body);
	return r == 0;
}
