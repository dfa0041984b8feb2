/* conf.c -- YAML into a tree where every node knows its place; see conf.h.
 *
 * Three passes over hostile or tired text. First the bytes: UTF-8 and
 * printable, or nothing else is tried; this pass also notes where lines
 * begin. NEL, LS and PS are refused there because libyaml counts them as line
 * ends and no editor does. Then libyaml's events, stopped at the first nesting
 * beyond 32: its scanner takes time square to the depth (200 kB of "[" held
 * it for minutes). Where libyaml itself gives up, explain() looks at the
 * place and says what the admin probably meant; it cannot go on from there,
 * so such an error is the last of its file.
 *
 * What libyaml lets pass is refused here: keys given twice, anchors, aliases,
 * tags, `<<`, several documents.
 */
#include <stdio.h>
#include <yaml.h>

#include "conf.h"
#include "table.h"
#include "utf8.h"

#define FILE_MAX ((size_t)4 << 20)
#define DEPTH_MAX 32
#define KEYS_LINEAR 16		/* maps with more keys look for doubles in a table */

struct reader {
	yaml_parser_t yaml;
	struct diags *d;
	const struct conf_file *file;
	bool stopped;
	size_t duplicates;	/* errors that leave a whole tree */
	/* The scalar read last: the usual culprit when libyaml stops behind it. */
	yaml_mark_t last_start, last_end;
	bool last_quoted;
};

/* --- first pass: bytes --- */

static bool
bad_byte(struct diags *d, const struct conf_file *file, size_t at, uint32_t line, uint32_t column)
{
	struct span t = file->text;
	const char *hint = "save the file as UTF-8";
	uint32_t c;

	if (utf8_next(t.p + at, t.n - at, &c) == 0) {
		if (span_starts(t, SPAN_LIT("\xff\xfe")) || span_starts(t, SPAN_LIT("\xfe\xff")))
			diag_place(d, DIAG_ERROR, file, line, column, 1, hint,
			    "the file is UTF-16, not UTF-8");
		else
			diag_place(d, DIAG_ERROR, file, line, column, 1, hint,
			    "byte 0x%02X is not UTF-8", (unsigned char)t.p[at]);
	} else if (c == 0)
		diag_place(d, DIAG_ERROR, file, line, column, 1, "is this a text file?",
		    "a NUL byte");
	else
		diag_place(d, DIAG_ERROR, file, line, column, 1, "remove it",
		    "an invisible character, U+%04X", c);
	return false;
}

/* What YAML calls printable, less the line ends that nobody sees. */
static bool
allowed(uint32_t c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r' ||
	    (c >= 0xa0 && c <= 0xfffd && c != 0x2028 && c != 0x2029 && c != 0xfeff) ||
	    c >= 0x10000;
}

/* Fills file->lines; false when the text is not even text. */
static bool
read_bytes(struct diags *d, struct conf_file *file)
{
	struct span t = file->text;
	size_t cap = 64, n = 1;
	uint32_t *lines = arena_array(d->arena, cap, sizeof(*lines));
	uint32_t column = 1, c;

	for (size_t at = 0; at < t.n; ) {
		size_t len = utf8_next(t.p + at, t.n - at, &c);

		if (len == 0 || !allowed(c))
			return bad_byte(d, file, at, (uint32_t)n, column);
		at += len;
		column++;
		if (c != '\n' && !(c == '\r' && !(at < t.n && t.p[at] == '\n')))
			continue;
		if (n == cap) {
			lines = arena_grow(d->arena, lines, cap * sizeof(*lines),
			    cap * 2 * sizeof(*lines));
			cap *= 2;
		}
		lines[n++] = (uint32_t)at;
		column = 1;
	}
	file->lines = lines;
	file->nlines = n;
	return true;
}

/* --- when libyaml stops --- */

/* What stands at a mark: the rest of its line. */
static struct span
source_at(const struct reader *r, yaml_mark_t m)
{
	struct span s = conf_line(r->file, (uint32_t)m.line + 1);
	uint32_t c;

	for (size_t i = 0; i < m.column && s.n; i++) {
		size_t n = utf8_next(s.p, s.n, &c);

		s = span_from(s, n ? n : 1);
	}
	return s;
}

static struct span
source_before(const struct reader *r, yaml_mark_t m)
{
	struct span s = conf_line(r->file, (uint32_t)m.line + 1);

	s.n -= source_at(r, m).n;
	return s;
}

static size_t
indentation(const struct reader *r, yaml_mark_t m)
{
	struct span s = conf_line(r->file, (uint32_t)m.line + 1);
	size_t n = 0;

	while (n < s.n && ascii_is_wsp(s.p[n]))
		n++;
	return n;
}

static uint32_t
characters(struct span s)
{
	uint32_t n = 0, c;

	for (; s.n; n++) {
		size_t len = utf8_next(s.p, s.n, &c);

		s = span_from(s, len ? len : 1);
	}
	return n;
}

/* The word at s: up to a space or a character that ends flow values. */
static struct span
word_at(struct span s)
{
	size_t n = 0;

	while (n < s.n && n < 60 && !ascii_is_wsp(s.p[n]) && !strchr(",]}", s.p[n]))
		n++;
	return span_sub(s, 0, n ? n : s.n ? 1 : 0);
}

/* libyaml ends a last line that has no line end, and marks the line behind it. */
static yaml_mark_t
inside(const struct reader *r, yaml_mark_t m)
{
	if (m.line >= r->file->nlines) {
		m.line = r->file->nlines - 1;
		m.column = characters(conf_line(r->file, (uint32_t)r->file->nlines));
	}
	return m;
}

static void
say(struct reader *r, yaml_mark_t m, uint32_t width, const char *hint, const char *text)
{
	m = inside(r, m);
	diag_place(r->d, DIAG_ERROR, r->file, (uint32_t)m.line + 1, (uint32_t)m.column + 1, width,
	    hint, "%s", text);
}

#define TEXT(...) arena_printf(r->d->arena, __VA_ARGS__)

/* What should stand in quotes: in brackets up to the comma, else the rest of the line. */
static struct span
value_at(const struct reader *r, yaml_mark_t m)
{
	struct span s = source_at(r, m);
	size_t n = 0;

	if (r->yaml.flow_level > 0)
		return word_at(s);
	while (n < s.n && !(s.p[n] == ':' && (n + 1 == s.n || ascii_is_wsp(s.p[n + 1]))) &&
	    !(n > 0 && s.p[n] == '#' && ascii_is_wsp(s.p[n - 1])))
		n++;
	s = span_trim(span_sub(s, 0, n));
	return s.n > 60 ? word_at(s) : s;
}

static void
say_needs_quotes(struct reader *r, yaml_mark_t m)
{
	struct span v = value_at(r, m);
	const char *q = span_find(v, '\'') < v.n ? "\"" : "'";
	char c = v.n ? v.p[0] : ' ';

	say(r, m, characters(v), TEXT("put it in quotes: %s" SPAN_FMT "%s", q, SPAN_ARG(v), q),
	    c == '`' ? "a value cannot begin with a backtick" :
	    TEXT("a value cannot begin with `%c`", c));
}

static void
say_tab(struct reader *r, yaml_mark_t m)
{
	struct span before = source_before(r, m), at = source_at(r, m);
	uint32_t width = 0;

	/* The mark may stand on the tab or behind it; show all of them. */
	while (before.n && before.p[before.n - 1] == '\t' && m.column > 0) {
		before.n--;
		m.column--;
		width++;
	}
	while (at.n && at.p[0] == '\t') {
		at = span_from(at, 1);
		width++;
	}
	say(r, m, width, "indent with spaces", "a tab is used for indentation");
}

/* Is there "key: " or "'key':" on the line in front of the colon at m? */
static bool
colon_before(const struct reader *r, yaml_mark_t m)
{
	struct span s = source_before(r, m);

	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == ':' && ascii_is_wsp(s.p[i + 1]))
			return true;
	return false;
}

static void
say_colon(struct reader *r, yaml_mark_t m)
{
	if (colon_before(r, m))
		say(r, m, 1, "put the whole value in quotes",
		    "a `: ` inside a value that is not in quotes");
	else
		say(r, m, 1, "is this line indented too far?",
		    "a key cannot stand below a value");
}

static void
say_escape(struct reader *r, yaml_mark_t m, bool digits)
{
	struct span s = source_at(r, m);

	/* With missing digits the mark is behind "\x". */
	if (digits && m.column >= 2) {
		m.column -= 2;
		s = source_at(r, m);
		say(r, m, 2, "use single quotes: there `\\` is only a backslash",
		    TEXT("`" SPAN_FMT "` in double quotes must be followed by hexadecimal digits",
			SPAN_ARG(span_sub(s, 0, 2))));
		return;
	}
	say(r, m, 2, "use single quotes: there `\\` is only a backslash",
	    TEXT("`" SPAN_FMT "` means nothing in double quotes",
		SPAN_ARG(s.n > 1 && (unsigned char)s.p[1] < 0x80 ? span_sub(s, 0, 2) :
		span_sub(s, 0, 1))));
}

/* Text behind a closing quote; or, when that quote ran over lines, a quote that was
 * meant to close much earlier. false: the last scalar has nothing to do with it. */
static bool
said_quote(struct reader *r, yaml_mark_t m)
{
	struct span q = source_at(r, r->last_start);

	if (!r->last_quoted || m.line != r->last_end.line || m.column < r->last_end.column ||
	    q.n == 0 || source_at(r, m).n == 0)
		return false;
	if (r->last_start.line != r->last_end.line) {
		say(r, r->last_start, 1, TEXT("it ends only in line %zu", r->last_end.line + 1),
		    TEXT("the closing `%c` is missing", q.p[0]));
		return true;
	}
	say(r, m, characters(word_at(source_at(r, m))),
	    q.p[0] == '\'' ? "the whole value goes in quotes; a `'` inside is written `''`" :
	    "the whole value goes in quotes; a `\"` inside is written `\\\"`",
	    "text behind the closing quote");
	return true;
}

static void
say_flow(struct reader *r, yaml_mark_t open, yaml_mark_t m)
{
	struct span at = source_at(r, m), begin = source_at(r, open);
	char bracket = begin.n ? begin.p[0] : '[', close = bracket == '{' ? '}' : ']';
	char c = at.n ? at.p[0] : '\0';

	if (m.line > open.line && (c == '\0' || indentation(r, m) <= indentation(r, open))) {
		say(r, open, 1, TEXT("`%c` is missing", close),
		    TEXT("this `%c` is never closed", bracket));
		return;
	}
	if (c == ':') {
		say_colon(r, m);
		return;
	}
	if (c != '"' && c != '\'' && said_quote(r, m))
		return;
	if (c == '\0') {
		say(r, open, 1, TEXT("`%c` is missing", close),
		    TEXT("this `%c` is never closed", bracket));
		return;
	}
	say(r, m, 1, m.line > open.line ? TEXT("the `%c` is in line %zu", bracket, open.line + 1) :
	    NULL, TEXT("`,` or `%c` is missing here", close));
}

static void
say_missing_colon(struct reader *r, yaml_mark_t key)
{
	struct span line = span_trim(source_at(r, key));
	size_t colon = span_find(line, ':');

	if (colon > 0 && colon + 1 < line.n && line.n <= 60)
		say(r, key, characters(line), TEXT("`" SPAN_FMT ": " SPAN_FMT "`?",
		    SPAN_ARG(span_sub(line, 0, colon)), SPAN_ARG(span_from(line, colon + 1))),
		    "a space is missing behind the colon");
	else
		say(r, key, characters(line), "expected `key: value`", "`:` is missing");
}

/* The error libyaml stopped with, in the words of who wrote the file. */
static void
explain(struct reader *r)
{
	const yaml_parser_t *y = &r->yaml;
	const char *problem = y->problem ? y->problem : "unknown";
	const char *context = y->context ? y->context : "";
	yaml_mark_t m = y->problem_mark, cm = y->context_mark;
	struct span at = source_at(r, m), cat = source_at(r, cm);
	char c = at.n ? at.p[0] : '\0', cc = cat.n ? cat.p[0] : '\0';

	ASSERT(y->error != YAML_MEMORY_ERROR);
	if (strstr(problem, "tab character") ||
	    (strstr(problem, "cannot start any token") && c == '\t'))
		say_tab(r, m);
	else if (strstr(problem, "cannot start any token"))
		say_needs_quotes(r, m);
	else if (strstr(problem, "mapping values are not allowed"))
		say_colon(r, m);
	else if (strstr(problem, "unknown escape"))
		say_escape(r, m, false);
	else if (strstr(problem, "hexdecimal") || strstr(problem, "Unicode character escape"))
		say_escape(r, m, true);
	else if (strstr(context, "quoted scalar"))
		say(r, cm, 1, NULL, "this quote is never closed");
	else if (strstr(problem, "could not find expected ':'"))
		say_missing_colon(r, cm);
	else if (strstr(context, "directive") && cc == '%')
		say_needs_quotes(r, cm);
	else if (strstr(context, "block scalar") && (cc == '>' || cc == '|'))
		say_needs_quotes(r, cm);
	else if (strstr(context, "alias") || strstr(context, "anchor") || strstr(context, "tag"))
		say_needs_quotes(r, cm);
	else if (c == '!')
		say_needs_quotes(r, m);
	else if (strstr(problem, "block sequence entries"))
		say(r, m, 1, "put it on a line of its own, or write `[a, b]`",
		    "a list entry `- ` cannot stand here");
	else if (strstr(problem, "mapping keys are not allowed"))
		say_needs_quotes(r, m);
	else if (strstr(problem, "expected ',' or"))
		say_flow(r, cm, m);
	else if (c == ':' && strstr(problem, "did not find expected"))
		say(r, m, 1, NULL, "the key is missing before `:`");
	else if (strstr(problem, "node content"))
		say(r, m, 1, NULL, c ? TEXT("a value is missing before `%c`", c) :
		    "a value is missing here");
	else if (said_quote(r, m))
		;
	else if (c == ']' || c == '}' || c == ',')
		say(r, m, 1, NULL, TEXT("`%c` without a bracket before it", c));
	else if (strstr(problem, "expected '-'"))
		say(r, m, 1, TEXT("the list began in line %zu", cm.line + 1),
		    "expected another list entry `- `");
	else if (strstr(problem, "document start") && r->file->text.n && r->file->text.p[0] == '%')
		say(r, (yaml_mark_t){ 0 }, characters(word_at(r->file->text)), "leave the line out",
		    "directives (`%`) are not used here");
	else if (strstr(problem, "expected key") || strstr(problem, "document start"))
		say(r, m, characters(word_at(at)), "align it with the key it belongs to",
		    "the indentation fits nothing above");
	else
		say(r, m, 1, NULL, TEXT("not YAML: %s%s%s", context, *context ? ": " : "", problem));
}

/* --- the tree --- */

/* The next event, which the caller deletes; false when reading is over. */
static bool
next_event(struct reader *r, yaml_event_t *ev)
{
	/* A file with that many errors is another kind of file; and looking at the place of
	 * each, on one line of 4 MiB, would take time square to its length. */
	if (r->d->errors > DIAGS_MAX)
		r->stopped = true;
	if (r->stopped)
		return false;
	if (!yaml_parser_parse(&r->yaml, ev)) {
		explain(r);
		r->stopped = true;
		return false;
	}
	if (ev->type == YAML_SCALAR_EVENT) {
		r->last_start = ev->start_mark;
		r->last_end = ev->end_mark;
		r->last_quoted = ev->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
		    ev->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	}
	return true;
}

static uint32_t
span_of_marks(const struct reader *r, yaml_mark_t start, yaml_mark_t end)
{
	uint32_t n;

	if (start.line == end.line)
		n = (uint32_t)(end.column - start.column);
	else
		n = characters(span_trim(source_at(r, start)));
	return n ? n : 1;
}

static struct conf_node *
node_new(struct reader *r, enum conf_kind kind, yaml_mark_t start, yaml_mark_t end)
{
	struct conf_node *n = arena_zalloc(r->d->arena, sizeof(*n));

	start = inside(r, start);
	end = inside(r, end);
	n->kind = kind;
	n->file = r->file;
	n->line = (uint32_t)start.line + 1;
	n->column = (uint32_t)start.column + 1;
	n->width = span_of_marks(r, start, end);
	n->text = SPAN_LIT("");
	return n;
}

static void
refuse_properties(struct reader *r, const yaml_event_t *ev, const yaml_char_t *anchor,
    const yaml_char_t *tag)
{
	if (anchor)
		say(r, ev->start_mark, (uint32_t)strlen((const char *)anchor) + 1, "use `groups:`",
		    TEXT("anchors (`&%s`) are not used here", (const char *)anchor));
	if (tag)
		say(r, ev->start_mark, characters(word_at(source_at(r, ev->start_mark))),
		    "a text that begins with `!` goes in quotes", "tags are not used here");
}

static struct conf_node *
read_scalar(struct reader *r, const yaml_event_t *ev)
{
	struct conf_node *n = node_new(r, CONF_SCALAR, ev->start_mark, ev->end_mark);
	yaml_scalar_style_t style = ev->data.scalar.style;

	n->quoted = style != YAML_PLAIN_SCALAR_STYLE;
	if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE)
		n->width = 1;
	n->text = arena_span(r->d->arena,
	    span_make((const char *)ev->data.scalar.value, ev->data.scalar.length));
	refuse_properties(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
	if (span_find(n->text, '\0') < n->text.n)
		diag_at(r->d, DIAG_ERROR, n, NULL, "a NUL character in a text");
	return n;
}

static struct conf_node *read_node(struct reader *r, yaml_event_t *ev, unsigned depth);

static void
append(struct conf_node *parent, struct conf_node **last, struct conf_node *child)
{
	if (*last)
		(*last)->next = child;
	else
		parent->first = child;
	*last = child;
	parent->count++;
}

/* Remembers the keys of one map; the node that had this key first, or NULL. */
static struct conf_node *
key_seen(const struct conf_node *map, struct table **keys, struct conf_node *n)
{
	struct conf_node *was;

	if (map->count < KEYS_LINEAR) {
		CONF_EACH(other, map)
			if (span_eq(other->key, n->key))
				return other;
		return NULL;
	}
	if (*keys == NULL) {
		*keys = table_new();
		CONF_EACH(other, map)
			table_put(*keys, other->key, other);
	}
	if ((was = table_get(*keys, n->key)) == NULL)
		table_put(*keys, n->key, n);
	return was;
}

/* One key and its value; NULL when reading is over. ev is the key's event. */
static struct conf_node *
read_pair(struct reader *r, const struct conf_node *map, struct table **keys, yaml_event_t *ev,
    unsigned depth)
{
	struct conf_node *key, *n, *was;
	bool plain = ev->type == YAML_SCALAR_EVENT;
	yaml_event_t value;

	/* A whole map or list as a key, or an alias. */
	if (!plain && ev->type != YAML_ALIAS_EVENT)
		say(r, ev->start_mark, 1, "did you mean a value? text with brackets goes in quotes",
		    "a key must be a text");
	if ((key = read_node(r, ev, depth)) == NULL || !next_event(r, &value))
		return NULL;
	if ((n = read_node(r, &value, depth)) == NULL)
		return NULL;
	n->key = key->text;
	n->key_line = key->line;
	n->key_column = key->column;
	n->key_width = key->width;
	if (!plain)
		return n;
	if (!key->quoted && span_is(key->text, "<<"))
		diag_key(r->d, DIAG_ERROR, n, "use `groups:`", "`<<` is not used here");
	else if (key->text.n == 0)
		diag_key(r->d, DIAG_ERROR, n, NULL, "the key is missing before `:`");
	else if ((was = key_seen(map, keys, n)) != NULL) {
		diag_key(r->d, DIAG_ERROR, n, arena_printf(r->d->arena, "first in line %u",
		    was->key_line), "key `" SPAN_FMT "` given twice",
		    SPAN_ARG(span_sub(key->text, 0, 60)));
		r->duplicates++;
	}
	return n;
}

static struct conf_node *
read_list(struct reader *r, const yaml_event_t *ev, unsigned depth)
{
	struct conf_node *list = node_new(r, CONF_LIST, ev->start_mark, ev->end_mark);
	struct conf_node *last = NULL, *n;
	bool flow = ev->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	yaml_event_t item;

	refuse_properties(r, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
	list->width = 1;
	for (;;) {
		if (!next_event(r, &item))
			return NULL;
		if (item.type == YAML_SEQUENCE_END_EVENT)
			break;
		if ((n = read_node(r, &item, depth + 1)) == NULL)
			return NULL;
		append(list, &last, n);
	}
	if (flow && item.end_mark.line == ev->start_mark.line)
		list->width = span_of_marks(r, ev->start_mark, item.end_mark);
	yaml_event_delete(&item);
	return list;
}

static struct conf_node *
read_map(struct reader *r, const yaml_event_t *ev, unsigned depth)
{
	struct conf_node *map = node_new(r, CONF_MAP, ev->start_mark, ev->end_mark);
	struct conf_node *last = NULL, *n = NULL;
	struct table *keys = NULL;
	bool flow = ev->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE, whole = false;
	yaml_event_t key;

	refuse_properties(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
	map->width = 1;
	while (next_event(r, &key)) {
		if (key.type == YAML_MAPPING_END_EVENT) {
			whole = true;
			break;
		}
		if ((n = read_pair(r, map, &keys, &key, depth + 1)) == NULL)
			break;
		append(map, &last, n);
	}
	table_free(&keys);
	if (!whole)
		return NULL;
	if (flow && key.end_mark.line == ev->start_mark.line)
		map->width = span_of_marks(r, ev->start_mark, key.end_mark);
	else if (!flow && map->first && map->first->key_line == map->line)
		map->width = map->first->key_width;	/* a block map is shown by its first key */
	yaml_event_delete(&key);
	return map;
}

/* Deletes ev. depth: containers around this node. NULL when reading is over. */
static struct conf_node *
read_node(struct reader *r, yaml_event_t *ev, unsigned depth)
{
	struct conf_node *n = NULL;

	if (ev->type == YAML_SCALAR_EVENT)
		n = read_scalar(r, ev);
	else if (ev->type == YAML_ALIAS_EVENT) {
		say(r, ev->start_mark, (uint32_t)strlen((char *)ev->data.alias.anchor) + 1,
		    "use `groups:`; a text that begins with `*` goes in quotes",
		    TEXT("aliases (`*%s`) are not used here", (char *)ev->data.alias.anchor));
		n = node_new(r, CONF_SCALAR, ev->start_mark, ev->end_mark);
		n->quoted = true;
	} else if (depth >= DEPTH_MAX) {
		say(r, ev->start_mark, 1, NULL, TEXT("nested deeper than %d levels", DEPTH_MAX));
		r->stopped = true;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT)
		n = read_list(r, ev, depth);
	else if (ev->type == YAML_MAPPING_START_EVENT)
		n = read_map(r, ev, depth);
	else
		ASSERT(!"an event that begins no node");
	yaml_event_delete(ev);
	return n;
}

/* The root of the only document; NULL for an empty stream (r->stopped false). */
static struct conf_node *
read_stream(struct reader *r)
{
	struct conf_node *root = NULL;
	unsigned documents = 0;
	yaml_event_t ev;

	while (next_event(r, &ev)) {
		bool over = ev.type == YAML_STREAM_END_EVENT;

		if (ev.type == YAML_DOCUMENT_START_EVENT) {
			if (documents++ > 0) {
				say(r, ev.start_mark, 3, "put it in a file of its own",
				    "a second document begins here");
				r->stopped = true;
			}
		} else if (ev.type != YAML_STREAM_START_EVENT && ev.type != YAML_DOCUMENT_END_EVENT &&
		    !over) {
			if ((root = read_node(r, &ev, 0)) == NULL)
				return NULL;
			continue;
		}
		yaml_event_delete(&ev);
		if (over)
			break;
	}
	return root;
}

struct conf_node *
conf_parse(const char *name, struct span text, struct diags *d)
{
	struct conf_file *file = arena_zalloc(d->arena, sizeof(*file));
	struct reader r = { .d = d, .file = file };
	size_t errors = d->errors;
	struct conf_node *root;

	file->name = arena_str(d->arena, span_str(name));
	if (text.n > FILE_MAX) {
		diag_place(d, DIAG_ERROR, file, 0, 0, 0, NULL,
		    "the file has %zu bytes; at most %zu are read", text.n, FILE_MAX);
		return NULL;
	}
	if (span_starts(text, SPAN_LIT("\xef\xbb\xbf")))
		text = span_from(text, 3);		/* a byte order mark, as Windows writes it */
	file->text = text;
	if (!read_bytes(d, file))
		return NULL;

	ASSERT(yaml_parser_initialize(&r.yaml));
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.yaml, (const unsigned char *)(text.p ? text.p : ""), text.n);
	root = read_stream(&r);
	yaml_parser_delete(&r.yaml);
	/* A key given twice leaves a tree worth checking further: all errors at once. */
	if (d->errors > errors + r.duplicates || r.stopped)
		return NULL;
	if (root == NULL || (root->kind == CONF_SCALAR && !root->quoted && root->text.n == 0)) {
		yaml_mark_t start = { 0 };

		root = node_new(&r, CONF_MAP, start, start);
	}
	return root;
}
