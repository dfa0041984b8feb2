/* alert.c -- what somebody must hear of; see alert.h. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/alert.h"
#include "ipc/channel.h"
#include "log.h"
#include "master/counters.h"
#include "table.h"

#define BACKLOG_MAX ((size_t)4 << 20)

struct alert {
	struct alert *next, **prev;	/* newest first */
	int64_t told;
	unsigned count;			/* attempts since it was told */
	char relay[320], why[512];
	size_t n;
	char site[];
};

struct alerts {
	struct link *store;
	struct table *sites;
	struct alert *first, **last;
	struct buf out;
};

struct alerts *
alerts_new(void)
{
	struct alerts *a = calloc(1, sizeof(*a));

	ASSERT(a != NULL);
	a->sites = table_new();
	a->last = &a->first;
	buf_init(&a->out, FRAME_BIG);
	return a;
}

static void
forget(struct alerts *a, struct alert *x)
{
	table_remove(a->sites, span_make(x->site, x->n));
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	else
		a->last = x->prev;
	free(x);
}

void
alerts_free(struct alerts **ap)
{
	struct alerts *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	while (a->first)
		forget(a, a->first);
	table_free(&a->sites);
	buf_release(&a->out);
	free(a);
}

void
alerts_store(struct alerts *a, struct link *store)
{
	a->store = store;
}

static void
tell(struct alerts *a, const struct msg_event *ev)
{
	if (a->store == NULL || link_backlog(a->store) > BACKLOG_MAX) {
		counter_add(COUNTER_EVENTS_LOST, 1);
		return;
	}
	buf_reset(&a->out);
	event_encode(&a->out, ev);
	if (buf_failed(&a->out) ||
	    link_send(a->store, FRAME_EVENT, 0, buf_data(&a->out), -1) == -1)
		counter_add(COUNTER_EVENTS_LOST, 1);
}

void
alert_attempt(struct alerts *a, const struct job *job)
{
	struct msg_event ev = { .kind = EVENT_ATTEMPT, .id = job->d.id, .time = job->t_end,
		.relay = job->relay, .reply = job->talk, .tls = job->tls };

	if (job->talk.n)
		tell(a, &ev);
}

static struct alert *
remember(struct alerts *a, struct span site)
{
	struct alert *x;

	if (table_count(a->sites) >= ALERTS_MAX) {
		x = a->first;
		while (x->next)
			x = x->next;
		forget(a, x);
	}
	x = calloc(1, sizeof(*x) + site.n);
	ASSERT(x != NULL);
	memcpy(x->site, site.p, site.n);
	x->n = site.n;
	table_put(a->sites, span_make(x->site, x->n), x);
	return x;
}

static void
to_front(struct alerts *a, struct alert *x)
{
	if (x->prev) {
		*x->prev = x->next;
		if (x->next)
			x->next->prev = x->prev;
		else
			a->last = x->prev;
	}
	x->next = a->first;
	x->prev = &a->first;
	if (x->next)
		x->next->prev = &x->next;
	else
		a->last = &x->next;
	a->first = x;
}

void
alert_tls(struct alerts *a, const struct job *job, struct span relay, struct span why, int64_t now)
{
	struct alert *x = table_get(a->sites, job->d.site);
	struct msg_event ev = { .kind = EVENT_TLS_FAILED, .id = job->d.id, .time = now, .relay = relay };
	char text[1024];

	counter_add(COUNTER_OUT_TLS_FAILED, 1);
	if (x && now - x->told < ALERT_EVERY) {
		x->count++;
		return;
	}
	if (x == NULL)
		x = remember(a, job->d.site);
	x->told = now;
	x->count = 1;
	snprintf(x->relay, sizeof(x->relay), SPAN_FMT, SPAN_ARG(relay));
	snprintf(x->why, sizeof(x->why), SPAN_FMT, SPAN_ARG(why));
	to_front(a, x);
	log_msg(LOG_LVL_WARN, job->d.id, "alert: TLS that is required for site " SPAN_FMT " cannot be had at %s: %s "
	    "(not said again for an hour)", SPAN_ARG(job->d.site), relay.n ? x->relay : "any server", x->why);
	snprintf(text, sizeof(text), "site " SPAN_FMT ": %s", SPAN_ARG(job->d.site), x->why);
	ev.reply = span_str(text);
	tell(a, &ev);
}

void
alerts_write(const struct alerts *a, struct json *j, int64_t now)
{
	json_array(j);
	for (const struct alert *x = a->first; x; x = x->next) {
		if (now - x->told >= ALERT_EVERY)
			break;
		json_object(j);
		json_kstr(j, "site", span_make(x->site, x->n));
		json_kint(j, "time", x->told);
		json_kuint(j, "attempts", x->count);
		json_kcstr(j, "relay", x->relay);
		json_kcstr(j, "why", x->why);
		json_end_object(j);
	}
	json_end_array(j);
}
