/* tls_cache.c -- TLS sessions of servers, kept for the next connection; see tls_cache.h. */
#include <openssl/ssl.h>
#include <stdlib.h>

#include "net/tls_cache.h"
#include "postern/err.h"
#include "table.h"

struct place;

struct kept {
	struct kept *next, *prev;		/* of its place, newest first */
	struct kept *older, *newer;		/* of all */
	struct place *place;
	SSL_SESSION *session;
	struct tls_proof proof;
	int64_t until;
};

/* The sessions of one key. */
struct place {
	struct kept *first;
	size_t n;
	struct span key;
	char text[];
};

struct tls_cache {
	struct table *places;
	struct kept *newest, *oldest;
	size_t n;
};

struct tls_cache *
tls_cache_new(void)
{
	struct tls_cache *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->places = table_new();
	return c;
}

static void
drop(struct tls_cache *c, struct kept *k)
{
	struct place *p = k->place;

	if (k->newer)
		k->newer->older = k->older;
	else
		c->newest = k->older;
	if (k->older)
		k->older->newer = k->newer;
	else
		c->oldest = k->newer;
	if (k->prev)
		k->prev->next = k->next;
	else
		p->first = k->next;
	if (k->next)
		k->next->prev = k->prev;
	c->n--;
	if (--p->n == 0) {
		table_remove(c->places, p->key);
		free(p);
	}
	SSL_SESSION_free(k->session);
	free(k);
}

void
tls_cache_free(struct tls_cache **cp)
{
	struct tls_cache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	while (c->oldest)
		drop(c, c->oldest);
	table_free(&c->places);
	free(c);
}

size_t
tls_cache_count(const struct tls_cache *c)
{
	return c->n;
}

static struct place *
place_of(struct tls_cache *c, struct span key)
{
	struct place *p = table_get(c->places, key);

	if (p)
		return p;
	p = calloc(1, sizeof(*p) + key.n);
	ASSERT(p != NULL);
	memcpy(p->text, key.p, key.n);
	p->key = span_make(p->text, key.n);
	table_put(c->places, p->key, p);
	return p;
}

/* When it must not be used any more: the ticket, our own patience, the certificate. */
static int64_t
end_of(SSL_SESSION *session, int64_t now)
{
	X509 *cert = SSL_SESSION_get0_peer(session);
	int64_t until = now + TLS_CACHE_LIFE;
	long ticket = SSL_SESSION_get_timeout(session);
	int days, seconds;

	if (ticket >= 0 && now + ticket < until)
		until = now + ticket;
	if (cert && ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) == 1) {
		int64_t left = (int64_t)days * 86400 + seconds;

		/* An expired one that was taken for what it is worth stays worth that. */
		if (left > 0 && now + left < until)
			until = now + left;
	}
	return until;
}

void
tls_cache_put(struct tls_cache *c, struct span key, SSL_SESSION *session,
    const struct tls_proof *proof, int64_t now)
{
	struct place *p;
	struct kept *k;

	if (!SSL_SESSION_is_resumable(session) || !proof->known) {
		SSL_SESSION_free(session);
		return;
	}
	p = place_of(c, key);
	k = calloc(1, sizeof(*k));
	ASSERT(k != NULL);
	*k = (struct kept){ .place = p, .session = session, .proof = *proof,
		.until = end_of(session, now), .next = p->first, .older = c->newest };
	if (p->first)
		p->first->prev = k;
	p->first = k;
	if (c->newest)
		c->newest->newer = k;
	else
		c->oldest = k;
	c->newest = k;
	p->n++;
	c->n++;
	if (p->n > TLS_CACHE_PER_KEY) {
		struct kept *last = k;

		while (last->next)
			last = last->next;
		drop(c, last);
	}
	if (c->n > TLS_CACHE_MAX)
		drop(c, c->oldest);
}

SSL_SESSION *
tls_cache_take(struct tls_cache *c, struct span key, int64_t now,
    bool (*fits)(void *ctx, SSL_SESSION *session, const struct tls_proof *proof), void *ctx,
    struct tls_proof *proof)
{
	struct place *p = table_get(c->places, key);
	struct kept *next;

	for (struct kept *k = p ? p->first : NULL; k; k = next) {
		SSL_SESSION *session = k->session;

		next = k->next;
		if (k->until <= now || !SSL_SESSION_is_resumable(session)) {
			drop(c, k);
			continue;
		}
		if (!fits(ctx, session, &k->proof))
			continue;
		*proof = k->proof;
		SSL_SESSION_up_ref(session);
		if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
			drop(c, k);
		return session;
	}
	return NULL;
}

void
tls_cache_forget(struct tls_cache *c, struct span key)
{
	struct place *p = table_get(c->places, key);

	for (size_t n = p ? p->n : 0; n > 0; n--)
		drop(c, p->first);
}
