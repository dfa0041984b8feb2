/* record_words.c -- see record_words.h.
 *
 * Every message passes here, so its record is walked over once, without a tree.
 */
#include "json_scan.h"
#include "store/record_words.h"


static void
add(struct arena *a, struct span **v, size_t *n, struct span name)
{
	if (name.n == 0 || *n == RECORD_NAMES_MAX)
		return;
	/* 4, 8, 16 …: as much room as there is now, and a new one. */
	if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0))
		*v = arena_grow(a, *v, *n * sizeof(**v), (*n ? 2 * *n : 4) * sizeof(**v));
	(*v)[(*n)++] = name;
}

static void
take_files(struct json_scan *s, struct arena *a, struct record_words *w)
{
	struct span key, name;

	if (!json_scan_array(s))
		return;
	while (json_scan_item(s)) {
		if (!json_scan_object(s))
			continue;
		while (json_scan_member(s, &key))
			if (!span_is(key, "name"))
				json_scan_skip(s);
			else if (json_scan_text(s, a, &name))
				add(a, &w->files, &w->nfiles, name);
	}
}

static bool
known(const struct record_words *w, struct span rule)
{
	for (size_t i = 0; i < w->nrules; i++)
		if (span_eq(w->rules[i], rule))
			return true;
	return false;
}

static void
take_rules(struct json_scan *s, struct arena *a, struct record_words *w)
{
	struct span rule;

	if (!json_scan_array(s))
		return;
	while (json_scan_item(s))
		if (json_scan_text(s, a, &rule) && !known(w, rule))
			add(a, &w->rules, &w->nrules, rule);
}

static void
take_recipients(struct json_scan *s, struct arena *a, struct record_words *w)
{
	struct span key;

	if (!json_scan_array(s))
		return;
	while (json_scan_item(s)) {
		if (!json_scan_object(s))
			continue;
		while (json_scan_member(s, &key))
			if (span_is(key, "rules"))
				take_rules(s, a, w);
			else
				json_scan_skip(s);
	}
}

void
record_words(struct span record, struct arena *a, struct record_words *w)
{
	struct json_scan s;
	struct span key;

	*w = (struct record_words){ 0 };
	json_scan_init(&s, record);
	if (!json_scan_object(&s))
		return;
	while (json_scan_member(&s, &key))
		if (span_is(key, "subject"))
			json_scan_text(&s, a, &w->subject);
		else if (span_is(key, "parts"))
			take_files(&s, a, w);
		else if (span_is(key, "recipients"))
			take_recipients(&s, a, w);
		else
			json_scan_skip(&s);
}
