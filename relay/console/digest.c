/* digest.c -- the page behind links of digests: GET shows, POST acts. What a token is worth the store
 * says (DIGEST_ASK), each time. No token stands in the log.
 */
#include "addr.h"
#include "console/console.h"
#include "console/digest_page.h"
#include "console/page.h"
#include "log.h"

static void
refused(const struct client *k, struct span why)
{
	char ip[IP_TEXT_MAX];

	log_warn("a link of a digest is refused, from %s: " SPAN_FMT, ip_format(k->ip, ip), SPAN_ARG(why));
}

static void
told(struct client *k, struct frame *f)
{
	struct msg_digest_told m;
	struct buf b;

	if (f == NULL || digest_told_decode(f->body, f->fd, k->arena, &m) == -1) {
		approve_status(k, 503);
		return;
	}
	if (m.told == DIGEST_UNKNOWN || m.told == DIGEST_FAULT) {
		refused(k, m.text);
		approve_status(k, m.told == DIGEST_FAULT ? 503 : 404);
		return;
	}
	buf_init(&b, PAGE_MAX);
	if (m.told == DIGEST_OPEN)
		digest_page_open(&b, &m, k->token, k->french);
	else
		digest_page_over(&b, &m, k->french);
	approve_page(k, m.told == DIGEST_OVER ? 410 : 200, &b);
	buf_release(&b);
}

void
digest_serve(struct client *k)
{
	struct msg_digest_ask m = { .act = DIGEST_SHOW };
	bool acts = k->r.method == HTTP_POST;
	struct span decision;
	struct buf b;

	if ((acts && !k->r.form) || !http_field(acts ? k->r.body : k->r.query, "token", k->arena,
	    &m.token) || m.token.n == 0) {
		approve_status(k, 404);
		return;
	}
	if (acts && (!http_field(k->r.body, "decision", k->arena, &decision) ||
	    !digest_act_parse(decision, &m.act))) {
		approve_status(k, 400);
		return;
	}
	k->token = m.token = arena_span(k->arena, m.token);
	buf_init(&b, FRAME_SMALL);
	digest_ask_encode(&b, &m);
	if (buf_failed(&b) || client_ask_store(k, FRAME_DIGEST_ASK, buf_data(&b), told) == -1)
		approve_status(k, 503);
	buf_release(&b);
}
