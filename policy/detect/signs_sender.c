/* signs_sender.c -- authors who want to be taken for others.
 *
 * Three guarded kinds: our own domains, well-known and protected ones, our people. Whoever is one of them is
 * never like another of them: a partner whose domain is near to ours is named in `protect` and is
 * quiet from then on. What proves the author (facts.proved) ends the suspicion that he is not who
 * he says, but not that his domain is made to be mistaken: a look-alike has SPF and DKIM of its own.
 */
#include "addr.h"
#include "anatomy/url.h"
#include "detect/mailbox.h"
#include "detect/signs_own.h"
#include "postern/url.h"

#define NAME_LEAST 5		/* letters of a protected name, to be looked for in what people write */

static bool
is_letter(unsigned char c)
{
	return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The next word of a folded text. */
static bool
next_word(struct span *s, struct span *word)
{
	size_t from = 0, to;

	while (from < s->n && !is_letter((unsigned char)s->p[from]))
		from++;
	for (to = from; to < s->n && is_letter((unsigned char)s->p[to]); to++)
		;
	*word = span_sub(*s, from, to - from);
	*s = span_from(*s, to);
	return word->n > 0;
}

static int
word_order(struct span x, struct span y)
{
	size_t n = x.n < y.n ? x.n : y.n;
	int r = memcmp(x.p, y.p, n);

	return r ? r : (x.n > y.n) - (x.n < y.n);
}

static struct span
sorted_words(struct arena *a, struct span rest)
{
	struct span words[PERSON_WORDS], w, all;
	size_t n = 0, at = 0;
	char *out;

	while (n < PERSON_WORDS && next_word(&rest, &w)) {
		size_t i = n++;

		for (; i > 0 && word_order(words[i - 1], w) > 0; i--)
			words[i] = words[i - 1];
		words[i] = w;
	}
	if (n < 2)
		return SPAN_LIT("");
	all.n = 0;
	for (size_t i = 0; i < n; i++)
		all.n += words[i].n + 1;
	out = arena_alloc(a, all.n);
	for (size_t i = 0; i < n; i++) {
		if (i)
			out[at++] = ' ';
		memcpy(out + at, words[i].p, words[i].n);
		at += words[i].n;
	}
	return span_make(out, at);
}

struct span
person_name(struct arena *a, struct span name)
{
	return sorted_words(a, text_fold_word(a, name));
}

static struct span
label_of(struct span host)
{
	struct span domain = host_domain(host);

	return span_sub(domain, 0, span_find(domain, '.'));
}

/* --- the domain ----------------------------------------------------------------------------- */

/* The same label under another ending than all of ours have. */
static bool
our_name(struct seeker *s, struct span domain, struct span *ours)
{
	struct span label = label_of(domain);

	return label.n >= NAME_LEAST && lookalikes_named(s->guards->own, label, ours) &&
	    span_eq(label_of(*ours), label);	/* the same, not only to the eye */
}

static void
look_at_domain(struct seeker *s, struct span domain)
{
	const struct sign_guards *g = s->guards;
	struct span like;
	const char *why;

	if (lookalikes_has(g->own, domain)) {
		/* A forwarder whose seal we trust has seen more than we can. */
		if (s->outside && s->facts->proved.n == 0 && s->facts->dmarc != AUTH_POLICY)
			sign_set(s, SIGN_OWN_UNPROVED, "neither SPF nor DKIM proves " SPAN_FMT,
			    SPAN_ARG(domain));
		return;
	}
	if (lookalikes_has(g->brands, domain))
		return;
	if (lookalikes_find(g->own, domain, &like, &why))
		sign_set(s, SIGN_FROM_LOOKALIKE, SPAN_FMT " for " SPAN_FMT ": %s", SPAN_ARG(domain),
		    SPAN_ARG(like), why);
	else if (our_name(s, domain, &like))
		sign_set(s, SIGN_FROM_OUR_NAME, SPAN_FMT " for " SPAN_FMT, SPAN_ARG(domain),
		    SPAN_ARG(like));
	else if (lookalikes_find(g->brands, domain, &like, &why))
		sign_set(s, SIGN_FROM_BRAND, SPAN_FMT " for " SPAN_FMT ": %s", SPAN_ARG(domain),
		    SPAN_ARG(like), why);
}

/* --- the name -------------------------------------------------------------------------------- */

/* "support example.org", "m.durand@example.org" before another's address */
static bool
shows_ours(struct seeker *s, struct span name, struct span *which)
{
	size_t i = 0;

	while (i < name.n) {
		size_t n = i;

		while (n < name.n && (is_letter((unsigned char)ascii_lower(name.p[n])) ||
		    name.p[n] == '.' || name.p[n] == '-'))
			n++;
		*which = span_sub(name, i, n - i);
		while (which->n && which->p[which->n - 1] == '.')
			which->n--;
		if (which->n && span_find(*which, '.') < which->n) {
			char *low = arena_alloc(s->a, which->n);

			for (size_t k = 0; k < which->n; k++)
				low[k] = ascii_lower(which->p[k]);
			*which = span_make(low, which->n);
			if (lookalikes_has(s->guards->own, *which))
				return true;
		}
		i = n + 1;
	}
	return false;
}

static bool
is_theirs(const struct sign_guards *g, struct span name, struct span address, bool *known)
{
	*known = false;
	for (size_t i = 0; i < g->npeople; i++) {
		if (!span_eq(g->people[i].name, name))
			continue;
		*known = true;
		if (span_eq_nocase(g->people[i].address, address))
			return true;
	}
	return false;
}

/* "PayPal", "Pay Pal", "Crédit Agricole" for credit-agricole.fr */
static bool
shows_brand(struct seeker *s, struct span folded, struct span *like)
{
	struct span w, before = SPAN_LIT("");

	while (next_word(&folded, &w)) {
		const char *const joints[] = { "", "-" };

		if (w.n >= NAME_LEAST && lookalikes_named(s->guards->brands, w, like))
			return true;
		for (size_t i = 0; i < 2 && before.n; i++) {
			struct span both = span_str(arena_printf(s->a, SPAN_FMT "%s" SPAN_FMT,
			    SPAN_ARG(before), joints[i], SPAN_ARG(w)));

			if (both.n > NAME_LEAST + 1 && both.n < 64 &&
			    lookalikes_named(s->guards->brands, both, like))
				return true;
		}
		before = span_sub(w, 0, 30);
	}
	return false;
}

static void
look_at_name(struct seeker *s, const struct mailbox *m, struct span domain)
{
	const struct sign_guards *g = s->guards;
	bool ours = lookalikes_has(g->own, domain), known;
	struct span which, person, folded, name = span_sub(m->name, 0, 300);

	if (name.n == 0)
		return;
	if (!ours && shows_ours(s, name, &which))
		sign_set(s, SIGN_NAME_OURS, SPAN_FMT " shown, it is of " SPAN_FMT, SPAN_ARG(which),
		    SPAN_ARG(domain));
	folded = text_fold_word(s->a, name);
	person = g->npeople ? sorted_words(s->a, folded) : SPAN_LIT("");
	if (person.n && !is_theirs(g, person, s->an->header_from, &known) && known &&
	    !(ours && s->facts->proved.n))
		sign_set(s, SIGN_NAME_PERSON, SPAN_FMT " is not the address of " SPAN_FMT,
		    SPAN_ARG(s->an->header_from), SPAN_ARG(name));
	if (!ours && s->facts->proved.n == 0 && !lookalikes_has(g->brands, domain) &&
	    shows_brand(s, folded, &which) &&
	    !span_eq(label_of(which), label_of(domain)))
		sign_set(s, SIGN_NAME_BRAND, SPAN_FMT " shown, it is of " SPAN_FMT, SPAN_ARG(which),
		    SPAN_ARG(domain));
}

/* --- where answers go --------------------------------------------------------------------------- */

static void
look_at_reply(struct seeker *s, struct span domain)
{
	struct span value = seeker_header(s, "Reply-To"), local, to, address;
	struct mailbox m;
	const char *why;
	size_t at = 0;

	if (value.n == 0 || !mailbox_next(s->a, value, &at, &m) || m.address.n == 0)
		return;
	address = mailaddr_normalise(s->a, m.address);
	if (!mailaddr_split(address, &local, &to) || span_eq_nocase(host_domain(to), host_domain(domain)))
		return;
	if (lookalikes_pair(s->guards->own, domain, to, &why))
		sign_set(s, SIGN_REPLY_LOOKALIKE, SPAN_FMT " for " SPAN_FMT ": %s", SPAN_ARG(to),
		    SPAN_ARG(domain), why);
}

void
signs_sender(struct seeker *s)
{
	struct span value = seeker_header(s, "From"), local, domain;
	struct mailbox first = { 0 }, m;
	size_t at = 0, n = 0;

	while (n < MAILBOXES_MAX && mailbox_next(s->a, value, &at, &m)) {
		if (n == 0 || first.address.n == 0)
			first = m;
		n += m.address.n > 0;
	}
	if (n > 1)
		sign_set(s, SIGN_FROM_SEVERAL, "%zu addresses", n);
	if (!mailaddr_split(s->an->header_from, &local, &domain)) {
		if (value.n)
			sign_set(s, SIGN_FROM_UNREADABLE, NULL);
		return;
	}
	look_at_domain(s, domain);
	look_at_name(s, &first, domain);
	look_at_reply(s, domain);
}
