/* test_delivery.c -- jobs over real sockets on loopback: with and without TLS, over one
 * connection and many, to servers that fail in every way a server can fail.
 *
 * Every wait is for an event: the loop ends when the jobs are done.
 */
#include <fcntl.h>

#include "delivery/segment.h"
#include "delivery_lab.h"
#include "fs.h"
#include "ipc/channel.h"
#include "master/runtime.h"

/* --- the good way --- */

static void
test_one_connection(void **state)
{
	for (int no_pipelining = 0; no_pipelining < 2; no_pipelining++) {
		struct fake f = { .no_pipelining = no_pipelining };
		struct lab lab;
		char relay[64];

		fake_start(&f);
		lab_init(&lab, &f);
		send_one_by_one(&lab, 5, hello);
		snprintf(relay, sizeof(relay), "mx.lab[127.0.0.1]:%u", f.port);
		for (int i = 0; i < 5; i++) {
			assert_outcome(&lab.outcomes[i], 1, RCPT_SENT, FAIL_NONE, "2.0.0");
			assert_string_equal(lab.outcomes[i].relay, relay);
			assert_string_equal(lab.outcomes[i].reply, "250 2.0.0 queued");
			assert_string_equal(lab.outcomes[i].tls, "");
		}
		assert_int_equal(f.log->connections, 1);
		assert_int_equal(f.log->messages, 5);
		assert_int_equal(f.log->recipients, 10);
		assert_int_equal(f.log->body_n, hello.n);
		assert_memory_equal(f.log->body, hello.p, hello.n);
		lab_release(&lab);
		fake_stop(&f);
	}
}

static void
test_starttls(void **state)
{
	struct fake f = { .tls = true };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	send_one_by_one(&lab, 3, hello);
	for (int i = 0; i < 3; i++) {
		assert_outcome(&lab.outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
		assert_true(span_starts(span_str(lab.outcomes[i].tls), SPAN_LIT("TLSv1.3 TLS_")));
		assert_true(span_ends_nocase(span_str(lab.outcomes[i].tls),
		    SPAN_LIT(" unverified subject=CN=mx.lab")));
	}
	assert_int_equal(f.log->handshakes, 1);
	assert_int_equal(f.log->messages, 3);
	assert_memory_equal(f.log->body, hello.p, hello.n);
	lab_release(&lab);
	fake_stop(&f);
}

static void
test_large_body(void **state)
{
	size_t n = 5 << 20;
	char *text = malloc(n);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : i % 780 == 0 ? '.' :
		    (char)('a' + i % 23);
	text[n - 2] = '\r';
	text[n - 1] = '\n';
	for (int tls = 0; tls < 2; tls++) {
		struct fake f = { .tls = tls };
		struct lab lab;

		fake_start(&f);
		lab_init(&lab, &f);
		send_one_by_one(&lab, 1, span_make(text, n));
		assert_outcome(&lab.outcomes[0], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
		assert_int_equal(f.log->handshakes, tls);
		assert_int_equal(f.log->body_n, n);
		assert_memory_equal(f.log->body, text, n);
		lab_release(&lab);
		fake_stop(&f);
	}
	free(text);
}

/* Many at once: never more connections than allowed, each message once. */
static void
test_many_jobs(void **state)
{
	struct fake f = { 0 };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	lab.conf.delivery.site_messages = 7;
	for (int i = 0; i < 60; i++)
		carrier_take(&lab.c, lab_job(&lab, "site.lab", hello, 1));
	event_base_loop(lab.c.base, EVLOOP_ONCE);
	assert_true(lab.c.nsessions <= 5);
	lab_run(&lab);
	for (int i = 0; i < 60; i++)
		assert_outcome(&lab.outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	assert_int_equal(f.log->messages, 60);
	assert_true(f.log->connections >= 60 / 7);
	lab_release(&lab);
	fake_stop(&f);
}

static void
test_many_recipients(void **state)
{
	struct fake f = { 0 };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	carrier_take(&lab.c, lab_job(&lab, "site.lab", hello, 250));
	lab_run(&lab);
	for (size_t i = 0; i < 250; i++)
		assert_outcome(&lab.outcomes[0], i, RCPT_SENT, FAIL_NONE, "2.0.0");
	assert_int_equal(f.log->transactions, 3);
	assert_int_equal(f.log->recipients, 250);
	assert_int_equal(f.log->connections, 1);
	lab_release(&lab);
	fake_stop(&f);
}

/* --- servers that fail --- */

static void
test_refused_recipient(void **state)
{
	struct fake f = { .refuse = "RCPT TO:<r1@" };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	send_one_by_one(&lab, 2, hello);
	for (int i = 0; i < 2; i++) {
		assert_outcome(&lab.outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
		assert_outcome(&lab.outcomes[i], 1, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.1");
	}
	assert_int_equal(f.log->connections, 1);
	lab_release(&lab);
	fake_stop(&f);
}

/* The server hangs up between messages: a new connection, and nothing is put off. */
static void
test_dead_while_idle(void **state)
{
	struct fake f = { .close_after = 1 };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	lab.conf.delivery.site_connections = 1;
	for (int i = 0; i < 10; i++)
		carrier_take(&lab.c, lab_job(&lab, "site.lab", hello, 1));
	lab_run(&lab);
	for (int i = 0; i < 10; i++)
		assert_outcome(&lab.outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	assert_int_equal(f.log->messages, 10);
	assert_int_equal(f.log->connections, 10);
	lab_release(&lab);
	fake_stop(&f);
}

static void
test_next_host(void **state)
{
	struct fake f = { 0 };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	lab.hosts[1] = lab.hosts[0];
	lab.hosts[0].port = fake_closed_port();
	lab.route.nhosts = 2;
	send_one_by_one(&lab, 1, hello);
	assert_outcome(&lab.outcomes[0], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	lab_release(&lab);
	fake_stop(&f);
}

/* A server that refuses to introduce itself is left for the next. */
static void
test_next_host_after_greeting(void **state)
{
	struct fake bad = { .refuse = "EHLO" }, f = { 0 };
	struct lab lab;

	fake_start(&bad);
	fake_start(&f);
	lab_init(&lab, &bad);
	lab.hosts[1] = lab.hosts[0];
	lab.hosts[1].port = f.port;
	lab.route.nhosts = 2;
	send_one_by_one(&lab, 1, hello);
	assert_outcome(&lab.outcomes[0], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	assert_int_equal(bad.log->connections, 1);
	assert_int_equal(f.log->messages, 1);
	lab_release(&lab);
	fake_stop(&f);
	fake_stop(&bad);
}

static void
test_unreachable(void **state)
{
	struct lab lab;

	lab_init(&lab, NULL);
	lab.hosts[0].port = fake_closed_port();
	lab.conf.delivery.site_connections = 1;
	for (int i = 0; i < 3; i++)
		carrier_take(&lab.c, lab_job(&lab, "site.lab", hello, 2));
	lab_run(&lab);
	for (int i = 0; i < 3; i++) {
		assert_outcome(&lab.outcomes[i], 1, RCPT_DEFERRED, FAIL_CONNECT, "4.4.1");
		assert_string_equal(lab.outcomes[i].relay, "none");
		assert_non_null(strstr(lab.outcomes[i].reply, "connect to mx.lab[127.0.0.1]:"));
		assert_non_null(strstr(lab.outcomes[i].reply, "Connection refused"));
	}
	lab_release(&lab);
}

/* --- TLS that is wanted --- */

static void
test_tls_broken(void **state)
{
	for (int required = 0; required < 2; required++) {
		struct fake f = { .tls = true, .tls_broken = true };
		struct lab lab;

		fake_start(&f);
		lab_init(&lab, &f);
		if (required)
			lab.conf.delivery.floor = FLOOR_ENCRYPTED;
		send_one_by_one(&lab, 1, hello);
		if (required) {
			assert_outcome(&lab.outcomes[0], 0, RCPT_DEFERRED, FAIL_TLS, "4.7.5");
			assert_int_equal(f.log->messages, 0);
		} else {
			assert_outcome(&lab.outcomes[0], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
			assert_string_equal(lab.outcomes[0].tls, "");
			assert_int_equal(f.log->connections, 2);
		}
		lab_release(&lab);
		fake_stop(&f);
	}
}

static void
test_tls_required_by_message(void **state)
{
	struct fake f = { 0 };
	struct lab lab;
	struct job *job;

	fake_start(&f);
	lab_init(&lab, &f);
	/* a connection in clear stands ready; it must not be used */
	send_one_by_one(&lab, 1, hello);
	job = lab_job(&lab, "site.lab", hello, 1);
	job->d.require_tls = TLS_ENCRYPTED;
	carrier_take(&lab.c, job);
	lab_run(&lab);
	assert_outcome(&lab.outcomes[0], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	/* it is the message's wish: the server is not to blame */
	assert_outcome(&lab.outcomes[1], 0, RCPT_DEFERRED, FAIL_MESSAGE, "4.7.4");
	job = lab_job(&lab, "site.lab", hello, 1);
	job->d.require_tls = TLS_DANE;
	carrier_take(&lab.c, job);
	lab_run(&lab);
	assert_outcome(&lab.outcomes[2], 0, RCPT_DEFERRED, FAIL_MESSAGE, "4.7.5");
	assert_int_equal(f.log->messages, 1);
	lab_release(&lab);
	fake_stop(&f);
}

/* A certificate that nobody vouches for: enough for most, not for who wants it verified. Those who
 * ask for less are not refused along with it. */
static void
test_verified_tls_required_by_message(void **state)
{
	struct fake f = { .tls = true };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	lab.conf.delivery.site_connections = 1;
	for (int i = 0; i < 4; i++) {
		struct job *job = lab_job(&lab, "site.lab", hello, 1);

		if (i == 0)
			job->d.require_tls = TLS_VERIFIED;
		if (i == 2)
			job->d.flags = ENVELOPE_REQUIRETLS;
		if (i == 3)
			job->d.require_tls = TLS_ENCRYPTED;
		carrier_take(&lab.c, job);
	}
	lab_run(&lab);
	/* the verified one fails first, and with it the one that asks for even more */
	assert_outcome(&lab.outcomes[0], 0, RCPT_DEFERRED, FAIL_MESSAGE, "4.7.5");
	assert_outcome(&lab.outcomes[1], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	assert_outcome(&lab.outcomes[2], 0, RCPT_DEFERRED, FAIL_MESSAGE, "4.7.5");
	assert_outcome(&lab.outcomes[3], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
	assert_int_equal(f.log->messages, 2);
	lab_release(&lab);
	fake_stop(&f);
}

/* With a floor for all, the server is to blame for what it does not reach, and only for that. */
static void
test_tls_of_the_floor_and_the_message(void **state)
{
	for (int tls = 0; tls < 2; tls++) {
		struct fake f = { .tls = tls };
		struct lab lab;

		fake_start(&f);
		lab_init(&lab, &f);
		lab.conf.delivery.site_connections = 1;
		lab.conf.delivery.floor = FLOOR_ENCRYPTED;
		for (int i = 0; i < 3; i++) {
			struct job *job = lab_job(&lab, "site.lab", hello, 1);

			job->d.require_tls = i == 0 ? TLS_VERIFIED : i == 1 ? TLS_DANE : TLS_UNSPECIFIED;
			carrier_take(&lab.c, job);
		}
		lab_run(&lab);
		for (int i = 0; i < 3; i++) {
			if (tls && i == 2)
				assert_outcome(&lab.outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
			else
				assert_outcome(&lab.outcomes[i], 0, RCPT_DEFERRED,
				    tls ? FAIL_MESSAGE : FAIL_TLS, tls ? "4.7.5" : "4.7.4");
		}
		assert_int_equal(f.log->messages, tls);
		lab_release(&lab);
		fake_stop(&f);
	}
}

/* --- the end --- */

/* A log entry of the server, awaited within the loop. */
static void
await(struct lab *lab, _Atomic int *what, int value)
{
	static const struct timeval turn = { 0, 2000 };

	while (*what < value && !lab->overdue)
		event_base_loopexit(lab->c.base, &turn), event_base_dispatch(lab->c.base);
	assert_false(lab->overdue);
}

static void
test_cut_in_the_middle(void **state)
{
	static const char *const at[] = { "EHLO", "RCPT", "DATA", "." };

	for (size_t k = 0; k < 4; k++) {
		struct fake f = { .stuck_at = at[k] };
		struct lab lab;

		fake_start(&f);
		lab_init(&lab, &f);
		lab.conf.delivery.site_connections = 1;
		for (int i = 0; i < 2; i++)
			carrier_take(&lab.c, lab_job(&lab, "site.lab", hello, 1));
		if (k == 3) {
			await(&lab, &f.log->messages, 1);
			/* it was said; now the session must know that it was */
			assert_int_equal(lab.c.sessions->m.state, CLIENT_DOT);
		} else
			await(&lab, &f.log->connections, 1);
		carrier_retire(&lab.c);
		assert_true(lab.outcomes[1].done && lab.outcomes[1].handed_back);
		carrier_cut(&lab.c);
		assert_true(lab.outcomes[0].done);
		if (k == 3) {
			assert_outcome(&lab.outcomes[0], 0, RCPT_DEFERRED, FAIL_SITE, "4.4.2");
			assert_non_null(strstr(lab.outcomes[0].reply, "may be sent more than once"));
		} else
			assert_true(lab.outcomes[0].handed_back);
		assert_int_equal(lab.c.njobs, 0);
		lab_release(&lab);
		fake_stop(&f);
	}
}

/* Time is a value: five minutes without an answer pass at once. */
static void
test_timeout(void **state)
{
	struct fake f = { .stuck_at = "RCPT" };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	carrier_take(&lab.c, lab_job(&lab, "site.lab", hello, 1));
	while (lab.c.sessions == NULL || lab.c.sessions->m.state != CLIENT_MAIL)
		event_base_loop(lab.c.base, EVLOOP_ONCE);
	session_tick(lab.c.sessions, clock_mono() + 290 * US_PER_SEC);
	assert_false(lab.outcomes[0].done);
	session_tick(lab.c.sessions, clock_mono() + 301 * US_PER_SEC);
	assert_outcome(&lab.outcomes[0], 0, RCPT_DEFERRED, FAIL_SITE, "4.4.2");
	assert_non_null(strstr(lab.outcomes[0].reply, "timed out while sending MAIL FROM"));
	lab_release(&lab);
	fake_stop(&f);
}

/* An idle connection takes its leave, and the site is forgotten with it. */
static void
test_idle_quits(void **state)
{
	struct fake f = { 0 };
	struct lab lab;

	fake_start(&f);
	lab_init(&lab, &f);
	send_one_by_one(&lab, 1, hello);
	assert_int_equal(lab.c.sessions->phase, SESSION_IDLE);
	session_tick(lab.c.sessions, clock_mono() + 6 * US_PER_SEC);
	await(&lab, &f.log->quits, 1);
	while (lab.c.nsessions && !lab.overdue)
		event_base_loop(lab.c.base, EVLOOP_ONCE);
	assert_int_equal(lab.c.nsessions, 0);
	lab_release(&lab);
	fake_stop(&f);
}

/* --- DNS --- */

static void
dns_answer(int fd)
{
	unsigned char q[512], a[1024];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, q, sizeof(q), 0, (struct sockaddr *)&from, &len);
	size_t at = 12, end;
	unsigned type;

	if (n < 17)
		return;
	while (at < (size_t)n && q[at])
		at += q[at] + 1u;
	end = at + 5;
	type = (unsigned)q[at + 1] << 8 | q[at + 2];
	memcpy(a, q, end);
	a[2] = 0x85;
	a[3] = 0x80;
	a[6] = a[7] = a[8] = a[9] = a[10] = a[11] = 0;
	if (q[12] == 2 && memcmp(q + 13, "mx", 2) == 0) {
		if (type == DNS_A) {
			memcpy(a + end, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1", 16);
			a[7] = 1;
			end += 16;
		}
	} else if (q[12] == 4 && memcmp(q + 13, "nope", 4) == 0) {
		a[3] = 0x83;
	} else if (q[12] == 4 && memcmp(q + 13, "null", 4) == 0) {
		memcpy(a + end, "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\3\0\0\0", 15);
		a[7] = 1;
		end += 15;
	} else if (q[12] == 4 && memcmp(q + 13, "fail", 4) == 0) {
		a[3] = 0x82;
	} else if (type == DNS_MX) {
		memcpy(a + end, "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\5\0\x0a\2mx", 17);
		memcpy(a + end + 17, "\xc0\x0c", 2);
		a[end + 11] = 7;
		a[7] = 1;
		end += 19;
	}
	sendto(fd, a, end, 0, (struct sockaddr *)&from, len);
}

/* A name server in a process of its own; says where it is. */
static pid_t
dns_start(struct conf_host *where)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			dns_answer(fd);
	}
	close(fd);
	*where = (struct conf_host){ .ip = { 4, { 127, 0, 0, 1 } }, .port = ntohs(in.sin_port) };
	return pid;
}

static void
test_dns(void **state)
{
	static const struct { const char *site; enum rcpt_status s; const char *dsn; } rows[] = {
		{ "site.lab", RCPT_SENT, "2.0.0" }, { "nope.lab", RCPT_FAILED, "5.1.2" },
		{ "null.lab", RCPT_FAILED, "5.1.10" }, { "fail.lab", RCPT_DEFERRED, "4.4.3" },
		{ "[127.0.0.1]", RCPT_SENT, "2.0.0" }, { "site.lab", RCPT_SENT, "2.0.0" },
	};
	struct fake f = { 0 };
	struct conf_host server;
	struct err err;
	struct lab lab;
	pid_t pid;

	fake_start(&f);
	lab_init(&lab, &f);
	lab.conf.delivery.nlines = 0;
	lab.conf.delivery.port = f.port;
	pid = dns_start(&server);
	lab.c.resolver = resolver_new(lab.c.base, &server, 1, SPAN_LIT(""), &err);
	assert_non_null(lab.c.resolver);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		carrier_take(&lab.c, lab_job(&lab, rows[i].site, hello, 1));
	lab_run(&lab);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_outcome(&lab.outcomes[i], 0, rows[i].s, rows[i].s == RCPT_SENT ? FAIL_NONE :
		    FAIL_DNS, rows[i].dsn);
	assert_int_equal(f.log->messages, 3);
	lab_release(&lab);
	fake_stop(&f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- the role, in its sandbox, as the queue sees it --- */

static void
end_of_channel(void *ctx, struct link *l, const struct err *why)
{
	_exit(0);
}

static void
role_frame(void *ctx, struct link *l, struct frame *f)
{
	if (delivery_ops.frame(ctx, l, f) == -1)
		_exit(9);
}

static void
role_child(const struct config *conf, int fd)
{
	static const struct link_ops ops = { role_frame, end_of_channel };
	struct runtime rt = { .role = ROLE_DELIVERY, .conf = conf };
	const char *missing;
	struct err err;

	if (delivery_ops.start(&rt, &err) == -1 ||
	    sandbox_enter(delivery_ops.sandbox, NULL, &missing, &err) == -1)
		_exit(7);
	if (open("/etc/hostname", O_RDONLY) != -1)
		_exit(6);		/* no sandbox: the test would prove nothing */
	rt.base = event_base_new();
	if (delivery_ops.run(&rt, &err) == -1)
		_exit(8);
	delivery_ops.peer_up(&rt, link_new(rt.base, fd, ROLE_DELIVERY, ROLE_QUEUE, 1, &ops, &rt));
	event_base_dispatch(rt.base);
	_exit(5);
}

static void
push_deliver(struct chan *c, uint64_t ticket, const char *site, struct spool_ref ref, int fd)
{
	struct recipient rcpt = { .address = SPAN_LIT("r@site.lab") };
	uint16_t index = 4;
	struct msg_deliver m = { .id = 99, .received = clock_real(), .started = clock_real(),
		.site = span_str(site), .sender = SPAN_LIT("a@our.lab"), .recipients = &rcpt,
		.index = &index, .nrecipients = 1, .ref = ref };
	struct buf b;

	buf_init(&b, FRAME_BIG);
	deliver_encode(&b, &m);
	assert_int_equal(chan_push(c, FRAME_DELIVER, ticket, buf_data(&b), fd), 0);
	buf_release(&b);
}

static void
test_role(void **state)
{
	struct fake f = { .tls = true };
	struct msg_segment seg = { 3 };
	struct lab lab;
	struct chan c;
	struct frame fr;
	struct arena *a = arena_new(0);
	struct err err;
	struct buf b;
	int sv[2], fd, status;
	bool seen[4] = { false };
	pid_t pid, dns;

	fake_start(&f);
	lab_init(&lab, &f);
	lab.conf.policy_dir = "etc/policy.d";
	lab.conf.delivery.nlines = 0;
	lab.conf.delivery.port = f.port;
	lab.conf.dns = &lab.hosts[1];
	lab.conf.ndns = 1;
	dns = dns_start(&lab.hosts[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		close(sv[0]);
		role_child(&lab.conf, sv[1]);
	}
	close(sv[1]);
	chan_init(&c, sv[0], ROLE_QUEUE, ROLE_DELIVERY);
	fd = fs_memfd("segment", &err);
	assert_int_equal(fs_pwrite_all(fd, hello.p, hello.n, 1000, &err), 0);
	buf_init(&b, FRAME_SMALL);
	segment_encode(&b, &seg);
	assert_int_equal(chan_push(&c, FRAME_SEGMENT, 0, buf_data(&b), dup(fd)), 0);
	push_deliver(&c, 1, "site.lab", (struct spool_ref){ 3, 1000, hello.n }, -1);
	push_deliver(&c, 2, "nope.lab", (struct spool_ref){ 3, 1000, hello.n }, -1);
	push_deliver(&c, 3, "site.lab", (struct spool_ref){ 0, 1000, hello.n }, dup(fd));
	push_deliver(&c, 4, "site.lab", (struct spool_ref){ 8, 1000, hello.n }, -1);
	assert_int_equal(chan_flush(&c, &err), 0);
	for (int i = 0; i < 4; i++) {
		struct msg_result m;

		assert_int_equal(chan_wait(&c, &fr, 20000, &err), 1);
		assert_int_equal(fr.type, FRAME_RESULT);
		assert_int_equal(result_decode(fr.body, fr.fd, a, &m), 0);
		assert_true(fr.ticket >= 1 && fr.ticket <= 4 && !seen[fr.ticket - 1]);
		seen[fr.ticket - 1] = true;
		assert_int_equal(m.id, 99);
		assert_int_equal(m.nrcpts, 1);
		assert_int_equal(m.rcpts[0].index, 4);
		switch (fr.ticket) {
		case 2:
			assert_int_equal(m.rcpts[0].status, RCPT_FAILED);
			assert_true(span_is(m.rcpts[0].dsn, "5.1.2"));
			assert_true(span_is(m.site, "nope.lab"));
			break;
		case 4:		/* no such segment */
			assert_int_equal(m.rcpts[0].status, RCPT_DEFERRED);
			assert_int_equal(m.rcpts[0].cls, FAIL_LOCAL);
			break;
		default:
			assert_int_equal(m.rcpts[0].status, RCPT_SENT);
			assert_true(span_starts(m.tls, SPAN_LIT("TLSv1.3 ")));
			assert_true(m.rcpts[0].remote);
		}
	}
	assert_int_equal(f.log->messages, 2);
	assert_memory_equal(f.log->body, hello.p, hello.n);
	/* a body that breaks the rules is said so */
	assert_int_equal(chan_push(&c, FRAME_DELIVER, 5, SPAN_LIT("rubbish"), -1), 0);
	assert_int_equal(chan_flush(&c, &err), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
	chan_release(&c);
	close(fd);
	buf_release(&b);
	arena_free(&a);
	lab_release(&lab);
	fake_stop(&f);
	kill(dns, SIGKILL);
	waitpid(dns, NULL, 0);
}

/* --- the spool's bytes, and what is written of it --- */

static void
test_segments(void **state)
{
	struct segments *s = segments_new();
	struct spool_ref ref = { 3, 10, 20 };
	char text[8192];
	struct span out;
	struct err err;
	void *m, *m2;
	int fd = fs_memfd("segment", &err), other;

	memset(text, 'a', sizeof(text));
	assert_null(segment_bytes(s, &ref, -1, &out, &err));
	other = dup(fd);
	segments_add(s, 3, other);
	assert_null(segment_bytes(s, &ref, -1, &out, &err));	/* nothing there yet */
	assert_int_equal(fs_pwrite_all(fd, text, 100, 0, &err), 0);
	m = segment_bytes(s, &ref, -1, &out, &err);
	assert_non_null(m);
	assert_int_equal(out.n, 20);
	assert_memory_equal(out.p, text, 20);
	/* it grows, and the same mapping shows it */
	memset(text, 'b', sizeof(text));
	assert_int_equal(fs_pwrite_all(fd, text, sizeof(text), 100, &err), 0);
	ref = (struct spool_ref){ 3, 100, sizeof(text) };
	m2 = segment_bytes(s, &ref, -1, &out, &err);
	assert_ptr_equal(m2, m);
	assert_memory_equal(out.p, text, sizeof(text));
	ref.size++;
	assert_null(segment_bytes(s, &ref, -1, &out, &err));
	ref = (struct spool_ref){ 3, UINT64_MAX, 2 };
	assert_null(segment_bytes(s, &ref, -1, &out, &err));
	/* dropped while a job reads from it */
	segments_drop(s, 3);
	assert_memory_equal(out.p, text, sizeof(text));
	segment_release(m);
	segment_release(m2);
	/* a file of its own */
	ref = (struct spool_ref){ 0, 90, 30 };
	m = segment_bytes(s, &ref, fd, &out, &err);
	assert_non_null(m);
	assert_memory_equal(out.p, "aaaaaaaaaabbbbbbbbbbbbbbbbbbbb", 30);
	segment_release(m);
	assert_null(segment_bytes(s, &ref, -1, &out, &err));
	close(fd);
	segments_free(&s);
}

static void
test_delay_text(void **state)
{
	static const struct { int64_t us; const char *text; } rows[] = {
		{ 0, "0" }, { -5, "0" }, { 400, "0" }, { 1000, "0.001" }, { 50000, "0.05" },
		{ 310000, "0.31" }, { 300000, "0.3" }, { 1000000, "1" }, { 1240000, "1.2" },
		{ 12400000, "12" }, { 100000000, "100" }, { 7200000000, "7200" },
	};
	char text[DELAY_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(report_delay(rows[i].us, text), rows[i].text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_connection),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_large_body),
		cmocka_unit_test(test_many_jobs),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_refused_recipient),
		cmocka_unit_test(test_dead_while_idle),
		cmocka_unit_test(test_next_host),
		cmocka_unit_test(test_next_host_after_greeting),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_tls_broken),
		cmocka_unit_test(test_tls_required_by_message),
		cmocka_unit_test(test_verified_tls_required_by_message),
		cmocka_unit_test(test_tls_of_the_floor_and_the_message),
		cmocka_unit_test(test_cut_in_the_middle),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_idle_quits),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_role),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_delay_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
