/* batv_book.c -- the domains that tag their senders; see batv_book.h. */
#include <stdlib.h>

#include "net/batv_book.h"

struct batv_book {
	const struct config *conf;
	struct batv_domain *domains;	/* as conf->domains */
};

static int
list_of(const struct span *texts, size_t n, struct addrlist **out, struct err *err)
{
	*out = addrlist_new();
	for (size_t i = 0; i < n; i++)
		if (addrlist_add(*out, texts[i], err) == -1)
			return -1;
	return 0;
}

static int
domain_load(struct batv_domain *d, const struct conf_domain *conf, struct err *err)
{
	const struct conf_batv *b = &conf->batv;

	d->conf = conf;
	if (batv_keys_load(b->key, &d->keys, err) == -1)
		return -1;
	d->since = b->since ? b->since : batv_keys_since(&d->keys);
	return list_of(b->exempt, b->nexempt, &d->exempt, err) == -1 ||
	    list_of(b->untagged, b->nuntagged, &d->untagged, err) == -1 ? -1 : 0;
}

int
batv_book_load(const struct config *c, struct batv_book **out, struct err *err)
{
	struct batv_book *b = NULL;

	*out = NULL;
	for (size_t i = 0; i < c->ndomains; i++) {
		const struct conf_domain *d = &c->domains[i];

		if (d->batv.key == NULL)
			continue;
		if (b == NULL) {
			b = calloc(1, sizeof(*b));
			ASSERT(b != NULL);
			b->conf = c;
			b->domains = calloc(c->ndomains, sizeof(*b->domains));
			ASSERT(b->domains != NULL);
		}
		if (domain_load(&b->domains[i], d, err) == -1) {
			batv_book_free(&b);
			return err_wrap(err, "%s:%u: BATV of " SPAN_FMT, c->path, d->batv.line,
			    SPAN_ARG(d->name));
		}
	}
	*out = b;
	return 0;
}

void
batv_book_free(struct batv_book **b)
{
	if (*b == NULL)
		return;
	for (size_t i = 0; i < (*b)->conf->ndomains; i++) {
		struct batv_domain *d = &(*b)->domains[i];

		batv_keys_wipe(&d->keys);
		addrlist_free(&d->exempt);
		addrlist_free(&d->untagged);
	}
	free((*b)->domains);
	free(*b);
	*b = NULL;
}

const struct batv_domain *
batv_book_of(const struct batv_book *b, struct span address)
{
	const struct conf_domain *d;
	struct span local, domain;

	if (b == NULL || !mailaddr_split(address, &local, &domain) ||
	    (d = config_domain(b->conf, domain)) == NULL || d->batv.key == NULL)
		return NULL;
	return &b->domains[d - b->conf->domains];
}

struct span
batv_sender(const struct batv_book *b, struct arena *a, struct span sender, struct span recipient,
    int64_t now)
{
	const struct batv_domain *d = batv_book_of(b, sender);
	struct span local, domain;

	if (d == NULL || addrlist_has(d->exempt, recipient) || addrlist_has(d->untagged, sender))
		return sender;
	/* Servers of ours need no proof, and should see whom the mail is from. */
	if (mailaddr_split(recipient, &local, &domain) && config_domain(b->conf, domain))
		return sender;
	return batv_tag(&d->keys, a, sender, batv_day(now));
}
