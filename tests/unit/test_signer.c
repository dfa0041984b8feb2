/* test_signer.c -- our signatures verify at libopendkim, and stop verifying when they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock.h"
#include "fs.h"
#include "scanner_test.h"
#include "dkim_test.h"
#include "signer/dkim_ring.h"
#include "signer/dkim_sign.h"

#ifdef POSTERN_SANITIZED
#define ROUNDS 50
/* libopendkim 2.11 loses its key structures with every Ed25519 signature: not ours to free. Its
 * frames show only when the stacks are unwound the slow way. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *
__lsan_default_suppressions(void)
{
	return "leak:dkim_privkey_load\n";
}
#else
#define ROUNDS 400
#endif

typedef int sign_fn(const struct dkim_key *, const struct dkim_message *, int64_t, struct arena *,
    struct buf *, struct err *);

static sign_fn *const engines[] = { dkim_sign_fast, dkim_sign_lib };

static char *dir;
static struct arena *arena;
static struct dkim_key *keys[2];	/* RSA, Ed25519 */
static char *records[2];

static int
setup(void **state)
{
	struct err err;

	arena = arena_new(0);
	dir = test_dir();
	for (int ed = 0; ed < 2; ed++) {
		char *path = arena_printf(arena, "%s/key%d.pem", dir, ed);

		dkim_make_key(path, ed, 2048);
		keys[ed] = dkim_key_load(SPAN_LIT("example.org"), SPAN_LIT("gw2026"), path, ed, &err);
		if (keys[ed] == NULL)
			fail_msg("%s", err.text);
		records[ed] = dkim_test_record(arena, keys[ed]->key, ed);
	}
	return 0;
}

static int
teardown(void **state)
{
	dkim_key_free(&keys[0]);
	dkim_key_free(&keys[1]);
	test_remove(dir);
	free(dir);
	arena_free(&arena);
	return 0;
}

static void
open_message(struct span text, struct dkim_message *m)
{
	struct payload p;
	struct err err;

	payload_from_span(&p, text, arena);
	if (dkim_message_open(&p, arena, m, &err) == -1)
		fail_msg("%s", err.text);
}

/* The signature field over a message. */
static struct span
sign(sign_fn *engine, int ed, struct span text)
{
	struct dkim_message m;
	struct span field;
	struct buf out;
	struct err err;

	buf_init(&out, DKIM_SIGNATURE_MAX);
	open_message(text, &m);
	if (engine(keys[ed], &m, clock_real() / US_PER_SEC, arena, &out, &err) == -1)
		fail_msg("%s", err.text);
	field = arena_span(arena, buf_data(&out));
	buf_release(&out);
	return field;
}

static struct span
joined(struct span a, struct span b)
{
	return span_str(arena_printf(arena, "%.*s%.*s", (int)a.n, a.p, (int)b.n, b.p));
}

static const char *const corpus[] = {
	"From: a@example.org\r\nTo: b@example.net\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 "
	"10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n",
	/* folding, white space, a field twice, no body */
	"FROM :  A  <a@example.org>  \r\nSubject: a\r\n\tfolded \r\n  subject\r\nReceived: x\r\n"
	"Received: y\r\nTo: x@y.example\r\nCc: c@example.org\r\nCC: d@example.org\r\n\r\n",
	/* white space at line ends, empty lines at the end, tabs */
	"From: a@example.org\r\n\r\n  two  spaces\t\tand tabs \t\r\n\r\n \r\nmore   \r\n\r\n \t\r\n\r\n",
	/* only empty lines */
	"From: a@example.org\r\n\r\n\r\n\r\n \r\n",
	"From: a@example.org\r\nContent-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\n \r\n x\r\n",
	/* no empty line at all */
	"From: a@example.org\r\nSubject: only a header\r\n",
	/* 8 bit, equals and semicolons, dots */
	"From: =?utf-8?q?=C3=A9?= <a@example.org>\r\nSubject: \xc3\xa9t\xc3\xa9; b=1\r\n\r\n"
	".\r\n..\r\n\xe9\xff=20;\r\n",
};
#define CORPUS (sizeof(corpus) / sizeof(corpus[0]))

static void
signatures_verify(void **state)
{
	for (size_t i = 0; i < CORPUS; i++)
		for (int ed = 0; ed < 2; ed++)
			for (int e = 0; e < 2; e++) {
				struct span text = span_str(corpus[i]);
				struct span field = sign(engines[e], ed, text);
				enum dkim_test_result r = dkim_test_verify(records[ed],
				    joined(field, text));

				if (r != DKIM_TEST_PASS)
					fail_msg("message %zu, %s, engine %d: %d\n%.*s", i,
					    ed ? "ed25519" : "rsa", e, r, (int)field.n, field.p);
			}
}

static void
engines_agree(void **state)
{
	for (size_t i = 0; i < CORPUS; i++) {
		struct span ours = sign(engines[0], 1, span_str(corpus[i]));
		struct span theirs = sign(engines[1], 1, span_str(corpus[i]));

		assert_string_equal(dkim_test_tag(arena, ours, "bh"),
		    dkim_test_tag(arena, theirs, "bh"));
		assert_string_equal(dkim_test_tag(arena, ours, "d"), "example.org");
		assert_string_equal(dkim_test_tag(arena, ours, "s"), "gw2026");
		assert_string_equal(dkim_test_tag(arena, ours, "c"), "relaxed/relaxed");
		assert_string_equal(dkim_test_tag(arena, ours, "l"), "");
		assert_string_equal(dkim_test_tag(arena, theirs, "l"), "");
	}
}

/* Bodies made of what canonicalisation cares about, whole and cut into pieces. */
static void
body_hashes_agree(void **state)
{
	static const char *const words[] = { " ", "  ", "\t", "\r\n", "\r\n\r\n", "a", "word",
		"a line of some length that has single spaces ", "=", "." ,
		"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg" };
	unsigned seed = 20261122;

	for (int round = 0; round < ROUNDS; round++) {
		char *text = arena_printf(arena, "From: a@example.org\r\n\r\n");
		unsigned char whole[32], cut[32], base64[48];
		struct dkim_message m;
		struct span pieces[64];
		size_t n = 0, at = 0;
		int len = rand_r(&seed) % 60;

		for (int w = 0; w < len; w++)
			text = arena_printf(arena, "%s%s", text,
			    words[(size_t)rand_r(&seed) % (sizeof(words) / sizeof(words[0]))]);
		if (len)
			text = arena_printf(arena, "%s\r\n", text);
		open_message(span_str(text), &m);
		assert_int_equal(dkim_body_hash(m.body, m.nbody, whole), 0);
		EVP_EncodeBlock(base64, whole, 32);
		assert_string_equal((char *)base64, dkim_test_tag(arena,
		    sign(dkim_sign_lib, 1, span_str(text)), "bh"));
		while (m.nbody && at < m.body[0].n) {
			size_t step = n == 63 ? m.body[0].n : 1 + (size_t)rand_r(&seed) % 40;

			pieces[n] = span_sub(m.body[0], at, step);
			at += pieces[n++].n;
		}
		assert_int_equal(dkim_body_hash(pieces, n, cut), 0);
		assert_memory_equal(whole, cut, 32);
	}
}

/* BDAT may leave the last line open; delivery closes it, and that is what a verifier sees. */
static void
open_last_line(void **state)
{
	struct span text = SPAN_LIT("From: a@example.org\r\n\r\nno line end ");
	struct span field = sign(dkim_sign_fast, 0, text);

	assert_int_equal(dkim_test_verify(records[0],
	    joined(field, joined(text, SPAN_LIT("\r\n")))), DKIM_TEST_PASS);
}

static struct span
inserted(struct span signed_text, const char *field)
{
	return joined(span_str(field), signed_text);
}

static void
added_fields_break_it(void **state)
{
	struct span text = span_str(corpus[0]);

	for (int e = 0; e < 2; e++) {
		struct span whole = joined(sign(engines[e], 0, text), text);

		assert_int_equal(dkim_test_verify(records[0], whole), DKIM_TEST_PASS);
		assert_int_equal(dkim_test_verify(records[0],
		    inserted(whole, "Received: from x\r\n")), DKIM_TEST_PASS);
		assert_int_equal(dkim_test_verify(records[0],
		    inserted(whole, "From: evil@example.com\r\n")), DKIM_TEST_FAIL);
		assert_int_equal(dkim_test_verify(records[0],
		    inserted(whole, "Subject: another\r\n")), DKIM_TEST_FAIL);
		assert_int_equal(dkim_test_verify(records[0],
		    inserted(whole, "To: z@example.com\r\n")), DKIM_TEST_FAIL);
		assert_int_equal(dkim_test_verify(records[0],
		    inserted(whole, "Message-ID: <2@x>\r\n")), DKIM_TEST_FAIL);
		assert_int_equal(dkim_test_verify(records[0], joined(whole, SPAN_LIT("more\r\n"))),
		    DKIM_TEST_BODY_CHANGED);
	}
}

/* Absent when signed, so the claim of one more than there are keeps them absent. */
static void
absent_fields_stay_absent(void **state)
{
	struct span text = SPAN_LIT("From: a@example.org\r\n\r\nx\r\n");
	struct span whole = joined(sign(dkim_sign_fast, 0, text), text);

	assert_int_equal(dkim_test_verify(records[0], whole), DKIM_TEST_PASS);
	assert_int_equal(dkim_test_verify(records[0], inserted(whole, "Subject: now there is one\r\n")),
	    DKIM_TEST_FAIL);
	assert_int_equal(dkim_test_verify(records[0], inserted(whole, "Date: today\r\n")),
	    DKIM_TEST_FAIL);
}

/* The shape on the wire: CRLF only, lines of decent length, one field. */
static void
field_is_well_formed(void **state)
{
	for (int e = 0; e < 2; e++) {
		struct span field = sign(engines[e], 0, span_str(corpus[1]));
		size_t line = 0;

		assert_true(span_starts(field, SPAN_LIT("DKIM-Signature: ")));
		assert_true(span_ends_nocase(field, SPAN_LIT("\r\n")));
		for (size_t i = 0; i < field.n; i++, line++) {
			if (field.p[i] != '\n')
				continue;
			assert_true(i > 0 && field.p[i - 1] == '\r');
			assert_true(line <= 79);
			if (i + 1 < field.n)
				assert_true(ascii_is_wsp(field.p[i + 1]));
			line = 0;
		}
	}
}

/* Edits cut the message into pieces; the signature is that of the whole. */
static void
pieces_are_one_message(void **state)
{
	struct span text = span_str(corpus[0]);
	struct edit edits[] = {
		{ .offset = 21, .size = 0, .with = SPAN_LIT("X-Added: by a rule\r\n") },
		{ .offset = text.n - 3, .size = 1, .with = SPAN_LIT("!\r\nand more") },
	};
	struct dkim_message m;
	struct payload p, edited;
	struct buf out;
	struct err err;

	int fd = fs_memfd("message", &err);

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_write_all(fd, text.p, text.n, &err), 0);
	assert_int_equal(fs_memfd_seal(fd, &err), 0);
	buf_init(&out, DKIM_SIGNATURE_MAX);
	payload_from_fd(&p, fd, text.n, arena);
	assert_int_equal(payload_edit(arena, &p, SPAN_LIT("Received: by us\r\n"), edits, 2, &edited,
	    &err), 0);
	assert_int_equal(payload_map(&edited, &err), 0);
	assert_true(edited.npieces > 2);
	assert_int_equal(dkim_message_open(&edited, arena, &m, &err), 0);
	assert_int_equal(m.nfields, 7);
	assert_int_equal(dkim_sign_fast(keys[0], &m, clock_real() / US_PER_SEC, arena,
	    &out, &err), 0);
	assert_int_equal(dkim_test_verify(records[0], joined(buf_data(&out),
	    payload_flat(&edited, arena))), DKIM_TEST_PASS);
	payload_unmap(&edited);
	close(fd);
	buf_release(&out);
}

static void
no_from_is_refused(void **state)
{
	struct dkim_message m;
	struct buf out;
	struct err err;

	buf_init(&out, DKIM_SIGNATURE_MAX);
	open_message(SPAN_LIT("Subject: nobody\r\n\r\nx\r\n"), &m);
	assert_int_equal(dkim_sign_fast(keys[0], &m, 1, arena, &out, &err), -1);
	assert_non_null(strstr(err.text, "From"));
	assert_int_equal(buf_size(&out), 0);
	assert_int_equal(dkim_sign_lib(keys[0], &m, 1, arena, &out, &err), -1);
	buf_release(&out);
}

/* What the signer does before it lets a signature go: the message in whatever pieces, the right key, each
 * byte. */
static void
own_signature_is_judged(void **state)
{
	struct err err;

	for (int ed = 0; ed < 2; ed++)
		for (size_t i = 0; i < sizeof(corpus) / sizeof(*corpus); i++) {
			struct span text = span_str(corpus[i]);
			struct span pieces[4] = { sign(dkim_sign_fast, ed, text), span_sub(text, 0, 7),
				{ 0 }, span_from(text, 7) };
			char *forged = arena_str(arena, text);

			if (dkim_verify_own(keys[ed], pieces, 4, arena, &err) == -1)
				fail_msg("%zu: %s", i, err.text);
			assert_int_equal(dkim_verify_own(keys[!ed], pieces, 4, arena, &err), -1);
			forged[strcspn(forged, "@") + 1] ^= 1;
			pieces[1] = span_str(forged);
			assert_int_equal(dkim_verify_own(keys[ed], pieces, 2, arena, &err), -1);
			assert_int_equal(dkim_verify_own(keys[ed], &text, 1, arena, &err), -1);
		}
}

/* The states of keys on the disk: what is written is read, what is no line of it is named. */
static void
ring_of_keys(void **state)
{
	char *conf = arena_printf(arena, "%s/postern.yaml", dir);
	char *file = arena_printf(arena, "%s/keys/example.org.dkim", dir);
	static const char *const bad[] = { "a rsa-sha256 active", "a rsa active 2026-11-22T10:00:00Z",
		"a rsa-sha256 live 2026-11-22T10:00:00Z", "a rsa-sha256 active yesterday",
		"../a rsa-sha256 active 2026-11-22T10:00:00Z", "a rsa-sha256 active 2026-11-22T10:00:00Z x" };
	struct ring r, got;
	struct err err;

	assert_int_equal(mkdir(arena_printf(arena, "%s/keys", dir), 0700), 0);
	assert_int_equal(ring_load(&r, conf, SPAN_LIT("example.org"), arena, &err), 0);
	assert_int_equal(r.n, 0);
	assert_non_null(ring_add(&r, SPAN_LIT("r1"), false, "x", 1795341600));
	assert_non_null(ring_add(&r, SPAN_LIT("e1"), true, "y", 1795341601));
	r.keys[0].state = RING_RETIRED;
	assert_int_equal(ring_save(&r, &err), 0);
	assert_int_equal(ring_load(&got, conf, SPAN_LIT("example.org"), arena, &err), 0);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.keys[0].state, RING_RETIRED);
	assert_int_equal(got.keys[0].since, 1795341600);
	assert_int_equal(got.keys[1].state, RING_PUBLISH);
	assert_true(got.keys[1].ed25519 && span_is(got.keys[1].selector, "e1"));
	assert_string_equal(got.keys[1].path, arena_printf(arena, "%s/keys/e1.example.org.pem", dir));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		test_write(file, arena_printf(arena, "# keys\n\n%s\n", bad[i]));
		assert_int_equal(ring_load(&got, conf, SPAN_LIT("example.org"), arena, &err), -1);
		assert_non_null(strstr(err.text, "example.org.dkim:3:"));
	}
	while (ring_add(&r, SPAN_LIT("more"), false, "z", 1))
		;
	assert_int_equal(r.n, RING_KEYS_MAX);
}

static void
refused_key(const char *path, bool ed25519, const char *why)
{
	struct err err;
	struct dkim_key *k = dkim_key_load(SPAN_LIT("example.org"), SPAN_LIT("s"), path, ed25519, &err);

	assert_null(k);
	assert_non_null(strstr(err.text, path));
	if (strstr(err.text, why) == NULL)
		fail_msg("%s", err.text);
}

static void
bad_keys_are_refused(void **state)
{
	char *rsa = arena_printf(arena, "%s/key0.pem", dir);
	char *ed = arena_printf(arena, "%s/key1.pem", dir);
	char *bad = arena_printf(arena, "%s/bad.pem", dir);
	char *small = arena_printf(arena, "%s/small.pem", dir);

	refused_key(arena_printf(arena, "%s/gone.pem", dir), false, "No such file");
	refused_key(rsa, true, "not of the algorithm");
	refused_key(ed, false, "not of the algorithm");
	test_write(bad, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	assert_int_equal(chmod(bad, 0600), 0);
	refused_key(bad, false, "not a private key");
	test_write(bad, "");
	refused_key(bad, false, "not a private key");
	dkim_make_key(small, false, 768);
	refused_key(small, false, "768 bits");
	assert_int_equal(chmod(rsa, 0644), 0);
	refused_key(rsa, false, "chmod o-rwx");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test(f)
		T(signatures_verify), T(engines_agree), T(body_hashes_agree), T(open_last_line),
		T(added_fields_break_it), T(absent_fields_stay_absent), T(field_is_well_formed),
		T(pieces_are_one_message), T(no_from_is_refused), T(own_signature_is_judged),
		T(ring_of_keys), T(bad_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
