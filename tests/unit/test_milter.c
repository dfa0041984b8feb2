/* test_milter.c -- header edits against a model of an MTA's list of fields, and dialogues, whole and torn at
 * every byte. tests/fuzz/fuzz_milter.c does it with hostile packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "postern/err.h"
#include "receiver/milter.h"

/* ---- the model: what Postfix does with INSHEADER and CHGHEADER ---- */

#define FIELDS 64
struct list {
	char *field[FIELDS];
	size_t n;
};

static void
list_of(struct list *l, struct span h)
{
	l->n = 0;
	while (h.n) {
		size_t end = 0;

		do
			end += span_find(span_from(h, end), '\n') + 1;
		while (end < h.n && (h.p[end] == ' ' || h.p[end] == '\t'));
		assert_true(l->n < FIELDS);
		l->field[l->n++] = strndup(h.p, end);
		h = span_from(h, end);
	}
}

static void
insert(struct list *l, size_t at, char *f)
{
	assert_true(l->n < FIELDS && at <= l->n);
	memmove(&l->field[at + 1], &l->field[at], (l->n - at) * sizeof(char *));
	l->field[at] = f;
	l->n++;
}

static char *
field(const char *name, const char *value)
{
	char *f = malloc(strlen(name) + 2 * strlen(value) + 4), *p = f;

	p += sprintf(p, "%s:", name);
	for (; *value; value++) {
		if (*value == '\n')
			*p++ = '\r';
		*p++ = *value;
	}
	memcpy(p, "\r\n", 3);
	return f;
}

static void
apply(struct list *l, struct span packets)
{
	while (packets.n) {
		const unsigned char *u = (const unsigned char *)packets.p;
		size_t n = (size_t)u[2] << 8 | u[3], at = (size_t)u[7] << 8 | u[8], i;
		const char *name = packets.p + 9, *value = name + strlen(name) + 1;
		char type = packets.p[4];

		assert_int_equal(4 + n, 4 + 1 + 4 + strlen(name) + 1 + strlen(value) + 1);
		packets = span_from(packets, 4 + n);
		if (type == 'i') {
			insert(l, at, field(name, value));
			continue;
		}
		assert_int_equal(type, 'm');
		for (i = 0; i < l->n; i++)
			if (strncasecmp(l->field[i], name, strlen(name)) == 0 &&
			    l->field[i][strlen(name)] == ':' && --at == 0)
				break;
		assert_true(i < l->n);
		free(l->field[i]);
		memmove(&l->field[i], &l->field[i + 1], (--l->n - i) * sizeof(char *));
		if (*value)
			insert(l, i, field(name, value));
	}
}

/* As Sendmail does it: a field of its own stands on top and is counted by inserts, what was inserted is
 * not counted by changes, what was removed leaves a hole that is counted by both. */
static void
apply_sendmail(struct list *l, struct span packets)
{
	bool own[FIELDS] = { false };

	insert(l, 0, strdup("Received: by us\r\n"));
	own[0] = true;
	for (size_t n; packets.n; packets = span_from(packets, 4 + n)) {
		const unsigned char *u = (const unsigned char *)packets.p;
		size_t at = (size_t)u[7] << 8 | u[8], i;
		const char *name = packets.p + 9, *value = name + strlen(name) + 1;

		n = (size_t)u[2] << 8 | u[3];
		if (packets.p[4] == 'i') {
			memmove(&own[at + 1], &own[at], FIELDS - at - 1);
			own[at] = true;
			insert(l, at, field(name, value));
			continue;
		}
		for (i = 0; i < l->n; i++)
			if (!own[i] && strncasecmp(l->field[i], name, strlen(name)) == 0 &&
			    strchr(":#", l->field[i][strlen(name)]) && --at == 0)
				break;
		assert_true(i < l->n);
		if (*value) {
			free(l->field[i]);
			l->field[i] = field(name, value);
		} else
			l->field[i][strlen(name)] = '#';	/* a hole */
	}
}

static bool
on_top_only(struct span packets)
{
	for (size_t n; packets.n; packets = span_from(packets, 4 + n)) {
		const unsigned char *u = (const unsigned char *)packets.p;

		n = (size_t)u[2] << 8 | u[3];
		if (packets.p[4] == 'i' && (u[7] || u[8]))
			return false;
	}
	return true;
}

/* The MTA's header is the new one afterwards, each MTA's; how many packets it took. */
static size_t
becomes(const char *was, const char *is)
{
	struct list l;
	struct buf b, got;
	size_t n = 0;

	buf_init(&b, 1u << 20);
	buf_init(&got, 1u << 20);
	assert_int_equal(milter_header_edits(&b, span_str(was), span_str(is), true), 0);
	for (struct span s = buf_data(&b); s.n; n++)
		s = span_from(s, 4 + ((size_t)(unsigned char)s.p[2] << 8 | (unsigned char)s.p[3]));
	for (int sendmail = 0; sendmail <= on_top_only(buf_data(&b)); sendmail++) {
		list_of(&l, span_str(was));
		(sendmail ? apply_sendmail : apply)(&l, buf_data(&b));
		for (size_t i = 0; i < l.n; i++) {
			size_t name = strcspn(l.field[i], ":#");

			if (l.field[i][name] != '#' && strcmp(l.field[i], "Received: by us\r\n") != 0)
				buf_puts(&got, l.field[i]);
			free(l.field[i]);
		}
		buf_putc(&got, '\0');
		assert_string_equal(buf_data(&got).p, is);
		buf_reset(&got);
	}
	buf_release(&b);
	buf_release(&got);
	return n;
}

static void
test_edits(void **state)
{
	assert_int_equal(becomes("A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"), 0);
	assert_int_equal(becomes("A: 1\r\nSubject: x\r\nB: 2\r\n", "A: 1\r\nSubject: [out] x\r\nB: 2\r\n"), 1);
	assert_int_equal(becomes("A: 1\r\nB: 2\r\n", "N: 0\r\n\tm\r\nM: 1\r\nA: 1\r\nB: 2\r\n"), 2);
	assert_int_equal(becomes("A: 1\r\na: 2\r\nA: 3\r\n", "A: 1\r\nA: 3\r\n"), 1);
	assert_int_equal(becomes("A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"), 1);
	/* Forged results go, ours come: none of it named by what was done before. */
	assert_int_equal(becomes("R: forged\r\nR: other\r\nR: forged\r\nX: forged\r\nA: 1\r\n",
	    "R: ours\r\nX: ours\r\nR: other\r\nA: 1\r\n"), 5);
	becomes("", "A: 1\r\n");
	becomes("A: 1\r\n", "");
	becomes("A: 1\r\nB: 2\r\nC: 3\r\n", "C: 3\r\nA: 1\r\nB: 2\r\n");
}

static void
any_header(char out[400])
{
	int n = rand() % 9;

	*out = '\0';
	for (int i = 0; i < n; i++)
		sprintf(out + strlen(out), "%c%s: %d%s\r\n", "AaBbC"[rand() % 5], rand() % 4 ? "" : "x",
		    rand() % 3, rand() % 5 ? "" : "\r\n more");
}

static void
test_edits_any(void **state)
{
	srand(7);
	for (int i = 0; i < 3000; i++) {
		char was[400], is[400];

		any_header(was);
		any_header(is);
		becomes(was, is);
	}
}

/* ---- dialogues ---- */

static struct smtp_transaction *taken;
static struct buf body;
static unsigned verdict;

static void
w_ok(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
}

static uint64_t
w_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	if (span_starts(rcpt->address, SPAN_LIT("no@")))
		smtp_refuse(s, r, 554, "5.7.1 100%% no (ref x)");
	return span_starts(rcpt->address, SPAN_LIT("ask@")) ? 8 : 0;
}

static void
w_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	buf_span(&body, bytes);
}

static uint64_t
w_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	taken = t;
	return t->env.id;
}

static void
w_abandon(void *ctx, struct smtp_session *s)
{
	buf_reset(&body);
}

static void
w_refused(void *ctx, struct smtp_session *s, const char *command, const struct recipient *rcpt,
    unsigned code, struct span text)
{
}

static void
w_xclient(void *ctx, struct smtp_session *s, const struct xclient *x, struct smtp_reply *r)
{
	s->client = x->addr;
	s->client_name = x->name;
}

static const struct smtp_ops ops = { .mail = w_ok, .rcpt = w_rcpt, .data = w_ok, .body = w_body,
	.end = w_end, .abandon = w_abandon, .refused = w_refused, .xclient = w_xclient };

enum { UNTOLD, PASS, TAKE, REFUSE };

/* The letters of the packets we said; refusals with their text. */
static void
play(struct span in, size_t cut, enum smtp_step ends, char *heard)
{
	static const struct smtp_site site = { .hostname = { "gw.example.org", 14 },
		.postmaster = { "p@example.org", 13 }, .max_size = 1000, .recipients = 20,
		.errors = 1000000, .messages = 1000000 };
	struct id_source ids = { 0 };
	struct smtp_session s;
	struct milter mt;
	struct smtp_input i = { .kind = SMTP_OPEN, .now = INT64_C(1795344099000000) };
	enum smtp_step step;
	size_t used, n;

	buf_reset(&body);
	smtp_session_init(&s, &site, &ops, NULL, &ids);
	milter_init(&mt, &s);
	step = milter_step(&mt, &i, &used);
	while (step != SMTP_DONE && (in.n || step == SMTP_WAIT)) {
		i = (struct smtp_input){ .kind = SMTP_BYTES, .now = i.now, .bytes = span_sub(in, 0, cut) };
		if (step == SMTP_WAIT) {
			i.kind = SMTP_ANSWER;
			i.ticket = s.ticket;
			i.bytes = (struct span){ 0 };
			if (taken) {
				assert_int_equal(taken->header_size, buf_size(&mt.header));
				if (verdict == PASS)
					milter_put(&mt.edits, 'h', SPAN_LIT("X\0 y\0"));
				if (verdict == PASS || verdict == TAKE)
					milter_told(&mt, verdict == PASS);
				smtp_transaction_free(&taken);
				i.reply = verdict == REFUSE ? (struct smtp_reply){ .code = 550,
				    .text = SPAN_LIT("5.7.1 refused (ref x)") } :
				    (struct smtp_reply){ .code = 250, .text = SPAN_LIT("2.0.0 ok") };
			}
		}
		step = milter_step(&mt, &i, &used);
		in = span_from(in, used);
	}
	assert_int_equal(step == SMTP_DONE, ends == SMTP_DONE);
	for (struct span o = buf_data(&mt.out); o.n; o = span_from(o, 4 + n)) {
		n = (size_t)(unsigned char)o.p[2] << 8 | (unsigned char)o.p[3];
		heard += sprintf(heard, "%c%s%s", o.p[4], o.p[4] == 'y' ? o.p + 5 : "", o.p[4] == 'y' ? "|" : "");
	}
	milter_release(&mt);
	smtp_session_release(&s);
}

static struct buf script;

static void
put(char type, const char *data, size_t n)
{
	milter_put(&script, type, span_make(data, n));
}
#define PUT(type, text) put(type, text, sizeof(text) - 1)
#define OPEN "\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"

static void
expect(enum smtp_step ends, const char *want)
{
	char got[2000];

	for (size_t cut = 1; cut < buf_size(&script) + 1; cut = cut < 8 ? cut + 1 : cut * 3) {
		*got = '\0';
		play(buf_data(&script), cut, ends, got);
		assert_string_equal(got, want);
	}
	buf_reset(&script);
}

static void
begin(void)
{
	PUT('O', OPEN);
	PUT('C', "mail.example.org\0004\x12\x34" "192.0.2.7");
	PUT('H', "mail.example.org");
	PUT('M', "<a@example.org>\0SIZE=10\0BODY=8BITMIME");
}

static void
finish(void)
{
	PUT('L', "Subject\0 x\n y");
	PUT('N', "");
	PUT('B', "hello\r\n");
	PUT('E', "world\r\n");
}

static void
test_dialogues(void **state)
{
	static const char *const last[] = { "t", "hc", "d", "y550 5.7.1 refused (ref x)|" };

	buf_init(&script, 1u << 20);
	buf_init(&body, 1u << 20);
	for (verdict = UNTOLD; verdict <= REFUSE; verdict++) {
		char want[200];

		begin();
		PUT('R', "<b@example.net>");
		PUT('R', "<no@example.net>");
		PUT('R', "<ask@example.net>");
		finish();
		sprintf(want, "Occccy554 5.7.1 100%%%% no (ref x)|cc%s", last[verdict]);
		expect(SMTP_MORE, want);
		assert_int_equal(buf_size(&body), sizeof("Subject: x\r\n y\r\n\r\nhello\r\nworld\r\n") - 1);
		assert_memory_equal(buf_data(&body).p, "Subject: x\r\n y\r\n\r\nhello\r\nworld\r\n",
		    buf_size(&body));
	}
	verdict = TAKE;
	begin();		/* given up, and another one in the same session */
	PUT('R', "<b@example.net>");
	PUT('L', "Subject\0 gone");
	PUT('A', "");
	PUT('M', "<>");
	PUT('R', "root");
	finish();
	PUT('Q', "");
	expect(SMTP_DONE, "O" "cccc" "ccc" "d");
	begin();		/* a body without recipients is never taken */
	finish();
	expect(SMTP_MORE, "Occctt");
	begin();		/* a bare LF, said at the end: B has no answer */
	PUT('R', "<b@example.net>");
	PUT('N', "");
	PUT('B', "one\ntwo\r\n");
	PUT('E', "");
	{
		char got[2000] = "";

		play(buf_data(&script), 5, SMTP_MORE, got);
		assert_int_equal(strncmp(got, "Occcccy554 5.", 13), 0);
	}
	buf_release(&script);
	buf_release(&body);
}

static void
test_hostile(void **state)
{
	buf_init(&script, 1u << 20);
	buf_init(&body, 1u << 20);
	PUT('O', "\0\0\0\6\0\0\0\1\0\0\0\0");		/* may not change bodies */
	expect(SMTP_DONE, "");
	PUT('O', "\0\0\0\1\0\0\1\xff\0\0\0\0");		/* version 1 */
	expect(SMTP_DONE, "");
	PUT('M', "<a@example.org>");			/* before anything was agreed upon */
	expect(SMTP_DONE, "");
	PUT('O', OPEN);
	buf_put(&script, "\xff\xff\xff\xffL", 5);
	expect(SMTP_DONE, "O");
	PUT('O', OPEN);
	buf_put(&script, "\0\0\0\0L", 5);
	expect(SMTP_DONE, "O");
	PUT('O', OPEN);
	PUT('B', "before connect");
	expect(SMTP_DONE, "O");
	begin();
	PUT('R', "<b@example.net>\r\nDATA");
	PUT('R', "b\r\nDATA\r\n@example.net");
	expect(SMTP_MORE, "Occcy553 5.1.3 bad recipient address|y553 5.1.3 bad recipient address|");
	begin();
	PUT('?', "");
	expect(SMTP_DONE, "Occc");
	buf_release(&script);
	buf_release(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits), cmocka_unit_test(test_edits_any),
		cmocka_unit_test(test_dialogues), cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
