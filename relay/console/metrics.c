/* metrics.c -- /metrics for Prometheus, on an address of its own, from the counters all processes share. */
#include "console/console.h"

#define METRICS_MAX ((size_t)1 << 20)

void
metrics_write(struct buf *b)
{
	for (int c = 0; c < COUNTER_COUNT; c++)
		buf_printf(b, "postern_%s %llu\n", counter_name((enum counter)c),
		    (unsigned long long)counter_get((enum counter)c));
}

void
metrics_serve(struct client *k)
{
	struct buf b;

	if (!span_is(k->r.path, "/metrics") || (k->r.method != HTTP_GET && k->r.method != HTTP_HEAD)) {
		client_answer(k, 404, "text/plain; charset=utf-8", SPAN_LIT("there is /metrics alone\n"));
		return;
	}
	buf_init(&b, METRICS_MAX);
	metrics_write(&b);
	client_answer(k, 200, "text/plain; version=0.0.4; charset=utf-8", buf_data(&b));
	buf_release(&b);
}
