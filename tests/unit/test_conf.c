/* test_conf.c -- YAML into a tree, its types, and its errors as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "conf.h"

static struct arena *a;
static struct diags d;

static int
setup(void **state)
{
	a = arena_new(0);
	diags_init(&d, a);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&a);
	return 0;
}

static struct conf_node *
parse(const char *text)
{
	return conf_parse("t.yaml", span_str(text), &d);
}

static const char *
printed(const char *trailer, bool colour)
{
	struct buf out;
	char *s;

	buf_init(&out, 1 << 20);
	diags_print(&d, &out, trailer, colour);
	assert_false(buf_failed(&out));
	s = arena_str(a, buf_data(&out));
	buf_release(&out);
	return s;
}

static void
tree(void **state)
{
	struct conf_node *root = parse(
	    "version: 1\n"
	    "# a comment\n"
	    "rules:\n"
	    "  - {id: \"a b\", when: {to: [x, 'y']}}\n"
	    "  - id: no\n"
	    "text: |\n"
	    "  one\n"
	    "  two\n"), *rules, *n;

	assert_non_null(root);
	assert_int_equal(d.errors + d.warnings, 0);
	assert_int_equal(root->kind, CONF_MAP);
	assert_int_equal(root->count, 3);
	assert_string_equal(root->file->name, "t.yaml");
	assert_int_equal(root->line, 1);
	assert_int_equal(root->column, 1);
	assert_int_equal(root->width, 7);

	n = conf_get(root, "version");
	assert_true(span_is(n->text, "1"));
	assert_int_equal(n->text.p[1], '\0');
	assert_false(n->quoted);
	assert_int_equal(n->line, 1);
	assert_int_equal(n->column, 10);
	assert_int_equal(n->width, 1);
	assert_int_equal(n->key_column, 1);
	assert_int_equal(n->key_width, 7);

	rules = conf_get(root, "rules");
	assert_int_equal(rules->kind, CONF_LIST);
	assert_int_equal(rules->count, 2);
	n = rules->first;
	assert_int_equal(n->key.n, 0);
	assert_int_equal(n->line, 4);
	assert_int_equal(n->column, 5);
	assert_int_equal(n->width, 33);
	n = conf_get(n, "id");
	assert_true(n->quoted);
	assert_true(span_is(n->text, "a b"));
	assert_int_equal(n->column, 10);
	assert_int_equal(n->width, 5);
	n = conf_get(conf_get(rules->first, "when"), "to");
	assert_int_equal(n->count, 2);
	assert_false(n->first->quoted);
	assert_true(n->first->next->quoted);
	/* Types come from the schema: "no" is the text "no". */
	assert_true(span_is(conf_get(rules->first->next, "id")->text, "no"));

	n = conf_get(root, "text");
	assert_true(span_is(n->text, "one\ntwo\n"));
	assert_true(n->quoted);
	assert_int_equal(n->width, 1);
	assert_null(conf_get(root, "nothing"));
	assert_null(conf_get(rules, "id"));
	assert_null(conf_get(NULL, "id"));
}

static void
empty_files(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# only\n", "---\n", "\xef\xbb\xbf" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct conf_node *root = parse(texts[i]);

		assert_non_null(root);
		assert_int_equal(root->kind, CONF_MAP);
		assert_int_equal(root->count, 0);
	}
	assert_non_null(conf_parse("t", span_make(NULL, 0), &d));
	assert_int_equal(d.errors, 0);
}

static void
lines_and_columns(void **state)
{
	/* Characters, not bytes; CRLF; a byte order mark is no character. */
	struct conf_node *root = parse("\xef\xbb\xbf\xc3\xa9t\xc3\xa9: [\xe2\x82\xac, x]\r\nb: 1\r\n"), *n;

	assert_non_null(root);
	n = root->first;
	assert_int_equal(n->key_width, 3);
	assert_int_equal(n->column, 6);
	assert_int_equal(n->first->next->column, 10);
	assert_int_equal(conf_get(root, "b")->line, 2);
	assert_true(span_is(conf_line(root->file, 2), "b: 1"));
	assert_int_equal(conf_line(root->file, 3).n, 0);
	assert_int_equal(conf_line(root->file, 99).n, 0);
	assert_int_equal(conf_line(root->file, 0).n, 0);
}

static void
lines_of_other_files(void **state)
{
	/* Without an index, as list files come. */
	struct conf_file f = { .name = "l.txt", .text = SPAN_LIT("a\r\nb\rc\n\nd") };

	assert_true(span_is(conf_line(&f, 1), "a"));
	assert_true(span_is(conf_line(&f, 2), "b"));
	assert_true(span_is(conf_line(&f, 3), "c"));
	assert_int_equal(conf_line(&f, 4).n, 0);
	assert_true(span_is(conf_line(&f, 5), "d"));
	assert_int_equal(conf_line(&f, 6).n, 0);
}

/* What is refused, each with its one error: where, text, hint. */
static void
refused(void **state)
{
	static const struct {
		const char *yaml;
		unsigned line, column, width;
		const char *text, *hint;
	} t[] = {
		/* What YAML allows and we do not. */
		{ "a: &x 1\n", 1, 4, 2, "anchors (`&x`) are not used here", "use `groups:`" },
		{ "a: *xy\n", 1, 4, 3, "aliases (`*xy`) are not used here",
		    "use `groups:`; a text that begins with `*` goes in quotes" },
		{ "a: !!str x\n", 1, 4, 5, "tags are not used here",
		    "a text that begins with `!` goes in quotes" },
		{ "a:\n  <<: b\n", 2, 3, 2, "`<<` is not used here", "use `groups:`" },
		{ "a: 1\n---\nb: 2\n", 2, 1, 3, "a second document begins here",
		    "put it in a file of its own" },
		{ "to: 1\nfrom: 2\n\"to\": 3\n", 3, 1, 4, "key `to` given twice", "first in line 1" },
		{ "? [a]\n: b\n", 1, 3, 1, "a key must be a text",
		    "did you mean a value? text with brackets goes in quotes" },
		{ "{'': b}\n", 1, 2, 2, "the key is missing before `:`", NULL },
		{ "a: \"x\\0y\"\n", 1, 4, 6, "a NUL character in a text", NULL },
		/* Where libyaml stops. */
		{ "g: [@example.org]\n", 1, 5, 12, "a value cannot begin with `@`",
		    "put it in quotes: '@example.org'" },
		{ "a: `x` y # c\n", 1, 4, 5, "a value cannot begin with a backtick",
		    "put it in quotes: '`x` y'" },
		{ "a: %d files\n", 1, 4, 8, "a value cannot begin with `%`",
		    "put it in quotes: '%d files'" },
		{ "%x: 1\n", 1, 1, 2, "a value cannot begin with `%`", "put it in quotes: '%x'" },
		{ "to: [*.example.org, b]\n", 1, 6, 13, "a value cannot begin with `*`",
		    "put it in quotes: '*.example.org'" },
		{ "spam: >= 12\n", 1, 7, 5, "a value cannot begin with `>`",
		    "put it in quotes: '>= 12'" },
		{ "a: & b\n", 1, 4, 3, "a value cannot begin with `&`", "put it in quotes: '& b'" },
		{ "t: Health: data\n", 1, 10, 1, "a `: ` inside a value that is not in quotes",
		    "put the whole value in quotes" },
		{ "{t: Health: data}\n", 1, 11, 1, "a `: ` inside a value that is not in quotes",
		    "put the whole value in quotes" },
		{ "a: b\n  c: d\n", 2, 4, 1, "a key cannot stand below a value",
		    "is this line indented too far?" },
		{ "a:\n\tb: 1\n", 2, 1, 1, "a tab is used for indentation", "indent with spaces" },
		{ "a: |\n\t\tb\n", 2, 1, 2, "a tab is used for indentation", "indent with spaces" },
		{ "p: \"\\bINV-\\d{4}\"\n", 1, 11, 2, "`\\d` means nothing in double quotes",
		    "use single quotes: there `\\` is only a backslash" },
		{ "p: \"C:\\users\"\n", 1, 7, 2,
		    "`\\u` in double quotes must be followed by hexadecimal digits",
		    "use single quotes: there `\\` is only a backslash" },
		{ "a: 1\nb: \"foo\nc: 2\n", 2, 4, 1, "this quote is never closed", NULL },
		{ "a: 'foo\nb: 'bar'\nc: 2\n", 1, 4, 1, "the closing `'` is missing",
		    "it ends only in line 2" },
		{ "a: 'it's'\n", 1, 8, 2, "text behind the closing quote",
		    "the whole value goes in quotes; a `'` inside is written `''`" },
		{ "to: [a, b\nfrom: x\n", 1, 5, 1, "this `[` is never closed", "`]` is missing" },
		{ "when: {a: b", 1, 7, 1, "this `{` is never closed", "`}` is missing" },
		{ "a: [\"b\" \"c\"]\n", 1, 9, 1, "`,` or `]` is missing here", NULL },
		{ "a: [x,,y]\n", 1, 7, 1, "a value is missing before `,`", NULL },
		{ "a: \"x\"]\nb: 1\n", 1, 7, 1, "text behind the closing quote",
		    "the whole value goes in quotes; a `\"` inside is written `\\\"`" },
		{ "a: 1\nfoo\nb: 2\n", 2, 1, 3, "`:` is missing", "expected `key: value`" },
		{ "a: 1\nfrom:group:dpo\nb: 2\n", 2, 1, 14, "a space is missing behind the colon",
		    "`from: group:dpo`?" },
		{ "k: - a\n", 1, 4, 1, "a list entry `- ` cannot stand here",
		    "put it on a line of its own, or write `[a, b]`" },
		{ "a:\n    b: 1\n  cd: 2\n", 3, 3, 3, "the indentation fits nothing above",
		    "align it with the key it belongs to" },
		{ "a:\n  - x\n  y: 2\n", 3, 3, 1, "expected another list entry `- `",
		    "the list began in line 2" },
		{ ": x\n", 1, 1, 1, "the key is missing before `:`", NULL },
		/* No text at all. */
		{ "a: 1\nb: \xe9t\xe9\n", 2, 4, 1, "byte 0xE9 is not UTF-8", "save the file as UTF-8" },
		{ "\xff\xfe" "a", 1, 1, 1, "the file is UTF-16, not UTF-8", "save the file as UTF-8" },
		{ "a: \x1b[31m\n", 1, 4, 1, "an invisible character, U+001B", "remove it" },
		{ "\xc3\xa9: x\xe2\x80\xa8y\n", 1, 5, 1, "an invisible character, U+2028", "remove it" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		diags_init(&d, a);
		/* A key given twice leaves a tree, so that other errors are found too. */
		if (strstr(t[i].text, "given twice"))
			assert_non_null(parse(t[i].yaml));
		else
			assert_null(parse(t[i].yaml));
		if (d.errors != 1 || strcmp(d.first->text, t[i].text) != 0)
			fail_msg("%s\n%s", t[i].yaml, printed(NULL, false));
		assert_int_equal(d.first->line, t[i].line);
		assert_int_equal(d.first->column, t[i].column);
		assert_int_equal(d.first->width, t[i].width);
		if (t[i].hint)
			assert_string_equal(d.first->hint, t[i].hint);
		else
			assert_null(d.first->hint);
	}
}

static void
nul_byte(void **state)
{
	assert_null(conf_parse("t", SPAN_LIT("a: 1\nb: \0x\n"), &d));
	assert_int_equal(d.errors, 1);
	assert_string_equal(d.first->text, "a NUL byte");
	assert_int_equal(d.first->line, 2);
	assert_int_equal(d.first->column, 4);
}

static void
several_at_once(void **state)
{
	assert_null(parse("a: &x 1\nb: *x\na: 2\nb: 3\n"));
	assert_int_equal(d.errors, 4);
}

static void
many_keys_given_twice(void **state)
{
	struct buf b;

	/* Beyond the few that are compared one by one. */
	buf_init(&b, 1 << 16);
	for (int i = 0; i < 100; i++)
		buf_printf(&b, "k%d: x\n", i);
	buf_puts(&b, "k3: y\nk99: z\nk100: w\n");
	assert_non_null(conf_parse("t", buf_data(&b), &d));
	assert_int_equal(d.errors, 2);
	assert_string_equal(d.first->text, "key `k3` given twice");
	assert_string_equal(d.first->hint, "first in line 4");
	assert_string_equal(d.first->next->text, "key `k99` given twice");
	buf_release(&b);
}

static void
depth_is_limited(void **state)
{
	char text[70];

	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	assert_non_null(conf_parse("t", span_make(text, 64), &d));
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	assert_null(conf_parse("t", span_make(text, 66), &d));
	assert_int_equal(d.errors, 1);
	assert_string_equal(d.first->text, "nested deeper than 32 levels");
	assert_int_equal(d.first->column, 33);
}

static void
deep_nesting_is_quick(void **state)
{
	static char text[200000];

	/* libyaml alone takes minutes: killed then. */
	memset(text, '[', sizeof(text));
	alarm(30);
	assert_null(conf_parse("t", span_make(text, sizeof(text)), &d));
	alarm(0);
	assert_int_equal(d.errors, 1);
}

static void
size_is_limited(void **state)
{
	static char text[(4 << 20) + 1];

	memset(text, ' ', sizeof(text));
	assert_non_null(conf_parse("t", span_make(text, 4 << 20), &d));
	assert_null(conf_parse("t", span_make(text, sizeof(text)), &d));
	assert_int_equal(d.errors, 1);
	assert_string_equal(printed(NULL, false), "error: the file has 4194305 bytes; at most "
	    "4194304 are read\n  --> t\n");
}

static void
errors_as_they_read(void **state)
{
	/* The example of the policy language, word by word. */
	struct conf_node *root;
	struct buf b;

	buf_init(&b, 4096);
	for (int i = 1; i < 45; i++)
		buf_puts(&b, "\n");
	buf_puts(&b, "rules:\n  - when:\n      recipient: webmail.example\n");
	root = conf_parse("policy.d/50-health.yaml", buf_data(&b), &d);
	assert_non_null(root);
	diag_key(&d, DIAG_ERROR, conf_get(conf_get(root, "rules")->first, "when")->first,
	    "did you mean `to`?  (`recipients` counts them)", "unknown key `%s` in `%s`",
	    "recipient", "when");
	assert_string_equal(printed("the running policy (7c1e) is unchanged", false),
	    "error: unknown key `recipient` in `when`\n"
	    "  --> policy.d/50-health.yaml:47:7\n"
	    "   |\n"
	    "47 |       recipient: webmail.example\n"
	    "   |       ^^^^^^^^^ did you mean `to`?  (`recipients` counts them)\n"
	    "   = the running policy (7c1e) is unchanged\n");
	buf_release(&b);
}

static void
sorted_and_levels(void **state)
{
	struct conf_node *root = conf_parse("b.yaml", SPAN_LIT("x: 1\ny: 2\n"), &d);
	struct conf_node *other = conf_parse("a.yaml", SPAN_LIT("z: 3\n"), &d);

	diag_at(&d, DIAG_WARNING, root->first->next, NULL, "second");
	diag_key(&d, DIAG_ERROR, root->first, "h", "first");
	diag_at(&d, DIAG_ERROR, other->first, NULL, "other file");
	diag_at(&d, DIAG_ERROR, NULL, "look around", "no place");
	assert_int_equal(d.errors, 3);
	assert_int_equal(d.warnings, 1);
	assert_string_equal(printed("kept", false),
	    "error: no place\n"
	    "   = look around\n"
	    "   = kept\n"
	    "\n"
	    "error: other file\n"
	    "  --> a.yaml:1:4\n"
	    "   |\n"
	    " 1 | z: 3\n"
	    "   |    ^\n"
	    "   = kept\n"
	    "\n"
	    "error: first\n"
	    "  --> b.yaml:1:1\n"
	    "   |\n"
	    " 1 | x: 1\n"
	    "   | ^ h\n"
	    "   = kept\n"
	    "\n"
	    "warning: second\n"
	    "  --> b.yaml:2:4\n"
	    "   |\n"
	    " 2 | y: 2\n"
	    "   |    ^\n");
}

static void
carets_align(void **state)
{
	struct conf_file f = { .name = "f", .text = SPAN_LIT("\xc3\xa9t\xc3\xa9:\tbad \xc3\xa8\n") };

	/* Characters, not bytes; the tab is shown up to column 8. */
	diag_place(&d, DIAG_ERROR, &f, 1, 6, 3, NULL, "x");
	/* Behind the end of the line, and far too wide. */
	diag_place(&d, DIAG_ERROR, &f, 1, 10, 99, NULL, "y");
	diag_place(&d, DIAG_ERROR, &f, 1, 40, 1, NULL, "z");
	assert_string_equal(printed(NULL, false),
	    "error: x\n"
	    "  --> f:1:6\n"
	    "   |\n"
	    " 1 | \xc3\xa9t\xc3\xa9:    bad \xc3\xa8\n"
	    "   |         ^^^\n"
	    "\n"
	    "error: y\n"
	    "  --> f:1:10\n"
	    "   |\n"
	    " 1 | \xc3\xa9t\xc3\xa9:    bad \xc3\xa8\n"
	    "   |             ^\n"
	    "\n"
	    "error: z\n"
	    "  --> f:1:40\n"
	    "   |\n"
	    " 1 | \xc3\xa9t\xc3\xa9:    bad \xc3\xa8\n"
	    "   |              ^\n");
}

static void
wide_gutter_and_long_lines(void **state)
{
	char text[1400];
	struct conf_file f = { .name = "f", .text = span_make(text, sizeof(text)) };
	const char *out, *at, *caret;

	memset(text, '\n', 999);
	memset(text + 999, 'a', sizeof(text) - 999);
	text[999 + 299] = 'B';
	diag_place(&d, DIAG_ERROR, &f, 1000, 300, 1, "here", "x");
	out = printed("t", false);
	assert_non_null(strstr(out, "error: x\n    --> f:1000:300\n     |\n1000 | ...aaa"));
	assert_non_null(strstr(out, "aaa...\n     | "));
	assert_non_null(strstr(out, "^ here\n     = t\n"));
	/* The caret stands below the B. */
	at = strstr(out, "1000 | ");
	caret = strstr(out, "aaa...\n") + 7;
	assert_true(strlen(out) < 500);
	assert_int_equal(strchr(at, 'B') - at, strchr(caret, '^') - caret);
}

static void
texts_cannot_command_the_terminal(void **state)
{
	struct conf_file f = { .name = "f\x1b]0;x\x07", .text = SPAN_LIT("a\x1b[31m \xe9\xe2\x80\xae\n") };

	diag_place(&d, DIAG_ERROR, &f, 1, 1, 1, "h\x1b", "t\n\xe2\x80\xae\xe9");
	assert_string_equal(printed(NULL, false),
	    "error: t\\x0A\\xE2\\x80\\xAE\\xE9\n"
	    "  --> f\\x1B]0;x\\x07:1:1\n"
	    "   |\n"
	    " 1 | a?[31m ??\n"
	    "   | ^ h\\x1B\n");
	assert_non_null(strstr(printed(NULL, true), "\033[1;31merror\033[0m: "));
}

static void
kept_up_to_a_maximum(void **state)
{
	size_t n = 0;

	for (int i = 0; i < DIAGS_MAX + 7; i++)
		diag_at(&d, DIAG_ERROR, NULL, NULL, "number %d", i);
	for (struct diag *g = d.first; g; g = g->next)
		n++;
	assert_int_equal(n, DIAGS_MAX);
	assert_int_equal(d.errors, DIAGS_MAX + 7);
	assert_non_null(strstr(printed(NULL, false), "\nand 7 more\n"));
}

static void
nearest(void **state)
{
	static const char *const names[] = { "from", "header_from", "to", "to_all", "recipients",
		"subject", "attachment", NULL };

	assert_string_equal(conf_nearest(SPAN_LIT("form"), names), "from");		/* swapped */
	assert_string_equal(conf_nearest(SPAN_LIT("recipient"), names), "recipients");
	assert_string_equal(conf_nearest(SPAN_LIT("subjct"), names), "subject");
	assert_string_equal(conf_nearest(SPAN_LIT("atachmnet"), names), "attachment");
	assert_string_equal(conf_nearest(SPAN_LIT("Header-From"), names), "header_from");
	assert_string_equal(conf_nearest(SPAN_LIT("toall"), names), "to_all");
	assert_null(conf_nearest(SPAN_LIT("schedule"), names));
	assert_null(conf_nearest(SPAN_LIT("xy"), names));
	assert_null(conf_nearest(SPAN_LIT(""), names));
	assert_null(conf_nearest(SPAN_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), names));
}

static void
unknown_keys(void **state)
{
	static const char *const known[] = { "from", "to", NULL };
	struct conf_node *root = parse("form: 1\nto: 2\nschedule: 3\n");

	conf_check_keys(&d, root, "when", known);
	conf_check_keys(&d, conf_get(root, "to"), "to", known);		/* no map: not its business */
	assert_int_equal(d.errors, 2);
	assert_string_equal(d.first->text, "unknown key `form` in `when`");
	assert_string_equal(d.first->hint, "did you mean `from`?");
	assert_string_equal(d.first->next->text, "unknown key `schedule` in `when`");
	assert_string_equal(d.first->next->hint, "expected `from` or `to`");
	assert_int_equal(d.first->next->line, 3);
	assert_int_equal(d.first->next->width, 8);
}

static void
sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "512", 512 }, { "0", 0 }, { "20MB", 20000000 }, { "20MiB", 20971520 },
		{ "20 mb", 20000000 }, { "1kB", 1000 }, { "1KiB", 1024 }, { "3B", 3 },
		{ "2GB", 2000000000 }, { "1TiB", UINT64_C(1099511627776) },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = { "", "MB", "20M", "20MBs", "-1", "1.5MB", "20  MB", " 20",
		"20 ", "18446744073709551616", "99999999999TB" };
	uint64_t v = 7;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(parse_size(span_str(good[i].text), &v));
		assert_true(v == good[i].bytes);
	}
	v = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_size(span_str(bad[i]), &v));
	assert_int_equal(v, 7);
}

static void
durations(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {
		{ "0", 0 }, { "0s", 0 }, { "30s", 30 }, { "5m", 300 }, { "1h", 3600 },
		{ "2d", 172800 }, { "1w", 604800 }, { "1h30m", 5400 }, { "1w2d", 777600 },
	};
	static const char *const bad[] = { "", "30", "s", "5min", "1.5h", "-1s", "1h 30m", "30m1h",
		"1h1h", "1H", "99999999999999w", "1h30" };
	int64_t us = 7;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(parse_duration(span_str(good[i].text), &us));
		assert_true(us == good[i].seconds * US_PER_SEC);
	}
	assert_true(parse_duration(SPAN_LIT("500ms"), &us));
	assert_int_equal(us, 500000);
	us = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_duration(span_str(bad[i]), &us));
	assert_int_equal(us, 7);
}

static void
numbers(void **state)
{
	uint64_t v = 7;

	assert_true(parse_uint(SPAN_LIT("0025"), 25, &v));
	assert_int_equal(v, 25);
	assert_false(parse_uint(SPAN_LIT("26"), 25, &v));
	assert_false(parse_uint(SPAN_LIT(""), 25, &v));
	assert_false(parse_uint(SPAN_LIT("+1"), 25, &v));
	assert_false(parse_uint(SPAN_LIT("1 "), 25, &v));
	assert_false(parse_uint(SPAN_LIT("18446744073709551616"), UINT64_MAX, &v));
	assert_int_equal(v, 25);
}

static void
accessors(void **state)
{
	static const char *const modes[] = { "off", "shadow", "enforce", NULL };
	struct conf_node *root = parse("yes: Yes\nno: off\nport: 25\nsize: 20MB\nwait: 5m\n"
	    "mode: shadow\nempty: \"\"\nlist: [a]\nmap: {a: b}\n");
	struct span s;
	uint64_t u;
	int64_t us;
	bool b;
	int i;

	assert_true(conf_bool(&d, conf_get(root, "yes"), &b) && b);
	assert_true(conf_bool(&d, conf_get(root, "no"), &b) && !b);
	assert_true(conf_uint(&d, conf_get(root, "port"), 1, 65535, &u) && u == 25);
	assert_true(conf_size(&d, conf_get(root, "size"), &u) && u == 20000000);
	assert_true(conf_duration(&d, conf_get(root, "wait"), &us) && us == 300 * US_PER_SEC);
	assert_true(conf_enum(&d, conf_get(root, "mode"), modes, &i) && i == 1);
	assert_true(conf_text(&d, conf_get(root, "empty"), "a text", &s) && s.n == 0);
	assert_true(conf_want(&d, conf_get(root, "list"), CONF_LIST, NULL));
	assert_true(conf_want(&d, conf_get(root, "map"), CONF_MAP, NULL));
	/* Absent: false, and nothing said. */
	assert_false(conf_bool(&d, conf_get(root, "absent"), &b));
	assert_false(conf_want(&d, NULL, CONF_MAP, NULL));
	assert_int_equal(d.errors, 0);
}

static void
accessors_complain(void **state)
{
	static const char *const modes[] = { "off", "shadow", "enforce", NULL };
	static const char *const texts[] = {
		"`a`: expected `true` or `false`, found `maybe`",
		"`b`: expected a number from 1 to 65535, found `0`",
		"`c`: expected a size, found `20M`",
		"`d`: expected a duration, found `30`",
		"`e`: expected `off`, `shadow` or `enforce`, found `shadwo`",
		"`f`: expected an address, found a list",
		"`g`: expected an address, but nothing stands here",
		"expected a map, found `x`",
		"`i`: expected a list of rules, found a map",
	};
	static const char *const hints[] = { NULL, NULL,
		"as in `20MB` (20,000,000 bytes) or `20MiB` (20,971,520)",
		"the unit is missing: `30s`?", "did you mean `shadow`?", NULL, NULL,
		"as in `{key: value}`", NULL };
	struct conf_node *root = parse("a: maybe\nb: 0\nc: 20M\nd: 30\ne: shadwo\nf: [x]\ng:\nh: [x]\n"
	    "i: {x: y}\n");
	struct diag *g;
	struct span s;
	uint64_t u;
	int64_t us;
	bool b;
	int i;
	size_t n = 0;

	assert_false(conf_bool(&d, conf_get(root, "a"), &b));
	assert_false(conf_uint(&d, conf_get(root, "b"), 1, 65535, &u));
	assert_false(conf_size(&d, conf_get(root, "c"), &u));
	assert_false(conf_duration(&d, conf_get(root, "d"), &us));
	assert_false(conf_enum(&d, conf_get(root, "e"), modes, &i));
	assert_false(conf_text(&d, conf_get(root, "f"), "an address", &s));
	assert_false(conf_text(&d, conf_get(root, "g"), "an address", &s));
	assert_false(conf_want(&d, conf_get(root, "h")->first, CONF_MAP, NULL));
	assert_false(conf_want(&d, conf_get(root, "i"), CONF_LIST, "a list of rules"));
	for (g = d.first; g; g = g->next, n++) {
		assert_string_equal(g->text, texts[n]);
		if (hints[n])
			assert_string_equal(g->hint, hints[n]);
		else
			assert_null(g->hint);
		assert_int_equal(g->line, n + 1);
	}
	assert_int_equal(n, 9);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(tree), T(empty_files), T(lines_and_columns), T(lines_of_other_files), T(refused),
		T(nul_byte), T(several_at_once), T(many_keys_given_twice), T(depth_is_limited),
		T(deep_nesting_is_quick), T(size_is_limited), T(errors_as_they_read),
		T(sorted_and_levels), T(carets_align), T(wide_gutter_and_long_lines),
		T(texts_cannot_command_the_terminal), T(kept_up_to_a_maximum), T(nearest),
		T(unknown_keys), T(sizes), T(durations), T(numbers), T(accessors),
		T(accessors_complain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
