/* test_scanner.c -- the scanner's parent and workers as processes, with the test as their master
 * and as a receiver: started, asked, killed, retired, inside their sandboxes. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "clock.h"
#include "fs.h"
#include "ipc/messages_antivirus.h"
#include "master/runtime.h"
#include "master/startup.h"
#include "scanner/archive.h"
#include "scanner_test.h"

#define PATIENCE_MS 20000

static char *dir;
static struct arena *arena;
static struct chan control;	/* to the parent */
static pid_t parent;

static const char policy[] =
    "version: 1\n"
    "use: [postern/base]\n"
    "rules:\n"
    "  - {id: virus, severity: critical, when: {virus: true}, then: {quarantine: virus}}\n"
    "  - {id: cards, when: {finds: {payment-card: {min: 1}}}, then: {reject: \"5.7.1 cards\"}}\n";

static void
become_parent(int sock, int conf, int shared)
{
	struct startup su = { .instance = 7, .config_path = arena_printf(arena, "%s/postern.yaml",
	    dir), .foreground = true };

	int log = open(arena_printf(arena, "%s/log", dir), O_WRONLY | O_CREAT | O_APPEND, 0644);

	/* Out of the way first: one of them may be 3, 4 or 5 already. */
	log = fcntl(log, F_DUPFD, 20);
	sock = fcntl(sock, F_DUPFD, 20);
	conf = fcntl(conf, F_DUPFD, 20);
	shared = fcntl(shared, F_DUPFD, 20);
	if (dup2(sock, FD_CONTROL) == -1 || dup2(conf, FD_CONFIG) == -1 ||
	    dup2(shared, FD_SHARED) == -1 || dup2(log, STDERR_FILENO) == -1)
		_exit(9);
	close(sock);
	close(conf);
	close(shared);
	setpgid(0, 0);
	_exit(scanner_main(&su));
}

static void
start(const char *antivirus, const char *timeout)
{
	struct err err;
	int sv[2], conf, shared;
	char *text = arena_printf(arena,
	    "version: 1\nhostname: gw1.example.org\nrun: run\nspool: spool\nstore: sqlite:store.db\n"
	    "policy: policy.d\nantivirus: %s\nscanners: {processes: 2, timeout: %s}\n"
	    "listeners: [{name: l, address: \"127.0.0.1:8025\", direction: outbound, "
	    "allow: [10.0.0.0/8]}]\n", antivirus,
	    timeout);

	test_write(arena_printf(arena, "%s/postern.yaml", dir), text);
	test_write(arena_printf(arena, "%s/policy.d/10.yaml", dir), policy);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	conf = fs_memfd("postern.yaml", &err);
	shared = shared_create(&err);
	assert_true(conf != -1 && shared != -1);
	assert_int_equal(fs_write_all(conf, text, strlen(text), &err), 0);
	fflush(NULL);
	parent = fork();
	assert_int_not_equal(parent, -1);
	if (parent == 0) {
		close(sv[0]);
		become_parent(sv[1], conf, shared);
	}
	close(sv[1]);
	close(conf);
	close(shared);
	chan_init(&control, sv[0], ROLE_MASTER, ROLE_SCANNER);
}

static int
setup(void **state)
{
	arena = arena_new(0);
	dir = test_dir();
	test_databases(arena, dir, "0");
	return mkdir(arena_printf(arena, "%s/policy.d", dir), 0755);
}

/* Where the scanner's temporary folders are made: see scanner.c. */
static const char *
base(void)
{
	char *run = arena_printf(arena, "%s/run", dir), *own = arena_printf(arena, "%s/scanner", run);
	struct stat st;

	if (stat(own, &st) == 0 || stat(run, &st) == -1)
		return own;
	return arena_printf(arena, "/dev/shm/postern-%llx-%llx", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
}

static int
teardown(void **state)
{
	chan_release(&control);		/* an orphan ends by itself, and its workers with it */
	if (parent > 0)
		waitpid(parent, NULL, 0);
	parent = 0;
	rmdir(base());
	test_remove(dir);
	free(dir);
	arena_free(&arena);
	return 0;
}

/* The next frame, which must be of that type; its descriptor is the caller's. */
static struct frame
expect(struct chan *c, enum frame_type type)
{
	struct frame f = { .fd = -1 };
	struct err err = { 0 };
	int rc = chan_wait(c, &f, PATIENCE_MS, &err);

	if (rc != 1)
		fail_msg("waiting for %s: %d %s", frame_name(type), rc, err.text);
	if (f.type != type)
		fail_msg("%s instead of %s", frame_name(f.type), frame_name(type));
	return f;
}

/* Before anything else the parent says what it has loaded; it can be compiled again from that. */
static void
expect_policy(void)
{
	struct frame f = expect(&control, FRAME_POLICY);
	struct archive ar;
	struct msg_policy m;
	struct msg_antivirus engine;
	struct policy *p;
	struct diags d;
	struct err err;
	char *bytes;

	assert_int_equal(policy_decode(f.body, f.fd, arena, &m), 0);
	bytes = arena_alloc(arena, m.size + 1);
	assert_int_equal(pread(f.fd, bytes, m.size + 1, 0), m.size);
	assert_int_equal(policy_archive_unpack(span_make(bytes, m.size), arena, &ar, &err), 0);
	assert_true(span_eq(ar.hash, m.hash) && ar.parts.nfiles == 1);
	assert_true(span_eq(ar.parts.files[0].text, span_str(policy)));
	diags_init(&d, arena);
	p = policy_archive_load(&ar, &d);
	assert_non_null(p);
	assert_string_equal(policy_hash(p), arena_str(arena, m.hash));
	assert_true(span_eq(policy_manifest(p), ar.manifest));
	policy_free(&p);
	close(f.fd);
	f = expect(&control, FRAME_ANTIVIRUS);
	assert_int_equal(antivirus_decode(f.body, f.fd, arena, &engine), 0);
	assert_int_equal(engine.report, AV_REPORT_LOADED);
}

struct worker {
	pid_t pid;
	uint32_t instance;
	struct chan control, peer;
};

/* A worker announced by the parent: waits until it is ready, gives it a receiver's channel. */
static void
take_worker(struct worker *w)
{
	struct msg_peer peer = { ROLE_RECEIVER, 3 };
	struct msg_worker m;
	struct frame f = expect(&control, FRAME_WORKER);
	struct buf b;
	int sv[2];

	assert_int_equal(worker_decode(f.body, f.fd, arena, &m), 0);
	assert_int_equal(m.instance >> 12, 7);
	w->pid = (pid_t)m.pid;
	w->instance = m.instance;
	chan_init(&w->control, f.fd, ROLE_MASTER, ROLE_SCANNER);
	f = expect(&w->control, FRAME_READY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	buf_init(&b, FRAME_SMALL);
	peer_encode(&b, &peer);
	assert_int_equal(chan_push(&w->control, FRAME_PEER, 0, buf_data(&b), sv[1]), 0);
	assert_int_equal(chan_flush(&w->control, NULL), 0);
	buf_release(&b);
	chan_init(&w->peer, sv[0], ROLE_RECEIVER, ROLE_SCANNER);
}

static void
drop_worker(struct worker *w)
{
	chan_release(&w->control);
	chan_release(&w->peer);
}

static void
ask(struct worker *w, uint64_t ticket, const char *message, bool as_fd)
{
	struct recipient rcpt[2] = { { .address = SPAN_LIT("b@example.net") },
		{ .address = SPAN_LIT("c@example.net") } };
	struct msg_scan m = { .env = { .id = ticket, .direction = DIRECTION_OUTBOUND,
		.client = { .family = 4, .b = { 10, 1, 2, 3 } }, .sender = SPAN_LIT("a@example.org"),
		.recipients = rcpt, .nrecipients = 2 } };
	struct err err;
	struct buf b;
	int fd = -1;

	payload_from_span(&m.payload, span_str(message), arena);
	if (as_fd) {
		fd = fs_memfd("message", &err);
		assert_int_not_equal(fd, -1);
		assert_int_equal(fs_write_all(fd, message, strlen(message), &err), 0);
		assert_int_equal(fs_memfd_seal(fd, &err), 0);
		payload_from_fd(&m.payload, fd, strlen(message), arena);
	}
	buf_init(&b, FRAME_BIG);
	scan_encode(&b, &m);
	assert_int_equal(chan_push(&w->peer, FRAME_SCAN, ticket, buf_data(&b), fd), 0);
	assert_int_equal(chan_flush(&w->peer, NULL), 0);
	buf_release(&b);
}

static struct msg_verdict
answer(struct worker *w, uint64_t ticket)
{
	struct frame f = expect(&w->peer, FRAME_VERDICT);
	struct msg_verdict v;

	assert_int_equal(f.ticket, ticket);
	assert_int_equal(verdict_decode(f.body, -1, arena, &v), 0);
	assert_int_equal(v.ndecisions, 2);
	return v;
}

static const char *
with_eicar(void)
{
	return arena_printf(arena, "From: a@example.org\r\n\r\n%s\r\n", test_eicar(arena));
}

static int
exit_status(void)
{
	int status;

	assert_int_equal(waitpid(parent, &status, 0), parent);
	parent = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
retire_parent(void)
{
	assert_int_equal(chan_push(&control, FRAME_RETIRE, 0, span_make(NULL, 0), -1), 0);
	assert_int_equal(chan_flush(&control, NULL), 0);
}

static void
judges_inside_its_cage(void **state)
{
	static const char clean[] = "From: a@example.org\r\nSubject: hi\r\n\r\nNothing.\r\n";
	struct worker w, other;
	struct msg_verdict v;
	struct frame f;

	start(arena_printf(arena, "{engine: libclamav, databases: databases}"), "30s");
	expect_policy();
	f = expect(&control, FRAME_READY);
	assert_int_equal(f.fd, -1);
	take_worker(&w);
	take_worker(&other);
	assert_int_not_equal(w.instance, other.instance);
	for (int as_fd = 0; as_fd < 2; as_fd++) {
		ask(&w, 11, clean, as_fd);
		v = answer(&w, 11);
		assert_int_equal(v.decisions[0].outcome, OUTCOME_DELIVER);
		assert_true(span_starts(v.record, SPAN_LIT("{\"v\":1,")));
		assert_false(v.unscannable);
		ask(&w, 12, with_eicar(), as_fd);
		v = answer(&w, 12);
		assert_int_equal(v.decisions[1].outcome, OUTCOME_QUARANTINE);
		assert_true(span_is(v.decisions[1].rule, "virus"));
		assert_non_null(memmem(v.record.p, v.record.n, "Eicar-Test", 10));
		ask(&w, 13, "From: a@example.org\r\n\r\nCard 4111 1111 1111 1111\r\n", as_fd);
		v = answer(&w, 13);
		assert_int_equal(v.decisions[0].outcome, OUTCOME_REJECT);
		assert_true(span_starts(v.decisions[0].reply, SPAN_LIT("5.7.1 cards")));
	}
	/* What had arrived when it is retired is answered. */
	ask(&w, 14, clean, false);
	ask(&other, 15, clean, true);
	retire_parent();
	answer(&w, 14);
	answer(&other, 15);
	assert_int_equal(exit_status(), 0);
	drop_worker(&w);
	drop_worker(&other);
	/* Nothing is left of its folders but the empty one they were in. */
	assert_int_equal(rmdir(base()), 0);
}

static void
replaces_the_dead(void **state)
{
	struct worker w, other, young;
	struct frame f = { .fd = -1 };
	struct err err;

	start("{engine: off}", "30s");
	expect_policy();
	expect(&control, FRAME_READY);
	take_worker(&w);
	take_worker(&other);
	assert_int_equal(kill(w.pid, SIGKILL), 0);
	assert_int_equal(chan_wait(&w.peer, &f, PATIENCE_MS, &err), -1);
	take_worker(&young);
	assert_int_not_equal(young.instance, w.instance);
	ask(&young, 1, "From: a@example.org\r\n\r\nx\r\n", false);
	assert_int_equal(answer(&young, 1).decisions[0].outcome, OUTCOME_DELIVER);
	ask(&other, 2, "From: a@example.org\r\n\r\nx\r\n", false);
	assert_int_equal(answer(&other, 2).decisions[0].outcome, OUTCOME_DELIVER);
	drop_worker(&w);
	drop_worker(&other);
	drop_worker(&young);
	retire_parent();
	assert_int_equal(exit_status(), 0);
}

/* The engine's folder vanishes under a running worker: the mail waits, it does not pass. */
static void
blind_antivirus_defers(void **state)
{
	struct worker w;
	struct msg_verdict v;
	char *folder;

	start("{engine: libclamav, databases: databases}", "30s");
	expect_policy();
	expect(&control, FRAME_READY);
	take_worker(&w);
	ask(&w, 1, with_eicar(), false);
	assert_int_equal(answer(&w, 1).decisions[0].outcome, OUTCOME_QUARANTINE);
	folder = arena_printf(arena, "%s/%d/%u", base(), (int)parent, w.instance & 0xfff);
	assert_int_equal(rename(folder, arena_printf(arena, "%s.away", folder)), 0);
	ask(&w, 2, with_eicar(), false);
	v = answer(&w, 2);
	assert_int_equal(v.decisions[0].outcome, OUTCOME_DEFER);
	assert_true(span_starts(v.decisions[0].reply, SPAN_LIT("4.7.1 ")));
	drop_worker(&w);
}

/* Nonsense from a receiver costs the channel, and the master hears of it. */
static void
nonsense_is_reported(void **state)
{
	struct msg_peer whom;
	struct worker w;
	struct frame f;

	start("{engine: off}", "30s");
	expect_policy();
	expect(&control, FRAME_READY);
	take_worker(&w);
	assert_int_equal(chan_push(&w.peer, FRAME_SCAN, 1, SPAN_LIT("nonsense"), -1), 0);
	assert_int_equal(chan_flush(&w.peer, NULL), 0);
	f = expect(&w.control, FRAME_FAULT);
	assert_int_equal(peer_decode(f.body, -1, arena, &whom), 0);
	assert_int_equal(whom.role, ROLE_RECEIVER);
	assert_int_equal(whom.instance, 3);
	drop_worker(&w);
}

static bool
logged(const char *text)
{
	struct span log;

	assert_int_equal(fs_read(arena, arena_printf(arena, "%s/log", dir), 1u << 20, &log, NULL), 0);
	return strstr(log.p, text) != NULL;
}

static void
missing_databases_do_not_start(void **state)
{
	start("{engine: libclamav, databases: nowhere}", "30s");
	assert_int_equal(exit_status(), STARTUP_FAILED);
	assert_true(logged("nowhere"));
	assert_true(logged("engine: off"));
}

static void
bad_policy_does_not_start(void **state)
{
	test_write(arena_printf(arena, "%s/policy.d/20.yaml", dir), "version: 1\nrulez: []\n");
	start("{engine: off}", "30s");
	assert_int_equal(exit_status(), STARTUP_FAILED);
	assert_true(logged("policy.d/20.yaml:2:1: "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(judges_inside_its_cage), T(replaces_the_dead), T(blind_antivirus_defers),
		T(nonsense_is_reported), T(missing_databases_do_not_start), T(bad_policy_does_not_start),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
