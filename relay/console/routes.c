/* routes.c -- which route a request takes; see routes.h. */
#include "console/routes.h"

const struct route routes[] = {
#define X(method, path, shape, command, members, roles, summary) \
	{ HTTP_##method, path, SHAPE_##shape, command, members, roles, summary },
	ROUTES(X)
#undef X
};
const size_t nroutes = sizeof(routes) / sizeof(routes[0]);

/* Segment by segment; {name} takes one that is not empty. */
static bool
matches(const char *pattern, struct span path, struct span *parameter)
{
	struct span p = span_str(pattern);

	*parameter = (struct span){ 0 };
	for (;;) {
		size_t np = span_find(p, '/'), n = span_find(path, '/');
		struct span want = span_sub(p, 0, np), have = span_sub(path, 0, n);

		if (want.n && want.p[0] == '{') {
			if (have.n == 0)
				return false;
			*parameter = have;
		} else if (!span_eq(want, have)) {
			return false;
		}
		if (np == p.n || n == path.n)
			return np == p.n && n == path.n;
		p = span_from(p, np + 1);
		path = span_from(path, n + 1);
	}
}

const struct route *
api_route(enum http_method method, struct span path, struct span *parameter, bool *known)
{
	const struct route *found = NULL;
	struct span value;

	*known = false;
	if (method == HTTP_HEAD)
		method = HTTP_GET;
	for (size_t i = 0; i < nroutes; i++) {
		if (!matches(routes[i].path, path, &value))
			continue;
		*known = true;
		/* /queue/messages before /queue/{id}: the one without a parameter is meant. */
		if (routes[i].method == method && (found == NULL || value.n == 0)) {
			found = &routes[i];
			*parameter = value;
		}
	}
	return found;
}

struct span
route_parameter(const struct route *r)
{
	struct span path = span_str(r->path);
	size_t at = span_find(path, '{');

	path = span_from(path, at + 1);
	return span_sub(path, 0, span_find(path, '}'));
}

bool
route_member(const char **members, struct member *m)
{
	struct span word;

	while (**members == ' ')
		(*members)++;
	word = span_str(*members);
	word.n = span_find(word, ' ');
	if (word.n == 0)
		return false;
	*members += word.n;
	m->name = span_sub(word, 0, span_find(word, ':'));
	ASSERT(m->name.n + 1 < word.n);
	m->type = word.p[m->name.n + 1];
	m->needed = word.p[word.n - 1] == '!';
	m->key = span_from(word, span_find(word, '>') + 1);
	if (m->key.n == 0)
		m->key = m->name;
	return true;
}
