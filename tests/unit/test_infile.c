/* test_infile.c -- files within a text: each kind, sloppy senders, prose that only looks so, limits.
 * What is decoded here was encoded by the few lines below, written from the formats' descriptions. */
#include "test_anatomy.h"

#include <stdlib.h>
#include <zlib.h>

#include "anatomy/infile.h"

static struct infile f;

static bool
first(struct span text)
{
	struct infiles s;

	infiles_begin(&s, text);
	return infiles_next(&s, arena, SIZE_MAX, &f);
}

static void
test_uu(void **state)
{
	assert_true(first(SPAN_LIT("Hello,\r\n\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nbye\r\n")));
	assert_int_equal(f.kind, INFILE_UU);
	assert_span(f.name, "cat.txt");
	assert_span(f.bytes, "Cat");
	assert_int_equal(f.from, 10);
	assert_int_equal(f.to, 10 + 19 + 7 + 3 + 5);
	assert_false(f.broken || f.cut);
	/* A name with spaces, spaces lost at the end ("A\0\0" is "#00  "), no end. */
	assert_true(first(SPAN_LIT("begin 0600 my file.doc\n#00\n")));
	assert_span(f.name, "my file.doc");
	assert_int_equal(f.bytes.n, 3);
	assert_memory_equal(f.bytes.p, "A\0\0", 3);
	assert_true(f.broken);
	/* Text behind a file that was not closed belongs to the text. */
	assert_true(first(SPAN_LIT("begin 644 a\n#0V%T\nKind regards, lower case\n#0V%T\n")));
	assert_span(f.bytes, "Cat");
	assert_int_equal(f.to, 18);
}

static void
test_uu_all_bytes(void **state)
{
	char text[2048], *o = text;
	unsigned char want[1000];

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (unsigned char)(i * 7 + i / 256);
	o += snprintf(o, 256, "begin 644 x\r\n");
	for (size_t i = 0; i < sizeof(want); i += 45) {
		size_t n = sizeof(want) - i < 45 ? sizeof(want) - i : 45;

		*o++ = (char)(' ' + n);
		for (size_t k = 0; k < n; k += 3) {
			unsigned v = 0;

			for (size_t j = 0; j < 3; j++)
				v = v << 8 | (k + j < n ? want[i + k + j] : 0);
			for (int shift = 18; shift >= 0; shift -= 6)
				*o++ = (char)((v >> shift & 63) ? ' ' + (v >> shift & 63) : '`');
		}
		*o++ = '\r';
		*o++ = '\n';
	}
	o += snprintf(o, 256, "`\r\nend\r\n");
	assert_true(first(span_make(text, (size_t)(o - text))));
	assert_int_equal(f.bytes.n, sizeof(want));
	assert_memory_equal(f.bytes.p, want, sizeof(want));
	assert_false(f.broken);
}

static void
test_base64(void **state)
{
	assert_true(first(SPAN_LIT("begin-base64 644 a.txt\nSGVs\nbG8=\n====\n")));
	assert_int_equal(f.kind, INFILE_BASE64);
	assert_span(f.name, "a.txt");
	assert_span(f.bytes, "Hello");
	assert_false(f.broken);
	assert_true(first(SPAN_LIT("begin-base64 644 a.txt\nSGVsbG8=\n")));
	assert_span(f.bytes, "Hello");
	assert_true(f.broken);
}

static struct span
yenc(const unsigned char *p, size_t n, const char *extra, uint32_t crc)
{
	char *text = arena_alloc(arena, n * 2 + n / 64 + 300), *o = text;

	o += snprintf(o, 256, "text\r\n=ybegin line=128 size=%zu%s name=some file.bin\r\n", n, extra);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)(p[i] + 42);

		if (c == 0 || c == '\r' || c == '\n' || c == '=') {
			*o++ = '=';
			c = (unsigned char)(c + 64);
		}
		*o++ = (char)c;
		if (i % 128 == 127)
			o += snprintf(o, 256, "\r\n");
	}
	o += snprintf(o, 256, "\r\n=yend size=%zu crc32=%08x\r\nrest\r\n", n, crc);
	return span_make(text, (size_t)(o - text));
}

static void
test_yenc(void **state)
{
	unsigned char want[777];

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (unsigned char)(i * 3);
	assert_true(first(yenc(want, sizeof(want), "", (uint32_t)crc32(0, want, sizeof(want)))));
	assert_int_equal(f.kind, INFILE_YENC);
	assert_span(f.name, "some file.bin");
	assert_int_equal(f.bytes.n, sizeof(want));
	assert_memory_equal(f.bytes.p, want, sizeof(want));
	assert_false(f.broken || f.partial);
	assert_true(first(yenc(want, sizeof(want), "", 1)));
	assert_true(f.broken);
	assert_int_equal(f.bytes.n, sizeof(want));
	assert_true(first(yenc(want, sizeof(want), " part=2 total=3", 1)));
	assert_true(f.partial);
	assert_false(f.broken);		/* the sum is that of the whole file */
}

static void
test_data(void **state)
{
	/* "0123456789abcdefghij" */
	static const char *const texts[] = {
		"<img src=\"data:image/png;base64,MDEyMzQ1Njc4OWFiY2RlZmdoaWo=\">",
		"url(DATA:x/y;charset=z;BASE64,MDEyMzQ1Njc4OWFi\r\n Y2RlZmdoaWo)",
		"<a href='data:;base64,MDEyMzQ1Njc4OWFiY2RlZmdoaWo%3D'>",
		"ATTACH;ENCODING=BASE64;VALUE=BINARY:MDEyMzQ1Njc4\r\n OWFiY2RlZmdoaWo=\r\nEND:VEVENT\r\n",
		"PHOTO;TYPE=JPEG;ENCODING=base64:MDEyMzQ1Njc4OWFiY2RlZmdoaWo=\r\nEND:VCARD\r\n",
	};
	static const char *const none[] = { "the base64, as we say", ";base64,QUJD\"", "ENCODING=BASE64\r\n:x",
		";base64", "base64", ";base64,", "64" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(first(span_str(texts[i])));
		assert_int_equal(f.kind, INFILE_DATA);
		assert_span(f.bytes, "0123456789abcdefghij");
		assert_false(f.cut);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(first(span_str(none[i])));
}

/* --- BinHex: RFC 1741, appendix A ------------------------------------------------------------------ */

/* The sum as the appendix computes it: bit by bit, two zero bytes at the end. */
static unsigned
binhex_sum(const unsigned char *p, size_t n)
{
	unsigned crc = 0;

	for (size_t i = 0; i < n + 2; i++) {
		unsigned c = i < n ? p[i] : 0;

		for (int k = 7; k >= 0; k--) {
			unsigned out = crc & 0x8000;

			crc = (crc << 1 | (c >> k & 1)) & 0xffff;
			if (out)
				crc ^= 0x1021;
		}
	}
	return crc;
}

static size_t
fork_put(unsigned char *o, const void *p, size_t n)
{
	unsigned crc = binhex_sum(p, n);

	memcpy(o, p, n);
	o[n] = (unsigned char)(crc >> 8);
	o[n + 1] = (unsigned char)crc;
	return n + 2;
}

static struct span
binhex(const char *name, const char *data, size_t ndata, const char *resource)
{
	static const char alphabet[] =
	    "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
	size_t nres = strlen(resource), n = 0, m = 0, head;
	unsigned char raw[1024], header[128], packed[2048];
	char *text = arena_alloc(arena, 4096), *o = text;
	unsigned bits = 0, have = 0, column = 1;

	head = (size_t)snprintf((char *)header, sizeof(header), "%c%s%cTEXTttxt%c%c", (int)strlen(name), name, 0, 0, 0);
	for (int shift = 24; shift >= 0; shift -= 8)
		header[head++] = (unsigned char)(ndata >> shift);
	for (int shift = 24; shift >= 0; shift -= 8)
		header[head++] = (unsigned char)(nres >> shift);
	n += fork_put(raw + n, header, head);
	n += fork_put(raw + n, data, ndata);
	n += fork_put(raw + n, resource, nres);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && run < 255 && raw[i + run] == raw[i]; run++)
			;
		packed[m++] = raw[i];
		if (raw[i] == 0x90)
			packed[m++] = 0;
		if (run > 3) {
			packed[m++] = 0x90;
			packed[m++] = (unsigned char)run;
		} else {
			run = 1;
		}
	}
	o += snprintf(o, 256, "(This file must be converted with BinHex 4.0)\r\n\r\n:");
	for (size_t i = 0; i < m || have;) {
		if (have < 6 && i < m) {
			bits = bits << 8 | packed[i++];
			have += 8;
		} else if (have < 6) {
			bits <<= 6 - have;
			have = 6;
		}
		have -= 6;
		*o++ = alphabet[bits >> have & 63];
		bits &= (1u << have) - 1;
		if (++column % 64 == 0)
			o += snprintf(o, 256, "\r\n");
	}
	o += snprintf(o, 256, ":\r\nafter\r\n");
	return span_make(text, (size_t)(o - text));
}

static void
test_binhex(void **state)
{
	char data[300];
	struct span s;

	memset(data, 'z', sizeof(data));
	memcpy(data, "Some \x90 data", 11);
	assert_true(first(binhex("letter.txt", data, sizeof(data), "fork")));
	assert_int_equal(f.kind, INFILE_BINHEX);
	assert_span(f.name, "letter.txt");
	assert_int_equal(f.bytes.n, sizeof(data));
	assert_memory_equal(f.bytes.p, data, sizeof(data));
	assert_span(f.resource, "fork");
	assert_false(f.broken || f.cut);
	s = binhex("letter.txt", data, 20, "");
	((char *)(uintptr_t)s.p)[100] = s.p[100] == '!' ? '"' : '!';
	assert_true(first(s));
	assert_true(f.broken);
}

/* --- several, none, limits ---------------------------------------------------------------------------- */

static void
test_several(void **state)
{
	struct infiles s;

	infiles_begin(&s, SPAN_LIT("begin 644 a\n#0V%T\n`\nend\nbetween\nbegin-base64 600 b\nSGk=\n====\n"
	    "begin 755 c\n#0V%T\n`\nend\n"));
	assert_true(infiles_next(&s, arena, 100, &f));
	assert_span(f.name, "a");
	assert_true(infiles_next(&s, arena, 100, &f));
	assert_span(f.name, "b");
	assert_span(f.bytes, "Hi");
	assert_true(infiles_next(&s, arena, 100, &f));
	assert_span(f.name, "c");
	assert_false(infiles_next(&s, arena, 100, &f));
	/* What has no end hides nothing. */
	infiles_begin(&s, SPAN_LIT("<;base64,MDEyMzQ1Njc4OWFiY2RlZmdoaWo \nbegin-base64 644 a\nQUJD\n"
	    "=ybegin line=128 size=9 name=b\nxyz\nbegin 644 c\n#0V%T\n`\nend\n"));
	for (int k = 0; k < 3; k++)
		assert_true(infiles_next(&s, arena, 100, &f));
	assert_true(infiles_next(&s, arena, 100, &f));
	assert_span(f.name, "c");
	assert_span(f.bytes, "Cat");
	assert_false(infiles_next(&s, arena, 100, &f));
}

static void
test_prose(void **state)
{
	static const char *const texts[] = {
		"", "begin ", "begin 644", "begin 644 days ago\nit was lower case\n",
		"begin 644 DAYS AGO\nI WENT\n", "We begin 644 x\n#0V%T\n`\nend\n",
		"begin with this\n#0V%T\n", "=ybegin line=128 name=x\nabc\n",
		"=ybegin line=128 size=3 name=x\n=yend size=3\n",
		"(This file must be converted with BinHex 4.0)\nbut was not:\n",
		"(This file must be converted with BinHex 4.0)\n::", "begin-base64 x\nSGk=\n====\n",
		"begin-base64 644 x\n====\n", "\n`\nend\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (first(span_str(texts[i])))
			fail_msg("a file in \"%s\"", texts[i]);
}

/* What comes out is never above max, and says so. */
static void
test_limits(void **state)
{
	struct span texts[4];
	unsigned char zeros[200] = { 0 };
	struct infiles s;

	texts[0] = SPAN_LIT("begin 644 a\nM                                                            \nend\n");
	texts[1] = SPAN_LIT("begin-base64 644 a\nQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n====\n");
	texts[2] = yenc(zeros, sizeof(zeros), "", 0);
	texts[3] = binhex("a", (const char *)zeros, sizeof(zeros), "");
	for (size_t i = 0; i < 4; i++)
		for (size_t max = 0; max < 20; max++) {
			infiles_begin(&s, texts[i]);
			if (!infiles_next(&s, arena, max, &f))
				continue;	/* no room even for its header */
			assert_true(f.bytes.n <= max);
			assert_true(f.cut);
		}
}

/* Signs and nothing else: linear, so two megabytes of them take no time worth naming. */
static void
test_many_signs(void **state)
{
	static const char *const signs[] = { "begin 644 a\n", "begin-base64 644 a\n!\n====\n",
		"=ybegin line=1 size=1\n=yend\n", "(This file must be converted with BinHex 4.0):\n",
		"begin 644 a\n_\n", ";base64,", "ENCODING=BASE64:QUJD\n", "ENCODING=BASE64;" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		size_t n = strlen(signs[i]), count = 2000000 / n;
		char *text = malloc(count * n);
		struct infiles s;
		size_t files = 0, last = 0;

		assert_non_null(text);
		for (size_t k = 0; k < count; k++)
			memcpy(text + k * n, signs[i], n);
		infiles_begin(&s, span_make(text, count * n));
		while (infiles_next(&s, arena, 1 << 20, &f)) {
			assert_true(f.to > f.from && f.from >= last && f.to <= count * n);
			last = f.to;
			files++;
		}
		assert_true(files <= count);
		free(text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_uu), TEST(test_uu_all_bytes), TEST(test_base64), TEST(test_yenc), TEST(test_data),
		TEST(test_binhex), TEST(test_several), TEST(test_prose), TEST(test_limits),
		TEST(test_many_signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
