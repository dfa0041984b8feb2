/* test_dsn.c -- notices, taken apart again as a reader of RFC 3464 would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "clock.h"
#include "postern/arena.h"
#include "queue/dsn.h"

static const int64_t at = INT64_C(1795000000) * 1000000;

/* The value of a field within text, unfolded; empty when it is not there. `nth` from 0. */
static struct span
field(struct arena *a, struct span text, const char *name, int nth)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < text.n; ) {
		struct span line = span_sub(text, i, span_find(span_from(text, i), '\n') + 1);

		i += line.n;
		if (!span_starts_nocase(line, span_str(name)) || line.n <= len || line.p[len] != ':')
			continue;
		if (nth-- > 0)
			continue;
		while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t')) {
			size_t more = span_find(span_from(text, i), '\n') + 1;

			line = span_str(arena_printf(a, SPAN_FMT " " SPAN_FMT,
			    SPAN_ARG(span_trim(line)), SPAN_ARG(span_trim(span_sub(text, i, more)))));
			i += more;
		}
		return span_trim(span_from(line, len + 1));
	}
	return (struct span){ 0 };
}

struct parts {
	struct span header, part[3];
};

/* Splits at the boundary the header names; asserts the shape. */
static void
take_apart(struct arena *a, struct span all, struct parts *p)
{
	struct span type;
	const char *end = memmem(all.p, all.n, "\r\n\r\n", 4), *q;
	char boundary[128], closing[132];
	size_t n = 0;

	assert_non_null(end);
	p->header = span_make(all.p, (size_t)(end - all.p) + 2);
	type = field(a, p->header, "Content-Type", 0);
	assert_true(span_starts(type, SPAN_LIT("multipart/report; report-type=delivery-status;")) ||
	    span_starts(type, SPAN_LIT("multipart/report; report-type=global-delivery-status;")));
	q = memmem(type.p, type.n, "boundary=\"", 10);
	assert_non_null(q);
	q += 10;
	snprintf(boundary, sizeof(boundary), "\r\n--%.*s\r\n",
	    (int)((const char *)memchr(q, '"', 100) - q), q);
	snprintf(closing, sizeof(closing), "%.*s--\r\n", (int)strlen(boundary) - 2, boundary);
	for (const char *s = end + 2; n < 3; n++) {
		const char *next;

		assert_int_equal(memcmp(s, boundary, strlen(boundary)), 0);
		s += strlen(boundary);
		next = memmem(s, (size_t)(all.p + all.n - s), n == 2 ? closing : boundary,
		    strlen(n == 2 ? closing : boundary));
		assert_non_null(next);
		p->part[n] = span_make(s, (size_t)(next - s) + 2);
		s = next;
	}
	assert_true(span_ends_nocase(all, span_str(closing)));
}

static void
lines_are_sound(struct span all)
{
	size_t column = 0;

	for (size_t i = 0; i < all.n; i++) {
		if (all.p[i] == '\n') {
			assert_true(i > 0 && all.p[i - 1] == '\r');
			assert_true(column <= 998);
			column = 0;
			continue;
		}
		if (all.p[i] == '\r')
			assert_true(i + 1 < all.n && all.p[i + 1] == '\n');
		assert_int_not_equal(all.p[i], 0);
		column++;
	}
}

static const struct dsn_recipient two[] = {
	{ .address = SPAN_LIT("a@one.example"), .orcpt = SPAN_LIT("rfc822;A+2Bx@one.example"),
		.status = SPAN_LIT("5.1.1"), .reply = SPAN_LIT("550 5.1.1 no such user here"),
		.relay = SPAN_LIT("mx.one.example[192.0.2.1]:25"), .remote = true },
	{ .address = SPAN_LIT("b@two.example"), .status = SPAN_LIT("bad"),
		.reply = SPAN_LIT("no route"), .relay = SPAN_LIT("none") },
};

static struct dsn
sample(void)
{
	return (struct dsn){ .kind = DSN_FAILED, .id = 1234567890123456789u, .about = 987654321098765432u,
		.random = 0xabcdef, .hostname = SPAN_LIT("gw1.example.org"),
		.postmaster = SPAN_LIT("postmaster@example.org"), .to = SPAN_LIT("m@example.org"),
		.envid = SPAN_LIT("QQ+2B1"), .now = at, .received = at - 3600 * INT64_C(1000000),
		.until = at + 86400 * INT64_C(1000000), .recipients = two, .nrecipients = 2,
		.head = SPAN_LIT("From: m@example.org\r\nSubject: hello\r\n there\r\n\r\nsecret body\r\n") };
}

static void
failure(void **state)
{
	struct arena *a = arena_new(0);
	struct dsn d = sample();
	struct parts p;
	struct buf b;
	bool eight;

	buf_init(&b, DSN_SIZE_MAX);
	dsn_build(&b, &d, &eight);
	assert_false(buf_failed(&b));
	assert_false(eight);
	lines_are_sound(buf_data(&b));
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.header, "Auto-Submitted", 0), "auto-replied"));
	assert_true(span_is(field(a, p.header, "To", 0), "<m@example.org>"));
	assert_true(span_is(field(a, p.header, "From", 0),
	    "Mail Delivery System <MAILER-DAEMON@gw1.example.org>"));
	assert_true(span_is(field(a, p.header, "MIME-Version", 0), "1.0"));
	assert_true(span_is(field(a, p.part[0], "Content-Type", 0), "text/plain; charset=utf-8"));
	assert_non_null(memmem(p.part[0].p, p.part[0].n, "could not be delivered to:", 26));
	assert_non_null(memmem(p.part[0].p, p.part[0].n, "n'a pas pu =C3=AAtre remis", 26));
	assert_true(span_is(field(a, p.part[1], "Content-Type", 0), "message/delivery-status"));
	assert_true(span_is(field(a, p.part[1], "Reporting-MTA", 0), "dns; gw1.example.org"));
	assert_true(span_is(field(a, p.part[1], "Original-Envelope-Id", 0), "QQ+1"));
	assert_true(span_is(field(a, p.part[1], "Original-Recipient", 0), "rfc822; A+x@one.example"));
	assert_true(span_is(field(a, p.part[1], "Final-Recipient", 0), "rfc822; a@one.example"));
	assert_true(span_is(field(a, p.part[1], "Final-Recipient", 1), "rfc822; b@two.example"));
	assert_true(span_is(field(a, p.part[1], "Action", 0), "failed"));
	assert_true(span_is(field(a, p.part[1], "Status", 0), "5.1.1"));
	assert_true(span_is(field(a, p.part[1], "Status", 1), "5.0.0"));
	assert_true(span_is(field(a, p.part[1], "Remote-MTA", 0), "dns; mx.one.example"));
	assert_int_equal(field(a, p.part[1], "Remote-MTA", 1).n, 0);
	assert_true(span_is(field(a, p.part[1], "Diagnostic-Code", 0),
	    "smtp; 550 5.1.1 no such user here"));
	assert_true(span_is(field(a, p.part[1], "Diagnostic-Code", 1), "x-postern; no route"));
	assert_int_equal(field(a, p.part[1], "Will-Retry-Until", 0).n, 0);
	assert_true(span_is(field(a, p.part[2], "Content-Type", 0), "text/rfc822-headers"));
	assert_true(span_is(field(a, p.part[2], "Subject", 0), "hello there"));
	assert_null(memmem(b.p, b.n, "secret body", 11));
	buf_release(&b);
	arena_free(&a);
}

static void
delayed_and_expired(void **state)
{
	struct arena *a = arena_new(0);
	struct dsn d = sample();
	struct parts p;
	struct buf b;
	bool eight;

	buf_init(&b, DSN_SIZE_MAX);
	d.kind = DSN_DELAYED;
	dsn_build(&b, &d, &eight);
	lines_are_sound(buf_data(&b));
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Action", 0), "delayed"));
	assert_true(span_is(field(a, p.part[1], "Status", 1), "4.0.0"));
	assert_int_not_equal(field(a, p.part[1], "Will-Retry-Until", 0).n, 0);
	buf_reset(&b);
	d.kind = DSN_EXPIRED;
	dsn_build(&b, &d, &eight);
	lines_are_sound(buf_data(&b));
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Action", 0), "failed"));
	assert_true(span_is(field(a, p.part[1], "Status", 0), "4.4.7"));
	buf_release(&b);
	arena_free(&a);
}

/* Strangers wrote replies, addresses and headers: none of it may add a field or end a part. */
static void
hostile(void **state)
{
	struct arena *a = arena_new(0);
	struct dsn d = sample();
	struct dsn_recipient r = { .address = SPAN_LIT("x\r\nBcc: evil@example.net\r\n@one.example"),
		.orcpt = SPAN_LIT("rfc822;q+0D+0AAction: delivered"), .remote = true,
		.status = SPAN_LIT("5.1.1\r\nAction: delivered"),
		.reply = SPAN_LIT("550 no\r\nAction: delivered\r\n\r\n\xff\xfe\x00 end"),
		.relay = SPAN_LIT("mx\r\nEvil: 1[192.0.2.1]:25") };
	struct parts p;
	struct buf b;
	bool eight;
	char *long_head = arena_alloc(a, 100000);

	memset(long_head, 'h', 100000);
	memcpy(long_head, "A: b\r\n", 6);
	d.recipients = &r;
	d.nrecipients = 1;
	d.head = span_make(long_head, 100000);
	d.to = SPAN_LIT("m\r\nBcc: evil@example.net\r\n@example.org");
	buf_init(&b, DSN_SIZE_MAX);
	dsn_build(&b, &d, &eight);
	take_apart(a, buf_data(&b), &p);
	assert_int_equal(field(a, p.header, "Bcc", 0).n, 0);
	assert_int_equal(field(a, p.part[1], "Bcc", 0).n, 0);
	assert_int_equal(field(a, p.part[1], "Evil", 0).n, 0);
	assert_true(span_is(field(a, p.part[1], "Action", 0), "failed"));
	assert_int_equal(field(a, p.part[1], "Action", 1).n, 0);
	assert_true(span_is(field(a, p.part[1], "Status", 0), "5.0.0"));
	/* Only whole lines of the header, and no more than its bound. */
	assert_true(span_is(field(a, p.part[2], "A", 0), "b"));
	assert_true(p.part[2].n < DSN_HEADERS_MAX);
	buf_release(&b);
	arena_free(&a);
}

static void
international(void **state)
{
	struct arena *a = arena_new(0);
	struct dsn d = sample();
	struct dsn_recipient r = { .address = SPAN_LIT("r\xc3\xa9mi@one.example") };
	struct parts p;
	struct buf b;
	bool eight;

	d.recipients = &r;
	d.nrecipients = 1;
	d.head = SPAN_LIT("Subject: caf\xc3\xa9\r\n\r\n");
	buf_init(&b, DSN_SIZE_MAX);
	dsn_build(&b, &d, &eight);
	/* whoever reads ASCII only can be told */
	assert_false(eight);
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Content-Type", 0), "message/delivery-status"));
	assert_true(span_is(field(a, p.part[1], "Final-Recipient", 0), "utf-8; r\\x{E9}mi@one.example"));
	assert_true(span_is(field(a, p.part[2], "Content-Type", 0), "text/rfc822-headers"));
	assert_true(span_is(field(a, p.part[2], "Content-Transfer-Encoding", 0), "quoted-printable"));
	assert_non_null(memmem(p.part[2].p, p.part[2].n, "caf=C3=A9", 9));
	d.utf8 = true;
	r.orcpt = SPAN_LIT("utf-8;\xc3\xa9\\x{5C}@old.example");
	buf_reset(&b);
	dsn_build(&b, &d, &eight);
	assert_false(eight);
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[2], "Content-Type", 0), "message/global-headers"));
	assert_true(span_is(field(a, p.part[1], "Original-Recipient", 0),
	    "utf-8; \\x{E9}\\x{5C}@old.example"));
	/* as Postfix writes it */
	r.orcpt = SPAN_LIT("rfc822;+C3+A9@old.example");
	buf_reset(&b);
	dsn_build(&b, &d, &eight);
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Original-Recipient", 0), "utf-8; \\x{E9}@old.example"));
	r.orcpt = SPAN_LIT("rfc822;+C3@old.example");
	buf_reset(&b);
	dsn_build(&b, &d, &eight);
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Original-Recipient", 0), "rfc822; ?@old.example"));
	/* a sender whose own address is UTF-8 */
	d.to = SPAN_LIT("jos\xc3\xa9@example.org");
	buf_reset(&b);
	dsn_build(&b, &d, &eight);
	assert_true(eight);
	lines_are_sound(buf_data(&b));
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Content-Type", 0), "message/global-delivery-status"));
	assert_true(span_is(field(a, p.part[1], "Content-Transfer-Encoding", 0), "8bit"));
	assert_true(span_is(field(a, p.part[1], "Final-Recipient", 0), "utf-8; r\xc3\xa9mi@one.example"));
	assert_true(span_is(field(a, p.part[2], "Content-Type", 0), "message/global-headers"));
	assert_true(span_is(field(a, p.part[2], "Content-Transfer-Encoding", 0), "8bit"));
	buf_release(&b);
	arena_free(&a);
}

/* RET=FULL: the whole message of a failure, when it may stand there as it is. */
static void
whole_message(void **state)
{
	static const struct { struct span whole; const char *type; bool eight; } rows[] = {
		{ SPAN_LIT("Subject: x\r\n\r\nsecret body\r\n"), "message/rfc822", false },
		{ SPAN_LIT("Subject: x\r\n\r\ncaf\xc3\xa9\r\n"), "message/rfc822", true },
		{ SPAN_LIT("Subject: caf\xc3\xa9\r\n\r\nsecret\r\n"), "text/rfc822-headers", false },
		{ SPAN_LIT("Subject: x\r\n\r\na\0b\r\n"), "text/rfc822-headers", false },
		{ SPAN_LIT("Subject: x\r\n\r\na\nb\r\n"), "text/rfc822-headers", false },
		{ SPAN_LIT("Subject: x\r\n\r\nno end"), "text/rfc822-headers", false },
	};
	struct arena *a = arena_new(0);
	struct parts p;
	struct buf b;
	bool eight;

	buf_init(&b, DSN_SIZE_MAX);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dsn d = sample();
		size_t body = rows[i].whole.n - span_find(rows[i].whole, '\n') - 3;

		d.head = d.whole = rows[i].whole;
		buf_reset(&b);
		dsn_build(&b, &d, &eight);
		take_apart(a, buf_data(&b), &p);
		assert_int_equal(eight, rows[i].eight);
		assert_true(span_is(field(a, p.part[2], "Content-Type", 0), rows[i].type));
		lines_are_sound(buf_data(&b));
		assert_true((memmem(p.part[2].p, p.part[2].n, rows[i].whole.p + rows[i].whole.n - body,
		    body) != NULL) == (rows[i].type[0] == 'm'));
	}
	buf_release(&b);
	arena_free(&a);
}

/* One notice may tell of a failure and of what was handed on. */
static void
relayed(void **state)
{
	struct arena *a = arena_new(0);
	struct dsn d = sample();
	struct dsn_recipient r[2] = { two[0], two[1] };
	struct parts p;
	struct buf b;
	bool eight;

	r[1].relayed = true;
	r[1].status = SPAN_LIT("2.1.5");
	d.recipients = r;
	buf_init(&b, DSN_SIZE_MAX);
	dsn_build(&b, &d, &eight);
	take_apart(a, buf_data(&b), &p);
	assert_true(span_is(field(a, p.part[1], "Action", 0), "failed"));
	assert_true(span_is(field(a, p.part[1], "Action", 1), "relayed"));
	assert_true(span_is(field(a, p.part[1], "Status", 1), "2.1.5"));
	assert_non_null(memmem(p.part[0].p, p.part[0].n, "could not be delivered", 22));
	assert_non_null(memmem(p.part[0].p, p.part[0].n, "handed on", 9));
	d.kind = DSN_RELAYED;
	d.recipients = r + 1;
	d.nrecipients = 1;
	buf_reset(&b);
	dsn_build(&b, &d, &eight);
	take_apart(a, buf_data(&b), &p);
	assert_null(memmem(p.part[0].p, p.part[0].n, "could not", 9));
	assert_true(span_is(field(a, p.part[1], "Action", 0), "relayed"));
	buf_release(&b);
	arena_free(&a);
}

static void
who_is_told(void **state)
{
	struct span s = SPAN_LIT("m@example.org"), null = { 0 };

	assert_true(dsn_wanted(DSN_FAILED, s, NOTIFY_DEFAULT));
	assert_true(dsn_wanted(DSN_DELAYED, s, NOTIFY_DEFAULT));
	assert_true(dsn_wanted(DSN_FAILED, s, NOTIFY_FAILURE));
	assert_true(dsn_wanted(DSN_EXPIRED, s, NOTIFY_FAILURE | NOTIFY_SUCCESS));
	assert_false(dsn_wanted(DSN_DELAYED, s, NOTIFY_FAILURE));
	assert_true(dsn_wanted(DSN_DELAYED, s, NOTIFY_DELAY));
	assert_false(dsn_wanted(DSN_FAILED, s, NOTIFY_DELAY));
	assert_false(dsn_wanted(DSN_FAILED, s, NOTIFY_NEVER));
	assert_false(dsn_wanted(DSN_FAILED, null, NOTIFY_FAILURE));
	assert_false(dsn_wanted(DSN_DELAYED, null, NOTIFY_DEFAULT));
	assert_true(dsn_wanted(DSN_RELAYED, s, NOTIFY_SUCCESS | NOTIFY_DELAY));
	assert_false(dsn_wanted(DSN_RELAYED, s, NOTIFY_DEFAULT));
	assert_false(dsn_wanted(DSN_RELAYED, s, NOTIFY_FAILURE));
	assert_false(dsn_wanted(DSN_RELAYED, null, NOTIFY_SUCCESS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure), cmocka_unit_test(delayed_and_expired),
		cmocka_unit_test(hostile), cmocka_unit_test(international),
		cmocka_unit_test(whole_message), cmocka_unit_test(relayed),
		cmocka_unit_test(who_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
