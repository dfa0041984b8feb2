/* status.c -- counters.status on the control socket: how it is with Redis. */
#include <stdlib.h>

#include "clock.h"
#include "counters/role.h"
#include "ipc/principal.h"
#include "json.h"

void
counters_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	const struct counters *c = rt->state;
	struct reply *r = reply_new(rt, fd);
	struct err err;
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	if (principal_may(request, uid, PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR), NULL, &err) == -1) {
		json_kcstr(&j, "error", err.text);
	} else {
		json_kcstr(&j, "server", c->conf->server);
		json_kcstr(&j, "state", c->serving ? "shared" : "alone");
		json_kint(&j, "seconds", c->since ? (clock_real() - c->since) / US_PER_SEC : 0);
		json_kcstr(&j, "why", c->serving ? NULL : c->why);
		json_kuint(&j, "times_away", c->away_count);
		json_kuint(&j, "nodes", c->nodes);
		json_kuint(&j, "share", counters_percent(c));
		json_kbool(&j, "twin", c->twin);
		json_kuint(&j, "waiting", c->ndecisions);
		json_kuint(&j, "owed", table_count(c->owed));
		json_kuint(&j, "remembered", table_count(c->mirror));
	}
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
	reply_end(&r);
}
