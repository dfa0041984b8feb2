/* test_hub.c -- sites that share their servers, and TLS sessions that are kept: connections, push-back,
 * pace and rest over real sockets on loopback, and what a resumed session counts for.
 */
#include <fcntl.h>
#include <openssl/pem.h>

#include "delivery/hub.h"
#include "delivery_lab.h"
#include "fs.h"
#include "table.h"

/* All domains go to the one server. */
static void
lab_shared(struct lab *lab, const struct fake *f)
{
	lab_init(lab, f);
	lab->route.match = SPAN_LIT("*");
}

static const char *
site_name(int i)
{
	static char names[64][24];

	snprintf(names[i], sizeof(names[i]), "customer%d.lab", i);
	return names[i];
}

static void
all_sent(const struct lab *lab)
{
	for (size_t i = 0; i < lab->njobs; i++)
		assert_outcome(&lab->outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
}

/* --- one neighbour, not a thousand --- */

static void
test_one_hub(void **state)
{
	struct fake f = { 0 };
	struct lab lab;

	fake_start(&f);
	lab_shared(&lab, &f);
	for (int i = 0; i < 60; i++)
		carrier_take(&lab.c, lab_job(&lab, site_name(i), hello, 1));
	event_base_loop(lab.c.base, EVLOOP_ONCE);
	assert_int_equal(table_count(lab.c.hubs), 1);
	lab_run(&lab);
	all_sent(&lab);
	assert_true(f.log->connections <= 5);
	/* each domain in transactions of its own */
	assert_int_equal(f.log->transactions, 60);
	lab_release(&lab);
	fake_stop(&f);
}

/* One after the other: each over the connection of the one before. */
static void
test_connection_for_another_site(void **state)
{
	for (int tls = 0; tls < 2; tls++) {
		struct fake f = { .tls = tls };
		struct lab lab;

		fake_start(&f);
		lab_shared(&lab, &f);
		for (int i = 0; i < 10; i++) {
			carrier_take(&lab.c, lab_job(&lab, site_name(i), hello, 2));
			lab_run(&lab);
			assert_string_equal(lab.outcomes[i].relay, lab.outcomes[0].relay);
			assert_string_equal(lab.outcomes[i].tls, lab.outcomes[0].tls);
		}
		all_sent(&lab);
		assert_int_equal(f.log->connections, 1);
		assert_int_equal(f.log->handshakes, tls);
		lab_release(&lab);
		fake_stop(&f);
	}
}

/* Another host of the same number of connections is another hub. */
static void
test_other_hosts_other_hub(void **state)
{
	struct fake f = { 0 }, g = { 0 };
	struct conf_route routes[2];
	const struct conf_route *lines[2] = { &routes[0], &routes[1] };
	struct lab lab;

	fake_start(&f);
	fake_start(&g);
	lab_init(&lab, &f);
	lab.hosts[1] = lab.hosts[0];
	lab.hosts[1].port = g.port;
	routes[0] = (struct conf_route){ .match = SPAN_LIT("one.lab"), .hosts = &lab.hosts[0],
		.nhosts = 1 };
	routes[1] = (struct conf_route){ .match = SPAN_LIT("*"), .hosts = &lab.hosts[1],
		.nhosts = 1 };
	lab.conf.delivery.lines = lines;
	lab.conf.delivery.nlines = 2;
	carrier_take(&lab.c, lab_job(&lab, "one.lab", hello, 1));
	carrier_take(&lab.c, lab_job(&lab, "two.lab", hello, 1));
	carrier_take(&lab.c, lab_job(&lab, "three.lab", hello, 1));
	event_base_loop(lab.c.base, EVLOOP_ONCE);
	assert_int_equal(table_count(lab.c.hubs), 2);
	lab_run(&lab);
	all_sent(&lab);
	assert_int_equal(f.log->messages, 1);
	assert_int_equal(g.log->messages, 2);
	lab_release(&lab);
	fake_stop(&f);
	fake_stop(&g);
}

/* --- push-back --- */

/* The server takes three at a time and turns the fourth away: nothing is put off. */
static void
test_turned_away(void **state)
{
	struct fake f = { .room = 3 };
	struct lab lab;

	fake_start(&f);
	lab_shared(&lab, &f);
	lab.conf.delivery.site_connections = 20;
	for (int i = 0; i < 60; i++)
		carrier_take(&lab.c, lab_job(&lab, site_name(i % 20), hello, 1));
	lab_run(&lab);
	all_sent(&lab);
	assert_int_equal(f.log->messages, 60);
	assert_true(f.log->most <= 3);
	assert_true(f.log->turned_away > 0);
	lab_release(&lab);
	fake_stop(&f);
}

/* Nobody is let in at all: then it is put off, and the next that comes at once hears the same without a
 * connection of its own. */
static void
test_rest(void **state)
{
	static const int64_t retry[] = { 60 * US_PER_SEC };
	struct fake f = { .closed = true };
	struct lab lab;

	fake_start(&f);
	lab_shared(&lab, &f);
	lab.conf.delivery.retry[RETRY_DEFAULT] = (struct retry_curve){ retry, 1 };
	lab.conf.delivery.site_connections = 1;
	for (int i = 0; i < 10; i++)
		carrier_take(&lab.c, lab_job(&lab, site_name(i), hello, 1));
	lab_run(&lab);
	for (int i = 10; i < 20; i++)
		carrier_take(&lab.c, lab_job(&lab, site_name(i), hello, 1));
	lab_run(&lab);
	for (int i = 0; i < 20; i++) {
		assert_outcome(&lab.outcomes[i], 0, RCPT_DEFERRED, FAIL_GREETING, "4.7.0");
		assert_string_equal(lab.outcomes[i].reply, "421 4.7.0 too many connections from you");
	}
	assert_int_equal(f.log->connections, 1);
	lab_release(&lab);
	fake_stop(&f);
}

/* How the number of connections follows what the servers say. */
static void
test_allowed(void **state)
{
	struct fake f = { 0 };
	struct lab lab;
	struct session *s;
	struct hub *hub;

	fake_start(&f);
	lab_shared(&lab, &f);
	lab.conf.delivery.site_connections = 20;
	carrier_take(&lab.c, lab_job(&lab, site_name(0), hello, 1));
	lab_run(&lab);
	s = lab.c.sessions;
	hub = s->hub;
	/* one for each success while nobody complains */
	assert_int_equal(hub->allowed, HUB_START + 1);
	for (int i = 0; i < 50; i++)
		hub_success(hub);
	assert_int_equal(hub->allowed, 20);
	/* turned away while one works: that one it is */
	hub_push_back(hub, s, true);
	assert_int_equal(hub->allowed, 1);
	/* from then on by one for as many successes as there are connections */
	for (int want = 2; want <= 5; want++) {
		for (int i = 0; i < want - 2; i++)
			hub_success(hub);
		assert_int_equal(hub->allowed, want - 1);
		hub_success(hub);
		assert_int_equal(hub->allowed, want);
	}
	/* a burst of 4xx for whole messages; one alone is nothing */
	hub->pushed_at -= 10 * US_PER_SEC;
	for (int i = 0; i < HUB_BURST - 1; i++)
		hub_put_off(hub, s);
	hub_success(hub);
	for (int i = 0; i < HUB_BURST - 1; i++)
		hub_put_off(hub, s);
	assert_int_equal(hub->allowed, 5);
	hub_put_off(hub, s);
	assert_int_equal(hub->allowed, 1);
	/* long ago: forgotten */
	hub->pushed_at -= 601 * US_PER_SEC;
	for (int i = 0; i < 3; i++)
		hub_success(hub);
	assert_int_equal(hub->allowed, 4);
	lab_release(&lab);
	fake_stop(&f);
}

/* --- pace --- */

static void
test_pace(void **state)
{
	struct fake f = { 0 };
	struct lab lab;
	int64_t t0;

	fake_start(&f);
	lab_shared(&lab, &f);
	lab.conf.delivery.site_interval = 20000;
	t0 = clock_mono();
	for (int i = 0; i < 11; i++)
		carrier_take(&lab.c, lab_job(&lab, site_name(i % 3), hello, 1));
	lab_run(&lab);
	all_sent(&lab);
	assert_true(clock_mono() - t0 >= 10 * 20000);
	lab_release(&lab);
	fake_stop(&f);
}

/* --- BDAT over sockets --- */

static void
test_bdat(void **state)
{
	size_t n = 3 << 20;
	char *text = malloc(n);

	assert_non_null(text);
	memset(text, '.', n);
	memcpy(text + n - 2, "\r\n", 2);
	for (int tls = 0; tls < 2; tls++) {
		struct fake f = { .chunking = true, .tls = tls };
		struct lab lab;

		fake_start(&f);
		lab_shared(&lab, &f);
		send_one_by_one(&lab, 3, hello);
		assert_int_equal(f.log->chunks, 3);
		assert_int_equal(f.log->body_n, hello.n);
		assert_memory_equal(f.log->body, hello.p, hello.n);
		send_one_by_one(&lab, 1, span_make(text, n));
		all_sent(&lab);
		assert_int_equal(f.log->chunks, 6);
		assert_int_equal(f.log->body_n, n);
		assert_memory_equal(f.log->body, text, n);
		assert_int_equal(f.log->connections, 1);
		lab_release(&lab);
		fake_stop(&f);
	}
	free(text);
}

/* Offered and not known: the message goes by DATA over another connection, and so do all after it. */
static void
test_bdat_lie(void **state)
{
	struct fake f = { .chunking_lie = true };
	struct lab lab;

	fake_start(&f);
	lab_shared(&lab, &f);
	send_one_by_one(&lab, 3, hello);
	all_sent(&lab);
	assert_int_equal(f.log->messages, 3);
	assert_int_equal(f.log->connections, 2);
	assert_memory_equal(f.log->body, hello.p, hello.n);
	lab_release(&lab);
	fake_stop(&f);
}

/* --- TLS sessions --- */

/* The server's certificate as a file of roots: whoever trusts it finds it verified for mx.lab. */
static void
trust(struct lab *lab, const struct fake *f, char path[64])
{
	struct err err;
	FILE *file;

	snprintf(path, 64, "/tmp/test-hub-%d.pem", (int)getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, SSL_CTX_get0_certificate(f->ctx)), 1);
	fclose(file);
	transport_context_free(&lab->c.tls);
	lab->c.tls = transport_context(path, &err);
	assert_non_null(lab->c.tls);
	unlink(path);
}

static void
send_demanding(struct lab *lab, int site, enum require_tls demand)
{
	struct job *job = lab_job(lab, site_name(site), hello, 1);

	job->d.require_tls = demand;
	carrier_take(&lab->c, job);
	lab_run(lab);
}

/* A connection for each message; all but the first resume, whichever TLS it is. */
static void
test_resumed(void **state)
{
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct fake f = { .tls = true, .tls12 = tls12 };
		char path[64];
		struct lab lab;

		fake_start(&f);
		lab_shared(&lab, &f);
		trust(&lab, &f, path);
		lab.conf.delivery.site_messages = 1;
		for (int i = 0; i < 6; i++)
			send_demanding(&lab, i, i % 2 ? TLS_VERIFIED : TLS_UNSPECIFIED);
		all_sent(&lab);
		for (int i = 0; i < 6; i++)
			assert_non_null(strstr(lab.outcomes[i].tls, " verified subject=CN=mx.lab"));
		assert_int_equal(f.log->connections, 6);
		assert_int_equal(f.log->resumed, 5);
		lab_release(&lab);
		fake_stop(&f);
	}
}

/* OpenSSL calls every resumed session verified. One that proved nothing is resumed for those who want no
 * more, and says so; never for who wants it verified. */
static void
test_resumed_is_no_proof(void **state)
{
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct fake f = { .tls = true, .tls12 = tls12 };
		struct lab lab;

		fake_start(&f);
		lab_shared(&lab, &f);
		lab.conf.delivery.site_messages = 1;
		send_demanding(&lab, 0, TLS_UNSPECIFIED);
		send_demanding(&lab, 1, TLS_ENCRYPTED);
		assert_int_equal(f.log->resumed, 1);
		send_demanding(&lab, 2, TLS_VERIFIED);
		assert_int_equal(f.log->resumed, 1);
		send_demanding(&lab, 3, TLS_UNSPECIFIED);
		assert_int_equal(f.log->resumed, 2);
		for (int i = 0; i < 4; i++)
			assert_non_null(strstr(lab.outcomes[i].tls, " unverified subject=CN=mx.lab"));
		for (int i = 0; i < 4; i++)
			if (i == 2)
				assert_outcome(&lab.outcomes[i], 0, RCPT_DEFERRED, FAIL_MESSAGE, "4.7.5");
			else
				assert_outcome(&lab.outcomes[i], 0, RCPT_SENT, FAIL_NONE, "2.0.0");
		lab_release(&lab);
		fake_stop(&f);
	}
}

static bool
only(void *ctx, SSL_SESSION *session, const struct tls_proof *proof)
{
	return proof->chain == *(long *)ctx;
}

static SSL_SESSION *
session_made(unsigned number, int version)
{
	SSL_SESSION *s = SSL_SESSION_new();
	unsigned char id[32] = { 0 };

	memcpy(id, &number, sizeof(number));
	assert_int_equal(SSL_SESSION_set1_id(s, id, sizeof(id)), 1);
	assert_int_equal(SSL_SESSION_set_protocol_version(s, version), 1);
	return s;
}

static void
test_cache(void **state)
{
	struct tls_cache *c = tls_cache_new();
	struct tls_proof proof = { .known = true, .chain = 7, .dane = -1 }, got;
	struct span a = SPAN_LIT("a"), b = SPAN_LIT("b");
	long seven = 7, eight = 8;
	SSL_SESSION *s;

	tls_cache_put(c, a, session_made(1, TLS1_3_VERSION), &proof, 1000);
	tls_cache_put(c, b, session_made(2, TLS1_2_VERSION), &proof, 1000);
	assert_null(tls_cache_take(c, a, 1001, only, &eight, &got));
	assert_null(tls_cache_take(c, SPAN_LIT("c"), 1001, only, &seven, &got));
	/* a ticket of 1.3 serves once, a session of 1.2 as long as it lives */
	s = tls_cache_take(c, a, 1001, only, &seven, &got);
	assert_non_null(s);
	assert_int_equal(got.chain, 7);
	SSL_SESSION_free(s);
	assert_null(tls_cache_take(c, a, 1001, only, &seven, &got));
	for (int i = 0; i < 2; i++) {
		s = tls_cache_take(c, b, 1001, only, &seven, &got);
		assert_non_null(s);
		SSL_SESSION_free(s);
	}
	assert_null(tls_cache_take(c, b, 1000 + TLS_CACHE_LIFE, only, &seven, &got));
	assert_int_equal(tls_cache_count(c), 0);
	/* bounds: of one key, of all */
	for (unsigned i = 0; i < 3 * TLS_CACHE_PER_KEY; i++)
		tls_cache_put(c, a, session_made(i, TLS1_3_VERSION), &proof, 2000);
	assert_int_equal(tls_cache_count(c), TLS_CACHE_PER_KEY);
	tls_cache_forget(c, a);
	assert_int_equal(tls_cache_count(c), 0);
	for (unsigned i = 0; i < 2 * TLS_CACHE_MAX; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%u", i);
		tls_cache_put(c, span_str(key), session_made(i, TLS1_3_VERSION), &proof, 2000);
	}
	assert_int_equal(tls_cache_count(c), TLS_CACHE_MAX);
	tls_cache_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_hub),
		cmocka_unit_test(test_connection_for_another_site),
		cmocka_unit_test(test_other_hosts_other_hub),
		cmocka_unit_test(test_turned_away),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_bdat_lie),
		cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_resumed_is_no_proof),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
