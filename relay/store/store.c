/* store.c -- the journal and the kept messages: the role `store`.
 *
 * Events are gathered and committed together, BATCH_US after the first of
 * them at the latest; then the queue learns how far it may forget them. A KEEP
 * is answered only after a commit that the disk has confirmed, for with the
 * answer the queue drops its own copy. SQLite blocks this process, nobody
 * else: whoever sends here only fills a socket.
 *
 * When the database fails, events wait in memory up to BATCH_BYTES; beyond
 * that they are dropped and counted. The queue keeps its own until they are
 * acknowledged and sends them again over a new channel, so after such a gap
 * the store leaves as soon as the database is back, to be started anew.
 *
 * The file is long because all frames arrive in one place, and what they come to is committed together.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "log.h"
#include "store/apart.h"
#include "store/approval_db.h"
#include "store/audit.h"
#include "store/bayes.h"
#include "store/export.h"
#include "store/keyring.h"
#include "store/people.h"
#include "store/policy_rules.h"
#include "store/search.h"
#include "store/digest.h"
#include "store/incident_db.h"
#include "store/look.h"
#include "store/reputation_db.h"
#include "store/share.h"
#include "store/store.h"
#include "store/tlsrpt.h"
#include "store/undo.h"

#define TICK_US US_PER_SEC
#define LEAVE_US US_PER_SEC	/* for the last frames of those who ended before us */
#define SETTLE_US (5 * US_PER_SEC)

static struct timeval
after(int64_t us)
{
	return (struct timeval){ .tv_sec = us / US_PER_SEC, .tv_usec = us % US_PER_SEC };
}

static void
arm(struct event *ev, int64_t us)
{
	struct timeval tv = after(us);

	if (!evtimer_pending(ev, NULL))
		evtimer_add(ev, &tv);
}

/* ---- kept messages ---- */

static void
say_kept(struct link *l, uint64_t ticket, bool ok, const char *text)
{
	struct msg_kept m = { ok, span_str(text) };
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	kept_encode(&b, &m);
	link_send(l, FRAME_KEPT, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
answer_keeps(struct store *s, bool ok, const char *text)
{
	for (size_t i = 0; i < s->keeps.n; i++)
		if (s->keeps.wait[i].link)
			say_kept(s->keeps.wait[i].link, s->keeps.wait[i].ticket, ok, text);
	s->keeps.n = 0;
}

void
store_settle(struct store *s)
{
	struct err err;

	if (s->keeps.n == 0)
		return;
	if (db_commit(s->db, &err) == -1) {
		log_error("keeping %zu messages: %s", s->keeps.n, err.text);
		answer_keeps(s, false, err.text);
	} else {
		answer_keeps(s, true, "");
		share_wake(s);
	}
}

static void
on_keep_commit(evutil_socket_t fd, short what, void *arg)
{
	store_settle(arg);
}

/* The bytes of a KEEP, from the frame's own descriptor or a segment announced before. */
static int
read_content(struct store_peer *p, const struct frame *f, const struct spool_ref *ref, char **out,
    struct err *err)
{
	int fd = f->fd;
	char *to;
	size_t n = 0;

	if (ref->segment)
		fd = (int)(intptr_t)idtable_get(p->segments, ref->segment) - 1;
	if (fd == -1)
		return err_set(err, ENOENT, "segment %u was not announced", ref->segment);
	if (ref->size > KEPT_CONTENT_MAX || ref->offset > INT64_MAX - ref->size)
		return err_set(err, EFBIG, "a message of %llu bytes is not kept",
		    (unsigned long long)ref->size);
	to = malloc(ref->size ? ref->size : 1);
	if (to == NULL)
		return err_set(err, ENOMEM, "no memory for %llu bytes", (unsigned long long)ref->size);
	while (n < ref->size) {
		ssize_t r = pread(fd, to + n, ref->size - n, (off_t)(ref->offset + n));

		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0) {
			free(to);
			return r == 0 ? err_set(err, EIO, "the spool ends before the message does") :
			    err_errno(err, "reading the spool");
		}
		n += (size_t)r;
	}
	*out = to;
	return 0;
}

/* Who is to be asked, and what is to be reviewed. */
static int
keep_more(struct store *s, const struct msg_keep *m, int64_t kid, struct err *err)
{
	const struct approval_words words = { s->rt->conf->hostname, s->rt->conf->approval_url };

	if (incident_kept(s->db, kid, m, clock_real(), s->scratch, err) == -1)
		return -1;
	return approval_begin(s->db, kid, m, clock_real(), &words, s->scratch, err);
}

static int
keep(struct store *s, const struct msg_keep *m, struct span content, struct err *err)
{
	int r;

	if (s->keeps.n == sizeof(s->keeps.wait) / sizeof(s->keeps.wait[0]))
		store_settle(s);
	r = s->keeps.n ? 0 : db_begin(s->db, true, err);
	if (r == 0 && (r = kept_put(s->db, m, content, clock_real(), s->scratch, err)) == 1)
		r = keep_more(s, m, kept_put_row(s->db), err);
	if (r == -1) {	/* what is in the same transaction goes with it; the queue asks again */
		db_rollback(s->db);
		answer_keeps(s, false, err->text);
	} else if (m->expires > 0) {	/* the clock looks at it in time */
		int64_t left = m->expires - clock_real(), at = clock_mono() + (left > 0 ? left : 0);

		if (at < s->expiry_at)
			s->expiry_at = at;
	}
	return r;
}

static int
take_keep(struct store *s, struct store_peer *p, struct frame *f)
{
	char *content = NULL;
	struct msg_keep m;
	struct err err;

	if (keep_decode(f->body, f->fd, s->scratch, &m) == -1)
		return -1;
	if (read_content(p, f, &m.ref, &content, &err) == -1 ||
	    keep(s, &m, span_make(content, m.ref.size), &err) == -1) {
		free(content);
		log_msg(LOG_LVL_ERROR, m.env.id, "not kept: %s", err.text);
		say_kept(p->link, f->ticket, false, err.text);
		return 0;
	}
	free(content);
	s->keeps.wait[s->keeps.n].link = p->link;
	s->keeps.wait[s->keeps.n++].ticket = f->ticket;
	event_active(s->keep_commit, EV_TIMEOUT, 0);
	return 0;
}

/* ---- events ---- */

/* Into the batch; false when there is no more room. */
static bool
batch_add(struct store *s, struct span body, bool *bad)
{
	struct store_batch *b = &s->batch;
	struct msg_event ev;

	*bad = false;
	if (b->bytes + body.n > BATCH_BYTES)
		return false;
	if (event_decode(arena_span(b->arena, body), -1, b->arena, &ev) == -1) {
		*bad = true;
		return false;
	}
	if (b->n == b->room) {
		b->room *= 2;
		b->events = realloc(b->events, b->room * sizeof(*b->events));
		ASSERT(b->events != NULL);
	}
	b->events[b->n++] = ev;
	b->bytes += body.n + sizeof(ev);
	arm(s->flush, b->failing ? RETRY_US : BATCH_US);
	return true;
}

static int
take_event(struct store *s, struct store_peer *p, struct frame *f)
{
	bool bad;

	if (batch_add(s, f->body, &bad)) {
		uint64_t seq = s->batch.events[s->batch.n - 1].seq;

		if (seq > p->seq_seen && !p->gap)
			p->seq_seen = seq;
	} else if (bad) {
		return -1;
	} else {
		p->gap = true;
		counter_add(COUNTER_EVENTS_LOST, 1);
	}
	if (s->batch.n >= BATCH_EVENTS && !s->batch.failing)
		store_flush(s);
	return 0;
}

void
store_event(struct store *s, const struct msg_event *ev)
{
	struct buf b;
	bool bad;

	buf_init(&b, FRAME_BIG);
	event_encode(&b, ev);
	if (!batch_add(s, buf_data(&b), &bad))
		counter_add(COUNTER_EVENTS_LOST, 1);
	buf_release(&b);
}

int
store_told(struct store *s, struct frame *f)
{
	bool bad;

	if (!batch_add(s, f->body, &bad) && !bad)
		counter_add(COUNTER_EVENTS_LOST, 1);
	return bad ? -1 : 0;
}

static void
acknowledge(struct store *s)
{
	for (struct store_peer *p = s->peers; p; p = p->next) {
		if (link_peer(p->link) != ROLE_QUEUE || p->seq_seen == p->seq_acked)
			continue;
		p->seq_acked = p->seq_seen;
		link_send(p->link, FRAME_EVENT_ACK, p->seq_acked, (struct span){ 0 }, -1);
	}
}

static int
take_basis(struct store *s, struct frame *f)
{
	struct msg_basis m;

	if (basis_decode(f->body, f->fd, s->scratch, &m) == -1)
		return -1;
	if (bayes_take(s, m.id, m.tokens) && !s->batch.failing)
		arm(s->flush, BATCH_US);
	if (s->rt->conf->journal_records == 0)
		return 0;
	if (bases_add(&s->bases, &m) == -1)
		counter_add(COUNTER_BASES_LOST, 1);
	arm(s->flush, s->batch.failing ? RETRY_US : BATCH_US);
	if (s->bases.n >= BATCH_EVENTS && !s->batch.failing)
		store_flush(s);
	return 0;
}

/* One event into the batch; *number: where it stands in the journal, 0 when it was known. */
static int
note_event(struct store *s, struct journal_batch *b, const struct msg_event *ev, int64_t *number, struct err *err)
{
	int added = journal_add(b, ev, number, err);

	if (added == 1 && incident_refused(s->db, ev, s->batch.arena, err) == -1)
		added = -1;
	if (added == 1)
		return 0;
	*number = 0;
	if (added == 0)
		return 0;
	if (err->code != EINVAL)
		return -1;
	log_msg(LOG_LVL_ERROR, ev->id, "not journalled: %s", err->text);	/* this row can never be written */
	counter_add(COUNTER_EVENTS_LOST, 1);
	return 0;
}

/* One transaction. numbers[i]: where it stands in the journal, 0 when it was known. */
static int
batch_write(struct store *s, int64_t *numbers, struct err *err)
{
	struct journal_batch *b;
	int r = 0;

	if (db_begin(s->db, false, err) == -1)
		return -1;
	b = journal_begin(s->db, share_on(s));
	for (size_t i = 0; r == 0 && i < s->batch.n; i++)
		r = note_event(s, b, &s->batch.events[i], &numbers[i], err);
	if (r == 0)
		r = journal_write(b, err);
	if (r == 0)
		r = basis_write(s->db, &s->bases, err);
	if (r == 0)
		r = bayes_write(s, err);
	journal_free(&b);
	if (r == -1) {
		db_rollback(s->db);
		return -1;
	}
	return db_commit(s->db, err);
}

/* After events were dropped only a new channel brings them again. */
static void
leave_after_gap(struct store *s)
{
	for (struct store_peer *p = s->peers; p; p = p->next)
		if (p->gap && !s->rt->retiring) {
			log_warn("events were dropped: starting anew to be sent them again");
			runtime_finish(s->rt);
			return;
		}
}

int
store_flush(struct store *s)
{
	struct store_batch *b = &s->batch;
	int64_t *numbers;
	struct err err;

	if (s->reads)
		return 0;
	evtimer_del(s->flush);
	if (b->n == 0 && s->bases.n == 0 && !bayes_waits(s))
		return 0;
	store_settle(s);
	numbers = calloc(b->n + 1, sizeof(*numbers));
	ASSERT(numbers != NULL);
	if (batch_write(s, numbers, &err) == -1) {
		if (!b->failing)
			log_error("the journal cannot be written; events wait: %s", err.text);
		b->failing = true;
		free(numbers);
		arm(s->flush, RETRY_US);
		return -1;
	}
	if (b->failing)
		log_info("the journal is written again");
	b->failing = false;
	counter_add(COUNTER_EVENTS, (int64_t)b->n);
	counter_add(COUNTER_BASES, (int64_t)s->bases.n);
	if (s->bases.n && basis_tidy(s->db, &err) == -1)
		log_warn("verdict records cannot be packed: %s", err.text);
	bases_reset(&s->bases);
	bayes_written(s);
	for (size_t i = 0; s->tails && i < b->n; i++)
		if (numbers[i])
			store_tell(s, &b->events[i], numbers[i]);
	free(numbers);
	b->n = b->bytes = 0;
	arena_reset(b->arena);
	acknowledge(s);
	leave_after_gap(s);
	share_wake(s);
	if (s->exports)
		exports_tick(s->exports);
	return 0;
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	store_flush(arg);
}

/* ---- the role ---- */

/* While the starter's privileges are there. The state begins here: the keys must not be read twice. */
static int
take_keys(struct runtime *rt, const char *folder, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	const char *path = rt->conf->store_key;
	size_t n = strlen(folder);
	bool made;

	ASSERT(s != NULL);
	rt->state = s;
	if (strncmp(path, folder, n) == 0 && path[n] == '/')
		log_warn("store_key lies beside the database: who copies that folder has both");
	if ((s->keys = keyring_open(path, &made, err)) == NULL)
		return -1;
	if (made)
		log_info("a key for the store was made in %s: have a copy of it, apart from the database's", path);
	/* OpenSSL loads what it needs before the sandbox. */
	return keyring_try(s->keys, err);
}

static int
store_start(struct runtime *rt, struct err *err)
{
	char *folder = strdup(rt->conf->store_path), *slash;

	ASSERT(folder != NULL);
	slash = strrchr(folder, '/');
	if (slash && slash != folder)
		*slash = '\0';
	if (take_keys(rt, folder, err) == -1) {
		free(folder);
		return -1;
	}
	sandbox_allow_write(folder);
	umask(077);
	tzset();		/* the hours of digests are local, and the sandbox has no /etc */
	free(folder);
	return 0;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct store *s = arg;

	act_tick(s);
	undo_tick(s);
	approve_tick(s);
	look_tick(s);
	apart_tick(s->apart);
	digest_tick(s);
	reports_tick(s->tls, clock_real(), clock_mono());
	bayes_tick(s);
	people_tick(s->people);
	store_policy_write(s);
	store_expire(s);
	store_keys_tick(s);
	store_tend(s);
	store_retain(s);
	share_tick(s);
	exports_tick(s->exports);
	lists_tick(s, clock_real());
	experience_tick(s->experience, clock_real());
	evtimer_del(s->tick);
	arm(s->tick, TICK_US);
}

static void
on_leave(evutil_socket_t fd, short what, void *arg)
{
	struct store *s = arg;

	store_settle(s);
	store_flush(s);
	reports_flush(s->tls);
	store_policy_write(s);
	experience_save(s->experience, clock_real());
	store_tails_end(s);
	apart_free(&s->apart);
	lists_end(s);
	share_end(s);
	exports_end(s->exports);
	bayes_end(s);
	policy_rules_free(&s->rules);
	db_close(&s->db);
	keyring_free(&s->keys);
	runtime_finish(s->rt);
}

static int
store_run(struct runtime *rt, struct err *err)
{
	struct store *s = rt->state ? rt->state : calloc(1, sizeof(*s));	/* without start(): no keys */

	ASSERT(s != NULL);
	rt->state = s;
	s->rt = rt;
	s->apart = apart_new(s);	/* before the database is open */
	if ((s->db = db_open(rt->conf->store_path, err)) == NULL)
		return -1;
	store_keys_begin(s);
	s->digests = calloc(1, sizeof(*s->digests));
	ASSERT(s->digests != NULL);
	if (digest_open(s->digests, rt->conf->store_path, err) == -1)
		return -1;
	s->batch.arena = arena_new(1u << 20);
	s->batch.room = BATCH_EVENTS;
	s->batch.events = calloc(s->batch.room, sizeof(*s->batch.events));
	ASSERT(s->batch.events != NULL);
	s->scratch = arena_new(64u << 10);
	bases_init(&s->bases);
	s->tickets = tickets_new();
	s->ids.slot = runtime_id_slot(rt);
	s->flush = evtimer_new(rt->base, on_flush, s);
	s->keep_commit = event_new(rt->base, -1, 0, on_keep_commit, s);
	s->tick = evtimer_new(rt->base, on_tick, s);
	s->leave = evtimer_new(rt->base, on_leave, s);
	ASSERT(s->flush && s->keep_commit && s->tick && s->leave);
	s->tls = reports_new(s);
	s->exports = exports_new(s);
	share_begin(s);
	bayes_begin(s);
	s->people = people_new(s);
	s->experience = experience_new(s->db, rt->shared, rt->conf);
	arm(s->tick, TICK_US);
	return lists_start(s, err);
}

static void
store_peer_up(struct runtime *rt, struct link *l)
{
	struct store *s = rt->state;
	struct store_peer *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL);
	p->link = l;
	p->segments = idtable_new();
	p->next = s->peers;
	s->peers = p;
	link_set_data(l, p);
	reports_peer_up(s->tls, l);
	exports_peer_up(s->exports, l);
	if (link_peer(l) == ROLE_QUEUE) {
		s->queue = l;
		s->settle_at = s->settled_at = clock_mono() + SETTLE_US;
	} else if (link_peer(l) == ROLE_SCANNER) {
		look_peer_up(s, l);
	} else if (link_peer(l) == ROLE_COUNTERS) {
		experience_peer_up(s->experience, l);
	} else if (link_peer(l) == ROLE_CLUSTER) {
		share_peer_up(s, l);
	}
}

static void
close_segments(struct store_peer *p)
{
	size_t at = 0;
	uint64_t number;
	void *fd;

	while (idtable_next(p->segments, &at, &number, &fd))
		close((int)(intptr_t)fd - 1);
	idtable_free(&p->segments);
}

static void
store_peer_down(struct runtime *rt, struct link *l)
{
	struct store *s = rt->state;
	struct store_peer *p = link_data(l);

	for (size_t i = 0; i < s->keeps.n; i++)
		if (s->keeps.wait[i].link == l)
			s->keeps.wait[i].link = NULL;
	for (struct store_peer **pp = &s->peers; *pp; pp = &(*pp)->next)
		if (*pp == p) {
			*pp = p->next;
			break;
		}
	close_segments(p);
	free(p);
	reports_peer_down(s->tls, l);
	exports_peer_down(s->exports, l);
	people_peer_down(s->people, l);
	share_peer_down(s, l);
	if (link_peer(l) == ROLE_SCANNER)
		look_peer_down(s, l);
	experience_peer_down(s->experience, l);
	if (s->queue == l) {
		s->queue = NULL;
		errands_gone(s);
		act_queue_gone(s);
	}
	if (rt->retiring && s->peers == NULL)
		event_active(s->leave, EV_TIMEOUT, 0);
}

static int
take_segment(struct store *s, struct store_peer *p, struct frame *f)
{
	struct msg_segment m;
	void *old;

	if (segment_decode(f->body, f->fd, s->scratch, &m) == -1 || m.number == 0)
		return -1;
	if (f->type == FRAME_SEGMENT && f->fd == -1)
		return -1;
	if ((old = idtable_remove(p->segments, m.number)) != NULL)
		close((int)(intptr_t)old - 1);
	if (f->type == FRAME_SEGMENT) {
		idtable_put(p->segments, m.number, (void *)((intptr_t)f->fd + 1));
		f->fd = -1;
	}
	return 0;
}

/* A scanner that retires is let go once it owes us nothing. */
static int
take_look(struct runtime *rt, struct link *l, struct frame *f)
{
	bool leave;

	if (look_frame(rt->state, l, f, &leave) == -1)
		return -1;
	if (leave) {
		store_peer_down(rt, l);
		link_close(&l);
	}
	return 0;
}

static int
store_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct store *s = rt->state;
	struct store_peer *p = link_data(l);
	struct msg_accepted accepted;

	arena_reset(s->scratch);
	switch (f->type) {
	case FRAME_EVENT:
		return take_event(s, p, f);
	case FRAME_BASIS:
		return take_basis(s, f);
	case FRAME_KEEP:
		return take_keep(s, p, f);
	case FRAME_SEGMENT:
	case FRAME_SEGMENT_DROP:
		return take_segment(s, p, f);
	case FRAME_ACCEPTED:
		if (accepted_decode(f->body, f->fd, s->scratch, &accepted) == -1)
			return -1;
		if (!reports_accepted(s->tls, &accepted))
			act_accepted(s, f->ticket, &accepted);
		return 0;
	case FRAME_APPROVE_ASK:
		return approve_link(s, l, f);
	case FRAME_PERSON_ASK:
		return people_ask(s->people, l, f);
	case FRAME_SCRYPTED:
		return people_scrypted(s->people, f);
	case FRAME_ENTERED:
		return people_entered(s->people, f);
	case FRAME_OIDC_TOLD:
		return people_told(s->people, f);
	case FRAME_DIGEST_ASK:
		return digest_link(s, l, f);
	case FRAME_INSPECTED:
	case FRAME_RETIRE:
		return take_look(rt, l, f);
	case FRAME_TLS_SEEN:
	case FRAME_RUA:
	case FRAME_SIGNED:
	case FRAME_POSTED:
		return reports_frame(s->tls, l, f);
	case FRAME_EXPORTED:
		return exports_frame(s->exports, f);
	case FRAME_SHARED:
	case FRAME_BASE_TOLD:
		return share_frame(s, l, f);
	default:
		return -1;
	}
}

static void
store_reconfigured(struct runtime *rt)
{
	struct store *s = rt->state;

	apart_renew(s->apart);
	bayes_reconfigured(rt);
	exports_reconfigured(s->exports);
	/* To share or not is decided at the start: what is noted for the base depends on it. */
	if (rt->conf->base.on != share_on(s)) {
		log_info("the store starts anew, to %s", rt->conf->base.on ? "share" : "be alone");
		runtime_finish(rt);
	}
}

/* Those who send here ended before: what they said last is still in the sockets. */
static void
store_retire(struct runtime *rt)
{
	struct store *s = rt->state;

	if (s->peers == NULL)
		event_active(s->leave, EV_TIMEOUT, 0);
	else
		arm(s->leave, LEAVE_US);
}

/* FORK: apart.h */
static const struct sandbox store_sandbox = { SANDBOX_FILES_READ | SANDBOX_FILES_WRITE | SANDBOX_FORK };

const struct role_ops store_ops = {
	.role = ROLE_STORE,
	.sandbox = &store_sandbox,
	.start = store_start,
	.run = store_run,
	.peer_up = store_peer_up,
	.peer_down = store_peer_down,
	.frame = store_frame,
	.client = store_client,
	.policy = store_policy,
	.reconfigured = store_reconfigured,
	.retire = store_retire,
};
