/* test_templates.c -- texts for people: files in the place of built-in ones, HTML beside them. */
#include <errno.h>

#include "policy_fixture.h"
#include "fs.h"
#include "rules/rules.h"

/* etc/templates is what administrators copy and change: it says what the program says. */
static void
copies(void **state)
{
	static const char *const languages[] = { "en", "fr" };
	struct arena *a = arena_new(0);
	struct texts t;
	struct span text;
	struct err err;

	for (size_t i = 0; template_names[i]; i++) {
		assert_true(template_builtin(span_str(template_names[i]), &t));
		for (int l = 0; l < LANG_COUNT; l++) {
			const char *path = arena_printf(a, "etc/templates/%s.%s.txt", template_names[i], languages[l]);

			if (fs_read(a, path, 1 << 16, &text, &err) == -1)
				fail_msg("%s", err.text);
			assert_int_equal(text.n, t.v[l].n);
			assert_memory_equal(text.p, t.v[l].p, text.n);
		}
	}
	arena_free(&a);
}

static const struct { const char *path, *text; } files[] = {
	{ "templates/held.en.txt", "Subject: Wait for $ref\n\nRule $rule.\n" },
	{ "templates/held.en.html", "<p>Rule <b>$rule</b>, $filenames: $$5, from $sender</p>\n" },
	{ "templates/changed.fr.html", "<p>modifi\xc3\xa9</p>\n" },
	{ "templates/rejected.en.txt", "Subject: No\n\nNo.\n" },
	{ "templates/stripped.txt", "Gone: $filenames\n" },
	{ "templates/bad.fr.txt", "Subject: Bonjour\n\nDe : $sendr\n" },
	{ "templates/worse.en.html", "<p>\n" },
	{ "templates/worse.txt", "x\n\001\n" },
};

static int
read_templates(void *ctx, struct span path, struct span *text, struct err *err)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (span_is(path, files[i].path)) {
			*text = span_str(files[i].text);
			return 0;
		}
	return err_set(err, ENOENT, "none");
}

static void
load(struct fixture *f, const char *text)
{
	static struct policy_env env = { .read_file = read_templates, .now = NOW };
	static struct policy_source file = { .name = "t.yaml" };

	policy_free(&f->p);
	file.text = span_str(text);
	f->p = policy_load(&file, 1, &env, &f->d);
}

static const char *
text_of(struct fixture *f, struct span s)
{
	return arena_str(f->arena, s);
}

/* What strangers call their files is no markup, and stays on its line. */
static void
html(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	load(&f, "rules:\n  - {id: a, when: {to: webmail.example}, then: {notify: {sender: held, recipient: changed}}}\n");
	assert_non_null(f.p);
	f.env.sender = SPAN_LIT("\"a<b>&'c\"@example.org");
	fixture_judge(&f, HEAD "Content-Disposition: attachment; filename=\"<script>x&y.pdf\"\r\n\r\n.\r\n");
	assert_int_equal(f.v.nnotices, 2);
	assert_string_equal(text_of(&f, f.v.notices[0].text), "Rule a.\n");
	assert_string_equal(text_of(&f, f.v.notices[0].html),
	    "<p>Rule <b>a</b>, &lt;script&gt;x&amp;y.pdf: $5, from &quot;a&lt;b&gt;&amp;&#39;c&quot;@example.org</p>\n");
	/* built-in text in English: French HTML is not its twin */
	assert_int_equal(f.v.notices[1].html.n, 0);
	fixture_judge(&f, HEAD "Content-Language: fr\r\n\r\n.\r\n");
	assert_string_equal(text_of(&f, f.v.notices[1].html), "<p>modifi\xc3\xa9</p>\n");
	fixture_end(&f);
}

/* Also where a rule names none. */
static void
usual_ones(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	load(&f, "rules:\n  - {id: a, when: {to: webmail.example}, then: {reject: true, notify: sender}}\n"
	    "  - {id: b, when: {to: x.example}, then: {strip_attachment: {matching: {name: '*.pdf'}}}}\n");
	assert_non_null(f.p);
	fixture_judge(&f, MAIL("x"));
	assert_string_equal(text_of(&f, f.v.notices[0].subject), "No");
	TO(&f, "x@x.example");
	fixture_judge(&f, HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
	    "Content-Disposition: attachment; filename=a.pdf\r\n\r\nx\r\n--b--\r\n");
	assert_int_equal(f.v.nvariants, 2);
	assert_non_null(strstr(text_of(&f, f.v.variants[1].edits[0].with), "Gone: a.pdf"));
	fixture_end(&f);
}

static void
said(struct fixture *f, const char *policy, const char *file, uint32_t line, uint32_t column, const char *text,
    const char *hint)
{
	bool found = false;

	diags_init(&f->d, f->arena);
	load(f, policy);
	assert_null(f->p);
	for (const struct diag *d = f->d.first; d; d = d->next)
		found |= d->file && strcmp(d->file->name, file) == 0 && d->line == line && d->column == column &&
		    strstr(d->text, text) && (hint == NULL || (d->hint && strcmp(d->hint, hint) == 0));
	if (!found && f->d.first)
		print_error("%s:%u:%u: %s\n", f->d.first->file ? f->d.first->file->name : "-", f->d.first->line,
		    f->d.first->column, f->d.first->text);
	assert_true(found);
}

/* An error names its line in the template. */
static void
errors(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	said(&f, "rules:\n  - {id: a, when: {to: x.example}, then: {notify: {sender: bad}}}\n", "templates/bad.fr.txt", 3, 6,
	    "unknown variable `$sendr`", "did you mean `$sender`?");
	said(&f, "rules:\n  - {id: a, when: {to: x.example}, then: {notify: {sender: worse}}}\n", "templates/worse.txt", 2, 1,
	    "a control character", NULL);
	said(&f, "rules:\n  - {id: a, when: {to: x.example}, then: {notify: {sender: hold}}}\n", "t.yaml", 2, 60,
	    "no template `hold`", "did you mean `held`?");
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies),
		cmocka_unit_test(html),
		cmocka_unit_test(usual_ones),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
