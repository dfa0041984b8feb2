/* manifest.c -- what the records of a policy refer to: its detectors and text conditions.
 *
 * Both are known by a hash of what defines them, so that another policy, or
 * the same one after an edit elsewhere, finds its own again. Made once, when
 * the policy is compiled.
 */
#include "record.h"

#define MANIFEST_VERSION 1
#define MANIFEST_MAX (16u << 20)

static const uint8_t hash_key[16] = "postern manifest";

uint64_t
hash_spans(const struct span *v, size_t n)
{
	uint64_t h = n;

	for (size_t i = 0; i < n; i++) {
		uint64_t two[2] = { h, siphash(hash_key, v[i].n ? v[i].p : "", v[i].n) };

		h = siphash(hash_key, two, sizeof(two));
	}
	return h;
}

uint64_t
hash_numbers(uint64_t a, uint64_t b)
{
	uint64_t two[2] = { a, b };

	return siphash(hash_key, two, sizeof(two));
}

uint64_t
manifest_key(struct span bytes)
{
	return siphash(hash_key, bytes.n ? bytes.p : "", bytes.n);
}

/* A condition that cannot be asked again without the message: its answer is recorded. */
bool
atom_is_text(const struct atom *a)
{
	switch (a->kind) {
	case ATOM_TEXT:
	case ATOM_HEADER:
	case ATOM_URL:
	case ATOM_SIGN:
		return true;
	case ATOM_ADDRESS:
	case ATOM_CLIENT:
	case ATOM_USER:
	case ATOM_TLS:
	case ATOM_LISTENER:
	case ATOM_DIRECTION:
	case ATOM_RANGE:
	case ATOM_FINDS:
	case ATOM_FILE:
	case ATOM_VIRUS:
	case ATOM_UNSCANNABLE:
	case ATOM_ENCRYPTED:
	case ATOM_DEFECT:
	case ATOM_SCHEDULE:
	case ATOM_AUTH:
	case ATOM_DNSBL:
	case ATOM_SPAM:
	case ATOM_REPUTATION:
	case ATOM_LISTED:
	case ATOM_BAYES:
	case ATOM_EXPERIENCE:
		return false;
	}
	return false;
}

uint64_t
detector_hash(const struct policy *p, uint32_t detector)
{
	return detector < p->ndetector_hashes ? p->detector_hashes[detector] : 0;
}

uint64_t
atom_text_hash(const struct policy *p, const struct atom *a)
{
	uint64_t h = hash_spans(&a->key, 1);

	h = hash_numbers(h, (uint64_t)a->kind << 1 | a->negate);
	if (a->kind == ATOM_TEXT) {
		const struct measure *m = &p->measures[a->finds.measure];

		h = hash_numbers(h, (uint64_t)m->floor << 8 | m->where);
		return hash_numbers(h, detector_hash(p, m->detector));
	}
	if (a->kind == ATOM_SIGN)
		return hash_numbers(hash_numbers(h, a->signs), p->guards_hash);
	if (a->kind == ATOM_URL) {
		const struct url_cond *c = a->url;

		h = hash_numbers(h, (uint64_t)(c->listed + 1) << 8 | (uint64_t)(c->mismatch + 1) << 4 |
		    (uint64_t)(c->nsets > 0) << 2 | (uint64_t)c->not_host << 1 | (c->like >= 0));
		return hash_numbers(hash_numbers(h, c->host_hash), c->like_hash);
	}
	h = hash_numbers(h, hash_spans(&a->header.name, 1));
	return hash_numbers(h, a->header.detector < 0 ? 0 :
	    detector_hash(p, (uint32_t)a->header.detector));
}

/* Detectors keep their index: one without a name (a text condition's own) has an empty one. */
void
manifest_build(struct policy *p, const struct span *packs, size_t npacks)
{
	size_t ndet = p->detectors ? detectors_count(p->detectors) : 0, ntexts = 0;
	struct buf b;

	p->texts = arena_array(p->arena, p->natoms + 1, sizeof(*p->texts));
	for (size_t i = 0; i < p->natoms; i++)
		if (atom_is_text(&p->atoms[i]))
			p->texts[ntexts++] = (uint32_t)i;
	p->ntexts = ntexts;
	buf_init(&b, MANIFEST_MAX);
	buf_putc(&b, MANIFEST_VERSION);
	wire_put_span(&b, span_str(p->hash));
	wire_put_span(&b, SPAN_LIT(POSTERN_VERSION));
	wire_put(&b, npacks);
	for (size_t i = 0; i < npacks; i++) {
		struct span text = span_str(pack_text(packs[i]));

		wire_put_span(&b, packs[i]);
		wire_put_fixed(&b, hash_spans(&text, 1));
	}
	wire_put(&b, ndet);
	for (size_t i = 0; i < ndet; i++) {
		struct span id = detectors_id(p->detectors, i);

		wire_put_span(&b, id.n && id.p[0] == ' ' ? (struct span){ 0 } : id);
		wire_put_fixed(&b, detector_hash(p, (uint32_t)i));
	}
	wire_put(&b, ntexts);
	for (size_t i = 0; i < ntexts; i++) {
		wire_put_span(&b, p->atoms[p->texts[i]].key);
		wire_put_fixed(&b, atom_text_hash(p, &p->atoms[p->texts[i]]));
	}
	if (!buf_failed(&b)) {	/* else there are no records of it */
		p->manifest = arena_span(p->arena, buf_data(&b));
		p->manifest_key = manifest_key(p->manifest);
	}
	buf_release(&b);
}

struct span
policy_manifest(const struct policy *p)
{
	return p->manifest;
}

static struct manifest_name *
read_names(struct wire *w, struct arena *a, size_t *n)
{
	struct manifest_name *v;

	*n = wire_get_count(w, MANIFEST_MAX / 9);
	v = arena_array(a, *n + 1, sizeof(*v));
	for (size_t i = 0; i < *n; i++) {
		v[i].name = wire_get_span(w);
		v[i].hash = wire_get_fixed(w);
	}
	return v;
}

int
manifest_read(struct span bytes, struct arena *a, struct manifest *m)
{
	struct wire w = { .in = bytes };

	if (bytes.n == 0 || bytes.p[0] != MANIFEST_VERSION)
		return -1;
	w.at = 1;
	*m = (struct manifest){ .key = manifest_key(bytes) };
	m->policy = wire_get_span(&w);
	m->program = wire_get_span(&w);
	m->packs = read_names(&w, a, &m->npacks);
	m->detectors = read_names(&w, a, &m->ndetectors);
	m->texts = read_names(&w, a, &m->ntexts);
	return w.bad || w.at != bytes.n ? -1 : 0;
}
