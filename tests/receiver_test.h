/* receiver_test.h -- the receiver's whole process for tests: started as the
 * master starts it, between a real client and peers that play their parts. A
 * scanner that judges by the recipient's name (and dies when asked to), a
 * signer, a queue and a store that tell the test what they got. */
#ifndef TESTS_RECEIVER_TEST_H
#define TESTS_RECEIVER_TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "fs.h"
#include "id.h"
#include "ipc/channel.h"
#include "ipc/messages.h"
#include "master/runtime.h"
#include "master/startup.h"

/* ---- the house ---- */

enum { SCANNERS = 3 };
static struct {
	pid_t receiver, queue, signer, store, scanners[SCANNERS];
	int control;			/* the master's end */
	int submitted;			/* what the queue got: struct told */
	int journal;			/* what the store got: struct noted */
	int64_t *clock;			/* the receiver's, when it is virtual */
	int shared;
	uint16_t port, closed_port;
	char dir[64];
} house;

static const char config_text[] =
    "version: 1\nhostname: gw1.example.org\nrun: run\nspool: spool\nstore: sqlite:store.db\n"
    "policy: policy.d\nnetworks: {lab: [127.0.0.0/8]}\n"
    "listeners:\n"
    "  - {name: smart-host, address: \"127.0.0.1:8025\", direction: outbound,"
    " allow: [network:lab], max_size: 1MB, limits: {sessions_per_client: 4, errors: 5}}\n"
    "  - {name: shut, address: \"127.0.0.1:8026\", direction: outbound}\n"
    "domains:\n  example.org:\n    deliver_to: [\"10.1.2.3:25\"]\n"
    "    dkim: [{selector: s, key: key.pem}]\n"
    "delivery: {port: 25}\nscanners: {processes: 1, timeout: 2s}\n";

static void
to_peer(struct chan *c, enum frame_type t, uint64_t ticket, struct buf *b)
{
	struct err err;

	ASSERT(chan_push(c, t, ticket, buf_data(b), -1) == 0);
	while (chan_flush(c, &err) == 1)
		poll(&(struct pollfd){ .fd = c->fd, .events = POLLOUT }, 1, -1);
	buf_reset(b);
}

static enum outcome
outcome_for(struct span address)
{
	for (enum outcome o = OUTCOME_DELIVER; o < OUTCOME_COUNT; o++)
		if (span_starts(address, span_str(outcome_name(o))))
			return o;
	return OUTCOME_DELIVER;
}

static void
scanner_main_loop(int fd)
{
	static struct edit subject = { .with = { "X-Edited: yes\r\n", 15 } };
	struct variant variants[2] = { { 0 }, { &subject, 1 } };
	struct notice notice = { .to = SPAN_LIT("boss@example.org"), .rule = SPAN_LIT("r"),
		.template = SPAN_LIT("incident"), .language = SPAN_LIT("en"),
		.subject = SPAN_LIT("Told"), .text = SPAN_LIT("A rule was hit.\n") };
	struct bcc_copy copy = { SPAN_LIT("archive@example.org"), SPAN_LIT("r") };
	struct arena *a = arena_new(0);
	struct chan c;
	struct frame f;
	struct buf b;

	chan_init(&c, fd, ROLE_SCANNER, ROLE_RECEIVER);
	buf_init(&b, FRAME_BIG);
	while (chan_wait(&c, &f, -1, NULL) == 1) {
		struct msg_verdict v = { .variants = variants, .nvariants = 2,
			.record = SPAN_LIT("{\"v\":1}") };
		struct msg_scan m;

		arena_reset(a);
		if (scan_decode(f.body, f.fd, a, &m) == -1)
			_exit(9);
		v.ndecisions = m.env.nrecipients;
		v.decisions = arena_array(a, v.ndecisions, sizeof(*v.decisions));
		for (size_t i = 0; i < v.ndecisions; i++) {
			struct span to = m.env.recipients[i].address;

			if (span_starts(to, SPAN_LIT("crash")))
				_exit(1);
			if (span_starts(to, SPAN_LIT("hang")))
				pause();
			v.decisions[i].outcome = outcome_for(to);
			v.decisions[i].variant = span_starts(to, SPAN_LIT("deliver-edited"));
			if (strstr(arena_str(a, to), "told")) {
				v.notices = &notice;
				v.bcc = &copy;
				v.nnotices = v.nbcc = 1;
			}
			if (v.decisions[i].outcome == OUTCOME_REJECT)
				v.decisions[i].reply = SPAN_LIT("5.7.1 card numbers do not leave");
		}
		verdict_encode(&b, &v);
		to_peer(&c, FRAME_VERDICT, f.ticket, &b);
	}
	_exit(0);
}

static void
signer_main_loop(int fd)
{
	struct arena *a = arena_new(0);
	struct chan c;
	struct frame f;
	struct buf b;

	chan_init(&c, fd, ROLE_SIGNER, ROLE_RECEIVER);
	buf_init(&b, FRAME_SMALL);
	while (chan_wait(&c, &f, -1, NULL) == 1) {
		struct msg_signed s = { .status = SIGN_OK };
		struct msg_sign m;

		if (sign_decode(f.body, f.fd, a, &m) == -1)
			_exit(9);
		s.headers = span_str(arena_printf(a, "DKIM-Signature: d=%.*s\r\n",
		    SPAN_ARG(m.domain)));
		signed_encode(&b, &s);
		to_peer(&c, FRAME_SIGNED, f.ticket, &b);
	}
	_exit(0);
}

/* What a queue entry was, told to the test through a pipe. */
struct told {
	uint64_t id, parent;
	uint32_t nrecipients, size, shown;
	uint8_t outcome[16];
	char first[64];		/* recipient */
	char queue[32];
	char bytes[2048];
};

static void
queue_main_loop(int fd, int tell)
{
	struct arena *a = arena_new(0);
	struct chan c;
	struct frame f;
	struct buf b;

	chan_init(&c, fd, ROLE_QUEUE, ROLE_RECEIVER);
	buf_init(&b, FRAME_SMALL);
	while (chan_wait(&c, &f, -1, NULL) == 1) {
		struct told t = { 0 };
		struct msg_submit m;
		struct msg_accepted acc = { 0 };
		struct span all;

		arena_reset(a);
		if (submit_decode(f.body, f.fd, a, &m) == -1 || payload_map(&m.payload, NULL) == -1)
			_exit(9);
		all = payload_flat(&m.payload, a);
		t.id = acc.id = m.env.id;
		t.parent = m.parent;
		t.nrecipients = (uint32_t)m.env.nrecipients;
		t.size = (uint32_t)all.n;
		t.shown = (uint32_t)(all.n < sizeof(t.bytes) ? all.n : sizeof(t.bytes));
		memcpy(t.bytes, all.p, t.shown);
		for (size_t i = 0; i < m.ndecisions && i < 16; i++)
			t.outcome[i] = (uint8_t)m.decisions[i].outcome;
		snprintf(t.first, sizeof(t.first), "%.*s", SPAN_ARG(m.env.recipients[0].address));
		snprintf(t.queue, sizeof(t.queue), "%.*s", SPAN_ARG(m.decisions[0].queue));
		payload_unmap(&m.payload);
		if (span_starts(m.env.sender, SPAN_LIT("full@"))) {
			acc.status = ACCEPT_FULL;
			acc.text = SPAN_LIT("no room");
		} else if (fs_write_all(tell, &t, sizeof(t), NULL) == -1)
			_exit(8);
		if (span_starts(m.env.sender, SPAN_LIT("silent@")))
			pause();
		accepted_encode(&b, &acc);
		to_peer(&c, FRAME_ACCEPTED, f.ticket, &b);
	}
	_exit(0);
}

struct noted {
	uint64_t id;
	char from[64], to[64], reply[128], outcome[16], dsn[16];
};

static void
store_main_loop(int fd, int tell)
{
	struct arena *a = arena_new(0);
	struct chan c;
	struct frame f;

	chan_init(&c, fd, ROLE_STORE, ROLE_RECEIVER);
	while (chan_wait(&c, &f, -1, NULL) == 1) {
		struct noted n = { 0 };
		struct msg_event e;

		arena_reset(a);
		if (event_decode(f.body, f.fd, a, &e) == -1 || e.kind != EVENT_REFUSED || e.seq ||
		    !e.has_env)
			_exit(9);
		n.id = e.id;
		snprintf(n.from, sizeof(n.from), "%.*s", SPAN_ARG(e.env.sender));
		snprintf(n.to, sizeof(n.to), "%.*s", SPAN_ARG(e.rcpt));
		snprintf(n.reply, sizeof(n.reply), "%.*s", SPAN_ARG(e.reply));
		snprintf(n.outcome, sizeof(n.outcome), "%.*s", SPAN_ARG(e.outcome));
		snprintf(n.dsn, sizeof(n.dsn), "%.*s", SPAN_ARG(e.dsn));
		if (fs_write_all(tell, &n, sizeof(n), NULL) == -1)
			_exit(8);
	}
	_exit(0);
}

/* ---- the master's part ---- */

static void
give(struct chan *master, enum frame_type t, struct buf *body, int fd)
{
	struct err err;

	assert_int_equal(chan_push(master, t, 0, buf_data(body), fd), 0);
	assert_int_equal(chan_flush(master, &err), 0);
	buf_reset(body);
}

static pid_t
peer(struct chan *master, enum role role, uint32_t instance, int tell)
{
	struct msg_peer m = { role, instance };
	struct buf b;
	int sv[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sv[0]);
		if (role == ROLE_SCANNER)
			scanner_main_loop(sv[1]);
		if (role == ROLE_SIGNER)
			signer_main_loop(sv[1]);
		if (role == ROLE_STORE)
			store_main_loop(sv[1], tell);
		queue_main_loop(sv[1], tell);
	}
	close(sv[1]);
	buf_init(&b, FRAME_SMALL);
	peer_encode(&b, &m);
	give(master, FRAME_PEER, &b, sv[0]);
	buf_release(&b);
	return pid;
}

static int
bound(uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

static pid_t
start_receiver(int control, int config, int shared)
{
	struct startup su = { .instance = 7, .foreground = true };
	char path[96];
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(path, sizeof(path), "%s/postern.yaml", house.dir);
	su.config_path = path;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* away from 3, 4 and 5 first, then to their places */
	control = fcntl(control, F_DUPFD, 20);
	config = fcntl(config, F_DUPFD, 20);
	shared = fcntl(shared, F_DUPFD, 20);
	dup2(control, FD_CONTROL);
	dup2(config, FD_CONFIG);
	dup2(shared, FD_SHARED);
	for (int fd = 6; fd < 64; fd++)
		close(fd);
	clock_virtual = house.clock;
	if (getenv("QUIET"))
		dup2(open("/dev/null", O_WRONLY), 2);
	_exit(runtime_main(&receiver_ops, &su));	/* no leak check within a sandbox */
}

static struct chan master;

static int
setup(void **state)
{
	struct msg_listener l = { 0 };
	struct err err;
	struct frame f;
	struct buf b;
	int sv[2], tell[2], note[2], config;

	signal(SIGPIPE, SIG_IGN);
	config = fs_memfd("config", &err);
	assert_int_equal(fs_write_all(config, config_text, sizeof(config_text) - 1, &err), 0);
	assert_int_equal(fs_memfd_seal(config, &err), 0);
	assert_true(lseek(config, 0, SEEK_SET) == 0);
	house.shared = shared_create(&err);
	assert_true(house.shared != -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	assert_int_equal(pipe2(note, O_CLOEXEC), 0);
	house.submitted = tell[0];
	house.journal = note[0];
	house.receiver = start_receiver(sv[1], config, house.shared);
	close(sv[1]);
	close(config);
	chan_init(&master, sv[0], ROLE_MASTER, ROLE_RECEIVER);
	assert_int_equal(chan_wait(&master, &f, 20000, &err), 1);
	assert_int_equal(f.type, FRAME_READY);
	buf_init(&b, FRAME_SMALL);
	listener_encode(&b, &l);
	give(&master, FRAME_LISTENER, &b, bound(&house.port));
	l.index = 1;
	listener_encode(&b, &l);
	give(&master, FRAME_LISTENER, &b, bound(&house.closed_port));
	house.queue = peer(&master, ROLE_QUEUE, 1, tell[1]);
	close(tell[1]);
	house.store = peer(&master, ROLE_STORE, 3, note[1]);
	close(note[1]);
	house.signer = peer(&master, ROLE_SIGNER, 2, -1);
	for (int i = 0; i < SCANNERS; i++)
		house.scanners[i] = peer(&master, ROLE_SCANNER, (uint32_t)(10 + i), -1);
	buf_release(&b);
	return 0;
}

static int
setup_policy(void **state, const char *policy)
{
	char path[128];
	int fd;

	snprintf(house.dir, sizeof(house.dir), "/tmp/postern-test-XXXXXX");
	assert_non_null(mkdtemp(house.dir));
	assert_int_equal(chmod(house.dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/policy.d", house.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/policy.d/limits.yaml", house.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(fs_write_all(fd, policy, strlen(policy), NULL), 0);
	close(fd);
	return setup(state);
}

static int
setup_plain(void **state)
{
	return setup_policy(state, "version: 1\n");
}

static int
setup_limits(void **state)
{
	return setup_policy(state, "version: 1\nlimits:\n"
	    "  - {id: per-sender, per: sender, allow: 2 messages / 1h, then: defer}\n"
	    "  - {id: per-domain, per: sender_domain, allow: 1 messages / 1h, "
	    "then: {hold: {for: dpo@example.org}}}\n");
}

static int
setup_clock(void **state)
{
	house.clock = mmap(NULL, sizeof(*house.clock), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true((void *)house.clock != MAP_FAILED);
	*house.clock = INT64_C(1795344099000000);
	return setup_plain(state);
}

static void
remove_dir(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/policy.d/limits.yaml", house.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/policy.d", house.dir);
	rmdir(path);
	rmdir(house.dir);
}

/* Retires the receiver: it must leave by itself, with 0. */
static int
teardown(void **state)
{
	pid_t all[] = { house.queue, house.signer, house.store, house.scanners[0], house.scanners[1],
		house.scanners[2] };
	struct pollfd pidfd = { .events = POLLIN };
	struct buf b;
	int status;

	buf_init(&b, FRAME_SMALL);
	/* it may have retired in the test, and be gone */
	if (chan_push(&master, FRAME_RETIRE, 0, buf_data(&b), -1) == 0)
		chan_flush(&master, NULL);
	pidfd.fd = (int)syscall(SYS_pidfd_open, house.receiver, 0);
	if (poll(&pidfd, 1, 20000) != 1)
		kill(house.receiver, SIGKILL);
	close(pidfd.fd);
	assert_int_equal(waitpid(house.receiver, &status, 0), house.receiver);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	chan_release(&master);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		kill(all[i], SIGKILL);
		waitpid(all[i], NULL, 0);
	}
	close(house.submitted);
	close(house.journal);
	close(house.shared);
	if (house.clock)
		munmap(house.clock, sizeof(*house.clock));
	house.clock = NULL;
	remove_dir();
	return 0;
}

/* ---- the client ---- */

struct client {
	int fd;
	struct buf in;
	char line[1024];
};

static struct client
client_at(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	struct timeval tv = { .tv_sec = 30 };

	setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(connect(c.fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	buf_init(&c.in, 1 << 16);
	return c;
}

/* The next line without CRLF; NULL at the end. */
static const char *
hear(struct client *c)
{
	for (;;) {
		struct span s = buf_data(&c->in);
		size_t n = span_find(s, '\n');
		ssize_t got;

		if (n < s.n) {
			assert_true(n > 0 && n < sizeof(c->line) && s.p[n - 1] == '\r');
			memcpy(c->line, s.p, n - 1);
			c->line[n - 1] = '\0';
			buf_consume(&c->in, n + 1);
			return c->line;
		}
		got = recv(c->fd, buf_room(&c->in, 4096), 4096, 0);
		assert_true(got != -1 || errno == ECONNRESET);
		if (got <= 0)
			return NULL;
		buf_commit(&c->in, (size_t)got);
	}
}

static void
expect(struct client *c, const char *start)
{
	const char *got;

	do
		got = hear(c);
	while (got && strlen(got) > 3 && got[3] == '-');
	if (got == NULL || strncmp(got, start, strlen(start)) != 0)
		fail_msg("expected \"%s\", got \"%s\"", start, got ? got : "(end)");
}

static void
say(struct client *c, const char *text)
{
	assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
bye(struct client *c)
{
	close(c->fd);
	buf_release(&c->in);
}

static void
greeted(struct client *c)
{
	*c = client_at(house.port);
	expect(c, "220 gw1.example.org ESMTP Postern");
	say(c, "EHLO client.example\r\n");
	expect(c, "250 ENHANCEDSTATUSCODES");
}

/* One message in a pipelined group; answer: what follows its end. */
static void
mail(struct client *c, const char *from, const char *to, const char *answer)
{
	char text[1024], *list = strdup(to), *save, *r;
	int n = 0;

	snprintf(text, sizeof(text), "MAIL FROM:<%s>\r\n", from);
	say(c, text);
	for (r = strtok_r(list, " ", &save); r; r = strtok_r(NULL, " ", &save), n++) {
		snprintf(text, sizeof(text), "RCPT TO:<%s@example.net>\r\n", r);
		say(c, text);
	}
	free(list);
	say(c, "DATA\r\n");
	expect(c, "250 2.1.0");
	while (n--)
		expect(c, "250 2.1.5");
	expect(c, "354");
	snprintf(text, sizeof(text), "From: A <%s>\r\nSubject: x\r\n\r\n..dot\r\nbody\r\n.\r\n", from);
	say(c, text);
	expect(c, answer);
}

static void
read_pipe(int fd, void *to, size_t size)
{
	size_t n = 0;

	while (n < size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got;

		assert_int_equal(poll(&p, 1, 20000), 1);
		got = read(fd, (char *)to + n, size - n);
		assert_true(got > 0);
		n += (size_t)got;
	}
}

static struct told
submitted(void)
{
	struct told t;

	read_pipe(house.submitted, &t, sizeof(t));
	return t;
}

static struct noted
journal(void)
{
	struct noted n;

	read_pipe(house.journal, &n, sizeof(n));
	return n;
}

static bool
nothing_submitted(void)
{
	return poll(&(struct pollfd){ .fd = house.submitted, .events = POLLIN }, 1, 0) == 0;
}

#endif
