/* dmarc_walk.c -- DMARC records in the DNS; see dmarc_walk.h.
 *
 * A walk asks for the domain and then upwards, from the seventh label on when
 * it has eight or more: never more than eight questions, and they leave
 * together. A record that says psd=n or psd=y ends it.
 */
#include "verifier/dmarc_walk.h"

#define LABEL "_dmarc."

struct dmarc_found
dmarc_look(struct dns_book *b, struct span domain)
{
	char name[sizeof(LABEL) + DNS_NAME_MAX];
	struct dmarc_found f = { .state = DMARC_LOOK_NONE };
	const struct dns_reply *r;

	if (domain.n == 0 || domain.n >= DNS_NAME_MAX)
		return f;
	memcpy(name, LABEL, sizeof(LABEL) - 1);
	memcpy(name + sizeof(LABEL) - 1, domain.p, domain.n);
	r = dns_book_ask(b, span_make(name, sizeof(LABEL) - 1 + domain.n), DNS_TXT);
	if (r == NULL || dns_reply_failed(r)) {
		f.state = r ? DMARC_LOOK_FAILED : DMARC_LOOK_WAIT;
		return f;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct dmarc_record one;

		if (!dmarc_record_parse(r->items[i].text, &one))
			continue;
		f.state = f.state == DMARC_LOOK_NONE ? DMARC_LOOK_ONE : DMARC_LOOK_SEVERAL;
		f.record = one;
	}
	return f;
}

static size_t
labels(struct span s)
{
	size_t n = s.n > 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '.';
	return n;
}

static struct span
parent(struct span s)
{
	return span_from(s, span_find(s, '.') + 1);
}

/* The end of `domain` with one label more than `above`, which is its end. */
static struct span
one_below(struct span domain, struct span above)
{
	size_t at = domain.n - above.n - 1;

	while (at > 0 && domain.p[at - 1] != '.')
		at--;
	return span_from(domain, at);
}

static size_t
targets(struct span domain, struct span out[DMARC_WALK_MAX])
{
	size_t n = 0;

	out[n++] = domain;
	domain = parent(domain);
	while (labels(domain) >= DMARC_WALK_MAX)
		domain = parent(domain);
	for (; domain.n && n < DMARC_WALK_MAX; domain = parent(domain))
		out[n++] = domain;
	return n;
}

enum dmarc_walk_state
dmarc_walk(struct dns_book *b, struct span domain, struct dmarc_walk *w)
{
	struct span at[DMARC_WALK_MAX];
	struct dmarc_found found[DMARC_WALK_MAX];
	size_t n = targets(domain, at), org = n;
	bool suffix = false;

	for (size_t i = 0; i < n; i++)
		found[i] = dmarc_look(b, at[i]);
	for (size_t i = 0; i < n; i++) {
		if (found[i].state == DMARC_LOOK_WAIT)
			return DMARC_WALK_WAIT;
		if (found[i].state == DMARC_LOOK_FAILED)
			return DMARC_WALK_FAILED;
		if (found[i].state != DMARC_LOOK_ONE)
			continue;
		org = i;	/* so far the one with the fewest labels */
		suffix = i > 0 && found[i].record.psd == DMARC_PSD_YES;
		if (found[i].record.psd != DMARC_PSD_UNSAID)
			break;
	}
	*w = (struct dmarc_walk){ .organisation = domain };
	if (org == n)
		return DMARC_WALK_DONE;
	w->organisation = suffix ? one_below(domain, at[org]) : at[org];
	/* The policy: of the domain itself; of its organisation; of the public suffix. */
	for (size_t i = 0; i <= org; i++) {
		if (found[i].state != DMARC_LOOK_ONE || (i > 0 && i < org &&
		    !span_eq(at[i], w->organisation)))
			continue;
		w->has_policy = true;
		w->policy = found[i].record;
		w->policy_domain = at[i];
		break;
	}
	return DMARC_WALK_DONE;
}
