/* queue_handover.c -- messages go to another node, each once, whoever dies in between (`postern drain --to`).
 *
 * The tool carries them (cli/cmd_drain.c): it asks for an offer, copies the messages offered out of the spool, has the
 * other node import them, and says which it has.
 *
 *	{"cmd":"queue.offer","to":NAME,"limit":N}	{"v":1,"to":NAME,"offered":[ID…],"left":N}
 *	{"cmd":"queue.handed","to":NAME,"ids":[ID…],"as":[ID…]}	{"v":1,"handed":N}
 *	{"cmd":"queue.keep","to":NAME}	{"v":1,"kept":N}: they are delivered here after all
 *
 * An offered message is at rest: nothing tries it, no operator touches it, it does not expire. That it is offered, and to whom, is
 * durable before the tool hears of it. From then on the other node may have it, so only that node can say whether it has:
 * a drain that was cut off is begun again with the same name, the other node takes nothing twice (it lists what it
 * has taken), and what it names ends here. Offers are made to one node at a time.
 *
 * Offered are messages of which nothing is out or being settled; the others are left for the next time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "queue/queue_acts.h"

#define OFFER_MAX 2000		/* of one request: each is read once, and gets a STATE */
#define LOOK_MAX 200000		/* items looked at for one request */
#define NAME_FILE "handover"	/* in the spool: to whom; there while something is offered */

void
handover_found(struct queue *q, uint64_t id)
{
	if (q->handover.n == q->handover.cap) {
		q->handover.cap = q->handover.cap ? q->handover.cap * 2 : 256;
		q->handover.ids = realloc(q->handover.ids, q->handover.cap * sizeof(*q->handover.ids));
		ASSERT(q->handover.ids != NULL);
	}
	q->handover.ids[q->handover.n++] = id;
}

static int
spool_dir(const struct queue *q, struct err *err)
{
	return fs_open(q->rt->conf->spool, O_RDONLY | O_DIRECTORY, 0, err);
}

int
handover_open(struct queue *q, struct err *err)
{
	struct arena *a = arena_new(0);
	struct span text = { 0 };
	int fd, dir, r = 0;

	if (q->handover.n == 0)
		goto out;
	if ((dir = spool_dir(q, err)) == -1) {
		r = -1;
		goto out;
	}
	fd = openat(dir, NAME_FILE, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || fs_read_fd(a, fd, sizeof(q->handover.to) - 1, &text, err) == -1)
		log_warn("%zu messages were offered to another node, and the spool does not say to which: "
		    "`postern drain --to` it, or `postern drain off`", q->handover.n);
	snprintf(q->handover.to, sizeof(q->handover.to), SPAN_FMT, SPAN_ARG(text));
	if (text.n)
		log_warn("%zu messages were offered to %s and rest here until it has said which it has: "
		    "`postern drain --to %s`", q->handover.n, q->handover.to, q->handover.to);
	if (fd != -1)
		close(fd);
	close(dir);
out:
	arena_free(&a);
	return r;
}

/* Durable before anything is offered. */
static int
name_store(struct queue *q, const char *to, struct err *err)
{
	int dir = spool_dir(q, err), fd, r = -1;

	if (dir == -1)
		return -1;
	fd = fs_openat(dir, NAME_FILE ".tmp", O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (fd != -1) {
		r = fs_write_all(fd, to, strlen(to), err);
		if (r == 0)
			r = fs_fsync(fd, err);
		close(fd);
	}
	if (r == 0 && (r = fs_renameat(dir, NAME_FILE ".tmp", NAME_FILE, err)) == 0)
		r = fs_fsync(dir, err);
	close(dir);
	if (r == 0)
		snprintf(q->handover.to, sizeof(q->handover.to), "%s", to);
	return r;
}

static void
name_forget(struct queue *q)
{
	struct err err;
	int dir = spool_dir(q, &err);

	q->handover.to[0] = '\0';
	if (dir == -1)
		return;
	(void)unlinkat(dir, NAME_FILE, 0);
	close(dir);
}

/* Those that are still here. */
static void
tidy(struct queue *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->handover.n; i++) {
		struct message *m = queue_find(q, q->handover.ids[i]);

		if (m && m->item.state == ITEM_LIVE && (m->flags & STATE_OFFERED))
			q->handover.ids[n++] = q->handover.ids[i];
	}
	q->handover.n = n;
	if (n == 0 && q->handover.to[0])
		name_forget(q);
}

static bool
at_rest(const struct message *m)
{
	for (size_t i = 0; i < m->nlegs; i++)
		if (m->legs[i].job.state == JOB_OUT || m->legs[i].settling)
			return false;
	return m->item.state == ITEM_LIVE && m->nlegs > 0;
}

static bool
offer(struct queue *q, struct message *m)
{
	struct stored s;
	struct plan p;
	struct err err;

	if ((m->flags & STATE_OFFERED) || !at_rest(m) || message_done(m))
		return false;
	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1) {
		log_msg(LOG_LVL_ERROR, m->item.id, "cannot be offered to another node: %s", err.text);
		return false;
	}
	for (size_t i = 0; i < m->nlegs; i++) {
		int64_t next = m->legs[i].job.node.when;

		queue_unschedule(q, &m->legs[i]);
		m->legs[i].job.node.when = next;
	}
	queue_flags(q, m, m->flags | STATE_OFFERED);
	queue_remember(q, m, &m->legs[0], &p, NULL, 0);
	queue_live(q, m);
	handover_found(q, m->item.id);
	return true;
}

static bool
name_of(struct asked *k, char to[static 128])
{
	struct span name = jval_text(k->req, "to");

	if (name.n == 0 || name.n > 100) {
		asked_error(k, "to which node?");
		return false;
	}
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] > '~') {
			asked_error(k, "this is no node's name");
			return false;
		}
	snprintf(to, 128, SPAN_FMT, SPAN_ARG(name));
	return true;
}

static bool
is_theirs(struct asked *k, const char *to)
{
	struct queue *q = k->q;
	char why[400];

	tidy(q);
	if (q->handover.n == 0 || q->handover.to[0] == '\0' || strcmp(q->handover.to, to) == 0)
		return true;
	snprintf(why, sizeof(why), "%zu messages were offered to %s, which has not said whether it has them: `postern "
	    "drain --to %s` first", q->handover.n, q->handover.to, q->handover.to);
	asked_error(k, why);
	return false;
}

void
handover_offer(struct asked *k)
{
	struct queue *q = k->q;
	int64_t limit = jval_int(k->req, "limit", OFFER_MAX);
	struct spool_stats st;
	struct spool_item *it;
	struct err err;
	struct json j;
	char to[128], id[ID_SIZE];
	size_t looked = 0;

	if (!name_of(k, to) || !is_theirs(k, to))
		return;
	if ((q->handover.to[0] == '\0' || q->handover.n == 0) && name_store(q, to, &err) == -1) {
		asked_error(k, err.text);
		return;
	}
	if (limit < 1 || limit > OFFER_MAX)
		limit = OFFER_MAX;
	if (q->handover.moves != spool_moves(q->sp)) {
		q->handover.moves = spool_moves(q->sp);
		q->handover.at = 0;
	}
	while (q->handover.n < (size_t)limit && looked++ < LOOK_MAX) {
		if ((it = spool_next(q->sp, &q->handover.at)) == NULL) {
			q->handover.at = 0;
			break;
		}
		offer(q, message_of_item(it));
	}
	queue_sync(q);
	if (spool_dirty(q->sp)) {
		asked_error(k, "the spool cannot be written: nothing is handed over");
		return;
	}
	spool_stats(q->sp, &st);
	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "to", to);
	json_key(&j, "offered");
	json_array(&j);
	for (size_t i = 0; i < q->handover.n; i++)
		json_cstr(&j, id_format(q->handover.ids[i], id));
	json_end_array(&j);
	json_kuint(&j, "left", st.messages - q->handover.n - queue_events_held(q));
	json_end_object(&j);
	buf_putc(k->out, '\n');
}

/* The other node has them, durably: they end here. */
void
handover_done(struct asked *k)
{
	const struct jval *ids = jval_get(k->req, "ids"), *as = jval_get(k->req, "as");
	struct queue *q = k->q;
	char to[128], what[200];
	struct json j;
	size_t n = 0;

	if (!name_of(k, to) || !is_theirs(k, to))
		return;
	for (size_t i = 0; i < jval_count(ids); i++) {
		struct span now = jval_str(jval_at(as, i));
		struct message *m;
		uint64_t id;

		if (!id_parse(jval_str(jval_at(ids, i)), &id) || (m = queue_find(q, id)) == NULL ||
		    m->item.state != ITEM_LIVE || !(m->flags & STATE_OFFERED))
			continue;
		snprintf(what, sizeof(what), "%s%s" SPAN_FMT, to, now.n ? " as " : "", SPAN_ARG(span_sub(now, 0, 20)));
		log_msg(LOG_LVL_INFO, id, "handed over to %s", what);
		asked_event(k, "handed over to", id, span_str(what));
		queue_finish(q, m);
		n++;
	}
	queue_sync(q);
	tidy(q);
	if (n)
		asked_journal(k, "hand over", 0, span_str(to), n);
	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kuint(&j, "handed", n);
	json_end_object(&j);
	buf_putc(k->out, '\n');
}

/* The operator's word that the other node does not have them and never will. */
void
handover_keep(struct asked *k)
{
	struct queue *q = k->q;
	struct stored s;
	struct plan p;
	struct err err;
	struct json j;
	size_t n = 0;

	tidy(q);
	for (size_t i = 0; i < q->handover.n; i++) {
		struct message *m = queue_find(q, q->handover.ids[i]);

		arena_reset(q->work);
		if (queue_plan(q, m, q->work, &s, &p, &err) == -1) {
			log_msg(LOG_LVL_ERROR, m->item.id, "cannot be taken back: %s", err.text);
			continue;
		}
		queue_flags(q, m, m->flags & (uint8_t)~STATE_OFFERED);
		queue_remember(q, m, &m->legs[0], &p, NULL, 0);
		queue_schedule_all(q, m, &p);
		n++;
	}
	queue_sync(q);
	tidy(q);
	if (n)
		asked_journal(k, "keep", 0, SPAN_LIT("what was offered to another node"), n);
	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kuint(&j, "kept", n);
	json_end_object(&j);
	buf_putc(k->out, '\n');
}
