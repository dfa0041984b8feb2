/* test_schedule.c -- the schedule and its wheel, with a time that is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "queue/schedule.h"

#define SEC INT64_C(1000000)
#define START (INT64_C(1795000000) * SEC)

static const int64_t curve[] = { 60 * SEC, 300 * SEC, 900 * SEC };
static const struct schedule_conf conf = { .retry = { { curve, 3 } }, .window = 40,
	.total = 1000 };

/* A wheel against a sorted list: nothing early, nothing later than a tick, nothing lost. */
static void
wheel_random(void **state)
{
	enum { N = 5000 };
	struct wheel *w = malloc(sizeof(*w));
	struct wheel_node *nodes = calloc(N, sizeof(*nodes));
	uint64_t seed = 42;
	int64_t now = START;
	size_t fired = 0, removed = 0;

	wheel_init(w, now);
	for (int i = 0; i < N; i++) {
		int64_t span;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		span = (int64_t)(seed >> 33) % ((INT64_C(1) << (10 + i % 32)) + 1);
		wheel_add(w, &nodes[i], now + span);
	}
	for (int i = 0; i < N; i += 10) {
		wheel_remove(w, &nodes[i]);
		removed++;
	}
	while (w->n > 0) {
		int64_t next = wheel_next(w), last = now;
		struct wheel_node *n;

		assert_true(next != WHEEL_NEVER);
		now = next > now ? next : now;
		wheel_advance(w, now);
		while ((n = wheel_pop(w)) != NULL) {
			assert_true(n->when <= now);
			/* The time before was too early for it, but for the tick. */
			assert_true(n->when + WHEEL_TICK > last);
			fired++;
		}
	}
	assert_int_equal(fired + removed, N);
	assert_true(wheel_next(w) == WHEEL_NEVER);
	free(nodes);
	free(w);
}

/* All timers there are in one coarse slot: each call does a bounded piece, and says that there is
 * more; what is removed in between is gone, what is added keeps its time. */
static void
wheel_in_pieces(void **state)
{
	enum { N = 50000 };
	struct wheel *w = malloc(sizeof(*w));
	struct wheel_node *nodes = calloc(N + 1, sizeof(*nodes)), *n;
	int64_t far = START + INT64_C(5) * 86400 * SEC;
	size_t calls = 0, fired = 0;

	wheel_init(w, START);
	for (int i = 0; i < N; i++)
		wheel_add(w, &nodes[i], far + i);
	while (wheel_advance_some(w, far - 600 * SEC, 1000)) {
		assert_true(wheel_next(w) <= far - 600 * SEC);
		if (calls++ == 10) {
			wheel_remove(w, &nodes[0]);
			wheel_remove(w, &nodes[N - 1]);
			wheel_add(w, &nodes[N], far + SEC);
		}
	}
	assert_true(calls >= N / 1000 - 1);
	assert_null(wheel_pop(w));
	wheel_advance(w, far + SEC / 2);
	while ((n = wheel_pop(w)) != NULL) {
		assert_true(n->when <= far + SEC / 2);
		fired++;
	}
	assert_int_equal(fired, N - 2);
	wheel_advance(w, far + 2 * SEC);
	assert_ptr_equal(wheel_pop(w), &nodes[N]);
	assert_null(wheel_pop(w));
	free(nodes);
	free(w);
}

static void
wheel_leaps(void **state)
{
	struct wheel *w = malloc(sizeof(*w));
	struct wheel_node a = { 0 }, b = { 0 }, far = { 0 };

	wheel_init(w, START);
	wheel_add(w, &a, START + 5 * SEC);
	wheel_add(w, &b, START + 4 * 86400 * SEC);
	wheel_add(w, &far, START + 100 * 86400 * SEC);
	wheel_advance(w, START + 3 * 86400 * SEC);
	assert_ptr_equal(wheel_pop(w), &a);
	assert_null(wheel_pop(w));
	wheel_advance(w, START + 5 * 86400 * SEC);
	assert_ptr_equal(wheel_pop(w), &b);
	wheel_advance(w, START + 99 * 86400 * SEC);
	assert_null(wheel_pop(w));
	wheel_advance(w, START + 101 * 86400 * SEC);
	assert_ptr_equal(wheel_pop(w), &far);
	wheel_add(w, &a, START);	/* the past is due at once */
	assert_ptr_equal(wheel_pop(w), &a);
	free(w);
}

/* A site with thousands of jobs and one with a single job: the second waits for one turn. */
static void
fairness(void **state)
{
	enum { BULK = 5000 };
	struct schedule *s = schedule_new(&conf, START);
	struct job *bulk = calloc(BULK, sizeof(*bulk)), one = { 0 }, *j;
	int before = 0;

	for (int i = 0; i < BULK; i++)
		schedule_add(s, &bulk[i], SPAN_LIT("bulk.example"), 0);
	schedule_add(s, &one, SPAN_LIT("small.example"), 0);
	while ((j = schedule_take(s)) != &one) {
		assert_non_null(j);
		before++;
	}
	assert_int_equal(before, 1);
	/* The bulk site's window bounds what is out, and its jobs keep their order. */
	while ((j = schedule_take(s)) != NULL)
		before++;
	assert_int_equal(before, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(bulk[i].state, JOB_OUT);
	schedule_done(s, &bulk[0], FAIL_NONE);
	assert_int_equal(schedule_out(s), 5);	/* 4 and `one` */
	assert_ptr_equal(schedule_take(s), &bulk[5]);
	assert_ptr_equal(schedule_take(s), &bulk[6]);	/* success widened the window */
	assert_null(schedule_take(s));
	free(bulk);
	schedule_free(&s);
}

/* A dead site holds one job out, and no other site up. */
static void
dead_site(void **state)
{
	struct schedule *s = schedule_new(&conf, START);
	struct job dead[50] = { 0 }, live[50] = { 0 }, *j;
	struct site_info info;
	int64_t now = START;
	int n = 0;

	for (int i = 0; i < 50; i++)
		schedule_add(s, &dead[i], SPAN_LIT("dead.example"), 0);
	for (int i = 0; i < 5; i++)
		assert_non_null(schedule_take(s));
	assert_null(schedule_take(s));
	for (int i = 0; i < 5; i++)		/* together they are one failure */
		schedule_done(s, &dead[i], FAIL_CONNECT);
	assert_null(schedule_take(s));
	schedule_job_info(&dead[10], &info);
	assert_int_equal(info.failures, 1);
	assert_int_equal(info.rests_until, START + 60 * SEC);
	assert_true(schedule_next(s) <= START + 60 * SEC);
	for (int i = 0; i < 50; i++)
		schedule_add(s, &live[i], SPAN_LIT("live.example"), 0);
	while ((j = schedule_take(s)) != NULL) {
		assert_true(j >= live && j < live + 50);
		schedule_done(s, j, FAIL_NONE);
		n++;
	}
	assert_int_equal(n, 50);
	now += 61 * SEC;
	schedule_advance(s, now);
	j = schedule_take(s);
	assert_ptr_equal(j, &dead[5]);
	assert_null(schedule_take(s));		/* one probe */
	schedule_done(s, j, FAIL_CONNECT);
	schedule_job_info(&dead[10], &info);
	assert_int_equal(info.failures, 2);
	assert_int_equal(info.rests_until, now + 300 * SEC);
	now += 301 * SEC;
	schedule_advance(s, now);
	j = schedule_take(s);
	schedule_done(s, j, FAIL_NONE);		/* it is back */
	schedule_job_info(&dead[10], &info);
	assert_int_equal(info.failures, 0);
	assert_int_equal(info.window, 2);
	schedule_free(&s);
}

static void
push_back(void **state)
{
	struct schedule *s = schedule_new(&conf, START);
	struct job jobs[100] = { 0 }, *j;
	struct site_info info;

	for (int i = 0; i < 100; i++)
		schedule_add(s, &jobs[i], SPAN_LIT("busy.example"), 0);
	for (int i = 0; i < 35; i++) {
		j = schedule_take(s);
		schedule_done(s, j, FAIL_NONE);
	}
	schedule_job_info(&jobs[99], &info);
	assert_int_equal(info.window, 40);
	schedule_done(s, schedule_take(s), FAIL_SITE);
	schedule_job_info(&jobs[99], &info);
	assert_int_equal(info.window, 20);
	assert_int_equal(info.rests_until, 0);
	for (int i = 0; i < 5; i++)
		schedule_done(s, schedule_take(s), FAIL_SITE);
	schedule_job_info(&jobs[99], &info);
	assert_int_equal(info.window, 1);
	assert_int_equal(info.rests_until, START + 60 * SEC);
	schedule_free(&s);
}

static void
pause_costs_nothing(void **state)
{
	struct schedule *s = schedule_new(&conf, START);
	struct job a = { 0 }, b = { 0 };
	struct site_info info;

	schedule_add(s, &a, SPAN_LIT("x.example"), 0);
	schedule_add(s, &b, SPAN_LIT("x.example"), START + 10 * SEC);
	schedule_pause(s, SPAN_LIT("x.example"), true);
	assert_null(schedule_take(s));
	schedule_advance(s, START + 1000 * SEC);
	assert_null(schedule_take(s));
	schedule_job_info(&a, &info);
	assert_int_equal(info.ready, 2);
	assert_int_equal(info.failures, 0);
	schedule_pause(s, SPAN_LIT("x.example"), false);
	assert_ptr_equal(schedule_take(s), &a);
	assert_ptr_equal(schedule_take(s), &b);
	schedule_done(s, &a, FAIL_NONE);
	schedule_done(s, &b, FAIL_NONE);
	assert_int_equal(schedule_sites(s), 0);		/* nothing is kept of a site without jobs */
	schedule_pause(s, SPAN_LIT("y.example"), true);
	assert_int_equal(schedule_sites(s), 1);		/* but of a paused one */
	schedule_free(&s);
}

static void
given_back(void **state)
{
	struct schedule *s = schedule_new(&conf, START);
	struct job a = { 0 }, b = { 0 };

	schedule_add(s, &a, SPAN_LIT("x.example"), 0);
	schedule_add(s, &b, SPAN_LIT("x.example"), 0);
	assert_ptr_equal(schedule_take(s), &a);
	schedule_return(s, &a);
	assert_int_equal(schedule_out(s), 0);
	assert_ptr_equal(schedule_take(s), &a);		/* first again */
	schedule_postpone(s, &a, START + 60 * SEC);
	assert_ptr_equal(schedule_take(s), &b);
	assert_null(schedule_take(s));
	schedule_advance(s, START + 61 * SEC);
	assert_ptr_equal(schedule_take(s), &a);
	schedule_free(&s);
}

static void
retry_curve(void **state)
{
	struct schedule *s = schedule_new(&conf, START);

	assert_true(schedule_retry_at(s, RETRY_DEFAULT, 1) == START + 60 * SEC);
	assert_true(schedule_retry_at(s, RETRY_DEFAULT, 2) == START + 300 * SEC);
	assert_true(schedule_retry_at(s, RETRY_DEFAULT, 3) == START + 900 * SEC);
	assert_true(schedule_retry_at(s, RETRY_DEFAULT, 60000) == START + 900 * SEC);
	schedule_free(&s);
}

static void
total_bound(void **state)
{
	struct schedule_conf c = conf;
	struct schedule *s;
	struct job jobs[20] = { 0 };
	char name[32];

	c.total = 10;
	s = schedule_new(&c, START);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "s%d.example", i);
		schedule_add(s, &jobs[i], span_str(name), 0);
	}
	for (int i = 0; i < 10; i++)
		assert_ptr_equal(schedule_take(s), &jobs[i]);
	assert_null(schedule_take(s));
	schedule_done(s, &jobs[3], FAIL_NONE);
	assert_ptr_equal(schedule_take(s), &jobs[10]);
	schedule_free(&s);
}

static int64_t
half(void *ctx, int64_t span)
{
	return -span / 2;
}

static void
moves(void **state)
{
	struct schedule_conf c = conf;
	struct schedule *s;
	struct job a = { 0 };

	c.jitter = half;
	s = schedule_new(&c, START);
	assert_true(schedule_retry_at(s, RETRY_DEFAULT, 1) == START + 57 * SEC);
	schedule_add(s, &a, SPAN_LIT("x.example"), START + 60 * SEC);
	assert_null(schedule_take(s));
	schedule_hurry(s, &a);
	assert_int_equal(a.state, JOB_READY);
	schedule_move(s, &a, START + 30 * SEC);
	assert_null(schedule_take(s));
	assert_true(schedule_next(s) <= START + 30 * SEC);
	schedule_advance(s, START + 31 * SEC);
	assert_ptr_equal(schedule_take(s), &a);
	schedule_return(s, &a);
	schedule_remove(s, &a);
	assert_int_equal(a.state, JOB_IDLE);
	assert_int_equal(schedule_sites(s), 0);
	schedule_free(&s);
}

/* Ten thousand jobs of one sender, then a few of others: those go at once, in the order of each. */
static void
senders_in_turn(void **state)
{
	enum { BULK = 10000, FEW = 5 };
	struct schedule *s = schedule_new(&conf, START);
	struct job *bulk = calloc(BULK, sizeof(*bulk)), few[2][FEW], *j;
	size_t nbulk = 0, nfew[2] = { 0, 0 }, taken = 0;

	memset(few, 0, sizeof(few));
	for (int i = 0; i < BULK; i++) {
		bulk[i].share = 7;
		schedule_add(s, &bulk[i], SPAN_LIT("one.example"), START);
	}
	for (int i = 0; i < FEW; i++)
		for (int who = 0; who < 2; who++) {
			few[who][i].share = (uint8_t)(20 + who);
			schedule_add(s, &few[who][i], SPAN_LIT("one.example"), START);
		}
	/* A removed one leaves a lane that may be empty. */
	schedule_remove(s, &few[1][0]);
	while (nfew[0] < FEW || nfew[1] < FEW - 1) {
		j = schedule_take(s);
		assert_non_null(j);
		taken++;
		if (j->share == 7)
			assert_ptr_equal(j, &bulk[nbulk++]);
		else if (j->share == 20)
			assert_ptr_equal(j, &few[0][nfew[0]++]);
		else
			assert_ptr_equal(j, &few[1][1 + nfew[1]++]);
		schedule_done(s, j, FAIL_NONE);
	}
	assert_true(taken <= 3 * FEW);
	/* Nobody else waits: all of it is his. */
	while ((j = schedule_take(s)) != NULL) {
		assert_ptr_equal(j, &bulk[nbulk++]);
		schedule_done(s, j, FAIL_NONE);
	}
	assert_int_equal(nbulk, BULK);
	assert_int_equal(schedule_sites(s), 0);
	schedule_free(&s);
	free(bulk);
}

/* A newsletter to a hundred thousand sites at once: what another sends next goes next, wherever to,
 * and though the sites have nothing else to do. */
static void
many_sites_of_one_sender(void **state)
{
	enum { BULK = 100000 };
	struct schedule_conf c = conf;
	struct schedule *s;
	struct job *bulk = calloc(BULK, sizeof(*bulk)), other[2], *j;
	char name[40];
	int before[2] = { -1, -1 }, taken = 0;

	c.total = 2 * BULK;
	s = schedule_new(&c, START);
	memset(other, 0, sizeof(other));
	for (int i = 0; i < BULK; i++) {
		bulk[i].share = 7;
		snprintf(name, sizeof(name), "site%d.example", i);
		schedule_add(s, &bulk[i], span_str(name), START);
	}
	other[0].share = other[1].share = 9;
	schedule_add(s, &other[0], SPAN_LIT("new.example"), START);
	schedule_add(s, &other[1], SPAN_LIT("site99999.example"), START);	/* behind one of his */
	while ((j = schedule_take(s)) != NULL) {
		for (int i = 0; i < 2; i++)
			if (j == &other[i])
				before[i] = taken;
		taken++;
	}
	assert_int_equal(taken, BULK + 2);
	assert_in_range(before[0], 0, 2);
	assert_in_range(before[1], 0, 4);
	for (int i = 0; i < BULK; i++)
		schedule_done(s, &bulk[i], FAIL_NONE);
	for (int i = 0; i < 2; i++)
		schedule_done(s, &other[i], FAIL_NONE);
	assert_int_equal(schedule_sites(s), 0);
	schedule_free(&s);
	free(bulk);
}

/* A hundred senders at one site whose window holds five: all are served, each as often as the
 * others, whatever is done to their jobs in between. */
static void
crowd(void **state)
{
	enum { SENDERS = 50, EACH = 20 };
	struct schedule *s = schedule_new(&conf, START);
	static struct job jobs[SENDERS][EACH];
	struct job *out[5], *j;
	int served[SENDERS] = { 0 }, n = 0, total = 0;

	memset(jobs, 0, sizeof(jobs));
	for (int i = 0; i < SENDERS; i++)
		for (int k = 0; k < EACH; k++) {
			jobs[i][k].share = (uint8_t)i;
			schedule_add(s, &jobs[i][k], SPAN_LIT("one.example"), START);
		}
	schedule_remove(s, &jobs[3][0]);		/* of a lane in the ring */
	while ((j = schedule_take(s)) != NULL)
		out[n++] = j;
	assert_int_equal(n, 5);
	schedule_remove(s, &jobs[40][0]);		/* of one that is parked */
	schedule_return(s, out[4]);			/* first again */
	assert_ptr_equal(schedule_take(s), out[4]);
	for (int i = 0; total < SENDERS * 10; i = (i + 1) % 5) {
		served[out[i]->share]++;
		total++;
		/* The window neither grows nor shrinks: a failure of ours is nobody's. */
		schedule_done(s, out[i], FAIL_LOCAL);
		out[i] = schedule_take(s);
		assert_non_null(out[i]);
		assert_null(schedule_take(s));
	}
	for (int i = 0; i < SENDERS; i++)
		assert_in_range(served[i], 9, 11);
	schedule_free(&s);
}

/* A site rests by the curve of what went wrong with it. */
static void
rests_by_class(void **state)
{
	static const int64_t rate[] = { 7 * SEC }, dns[] = { 9 * SEC };
	struct schedule_conf c = conf;
	struct schedule *s;
	struct job jobs[3] = { 0 };
	struct site_info info;

	c.window = 1;
	c.retry[RETRY_RATE] = (struct retry_curve){ rate, 1 };
	c.retry[RETRY_DNS] = (struct retry_curve){ dns, 1 };
	s = schedule_new(&c, START);
	for (int i = 0; i < 3; i++) {
		static const enum fail_class cls[] = { FAIL_SITE, FAIL_DNS, FAIL_CONNECT };
		static const int64_t rest[] = { 7 * SEC, 9 * SEC, 60 * SEC };
		static const char *const name[] = { "a.example", "b.example", "c.example" };

		schedule_add(s, &jobs[i], span_str(name[i]), 0);
		assert_ptr_equal(schedule_take(s), &jobs[i]);
		schedule_done(s, &jobs[i], cls[i]);
		schedule_add(s, &jobs[i], span_str(name[i]), 0);
		schedule_job_info(&jobs[i], &info);
		assert_true(info.rests_until == START + rest[i]);
	}
	schedule_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wheel_random), cmocka_unit_test(wheel_leaps),
		cmocka_unit_test(wheel_in_pieces),
		cmocka_unit_test(fairness), cmocka_unit_test(dead_site),
		cmocka_unit_test(push_back), cmocka_unit_test(pause_costs_nothing),
		cmocka_unit_test(given_back), cmocka_unit_test(retry_curve),
		cmocka_unit_test(total_bound), cmocka_unit_test(senders_in_turn),
		cmocka_unit_test(moves), cmocka_unit_test(many_sites_of_one_sender),
		cmocka_unit_test(crowd), cmocka_unit_test(rests_by_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
