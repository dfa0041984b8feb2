/* cmd_simulate.c -- `postern simulate`: the SMTP answers a client would get, offline.
 *
 * The session is the receiver's own machine, what it asks is answered by the
 * receiver's own gate (access, senders, limits), and with a FILE by the
 * scanner's judge: nothing here decides anything by itself. Limits start from what the
 * daemon has counted, when it answers, and are counted in a table of our own: nothing
 * is taken from anybody. Nor is anybody asked about a recipient: that it would be done is said.
 *
 * Behind each answer stands what decided it, and where it is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/diag_out.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"
#include "master/counters.h"
#include "net/batv_book.h"
#include "receiver/gate.h"
#include "receiver/message.h"
#include "scanner/scan.h"

#define MESSAGE_MAX ((size_t)256 << 20)
#define OUTPUT_MAX ((size_t)64 << 20)

struct ask {
	const char *client, *helo, *from, *to, *listener, *user, *file;
	bool tls, no_antivirus;
};

struct sim {
	const struct cli *cli;
	const struct ask *q;
	const struct config *conf;
	struct judge judge;
	struct gate gate;
	struct arena *a;
	struct smtp_session s;
	struct gate_why why;		/* of the answer to come */
	struct buf out;
	struct json j;
	char command[600];
	unsigned last;			/* code of the last reply */
	uint64_t max;
	struct span raw;		/* the message */
	struct buf body;		/* as the session gave it */
	struct span record;		/* of the verdict; empty: there is none */
	struct judgement judgement;
	struct smtp_transaction *t;	/* judged: its envelope goes with it */
};

/* ---- what is shown ---- */

static struct span
why_place(const struct sim *m)
{
	return m->why.file && m->why.line ? span_str(arena_printf(m->a, "%s:%u", m->why.file,
	    m->why.line)) : (struct span){ 0 };
}

static void
said_json(struct sim *m, struct span replies)
{
	struct json *j = &m->j;

	json_object(j);
	json_kcstr(j, "command", m->command);
	json_kuint(j, "code", m->last);
	json_kstr(j, "reply", span_trim(replies));
	json_key(j, "why");
	if (*m->why.text) {
		json_object(j);
		json_kcstr(j, "text", m->why.text);
		json_kcstr(j, "file", m->why.file);
		json_kuint(j, "line", m->why.line);
		json_end_object(j);
	} else
		json_null(j);
	json_end_object(j);
}

static void
said_text(struct sim *m, struct span replies)
{
	struct buf *o = &m->out;

	if (*m->command) {
		buf_puts(o, "C: ");
		page_text(o, span_str(m->command));
		buf_putc(o, '\n');
	}
	while (replies.n) {
		size_t n = span_find(replies, '\n');

		page_begin(o, m->cli, m->last >= 400 ? RED : PLAIN);
		buf_puts(o, "S: ");
		page_text(o, span_trim(span_sub(replies, 0, n)));
		page_end(o, m->cli, m->last >= 400 ? RED : PLAIN);
		buf_putc(o, '\n');
		replies = span_from(replies, n + 1);
	}
	if (*m->why.text) {
		struct span place = why_place(m);

		buf_puts(o, "   = ");
		if (place.n) {
			page_text(o, place);
			buf_puts(o, ": ");
		}
		page_text(o, span_str(m->why.text));
		buf_putc(o, '\n');
	}
}

static void
op_said(void *ctx, struct smtp_session *s, struct span replies)
{
	struct sim *m = ctx;
	struct span last = replies;

	while (span_find(last, '\n') + 1 < last.n)
		last = span_from(last, span_find(last, '\n') + 1);
	m->last = (unsigned)strtoul(last.p, NULL, 10);
	if (m->cli->json)
		said_json(m, replies);
	else
		said_text(m, replies);
	m->why = (struct gate_why){ 0 };
}

/* ---- what the session asks ---- */

static void
op_mail(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct sim *m = ctx;

	gate_mail(&m->gate, s, clock_mono(), r, &m->why);
}

static uint64_t
op_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	struct sim *m = ctx;

	gate_bounce(&m->gate, s, rcpt, r, &m->why);
	if (r->code == 0)
		gate_rcpt(&m->gate, s, rcpt, clock_mono(), r, &m->why);
	if (r->code == 0 && m->why.limit == OUTCOME_UNJUDGED)
		gate_asks(&m->gate, s, rcpt, &m->why);
	return 0;
}

static void
op_data(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct sim *m = ctx;

	gate_data(&m->gate, s, clock_mono(), &m->max, r, &m->why);
	if (r->code == 0 && m->why.limit == OUTCOME_UNJUDGED)
		m->why = (struct gate_why){ 0 };
}

static void
op_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	buf_span(&((struct sim *)ctx)->body, bytes);
}

/* The rule that decided for the first recipient who was not simply let through. */
static void
why_rule(struct sim *m)
{
	const struct verdict *v = &m->judgement.verdict;

	for (size_t i = 0; i < v->ndecisions; i++) {
		const struct decision *d = &v->decisions[i];

		if (d->nrules == 0 || d->outcome == OUTCOME_DELIVER)
			continue;
		policy_rule_place(m->judge.policy, d->rules[0], &m->why.file, &m->why.line);
		snprintf(m->why.text, sizeof(m->why.text), "rule %.*s: %s",
		    (int)(d->rules[0].n > 100 ? 100 : d->rules[0].n), d->rules[0].p,
		    outcome_name(d->outcome));
		return;
	}
}

static void
hold_by_limit(struct smtp_transaction *t, struct msg_verdict *v)
{
	for (size_t i = 0; i < v->ndecisions && t->hold_rule.n; i++)
		if (v->decisions[i].outcome < OUTCOME_HOLD)
			v->decisions[i].outcome = OUTCOME_HOLD;
}

static uint64_t
op_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	const struct facts known = { .bounce = t->bounce };
	const struct policy_options opt = { .near_misses = true,
		.known = t->bounce ? &known : NULL };
	struct sim *m = ctx;
	struct msg_verdict v;
	char id[ID_SIZE];
	const char *loop;
	struct span text;
	unsigned code;

	m->t = t;
	m->raw = buf_data(&m->body);
	if (m->raw.n > m->max) {
		smtp_refuse(s, r, 552, "5.3.4 message too large");
		return 0;
	}
	if ((loop = header_loop(m->raw, m->gate.listener->hostname)) != NULL) {
		smtp_refuse(s, r, 554, "%s", loop);
		return 0;
	}
	judge_message(&m->judge, &t->env, m->raw, &opt, m->a, &m->judgement);
	m->record = judgement_record(&m->judge, &t->env, &m->judgement, OUTPUT_MAX / 2, m->a);
	judgement_message(&m->judgement, m->record, m->a, &v);
	hold_by_limit(t, &v);
	why_rule(m);
	code = verdict_answer(v.decisions, v.ndecisions, &text);
	if (code)
		smtp_refuse(s, r, code, "%.*s", SPAN_ARG(text));
	else
		*r = (struct smtp_reply){ .code = 250, .text = span_str(arena_printf(m->a,
		    "2.0.0 accepted as %s", id_format(s->id, id))) };
	return 0;
}

static void
op_abandon(void *ctx, struct smtp_session *s)
{
}

static void
op_refused(void *ctx, struct smtp_session *s, const char *command, const struct recipient *rcpt,
    unsigned code, struct span text)
{
}

static const struct smtp_ops sim_ops = { .mail = op_mail, .rcpt = op_rcpt, .data = op_data,
	.body = op_body, .end = op_end, .abandon = op_abandon, .refused = op_refused,
	.said = op_said };

/* ---- the dialogue ---- */

static bool
feed(struct sim *m, struct span bytes)
{
	struct smtp_input in = { .kind = SMTP_BYTES, .now = clock_real(), .bytes = bytes };
	enum smtp_step st;
	size_t used;

	do {
		st = smtp_session_step(&m->s, &in, &used);
		buf_reset(&m->s.out);
		in.bytes = span_from(in.bytes, used);
	} while (in.bytes.n && used && st != SMTP_DONE);
	return st != SMTP_DONE;
}

/* false: the session is over, or the answer is a refusal. */
static bool __attribute__((format(printf, 2, 3)))
say(struct sim *m, const char *fmt, ...)
{
	struct span line;
	bool open;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->command, sizeof(m->command), fmt, ap);
	va_end(ap);
	line = span_str(arena_printf(m->a, "%s\r\n", m->command));
	open = feed(m, line);
	return open && m->last < 400;
}

static void
say_message(struct sim *m)
{
	struct span text = m->raw;
	struct buf b;

	snprintf(m->command, sizeof(m->command), "(the message, %zu bytes)", text.n);
	buf_init(&b, 2 * MESSAGE_MAX);
	while (text.n) {		/* RFC 5321, 4.5.2: dots are doubled, lines end with CR LF */
		size_t n = span_find(text, '\n');
		struct span line = span_sub(text, 0, n);

		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n && line.p[0] == '.')
			buf_putc(&b, '.');
		buf_span(&b, line);
		buf_puts(&b, "\r\n");
		text = span_from(text, n + 1);
	}
	buf_puts(&b, ".\r\n");
	feed(m, buf_data(&b));
	buf_release(&b);
}

static void
dialogue(struct sim *m, struct ip client)
{
	struct smtp_input open = { .kind = SMTP_OPEN, .now = clock_real() };
	struct gate_client who;
	char *list = arena_str(m->a, span_str(m->q->to)), *save, *r;
	const char *text = "";
	size_t used, taken = 0;

	open.reply.code = gate_connect(&m->gate, client, &who, &text, &m->why);
	open.reply.text = span_str(text);
	m->s.client_name = who.name;
	m->s.permitted = who.permitted;
	snprintf(m->command, sizeof(m->command), "(connects to %.*s)",
	    SPAN_ARG(m->gate.listener->name));
	if (smtp_session_step(&m->s, &open, &used) == SMTP_DONE)
		return;
	buf_reset(&m->s.out);
	if (!say(m, "EHLO %s", m->q->helo))
		return;
	if (!say(m, "MAIL FROM:<%s>%s", strcmp(m->q->from, "<>") ? m->q->from : "",
	    m->q->file ? arena_printf(m->a, " SIZE=%zu", m->raw.n) : ""))
		return;
	for (r = strtok_r(list, ",", &save); r; r = strtok_r(NULL, ",", &save)) {
		taken += say(m, "RCPT TO:<%.*s>", SPAN_ARG(span_trim(span_str(r))));
		if (m->s.state == SMTP_OVER)
			return;
	}
	if (taken && say(m, "DATA") && m->q->file)
		say_message(m);
}

static void
put_verdict(struct sim *m)
{
	const struct verdict *v = &m->judgement.verdict;
	struct buf *o = &m->out;

	for (size_t i = 0; i < v->ndecisions; i++) {
		const struct decision *d = &v->decisions[i];

		page_text(o, m->t->env.recipients[i].address);
		buf_puts(o, ": ");
		page_begin(o, m->cli, page_colour_of(span_str(outcome_name(d->outcome))));
		buf_puts(o, outcome_name(m->t->hold_rule.n && d->outcome < OUTCOME_HOLD ?
		    OUTCOME_HOLD : d->outcome));
		page_end(o, m->cli, page_colour_of(span_str(outcome_name(d->outcome))));
		for (size_t k = 0; k < d->nrules; k++) {
			buf_puts(o, k ? ", " : " by ");
			page_text(o, d->rules[k]);
		}
		buf_putc(o, '\n');
	}
}

/* ---- limits as the daemon counts them ---- */

static void
limit_line(void *ctx, const struct jval *v, struct span text)
{
	struct sim *m = ctx;
	struct limits_hit hit;

	for (size_t i = 0; i < m->gate.nrules; i++) {
		const struct limit_rule *rule = &m->gate.rules[i];
		struct span key = jval_text(v, "key");
		struct limits_who who = { key, key, key, key, .real = clock_real() };
		int64_t used = jval_int(v, "used", 0);

		if (!span_eq(rule->id, jval_text(v, "limit")) || rule->unit == LIMIT_UNIQUE)
			continue;
		/* A lock is what comes of one more than all. */
		if (jval_bool(v, "locked"))
			used = (int64_t)rule->allow + 1;
		if (used > 0 && used < UINT32_MAX)
			limits_take(m->gate.limits, rule, 1, rule->unit, &who, (uint32_t)used,
			    clock_mono(), &hit);
	}
}

static void
learn_limits(struct sim *m)
{
	struct request r;

	if (m->gate.nrules == 0)
		return;
	request_begin(&r, "limits.show");
	control_ask_quietly(m->cli, &r, limit_line, m);
}

/* ---- */

static int
options(int argc, char **argv, struct ask *q)
{
	const struct { const char *name; const char **to; } known[] = {
		{ "--client", &q->client }, { "--helo", &q->helo }, { "--from", &q->from },
		{ "--to", &q->to }, { "--listener", &q->listener }, { "--user", &q->user },
	};

	*q = (struct ask){ .helo = "client.example" };
	for (int i = 1; i < argc; i++) {
		size_t k;

		if (strcmp(argv[i], "--tls") == 0 || strcmp(argv[i], "--no-antivirus") == 0) {
			*(argv[i][2] == 't' ? &q->tls : &q->no_antivirus) = true;
			continue;
		}
		for (k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(argv[i], known[k].name) == 0)
				break;
		if (k < sizeof(known) / sizeof(known[0])) {
			if (++i == argc)
				return -1;
			*known[k].to = argv[i];
		} else if ((argv[i][0] == '-' && argv[i][1]) || q->file)
			return -1;
		else
			q->file = argv[i];
	}
	return q->client && q->from && q->to ? 0 : -1;
}

/* By name, or the first whose networks have the client, or simply the first. */
static const struct conf_listener *
choose_listener(const struct config *conf, const char *name, struct ip client)
{
	struct span net;

	for (size_t i = 0; i < conf->nlisteners; i++)
		if (name ? span_is(conf->listeners[i].name, name) :
		    access_permitted(&conf->listeners[i], client, &net))
			return &conf->listeners[i];
	return name ? NULL : &conf->listeners[0];
}

static int
simulate(struct sim *m, struct ip client, struct access *access)
{
	const struct conf_listener *l = m->gate.listener;
	struct smtp_site site = { .hostname = l->hostname, .banner = l->banner,
		.postmaster = m->conf->postmaster, .max_size = l->max_size,
		.recipients = l->limits.recipients, .errors = l->limits.errors,
		.messages = l->limits.messages, .normalise = l->normalise,
		.tls = l->tls != LISTEN_TLS_OFF, .tls_required = l->tls == LISTEN_TLS_REQUIRED,
		.auth = l->auth };
	struct id_source ids = { .slot = ID_PLACES - 1 };
	void *memory = aligned_alloc(4096, LIMITS_BYTES);

	ASSERT(memory != NULL);
	memset(memory, 0, LIMITS_BYTES);
	m->gate.limits = limits_attach(memory, LIMITS_BYTES, clock_mono());
	m->gate.access = access;
	m->gate.rules = policy_limits(m->judge.policy, &m->gate.nrules);
	learn_limits(m);
	smtp_session_init(&m->s, &site, &sim_ops, m, &ids);
	m->s.listener = l->name;
	m->s.client = client;
	if (m->q->tls)
		m->s.tls = SPAN_LIT("TLSv1.3 simulated");
	if (m->q->user)
		m->s.user = m->s.xclient.login = span_str(m->q->user);
	if (m->cli->json) {
		json_begin(&m->j, &m->out);
		json_object(&m->j);
		json_kint(&m->j, "v", 1);
		json_kstr(&m->j, "listener", l->name);
		json_key(&m->j, "dialogue");
		json_array(&m->j);
	}
	dialogue(m, client);
	if (m->cli->json) {
		json_end_array(&m->j);
		json_kuint(&m->j, "code", m->last);
		json_key(&m->j, "verdict");
		if (m->record.n)
			json_raw(&m->j, m->record);
		else
			json_null(&m->j);
		json_end_object(&m->j);
		buf_putc(&m->out, '\n');
	} else if (m->record.n)
		put_verdict(m);
	smtp_session_release(&m->s);
	smtp_transaction_free(&m->t);
	free(memory);
	return m->last >= 400 ? CLI_FINDINGS : CLI_OK;
}

static int
prepared(struct sim *m, const struct ask *q)
{
	struct access *access = NULL;
	struct batv_book *batv = NULL;
	char tmp[] = "/tmp/postern-simulate-XXXXXX";
	bool engine = q->file && !q->no_antivirus && mkdtemp(tmp) != NULL;
	struct ip client;
	struct err err = { 0 };
	int status;

	if (!ip_parse(span_str(q->client), &client))
		err_set(&err, 0, "--client %s is no address", q->client);
	else if ((m->gate.listener = choose_listener(m->conf, q->listener, client)) == NULL)
		err_set(&err, 0, "there is no listener %s", q->listener);
	else if (access_load(m->conf, &access, &err) == 0 &&
	    batv_book_load(m->conf, &batv, &err) == 0 && q->file) {
		if (strcmp(q->file, "-") == 0)
			fs_read_fd(m->a, 0, MESSAGE_MAX, &m->raw, &err);
		else
			fs_read(m->a, q->file, MESSAGE_MAX, &m->raw, &err);
	}
	m->gate.batv = batv;
	if (engine && !*err.text && judge_antivirus(&m->judge, m->conf, tmp, &err) == -1) {
		fprintf(stderr, "%s; simulated without it\n", err.text);
		*err.text = '\0';
	}
	if (*err.text) {
		fprintf(stderr, "postern simulate: %s\n", err.text);
		status = CLI_USAGE;
	} else
		status = simulate(m, client, access);
	access_free(&access);
	batv_book_free(&batv);
	if (engine)
		cli_remove_tree(tmp);
	return status;
}

int
cmd_simulate(int argc, char **argv, const struct cli *cli)
{
	struct ask q;
	struct sim m = { .cli = cli, .q = &q };
	struct config *conf;
	struct diags d;
	struct err err;
	int status = CLI_FINDINGS;

	if (options(argc, argv, &q) == -1)
		return command_usage("simulate");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	m.conf = m.gate.conf = conf;
	m.a = arena_new(64u << 10);
	buf_init(&m.out, OUTPUT_MAX);
	buf_init(&m.body, 2 * MESSAGE_MAX);
	diags_init(&d, m.a);
	if (judge_open(&m.judge, conf, &d, &err) == -1)
		diags_show(&d, cli, stderr);
	else {
		status = prepared(&m, &q);
		page_flush(&m.out);
		judge_close(&m.judge);
	}
	buf_release(&m.out);
	buf_release(&m.body);
	arena_free(&m.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
