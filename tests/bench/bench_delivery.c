/* bench_delivery.c -- how fast the delivery room alone is: jobs of 4 KiB from memory through
 * sites and sessions to a server, with everything the role does but the queue's frames.
 *
 *	bench_delivery PORT [messages [connections [bytes [messages-per-connection [full]]]]]
 *
 * PORT: a receiving server on 127.0.0.1, e.g. `smtp-sink 127.0.0.1:2525 1000`, or
 * build/tools/tls_sink. `full`: no TLS session is resumed.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "clock.h"
#include "delivery/report.h"
#include "net/transport.h"
#include "ipc/frame.h"

static size_t left, sent;
static struct buf out;

static void
job_over(void *ctx, struct job *job)
{
	struct carrier *c = ctx;
	struct arena *a = job->arena;

	sent += job->results[0].status == RCPT_SENT;
	if (job->results[0].status != RCPT_SENT)
		fprintf(stderr, SPAN_FMT "\n", SPAN_ARG(job->results[0].reply));
	buf_reset(&out);
	report_result(&out, job);
	arena_free(&a);
	if (--left == 0)
		event_base_loopbreak(c->base);
}

static void
give(struct carrier *c, struct span bytes)
{
	struct arena *a = arena_new(0);
	struct job *job = arena_zalloc(a, sizeof(*job));

	job->arena = a;
	job->bytes = bytes;
	job->d = (struct msg_deliver){ .id = 1, .site = SPAN_LIT("site.lab"),
		.sender = SPAN_LIT("from@our.lab"), .nrecipients = 1 };
	job->d.recipients = arena_array(a, 1, sizeof(*job->d.recipients));
	job->d.recipients[0].address = SPAN_LIT("to@site.lab");
	job->d.index = arena_array(a, 1, sizeof(*job->d.index));
	job->results = arena_array(a, 1, sizeof(*job->results));
	carrier_take(c, job);
}

static double
cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int
main(int argc, char **argv)
{
	size_t n = argc > 2 ? (size_t)atol(argv[2]) : 20000, bytes = argc > 4 ? (size_t)atol(argv[4]) : 4096;
	struct conf_host host = { .name = SPAN_LIT("sink.lab"), .ip = { 4, { 127, 0, 0, 1 } } };
	struct conf_route route = { .match = SPAN_LIT("site.lab"), .hosts = &host, .nhosts = 1 };
	const struct conf_route *line = &route;
	struct config conf = { .delivery = { .port = 25, .hello = SPAN_LIT("gw.lab"), .lines = &line,
		.nlines = 1, .site_connections = argc > 3 ? (uint32_t)atol(argv[3]) : 20,
		.site_messages = argc > 5 ? (uint32_t)atol(argv[5]) : 1000, .floor = FLOOR_OPPORTUNISTIC } };
	struct carrier c = { .conf = &conf, .done = job_over, .ctx = &c };
	char *text = malloc(bytes);
	struct err err;
	int64_t t0;
	double cpu0, seconds, used;

	if (argc < 2 || text == NULL)
		return 2;
	host.port = (uint16_t)atoi(argv[1]);
	for (size_t i = 0; i < bytes; i++)
		text[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : (char)('a' + i % 26);
	buf_init(&out, FRAME_BIG);
	c.base = event_base_new();
	c.tls = transport_context(NULL, &err);
	carrier_init(&c);
	if (argc > 6)
		tls_cache_free(&c.tls_sessions);
	t0 = clock_mono();
	cpu0 = cpu();
	left = n;
	for (size_t i = 0; i < n; i++)
		give(&c, span_make(text, bytes));
	event_base_dispatch(c.base);
	seconds = (double)(clock_mono() - t0) / US_PER_SEC;
	used = cpu() - cpu0;
	printf("%zu of %zu sent in %.2f s: %.0f messages/s, %.1f us CPU each\n", sent, n, seconds,
	    (double)n / seconds, used * 1e6 / (double)n);
	carrier_release(&c);
	transport_context_free(&c.tls);
	event_base_free(c.base);
	free(text);
	return sent == n ? 0 : 1;
}
