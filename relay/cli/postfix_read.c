/* postfix_read.c -- see postfix_read.h.
 *
 * A logical line begins with a character that is no blank; lines that begin with one go on with it;
 * empty lines and comments, also between the two, do not count (postconf(5)).
 */
#include <string.h>

#include "buf.h"
#include "cli/postfix_read.h"

#define EXPAND_DEPTH 16

struct lines {
	struct arena *a;
	struct span text;
	size_t at;
	uint32_t line;		/* of what `at` points to, 1-based */
	size_t n;		/* logical lines so far */
};

static struct span
physical(struct lines *l, struct span *out)
{
	struct span rest = span_from(l->text, l->at), s = span_sub(rest, 0, span_find(rest, '\n'));

	*out = s;
	if (s.n && s.p[s.n - 1] == '\r')
		out->n--;
	return s;
}

static void
advance(struct lines *l, struct span s)
{
	l->at += s.n + 1;
	l->line++;
}

static bool
is_idle(struct span s)
{
	struct span t = span_trim(s);

	return t.n == 0 || t.p[0] == '#';
}

/* 1: a logical line; 0: the end; -1: too many. */
static int
next_line(struct lines *l, struct span *out, uint32_t *line)
{
	struct buf b;
	bool begun = false;

	buf_init(&b, PF_FILE_MAX);
	while (l->at < l->text.n) {
		struct span s, whole = physical(l, &s);

		if (is_idle(s)) {
			advance(l, whole);
			continue;
		}
		if (begun && !ascii_is_wsp(s.p[0]))
			break;
		if (!begun)
			*line = l->line;
		begun = true;
		buf_span(&b, s);
		advance(l, whole);
	}
	*out = arena_span(l->a, span_trim(buf_data(&b)));
	buf_release(&b);
	if (!begun)
		return 0;
	return ++l->n > PF_ITEMS_MAX ? -1 : 1;
}

/* An array that doubles. */
static void *
room(struct arena *a, void *v, size_t n, size_t size)
{
	if (n & (n - 1) || (n && n < 16))
		return v;
	return n == 0 ? arena_alloc(a, 16 * size) : n == 16 || n > 16 ? arena_grow(a, v, n * size, 2 * n * size) : v;
}

struct pf_param *
pf_find(const struct pf_params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->v[i].bad && span_is(p->v[i].name, name))
			return &p->v[i];
	return NULL;
}

static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		    (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' || s.p[i] == '-' || s.p[i] == '.'))
			return false;
	return s.n > 0;
}

#define PARAMS_MAX 2000		/* Postfix knows some 950; a look-up walks over all */

int
pf_main_cf(struct arena *a, struct span text, struct pf_params *out)
{
	struct lines l = { .a = a, .text = text, .line = 1 };
	struct pf_params p = { 0 };
	struct span s;
	uint32_t line;
	int rc;

	while ((rc = next_line(&l, &s, &line)) == 1) {
		size_t eq = span_find(s, '=');
		struct span name = span_trim(span_sub(s, 0, eq));
		struct pf_param one = { .name = name, .value = span_trim(span_from(s, eq + 1)), .line = line };
		struct pf_param *was;

		one.bad = eq == s.n || !is_name(name);
		if (one.bad)
			one.name = s;
		else if ((was = pf_find(&p, arena_str(a, name))) != NULL) {
			*was = one;
			continue;
		}
		if (p.n == PARAMS_MAX)
			return -1;
		p.v = room(a, p.v, p.n, sizeof(*p.v));
		p.v[p.n++] = one;
	}
	if (rc == -1)
		return -1;
	*out = p;
	return 0;
}

/* ---- $name ---- */

struct expansion {
	struct arena *a;
	const struct pf_params *p;
	struct buf b;
};

/* The text in balanced braces that begins at s.p[0] == '{'; 0: they do not close. */
static size_t
braces(struct span s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		depth += s.p[i] == '{';
		if (s.p[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

static bool expand(struct expansion *e, struct span s, unsigned depth);

static struct span
without_braces(struct span s)
{
	s = span_trim(s);
	return s.n >= 2 && s.p[0] == '{' && braces(s) == s.n ? span_sub(s, 1, s.n - 2) : s;
}

/* name, name?x, name:x, name?{x}:{y} */
static bool
macro(struct expansion *e, struct span m, unsigned depth)
{
	struct span name = m, then = { 0 }, other = { 0 };
	struct pf_param *v;
	size_t i = 0;

	while (i < m.n && m.p[i] != '?' && m.p[i] != ':')
		i++;
	name = span_trim(span_sub(m, 0, i));
	v = pf_find(e->p, arena_str(e->a, name));
	if (i == m.n)
		return v == NULL || expand(e, v->value, depth + 1);
	if (m.p[i] == ':') {
		other = span_from(m, i + 1);
	} else {
		size_t n;

		then = span_from(m, i + 1);
		if (then.n && then.p[0] == '{' && (n = braces(then)) > 0 && n < then.n && then.p[n] == ':') {
			other = span_from(then, n + 1);
			then = span_sub(then, 0, n);
		}
	}
	return expand(e, without_braces(v && v->value.n ? then : other), depth + 1);
}

static bool
expand(struct expansion *e, struct span s, unsigned depth)
{
	if (depth > EXPAND_DEPTH)
		return false;
	for (size_t i = 0; i < s.n;) {
		struct span rest = span_from(s, i + 1);
		size_t n = 0;

		if (s.p[i] != '$' || rest.n == 0) {
			buf_putc(&e->b, s.p[i++]);
			continue;
		}
		if (rest.p[0] == '$') {
			buf_putc(&e->b, '$');
			i += 2;
			continue;
		}
		if (rest.p[0] == '{' || rest.p[0] == '(') {
			n = rest.p[0] == '{' ? braces(rest) : span_find(rest, ')') + 1;
			if (n < 2 || n > rest.n)
				return false;
			if (!macro(e, span_sub(rest, 1, n - 2), depth))
				return false;
		} else {
			while (n < rest.n && (is_name(span_sub(rest, n, 1)) && rest.p[n] != '-' && rest.p[n] != '.'))
				n++;
			if (n == 0)
				buf_putc(&e->b, '$');
			else if (!macro(e, span_sub(rest, 0, n), depth))
				return false;
		}
		i += 1 + n;
		if (buf_failed(&e->b))
			return false;
	}
	return !buf_failed(&e->b);
}

bool
pf_expand(struct arena *a, const struct pf_params *p, struct span value, struct span *out)
{
	struct expansion e = { .a = a, .p = p };
	bool ok;

	buf_init(&e.b, PF_VALUE_MAX);
	ok = expand(&e, value, 0);
	if (ok)
		*out = arena_span(a, buf_data(&e.b));
	buf_release(&e.b);
	return ok;
}

/* ---- words, services, tables ---- */

static struct span
blank_word(struct span *s)
{
	struct span w;
	size_t n = 0;

	*s = span_trim(*s);
	while (n < s->n && !ascii_is_wsp(s->p[n]))
		n++;
	w = span_sub(*s, 0, n);
	*s = span_trim(span_from(*s, n));
	return w;
}

bool
pf_word(struct span *list, struct span *word)
{
	size_t n = 0;

	while (list->n && (ascii_is_wsp(list->p[0]) || list->p[0] == ',' || list->p[0] == '\r' || list->p[0] == '\n'))
		*list = span_from(*list, 1);
	while (n < list->n && !ascii_is_wsp(list->p[n]) && list->p[n] != ',' && list->p[n] != '\n')
		n++;
	*word = span_sub(*list, 0, n);
	*list = span_from(*list, n);
	return n > 0;
}

int
pf_master_cf(struct arena *a, struct span text, struct pf_service **out, size_t *n)
{
	struct lines l = { .a = a, .text = text, .line = 1 };
	struct pf_service *v = NULL;
	struct span s;
	uint32_t line;
	int rc;

	*n = 0;
	while ((rc = next_line(&l, &s, &line)) == 1) {
		struct pf_service one = { .line = line };
		struct span whole = s;

		one.name = blank_word(&s);
		one.type = blank_word(&s);
		for (int skip = 0; skip < 5; skip++)	/* private, unpriv, chroot, wakeup, maxproc */
			blank_word(&s);
		one.command = blank_word(&s);
		one.args = s;
		one.bad = one.command.n == 0;
		if (one.bad)
			one.name = whole;
		v = room(a, v, *n, sizeof(*v));
		v[(*n)++] = one;
	}
	*out = v;
	return rc;
}

int
pf_table(struct arena *a, struct span text, struct pf_entry **out, size_t *n)
{
	struct lines l = { .a = a, .text = text, .line = 1 };
	struct pf_entry *v = NULL;
	struct span s;
	uint32_t line;
	int rc;

	*n = 0;
	while ((rc = next_line(&l, &s, &line)) == 1) {
		struct pf_entry one = { .line = line };

		one.key = blank_word(&s);
		one.value = s;
		one.bad = s.n == 0;
		v = room(a, v, *n, sizeof(*v));
		v[(*n)++] = one;
	}
	*out = v;
	return rc;
}

/* "/pattern/flags": s begins at its delimiter; false: it does not end. */
static bool
delimited(struct span *s, struct span *pattern, struct span *flags)
{
	char d = s->n ? s->p[0] : '\0';
	size_t i = 1, n = 0;

	if (s->n < 2 || ascii_is_wsp(d) || (unsigned char)d >= 128 || (d >= 'a' && d <= 'z') || (d >= 'A' && d <= 'Z') ||
	    (d >= '0' && d <= '9'))
		return false;
	while (i < s->n && s->p[i] != d)
		i += s->p[i] == '\\' && i + 1 < s->n ? 2 : 1;
	if (i >= s->n)
		return false;
	*pattern = span_sub(*s, 1, i - 1);
	*s = span_from(*s, i + 1);
	while (n < s->n && !ascii_is_wsp(s->p[n]))
		n++;
	*flags = span_sub(*s, 0, n);
	*s = span_trim(span_from(*s, n));
	return true;
}

int
pf_rules(struct arena *a, struct span text, struct pf_rule **out, size_t *n)
{
	struct lines l = { .a = a, .text = text, .line = 1 };
	struct pf_rule *v = NULL;
	struct span s;
	uint32_t line;
	int rc;

	*n = 0;
	while ((rc = next_line(&l, &s, &line)) == 1) {
		struct pf_rule one = { .kind = PF_MATCH, .whole = s, .line = line };

		if (span_is_nocase(s, "endif")) {
			one.kind = PF_ENDIF;
		} else {
			if (span_starts_nocase(s, SPAN_LIT("if")) && s.n > 2 && (ascii_is_wsp(s.p[2]) ||
			    s.p[2] == '/' || s.p[2] == '!')) {
				one.kind = PF_IF;
				s = span_trim(span_from(s, 2));
			}
			if (s.n && s.p[0] == '!') {
				one.negate = true;
				s = span_trim(span_from(s, 1));
			}
			if (!delimited(&s, &one.pattern, &one.flags))
				one.kind = PF_BAD;
			one.verb = blank_word(&s);
			one.text = s;
			if (one.kind == PF_MATCH && one.verb.n == 0)
				one.kind = PF_BAD;
		}
		v = room(a, v, *n, sizeof(*v));
		v[(*n)++] = one;
	}
	*out = v;
	return rc;
}
