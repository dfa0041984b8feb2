/* delivery_lab.h -- a carrier with one site, its jobs and what became of them, for the tests of delivery.
 *
 * Every wait is for an event: the loop ends when the jobs are done.
 */
#ifndef TESTS_DELIVERY_LAB_H
#define TESTS_DELIVERY_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <event2/event.h>

#include "clock.h"
#include "delivery/report.h"
#include "net/resolver.h"
#include "delivery/session.h"
#include "delivery/site.h"
#include "delivery_server.h"
#include "ipc/frame.h"

struct end {
	struct smtp_result results[300];
	char reply[512], relay[128], tls[128];
	bool handed_back, done;
};

struct lab {
	struct carrier c;
	struct config conf;
	struct conf_route route;
	const struct conf_route *line;
	struct conf_host hosts[3];
	struct end outcomes[64];
	size_t njobs, left;
	bool overdue;
	struct event *limit;
};

static inline void
job_over(void *ctx, struct job *job)
{
	struct lab *lab = ctx;
	struct end *o = &lab->outcomes[job->ticket];
	struct arena *a = job->arena;
	struct buf b;

	assert_false(o->done);
	o->done = true;
	o->handed_back = job->handed_back;
	memcpy(o->results, job->results, job->d.nrecipients * sizeof(*job->results));
	snprintf(o->reply, sizeof(o->reply), SPAN_FMT, SPAN_ARG(job->results[0].reply));
	snprintf(o->relay, sizeof(o->relay), SPAN_FMT, SPAN_ARG(job->relay));
	snprintf(o->tls, sizeof(o->tls), SPAN_FMT, SPAN_ARG(job->tls));
	if (!job->handed_back && !job->postponed)
		for (size_t i = 0; i < job->d.nrecipients; i++)
			assert_true(job->results[i].set);
	/* what the queue will read */
	buf_init(&b, FRAME_BIG);
	report_result(&b, job);
	{
		struct msg_result m;

		assert_int_equal(result_decode(buf_data(&b), -1, job->arena, &m), 0);
		assert_int_equal(m.nrcpts, job->handed_back || job->postponed ? 0 : job->d.nrecipients);
		assert_true(m.t_start <= m.t_conn && m.t_conn <= m.t_end);
	}
	buf_release(&b);
	arena_free(&a);
	if (--lab->left == 0)
		event_base_loopbreak(lab->c.base);
}

static inline void
overdue(evutil_socket_t fd, short what, void *arg)
{
	struct lab *lab = arg;

	lab->overdue = true;
	event_base_loopbreak(lab->c.base);
}

static inline void
lab_init(struct lab *lab, const struct fake *f)
{
	static const struct timeval limit = { 30, 0 };
	struct err err;

	memset(lab, 0, sizeof(*lab));
	lab->hosts[0] = (struct conf_host){ .name = SPAN_LIT("mx.lab"), .ip = { 4, { 127, 0, 0, 1 } },
		.port = f ? f->port : 1 };
	lab->route = (struct conf_route){ .match = SPAN_LIT("site.lab"), .hosts = lab->hosts,
		.nhosts = 1 };
	lab->line = &lab->route;
	lab->conf.delivery = (struct conf_delivery){ .port = 25, .hello = SPAN_LIT("gw.lab"),
		.lines = &lab->line, .nlines = 1, .site_connections = 5, .site_messages = 100,
		.floor = FLOOR_OPPORTUNISTIC };
	lab->c.base = event_base_new();
	lab->c.conf = &lab->conf;
	lab->c.tls = transport_context(NULL, &err);
	assert_non_null(lab->c.tls);
	lab->c.world.name = SPAN_LIT("gw.lab");
	lab->c.done = job_over;
	lab->c.ctx = lab;
	carrier_init(&lab->c);
	lab->limit = evtimer_new(lab->c.base, overdue, lab);
	evtimer_add(lab->limit, &limit);
}

static inline void
lab_release(struct lab *lab)
{
	carrier_release(&lab->c);
	if (lab->c.resolver)
		resolver_free(&lab->c.resolver);
	transport_context_free(&lab->c.tls);
	event_free(lab->limit);
	event_base_free(lab->c.base);
}

static inline struct job *
lab_job(struct lab *lab, const char *site, struct span bytes, size_t nrcpt)
{
	struct arena *a = arena_new(0);
	struct job *job = arena_zalloc(a, sizeof(*job));

	job->arena = a;
	job->ticket = lab->njobs++;
	lab->left++;
	job->bytes = bytes;
	job->d = (struct msg_deliver){ .id = 7, .received = clock_real(), .started = clock_real(),
		.site = span_str(site), .sender = SPAN_LIT("a@our.lab"), .nrecipients = nrcpt };
	job->d.recipients = arena_array(a, nrcpt, sizeof(*job->d.recipients));
	job->d.index = arena_array(a, nrcpt, sizeof(*job->d.index));
	job->results = arena_array(a, nrcpt, sizeof(*job->results));
	for (size_t i = 0; i < nrcpt; i++) {
		job->d.recipients[i].address = span_str(arena_printf(a, "r%zu@%s", i, site));
		job->d.index[i] = (uint16_t)i;
	}
	return job;
}

static inline void
lab_run(struct lab *lab)
{
	while (lab->left && !lab->overdue)
		event_base_loop(lab->c.base, EVLOOP_ONCE);
	assert_false(lab->overdue);
}

static inline void
assert_outcome(const struct end *o, size_t i, enum rcpt_status status, enum fail_class cls,
    const char *dsn)
{
	const struct smtp_result *r = &o->results[i];

	assert_true(o->done && !o->handed_back);
	if (r->status != status || r->cls != cls || strcmp(r->dsn, dsn) != 0)
		fail_msg("status %d class %d dsn %s (%s), want %d %d %s", r->status, r->cls, r->dsn,
		    o->reply, status, cls, dsn);
}

static const struct span hello = SPAN_LIT("Subject: hello\r\n\r\n.a dot\r\n..two\r\nend\r\n");

static inline void
send_one_by_one(struct lab *lab, int n, struct span bytes)
{
	for (int i = 0; i < n; i++) {
		carrier_take(&lab->c, lab_job(lab, "site.lab", bytes, 2));
		lab_run(lab);
	}
}

#endif
