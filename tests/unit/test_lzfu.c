/* test_lzfu.c -- compressed RTF: the examples of [MS-OXRTFCP], 3.1 and 3.2, and broken input. */
#include "test_anatomy.h"

#include "anatomy/lzfu.h"

static const unsigned char hello[] = { 0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xf1,
	0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32,
	0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d,
	0x0a, 0x80, 0x0f, 0xa0 };
static const unsigned char overlap[] = { 0x1a, 0, 0, 0, 0x1c, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xe2,
	0xd4, 0x4b, 0x51, 0x41, 0x00, 0x04, 0x20, 0x57, 0x58, 0x59, 0x5a, 0x0d, 0x6e, 0x7d, 0x01, 0x0e,
	0xb0 };
#define HELLO "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"

static struct span out;
static bool broken, cut;

static bool
decode(const unsigned char *p, size_t n, size_t max)
{
	return lzfu_decode(arena, span_make((const char *)p, n), max, &out, &broken, &cut);
}

static void
test_examples(void **state)
{
	assert_true(decode(hello, sizeof(hello), 1000));
	assert_span(out, HELLO);
	assert_false(broken || cut);
	assert_true(decode(overlap, sizeof(overlap), 1000));
	assert_span(out, "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}");
	assert_false(broken || cut);
}

static void
test_uncompressed(void **state)
{
	static const char mela[] = "\x11\0\0\0\5\0\0\0MELA\0\0\0\0{rtf}";

	assert_true(decode((const unsigned char *)mela, sizeof(mela) - 1, 1000));
	assert_span(out, "{rtf}");
	assert_false(broken || cut);
}

/* Every prefix, every flipped byte: what can be read is read, nothing beyond max comes out. */
static void
test_broken(void **state)
{
	unsigned char copy[sizeof(hello)];

	for (size_t n = 0; n < sizeof(hello); n++) {
		if (!decode(hello, n, 1000)) {
			assert_true(n < 16);
			continue;
		}
		assert_true(broken);
		assert_memory_equal(out.p, HELLO, out.n);
	}
	for (size_t i = 16; i < sizeof(hello); i++) {
		memcpy(copy, hello, sizeof(hello));
		copy[i] ^= 0x40;
		assert_true(decode(copy, sizeof(copy), 1000));
		assert_true(broken);	/* the checksum is over each of these */
	}
	assert_true(decode(hello, sizeof(hello), 10));
	assert_true(cut && out.n <= 10);
	memcpy(copy, hello, sizeof(hello));
	memset(copy + 4, 0xff, 4);	/* a size of 4 GiB is told */
	assert_true(decode(copy, sizeof(copy), SIZE_MAX));
	assert_span(out, HELLO);
	assert_true(broken);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_examples), TEST(test_uncompressed), TEST(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
