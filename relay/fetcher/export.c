/* export.c -- see export.h. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "clock.h"
#include "fetcher/export.h"
#include "fs.h"
#include "log.h"

#define HOOK_TIMEOUT (30 * US_PER_SEC)
#define HOOK_ANSWER_MAX (64u << 10)
#define SECRET_MIN 16
#define SECRET_MAX 1024

struct way_out {
	const struct conf_export *conf;
	struct span secret;
	struct syslog_peer *peer;	/* NULL: a webhook */
	struct exporter *x;
	struct https *https;		/* the question under way */
	struct link *from;		/* NULL: nobody waits */
	uint64_t ticket;
	struct arena *arena;
};

struct exporter {
	const struct https_world *world;
	struct way_out *ways;
	size_t n;
};

static int
read_secret(struct way_out *w, struct arena *a, struct err *err)
{
	if (fs_read(a, w->conf->secret, SECRET_MAX + 2, &w->secret, err) == -1)
		return -1;
	w->secret = span_trim(w->secret);
	if (w->secret.n < SECRET_MIN)
		return err_set(err, 0, "%s: a secret has %d bytes at least", w->conf->secret, SECRET_MIN);
	return 0;
}

struct exporter *
exporter_start(struct runtime *rt, struct arena *a, struct err *err)
{
	struct exporter *x = calloc(1, sizeof(*x));

	ASSERT(x != NULL);
	x->n = rt->conf->nexports;
	x->ways = calloc(x->n + 1, sizeof(*x->ways));
	ASSERT(x->ways != NULL);
	for (size_t i = 0; i < x->n; i++) {
		struct way_out *w = &x->ways[i];

		w->x = x;
		w->conf = &rt->conf->exports[i];
		w->arena = arena_new(0);
		if (w->conf->way == EXPORT_WEBHOOK) {
			if (read_secret(w, a, err) == -1)
				return NULL;
		} else if ((w->peer = syslog_start(w->conf, err)) == NULL) {
			return NULL;
		}
	}
	return x;
}

void
exporter_run(struct exporter *x, const struct https_world *w)
{
	x->world = w;
	for (size_t i = 0; i < x->n; i++)
		if (x->ways[i].peer)
			syslog_run(x->ways[i].peer, w);
}

static void
tell(struct link *to, uint64_t ticket, const char *why)
{
	struct msg_exported m = { .ok = why == NULL, .text = span_str(why) };
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	exported_encode(&b, &m);
	if (to)
		link_send(to, FRAME_EXPORTED, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
over(void *ctx, const char *why)
{
	struct way_out *w = ctx;

	tell(w->from, w->ticket, why);
	w->from = NULL;
}

static void
hook_answered(void *ctx, const struct https_answer *a)
{
	struct way_out *w = ctx;
	char why[64];

	w->https = NULL;
	/* A redirect is none of ours to follow: it would lead where nobody has configured. */
	snprintf(why, sizeof(why), "HTTP status %d", a->status);
	over(w, a->end != HTTPS_ANSWERED ? a->why : a->status / 100 == 2 ? NULL : why);
}

void
webhook_sign(char *out, struct span secret, int64_t now, struct span delivery, struct span body)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	struct buf b;
	unsigned n;
	int at;

	buf_init(&b, body.n + 256);
	buf_printf(&b, "%lld." SPAN_FMT ".", (long long)now, SPAN_ARG(delivery));
	buf_put(&b, body.p, body.n);
	ASSERT(!buf_failed(&b));
	ASSERT(HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)buf_data(&b).p,
	    buf_size(&b), mac, &n) != NULL);
	buf_release(&b);
	at = snprintf(out, WEBHOOK_SIGNATURE_MAX, "t=%lld,v1=", (long long)now);
	for (unsigned i = 0; i < n; i++)
		at += snprintf(out + at, (size_t)(WEBHOOK_SIGNATURE_MAX - at), "%02x", mac[i]);
}

static void
hook(struct way_out *w, const struct msg_export *m)
{
	struct https_question q = { .url = w->conf->url, .type = "application/json",
		.max = HOOK_ANSWER_MAX, .timeout = HOOK_TIMEOUT };
	char sign[WEBHOOK_SIGNATURE_MAX];

	arena_reset(w->arena);
	q.post = arena_span(w->arena, m->body);
	webhook_sign(sign, w->secret, clock_real() / US_PER_SEC, m->delivery, m->body);
	q.headers[0] = arena_printf(w->arena, "Postern-Signature: %s", sign);
	q.headers[1] = arena_printf(w->arena, "Postern-Delivery: " SPAN_FMT, SPAN_ARG(m->delivery));
	q.headers[2] = arena_printf(w->arena, "Postern-Event: " SPAN_FMT, SPAN_ARG(m->event));
	w->https = https_start(w->x->world, &q, hook_answered, w);
}

void
exporter_ask(struct exporter *x, struct link *from, uint64_t ticket, const struct msg_export *m)
{
	for (size_t i = 0; i < x->n; i++) {
		struct way_out *w = &x->ways[i];

		if (!span_eq(w->conf->name, m->name))
			continue;
		if (w->https || (w->peer && syslog_busy(w->peer))) {
			tell(from, ticket, "the last one is still under way");
			return;
		}
		w->from = from;
		w->ticket = ticket;
		if (w->peer == NULL)
			hook(w, m);
		else if (syslog_send(w->peer, m->body, over, w) == -1)
			over(w, "no messages");
		return;
	}
	tell(from, ticket, "no such line in postern.yaml");
}

void
exporter_forget(struct exporter *x, const struct link *l)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->ways[i].from == l)
			x->ways[i].from = NULL;
}
