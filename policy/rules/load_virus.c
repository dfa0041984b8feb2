/* load_virus.c -- the condition `virus`: true, false, or {kind: ...}; see load.h. */
#include "load.h"

void
cond_virus(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_VIRUS, .key = SPAN_LIT("virus"), .want = true };
	struct buf key;

	if (n->kind != CONF_MAP) {
		if (ld->rule && span_is(n->text, "true"))
			ld->rule->asks_virus = true;
		cond_bool(ld, n, obj, ATOM_VIRUS, "virus");
		return;
	}
	if (!keys_read(ld, n, SECTION_VIRUS, &atom))
		return;
	if (!atom.kinds) {
		if (!conf_get(n, "kind"))
			diag_at(ld->d, DIAG_ERROR, n, "as in {kind: [pua, phishing]}", "expected `kind`");
		return;
	}
	if (ld->rule) {
		ld->rule->asks_virus |= (atom.kinds & AV_MALWARE) != 0;
		ld->rule->asks_suspect |= (atom.kinds & ~AV_MALWARE) != 0;
	}
	key_begin(&key, "virus");
	buf_printf(&key, "kind %x", atom.kinds);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

void
virus_kind(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = {
#define X(name, text, help) text,
		AV_KINDS(X)
#undef X
		NULL
	};
	struct atom *atom = obj;
	struct conf_node *at;
	struct spans texts = { 0 };

	if (!read_texts(ld, n, "kind", &texts))
		return;
	at = n->kind == CONF_LIST ? n->first : n;
	for (size_t i = 0; i < texts.n; i++, at = at->next) {
		enum av_kind k = AV_KIND_COUNT;

		if (!av_kind_from_name(texts.v[i], &k))
			diag_at(ld->d, DIAG_ERROR, at, nearest_hint(ld, conf_nearest(texts.v[i], names)),
			    "unknown kind `" SPAN_FMT "`", SPAN_ARG(texts.v[i]));
		else
			atom->kinds |= 1u << k;
	}
	if (texts.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
}
