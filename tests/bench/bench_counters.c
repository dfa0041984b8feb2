/* bench_counters.c -- what one decision costs: in this node's memory, and in Redis.
 *
 *	build/bench/bench_counters [DECISIONS]
 *
 * A redis-server of its own on a socket. A decision is three rules of one sender (hour, day, his domain), as a
 * receiver asks at DATA: with one question under way at a time (latency), and with 64 (pipelined, as
 * the role `counters` asks under load). CPU of both sides is their own, from getrusage and /proc.
 */
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "counters/ask.h"
#include "receiver/limits_shared.h"

#define SEC INT64_C(1000000)
#define SENDERS 1000
#define DEPTH 64
#define MEMORY ((size_t)8 << 20)

static const struct limit_rule rules[] = {
	{ .id = { "hour", 4 }, .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 1000000, .window = 3600 * SEC,
	    .then = OUTCOME_DEFER },
	{ .id = { "day", 3 }, .per = LIMIT_SENDER, .unit = LIMIT_MESSAGES, .allow = 10000000, .window = 86400 * SEC,
	    .then = OUTCOME_DEFER },
	{ .id = { "domain", 6 }, .per = LIMIT_SENDER_DOMAIN, .unit = LIMIT_MESSAGES, .allow = 10000000,
	    .window = 86400 * SEC, .then = OUTCOME_DEFER },
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

static struct call call;
static uint64_t seq;

static double
own_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double
cpu_of(pid_t pid)
{
	char path[64], line[512], *p;
	unsigned long u = 0, s = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')')) != NULL)
		sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s);
	fclose(f);
	return (double)(u + s) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static void
who_is(size_t i, char sender[64], struct limits_who *who)
{
	int n = snprintf(sender, 64, "user%zu@department%zu.example.org", i % SENDERS, i % 10);
	char *at = strchr(sender, '@');

	*who = (struct limits_who){ .sender = span_make(sender, (size_t)n), .real = SEC };
	who->sender_domain = span_make(at + 1, (size_t)(sender + n - at - 1));
}

static void
push(redisContext *c, size_t i, struct arena *a)
{
	struct limits_items it = { .n = 0 };
	struct msg_count_ask ask = { .items = it.v };
	const char *p[CALL_WORDS];
	const struct span *argv;
	size_t n, len[CALL_WORDS];
	struct limits_who who;
	char sender[64];

	who_is(i, sender, &who);
	arena_reset(a);
	limits_items_take(rules, RULES, LIMIT_MESSAGES, &who, 1, 0, a, &it);
	ask.nitems = it.n;
	call_begin(&call, SPAN_LIT("bench:1"), 1, ++seq, 0);
	ask_write(&call, &ask);
	n = call_argv(&call, SCRIPT_DECIDE, false, &argv);
	for (size_t k = 0; k < n; k++) {
		p[k] = argv[k].p ? argv[k].p : "";
		len[k] = argv[k].n;
	}
	redisAppendCommandArgv(c, (int)n, p, len);
}

static void
pull(redisContext *c)
{
	struct msg_count_told told = { 0 };
	redisReply *r = NULL;

	if (redisGetReply(c, (void **)&r) != REDIS_OK || r == NULL || !ask_read(r, RULES, &told) || told.groups[0].hit) {
		fprintf(stderr, "bench_counters: %s\n", r && r->str ? r->str : c->errstr);
		exit(1);
	}
	freeReplyObject(r);
}

static int
by_size(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return (a > b) - (a < b);
}

static void
say(const char *what, size_t n, int64_t took, double own, double redis)
{
	printf("%-34s %9.0f a second, CPU of one: %6.2f us here, %6.2f us in Redis\n", what,
	    (double)n * 1e6 / (double)took, own / (double)n, redis / (double)n);
}

int
main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 50000;
	char folder[] = "/tmp/postern-bench-counters-XXXXXX", path[64], rm[96];
	int64_t *took = calloc(n, sizeof(*took)), t;
	struct arena *a = arena_new(0);
	redisContext *c = NULL;
	struct limits_table *table;
	double own, theirs;
	void *memory;
	pid_t pid;

	if (mkdtemp(folder) == NULL || took == NULL || n == 0)
		return 1;
	snprintf(path, sizeof(path), "%s/sock", folder);
	if ((pid = fork()) == 0) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder,
		    "--logfile", "log", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && (c == NULL || c->err); i++) {
		usleep(10000);
		redisFree(c);
		c = redisConnectUnix(path);
	}
	if (c == NULL || c->err) {
		fprintf(stderr, "bench_counters: redis-server does not answer\n");
		return 1;
	}
	call_init(&call, SPAN_LIT("bench"));
	freeReplyObject(redisCommand(c, "SCRIPT LOAD %b", script_text(SCRIPT_DECIDE).p, script_text(SCRIPT_DECIDE).n));

	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	table = limits_attach(memory, MEMORY, clock_mono());
	own = own_cpu();
	t = clock_mono();
	for (size_t i = 0; i < n; i++) {
		struct limits_who who;
		struct limits_hit hit;
		char sender[64];

		who_is(i, sender, &who);
		limits_take(table, rules, RULES, LIMIT_MESSAGES, &who, 1, clock_mono(), &hit);
	}
	say("local, three rules", n, clock_mono() - t, own_cpu() - own, 0);

	own = own_cpu();
	theirs = cpu_of(pid);
	t = clock_mono();
	for (size_t i = 0; i < n; i++) {
		int64_t begin = clock_mono();

		push(c, i, a);
		pull(c);
		took[i] = clock_mono() - begin;
	}
	say("Redis, one at a time", n, clock_mono() - t, own_cpu() - own, cpu_of(pid) - theirs);
	qsort(took, n, sizeof(*took), by_size);
	printf("%-34s p50 %lld us, p99 %lld us, p99.9 %lld us\n", "", (long long)took[n / 2], (long long)took[n * 99 / 100],
	    (long long)took[n * 999 / 1000]);

	own = own_cpu();
	theirs = cpu_of(pid);
	t = clock_mono();
	for (size_t i = 0; i < n + DEPTH; i++) {
		if (i >= DEPTH)
			pull(c);
		if (i < n)
			push(c, i, a);
	}
	say("Redis, 64 under way", n, clock_mono() - t, own_cpu() - own, cpu_of(pid) - theirs);

	redisFree(c);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	snprintf(rm, sizeof(rm), "rm -r %s", folder);
	return system(rm);
}
