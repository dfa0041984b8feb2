/* counters.c -- the role that alone speaks to Redis: what the nodes of a cluster count together.
 *
 * Receivers ask it for each decision (COUNT_ASK): limits, greylist, what is known of a mailbox and of a client, in one
 * script (scripts.c). It holds no truth: Redis does, and when Redis is away every receiver goes on
 * within its node's share, at once. Away is: no connection, an error, an answer later than
 * `counters.timeout`. What was taken meanwhile is merged when it is back (merge.c), exactly once (the
 * fence, scripts.h).
 *
 *   no connection --up--> HELLO --> settle what was unsure, restore, merge --> serving
 *   serving --late--> away until all that was asked is answered --> merge --> serving
 *
 * It may connect to the server that is configured and to DNS servers, and opens no file.
 */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "counters/role.h"
#include "log.h"
#include "net/resolver.h"
#include "net/transport.h"

#define DNS_SERVERS_MAX 8
#define SAY_AGAIN (60 * US_PER_SEC)
#define LEAVE US_PER_SEC	/* to say what is owed, when all end */

/* ---- start ---- */

static void
allow_servers(const struct counters *c)
{
	const struct conf_host *dns = c->rt->conf->ndns ? c->rt->conf->dns : c->dns;
	size_t n = c->rt->conf->ndns ? c->rt->conf->ndns : c->ndns;

	if (c->conf->socket == NULL)
		sandbox_allow_tcp(c->conf->host.port);
	else
		sandbox_allow_tcp(53);		/* to nothing else */
	for (size_t i = 0; i < n && i < DNS_SERVERS_MAX && c->conf->socket == NULL; i++)
		sandbox_allow_tcp(dns[i].port ? dns[i].port : 53);
}

static int
counters_start(struct runtime *rt, struct err *err)
{
	struct counters *c = calloc(1, sizeof(*c));
	uint64_t number;

	ASSERT(c != NULL);
	rt->state = c;
	c->rt = rt;
	c->conf = &rt->conf->counters;
	c->arena = arena_new(0);
	c->scratch = arena_new(0);
	c->anchors = SPAN_LIT("");
	c->server = span_str(c->conf->server);
	if (rt->conf->ndns == 0)
		c->ndns = resolver_system_servers(c->dns, DNS_SERVERS_MAX, c->arena);
	if (rt->conf->dnssec &&
	    resolver_anchors(rt->conf->trust_anchor, c->arena, &c->anchors, err) == -1)
		return -1;
	if (redis_password(c->conf, c->arena, &c->password, err) == -1 ||
	    (c->conf->tls && (c->tls = transport_context(c->conf->ca, err)) == NULL))
		return -1;
	ASSERT(getrandom(&number, sizeof(number), 0) == sizeof(number));
	snprintf(c->fence, sizeof(c->fence), "%.*s:%016llx", (int)(rt->conf->node.n > 250 ? 250 :
	    rt->conf->node.n), rt->conf->node.p, (unsigned long long)number);
	snprintf(c->id, sizeof(c->id), "%016llx", (unsigned long long)number);
	allow_servers(c);
	return 0;
}

/* ---- calls ---- */

void
counters_clock(struct counters *c, const struct redisReply *reply)
{
	int64_t now = reply->type == REDIS_REPLY_ARRAY ? reply_int(reply, 0) : 0;

	if (now > 0)
		c->ahead = now - clock_mono();
}

void
counters_call_begin(struct counters *c)
{
	call_begin(&c->call, span_str(c->fence), c->epoch, c->seq + 1, 0);
}

int
counters_call(struct counters *c, enum script s, bool whole, redis_cb *cb, void *what)
{
	const struct span *argv;
	size_t n;

	if (call_failed(&c->call) || !redis_is_up(c->redis))
		return -1;
	n = call_argv(&c->call, s, whole, &argv);
	if (redis_send(c->redis, n, argv, cb, what) == -1)
		return -1;
	c->seq++;
	return 0;
}

/* What an administrator can do about it. */
static const char *
advice(const char *text)
{
	static const struct { const char *head, *words; } known[] = {
		{ "READONLY", "it is a replica: name the primary in `counters`" },
		{ "OOM", "its memory is full: raise maxmemory" },
		{ "LOADING", "it is loading its data" },
		{ "NOAUTH", "it wants a password: `password_file` in `counters`" },
		{ "WRONGPASS", "user or password is wrong" },
		{ "ERR invalid password", "the password is wrong" },
		{ "NOPERM", "its user may not do this: ACL +eval +evalsha +script +set +get +del +expire +time "
		    "+zadd +zrange +zremrangebyscore +scan +mget +ping +select, and keys ~{PREFIX}*" },
		{ "MOVED", "it is a node of a Redis Cluster and not the one that holds our keys: name that one" },
		{ "CLUSTERDOWN", "the Redis Cluster is down" },
		{ "MISCONF", "it cannot save to its disk" },
		{ "MASTERDOWN", "it is a replica without its primary" },
		{ "BUSY", "a script of somebody else keeps it busy" },
		{ "STALE", "a newer connection of this process has been made" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(text, known[i].head, strlen(known[i].head)) == 0)
			return known[i].words;
	return "it refuses";
}

bool
counters_refused(struct counters *c, const struct redisReply *reply, bool *noscript)
{
	static const char gone[] = "NOSCRIPT";

	*noscript = false;
	if (reply->type != REDIS_REPLY_ERROR)
		return false;
	*noscript = strncmp(reply->str, gone, sizeof(gone) - 1) == 0;
	if (!*noscript)
		redis_fail(c->redis, "%s (%.160s)", advice(reply->str), reply->str);
	return true;
}

/* ---- away, and back ---- */

static void
alarm_event(struct counters *c, bool begins, const char *text)
{
	char line[480];
	struct msg_event ev = { .kind = EVENT_ALARM, .time = clock_real() };
	struct buf b;

	snprintf(line, sizeof(line), "counters %s: %s", begins ? "begins" : "is over", text);
	ev.reply = span_str(line);
	if (c->store == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	event_encode(&b, &ev);
	link_send(c->store, FRAME_EVENT, 0, buf_data(&b), -1);
	buf_release(&b);
}

uint32_t
counters_percent(const struct counters *c)
{
	return config_share(c->rt->conf, c->nodes);
}

static void
goes_away(struct counters *c, const char *why)
{
	char text[420];
	bool begins = c->serving || c->since == 0, other = strcmp(c->why, why) != 0;
	int64_t now = clock_real();

	if (begins) {
		c->since = now;
		c->away_count++;
	}
	c->serving = false;
	snprintf(c->why, sizeof(c->why), "%s", why);
	if (c->rt->retiring)
		return;
	counter_set(COUNTER_COUNT_AWAY, 1);
	if (!begins) {		/* of one absence the log tells once, and what it has come to */
		if (other && now - c->said > SAY_AGAIN) {
			log_warn("counters: %.120s is still away: %.200s", c->conf->server, c->why);
			c->said = now;
		}
		return;
	}
	c->said = now;
	snprintf(text, sizeof(text), "%.120s: %.200s; limits go on with %u %% in this node", c->conf->server, c->why,
	    counters_percent(c));
	log_error("counters: %s", text);
	alarm_event(c, true, text);
}

void
counters_late(struct counters *c, const char *why)
{
	char text[120];

	snprintf(text, sizeof(text), "%s (counters.timeout is %lld ms)", why,
	    (long long)(c->conf->timeout / 1000));
	if (c->serving)
		goes_away(c, text);
}

void
counters_serve(struct counters *c)
{
	char text[300];

	if (c->serving || !c->greeted || !redis_is_up(c->redis) || c->first || c->merging)
		return;
	c->serving = true;
	redis_good(c->redis);
	snprintf(text, sizeof(text), "%.120s: counts for all nodes%s", c->conf->server,
	    c->since ? " again" : "");
	if (c->since) {
		log_info("counters: %s, after %lld s", text, (long long)((clock_real() - c->since) / US_PER_SEC));
		alarm_event(c, false, text);
	} else
		log_info("counters: %s", text);
	c->since = clock_real();
	if (!c->rt->retiring)
		counter_set(COUNTER_COUNT_AWAY, 0);
	merge_flush(c);
	notes_flush(c);
}

/* ---- a new connection ---- */

static void
settle_all(struct counters *c, uint64_t epoch, uint64_t seq)
{
	decide_settle(c, epoch, seq);
	merge_settle(c, epoch, seq);
	notes_settle(c, epoch, seq);
}

/* {now, " epoch seq"}: what was carried out on the connection before, if anything was. */
static void
greeted(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	unsigned long long epoch = 0, seq = 0;
	bool noscript;

	if (reply == NULL || counters_refused(c, reply, &noscript))
		return;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[1]->type != REDIS_REPLY_STRING) {
		redis_fail(c->redis, "an answer that cannot be read");
		return;
	}
	counters_clock(c, reply);
	if (sscanf(reply->element[1]->str, " %llu %llu", &epoch, &seq) != 2)
		epoch = seq = 0;
	settle_all(c, epoch, seq);
	c->seq = 0;
	c->greeted = true;
	merge_restore(c);
	merge_flush(c);
	counters_serve(c);
}

static void
loaded(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	bool noscript;

	if (reply)
		counters_refused(c, reply, &noscript);
}

static void
redis_up(void *ctx)
{
	struct counters *c = ctx;
	const struct span *argv;
	size_t n;

	for (int s = 0; s < SCRIPT_COUNT; s++) {
		struct span load[3] = { SPAN_LIT("SCRIPT"), SPAN_LIT("LOAD"), script_text((enum script)s) };

		redis_send(c->redis, 3, load, loaded, NULL);
	}
	c->epoch++;
	call_begin(&c->call, span_str(c->fence), c->epoch, 0, 0);
	n = call_argv(&c->call, SCRIPT_HELLO, true, &argv);
	redis_send(c->redis, n, argv, greeted, NULL);
}

static void
redis_down(void *ctx, const char *why)
{
	struct counters *c = ctx;

	c->greeted = false;
	c->merging = 0;
	goes_away(c, why);
}

static const struct redis_ops redis_ops = { redis_up, redis_down };

/* ---- the loop ---- */

static void
maybe_finish(struct counters *c)
{
	if (!c->rt->retiring)
		return;
	if ((!merge_owes(c) && c->first == NULL && c->listings == NULL && redis_waiting(c->redis) == 0) ||
	    clock_mono() > c->leave_by)
		runtime_finish(c->rt);
}

/* now, and "name id" of who was heard of in the last half minute. */
static void
heard(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	size_t name = c->rt->conf->node.n, same = 0;
	bool noscript;

	if (reply == NULL || counters_refused(c, reply, &noscript) || reply->type != REDIS_REPLY_ARRAY)
		return;
	counters_clock(c, reply);
	c->nodes = 0;
	for (size_t i = 1; i < reply->elements; i++) {
		const struct redisReply *e = reply->element[i];

		if (e->type != REDIS_REPLY_STRING)
			continue;
		c->nodes++;
		same += e->len > name && e->str[name] == ' ' && span_eq_nocase(span_make(e->str, name),
		    c->rt->conf->node);
	}
	if (!c->rt->retiring)
		counter_set(COUNTER_COUNT_NODES, c->nodes);
	if (same > 1 && !c->twin)
		log_error("counters: another node has the name %.*s, too: give each a name of its own",
		    SPAN_ARG(c->rt->conf->node));
	c->twin = same > 1;
}

/* The master's id is the node's: processes of one node follow each other. */
static void
beat(struct counters *c)
{
	char member[300];
	const struct span *argv;
	size_t n;

	if (!c->serving || c->rt->retiring)
		return;
	snprintf(member, sizeof(member), "%.*s %d", (int)(c->rt->conf->node.n > 250 ? 250 :
	    c->rt->conf->node.n), c->rt->conf->node.p, (int)getppid());
	call_begin(&c->call, span_str(c->fence), c->epoch, c->seq, 0);
	call_key(&c->call, KEY_NODES, SPAN_LIT("all"));
	call_text(&c->call, span_str(member));
	n = call_argv(&c->call, SCRIPT_BEAT, false, &argv);
	redis_send(c->redis, n, argv, heard, NULL);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct counters *c = arg;

	decide_late(c, clock_mono());
	if (redis_silence(c->redis) > SILENCE)
		redis_fail(c->redis, "no answer for %d s", (int)(SILENCE / US_PER_SEC));
	if (!c->rt->retiring)
		counter_set(COUNTER_COUNT_AWAY, !c->serving);
	if (c->serving)
		merge_flush(c);
	notes_flush(c);
	if (++c->ticks % 5 == 1 || c->nodes == 0)
		beat(c);
	maybe_finish(c);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	decide_late(arg, clock_mono());
}

static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	struct counters *c = arg;

	if (c->serving)
		merge_flush(c);
	notes_flush(c);
	maybe_finish(c);
}

static int
counters_run(struct runtime *rt, struct err *err)
{
	static const struct timeval second = { 1, 0 };
	struct counters *c = rt->state;
	struct redis_setup how = { rt->base, c->conf, c->password, c->tls, NULL };

	c->end = &c->first;
	c->told = idtable_new();
	call_init(&c->call, c->conf->prefix);
	buf_init(&c->out, FRAME_SMALL);
	merge_init(c);
	reputation_open(&c->reputation, rt->shared->reputation, REPUTATION_BYTES,
	    rt->conf->verify.reputation.half_life);
	if (c->conf->socket == NULL && c->conf->host.ip.family == 0) {
		how.resolver = c->resolver = rt->conf->ndns ?
		    resolver_new(rt->base, rt->conf->dns, rt->conf->ndns, c->anchors, err) :
		    resolver_new(rt->base, c->dns, c->ndns, c->anchors, err);
		if (c->resolver == NULL)
			return -1;
	}
	c->tick = event_new(rt->base, -1, EV_PERSIST, on_tick, c);
	c->late = evtimer_new(rt->base, on_late, c);
	c->settle = event_new(rt->base, -1, 0, on_settle, c);
	ASSERT(c->tick != NULL && c->late != NULL && c->settle != NULL);
	event_add(c->tick, &second);
	c->nodes = (uint32_t)counter_get(COUNTER_COUNT_NODES);
	c->redis = redis_new(&how, &redis_ops, c);
	return 0;
}

static void
counters_peer_up(struct runtime *rt, struct link *l)
{
	struct counters *c = rt->state;

	if (link_peer(l) == ROLE_STORE)
		c->store = l;
}

static void
counters_peer_down(struct runtime *rt, struct link *l)
{
	struct counters *c = rt->state;

	if (l == c->store)
		c->store = NULL;
	decide_link_down(c, l);
	list_link_down(c, l);
}

static int
counters_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct counters *c = rt->state;

	arena_reset(c->scratch);
	switch (f->type) {
	case FRAME_COUNT_ASK:
		return decide_ask(c, l, f);
	case FRAME_COUNT_OWE:
		event_active(c->settle, EV_TIMEOUT, 0);
		return decide_owe(c, f);
	case FRAME_COUNT_NOTE:
		return notes_frame(c, f);
	case FRAME_COUNT_LIST:
		return list_frame(c, l, f);
	default:
		return -1;
	}
}

static void
counters_retire(struct runtime *rt)
{
	struct counters *c = rt->state;

	c->leave_by = rt->retire_by ? rt->retire_by : clock_mono() + LEAVE;
	counter_set(COUNTER_COUNT_AWAY, 0);	/* a successor says at its next tick how it is */
	maybe_finish(c);
}

static const struct sandbox counters_sandbox = { .may = SANDBOX_NET_CLIENT | SANDBOX_NET_UNIX };

const struct role_ops counters_ops = {
	.role = ROLE_COUNTERS,
	.sandbox = &counters_sandbox,
	.start = counters_start,
	.run = counters_run,
	.peer_up = counters_peer_up,
	.peer_down = counters_peer_down,
	.frame = counters_frame,
	.client = counters_client,
	.retire = counters_retire,
	.hurry = counters_retire,
};
