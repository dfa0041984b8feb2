/* doctor_counters.c -- can the nodes count together? See doctor.h. The role that speaks to Redis says it, with
 * the words of Redis: from here it may look different (users, certificates, networks). */
#include <string.h>

#include "cli/control_client.h"
#include "cli/doctor.h"

struct found {
	bool there, shared, twin;
	long long seconds, nodes, share, owed;
	char why[320];
};

static void
heard(void *ctx, const struct jval *v, struct span text)
{
	struct found *f = ctx;

	f->there = jval_has(v, "server");
	f->shared = span_is(jval_text(v, "state"), "shared");
	f->twin = jval_bool(v, "twin");
	f->seconds = jval_int(v, "seconds", 0);
	f->nodes = jval_int(v, "nodes", 0);
	f->share = jval_int(v, "share", 0);
	f->owed = jval_int(v, "owed", 0);
	snprintf(f->why, sizeof(f->why), SPAN_FMT, SPAN_ARG(jval_text(v, "why")));
}

void
doctor_counters(struct doctor *d)
{
	const struct conf_counters *c = &d->conf->counters;
	struct found f = { 0 };
	struct request r;

	if (!c->shared)
		return;
	request_begin(&r, "counters.status");
	if (control_ask_quietly(d->cli, &r, heard, &f) != CLI_OK || !f.there)
		doctor_say(d, ILL, "counters", "the process that counts with the other nodes does not answer: limits are "
		    "counted in this node alone");
	else if (!f.shared)
		doctor_say(d, ILL, "counters", "%s: %s; for %lld s limits have gone on with %lld %% in this node, %lld of them "
		    "wait to be merged", c->server, f.why, f.seconds, f.share, f.owed);
	else
		doctor_say(d, HEALTHY, "counters", "%s counts for %lld %s", c->server, f.nodes,
		    f.nodes == 1 ? "node" : "nodes");
	if (f.twin)
		doctor_say(d, ILL, "counters", "another node has this one's name: give each a `node` of its own");
	if (c->shared && !c->tls && c->socket == NULL && !ip_is_loopback(c->host.ip))
		doctor_say(d, DOUBTFUL, "counters", "%s is spoken to without TLS: rediss:// where the network is not yours alone",
		    c->server);
}
