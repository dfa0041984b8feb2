/* carrier.c -- the world of sites, sessions and jobs; see job.h.
 *
 * Everything that would call back from within is put off to the kick: sites
 * that want to be looked at, sessions that are over. The tick keeps all
 * time limits, to the second, so that no session has a timer of its own.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/health.h"
#include "delivery/hub.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "net/tls_cache.h"
#include "postern/err.h"
#include "table.h"

static uint32_t
any_number(void *ctx)
{
	return arc4random();
}

static void
bury(struct carrier *c)
{
	struct session *s;

	while ((s = c->dead) != NULL) {
		c->dead = s->next;
		session_free(s);
	}
}

static void
kick(evutil_socket_t fd, short what, void *arg)
{
	struct carrier *c = arg;
	struct site *site;

	bury(c);
	while ((site = site_take_dirty(c)) != NULL)
		site_pump(site);
	bury(c);
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	struct carrier *c = arg;
	int64_t now = clock_mono();
	struct span name;
	void *value;
	size_t at = 0;

	for (struct session *s = c->sessions, *next; s; s = next) {
		next = s->next;
		session_tick(s, now);
	}
	while (table_next(c->hubs, &at, &name, &value))
		hub_tick(value);
	for (at = 0; table_next(c->sites, &at, &name, &value); )
		if (site_stale(value, now))
			site_free(value);
	bury(c);
}

void
carrier_init(struct carrier *c)
{
	static const struct timeval second = { 1, 0 };

	signal(SIGPIPE, SIG_IGN);	/* OpenSSL writes with write(2) */
	if (c->world.random == NULL)
		c->world.random = any_number;
	c->sites = table_new();
	c->health = health_new();
	c->hubs = table_new();
	c->tls_sessions = tls_cache_new();
	c->kick = event_new(c->base, -1, 0, kick, c);
	c->tick = event_new(c->base, -1, EV_PERSIST, tick, c);
	ASSERT(c->kick && c->tick);
	event_add(c->tick, &second);
}

void
carrier_release(struct carrier *c)
{
	struct span name;
	void *value;
	size_t at;

	bury(c);
	while (c->sessions) {
		struct session *s = c->sessions;

		if (s->job)
			arena_free(&s->job->arena);
		s->job = NULL;
		hub_session_gone(s->hub, s);
		session_free(s);
	}
	while (site_take_dirty(c) != NULL)
		;
	for (at = 0; table_next(c->sites, &at, &name, &value); )
		site_free(value);
	ASSERT(table_count(c->hubs) == 0);
	table_free(&c->sites);
	health_free(&c->health);
	table_free(&c->hubs);
	tls_cache_free(&c->tls_sessions);
	event_free(c->kick);
	event_free(c->tick);
	c->kick = c->tick = NULL;
}

void
carrier_take(struct carrier *c, struct job *job)
{
	struct smtp_result why;

	ASSERT(job->d.nrecipients > 0);
	c->njobs++;
	job->t_start = job->t_conn = job->t_ready = clock_real();
	job->relay = SPAN_LIT("none");
	job->eightbit = span_has_8bit(job->bytes);
	job->utf8_header = job->eightbit && message_utf8_header(job->bytes);
	if (job->results[0].set) {
		job_done(c, job);
		return;
	}
	if (c->retiring) {
		job->handed_back = true;
		job_done(c, job);
		return;
	}
	/* What cannot be proved is not sent. */
	if (job_demand(job).least && c->tls == NULL) {
		smtp_result_set(&why, CLIENT_TLS, RCPT_DEFERRED, FAIL_MESSAGE, "4.7.5",
		    SPAN_LIT("TLS is required, and this relay has none"), false);
		job_fail_rest(job, &why);
		job_done(c, job);
		return;
	}
	site_add(site_get(c, job->way.n ? job->way : job->d.site), job);
}

void
job_fail_rest(struct job *job, const struct smtp_result *why)
{
	struct span text = { 0 };

	for (size_t i = 0; i < job->d.nrecipients; i++) {
		if (job->results[i].set)
			continue;
		if (text.p == NULL)
			text = arena_span(job->arena, why->reply);
		job->results[i] = *why;
		job->results[i].reply = text;
	}
}

void
job_done(struct carrier *c, struct job *job)
{
	ASSERT(c->njobs > 0);
	c->njobs--;
	job->t_end = clock_real();
	c->done(c->ctx, job);
}

void
carrier_retire(struct carrier *c)
{
	struct span name;
	void *value;
	size_t at = 0;

	c->retiring = true;
	while (table_next(c->sites, &at, &name, &value))
		site_retire(value);
	for (struct session *s = c->sessions, *next; s; s = next) {
		next = s->next;
		if (s->phase == SESSION_CONNECTING)
			session_cut(s);
		else if (s->phase == SESSION_IDLE)
			session_quit(s);
	}
}

void
carrier_abandon(struct carrier *c)
{
	struct span name;
	void *value;
	size_t at = 0;

	while (table_next(c->sites, &at, &name, &value))
		site_retire(value);
	for (struct session *s = c->sessions, *next; s; s = next) {
		next = s->next;
		if (s->job && !smtp_client_promised(&s->m))
			session_cut(s);
	}
}

void
carrier_cut(struct carrier *c)
{
	while (c->sessions)
		session_cut(c->sessions);
	bury(c);
}
