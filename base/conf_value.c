/* conf_value.c -- from nodes of text to the types of a schema; see conf.h.
 *
 * The schema decides: "no" is a text where text is asked and false where a
 * boolean is. Every error says what was expected and what stands there.
 */
#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "conf.h"
#include "utf8.h"

#define WORD_MAX 64		/* longer words are near to nothing */

/* --- grammars on bare text --- */

bool
parse_uint(struct span text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (text.n == 0)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
			return false;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

/* Digits at the front, taken off text. */
static bool
take_number(struct span *text, uint64_t *out)
{
	size_t n = 0;

	while (n < text->n && text->p[n] >= '0' && text->p[n] <= '9')
		n++;
	if (!parse_uint(span_sub(*text, 0, n), UINT64_MAX, out))
		return false;
	*text = span_from(*text, n);
	return true;
}

bool
parse_size(struct span text, uint64_t *bytes)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {
		{ "", 1 }, { "B", 1 },
		{ "kB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 },
		{ "TB", UINT64_C(1000000000000) },
		{ "KiB", UINT64_C(1) << 10 }, { "MiB", UINT64_C(1) << 20 },
		{ "GiB", UINT64_C(1) << 30 }, { "TiB", UINT64_C(1) << 40 },
	};
	uint64_t v;

	if (!take_number(&text, &v))
		return false;
	if (text.n > 1 && text.p[0] == ' ')
		text = span_from(text, 1);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!span_is_nocase(text, units[i].name))
			continue;
		if (__builtin_mul_overflow(v, units[i].factor, &v))
			return false;
		*bytes = v;
		return true;
	}
	return false;
}

/* "1h30m": each unit at most once, the larger first. A bare number but 0 says no unit, and
 * guessing one is how timeouts become a thousand times too long. */
bool
parse_duration(struct span text, int64_t *us)
{
	static const struct {
		const char *name;
		int64_t us;
	} units[] = {
		{ "w", 7 * 86400 * US_PER_SEC }, { "d", 86400 * US_PER_SEC },
		{ "h", 3600 * US_PER_SEC }, { "m", 60 * US_PER_SEC },
		{ "s", US_PER_SEC }, { "ms", 1000 },
	};
	const size_t nunits = sizeof(units) / sizeof(units[0]);
	size_t from = 0;
	int64_t sum = 0;

	if (span_is(text, "0")) {
		*us = 0;
		return true;
	}
	do {
		uint64_t v;
		int64_t part;
		size_t n = 0, i;

		if (!take_number(&text, &v))
			return false;
		while (n < text.n && text.p[n] >= 'a' && text.p[n] <= 'z')
			n++;
		for (i = from; i < nunits; i++)
			if (span_is(span_sub(text, 0, n), units[i].name))
				break;
		if (i == nunits || __builtin_mul_overflow(v, units[i].us, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return false;
		from = i + 1;
		text = span_from(text, n);
	} while (text.n);
	*us = sum;
	return true;
}

/* --- nearest name --- */

/* '-' and '_', and capitals, are the slips least worth a point. */
static char
fold(char c)
{
	return c == '-' ? '_' : ascii_lower(c);
}

/* Optimal string alignment: insert, delete, replace, swap neighbours. */
static size_t
distance(struct span a, struct span b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b.n; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			char x = fold(a.p[i - 1]), y = fold(b.p[j - 1]);
			size_t least = last[j - 1] + (x != y);

			if (last[j] + 1 < least)
				least = last[j] + 1;
			if (row[j - 1] + 1 < least)
				least = row[j - 1] + 1;
			if (i > 1 && j > 1 && x == fold(b.p[j - 2]) &&
			    fold(a.p[i - 2]) == y && before[j - 2] + 1 < least)
				least = before[j - 2] + 1;
			row[j] = least;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b.n];
}

const char *
conf_nearest(struct span word, const char *const *names)
{
	const char *best = NULL;
	size_t best_d = SIZE_MAX;

	if (word.n == 0 || word.n > WORD_MAX)
		return NULL;
	for (; *names; names++) {
		struct span name = span_str(*names);
		size_t longer = name.n > word.n ? name.n : word.n, d;

		if (name.n > WORD_MAX)
			continue;
		d = distance(word, name);
		/* One slip in three letters, never all of a short word. */
		if (d < best_d && d <= (longer + 2) / 3 && d < longer && d < name.n) {
			best_d = d;
			best = *names;
		}
	}
	return best;
}

/* --- nodes --- */

struct conf_node *
conf_get(const struct conf_node *map, const char *key)
{
	if (map == NULL || map->kind != CONF_MAP)
		return NULL;
	CONF_EACH(n, map)
		if (span_is(n->key, key))
			return n;
	return NULL;
}

/* Text for a message: not too long, cut between characters. */
static const char *
shown(struct diags *d, struct span s)
{
	size_t at = 0;
	uint32_t cp;

	while (at < s.n && at < 60) {
		size_t n = utf8_next(s.p + at, s.n - at, &cp);

		at += n ? n : 1;
	}
	return arena_printf(d->arena, "%s%s", arena_str(d->arena, span_sub(s, 0, at)),
	    at < s.n ? "..." : "");
}

static struct span
list_names(struct diags *d, const char *const *names)
{
	struct buf b;
	struct span s;

	buf_init(&b, 4096);
	for (size_t i = 0; names[i]; i++)
		buf_printf(&b, "%s`%s`", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
	s = arena_span(d->arena, buf_failed(&b) ? SPAN_LIT("another word") : buf_data(&b));
	buf_release(&b);
	return s;
}

void
conf_check_keys(struct diags *d, const struct conf_node *map, const char *where,
    const char *const *known)
{
	if (map == NULL || map->kind != CONF_MAP)
		return;
	CONF_EACH(n, map) {
		const char *near, *hint;
		bool found = false;
		size_t count = 0;

		for (; known[count] && !found; count++)
			found = span_is(n->key, known[count]);
		if (found)
			continue;
		if (d->errors >= DIAGS_MAX) {
			d->errors++;		/* counted, not shown: spare the search */
			continue;
		}
		near = conf_nearest(n->key, known);
		if (near)
			hint = arena_printf(d->arena, "did you mean `%s`?", near);
		else if (count > 0 && count <= 12)
			hint = arena_printf(d->arena, "expected %s", list_names(d, known).p);
		else
			hint = NULL;
		diag_key(d, DIAG_ERROR, n, hint, "unknown key `%s`%s%s%s", shown(d, n->key),
		    where ? " in `" : "", where ? where : "", where ? "`" : "");
	}
}

static bool
is_absent(const struct conf_node *n)
{
	return n->kind == CONF_SCALAR && !n->quoted && n->text.n == 0;
}

static void
unexpected(struct diags *d, const struct conf_node *n, const char *hint, const char *what)
{
	const char *key = n->key.n ? arena_printf(d->arena, "`%s`: ", shown(d, n->key)) : "";

	if (is_absent(n))
		diag_key(d, DIAG_ERROR, n, hint, "%sexpected %s, but nothing stands here", key, what);
	else if (n->kind == CONF_SCALAR)
		diag_at(d, DIAG_ERROR, n, hint, "%sexpected %s, found `%s`", key, what,
		    shown(d, n->text));
	else
		diag_at(d, DIAG_ERROR, n, hint, "%sexpected %s, found a %s", key, what,
		    n->kind == CONF_LIST ? "list" : "map");
}

bool
conf_want(struct diags *d, const struct conf_node *n, enum conf_kind kind, const char *what)
{
	static const char *const kinds[] = { "a text", "a list", "a map" };
	static const char *const hints[] = { NULL, "as in `[a, b]`", "as in `{key: value}`" };

	if (n == NULL)
		return false;
	if (n->kind == kind && !is_absent(n))
		return true;
	unexpected(d, n, n->kind == CONF_SCALAR ? hints[kind] : NULL, what ? what : kinds[kind]);
	return false;
}

bool
conf_text(struct diags *d, const struct conf_node *n, const char *what, struct span *out)
{
	if (!conf_want(d, n, CONF_SCALAR, what))
		return false;
	*out = n->text;
	return true;
}

bool
conf_bool(struct diags *d, const struct conf_node *n, bool *out)
{
	static const char *const yes[] = { "true", "yes", "on" };
	static const char *const no[] = { "false", "no", "off" };

	if (n == NULL)
		return false;
	for (size_t i = 0; i < 3 && n->kind == CONF_SCALAR; i++) {
		if (span_is_nocase(n->text, yes[i]) || span_is_nocase(n->text, no[i])) {
			*out = span_is_nocase(n->text, yes[i]);
			return true;
		}
	}
	unexpected(d, n, NULL, "`true` or `false`");
	return false;
}

bool
conf_uint(struct diags *d, const struct conf_node *n, uint64_t min, uint64_t max, uint64_t *out)
{
	char what[80];
	uint64_t v;

	if (n == NULL)
		return false;
	if (n->kind == CONF_SCALAR && parse_uint(n->text, max, &v) && v >= min) {
		*out = v;
		return true;
	}
	if (max != UINT64_MAX)
		snprintf(what, sizeof(what), "a number from %" PRIu64 " to %" PRIu64, min, max);
	else if (min > 0)
		snprintf(what, sizeof(what), "a number of at least %" PRIu64, min);
	else
		snprintf(what, sizeof(what), "a whole number");
	unexpected(d, n, NULL, what);
	return false;
}

bool
conf_size(struct diags *d, const struct conf_node *n, uint64_t *bytes)
{
	const char *hint = "as in `20MB` (20,000,000 bytes) or `20MiB` (20,971,520)";

	if (n == NULL)
		return false;
	if (n->kind == CONF_SCALAR && parse_size(n->text, bytes))
		return true;
	unexpected(d, n, hint, "a size");
	return false;
}

bool
conf_duration(struct diags *d, const struct conf_node *n, int64_t *us)
{
	const char *hint = "as in `30s`, `5m`, `1h`, `2d`, `1w`";
	uint64_t v;

	if (n == NULL)
		return false;
	if (n->kind == CONF_SCALAR && parse_duration(n->text, us))
		return true;
	if (n->kind == CONF_SCALAR && parse_uint(n->text, UINT32_MAX, &v))
		hint = arena_printf(d->arena, "the unit is missing: `%" PRIu64 "s`?", v);
	unexpected(d, n, hint, "a duration");
	return false;
}

bool
conf_enum(struct diags *d, const struct conf_node *n, const char *const *names, int *index)
{
	const char *near, *hint = NULL;

	if (n == NULL)
		return false;
	for (int i = 0; n->kind == CONF_SCALAR && names[i]; i++) {
		if (span_is(n->text, names[i])) {
			*index = i;
			return true;
		}
	}
	if (n->kind == CONF_SCALAR && (near = conf_nearest(n->text, names)) != NULL)
		hint = arena_printf(d->arena, "did you mean `%s`?", near);
	unexpected(d, n, hint, list_names(d, names).p);
	return false;
}
