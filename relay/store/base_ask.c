/* base_ask.c -- questions to the shared base, and where its answers are looked at; see share.h.
 *
 * A question is a ticket with a deadline. Its callback comes once, in a turn of its own: with the answer,
 * or without one and with the reason.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "store/share_private.h"

static void
be_patient(struct store *s)
{
	static const struct timeval often = { 0, 50000 };

	if (!evtimer_pending(s->share->patience, NULL))
		evtimer_add(s->share->patience, &often);
}

void
base_ask(struct store *s, enum base_ask what, const struct buf *values, base_cb *cb, void *ctx)
{
	struct share *h = s->share;
	struct msg_base_ask m = { .what = what, .values = buf_data(values) };
	struct asking *a;
	uint64_t ticket;
	struct buf b;

	a = calloc(1, sizeof(*a));
	ASSERT(a != NULL);
	*a = (struct asking){ cb, ctx };
	/* Without anybody to ask the answer comes all the same in a turn of its own: by the clock. */
	ticket = ticket_open(h->tickets, a, h->cluster ? clock_mono() + BASE_PATIENCE_US : 0);
	be_patient(s);
	if (h->cluster == NULL)
		return;
	buf_init(&b, FRAME_BIG);
	base_ask_encode(&b, &m);
	link_send(h->cluster, FRAME_BASE_ASK, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
answered(struct store *s, uint64_t ticket, const struct msg_base_told *m, int fd, const char *why)
{
	struct asking *a = ticket_owner(s->share->tickets, ticket), is;

	if (a == NULL || (void *)a == (void *)s->share)
		return;
	ticket_close(s->share->tickets, ticket);
	is = *a;
	free(a);
	is.cb(is.ctx, m, fd, why);
}

int
base_told(struct store *s, struct frame *f)
{
	struct msg_base_told m;
	struct arena *a = arena_new(0);
	int r = base_told_decode(f->body, f->fd, a, &m);
	char why[300];

	if (r == 0) {
		snprintf(why, sizeof(why), SPAN_FMT, SPAN_ARG(m.text));
		answered(s, f->ticket, m.told == BASE_TOLD_OK ? &m : NULL, f->fd, why);
	}
	arena_free(&a);
	return r;
}

static void
expire_questions(struct store *s)
{
	uint64_t ticket;

	while ((ticket = ticket_expired(s->share->tickets, clock_mono())) != 0)
		answered(s, ticket, NULL, -1, s->share->there ? "the shared base is slow" : share_why(s));
}

/* More often than the store's clock: people wait. */
void
base_patience(evutil_socket_t fd, short what, void *arg)
{
	struct store *s = arg;

	expire_questions(s);
	if (tickets_count(s->share->tickets) > (s->share->ticket != 0))
		be_patient(s);
}

/* ---- the base in memory ---- */

static int
run(struct db *d, const char *sql, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	return st == NULL ? -1 : db_run(d, st, err);
}

struct db *
base_db(struct store *s, struct err *err)
{
	static const char *const tables[] = { "DELETE FROM message", "DELETE FROM recipient", "DELETE FROM event",
		"DELETE FROM record", "DELETE FROM kept", "DELETE FROM kept_rcpt", "DELETE FROM kept_content" };
	struct share *h = s->share;

	if (h->mem == NULL && (h->mem = db_open(":memory:", err)) == NULL)
		return NULL;
	db_use_keys(h->mem, s->keys);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (run(h->mem, tables[i], err) == -1)
			return NULL;
	return h->mem;
}
