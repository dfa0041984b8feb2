/* test_store_lists.c -- lists of senders in the store: who may do what, limits, ends, what is written down. */
#include "store_test.h"

#include <event2/event.h>
#include <sys/socket.h>

#include "json.h"
#include "ipc/principal.h"
#include "log.h"
#include "store/lists_db.h"
#include "store/store.h"
#include "store/tlsrpt.h"

#define TURNS_MAX 2000		/* of 5 ms: then something never comes */

static union {			/* runtime_finish() writes behind it */
	struct runtime rt;
	char room[4096];
} world;
static struct runtime *const rt = &world.rt;
static struct store *store;
static struct conf_domain domains[2];
static struct config conf;
static int64_t now;
static const char *as;		/* the principal who asks; NULL: this machine's administrator */

static int
setup(void **state)
{
	if (test_setup(state) == -1)
		return -1;
	now = T0;
	clock_virtual = &now;
	as = NULL;
	world.rt = (struct runtime){ .role = ROLE_STORE, .instance = 5, .conf = &conf };
	domains[0].name = SPAN_LIT("example.org");
	domains[1].name = SPAN_LIT("example.net");
	conf.domains = domains;
	conf.ndomains = 2;
	conf.store = SPAN_LIT("sqlite:");
	conf.store_path = test_path;
	rt->base = event_base_new();
	test_shared(rt, &conf);
	OK(store_ops.run(rt, &test_err));
	store = rt->state;
	return 0;
}

static int
teardown(void **state)
{
	event_base_loop(rt->base, EVLOOP_NONBLOCK);
	event_free(store->flush);
	event_free(store->keep_commit);
	event_free(store->tick);
	event_free(store->leave);
	reports_free(&store->tls);
	lists_end(store);
	db_close(&store->db);
	tickets_free(&store->tickets);
	arena_free(&store->scratch);
	arena_free(&store->batch.arena);
	free(store->batch.events);
	free(store);
	event_base_free(rt->base);
	clock_virtual = NULL;
	return test_teardown(state);
}

/* ---- asking ---- */

static struct buf answer;

static size_t
ask(const char *fmt, ...)
{
	struct timeval tv = { .tv_usec = 5000 };
	char *request;
	va_list ap;
	size_t lines = 0;
	int sv[2], turns = 0;

	va_start(ap, fmt);
	request = arena_alloc(test_arena, 2u << 20);
	vsnprintf(request, 1u << 20, fmt, ap);
	va_end(ap);
	if (as) {	/* before the last brace */
		request[strlen(request) - 1] = '\0';
		request = arena_printf(test_arena, "%s,\"as\":%s}", request, as);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	buf_release(&answer);
	buf_init(&answer, 64u << 20);
	store_ops.client(rt, sv[0], as ? UID_CONSOLE : 1000, span_str(request));
	for (;;) {
		char *room = buf_room(&answer, 65536);
		ssize_t n = read(sv[1], room, 65536);

		if (n == 0)
			break;
		if (n > 0) {
			buf_commit(&answer, (size_t)n);
			continue;
		}
		assert_true(turns++ < TURNS_MAX);
		event_base_loopexit(rt->base, &tv);
		event_base_loop(rt->base, 0);
	}
	close(sv[1]);
	for (struct span s = buf_data(&answer); s.n; lines++)
		s = span_from(s, span_find(s, '\n') < s.n ? span_find(s, '\n') + 1 : s.n);
	return lines;
}

/* Of line i, the member of that name. */
static const char *
said(size_t i, const char *key)
{
	struct jval *v = test_line(buf_data(&answer), i);
	char *text = arena_str(test_arena, jval_text(v, key));

	jval_free(&v);
	return text;
}

static int64_t
number(size_t i, const char *key)
{
	struct jval *v = test_line(buf_data(&answer), i);
	int64_t n = jval_int(v, key, -1);

	jval_free(&v);
	return n;
}

#define REFUSED(why, ...) do { \
	assert_int_equal(ask(__VA_ARGS__), 1); \
	if (strcmp(said(0, "code"), why) != 0) \
		fail_msg("%.*s", (int)buf_size(&answer), buf_data(&answer).p); \
} while (0)

/* The number of the new entry. */
#define ADD(...) (ask("{\"cmd\":\"lists.add\"," __VA_ARGS__), number(0, "number"))

#define USER "{\"name\":\"ann\",\"roles\":[\"user\"],\"addresses\":[\"ann@example.org\"],\"domains\":[]}"
#define ADMIN_OF "{\"name\":\"dom\",\"roles\":[\"domain_admin\"],\"addresses\":[],\"domains\":[\"example.org\"]}"
#define OPERATOR "{\"name\":\"op\",\"roles\":[\"operator\"],\"addresses\":[],\"domains\":[]}"
#define AUDITOR "{\"name\":\"aud\",\"roles\":[\"auditor\"],\"addresses\":[],\"domains\":[]}"
#define EDITOR "{\"name\":\"ed\",\"roles\":[\"editor\"],\"addresses\":[],\"domains\":[]}"

/* ---- the tests ---- */

static void
in_and_out(void **state)
{
	int64_t n = ADD("\"scope\":\"user\",\"owner\":\"Ann+x@Example.org\",\"list\":\"allow\","
	    "\"what\":\"Bob@Partner.Example\",\"reason\":\"friend\"}");

	assert_true(n > 0);
	assert_string_equal(said(0, "owner"), "ann@example.org");
	assert_string_equal(said(0, "what"), "bob@partner.example");
	assert_string_equal(said(0, "kind"), "address");
	assert_string_equal(said(0, "by"), "uid 1000");
	assert_string_equal(said(0, "state"), "active");
	assert_int_equal(number(0, "time"), T0);
	assert_int_equal(number(0, "expires"), -1);
	/* the same in another spelling; and on the other list */
	REFUSED("conflict", "{\"cmd\":\"lists.add\",\"scope\":\"user\",\"owner\":\"ann@example.org\","
	    "\"list\":\"block\",\"what\":\"BOB@partner.example\"}");
	assert_true(ADD("\"scope\":\"user\",\"owner\":\"joe@example.org\",\"list\":\"block\","
	    "\"what\":\"bob@partner.example\"}") > n);
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"owner\":\"ann@example.org\"}"), 2);
	assert_int_equal(number(1, "found"), 1);
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"list\":\"block\"}"), 2);
	assert_string_equal(said(0, "owner"), "joe@example.org");
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"q\":\"FRIEND\"}"), 2);
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"limit\":1}"), 2);
	assert_int_equal(number(1, "next"), n);
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"limit\":1,\"after\":%lld}", (long long)n), 2);
	assert_string_equal(said(0, "owner"), "joe@example.org");
	assert_int_equal(ask("{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)n), 1);
	assert_int_equal(number(0, "number"), n);
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)n);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='lists.add'"), 2);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='lists.remove'"
	    " AND who='uid 1000' AND detail LIKE 'allow bob@partner.example for user ann@example.org,%: friend'"), 1);
	/* a number is used once */
	assert_true(ADD("\"scope\":\"user\",\"owner\":\"ann@example.org\",\"list\":\"allow\","
	    "\"what\":\"bob@partner.example\"}") > n + 1);
}

static void
what_is_refused(void **state)
{
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"al\",\"list\":\"block\",\"what\":\"@x.example\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"alow\",\"what\":\"@x.example\"}");
	assert_non_null(strstr(said(0, "error"), "did you mean `allow`"));
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"x.example\"}");
	assert_non_null(strstr(said(0, "error"), "did you mean `@x.example`"));
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"user\",\"owner\":\"ann@exmple.org\",\"list\":\"block\","
	    "\"what\":\"@x.example\"}");
	assert_non_null(strstr(said(0, "error"), "did you mean `example.org`"));
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@x.example\"}");
	assert_non_null(strstr(said(0, "error"), "until when?"));
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@x\",\"forever\":true}");
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"@x.example\","
	    "\"expires\":\"soon\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"@x.example\","
	    "\"expires\":%lld}", (long long)now);
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"@x.example\","
	    "\"unauthenticated\":true}");
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"@x.example\","
	    "\"reason\":\"two\\nlines\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.add\",\"scope\":\"user\",\"owner\":\"ann@example.org\",\"list\":\"block\","
	    "\"what\":\"192.0.2.1\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.remove\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.list\",\"scope\":\"nobody\"}");
	REFUSED("invalid", "{\"cmd\":\"lists.check\",\"sender\":\"a\",\"recipient\":\"b\"}");
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM list_entry"), 0);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit"), 0);
}

static void
who_may(void **state)
{
	int64_t all = ADD("\"scope\":\"all\",\"list\":\"block\",\"what\":\"@evil.example\"}");
	int64_t org = ADD("\"scope\":\"domain\",\"owner\":\"example.org\",\"list\":\"block\",\"what\":\"@a.example\"}");
	int64_t net = ADD("\"scope\":\"domain\",\"owner\":\"example.net\",\"list\":\"block\",\"what\":\"@a.example\"}");
	int64_t joe = ADD("\"scope\":\"user\",\"owner\":\"joe@example.org\",\"list\":\"block\",\"what\":\"@a.example\"}");
	int64_t own;

	as = USER;
	/* his own: scope and owner go without saying */
	own = ADD("\"list\":\"allow\",\"what\":\"@b.example\"}");
	assert_true(own > 0);
	assert_string_equal(said(0, "owner"), "ann@example.org");
	assert_string_equal(said(0, "by"), "ann");
	assert_int_equal(ask("{\"cmd\":\"lists.list\"}"), 2);
	assert_int_equal(number(0, "number"), own);
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"owner\":\"joe@example.org\"}"), 1);
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"scope\":\"all\"}"), 1);
	REFUSED("not-found", "{\"cmd\":\"lists.add\",\"scope\":\"user\",\"owner\":\"joe@example.org\",\"list\":\"allow\","
	    "\"what\":\"@b.example\"}");
	REFUSED("not-found", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"@b.example\"}");
	REFUSED("not-found", "{\"cmd\":\"lists.add\",\"scope\":\"domain\",\"owner\":\"example.org\",\"list\":\"block\","
	    "\"what\":\"@b.example\"}");
	REFUSED("forbidden", "{\"cmd\":\"lists.add\",\"list\":\"allow\",\"what\":\"@c.example\",\"unauthenticated\":true}");
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)joe);
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)all);
	REFUSED("not-found", "{\"cmd\":\"lists.check\",\"sender\":\"x@a.example\",\"recipient\":\"joe@example.org\"}");
	/* the answer is that of a number nobody has; but it is written down */
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='refused' AND who='ann'"), 6);
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":4711}");
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='refused'"), 6);
	/* what decides is told, the administrators' entry is not */
	lists_now(store);
	assert_int_equal(ask("{\"cmd\":\"lists.check\",\"sender\":\"x@evil.example\",\"recipient\":\"ann@example.org\"}"), 1);
	assert_non_null(memmem(buf_data(&answer).p, buf_size(&answer), "\"effect\":\"reject\",\"number\":null", 31));
	assert_int_equal(ask("{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)own), 1);

	as = ADMIN_OF;
	assert_int_equal(ask("{\"cmd\":\"lists.list\"}"), 3);	/* his domain's, and joe's */
	assert_int_equal(number(0, "number"), org);
	assert_int_equal(number(1, "number"), joe);
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)net);
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)all);
	REFUSED("forbidden", "{\"cmd\":\"lists.add\",\"scope\":\"domain\",\"list\":\"allow\",\"what\":\"@c.example\","
	    "\"expires\":\"1d\",\"unauthenticated\":true}");
	assert_true(ADD("\"scope\":\"domain\",\"list\":\"allow\",\"what\":\"192.0.2.0/24\",\"expires\":\"1d\"}") > 0);
	assert_int_equal(ask("{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)joe), 1);

	as = EDITOR;
	REFUSED("not-found", "{\"cmd\":\"lists.list\"}");
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)org);
	as = AUDITOR;
	assert_int_equal(ask("{\"cmd\":\"lists.list\"}"), 5);
	REFUSED("not-found", "{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)org);
	REFUSED("not-found", "{\"cmd\":\"lists.add\",\"scope\":\"all\",\"list\":\"block\",\"what\":\"@c.example\"}");
	as = OPERATOR;
	assert_true(ADD("\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@c.example\",\"expires\":\"90d\","
	    "\"unauthenticated\":true,\"owner\":\"j.martin\"}") > 0);
	assert_string_equal(said(0, "owner"), "j.martin");
	assert_string_equal(said(0, "by"), "op");
	assert_int_equal(number(0, "expires"), T0 + 90 * INT64_C(86400) * US_PER_SEC);
	assert_int_equal(ask("{\"cmd\":\"lists.remove\",\"numbers\":[%lld,%lld,%lld]}", (long long)all, (long long)org,
	    (long long)net), 3);
}

static void
on_request(void **state)
{
	int64_t n, other;

	as = USER;
	ask("{\"cmd\":\"lists.request\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@b.example\",\"reason\":\"a customer\"}");
	n = number(0, "number");
	assert_string_equal(said(0, "state"), "requested");
	ask("{\"cmd\":\"lists.request\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@c.example\"}");
	other = number(0, "number");
	REFUSED("not-found", "{\"cmd\":\"lists.approve\",\"number\":%lld,\"expires\":\"1d\"}", (long long)n);
	lists_now(store);
	assert_int_equal(store->lists.book.n, 0);
	as = OPERATOR;
	assert_int_equal(ask("{\"cmd\":\"lists.list\",\"state\":\"requested\"}"), 3);
	assert_int_equal(ask("{\"cmd\":\"lists.approve\",\"number\":%lld,\"expires\":\"30d\"}", (long long)n), 1);
	assert_string_equal(said(0, "state"), "active");
	REFUSED("conflict", "{\"cmd\":\"lists.approve\",\"number\":%lld,\"expires\":\"30d\"}", (long long)n);
	REFUSED("conflict", "{\"cmd\":\"lists.deny\",\"number\":%lld}", (long long)n);
	assert_int_equal(ask("{\"cmd\":\"lists.deny\",\"number\":%lld}", (long long)other), 1);
	lists_now(store);
	assert_int_equal(store->lists.book.n, 1);
	as = USER;
	ask("{\"cmd\":\"lists.request\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@e.example\"}");
	n = number(0, "number");
	as = OPERATOR;
	assert_int_equal(ask("{\"cmd\":\"lists.approve\",\"number\":%lld}", (long long)n), 1);
	assert_int_equal(number(0, "expires"), T0 + 90 * INT64_C(86400) * US_PER_SEC);
	as = USER;
	ask("{\"cmd\":\"lists.request\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@d.example\"}");
	n = number(0, "number");
	assert_int_equal(ask("{\"cmd\":\"lists.remove\",\"number\":%lld}", (long long)n), 1);	/* taken back */
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what IN"
	    " ('lists.request','lists.approve','lists.deny','lists.remove')"), 8);
}

static void
full(void **state)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	buf_puts(&b, "{\"cmd\":\"lists.add\",\"items\":[");
	for (unsigned i = 0; i <= LISTS_USER_MAX; i++)
		buf_printf(&b, "%s{\"scope\":\"user\",\"owner\":\"ann@example.org\",\"list\":\"block\","
		    "\"what\":\"@d%u.example\"}", i ? "," : "", i);
	buf_puts(&b, "]}");
	assert_int_equal(ask("%.*s", (int)buf_size(&b), buf_data(&b).p), 2 * (LISTS_USER_MAX + 1));
	buf_release(&b);
	assert_string_equal(said(2 * LISTS_USER_MAX, "code"), "limit");
	assert_int_equal(number(2 * LISTS_USER_MAX + 1, "item"), LISTS_USER_MAX);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM list_entry"), LISTS_USER_MAX);
	/* another's list has room */
	assert_true(ADD("\"scope\":\"user\",\"owner\":\"joe@example.org\",\"list\":\"block\",\"what\":\"@d0.example\"}") > 0);
	lists_now(store);
	assert_int_equal(store->lists.book.n, LISTS_USER_MAX + 1);
}

static void
ends(void **state)
{
	int64_t day = INT64_C(86400) * US_PER_SEC;
	struct lists_filter none = { .has_scope = true, .scope = LIST_ALL };
	struct list_row *rows;
	bool more;
	size_t n;

	ADD("\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@a.example\",\"expires\":\"1d\"}");
	assert_int_equal(number(0, "expires"), T0 + day);
	ADD("\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@b.example\",\"expires\":\"2d\"}");
	ADD("\"scope\":\"all\",\"list\":\"block\",\"what\":\"@c.example\"}");
	/* the day named is the last: T0 is 22 November 2026 */
	ADD("\"scope\":\"all\",\"list\":\"block\",\"what\":\"@d.example\",\"expires\":\"2026-11-30\"}");
	assert_int_equal(number(0, "expires"), INT64_C(1796083200) * US_PER_SEC);	/* 1 December, 00:00 UTC */
	lists_now(store);
	assert_int_equal(store->lists.book.n, 4);
	assert_int_equal(store->lists.next_end, T0 + day);
	lists_tick(store, T0 + day - 1);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM list_entry"), 4);
	lists_tick(store, T0 + day);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM list_entry"), 3);
	assert_int_equal(store->lists.next_end, T0 + 2 * day);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM audit WHERE what='lists.expire' AND who='expiry'"
	    " AND detail LIKE 'allow @a.example for all, until%'"), 1);
	lists_now(store);
	assert_int_equal(store->lists.book.n, 3);
	lists_tick(store, T0 + 30 * day);
	OK(lists_select(store->db, &none, 10, test_arena, &rows, &n, &more, &test_err));
	assert_int_equal(n, 1);
	assert_true(span_is(rows[0].e.what, "@c.example"));
	assert_int_equal(store->lists.next_end, 0);
	/* nobody answers for a request for ever */
	ask("{\"cmd\":\"lists.request\",\"scope\":\"all\",\"list\":\"allow\",\"what\":\"@e.example\",\"expires\":\"1h\"}");
	lists_now(store);
	lists_tick(store, T0 + 2 * 3600 * US_PER_SEC);
	assert_int_equal(test_number(store->db, "SELECT count(*) FROM list_entry"), 1);
}

static void
what_decides(void **state)
{
	int64_t n = ADD("\"scope\":\"user\",\"owner\":\"ann@example.org\",\"list\":\"allow\",\"what\":\"@b.example\"}");

	assert_int_equal(ask("{\"cmd\":\"lists.check\",\"sender\":\"X@Sub.B.example\",\"recipient\":\"Ann+y@example.org\"}"), 2);
	assert_int_equal(number(0, "number"), n);
	assert_string_equal(said(0, "by"), "sender");
	assert_non_null(memmem(buf_data(&answer).p, buf_size(&answer), "\"proved\":{\"effect\":\"not-spam\",\"number\":", 38));
	assert_non_null(memmem(buf_data(&answer).p, buf_size(&answer), "\"unproved\":{\"effect\":\"none\",\"number\":null}", 41));
	assert_int_equal(ask("{\"cmd\":\"lists.check\",\"sender\":\"<>\",\"from\":\"x@b.example\",\"client\":\"192.0.2.1\","
	    "\"recipient\":\"ann@example.org\"}"), 2);
	assert_string_equal(said(0, "by"), "header_from");
	assert_int_equal(ask("{\"cmd\":\"lists.check\",\"sender\":\"x@c.example\",\"recipient\":\"ann@example.org\"}"), 1);
}

/* What was there before is there after a start; rows nobody can have written are passed over. */
static void
anew(void **state)
{
	sqlite3 *s;

	ADD("\"scope\":\"all\",\"list\":\"block\",\"what\":\"@a.example\"}");
	assert_int_equal(sqlite3_open(test_path, &s), SQLITE_OK);
	assert_int_equal(sqlite3_exec(s, "INSERT INTO list_entry(scope,owner,domain,side,kind,what,who,reason,time,by,"
	    "unauthenticated,state) VALUES(7,'','',0,0,'x','','',0,'',0,0)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(s);
	lists_end(store);
	store->lists = (struct store_lists){ 0 };
	OK(lists_start(store, &test_err));
	assert_int_equal(store->lists.book.n, 1);
}

static int
last(void **state)
{
	buf_release(&answer);
	return 0;
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(in_and_out), T(what_is_refused), T(who_may), T(on_request), T(full), T(ends), T(what_decides),
		T(anew),
	};

	return cmocka_run_group_tests(tests, NULL, last);
}
