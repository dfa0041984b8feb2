/* authenticator.c -- the role that knows the passwords' hashes and checks names against them.
 *
 * A check is made to be slow (scrypt, some 80 ms and 32 MiB): in the receiver it
 * would stop every session. And the receiver, which reads what strangers
 * send, must not have the hashes in its memory. So they are here, in a process
 * that opens no file, no socket, and hears nothing but LOGIN frames, and SCRYPT frames of the store,
 * which has the hashes of the console's people and not the time to compute them; more than one
 * of them work side by side. Requests wait in the channel; how many may wait is
 * the receiver's and the store's to bound.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "authenticator/scrypt.h"
#include "authenticator/users.h"
#include "ipc/messages_people.h"
#include "log.h"
#include "master/runtime.h"

#define RETIRE_SECONDS 5		/* at most, for what still waits */

struct authenticator {
	struct users *users;		/* NULL: no listener asks */
	struct arena *arena;
	size_t peers;
	uint32_t asked;			/* since the timer was looked at last */
	uint32_t waited;		/* seconds since it retires */
	struct event *timer;
};

static int
authenticator_start(struct runtime *rt, struct err *err)
{
	struct authenticator *au = calloc(1, sizeof(*au));
	struct buf b;
	bool right;

	ASSERT(au != NULL);
	rt->state = au;
	au->arena = arena_new(0);
	/* OpenSSL loads what it needs for this before the sandbox. */
	buf_init(&b, 1024);
	if (scrypt_make(SPAN_LIT("x"), &b, err) == -1)
		return -1;
	buf_release(&b);
	if (rt->conf->auth_file == NULL)
		return 0;
	if ((au->users = users_load(rt->conf->auth_file, err)) == NULL)
		return -1;
	if (users_check(au->users, SPAN_LIT("nobody:"), SPAN_LIT("x"), &right, err) == -1)
		return -1;
	return 0;
}

/* One hash, checked or made. */
static int
scrypt(struct authenticator *au, struct link *l, struct frame *f)
{
	struct msg_scrypted res = { .status = LOGIN_FAILED };
	struct scrypt_hash h;
	struct msg_scrypt m;
	struct buf made, b;
	struct err err;
	bool right;

	if (scrypt_decode(f->body, f->fd, au->arena, &m) == -1)
		return -1;
	buf_init(&made, 1024);
	if (m.hash.n == 0 && scrypt_make(m.password, &made, &err) == 0)
		res = (struct msg_scrypted){ LOGIN_RIGHT, buf_data(&made) };
	else if (m.hash.n && scrypt_parse(m.hash, &h, &err) == 0 &&
	    scrypt_check(&h, m.password, &right, &err) == 0)
		res.status = right ? LOGIN_RIGHT : LOGIN_WRONG;
	else
		log_error("a password cannot be checked: %s", err.text);
	buf_init(&b, FRAME_SMALL);
	scrypted_encode(&b, &res);
	link_send(l, FRAME_SCRYPTED, f->ticket, buf_data(&b), -1);
	link_flush(l);
	buf_release(&b);
	buf_release(&made);
	return 0;
}

static int
authenticator_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct authenticator *au = rt->state;
	struct msg_login_result res = { .status = LOGIN_WRONG };
	struct msg_login m;
	struct buf b;
	struct err err;
	bool right;

	au->asked++;
	arena_reset(au->arena);
	if (f->type == FRAME_SCRYPT)
		return scrypt(au, l, f);
	if (f->type != FRAME_LOGIN || au->users == NULL ||
	    login_decode(f->body, f->fd, au->arena, &m) == -1)
		return -1;
	if (users_check(au->users, m.user, m.password, &right, &err) == -1) {
		log_error("a password cannot be checked: %s", err.text);
		res.status = LOGIN_FAILED;
	} else if (right)
		res.status = LOGIN_RIGHT;
	buf_init(&b, FRAME_SMALL);
	login_result_encode(&b, &res);
	if (link_send(l, FRAME_LOGIN_RESULT, f->ticket, buf_data(&b), -1) == -1)
		log_warn("the answer to a login cannot be sent");
	/* The next check may wait in the same turn; the answer should not wait for that one. */
	link_flush(l);
	buf_release(&b);
	return 0;
}

static void
authenticator_peer_up(struct runtime *rt, struct link *l)
{
	((struct authenticator *)rt->state)->peers++;
}

static void
authenticator_peer_down(struct runtime *rt, struct link *l)
{
	struct authenticator *au = rt->state;

	if (--au->peers == 0 && rt->retiring)
		runtime_finish(rt);
}

static void
idle(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *rt = arg;
	struct authenticator *au = rt->state;

	if (au->asked == 0 || ++au->waited == RETIRE_SECONDS)
		runtime_finish(rt);
	au->asked = 0;
}

/* What waits in the channels is answered; receivers find those of the new configuration. */
static void
authenticator_retire(struct runtime *rt)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct authenticator *au = rt->state;

	if (au->peers == 0) {
		runtime_finish(rt);
		return;
	}
	au->asked = 0;
	au->timer = event_new(rt->base, -1, EV_PERSIST, idle, rt);
	ASSERT(au->timer != NULL);
	event_add(au->timer, &second);
}

static const struct sandbox authenticator_sandbox = { .may = 0 };

const struct role_ops authenticator_ops = {
	.role = ROLE_AUTHENTICATOR,
	.sandbox = &authenticator_sandbox,
	.start = authenticator_start,
	.peer_up = authenticator_peer_up,
	.peer_down = authenticator_peer_down,
	.frame = authenticator_frame,
	.retire = authenticator_retire,
};
