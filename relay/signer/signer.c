/* signer.c -- the role that holds the private keys, and the only one.
 *
 * SIGN names the author's domain and carries the edited bytes; SIGNED
 * carries one DKIM-Signature field for each key of that domain. Keys are read
 * before privileges are dropped; afterwards the role has no file and no
 * network left. It never sees an envelope and keeps nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "clock.h"
#include "fs.h"
#include "log.h"
#include "master/runtime.h"
#include "signer/dkim_sign.h"
#include "table.h"

struct signer_domain {
	struct dkim_key **keys;
	size_t nkeys;
};

struct signer {
	struct table *domains;		/* name -> struct signer_domain */
	struct arena *arena;		/* of one request */
	uint32_t peers;
};

static int
domain_load(struct signer *s, const struct config *c, const struct conf_domain *d,
    struct err *err)
{
	struct signer_domain *sd;

	if (d->ndkim == 0)
		return 0;
	sd = calloc(1, sizeof(*sd));
	ASSERT(sd != NULL);
	sd->keys = calloc(d->ndkim, sizeof(*sd->keys));
	ASSERT(sd->keys != NULL);
	for (size_t i = 0; i < d->ndkim; i++) {
		const struct conf_dkim *k = &d->dkim[i];
		const char *path = fs_beside(s->arena, c->path, k->key);

		sd->keys[i] = dkim_key_load(d->name, k->selector, path, k->ed25519, err);
		if (sd->keys[i] == NULL)
			return err_wrap(err, "%s:%u", c->path, k->line);
		sd->nkeys++;
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
	s->arena = arena_new(64u << 10);
	rt->state = s;
	for (size_t i = 0; i < rt->conf->ndomains; i++)
		if (domain_load(s, rt->conf, &rt->conf->domains[i], err) == -1)
			return -1;
	return 0;
}

/* All keys of the domain sign, or the message is not signed at all. */
static int
sign_all(const struct signer_domain *d, struct payload *p, struct arena *a, struct buf *out,
    struct err *err)
{
	int64_t now = clock_real() / US_PER_SEC;
	struct dkim_message m;
	int rc = -1;

	if (payload_map(p, err) == -1)
		return -1;
	if (dkim_message_open(p, a, &m, err) == -1)
		goto out;
	for (size_t i = 0; i < d->nkeys; i++)
		if (dkim_sign_fast(d->keys[i], &m, now, a, out, err) == -1) {
			err_wrap(err, "selector " SPAN_FMT, SPAN_ARG(d->keys[i]->selector));
			goto out;
		}
	rc = 0;
out:
	payload_unmap(p);
	return rc;
}

static void
answer(struct signer *s, struct link *l, uint64_t ticket, struct msg_sign *req)
{
	const struct signer_domain *d = table_get(s->domains, req->domain);
	struct msg_signed m = { .status = SIGN_NO_KEY };
	struct buf headers, body;
	struct err err = { 0 };

	buf_init(&headers, FRAME_SMALL / 2);
	buf_init(&body, FRAME_SMALL);
	if (d && sign_all(d, &req->payload, s->arena, &headers, &err) == 0) {
		m.status = SIGN_OK;
		m.headers = buf_data(&headers);
		counter_add(COUNTER_SIGNATURES, (int64_t)d->nkeys);
	} else if (d) {
		/* A message that no signature is possible for (no From) goes out without one: to
		 * defer it would keep it at the client's for ever. */
		m.status = err.code == EBADMSG ? SIGN_NO_KEY : SIGN_FAILED;
		m.text = span_str(err.text);
		log_msg(LOG_LVL_WARN, req->id, "not signed for " SPAN_FMT ": %s",
		    SPAN_ARG(req->domain), err.text);
	}
	signed_encode(&body, &m);
	if (link_send(l, FRAME_SIGNED, ticket, buf_data(&body), -1) == -1)
		log_msg(LOG_LVL_WARN, req->id, "the answer cannot be sent: backlog full");
	buf_release(&headers);
	buf_release(&body);
}

static int
signer_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct signer *s = rt->state;
	struct msg_sign req;

	if (f->type != FRAME_SIGN)
		return -1;
	arena_reset(s->arena);
	if (sign_decode(f->body, f->fd, s->arena, &req) == -1)
		return -1;
	answer(s, l, f->ticket, &req);
	return 0;
}

static void
signer_peer_up(struct runtime *rt, struct link *l)
{
	((struct signer *)rt->state)->peers++;
}

static void
signer_peer_down(struct runtime *rt, struct link *l)
{
	((struct signer *)rt->state)->peers--;
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
