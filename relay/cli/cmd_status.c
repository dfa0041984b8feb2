/* cmd_status.c -- `postern status`, `reload`.
 *
 * status is one page for somebody who is tired: what is wrong stands on top,
 * in words, with the command that shows more. It asks master, queue and
 * store; what does not answer is itself something that is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
#include "ipc/role.h"

#define ANSWER_MAX (4u << 20)
#define OLD_US (4 * 3600 * US_PER_SEC)
#define ALERTS_SHOWN 5
#define STUCK_S 15
#define FREE_LOW (UINT64_C(1) << 30)

struct answer {
	struct buf text;
	struct jval *v;
};

struct status_page {
	const struct cli *cli;
	struct answer master, queue, journal, delivery, shared;
	struct buf out;
	struct {
		bool bad;	/* else only worth knowing */
		char text[200];
	} notes[24];
	size_t n, nbad;
};

static void
first_line(void *ctx, const struct jval *v, struct span text)
{
	struct answer *a = ctx;

	if (a->v == NULL) {
		buf_span(&a->text, text);
		a->v = jval_parse(text, NULL);
	}
}

static void __attribute__((format(printf, 3, 4)))
note(struct status_page *p, bool bad, const char *fmt, ...)
{
	va_list ap;

	if (p->n == sizeof(p->notes) / sizeof(p->notes[0]))
		return;
	va_start(ap, fmt);
	vsnprintf(p->notes[p->n].text, sizeof(p->notes[p->n].text), fmt, ap);
	va_end(ap);
	p->notes[p->n++].bad = bad;
	p->nbad += bad;
}

/* ---- what needs attention ---- */

static void
look_at_processes(struct status_page *p)
{
	static const enum role needed[] = { ROLE_RECEIVER, ROLE_SCANNER, ROLE_SIGNER, ROLE_QUEUE,
		ROLE_DELIVERY, ROLE_STORE, ROLE_VERIFIER };
	const struct jval *list = jval_get(p->master.v, "processes"), *v;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		bool ready = needed[i] == ROLE_VERIFIER && !jval_bool(p->master.v, "inbound");

		for (size_t k = 0; (v = jval_at(list, k)) != NULL; k++)
			ready |= span_is(jval_text(v, "role"), role_name(needed[i])) &&
			    span_is(jval_text(v, "state"), "ready");
		if (!ready)
			note(p, true, "no %s is ready: the log says why", role_name(needed[i]));
	}
	for (size_t k = 0; (v = jval_at(list, k)) != NULL; k++)
		if (span_is(jval_text(v, "state"), "starting") &&
		    jval_int(v, "seconds", 0) > STUCK_S)
			note(p, true, SPAN_FMT "[%lld] has been starting for %llds",
			    SPAN_ARG(jval_text(v, "role")), (long long)jval_int(v, "pid", 0),
			    (long long)jval_int(v, "seconds", 0));
	for (size_t k = 0; (v = jval_at(list, k)) != NULL; k++)
		if (jval_int(v, "silent_ms", 0) > 0)
			note(p, true, SPAN_FMT "[%lld] has not answered for %llds: it hangs",
			    SPAN_ARG(jval_text(v, "role")), (long long)jval_int(v, "pid", 0),
			    (long long)jval_int(v, "silent_ms", 0) / 1000);
	if (jval_bool(p->master.v, "replaced"))
		note(p, false, "another program is installed than the one that runs: "
		    "`systemctl restart postern` takes it");
}

static void
look_at_reload(struct status_page *p)
{
	const struct jval *r = jval_get(p->master.v, "reload");
	struct span why = jval_text(r, "refused");

	if (why.n)
		note(p, true, "the last reload was refused, what runs is older than the files: " SPAN_FMT
		    ": `postern check`", SPAN_ARG(why));
	if (jval_bool(r, "waits"))
		note(p, true, "a list of the policy has changed, and so have policy files: "
		    "`postern reload` takes both");
}

static void
look_at_counters(struct status_page *p)
{
	const struct jval *c = jval_get(p->master.v, "counters");
	long long restarts = jval_int(c, "role_restarts", 0), lost, errors;

	lost = jval_int(c, "journal_events_lost", 0);
	errors = jval_int(c, "scan_errors", 0);
	if (restarts > 0)
		note(p, false, "%lld times a process died and was started again: the log says why",
		    restarts);
	if (errors > 0)
		note(p, false, "%lld times a scanner died or did not answer", errors);
	if (jval_int(c, "directories_down", 0) > 0)
		note(p, true, "%lld directories cannot be asked: `postern directory`",
		    (long long)jval_int(c, "directories_down", 0));
	if (jval_int(c, "inbound_unrated", 0) > 0)
		note(p, false, "%lld messages are not rated, the spam filter did not say: the log says why, "
		    "and `postern doctor`", (long long)jval_int(c, "inbound_unrated", 0));
	if (lost > 0)
		note(p, false, "%lld events are missing in the journal: the store was away", lost);
}

static void
look_at_queue(struct status_page *p)
{
	const struct jval *q = p->queue.v, *spool = jval_get(q, "spool");
	const struct jval *alarm;
	int64_t oldest = page_when(q, "oldest"), free_bytes = jval_int(spool, "free_bytes", -1);

	if (q == NULL) {
		note(p, true, "the queue does not answer");
		return;
	}
	for (size_t i = 0; (alarm = jval_at(jval_get(q, "alarms"), i)) != NULL; i++)
		note(p, jval_bool(q, "refusing"), SPAN_FMT, SPAN_ARG(jval_text(alarm, "text")));
	if (jval_text(q, "limit_reached").n || jval_bool(q, "nearly_full"))
		note(p, false, "what fills it: `postern queue --by site`");
	if (jval_text(q, "drain").n)
		note(p, false, "the queue is handed over to " SPAN_FMT ": `postern drain off` ends it",
		    SPAN_ARG(jval_text(q, "drain")));
	if (jval_has(q, "store") && !jval_bool(q, "store"))
		note(p, true, "the queue has no store: holds and quarantine wait in the spool");
	if (jval_has(q, "deliveries") && jval_int(q, "deliveries", 0) == 0)
		note(p, true, "the queue has nobody who delivers");
	if (oldest && clock_real() - oldest > OLD_US)
		note(p, false, "the oldest message has been in the queue for %lldh: "
		    "`postern queue --by reason`",
		    (long long)((clock_real() - oldest) / US_PER_SEC / 3600));
	if (free_bytes > 0 && (uint64_t)free_bytes < FREE_LOW)
		note(p, true, "the spool's disk has only %lld MB left", (long long)free_bytes / 1000000);
	if (jval_int(spool, "damaged", 0) > 0)
		note(p, true, "%lld records of the spool are damaged: the log names them",
		    (long long)jval_int(spool, "damaged", 0));
}

static void
look_at_journal(struct status_page *p)
{
	long long held = jval_int(p->journal.v, "held", 0);
	long long quarantined = jval_int(p->journal.v, "quarantined", 0);

	if (p->journal.v == NULL)
		note(p, true, "the store does not answer: no journal, no decisions");
	if (held > 0)
		note(p, false, "%lld %s for a decision: `postern held list`", held,
		    held == 1 ? "message waits" : "messages wait");
	if (quarantined > 0)
		note(p, false, "%lld in quarantine: `postern quarantine list`", quarantined);
}

static void
look_at_base(struct status_page *p)
{
	const struct jval *b = jval_get(p->journal.v, "base");
	int64_t behind = jval_int(b, "behind", 0), since = jval_int(b, "since", 0);
	long long minutes = (long long)((clock_real() - since) / US_PER_SEC / 60);

	if (b == NULL || jval_bool(b, "there")) {
		if (behind > 10000)
			note(p, false, "the shared base has %lld rows of this node still to get", (long long)behind);
		return;
	}
	if (jval_bool(b, "name_taken"))
		note(p, true, "this node shares nothing: another one has the name `" SPAN_FMT "` (`node:` in postern.yaml)",
		    SPAN_ARG(jval_text(b, "node")));
	else
		note(p, true, "the shared base cannot be had for %lld min: " SPAN_FMT, minutes,
		    SPAN_ARG(jval_text(b, "why")));
	note(p, false, "without it mail goes on; %lld rows wait, decisions about kept mail wait, searches know this node "
	    "alone", (long long)behind);
}

static void
look_at_delivery(struct status_page *p)
{
	const struct jval *list = jval_get(p->delivery.v, "tls_failed"), *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		if (i == ALERTS_SHOWN) {
			note(p, false, "and %zu more sites where required TLS cannot be had", jval_count(list) - i);
			break;
		}
		note(p, false, "TLS that is required for " SPAN_FMT " cannot be had: " SPAN_FMT,
		    SPAN_ARG(jval_text(v, "site")), SPAN_ARG(jval_text(v, "why")));
	}
}

/* What nodes count together. */
static void
look_at_shared(struct status_page *p)
{
	const struct jval *v = p->shared.v;

	if (!jval_has(v, "server"))
		return;
	if (!span_is(jval_text(v, "state"), "shared"))
		note(p, true, "limits are counted in this node alone, with %lld %% of each, since %llds: " SPAN_FMT " "
		    SPAN_FMT, (long long)jval_int(v, "share", 0), (long long)jval_int(v, "seconds", 0),
		    SPAN_ARG(jval_text(v, "server")), SPAN_ARG(span_sub(jval_text(v, "why"), 0, 110)));
	if (jval_bool(v, "twin"))
		note(p, true, "another node has this one's name: give each a `node` of its own");
	if (jval_int(jval_get(p->master.v, "counters"), "counters_lost", 0) > 0)
		note(p, false, "%lld counts could not be kept for Redis while it was away",
		    (long long)jval_int(jval_get(p->master.v, "counters"), "counters_lost", 0));
}

static void
look_at_antivirus(struct status_page *p)
{
	const struct jval *alarms = jval_get(jval_get(p->master.v, "antivirus"), "alarms"), *v;

	for (size_t i = 0; (v = jval_at(alarms, i)) != NULL; i++) {
		struct span kind = jval_text(v, "kind"), text = jval_text(v, "text");

		if (span_is(kind, "down"))
			note(p, true, "the antivirus is blind, mail is deferred: " SPAN_FMT, SPAN_ARG(text));
		else if (span_is(kind, "refused"))
			note(p, true, "new antivirus signatures are refused, the old ones are in use: " SPAN_FMT,
			    SPAN_ARG(text));
		else if (span_is(kind, "limits"))
			note(p, false, SPAN_FMT, SPAN_ARG(text));
		else
			note(p, true, "antivirus: " SPAN_FMT ": does freshclam run?", SPAN_ARG(text));
	}
}

/* ---- the page ---- */

static void
title(struct status_page *p, const char *text)
{
	buf_putc(&p->out, '\n');
	page_begin(&p->out, p->cli, BOLD);
	buf_puts(&p->out, text);
	page_end(&p->out, p->cli, BOLD);
	buf_putc(&p->out, '\n');
}

static void
put_top(struct status_page *p)
{
	struct buf *o = &p->out;
	struct span state = jval_text(p->master.v, "state");

	page_begin(o, p->cli, BOLD);
	buf_puts(o, "Postern ");
	page_text(o, jval_text(p->master.v, "version"));
	page_end(o, p->cli, BOLD);
	buf_puts(o, " on ");
	page_text(o, jval_text(p->master.v, "hostname"));
	if (jval_int(p->master.v, "node_number", 0) > 0) {
		buf_puts(o, ", node ");
		page_text(o, jval_text(p->master.v, "node"));
	}
	buf_puts(o, ": ");
	page_begin(o, p->cli, p->nbad ? RED : page_colour_of(state));
	page_text(o, state);
	if (p->nbad)
		buf_puts(o, ", but not well");
	page_end(o, p->cli, p->nbad ? RED : page_colour_of(state));
	buf_puts(o, ", up ");
	page_age(o, jval_int(p->master.v, "uptime", 0) * US_PER_SEC);
	buf_puts(o, ", ");
	page_text(o, jval_text(p->master.v, "config"));
	buf_putc(o, '\n');
	if (p->n == 0) {
		buf_puts(o, "nothing needs attention\n");
		return;
	}
	title(p, "needs attention");
	for (size_t i = 0; i < p->n; i++) {
		enum page_colour c = p->notes[i].bad ? RED : YELLOW;

		page_begin(o, p->cli, c);
		buf_puts(o, p->notes[i].bad ? "  ! " : "  - ");
		page_text(o, span_str(p->notes[i].text));
		page_end(o, p->cli, c);
		buf_putc(o, '\n');
	}
}

/* Of the way in: who sent it, and for whom. */
static void
put_inbound(struct status_page *p)
{
	const struct jval *c = jval_get(p->master.v, "counters");
	long long asked = jval_int(c, "recipients_asked", 0), known = jval_int(c, "recipients_remembered", 0);
	long long grey = jval_int(c, "recipients_greylisted", 0);

	if (jval_int(c, "inbound_verified", 0) > 0)
		buf_printf(&p->out, "  from the world: %lld looked into, %lld of them late or without DNS, "
		    "%lld failed DMARC, %lld not rated\n", (long long)jval_int(c, "inbound_verified", 0),
		    (long long)jval_int(c, "inbound_unverified", 0),
		    (long long)jval_int(c, "inbound_dmarc_failed", 0),
		    (long long)jval_int(c, "inbound_unrated", 0));
	if (asked + known + grey > 0)
		buf_printf(&p->out, "  do they exist: %lld recipients asked about, %lld remembered, %lld unsure; "
		    "%lld greylisted\n", asked, known, (long long)jval_int(c, "recipients_unverified", 0),
		    grey);
}

static void
put_mail(struct status_page *p)
{
	struct buf *o = &p->out;
	const struct jval *by = jval_get(p->journal.v, "recipients"), *v;
	const struct jval *c = jval_get(p->master.v, "counters"), *q = p->queue.v;
	int64_t oldest = page_when(q, "oldest");
	struct span key;

	title(p, "mail");
	buf_printf(o, "  since the start: %lld accepted, %lld delivered, %lld put off, %lld failed, "
	    "%lld refused\n", (long long)jval_int(c, "messages_received", 0),
	    (long long)jval_int(c, "deliveries_sent", 0),
	    (long long)jval_int(c, "deliveries_deferred", 0),
	    (long long)jval_int(c, "deliveries_failed", 0),
	    (long long)jval_int(c, "smtpd_rejects", 0));
	if (jval_count(by) > 0) {
		buf_printf(o, "  recipients of the last %lldh:",
		    (long long)jval_int(p->journal.v, "hours", 24));
		for (size_t i = 0; (v = jval_member(by, i, &key)) != NULL; i++) {
			buf_printf(o, "%s %.0f ", i ? "," : "", jval_num(v, 0));
			page_text(o, key);
		}
		buf_putc(o, '\n');
	}
	if (jval_int(c, "directory_lookups", 0) > 0)
		buf_printf(o, "  directories: %lld questions, %lld answered by the cache, %lld from old "
		    "knowledge, %lld not answered\n", (long long)jval_int(c, "directory_lookups", 0),
		    (long long)jval_int(c, "directory_cache_hits", 0),
		    (long long)jval_int(c, "directory_stale_answers", 0),
		    (long long)jval_int(c, "directory_failures", 0));
	put_inbound(p);
	if (q == NULL)
		return;
	buf_puts(o, "  in the queue: ");
	page_count(o, (uint64_t)jval_int(q, "messages", 0), "message", "messages");
	buf_printf(o, " for %lld sites, %lld being delivered", (long long)jval_int(q, "sites", 0),
	    (long long)jval_int(q, "active", 0));
	if (oldest) {
		buf_puts(o, ", the oldest for ");
		page_age(o, clock_real() - oldest);
	}
	buf_putc(o, '\n');
}

static void
put_antivirus(struct status_page *p)
{
	const struct jval *av = jval_get(p->master.v, "antivirus");
	const struct jval *c = jval_get(p->master.v, "counters");
	struct buf *o = &p->out;

	if (jval_text(av, "engine").n == 0)
		return;
	buf_puts(o, "  antivirus: ");
	page_text(o, jval_text(av, "engine"));
	if (jval_int(av, "made", 0)) {
		buf_puts(o, ", signatures ");
		page_age(o, jval_int(av, "age", 0) * US_PER_SEC);
		buf_puts(o, " old");
	}
	if (jval_bool(av, "loading"))
		buf_puts(o, ", loading new ones");
	buf_printf(o, "; %lld messages scanned", (long long)jval_int(c, "av_scans", 0));
	if (jval_int(c, "av_attachments_remembered", 0))
		buf_printf(o, ", %lld attachments known", (long long)jval_int(c,
		    "av_attachments_remembered", 0));
	if (jval_int(c, "av_stamps_accepted", 0))
		buf_printf(o, ", %lld stamps accepted", (long long)jval_int(c, "av_stamps_accepted", 0));
	buf_putc(o, '\n');
}

/* Until it judges, it says what it waits for. */
static void
put_bayes(struct status_page *p)
{
	const struct jval *b = jval_get(p->journal.v, "bayes");

	if (!jval_is_object(b))
		return;
	buf_printf(&p->out, "  classifier: learnt %lld spam, %lld ham", (long long)jval_int(b, "spam", 0),
	    (long long)jval_int(b, "ham", 0));
	if (!jval_bool(b, "ready"))
		buf_printf(&p->out, "; it judges from %lld each on", (long long)jval_int(b, "minimum", 0));
	buf_putc(&p->out, '\n');
}

static void
put_processes(struct status_page *p)
{
	static const char *const titles[] = { "process", "pid", "state", "up", NULL };
	const struct jval *list = jval_get(p->master.v, "processes"), *v;
	struct grid g;

	title(p, "processes");
	grid_init(&g, p->cli, titles, "lrlr");
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		struct buf *o = grid_cell(&g);

		page_text(o, jval_text(v, "role"));
		buf_puts(o, jval_bool(v, "worker") ? " worker" : "");
		grid_done(&g, PLAIN);
		grid_number(&g, jval_int(v, "pid", 0));
		page_text(grid_cell(&g), jval_text(v, "state"));
		grid_done(&g, page_colour_of(jval_text(v, "state")));
		page_age(grid_cell(&g), jval_int(v, "seconds", 0) * US_PER_SEC);
		grid_done(&g, PLAIN);
	}
	grid_print(&g, &p->out, "  ");
	grid_release(&g);
	list = jval_get(p->master.v, "listeners");
	buf_puts(&p->out, "  listening:");
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(&p->out, i ? ", " : " ");
		page_text(&p->out, jval_text(v, "name"));
		buf_puts(&p->out, " on ");
		page_text(&p->out, jval_text(v, "address"));
		if (jval_int(v, "port", 0))
			buf_printf(&p->out, " port %lld", (long long)jval_int(v, "port", 0));
	}
	buf_putc(&p->out, '\n');
}

/* The master's object, and what the others said inside it. */
static void
put_json(struct status_page *p)
{
	struct buf *o = &p->out;
	struct span head = buf_data(&p->master.text);
	struct json j;

	buf_span(o, span_sub(head, 0, head.n - 1));
	buf_puts(o, ",\"queue\":");
	buf_span(o, p->queue.v ? buf_data(&p->queue.text) : SPAN_LIT("null"));
	buf_puts(o, ",\"journal\":");
	buf_span(o, p->journal.v ? buf_data(&p->journal.text) : SPAN_LIT("null"));
	buf_puts(o, ",\"attention\":");
	json_begin(&j, o);
	json_array(&j);
	for (size_t i = 0; i < p->n; i++) {
		json_object(&j);
		json_kbool(&j, "bad", p->notes[i].bad);
		json_kcstr(&j, "text", p->notes[i].text);
		json_end_object(&j);
	}
	json_end_array(&j);
	buf_puts(o, "}\n");
}

static void
answer_release(struct answer *a)
{
	buf_release(&a->text);
	jval_free(&a->v);
}

/* Asks everybody; what is wrong is in p->notes. */
static int
gather(struct status_page *p, bool quiet)
{
	struct request r;
	int status;

	request_begin(&r, "status");
	status = quiet ? control_ask_quietly(p->cli, &r, first_line, &p->master) :
	    control_ask(p->cli, &r, CONTROL_READ, first_line, &p->master);
	if (status != CLI_OK || !jval_is_object(p->master.v))
		return status;
	request_begin(&r, "queue.summary");
	control_ask_quietly(p->cli, &r, first_line, &p->queue);
	request_begin(&r, "journal.stats");
	control_ask_quietly(p->cli, &r, first_line, &p->journal);
	request_begin(&r, "delivery.alerts");
	control_ask_quietly(p->cli, &r, first_line, &p->delivery);
	request_begin(&r, "counters.status");
	control_ask_quietly(p->cli, &r, first_line, &p->shared);
	look_at_processes(p);
	look_at_queue(p);
	look_at_reload(p);
	look_at_counters(p);
	look_at_journal(p);
	look_at_base(p);
	look_at_delivery(p);
	look_at_antivirus(p);
	look_at_shared(p);
	return CLI_OK;
}

static void
page_init(struct status_page *p)
{
	buf_init(&p->master.text, ANSWER_MAX);
	buf_init(&p->queue.text, ANSWER_MAX);
	buf_init(&p->journal.text, ANSWER_MAX);
	buf_init(&p->delivery.text, ANSWER_MAX);
	buf_init(&p->shared.text, ANSWER_MAX);
	buf_init(&p->out, 4 * ANSWER_MAX);
}

static void
page_release(struct status_page *p)
{
	answer_release(&p->master);
	answer_release(&p->queue);
	answer_release(&p->journal);
	answer_release(&p->delivery);
	answer_release(&p->shared);
	buf_release(&p->out);
}

void
status_attention(const struct cli *cli, void (*each)(void *ctx, bool bad, const char *text), void *ctx)
{
	struct status_page p = { .cli = cli };

	page_init(&p);
	gather(&p, true);
	for (size_t i = 0; i < p.n; i++)
		each(ctx, p.notes[i].bad, p.notes[i].text);
	page_release(&p);
}

int
cmd_status(int argc, char **argv, const struct cli *cli)
{
	struct status_page p = { .cli = cli };
	int status;

	if (argc != 1)
		return command_usage("status");
	page_init(&p);
	status = gather(&p, false);
	if (status == CLI_OK && jval_is_object(p.master.v)) {
		if (cli->json) {
			put_json(&p);
		} else {
			put_top(&p);
			put_mail(&p);
			put_antivirus(&p);
			put_bayes(&p);
			put_processes(&p);
		}
		page_flush(&p.out);
		if (p.nbad)
			status = CLI_FINDINGS;
	}
	page_release(&p);
	return status;
}

/* ---- reload ---- */

static void
reload_line(void *ctx, const struct jval *v, struct span text)
{
	bool ok = jval_bool(v, "ok");
	struct buf o;

	buf_init(&o, 1u << 20);
	page_lines(&o, "", jval_text(v, ok ? "text" : "error"));
	if (!ok)
		buf_puts(&o, "not reloaded: what runs goes on as it was\n");
	else if (buf_size(&o) == 0)
		buf_puts(&o, "reloaded\n");
	fwrite(buf_data(&o).p, 1, buf_size(&o), ok ? stdout : stderr);
	buf_release(&o);
}

int
cmd_reload(int argc, char **argv, const struct cli *cli)
{
	struct request r;

	if (argc != 1)
		return command_usage("reload");
	request_begin(&r, "reload");
	return control_ask(cli, &r, CONTROL_SHOW, reload_line, NULL);
}
