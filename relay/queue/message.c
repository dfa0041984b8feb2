/* message.c -- see message.h. */
#include <stdlib.h>

#include "addr.h"
#include "id.h"
#include "queue/message.h"
#include "table.h"

#define MANY 24		/* legs, beyond which they are looked up by hash */

const char *
leg_kind_name(enum leg_kind k)
{
	static const char *const names[] = { "deliver", "keep", "refuse", "discard" };

	return names[k];
}

struct planner {
	struct arena *a;
	struct plan *p;
	size_t cap_targets, cap_legs;
	struct table *index;	/* by key(); NULL while there are few legs */
};

/* Everything of a leg that tells it from others. */
static struct span
key(struct planner *pl, const struct leg_plan *l, const struct msg_decision *d)
{
	char *s;

	if (l->kind == LEG_KEEP)
		s = arena_printf(pl->a, "%d/%d/%lld/%d/" SPAN_FMT, l->kind, d->outcome,
		    (long long)d->expires, d->on_expire, SPAN_ARG(d->queue));
	else
		s = arena_printf(pl->a, "%d/%d/" SPAN_FMT, l->kind, l->require_tls,
		    SPAN_ARG(l->site));
	return span_str(s);
}

static bool
same_leg(const struct leg_plan *a, const struct msg_decision *da, const struct leg_plan *b,
    const struct msg_decision *db)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == LEG_KEEP)
		return da->outcome == db->outcome && da->expires == db->expires &&
		    da->on_expire == db->on_expire && span_eq(da->queue, db->queue);
	return a->require_tls == b->require_tls && span_eq(a->site, b->site);
}

static uint16_t
leg_find(struct planner *pl, const struct stored *m, const struct leg_plan *want)
{
	struct plan *p = pl->p;
	const struct msg_decision *d = &m->decisions[want->decision];
	struct leg_plan *found;

	if (pl->index == NULL) {
		for (size_t i = 0; i < p->nlegs; i++)
			if (same_leg(&p->legs[i], &m->decisions[p->legs[i].decision], want, d))
				return (uint16_t)i;
	} else if ((found = table_get(pl->index, key(pl, want, d))) != NULL)
		/* The array may have moved since: what counts is the number. */
		return (uint16_t)((uintptr_t)found - 1);
	if (p->nlegs == pl->cap_legs) {
		size_t cap = pl->cap_legs ? pl->cap_legs * 2 : 4;

		p->legs = arena_grow(pl->a, p->legs, p->nlegs * sizeof(*p->legs),
		    cap * sizeof(*p->legs));
		pl->cap_legs = cap;
	}
	p->legs[p->nlegs++] = *want;
	if (p->nlegs == MANY) {
		pl->index = table_new();
		for (size_t i = 0; i < p->nlegs; i++)
			table_put(pl->index, key(pl, &p->legs[i],
			    &m->decisions[p->legs[i].decision]), (void *)(uintptr_t)(i + 1));
	} else if (pl->index != NULL)
		table_put(pl->index, key(pl, want, d), (void *)(uintptr_t)p->nlegs);
	return (uint16_t)(p->nlegs - 1);
}

static int
target_add(struct planner *pl, const struct stored *m, size_t r, struct span address,
    struct leg_plan leg)
{
	struct plan *p = pl->p;
	struct target *t;

	if (p->ntargets == TARGETS_MAX)
		return -1;
	if (p->ntargets == pl->cap_targets) {
		size_t cap = pl->cap_targets ? pl->cap_targets * 2 : m->env.nrecipients;

		p->targets = arena_grow(pl->a, p->targets, p->ntargets * sizeof(*p->targets),
		    cap * sizeof(*p->targets));
		pl->cap_targets = cap;
	}
	t = &p->targets[p->ntargets];
	*t = (struct target){ .rcpt = m->env.recipients[r], .recipient = (uint16_t)r,
		.original = m->env.recipients[r].address, .leg = leg_find(pl, m, &leg) };
	t->rcpt.address = address;
	p->ntargets++;
	return 0;
}

static struct span
site_of(struct span address, struct span hostname)
{
	struct span local, domain;

	return mailaddr_split(address, &local, &domain) ? domain : hostname;
}

static int
plan_recipient(struct planner *pl, const struct stored *m, size_t r, struct span hostname)
{
	const struct msg_decision *d = &m->decisions[r];
	struct span address = m->env.recipients[r].address;
	struct leg_plan leg = { .decision = (uint16_t)r };

	switch (d->outcome) {
	case OUTCOME_DELIVER:
		leg.site = site_of(address, hostname);
		if (m->env.flags & ENVELOPE_TLS_OPTIONAL)
			leg.site = span_str(arena_printf(pl->a, "%c" SPAN_FMT, SITE_LAX,
			    SPAN_ARG(leg.site)));
		leg.require_tls = d->require_tls;
		return target_add(pl, m, r, address, leg);
	case OUTCOME_REDIRECT:
		if (d->nredirect == 0)
			return -1;
		for (size_t i = 0; i < d->nredirect; i++) {
			leg.site = site_of(d->redirect[i], hostname);
			leg.require_tls = d->require_tls;
			if (target_add(pl, m, r, d->redirect[i], leg) == -1)
				return -1;
		}
		return 0;
	case OUTCOME_HOLD:
	case OUTCOME_QUARANTINE:
		leg.kind = LEG_KEEP;
		return target_add(pl, m, r, address, leg);
	case OUTCOME_REJECT:
		leg.kind = LEG_REFUSE;
		return target_add(pl, m, r, address, leg);
	case OUTCOME_DISCARD:
		leg.kind = LEG_DISCARD;
		return target_add(pl, m, r, address, leg);
	default:
		return -1;
	}
}

int
plan_make(struct arena *a, const struct stored *m, struct span hostname, struct plan *p)
{
	struct planner pl = { .a = a, .p = p };
	int r = 0;

	*p = (struct plan){ 0 };
	for (size_t i = 0; i < m->env.nrecipients && r == 0; i++)
		r = plan_recipient(&pl, m, i, hostname);
	table_free(&pl.index);
	return p->ntargets > 0 ? r : -1;
}

struct message *
queued_new(const struct stored *s, const struct plan *p)
{
	static const uint8_t key[16];
	uint8_t share;
	struct message *m = calloc(1, sizeof(*m) + p->nlegs * sizeof(m->legs[0]) + p->ntargets);

	ASSERT(m != NULL);
	share = (uint8_t)siphash(key, s->env.sender.n ? s->env.sender.p : "", s->env.sender.n);
	/* Not the time it was received: a message released after a week is new here. */
	m->since = id_time(s->env.id);
	m->size = s->size;
	m->ntargets = (uint16_t)p->ntargets;
	m->nlegs = (uint16_t)p->nlegs;
	for (size_t i = 0; i < p->nlegs; i++) {
		m->legs[i].index = (uint16_t)i;
		m->legs[i].kind = (uint8_t)p->legs[i].kind;
		m->legs[i].job.share = share;
	}
	return m;
}

void
queued_free(struct message **mp)
{
	free(*mp);
	*mp = NULL;
}

size_t
queued_bytes(const struct message *m)
{
	return sizeof(*m) + m->nlegs * sizeof(m->legs[0]) + m->ntargets;
}

bool
leg_pending(struct message *m, const struct plan *p, const struct leg *l)
{
	const uint8_t *status = message_status(m);

	for (size_t i = 0; i < p->ntargets; i++)
		if (p->targets[i].leg == l->index && status[i] == TARGET_PENDING)
			return true;
	return false;
}

bool
message_done(struct message *m)
{
	const uint8_t *status = message_status(m);

	for (size_t i = 0; i < m->ntargets; i++)
		if (status[i] == TARGET_PENDING)
			return false;
	return true;
}
