/* usage.c -- see usage.h.
 *
 * A line is a form ("queue show SELECTOR [--limit N]"), goes on with one (four blanks and more), or explains (two).
 */
#include <string.h>

#include "cli/usage.h"

static bool
lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* "en|fr": words in small letters, each not empty. */
static bool
are_words(struct span s)
{
	char before = '|';

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '|' ? before == '|' : !lower(s.p[i]) || (before == '|' && s.p[i] == '-'))
			return false;
		before = s.p[i];
	}
	return s.n > 0 && before != '|';
}

static bool
is_file(struct span s)
{
	static const char *const kinds[] = { "FILE", "DIR", "FOLDER", "SOURCE", "INDEX" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (span_starts(s, span_str(kinds[i])))
			return true;
	return false;
}

static void
add_word(struct usage *u, struct span w)
{
	for (size_t i = 0; i < u->nwords; i++)
		if (span_eq(u->words[i], w))
			return;
	if (u->nwords < USAGE_WORDS_MAX)
		u->words[u->nwords++] = w;
}

static struct span
token(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != ' ' && s.p[n] != ']')
		n++;
	return span_sub(s, 0, n);
}

/* s begins at the option's dashes. */
static size_t
add_option(struct usage *u, struct span s)
{
	struct usage_option o = { 0 };
	struct span value;
	size_t n = 2;

	while (n < s.n && lower(s.p[n]))
		n++;
	o.name = span_sub(s, 0, n);
	if (n < s.n && s.p[n] == ' ') {
		value = token(span_from(s, n + 1));
		for (size_t i = 0; i + 2 < value.n; i++)	/* "FILE|--key FILE" */
			if (value.p[i] == '|' && value.p[i + 1] == '-')
				value.n = i;
		if (value.n && value.p[0] != '-' && value.p[0] != '[' && value.p[0] != '|') {
			o.value = is_file(value) ? USAGE_FILE : are_words(value) ? USAGE_WORDS : USAGE_ANY;
			o.words = value;
			/* "queue fail SELECTOR [--silent] [--yes]" has no value; a word that stands alone is the next one. */
			if (o.value == USAGE_WORDS && span_find(value, '|') == value.n)
				o.value = USAGE_ANY;
		}
	}
	for (size_t i = 0; i < u->noptions; i++)
		if (span_eq(u->options[i].name, o.name)) {
			if (u->options[i].value == USAGE_NONE)
				u->options[i] = o;
			return n;
		}
	if (u->noptions < USAGE_OPTIONS_MAX)
		u->options[u->noptions++] = o;
	return n;
}

static void
form(struct usage *u, struct span line)
{
	for (size_t i = 0; i < line.n;) {
		struct span s = span_from(line, i);

		if (span_starts(s, SPAN_LIT("--")) && s.n > 2 && s.p[2] >= 'a' && s.p[2] <= 'z') {
			i += add_option(u, s);
			continue;
		}
		if ((i == 0 || !lower(line.p[i - 1])) && is_file(s))
			u->files = true;
		i++;
	}
}

/* Behind the command's own name: "list|show", "[list]". */
static void
first_words(struct usage *u, struct span s)
{
	struct span w = span_from(s, span_find(s, ' ') + 1);

	if (w.n && w.p[0] == '[')
		w = span_from(w, 1);
	w = token(w);
	if (!are_words(w))
		return;
	while (w.n) {
		struct span one = span_sub(w, 0, span_find(w, '|'));

		add_word(u, one);
		w = span_from(w, one.n + 1);
	}
}

void
usage_parse(const struct command *c, struct usage *out)
{
	struct span text = span_str(c->usage);

	*out = (struct usage){ 0 };
	while (text.n) {
		struct span line = span_sub(text, 0, span_find(text, '\n'));

		text = span_from(text, line.n + 1);
		if (line.n && line.p[0] != ' ')
			first_words(out, line);
		else if (!span_starts(line, SPAN_LIT("    ")))
			continue;
		form(out, line);
	}
}
