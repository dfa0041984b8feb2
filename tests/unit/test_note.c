/* test_note.c -- messages of our own to people: what strangers wrote does no harm in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/config.h"
#include "postern/anatomy.h"
#include "queue/note.h"

static struct anatomy an;
static struct arena *a;

static char *
build(struct span subject, struct span text)
{
	struct note n = { .id = 1, .about = 2, .hostname = SPAN_LIT("gw.example.org"),
		.from = SPAN_LIT("postmaster@example.org"), .to = SPAN_LIT("m@example.org"),
		.subject = subject, .text = text, .language = SPAN_LIT("fr"), .now = INT64_C(1795343000000000) };
	struct buf b;
	char *out;

	buf_init(&b, NOTE_MAX);
	note_build(&b, &n);
	assert_false(buf_failed(&b));
	out = arena_str(a, buf_data(&b));
	buf_release(&b);
	anatomy_build(a, span_str(out), NULL, &an);
	assert_int_equal(an.defects, 0);
	for (char *line = out; *line; ) {
		size_t len = strcspn(line, "\r");

		assert_true(len <= 78);
		assert_true(strncmp(line + len, "\r\n", 2) == 0);
		line += len + 2;
	}
	return out;
}

static void
test_build(void **state)
{
	const char *out;

	a = arena_new(0);
	out = build(SPAN_LIT("Votre message a été retenu pour examen, et le restera jusqu'à ce qu'une décision soit prise"),
	    SPAN_LIT("Référence : 1\n.\n\nUne ligne bien longue qui doit être coupée, parce que rien ne passe au-delà de soixante-seize = caractères. \n"));
	assert_string_equal(arena_str(a, an.subject),
	    "Votre message a été retenu pour examen, et le restera jusqu'à ce qu'une décision soit prise");
	assert_string_equal(arena_str(a, an.parts[0].text.s), "Référence : 1\r\n.\r\n\r\nUne ligne bien longue qui doit être coupée, "
	    "parce que rien ne passe au-delà de soixante-seize = caractères. \r\n");
	assert_non_null(strstr(out, "\r\nAuto-Submitted: auto-generated\r\n"));
	assert_non_null(strstr(out, "\r\nContent-Language: fr\r\n"));
	assert_null(strstr(out, "\r\n.\r\n"));
	build(SPAN_LIT(""), SPAN_LIT(""));
	arena_free(&a);
}

static void
test_injection(void **state)
{
	a = arena_new(0);
	build(SPAN_LIT("x\r\nBcc: evil@example.net\r\n\r\nbody \x80\xff =?utf-8?q?x?="), SPAN_LIT("a\x01\xff"));
	assert_null(part_header(&an.parts[0], "Bcc"));
	assert_int_equal(an.nparts, 1);
	arena_free(&a);
}

/* Keys that are written down, and keys that are replaced by themselves. */
static void
test_who_signs(void **state)
{
	struct conf_domain domains[] = { { .name = SPAN_LIT("written.example"), .ndkim = 1 },
		{ .name = SPAN_LIT("managed.example"), .dkim_managed = true }, { .name = SPAN_LIT("bare.example") } };
	struct config c = { .hostname = SPAN_LIT("gw.managed.example"), .domains = domains, .ndomains = 3 };

	assert_true(span_is(note_signing_domain(&c, SPAN_LIT("p@written.example")), "written.example"));
	assert_true(span_is(note_signing_domain(&c, SPAN_LIT("p@it.managed.example")), "managed.example"));
	assert_int_equal(note_signing_domain(&c, SPAN_LIT("p@bare.example")).n, 0);
	assert_true(span_is(note_signing_domain(&c, (struct span){ 0 }), "managed.example"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_who_signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
