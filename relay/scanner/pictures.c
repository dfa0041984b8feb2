/* pictures.c -- a worker's side of reading pictures: one question, one answer; see pictures.h. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/messages.h"
#include "log.h"
#include "scanner/pictures.h"

#define SLACK_MS 2000		/* for the reader to end a child and to say so */

void
pictures_begin(struct pictures *p)
{
	p->spent = 0;
}

void
pictures_connect(struct pictures *p, int fd, uint32_t instance)
{
	/* During a reload there are two: the elder is let go, so that it may end. */
	if (p->there && instance < p->instance) {
		close(fd);
		return;
	}
	if (p->there)
		chan_release(&p->chan);
	p->instance = instance;
	chan_init(&p->chan, fd, ROLE_SCANNER, ROLE_READER);
	p->there = true;
}

static int
ask(struct pictures *p, struct span picture, int64_t ms, struct err *err)
{
	struct msg_picture m = { .ms = (uint32_t)ms, .size = picture.n };
	int fd = fs_memfd("picture", err), rc;
	struct buf b;

	if (fd == -1)
		return -1;
	if (fs_write_all(fd, picture.p, picture.n, err) == -1 || fs_memfd_seal(fd, err) == -1) {
		close(fd);
		return -1;
	}
	buf_init(&b, FRAME_SMALL);
	picture_encode(&b, &m);
	rc = chan_push(&p->chan, FRAME_PICTURE, ++p->ticket, buf_data(&b), fd);
	buf_release(&b);
	while (rc != -1 && (rc = chan_flush(&p->chan, err)) == 1) {
		struct pollfd pfd = { .fd = p->chan.fd, .events = POLLOUT };

		poll(&pfd, 1, -1);
	}
	return rc;
}

/* The answer to the last question. 1; 0: none in time. */
static int
hear(struct pictures *p, int64_t ms, struct arena *a, struct msg_picture_text *m, struct err *err)
{
	int64_t by = clock_mono() + (ms + SLACK_MS) * 1000;

	for (;;) {
		int64_t left = (by - clock_mono()) / 1000;
		struct frame f = { .fd = -1 };
		int rc = left <= 0 ? 0 : chan_wait(&p->chan, &f, (int)left, err);

		if (rc != 1)
			return rc;
		if (f.type != FRAME_PICTURE_TEXT)
			return err_set(err, EPROTO, "%s from the reader", frame_name(f.type));
		if (f.ticket == p->ticket)
			return picture_text_decode(f.body, -1, a, m) == -1 ?
			    err_set(err, EPROTO, "an answer of the reader that cannot be") : 1;
	}
}

bool
pictures_ask(void *ctx, struct span picture, struct arena *a, struct span *out)
{
	struct pictures *p = ctx;
	struct msg_picture_text m;
	int64_t began = clock_mono(), ms = p->each < p->all - p->spent ? p->each : p->all - p->spent;
	struct err err = { 0 };
	int rc;

	ms /= 1000;
	if (!p->there || ms < 50)
		return false;
	rc = ask(p, picture, ms, &err) == -1 ? -1 : hear(p, ms, a, &m, &err);
	p->spent += clock_mono() - began;
	if (rc == -1) {
		/* It is started again, and the master brings a new channel. */
		log_warn("the reader of pictures is gone%s%s", *err.text ? ": " : "", err.text);
		chan_release(&p->chan);
		p->there = false;
		return false;
	}
	if (rc == 0)
		return false;
	*out = arena_span(a, m.text);
	return m.status == 0;
}
