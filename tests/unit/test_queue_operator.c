/* test_queue_operator.c -- the operator's hand on the queue: what is chosen, what is done to it, and
 * that mail goes on meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue_test.h"

static void
operator(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct rcpt_spec s = { "a@two.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	struct frame f;
	struct jval *v;
	const struct jval *leg;
	uint64_t id, t;
	char request[200], text[ID_SIZE];

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	(void)answer(&h, 1, id);
	for (int i = 0; i < 4; i++)
		(void)answer(&h, 2, submit(&h, "x@example.org", &s, 1, 2));
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.summary\"}", "messages"), 5);
	v = ask(&h, "{\"cmd\":\"queue.list\",\"by\":\"sender\"}");
	assert_true(span_is(jval_text(v, "sender"), "x@example.org"));
	assert_int_equal(jval_int(v, "messages", 0), 4);
	jval_free(&v);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.hold\",\"selector\":\"two.example\",\"count\":true}",
	    "matched"), 4);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.hold\",\"selector\":\"two.example\"}", "done"), 4);
	v = ask(&h, "{\"cmd\":\"queue.pause\",\"site\":\"one.example\"}");
	assert_true(jval_bool(v, "paused"));
	jval_free(&v);
	assert_int_equal(queued(&h), 5);
	house_crash(&h);
	start(&h);			/* both outlive a restart */
	peer(&h, 0, &h.receiver, ROLE_RECEIVER);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	assert_false(hear(&h, &h.delivery, FRAME_DELIVER, &f));
	snprintf(request, sizeof(request), "{\"cmd\":\"queue.show\",\"id\":\"%s\"}", id_format(id, text));
	v = ask(&h, request);
	leg = jval_at(jval_get(v, "legs"), 0);
	assert_true(span_is(jval_text(leg, "state"), "paused"));
	assert_true(span_is(jval_text(leg, "site"), "one.example"));
	jval_free(&v);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.resume\",\"site\":\"one.example\"}", "v"), 1);
	t = job(&h, &d);
	assert_int_equal(d.id, id);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.2", "mailbox full");
	v = ask(&h, request);
	leg = jval_at(jval_get(v, "legs"), 0);
	assert_true(span_is(jval_text(leg, "state"), "deferred"));
	assert_int_equal(jval_int(leg, "attempts", 0), 1);
	assert_true(span_is(jval_text(jval_at(jval_get(leg, "recipients"), 0), "reply"), "mailbox full"));
	jval_free(&v);
	snprintf(request, sizeof(request), "{\"cmd\":\"queue.retry\",\"selector\":\"%s\"}", text);
	assert_int_equal(ask_number(&h, request, "done"), 1);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.release\",\"sender\":\"x@example.org\"}", "done"), 4);
	for (int i = 0; i < 4; i++)
		(void)job(&h, &d);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.fail\",\"selector\":\"all\"}", "done"), 0);
	chan_release(&h.delivery);
	memset(&h.delivery, 0, sizeof(h.delivery));
	turn(&h);
	assert_int_equal(ask_number(&h,
	    "{\"cmd\":\"queue.fail\",\"selector\":\"all\",\"silent\":true}", "done"), 4);
	assert_int_equal(queued(&h), 0);
	v = ask(&h, "{\"cmd\":\"queue.explode\"}");
	assert_true(jval_has(v, "error"));
	jval_free(&v);
	v = ask(&h, "[1");
	assert_true(jval_has(v, "error"));
	jval_free(&v);
	house_free(&h);
}


/* ---- selectors ---- */

static int64_t
matched(struct house *h, const char *selector)
{
	char request[300];

	snprintf(request, sizeof(request),
	    "{\"cmd\":\"queue.hold\",\"selector\":\"%s\",\"count\":true}", selector);
	return ask_number(h, request, "matched");
}

static void
selectors(void **state)
{
	struct house h;
	struct rcpt_spec two[] = { { "b@one.example", OUTCOME_DELIVER, 0 },
		{ "c@two.example", OUTCOME_DELIVER, 0 } };
	struct rcpt_spec one = { "d@one.example", OUTCOME_DELIVER, 0 };
	static const struct { const char *selector; int64_t n; } cases[] = {
		{ "all", 4 }, { "older=2h", 1 }, { "newer=2h", 3 }, { "held", 1 },
		{ "from=m@example.org", 2 }, { "m@EXAMPLE.org", 2 }, { "@example.org", 3 },
		{ "from=@example.org,to=@two.example", 2 }, { "<>", 1 }, { "from=<>", 1 },
		{ "to=b@one.example", 2 }, { "to=@one.example", 4 }, { "to=@example", 0 },
		{ "to=d@one.example,older=2h", 0 }, { "site=two.example", 2 }, { "two.example", 2 },
		{ "reason=mailbox_full", 1 }, { "reason=over quota, sorry", 1 },
		{ "reason=OVER QUOTA,from=@example.org", 1 }, { "reason=over quota,held", 0 },
		{ "reason=quota,site=two.example", 0 }, { "bounce=x@example.org", 0 },
		{ "from=a@b,to=c@d", 0 }, { "nowhere.example", 0 },
	};
	static const struct { const char *selector, *error; } slips[] = {
		{ "form=m@example.org", "did you mean `from`?" }, { "older=soon", "is no time" },
		{ "site=", "needs a value" }, { "held=yes", "no value" }, { "id=!", "is no id" },
		{ "from=a@b,colour=red", "no condition `colour`" }, { "", "which messages?" },
	};
	struct msg_deliver d;
	uint64_t id[4], t;
	char request[300], text[ID_SIZE];

	house_new(&h);
	id[0] = submit(&h, "m@example.org", two, 2, 1);
	(void)answer(&h, 1, id[0]);
	now += 180 * MINUTE;
	id[1] = submit(&h, "m@example.org", two, 2, 1);
	id[2] = submit(&h, "n@example.org", &one, 1, 1);
	id[3] = submit(&h, "", &one, 1, 1);
	for (int i = 1; i < 4; i++)
		(void)answer(&h, 1, id[i]);
	snprintf(request, sizeof(request), "{\"cmd\":\"queue.hold\",\"selector\":\"id=%s\"}",
	    id_format(id[3], text));
	assert_int_equal(ask_number(&h, request, "done"), 1);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.summary\"}", "held"), 1);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	for (int i = 0; i < 5; i++) {
		t = job(&h, &d);
		if (d.id == id[2])
			result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.2", "452 4.2.2 Over quota, sorry");
		else
			result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.0", "450 later");
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (matched(&h, cases[i].selector) != cases[i].n)
			fail_msg("%s: %d", cases[i].selector, (int)matched(&h, cases[i].selector));
	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		struct jval *v;
		char error[400];

		snprintf(request, sizeof(request), "{\"cmd\":\"queue.show\",\"selector\":\"%s\"}",
		    slips[i].selector);
		v = ask(&h, request);
		snprintf(error, sizeof(error), SPAN_FMT, SPAN_ARG(jval_text(v, "error")));
		if (strstr(error, slips[i].error) == NULL)
			fail_msg("%s: %s", slips[i].selector, error);
		jval_free(&v);
	}
	house_free(&h);
}

/* An act by recipient, site or reason touches those and no others of the same message. */
static void
only_what_was_meant(void **state)
{
	struct house h;
	struct rcpt_spec r[] = { { "a@one.example", OUTCOME_DELIVER, 0 },
		{ "b@one.example", OUTCOME_DELIVER, 0 }, { "c@two.example", OUTCOME_DELIVER, 0 } };
	struct message *m;
	struct msg_deliver d;
	uint64_t id;

	house_new(&h);
	id = submit(&h, "m@example.org", r, 3, 1);
	(void)answer(&h, 1, id);
	m = queue_find(h.rt.state, id);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.fail\",\"selector\":\"to=b@one.example\","
	    "\"silent\":true}", "done"), 1);
	assert_int_equal(message_status(m)[0], TARGET_PENDING);
	assert_int_equal(message_status(m)[1], TARGET_DROPPED);
	assert_int_equal(message_status(m)[2], TARGET_PENDING);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.fail\",\"selector\":\"to=b@one.example\"}",
	    "matched"), 0);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.reroute\",\"selector\":\"to=@two.example\","
	    "\"to\":\"relay.example.net\"}", "done"), 1);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.fail\",\"selector\":\"site=one.example\","
	    "\"silent\":true}", "done"), 1);
	assert_int_equal(queued(&h), 1);
	house_crash(&h);
	start(&h);
	peer(&h, 0, &h.receiver, ROLE_RECEIVER);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	(void)job(&h, &d);
	assert_int_equal(d.nrecipients, 1);
	assert_true(span_is(d.recipients[0].address, "c@two.example"));
	assert_true(span_is(d.site, "relay.example.net:25"));
	house_free(&h);
}

/* What is out when it is rerouted goes the new way when it comes back. */
static void
rerouted_while_out(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	uint64_t id, t;

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	(void)answer(&h, 1, id);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.reroute\",\"selector\":\"all\","
	    "\"to\":\"relay.example.net\"}", "done"), 1);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_CONNECT, "4.4.1", "refused");
	now += 70 * US_PER_SEC;
	turn(&h);
	t = job(&h, &d);
	assert_true(span_is(d.site, "relay.example.net:25"));
	house_free(&h);
}

/* ---- the retry curve ---- */

static const struct jval *
leg_shown(struct house *h, uint64_t id, struct jval **v)
{
	char request[120], text[ID_SIZE];

	snprintf(request, sizeof(request), "{\"cmd\":\"queue.show\",\"id\":\"%s\"}",
	    id_format(id, text));
	*v = ask(h, request);
	return jval_at(jval_get(*v, "legs"), 0);
}

static void
curve_of_a_class(void **state)
{
	static const int64_t grey[] = { 5 * MINUTE, 7 * MINUTE, 9 * MINUTE };
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	const struct jval *leg, *retry;
	struct jval *v;
	int64_t next;
	uint64_t id, t;

	house_new(&h);
	h.conf.delivery.retry[RETRY_GREYLISTED] = (struct retry_curve){ grey, 3 };
	queue_ops.reconfigured(&h.rt);
	id = submit(&h, "m@example.org", &r, 1, 1);
	(void)answer(&h, 1, id);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	for (int i = 0; i < 2; i++) {
		t = job(&h, &d);
		result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.7.1", "451 4.7.1 Greylisted");
		next = queue_find(h.rt.state, id)->legs[0].job.node.when;
		assert_in_range(next - now, grey[i] - grey[i] / 10, grey[i] + grey[i] / 10);
		if (i == 0) {
			now = next + US_PER_SEC;
			turn(&h);
		}
	}
	assert_int_equal(queued(&h), 1);
	house_crash(&h);
	start(&h);			/* the streak is on the disk */
	h.conf.delivery.retry[RETRY_GREYLISTED] = (struct retry_curve){ grey, 3 };
	queue_ops.reconfigured(&h.rt);
	peer(&h, 0, &h.receiver, ROLE_RECEIVER);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	leg = leg_shown(&h, id, &v);
	retry = jval_get(leg, "retry");
	assert_true(span_is(jval_text(retry, "class"), "greylisted"));
	assert_int_equal(jval_int(retry, "failed", 0), 2);
	assert_int_equal(jval_count(jval_get(retry, "curve")), 3);
	assert_int_equal((int)jval_num(jval_at(jval_get(retry, "curve"), 1), 0), 420);
	assert_int_equal(jval_int(leg, "attempts", 0), 2);
	jval_free(&v);
	/* Another failure begins another curve, at its start. */
	now = next + US_PER_SEC;
	turn(&h);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_MESSAGE, "4.3.0", "451 4.3.0 write error");
	next = queue_find(h.rt.state, id)->legs[0].job.node.when;
	assert_in_range(next - now, curve[0] - curve[0] / 10, curve[0] + curve[0] / 10);
	/* The time that is asked for goes before the curve. */
	now = next + US_PER_SEC;
	turn(&h);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.7.1", "451 4.7.1 Greylisted for 90 seconds");
	next = queue_find(h.rt.state, id)->legs[0].job.node.when;
	assert_in_range(next - now, 90 * US_PER_SEC, 100 * US_PER_SEC);
	house_free(&h);
}

/* A day of pause costs nothing: no attempt, no step of the back-off, of job and site. */
static void
pause_and_back_off(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_deliver d;
	struct frame f;
	struct leg *l;
	struct site_info site;
	uint64_t id, t;

	house_new(&h);
	id = submit(&h, "m@example.org", &r, 1, 1);
	(void)answer(&h, 1, id);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	t = job(&h, &d);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_CONNECT, "4.4.1", "refused");
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.pause\",\"site\":\"one.example\"}", "v"), 1);
	for (int i = 0; i < 24; i++) {
		now += 60 * MINUTE;
		turn(&h);
		while (hear(&h, &h.delivery, FRAME_DELIVER, &f)) {	/* the notice of delay */
			assert_int_equal(deliver_decode(f.body, f.fd, h.a, &d), 0);
			assert_int_not_equal(d.id, id);
		}
		if (i == 12) {		/* over a restart too */
			house_crash(&h);
			start(&h);
			peer(&h, 0, &h.receiver, ROLE_RECEIVER);
			peer(&h, 1, &h.delivery, ROLE_DELIVERY);
		}
	}
	l = &queue_find(h.rt.state, id)->legs[0];
	assert_int_equal(l->attempts, 1);
	assert_int_equal(l->streak, 1);
	schedule_job_info(&l->job, &site);
	assert_in_range(site.failures, 0, 1);
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.resume\",\"site\":\"one.example\"}", "v"), 1);
	do
		t = job(&h, &d);
	while (d.id != id);
	result(&h, t, &d, RCPT_DEFERRED, FAIL_CONNECT, "4.4.1", "refused");
	assert_int_equal(l->attempts, 2);
	assert_in_range(l->job.node.when - now, curve[1] - curve[1] / 10, curve[1] + curve[1] / 10);
	house_free(&h);
}

/* ---- many ---- */

static const char *
answer_now(int fd, char *out, size_t max)
{
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;

	if (poll(&p, 1, 0) != 1 || (n = read(fd, out, max - 1)) <= 0)
		return NULL;
	out[n] = '\0';
	return out;
}

/* A message that comes while an act, or a count, goes through many is accepted in between. */
static void
mail_goes_on(void **state)
{
	enum { MANY = 5000 };
	static const char *const requests[] = { "{\"cmd\":\"queue.hold\",\"selector\":\"all\"}",
		"{\"cmd\":\"queue.list\",\"by\":\"sender\"}", "{\"cmd\":\"queue.list\",\"by\":\"reason\"}",
		"{\"cmd\":\"queue.show\",\"selector\":\"reason=nothing like it\"}" };
	static char out[1 << 16];
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	uint64_t id;
	int fd[2];

	house_new(&h);
	for (int i = 0; i < MANY; i++) {
		id = submit(&h, "m@example.org", &r, 1, 1);
		(void)answer(&h, 1, id);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		queue_ops.client(&h.rt, fd[0], 1000, span_str(requests[i]));
		assert_null(answer_now(fd[1], out, sizeof(out)));
		id = submit(&h, "new@example.org", &r, 1, 2);
		assert_int_equal(answer(&h, 2, id), ACCEPT_OK);
		while (answer_now(fd[1], out, sizeof(out)) == NULL)
			event_base_loop(h.rt.base, EVLOOP_ONCE);
		if (i == 0) {
			assert_non_null(strstr(out, "\"done\":5000"));
			/* It came after the beginning. */
			assert_false(queue_find(h.rt.state, id)->flags & STATE_HELD);
		} else if (i == 1)
			assert_non_null(strstr(out, "\"sender\":\"m@example.org\",\"messages\":5000"));
		else if (i == 2)
			assert_non_null(strstr(out, "\"reason\":\"held by an operator\",\"messages\":5000"));
		else
			assert_non_null(strstr(out, "no such message"));
		close(fd[1]);
	}
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.summary\"}", "held"), MANY);
	house_free(&h);
}

/* Who did it: once for the act, and in the trace of each message. */
static void
journalled(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct msg_event ev;
	struct frame f;
	uint64_t id[3];
	int each[3] = { 0 }, whole = 0;

	house_new(&h);
	for (int i = 0; i < 3; i++) {
		id[i] = submit(&h, "m@example.org", &r, 1, 1);
		(void)answer(&h, 1, id[i]);
	}
	assert_int_equal(ask_number(&h, "{\"cmd\":\"queue.hold\",\"selector\":\"@example.org\"}", "done"), 3);
	peer(&h, 2, &h.store, ROLE_STORE);
	while (hear(&h, &h.store, FRAME_EVENT, &f)) {
		assert_int_equal(event_decode(f.body, -1, h.a, &ev), 0);
		if (ev.kind != EVENT_OPERATOR)
			continue;
		assert_true(span_is(ev.by, "uid 1000"));
		for (int i = 0; i < 3; i++)
			each[i] += ev.id == id[i] && span_is(ev.reply, "hold @example.org");
		whole += ev.id == 0 && span_is(ev.reply, "hold @example.org: 3");
	}
	assert_int_equal(whole, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(each[i], 1);
	house_free(&h);
}

/* The largest first, and what differs from message to message is one reason. */
static void
groups(void **state)
{
	struct house h;
	struct msg_deliver d;
	struct jval *v;
	uint64_t t;
	char to[40], reply[100];

	house_new(&h);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	for (int i = 0; i < 40; i++) {
		struct rcpt_spec r = { to, OUTCOME_DELIVER, 0 };

		snprintf(to, sizeof(to), "u%d@%s.example", i, i < 10 ? "small" : "large");
		(void)answer(&h, 1, submit(&h, "m@example.org", &r, 1, 1));
		t = job(&h, &d);
		snprintf(reply, sizeof(reply), "450 4.2.0 <%s> not now (id 17ab%05d)", to, i);
		result(&h, t, &d, RCPT_DEFERRED, FAIL_RECIPIENT, "4.2.0", i < 30 ? reply : "451 busy");
	}
	v = ask(&h, "{\"cmd\":\"queue.list\",\"by\":\"reason\"}");
	assert_int_equal(jval_int(v, "messages", 0), 30);
	assert_true(span_is(jval_text(v, "reason"), "450 4.2.0 … not now (id …"));
	jval_free(&v);
	v = ask(&h, "{\"cmd\":\"queue.list\",\"by\":\"site\",\"limit\":1}");
	assert_true(span_is(jval_text(v, "site"), "large.example"));
	assert_int_equal(jval_int(v, "deferred", 0), 30);
	jval_free(&v);
	house_free(&h);
}

/* ---- alarms ---- */

/* The store has what was told of, and counts what begins and is over. */
static void
confirm(struct house *h, int begins[2], int over[2])
{
	struct msg_event ev;
	struct frame f;
	uint64_t last = 0;
	struct buf b;

	while (hear(h, &h->store, FRAME_EVENT, &f)) {
		assert_int_equal(event_decode(f.body, -1, h->a, &ev), 0);
		last = ev.seq;
		for (int i = 0; i < 2 && ev.kind == EVENT_ALARM; i++) {
			const char *name = i ? "queue-full" : "queue-nearly-full";

			begins[i] += span_starts(ev.reply, span_str(name)) && span_has(ev.reply, " begins: ");
			over[i] += span_starts(ev.reply, span_str(name)) && span_has(ev.reply, " is over: ");
		}
	}
	buf_init(&b, FRAME_SMALL);
	if (last)
		say(h, &h->store, FRAME_EVENT_ACK, last, &b);
	else
		buf_release(&b);
}

static void
alarms(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	struct queue *q;
	struct msg_deliver d;
	struct jval *v;
	int begins[2] = { 0, 0 }, over[2] = { 0, 0 };
	uint64_t id, t;

	house_new(&h);
	q = h.rt.state;
	h.conf.queue = (struct conf_queue){ .messages = 100, .bytes = 1 << 30, .memory = 1 << 30 };
	peer(&h, 2, &h.store, ROLE_STORE);
	for (int i = 0; i < 105; i++) {
		id = submit(&h, "m@example.org", &r, 1, 1);
		assert_int_equal(answer(&h, 1, id), i < 100 ? ACCEPT_OK : ACCEPT_FULL);
	}
	v = ask(&h, "{\"cmd\":\"queue.summary\"}");
	assert_int_equal(jval_count(jval_get(v, "alarms")), 2);
	assert_true(span_is(jval_text(jval_at(jval_get(v, "alarms"), 1), "name"), "queue-full"));
	jval_free(&v);
	peer(&h, 1, &h.delivery, ROLE_DELIVERY);
	for (int i = 0; i < 60; i++) {
		t = job(&h, &d);
		result(&h, t, &d, RCPT_SENT, FAIL_NONE, "2.0.0", "ok");
		/* It waits for the journal. */
		assert_int_equal(queued(&h), 100 - i);
		confirm(&h, begins, over);
		assert_int_equal(queued(&h), 99 - i);
		(void)queue_has_room(q);
	}
	confirm(&h, begins, over);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(begins[i], 1);
		assert_int_equal(over[i], 1);
	}
	v = ask(&h, "{\"cmd\":\"queue.summary\"}");
	assert_int_equal(jval_count(jval_get(v, "alarms")), 0);
	jval_free(&v);
	/* The disk, before its floor. */
	h.conf.queue.free = UINT64_MAX / 4;
	queue_watch_disk(q);
	assert_true(queue_alarmed(q, ALARM_DISK));
	h.conf.queue.free = 1;
	queue_watch_disk(q);
	assert_false(queue_alarmed(q, ALARM_DISK));
	house_free(&h);
}

/* The oldest one and what is held are known without looking at each. */
static void
summary(void **state)
{
	struct house h;
	struct rcpt_spec r = { "a@one.example", OUTCOME_DELIVER, 0 };
	uint64_t id[3];
	int64_t since[3];
	char request[100], text[ID_SIZE];

	house_new(&h);
	for (int i = 0; i < 3; i++) {
		since[i] = now;
		id[i] = submit(&h, "m@example.org", &r, 1, 1);
		(void)answer(&h, 1, id[i]);
		now += 60 * MINUTE;
	}
	for (int i = 0; i < 3; i++) {
		assert_in_range(queue_oldest(h.rt.state), since[i] - 17 * US_PER_SEC, since[i]);
		snprintf(request, sizeof(request), "{\"cmd\":\"queue.fail\",\"id\":\"%s\",\"silent\":true}",
		    id_format(id[i], text));
		assert_int_equal(ask_number(&h, request, "done"), 1);
		assert_int_equal(queued(&h), 2 - i);
	}
	assert_int_equal(queue_oldest(h.rt.state), 0);
	house_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operator), cmocka_unit_test(selectors),
		cmocka_unit_test(only_what_was_meant), cmocka_unit_test(rerouted_while_out),
		cmocka_unit_test(curve_of_a_class), cmocka_unit_test(pause_and_back_off),
		cmocka_unit_test(mail_goes_on), cmocka_unit_test(journalled), cmocka_unit_test(groups), cmocka_unit_test(alarms),
		cmocka_unit_test(summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
