/* lists_book.c -- the lists of senders, handed to the receivers as one book.
 *
 * After a change the book is written anew: DEBOUNCE later, so that many changes are one book; and not
 * more often than a tenth of the store's time, however large it is. The master gets it and hands it on
 * (master/lists.c). A searcher makes it (apart.h), for a million entries take seconds; what changes meanwhile is in
 * the next one. Entries that ran out are not found in any book; here they are taken out of
 * the database, with a row in the audit log for each.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/messages_lists.h"
#include "log.h"
#include "store/apart.h"
#include "store/lists_db.h"
#include "store/store.h"

#define DEBOUNCE_US (INT64_C(100) * 1000)
#define SHARE 10		/* of the time at most one part is spent here */
#define EXPIRE_ONCE 500

static int
put_entry(void *ctx, const struct entry *e, struct err *err)
{
	return book_writer_add(ctx, e, err);
}

static int
put_bytes(void *ctx, const void *p, size_t n, struct err *err)
{
	return fs_write_all(*(int *)ctx, p, n, err);
}

static void
unmap(struct store_lists *l)
{
	if (l->map)
		munmap(l->map, l->size);
	l->map = NULL;
}

/* To the master; a descriptor of its own. */
static void
hand_out(struct store *s, int fd)
{
	struct store_lists *l = &s->lists;
	struct msg_lists msg = { l->book.generation, l->book.n, l->size };
	int copy;
	struct buf b;

	if (s->rt->master == NULL || (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1)
		return;
	buf_init(&b, FRAME_SMALL);
	lists_encode(&b, &msg);
	link_send(s->rt->master, FRAME_LISTS, 0, buf_data(&b), copy);
	buf_release(&b);
}

int
lists_write(struct db *d, uint64_t generation, int *fd, struct err *err)
{
	struct book_writer *w = book_writer_new(generation, clock_real());
	int r = 0;

	*fd = -1;
	if (lists_each(d, put_entry, w, err) == -1 || (*fd = fs_memfd("lists", err)) == -1 ||
	    book_writer_finish(w, put_bytes, fd, err) == -1 || fs_memfd_seal(*fd, err) == -1) {
		if (*fd != -1)
			close(*fd);
		*fd = -1;
		r = -1;
	}
	book_writer_free(&w);
	return r;
}

/* A book that was made, here or by a searcher; closes fd. One that is older than what was handed out is dropped. */
static int
adopt(struct store *s, int fd, struct err *err)
{
	struct store_lists *l = &s->lists;
	struct book book;
	void *map;
	uint64_t size = 0;
	int r = -1;

	if (fs_memfd_check(fd, &size, err) == -1)
		goto out;
	map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		err_errno(err, "the lists");
		goto out;
	}
	if (book_open(span_make(map, (size_t)size), &book, err) == -1) {
		munmap(map, (size_t)size);
		goto out;
	}
	if (l->map && book.generation <= l->book.generation) {
		munmap(map, (size_t)size);
		r = 0;
		goto out;
	}
	unmap(l);
	l->map = map;
	l->size = (size_t)size;
	l->book = book;
	counter_set(COUNTER_LISTS_ENTRIES, book.n);
	hand_out(s, fd);
	r = lists_next_end(s->db, &l->next_end, err);
out:
	close(fd);
	return r;
}

static int
make(struct store *s, struct err *err)
{
	int fd;

	return lists_write(s->db, ++s->lists.generation, &fd, err) == -1 ? -1 : adopt(s, fd, err);
}

static void
later(struct store *s, int64_t us)
{
	struct timeval tv = { us / US_PER_SEC, us % US_PER_SEC };

	if (!evtimer_pending(s->lists.timer, NULL))
		evtimer_add(s->lists.timer, &tv);
}

void
lists_now(struct store *s)
{
	int64_t from = clock_mono();
	struct err err;

	if (!s->lists.dirty)
		return;
	store_settle(s);
	evtimer_del(s->lists.timer);
	s->lists.dirty = false;
	if (make(s, &err) == -1) {
		log_error("the lists of senders cannot be handed out: %s", err.text);
		s->lists.dirty = true;
		later(s, RETRY_US);
	}
	s->lists.done = clock_mono();
	s->lists.took = s->lists.done - from;
}

void
lists_changed(struct store *s)
{
	int64_t us = s->lists.done + s->lists.took * SHARE - clock_mono();

	s->lists.dirty = true;
	later(s, us > DEBOUNCE_US ? us : DEBOUNCE_US);
}

/* fd -1: no searcher could; then it is made here. */
static void
on_made(struct store *s, int fd)
{
	struct store_lists *l = &s->lists;
	struct err err;

	l->making = false;
	if (fd == -1 || adopt(s, fd, &err) == -1) {
		if (fd != -1)
			log_warn("the lists of senders are made again: %s", err.text);
		l->dirty = true;
		lists_now(s);
		return;
	}
	l->done = clock_mono();
	l->took = l->done - l->begun;
	if (l->dirty)
		later(s, l->took * SHARE > DEBOUNCE_US ? l->took * SHARE : DEBOUNCE_US);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct store *s = arg;
	struct store_lists *l = &s->lists;

	if (l->making || !l->dirty)	/* on_made goes on */
		return;
	store_settle(s);
	l->dirty = false;
	l->making = true;
	l->begun = clock_mono();
	if (!apart_book(s->apart, ++l->generation, on_made)) {
		l->making = false;
		l->dirty = true;
		lists_now(s);
	}
}

void
lists_tick(struct store *s, int64_t now)
{
	struct err err;
	int n;

	if (s->lists.next_end == 0 || now < s->lists.next_end)
		return;
	store_settle(s);
	if (db_begin(s->db, false, &err) == -1 ||
	    (n = lists_expire(s->db, now, EXPIRE_ONCE, &err)) == -1 || db_commit(s->db, &err) == -1) {
		log_error("entries of lists that ran out: %s", err.text);
		db_rollback(s->db);
		s->lists.next_end = now + RETRY_US;
		return;
	}
	if (n > 0)
		log_info("%d entries of the lists of senders ran out", n);
	counter_add(COUNTER_LISTS_EXPIRED, n);
	if (lists_next_end(s->db, &s->lists.next_end, &err) == -1)
		s->lists.next_end = now + RETRY_US;
	if (n > 0)
		lists_changed(s);
}

int
lists_start(struct store *s, struct err *err)
{
	s->lists.timer = evtimer_new(s->rt->base, on_timer, s);
	ASSERT(s->lists.timer != NULL);
	/* above all that an earlier store has handed out */
	s->lists.generation = (uint64_t)clock_real();
	return make(s, err);
}

void
lists_end(struct store *s)
{
	if (s->lists.timer)
		event_free(s->lists.timer);
	s->lists.timer = NULL;
	unmap(&s->lists);
}
