/* report.c -- what became of a job; see report.h. */
#include <stdio.h>

#include "clock.h"
#include "delivery/report.h"
#include "id.h"
#include "log.h"
#include "master/counters.h"

#define REPLIES_MAX (3u << 20)	/* all texts of one RESULT: below FRAME_BIG */

/* Three times or more for each recipient: without printf and its floating point. */
const char *
report_delay(int64_t us, char text[DELAY_TEXT_MAX])
{
	int64_t unit = us >= US_PER_SEC ? 100000 : us >= 100000 ? 10000 : 1000;	/* two digits that count */
	unsigned part;
	char *to = text;

	if (us < 0)
		us = 0;
	if (us >= 10 * US_PER_SEC) {
		snprintf(text, DELAY_TEXT_MAX, "%lld", (long long)((us + US_PER_SEC / 2) / US_PER_SEC));
		return text;
	}
	us = (us + unit / 2) / unit * unit;
	if (us >= 10 * US_PER_SEC)	/* 9.96 */
		return memcpy(text, "10", 3);
	*to++ = (char)('0' + us / US_PER_SEC);
	part = (unsigned)(us % US_PER_SEC / 1000);
	if (part > 0)
		*to++ = '.';
	for (unsigned digit = 100; part > 0; part %= digit, digit /= 10)
		*to++ = (char)('0' + part / digit);
	*to = '\0';
	return text;
}

static void
log_recipient(const struct job *job, size_t i, const char *delays)
{
	static const char *const words[] = { [RCPT_SENT] = "sent", [RCPT_DEFERRED] = "deferred",
		[RCPT_FAILED] = "bounced" };
	const struct smtp_result *r = &job->results[i];
	struct span relay = job->places ? job->places[i].relay : job->relay;
	struct span host = span_sub(relay, 0, span_find(relay, ']') + 1);
	char total[DELAY_TEXT_MAX];

	report_delay(job->t_end - job->d.received, total);
	if (r->remote && r->status != RCPT_SENT)
		log_later(job->d.id, "to=<" SPAN_FMT ">, relay=" SPAN_FMT
		    ", delay=%s, delays=%s, dsn=%s, status=%s (host " SPAN_FMT " said: " SPAN_FMT
		    " (in reply to %s command))", SPAN_ARG(job->d.recipients[i].address),
		    SPAN_ARG(relay), total, delays, r->dsn, words[r->status], SPAN_ARG(host),
		    SPAN_ARG(r->reply), client_state_command(r->when));
	else
		log_later(job->d.id, "to=<" SPAN_FMT ">, relay=" SPAN_FMT
		    ", delay=%s, delays=%s, dsn=%s, status=%s (" SPAN_FMT ")",
		    SPAN_ARG(job->d.recipients[i].address), SPAN_ARG(relay), total, delays,
		    r->dsn, words[r->status], SPAN_ARG(r->reply));
}

/* The proof: under which name, cipher and certificate it left. */
static void
log_tls(const struct job *job)
{
	for (size_t i = 0; job->places && i < job->d.nrecipients; i++) {
		const struct job_place *p = &job->places[i];

		if (p->tls.n && (i == 0 || !span_eq(p->relay, p[-1].relay)))
			log_later(job->d.id, "relay=" SPAN_FMT ", tls=" SPAN_FMT,
			    SPAN_ARG(p->relay), SPAN_ARG(p->tls));
	}
	if (job->tls.n && job->places == NULL)
		log_later(job->d.id, "relay=" SPAN_FMT ", tls=" SPAN_FMT,
		    SPAN_ARG(job->relay), SPAN_ARG(job->tls));
}

void
report_log(const struct job *job)
{
	char a[DELAY_TEXT_MAX], b[DELAY_TEXT_MAX], c[DELAY_TEXT_MAX], d[DELAY_TEXT_MAX];
	char delays[4 * DELAY_TEXT_MAX + 4], *to = delays;
	unsigned counts[3] = { 0 };

	to = stpcpy(to, report_delay(job->d.started - job->d.received, a));
	*to++ = '/';
	to = stpcpy(to, report_delay(job->t_conn - job->d.started, b));
	*to++ = '/';
	to = stpcpy(to, report_delay(job->t_ready - job->t_conn, c));
	*to++ = '/';
	stpcpy(to, report_delay(job->t_end - job->t_ready, d));
	for (size_t i = 0; i < job->d.nrecipients; i++) {
		log_recipient(job, i, delays);
		counts[job->results[i].status]++;
	}
	log_tls(job);
	label_add(LABEL_SITE, job->d.site, SPAN_LIT("sent"), counts[RCPT_SENT]);
	label_add(LABEL_SITE, job->d.site, SPAN_LIT("deferred"), counts[RCPT_DEFERRED]);
	label_add(LABEL_SITE, job->d.site, SPAN_LIT("failed"), counts[RCPT_FAILED]);
	if (counts[RCPT_SENT]) {
		counter_add(COUNTER_DELIVERED, counts[RCPT_SENT]);
		histogram_add(HISTOGRAM_DELAY, job->t_end - job->d.received);
	}
	if (counts[RCPT_DEFERRED])
		counter_add(COUNTER_DEFERRED, counts[RCPT_DEFERRED]);
	if (counts[RCPT_FAILED])
		counter_add(COUNTER_FAILED, counts[RCPT_FAILED]);
}

void
report_result(struct buf *b, const struct job *job)
{
	size_t n = job->d.nrecipients;
	size_t room = REPLIES_MAX / (n ? n : 1);
	struct msg_result m = { .id = job->d.id, .site = job->d.site, .t_start = job->t_start,
		.t_conn = job->t_conn, .t_ready = job->t_ready, .t_end = job->t_end,
		.tls = job->tls, .handed_back = job->handed_back,
		.postponed = job->postponed };

	if (!job->handed_back && !job->postponed) {
		m.rcpts = arena_array(job->arena, n, sizeof(*m.rcpts));
		m.nrcpts = n;
	}
	for (size_t i = 0; i < m.nrcpts; i++) {
		const struct smtp_result *r = &job->results[i];

		m.rcpts[i] = (struct rcpt_result){ .index = job->d.index[i], .status = r->status,
			.cls = r->cls, .dsn = span_str(r->dsn), .reply = span_sub(r->reply, 0, room),
			.relay = job->places ? job->places[i].relay : job->relay,
			.tls = job->places ? job->places[i].tls : job->tls, .remote = r->remote, .notifies = r->notifies };
	}
	result_encode(b, &m);
}
