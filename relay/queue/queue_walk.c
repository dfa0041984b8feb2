/* queue_walk.c -- commands that look at many messages, a few milliseconds at a time.
 *
 * A walk first gathers the ids there are, then looks at each message that is
 * still there, then says what came of it. Between steps mail has its turn, so
 * that with a million messages no command holds up acceptance by more than a
 * step. What came in after its beginning is not touched. An answer that the
 * client does not read makes the walk wait, not grow.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "queue/queue_acts.h"
#include "queue/queue_groups.h"
#include "queue/queue_show.h"

/* A step works this long, then the others' turn comes. */
#define STEP_US 4000
#define STEP_PAUSE_US 500
#define STEP_MAX 2000			/* messages, where the clock stands still */
#define BACKLOG_MAX ((size_t)1 << 20)	/* of an answer not read yet */

enum phase { GATHER, LOOK, FINISH };

struct walk {
	struct asked k;			/* its own request */
	struct jval *own;
	struct reply *reply;
	char to[300];
	const char *verb;		/* of an act */
	act_fn *fn;
	/* One message that was selected; NULL: it is about sites. */
	void (*each)(struct walk *w, struct message *m);
	/* Says more of the answer; false: all is said. */
	bool (*finish)(struct walk *w);
	enum phase phase;
	uint64_t *ids;			/* all there were at its beginning */
	size_t n, cap, at;
	size_t cursor;			/* of a table, which must not move meanwhile */
	unsigned moves;
	size_t matched, done, limit, shown;
	bool whole, by_sender;
	struct groups *groups;
	struct event *step;
	struct walk *next;
};

/* ---- the engine ---- */

static void
walk_end(struct walk *w, const char *error)
{
	struct queue *q = w->k.q;
	struct json j;

	for (struct walk **p = &q->walks; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	/* What is said to be done outlives a crash. */
	if (w->done > 0 && spool_dirty(q->sp))
		queue_sync(q);
	if (w->done > 0)
		asked_journal(&w->k, w->verb, w->k.sel.id, selector_text(w->k.req), w->done);
	if (w->fn || error) {
		json_begin(&j, w->k.out);
		json_object(&j);
		json_kint(&j, "v", 1);
		if (error)
			json_kcstr(&j, "error", error);
		if (w->fn) {
			json_kcstr(&j, "act", w->verb);
			json_kuint(&j, "matched", w->matched);
			json_kuint(&j, "done", w->done);
			json_kbool(&j, "durable", w->done == 0 || !spool_dirty(q->sp));
		}
		json_end_object(&j);
		buf_putc(w->k.out, '\n');
	}
	reply_end(&w->reply);
	if (w->step)
		event_free(w->step);
	jval_free(&w->own);
	arena_free(&w->k.look.a);
	groups_free(&w->groups);
	free(w->ids);
	free(w);
}

void
queue_walks_end(struct queue *q)
{
	while (q->walks)
		walk_end(q->walks, "the queue is stopping: not all were reached");
}

/* Some ids more. Should the table have moved, all of them anew. */
static void
gather(struct walk *w)
{
	struct spool *sp = w->k.q->sp;
	uint64_t id;

	if (w->moves != spool_moves(sp)) {
		w->moves = spool_moves(sp);
		w->cursor = w->n = 0;
	}
	for (int i = 0; i < 4096; i++) {
		if (!spool_next_id(sp, &w->cursor, &id)) {
			w->phase = LOOK;
			return;
		}
		if (w->n == w->cap) {
			w->cap = w->cap ? w->cap * 2 : 1024;
			w->ids = realloc(w->ids, w->cap * sizeof(*w->ids));
			ASSERT(w->ids != NULL);
		}
		w->ids[w->n++] = id;
	}
}

/* The next message that is selected, if it comes soon. */
static void
look_at_one(struct walk *w)
{
	struct queue *q = w->k.q;
	struct message *m;

	if (w->at == w->n) {
		w->phase = FINISH;
		return;
	}
	m = queue_find(q, w->ids[w->at++]);
	if (m == NULL || !selector_message(q, &w->k.sel, m, &w->k.look))
		return;
	w->matched++;
	w->each(w, m);
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, STEP_PAUSE_US };
	struct walk *w = arg;
	struct queue *q = w->k.q;
	int64_t until = clock_mono() + STEP_US;

	for (int i = 0; i < STEP_MAX && clock_mono() < until; i++) {
		if (buf_size(w->k.out) > BACKLOG_MAX)
			break;
		if (w->phase == GATHER)
			gather(w);
		else if (w->phase == LOOK)
			look_at_one(w);
		else if (!w->finish || !w->finish(w)) {
			queue_turn(q);
			walk_end(w, NULL);
			return;
		}
	}
	if (w->k.sync_soon && spool_dirty(q->sp))
		queue_sync(q);
	w->k.sync_soon = false;
	queue_turn(q);
	reply_send(w->reply);
	evtimer_add(w->step, &soon);
}

/* The request and the answer go with it. NULL: it said what is wrong. */
static struct walk *
walk_new(struct asked *k)
{
	struct walk *w = calloc(1, sizeof(*w));

	ASSERT(w != NULL);
	w->k = *k;
	w->own = *k->owned;
	*k->owned = NULL;
	w->reply = *k->reply;
	*k->reply = NULL;
	w->k.to = span_make(w->to, k->to.n < sizeof(w->to) ? k->to.n : 0);
	if (w->k.to.n)
		memcpy(w->to, k->to.p, w->k.to.n);
	w->k.look.a = arena_new(0);
	w->moves = spool_moves(k->q->sp);
	w->step = evtimer_new(k->q->rt->base, on_step, w);
	ASSERT(w->step != NULL);
	w->next = k->q->walks;
	k->q->walks = w;
	return w;
}

static void
walk_begin(struct walk *w)
{
	if (w->k.sel.id) {		/* no need to look far */
		w->ids = malloc(sizeof(*w->ids));
		ASSERT(w->ids != NULL);
		w->ids[w->n++] = w->k.sel.id;
		w->phase = LOOK;
	}
	on_step(-1, 0, w);
}

static bool
selected(struct asked *k)
{
	struct err err;

	if (selector_parse(k->req, &k->sel, &err) == 0)
		return true;
	asked_error(k, err.text);
	return false;
}

/* ---- acts ---- */

/* Each message's own trace says who did it; that it is tried sooner changes nothing of it. */
static void
act_each(struct walk *w, struct message *m)
{
	uint64_t id = m->item.id;

	/* What another node may have by now is nobody's to change here. */
	if ((m->flags & STATE_OFFERED) || jval_bool(w->k.req, "count") || !w->fn(&w->k, m))
		return;
	w->done++;
	if (!w->k.sel.id && w->fn != act_retry && w->fn != act_drain)
		asked_event(&w->k, w->verb, id, selector_text(w->k.req));
}

void
walk_act(struct asked *k, const char *verb, act_fn *fn)
{
	struct walk *w;

	if (!selected(k))
		return;
	w = walk_new(k);
	w->verb = verb;
	w->fn = fn;
	w->each = act_each;
	walk_begin(w);
}

/* ---- messages shown ---- */

static void
show_each(struct walk *w, struct message *m)
{
	struct json j;

	if (w->shown == w->limit)
		return;			/* counted as matched */
	json_begin(&j, w->k.out);
	queue_show_message(&j, w->k.q, m, w->whole);
	buf_putc(w->k.out, '\n');
	w->shown++;
}

static bool
show_finish(struct walk *w)
{
	struct json j;

	if (w->shown == 0 && w->whole)
		asked_error(&w->k, "no such message in the queue");
	if (w->shown < w->matched) {
		json_begin(&j, w->k.out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kuint(&j, "more", w->matched - w->shown);
		json_end_object(&j);
		buf_putc(w->k.out, '\n');
	}
	return false;
}

void
walk_show(struct asked *k, size_t limit, bool whole)
{
	struct walk *w;

	k->sel = (struct selector){ .all = true };
	if (whole && !selected(k))
		return;
	w = walk_new(k);
	w->limit = limit;
	w->whole = whole;
	w->each = show_each;
	w->finish = show_finish;
	walk_begin(w);
}

/* ---- put together by a text ---- */

static void
group_each(struct walk *w, struct message *m)
{
	struct queue *q = w->k.q;
	struct stored s;

	/* The envelope alone: where it goes does not matter here. */
	if (!w->by_sender)
		groups_add(w->groups, queue_reason(q, m, w->k.look.a), m->size, m->since);
	else if (spool_read(q->sp, &m->item, w->k.look.a, &s, NULL) == 0)
		groups_add(w->groups, s.env.sender, m->size, m->since);
}

static bool
group_finish(struct walk *w)
{
	return groups_say(w->groups, w->k.out, w->by_sender ? "sender" : "reason");
}

void
walk_groups(struct asked *k, size_t limit, bool by_sender)
{
	struct walk *w;

	k->sel = (struct selector){ .all = true };
	if (jval_has(k->req, "selector") && !selected(k))
		return;
	w = walk_new(k);
	w->by_sender = by_sender;
	w->groups = groups_new(limit, !by_sender);
	w->each = group_each;
	w->finish = group_finish;
	walk_begin(w);
}

/* ---- sites ---- */

/* Those with most messages; from the beginning again when the table has moved. */
static bool
sites_finish(struct walk *w)
{
	struct schedule *s = w->k.q->out;
	struct site_info info;

	if (w->matched == 0) {
		if (w->moves != schedule_moves(s)) {
			w->moves = schedule_moves(s);
			w->cursor = 0;
			groups_reset(w->groups);
		}
		for (int i = 0; i < 256; i++) {
			if (!schedule_each_site(s, &w->cursor, &info)) {
				w->matched = 1;
				return true;
			}
			groups_offer(w->groups, info.name, info.waiting + info.ready + info.out);
		}
		return true;
	}
	return groups_say_sites(w->groups, w->k.out, s);
}

void
walk_sites(struct asked *k, size_t limit)
{
	struct walk *w = walk_new(k);

	w->groups = groups_new(limit, false);
	w->moves = schedule_moves(k->q->out);
	w->finish = sites_finish;
	w->phase = FINISH;
	on_step(-1, 0, w);
}
