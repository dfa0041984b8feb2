/* approve.c -- the page behind links to approve: what a token is worth the store says
 * (APPROVE_ASK), each time. No token stands in the log.
 */
#include "addr.h"
#include "console/console.h"
#include "console/page.h"
#include "log.h"

void
approve_page(struct client *k, int status, const struct buf *page)
{
	buf_printf(&k->fields, "Vary: Accept-Language\r\nContent-Security-Policy: %s\r\n",
	    console_page_security());
	client_answer(k, status, "text/html; charset=utf-8", buf_data(page));
}

void
approve_status(struct client *k, int status)
{
	struct buf b;

	buf_init(&b, PAGE_MAX);
	console_page_status(&b, status, k->french);
	approve_page(k, status, &b);
	buf_release(&b);
}

static void
refused(const struct client *k, struct span why)
{
	char ip[IP_TEXT_MAX];

	log_warn("a link to approve is refused, from %s: " SPAN_FMT, ip_format(k->ip, ip),
	    SPAN_ARG(why));
}

static void
told(struct client *k, struct frame *f)
{
	struct msg_approve_told m;
	struct buf b;

	if (f == NULL || approve_told_decode(f->body, f->fd, k->arena, &m) == -1) {
		approve_status(k, 503);
		return;
	}
	if (m.told == APPROVE_UNKNOWN || m.told == APPROVE_FAULT) {
		refused(k, m.text);
		approve_status(k, m.told == APPROVE_FAULT ? 503 : 404);
		return;
	}
	buf_init(&b, PAGE_MAX);
	if (m.told == APPROVE_OPEN)
		console_page_open(&b, &m, k->token, k->french);
	else
		console_page_over(&b, &m, k->french);
	if (buf_failed(&b)) {
		refused(k, SPAN_LIT("the page is too long"));
		approve_status(k, 503);
	} else {
		approve_page(k, m.told == APPROVE_OVER ? 410 : 200, &b);
	}
	buf_release(&b);
}

static void
ask(struct client *k, const struct msg_approve_ask *m)
{
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	approve_ask_encode(&b, m);
	if (buf_failed(&b) || client_ask_store(k, FRAME_APPROVE_ASK, buf_data(&b), told) == -1)
		approve_status(k, 503);
	buf_release(&b);
}

void
approve_show(struct client *k)
{
	struct msg_approve_ask m = { .what = APPROVE_SHOW };

	if (span_starts(k->r.path, SPAN_LIT("/approve/")))
		m.token = span_from(k->r.path, 9);
	else if (!http_field(k->r.query, "token", k->arena, &m.token))
		m.token = (struct span){ 0 };
	m.token = arena_span(k->arena, m.token);
	if (m.token.n == 0) {
		approve_status(k, 404);
		return;
	}
	k->token = m.token;
	ask(k, &m);
}

void
approve_act(struct client *k)
{
	struct msg_approve_ask m = { 0 };
	struct span decision;

	if (!k->r.form || !http_field(k->r.body, "token", k->arena, &m.token) || m.token.n == 0) {
		approve_status(k, 404);
		return;
	}
	if (!http_field(k->r.body, "decision", k->arena, &decision) ||
	    (!span_is(decision, "approve") && !span_is(decision, "deny"))) {
		approve_status(k, 400);
		return;
	}
	if (!http_field(k->r.body, "reason", k->arena, &m.reason))
		m.reason = (struct span){ 0 };
	m.what = span_is(decision, "approve") ? APPROVE_YES : APPROVE_NO;
	ask(k, &m);
}
