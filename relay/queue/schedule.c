/* schedule.c -- senders in turn, their sites in turn, jobs in order; see schedule.h.
 *
 * Ready jobs of one sender for one site are a lane. A lane stands in the ring
 * of its share, or, when its turn came and its site could not be given anything
 * (eligible()), is parked at the site; site_settle() puts the parked ones back
 * once that has changed. So a lane is looked at in vain once for each time its
 * site stops being eligible, not once a turn. site_settle() stands at the end of
 * each change of what eligible() depends on, and frees a site that nothing needs
 * any more.
 */
#include <stdlib.h>

#include "postern/err.h"
#include "queue/schedule.h"
#include "table.h"

#define WINDOW_START 5
#define INDEX_FROM 8		/* lanes of one site, beyond which they are found by number */
#define ADVANCE_MAX 10000		/* jobs that become ready at once: all may be due */
#define REST_MAX (INT64_C(1800) * 1000000)

/* Ready jobs of one share for one site. In a ring, or parked, while it has any; one that has
 * been emptied by a removal leaves when its turn comes. */
struct lane {
	struct wheel_list line;
	struct wheel_node turn;		/* in share.lanes or site.parked */
	struct site *site;
	struct lane *next;		/* of the same site */
	uint8_t share;
};

struct site {
	struct wheel_node rest;		/* while it rests: in schedule.resting */
	struct wheel_list parked;
	struct wheel_node pause;	/* while paused: in schedule.paused */
	struct lane one;		/* the first; most sites need no other */
	struct lane *lanes;		/* NULL: none yet */
	struct lane **index;		/* by share, once there are many */
	uint32_t nlanes;
	size_t waiting, ready, out;
	uint32_t window;
	unsigned failures;
	enum fail_class last;
	bool resting, paused;
	uint32_t n;
	char name[];
};

struct share {
	struct wheel_list lanes;
	struct wheel_node turn;		/* in schedule.turns while it has lanes */
};

struct schedule {
	struct schedule_conf conf;
	int64_t now;
	struct wheel jobs, resting;
	struct share shares[SCHEDULE_SHARES];
	struct wheel_list turns;
	struct wheel_list paused;
	size_t npaused;
	struct table *sites;
	uint32_t out;
};

#define CONTAINER(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

struct schedule *
schedule_new(const struct schedule_conf *conf, int64_t now)
{
	struct schedule *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	schedule_configure(s, conf);
	s->now = now;
	wheel_init(&s->jobs, now);
	wheel_init(&s->resting, now);
	wheel_list_init(&s->turns);
	wheel_list_init(&s->paused);
	for (size_t i = 0; i < SCHEDULE_SHARES; i++)
		wheel_list_init(&s->shares[i].lanes);
	s->sites = table_new();
	return s;
}

void
schedule_configure(struct schedule *s, const struct schedule_conf *conf)
{
	ASSERT(conf->retry[RETRY_DEFAULT].n > 0 && conf->window > 0 && conf->total > 0);
	s->conf = *conf;
}

static void
site_free(struct site *t)
{
	for (struct lane *l = t->lanes, *next; l != NULL; l = next) {
		next = l->next;
		wheel_node_unlink(&l->turn);
		if (l != &t->one)
			free(l);
	}
	free(t->index);
	free(t);
}

void
schedule_free(struct schedule **sp)
{
	struct schedule *s = *sp;
	struct span name;
	void *site;
	size_t at = 0;

	if (s == NULL)
		return;
	while (table_next(s->sites, &at, &name, &site))
		site_free(site);
	table_free(&s->sites);
	free(s);
	*sp = NULL;
}

/* ---- sites ---- */

static struct site *
site_get(struct schedule *s, struct span name)
{
	struct site *t = table_get(s->sites, name);

	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t) + name.n + 1);
	ASSERT(t != NULL);
	if (name.n)
		memcpy(t->name, name.p, name.n);
	t->n = (uint32_t)name.n;
	wheel_list_init(&t->parked);
	t->window = s->conf.window < WINDOW_START ? s->conf.window : WINDOW_START;
	table_put(s->sites, span_make(t->name, t->n), t);
	return t;
}

static bool
eligible(const struct site *t)
{
	return t->ready > 0 && !t->paused && !t->resting && t->out < t->window;
}

static void
lane_enter(struct schedule *s, struct lane *l, bool first)
{
	struct share *h = &s->shares[l->share];

	if (first)
		wheel_list_push_front(&h->lanes, &l->turn);
	else
		wheel_list_push(&h->lanes, &l->turn);
	if (first)
		wheel_node_unlink(&h->turn);
	if (h->turn.next != NULL)
		return;
	if (first)
		wheel_list_push_front(&s->turns, &h->turn);
	else
		wheel_list_push(&s->turns, &h->turn);
}

static void
site_settle(struct schedule *s, struct site *t)
{
	struct wheel_node *n;

	if (eligible(t))
		while ((n = wheel_list_pop(&t->parked)) != NULL)
			lane_enter(s, CONTAINER(n, struct lane, turn), false);
	if (t->waiting + t->ready + t->out == 0 && !t->paused && !t->resting) {
		table_remove(s->sites, span_make(t->name, t->n));
		site_free(t);
	}
}

static void
site_rest(struct schedule *s, struct site *t, enum fail_class cls)
{
	int64_t d;

	t->failures++;
	t->last = cls;
	t->window = 1;
	d = retry_pause(s->conf.retry, retry_of_site(cls), t->failures);
	if (d > REST_MAX)
		d = REST_MAX;
	if (s->conf.jitter)
		d += s->conf.jitter(s->conf.ctx, d / 10);
	t->resting = true;
	wheel_add(&s->resting, &t->rest, s->now + d);
}

static void
site_heard(struct schedule *s, struct site *t, enum fail_class cls)
{
	switch (cls) {
	case FAIL_DNS:
	case FAIL_CONNECT:
	case FAIL_TLS:
	case FAIL_GREETING:
		/* All that were out when it went down fail together: that is one failure. */
		if (!t->resting)
			site_rest(s, t, cls);
		break;
	case FAIL_SITE:
		if (t->window > 1)
			t->window /= 2;
		else if (!t->resting)
			site_rest(s, t, cls);
		break;
	case FAIL_LOCAL:
		break;
	default:
		t->failures = 0;
		t->last = FAIL_NONE;
		if (t->window < s->conf.window)
			t->window++;
		if (t->resting) {
			wheel_remove(&s->resting, &t->rest);
			t->resting = false;
		}
	}
	if (t->window > s->conf.window)
		t->window = s->conf.window;
}

/* ---- jobs ---- */

static struct lane *
lane_find(const struct site *t, uint8_t share)
{
	struct lane *l;

	if (t->index != NULL)
		return t->index[share];
	for (l = t->lanes; l != NULL && l->share != share; l = l->next)
		;
	return l;
}

static struct lane *
lane_get(struct site *t, uint8_t share)
{
	struct lane *l = lane_find(t, share);

	if (l != NULL)
		return l;
	l = t->nlanes == 0 ? &t->one : calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	wheel_list_init(&l->line);
	l->site = t;
	l->share = share;
	l->next = t->lanes;
	t->lanes = l;
	if (++t->nlanes == INDEX_FROM) {
		t->index = calloc(SCHEDULE_SHARES, sizeof(struct lane *));
		ASSERT(t->index != NULL);
		for (struct lane *x = t->lanes; x != NULL; x = x->next)
			t->index[x->share] = x;
	} else if (t->index != NULL)
		t->index[share] = l;
	return l;
}

static void
lane_push(struct schedule *s, struct site *t, struct job *j, bool first)
{
	struct lane *l = lane_get(t, j->share % SCHEDULE_SHARES);

	if (first) {
		wheel_list_push_front(&l->line, &j->node);
		wheel_node_unlink(&l->turn);
	} else
		wheel_list_push(&l->line, &j->node);
	if (l->turn.next == NULL)
		lane_enter(s, l, first);
}

/* The lane whose turn it is and that has something to give; NULL: none. */
static struct lane *
lane_next(struct schedule *s)
{
	struct wheel_node *n, *m;

	while ((n = wheel_list_pop(&s->turns)) != NULL) {
		struct share *h = CONTAINER(n, struct share, turn);
		struct lane *l;

		if ((m = wheel_list_pop(&h->lanes)) == NULL)
			continue;
		if (!wheel_list_empty(&h->lanes))
			wheel_list_push(&s->turns, &h->turn);
		l = CONTAINER(m, struct lane, turn);
		if (wheel_list_empty(&l->line))
			continue;
		if (eligible(l->site))
			return l;
		wheel_list_push(&l->site->parked, &l->turn);
	}
	return NULL;
}

static void
job_ready(struct schedule *s, struct job *j, bool first)
{
	struct site *t = j->site;

	j->state = JOB_READY;
	lane_push(s, t, j, first);
	t->ready++;
	site_settle(s, t);
}

void
schedule_add(struct schedule *s, struct job *j, struct span site, int64_t when)
{
	ASSERT(j->state == JOB_IDLE);
	j->site = site_get(s, site);
	if (when <= s->now) {
		j->node.when = when;
		job_ready(s, j, false);
		return;
	}
	j->state = JOB_WAITING;
	j->site->waiting++;
	wheel_add(&s->jobs, &j->node, when);
}

static void
job_idle(struct schedule *s, struct job *j)
{
	struct site *t = j->site;

	j->state = JOB_IDLE;
	j->site = NULL;
	site_settle(s, t);
}

void
schedule_remove(struct schedule *s, struct job *j)
{
	switch (j->state) {
	case JOB_IDLE:
		return;
	case JOB_WAITING:
		wheel_remove(&s->jobs, &j->node);
		j->site->waiting--;
		break;
	case JOB_READY:
		wheel_node_unlink(&j->node);
		j->site->ready--;
		break;
	default:
		ASSERT(!"a job that is out");
	}
	job_idle(s, j);
}

void
schedule_move(struct schedule *s, struct job *j, int64_t when)
{
	struct site *t = j->site;

	ASSERT(j->state == JOB_WAITING || j->state == JOB_READY);
	if (j->state == JOB_WAITING) {
		wheel_remove(&s->jobs, &j->node);
		t->waiting--;
	} else {
		wheel_node_unlink(&j->node);
		t->ready--;
	}
	if (when <= s->now) {
		j->node.when = when;
		job_ready(s, j, false);
		return;
	}
	j->state = JOB_WAITING;
	t->waiting++;
	wheel_add(&s->jobs, &j->node, when);
	site_settle(s, t);
}

void
schedule_hurry(struct schedule *s, struct job *j)
{
	if (j->state != JOB_WAITING)
		return;
	wheel_remove(&s->jobs, &j->node);
	j->site->waiting--;
	job_ready(s, j, false);
}

void
schedule_advance(struct schedule *s, int64_t now)
{
	struct wheel_node *n;

	if (now > s->now)
		s->now = now;
	(void)wheel_advance_some(&s->jobs, s->now, ADVANCE_MAX);
	for (int i = 0; i < ADVANCE_MAX && (n = wheel_pop(&s->jobs)) != NULL; i++) {
		struct job *j = CONTAINER(n, struct job, node);

		j->site->waiting--;
		job_ready(s, j, false);
	}
	wheel_advance(&s->resting, s->now);
	while ((n = wheel_pop(&s->resting)) != NULL) {
		struct site *t = CONTAINER(n, struct site, rest);

		t->resting = false;
		site_settle(s, t);
	}
}

struct job *
schedule_take(struct schedule *s)
{
	struct wheel_node *n;
	struct lane *l;
	struct job *j;

	if (s->out >= s->conf.total || (l = lane_next(s)) == NULL)
		return NULL;
	n = wheel_list_pop(&l->line);
	if (!wheel_list_empty(&l->line))
		lane_enter(s, l, false);
	j = CONTAINER(n, struct job, node);
	j->state = JOB_OUT;
	l->site->ready--;
	l->site->out++;
	s->out++;
	return j;
}

static void
job_back(struct schedule *s, struct job *j)
{
	ASSERT(j->state == JOB_OUT && s->out > 0 && j->site->out > 0);
	s->out--;
	j->site->out--;
}

void
schedule_done(struct schedule *s, struct job *j, enum fail_class cls)
{
	job_back(s, j);
	site_heard(s, j->site, cls);
	job_idle(s, j);
}

void
schedule_return(struct schedule *s, struct job *j)
{
	job_back(s, j);
	job_ready(s, j, true);
}

void
schedule_postpone(struct schedule *s, struct job *j, int64_t when)
{
	job_back(s, j);
	j->state = JOB_WAITING;
	j->site->waiting++;
	wheel_add(&s->jobs, &j->node, when);
	site_settle(s, j->site);
}

int64_t
schedule_retry_at(struct schedule *s, enum retry_class c, unsigned failed)
{
	int64_t d = retry_pause(s->conf.retry, c, failed);

	if (s->conf.jitter)
		d += s->conf.jitter(s->conf.ctx, d / 10);
	return s->now + d;
}

int64_t
schedule_next(const struct schedule *s)
{
	int64_t a = wheel_next(&s->jobs), b = wheel_next(&s->resting);

	return a < b ? a : b;
}

uint32_t
schedule_out(const struct schedule *s)
{
	return s->out;
}

/* ---- for people ---- */

void
schedule_pause(struct schedule *s, struct span name, bool paused)
{
	struct site *t = paused ? site_get(s, name) : table_get(s->sites, name);

	if (t == NULL || t->paused == paused)
		return;
	t->paused = paused;
	if (paused)
		wheel_list_push(&s->paused, &t->pause), s->npaused++;
	else
		wheel_node_unlink(&t->pause), s->npaused--;
	site_settle(s, t);
}

bool
schedule_wake_site(struct schedule *s, struct span name)
{
	struct site *t = table_get(s->sites, name);

	if (t == NULL)
		return false;
	if (t->resting) {
		wheel_remove(&s->resting, &t->rest);
		t->resting = false;
	}
	site_settle(s, t);
	return true;
}

struct span
schedule_job_site(const struct job *j)
{
	return j->site ? span_make(j->site->name, j->site->n) : (struct span){ 0 };
}

static void
info_of(const struct site *t, struct site_info *info)
{
	*info = (struct site_info){ .name = span_make(t->name, t->n), .waiting = t->waiting,
		.ready = t->ready, .out = t->out, .window = t->window, .failures = t->failures,
		.last = t->last, .rests_until = t->resting ? t->rest.when : 0,
		.paused = t->paused };
}

void
schedule_job_info(const struct job *j, struct site_info *info)
{
	if (j->site)
		info_of(j->site, info);
	else
		*info = (struct site_info){ 0 };
}

bool
schedule_site(const struct schedule *s, struct span name, struct site_info *info)
{
	const struct site *t = table_get(s->sites, name);

	if (t != NULL)
		info_of(t, info);
	return t != NULL;
}

size_t
schedule_sites(const struct schedule *s)
{
	return table_count(s->sites);
}

bool
schedule_each_site(const struct schedule *s, size_t *at, struct site_info *info)
{
	struct span name;
	void *t;

	if (!table_next(s->sites, at, &name, &t))
		return false;
	info_of(t, info);
	return true;
}

unsigned
schedule_moves(const struct schedule *s)
{
	return table_moves(s->sites);
}

bool
schedule_each_paused(const struct schedule *s, const void **at, struct span *name)
{
	const struct wheel_node *n = *at ? ((const struct wheel_node *)*at)->next :
	    s->paused.head.next;
	const struct site *t;

	if (n == &s->paused.head)
		return false;
	t = (const struct site *)((const char *)n - offsetof(struct site, pause));
	*name = span_make(t->name, t->n);
	*at = n;
	return true;
}

size_t
schedule_paused(const struct schedule *s)
{
	return s->npaused;
}
