/* smtp_load.c -- gives a mail server work: different messages, flat out or at a rate, and times the answers.
 *
 *	smtp_load [-s sessions] [-m messages] [-l bytes] [-k mixed|text] [-r rate] [-R] [-N] [-f from] [-t to] PORT
 *
 * For what smtp-source cannot do: each message differs from all others (tests/load_messages.h), attachments
 * recur (-R), messages come at a fixed rate (-r, a second), and the time from the final dot to its 250 is
 * kept for each. As smtp-source it waits for each reply before the next command. -N: a connection for each
 * message. One thread, epoll, all messages made before the clock starts.
 *
 * At a rate all sessions are open first; a message is due at its time, and sent by the first session
 * that is idle then. `late` counts those that had to wait more than 10 ms for one: with many of them the
 * server did not keep up, and the latencies are of another, lower rate.
 *
 * Prints one object of JSON, times in microseconds. Anything but the reply that belongs there ends it with status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "load_messages.h"

#define NS INT64_C(1000000000)
#define LATE_NS (10 * NS / 1000)

/* What was said last; the reply to it decides what is said next. */
enum state { BANNER, EHLO, IDLE, MAIL, RCPT, DATA, DOT, QUIT, STATES };
static const char expected[STATES] = { [BANNER] = '2', [EHLO] = '2', [MAIL] = '2', [RCPT] = '2', [DATA] = '3',
	[DOT] = '2', [QUIT] = '2' };

struct session {
	int fd;
	enum state state;
	char in[4096];
	size_t nin;
	struct iovec iov[LOAD_IOV], *next;
	int niov;
	bool blocked;
	char serial[LOAD_SERIAL];
	int64_t dot;
	struct session *idle;		/* the next that is */
};

static struct {
	int sessions;
	uint64_t messages;
	size_t size;
	bool mixed, recur, anew;
	double rate;
	const char *from, *to;
	int port;
} opt = { .sessions = 20, .messages = 1000, .size = 4096, .mixed = true, .from = "a@example.lab", .to = "b@partner.lab" };

static struct load_template *templates;
static struct session *idle;
static uint64_t start_number, connections, begun, done, late;
static int64_t *latency, clock_start;
static int ep, timer;
static bool clock_runs;

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

__attribute__((noreturn))
static void
fail(const char *what)
{
	fprintf(stderr, "smtp_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
watch(struct session *s, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_ctl(ep, op, s->fd, &e) == -1)
		fail("epoll_ctl");
}

static void
connect_session(struct session *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd == -1)
		fail("socket");
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(s->fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno != EINPROGRESS)
		fail("connect");
	connections++;
	s->state = BANNER;
	s->nin = 0;
	watch(s, EPOLL_CTL_ADD, EPOLLIN);
}

static void
say(struct session *s, enum state state, const char *text)
{
	s->state = state;
	if (send(s->fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		fail("sending a command");
}

/* Sends what the socket takes; the rest when it is writable. */
static void
push(struct session *s)
{
	while (s->niov > 0) {
		ssize_t n;

		s->dot = now();		/* before it: the answer may be here when writev returns */
		n = writev(s->fd, s->next, s->niov);
		if (n == -1 && errno == EAGAIN) {
			if (!s->blocked)
				watch(s, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			s->blocked = true;
			return;
		}
		if (n == -1)
			fail("sending a message");
		while (s->niov > 0 && (size_t)n >= s->next->iov_len) {
			n -= (ssize_t)s->next->iov_len;
			s->next++;
			s->niov--;
		}
		if (s->niov > 0) {
			s->next->iov_base = (char *)s->next->iov_base + n;
			s->next->iov_len -= (size_t)n;
		}
	}
	if (s->blocked)
		watch(s, EPOLL_CTL_MOD, EPOLLIN);
	s->blocked = false;
}

static void
begin_message(struct session *s)
{
	static char line[300];

	if (*line == '\0')
		snprintf(line, sizeof(line), "MAIL FROM:<%s>\r\n", opt.from);
	s->niov = load_message(templates, opt.recur, start_number, begun++, s->serial, s->iov);
	s->next = s->iov;
	say(s, MAIL, line);
}

/* A rate: the due ones, as far as there are idle sessions; then the timer for the next. */
static void
begin_due(void)
{
	int64_t at = now();

	while (begun < opt.messages) {
		int64_t due = clock_start + (int64_t)((double)begun * (double)NS / opt.rate);
		struct itimerspec t = { .it_value = { due / NS, due % NS } };
		struct session *s = idle;

		if (due > at) {
			timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
			return;
		}
		if (s == NULL)
			return;		/* the first that becomes idle comes here */
		late += at - due > LATE_NS;
		idle = s->idle;
		begin_message(s);
	}
}

static void
ready(struct session *s)
{
	s->state = IDLE;
	if (opt.rate > 0) {
		s->idle = idle;
		idle = s;
		if (clock_runs)
			begin_due();
	} else if (begun < opt.messages)
		begin_message(s);
}

static void
answered(struct session *s)
{
	static char rcpt[300];

	if (*rcpt == '\0')
		snprintf(rcpt, sizeof(rcpt), "RCPT TO:<%s>\r\n", opt.to);
	switch (s->state) {
	case BANNER:
		say(s, EHLO, "EHLO client.example.lab\r\n");
		break;
	case EHLO:
		ready(s);
		break;
	case MAIL:
		say(s, RCPT, rcpt);
		break;
	case RCPT:
		say(s, DATA, "DATA\r\n");
		break;
	case DATA:
		s->state = DOT;
		push(s);
		break;
	case DOT:
		latency[done++] = now() - s->dot;
		if (opt.anew)
			say(s, QUIT, "QUIT\r\n");
		else
			ready(s);
		break;
	case QUIT:
		close(s->fd);
		s->fd = -1;
		if (connections < opt.messages)
			connect_session(s);
		break;
	case IDLE:
	case STATES:
		break;
	}
}

static void
heard(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->nin, sizeof(s->in) - 1 - s->nin, 0);
	char *line;

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		fprintf(stderr, "smtp_load: the server hung up after %" PRIu64 " messages\n", done);
		exit(1);
	}
	s->nin += (size_t)n;
	s->in[s->nin] = '\0';
	if (s->in[s->nin - 1] != '\n')
		return;
	/* Commands are not pipelined: what ends with a last line is one reply. */
	for (line = s->in + s->nin - 1; line > s->in && line[-1] != '\n'; line--)
		;
	if (strlen(line) > 3 && line[3] == '-')
		return;
	if (s->in[0] != expected[s->state]) {
		fprintf(stderr, "smtp_load: after %" PRIu64 " messages: %s", done, s->in);
		exit(1);
	}
	s->nin = 0;
	answered(s);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double
percentile(double p)
{
	return (double)latency[(size_t)(p * (double)(done - 1))] / 1000;
}

/* How many took less than 64 us, 128 us, …, and in the end all others. */
static void
print_histogram(void)
{
	uint64_t i = 0;

	printf(", \"histogram\": [");
	for (int64_t bound = 64; bound <= 64 << 17; bound *= 2) {
		uint64_t first = i;

		while (i < done && latency[i] < bound * 1000)
			i++;
		printf("[%" PRId64 ", %" PRIu64 "], ", bound, i - first);
	}
	printf("[0, %" PRIu64 "]]", done - i);
}

static void
options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:m:l:k:r:RNf:t:")) != -1)
		switch (c) {
		case 's': opt.sessions = atoi(optarg); break;
		case 'm': opt.messages = strtoull(optarg, NULL, 10); break;
		case 'l': opt.size = strtoul(optarg, NULL, 10); break;
		case 'k': opt.mixed = strcmp(optarg, "text") != 0; break;
		case 'r': opt.rate = strtod(optarg, NULL); break;
		case 'R': opt.recur = true; break;
		case 'N': opt.anew = true; break;
		case 'f': opt.from = optarg; break;
		case 't': opt.to = optarg; break;
		default: optind = argc; break;
		}
	if (optind + 1 == argc)
		opt.port = atoi(argv[optind]);
	if (opt.port <= 0 || opt.sessions < 1 || opt.messages < 1 || opt.size < 1024 || (opt.anew && opt.rate > 0)) {
		fprintf(stderr, "usage: smtp_load [-s sessions] [-m messages] [-l bytes, 1024 at least] [-k mixed|text]\n"
		    "    [-r rate | -N] [-R] [-f from] [-t to] PORT\n");
		exit(2);
	}
	if ((uint64_t)opt.sessions > opt.messages)
		opt.sessions = (int)opt.messages;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256], e = { .events = EPOLLIN };
	struct session *sessions;
	struct rusage usage;
	double seconds;

	options(argc, argv);
	start_number = (uint64_t)now() ^ (uint64_t)getpid() << 40;
	templates = load_templates_make(opt.size, opt.mixed, opt.from, opt.to);
	sessions = calloc((size_t)opt.sessions, sizeof(*sessions));
	latency = calloc(opt.messages, sizeof(*latency));
	ep = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (sessions == NULL || latency == NULL || ep == -1 || timer == -1)
		fail("starting");
	if (epoll_ctl(ep, EPOLL_CTL_ADD, timer, &e) == -1)
		fail("epoll_ctl");
	clock_start = now();
	for (int i = 0; i < opt.sessions; i++)
		connect_session(&sessions[i]);
	while (done < opt.messages) {
		int n = epoll_wait(ep, events, sizeof(events) / sizeof(events[0]), -1);

		if (n == -1 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;
			uint64_t ticks;

			if (s == NULL) {
				if (read(timer, &ticks, sizeof(ticks)) > 0)
					begin_due();
				continue;
			}
			if (events[i].events & EPOLLOUT)
				push(s);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				heard(s);
		}
		if (opt.rate > 0 && !clock_runs) {
			int open = 0;

			for (struct session *s = idle; s != NULL; s = s->idle)
				open++;
			if (open == opt.sessions) {
				clock_runs = true;
				clock_start = now();
				begin_due();
			}
		}
	}
	seconds = (double)(now() - clock_start) / (double)NS;
	getrusage(RUSAGE_SELF, &usage);
	qsort(latency, done, sizeof(*latency), by_size);
	printf("{\"messages\": %" PRIu64 ", \"seconds\": %.6f, \"bytes\": %zu, \"cpu\": %.4f, \"late\": %" PRIu64 ", "
	    "\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f", done, seconds, templates[0].n,
	    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6, late,
	    percentile(0.5), percentile(0.99), percentile(0.999), percentile(1));
	print_histogram();
	printf("}\n");
	return 0;
}
