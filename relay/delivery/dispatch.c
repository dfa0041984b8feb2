/* dispatch.c -- which way each recipient goes; see dispatch.h.
 *
 * A trip is one job on its way through here (or a question of `postern route`). It waits at most for two answers of
 * the directory, one after the other: which groups the sender is in, and what the directory says
 * of each recipient. With neither, which is the rule, it is done in one call.
 */
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "delivery/dispatch.h"
#include "delivery/route.h"
#include "ipc/messages.h"
#include "ipc/ticket.h"
#include "log.h"
#include "postern/policy.h"

struct recipient_way {
	const struct conf_route *line;
	struct span key;		/* empty: none (yet) */
	struct span hops;
	struct smtp_result why;		/* there is no way */
	bool asked, stale;
	uint64_t ticket;		/* LOOKUP under way */
};

struct trip {
	struct dispatch *d;
	struct trip *next, **prev;
	struct arena *arena;
	struct job *job;		/* NULL: a question */
	dispatch_cb *cb;
	void *ctx;
	struct span domain, sender;
	const struct conf_route *own;	/* the line that the domain alone would take */
	const struct recipient *rcpts;
	size_t n, waiting;
	struct recipient_way *ways;
	uint64_t ticket;		/* MEMBERS under way */
	struct memberships members;	/* of the sender */
	bool unsure;			/* a group of the sender's could not be known */
	int64_t deadline;
};

struct whole {				/* a job that went in parts */
	struct job *job;
	size_t left;
	size_t handed_back;
};

struct job_part {				/* first: carrier.c knows the job alone */
	struct job job;
	struct whole *whole;
	uint16_t *at;			/* of each recipient in the whole */
	bool aside;			/* it goes another way than its domain's */
};

struct dispatch {
	struct dispatch_setup how;
	struct link *directory;
	struct tickets *tickets;
	struct trip *first;
	size_t count;
	struct buf out;
};

struct dispatch *
dispatch_new(const struct dispatch_setup *how)
{
	struct dispatch *d = calloc(1, sizeof(*d));

	ASSERT(d != NULL);
	d->how = *how;
	d->tickets = tickets_new();
	buf_init(&d->out, FRAME_BIG);
	return d;
}

void *
dispatch_context(void *ctx)
{
	return ((struct dispatch *)ctx)->how.ctx;
}

size_t
dispatch_count(const struct dispatch *d)
{
	return d->count;
}

static const struct config *
conf_of(const struct trip *t)
{
	return t->d->how.c->conf;
}

/* ---- the end of a trip ---- */

static void
trip_free(struct trip *t)
{
	struct dispatch *d = t->d;
	struct arena *a = t->job ? NULL : t->arena;

	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	if (t->ticket)
		ticket_close(d->tickets, t->ticket);
	for (size_t i = 0; i < t->n; i++)
		if (t->ways[i].ticket)
			ticket_close(d->tickets, t->ways[i].ticket);
	d->count--;
	arena_free(&a);
}

static void
no_way(struct trip *t, struct recipient_way *w, enum rcpt_status status, const char *dsn,
    const char *text)
{
	smtp_result_set(&w->why, CLIENT_GREETING, status, FAIL_MESSAGE, dsn,
	    arena_span(t->arena, span_str(text)), false);
}

static struct job_part *
part_new(struct whole *whole, struct span key, size_t n)
{
	struct arena *a = arena_new(0);
	struct job_part *p = arena_zalloc(a, sizeof(*p));
	const struct job *job = whole->job;

	p->whole = whole;
	p->job = (struct job){ .arena = a, .ticket = job->ticket, .d = job->d, .bytes = job->bytes,
		.way = arena_span(a, key), .probe = job->probe };
	p->job.d.nrecipients = 0;
	p->job.d.recipients = arena_array(a, n, sizeof(*p->job.d.recipients));
	p->job.d.index = arena_array(a, n, sizeof(*p->job.d.index));
	p->job.results = arena_array(a, n, sizeof(*p->job.results));
	p->at = arena_array(a, n, sizeof(*p->at));
	p->job.part = p;
	return p;
}

static void
whole_over(struct dispatch *d, struct whole *w)
{
	struct job *job = w->job;

	job->t_end = clock_real();
	/* Nobody was tried: as if it had never been handed over. */
	if (w->handed_back == job->d.nrecipients)
		job->handed_back = true;
	d->count--;
	d->how.done(d->how.ctx, job);
}

/* What the queue may not blame the domain's own servers for. */
static enum fail_class
class_aside(enum fail_class cls)
{
	switch (cls) {
	case FAIL_DNS:
	case FAIL_CONNECT:
	case FAIL_TLS:
	case FAIL_GREETING:
	case FAIL_SITE:
		return FAIL_MESSAGE;
	default:
		return cls;
	}
}

static void
part_over(struct dispatch *d, struct job_part *p)
{
	struct whole *w = p->whole;
	struct job *job = w->job;
	struct arena *a = p->job.arena;
	struct span relay = arena_span(job->arena, p->job.relay);
	struct span tls = arena_span(job->arena, p->job.tls);

	for (size_t i = 0; i < p->job.d.nrecipients; i++) {
		size_t at = p->at[i];

		job->places[at] = (struct job_place){ relay, tls };
		if (p->job.handed_back) {
			w->handed_back++;
			smtp_result_set(&job->results[at], CLIENT_GREETING, RCPT_DEFERRED,
			    FAIL_LOCAL, "4.3.2", SPAN_LIT("this relay is stopping"), false);
			continue;
		}
		job->results[at] = p->job.results[i];
		job->results[at].reply = arena_span(job->arena, p->job.results[i].reply);
		if (p->aside)
			job->results[at].cls = class_aside(job->results[at].cls);
	}
	/* The delays people see are those of the last part; each has its own relay. */
	job->t_conn = p->job.t_conn;
	job->t_ready = p->job.t_ready;
	if (p->job.relay.n)
		job->relay = relay;
	job->tls = tls;
	if (p->job.talk.n)
		job->talk = arena_span(job->arena, p->job.talk);
	arena_free(&a);
	if (--w->left == 0)
		whole_over(d, w);
}

void
dispatch_done(void *ctx, struct job *job)
{
	struct dispatch *d = ctx;

	if (job->part)
		part_over(d, job->part);
	else
		d->how.done(d->how.ctx, job);
}

static bool
is_own_way(const struct trip *t, const struct recipient_way *w)
{
	return w->hops.n == 0 && w->line == t->own;
}

/* *left of what it returns counts the caller too, so that the job cannot end before the trip. */
static struct whole *
send_parts(struct trip *t, struct job *job)
{
	struct dispatch *d = t->d;
	struct whole *w = arena_zalloc(job->arena, sizeof(*w));
	struct job_part **parts = arena_array(job->arena, t->n, sizeof(struct job_part *));
	size_t nparts = 0;

	w->job = job;
	job->places = arena_array(job->arena, t->n, sizeof(*job->places));
	job->t_start = job->t_conn = job->t_ready = clock_real();
	job->relay = SPAN_LIT("none");
	job->tls = SPAN_LIT("");
	for (size_t i = 0; i < t->n; i++) {
		struct recipient_way *rw = &t->ways[i];
		struct job_part *p = NULL;
		size_t k = 0;

		job->places[i] = (struct job_place){ SPAN_LIT("none"), SPAN_LIT("") };
		if (rw->key.n == 0) {
			job->results[i] = rw->why;
			continue;
		}
		while (k < nparts && !span_eq(parts[k]->job.way, rw->key))
			k++;
		if (k == nparts) {
			parts[nparts++] = part_new(w, rw->key, t->n - i);
			parts[k]->aside = !is_own_way(t, rw);
		}
		p = parts[k];
		p->at[p->job.d.nrecipients] = (uint16_t)i;
		p->job.d.index[p->job.d.nrecipients] = job->d.index[i];
		p->job.d.recipients[p->job.d.nrecipients++] = job->d.recipients[i];
	}
	w->left = nparts + 1;
	d->count++;
	for (size_t k = 0; k < nparts; k++)
		carrier_take(d->how.c, &parts[k]->job);
	return w;
}

static void
trip_over(struct trip *t)
{
	struct job *job = t->job;
	struct dispatch *d = t->d;
	struct whole *w;
	bool one = true;

	if (job == NULL) {
		struct recipient_way *rw = &t->ways[0];
		struct dispatch_answer a = { rw->line, rw->key, rw->hops, rw->asked, rw->stale,
			rw->key.n ? NULL : &rw->why };

		t->cb(t->ctx, &a);
		trip_free(t);
		return;
	}
	for (size_t i = 0; i < t->n; i++)
		one &= t->ways[i].key.n > 0 && span_eq(t->ways[i].key, t->ways[0].key);
	if (one && is_own_way(t, &t->ways[0])) {
		job->way = t->ways[0].key;
		trip_free(t);
		carrier_take(d->how.c, job);
		return;
	}
	w = send_parts(t, job);
	trip_free(t);
	if (--w->left == 0)
		whole_over(d, w);
}

static void
trip_less(struct trip *t)
{
	if (--t->waiting == 0)
		trip_over(t);
}

/* ---- what the directory says ---- */

static int
by_text(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int r = n ? memcmp(x->p, y->p, n) : 0;

	return r ? r : (x->n > y->n) - (x->n < y->n);
}

/* "host", "host:port", an address: as they are kept in a way. false: it is none. */
static bool
read_hop(struct trip *t, struct span value, struct span *out)
{
	struct span host, name;
	struct ip ip;
	uint16_t port;
	struct err err;

	value = span_trim(value);
	if (hostport_parse(value, 25, &host, &port, &err) == -1)
		return false;
	if (ip_parse(host, &ip)) {
		char text[IP_TEXT_MAX];

		ip_format(ip, text);
		*out = span_str(arena_printf(t->arena, ip.family == 6 ? "[%s]:%u" : "%s:%u", text,
		    port));
		return true;
	}
	if (!domain_normalise(t->arena, host, &name))
		return false;
	*out = span_str(arena_printf(t->arena, SPAN_FMT ":%u", SPAN_ARG(name), port));
	return true;
}

/* Sorted: LDAP has no order, and one set of hosts is to be one way. */
static void
take_hops(struct trip *t, struct recipient_way *w, const struct msg_found *m)
{
	size_t n = m->n < ROUTE_HOSTS_MAX ? m->n : ROUTE_HOSTS_MAX;
	struct span *hops = arena_array(t->arena, n, sizeof(*hops));
	struct buf b;

	for (size_t i = 0; i < n; i++)
		if (!read_hop(t, m->values[i], &hops[i])) {
			no_way(t, w, RCPT_DEFERRED, "4.3.5", arena_printf(t->arena,
			    "the directory says `" SPAN_FMT "`, which is no host",
			    SPAN_ARG(span_sub(m->values[i], 0, 200))));
			log_error("%s", arena_str(t->arena, w->why.reply));
			return;
		}
	qsort(hops, n, sizeof(*hops), by_text);
	buf_init(&b, 8192);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && span_eq(hops[i], hops[i - 1]))
			continue;
		if (buf_size(&b))
			buf_putc(&b, ' ');
		buf_span(&b, hops[i]);
	}
	w->hops = arena_span(t->arena, buf_data(&b));
	w->key = way_key(t->arena, t->domain, w->line, w->hops);
	buf_release(&b);
}

static void
take_found(struct trip *t, struct recipient_way *w, const struct msg_found *m)
{
	w->asked = true;
	w->stale = m->stale;
	if (m->status == LOOKUP_UNKNOWN) {
		no_way(t, w, RCPT_DEFERRED, "4.4.3", arena_printf(t->arena,
		    "the directory cannot be asked where this goes: " SPAN_FMT,
		    SPAN_ARG(span_sub(m->text, 0, 300))));
	} else if (m->n > 0) {
		take_hops(t, w, m);
	} else if (w->line->nhosts > 0) {
		w->key = way_key(t->arena, t->domain, w->line, (struct span){ 0 });
	} else if (m->status == LOOKUP_MISSING) {
		no_way(t, w, RCPT_FAILED, "5.1.1", "the directory knows no such address");
	} else {
		no_way(t, w, RCPT_DEFERRED, "4.3.5", arena_printf(t->arena,
		    "the directory knows the address, but has no " SPAN_FMT " for it",
		    SPAN_ARG(w->line->ldap.attribute)));
	}
}

static struct recipient_way *
way_of(struct trip *t, uint64_t ticket)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->ways[i].ticket == ticket)
			return &t->ways[i];
	return NULL;
}

int
dispatch_found(struct dispatch *d, struct frame *f)
{
	struct trip *t = ticket_owner(d->tickets, f->ticket);
	struct recipient_way *w = t ? way_of(t, f->ticket) : NULL;
	struct msg_found m;

	if (w == NULL)
		return 0;		/* late */
	if (found_decode(arena_span(t->arena, f->body), f->fd, t->arena, &m) == -1)
		return -1;
	ticket_close(d->tickets, w->ticket);
	w->ticket = 0;
	take_found(t, w, &m);
	trip_less(t);
	return 0;
}

static void
ask_found(struct trip *t, struct recipient_way *w, struct span address)
{
	const struct conf_lookup *l = &w->line->ldap;
	struct msg_lookup m = { l->directory->name, l->filter, l->attribute, address };
	struct dispatch *d = t->d;

	w->ticket = ticket_open(d->tickets, t, t->deadline);
	t->waiting++;
	if (d->directory == NULL)
		return;			/* asked when it is there */
	buf_reset(&d->out);
	lookup_encode(&d->out, &m);
	if (buf_failed(&d->out) || link_send(d->directory, FRAME_LOOKUP, w->ticket,
	    buf_data(&d->out), -1) == -1)
		log_warn("the directory does not take a question");
}

/* ---- which line ---- */

static bool
in_group(void *ctx, struct span group, struct span sender)
{
	struct trip *t = ctx;
	enum membership is = t->d->how.groups ?
	    policy_group_has(t->d->how.groups, group, sender, &t->members) : MEMBER_NO;

	t->unsure |= is == MEMBER_UNKNOWN;
	return is == MEMBER_YES;
}

/* The groups of the sender are known, or nobody asks for them. */
static void
choose_ways(struct trip *t)
{
	t->waiting = 1;			/* ourselves, until all is asked */
	for (size_t i = 0; i < t->n; i++) {
		struct recipient_way *w = &t->ways[i];
		struct route_question q = { t->rcpts[i].address, t->sender, in_group, t };

		t->unsure = false;
		w->line = config_route(conf_of(t), &q);
		if (t->unsure)
			no_way(t, w, RCPT_DEFERRED, "4.4.3",
			    "the groups of the sender cannot be looked up");
		else if (w->line && w->line->ldap.directory)
			ask_found(t, w, t->rcpts[i].address);
		else if (is_own_way(t, w))
			w->key = t->domain;
		else
			w->key = way_key(t->arena, t->domain, w->line, (struct span){ 0 });
	}
	trip_less(t);
}

int
dispatch_memberships(struct dispatch *d, struct frame *f)
{
	struct trip *t = ticket_owner(d->tickets, f->ticket);
	struct msg_memberships m;

	if (t == NULL || t->ticket != f->ticket)
		return 0;
	if (memberships_decode(arena_span(t->arena, f->body), f->fd, t->arena, &m) == -1 ||
	    m.grid.n != t->members.naddresses * t->members.ngroups)
		return -1;
	ticket_close(d->tickets, t->ticket);
	t->ticket = 0;
	t->members.grid = (const uint8_t *)m.grid.p;
	choose_ways(t);
	return 0;
}

static void
ask_groups(struct trip *t)
{
	struct dispatch *d = t->d;
	struct msg_members m = { t->members.addresses, t->members.naddresses, t->members.groups,
		t->members.ngroups };

	if (d->directory == NULL)
		return;
	buf_reset(&d->out);
	members_encode(&d->out, &m);
	if (buf_failed(&d->out) || link_send(d->directory, FRAME_MEMBERS, t->ticket,
	    buf_data(&d->out), -1) == -1)
		log_warn("the directory does not take a question");
}

static void
trip_start(struct trip *t)
{
	struct dispatch *d = t->d;
	struct route_question own = { .recipient = t->domain };

	t->own = config_route(conf_of(t), &own);
	t->ways = arena_array(t->arena, t->n, sizeof(*t->ways));
	t->deadline = clock_mono() + DISPATCH_PATIENCE;
	t->next = d->first;
	t->prev = &d->first;
	if (t->next)
		t->next->prev = &t->next;
	d->first = t;
	d->count++;
	if (d->how.groups && t->sender.n)
		t->members.groups = policy_externals(d->how.groups, &t->members.ngroups);
	if (t->members.ngroups == 0) {
		choose_ways(t);
		return;
	}
	t->members.addresses = &t->sender;
	t->members.naddresses = 1;
	t->ticket = ticket_open(d->tickets, t, t->deadline);
	ask_groups(t);
}

void
dispatch_take(struct dispatch *d, struct job *job)
{
	struct trip *t;

	if (job->results[0].set || way_is_hop(job->d.site) || d->how.c->conf->delivery.nlines == 0) {
		carrier_take(d->how.c, job);
		return;
	}
	t = arena_zalloc(job->arena, sizeof(*t));
	*t = (struct trip){ .d = d, .arena = job->arena, .job = job, .domain = job->d.site,
		.sender = job->d.sender, .rcpts = job->d.recipients, .n = job->d.nrecipients };
	trip_start(t);
}

void
dispatch_ask(struct dispatch *d, struct span domain, struct span address, struct span sender,
    dispatch_cb *cb, void *ctx)
{
	struct arena *a = arena_new(0);
	struct trip *t = arena_zalloc(a, sizeof(*t));
	struct recipient *r = arena_zalloc(a, sizeof(*r));

	r->address = arena_span(a, address);
	*t = (struct trip){ .d = d, .arena = a, .cb = cb, .ctx = ctx,
		.domain = arena_span(a, domain), .sender = arena_span(a, sender), .rcpts = r,
		.n = 1 };
	trip_start(t);
}

/* ---- the directory comes and goes ---- */

void
dispatch_directory(struct dispatch *d, struct link *l)
{
	/* What the one before was asked it may answer yet, should it live: late answers find
	 * their tickets closed. */
	if (l == d->directory)
		return;
	d->directory = l;
	for (struct trip *t = d->first; l && t; t = t->next) {
		if (t->ticket)
			ask_groups(t);
		for (size_t i = 0; i < t->n; i++)
			if (t->ways[i].ticket) {
				ticket_close(d->tickets, t->ways[i].ticket);
				t->waiting--;
				ask_found(t, &t->ways[i], t->rcpts[i].address);
			}
	}
}

/* The directory does not answer: as if it had said that it does not know. */
void
dispatch_tick(struct dispatch *d, int64_t now)
{
	struct msg_found none = { .status = LOOKUP_UNKNOWN, .text = SPAN_LIT("no answer in time") };
	uint64_t ticket;

	while ((ticket = ticket_expired(d->tickets, now)) != 0) {
		struct trip *t = ticket_close(d->tickets, ticket);
		struct recipient_way *w = way_of(t, ticket);

		if (w) {
			w->ticket = 0;
			take_found(t, w, &none);
			trip_less(t);
		} else {
			t->ticket = 0;
			t->members.grid = NULL;
			choose_ways(t);
		}
	}
}

void
dispatch_retire(struct dispatch *d)
{
	struct trip *t, *next;

	for (t = d->first; t; t = next) {
		struct job *job = t->job;

		next = t->next;
		if (job == NULL)
			continue;
		trip_free(t);
		job->handed_back = true;
		d->how.done(d->how.ctx, job);
	}
}
