/* av_clamd.c -- clamd at the other end of a socket; see av_engine.h.
 *
 * One session (IDSESSION) for each message that needs one. Over a unix socket the bytes travel as a
 * sealed memfd (FILDES), else as a stream (INSTREAM), also where clamd may not
 * read what it was handed (AppArmor): then for good.
 *
 * A scanner's worker may make no connection. It asks its parent, which hands it one
 * (scanner.c); all that can be done with it is to talk to clamd.
 *
 * Everything that is not a plain answer in time is a failure: nobody
 * there, a connection that ends, an ERROR, another word than is known, too slow. What clamd
 * refuses for its size, and what is larger than it is sent (antivirus.max_size), is unscannable. clamd
 * says OK of what is beyond its other limits unless its AlertExceedsMax is on: docs/ANTIVIRUS.md.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "master/config.h"
#include "scanner/av_engine.h"
#include "scanner/clamd.h"

#define CHUNK (1u << 20)

struct clamd {
	struct av_backend e;
	struct antivirus_dial dial;
	struct antivirus_options options;
	int fd;			/* -1: no session */
	uint32_t id;		/* of the last request in it */
	int64_t deadline;	/* clock_mono, of the message */
	bool stream;		/* INSTREAM, even over a unix socket */
	size_t have;
	char reply[CLAMD_REPLY_MAX];
};

int
clamd_dial(const struct conf_antivirus *c, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(c->clamd_port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(c->clamd_port) };
	const struct sockaddr *to = (struct sockaddr *)&sun;
	socklen_t len = sizeof(sun);
	int family = AF_UNIX, fd;

	if (c->clamd.family == 4) {
		memcpy(&in.sin_addr, c->clamd.b, 4);
		to = (struct sockaddr *)&in;
		len = sizeof(in);
		family = AF_INET;
	} else if (c->clamd.family == 6) {
		memcpy(&in6.sin6_addr, c->clamd.b, 16);
		to = (struct sockaddr *)&in6;
		len = sizeof(in6);
		family = AF_INET6;
	} else {
		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", c->socket);
	}
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_errno(err, "clamd: socket");
	if (connect(fd, to, len) == -1 && errno != EINPROGRESS) {
		if (family == AF_UNIX)
			err_errno(err, "clamd: %s", c->socket);
		else
			err_errno(err, "clamd: connecting");
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- bytes ---- */

static void
hang_up(struct clamd *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->have = 0;
}

/* 0: there is something of `events`. */
static int
await(struct clamd *c, short events, struct err *err)
{
	for (;;) {
		struct pollfd pfd = { .fd = c->fd, .events = events };
		int64_t left = c->deadline - clock_mono();
		int n;

		if (left <= 0)
			return err_set(err, ETIMEDOUT, "clamd does not answer in time");
		n = poll(&pfd, 1, (int)(left / 1000) + 1);
		if (n == -1 && errno != EINTR)
			return err_errno(err, "clamd");
		if (n == 1)
			return 0;
	}
}

/* 0: all of it. 1: clamd has something to say before it has heard all, or has hung up. */
static int
put(struct clamd *c, struct span s, int pass, struct err *err)
{
	while (s.n) {
		union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } ctl = { 0 };
		struct iovec iov = { (void *)(uintptr_t)s.p, s.n };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (pass != -1) {
			mh.msg_control = &ctl;
			mh.msg_controllen = sizeof(ctl.room);
			ctl.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
			memcpy(CMSG_DATA(&ctl.h), &pass, sizeof(pass));
		}
		n = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			s = span_from(s, (size_t)n);
			pass = -1;
			continue;
		}
		if (n == -1 && (errno == EPIPE || errno == ECONNRESET))
			return 1;
		if (n == -1 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
			return err_errno(err, "clamd");
		if (await(c, POLLIN | POLLOUT, err) == -1)
			return -1;
		if (n == -1 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = c->fd, .events = POLLIN };

			if (poll(&pfd, 1, 0) == 1 && pfd.revents & (POLLIN | POLLHUP))
				return 1;
		}
	}
	return 0;
}

/* The next answer, which ends in NUL. */
static int
get(struct clamd *c, struct span *out, struct err *err)
{
	for (;;) {
		char *end = memchr(c->reply, '\0', c->have);
		ssize_t n;

		if (end) {
			*out = span_make(c->reply, (size_t)(end - c->reply));
			return 0;
		}
		if (c->have == sizeof(c->reply))
			return err_set(err, EPROTO, "clamd answers with garbage");
		n = recv(c->fd, c->reply + c->have, sizeof(c->reply) - c->have, MSG_DONTWAIT);
		if (n > 0)
			c->have += (size_t)n;
		else if (n == 0)
			return err_set(err, EPIPE, "clamd ends the connection");
		else if (errno != EAGAIN && errno != EINTR)
			return err_errno(err, "clamd");
		else if (await(c, POLLIN, err) == -1)
			return -1;
	}
}

static void
taken(struct clamd *c, struct span reply)
{
	size_t n = reply.n + 1;

	memmove(c->reply, c->reply + n, c->have - n);
	c->have -= n;
}

/* ---- a session ---- */

static int
connected(struct clamd *c, struct err *err)
{
	socklen_t len = sizeof(int);
	int code = 0;

	if (await(c, POLLOUT, err) == -1)
		return -1;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &len) == -1)
		return err_errno(err, "clamd");
	if (code)
		return err_set(err, code, "clamd: connecting: %s", strerror(code));
	return 0;
}

static int
session(struct clamd *c, struct err *err)
{
	static const char hello[] = "zIDSESSION";

	if (c->fd != -1)
		return 0;
	c->deadline = clock_mono() + (c->options.ms ? c->options.ms : ANTIVIRUS_MS) * INT64_C(1000);
	c->id = 0;
	if ((c->fd = c->dial.dial(c->dial.ctx, err)) == -1)
		return -1;
	if (connected(c, err) == 0 && put(c, span_make(hello, sizeof(hello)), -1, err) == 0)
		return 0;
	hang_up(c);
	return err->text[0] ? -1 : err_set(err, EPIPE, "clamd ends the connection");
}

static int
send_descriptor(struct clamd *c, struct span bytes, struct err *err)
{
	static const char command[] = "zFILDES";
	int fd = fs_memfd("part", err), rc;

	if (fd == -1)
		return -1;
	if (fs_write_all(fd, bytes.p, bytes.n, err) == -1 || fs_memfd_seal(fd, err) == -1 ||
	    lseek(fd, 0, SEEK_SET) == -1) {
		close(fd);
		return -1;
	}
	rc = put(c, span_make(command, sizeof(command)), -1, err);
	if (rc == 0)
		rc = put(c, SPAN_LIT(" "), fd, err);
	close(fd);
	return rc;
}

static int
send_stream(struct clamd *c, struct span bytes, struct err *err)
{
	static const char command[] = "zINSTREAM";
	int rc = put(c, span_make(command, sizeof(command)), -1, err);

	while (rc == 0) {
		struct span chunk = span_sub(bytes, 0, CHUNK);
		uint32_t n = htonl((uint32_t)chunk.n);

		rc = put(c, span_make((char *)&n, sizeof(n)), -1, err);
		if (rc == 0 && chunk.n)
			rc = put(c, chunk, -1, err);
		if (chunk.n == 0)
			break;
		bytes = span_from(bytes, chunk.n);
	}
	return rc;
}

static enum clamd_word
ask(struct clamd *c, struct span bytes, bool stream, struct av_found *out)
{
	struct err err = { 0 };
	enum clamd_word w;
	struct span reply, text;
	int rc;

	if (session(c, &err) == -1)
		goto fail;
	c->id++;
	rc = stream ? send_stream(c, bytes, &err) : send_descriptor(c, bytes, &err);
	if (rc == -1 || get(c, &reply, &err) == -1)
		goto fail;
	w = clamd_reply_parse(reply, c->id, &text);
	*out = (struct av_found){ .state = AV_CLEAN };
	if (w != CLAMD_OK)
		av_found_failed(out, "clamd answers with garbage");
	if (w == CLAMD_FOUND) {
		char name[AV_NAME_MAX];

		snprintf(name, sizeof(name), "%.*s", SPAN_ARG(text));
		*out = (struct av_found){ 0 };
		av_found_named(out, name);
	} else if (w == CLAMD_LIMIT || w == CLAMD_ERROR) {
		out->state = w == CLAMD_LIMIT ? AV_UNSCANNABLE : AV_FAILED;
		snprintf(out->name, sizeof(out->name), "clamd: %.*s", SPAN_ARG(text));
	}
	/* Behind a whole answer to all that was sent the session goes on; else nobody knows where it is. */
	if (rc == 0 && (w == CLAMD_OK || w == CLAMD_FOUND))
		taken(c, reply);
	else
		hang_up(c);
	return w;
fail:
	av_found_failed(out, err.text[0] ? err.text : "clamd ends the connection");
	hang_up(c);
	return CLAMD_GARBAGE;
}

static void
clamd_scan(struct av_backend *e, struct span bytes, struct av_layers *layers, struct av_found *out)
{
	struct clamd *c = (struct clamd *)e;
	bool stream = c->stream || !c->dial.local;
	uint64_t max = c->options.file_size ? c->options.file_size : CLAMD_MAX_SIZE;

	if (bytes.n > max) {
		*out = (struct av_found){ .state = AV_UNSCANNABLE };
		snprintf(out->name, sizeof(out->name), "larger than antivirus.max_size");
		return;
	}
	if (ask(c, bytes, stream, out) != CLAMD_ERROR || stream)
		return;
	/* It got a descriptor and could not read it. */
	c->stream = ask(c, bytes, true, out) != CLAMD_GARBAGE && out->state != AV_FAILED;
}

static int
clamd_signatures(struct av_backend *e, struct signatures *out, struct err *err)
{
	static const char command[] = "zVERSION";
	struct clamd *c = (struct clamd *)e;
	struct clamd_version v;
	struct span reply;

	if (session(c, err) == -1)
		return -1;
	c->id++;
	if (put(c, span_make(command, sizeof(command)), -1, err) != 0 || get(c, &reply, err) == -1) {
		hang_up(c);
		return err->text[0] ? -1 : err_set(err, EPIPE, "clamd ends the connection");
	}
	if (!clamd_version_parse(reply, c->id, &v)) {
		hang_up(c);
		return err_set(err, EPROTO, "clamd answers with garbage");
	}
	snprintf(e->version, sizeof(e->version), "clamd %.*s", SPAN_ARG(v.version));
	/* No name for a stamp: which signatures of one's own it has, it does not tell. */
	*out = (struct signatures){ .daily = v.daily, .made = v.made };
	taken(c, reply);
	return 0;
}

/* Where clamd is cannot be known without asking it. */
static int
clamd_ready(struct av_backend *e, struct err *err)
{
	return 0;
}

static void
clamd_done(struct av_backend *e)
{
	static const char bye[] = "zEND";
	struct clamd *c = (struct clamd *)e;

	if (c->fd != -1)
		send(c->fd, bye, sizeof(bye), MSG_NOSIGNAL | MSG_DONTWAIT);
	hang_up(c);
}

static void
clamd_free(struct av_backend *e)
{
	hang_up((struct clamd *)e);
	free(e);
}

static const struct av_backend_ops ops = { .ready = clamd_ready, .scan = clamd_scan, .done = clamd_done,
	.free = clamd_free, .signatures = clamd_signatures };

struct av_backend *
clamd_new(const struct antivirus_dial *dial, const struct antivirus_options *o, struct err *err)
{
	struct clamd *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->e.ops = &ops;
	c->dial = *dial;
	c->options = *o;
	c->fd = -1;
	snprintf(c->e.version, sizeof(c->e.version), "clamd");
	return &c->e;
}
