/* access.c -- who may send what through a listener.
 *
 * Fails closed: a listener without permitted networks relays for nobody, an
 * inbound listener takes only our own domains, and a recipient file that
 * cannot be read stops the start. On an `auto` listener a permitted client
 * speaks outbound, also to our own domains (they are delivered to deliver_to,
 * judged as outbound mail); everybody else only inbound.
 */
#include <stdlib.h>

#include "fs.h"
#include "receiver/access.h"

#define RECIPIENTS_FILE_MAX (64u << 20)

struct access {
	size_t n;
	struct addrlist **lists;	/* of conf->domains[i]; NULL: any recipient */
};

static int
load_list(struct addrlist *l, const struct conf_domain *d, struct span text, const char *path,
    struct err *err)
{
	unsigned line = 0;

	while (text.n) {
		size_t n = span_find(text, '\n');
		struct span entry = span_sub(text, 0, n);

		line++;
		entry = span_trim(span_sub(entry, 0, span_find(entry, '#')));
		text = span_from(text, n + 1);
		if (entry.n && addrlist_add(l, entry, err) == -1)
			return err_wrap(err, "recipients of %.*s: %s:%u", SPAN_ARG(d->name), path,
			    line);
	}
	return 0;
}

int
access_load(const struct config *conf, struct access **out, struct err *err)
{
	struct access *a = calloc(1, sizeof(*a));
	struct arena *scratch = arena_new(0);
	int r = -1;

	ASSERT(a != NULL);
	a->n = conf->ndomains;
	a->lists = calloc(a->n + 1, sizeof(struct addrlist *));
	ASSERT(a->lists != NULL);
	for (size_t i = 0; i < a->n; i++) {
		const struct conf_domain *d = &conf->domains[i];
		struct span text;
		char *path;

		if (d->recipients != RECIPIENTS_FILE)
			continue;
		a->lists[i] = addrlist_new();
		path = fs_beside(scratch, conf->path, d->recipients_file);
		if (fs_read(scratch, path, RECIPIENTS_FILE_MAX, &text, err) == -1 ||
		    load_list(a->lists[i], d, text, path, err) == -1)
			goto out;
	}
	*out = a;
	a = NULL;
	r = 0;
out:
	arena_free(&scratch);
	access_free(&a);
	return r;
}

void
access_free(struct access **ap)
{
	struct access *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n; i++)
		addrlist_free(&a->lists[i]);
	free(a->lists);
	free(a);
}

bool
access_permitted(const struct conf_listener *l, struct ip client, struct span *name)
{
	for (size_t i = 0; i < l->nallow; i++)
		if (cidr_has(l->allow[i], client)) {
			*name = l->allow_net ? l->allow_net[i] : SPAN_LIT("");
			return true;
		}
	*name = SPAN_LIT("");
	return false;
}

enum access_answer
access_recipient(const struct access *a, const struct config *conf, const struct conf_listener *l,
    bool permitted, struct span address)
{
	const struct conf_domain *d;
	struct span local, domain;
	size_t i;

	if (l->direction != LISTEN_INBOUND && permitted)
		return ACCESS_OUTBOUND;
	if (l->direction == LISTEN_OUTBOUND || !mailaddr_split(address, &local, &domain) ||
	    (d = config_domain(conf, domain)) == NULL)
		return ACCESS_NO_RELAY;
	i = (size_t)(d - conf->domains);
	ASSERT(i < a->n);
	if (a->lists[i] && !addrlist_has(a->lists[i], address) &&
	    !config_is_echo(conf, address) && !span_is_nocase(local, "postmaster"))	/* RFC 5321, 4.5.1: always reachable */
		return ACCESS_UNKNOWN;
	return ACCESS_INBOUND;
}
