/* test_policy_parts.c -- files taken out, texts blackened and appended.
 *
 * What is written is read again by the anatomy: it must show the change and
 * nothing else. Bytes are compared where the spelling itself is the promise.
 */
#include "policy_fixture.h"

#define STRIP "rules:\n  - {id: a, when: {attachment: {extension: exe}}, then: {strip_attachment: this}}\n"
#define REDACT "rules:\n  - {id: a, when: {finds: payment-card}, then: {redact: this}}\n"
#define CARD "4111 1111 1111 1111"
#define BLOCK "\xe2\x96\x88"
#define BLOCK4 BLOCK BLOCK BLOCK BLOCK

static struct anatomy
edited(struct fixture *f)
{
	struct anatomy an;

	anatomy_build(f->arena, span_str(fixture_edited(f, 0)), NULL, &an);
	return an;
}

static const char *
text_of(struct fixture *f, const struct anatomy *an, const char *number)
{
	for (size_t i = 0; i < an->nparts; i++)
		if (span_is(an->parts[i].number, number))
			return arena_str(f->arena, an->parts[i].text.s);
	fail_msg("no part %s", number);
	return NULL;
}

static const char *
refused(const struct fixture *f, size_t i)
{
	assert_true(i < f->v.nrefused);
	return f->v.refused[i].why;
}

/* --- strip ------------------------------------------------------------------------------ */

#define MIXED "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n"

static void
test_strip(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, STRIP);
	fixture_judge(&f, MIXED "--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/x-msdownload; name=a.exe\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nTVoAAAAA\r\n--b\r\nContent-Type: text/plain\r\n\r\nend\r\n--b--\r\npost\r\n");
	an = edited(&f);
	assert_int_equal(an.nparts, 4);
	assert_int_equal(an.defects, 0);
	assert_string_equal(text_of(&f, &an, "1"), "hello");
	assert_string_equal(text_of(&f, &an, "3"), "end");
	assert_non_null(strstr(text_of(&f, &an, "2"), "The file \"a.exe\" was removed"));
	assert_false(an.parts[2].attachment);
	assert_non_null(strstr(fixture_edited(&f, 0), "\r\n--b--\r\npost\r\n"));
	assert_non_null(strstr(fixture_json(&f), "\"action\":\"strip_attachment\",\"part\":\"2\",\"rule\":\"a\""));
	/* a part that ends in its header */
	fixture_judge(&f, MIXED "--b\r\nContent-Disposition: attachment; filename=a.exe\r\n--b--\r\n");
	an = edited(&f);
	assert_int_equal(an.nparts, 2);
	assert_non_null(strstr(text_of(&f, &an, "1"), "a.exe"));
	assert_int_equal(an.defects, 0);
	fixture_end(&f);
}

/* The message is the file. */
static void
test_strip_single(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, STRIP);
	fixture_judge(&f, "Content-Type: application/octet-stream;\r\n name=a.exe\r\nFrom: a@b.example\r\nContent-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment\r\nSubject: s\r\n\r\nTVoAAAAA\r\n");
	an = edited(&f);
	assert_int_equal(an.nparts, 1);
	assert_int_equal(an.defects, 0);
	assert_string_equal(arena_str(f.arena, an.subject), "s");
	assert_non_null(part_header(&an.parts[0], "MIME-Version"));
	assert_true(span_is(an.parts[0].declared, "text/plain"));
	assert_int_equal(an.parts[0].nheaders, 6);
	assert_non_null(strstr(text_of(&f, &an, "1"), "was removed"));
	assert_null(strstr(fixture_edited(&f, 0), "TVoA"));
	fixture_end(&f);
}

static void
test_strip_nested(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, STRIP);
	/* within an attached message, which stays */
	fixture_judge(&f, MIXED "--b\r\n\r\nhello\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@d.example\r\nSubject: inner\r\n"
	    "Content-Type: application/x; name=a.exe\r\n\r\nMZ\r\n--b--\r\n");
	an = edited(&f);
	assert_int_equal(an.defects, 0);
	assert_int_equal(an.nparts, 4);
	assert_non_null(part_header(&an.parts[3], "Subject"));
	assert_non_null(strstr(text_of(&f, &an, "2.1"), "a.exe"));
	/* an attached message in base64 goes as a whole */
	fixture_judge(&f, MIXED "--b\r\n\r\nhello\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "Q29udGVudC1UeXBlOiBhcHBsaWNhdGlvbi94OyBuYW1lPWEuZXhlDQoNCk1aDQo=\r\n--b--\r\n");
	an = edited(&f);
	assert_int_equal(an.nparts, 3);
	assert_int_equal(an.parts[2].type, TYPE_TEXT);
	fixture_end(&f);
}

/* --- sealed parts ------------------------------------------------------------------------- */

#define ALL "rules:\n  - {id: a, when: {attachment: {extension: exe}}, then: {strip_attachment: this}}\n" \
	"  - {id: b, when: {finds: payment-card}, then: {redact: this}}\n" \
	"  - {id: c, then: {append_text: 'Confidential to its reader.'}}\n"

static void
test_sealed(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\n" ALL);
	fixture_judge(&f, "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
	    "--c\r\n\r\ncard " CARD "\r\n--c\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ\r\n--c--\r\n--b\r\n"
	    "Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n");
	assert_int_equal(f.v.decisions[0].variant, 0);
	assert_int_equal(f.v.nrefused, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(refused(&f, i), "signed");
	assert_outcome(&f, 0, "deliver");
	fixture_judge(&f, "Content-Type: application/pkcs7-mime; name=a.exe\r\n\r\ncard " CARD "\r\n");
	assert_int_equal(f.v.decisions[0].variant, 0);
	assert_true(f.v.nrefused >= 2);
	fixture_judge(&f, MAIL("-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\ncard " CARD));
	assert_int_equal(f.v.decisions[0].variant, 0);
	assert_int_equal(f.v.nrefused, 2);
	assert_string_equal(refused(&f, 0), "signed or encrypted with PGP");
	assert_non_null(strstr(fixture_json(&f), "\"refused_edits\":[{\"action\":\"redact\""));
	/* on_fail says more */
	fixture_load(&f, "use: [postern/base]\nrules:\n  - {id: b, when: {finds: payment-card}, then: {redact: this, on_fail: hold}}\n");
	fixture_judge(&f, MAIL("-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\ncard " CARD));
	assert_outcome(&f, 0, "hold");
	assert_true(HIT(&f, 0, "b/on_fail"));
	fixture_judge(&f, MAIL("card " CARD));
	assert_outcome(&f, 0, "deliver");
	/* what stands in a header cannot be blackened, the subject apart */
	fixture_load(&f, "use: [postern/base]\nrules:\n  - {id: b, when: {finds: {payment-card: {in: [header, attachment]}}}, then: {redact: this, on_fail: hold}}\n");
	fixture_judge(&f, "Comments: " CARD "\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "hold");
	assert_string_equal(refused(&f, 0), "stands in a header field");
	fixture_judge(&f, "Content-Type: message/rfc822\r\n\r\nSubject: " CARD "\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "hold");
	fixture_end(&f);
}

/* --- the subject -------------------------------------------------------------------------- */

/* "card ", the card, " end", in encoded words of each kind and folded: what a reader sees is the same. */
static void
test_redact_subject(void **state)
{
	static const struct { const char *before, *after; } cases[] = {
		{ "Subject: card " CARD " end\r\n", "card " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " end" },
		{ "SUBJECT:card " CARD "\r\n", "card " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 },
		{ "Subject: card\r\n 4111 1111\r\n 1111 1111 end\r\n", "card " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " end" },
		/* "é 4111 1111 1111 1111 end" */
		{ "Subject: =?UTF-8?B?w6kgNDExMSAxMTExIDExMTEgMTExMSBlbmQ=?=\r\n",
		  "\xc3\xa9 " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " end" },
		{ "Subject: =?iso-8859-1?Q?=E9_4111_1111_1111_1111_end?=\r\n",
		  "\xc3\xa9 " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " end" },
		/* over two words */
		{ "Subject: =?utf-8?q?card_4111_1111_?=\r\n =?utf-8?q?1111_1111_end?=\r\n",
		  "card " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " end" },
		{ "Subject: " CARD " and " CARD "\r\n", BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " and "
		  BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 },
	};
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\nrules:\n  - {id: b, when: {finds: payment-card}, then: {redact: this, on_fail: hold}}\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture_judge(&f, arena_printf(f.arena, "From: a@example.org\r\n%sTo: x@example.net\r\n\r\nhello\r\n",
		    cases[i].before));
		assert_outcome(&f, 0, "deliver");
		an = edited(&f);
		assert_string_equal(arena_str(f.arena, part_header(&an.parts[0], "Subject")->value), cases[i].after);
		assert_int_equal(an.parts[0].nheaders, 3);
		assert_null(strstr(fixture_edited(&f, 0), "1111"));
	}
	/* a subject that stands twice: programs differ in which they show */
	fixture_judge(&f, "Subject: one " CARD "\r\nSubject: two " CARD "\r\n\r\n.\r\n");
	assert_null(strstr(fixture_edited(&f, 0), "1111"));
	/* words of one's own, two rules, a prefix, an override's words: one field */
	fixture_load(&f, "use: [postern/base]\nrules:\n"
	    "  - {id: b, when: {finds: payment-card}, then: {redact: {detectors: payment-card, with: \"[removed]\"}, prefix_subject: \"[B]\"}}\n"
	    "  - {id: c, when: {subject: {words: [secret]}}, then: {redact: this}}\n"
	    "  - {id: d, when: {subject: {words: [secret]}}, then: {reject: true, override: {allow: example.org}}}\n");
	fixture_judge(&f, "Subject: secret " CARD " end [override: asked by the client]\r\n\r\n.\r\n");
	an = edited(&f);
	assert_string_equal(arena_str(f.arena, part_header(&an.parts[0], "Subject")->value),
	    "[B] \xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88 [removed] end");
	/* the mask that evidence shows */
	fixture_load(&f, "use: [postern/base]\nrules:\n  - {id: b, when: {finds: payment-card}, then: {redact: {detectors: payment-card, with: mask}}}\n");
	fixture_judge(&f, "Subject: card " CARD " end\r\n\r\n.\r\n");
	an = edited(&f);
	assert_null(strstr(arena_str(f.arena, part_header(&an.parts[0], "Subject")->value), "4111"));
	assert_non_null(strstr(arena_str(f.arena, part_header(&an.parts[0], "Subject")->value), "1111 end"));
	fixture_end(&f);
}

/* --- redact ------------------------------------------------------------------------------- */

static void
test_redact_plain(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\n" REDACT);
	/* nothing is said of a character set: an asterisk for each */
	fixture_judge(&f, MAIL("card " CARD " and " CARD "."));
	assert_string_equal(fixture_edited(&f, 0), MAIL("card **** **** **** **** and **** **** **** ****."));
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9 " CARD "\r\n");
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "\xc3\xa9 " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 "\r\n");
	/* 7bit stays 7bit */
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\n\r\n" CARD "\r\n");
	assert_non_null(strstr(fixture_edited(&f, 0), "\r\n\r\n**** **** **** ****\r\n"));
	/* a character set without the block */
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9 " CARD " \xe9\r\n");
	assert_non_null(strstr(fixture_edited(&f, 0), "\r\n\r\n\xe9 **** **** **** **** \xe9\r\n"));
	/* over a line end, which stays */
	fixture_judge(&f, MAIL("card 4111 1111 1111\r\n1111 end"));
	assert_string_equal(fixture_edited(&f, 0), MAIL("card **** **** ****\r\n**** end"));
	fixture_end(&f);
}

static void
test_redact_encoded(void **state)
{
	struct fixture f;
	struct anatomy an;
	char *out;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\n" REDACT);
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "line one =C3=A9\r\ncard 4111 11=\r\n11 1111 1111 =C3=A9 end\r\n=43 last \r\n");
	out = fixture_edited(&f, 0);
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "line one \xc3\xa9\r\ncard " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " \xc3\xa9 end\r\nC last\r\n");
	/* lines without a match keep their spelling */
	assert_non_null(strstr(out, "\r\n\r\nline one =C3=A9\r\n"));
	assert_non_null(strstr(out, "\r\n=43 last \r\n"));
	/* "0123456789 4111 1111 1111 1111 tail of the text, which goes on\r\n" */
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "MDEyMzQ1Njc4OSA0MTExIDExMTEgMTExMSAxMTExIHRhaWwgb2YgdGhlIHRleHQsIHdoaWNoIGdv\r\nZXMgb24NCg==\r\n");
	an = edited(&f);
	assert_int_equal(an.defects, 0);
	assert_string_equal(text_of(&f, &an, "1"), "0123456789 " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 " tail of the text, which goes on\r\n");
	assert_non_null(strstr(fixture_edited(&f, 0), "\r\n\r\nMDEyMzQ1Njc4\r\n"));
	fixture_end(&f);
}

static void
test_redact_html(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\n" REDACT);
	fixture_judge(&f, HEAD "Content-Type: text/html\r\n\r\n<p title=\"x\">card <b>4111</b> 1111&nbsp;&#49;111 1<i a='1'>111</i> &amp; more</p>\r\n");
	assert_string_equal(strstr(fixture_edited(&f, 0), "\r\n\r\n"),
	    "\r\n\r\n<p title=\"x\">card <b>&#9608;&#9608;&#9608;&#9608;</b> &#9608;&#9608;&#9608;&#9608;&#9608;&#9608;&#9608;&#9608;&#9608; "
	    "&#9608;<i a='1'>&#9608;&#9608;&#9608;</i> &amp; more</p>\r\n");
	an = edited(&f);
	assert_null(strstr(text_of(&f, &an, "1"), "111"));
	/* what no reader sees */
	fixture_judge(&f, HEAD "Content-Type: text/html; charset=utf-8\r\n\r\n<p>hello</p><!-- card 4111 1111 1111 1111 -->\r\n");
	assert_null(strstr(fixture_edited(&f, 0), "4111"));
	assert_non_null(strstr(fixture_edited(&f, 0), "<p>hello</p><!-- card &#9608;"));
	fixture_end(&f);
}

static void
test_redact_words(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\nrules:\n  - {id: a, when: {finds: payment-card}, then: {redact: {detectors: [iban], with: '[removed]'}}}\n"
	    "  - {id: b, when: {finds: payment-card}, then: {redact: {with: mask}}}\n");
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    "card " CARD ", account FR76 3000 6000 0112 3456 7890 189.\r\n");
	an = edited(&f);
	assert_non_null(strstr(text_of(&f, &an, "1"), ", account [removed]."));
	assert_null(strstr(text_of(&f, &an, "1"), "4111"));
	assert_null(strstr(text_of(&f, &an, "1"), "6000"));
	/* two rules, one part: no evidence in the record */
	assert_null(strstr(fixture_json(&f), "4111 1111"));
	/* a character set with states becomes UTF-8 */
	fixture_load(&f, "use: [postern/base]\n" REDACT);
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=iso-2022-jp; format=flowed\r\n\r\n\x1b$B$\"\x1b(B card " CARD "\r\n");
	an = edited(&f);
	assert_true(span_is(an.parts[0].charset, "utf-8"));
	assert_non_null(strstr(fixture_edited(&f, 0), "format=\"flowed\""));
	assert_string_equal(text_of(&f, &an, "1"), "\xe3\x81\x82 card " BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 "\r\n");
	/* UTF-16 keeps what it is */
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "NAAxADEAMQAgADEAMQAxADEAIAAxADEAMQAxACAAMQAxADEAMQAhAA==\r\n");
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), BLOCK4 " " BLOCK4 " " BLOCK4 " " BLOCK4 "!");
	assert_true(span_is(an.parts[0].charset, "utf-16le"));
	fixture_end(&f);
}

/* --- append ------------------------------------------------------------------------------- */

#define APPEND "rules:\n  - {id: a, then: {append_text: {text: \"Café & <Co> is not liable.\\n\", html: '<p>Café</p>'}}}\n"

static void
test_append(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, APPEND);
	/* what US-ASCII cannot say makes it UTF-8 */
	fixture_judge(&f, MAIL("hello"));
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "hello\r\n\r\nCaf\xc3\xa9 & <Co> is not liable.\r\n");
	assert_true(span_is(an.parts[0].charset, "utf-8"));
	assert_non_null(part_header(&an.parts[0], "MIME-Version"));
	assert_int_equal(an.defects, 0);
	/* Latin-1 can */
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nhello\r\n");
	assert_string_equal(strstr(fixture_edited(&f, 0), "\r\n\r\n"), "\r\n\r\nhello\r\n\r\nCaf\xe9 & <Co> is not liable.\r\n");
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhello=\r\n");
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "hello\r\n\r\nCaf\xc3\xa9 & <Co> is not liable.");
	fixture_judge(&f, HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8NCg==\r\n");
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "hello\r\n\r\nCaf\xc3\xa9 & <Co> is not liable.\r\n");
	assert_int_equal(an.defects, 0);
	fixture_end(&f);
}

static void
test_append_parts(void **state)
{
	struct fixture f;
	struct anatomy an;
	const char *html;

	fixture_begin(&f);
	fixture_load(&f, APPEND);
	fixture_judge(&f, "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nhello\r\n--c\r\n"
	    "Content-Type: multipart/related; boundary=d\r\n\r\n--d\r\nContent-Type: text/html\r\n\r\n<html><body><p>hello</p></body></html>\r\n"
	    "--d\r\nContent-Type: image/png\r\n\r\nx\r\n--d--\r\n--c--\r\n--b\r\nContent-Disposition: attachment\r\n\r\nnot me\r\n--b--\r\n");
	an = edited(&f);
	assert_int_equal(an.defects & ~f.an.defects, 0);
	assert_non_null(strstr(text_of(&f, &an, "1.1"), "Caf\xc3\xa9"));
	assert_string_equal(text_of(&f, &an, "1.2.1"), "hello\nCaf\xc3\xa9");
	assert_string_equal(text_of(&f, &an, "2"), "not me");
	html = strstr(fixture_edited(&f, 0), "<html>");
	assert_true(strncmp(html, "<html><body><p>hello</p><p>Caf&#233;</p>\r\n</body></html>", 55) == 0);
	/* no text at all: one is put before the first file */
	fixture_judge(&f, MIXED "--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF-1.4\r\n--b--\r\n");
	an = edited(&f);
	assert_int_equal(an.nparts, 3);
	assert_non_null(strstr(text_of(&f, &an, "1"), "Caf\xc3\xa9"));
	assert_true(span_is(an.parts[2].name, "a.pdf"));
	assert_int_equal(an.defects & ~(uint32_t)DEFECT_DOCUMENT_BROKEN, 0);	/* five bytes are no PDF */
	fixture_judge(&f, "Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF-1.4\r\n");
	assert_string_equal(refused(&f, 0), "the message has no text");
	fixture_end(&f);
}

static void
test_append_once(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n  - {id: a, then: {append_text: \"-- \\nThis message is meant for its reader alone.\\n\"}}\n");
	fixture_judge(&f, HEAD "Content-Type: text/plain; format=flowed\r\n\r\nhello\r\n");
	assert_non_null(strstr(fixture_edited(&f, 0), "hello\r\n\r\n--\r\nThis message is meant for its reader alone.\r\n"));
	/* a reply quotes it, wrapped */
	fixture_judge(&f, MAIL("thanks\r\n> hello\r\n>> This message is meant\r\n>> for its reader alone.\r\n"));
	assert_int_equal(f.v.decisions[0].variant, 0);
	assert_int_equal(f.v.nrefused, 0);
	/* two rules, the same words; a third with others */
	fixture_load(&f, "rules:\n  - {id: a, then: {append_text: 'One and the same.'}}\n  - {id: b, then: {append_text: 'One and the same.'}}\n"
	    "  - {id: c, then: {append_text: {en: 'Another.', fr: 'Un autre.'}}}\n");
	fixture_judge(&f, MAIL("hello"));
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "hello\r\n\r\nOne and the same.\r\n\r\nAnother.\r\n");
	fixture_judge(&f, HEAD "Content-Language: fr-FR\r\n\r\nbonjour\r\n");
	assert_non_null(strstr(fixture_edited(&f, 0), "Un autre."));
	fixture_end(&f);
}

/* Many rules on one message, recipients that differ. */
static void
test_together(void **state)
{
	struct fixture f;
	struct anatomy an;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\n" ALL "  - {id: d, when: {to: two.example}, then: {prefix_subject: '[X]', add_header: {X-Files: $filenames}}}\n"
	    "  - {id: e, when: {finds: payment-card, to: two.example}, then: {redact: {with: '[card]'}}}\n");
	TO(&f, "x@one.example", "y@two.example");
	fixture_judge(&f, "From: a@b.example\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ncard " CARD "\r\n"
	    "--b\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ\r\n--b--\r\n");
	assert_int_equal(f.v.nvariants, 3);
	an = edited(&f);
	assert_string_equal(text_of(&f, &an, "1"), "card **** **** **** ****\r\n\r\nConfidential to its reader.");
	assert_non_null(strstr(text_of(&f, &an, "2"), "removed"));
	anatomy_build(f.arena, span_str(fixture_edited(&f, 1)), NULL, &an);
	assert_int_equal(an.defects, 0);
	assert_string_equal(arena_str(f.arena, an.subject), "[X] s");
	assert_string_equal(arena_str(f.arena, part_header(&an.parts[0], "X-Files")->value), "a.exe");
	fixture_end(&f);
}

/* More than a verdict can carry: neighbours become one edit, the text is the same. */
static void
test_many(void **state)
{
	struct fixture f;
	struct buf b;
	char *out;

	fixture_begin(&f);
	fixture_load(&f, "detectors: {w: {words: [secret]}}\nrules:\n  - {id: a, when: {finds: w}, then: {redact: this}}\n");
	buf_init(&b, 1 << 20);
	buf_puts(&b, HEAD "\r\n");
	for (int i = 0; i < 9000; i++)
		buf_puts(&b, i % 10 ? "a secret word\r\n" : "line of other words, and some more of them\r\n");
	fixture_judge(&f, arena_str(f.arena, buf_data(&b)));
	assert_true(f.v.variants[1].nedits <= 1500);
	out = fixture_edited(&f, 0);
	assert_null(strstr(out, "secret"));
	assert_int_equal(strlen(out), buf_size(&b));
	assert_int_equal(f.v.nrefused, 0);
	buf_release(&b);
	fixture_end(&f);
}

/* No order of rules, no order of files shows in what is written. */
static void
test_order(void **state)
{
	static const char *const rules[] = {
		"  - {id: a, when: {attachment: {extension: exe}}, then: {strip_attachment: {matching: {name: '*.exe'}}}}\n",
		"  - {id: b, then: {redact: payment-card}}\n",
		"  - {id: c, then: {redact: {detectors: [payment-card, iban], with: '[x]'}}}\n",
		"  - {id: d, then: {append_text: One line here.}}\n",
		"  - {id: e, then: {append_text: Another line here., prefix_subject: '[E]'}}\n",
		"  - {id: f, then: {add_header: {X-F: f}, prefix_subject: '[F]'}}\n" };
	const char *first = NULL;

	for (size_t turn = 0; turn < 6; turn++) {
		struct policy_source files[7] = { { "0.yaml", SPAN_LIT("use: [postern/base]\n") } };
		struct fixture f;
		char *out;

		fixture_begin(&f);
		for (size_t i = 0; i < 6; i++)
			files[i + 1] = (struct policy_source){ arena_printf(f.arena, "%zu.yaml", i + 1),
				span_str(arena_printf(f.arena, "rules:\n%s", rules[(turn * 5 + i) % 6])) };
		fixture_load_files(&f, files, 7);
		assert_non_null(f.p);
		fixture_judge(&f, MIXED "--b\r\n\r\ncard " CARD "\r\n--b\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ\r\n--b--\r\n");
		out = fixture_edited(&f, 0);
		if (first)
			assert_string_equal(out, first);
		else
			first = strdup(out);
		fixture_end(&f);
	}
	assert_non_null(strstr(first, "\r\n\r\ncard **** **** **** ****\r\n\r\nOne line here.\r\n\r\nAnother line here.\r\n--b"));
	assert_non_null(strstr(first, "X-F: f\r\nSubject: [E] [F]\r\nFrom: "));
	free((void *)(uintptr_t)first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_strip_single),
		cmocka_unit_test(test_strip_nested),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_redact_subject),
		cmocka_unit_test(test_redact_plain),
		cmocka_unit_test(test_redact_encoded),
		cmocka_unit_test(test_redact_html),
		cmocka_unit_test(test_redact_words),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_append_parts),
		cmocka_unit_test(test_append_once),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
