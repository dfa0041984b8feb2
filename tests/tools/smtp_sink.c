/* smtp_sink.c -- a receiving server that throws away what it gets, and looks at it as little as it can.
 *
 *	smtp_sink
 *
 * Postfix's smtp-sink reads a message byte by byte: 9 ms of processor for 1 MiB, more than a good relay takes, and
 * the relay would be measured waiting for it. This one says what smtp-sink says and looks for the end of DATA
 * with memmem. Prints `port N`, then the number of messages taken when it has risen, as smtp-sink -c does.
 * One thread, epoll. It trusts its clients: a line longer than its buffer ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_ 4096
#define TELL_MS 5		/* how often the number is printed at most */

struct client {
	int fd;
	bool data;
	size_t kept;		/* of a line, or of what may be the beginning of the end */
	char keep[LINE_MAX_];
};

static int ep;
static unsigned long taken, told;

__attribute__((noreturn))
static void
fail(const char *what)
{
	fprintf(stderr, "smtp_sink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
end(struct client *c)
{
	close(c->fd);
	free(c);
}

/* A command's answer; 0: the client goes. */
static const char *
answer(struct client *c, const char *line)
{
	if (strncasecmp(line, "EHLO", 4) == 0)
		return "250-sink.lab\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
	if (strncasecmp(line, "DATA", 4) == 0) {
		c->data = true;
		return "354 End data with <CR><LF>.<CR><LF>\r\n";
	}
	if (strncasecmp(line, "QUIT", 4) == 0)
		return NULL;
	return "250 2.0.0 Ok\r\n";
}

/* What came, in a buffer that begins with what was kept. -1: the client has gone. */
static int
take(struct client *c, char *p, size_t n)
{
	char out[4096];
	size_t nout = 0;
	bool gone = false;

	while (n > 0 && !gone) {
		const char *say, *stop;

		if (c->data) {
			/* The line end before the dot may be DATA's own: an empty message. */
			stop = memmem(p, n, "\r\n.\r\n", 5);
			if (stop == NULL) {
				size_t keep = n < 4 ? n : 4;

				p += n - keep;
				n = keep;
				break;
			}
			n -= (size_t)(stop + 5 - p);
			p += stop + 5 - p;
			c->data = false;
			taken++;
			say = "250 2.0.0 Ok\r\n";
		} else {
			stop = memchr(p, '\n', n);
			if (stop == NULL)
				break;
			say = answer(c, p);
			gone = say == NULL;
			if (gone)
				say = "221 2.0.0 Bye\r\n";
			n -= (size_t)(stop + 1 - p);
			p += stop + 1 - p;
		}
		if (nout + strlen(say) > sizeof(out))
			fail("too many commands at once");
		memcpy(out + nout, say, strlen(say));
		nout += strlen(say);
	}
	if (nout > 0 && send(c->fd, out, nout, MSG_NOSIGNAL) != (ssize_t)nout)
		return -1;
	if (n > sizeof(c->keep))
		fail("a line is too long");
	memcpy(c->keep, p, n);
	c->kept = n;
	return gone ? -1 : 0;
}

static void
greet(int listener)
{
	struct client *c = calloc(1, sizeof(*c));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	static const char hello[] = "220 sink.lab ESMTP\r\n";
	int on = 1;

	if (c == NULL)
		fail("memory");
	c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd == -1) {
		free(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) == -1 || send(c->fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) == -1)
		end(c);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
tell(bool always)
{
	static int64_t last;

	if (taken == told || (!always && now_ms() - last < TELL_MS))
		return;
	last = now_ms();
	told = taken;
	printf("%lu\n", taken);
	fflush(stdout);
}

int
main(void)
{
	static char buffer[LINE_MAX_ + (256 << 10)];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event events[256], e = { .events = EPOLLIN };
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (listener == -1 || ep == -1 || bind(listener, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(listener, 512) == -1 || getsockname(listener, (struct sockaddr *)&a, &len) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e) == -1)
		fail("starting");
	printf("port %u\n", ntohs(a.sin_port));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, events, sizeof(events) / sizeof(events[0]), taken == told ? -1 : TELL_MS);

		if (n == -1 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			ssize_t got;

			if (c == NULL) {
				greet(listener);
				continue;
			}
			memcpy(buffer, c->keep, c->kept);
			got = recv(c->fd, buffer + c->kept, sizeof(buffer) - c->kept, 0);
			if (got == -1 && errno == EAGAIN)
				continue;
			if (got <= 0 || take(c, buffer, c->kept + (size_t)got) == -1)
				end(c);
		}
		tell(n == 0);
	}
}
