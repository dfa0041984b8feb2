/* bench_store.c -- what the journal costs for a message, by the role's own code: frames in, rows out.
 *
 *	bench_store MESSAGES [BATCH [rich]]	20000 and 500 unless said; every BATCH messages are one transaction
 *
 * Each message is what the relay makes of it: its verdict record and what it rests on, judged by the policy
 * library, `accepted`, and `sent` twenty messages later. They are encoded before; what is measured is this
 * process's CPU from the decoding of a frame to the confirmation of its events. Frames do not cross a socket,
 * and nothing else is going on: `tests/bench/store` measures the same in a running relay. Repeatable to the
 * instruction: valgrind --tool=callgrind --toggle-collect=play build/bench/bench_store 5000
 *
 * `rich`: with subject, an attachment, a rule that hit, as mail of people has; without it smtp-source's.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "addr.h"
#include "clock.h"
#include "id.h"
#include "json.h"
#include "postern/record.h"
#include "receiver/reputation.h"
#include "store/keyring.h"
#include "store/store.h"

#define LATER 20		/* messages under way */

static struct err err;
static uint32_t seed = 7;
static bool rich;
static union {
	struct runtime rt;
	char room[4096];
} world;

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

static void
need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, err.text);
		exit(1);
	}
}

/* ---- what the relay would send ---- */

static const char rules[] =
    "version: 1\nrules:\n"
    "  - {id: files, when: {attachment: {type: executable}}, then: {reject: \"5.7.1 no programs\"}}\n"
    "  - {id: seen, when: {subject: {words: [minutes]}}, then: {add_header: {X-Seen: minutes}}}\n";

static struct span
message(struct arena *a, uint32_t i)
{
	struct buf b;
	struct span out;

	buf_init(&b, 1 << 16);
	if (rich)
		buf_printf(&b, "From: user%u@example.org\r\nTo: someone@dest.example\r\nSubject: Minutes of %u, room %u\r\n"
		    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		    "Content-Type: text/plain\r\n\r\n", rnd(500), i, rnd(90));
	else
		buf_puts(&b, "From: a@example.lab\r\nTo: b@partner.lab\r\n\r\n");
	for (int k = 0; k < 40; k++)
		buf_puts(&b, "The minutes of Monday's meeting will follow, as agreed with everybody.\r\n");
	if (rich)
		buf_printf(&b, "--b\r\nContent-Type: application/pdf; name=\"report-%u.pdf\"\r\n"
		    "Content-Disposition: attachment\r\n\r\n%%PDF-1.4 %u\r\n--b--\r\n", rnd(100000), rnd(100000));
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

struct made {
	struct span accepted, sent, basis;	/* bodies of frames */
};

static struct span
kept(struct arena *a, struct buf *b)
{
	struct span s = arena_span(a, buf_data(b));

	need(!buf_failed(b), "a frame");
	buf_release(b);
	return s;
}

static void
make(const struct policy *p, struct arena *tmp, struct arena *a, uint64_t row, struct made *out)
{
	int64_t time = clock_real() + (int64_t)row * 300;
	struct recipient rcpt = { .address = rich ? span_str(arena_printf(tmp, "person%u@site%u.example.net",
	    rnd(20000), rnd(2000))) : SPAN_LIT("b@partner.lab") };
	struct envelope env = { .id = (uint64_t)time * ID_SLOTS + 1, .direction = DIRECTION_OUTBOUND, .received = time,
		.listener = SPAN_LIT("smart-host"), .client_name = SPAN_LIT("internal"), .helo = SPAN_LIT("exch1.example.org"),
		.flags = ENVELOPE_ESMTP, .nrecipients = 1, .recipients = &rcpt };
	struct facts facts = { .now = time + 900 };
	struct policy_options opt = { .record = true, .told = true };
	struct explain_times ms = { .anatomy = 0.013, .detect = 0, .evaluate = 0.002 };
	struct anatomy an;
	struct verdict v;
	struct msg_event ev;
	struct msg_basis basis;
	struct json j;
	struct buf b, text;

	ip_parse(SPAN_LIT("10.1.2.3"), &env.client);
	env.sender = rich ? span_str(arena_printf(tmp, "user%u@dept%u.example.org", rnd(4000), rnd(40))) :
	    SPAN_LIT("a@example.lab");
	anatomy_build(tmp, message(tmp, (uint32_t)row), NULL, &an);
	policy_judge(p, &an, &env, &facts, &opt, tmp, &v);
	buf_init(&text, 1 << 20);
	json_begin(&j, &text);
	verdict_explain(&v, p, &an, &env, &facts, &ms, &j);
	ev = (struct msg_event){ .seq = 2 * row + 1, .kind = EVENT_ACCEPTED, .id = env.id, .time = time + 500, .size = 4378,
		.has_env = true, .env = env, .record = buf_data(&text) };
	buf_init(&b, FRAME_BIG);
	event_encode(&b, &ev);
	out->accepted = kept(a, &b);
	buf_release(&text);
	ev = (struct msg_event){ .seq = 2 * row + 2, .kind = EVENT_SENT, .id = env.id, .time = time + 9000,
		.rcpt = rcpt.address, .outcome = SPAN_LIT("deliver"), .dsn = SPAN_LIT("2.0.0"),
		.relay = SPAN_LIT("mx.partner.lab[127.0.0.1]:22498") };
	ev.reply = rich ? span_str(arena_printf(tmp, "250 2.0.0 Ok: queued as %08X", rnd(UINT32_MAX))) :
	    SPAN_LIT("250 2.0.0 Ok");
	buf_init(&b, FRAME_BIG);
	event_encode(&b, &ev);
	out->sent = kept(a, &b);
	basis = (struct msg_basis){ .id = env.id, .basis = v.record };
	buf_init(&b, FRAME_BIG);
	basis_encode(&b, &basis);
	out->basis = kept(a, &b);
}

static struct made *
make_all(uint64_t n)
{
	const struct policy_source file = { "bench.yaml", { rules, sizeof(rules) - 1 } };
	struct policy_env env = { .now = clock_real() };
	struct arena *a = arena_new(16u << 20), *tmp = arena_new(1u << 20);
	struct made *v = calloc(n, sizeof(*v));
	struct policy *p;
	struct diags d;

	need(v != NULL, "memory");
	diags_init(&d, a);
	p = policy_load(&file, 1, &env, &d);
	need(p != NULL, "the policy");
	for (uint64_t i = 0; i < n; i++) {
		arena_reset(tmp);
		make(p, tmp, a, i, &v[i]);
	}
	policy_free(&p);
	arena_free(&tmp);
	return v;	/* and a, until the end */
}

/* ---- the role ---- */

static void
on_frame(void *ctx, struct link *l, struct frame *f)
{
}

static void
on_closed(void *ctx, struct link *l, const struct err *why)
{
	need(false, "the channel broke");
}

static struct link *
begin(struct config *conf, struct chan *queue)
{
	static const struct link_ops ops = { on_frame, on_closed };
	static struct shared shared;
	struct link *l;
	int sv[2];

	world.rt = (struct runtime){ .role = ROLE_STORE, .instance = 5, .conf = conf, .shared = &shared };
	conf->verify.reputation.half_life = REPUTATION_HALF_LIFE;
	conf->store = SPAN_LIT("sqlite:");
	conf->antivirus.engine = AV_OFF;
	conf->journal_records = INT64_C(30) * 86400;
	world.rt.base = event_base_new();
	need(store_ops.run(&world.rt, &err) == 0, "the store");
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0, "socketpair");
	chan_init(queue, sv[1], ROLE_QUEUE, ROLE_STORE);
	l = link_new(world.rt.base, sv[0], ROLE_STORE, ROLE_QUEUE, 3, &ops, &world.rt);
	store_ops.peer_up(&world.rt, l);
	return l;
}

static void
frame(struct link *l, enum frame_type type, struct span body)
{
	struct frame f = { .type = type, .body = body, .fd = -1 };

	need(store_ops.frame(&world.rt, l, &f) == 0, "a frame");
}

/* Confirmations are read, so that they do not fill the socket. */
static void
confirmed(struct chan *queue)
{
	struct frame f;

	need(chan_fill(queue, &err) != -1, "the channel");
	while (chan_next(queue, &f, &err) == 1)
		;
}

void play(struct link *l, struct chan *queue, const struct made *v, uint64_t n, uint64_t batch);

/* Not static: callgrind knows it by its name. */
__attribute__((noinline)) void
play(struct link *l, struct chan *queue, const struct made *v, uint64_t n, uint64_t batch)
{
	struct store *s = world.rt.state;

	for (uint64_t i = 0; i < n + LATER; i++) {
		if (i < n) {
			frame(l, FRAME_BASIS, v[i].basis);
			frame(l, FRAME_EVENT, v[i].accepted);
		}
		if (i >= LATER)
			frame(l, FRAME_EVENT, v[i - LATER].sent);
		if (i % batch == batch - 1 || i + 1 == n + LATER) {
			need(store_flush(s) == 0, "the database");
			event_base_loop(world.rt.base, EVLOOP_NONBLOCK);
			confirmed(queue);
		}
	}
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static double
cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

int
main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000, batch = argc > 2 ? strtoull(argv[2], NULL, 10) : 500;
	static struct config conf;
	char dir[] = "/tmp/bench-store-XXXXXX", path[64], key[64];
	struct stat db = { 0 };
	struct made *v;
	struct keyring *ring;
	struct chan queue;
	struct link *l;
	bool made;
	double from;

	rich = argc > 3 && strcmp(argv[3], "rich") == 0;
	if (n == 0 || batch == 0 || mkdtemp(dir) == NULL)
		return 2;
	snprintf(path, sizeof(path), "%s/store.db", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	conf.store_path = path;
	v = make_all(n);
	l = begin(&conf, &queue);
	ring = keyring_open(key, &made, &err);
	need(ring != NULL, "a key");
	db_use_keys(((struct store *)world.rt.state)->db, ring);
	from = cpu();
	play(l, &queue, v, n, batch);
	printf("%.1f us of CPU a message, %llu messages in transactions of %llu", (cpu() - from) / (double)n,
	    (unsigned long long)n, (unsigned long long)batch);
	db_close(&((struct store *)world.rt.state)->db);	/* its log goes into the file */
	stat(path, &db);
	printf("; %.0f bytes each in the database\n", (double)db.st_size / (double)n);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}
