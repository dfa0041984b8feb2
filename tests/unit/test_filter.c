/* test_filter.c -- what is said to rspamd and spamd, and what their answers are taken for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "addr.h"
#include "buf.h"
#include "verifier/filter.h"

static const struct conf_filter rspamd = { .kind = FILTER_RSPAMD }, spamd = { .kind = FILTER_SPAMD };

static void
test_questions(void **state)
{
	struct msg_identify who = { .id = 1, .helo = SPAN_LIT("mx.example"),
		.sender = SPAN_LIT("a@b.example\r\nX: y") };
	struct buf b;

	ip_parse(SPAN_LIT("192.0.2.1"), &who.client);
	buf_init(&b, 4096);
	filter_question(&b, &rspamd, &who, 42);
	buf_putc(&b, '\0');
	assert_non_null(strstr(b.p, "POST /checkv2 HTTP/1.1\r\n"));
	assert_non_null(strstr(b.p, "\r\nContent-Length: 42\r\n"));
	assert_non_null(strstr(b.p, "\r\nIP: 192.0.2.1\r\n"));
	assert_non_null(strstr(b.p, "\r\nHelo: mx.example\r\n"));
	assert_null(strstr(b.p, "X: y"));		/* nobody writes lines of his own */
	buf_reset(&b);
	who.sender = SPAN_LIT("");
	filter_question(&b, &rspamd, &who, 0);
	buf_putc(&b, '\0');
	assert_non_null(strstr(b.p, "\r\nFrom: <>\r\n"));
	buf_reset(&b);
	filter_question(&b, &spamd, &who, 7);
	buf_putc(&b, '\0');
	assert_string_equal(b.p, "SYMBOLS SPAMC/1.5\r\nContent-length: 7\r\n\r\n");
	buf_release(&b);
}

#define HTTP(len, body) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " len "\r\n\r\n" body
#define SPAMD(head, body) "SPAMD/1.1 0 EX_OK\r\n" head "\r\n" body
#define SAID FILTER_SAID
#define NONSENSE FILTER_NONSENSE

static const struct {
	const struct conf_filter *conf;
	const char *text;
	enum filter_status status;	/* once all of it is there, and the end */
	double score;
	const char *symbols, *class;
} rows[] = {
	{ &rspamd, HTTP("51", "{\"score\":7.5,\"symbols\":{\"A\":{\"score\":7.5},\"B\":{}}} "), SAID, 7.5, "A B", "" },
	{ &rspamd, "HTTP/1.1 200 OK\r\n\r\n{\"score\":-1,\"action\":\"no action\"}", SAID, -1, "", "" },
	{ &rspamd, "HTTP/1.1 200 OK\r\n\r\n{\"score\":15,\"is_skipped\":true,\"action\":\"reject\",\"symbols\":{\"GTUBE\":{}}}",
	    SAID, 15, "GTUBE", "spam" },
	{ &rspamd, "HTTP/1.1 200 OK\r\n\r\n{\"score\":0,\"is_skipped\":true}", NONSENSE, 0, "", "" },
	{ &rspamd, "HTTP/1.1 200 OK\r\n\r\n{\"action\":\"reject\"}", NONSENSE, 0, "", "" },
	{ &rspamd, "HTTP/1.1 200 OK\r\n\r\n{\"score\":", NONSENSE, 0, "", "" },
	{ &rspamd, "HTTP/1.1 403 Forbidden\r\n\r\n{\"score\":1}", NONSENSE, 0, "", "" },
	{ &rspamd, HTTP("99999999999999999999", "{\"score\":1}"), NONSENSE, 0, "", "" },
	{ &rspamd, HTTP("500", "{\"score\":1}"), NONSENSE, 0, "", "" },
	{ &rspamd, "", NONSENSE, 0, "", "" },
	{ &spamd, SPAMD("Content-length: 9\r\nSpam: True ; 15.2 / 5.0\r\n", "AB_1,CD\r\n"), SAID, 15.2, "AB_1 CD", "" },
	{ &spamd, SPAMD("Spam: False ; -0.1 / 5.0\r\n", ""), SAID, -0.1, "", "" },
	{ &spamd, SPAMD("Spam: False ; 1e99 / 5.0\r\n", ""), NONSENSE, 0, "", "" },
	{ &spamd, SPAMD("Spam: nan / ; 5\r\n", ""), NONSENSE, 0, "", "" },
	{ &spamd, "SPAMD/1.0 76 Bad header line\r\n\r\n", NONSENSE, 0, "", "" },
	{ &spamd, "<html>\r\n\r\n", NONSENSE, 0, "", "" },
};

static void
test_answers(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span text = span_str(rows[i].text);
		struct arena *a = arena_new(0);
		const char *why = NULL;
		struct facts f;
		struct buf names;

		/* it may come in any pieces: before its end it is never taken for something else */
		for (size_t n = 0; n < text.n; n++)
			if (filter_heard(rows[i].conf, span_sub(text, 0, n), false, a, &f, &why) == FILTER_SAID)
				assert_int_equal(rows[i].status, FILTER_SAID);
		if (filter_heard(rows[i].conf, text, true, a, &f, &why) != rows[i].status)
			fail_msg("row %zu: %s", i, why ? why : "was understood");
		if (rows[i].status == FILTER_NONSENSE) {
			assert_non_null(why);
			assert_false(f.spam_known);
			arena_free(&a);
			continue;
		}
		assert_true(f.spam_known && f.spam_score == rows[i].score);
		assert_true(span_is(f.spam_class, rows[i].class));
		assert_int_equal(f.spam_by, rows[i].conf == &rspamd ? SPAM_SOURCE_RSPAMD : SPAM_SOURCE_SPAMD);
		buf_init(&names, 4096);
		for (size_t k = 0; k < f.nspam_symbols; k++)
			buf_printf(&names, "%s%.*s", k ? " " : "", SPAN_ARG(f.spam_symbols[k]));
		buf_putc(&names, '\0');
		assert_string_equal(names.p, rows[i].symbols);
		buf_release(&names);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_questions), cmocka_unit_test(test_answers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
