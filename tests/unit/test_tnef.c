/* test_tnef.c -- winmail.dat, built here after [MS-OXTNEF]: texts, files, attached messages, broken ones. */
#include "test_anatomy.h"

#include "anatomy/tnef.h"

static unsigned char out[8192];
static size_t nout;

static void
put(const void *p, size_t n)
{
	memcpy(out + nout, p, n);
	nout += n;
}

static void
put_le(unsigned long v, size_t n)
{
	for (size_t i = 0; i < n; i++, v >>= 8)
		out[nout++] = (unsigned char)v;
}

static void
tnef_begin(void)
{
	nout = 0;
	put_le(0x223e9f78, 4);
	put_le(1, 2);
}

static void
attribute(unsigned level, unsigned long id, const void *p, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += ((const unsigned char *)p)[i];
	put_le(level, 1);
	put_le(id, 4);
	put_le(n, 4);
	put(p, n);
	put_le(sum, 2);
}

/* Properties are gathered here, then put as one attribute. */
static unsigned char props[4096];
static size_t nprops;

static void
prop_le(unsigned long v, size_t n)
{
	for (size_t i = 0; i < n; i++, v >>= 8)
		props[nprops++] = (unsigned char)v;
}

static void
props_begin(unsigned count)
{
	nprops = 0;
	prop_le(count, 4);
}

static void
prop_bytes(unsigned id, unsigned type, const void *p, size_t n)
{
	prop_le(type, 2);
	prop_le(id, 2);
	prop_le(1, 4);
	prop_le(n, 4);
	memcpy(props + nprops, p, n);
	nprops += n;
	prop_le(0, (4 - n % 4) % 4);
}

static struct tnef_item items[16];
static size_t nitems;

static bool
keep(void *arg, const struct tnef_item *item)
{
	assert_in_range(nitems, 0, 15);
	items[nitems++] = *item;
	return true;
}

static bool
read_all(size_t n)
{
	nitems = 0;
	return tnef_read(arena, span_make((const char *)out, n), 1 << 20, keep, NULL);
}

static void
test_texts(void **state)
{
	static const unsigned char rtf[] = { 0x1a, 0, 0, 0, 0x1c, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xe2,
		0xd4, 0x4b, 0x51, 0x41, 0x00, 0x04, 0x20, 0x57, 0x58, 0x59, 0x5a, 0x0d, 0x6e, 0x7d, 0x01,
		0x0e, 0xb0 };		/* [MS-OXRTFCP], 3.2 */

	tnef_begin();
	attribute(1, 0x00069007, "\xe4\x04\0\0\0\0\0\0", 8);	/* 1252 */
	attribute(1, 0x00018004, "Subject", 8);
	attribute(1, 0x0002800c, "caf\xe9", 5);
	props_begin(5);
	prop_le(0x0003, 2), prop_le(0x0e07, 2), prop_le(1, 4);		/* a number */
	prop_le(0x000b, 2), prop_le(0x8001, 2);			/* a boolean by name */
	for (int i = 0; i < 16; i++)
		prop_le(0x11, 1);
	prop_le(1, 4), prop_le(6, 4), prop_le('a', 2), prop_le('b', 2), prop_le(0, 2), prop_le(0, 2);
	prop_le(1, 4);
	prop_bytes(0x1000, 0x1f, "b\0o\0d\0y\0\0", 10);
	prop_bytes(0x1013, 0x102, "<p>html</p>", 11);
	prop_bytes(0x1009, 0x102, rtf, sizeof(rtf));
	attribute(1, 0x00069003, props, nprops);
	assert_true(read_all(nout));
	assert_int_equal(nitems, 5);
	assert_int_equal(items[0].kind, TNEF_SUBJECT);
	assert_span(items[0].bytes, "Subject");
	assert_int_equal(items[1].kind, TNEF_BODY);
	assert_span(items[1].bytes, "caf\xe9");
	assert_span(items[1].charset, "windows-1252");
	assert_int_equal(items[2].kind, TNEF_BODY);
	assert_span(items[2].charset, "utf-16le");
	assert_int_equal(items[2].bytes.n, 8);
	assert_memory_equal(items[2].bytes.p, "b\0o\0d\0y", 8);
	assert_int_equal(items[3].kind, TNEF_HTML);
	assert_span(items[3].bytes, "<p>html</p>");
	assert_int_equal(items[4].kind, TNEF_RTF);
	assert_span(items[4].bytes, "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}");
}

static void
files_put(void)
{
	tnef_begin();
	attribute(2, 0x00069002, "\1\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 14);
	attribute(2, 0x00018010, "SHORT~1.TXT", 12);
	attribute(2, 0x0006800f, "first file", 10);
	props_begin(1);
	prop_bytes(0x3707, 0x1f, "l\0o\0n\0g\0.\0t\0x\0t\0\0", 18);
	attribute(2, 0x00069005, props, nprops);
	attribute(2, 0x00069002, "\1\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 14);
	attribute(2, 0x00018010, "mail", 5);
	props_begin(1);
	prop_bytes(0x3701, 0x0d, "\x07\x03\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46INNER", 21);
	attribute(2, 0x00069005, props, nprops);
}

static void
test_files(void **state)
{
	files_put();
	assert_true(read_all(nout));
	assert_int_equal(nitems, 2);
	assert_int_equal(items[0].kind, TNEF_FILE);
	assert_span(items[0].bytes, "first file");
	assert_span(items[0].charset, "utf-16le");
	assert_memory_equal(items[0].name.p, "l\0o\0n\0g\0.\0t\0x\0t\0", 16);
	assert_int_equal(items[1].kind, TNEF_MESSAGE);
	assert_span(items[1].bytes, "INNER");
	assert_span(items[1].name, "mail");
}

/* Any prefix is told to be broken, but for those that end between two attributes. */
static void
test_broken(void **state)
{
	size_t whole, good = 0;

	files_put();
	whole = nout;
	for (size_t n = 0; n < whole; n++)
		good += read_all(n);
	assert_int_equal(good, 7);	/* behind the signature and each attribute but the last */
	for (size_t i = 6; i < whole; i++) {
		out[i] ^= 0x10;
		read_all(whole);
		out[i] ^= 0x10;
	}
	out[whole - 1] ^= 1;		/* the last sum */
	assert_false(read_all(whole));
	assert_int_equal(nitems, 2);
	assert_false(is_tnef(SPAN_LIT("\x78\x9f\x3e\x21\0\0")));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_texts), TEST(test_files), TEST(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
