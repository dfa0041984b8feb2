/* load_templates.c -- texts for people, as files: read and checked when the policy is loaded.
 *
 * templates/NAME.en.txt and NAME.fr.txt (or NAME.txt, for everybody) take the place of a built-in
 * template or are one of their own; NAME.en.html beside it is the same text for readers of HTML. An error
 * in a file names its own line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "load.h"

#define TEXT_BYTES (16u << 10)	/* of a text to append, or a template */
#define TEXT_LINE 900		/* bytes: RFC 5321 ends lines at 998 */

/* Where an error in the text is: the node that asks for it, or its own place in the file. */
static void __attribute__((format(printf, 7, 8)))
wrong(struct load *ld, const struct conf_node *at, const struct conf_file *file, struct span before,
    uint32_t width, const char *hint, const char *fmt, ...)
{
	uint32_t line = 1, column = 1;
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (file == NULL) {
		diag_at(ld->d, DIAG_ERROR, at, hint, "%s", text);
		return;
	}
	for (size_t i = 0; i < before.n; i++)
		if (before.p[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)before.p[i] & 0xc0) != 0x80)
			column++;
	diag_place(ld->d, DIAG_ERROR, file, line, column, width, hint, "%s", text);
}

/* "did you mean `$sender`?", or the list of them. */
static const char *
variable_hint(struct load *ld, struct span bad)
{
	const char *near = conf_nearest(span_from(bad, 1), expand_names);

	return near ? arena_printf(ld->d->arena, "did you mean `$%s`?", near) :
	    "there are $ref, $rule, $sender, $filenames, $findings; $$ is a dollar sign";
}

bool
text_check(struct load *ld, const struct conf_node *at, const struct conf_file *file, struct span s)
{
	struct span bad, rest = s;

	if (span_trim(s).n == 0) {
		wrong(ld, at, file, SPAN_LIT(""), 1, NULL, "an empty text");
		return false;
	}
	if (s.n > TEXT_BYTES) {
		wrong(ld, at, file, SPAN_LIT(""), 1, NULL, "a text holds %u bytes, this is %zu", TEXT_BYTES,
		    s.n);
		return false;
	}
	while (rest.n) {
		size_t line = span_find(rest, '\n');

		if (line > TEXT_LINE) {
			wrong(ld, at, file, span_sub(s, 0, s.n - rest.n), 1, NULL,
			    "a line of %zu bytes: at most %d", line, TEXT_LINE);
			return false;
		}
		rest = span_from(rest, line + 1);
	}
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t') {
			wrong(ld, at, file, span_sub(s, 0, i), 1, NULL, "a control character in a text");
			return false;
		}
	if (expand_check(s, &bad))
		return true;
	wrong(ld, at, file, span_sub(s, 0, (size_t)(bad.p - s.p)), (uint32_t)bad.n, variable_hint(ld, bad),
	    "unknown variable `" SPAN_FMT "`", SPAN_ARG(bad));
	return false;
}

/* false: there is no such file, or it is wrong, which was said. */
static bool
template_file(struct load *ld, const struct conf_node *at, const char *path, struct span *out)
{
	struct conf_file *file;
	struct err err = { 0 };
	struct span s;

	if (!ld->env->read_file)
		return false;
	if (ld->env->read_file(ld->env->ctx, span_str(path), &s, &err) == -1) {
		if (err.code != ENOENT)
			diag_at(ld->d, DIAG_ERROR, at, NULL, "%s",
			    err.text[0] ? err.text : "cannot read the template");
		return false;
	}
	if (!load_file(ld, at, span_str(path), &s))
		return false;
	file = arena_zalloc(ld->d->arena, sizeof(*file));
	file->name = path;
	file->text = arena_span(ld->d->arena, s);
	if (!text_check(ld, at, file, file->text))
		return false;
	*out = arena_span(ld->a, s);
	return true;
}

/* NAME.en.txt, NAME.fr.txt; without any NAME.txt. */
static bool
by_language(struct load *ld, const struct conf_node *at, struct span name, const char *kind,
    struct texts *out)
{
	bool any = false;

	for (int l = 0; l < LANG_COUNT; l++)
		any |= template_file(ld, at, arena_printf(ld->d->arena, "templates/" SPAN_FMT ".%s.%s",
		    SPAN_ARG(name), language_names[l], kind), &out->v[l]);
	return any || template_file(ld, at, arena_printf(ld->d->arena, "templates/" SPAN_FMT ".%s",
	    SPAN_ARG(name), kind), &out->v[LANG_EN]);
}

static bool
name_fine(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!((word.p[i] | 32) >= 'a' && (word.p[i] | 32) <= 'z') && word.p[i] != '-' &&
		    word.p[i] != '_' && !(word.p[i] >= '0' && word.p[i] <= '9'))
			return false;
	return word.n > 0;
}

bool
template_read(struct load *ld, const struct conf_node *n, struct span word, struct span *name,
    struct texts *out, struct texts *html)
{
	size_t errors = ld->d->errors;
	bool any;

	if (span_ends_nocase(word, SPAN_LIT(".txt")))
		word.n -= 4;
	if (!name_fine(word)) {
		diag_at(ld->d, DIAG_ERROR, n, "the name of a file in templates/, without .en.txt",
		    "`" SPAN_FMT "` is no template", SPAN_ARG(word));
		return false;
	}
	any = by_language(ld, n, word, "txt", out);
	if (!any && ld->d->errors == errors)
		any = template_builtin(word, out);
	if (!any && ld->d->errors == errors)
		diag_at(ld->d, DIAG_ERROR, n, nearest_hint(ld, conf_nearest(word, template_names)),
		    "no template `" SPAN_FMT "`: neither templates/" SPAN_FMT ".en.txt nor a built-in one",
		    SPAN_ARG(word), SPAN_ARG(word));
	if (any && html)
		by_language(ld, n, word, "html", html);
	*name = arena_span(ld->a, word);
	return any;
}
