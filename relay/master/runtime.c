/* runtime.c -- the start, the loop and the end of an event-driven role; see runtime.h.
 *
 * The loop has one priority: libevent appends what a callback activates to
 * the queue it is working on, so that the links' flush events run after all
 * that the turn brought, without another system call.
 *
 * When the master's channel ends the role ends too: it retires, and is gone
 * after ORPHAN_SECONDS at the latest.
 */
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "id.h"
#include "log.h"
#include "master/identity.h"
#include "master/runtime.h"
#include "master/startup.h"

#define ORPHAN_SECONDS 2
#define TRIM_SECONDS 10
#define TRIM_LEAST ((size_t)1 << 20)	/* bytes that are free, and were touched since the last time */

struct runtime_private {
	struct runtime rt;	/* first */
	const struct role_ops *ops;
	bool done;
	int status;
	struct event *orphan, *trim;
	long faults;		/* pages touched, when memory was given back last */
	struct arena *scratch;	/* of one control frame */
};

static struct runtime_private *
private(struct runtime *rt)
{
	return (struct runtime_private *)rt;
}

static struct config *
read_config(const char *path, struct err *err)
{
	struct arena *a = arena_new(0);
	struct diags d;
	struct span text;
	struct config *c = NULL;

	diags_init(&d, a);
	if (fs_read_fd(a, FD_CONFIG, 9u << 20, &text, err) == 0 &&
	    (c = config_parse(path, path, text, &d)) == NULL)
		err_set(err, 0, "%s: %s", path, d.first ? d.first->text : "not readable");
	arena_free(&a);
	return c;
}

int
startup_config(const char *path, bool foreground, struct config **out, struct err *err)
{
	struct config *c = read_config(path, err);

	if (c == NULL)
		return -1;
	if (log_open(config_log_to(c, foreground), c->log_format, err) == -1) {
		config_free(&c);
		return -1;
	}
	*out = c;
	return 0;
}

uint32_t
runtime_id_slot(const struct runtime *rt)
{
	return id_slot(rt->conf->node_number, rt->place);
}

void
runtime_finish(struct runtime *rt)
{
	private(rt)->done = true;
	event_base_loopbreak(rt->base);
}

static void
fault(struct runtime *rt, struct link *l, const char *why)
{
	struct msg_peer m = { link_peer(l), link_instance(l) };
	struct buf b;

	log_error("%s[%u] broke the rules of its channel: %s", role_name(m.role), m.instance, why);
	if (rt->master == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	peer_encode(&b, &m);
	link_send(rt->master, FRAME_FAULT, 0, buf_data(&b), -1);
	buf_release(&b);
}

/* ---- peers ---- */

static void
peer_frame(void *ctx, struct link *l, struct frame *f)
{
	struct runtime *rt = ctx;

	if (private(rt)->ops->frame(rt, l, f) == -1) {
		struct link *gone = l;

		fault(rt, l, frame_name(f->type));
		private(rt)->ops->peer_down(rt, l);
		link_close(&gone);
	}
}

static void
peer_closed(void *ctx, struct link *l, const struct err *why)
{
	struct runtime *rt = ctx;

	if (why->code == EPROTO)
		fault(rt, l, why->text);
	private(rt)->ops->peer_down(rt, l);
}

static const struct link_ops peer_ops = { peer_frame, peer_closed };

static int
peer_new(struct runtime *rt, struct frame *f, const struct msg_peer *m)
{
	struct link *l = link_new(rt->base, f->fd, rt->role, m->role, m->instance, &peer_ops, rt);

	f->fd = -1;
	private(rt)->ops->peer_up(rt, l);
	return 0;
}

/* ---- the master ---- */

static void
begin_retire(struct runtime *rt, uint32_t seconds)
{
	int64_t by = seconds ? clock_mono() + seconds * US_PER_SEC : 0;
	bool sooner = rt->retire_by && (by == 0 || by < rt->retire_by);

	if (!rt->retiring) {
		rt->retiring = true;
		rt->retire_by = by;
		private(rt)->ops->retire(rt);
	} else if (sooner) {
		rt->retire_by = by;
		if (private(rt)->ops->hurry)
			private(rt)->ops->hurry(rt);
	}
}

static void
new_config(struct runtime *rt, struct frame *f)
{
	struct err err;
	struct config *c;

	/* The old one stays in memory: what is under way may still point into it. */
	if (dup2(f->fd, FD_CONFIG) == -1) {
		log_error("the new configuration is not taken: %s", strerror(errno));
		return;
	}
	if ((c = read_config(rt->conf->path, &err)) == NULL) {
		log_error("the new configuration is not taken: %s", err.text);
		return;
	}
	rt->conf = c;
	if (private(rt)->ops->reconfigured)
		private(rt)->ops->reconfigured(rt);
}

/* The file may have been rotated, and from a sandbox none is opened: the master has done it. */
static void
new_log(struct runtime *rt, struct frame *f)
{
	char to[32] = "stderr";
	struct err err;

	if (f->fd != -1)
		snprintf(to, sizeof(to), "fd:%d", f->fd);
	if (log_open(to, rt->conf->log_format, &err) == -1)
		log_error("the log stays as it is: %s", err.text);
	else
		f->fd = -1;
}

static int
control_frame(struct runtime *rt, struct frame *f, struct arena *a)
{
	const struct role_ops *ops = private(rt)->ops;
	union {
		struct msg_peer peer;
		struct msg_listener listener;
		struct msg_client client;
		struct msg_retire retire;
	} m;

	switch (f->type) {
	case FRAME_PEER:
		if (peer_decode(f->body, f->fd, a, &m.peer) == -1 || f->fd == -1)
			return -1;
		return peer_new(rt, f, &m.peer);
	case FRAME_LISTENER:
		if (listener_decode(f->body, f->fd, a, &m.listener) == -1 || !ops->listener ||
		    m.listener.index >= config_endpoints(rt->conf))
			return -1;
		ops->listener(rt, m.listener.index, f->fd);
		f->fd = -1;
		return 0;
	case FRAME_CLIENT:
		if (client_decode(f->body, f->fd, a, &m.client) == -1)
			return -1;
		if (ops->client) {
			ops->client(rt, f->fd, m.client.uid, m.client.request);
			f->fd = -1;
		}
		return 0;
	case FRAME_CONFIG:
		if (f->fd == -1)
			return -1;
		new_config(rt, f);
		return 0;
	case FRAME_LOG:
		new_log(rt, f);
		return 0;
	case FRAME_POLICY:
	case FRAME_EVENT:
		return ops->policy ? ops->policy(rt, f) : -1;
	case FRAME_LISTS:
		return ops->lists ? ops->lists(rt, f) : -1;
	case FRAME_RETIRE:
		m.retire.seconds = 0;
		if (f->body.n && retire_decode(f->body, f->fd, a, &m.retire) == -1)
			return -1;
		begin_retire(rt, m.retire.seconds);
		return 0;
	case FRAME_GO:
		return 0;
	case FRAME_PULSE:
		link_send(rt->master, FRAME_ALIVE, 0, (struct span){ 0 }, -1);
		return 0;
	default:
		return -1;
	}
}

static void
master_frame(void *ctx, struct link *l, struct frame *f)
{
	struct runtime *rt = ctx;
	struct arena *a = private(rt)->scratch;

	arena_reset(a);
	if (control_frame(rt, f, a) == -1) {
		log_error("a frame of the master that cannot be: %s", frame_name(f->type));
		private(rt)->status = 1;
		runtime_finish(rt);
	}
}

static void
on_orphan(evutil_socket_t fd, short what, void *arg)
{
	log_flush();
	_exit(1);
}

static void
master_closed(void *ctx, struct link *l, const struct err *why)
{
	struct runtime *rt = ctx;
	struct timeval tv = { .tv_sec = ORPHAN_SECONDS };

	rt->master = NULL;
	log_warn("the master is gone");
	private(rt)->status = 1;
	private(rt)->orphan = evtimer_new(rt->base, on_orphan, rt);
	evtimer_add(private(rt)->orphan, &tv);
	begin_retire(rt, 0);
}

static const struct link_ops master_ops = { master_frame, master_closed };

/* ---- memory ---- */

/* After a burst (ten thousand sessions, a large queue) malloc keeps what was freed in the middle of the heap. Page
 * faults say how much was touched since the last time: at rest there is nothing to do, and it is not looked for. */
static void
on_trim(evutil_socket_t fd, short what, void *arg)
{
	struct runtime_private *p = arg;
	long page = sysconf(_SC_PAGESIZE);
	struct rusage now;
	size_t touched;

	if (getrusage(RUSAGE_SELF, &now) == -1)
		return;
	touched = (size_t)(now.ru_minflt - p->faults) * (size_t)page;
	if (touched < TRIM_LEAST || mallinfo2().fordblks < TRIM_LEAST)
		return;
	malloc_trim(0);
	p->faults = now.ru_minflt;
}

static void
begin_trimming(struct runtime_private *p)
{
	struct timeval tv = { .tv_sec = TRIM_SECONDS };

	p->trim = event_new(p->rt.base, -1, EV_PERSIST, on_trim, p);
	ASSERT_MEMORY(p->trim);
	event_add(p->trim, &tv);
}

/* ---- start ---- */

void
startup_signals(void)
{
	/* The master alone listens to people; it tells its roles by frames. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

int
startup_confine(enum role role, uid_t uid, gid_t gid, const struct sandbox *sb, struct err *err)
{
	const char *missing;

	if (sandbox_drop(uid, gid, err) == -1 || sandbox_enter(sb, NULL, &missing, err) == -1)
		return -1;
	if (missing)
		log_warn("sandbox: this kernel has %s; %s runs without it", missing, role_name(role));
	malloc_trim(0);		/* what the start needed and has no use any more: the filter's rules, texts of files */
	return 0;
}

void
startup_ready(struct buf *b, enum role role, uint32_t instance)
{
	struct msg_peer m = { role, instance };

	buf_init(b, FRAME_SMALL);
	peer_encode(b, &m);
}

/* Lines that wait are written at the end of the turn. */
static struct event *lines_wait;

static void
on_lines(evutil_socket_t fd, short what, void *arg)
{
	log_flush();
}

static void
wake_lines(void)
{
	event_active(lines_wait, EV_TIMEOUT, 0);
}

static int
runtime_start(struct runtime_private *p, const struct startup *su, struct err *err)
{
	struct runtime *rt = &p->rt;
	bool fallback;
	struct buf b;

	rt->privileged = geteuid() == 0;
	identity_files_root();
	if (startup_config(su->config_path, su->foreground, (struct config **)&rt->conf, err) == -1 ||
	    (rt->shared = shared_map(FD_SHARED, err)) == NULL ||
	    sandbox_account(role_account(rt->role), &rt->uid, &rt->gid, &fallback, err) == -1)
		return -1;
	if (p->ops->start && p->ops->start(rt, err) == -1)
		return -1;
	if (startup_confine(rt->role, rt->uid, rt->gid, p->ops->sandbox, err) == -1)
		return -1;
	rt->base = event_base_new();
	ASSERT(rt->base != NULL);
	lines_wait = event_new(rt->base, -1, 0, on_lines, NULL);
	ASSERT(lines_wait != NULL);
	log_batch(wake_lines);
	rt->master = link_new(rt->base, FD_CONTROL, rt->role, ROLE_MASTER, 0, &master_ops, rt);
	if (p->ops->run && p->ops->run(rt, err) == -1)
		return -1;
	begin_trimming(p);
	startup_ready(&b, rt->role, rt->instance);
	link_send(rt->master, FRAME_READY, 0, buf_data(&b), -1);
	buf_release(&b);
	return 0;
}

int
runtime_main(const struct role_ops *ops, const struct startup *su)
{
	struct runtime_private *p = calloc(1, sizeof(*p));
	struct err err = { 0 };

	ASSERT(p != NULL);
	p->ops = ops;
	p->rt.role = ops->role;
	p->rt.instance = su->instance;
	p->rt.place = su->place;
	p->scratch = arena_new(0);
	log_ident(role_name(ops->role));
	startup_signals();
	if (runtime_start(p, su, &err) == -1) {
		log_error("%s does not start: %s", role_name(ops->role), err.text);
		return STARTUP_FAILED;
	}
	while (!p->done && event_base_loop(p->rt.base, EVLOOP_NO_EXIT_ON_EMPTY) == 0)
		;
	if (p->rt.master)
		link_flush(p->rt.master);
	log_flush();
	return p->status;
}
