/* tlsrpt_control.c -- what people ask about TLS reports; requests and answers are JSON lines.
 *
 *	{"cmd":"tlsrpt.show","day":N,"domain":"D"}	a line for each policy of the day, then the reports
 *	{"cmd":"tlsrpt.send","day":N,"domain":"D"}	sends now; a line for each report, then {"sent":…}
 *
 * day: UTC, since 1970; none: today. domain: none: all. A day that is over counts as told with a
 * send; what of today is sent is told again tomorrow, as part of the whole day.
 */
#include <stdlib.h>

#include "clock.h"
#include "ipc/json_read.h"
#include "json.h"
#include "store/tlsrpt_own.h"

#define SHOW_MAX 10000
#define SEND_MAX 1000

static struct json
open_line(struct reply *r)
{
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	return j;
}

static void
close_line(struct reply *r, struct json *j)
{
	json_end_object(j);
	buf_putc(reply_buf(r), '\n');
}

static void
say_error(struct reply *r, const char *text)
{
	struct json j = open_line(r);

	json_kcstr(&j, "error", text);
	close_line(r, &j);
}

static void
put_failure(struct json *j, const struct tls_failure_row *f)
{
	json_object(j);
	json_kstr(j, "result", f->result);
	json_kint(j, "count", f->count);
	json_kstr(j, "host", f->host);
	json_kstr(j, "address", f->remote);
	json_kstr(j, "from", f->local);
	json_kstr(j, "reason", f->reason);
	json_end_object(j);
}

static void
put_policy(struct reply *r, const struct tls_policy_row *p)
{
	struct json j = open_line(r);

	json_kstr(&j, "domain", p->domain);
	json_kcstr(&j, "policy", tls_kind_name(p->kind));
	json_kint(&j, "successful", p->ok);
	json_kint(&j, "failed", p->failed);
	json_key(&j, "failures");
	json_array(&j);
	for (size_t i = 0; i < p->nfailures; i++)
		put_failure(&j, &p->failures[i]);
	json_end_array(&j);
	close_line(r, &j);
}

static void
put_report(struct reply *r, const struct tls_report_row *row)
{
	struct json j = open_line(r);

	json_kstr(&j, "domain", row->domain);
	json_kstr(&j, "uri", row->uri);
	json_kcstr(&j, "state", report_state_name(row->state));
	if (row->state == REPORT_WAITS)
		json_kint(&j, "next", row->next);
	json_kstr(&j, "detail", row->detail);
	close_line(r, &j);
}

void
tls_ask_tell(struct tls_ask *ask, const struct tls_report_row *row)
{
	put_report(ask->reply, row);
	reply_send(ask->reply);
}

void
tls_ask_done(struct tls_ask *ask)
{
	struct json j;

	if (--ask->open > 0)
		return;
	j = open_line(ask->reply);
	json_kuint(&j, "sent", ask->sent);
	json_kuint(&j, "failed", ask->failed);
	close_line(ask->reply, &j);
	reply_end(&ask->reply);
	free(ask);
}

static void
show(struct tls_reports *t, int64_t day, struct span domain, struct arena *a, struct reply *reply)
{
	struct tls_policy_row *rows;
	struct tls_report_row *reports;
	size_t n, m;
	struct err err;

	if (tls_db_day(t->s->db, day, domain, SHOW_MAX, a, &rows, &n, &err) == -1 ||
	    tls_db_reports(t->s->db, day, domain, SHOW_MAX, a, &reports, &m, &err) == -1) {
		say_error(reply, err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		put_policy(reply, &rows[i]);
	for (size_t i = 0; i < m; i++)
		if (reports[i].state != REPORT_LISTED)
			put_report(reply, &reports[i]);
}

/* The reply goes with it. */
static void
send_now(struct tls_reports *t, int64_t day, struct span domain, struct arena *a,
    struct reply *reply)
{
	struct tls_ask *ask;
	struct span *domains;
	size_t n;
	struct err err;

	if (tls_db_domains(t->s->db, day, SEND_MAX, a, &domains, &n, &err) == -1) {
		say_error(reply, err.text);
		reply_end(&reply);
		return;
	}
	ask = calloc(1, sizeof(*ask));
	ASSERT(ask != NULL);
	ask->reply = reply;
	ask->open = 1;		/* until all are begun */
	for (size_t i = 0; i < n; i++) {
		struct tls_report_row row = { .day = day, .domain = domains[i], .state = REPORT_WAITS,
			.first = clock_real(), .next = clock_real() };

		if (domain.n == 0 || span_eq(domain, domains[i]))
			flight_new(t, &row, ask);
	}
	if (ask->open == 1)
		say_error(reply, "nothing was seen of it on that day");
	flights_pump(t);
	tls_ask_done(ask);
}

void
reports_client(struct tls_reports *t, const struct jval *req, struct reply *reply)
{
	struct arena *a = arena_new(0);
	int64_t day = jval_int(req, "day", clock_real() / TLS_DAY_US);
	struct span domain = { 0 };

	reports_flush(t);
	store_settle(t->s);
	if (jval_text(req, "domain").n && !domain_normalise(a, jval_text(req, "domain"), &domain)) {
		say_error(reply, "this is no domain name");
		reply_end(&reply);
	} else if (span_is(jval_text(req, "cmd"), "tlsrpt.show")) {
		show(t, day, domain, a, reply);
		reply_end(&reply);
	} else if (!span_is(jval_text(req, "cmd"), "tlsrpt.send")) {
		say_error(reply, "the store knows no such command");
		reply_end(&reply);
	} else if (t->s->rt->conf->reports.from.n == 0) {
		say_error(reply, "reports need a sender: `tls_reports: {from: …}`");
		reply_end(&reply);
	} else
		send_now(t, day, domain, a, reply);
	arena_free(&a);
}
