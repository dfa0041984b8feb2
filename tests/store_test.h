/* store_test.h -- a database in a folder of its own, events and kept messages to put in. */
#ifndef TESTS_STORE_TEST_H
#define TESTS_STORE_TEST_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "addr.h"
#include "clock.h"
#include "id.h"
#include "ipc/json_read.h"
#include "master/runtime.h"
#include "receiver/reputation.h"
#include "store/journal.h"
#include "store/kept.h"
#include "store/search.h"

#define T0 (INT64_C(1795344099) * US_PER_SEC)
#define OK(call) do { \
	if ((call) == -1) \
		fail_msg("%s: %s", #call, test_err.text); \
} while (0)

static struct err test_err;
static char test_dir[64], test_path[96];
static struct arena *test_arena;

static int
test_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static inline int
test_setup(void **state)
{
	snprintf(test_dir, sizeof(test_dir), "/tmp/postern-test-store-XXXXXX");
	if (mkdtemp(test_dir) == NULL)
		return -1;
	snprintf(test_path, sizeof(test_path), "%s/store.db", test_dir);
	test_arena = arena_new(0);
	return 0;
}

static inline int
test_teardown(void **state)
{
	arena_free(&test_arena);
	nftw(test_dir, test_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static inline struct db *
test_open(void)
{
	struct db *d = db_open(test_path, &test_err);

	if (d == NULL)
		fail_msg("%s", test_err.text);
	return d;
}

/* The number that a query gives. */
static inline int64_t
test_number(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_stmt(d, sql, &test_err);
	int64_t n;

	if (st == NULL || db_step(d, st, &test_err) != 1)
		fail_msg("%s: %s", sql, test_err.text);
	n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

/* The id of the n-th test message, received n seconds after T0. */
static inline uint64_t
test_id(unsigned n)
{
	return (uint64_t)(T0 + n * US_PER_SEC) * ID_SLOTS + 7;
}

static inline const char *
test_id_text(unsigned n)
{
	static char text[4][ID_SIZE];
	static unsigned at;

	return id_format(test_id(n), text[at++ % 4]);
}

/* Message n, from sender to the NULL-terminated recipients; lives in test_arena. */
static inline struct envelope
test_envelope(unsigned n, const char *sender, const char *const *to)
{
	struct envelope e = { .id = test_id(n), .direction = DIRECTION_OUTBOUND,
		.listener = SPAN_LIT("smart-host"), .client_name = SPAN_LIT("exchange"),
		.helo = SPAN_LIT("exch1.example.org"), .received = T0 + n * US_PER_SEC,
		.sender = span_str(sender), .flags = ENVELOPE_8BITMIME | ENVELOPE_ESMTP };

	ip_parse(SPAN_LIT("10.1.2.3"), &e.client);
	while (to[e.nrecipients])
		e.nrecipients++;
	e.recipients = arena_array(test_arena, e.nrecipients, sizeof(*e.recipients));
	for (size_t i = 0; i < e.nrecipients; i++)
		e.recipients[i].address = span_str(to[i]);
	return e;
}

static inline struct msg_event
test_accepted(unsigned n, const char *sender, const char *const *to)
{
	return (struct msg_event){ .kind = EVENT_ACCEPTED, .id = test_id(n),
		.time = T0 + n * US_PER_SEC + 500, .size = 4096, .has_env = true,
		.env = test_envelope(n, sender, to), .record = SPAN_LIT("{\"v\":1,\"policy\":\"aa\"}") };
}

static inline struct msg_event
test_result(unsigned n, enum event_kind kind, const char *rcpt, int64_t time)
{
	return (struct msg_event){ .kind = kind, .id = test_id(n), .time = time,
		.rcpt = span_str(rcpt), .outcome = SPAN_LIT("deliver"), .dsn = SPAN_LIT("2.0.0"),
		.relay = SPAN_LIT("mx1.example.net[203.0.113.9]:25"),
		.reply = SPAN_LIT("250 2.0.0 OK queued as 9F") };
}

/* 1 new, 0 known. Into the index of words with the others of the batch. */
static inline int
test_add_to(struct journal_batch *b, struct msg_event ev)
{
	int64_t seq;
	int r = journal_add(b, &ev, &seq, &test_err);

	OK(r);
	return r;
}

static inline int
test_add(struct db *d, struct msg_event ev)
{
	struct journal_batch *b = journal_begin(d, false);
	int r = test_add_to(b, ev);

	OK(journal_write(b, &test_err));
	journal_free(&b);
	return r;
}

/* As the master starts the role with: memory that all share, which outlives the role's process. */
static inline void
test_shared(struct runtime *rt, struct config *conf)
{
	static struct shared shared;

	rt->shared = &shared;
	conf->verify.reputation.half_life = REPUTATION_HALF_LIFE;
}

/* The i-th line of a JSON answer. */
static inline struct jval *
test_line(struct span text, size_t i)
{
	struct jval *v;

	for (; i > 0; i--)
		text = span_from(text, span_find(text, '\n') + 1);
	v = jval_parse(span_sub(text, 0, span_find(text, '\n')), &test_err);
	if (v == NULL)
		fail_msg("%s", test_err.text);
	return v;
}

static inline void
test_text_is(const struct jval *v, const char *key, const char *want)
{
	struct span s = jval_text(v, key);

	if (!span_is(s, want))
		fail_msg("%s is \"" SPAN_FMT "\", not \"%s\"", key, SPAN_ARG(s), want);
}

#endif
