/* echo.c -- the address that answers; see echo.h. */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "clock.h"
#include "id.h"
#include "ipc/json_read.h"
#include "log.h"
#include "queue/note.h"
#include "receiver/echo.h"

#define TEXT_MAX (96u << 10)
#define SHOWN_MAX 40		/* findings, rules, defects of each list */

static const struct span rule_name = { "echo", 4 };

static const struct limit_rule all_rate = { .id = { "echo-all", 8 }, .per = LIMIT_SENDER,
	.unit = LIMIT_MESSAGES, .allow = ECHO_ALL, .window = 3600 * US_PER_SEC, .then = OUTCOME_DEFER };

/* ---- what the message says ---- */

/* The value of the first field of that name, as it stands; p NULL: there is none. */
static struct span
field(struct span header, const char *name)
{
	struct span key, value;

	while (header_next(&header, &key, &value))
		if (span_is_nocase(key, name))
			return span_trim(value);
	return (struct span){ 0 };
}

static struct span
head(const struct message *m)
{
	struct span all = buf_data(&m->head), rest = all, name, value;

	while (header_next(&rest, &name, &value))
		;
	return span_sub(all, 0, all.n - rest.n);
}

/* Written by a program: RFC 3834, 2 and 5, and what lists and masses say. */
static const char *
robot(const struct message *m)
{
	static const char *const lists[] = { "List-Id", "List-Unsubscribe", "List-Post", "List-Help" };
	static const char *const locals[] = { "mailer-daemon", "postmaster", "noreply", "no-reply", "listserv",
		"majordomo" };
	struct span h = head(m), v = field(h, "Auto-Submitted"), local, domain;

	if (m->t->env.sender.n == 0)
		return "a bounce";
	if (v.n && !span_is_nocase(span_trim(span_sub(v, 0, span_find(v, ';'))), "no"))
		return "written by a program (Auto-Submitted)";
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (field(h, lists[i]).p)
			return "of a list";
	v = field(h, "Precedence");
	if (span_is_nocase(v, "bulk") || span_is_nocase(v, "list") || span_is_nocase(v, "junk"))
		return "bulk (Precedence)";
	if (!mailaddr_split(m->t->env.sender, &local, &domain))
		return "from no address that could be answered";
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++)
		if (span_is_nocase(local, locals[i]))
			return "from the address of a program";
	if (span_starts_nocase(local, SPAN_LIT("owner-")) || span_ends_nocase(local, SPAN_LIT("-request")) ||
	    span_ends_nocase(local, SPAN_LIT("-bounces")))
		return "from the address of a list";
	if (span_eq_nocase(m->t->env.sender, m->all->conf->echo))
		return "from the echo address itself";
	return NULL;
}

/* Is the sender who it says it is? Of our own networks it is taken for granted. */
static bool
proved(const struct message *m)
{
	const struct facts *f = &m->verification.facts;
	struct span local, domain;

	if (m->t->env.direction == DIRECTION_OUTBOUND || f->spf == AUTH_PASS)
		return true;
	return mailaddr_split(m->t->env.sender, &local, &domain) && f->proved.n &&
	    span_eq_nocase(domain, f->proved);
}

static bool
within(struct message *m, const struct limit_rule *rule, struct span who)
{
	struct limits_who w = { .sender = who, .real = clock_real() };
	struct limits_hit hit;

	return m->all->limits == NULL || limits_take(m->all->limits, rule, 1, LIMIT_MESSAGES, &w, 1,
	    m->all->now ? m->all->now : clock_mono(), &hit) == OUTCOME_UNJUDGED;
}

static bool
within_rates(struct message *m)
{
	struct limit_rule own = all_rate;

	own.id = SPAN_LIT("echo-each");
	own.allow = m->all->conf->echo_per_hour;
	return within(m, &own, m->t->env.sender) && within(m, &all_rate, m->all->conf->echo);
}

/* ---- the decision ---- */

static void
refuse(struct message *m, struct msg_decision *d)
{
	d->outcome = OUTCOME_REJECT;
	d->reply = span_str(arena_printf(m->t->arena, "5.7.1 this address answers those alone whom SPF or an aligned "
	    "DKIM signature proves (spf=%s, dkim=%s)",
	    m->verification.facts.spf ? auth_result_name(m->verification.facts.spf) : "unknown",
	    m->verification.facts.dkim ? auth_result_name(m->verification.facts.dkim) : "unknown"));
}

static void
decide(struct message *m, struct msg_decision *d)
{
	const char *why = robot(m);

	m->echo_outcome = d->outcome;
	*d = (struct msg_decision){ .outcome = OUTCOME_DISCARD, .rule = rule_name };
	if (why == NULL && !proved(m)) {
		/* Said in the session it makes nobody write to anybody; behind a 250 it would. */
		if (m->t->env.nrecipients == 1)
			refuse(m, d);
		why = "of nobody whom SPF or DKIM proves";
	} else if (why == NULL && !within_rates(m))
		why = "one too many in this hour";
	m->echo = why == NULL;
	if (why)
		log_msg(LOG_LVL_INFO, m->id, "echo: <" SPAN_FMT "> is not answered: %s",
		    SPAN_ARG(m->t->env.sender), why);
}

void
echo_judged(struct message *m)
{
	const struct config *c = m->all->conf;

	if (c->echo.n == 0 || m->verdict.virus || m->verdict.unscannable)
		return;
	for (size_t i = 0; i < m->verdict.ndecisions; i++) {
		struct msg_decision *d = &m->verdict.decisions[i];

		if (!config_is_echo(c, m->t->env.recipients[i].address) || d->outcome == OUTCOME_REJECT ||
		    d->outcome == OUTCOME_DEFER)
			continue;
		if (m->echo)			/* named twice, answered once */
			*d = (struct msg_decision){ .outcome = OUTCOME_DISCARD, .rule = rule_name };
		else
			decide(m, d);
	}
}

/* ---- the answer ---- */

static void
put_list(struct buf *b, const char *name, const struct jval *list, const char *key)
{
	size_t n = jval_count(list);

	for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
		const struct jval *v = jval_at(list, i);
		struct span text = key ? jval_text(v, key) : jval_str(v);

		buf_puts(b, i ? ", " : name);
		buf_span(b, span_sub(text, 0, 200));
		if (key && jval_int(v, "count", 1) > 1)
			buf_printf(b, " (%lld)", (long long)jval_int(v, "count", 1));
	}
	if (n > SHOWN_MAX)
		buf_printf(b, ", … %zu more", n - SHOWN_MAX);
	if (n)
		buf_putc(b, '\n');
}

static const struct jval *
own_part(const struct message *m, const struct jval *record)
{
	const struct jval *all = jval_get(record, "recipients"), *v;

	for (size_t i = 0; (v = jval_at(all, i)) != NULL; i++)
		if (config_is_echo(m->all->conf, jval_text(v, "address")))
			return v;
	return NULL;
}

/* What was found, never the evidence itself: the record's own masks are for people of the house. */
static void
put_verdict(struct message *m, struct buf *b)
{
	struct jval *record = jval_parse(m->verdict.record, NULL);

	buf_printf(b, "Outcome:    %s\n", outcome_name(m->echo_outcome));
	put_list(b, "Rules:      ", jval_get(own_part(m, record), "rules"), NULL);
	put_list(b, "Found:      ", jval_get(record, "findings"), "detector");
	put_list(b, "Parts:      ", jval_get(record, "parts"), "type");
	put_list(b, "Defects:    ", jval_get(record, "defects"), NULL);
	jval_free(&record);
}

static void
put_result(struct buf *b, const char *name, enum auth_result r)
{
	buf_printf(b, "%-11s %s\n", name, r ? auth_result_name(r) : "not checked");
}

static void
put_identity(struct message *m, struct buf *b)
{
	const struct facts *f = &m->verification.facts;
	const struct envelope *env = &m->t->env;
	char ip[IP_TEXT_MAX];

	buf_printf(b, "Client:     %s, HELO " SPAN_FMT "\n", ip_format(env->client, ip), SPAN_ARG(env->helo));
	buf_printf(b, "TLS:        " SPAN_FMT "\n", SPAN_ARG(env->tls.n ? env->tls : SPAN_LIT("none")));
	buf_printf(b, "Sender:     <" SPAN_FMT ">\n", SPAN_ARG(env->sender));
	if (env->direction == DIRECTION_OUTBOUND) {
		buf_puts(b, "            from a network that may relay: SPF, DKIM and DMARC are not asked\n");
		return;
	}
	put_result(b, "SPF:", f->spf);
	put_result(b, "DKIM:", f->dkim);
	put_result(b, "DMARC:", f->dmarc);
	put_result(b, "ARC:", f->arc);
	for (size_t i = 0; f->dnsbl_known && i < f->ndnsbl; i++)
		buf_printf(b, "%-11s " SPAN_FMT "\n", i ? "" : "Blocklists:", SPAN_ARG(f->dnsbl[i]));
	if (f->dnsbl_known && f->ndnsbl == 0)
		buf_puts(b, "Blocklists: on none\n");
	if (f->spam_known)
		buf_printf(b, "Spam score: %.1f\n", f->spam_score);
}

/* Lines end in LF in a note. */
static void
put_header(struct buf *b, struct span s)
{
	struct span shown = span_sub(s, 0, ECHO_HEADER_MAX);

	for (size_t i = 0; i < shown.n; i++)
		if (shown.p[i] != '\r')
			buf_putc(b, shown.p[i]);
	if (shown.n < s.n)
		buf_printf(b, "[… %zu bytes more]\n", s.n - shown.n);
}

static struct span
answer_text(struct message *m)
{
	struct span received = header_received(m->t->arena, &m->t->env, m->id, message_hostname(m),
	    m->all->conf->node_number ? m->all->conf->node : (struct span){ 0 }, m->all->conf->echo);
	char id[ID_SIZE];
	struct span out;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	buf_printf(&b, "Your message has arrived at " SPAN_FMT " as %s, %llu bytes.\n\n",
	    SPAN_ARG(m->all->conf->hostname), id_format(m->id, id), (unsigned long long)m->size);
	put_identity(m, &b);
	buf_putc(&b, '\n');
	put_verdict(m, &b);
	buf_puts(&b, "\nThe header as it was received, with our own fields on top:\n\n");
	put_header(&b, received);
	put_header(&b, m->verification.header);
	put_header(&b, head(m));
	out = arena_span(m->t->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

/* Fit to stand in a header again: printable ASCII, on one line. */
static bool
plain(struct span s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0 && s.n <= max;
}

static struct span
subject(struct message *m)
{
	struct span s = field(head(m), "Subject");

	return plain(s, 200) && memmem(s.p, s.n, "=?", 2) == NULL ?
	    span_str(arena_printf(m->t->arena, "Auto: " SPAN_FMT, SPAN_ARG(s))) : SPAN_LIT("Auto: your message");
}

/* "<id@host>", no space in it; else "". */
static struct span
message_id(struct message *m)
{
	struct span s = field(head(m), "Message-ID");

	if (!plain(s, 250) || s.n < 3 || s.p[0] != '<' || s.p[s.n - 1] != '>' ||
	    span_find(s, ' ') < s.n || span_find(s, '>') < s.n - 1)
		return (struct span){ 0 };
	return s;
}

void
echo_group(struct message *m, struct group *g)
{
	const struct config *conf = m->all->conf;
	struct arena *a = m->t->arena;
	struct span local, domain;
	const struct conf_domain *d = NULL;
	struct note note = { .id = g->id, .about = m->id, .hostname = conf->hostname, .from = conf->echo,
		.to = m->t->env.sender, .subject = subject(m), .text = answer_text(m), .answers = message_id(m),
		.answer = true, .now = clock_real() };
	struct envelope env = { .id = g->id, .direction = DIRECTION_OUTBOUND, .helo = conf->hostname,
		.received = note.now, .nrecipients = 1,
		.flags = m->t->env.flags & ENVELOPE_SMTPUTF8 ? ENVELOPE_SMTPUTF8 | ENVELOPE_8BITMIME : 0 };
	struct buf b;

	if (mailaddr_split(conf->echo, &local, &domain))
		d = config_domain(conf, domain);
	g->copy = g->notice = true;
	g->sign_domain = d && (d->ndkim || d->dkim_managed) ? d->name : (struct span){ 0 };
	env.recipients = arena_array(a, 1, sizeof(*env.recipients));
	env.recipients[0] = (struct recipient){ .address = note.to, .notify = NOTIFY_NEVER };
	g->env = env;
	g->decisions = arena_array(a, 1, sizeof(*g->decisions));
	g->decisions[0] = (struct msg_decision){ .outcome = OUTCOME_DELIVER, .rule = rule_name };
	buf_init(&b, NOTE_MAX);
	note_build(&b, &note);
	g->bytes = arena_span(a, buf_data(&b));
	buf_release(&b);
	log_msg(LOG_LVL_INFO, m->id, "echo: <" SPAN_FMT "> is answered", SPAN_ARG(note.to));
}
