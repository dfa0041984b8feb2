/* test_counters.c -- limits counted in Redis are the limits counted in memory: the same tables of cases for
 * both, with a clock of their own; the scripts' fence, merging, strangers; codecs; `counters` of postern.yaml.
 *
 * A redis-server of Debian runs on a socket in a folder of its own, and is ended by its pid. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "addr.h"
#include "counters/ask.h"
#include "master/config.h"
#include "receiver/limits_shared.h"

#define SEC INT64_C(1000000)
#define T0 (INT64_C(1000000) * SEC)
#define MEMORY ((size_t)8 << 20)
#define EPOCH 7

static char folder[] = "/tmp/postern-counters-XXXXXX";
static pid_t server;
static redisContext *redis;
static struct call call;
static uint64_t seq;
static struct limits_table *table;
static void *memory;
static struct arena *arena;

/* ---- a server, and commands ---- */

static int
begin_server(void **state)
{
	char socket_path[64];

	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/sock", folder);
	if ((server = fork()) == 0) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--save", "",
		    "--appendonly", "no", "--dir", folder, "--logfile", "log", (char *)NULL);
		fprintf(stderr, "redis-server is not there (package redis-server)\n");
		_exit(127);
	}
	for (int i = 0; i < 2000 && redis == NULL; i++) {
		redis = redisConnectUnix(socket_path);
		if (redis && redis->err) {
			redisFree(redis);
			redis = NULL;
			usleep(10000);
		}
		assert_int_equal(waitpid(server, NULL, WNOHANG), 0);
	}
	assert_non_null(redis);
	call_init(&call, SPAN_LIT("postern"));
	arena = arena_new(0);
	return 0;
}

static int
end_server(void **state)
{
	char command[64];

	redisFree(redis);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	call_release(&call);
	arena_free(&arena);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static int
setup(void **state)
{
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	table = limits_attach(memory, MEMORY, T0);
	freeReplyObject(redisCommand(redis, "FLUSHALL"));
	seq = 0;
	return 0;
}

static int
teardown(void **state)
{
	munmap(memory, MEMORY);
	return 0;
}

static redisReply *
run(enum script s)
{
	const struct span *argv;
	size_t n = call_argv(&call, s, true, &argv), len[CALL_WORDS];
	const char *p[CALL_WORDS];
	redisReply *r;

	for (size_t i = 0; i < n; i++) {
		p[i] = argv[i].p ? argv[i].p : "";
		len[i] = argv[i].n;
	}
	r = redisCommandArgv(redis, (int)n, p, len);
	assert_non_null(r);
	return r;
}

static void
decide(const struct msg_count_ask *ask, int64_t now, struct msg_count_told *told)
{
	redisReply *r;

	call_begin(&call, SPAN_LIT("gw1:1"), EPOCH, ++seq, now);
	ask_write(&call, ask);
	r = run(SCRIPT_DECIDE);
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("%s", r->str);
	*told = (struct msg_count_told){ 0 };
	assert_true(ask_read(r, ask->nitems, told));
	freeReplyObject(r);
}

/* ---- the same limits, twice ---- */

struct counter {		/* how it is counted */
	const char *name;
	enum outcome (*take)(const struct limit_rule *r, size_t n, enum limit_unit unit,
	    const struct limits_who *who, uint32_t cost, int64_t now, struct limits_hit *hit);
	enum outcome (*check)(const struct limit_rule *r, size_t n, const struct limits_who *who, int64_t now,
	    struct limits_hit *hit);
};

static enum outcome
local_take(const struct limit_rule *r, size_t n, enum limit_unit unit, const struct limits_who *who,
    uint32_t cost, int64_t now, struct limits_hit *hit)
{
	return limits_take(table, r, n, unit, who, cost, now, hit);
}

static enum outcome
local_check(const struct limit_rule *r, size_t n, const struct limits_who *who, int64_t now,
    struct limits_hit *hit)
{
	return limits_check(table, r, n, who, now, hit);
}

static enum outcome
asked(struct limits_items *it, int64_t now, struct limits_hit *hit)
{
	struct msg_count_ask ask = { .items = it->v, .nitems = it->n };
	struct msg_count_told told;

	decide(&ask, now, &told);
	return limits_items_told(it, &told.groups[0], now, hit);
}

static enum outcome
redis_take(const struct limit_rule *r, size_t n, enum limit_unit unit, const struct limits_who *who,
    uint32_t cost, int64_t now, struct limits_hit *hit)
{
	struct limits_items it = { .n = 0 };

	limits_items_take(r, n, unit, who, cost, 0, arena, &it);
	return asked(&it, now, hit);
}

static enum outcome
redis_check(const struct limit_rule *r, size_t n, const struct limits_who *who, int64_t now,
    struct limits_hit *hit)
{
	struct limits_items it = { .n = 0 };

	limits_items_check(r, n, who, arena, &it);
	return asked(&it, now, hit);
}

static const struct counter counters[] = { { "local", local_take, local_check },
	{ "redis", redis_take, redis_check } };

#define NOTHING OUTCOME_UNJUDGED
#define MAIL (-1)		/* check */

struct step {
	int64_t ms;		/* since the beginning */
	int unit;		/* what is taken; MAIL: nothing is, only asked */
	uint32_t cost;
	const char *sender, *recipient;
	enum outcome then;
	const char *hit;	/* the rule, NULL none */
	bool locked;
	int64_t until;		/* ms from the step; 0: no lock */
};

static void
play(const struct limit_rule *r, size_t n, const struct step *v, size_t nsteps)
{
	for (size_t c = 0; c < sizeof(counters) / sizeof(counters[0]); c++)
		for (size_t i = 0; i < nsteps; i++) {
			const struct step *s = &v[i];
			struct limits_who who = { .client = SPAN_LIT("192.0.2.7"), .sender = span_str(s->sender),
				.recipient = span_str(s->recipient ? s->recipient : ""), .real = T0 };
			int64_t now = T0 + s->ms * 1000;
			struct span local;
			struct limits_hit hit;
			enum outcome o;

			mailaddr_split(who.sender, &local, &who.sender_domain);
			o = s->unit == MAIL ? counters[c].check(r, n, &who, now, &hit) :
			    counters[c].take(r, n, (enum limit_unit)s->unit, &who, s->cost, now, &hit);
			if (o != s->then || (hit.rule != NULL) != (s->hit != NULL) ||
			    (hit.rule && !span_is(hit.rule->id, s->hit)) || hit.locked != s->locked ||
			    (hit.until != 0) != (s->until != 0) ||
			    (s->until && llabs(hit.until - now - s->until * 1000) > 1000))
				fail_msg("%s, step %zu: outcome %d, rule %.*s, locked %d, until %lld ms", counters[c].name, i,
				    o, hit.rule ? (int)hit.rule->id.n : 0, hit.rule ? hit.rule->id.p : "", hit.locked,
				    (long long)(hit.until ? (hit.until - now) / 1000 : 0));
		}
}
#define PLAY(rules, steps) \
	play((rules), sizeof(rules) / sizeof((rules)[0]), (steps), sizeof(steps) / sizeof((steps)[0]))

#define A "a@example.org"

/* Ten at once, then one every six seconds. */
static void
a_burst_and_a_rate(void **state)
{
	static const struct limit_rule rules[] = { { .id = { "ten", 3 }, .per = LIMIT_SENDER,
		.unit = LIMIT_MESSAGES, .allow = 10, .window = 60 * SEC, .then = OUTCOME_DEFER } };
	static const struct step steps[] = {
		{ 0, LIMIT_MESSAGES, 9, A, NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 2, A, NULL, OUTCOME_DEFER, "ten", 0, 0 },	/* not half of it, either */
		{ 0, LIMIT_MESSAGES, 1, "A@Example.ORG", NULL, NOTHING, NULL, 0, 0 },
		{ 1, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "ten", 0, 0 },
		{ 1, LIMIT_MESSAGES, 1, "b@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 1, LIMIT_MESSAGES, 1, "", NULL, NOTHING, NULL, 0, 0 },	/* the null sender has no key */
		{ 5999, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "ten", 0, 0 },
		{ 6001, LIMIT_MESSAGES, 1, A, NULL, NOTHING, NULL, 0, 0 },
		{ 6002, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "ten", 0, 0 },
		{ 66100, LIMIT_MESSAGES, 10, A, NULL, NOTHING, NULL, 0, 0 },
		{ 66100, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "ten", 0, 0 },
	};

	PLAY(rules, steps);
}

/* What a later rule refuses, earlier ones get back. A hold goes on, and what others gave stays taken. */
static void
rules_together(void **state)
{
	static const struct limit_rule rules[] = {
		{ .id = { "wide", 4 }, .per = LIMIT_SENDER_DOMAIN, .unit = LIMIT_MESSAGES, .allow = 3, .window = 3600 * SEC,
		    .then = OUTCOME_REJECT },
		{ .id = { "held", 4 }, .per = LIMIT_CLIENT, .unit = LIMIT_MESSAGES, .allow = 2, .window = 3600 * SEC,
		    .then = OUTCOME_HOLD },
		{ .id = { "narrow", 6 }, .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 1, .window = 3600 * SEC,
		    .then = OUTCOME_DEFER },
		{ .id = { "other", 5 }, .per = LIMIT_SENDER, .unit = LIMIT_RECIPIENTS, .allow = 1, .window = 3600 * SEC,
		    .then = OUTCOME_DEFER },
		{ .id = { "none", 4 }, .per = LIMIT_SENDER, .unit = LIMIT_RECIPIENTS, .allow = 0, .window = 3600 * SEC,
		    .then = OUTCOME_DELIVER },
	};
	static const struct step steps[] = {
		{ 0, LIMIT_MESSAGES, 1, A, NULL, NOTHING, NULL, 0, 0 },
		{ 1, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "narrow", 0, 0 },
		{ 2, LIMIT_MESSAGES, 1, "b@example.org", NULL, NOTHING, NULL, 0, 0 },	/* wide 2, held 2: got back above */
		{ 3, LIMIT_MESSAGES, 1, "c@example.org", NULL, OUTCOME_HOLD, "held", 0, 0 },	/* wide 3 */
		{ 4, LIMIT_MESSAGES, 1, "d@example.org", NULL, OUTCOME_REJECT, "wide", 0, 0 },
		{ 5, LIMIT_MESSAGES, 1, "c@example.com", NULL, OUTCOME_HOLD, "held", 0, 0 },
		{ 6, LIMIT_RECIPIENTS, 1, A, NULL, OUTCOME_DELIVER, "none", 0, 0 },
		{ 7, LIMIT_RECIPIENTS, 1, A, NULL, OUTCOME_DEFER, "other", 0, 0 },
	};

	PLAY(rules, steps);
}

static void
locks(void **state)
{
	static const struct limit_rule rules[] = {
		{ .id = { "outbreak", 8 }, .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 2, .window = 2 * SEC,
		    .then = OUTCOME_DEFER, .lock = 100 * SEC },
		{ .id = { "harvest", 7 }, .per = LIMIT_CLIENT, .unit = LIMIT_INVALID, .allow = 2, .window = 20 * SEC,
		    .then = OUTCOME_REJECT },
	};
	static const struct step steps[] = {
		{ 0, MAIL, 0, A, NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, A, NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, A, NULL, NOTHING, NULL, 0, 0 },
		{ 10, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "outbreak", true, 100000 },
		{ 20, LIMIT_MESSAGES, 1, A, NULL, OUTCOME_DEFER, "outbreak", false, 99990 },
		{ 50000, MAIL, 0, A, NULL, OUTCOME_DEFER, "outbreak", false, 50010 },
		{ 50000, MAIL, 0, "b@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 50000, LIMIT_INVALID, 1, "b@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 50000, MAIL, 0, "b@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 50000, LIMIT_INVALID, 1, "b@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 50001, MAIL, 0, "b@example.org", NULL, OUTCOME_REJECT, "harvest", 0, 0 },
		{ 50001, MAIL, 0, A, NULL, OUTCOME_REJECT, "harvest", 0, 0 },	/* the stricter of both */
		{ 50001, LIMIT_INVALID, 1, "b@example.org", NULL, OUTCOME_REJECT, "harvest", 0, 0 },
		{ 60100, MAIL, 0, "b@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 100020, MAIL, 0, A, NULL, NOTHING, NULL, 0, 0 },
		{ 100020, LIMIT_MESSAGES, 2, A, NULL, NOTHING, NULL, 0, 0 },
	};

	PLAY(rules, steps);
}

static void
unique_recipients(void **state)
{
	static const struct limit_rule rules[] = { { .id = { "whom", 4 }, .per = LIMIT_SENDER, .unit = LIMIT_UNIQUE,
		.allow = 2, .window = 100 * SEC, .then = OUTCOME_DEFER, .lock = 200 * SEC } };
	static const struct step steps[] = {
		{ 0, LIMIT_UNIQUE, 1, A, "x@y.example", NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_UNIQUE, 1, A, "X@Y.example", NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_UNIQUE, 1, A, "z@y.example", NOTHING, NULL, 0, 0 },
		{ 1, LIMIT_UNIQUE, 1, A, "x@y.example", NOTHING, NULL, 0, 0 },
		{ 2, LIMIT_UNIQUE, 1, "b@example.org", "w@y.example", NOTHING, NULL, 0, 0 },
		{ 3, LIMIT_UNIQUE, 1, A, "w@y.example", OUTCOME_DEFER, "whom", true, 200000 },
		{ 4, LIMIT_UNIQUE, 1, A, "x@y.example", OUTCOME_DEFER, "whom", false, 199999 },
	};

	PLAY(rules, steps);
}

static void
exemptions(void **state)
{
	static const struct span customers[] = { { ".customer.example", 17 } };
	static const struct limit_exempt free_ones[] = { { .match = { "news@example.org", 16 }, .until = INT64_MAX },
		{ .match = { "old@example.org", 15 }, .until = T0 - 1 } };
	static const struct limit_rule rules[] = {
		{ .id = { "few", 3 }, .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 1, .window = 60 * SEC,
		    .then = OUTCOME_DEFER, .exempt = free_ones, .nexempt = 2 },
		{ .id = { "c", 1 }, .per = LIMIT_SENDER_DOMAIN, .unit = LIMIT_MESSAGES, .allow = 1, .window = 60 * SEC,
		    .then = OUTCOME_REJECT, .match = customers, .nmatch = 1 } };
	static const struct step steps[] = {
		{ 0, LIMIT_MESSAGES, 1, "news@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, "news@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, "old@example.org", NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, "old@example.org", NULL, OUTCOME_DEFER, "few", 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, "x@a.customer.example", NULL, NOTHING, NULL, 0, 0 },
		{ 0, LIMIT_MESSAGES, 1, "y@a.customer.example", NULL, OUTCOME_REJECT, "c", 0, 0 },
	};

	PLAY(rules, steps);
}

/* Thousands of random steps: both say the same of each. */
static void
at_random(void **state)
{
	struct limit_rule rules[4] = {
		{ .id = SPAN_LIT("r0"), .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 7, .window = 30 * SEC, .then = OUTCOME_DEFER },
		{ .id = SPAN_LIT("r1"), .per = LIMIT_SENDER_DOMAIN, .unit = LIMIT_MESSAGES, .allow = 20, .window = 60 * SEC, .then = OUTCOME_HOLD },
		{ .id = SPAN_LIT("r2"), .per = LIMIT_CLIENT, .unit = LIMIT_MESSAGES, .allow = 64, .window = 64 * SEC, .then = OUTCOME_REJECT },
		{ .id = SPAN_LIT("r3"), .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 9, .window = 90 * SEC, .then = OUTCOME_DELIVER },
	};
	int64_t now = T0;
	uint32_t x = 20260;
	size_t differ = 0, hits = 0;

	for (int i = 0; i < 4000; i++) {
		struct limits_hit hit[2];
		enum outcome o[2];
		char sender[40], host[20];
		struct limits_who who = { .real = T0 };
		struct span local;

		x = x * 1664525 + 1013904223;
		now += (x >> 8) % 1000 * 1600;	/* whole steps of 16 us: the table's own */
		snprintf(sender, sizeof(sender), "u%u@d%u.example", x >> 20 & 3, x >> 24 & 1);
		snprintf(host, sizeof(host), "192.0.2.%u", x >> 26 & 1);
		who.sender = span_str(sender);
		who.client = span_str(host);
		mailaddr_split(who.sender, &local, &who.sender_domain);
		for (int c = 0; c < 2; c++)
			o[c] = counters[c].take(rules, 4, LIMIT_MESSAGES, &who, 1 + (x >> 28) % 3, now, &hit[c]);
		differ += o[0] != o[1] || hit[0].rule != hit[1].rule;
		hits += o[0] != OUTCOME_UNJUDGED;
	}
	assert_int_equal(differ, 0);
	assert_in_range(hits, 400, 3900);
}

/* ---- the fence ---- */

static redisReply *
one(uint64_t epoch, uint64_t number, const char *fence)
{
	struct count_item it = { .kind = COUNT_TAKE, .name = SPAN_LIT("few a"), .step = 10 * SEC, .window = 100 * SEC,
		.cost = 1, .then = OUTCOME_DEFER };
	struct msg_count_ask ask = { .items = &it, .nitems = 1 };

	call_begin(&call, span_str(fence), epoch, number, T0);
	ask_write(&call, &ask);
	return run(SCRIPT_DECIDE);
}

static void
said(const char *fence, uint64_t epoch, const char *expected)
{
	redisReply *r;

	call_begin(&call, span_str(fence), epoch, 0, T0);
	r = run(SCRIPT_HELLO);
	assert_int_equal(r->elements, 2);
	assert_string_equal(r->element[1]->str, expected);
	freeReplyObject(r);
}

static void
what_was_carried_out(void **state)
{
	redisReply *r;

	said("f", 1, "");
	freeReplyObject(one(1, 1, "f"));
	freeReplyObject(one(1, 2, "f"));
	said("f", 2, " 1 2");
	/* The connection that was given up is heard at last: it does nothing. */
	r = one(1, 3, "f");
	assert_int_equal(r->type, REDIS_REPLY_ERROR);
	assert_memory_equal(r->str, "STALE", 5);
	freeReplyObject(r);
	/* Connections that carried out nothing hide nothing. */
	said("f", 3, " 1 2");
	said("f", 4, " 1 2");
	r = one(4, 1, "f");
	assert_int_equal(reply_int(r, ASK_ITEMS), 30 * SEC);	/* two before, this one; not four */
	freeReplyObject(r);
	said("f", 5, " 4 1");
	said("other", 1, "");
}

/* ---- merging ---- */

static int64_t
merged(int64_t tat, int64_t told, int64_t cost, int64_t level, int64_t window, int64_t now)
{
	const int64_t v[] = { tat, 0, told, cost, level, window };
	redisReply *r;
	int64_t left;

	call_begin(&call, SPAN_LIT("m"), 1, ++seq, now);
	call_num(&call, 1);
	call_key(&call, KEY_LIMIT, SPAN_LIT("few a"));
	call_key(&call, KEY_LOCK, SPAN_LIT("few a"));
	call_key(&call, KEY_RESET, SPAN_LIT("few a"));
	for (size_t i = 0; i < 6; i++)
		call_num(&call, v[i]);
	r = run(SCRIPT_MERGE);
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("%s", r->str);
	left = reply_int(r, 1);
	freeReplyObject(r);
	return left;
}

static void
merging(void **state)
{
	const int64_t w = 100 * SEC;

	/* What was remembered, of an empty Redis; said twice, or by two nodes, it is the same. */
	assert_int_equal(merged(T0 + 40 * SEC, T0, 0, 0, 0, T0), 40 * SEC);
	assert_int_equal(merged(T0 + 40 * SEC, T0, 0, 0, 0, T0), 40 * SEC);
	assert_int_equal(merged(T0 + 30 * SEC, T0, 0, 0, 0, T0), 40 * SEC);
	/* 20 s worth taken alone: added to what stands. */
	assert_int_equal(merged(0, INT64_C(1) << 52, 20 * SEC, 20 * SEC, w, T0), 60 * SEC);
	/* Taken long after the bucket was full again: only the takings count, as far as they have not come back. */
	assert_int_equal(merged(0, INT64_C(1) << 52, 30 * SEC, 25 * SEC, w, T0 + 500 * SEC), 25 * SEC);
	/* Never more than all of it. */
	assert_int_equal(merged(0, INT64_C(1) << 52, 300 * SEC, 90 * SEC, w, T0 + 500 * SEC), w);
	/* Who was let go by a person is not brought back by what a node remembers from before. */
	freeReplyObject(redisCommand(redis, "DEL {postern}l:%s", "few a"));
	freeReplyObject(redisCommand(redis, "SET {postern}t:%s %lld", "few a", (long long)(T0 + 600 * SEC)));
	assert_int_equal(merged(T0 + 700 * SEC, T0 + 599 * SEC, 0, 0, 0, T0 + 601 * SEC), 0);
	assert_int_equal(merged(T0 + 700 * SEC, T0 + 600 * SEC + 1, 0, 0, 0, T0 + 601 * SEC), 99 * SEC);
}

/* ---- strangers ---- */

static enum count_grey
comes(int64_t at, int64_t friend_age, int64_t came_age, int64_t *age)
{
	struct msg_count_ask ask = { .grey = { SPAN_LIT("net our.example"), SPAN_LIT("net a b"), friend_age, came_age,
		60 * SEC, 3600 * SEC, 86400 * SEC } };
	struct msg_count_told told;

	decide(&ask, T0 + at * SEC, &told);
	*age = told.grey_age / SEC;
	return told.grey;
}

static void
strangers(void **state)
{
	int64_t age;

	assert_int_equal(comes(0, -1, -1, &age), COUNT_GREY_CAME);
	assert_int_equal(comes(59, -1, -1, &age), COUNT_GREY_CAME);
	assert_int_equal(age, 59);
	assert_int_equal(comes(60, -1, -1, &age), COUNT_GREY_FRIEND);
	assert_int_equal(comes(80000, -1, -1, &age), COUNT_GREY_FRIEND);	/* and is one for `keep` from here */
	assert_int_equal(comes(166399, -1, -1, &age), COUNT_GREY_FRIEND);
	freeReplyObject(redisCommand(redis, "FLUSHALL"));
	/* Too late: he comes for the first time again. */
	assert_int_equal(comes(0, -1, -1, &age), COUNT_GREY_CAME);
	assert_int_equal(comes(3601, -1, -1, &age), COUNT_GREY_CAME);
	assert_int_equal(age, 0);
	/* What this node knows while Redis does not. */
	assert_int_equal(comes(3602, -1, 100 * SEC, &age), COUNT_GREY_FRIEND);
	freeReplyObject(redisCommand(redis, "FLUSHALL"));
	assert_int_equal(comes(0, 10 * SEC, -1, &age), COUNT_GREY_FRIEND);
	assert_int_equal(comes(1, -1, -1, &age), COUNT_GREY_FRIEND);
}

/* ---- how much memory ---- */

static void
sizes(void **state)
{
	struct count_item it[2] = { { .kind = COUNT_UNIQUE, .name = SPAN_LIT("per-sender someone.longer@department.example.org"),
		.member = SPAN_LIT("whoever@partner.example"), .step = SEC, .window = 3600 * SEC, .cost = 1, .then = OUTCOME_DEFER } };
	struct msg_count_ask ask = { .items = it, .nitems = 1, .mailbox = SPAN_LIT("b@our.example"),
		.grey = { SPAN_LIT("n"), SPAN_LIT("c"), -1, -1, SEC, SEC, SEC } };
	struct msg_count_told told;
	redisReply *keys, *m;

	decide(&ask, 0, &told);
	keys = redisCommand(redis, "KEYS *");
	assert_int_equal(keys->elements, 4);		/* fence, limit, seen, came */
	for (size_t i = 0; i < keys->elements; i++) {
		m = redisCommand(redis, "MEMORY USAGE %s", keys->element[i]->str);
		assert_in_range(m->integer, 50, 256);
		freeReplyObject(m);
		m = redisCommand(redis, "PTTL %s", keys->element[i]->str);
		assert_true(m->integer > 0);		/* -1: it would stay for ever */
		freeReplyObject(m);
	}
	freeReplyObject(keys);
}

/* ---- codecs ---- */

static void
frames(void **state)
{
	struct count_item v[2] = { { COUNT_TAKE, 0, SPAN_LIT("few a"), SPAN_LIT(""), 16, 160, 7, 3, OUTCOME_DEFER },
		{ COUNT_UNIQUE, 1, SPAN_LIT("whom a"), SPAN_LIT("b@c"), 32, 320, 0, 1, OUTCOME_HOLD } };
	struct msg_count_ask ask = { v, 2, { SPAN_LIT("f"), SPAN_LIT("g"), -1, 5, 6, 7, 8 }, SPAN_LIT("m"), { .family = 4 } }, ask2;
	struct msg_count_told told = { true, 9, { { 1, true, 5 }, { 2, false, 0 } }, COUNT_GREY_CAME, 3, 1, 4 }, told2;
	struct msg_count_owe owe = { 77, v, 2 }, owe2;
	struct buf b;

	buf_init(&b, 4096);
	count_ask_encode(&b, &ask);
	assert_int_equal(count_ask_decode(buf_data(&b), -1, arena, &ask2), 0);
	assert_int_equal(ask2.nitems, 2);
	assert_true(span_is(ask2.items[1].member, "b@c") && ask2.items[1].group == 1 && ask2.items[0].lock == 7);
	assert_true(ask2.grey.friend_age == -1 && ask2.grey.keep == 8 && span_is(ask2.mailbox, "m"));
	for (size_t n = 0; n < buf_size(&b); n++)	/* a frame that is cut is none */
		assert_int_equal(count_ask_decode(span_sub(buf_data(&b), 0, n), -1, arena, &ask2), -1);
	buf_reset(&b);
	v[0].group = 1;
	v[1].group = 0;			/* groups rise */
	count_ask_encode(&b, &ask);
	assert_int_equal(count_ask_decode(buf_data(&b), -1, arena, &ask2), -1);
	v[0].group = 0;
	buf_reset(&b);
	count_told_encode(&b, &told);
	assert_int_equal(count_told_decode(buf_data(&b), -1, NULL, &told2), 0);
	assert_true(told2.away && told2.decision == 9 && told2.groups[0].locked && told2.groups[1].hit == 2 && told2.mailbox_age == 4);
	buf_reset(&b);
	count_owe_encode(&b, &owe);
	assert_int_equal(count_owe_decode(buf_data(&b), -1, arena, &owe2), 0);
	assert_true(owe2.decision == 77 && owe2.nitems == 2 && owe2.items[0].cost == 3);
	buf_release(&b);
}

/* ---- postern.yaml ---- */

static struct config *
parse(const char *value, const char **error)
{
	static struct arena *a;
	char text[600];
	struct diags d;
	struct config *c;

	arena_free(&a);
	a = arena_new(0);
	diags_init(&d, a);
	snprintf(text, sizeof(text), "version: 1\nhostname: gw.example.org\nlisteners:\n  - {name: in, address: \"127.0.0.1:25\", "
	    "direction: outbound, allow: [127.0.0.1]}\ncounters: %s\n", value);
	c = config_parse("postern.yaml", "postern.yaml", span_make(text, strlen(text)), &d);
	*error = d.first ? d.first->text : NULL;
	if (c == NULL && d.first)
		assert_true(d.first->line >= 5);
	return c;
}

static void
configuration(void **state)
{
	static const struct { const char *yaml, *error; } wrong[] = {
		{ "redis", "`counters` is `local`, redis://HOST" },
		{ "http://redis.example.org", "`counters` is `local`" },
		{ "redis://redis.example.org/one", "no number of a database" },
		{ "redis://redis.example.org:99999", "port" },
		{ "redis://a%zz@redis.example.org", "with %XX" },
		{ "redis+unix://sock", "whole path" },
		{ "{password_file: x}", "needs its `url`" },
		{ "{url: \"redis://r.example.org\", ca: ca.pem}", "for TLS" },
		{ "{url: \"redis://:x@r.example.org\", password_file: x}", "already" },
		{ "{url: \"redis://r.example.org\", timeout: 1m}", "between 10ms and 5s" },
		{ "{url: \"redis://r.example.org\", nods: 3}", "nods" },
		{ "{url: \"redis://r.example.org\", prefix: \"a b\"}", "`prefix` is a word" },
		{ "{url: \"redis://r.example.org\", share: 101}", "share" },
	};
	const char *e;
	struct config *c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		c = parse(wrong[i].yaml, &e);
		if (c || e == NULL || strstr(e, wrong[i].error) == NULL)
			fail_msg("%s: %s", wrong[i].yaml, e ? e : "no error");
	}
	assert_non_null(c = parse("local", &e));
	assert_false(c->counters.shared);
	config_free(&c);
	assert_non_null(c = parse("rediss://postern:p%40ss@redis.example.org/2", &e));
	assert_true(c->counters.shared && c->counters.tls && c->counters.database == 2 && c->counters.host.port == 6379);
	assert_true(span_is(c->counters.password, "p@ss") && span_is(c->counters.user, "postern"));
	assert_string_equal(c->counters.server, "rediss://redis.example.org/2");	/* what is shown has no password */
	assert_int_equal(c->counters.timeout, 250000);
	config_free(&c);
	assert_non_null(c = parse("\"redis+unix:///run/redis/redis.sock?db=3\"", &e));
	assert_string_equal(c->counters.socket, "/run/redis/redis.sock");
	assert_int_equal(c->counters.database, 3);
	config_free(&c);
	assert_non_null(c = parse("{url: \"redis://[2001:db8::1]:7000\", nodes: 3, share: 40, timeout: 100ms, prefix: mx}", &e));
	assert_true(c->counters.host.ip.family == 6 && c->counters.host.port == 7000 && c->counters.nodes == 3 &&
	    c->counters.share == 40 && span_is(c->counters.prefix, "mx"));
	config_free(&c);
}

static void
shares(void **state)
{
	struct limit_rule rules[3] = { { .unit = LIMIT_MESSAGES, .allow = 100 }, { .unit = LIMIT_MESSAGES, .allow = 1 },
		{ .unit = LIMIT_CONNECTIONS, .allow = 10 } };
	struct limit_rule *s = limits_share(rules, 3, 33, arena);

	assert_int_equal(s[0].allow, 33);
	assert_int_equal(s[1].allow, 1);	/* one at least */
	assert_int_equal(s[2].allow, 10);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_burst_and_a_rate), T(rules_together), T(locks), T(unique_recipients), T(exemptions), T(at_random),
		T(what_was_carried_out), T(merging), T(strangers), T(sizes),
		cmocka_unit_test(frames), cmocka_unit_test(configuration), cmocka_unit_test(shares),
	};

	return cmocka_run_group_tests(tests, begin_server, end_server);
}
