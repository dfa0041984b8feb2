/* seals.c -- the chain of forwarders' seals (ARC, RFC 8617, 5.2); see seals.h.
 *
 * Each forwarder adds a set: what it found (AAR), a signature of the message (AMS), a seal over all
 * sets so far (AS). The chain holds when the sets are 1..n, each whole, the newest AMS fits the
 * message, and every AS fits. Both canonicalisations of an AMS are read; seals are always relaxed.
 * The body is hashed once for each canonicalisation, however many sets there are.
 */
#include "base64.h"
#include "buf.h"
#include "postern/err.h"
#include "verifier/canonical.h"
#include "verifier/results.h"
#include "verifier/seals.h"
#include "verifier/tags.h"

#define NAMES_MAX 400		/* in h= */
#define FIELD_MAX (64u << 10)	/* of one field of a set */

struct signer {			/* AMS or AS */
	struct span field;
	struct tags tags;
	struct span key_name;
	struct public_key key;
	bool found;
};

struct set {
	struct span aar;
	struct signer ams, as;
};

struct seals {
	struct arena *a;
	struct dns_book *book;
	const struct mail *m;
	struct set *sets;		/* [i - 1] */
	unsigned n;
	struct span *names;		/* of the message's fields */
	bool done;
	bool hashed[2];			/* the body, simple and relaxed */
	unsigned char hash[2][32];
	struct seals_result out;
};

static void
end(struct seals *s, enum auth_result r, unsigned set, const char *why)
{
	s->out.result = r;
	s->out.failed = set;
	s->out.why = why;
	s->done = true;
}

/* ---- collecting ---- */

static unsigned
instance(struct span v)
{
	uint64_t i;

	return tags_number(v, &i) && i >= 1 && i <= SEALS_MAX ? (unsigned)i : 0;
}

/* "i=1; gw.example.org; …": no list of tags but for its head. */
static unsigned
aar_instance(struct span body)
{
	struct span head = span_trim(span_sub(body, 0, span_find(body, ';')));
	size_t eq = span_find(head, '=');

	if (eq == head.n || !span_is(span_trim(span_sub(head, 0, eq)), "i"))
		return 0;
	return instance(span_trim(span_from(head, eq + 1)));
}

static const char *
put_signer(struct seals *s, struct span field, bool seal)
{
	struct tags t;
	struct signer *g;
	unsigned i;

	if (!tags_parse(mail_field_body(field), &t) || (i = instance(tags_get(&t, "i"))) == 0)
		return "a field cannot be read";
	g = seal ? &s->sets[i - 1].as : &s->sets[i - 1].ams;
	if (g->field.n)
		return "a field stands twice";
	g->field = field;
	g->tags = t;
	s->n = i > s->n ? i : s->n;
	return NULL;
}

static const char *
put_aar(struct seals *s, struct span field)
{
	unsigned i = aar_instance(mail_field_body(field));

	if (i == 0)
		return "a field cannot be read";
	if (s->sets[i - 1].aar.n)
		return "a field stands twice";
	s->sets[i - 1].aar = field;
	s->n = i > s->n ? i : s->n;
	return NULL;
}

static const char *
collect(struct seals *s, bool *any)
{
	for (size_t k = 0; k < s->m->nfields; k++) {
		struct span f = s->m->fields[k], name = s->names[k] = mail_field_name(f);
		bool aar = span_is_nocase(name, "ARC-Authentication-Results");
		bool ams = span_is_nocase(name, "ARC-Message-Signature");
		const char *why;

		if (!aar && !ams && !span_is_nocase(name, "ARC-Seal"))
			continue;
		*any = true;
		if (f.n > FIELD_MAX)
			return "a field is too long";
		if ((why = aar ? put_aar(s, f) : put_signer(s, f, !ams)) != NULL)
			return why;
	}
	return NULL;
}

/* 5.2, 3: whole, in a row, and each says how it found the chain. */
static const char *
check_structure(struct seals *s, unsigned *at)
{
	if (span_is_nocase(tags_get(&s->sets[s->n - 1].as.tags, "cv"), "fail")) {
		*at = s->n;
		return "a forwarder says that it was broken when it came";
	}
	for (unsigned i = 0; i < s->n; i++) {
		struct set *x = &s->sets[i];
		struct signer *both[] = { &x->ams, &x->as };

		*at = i + 1;
		if (!x->aar.n || !x->ams.field.n || !x->as.field.n)
			return "a set is not whole";
		if (!span_is_nocase(tags_get(&x->as.tags, "cv"), i == 0 ? "none" : "pass"))
			return "cv= is wrong";
		if (tags_get(&x->as.tags, "h").p)
			return "a seal with h=";	/* 4.1.3 */
		for (int k = 0; k < 2; k++)
			if (!public_key_name(s->a, tags_get(&both[k]->tags, "s"),
			    tags_get(&both[k]->tags, "d"), &both[k]->key_name))
				return "d= and s= make no name";
	}
	return NULL;
}

struct seals *
seals_new(struct arena *a, struct dns_book *book, const struct mail *m)
{
	struct seals *s = arena_zalloc(a, sizeof(*s));
	const char *why;
	unsigned at = 0;
	bool any = false;

	s->a = a;
	s->book = book;
	s->m = m;
	s->names = arena_array(a, m->nfields, sizeof(*s->names));
	for (size_t k = 0; k < m->nfields && !any; k++)
		any = span_starts_nocase(m->fields[k], SPAN_LIT("ARC-"));
	if (!any) {
		end(s, AUTH_NONE, 0, NULL);
		return s;
	}
	any = false;
	s->sets = arena_array(a, SEALS_MAX, sizeof(*s->sets));
	why = collect(s, &any);
	s->out.sets = s->n;
	if (!any)
		end(s, AUTH_NONE, 0, NULL);
	else if (m->overfull)
		end(s, AUTH_FAIL, 0, "the header is too large");
	else if (why || (why = check_structure(s, &at)) != NULL)
		end(s, AUTH_FAIL, at, why);
	return s;
}

/* ---- verifying ---- */

static const char *
key_trouble(const struct signer *g)
{
	struct span alg = tags_get(&g->tags, "a");

	if (!g->found)
		return "a key did not come in time";
	if (g->key.result != AUTH_PASS)
		return g->key.why;
	if (!span_is_nocase(alg, g->key.ed25519 ? "ed25519-sha256" : "rsa-sha256"))
		return "an algorithm that does not fit its key";
	return NULL;
}

static bool
same_hash(struct seals *s, bool relaxed, struct span bh)
{
	struct buf raw;
	uint64_t length;
	bool same = false;

	if (!s->hashed[relaxed]) {
		if (canonical_body(s->m->body, relaxed, UINT64_MAX, s->hash[relaxed], &length) == -1)
			return false;
		s->hashed[relaxed] = true;
	}
	buf_init(&raw, 64);
	if (base64_decode(&raw, tags_compact(s->a, bh, false)) == 0 && buf_size(&raw) == 32)
		same = memcmp(buf_data(&raw).p, s->hash[relaxed], 32) == 0;
	buf_release(&raw);
	return same;
}

/* The lowest field of that name that was not taken before (RFC 6376, 5.4.2). */
static size_t
take_field(const struct seals *s, struct span name, bool *used)
{
	for (size_t k = s->m->nfields; k-- > 0; )
		if (s->names[k].n == name.n && !used[k] && span_eq_nocase(s->names[k], name)) {
			used[k] = true;
			return k;
		}
	return SIZE_MAX;
}

static const char *
put_header(const struct seals *s, struct span h, bool relaxed, struct buf *data)
{
	bool *used = arena_array(s->a, s->m->nfields + 1, sizeof(*used));
	size_t n = 0;

	while (h.n) {
		struct span one = span_sub(h, 0, span_find(h, ':'));
		size_t k;

		if (++n > NAMES_MAX)
			return "too many names in h=";
		if (span_is_nocase(span_trim(one), "ARC-Seal"))
			return "h= names a seal";	/* 4.1.2 */
		if ((k = take_field(s, span_trim(one), used)) != SIZE_MAX) {
			canonical_field(data, s->m->fields[k], relaxed);
			buf_puts(data, "\r\n");
		}
		h = span_from(h, one.n + 1);
	}
	return NULL;
}

static const char *
verify_ams(struct seals *s, const struct signer *g)
{
	struct span c = tags_compact(s->a, tags_get(&g->tags, "c"), true);
	struct span header = span_sub(c, 0, span_find(c, '/')), body = span_from(c, header.n + 1);
	struct span h = tags_get(&g->tags, "h"), b = tags_get(&g->tags, "b");
	bool relaxed = span_is(header, "relaxed");
	const char *why = key_trouble(g);
	struct buf data;

	if (why)
		return why;
	if ((c.n && !relaxed && !span_is(header, "simple")) ||
	    (body.n && !span_is(body, "relaxed") && !span_is(body, "simple")))
		return "an unknown canonicalisation";
	if (!h.n || !b.n || tags_get(&g->tags, "l").p)
		return "a message signature that cannot be read";
	if (!same_hash(s, span_is(body, "relaxed"), tags_get(&g->tags, "bh")))
		return "the body was changed";
	buf_init(&data, 2 * MAIL_HEADER_MAX);
	why = put_header(s, h, relaxed, &data);
	canonical_own_field(&data, g->field, relaxed);
	if (!why && (buf_failed(&data) || !public_key_verifies(&g->key, buf_data(&data), b)))
		why = "the header was changed";
	buf_release(&data);
	return why;
}

static void
put_set(struct buf *b, const struct set *x)
{
	canonical_field(b, x->aar, true);
	buf_puts(b, "\r\n");
	canonical_field(b, x->ams.field, true);
	buf_puts(b, "\r\n");
}

/* Seal i is over all sets up to its own, and over itself without b= (5.1.1). */
static const char *
verify_seals(struct seals *s, unsigned *at)
{
	const char *why = NULL;
	struct buf data, before;

	buf_init(&before, 2 * MAIL_HEADER_MAX);
	buf_init(&data, 4 * MAIL_HEADER_MAX);
	for (unsigned i = 0; i < s->n && !why; i++) {
		const struct set *x = &s->sets[i];

		*at = i + 1;
		put_set(&before, x);
		buf_reset(&data);
		buf_span(&data, buf_data(&before));
		canonical_own_field(&data, x->as.field, true);
		why = key_trouble(&x->as);
		if (!why && (buf_failed(&data) || buf_failed(&before) ||
		    !public_key_verifies(&x->as.key, buf_data(&data), tags_get(&x->as.tags, "b"))))
			why = "a seal does not fit";
		canonical_field(&before, x->as.field, true);
		buf_puts(&before, "\r\n");
	}
	buf_release(&before);
	buf_release(&data);
	return why;
}

/* Of the newest message signature and of all seals: without these nothing is known. */
static bool
key_is_away(const struct seals *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct signer *need[] = { &s->sets[i].as, i + 1 == s->n ? &s->sets[i].ams : NULL };

		for (int k = 0; k < 2; k++)
			if (need[k] && (!need[k]->found || need[k]->key.result == AUTH_TEMPERROR))
				return true;
	}
	return false;
}

static void
verify(struct seals *s)
{
	unsigned at = s->n, i = s->n;
	const char *why;

	if (key_is_away(s)) {
		end(s, AUTH_TEMPERROR, 0, "a key cannot be looked up now");
		return;
	}
	if ((why = verify_ams(s, &s->sets[s->n - 1].ams)) != NULL ||
	    (why = verify_seals(s, &at)) != NULL) {
		end(s, AUTH_FAIL, at, why);
		return;
	}
	while (i > 1 && verify_ams(s, &s->sets[i - 2].ams) == NULL)
		i--;
	s->out.oldest_pass = i > 1 ? i : 0;
	s->out.sealer = tags_compact(s->a, tags_get(&s->sets[s->n - 1].as.tags, "d"), true);
	end(s, AUTH_PASS, 0, NULL);
}

bool
seals_step(struct seals *s)
{
	bool all = true;

	if (s->done)
		return true;
	for (unsigned i = 0; i < s->n; i++) {
		struct signer *both[] = { &s->sets[i].ams, &s->sets[i].as };

		for (int k = 0; k < 2; k++) {
			if (!both[k]->found)
				both[k]->found = public_key_find(s->a, s->book, both[k]->key_name,
				    &both[k]->key);
			all &= both[k]->found;
		}
	}
	if (all)
		verify(s);
	return all;
}

void
seals_abort(struct seals *s)
{
	if (!s->done)
		verify(s);
}

void
seals_free(struct seals *s)
{
	for (unsigned i = 0; s && i < s->n; i++) {
		public_key_free(&s->sets[i].ams.key);
		public_key_free(&s->sets[i].as.key);
	}
}

const struct seals_result *
seals_result(const struct seals *s)
{
	return &s->out;
}

static bool
is_trusted(struct span domain, const struct span *trusted, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(domain, trusted[i]))
			return true;
	return false;
}

struct span
seals_vouch(const struct seals *s, const struct span *trusted, size_t n)
{
	for (unsigned i = s->out.result == AUTH_PASS ? s->n : 0; i > 0; i--) {
		const struct set *x = &s->sets[i - 1];
		struct span d = tags_get(&x->as.tags, "d"), found = mail_field_body(x->aar);

		/* whose word the seal makes his: its own and its message signature's must be one */
		if (!is_trusted(d, trusted, n) || !span_eq_nocase(d, tags_get(&x->ams.tags, "d")))
			break;
		if (results_say(span_from(found, span_find(found, ';') + 1), "dmarc", "pass"))
			return tags_compact(s->a, d, true);
	}
	return SPAN_LIT("");
}
