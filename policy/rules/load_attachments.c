/* load_attachments.c -- the condition `attachment`: everything about one file. */
#include "load.h"

static const struct {
	const char *name;
	enum part_type types[8];
	size_t n;
} type_words[] = {
	{ "office-macro", { TYPE_DOCM, TYPE_XLSM, TYPE_PPTM }, 3 },
	{ "office", { TYPE_DOC, TYPE_XLS, TYPE_PPT, TYPE_OLE2, TYPE_DOCX, TYPE_XLSX, TYPE_PPTX }, 7 },
};

static bool
type_add(struct span s, struct file_cond *f)
{
	enum type_class class;
	enum part_type type;

	if (type_class_from_name(s, &class)) {
		for (int t = 0; t < TYPE_COUNT; t++)
			if (part_type_class((enum part_type)t) == class)
				bit_set(f->types, (size_t)t);
		return true;
	}
	if (part_type_from_name(s, &type)) {
		bit_set(f->types, type);
		return true;
	}
	for (size_t i = 0; i < sizeof(type_words) / sizeof(type_words[0]); i++)
		if (span_is(s, type_words[i].name)) {
			f->macros |= i == 0;
			for (size_t k = 0; k < type_words[i].n; k++)
				bit_set(f->types, type_words[i].types[k]);
			return true;
		}
	return false;
}

void
file_type(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = {
#define X(name, text, class) text,
		PART_TYPES(X)
#undef X
		"text", "document", "image", "audio", "video", "archive", "executable", "script",
		"message", "crypto", "office-macro", "office", NULL
	};
	struct file_cond *f = obj;
	struct spans texts = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;

	if (!read_texts(ld, n, "type", &texts))
		return;
	f->has_types = true;
	if (texts.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	for (size_t i = 0; i < texts.n; i++, at = at->next) {
		const char *hint;

		if (type_add(texts.v[i], f))
			continue;
		hint = nearest_hint(ld, conf_nearest(texts.v[i], names));
		if (!hint)
			hint = "a class like executable, script, archive, document, or a type like pdf; "
			    "`extension` and `name` judge the name";
		diag_at(ld->d, DIAG_ERROR, at, hint, "unknown type `" SPAN_FMT "`",
		    SPAN_ARG(texts.v[i]));
	}
}

static void
lower_all(struct load *ld, struct spans *s, bool drop_dot)
{
	struct span *v = arena_array(ld->a, s->n ? s->n : 1, sizeof(*v));

	for (size_t i = 0; i < s->n; i++) {
		struct span from = s->v[i];
		char *to;

		if (drop_dot && from.n && from.p[0] == '.')
			from = span_from(from, 1);
		to = arena_str(ld->a, from);
		for (size_t k = 0; k < from.n; k++)
			to[k] = ascii_lower(to[k]);
		v[i] = span_make(to, from.n);
	}
	s->v = v;
}

void
file_names(struct load *ld, struct conf_node *n, void *obj)
{
	struct file_cond *f = obj;

	if (!read_texts(ld, n, "name", &f->names))
		return;
	if (f->names.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	lower_all(ld, &f->names, false);
}

void
file_extensions(struct load *ld, struct conf_node *n, void *obj)
{
	struct file_cond *f = obj;

	if (!read_texts(ld, n, "extension", &f->extensions))
		return;
	if (f->extensions.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	for (size_t i = 0; i < f->extensions.n; i++)
		if (span_find(f->extensions.v[i], '*') < f->extensions.v[i].n)
			diag_at(ld->d, DIAG_ERROR, n, "`name` takes `*`", "`" SPAN_FMT "` is no extension",
			    SPAN_ARG(f->extensions.v[i]));
	lower_all(ld, &f->extensions, true);
}

void
file_size(struct load *ld, struct conf_node *n, void *obj)
{
	struct file_cond *f = obj;

	read_range(ld, n, true, &f->size);
}

void
file_depth(struct load *ld, struct conf_node *n, void *obj)
{
	struct file_cond *f = obj;
	uint64_t v;

	if (n->kind == CONF_MAP) {
		read_range(ld, n, false, &f->depth);
	} else if (conf_uint(ld->d, n, 1, 1000, &v)) {
		f->depth = (struct range){ .has_under = true, .under = v + 1 };
	}
}

void
file_encrypted(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = {
#define X(name, text) text,
		ENCRYPTIONS(X)
#undef X
		NULL
	};
	struct file_cond *f = obj;
	struct spans kinds = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	bool b;

	if (n->kind == CONF_SCALAR && (span_is(n->text, "true") || span_is(n->text, "false"))) {
		if (conf_bool(ld->d, n, &b))
			f->encrypted = b;
		return;
	}
	if (!read_texts(ld, n, "encrypted", &kinds))
		return;
	f->encrypted = 1;
	if (kinds.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	for (size_t i = 0; i < kinds.n; i++, at = at->next) {
		enum encryption e;

		if (encryption_from_name(kinds.v[i], &e))
			f->encryptions |= UINT32_C(1) << e;
		else
			diag_at(ld->d, DIAG_ERROR, at, nearest_hint(ld, conf_nearest(kinds.v[i],
			    names + 1)), "`encrypted` is true, false or a kind of lock, not `" SPAN_FMT
			    "`", SPAN_ARG(kinds.v[i]));
	}
}

void
file_mismatch(struct load *ld, struct conf_node *n, void *obj)
{
	struct file_cond *f = obj;
	bool b;

	if (conf_bool(ld->d, n, &b))
		f->mismatch = b;
}

static void
key_range(struct buf *b, const struct range *r)
{
	buf_printf(b, "|%d:%llu,%d:%llu", r->has_over, (unsigned long long)r->over, r->has_under,
	    (unsigned long long)r->under);
}

void
cond_attachment(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_FILE, .key = SPAN_LIT("attachment") };
	struct file_cond *f = arena_zalloc(ld->a, sizeof(*f));
	size_t errors = ld->d->errors;
	struct buf key;
	struct cond c;

	f->encrypted = f->mismatch = -1;
	if (!keys_read(ld, n, SECTION_ATTACHMENT, f) || ld->d->errors > errors)
		return;
	atom.file = f;
	key_begin(&key, "attachment");
	buf_printf(&key, "|%d,%d,%d,%d,%x|", f->has_types, f->encrypted, f->mismatch, f->macros,
	    (unsigned)f->encryptions);
	buf_put(&key, f->types, sizeof(f->types));
	key_range(&key, &f->size);
	key_range(&key, &f->depth);
	key_texts(&key, &f->names);
	key_texts(&key, &f->extensions);
	c = atom_intern(ld, &atom, &key);
	if (ld->rule)
		ld->rule->rule.file_atom = (int)c.atom;
	conds_push(ld, obj, c);
}
