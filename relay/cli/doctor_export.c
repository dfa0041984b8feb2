/* doctor_export.c -- do those who are to be told of events hear of them? See doctor.h. */
#include "cli/control_client.h"
#include "cli/doctor.h"
#include "ipc/json_read.h"

#define BEHIND 1000		/* events: more than a moment's trouble */

struct exported {
	int64_t waiting, lost;
};

static void
heard(void *ctx, const struct jval *v, struct span text)
{
	struct exported *e = ctx;
	const struct jval *counters = jval_get(v, "counters");

	e->waiting = jval_int(counters, "export_events_waiting", 0);
	e->lost = jval_int(counters, "export_events_lost", 0);
}

void
doctor_export(struct doctor *d)
{
	struct exported e = { -1, 0 };
	struct request r;

	if (d->conf->nexports == 0)
		return;
	request_begin(&r, "status");
	if (control_ask_quietly(d->cli, &r, heard, &e) != CLI_OK || e.waiting < 0)
		return;		/* the row `daemon` says so */
	doctor_say(d, e.waiting > BEHIND || e.lost ? DOUBTFUL : HEALTHY, "export",
	    "%zu webhooks and log servers; the slowest is %lld events behind, %lld events were lost",
	    d->conf->nexports, (long long)e.waiting, (long long)e.lost);
}
