/* signatures.c -- the DKIM signatures of a message; see signatures.h. */
#include "postern/err.h"
#include "verifier/canonical.h"
#include "verifier/signatures.h"
#include "verifier/tags.h"

struct own {			/* of one that may be tried */
	struct signature *sig;
	struct span field, key_name;
	struct public_key key;
	bool found;		/* its key, or why there is none */
	bool relaxed_body;
	uint64_t l;		/* UINT64_MAX: the whole body */
};

struct signatures {
	struct arena *a;
	struct dns_book *book;
	const struct mail *m;
	int64_t now;
	struct signature v[SIGNATURES_SHOWN];
	size_t n;
	struct own tried[SIGNATURES_TRIED];
	size_t ntried;
	bool done;
};

static bool
judged(struct signature *s, enum auth_result r, const char *why)
{
	s->result = r;
	s->why = why;
	return false;
}

static size_t
count_names(struct span h)
{
	size_t n = 1;

	for (size_t i = 0; i < h.n; i++)
		n += h.p[i] == ':';
	return n;
}

static bool
has_from(struct span h)
{
	while (h.n) {
		struct span one = span_sub(h, 0, span_find(h, ':'));

		if (span_is_nocase(span_trim(one), "from"))
			return true;
		h = span_from(h, one.n + 1);
	}
	return false;
}

/* i= is the domain or below it (3.5); t=s in the key wants the domain itself (3.6.1). */
static bool
identity_fits(struct span i, struct span domain, bool strict)
{
	size_t at = i.n;

	while (at > 0 && i.p[at - 1] != '@')
		at--;
	if (at == 0)
		return false;
	i = span_from(i, at);
	if (span_eq_nocase(i, domain))
		return true;
	return !strict && i.n > domain.n && i.p[i.n - domain.n - 1] == '.' &&
	    span_ends_nocase(i, domain);
}

/* When it was made and how long it holds. */
static bool
times_fine(struct signature *sig, const struct tags *t, int64_t now)
{
	struct span t_at = tags_get(t, "t"), x_at = tags_get(t, "x");
	uint64_t made = 0, ends = 0;

	if ((t_at.p && !tags_number(t_at, &made)) || (x_at.p && !tags_number(x_at, &ends)) ||
	    (t_at.p && x_at.p && ends <= made))
		return judged(sig, AUTH_NEUTRAL, "its times cannot be read");
	if (t_at.p && (int64_t)made > now + SIGNATURE_DRIFT)
		return judged(sig, AUTH_POLICY, "dated in the future");
	if (x_at.p && (int64_t)ends < now - SIGNATURE_DRIFT)
		return judged(sig, AUTH_POLICY, "expired");
	return true;
}

static bool
algorithm_fine(struct signature *sig, struct span alg)
{
	if (span_is(alg, "rsa-sha256"))
		sig->algorithm = "rsa-sha256";
	else if (span_is(alg, "ed25519-sha256"))
		sig->algorithm = "ed25519-sha256";
	else if (span_is(alg, "rsa-sha1"))	/* RFC 8301, 3.1 */
		return judged(sig, AUTH_PERMERROR, "rsa-sha1 counts no more");
	else
		return judged(sig, AUTH_NEUTRAL, "an unknown algorithm");
	return true;
}

static bool
canon_fine(struct own *o, struct span c)
{
	static const char *const known[] = { "simple", "relaxed" };
	struct span header = span_sub(c, 0, span_find(c, '/')), body = span_from(c, header.n + 1);

	if (header.n == c.n)
		body = SPAN_LIT("simple");
	o->relaxed_body = span_is(body, known[1]);
	return c.p == NULL || ((span_is(header, known[0]) || span_is(header, known[1])) &&
	    (o->relaxed_body || span_is(body, known[0])));
}

/* true: worth looking for its key. */
static bool
read_field(struct signatures *s, struct own *o)
{
	struct signature *sig = o->sig;
	struct span v, d, sel, b, bh, h, i, l;
	struct tags t;

	if (o->field.n > SIGNATURE_FIELD_MAX)
		return judged(sig, AUTH_NEUTRAL, "the field is too long");
	if (!tags_parse(mail_field_body(o->field), &t))
		return judged(sig, AUTH_NEUTRAL, "the field cannot be read");
	v = tags_get(&t, "v");
	h = tags_get(&t, "h");
	d = tags_get(&t, "d");
	sel = tags_get(&t, "s");
	b = tags_compact(s->a, tags_get(&t, "b"), false);
	bh = tags_get(&t, "bh");
	l = tags_get(&t, "l");
	i = tags_compact(s->a, tags_get(&t, "i"), false);
	sig->b = span_sub(b, 0, 8);
	if (d.n && d.n < 254 && dns_name_ok(d))
		sig->domain = tags_compact(s->a, d, true);
	if (sel.n && sel.n < 254 && dns_name_ok(sel))
		sig->selector = tags_compact(s->a, sel, true);
	if (!v.p || !span_is(v, "1") || !d.n || !sel.n || !b.n || !bh.n || !h.n)
		return judged(sig, AUTH_NEUTRAL, "a tag that it must have is missing or empty");
	if (!public_key_name(s->a, sel, d, &o->key_name))
		return judged(sig, AUTH_NEUTRAL, "d= and s= make no name");
	if (!has_from(h))
		return judged(sig, AUTH_NEUTRAL, "From: is not signed");
	if (count_names(h) > SIGNATURE_NAMES_MAX)
		return judged(sig, AUTH_NEUTRAL, "too many names in h=");
	o->l = UINT64_MAX;
	if (!canon_fine(o, tags_compact(s->a, tags_get(&t, "c"), true)) && tags_get(&t, "c").p)
		return judged(sig, AUTH_NEUTRAL, "an unknown canonicalisation");
	if (l.p && !tags_number(l, &o->l))
		return judged(sig, AUTH_NEUTRAL, "l= cannot be read");
	if (tags_get(&t, "i").p && !identity_fits(i, sig->domain, false))
		return judged(sig, AUTH_NEUTRAL, "i= is not of d=");
	return algorithm_fine(sig, tags_compact(s->a, tags_get(&t, "a"), true)) &&
	    times_fine(sig, &t, s->now);
}

struct signatures *
signatures_new(struct arena *a, struct dns_book *book, const struct mail *m, int64_t now)
{
	struct signatures *s = arena_zalloc(a, sizeof(*s));

	s->a = a;
	s->book = book;
	s->m = m;
	s->now = now;
	for (size_t i = 0; i < m->nfields && s->n < SIGNATURES_SHOWN; i++) {
		struct signature *sig = &s->v[s->n];
		struct own *o = &s->tried[s->ntried];

		if (!span_is_nocase(mail_field_name(m->fields[i]), "DKIM-Signature"))
			continue;
		*sig = (struct signature){ .result = AUTH_NEUTRAL };
		s->n++;
		if (m->overfull) {
			judged(sig, AUTH_PERMERROR, "the header is too large");
			continue;
		}
		if (s->n > SIGNATURES_TRIED) {
			judged(sig, AUTH_NEUTRAL, "one of too many: not tried");
			continue;
		}
		*o = (struct own){ .sig = sig, .field = m->fields[i] };
		if (read_field(s, o))
			s->ntried++;
	}
	return s;
}

static bool
key_fits(struct signatures *s, struct own *o)
{
	struct signature *sig = o->sig;
	struct public_key *k = &o->key;
	bool ed = span_is(span_str(sig->algorithm), "ed25519-sha256");
	struct tags t;
	struct span i;

	sig->bits = k->bits;
	if (k->result != AUTH_PASS)
		return judged(sig, k->result, k->why);
	if (k->ed25519 != ed)
		return judged(sig, AUTH_PERMERROR, "the key is of another kind");
	if (k->strict && tags_parse(mail_field_body(o->field), &t)) {
		i = tags_compact(s->a, tags_get(&t, "i"), false);
		if (tags_get(&t, "i").p && !identity_fits(i, sig->domain, true))
			return judged(sig, AUTH_PERMERROR, "i= is below d=, which the key forbids");
	}
	return true;
}

/* l= that ends before the body does lets anybody write on (8.2). */
static bool
covers(const struct signatures *s, const struct own *o)
{
	uint64_t length;

	if (o->l == UINT64_MAX)
		return true;
	return canonical_body(s->m->body, o->relaxed_body, 0, NULL, &length) == 0 && length <= o->l;
}

static void
weigh(struct signatures *s, const struct signature_work *w)
{
	struct own *o = NULL;
	struct signature *sig;

	for (size_t i = 0; i < s->ntried; i++)
		if (s->tried[i].sig == w->sig)
			o = &s->tried[i];
	ASSERT(o != NULL);
	sig = o->sig;
	if (o->key.testing)
		judged(sig, AUTH_NEUTRAL, w->result == AUTH_PASS ? "good, but its key is for testing" :
		    "its key is for testing");
	else if (w->result == AUTH_PASS && !covers(s, o))
		judged(sig, AUTH_POLICY, "l= covers only a part of the body");
	else
		judged(sig, w->result, w->why);
}

static void
verify_all(struct signatures *s)
{
	struct signature_work work[SIGNATURES_TRIED];
	size_t n = 0;

	for (size_t i = 0; i < s->ntried; i++) {
		struct own *o = &s->tried[i];

		if (!o->found)
			judged(o->sig, AUTH_TEMPERROR, "its key did not come in time");
		else if (key_fits(s, o))
			work[n++] = (struct signature_work){ .sig = o->sig, .field = o->field,
				.key = &o->key };
	}
	if (n)
		signatures_verify(s->m, work, n);
	for (size_t i = 0; i < n; i++)
		weigh(s, &work[i]);
	for (size_t i = 0; i < s->ntried; i++)
		public_key_free(&s->tried[i].key);
	s->done = true;
}

bool
signatures_step(struct signatures *s)
{
	bool all = true;

	if (s->done)
		return true;
	for (size_t i = 0; i < s->ntried; i++) {
		struct own *o = &s->tried[i];

		if (!o->found)
			o->found = public_key_find(s->a, s->book, o->key_name, &o->key);
		all &= o->found;
	}
	if (all)
		verify_all(s);
	return all;
}

void
signatures_abort(struct signatures *s)
{
	if (!s->done)
		verify_all(s);
}

void
signatures_free(struct signatures *s)
{
	for (size_t i = 0; s && i < s->ntried; i++)
		public_key_free(&s->tried[i].key);
}

const struct signature *
signatures_get(const struct signatures *s, size_t *n)
{
	*n = s->n;
	return s->v;
}

/* A good one is a good one, whatever stands beside it (6.1); an answer that may still come is
 * next, for it could be a good one. */
enum auth_result
signatures_best(const struct signatures *s)
{
	static const enum auth_result order[] = { AUTH_PASS, AUTH_TEMPERROR, AUTH_FAIL, AUTH_POLICY,
		AUTH_PERMERROR, AUTH_NEUTRAL };

	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (size_t i = 0; i < s->n; i++)
			if (s->v[i].result == order[k])
				return order[k];
	return AUTH_NONE;
}
