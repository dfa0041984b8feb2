/* test_lists.c -- entries of the lists of senders, their spelling and order; the book and its look-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lists/book_layout.h"

#define NOW INT64_C(1795343000000000)

static struct arena *arena;
static struct err err;

static int
setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

/* ---- spelling ---- */

static void
spelled(const char *text, enum entry_kind kind, const char *want)
{
	enum entry_kind got = ENTRY_KINDS;
	struct span what;

	if (entry_what(arena, span_str(text), &got, &what, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(got, kind);
	if (!span_is(what, want))
		fail_msg("%s: " SPAN_FMT ", not %s", text, SPAN_ARG(what), want);
}

static void
wrong(const char *text, const char *why)
{
	enum entry_kind kind;
	struct span what;

	assert_int_equal(entry_what(arena, span_str(text), &kind, &what, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("%s: \"%s\"", text, err.text);
}

static void
one_spelling(void **state)
{
	char buf[400];

	spelled("Bob@Partner.Example", ENTRY_ADDRESS, "bob@partner.example");
	spelled(" <bob@partner.example> ", ENTRY_ADDRESS, "bob@partner.example");
	spelled("bob+news@partner.example", ENTRY_ADDRESS, "bob+news@partner.example");
	spelled("@Partner.Example", ENTRY_DOMAIN, "@partner.example");
	/* RFC 5891: U-labels become A-labels, in either case */
	spelled("@B\xc3\x9c" "cher.example", ENTRY_DOMAIN, "@xn--bcher-kva.example");
	spelled("info@xn--BCHER-kva.example", ENTRY_ADDRESS, "info@xn--bcher-kva.example");
	spelled("192.0.2.7", ENTRY_NETWORK, "192.0.2.7");
	spelled("192.0.2.7/32", ENTRY_NETWORK, "192.0.2.7");
	spelled("192.0.2.0/24", ENTRY_NETWORK, "192.0.2.0/24");
	spelled("2001:DB8:0::/32", ENTRY_NETWORK, "2001:db8::/32");
	/* RFC 4291, 2.5.5.2: the IPv4 address within is meant */
	spelled("::ffff:192.0.2.7", ENTRY_NETWORK, "192.0.2.7");
	spelled("::ffff:192.0.2.0/120", ENTRY_NETWORK, "192.0.2.0/24");

	wrong("", "whom?");
	wrong("partner.example", "did you mean `@partner.example`?");
	wrong("*@partner.example", "did you mean `@partner.example`?");
	wrong("*.partner.example", "did you mean `@partner.example`?");
	wrong(".partner.example", "did you mean `@partner.example`?");
	wrong("bob*@partner.example", "`*` stands for nothing");
	wrong("bob", "is no address, @domain or network");
	wrong("bob@", "is no address");
	wrong("@", "is no domain");
	wrong("@par tner.example", "is no domain");
	wrong("a b@partner.example", "no blanks");
	wrong("bob@partner..example", "is no domain");
	wrong("192.0.2.7/24", "the network is 192.0.2.0/24");
	wrong("192.0.2.0/33", "prefix");
	wrong("0.0.0.0/0", "too large a network: /8 at least");
	wrong("10.0.0.0/7", "too large a network");
	wrong("2000::/3", "too large a network: /16 at least");
	memset(buf, 'a', sizeof(buf));
	memcpy(buf + 330, "@x.example", 11);
	wrong(buf, "longer than an address can be");
}

static void
owners(void **state)
{
	struct span o;

	assert_int_equal(entry_owner(arena, LIST_ALL, SPAN_LIT("whoever"), &o, &err), 0);
	assert_int_equal(o.n, 0);
	assert_int_equal(entry_owner(arena, LIST_DOMAIN, SPAN_LIT("@Example.ORG"), &o, &err), 0);
	assert_true(span_is(o, "example.org"));
	assert_int_equal(entry_owner(arena, LIST_USER, SPAN_LIT("Ann+x@Example.org"), &o, &err), 0);
	assert_true(span_is(o, "ann@example.org"));
	assert_int_equal(entry_owner(arena, LIST_USER, SPAN_LIT("example.org"), &o, &err), -1);
	assert_int_equal(entry_owner(arena, LIST_DOMAIN, SPAN_LIT("a@b@c"), &o, &err), -1);
	assert_int_equal(entry_owner(arena, LIST_DOMAIN, SPAN_LIT(""), &o, &err), -1);
}

/* ---- whose word comes first ---- */

static void
the_order(void **state)
{
	/* docs/LISTS.md, from above to below */
	static const struct {
		enum list_scope scope;
		enum list_side side;
	} order[] = { { LIST_ALL, LIST_BLOCK }, { LIST_ALL, LIST_ALLOW }, { LIST_DOMAIN, LIST_BLOCK },
		{ LIST_DOMAIN, LIST_ALLOW }, { LIST_USER, LIST_BLOCK }, { LIST_USER, LIST_ALLOW } };
	enum list_scope scope;
	enum list_side side;

	assert_false(lists_decide(0, &scope, &side));
	for (unsigned mask = 1; mask < LISTED_MASKS; mask++) {
		size_t i = 0;

		while (!(mask & LISTED_BIT(order[i].scope, order[i].side)))
			i++;
		assert_true(lists_decide(mask, &scope, &side));
		assert_int_equal(scope, order[i].scope);
		assert_int_equal(side, order[i].side);
	}
}

/* ---- books ---- */

static int
into(void *ctx, const void *p, size_t n, struct err *e)
{
	return buf_put(ctx, p, n);
}

/* "allow ann@example.org @x.example", an owner with @ is a user, "-" all; "!": it needs no proof. */
static void
add(struct book_writer *w, uint64_t number, const char *list, const char *owner, const char *what,
    int64_t expires)
{
	struct entry e = { .number = number, .expires = expires, .who = SPAN_LIT("uid 0"),
		.reason = SPAN_LIT("because"), .unauthenticated = list[strlen(list) - 1] == '!',
		.side = list[0] == 'a' ? LIST_ALLOW : LIST_BLOCK,
		.scope = *owner == '-' ? LIST_ALL : strchr(owner, '@') ? LIST_USER : LIST_DOMAIN };

	if (entry_what(arena, span_str(what), &e.kind, &e.what, &err) == -1 ||
	    entry_owner(arena, e.scope, span_str(owner), &e.owner, &err) == -1 ||
	    book_writer_add(w, &e, &err) == -1)
		fail_msg("%s: %s", what, err.text);
}

static struct book
finish(struct book_writer **w, struct buf *b)
{
	struct book book;

	buf_init(b, (size_t)1 << 30);
	assert_int_equal(book_writer_finish(*w, into, b, &err), 0);
	book_writer_free(w);
	if (book_open(buf_data(b), &book, &err) == -1)
		fail_msg("%s", err.text);
	return book;
}

/* The number that decides: proved, of all scopes; 0 none. */
static uint64_t
decides(const struct book *b, const char *sender, const char *from, const char *client, const char *to,
    bool proved)
{
	struct book_ask ask = { .sender = span_str(sender), .from = span_str(from), .sender_proved = proved,
		.from_proved = proved, .now = NOW };
	struct book_answer is = { 0 };
	enum list_scope scope;
	enum list_side side;

	if (*client)
		assert_true(ip_parse(span_str(client), &ask.client));
	book_find(b, &ask, span_str(to), (1u << LIST_SCOPES) - 1, &is);
	assert_true(is.n <= LISTINGS_PER_RECIPIENT && (is.mask & ~is.seen) == 0);
	if (!lists_decide(is.mask, &scope, &side))
		return 0;
	for (size_t i = 0; i < is.n; i++)
		if (is.v[i].scope == scope && is.v[i].side == side) {
			assert_true(is.v[i].counts);
			return is.v[i].number;
		}
	fail_msg("nothing has decided");
	return 0;
}

#define ANN "ann@example.org"

static void
look_ups(void **state)
{
	struct book_writer *w = book_writer_new(7, NOW);
	struct book_answer is;
	struct book book;
	struct ip ip;
	struct buf b;

	add(w, 1, "allow", ANN, "bob@partner.example", 0);
	add(w, 2, "allow", ANN, "@friend.example", 0);
	add(w, 3, "block", "joe@example.org", "@friend.example", 0);
	add(w, 4, "block", "example.org", "@evil.example", 0);
	add(w, 5, "block", "-", "192.0.2.0/24", 0);
	add(w, 6, "allow", "-", "192.0.2.7", 0);
	add(w, 7, "block", "-", "2001:db8::/32", 0);
	add(w, 8, "allow!", ANN, "@shy.example", 0);
	add(w, 9, "block", ANN, "@top", 0);
	add(w, 10, "block", ANN, "@xn--bcher-kva.example", 0);
	add(w, 11, "allow", "-", "198.51.100.7", 0);
	book = finish(&w, &b);
	assert_int_equal(book.n, 11);
	assert_int_equal(book.generation, 7);

	assert_int_equal(decides(&book, "bob@partner.example", "", "", ANN, true), 1);
	assert_int_equal(decides(&book, "bob+x@partner.example", "", "", ANN, true), 1);
	assert_int_equal(decides(&book, "bob@partner.example", "", "", "ann+tag@example.org", true), 1);
	assert_int_equal(decides(&book, "eve@partner.example", "", "", ANN, true), 0);
	assert_int_equal(decides(&book, "bob@sub.partner.example", "", "", ANN, true), 0);
	assert_int_equal(decides(&book, "", "x@friend.example", "", ANN, true), 2);
	assert_int_equal(decides(&book, "x@a.b.friend.example", "", "", ANN, true), 2);
	assert_int_equal(decides(&book, "x@notfriend.example", "", "", ANN, true), 0);
	assert_int_equal(decides(&book, "x@example", "", "", ANN, true), 0);
	/* each his own */
	assert_int_equal(decides(&book, "x@friend.example", "", "", "joe@example.org", true), 3);
	assert_int_equal(decides(&book, "x@friend.example", "", "", "jim@example.org", true), 0);
	assert_int_equal(decides(&book, "x@evil.example", "", "", "jim@example.org", true), 4);
	assert_int_equal(decides(&book, "x@evil.example", "", "", "jim@sub.example.org", true), 0);
	assert_int_equal(decides(&book, "x@evil.example", "", "", "jim@example.net", true), 0);
	/* proof */
	assert_int_equal(decides(&book, "x@friend.example", "", "", ANN, false), 0);
	assert_int_equal(decides(&book, "x@friend.example", "", "", "joe@example.org", false), 3);
	assert_int_equal(decides(&book, "x@shy.example", "", "", ANN, false), 8);
	/* clients; a mapped address is the IPv4 one */
	assert_int_equal(decides(&book, "", "", "192.0.2.9", ANN, false), 5);
	assert_int_equal(decides(&book, "", "", "::ffff:192.0.2.9", ANN, false), 5);
	assert_int_equal(decides(&book, "", "", "192.0.3.9", ANN, false), 0);
	assert_int_equal(decides(&book, "", "", "2001:db8:1::9", ANN, false), 7);
	assert_int_equal(decides(&book, "", "", "2001:db9::9", ANN, false), 0);
	assert_int_equal(decides(&book, "", "", "192.0.2.7", ANN, false), 5);	/* of one owner the block */
	assert_int_equal(decides(&book, "", "", "198.51.100.7", ANN, false), 11);
	/* a top-level domain; both spellings are one */
	assert_int_equal(decides(&book, "x@any.top", "", "", ANN, true), 9);
	assert_int_equal(decides(&book, "x@xn--bcher-kva.example", "", "", ANN, true), 10);
	assert_int_equal(decides(&book, "", "", "", ANN, true), 0);
	/* no address at all */
	assert_int_equal(decides(&book, "nobody", "@", "", "nobody", true), 0);

	assert_true(ip_parse(SPAN_LIT("198.51.100.7"), &ip));
	book_find_client(&book, ip, NOW, &is);
	assert_int_equal(is.mask, LISTED_BIT(LIST_ALL, LIST_ALLOW));
	assert_true(ip_parse(SPAN_LIT("192.0.2.7"), &ip));
	book_find_client(&book, ip, NOW, &is);
	assert_int_equal(is.mask, LISTED_BIT(LIST_ALL, LIST_ALLOW) | LISTED_BIT(LIST_ALL, LIST_BLOCK));
	buf_release(&b);
}

/* One that counts is told, not the first one that does not. */
static void
the_one_that_counts(void **state)
{
	struct book_writer *w = book_writer_new(1, NOW);
	struct book_ask ask = { .sender = SPAN_LIT("x@list.example"), .from = SPAN_LIT("bob@partner.example"),
		.sender_proved = true, .now = NOW };
	struct book_answer is = { 0 };
	struct book book;
	struct buf b;

	add(w, 1, "allow", ANN, "@partner.example", 0);
	add(w, 2, "allow", ANN, "@list.example", NOW + 5);
	book = finish(&w, &b);
	book_find(&book, &ask, SPAN_LIT(ANN), 1u << LIST_USER, &is);
	assert_int_equal(is.n, 1);
	assert_int_equal(is.v[0].number, 2);
	assert_int_equal(is.v[0].by, LIST_BY_SENDER);
	assert_true(is.v[0].counts && span_is(is.v[0].owner, ANN) && span_is(is.v[0].what, "@list.example") &&
	    span_is(is.v[0].reason, "because"));
	assert_int_equal(is.expires[0], NOW + 5);
	ask.sender_proved = false;
	is = (struct book_answer){ 0 };
	book_find(&book, &ask, SPAN_LIT(ANN), 1u << LIST_USER, &is);
	assert_int_equal(is.n, 1);
	assert_int_equal(is.v[0].number, 1);
	assert_false(is.v[0].counts);
	assert_int_equal(is.mask, 0);
	assert_int_equal(is.seen, LISTED_BIT(LIST_USER, LIST_ALLOW));
	buf_release(&b);
}

static void
ends(void **state)
{
	struct book_writer *w = book_writer_new(1, NOW);
	struct book_ask ask = { .sender = SPAN_LIT("x@evil.example") };
	struct book book;
	struct buf b;

	add(w, 1, "block", "-", "@evil.example", NOW);
	book = finish(&w, &b);
	for (int64_t at = NOW - 1; at <= NOW + 1; at++) {
		struct book_answer is = { 0 };

		ask.now = at;
		book_find(&book, &ask, SPAN_LIT(ANN), 1u << LIST_ALL, &is);
		assert_int_equal(is.n, at < NOW);	/* until, not through */
	}
	buf_release(&b);
}

/* Names as long as they may be, everywhere at once. */
static void
long_names(void **state)
{
	char domain[254], owner[330], sender[330];
	struct book_writer *w = book_writer_new(1, NOW);
	struct book book;
	struct buf b;

	for (size_t i = 0; i < 253; i++)
		domain[i] = i % 2 ? '.' : 'a';
	domain[253] = '\0';
	snprintf(owner, sizeof(owner), "%064d@%s", 0, domain);
	snprintf(sender, sizeof(sender), "%064d@%s", 1, domain);
	add(w, 1, "block", owner, sender, 0);
	add(w, 2, "block", domain, "@a.a", 0);
	book = finish(&w, &b);
	assert_int_equal(decides(&book, sender, sender, "", owner, false), 2);
	assert_int_equal(decides(&book, "x@b.b", "", "", owner, false), 0);
	/* longer than any entry, and refused nowhere before */
	memset(owner, 'x', sizeof(owner));
	owner[5] = '@';
	owner[329] = '\0';
	assert_int_equal(decides(&book, owner, owner, "", owner, false), 0);
	buf_release(&b);
}

/* Cut anywhere it is refused; with any byte changed no look-up leaves it (ASan watches). */
static void
damage(void **state)
{
	struct book_writer *w = book_writer_new(1, NOW);
	struct book book, other;
	struct buf b;
	char *copy;
	size_t n;

	add(w, 1, "block", "-", "@evil.example", 0);
	add(w, 2, "allow", ANN, "@friend.example", 0);
	add(w, 3, "block", "-", "10.0.0.0/8", 0);
	book = finish(&w, &b);
	n = book.bytes.n;
	for (size_t cut = 0; cut < n; cut++) {
		copy = malloc(cut + 1);
		memcpy(copy, book.bytes.p, cut);
		assert_int_equal(book_open(span_make(copy, cut), &other, &err), -1);
		free(copy);
	}
	copy = malloc(n);
	for (size_t at = 0; at < n; at++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, book.bytes.p, n);
			copy[at] ^= (char)(1 << bit);
			if (book_open(span_make(copy, n), &other, &err) == -1)
				continue;
			other.n = book.n;
			struct book_ask ask = { .sender = SPAN_LIT("x@evil.example"),
				.from = SPAN_LIT("y@friend.example"), .now = NOW,
				.client = { .family = 4, .b = { 10, 1, 2, 3 } } };
			struct book_answer is = { 0 };

			book_find(&other, &ask, SPAN_LIT(ANN), 7, &is);
			assert_true(is.n <= LISTINGS_PER_RECIPIENT);
		}
	free(copy);
	assert_int_equal(book_open(SPAN_LIT(""), &other, &err), -1);
	buf_release(&b);
}

/* Many entries; each is found, and nothing else. What a million cost: tests/bench/bench_lists.c. */
static void
many(void **state)
{
	struct book_writer *w = book_writer_new(1, NOW);
	enum { MANY = 20000 };
	char owner[64], what[64];
	struct book book;
	struct buf b;

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(owner, sizeof(owner), "u%u@example.org", i / 10);
		snprintf(what, sizeof(what), "s%u@d%u.example", i, i % 977);
		add(w, i + 1, i % 3 ? "block" : "allow", owner, what, 0);
		if (i % 1000 == 0)
			arena_reset(arena);
	}
	assert_int_equal(book_writer_count(w), MANY);
	book = finish(&w, &b);
	assert_int_equal(book.n, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(owner, sizeof(owner), "u%u@example.org", i / 10);
		snprintf(what, sizeof(what), "s%u@d%u.example", i, i % 977);
		assert_int_equal(decides(&book, what, "", "", owner, true), i + 1);
		snprintf(owner, sizeof(owner), "u%u@example.org", i / 10 + 1);
		assert_int_equal(decides(&book, what, "", "", owner, true), 0);
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_spelling), cmocka_unit_test(owners), cmocka_unit_test(the_order),
		cmocka_unit_test(look_ups), cmocka_unit_test(the_one_that_counts), cmocka_unit_test(ends),
		cmocka_unit_test(long_names), cmocka_unit_test(damage), cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
