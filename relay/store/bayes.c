/* bayes.c -- the classifier in the store; see bayes.h.
 *
 * The scanners send hashes with what a verdict rests on (BASIS); they go into the database with the
 * journal's next batch. A decision finds them there. What was learnt is published within PUBLISH_US as a
 * sealed memfd, which the master hands to the scanners: they never ask, and nobody waits.
 *
 * A decision is learnt after it was carried out and written. A store that dies in between has not learnt
 * it, and never learns it twice; `postern bayes train ham ID` teaches what was missed.
 */
#include <stdlib.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "fs.h"
#include "ipc/messages_bayes.h"
#include "log.h"
#include "store/audit.h"
#include "store/bayes.h"

#define PUBLISH_US (5 * US_PER_SEC)	/* between two models: some MiB each */
#define EXPIRE_US (60 * US_PER_SEC)
#define WAIT_BYTES ((size_t)16 << 20)	/* hashes waiting for the database; more are dropped */

static void
publish(struct store *s)
{
	struct bayes_book *b = s->bayes;
	const struct bayes_head *h = &b->db.table.head;
	struct msg_bayes msg = { b->generation + 1,
		sizeof(*h) + (uint64_t)h->slots * sizeof(struct bayes_slot) };
	struct err err;
	struct buf body;
	int fd = fs_memfd("bayes", &err);

	b->db.table.head.generation = msg.generation;
	if (fd == -1 || fs_write_all(fd, h, sizeof(*h), &err) == -1 ||
	    fs_write_all(fd, b->db.table.slots, msg.size - sizeof(*h), &err) == -1 ||
	    fs_memfd_seal(fd, &err) == -1) {
		log_error("the classifier is not published: %s", err.text);
		if (fd != -1)
			close(fd);
		return;
	}
	buf_init(&body, FRAME_SMALL);
	bayes_encode(&body, &msg);
	if (link_send(s->rt->master, FRAME_BAYES, 0, buf_data(&body), fd) == 0) {
		b->generation = msg.generation;
		b->published = clock_real();
		b->db.changed = false;
	}
	buf_release(&body);
}

void
bayes_begin(struct store *s)
{
	struct bayes_book *b;
	struct err err;

	if (!s->rt->conf->bayes.on)
		return;
	b = calloc(1, sizeof(*b));
	ASSERT(b != NULL);
	buf_init(&b->tokens, WAIT_BYTES);
	if (bayes_db_open(&b->db, s->db, &s->rt->conf->bayes, &err) == -1) {
		/* Mail is judged, kept and journalled without it. */
		log_error("the classifier does not start: %s", err.text);
		free(b);
		return;
	}
	b->generation = (uint64_t)clock_real();	/* rises over restarts */
	s->bayes = b;
	publish(s);
}

void
bayes_end(struct store *s)
{
	struct bayes_book *b = s->bayes;

	if (b == NULL)
		return;
	bayes_db_close(&b->db);
	buf_release(&b->tokens);
	free(b->v);
	free(b);
	s->bayes = NULL;
}

void
bayes_reconfigured(struct runtime *rt)
{
	struct store *s = rt->state;
	struct err err;

	s->ids.slot = runtime_id_slot(rt);
	if (!rt->conf->bayes.on)
		bayes_end(s);
	else if (s->bayes == NULL)
		bayes_begin(s);
	else if (bayes_db_configure(&s->bayes->db, &rt->conf->bayes, &err) == -1)
		log_error("the classifier keeps its old limits: %s", err.text);
}

void
bayes_tick(struct store *s)
{
	struct bayes_book *b = s->bayes;
	int64_t now = clock_mono();
	struct err err;

	if (b == NULL)
		return;
	if (b->db.changed && now >= b->publish_at) {
		b->publish_at = now + PUBLISH_US;
		publish(s);
	}
	if (now < b->expire_at)
		return;
	b->expire_at = now + EXPIRE_US;
	store_settle(s);
	if (bayes_db_expire(&b->db, clock_real(), &err) == -1)
		log_warn("old messages of the classifier: %s", err.text);
}

/* ---- what scanners send ---- */

bool
bayes_take(struct store *s, uint64_t id, struct span tokens)
{
	struct bayes_book *b = s->bayes;

	if (b == NULL || tokens.n == 0)
		return false;
	if (buf_size(&b->tokens) + tokens.n > WAIT_BYTES) {
		b->lost++;
		return false;
	}
	if (b->n == b->room) {
		b->room = b->room ? 2 * b->room : 64;
		b->v = realloc(b->v, b->room * sizeof(*b->v));
		ASSERT(b->v != NULL);
	}
	b->v[b->n++] = (struct bayes_waiting){ id, (uint32_t)buf_size(&b->tokens), (uint32_t)tokens.n };
	buf_span(&b->tokens, tokens);
	return true;
}

bool
bayes_waits(const struct store *s)
{
	return s->bayes && s->bayes->n > 0;
}

int
bayes_write(struct store *s, struct err *err)
{
	struct bayes_book *b = s->bayes;

	for (size_t i = 0; b && i < b->n; i++)
		if (bayes_db_remember(&b->db, (int64_t)b->v[i].id, span_sub(buf_data(&b->tokens),
		    b->v[i].at, b->v[i].n), clock_real(), err) == -1)
			return -1;
	return 0;
}

void
bayes_written(struct store *s)
{
	if (s->bayes == NULL)
		return;
	s->bayes->n = 0;
	buf_reset(&s->bayes->tokens);
}

/* ---- learning ---- */

static int
audit_lessons(struct store *s, const struct bayes_lesson *l, size_t n, struct span who, struct err *err)
{
	char detail[32];

	if (who.n == 0)
		return 0;
	snprintf(detail, sizeof(detail), "%zu message%s", n, n == 1 ? "" : "s");
	return audit_put(s->db, who, l->as == BAYES_NONE ? "bayes.forget" : "bayes.train",
	    span_str(bayes_class_name(l->as)), span_str(detail), clock_real(), err);
}

int
bayes_learn_all(struct store *s, const struct bayes_lesson *l, size_t n, struct span who,
    enum bayes_done *done, struct err *err)
{
	struct bayes_db *b = &s->bayes->db;
	struct err ignored;

	store_flush(s);		/* what was judged a moment ago */
	store_settle(s);
	if (db_begin(s->db, false, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (bayes_db_learn(b, &l[i], clock_real(), &done[i], err) == -1) {
			db_rollback(s->db);
			bayes_db_reload(b, &ignored);
			return -1;
		}
	if (audit_lessons(s, l, n, who, err) == 0 && db_commit(s->db, err) == 0)
		return 0;
	db_rollback(s->db);
	bayes_db_reload(b, &ignored);
	return -1;
}

static struct span
domain_of(struct span address)
{
	size_t at = address.n;

	while (at > 0 && address.p[at - 1] != '@')
		at--;
	return at ? span_from(address, at) : (struct span){ 0 };
}

void
bayes_decided(struct store *s, const struct kept *k, enum bayes_class as, struct span by)
{
	struct bayes_lesson l = { .id = (int64_t)k->id, .as = as, .by = by,
		.source = domain_of(k->env.sender), .limited = true };
	enum bayes_done done = BAYES_STRANGER;
	struct err err;
	int r;

	if (s->bayes == NULL || k->kind != OUTCOME_QUARANTINE || span_is(by, "expiry"))
		return;
	r = bayes_learn_all(s, &l, 1, (struct span){ 0 }, &done, &err);
	if (r == 0 && done == BAYES_STRANGER && k->parent) {	/* kept as a copy with edits of its own */
		l.id = (int64_t)k->parent;
		r = bayes_learn_all(s, &l, 1, (struct span){ 0 }, &done, &err);
	}
	s->bayes->limited += r == 0 && done == BAYES_LIMIT;
	if (r == -1)
		log_msg(LOG_LVL_WARN, k->id, "not learnt: %s", err.text);
	else if (done == BAYES_LIMIT)
		log_msg(LOG_LVL_WARN, k->id, "not learnt as %s: who decides, or who sent it, has had enough "
		    "for today", bayes_class_name(as));
	else if (done != BAYES_STRANGER)
		log_msg(LOG_LVL_INFO, k->id, "%s as %s", bayes_done_name(done), bayes_class_name(as));
}
