/* control.c -- the control socket: `<run>/control.sock`.
 *
 * A client sends one line, a JSON object that begins with {"cmd":"NAME". The
 * master reads just that name and hands the socket to the role that answers,
 * so that a slow journal search holds up nobody; it answers for itself only
 * what it alone knows: status and reload. Who may connect is a matter of the
 * socket's mode: root and the group postern-admin.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "ipc/principal.h"
#include "log.h"
#include "master/av_watch.h"
#include "master/identity.h"
#include "master/master.h"
#include "receiver/limits.h"

#define REQUEST_MAX (1u << 20)
#define CLIENT_SECONDS 10	/* to send its line */
#define CLIENTS_MAX 64
#define STAFF (PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR) | PRINCIPAL_BIT(REVIEWER) | \
	PRINCIPAL_BIT(EDITOR) | PRINCIPAL_BIT(DOMAIN_ADMIN))

struct visitor {
	struct master *m;
	int fd;
	struct event *event;
	struct buf in;
};

struct waiting {
	int fd;
	struct waiting *next;
};

static unsigned visitors;

static const struct { const char *prefix; enum role role; } routes[] = {
	{ "queue", ROLE_QUEUE }, { "route", ROLE_DELIVERY }, { "delivery", ROLE_DELIVERY }, { "dns", ROLE_DELIVERY }, { "probe", ROLE_DELIVERY },
	{ "limits", ROLE_RECEIVER }, { "recipients", ROLE_RECEIVER }, { "reputation", ROLE_RECEIVER }, { "session", ROLE_RECEIVER }, { "directory", ROLE_DIRECTORY },
	{ "policy", ROLE_STORE }, { "records", ROLE_STORE },
	{ "trace", ROLE_STORE }, { "tail", ROLE_STORE }, { "quarantine", ROLE_STORE },
	{ "held", ROLE_STORE }, { "kept", ROLE_STORE }, { "incidents", ROLE_STORE }, { "digest", ROLE_STORE },
	{ "explain", ROLE_STORE }, { "journal", ROLE_STORE }, { "lists", ROLE_STORE },
	{ "approval", ROLE_STORE }, { "audit", ROLE_STORE }, { "store", ROLE_STORE },
	{ "tlsrpt", ROLE_STORE }, { "editor", ROLE_EDITOR }, { "bayes", ROLE_STORE },
	{ "users", ROLE_STORE }, { "overview", ROLE_STORE }, { "domains", ROLE_STORE },
	{ "counters", ROLE_COUNTERS }, { "oidc", ROLE_FETCHER },
};

static void
answer(int fd, struct buf *b)
{
	struct span s = buf_data(b);

	buf_putc(b, '\n');
	s = buf_data(b);
	fcntl(fd, F_SETFL, 0);
	if (write(fd, s.p, s.n) == -1)
		log_debug("control: %s", strerror(errno));
	close(fd);
}

static void
answer_error(int fd, const char *text)
{
	struct buf b;
	struct json j;

	buf_init(&b, 8192);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_end_object(&j);
	answer(fd, &b);
	buf_release(&b);
}

/* ---- what the master answers itself ---- */

static void
status_processes(const struct master *m, struct json *j)
{
	static const char *const states[] = { "starting", "ready", "retiring" };

	json_key(j, "processes");
	json_array(j);
	for (const struct proc *p = m->procs; p; p = p->next) {
		json_object(j);
		json_kcstr(j, "role", role_name(p->role));
		json_kbool(j, "worker", p->worker);
		json_kint(j, "pid", p->pid);
		json_kuint(j, "instance", p->instance);
		json_kuint(j, "generation", p->generation);
		json_kcstr(j, "state", states[p->state]);
		json_kint(j, "seconds", (clock_mono() - p->started) / US_PER_SEC);
		json_kint(j, "silent_ms", watchdog_silent(m, p) / 1000);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
status(struct master *m, int fd)
{
	struct limits_totals open;
	char hash[17];
	struct buf b;
	struct json j;

	limits_totals(limits_attach(m->shared->limits, LIMITS_BYTES, clock_mono()), -1, clock_mono(),
	    &open);
	counter_set(COUNTER_SESSIONS, open.sessions);
	counter_set(COUNTER_MEMORY, open.memory);
	buf_init(&b, 1u << 20);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "version", POSTERN_VERSION);
	json_kint(&j, "pid", getpid());
	json_kcstr(&j, "state", m->phase == PHASE_RUNNING ? "running" :
	    m->phase == PHASE_STARTING ? "starting" : "stopping");
	json_kint(&j, "uptime", (clock_real() - m->since) / US_PER_SEC);
	json_kcstr(&j, "config", m->path);
	json_kbool(&j, "replaced", own_exe_replaced(m));
	json_kstr(&j, "hostname", m->now.conf->hostname);
	json_kstr(&j, "node", m->now.conf->node);
	json_kuint(&j, "node_number", m->now.conf->node_number);
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)m->now.conf->hash);
	json_kcstr(&j, "config_hash", hash);
	json_kcstr(&j, "policy", m->now.policy.hash);
	json_key(&j, "reload");
	json_object(&j);
	json_kcstr(&j, "refused", m->refused);
	json_kbool(&j, "waits", watch_waits(m));
	json_end_object(&j);
	av_watch_status(m, &j);
	json_key(&j, "listeners");
	json_array(&j);
	for (size_t i = 0; i < m->now.conf->nlisteners; i++) {
		const struct bound *at = m->bound;
		char ip[IP_TEXT_MAX];

		while (at && !bound_is(at, m->now.conf, i))
			at = at->next;
		json_object(&j);
		json_kstr(&j, "name", m->now.conf->listeners[i].name);
		json_kcstr(&j, "address", at == NULL ? "" : at->path ? at->path : ip_format(at->ip, ip));
		json_kuint(&j, "port", at ? at->port : 0);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_kbool(&j, "inbound", config_verifies(m->now.conf));
	status_processes(m, &j);
	json_key(&j, "counters");
	json_object(&j);
	for (int c = 0; c < COUNTER_COUNT; c++)
		json_kuint(&j, counter_name(c), counter_get(c));
	json_end_object(&j);
	json_end_object(&j);
	answer(fd, &b);
	buf_release(&b);
}

static uint32_t
caller(int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.uid == UID_CONSOLE ? (uid_t)-1 : cred.uid;
}

static void
reload_wait(struct master *m, int fd, uint32_t uid)
{
	struct waiting *w = malloc(sizeof(*w));

	ASSERT(w != NULL);
	reload_settle(m, true);
	w->fd = fd;
	w->next = m->waiting;
	m->waiting = w;
	reload_begin(m, uid == UID_CONSOLE ? "console" : "reload", uid == UID_CONSOLE ? (uint32_t)-1 : uid);
}

void
control_reload_done(struct master *m, bool ok, struct span text)
{
	while (m->waiting) {
		struct waiting *w = m->waiting;
		struct buf b;
		struct json j;

		m->waiting = w->next;
		buf_init(&b, 256u << 10);
		json_begin(&j, &b);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kbool(&j, "ok", ok);
		json_kstr(&j, ok ? "text" : "error", span_sub(text, 0, 60000));
		json_end_object(&j);
		answer(w->fd, &b);
		buf_release(&b);
		free(w);
	}
}

/* ---- hand over ---- */

static struct proc *
answering(struct master *m, struct span cmd, bool *known)
{
	size_t dot = span_find(cmd, '.');

	*known = false;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!span_is(span_sub(cmd, 0, dot), routes[i].prefix))
			continue;
		*known = true;
		for (struct proc *p = m->procs; p; p = p->next)
			if (p->role == routes[i].role && p->state == PROC_READY && p->control)
				return p;
	}
	return NULL;
}

static void
hand_over(struct master *m, int fd, uint32_t uid, struct span request)
{
	static const struct span head = { "{\"cmd\":\"", 8 }, directory = { "directory", 9 };
	struct msg_client msg = { .request = request };
	struct span cmd;
	struct proc *p;
	struct buf b;
	struct err err;
	bool known;

	if (!span_starts(request, head)) {
		answer_error(fd, "a request begins with {\"cmd\":\"…\"");
		return;
	}
	cmd = span_from(request, head.n);
	cmd.n = span_find(cmd, '"');
	if (span_is(cmd, "status")) {
		if (principal_may(request, uid, STAFF, NULL, &err) == -1)
			answer_error(fd, err.text);
		else
			status(m, fd);
		return;
	}
	if (span_is(cmd, "reload")) {
		if (principal_may(request, uid, PRINCIPAL_BIT(EDITOR), NULL, &err) == -1) {
			answer_error(fd, err.text);
			return;
		}
		reload_wait(m, fd, uid);
		return;
	}
	if ((p = answering(m, cmd, &known)) == NULL) {
		answer_error(fd, span_starts(cmd, SPAN_LIT("editor")) && !m->now.conf->console.edits ?
		    "policies are not edited here (`console: {policy: edit}` in postern.yaml)" : span_starts(cmd, directory) && m->now.conf->ndirectories == 0 ?
		    "no directory is configured (`directory` in postern.yaml)" :
		    known ? "nobody answers this command now" : "no such command");
		return;
	}
	msg.uid = uid;
	buf_init(&b, FRAME_BIG);
	client_encode(&b, &msg);
	link_send(p->control, FRAME_CLIENT, 0, buf_data(&b), fd);
	buf_release(&b);
}

/* Of the console: whom it speaks for stands in the request, and is the answering role's to read. */
int
control_as(struct master *m, struct frame *f)
{
	struct msg_client msg;

	if (f->fd == -1 || client_decode(f->body, f->fd, m->scratch, &msg) == -1)
		return -1;
	hand_over(m, f->fd, UID_CONSOLE, msg.request);
	f->fd = -1;
	return 0;
}

static void
on_visitor(evutil_socket_t fd, short what, void *arg)
{
	struct visitor *v = arg;
	char *room = buf_room(&v->in, 4096);
	ssize_t n = -1;
	struct span in;
	size_t eol;

	if (what & EV_READ && room)
		n = read(v->fd, room, 4096);
	if (n == -1 && (errno == EAGAIN || errno == EINTR) && what & EV_READ && room)
		return;
	if (n > 0)
		buf_commit(&v->in, (size_t)n);
	in = buf_data(&v->in);
	eol = span_find(in, '\n');
	if (n > 0 && eol == in.n)
		return;
	event_free(v->event);
	visitors--;
	if (eol < in.n)
		hand_over(v->m, v->fd, caller(v->fd), span_sub(in, 0, eol));
	else
		close(v->fd);
	buf_release(&v->in);
	free(v);
}

static void
on_control_rested(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	event_add(m->control_event, NULL);
}

/* No descriptor is left: the socket stays readable, and the loop would do nothing else. */
static void
control_rest(struct master *m)
{
	struct timeval tv = { .tv_sec = 1 };

	log_error("the control socket: %s; it rests for a second", strerror(errno));
	event_del(m->control_event);
	event_base_once(m->base, -1, EV_TIMEOUT, on_control_rested, m, &tv);
}

static void
on_control(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { .tv_sec = CLIENT_SECONDS };
	struct visitor *v;
	int cfd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (cfd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS))
		control_rest(arg);
	if (cfd == -1)
		return;
	if (visitors >= CLIENTS_MAX) {
		answer_error(cfd, "too many clients at once");
		return;
	}
	v = calloc(1, sizeof(*v));
	ASSERT(v != NULL);
	v->m = arg;
	v->fd = cfd;
	buf_init(&v->in, REQUEST_MAX);
	v->event = event_new(v->m->base, cfd, EV_READ | EV_TIMEOUT | EV_PERSIST, on_visitor, v);
	ASSERT(v->event != NULL);
	event_add(v->event, &tv);
	visitors++;
}

int
control_open(struct master *m, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct group *gr = getgrnam("postern-admin");
	int fd, n;

	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", m->now.conf->run);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return err_set(err, ENAMETOOLONG, "run: %s is too long a path for a socket",
		    m->now.conf->run);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_errno(err, "control socket");
	unlink(sun.sun_path);
	if (gr)
		identity_files_group(gr->gr_gid);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(sun.sun_path, 0660) == -1 || listen(fd, 64) == -1) {
		err_errno(err, "%s", sun.sun_path);
		identity_files_own();
		close(fd);
		return -1;
	}
	identity_files_own();
	if (gr && geteuid() == 0 && chown(sun.sun_path, 0, gr->gr_gid) == -1)
		log_warn("%s: %s", sun.sun_path, strerror(errno));
	m->control_fd = fd;
	m->control_event = event_new(m->base, fd, EV_READ | EV_PERSIST, on_control, m);
	ASSERT(m->control_event != NULL);
	event_add(m->control_event, NULL);
	return 0;
}
