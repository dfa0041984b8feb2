/* receiver.c -- the receiver's role: wiring of sessions, messages and peers.
 *
 * start() reads policy (for its limits), recipient lists, certificate and key; then nothing of
 * the file system is needed any more. The doors open when the queue, a signer
 * and a scanner are there, or after SERVE_ANYWAY: from then on what is missing is
 * a 451, never a lost message. retire() closes the doors. With time (a reload)
 * sessions go on as if nothing had happened, until they end or the time is
 * over. Then, or at the end of the program, idle sessions are told 421 and the
 * others finish their message; in the last two seconds only those wait whose
 * message the queue has: what it accepted is not sent again.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "log.h"
#include "net/batv_book.h"
#include "net/tls_server.h"
#include "receiver/asking.h"
#include "receiver/counting.h"
#include "receiver/experience.h"
#include "receiver/listed.h"
#include "receiver/login.h"
#include "receiver/receiver.h"
#include "receiver/scanners.h"
#include "receiver/verifiers.h"
#include "scanner/load_policy.h"

#define SERVE_ANYWAY (30 * US_PER_SEC)
#define RETIRE_MAX (8 * US_PER_SEC)	/* at the end of the program */
#define STOP_BEFORE (2 * US_PER_SEC)	/* of it kept for what is with the queue */

static struct receiver *
state(struct runtime *rt)
{
	return rt->state;
}

/* ---- start ---- */

/* As the scanner loads it, lists included: a limit may name a group. */
static int
load_limits(struct receiver *rx, struct err *err)
{
	const struct config *conf = rx->rt->conf;
	struct diags d;

	rx->policy_arena = arena_new(0);
	diags_init(&d, rx->policy_arena);
	rx->policy = policy_load_conf(conf, true, rx->policy_arena, &d);
	if (rx->policy == NULL)
		return err_set(err, 0, "the policy in %s: %s", conf->policy_dir,
		    d.first ? d.first->text : "not readable");
	rx->rules = policy_limits(rx->policy, &rx->nrules);
	return 0;
}

/* Each listener has a context of its own: not all ask their clients for a certificate. */
static int
load_tls(struct receiver *rx, struct err *err)
{
	const struct config *c = rx->rt->conf;
	char warning[128];

	rx->tls = calloc(c->nlisteners + 1, sizeof(*rx->tls));
	ASSERT(rx->tls != NULL);
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct tls_server t = { c->tls_certificate, c->tls_key, c->tls_only13,
			c->listeners[i].client_ca };

		if (c->listeners[i].tls == LISTEN_TLS_OFF)
			continue;
		if ((rx->tls[i] = tls_server_context(&t, err)) == NULL)
			return -1;
		if (tls_server_warning(rx->tls[i], clock_real() / US_PER_SEC, warning,
		    sizeof(warning)))
			log_warn("listener %.*s: %s", SPAN_ARG(c->listeners[i].name), warning);
	}
	return 0;
}

static int
receiver_start(struct runtime *rt, struct err *err)
{
	struct receiver *rx = calloc(1, sizeof(*rx));

	ASSERT(rx != NULL);
	rt->state = rx;
	rx->rt = rt;
	rx->ids.slot = runtime_id_slot(rt);
	rx->read_buf = malloc(READ_MAX);
	ASSERT(rx->read_buf != NULL);
	rx->limits = limits_attach(rt->shared->limits, LIMITS_BYTES, clock_mono());
	rx->transcript = transcript_attach(rt->shared->transcript, TRANSCRIPT_SHARE);
	reputation_open(&rx->reputation, rt->shared->reputation, REPUTATION_BYTES,
	    rt->conf->verify.reputation.half_life);
	rx->column = limits_column(rx->limits, rt->instance, clock_mono());
	if (access_load(rt->conf, &rx->access, err) == -1 ||
	    batv_book_load(rt->conf, &rx->batv, err) == -1 || load_limits(rx, err) == -1 ||
	    load_tls(rx, err) == -1)
		return -1;
	return 0;
}

/* ---- messages' answers ---- */

static void
count_outcomes(const struct message *m)
{
	static const enum counter of[OUTCOME_COUNT] = {
		[OUTCOME_DELIVER] = COUNTER_OUT_DELIVER, [OUTCOME_REDIRECT] = COUNTER_OUT_REDIRECT,
		[OUTCOME_DISCARD] = COUNTER_OUT_DISCARD, [OUTCOME_HOLD] = COUNTER_OUT_HOLD,
		[OUTCOME_QUARANTINE] = COUNTER_OUT_QUARANTINE, [OUTCOME_DEFER] = COUNTER_OUT_DEFER,
		[OUTCOME_REJECT] = COUNTER_OUT_REJECT,
	};

	for (size_t i = 0; i < m->verdict.ndecisions; i++)
		counter_add(of[m->verdict.decisions[i].outcome], 1);
}

/* By the domain, where it is one of ours. */
static void
count_domain(const struct receiver *rx, struct span domain, bool in, uint64_t n)
{
	const struct conf_domain *d = n && domain.n ? config_domain(rx->rt->conf, domain) : NULL;

	label_add(LABEL_DOMAIN, d ? d->name : SPAN_LIT(LABEL_OTHER), in ? SPAN_LIT("inbound") :
	    SPAN_LIT("outbound"), n);
}

static void
count_accepted(const struct receiver *rx, const struct envelope *env)
{
	bool in = env->direction == DIRECTION_INBOUND;
	struct span local, domain = { 0 }, last = { 0 };
	uint64_t n = 0;

	counter_add(COUNTER_RECEIVED, 1);
	if (in)
		counter_add(COUNTER_RECEIVED_INBOUND, 1);
	label_add(LABEL_LISTENER, env->listener, (struct span){ 0 }, 1);
	histogram_add(HISTOGRAM_ACCEPT, clock_real() - env->received);
	if (!in) {
		mailaddr_split(env->sender, &local, &domain);
		count_domain(rx, domain, false, env->nrecipients);
		return;
	}
	for (size_t i = 0; i < env->nrecipients; i++, n++) {	/* most stand together */
		domain = (struct span){ 0 };
		mailaddr_split(env->recipients[i].address, &local, &domain);
		if (i && !span_eq_nocase(domain, last)) {
			count_domain(rx, last, true, n);
			n = 0;
		}
		last = domain;
	}
	count_domain(rx, last, true, n);
}

static void
on_answered(void *ctx, const struct message *m, const struct smtp_reply *r)
{
	struct receiver *rx = ctx;
	const struct envelope *env = &m->t->env;

	count_outcomes(m);
	experience_judged(rx, m, r->code);
	if (r->code < 400) {
		count_accepted(rx, env);
	} else {
		count_refused("END-OF-MESSAGE", r->code, r->text);
		log_refused(m->id, "END-OF-MESSAGE", env->client_name, env->client, r->code,
		    r->text, env, NULL);
		journal_refused(rx, env, NULL, r->code, r->text, m->outcome, m->size,
		    m->verdict.record);
	}
	conn_answer(rx, m->conn, m->id, r);
	/* What failed behind the verdict comes again, with a verdict of its own. */
	if (r->code < 400 || m->outcome != OUTCOME_UNJUDGED)
		journal_basis(rx, m);
}

static void
on_wake(void *ctx)
{
	struct receiver *rx = ctx;

	event_active(rx->settle, EV_TIMEOUT, 0);
}

static void
on_hung(void *ctx, struct link *l)
{
	struct receiver *rx = ctx;
	struct msg_peer p = { link_peer(l), link_instance(l) };
	struct buf b;

	counter_add(COUNTER_SCAN_ERRORS, link_peer(l) == ROLE_SCANNER);
	if (rx->rt->master == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	peer_encode(&b, &p);
	link_send(rx->rt->master, FRAME_FAULT, 0, buf_data(&b), -1);
	buf_release(&b);
}

static void
on_released(void *ctx, struct link *l)
{
	((struct receiver *)ctx)->nscanners--;
}

/* ---- the loop ---- */

static void
maybe_finish(struct receiver *rx)
{
	if (rx->rt->retiring && rx->first == NULL && rx->messages.first == NULL)
		runtime_finish(rx->rt);
}

/* At the end of the turn: answers, then burials. */
static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	struct receiver *rx = arg;

	messages_settle(&rx->messages);
	conns_bury(rx);
	maybe_finish(rx);
}

static void
maybe_serve(struct receiver *rx, int64_t now)
{
	if (rx->serving || rx->rt->retiring)
		return;
	if ((rx->messages.queue == NULL || rx->messages.signer == NULL || rx->nscanners == 0 ||
	    (rx->rt->conf->ndirectories && rx->messages.directory == NULL) ||
	    (rx->messages.verifiers && verifiers_count(rx->messages.verifiers) == 0)) &&
	    now - rx->started < SERVE_ANYWAY)
		return;
	rx->serving = true;
	doors_open(rx);
}

/* Who is idle is told to come back, the others when they are. */
static void
hurry(struct receiver *rx)
{
	rx->hurried = true;
	conns_retire(rx);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct receiver *rx = arg;
	int64_t now = clock_mono();

	limits_alive(rx->limits, rx->column, now);
	messages_tick(&rx->messages, now);
	logins_tick(rx->logins, now);
	asking_tick(rx->asking, now);
	conns_tick(rx, now);
	maybe_serve(rx, now);
	if (rx->serving && !rx->rt->retiring)
		doors_open(rx);
	if (rx->rt->retiring && !rx->hurried && now > rx->retire_by - RETIRE_MAX)
		hurry(rx);
	if (rx->rt->retiring && now > rx->retire_by - STOP_BEFORE) {
		messages_stop(&rx->messages);
		event_active(rx->settle, EV_TIMEOUT, 0);
	}
	if (rx->rt->retiring && now > rx->retire_by)
		runtime_finish(rx->rt);
	maybe_finish(rx);
}

static int
receiver_run(struct runtime *rt, struct err *err)
{
	struct receiver *rx = state(rt);
	struct timeval second = { .tv_sec = 1 };

	rx->messages = (struct messages){ .conf = rt->conf, .tickets = tickets_new(),
		.ids = &rx->ids, .limits = rx->limits, .column = rx->column, .now = clock_mono(),
		.wake = on_wake, .answered = on_answered, .hung = on_hung, .released = on_released,
		.ctx = rx };
	rx->messages.externals = policy_externals(rx->policy, &rx->messages.nexternals);
	messages_init(&rx->messages);
	rx->scanners = rx->messages.scanners = scanners_new(&rx->messages);
	if (config_verifies(rt->conf))
		rx->messages.verifiers = verifiers_new(&rx->messages);
	rx->logins = logins_new(rx);
	rx->asking = asking_new(rx);
	rx->counting = counting_new(rx);
	rx->conns = idtable_new();
	rx->clients = table_new();
	rx->started = clock_mono();
	rx->settle = event_new(rt->base, -1, 0, on_settle, rx);
	rx->tick = event_new(rt->base, -1, EV_PERSIST, on_tick, rx);
	if (rx->settle == NULL || rx->tick == NULL || event_add(rx->tick, &second) == -1)
		return err_set(err, ENOMEM, "event loop");
	return 0;
}

static void
receiver_hurry(struct runtime *rt)
{
	struct receiver *rx = state(rt);
	int64_t soon = clock_mono() + RETIRE_MAX;

	rx->retire_by = rt->retire_by ? rt->retire_by : soon;
	if (rx->retire_by <= soon && !rx->hurried)
		hurry(rx);
	event_active(rx->settle, EV_TIMEOUT, 0);
}

static void
receiver_retire(struct runtime *rt)
{
	doors_close(state(rt));
	receiver_hurry(rt);
}

static void
receiver_listener(struct runtime *rt, uint32_t index, int fd)
{
	door_add(state(rt), &rt->conf->listeners[index], fd);
}

/* ---- peers ---- */

static void
receiver_peer_up(struct runtime *rt, struct link *l)
{
	struct receiver *rx = state(rt);

	switch (link_peer(l)) {
	case ROLE_QUEUE:
		rx->messages.queue = l;
		break;
	case ROLE_SIGNER:
		newest_add(&rx->signers, l);
		messages_signer(&rx->messages, newest_get(&rx->signers), NULL);
		break;
	case ROLE_STORE:
		rx->store = l;
		break;
	case ROLE_DIRECTORY:
		newest_add(&rx->directories, l);
		rx->messages.directory = newest_get(&rx->directories);
		/* FALLTHROUGH */
	case ROLE_AUTHENTICATOR:
		logins_up(rx->logins, l);
		break;
	case ROLE_VERIFIER:
		if (rx->messages.verifiers)
			verifiers_up(rx->messages.verifiers, l, clock_mono());
		break;
	case ROLE_DELIVERY:
		asking_up(rx->asking, l);
		break;
	case ROLE_COUNTERS:
		counting_up(rx->counting, l);
		break;
	case ROLE_SCANNER:
		rx->nscanners++;
		scanners_up(rx->scanners, l, clock_mono());
		break;
	default:
		break;
	}
	maybe_serve(rx, clock_mono());
}

static void
receiver_peer_down(struct runtime *rt, struct link *l)
{
	struct receiver *rx = state(rt);

	if (link_peer(l) == ROLE_SCANNER) {
		rx->nscanners--;
		/* One that had nothing to do was retired, or is the master's worry. */
		counter_add(COUNTER_SCAN_ERRORS, scanners_down(rx->scanners, l, clock_mono()));
	} else if (link_peer(l) == ROLE_VERIFIER && rx->messages.verifiers)
		counter_add(COUNTER_VERIFIER_DEATHS, verifiers_down(rx->messages.verifiers, l, clock_mono()));
	else if (l == rx->messages.queue)
		messages_queue_down(&rx->messages);
	else if (newest_remove(&rx->signers, l))
		messages_signer(&rx->messages, newest_get(&rx->signers), l);
	else if (l == rx->store)
		rx->store = NULL;
	else if (link_peer(l) == ROLE_AUTHENTICATOR || link_peer(l) == ROLE_DIRECTORY)
		logins_down(rx->logins, l);
	else if (link_peer(l) == ROLE_COUNTERS) {
		counting_down(rx->counting, l);
		counting_list_down(rx, l);
	}
	asking_down(rx->asking, l);
	if (newest_remove(&rx->directories, l))
		messages_directory_down(&rx->messages, l, newest_get(&rx->directories),
		    clock_mono());
}

static int
receiver_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct receiver *rx = state(rt);

	switch (f->type) {
	case FRAME_VERDICT:
		return messages_verdict(&rx->messages, l, f, clock_mono());
	case FRAME_SIGNED:
		return messages_signed(&rx->messages, f, clock_mono());
	case FRAME_RETIRE:
		if (link_peer(l) == ROLE_SCANNER)
			scanners_retire(rx->scanners, l);
		else if (link_peer(l) == ROLE_VERIFIER && rx->messages.verifiers)
			verifiers_retire(rx->messages.verifiers, l);
		else
			return -1;
		return 0;
	case FRAME_FACTS:
		if (rx->messages.verifiers == NULL)
			return -1;
		return verifiers_facts(rx->messages.verifiers, l, f, clock_mono());
	case FRAME_ACCEPTED:
		return messages_accepted(&rx->messages, f, clock_mono());
	case FRAME_MEMBERSHIPS:
		return messages_memberships(&rx->messages, f, clock_mono());
	case FRAME_RCPT_TOLD:
		return asking_told(rx->asking, l, f);
	case FRAME_FOUND:
		return asking_found(rx->asking, f);
	case FRAME_COUNT_TOLD:
		return counting_told(rx->counting, l, f);
	case FRAME_COUNT_LISTED:
		return counting_listed(rx, l, f);
	case FRAME_LOGIN_RESULT:
		return logins_result(rx->logins, f, clock_mono());
	default:
		return -1;
	}
}

static int
receiver_lists(struct runtime *rt, struct frame *f)
{
	return listed_take(state(rt), f);
}

static const struct sandbox receiver_sandbox = { .may = SANDBOX_NET_SERVER };

const struct role_ops receiver_ops = {
	.role = ROLE_RECEIVER,
	.sandbox = &receiver_sandbox,
	.start = receiver_start,
	.run = receiver_run,
	.peer_up = receiver_peer_up,
	.peer_down = receiver_peer_down,
	.frame = receiver_frame,
	.listener = receiver_listener,
	.client = receiver_client,
	.lists = receiver_lists,
	.retire = receiver_retire,
	.hurry = receiver_hurry,
};
