/* bench_spool.c -- the spool beside the bare disk, replay, memory, the schedule.
 *
 *	bench_spool [-d FOLDER] [-m MESSAGES] [-s SECONDS] [-R] [-a]
 *
 * -a: accepting alone. Durable messages a second against a bare loop of append + fdatasync on the
 * same disk in the same run, batch by batch in turn (-R: files of segments are not used again, as
 * it was before version 3 of the spool); then
 * start-up time and memory of the whole queue role with 100,000 and MESSAGES
 * (1,000,000) messages; then the cost of scheduling with few and many jobs.
 */
#include <event2/event.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "queue/queue.h"
#include "spool_test.h"

#define BODY 4096

static char body[BODY];
static struct id_source ids = { .slot = 1 };
static const char *folder = "/var/tmp";

static double
seconds_since(int64_t t)
{
	return (double)(clock_mono() - t) / US_PER_SEC;
}

static void
fresh(struct user *u, const char *name)
{
	setenv("TMPDIR", folder, 1);
	user_fresh(u, name);
}

/* ---- accepting ---- */

/* In life a delivery process and the store hold each segment too, and let go of it after the queue.
 * A child stands for them. */
static void
holder(int sock)
{
	int fds[1024];
	uint32_t number;

	memset(fds, -1, sizeof(fds));
	for (;;) {
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = { &number, sizeof(number) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			.msg_controllen = sizeof(control) };
		struct cmsghdr *c;

		if (recvmsg(sock, &msg, 0) <= 0)
			_exit(0);
		c = CMSG_FIRSTHDR(&msg);
		if (c != NULL)
			memcpy(&fds[number % 1024], CMSG_DATA(c), sizeof(int));
		else
			close(fds[number % 1024]);
	}
}

static void
tell_holder(void *to, uint32_t number, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &number, sizeof(number) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd != -1) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	ASSERT(sendmsg(*(int *)to, &msg, 0) == (ssize_t)sizeof(number));
}

/* How long batches took: tenths of milliseconds, the last one and above. */
struct latency {
	uint32_t slot[5000];
	uint64_t n;
	double worst;
};

static void
latency_add(struct latency *l, double seconds)
{
	size_t i = (size_t)(seconds * 1e4);

	l->slot[i < 5000 ? i : 4999]++;
	l->n++;
	l->worst = seconds > l->worst ? seconds : l->worst;
}

/* In milliseconds. */
static double
latency_at(const struct latency *l, double part)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < 5000; i++)
		if ((double)(sum += l->slot[i]) >= part * (double)l->n)
			return (double)(i + 1) / 10;
	return 500;
}

static bool reuse = true;

struct contest {
	struct latency bare_took, spool_took;
	int64_t freed;
	size_t batch, n;	/* n: messages each side has stored */
	double bare, spool;	/* seconds */
	struct user u;
	struct user_item **items;
	struct arena *a;
	char *bytes;
	int fd;
	off_t at;
};

static void
bare_batch(struct contest *c)
{
	int64_t begun = clock_mono();
	size_t n = c->batch * BODY;

	ASSERT(pwrite(c->fd, c->bytes, n, c->at) == (ssize_t)n);
	ASSERT(fdatasync(c->fd) == 0);
	c->at += (off_t)n;
	c->bare += seconds_since(begun);
	latency_add(&c->bare_took, seconds_since(begun));
}

/* As in life: each message is done some time later, and segments go when all in them are. */
static void
spool_batch(struct contest *c)
{
	int64_t begun = clock_mono();
	struct err err;

	arena_reset(c->a);
	for (size_t i = 0; i < c->batch; i++) {
		if (c->items[i] != NULL)
			spool_finish(c->u.sp, &c->items[i]->item);
		c->items[i] = user_append(&c->u, id_new(&ids, clock_real()),
		    span_make(body, BODY), c->a, &err);
		ASSERT(c->items[i] != NULL);
	}
	ASSERT(spool_sync(c->u.sp, &err) == 0);
	if (clock_mono() - c->freed > 50000) {		/* as the role's idle turns do */
		(void)spool_free(c->u.sp);
		c->freed = clock_mono();
	}
	c->spool += seconds_since(begun);
	latency_add(&c->spool_took, seconds_since(begun));
}

/* Batch by batch in turn, so that whatever else the disk does hits both alike. */
static void
contest(size_t batch, double seconds)
{
	static struct contest c;
	char path[300];
	int pair[2];

	memset(&c, 0, sizeof(c));
	c.batch = batch;
	snprintf(path, sizeof(path), "%s/postern-bare-%d", folder, (int)getpid());
	c.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	c.bytes = malloc(batch * BODY);
	c.items = calloc(batch, sizeof(struct user_item *));
	c.a = arena_new(1 << 16);
	ASSERT(c.fd >= 0 && c.bytes != NULL && c.items != NULL);
	memset(c.bytes, 'x', batch * BODY);
	fresh(&c.u, "bench");
	spool_set_reuse(c.u.sp, reuse);
	ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	if (fork() == 0) {
		close(pair[0]);
		holder(pair[1]);
	}
	close(pair[1]);
	c.u.announce = tell_holder;
	c.u.to = &pair[0];
	while (c.bare + c.spool < seconds) {
		bare_batch(&c);
		spool_batch(&c);
		c.n += batch;
	}
	printf("%8zu %14.0f %14.0f %7.0f%%   %5.1f %5.1f %6.1f   %5.1f %5.1f %6.1f\n", batch,
	    (double)c.n / c.bare, (double)c.n / c.spool, 100 * c.bare / c.spool,
	    latency_at(&c.bare_took, 0.5), latency_at(&c.bare_took, 0.99), c.bare_took.worst * 1e3,
	    latency_at(&c.spool_took, 0.5), latency_at(&c.spool_took, 0.99), c.spool_took.worst * 1e3);
	user_close(&c.u);
	folder_remove(c.u.path);
	close(pair[0]);
	(void)wait(NULL);
	close(c.fd);
	unlink(path);
	free(c.bytes);
	free(c.items);
	arena_free(&c.a);
}

static void
accepting(double seconds)
{
	printf("accepting %d-byte messages, durable (messages/s)\n", BODY);
	printf("%8s %14s %14s %8s   %20s %20s\n", "batch", "append+sync", "spool", "ratio",
	    "ms p50, p99, worst", "of the spool");
	contest(1, seconds);
	contest(16, seconds);
	contest(64, seconds);
}

/* ---- starting up ---- */

static void
fill(struct user *u, size_t n, size_t bytes)
{
	struct arena *a = arena_new(1 << 16);
	struct err err;

	for (size_t i = 0; i < n; i++) {
		struct user_item *x = calloc(1, sizeof(*x));
		char to[64], from[64];
		struct recipient rcpt;
		struct msg_decision dec = { .outcome = OUTCOME_DELIVER };
		struct stored m = { .env = { .id = id_new(&ids, clock_real()),
			.direction = DIRECTION_OUTBOUND, .helo = SPAN_LIT("exch1.example.org"),
			.received = clock_real(), .recipients = &rcpt, .nrecipients = 1 },
			.decisions = &dec, .ndecisions = 1 };
		struct payload p;

		ASSERT(x != NULL);
		snprintf(to, sizeof(to), "user%zu@site%zu.example.net", i, i % 1000);
		snprintf(from, sizeof(from), "person%zu@example.org", i % 5000);
		rcpt = (struct recipient){ .address = span_str(to) };
		m.env.sender = span_str(from);
		payload_from_span(&p, span_make(body, bytes), a);
		ASSERT(spool_append(u->sp, &x->item, &m, SPAN_LIT("{\"v\":1,\"id\":null}"), &p,
		    &err) == 0);
		if (spool_batched(u->sp) >= SPOOL_BATCH_MAX) {
			ASSERT(spool_sync(u->sp, &err) == 0);
			arena_reset(a);
		}
		/* Every third was tried once and put off. */
		if (i % 3 == 2 && x->item.state == ITEM_LIVE)
			user_state(u, x, 1);
	}
	ASSERT(spool_sync(u->sp, &err) == 0);
	arena_free(&a);
}

static uint64_t
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, rss = 0;

	ASSERT(f != NULL && fscanf(f, "%lu %lu", &size, &rss) == 2);
	fclose(f);
	return (uint64_t)rss * 4096;
}

/* ---- acts on many, and how long they hold up the loop ---- */

/* One that is let in at a random moment waits for the longest turn at most. */
static void
act_on_all(struct runtime *rt, const char *verb, const char *more)
{
	static char answer[1 << 20];
	char request[256];
	int fd[2];
	int64_t begun = clock_mono(), last, worst = 0;
	struct pollfd p;
	ssize_t n;

	ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	snprintf(request, sizeof(request), "{\"cmd\":\"queue.%s\"%s}", verb, more);
	last = clock_mono();
	queue_ops.client(rt, fd[0], 0, span_str(request));
	p = (struct pollfd){ fd[1], POLLIN, 0 };
	/* A message that comes in at the worst moment waits for one turn of this loop. */
	while (poll(&p, 1, 0) == 0) {
		worst = clock_mono() - last > worst ? clock_mono() - last : worst;
		last = clock_mono();
		event_base_loop(rt->base, EVLOOP_ONCE);
	}
	worst = clock_mono() - last > worst ? clock_mono() - last : worst;
	n = read(fd[1], answer, sizeof(answer) - 1);
	ASSERT(n > 0);
	answer[n] = '\0';
	close(fd[1]);
	if (strchr(answer, '\n'))
		strchr(answer, '\n')[n > 90 ? 0 : 1] = '\0';
	printf("%8s %-44s %6.2f s   longest turn %5.1f ms   %.90s%s", verb, more[0] ? more + 1 : "",
	    seconds_since(begun), (double)worst / 1000, answer, strchr(answer, '\n') ? "" : "\n");
}

/* What people ask of a queue with very many messages. */
static void
looks(struct runtime *rt, size_t n)
{
	printf("\nlooking at %zu messages\n", n);
	act_on_all(rt, "summary", "");
	act_on_all(rt, "list", ",\"by\":\"site\",\"limit\":3");
	act_on_all(rt, "list", ",\"by\":\"sender\",\"limit\":3");
	act_on_all(rt, "list", ",\"by\":\"reason\",\"limit\":3");
	act_on_all(rt, "show", ",\"selector\":\"to=nobody@example.net\"");
	act_on_all(rt, "retry", ",\"selector\":\"reason=connect\",\"count\":true");
}

#define ALL ",\"selector\":\"all\""

static void
acts(struct runtime *rt)
{
	printf("\nacts on 100000 messages\n");
	act_on_all(rt, "retry", ALL);
	act_on_all(rt, "hold", ALL);
	printf("         events for the journal, one for each message, that say who held it: %zu\n",
	    queue_events_waiting(rt->state));
	act_on_all(rt, "release", ALL);
	act_on_all(rt, "reroute", ALL ",\"to\":\"relay.example.net:25\"");
	act_on_all(rt, "drain", ALL ",\"to\":\"192.0.2.1:25\"");
	act_on_all(rt, "fail", ALL ",\"silent\":true");
}

static void
start_up(size_t n, bool then_act)
{
	static const int64_t curve[] = { 60 * US_PER_SEC, 300 * US_PER_SEC };
	struct config conf = { .hostname = SPAN_LIT("gw1.example.org"),
		.delivery = { .retry = { { curve, 2 } }, .delay_notice = 4 * 3600 * US_PER_SEC,
		.expire = 5 * 86400 * US_PER_SEC, .site_connections = 20 } };
	struct runtime rt = { .role = ROLE_QUEUE, .conf = &conf };
	struct user u;
	struct err err;
	struct mallinfo2 before, after;
	struct spool_stats st;
	uint64_t rss;
	int64_t begun;
	double t;

	fresh(&u, "bench");
	fill(&u, n, BODY);
	user_close(&u);
	malloc_trim(0);
	conf.spool = u.path;
	rt.base = event_base_new();
	log_level(LOG_LVL_ERROR);
	rss = resident();
	before = mallinfo2();
	begun = clock_mono();
	if (queue_ops.run(&rt, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	t = seconds_since(begun);
	after = mallinfo2();
	spool_stats(((struct queue *)rt.state)->sp, &st);
	printf("%10zu %9.2f s %9.1f GiB %14.0f %14.0f\n", n, t,
	    (double)st.bytes / (1 << 30),
	    (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / (double)n,
	    (double)(resident() - rss) / (double)n);
	if (then_act)
		acts(&rt);
	else if (n > 100000)
		looks(&rt, n);
	/* The role's memory is left to the end of the process: one figure, one process. */
	folder_remove(u.path);
}

/* ---- the schedule ---- */

static double
schedule_cost(size_t n)
{
	static const int64_t curve[] = { 60 * US_PER_SEC, 300 * US_PER_SEC };
	struct schedule_conf conf = { .retry = { { curve, 2 } }, .window = 40, .total = 10000 };
	int64_t now = INT64_C(1795000000) * US_PER_SEC, begun;
	struct schedule *s = schedule_new(&conf, now);
	struct job *jobs = calloc(n, sizeof(*jobs)), *j;
	size_t ops = 0;
	char site[32];

	ASSERT(jobs != NULL);
	for (size_t i = 0; i < n; i++) {
		snprintf(site, sizeof(site), "site%zu.example", i % 1000);
		schedule_add(s, &jobs[i], span_str(site), now + (int64_t)(i % 600) * US_PER_SEC);
	}
	begun = clock_mono();
	/* As much is due in a second with few as with many, so that the cost of a step is
	 * compared, not the number of steps. */
	while (ops < 1000000) {
		now += 1000 * (int64_t)(600000000 / n / 1000 + 1);
		schedule_advance(s, now);
		while ((j = schedule_take(s)) != NULL) {
			struct span name = schedule_job_site(j);

			ASSERT(name.n < sizeof(site));
			memcpy(site, name.p, name.n);
			schedule_done(s, j, FAIL_NONE);
			schedule_add(s, j, span_make(site, name.n), now + 600 * US_PER_SEC);
			ops++;
		}
	}
	begun = clock_mono() - begun;
	schedule_free(&s);
	free(jobs);
	return (double)begun * 1000 / (double)ops;
}

/* A sender with 100,000 jobs, to one site or to as many sites: how many of his go out before what
 * another sends? */
static int
fair_share(bool one_site)
{
	static const int64_t curve[] = { 60 * US_PER_SEC };
	enum { BULK = 100000 };
	struct schedule_conf conf = { .retry = { { curve, 1 } }, .window = 40, .total = 10000 };
	struct schedule *s = schedule_new(&conf, 0);
	struct job *bulk = calloc(BULK, sizeof(*bulk)), other = { .share = 2 }, *j;
	char site[32];
	int before = 0;

	ASSERT(bulk != NULL);
	for (int i = 0; i < BULK; i++) {
		bulk[i].share = 1;
		snprintf(site, sizeof(site), "site%d.example", one_site ? 0 : i);
		schedule_add(s, &bulk[i], span_str(site), 0);
	}
	schedule_add(s, &other, SPAN_LIT("site0.example"), 0);
	for (; (j = schedule_take(s)) != &other; before++) {
		ASSERT(j != NULL);
		schedule_done(s, j, FAIL_NONE);
	}
	schedule_return(s, &other);
	schedule_free(&s);
	free(bulk);
	return before;
}

int
main(int argc, char **argv)
{
	size_t messages = 1000000;
	double seconds = 4, few = 0, many = 0;
	bool alone = false;
	int c;

	while ((c = getopt(argc, argv, "d:m:s:Ra")) != -1)
		switch (c) {
		case 'd':
			folder = optarg;
			break;
		case 'm':
			messages = strtoul(optarg, NULL, 10);
			break;
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		case 'a':
			alone = true;
			break;
		case 'R':
			reuse = false;
			break;
		default:
			fprintf(stderr, "usage: bench_spool [-d folder] [-m messages] [-s seconds] [-R] [-a]\n");
			return 2;
		}
	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(body, 'x', sizeof(body));
	accepting(seconds);
	if (alone)
		return 0;
	/* In turns, the best of each: whatever else runs makes it slower only. */
	for (int i = 0; i < 5; i++) {
		double a = schedule_cost(10000), b = schedule_cost(1000000);

		few = i == 0 || a < few ? a : few;
		many = i == 0 || b < many ? b : many;
	}
	printf("\nscheduling: a job taken, done and put off (ns)\n");
	printf("%10d jobs %8.0f\n%10d jobs %8.0f   %.2f times\n", 10000, few, 1000000, many,
	    many / few);
	printf("\none sender with 100000 messages: another's goes out after %d of his to one site, %d of his "
	    "to 100000 sites\n", fair_share(true), fair_share(false));
	printf("\nstarting the queue with messages waiting\n");
	printf("%10s %11s %13s %14s %14s\n", "messages", "start-up", "segments", "heap B/msg", "RSS B/msg");
	start_up(100000, false);
	if (messages > 0)
		start_up(messages, false);
	start_up(100000, true);
	return 0;
}
