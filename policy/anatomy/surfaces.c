/* surfaces.c -- the list of texts that detectors search; see anatomy/surfaces.h.
 *
 * Headers are told by what they are not: those that programs write (trace,
 * list, signature, X- …) are left out, since their numbers look like
 * everything; any other, also one that nobody knows, is searched. A header
 * line without a name is searched too. Of an attached message, headers and
 * texts count as attachment. Hidden text of HTML, and what stands before the
 * first and behind the last boundary, are surfaces of their own.
 */
#include "anatomy/surfaces.h"

/* A trailing '-' means: and all that begin so. Sorted by first use, most frequent first. */
static const char *const trace[] = {
	"received", "x-", "arc-", "dkim-", "message-id", "date", "mime-version", "content-type",
	"content-transfer-encoding", "content-disposition", "content-id", "content-language",
	"return-path", "authentication-results", "received-spf", "references", "in-reply-to",
	"list-", "domainkey-", "thread-index", "delivered-to", "envelope-to", "delivery-date",
	"resent-date", "resent-message-id", "precedence", "auto-submitted", "autocrypt",
	"autocrypt-", "feedback-id", "user-agent", "importance", "priority", "content-length", "lines",
	"status", "errors-to", "original-", "archived-at", "require-", "bounces-to", "accept-language",
	"msip_", "tls-", "ironport-", "face", "openpgp",
};

static bool
is_trace(struct span name)
{
	for (size_t i = 0; i < sizeof(trace) / sizeof(trace[0]); i++) {
		struct span t = span_str(trace[i]);
		char last = t.p[t.n - 1];

		if (last == '-' || last == '_' ? span_starts_nocase(name, t) : span_eq_nocase(name, t))
			return true;
	}
	return false;
}

struct list {
	struct builder *b;
	struct surface *s;
	size_t n, cap;
};

static void
surface_add(struct list *l, struct surface s)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;

		l->s = arena_grow(l->b->a, l->s, l->cap * sizeof(*l->s), cap * sizeof(*l->s));
		l->cap = cap;
	}
	l->s[l->n++] = s;
}

static void
header_surfaces(struct list *l, size_t index)
{
	struct builder *b = l->b;
	const struct part *p = &b->out->parts[index];
	const struct node *node = &b->nodes[index];
	bool subject = false;

	for (size_t i = 0; i < p->nheaders; i++) {
		const struct header *h = &p->headers[i];
		struct surface s = { .where = WHERE_HEADER, .part = (uint16_t)index, .name = h->name };
		struct text *t;

		if (h->value.n == 0 || is_trace(h->name))
			continue;
		if (span_is_nocase(h->name, "Subject") && !subject) {
			s.where = WHERE_SUBJECT;
			subject = true;
		}
		if (node->nested)
			s.where = WHERE_ATTACHMENT;
		t = arena_array(b->a, 2, sizeof(*t));
		header_decode(b->a, h->raw, (size_t)(h->raw.p - node->src.p), &t[0].s, &t[0].map);
		s.text = &t[0];
		s.folded = &t[1];
		surface_add(l, s);
	}
}

static void
part_surfaces(struct list *l, size_t index)
{
	struct builder *b = l->b;
	struct part *p = &b->out->parts[index];
	struct surface s = { .part = (uint16_t)index, .name = p->name };

	s.where = p->attachment || b->nodes[index].nested ? WHERE_ATTACHMENT : WHERE_BODY;
	if (p->text.s.n) {
		s.text = &p->text;
		s.folded = &p->folded;
		surface_add(l, s);
	}
	for (size_t i = 0; i < p->nsides; i++) {
		struct side_text *side = &p->sides[i];

		s.origin = side->origin;
		s.text = &side->text;
		s.folded = &side->folded;
		surface_add(l, s);
	}
	s.origin = span_make(NULL, 0);
	if (p->hidden.s.n) {
		s.text = &p->hidden;
		s.folded = arena_zalloc(b->a, sizeof(*s.folded));
		surface_add(l, s);
	}
}

void
surfaces_make(struct builder *b)
{
	struct list l = { .b = b };

	/* The parts lie where they lie from now on. */
	for (size_t i = 0; i < b->out->nparts; i++) {
		if (b->nodes[i].top)
			header_surfaces(&l, i);
		part_surfaces(&l, i);
	}
	b->out->surfaces = l.s;
	b->out->nsurfaces = l.n;
}

const struct text *
surface_folded(const struct surface *s, struct arena *a)
{
	if (s->folded->s.p == NULL)
		text_fold(a, s->text, s->folded);
	return s->folded;
}
