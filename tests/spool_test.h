/* spool_test.h -- a small user of the spool, shared by its tests and its benchmark.
 *
 * It keeps one position for each message, counts what the spool reports, and
 * can lose power: fs_fault watches which bytes of which file were synced.
 */
#ifndef TESTS_SPOOL_TEST_H
#define TESTS_SPOOL_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "id.h"
#include "queue/spool.h"

struct user_item {
	struct spool_item item;
	struct spool_pos pos;
	uint16_t attempts;
	uint8_t flags;
};

struct user {
	struct spool *sp;
	char path[256];
	unsigned reports, errors, gone, segments;
	char last[1024];
	unsigned npaused;
	bool keep_quiet;
	/* As a delivery process is told of a segment (fd -1: it is gone); NULL: nobody is. */
	void (*announce)(void *to, uint32_t number, int fd);
	void *to;
};

static struct spool_item *
user_recover(void *ctx, uint64_t id, const struct stored *m)
{
	struct user_item *u = calloc(1, sizeof(*u));

	ASSERT(u != NULL && m->env.nrecipients >= 1);
	return &u->item;
}

static struct spool_pos *
user_recover_state(void *ctx, const struct spool *sp, struct spool_item *it, uint8_t flags,
    const struct state *st)
{
	struct user_item *u = (struct user_item *)it;

	u->attempts = st->attempts;
	u->flags = flags;
	return &u->pos;
}

static void
user_gone(void *ctx, struct spool_item *it)
{
	((struct user *)ctx)->gone++;
	free(it);
}

static struct spool_pos *
user_position(void *ctx, struct spool_item *it, size_t i)
{
	return i == 0 ? &((struct user_item *)it)->pos : NULL;
}

static uint8_t
user_flags(void *ctx, const struct spool_item *it)
{
	return ((const struct user_item *)it)->flags;
}

static void
user_paused(void *ctx, const struct span *sites, size_t n)
{
	((struct user *)ctx)->npaused = (unsigned)n;
}

static void
user_segment_new(void *ctx, uint32_t number, int fd)
{
	struct user *u = ctx;

	u->segments++;
	if (u->announce)
		u->announce(u->to, number, fd);
}

static void
user_segment_gone(void *ctx, uint32_t number)
{
	struct user *u = ctx;

	u->segments--;
	if (u->announce)
		u->announce(u->to, number, -1);
}

static void
user_report(void *ctx, enum log_level level, uint64_t id, const char *text)
{
	struct user *u = ctx;

	u->reports++;
	u->errors += level == LOG_LVL_ERROR;
	snprintf(u->last, sizeof(u->last), "%s", text);
}

static const struct spool_ops user_ops = { user_recover, user_recover_state, user_gone,
	user_position, user_flags, user_paused, user_segment_new, user_segment_gone, user_report };

static inline int
user_open(struct user *u, struct err *err)
{
	u->reports = u->errors = u->gone = u->segments = 0;
	u->sp = spool_open(u->path, &user_ops, u, err);
	return u->sp ? 0 : -1;
}

/* As a crash leaves it: nothing more is written, memory is forgotten. */
static inline int
always_fail(enum fs_op op, const char *path, int fd, size_t *n)
{
	return EIO;
}

/* As a crash leaves it: nothing more is written, memory is forgotten. */
static inline void
user_crash(struct user *u)
{
	struct user_item **items = NULL;
	struct spool_item *it;
	size_t at = 0, n = 0;

	while ((it = spool_next(u->sp, &at)) != NULL) {
		items = realloc(items, (n + 1) * sizeof(*items));
		ASSERT(items != NULL);
		items[n++] = (struct user_item *)it;
	}
	fs_fault = always_fail;
	spool_close(&u->sp);
	fs_fault = NULL;
	while (n > 0)
		free(items[--n]);
	free(items);
}

static inline void
user_close(struct user *u)
{
	struct user_item **items = NULL;
	struct spool_item *it;
	size_t at = 0, n = 0;

	(void)spool_sync(u->sp, NULL);
	while ((it = spool_next(u->sp, &at)) != NULL) {
		items = realloc(items, (n + 1) * sizeof(*items));
		ASSERT(items != NULL);
		items[n++] = (struct user_item *)it;
	}
	spool_close(&u->sp);
	while (n > 0)
		free(items[--n]);
	free(items);
}

static inline struct user_item *
user_append(struct user *u, uint64_t id, struct span bytes, struct arena *a, struct err *err)
{
	struct user_item *x = calloc(1, sizeof(*x));
	struct recipient rcpt = { .address = SPAN_LIT("someone@example.net") };
	struct msg_decision dec = { .outcome = OUTCOME_DELIVER, .rule = SPAN_LIT("r1") };
	struct stored m = { .env = { .id = id, .direction = DIRECTION_OUTBOUND,
		.sender = SPAN_LIT("m.durand@example.org"), .helo = SPAN_LIT("exch1"),
		.received = clock_real(), .recipients = &rcpt, .nrecipients = 1 },
		.decisions = &dec, .ndecisions = 1 };
	struct payload p;

	ASSERT(x != NULL);
	payload_from_span(&p, bytes, a);
	if (spool_append(u->sp, &x->item, &m, SPAN_LIT("{\"v\":1}"), &p, err) == -1) {
		free(x);
		return NULL;
	}
	return x;
}

static inline void
user_state(struct user *u, struct user_item *x, uint16_t attempts)
{
	struct target_state t = { 0, TARGET_PENDING, FAIL_CONNECT, SPAN_LIT("4.4.1"),
		SPAN_LIT("no answer"), SPAN_LIT("mx.example.net[192.0.2.1]:25") };
	struct state st = { clock_real(), clock_real() + 60 * US_PER_SEC, attempts, &t, 1 };

	x->attempts = attempts;
	spool_state(u->sp, &x->item, &x->pos, x->flags, &st);
}

static inline size_t
user_count(struct user *u)
{
	struct spool_stats st;

	spool_stats(u->sp, &st);
	return st.messages;
}

static inline void
folder_remove(const char *path)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", path);
	ASSERT(system(cmd) == 0);
}

static inline void
user_fresh(struct user *u, const char *name)
{
	struct err err;

	memset(u, 0, sizeof(*u));
	snprintf(u->path, sizeof(u->path), "%s/postern-%s-%d",
	    getenv("TMPDIR") ? getenv("TMPDIR") : access("/dev/shm", W_OK) == 0 ?
	    "/dev/shm" : "/tmp", name, (int)getpid());
	folder_remove(u->path);
	ASSERT(spool_prepare(u->path, (uid_t)-1, (gid_t)-1, &err) == 0);
	if (user_open(u, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

#endif
