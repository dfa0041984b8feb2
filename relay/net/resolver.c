/* resolver.c -- DNS questions in the event loop, through libunbound; see resolver.h.
 *
 * libunbound answers from its cache from within ub_resolve_event: such an
 * answer waits for the next turn. A cancelled question stays in memory until
 * libunbound has forgotten it.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

#include "clock.h"
#include "net/resolver.h"
#include "fs.h"

struct question {
	struct resolver *r;
	struct question *next, **prev;
	resolver_cb *cb;
	void *ctx;
	uint16_t type;
	int id;			/* of libunbound; 0: it has answered */
	bool answered;		/* answer is filled, the callback is due */
	struct event *timer;
	struct dns_answer answer;
};

struct resolver {
	struct ub_ctx *ub;
	struct event_base *base;
	struct question *open;		/* waiting for libunbound */
	struct question *due;		/* waiting for their callback */
	struct event *deliver;
	struct question *asking;	/* inside ub_resolve_event */
};

static void
unlink_question(struct question *q)
{
	if (q->prev) {
		*q->prev = q->next;
		if (q->next)
			q->next->prev = q->prev;
		q->prev = NULL;
	}
}

static void
link_question(struct question **head, struct question *q)
{
	q->next = *head;
	if (q->next)
		q->next->prev = &q->next;
	q->prev = head;
	*head = q;
}

static void
free_question(struct question *q)
{
	unlink_question(q);
	if (q->timer)
		event_free(q->timer);
	free(q);
}

static void
make_due(struct question *q)
{
	q->answered = true;
	q->id = 0;
	unlink_question(q);
	link_question(&q->r->due, q);
	event_active(q->r->deliver, EV_TIMEOUT, 0);
}

static void
deliver(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *r = arg;
	struct question *q;

	/* A callback may ask and cancel: the list is looked at afresh each time. */
	while ((q = r->due) != NULL) {
		unlink_question(q);
		q->cb(q->ctx, &q->answer);
		free_question(q);
	}
}

static void
heard(void *arg, int rcode, void *packet, int len, int sec, char *why_bogus, int limited)
{
	struct question *q = arg;

	q->answer = (struct dns_answer){ .status = DNS_SERVFAIL };
	if (sec == 1) {
		/* Before anything else: a bogus answer carries data and rcode 0. */
		q->answer.status = DNS_BOGUS;
	} else if (rcode == 0 && packet && len > 0) {
		dns_read(span_make(packet, (size_t)len), q->type, &q->answer);
		q->answer.secure = sec == 2;
	} else if (rcode == 3)
		q->answer.status = DNS_NXDOMAIN;
	make_due(q);
}

static void
timed_out(evutil_socket_t fd, short what, void *arg)
{
	struct question *q = arg;

	ub_cancel(q->r->ub, q->id);
	q->answer = (struct dns_answer){ .status = DNS_TIMEOUT };
	make_due(q);
}

struct question *
resolver_ask(struct resolver *r, const char *name, uint16_t type, resolver_cb *cb, void *ctx)
{
	struct timeval tv = { RESOLVER_PATIENCE / US_PER_SEC, RESOLVER_PATIENCE % US_PER_SEC };
	struct question *q = calloc(1, sizeof(*q));
	int id = 0;

	ASSERT(q != NULL);
	q->r = r;
	q->cb = cb;
	q->ctx = ctx;
	q->type = type;
	link_question(&r->open, q);
	if (ub_resolve_event(r->ub, name, type, 1, q, heard, &id) != 0) {
		q->answer.status = DNS_SERVFAIL;
		make_due(q);
	}
	if (!q->answered) {
		q->id = id;
		q->timer = evtimer_new(r->base, timed_out, q);
		ASSERT(q->timer != NULL);
		evtimer_add(q->timer, &tv);
	}
	return q;
}

void
resolver_cancel(struct question **qp)
{
	struct question *q = *qp;

	*qp = NULL;
	if (q == NULL)
		return;
	if (!q->answered)
		ub_cancel(q->r->ub, q->id);
	free_question(q);
}

static int
add_server(struct ub_ctx *ub, const struct conf_host *h, struct err *err)
{
	char ip[IP_TEXT_MAX], text[IP_TEXT_MAX + 8];
	int r;

	snprintf(text, sizeof(text), "%s@%u", ip_format(h->ip, ip), h->port ? h->port : 53);
	if ((r = ub_ctx_set_fwd(ub, text)) != 0)
		return err_set(err, 0, "dns server %s: %s", text, ub_strerror(r));
	return 0;
}

/* The root's keys: KSK-2017 and KSK-2024 (https://data.iana.org/root-anchors/). */
static const char root_anchors[] =
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

#define ANCHORS_MAX (64u << 10)

int
resolver_anchors(const char *path, struct arena *a, struct span *out, struct err *err)
{
	struct span text, all;
	struct buf b;
	unsigned line = 0;

	*out = span_str(root_anchors);
	if (path == NULL)
		return 0;
	if (fs_read(a, path, ANCHORS_MAX, &text, err) == -1)
		return err_wrap(err, "dns trust_anchor");
	buf_init(&b, ANCHORS_MAX + 1);
	while (text.n) {
		struct span l = span_sub(text, 0, span_find(text, '\n'));

		text = span_from(text, l.n + 1);
		line++;
		l = span_trim(span_sub(l, 0, span_find(l, ';')));
		if (l.n == 0 || l.p[0] == '#')
			continue;
		if (span_find(l, '(') < l.n) {
			buf_release(&b);
			return err_set(err, 0, "dns trust_anchor: %s:%u: one whole DS or DNSKEY record "
			    "on each line, without brackets", path, line);
		}
		buf_span(&b, l);
		buf_putc(&b, '\n');
	}
	all = arena_span(a, buf_data(&b));
	buf_release(&b);
	if (all.n == 0)
		return err_set(err, 0, "dns trust_anchor: %s: no record", path);
	*out = all;
	return 0;
}

static int
add_anchors(struct ub_ctx *ub, struct span anchors, struct err *err)
{
	while (anchors.n) {
		struct span l = span_sub(anchors, 0, span_find(anchors, '\n'));
		char text[4096];
		int r;

		anchors = span_from(anchors, l.n + 1);
		if (l.n >= sizeof(text))
			return err_set(err, 0, "dns trust_anchor: a record of %zu bytes", l.n);
		memcpy(text, l.p, l.n);
		text[l.n] = '\0';
		if ((r = ub_ctx_add_ta(ub, text)) != 0)
			return err_set(err, 0, "dns trust_anchor `%s`: %s", text, ub_strerror(r));
	}
	return 0;
}

/* The first question makes libunbound read and open all it will ever need. */
static void
primed(void *arg, int rcode, void *packet, int len, int sec, char *why, int limited)
{
}

struct resolver *
resolver_new(struct event_base *base, const struct conf_host *servers, size_t n,
    struct span anchors, struct err *err)
{
	static const char *const options[][2] = {
		{ "do-not-query-localhost:", "no" },
		{ "infra-host-ttl:", "60" },		/* a server that was dead is asked again soon */
		{ "infra-keep-probing:", "yes" },
		{ "cache-max-negative-ttl:", "300" },
		{ "msg-cache-size:", "16m" },
		{ "rrset-cache-size:", "32m" },
	};
	struct resolver *r = calloc(1, sizeof(*r));
	int id, e;

	ASSERT(r != NULL);
	r->base = base;
	r->deliver = event_new(base, -1, 0, deliver, r);
	if (r->deliver == NULL || (r->ub = ub_ctx_create_event(base)) == NULL) {
		err_set(err, 0, "libunbound does not start");
		resolver_free(&r);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if ((e = ub_ctx_set_option(r->ub, options[i][0], options[i][1])) != 0) {
			err_set(err, 0, "libunbound %s %s: %s", options[i][0], options[i][1],
			    ub_strerror(e));
			resolver_free(&r);
			return NULL;
		}
	for (size_t i = 0; i < n; i++)
		if (add_server(r->ub, &servers[i], err) == -1) {
			resolver_free(&r);
			return NULL;
		}
	if (add_anchors(r->ub, anchors, err) == -1) {
		resolver_free(&r);
		return NULL;
	}
	if ((e = ub_resolve_event(r->ub, "localhost", DNS_A, 1, NULL, primed, &id)) != 0) {
		err_set(err, 0, "libunbound: %s", ub_strerror(e));
		resolver_free(&r);
	}
	return r;
}

void
resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	while (r->open) {
		ub_cancel(r->ub, r->open->id);
		free_question(r->open);
	}
	while (r->due)
		free_question(r->due);
	if (r->ub)
		ub_ctx_delete(r->ub);
	if (r->deliver)
		event_free(r->deliver);
	free(r);
}

size_t
resolver_system_servers(struct conf_host *out, size_t max, struct arena *a)
{
	struct span text;
	size_t n = 0;

	if (fs_read(a, "/etc/resolv.conf", 64 << 10, &text, NULL) == -1)
		return 0;
	while (text.n && n < max) {
		struct span line = span_sub(text, 0, span_find(text, '\n'));
		struct ip ip;

		text = span_from(text, line.n + 1);
		line = span_trim(line);
		if (!span_starts(line, SPAN_LIT("nameserver")) || line.n < 11 ||
		    !ascii_is_wsp(line.p[10]))
			continue;
		line = span_trim(span_from(line, 10));
		if (ip_parse(line, &ip))
			out[n++] = (struct conf_host){ .name = line, .ip = ip, .port = 53 };
	}
	return n;
}
