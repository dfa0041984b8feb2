/* signer.c -- the role that holds the private keys, and the only one.
 *
 * SIGN names the author's domain and carries the edited bytes; SIGNED
 * carries one DKIM-Signature field for each key of that domain. Keys are read
 * before privileges are dropped; afterwards the role has no file and no
 * network left. It never sees an envelope and keeps nothing.
 *
 * Before a signature leaves, libopendkim verifies it: the first of each key on a real
 * message, then each dkim_verify-th (100). To verify them all costs as much as to sign them (bench_scan
 * --dkim), and what it would find beyond the first is the rare message on
 * which two implementations differ; OpenSSL itself checks each RSA signature
 * against faults. One that fails is not sent: the message is put off, and from then on each
 * is looked at until one passes.
 *
 * Where `check` is asked for a key signs only while the DNS shows it; the
 * delivery says what it shows (PUBLISHED). Until it has said anything requests
 * wait, HELD_US at most.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "clock.h"
#include "log.h"
#include "master/runtime.h"
#include "signer/dkim_record.h"
#include "signer/dkim_ring.h"
#include "signer/dkim_sign.h"
#include "signer/key_book.h"
#include "table.h"

#define HELD_US (5 * US_PER_SEC)
#define HELD_MAX 500
#define HELD_BYTES ((size_t)16 << 20)

struct signer_domain {
	struct dkim_key **keys;
	size_t nkeys;
	bool check;			/* only what is published signs */
};

/* A request that waits for word of the DNS. */
struct held {
	struct held *next;
	struct link *from;
	uint64_t ticket;
	int fd;
	size_t n;
	char body[];
};

struct signer {
	struct table *domains;		/* name -> struct signer_domain */
	struct arena *arena;		/* of one request */
	uint32_t peers;
	uint32_t verify_every;
	struct held *held, **held_end;
	size_t nheld, held_bytes;
	struct key_book *book;		/* for the delivery */
	struct event *patience;		/* for those that wait */
	bool out_of_patience;
};

static int
domain_load(struct signer *s, const struct config *c, const struct conf_domain *d,
    struct err *err)
{
	struct signer_domain *sd;
	const struct domain_key *keys;
	size_t n;

	if (d->ndkim == 0 && !d->dkim_managed)
		return 0;
	if (domain_keys(c, d, s->arena, &keys, &n, err) == -1)
		return -1;
	sd = calloc(1, sizeof(*sd));
	ASSERT(sd != NULL);
	sd->keys = calloc(n + 1, sizeof(*sd->keys));
	ASSERT(sd->keys != NULL);
	sd->check = d->dkim_check;
	for (size_t i = 0; i < n; i++) {
		struct dkim_key *k = dkim_key_load(d->name, keys[i].selector, keys[i].path, keys[i].ed25519, err);

		key_book_add(s->book, d->name, &keys[i], k, err);
		if (keys[i].state != RING_ACTIVE) {
			dkim_key_free(&k);
			continue;
		}
		if (k == NULL)
			return keys[i].line ? err_wrap(err, "%s:%u", c->path, keys[i].line) :
			    err_wrap(err, "keys/" SPAN_FMT ".dkim", SPAN_ARG(d->name));
		sd->keys[sd->nkeys++] = k;
	}
	table_put(s->domains, d->name, sd);
	return 0;
}

static int
signer_start(struct runtime *rt, struct err *err)
{
	struct signer *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->domains = table_new();
	s->book = key_book_new();
	s->arena = arena_new(64u << 10);
	s->verify_every = rt->conf->dkim_verify;
	s->held_end = &s->held;
	rt->state = s;
	for (size_t i = 0; i < rt->conf->ndomains; i++)
		if (domain_load(s, rt->conf, &rt->conf->domains[i], err) == -1)
			return -1;
	return 0;
}

/* Its signature on a message, held against libopendkim now and then. */
static int
verify_some(struct signer *s, struct dkim_key *k, struct span field, struct payload *p,
    struct err *err)
{
	struct span *pieces;

	if (k->unverified && k->unverified < s->verify_every) {
		k->unverified++;
		return 0;
	}
	pieces = arena_array(s->arena, p->npieces + 1, sizeof(*pieces));
	pieces[0] = field;
	for (size_t i = 0; i < p->npieces; i++)
		pieces[i + 1] = payload_piece(p, i);
	if (dkim_verify_own(k, pieces, p->npieces + 1, s->arena, err) == -1) {
		k->unverified = 0;		/* the next one, too */
		return err_wrap(err, "our own signature does not verify");
	}
	k->unverified = 1;
	return 0;
}

static bool
may_sign(const struct signer_domain *d, const struct dkim_key *k)
{
	return !d->check || k->published == KEY_PUBLISHED;
}

/* All keys of the domain sign, or the message is not signed at all. *n: how many did. */
static int
sign_all(struct signer *s, const struct signer_domain *d, struct msg_sign *req, struct buf *out,
    size_t *n, struct err *err)
{
	struct payload *p = &req->payload;
	int64_t now = clock_real() / US_PER_SEC;
	struct dkim_message m;
	int rc = -1;

	*n = 0;
	if (payload_map(p, err) == -1)
		return -1;
	if (dkim_message_open(p, s->arena, &m, err) == -1)
		goto out;
	m.amended = req->amended;
	for (size_t i = 0; i < d->nkeys; i++) {
		size_t before = buf_size(out);

		if (!may_sign(d, d->keys[i]))
			continue;
		if (dkim_sign_fast(d->keys[i], &m, now, s->arena, out, err) == -1 ||
		    verify_some(s, d->keys[i], span_from(buf_data(out), before), p, err) == -1) {
			err_wrap(err, "selector " SPAN_FMT, SPAN_ARG(d->keys[i]->selector));
			goto out;
		}
		(*n)++;
	}
	rc = 0;
out:
	payload_unmap(p);
	return rc;
}

/* Is there a key of which nothing has been heard yet? */
static bool
unsure(const struct signer_domain *d)
{
	for (size_t i = 0; d && d->check && i < d->nkeys; i++)
		if (d->keys[i]->published == KEY_UNCHECKED)
			return true;
	return false;
}

static bool
any_may_sign(const struct signer_domain *d)
{
	for (size_t i = 0; i < d->nkeys; i++)
		if (may_sign(d, d->keys[i]))
			return true;
	return false;
}

static void
decide(struct signer *s, const struct signer_domain *d, struct msg_sign *req, struct buf *headers,
    struct msg_signed *m, struct err *err)
{
	size_t n = 0;

	if (d == NULL) {
		m->status = SIGN_NO_KEY;
	} else if (!any_may_sign(d)) {
		m->status = unsure(d) ? SIGN_FAILED : SIGN_UNPUBLISHED;
		if (m->status == SIGN_FAILED)
			m->text = SPAN_LIT("whether its keys are published is not known yet");
	} else if (sign_all(s, d, req, headers, &n, err) == 0) {
		m->status = SIGN_OK;
		m->headers = buf_data(headers);
		counter_add(COUNTER_SIGNATURES, (int64_t)n);
	} else {
		/* A message that no signature is possible for (no From) goes out without one: to
		 * defer it would keep it at the client's for ever. */
		m->status = err->code == EBADMSG ? SIGN_NO_KEY : SIGN_FAILED;
		m->text = span_str(err->text);
		log_msg(m->status == SIGN_FAILED ? LOG_LVL_ERROR : LOG_LVL_WARN, req->id,
		    "not signed for " SPAN_FMT ": %s", SPAN_ARG(req->domain), err->text);
	}
}

static void
answer(struct signer *s, struct link *l, uint64_t ticket, struct msg_sign *req)
{
	struct msg_signed m = { .status = SIGN_NO_KEY };
	struct buf headers, body;
	struct err err = { 0 };

	buf_init(&headers, FRAME_SMALL / 2);
	buf_init(&body, FRAME_SMALL);
	decide(s, table_get(s->domains, req->domain), req, &headers, &m, &err);
	signed_encode(&body, &m);
	if (link_send(l, FRAME_SIGNED, ticket, buf_data(&body), -1) == -1)
		log_msg(LOG_LVL_WARN, req->id, "the answer cannot be sent: backlog full");
	buf_release(&headers);
	buf_release(&body);
}

/* ---- requests that wait for word of the DNS ---- */

static void
held_free(struct held *h)
{
	if (h->fd != -1)
		close(h->fd);
	free(h);
}

static void
held_answer(struct signer *s)
{
	struct held *h, *all = s->held;

	s->held = NULL;
	s->held_end = &s->held;
	s->nheld = s->held_bytes = 0;
	while ((h = all) != NULL) {
		struct msg_sign req;

		all = h->next;
		arena_reset(s->arena);
		/* It has decoded before. */
		if (sign_decode(span_make(h->body, h->n), h->fd, s->arena, &req) == 0)
			answer(s, h->from, h->ticket, &req);
		held_free(h);
	}
}

static void
patience_over(evutil_socket_t fd, short what, void *arg)
{
	struct signer *s = arg;

	s->out_of_patience = true;
	held_answer(s);
}

/* false: no room; it is answered as things stand. */
static bool
hold(struct signer *s, struct link *l, struct frame *f)
{
	struct held *h;

	if (s->out_of_patience || s->nheld >= HELD_MAX || s->held_bytes + f->body.n > HELD_BYTES)
		return false;
	h = malloc(sizeof(*h) + f->body.n);
	ASSERT(h != NULL);
	*h = (struct held){ .from = l, .ticket = f->ticket, .fd = f->fd, .n = f->body.n };
	memcpy(h->body, f->body.p, f->body.n);
	f->fd = -1;
	*s->held_end = h;
	s->held_end = &h->next;
	s->nheld++;
	s->held_bytes += h->n;
	return true;
}

static int
hear_published(struct signer *s, struct frame *f)
{
	struct signer_domain *d;
	struct msg_published m;
	struct dkim_key *k = NULL;
	bool found = false;

	if (published_decode(f->body, f->fd, s->arena, &m) == -1)
		return -1;
	d = table_get(s->domains, m.domain);
	for (size_t i = 0; d && i < d->nkeys && k == NULL; i++)
		if (span_eq(d->keys[i]->selector, m.selector))
			k = d->keys[i];
	if (k == NULL || !m.known)
		return 0;	/* what was known stays */
	for (size_t i = 0; i < m.ntexts && !found; i++) {
		enum dkim_match match = dkim_compare(s->arena, k, m.texts[i]);

		found = match == DKIM_MATCHES || match == DKIM_TESTING;
	}
	if (!found && k->published != KEY_UNPUBLISHED)
		log_warn("DKIM key " SPAN_FMT "._domainkey." SPAN_FMT " is not in the DNS: it does not sign "
		    "(dkim: {check: true})", SPAN_ARG(m.selector), SPAN_ARG(m.domain));
	else if (found && k->published != KEY_PUBLISHED)
		log_info("DKIM key " SPAN_FMT "._domainkey." SPAN_FMT " is in the DNS: it signs",
		    SPAN_ARG(m.selector), SPAN_ARG(m.domain));
	k->published = found ? KEY_PUBLISHED : KEY_UNPUBLISHED;
	if (s->held && !unsure(d))
		held_answer(s);
	return 0;
}

static int
signer_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	static const struct timeval patience = { HELD_US / US_PER_SEC, 0 };
	struct signer *s = rt->state;
	struct msg_sign req;

	arena_reset(s->arena);
	if (f->type == FRAME_PUBLISHED)
		return hear_published(s, f);
	if (f->type != FRAME_SIGN)
		return -1;
	if (sign_decode(f->body, f->fd, s->arena, &req) == -1)
		return -1;
	if (unsure(table_get(s->domains, req.domain)) && hold(s, l, f)) {
		if (s->patience == NULL) {
			s->patience = evtimer_new(rt->base, patience_over, s);
			ASSERT(s->patience != NULL);
			evtimer_add(s->patience, &patience);
		}
		return 0;
	}
	answer(s, l, f->ticket, &req);
	return 0;
}

static void
signer_peer_up(struct runtime *rt, struct link *l)
{
	struct signer *s = rt->state;

	s->peers++;
	if (link_peer(l) == ROLE_DELIVERY)
		key_book_tell(s->book, l);
}

static void
signer_peer_down(struct runtime *rt, struct link *l)
{
	struct signer *s = rt->state;

	s->peers--;
	for (struct held **hp = &s->held, *h; (h = *hp) != NULL; ) {
		if (h->from != l) {
			hp = &h->next;
			continue;
		}
		*hp = h->next;
		s->nheld--;
		s->held_bytes -= h->n;
		held_free(h);
	}
	s->held_end = &s->held;
	while (*s->held_end)
		s->held_end = &(*s->held_end)->next;
}

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
	runtime_finish(arg);
}

/* Every request is answered in the turn it came in. Those that were sent before the sender heard
 * of our successor are given a moment to arrive. */
static void
signer_retire(struct runtime *rt)
{
	static const struct timeval moment = { .tv_usec = 300000 };
	const struct signer *s = rt->state;

	if (s->peers == 0 || event_base_once(rt->base, -1, EV_TIMEOUT, on_done, rt, &moment) == -1)
		runtime_finish(rt);
}

static const struct sandbox signer_sandbox = { .may = 0 };

const struct role_ops signer_ops = {
	.role = ROLE_SIGNER,
	.sandbox = &signer_sandbox,
	.start = signer_start,
	.peer_up = signer_peer_up,
	.peer_down = signer_peer_down,
	.frame = signer_frame,
	.retire = signer_retire,
};
