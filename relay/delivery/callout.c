/* callout.c -- asking whether a mailbox exists; see callout.h. */
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "delivery/callout.h"
#include "ipc/channel.h"
#include "log.h"
#include "master/config.h"
#include "table.h"

struct callout {		/* first: job_over knows the job alone */
	struct job job;
	struct link *from;	/* NULL: who asked is gone */
	uint64_t ticket;
	struct callout *next, **prev;
};

struct callouts {
	struct carrier *carrier;
	struct dispatch *dispatch;
	struct callout *first;
	size_t count;
	struct buf out;
};

struct callouts *
callouts_new(struct carrier *carrier, struct dispatch *d)
{
	struct callouts *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->carrier = carrier;
	c->dispatch = d;
	buf_init(&c->out, FRAME_SMALL);
	return c;
}

void
callouts_free(struct callouts **c)
{
	if (*c == NULL)
		return;
	buf_release(&(*c)->out);
	free(*c);
	*c = NULL;
}

size_t
callouts_count(const struct callouts *c)
{
	return c->count;
}

void
callouts_peer_down(struct callouts *c, const struct link *l)
{
	for (struct callout *o = c->first; o; o = o->next)
		if (o->from == l)
			o->from = NULL;
}

static bool
is_dsn(const struct smtp_result *r, const char *head)
{
	return strncmp(r->dsn, head, strlen(head)) == 0;
}

enum rcpt_told
callout_judge(const struct smtp_result *r)
{
	unsigned code = 0;

	ASSERT(r->set);
	if (r->status == RCPT_SENT)
		return RCPT_KNOWN;
	if (!r->remote)			/* a directory of routes that knows no such address */
		return r->status == RCPT_FAILED && strcmp(r->dsn, "5.1.1") == 0 ? RCPT_NO_SUCH :
		    RCPT_DOUBT;
	if (r->when != CLIENT_RCPT || r->status != RCPT_FAILED)
		return RCPT_DOUBT;
	for (size_t i = 0; i < 3 && i < r->reply.n; i++)
		code = code * 10 + (unsigned)(r->reply.p[i] - '0');
	/* 5.1.x addressing, 5.2.0 and 5.2.1 a mailbox that is no more; 5.2.2 is full. Old servers say
	 * 550, 551 or 553 alone; reply_dsn() makes 5.0.0 of that, or what the code stands for. */
	if (is_dsn(r, "5.1.") || is_dsn(r, "5.2.0") || is_dsn(r, "5.2.1"))
		return RCPT_NO_SUCH;
	if (is_dsn(r, "5.0.") && (code == 550 || code == 551 || code == 553))
		return RCPT_NO_SUCH;
	return RCPT_DOUBT;
}

static void
tell(struct callouts *c, struct link *to, uint64_t ticket, const struct msg_rcpt_told *m)
{
	buf_reset(&c->out);
	rcpt_told_encode(&c->out, m);
	if (buf_failed(&c->out) ||
	    link_send(to, FRAME_RCPT_TOLD, ticket, buf_data(&c->out), -1) == -1)
		log_warn("whether a recipient exists cannot be told");
}

void
callouts_over(struct callouts *c, struct job *job)
{
	struct callout *o = (struct callout *)job;
	struct arena *a = job->arena;
	const struct smtp_result *r = &job->results[0];
	struct msg_rcpt_told m = { .address = job->d.recipients[0].address, .told = RCPT_DOUBT,
		.relay = job->relay };

	if (job->handed_back && c->carrier->retiring) {
		m.told = RCPT_RETIRING;
		m.text = SPAN_LIT("this relay is stopping");
	} else if (job->handed_back || job->postponed) {
		m.text = job->postponed ? SPAN_LIT("too many wait for these servers") :
		    SPAN_LIT("given up half-way");
	} else {
		m.told = callout_judge(r);
		m.text = span_sub(r->reply, 0, 600);
	}
	if (o->from)
		tell(c, o->from, o->ticket, &m);
	*o->prev = o->next;
	if (o->next)
		o->next->prev = o->prev;
	c->count--;
	arena_free(&a);
}

static uint32_t
under_way(const struct callouts *c, struct span site)
{
	uint32_t n = 0;

	for (const struct callout *o = c->first; o; o = o->next)
		n += span_eq(o->job.d.site, site);
	return n;
}

int
callouts_ask(struct callouts *c, struct link *from, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct callout *o = arena_zalloc(a, sizeof(*o));
	struct job *job = &o->job;
	struct span local, domain;
	const struct conf_domain *dom;
	struct msg_rcpt_ask m;

	if (rcpt_ask_decode(arena_span(a, f->body), f->fd, a, &m) == -1 ||
	    !mailaddr_split(m.address, &local, &domain)) {
		arena_free(&a);
		return -1;
	}
	dom = config_domain(c->carrier->conf, domain);
	if (c->carrier->retiring || dom == NULL || under_way(c, domain) >= dom->callout.probes) {
		tell(c, from, f->ticket, &(struct msg_rcpt_told){ .address = m.address,
			.told = c->carrier->retiring ? RCPT_RETIRING : RCPT_DOUBT, .relay = SPAN_LIT("none"),
			.text = c->carrier->retiring ? SPAN_LIT("this relay is stopping") :
			    dom ? SPAN_LIT("as many recipients of the domain are being asked for as "
			    "`probes` allows") : SPAN_LIT("not a domain of ours") });
		arena_free(&a);
		return 0;
	}
	o->from = from;
	o->ticket = f->ticket;
	job->arena = a;
	job->probe = true;
	job->d.site = arena_span(a, domain);
	job->d.sender = SPAN_LIT("");
	job->d.envid = SPAN_LIT("");
	job->d.recipients = arena_array(a, 1, sizeof(*job->d.recipients));
	job->d.recipients[0].address = m.address;
	job->d.index = arena_array(a, 1, sizeof(*job->d.index));
	job->d.nrecipients = 1;
	job->d.flags = span_has_8bit(m.address) ? ENVELOPE_SMTPUTF8 : 0;
	job->bytes = SPAN_LIT("");
	job->results = arena_array(a, 1, sizeof(*job->results));
	o->next = c->first;
	o->prev = &c->first;
	if (o->next)
		o->next->prev = &o->next;
	c->first = o;
	c->count++;
	dispatch_take(c->dispatch, job);
	return 0;
}
