/* description.c -- which columns an export has, and what is in them; see edm.h.
 *
 *     version: 1
 *     delimiter: ";"
 *     encoding: windows-1252
 *     columns:
 *       nir: nir
 *       last_name: {type: name, header: "Nom de naissance"}
 */
#include <errno.h>
#include <string.h>

#include "edm/edm.h"

bool
edm_encoding_from_name(struct span name, enum edm_encoding *e)
{
	static const struct {
		const char *name;
		enum edm_encoding e;
	} all[] = {
		{ "utf-8", EDM_UTF8 }, { "utf8", EDM_UTF8 }, { "windows-1252", EDM_WINDOWS_1252 },
		{ "cp1252", EDM_WINDOWS_1252 }, { "latin-1", EDM_WINDOWS_1252 },
		{ "latin1", EDM_WINDOWS_1252 }, { "iso-8859-1", EDM_WINDOWS_1252 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (span_is_nocase(name, all[i].name)) {
			*e = all[i].e;
			return true;
		}
	return false;
}

static bool
name_fits(struct span s)
{
	if (s.n == 0 || s.n >= EXACT_NAME_SIZE)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '_' || c == '-'))
			return false;
	}
	return true;
}

static int
column_put(struct edm_description *d, struct span name, struct span type, struct span header,
    struct err *err)
{
	struct edm_column *c = &d->columns[d->n];
	const char *near;

	if (!name_fits(name))
		return err_set(err, EINVAL, "`" SPAN_FMT "`: a column's name has 1 to %d letters, digits, _ and -",
		    SPAN_ARG(name), EXACT_NAME_SIZE - 1);
	if (d->n == EXACT_COLUMNS)
		return err_set(err, E2BIG, "more than %d columns", EXACT_COLUMNS);
	for (size_t i = 0; i < d->n; i++)
		if (span_is(name, d->columns[i].name))
			return err_set(err, EEXIST, "column `" SPAN_FMT "` stands twice", SPAN_ARG(name));
	if (!exact_type_from_name(type, &c->type)) {
		near = conf_nearest(type, exact_type_names());
		return near ? err_set(err, EINVAL, "unknown type `" SPAN_FMT "`; did you mean `%s`?",
		    SPAN_ARG(type), near) : err_set(err, EINVAL, "unknown type `" SPAN_FMT
		    "`; there are digits, code, nir, phone, name, date, date-mdy, email, text",
		    SPAN_ARG(type));
	}
	memcpy(c->name, name.p, name.n);
	c->name[name.n] = '\0';
	c->header = header;
	d->n++;
	return 0;
}

int
edm_column_add(struct edm_description *d, struct span text, struct err *err)
{
	size_t is = span_find(text, '='), colon;
	struct span rest = span_from(text, is + 1);

	if (is == text.n)
		return err_set(err, EINVAL, "`" SPAN_FMT "`: a column is written NAME=TYPE or "
		    "NAME=TYPE:HEADER", SPAN_ARG(text));
	colon = span_find(rest, ':');
	return column_put(d, span_sub(text, 0, is), span_sub(rest, 0, colon), span_from(rest, colon + 1),
	    err);
}

int
edm_delimiter_set(struct edm_description *d, struct span text, struct err *err)
{
	if (span_is(text, "tab") || span_is(text, "\\t"))
		text = SPAN_LIT("\t");
	else if (span_is(text, "comma"))
		text = SPAN_LIT(",");
	else if (span_is(text, "semicolon"))
		text = SPAN_LIT(";");
	if (text.n != 1 || !memchr(",;\t|", text.p[0], 4))
		return err_set(err, EINVAL, "`" SPAN_FMT "` is no delimiter: comma, semicolon, tab or |",
		    SPAN_ARG(text));
	d->delimiter = text.p[0];
	return 0;
}

static void
unknown_key(struct diags *diags, const struct conf_node *n, const char *const *keys)
{
	const char *near = conf_nearest(n->key, keys);

	diag_key(diags, DIAG_ERROR, n, near ? arena_printf(diags->arena, "did you mean `%s`?", near) :
	    NULL, "unknown key `" SPAN_FMT "`", SPAN_ARG(n->key));
}

static void
column_read(struct diags *diags, struct conf_node *n, struct edm_description *d)
{
	static const char *const keys[] = { "type", "header", NULL };
	struct span type = { 0 }, header = { 0 };
	struct err err;

	if (n->kind == CONF_MAP) {
		CONF_EACH (c, n) {
			if (span_is(c->key, "type"))
				conf_text(diags, c, "type", &type);
			else if (span_is(c->key, "header"))
				conf_text(diags, c, "header", &header);
			else
				unknown_key(diags, c, keys);
		}
	} else if (!conf_text(diags, n, "a type, or {type: ..., header: ...}", &type)) {
		return;
	}
	if (column_put(d, n->key, type, header, &err) == -1)
		diag_key(diags, DIAG_ERROR, n, NULL, "%s", err.text);
}

bool
edm_description_read(const char *name, struct span yaml, struct diags *diags,
    struct edm_description *d)
{
	static const char *const keys[] = { "version", "delimiter", "encoding", "columns", NULL };
	struct conf_node *root = conf_parse(name, yaml, diags);
	size_t before = diags->errors;
	struct err err;
	struct span s;

	if (root == NULL || !conf_want(diags, root, CONF_MAP, "a description"))
		return false;
	CONF_EACH (n, root) {
		if (span_is(n->key, "version")) {
			if (conf_text(diags, n, "version", &s) && !span_is(s, "1"))
				diag_at(diags, DIAG_ERROR, n, "this is version 1", "unknown version `"
				    SPAN_FMT "`", SPAN_ARG(s));
		} else if (span_is(n->key, "delimiter")) {
			if (conf_text(diags, n, "a delimiter", &s) && edm_delimiter_set(d, s, &err) == -1)
				diag_at(diags, DIAG_ERROR, n, NULL, "%s", err.text);
		} else if (span_is(n->key, "encoding")) {
			if (conf_text(diags, n, "an encoding", &s) &&
			    !edm_encoding_from_name(s, &d->encoding))
				diag_at(diags, DIAG_ERROR, n, "utf-8, windows-1252 or latin-1",
				    "unknown encoding `" SPAN_FMT "`", SPAN_ARG(s));
		} else if (span_is(n->key, "columns")) {
			if (!conf_want(diags, n, CONF_MAP, "columns"))
				continue;
			CONF_EACH (c, n)
				column_read(diags, c, d);
		} else {
			unknown_key(diags, n, keys);
		}
	}
	return diags->errors == before;
}
