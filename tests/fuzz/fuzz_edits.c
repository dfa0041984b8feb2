/* fuzz_edits.c -- any bytes as a message that rules strip, redact, append to and tag.
 *
 * What comes out is read again: the tree has no defect that the message had not, parts that
 * nobody touched are as they were, and what was blackened is gone. The first byte chooses
 * which rules hold, so that edits are composed in all ways.
 */
#include <stdio.h>

#include "addr.h"
#include "buf.h"
#include "conf.h"
#include "postern/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
    "use: [postern/base]\n"
    "groups: {all: [.example]}\n"
    "detectors: {secret: {words: [secret, geheim, été]}}\n"
    "rules:\n"
    "  - {id: a, when: {to: a.example, attachment: {depth: 40}}, then: {strip_attachment: this}}\n"
    "  - {id: b, when: {to: b.example}, then: {redact: [secret, iban]}}\n"
    "  - {id: c, when: {to: c.example}, then: {redact: {detectors: secret, with: '[gone]'}}}\n"
    "  - {id: d, when: {to: d.example}, then: {append_text: \"Voil\\u00e0 un texte à la fin.\\n\"}}\n"
    "  - {id: e, when: {to: e.example}, then: {append_text: {text: Plain and simple words., html: '<hr>x'}}}\n"
    "  - {id: f, when: {to: f.example}, then: {prefix_subject: '[é]', add_header: {X-F: $filenames}, remove_header: x-old}}\n"
    "  - {id: g, when: {to: g.example}, then: {reject: true, override: {allow: '.example'}}}\n"
    "  - {id: h, when: {to: h.example, attachment: {type: [image, archive, executable]}}, then: {strip_attachment: this}}\n";

static struct policy *policy;

static void
load(void)
{
	static struct arena *a;
	static struct diags d;
	struct policy_source file = { "edits.yaml", span_make(rules, sizeof(rules) - 1) };
	struct policy_env env = { .now = INT64_C(1795343000000000) };

	a = arena_new(0);
	diags_init(&d, a);
	policy = policy_load(&file, 1, &env, &d);
	if (policy == NULL) {
		struct buf b;

		buf_init(&b, 1 << 20);
		diags_print(&d, &b, NULL, false);
		fprintf(stderr, "%.*s", (int)buf_size(&b), buf_data(&b).p);
	}
	ASSERT(policy != NULL);
}

static struct span
apply(struct arena *a, struct span raw, const struct variant *v)
{
	struct span out;
	uint64_t at = 0;
	struct buf b;

	buf_init(&b, (size_t)1 << 30);
	for (size_t i = 0; i < v->nedits; i++) {
		const struct edit *e = &v->edits[i];

		ASSERT(e->offset >= at && e->offset + e->size <= raw.n);
		buf_span(&b, span_sub(raw, at, e->offset - at));
		buf_span(&b, e->with);
		at = e->offset + e->size;
	}
	buf_span(&b, span_from(raw, at));
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

static bool
touched(const struct variant *v, struct span number)
{
	for (size_t i = 0; i < v->nedits; i++)
		if (span_eq(v->edits[i].part, number))
			return true;
	return false;
}

static bool
acted(const struct variant *v, const char *action)
{
	for (size_t i = 0; i < v->nedits; i++)
		if (strncmp(v->edits[i].action, action, strlen(action)) == 0)
			return true;
	return false;
}

/* Of what is there; a guess at another reading need not fit. */
static uint32_t
defects(const struct anatomy *an)
{
	uint32_t all = 0;

	for (size_t i = 0; i < an->nparts; i++)
		if (!an->parts[i].reading)
			all |= an->parts[i].defects;
	return all;
}

/* Edits that neither take parts away nor add some leave the tree as it was. */
static void
compare(const struct anatomy *was, const struct anatomy *is, const struct variant *v)
{
	bool added = false;

	for (size_t i = 0; i < v->nedits; i++)
		added |= v->edits[i].with.n && memmem(v->edits[i].with.p, v->edits[i].with.n, "\n--", 3) != NULL;
	if (acted(v, "strip") || added)
		return;
	/* Other readings of a part, and what is found within it, come and go with its bytes. */
	for (size_t i = 0, k = 0; i < was->nparts || k < is->nparts; i++, k++) {
		const struct part *p, *q;

		while (i < was->nparts && (was->parts[i].reading || was->parts[i].unpacked))
			i++;
		while (k < is->nparts && (is->parts[k].reading || is->parts[k].unpacked))
			k++;
		ASSERT((i < was->nparts) == (k < is->nparts));
		if (i == was->nparts)
			break;
		p = &was->parts[i];
		q = &is->parts[k];
		ASSERT(span_eq(p->number, q->number) && p->depth == q->depth);
		ASSERT(span_eq(p->declared, q->declared) && span_eq(p->name, q->name));
		if (p->type != TYPE_MULTIPART && p->type != TYPE_MESSAGE && !touched(v, p->number)) {
			ASSERT(span_eq(p->decoded, q->decoded));
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const domains[] = { "a.example", "b.example", "c.example", "d.example",
		"e.example", "f.example", "g.example", "h.example" };
	struct recipient to[4];
	struct envelope env = { .id = 7, .direction = DIRECTION_OUTBOUND,
		.sender = SPAN_LIT("m@staff.example"), .recipients = to };
	struct facts facts = { .now = INT64_C(1795343000000000), .av = AV_CLEAN };
	struct arena *a;
	struct anatomy was;
	struct verdict v;
	struct span raw;

	if (size < 1 || size > 256 << 10)
		return 0;
	if (policy == NULL)
		load();
	a = arena_new(0);
	/* One recipient for each rule the first byte names: variants; and each alone. */
	raw = span_make((const char *)data + 1, size - 1);
	for (unsigned i = 0; i < 8 && env.nrecipients < 4; i++)
		if (data[0] >> i & 1)
			to[env.nrecipients++] = (struct recipient){ .address = span_str(
			    arena_printf(a, "x@%s", domains[i])) };
	if (env.nrecipients == 0)
		to[env.nrecipients++] = (struct recipient){ .address = SPAN_LIT("x@b.example") };
	anatomy_build(a, raw, NULL, &was);
	policy_judge(policy, &was, &env, &facts, NULL, a, &v);
	for (size_t i = 1; i < v.nvariants; i++) {
		struct span out = apply(a, raw, &v.variants[i]);
		struct anatomy is;

		anatomy_build(a, out, NULL, &is);
		/* A file taken out may have hidden a defect's cause; nothing may bring a new one. */
		ASSERT((defects(&is) & ~defects(&was) & ~(uint32_t)DEFECT_TYPE_MISMATCH) == 0);
		compare(&was, &is, &v.variants[i]);
	}
	arena_free(&a);
	return 0;
}
