/* cmd_explain.c -- `postern explain FILE.eml`: the verdict of a message, and why, offline.
 *
 * The same judge as the scanner's, with the policy and the signatures of this
 * machine. What the file cannot say (client, direction, recipients) is given
 * by options, or guessed from the header, and shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/diag_out.h"
#include "cli/identity_line.h"
#include "clock.h"
#include "fs.h"
#include "id.h"
#include "postern/sign.h"
#include "reader/program.h"
#include "scanner/scan.h"

#define MESSAGE_MAX ((size_t)256 << 20)
#define OUTPUT_MAX ((size_t)64 << 20)
#define MEMBERS_MAX 1000

struct ask {
	const char *file, *direction, *client, *helo, *from, *to, *user, *listener, *facts, *at;
	const char *member[MEMBERS_MAX];	/* GROUP=ADDRESS */
	size_t nmembers;
	bool no_antivirus;
};

static const char usage[] =
    "usage: postern explain FILE.eml [--direction outbound|inbound] [--client IP] [--helo NAME]\n"
    "       [--from ADDRESS] [--to ADDRESS,...] [--user NAME] [--listener NAME]\n"
    "       [--at '2027-03-01 14:30'] [--facts '{spf: fail, spam: {score: 7.5}}']\n"
    "       [--member GROUP=ADDRESS]... [--no-antivirus]   (FILE `-`: standard input)\n";

static int
options(int argc, char **argv, struct ask *q)
{
	const char *one;
	const struct { const char *name; const char **to; } known[] = {
		{ "--direction", &q->direction }, { "--client", &q->client },
		{ "--helo", &q->helo }, { "--from", &q->from }, { "--to", &q->to },
		{ "--user", &q->user }, { "--listener", &q->listener }, { "--facts", &q->facts },
		{ "--at", &q->at }, { "--member", &one },
	};

	for (int i = 1; i < argc; i++) {
		const char *value = NULL;
		size_t k, n = 0;

		if (strcmp(argv[i], "--no-antivirus") == 0) {
			q->no_antivirus = true;
			continue;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			if (q->file)
				return -1;
			q->file = argv[i];
			continue;
		}
		for (k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
			n = strlen(known[k].name);
			if (strncmp(argv[i], known[k].name, n) == 0 &&
			    (argv[i][n] == '\0' || argv[i][n] == '='))
				break;
		}
		if (k == sizeof(known) / sizeof(known[0]))
			return -1;
		value = argv[i][n] == '=' ? argv[i] + n + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (value == NULL)
			return -1;
		if (known[k].to != &one)
			*known[k].to = value;
		else if (q->nmembers < MEMBERS_MAX && strchr(value, '='))
			q->member[q->nmembers++] = value;
		else
			return -1;
	}
	return q->file ? 0 : -1;
}

/* As SMTP would carry it: a line end is CRLF. */
static struct span
with_crlf(struct span in, struct arena *a)
{
	size_t bare = 0, n = 0;
	char *out;

	for (size_t i = 0; i < in.n; i++)
		bare += in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r');
	if (bare == 0)
		return in;
	out = arena_alloc(a, in.n + bare);
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = in.p[i];
	}
	return span_make(out, n);
}

static int
read_message(const struct ask *q, struct arena *a, struct span *out, struct err *err)
{
	struct span text;
	int rc;

	if (strcmp(q->file, "-") == 0)
		rc = fs_read_fd(a, STDIN_FILENO, MESSAGE_MAX, &text, err);
	else
		rc = fs_read(a, q->file, MESSAGE_MAX, &text, err);
	if (rc == 0)
		*out = with_crlf(text, a);
	return rc;
}

static void
add_recipient(struct envelope *env, struct arena *a, struct span text)
{
	size_t open = span_find(text, '<');

	if (open < text.n)
		text = span_sub(text, open + 1, span_find(span_from(text, open + 1), '>'));
	text = span_trim(text);
	if (span_find(text, '@') == text.n || env->nrecipients == ENVELOPE_RECIPIENTS_MAX)
		return;
	env->recipients[env->nrecipients++] = (struct recipient){
		.address = mailaddr_normalise(a, text) };
}

/* Splits at commas outside quotes. */
static void
add_recipients(struct envelope *env, struct arena *a, struct span list)
{
	bool quoted = false;
	size_t from = 0;

	for (size_t i = 0; i <= list.n; i++) {
		if (i < list.n && list.p[i] == '"')
			quoted = !quoted;
		if (i < list.n && (list.p[i] != ',' || quoted))
			continue;
		add_recipient(env, a, span_sub(list, from, i - from));
		from = i + 1;
	}
}

static int
make_envelope(const struct ask *q, struct span raw, struct arena *a, struct envelope *env,
    struct err *err)
{
	/* Only the header is wanted yet. */
	static const struct anatomy_limits header = { .parts = 1, .decoded = 1, .entries = 1 };
	struct anatomy an;

	*env = (struct envelope){ .direction = DIRECTION_OUTBOUND, .flags = ENVELOPE_ESMTP,
		.helo = span_str(q->helo ? q->helo : "localhost"), .user = span_str(q->user),
		.listener = span_str(q->listener), .received = clock_real() };
	if (q->direction && strcmp(q->direction, "inbound") == 0)
		env->direction = DIRECTION_INBOUND;
	else if (q->direction && strcmp(q->direction, "outbound") != 0)
		return err_set(err, 0, "direction `%s`: outbound or inbound", q->direction);
	if (!ip_parse(span_str(q->client ? q->client : "127.0.0.1"), &env->client))
		return err_set(err, 0, "client `%s`: an address is wanted", q->client);
	if (q->user)
		env->flags |= ENVELOPE_AUTH;
	anatomy_build(a, raw, &header, &an);
	env->sender = q->from ? mailaddr_normalise(a, strcmp(q->from, "<>") == 0 ?
	    span_make(NULL, 0) : span_str(q->from)) : an.header_from;
	env->recipients = arena_array(a, ENVELOPE_RECIPIENTS_MAX, sizeof(*env->recipients));
	if (q->to) {
		add_recipients(env, a, span_str(q->to));
	} else {
		for (size_t i = 0; i < an.parts[0].nheaders; i++) {
			const struct header *h = &an.parts[0].headers[i];

			if (span_is_nocase(h->name, "to") || span_is_nocase(h->name, "cc"))
				add_recipients(env, a, h->value);
		}
	}
	if (env->nrecipients == 0)
		return err_set(err, 0, q->to ? "no address in --to" :
		    "no recipient in To or Cc: give --to");
	return 0;
}

/* ---- for people ---- */

struct paint {
	const struct cli *cli;
	struct buf *out;
};

/* Control characters of a message must not reach a terminal. */
static void
put_safe(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_putc(out, (char)c);
	}
}

static void
put_list(struct buf *out, const char *what, const struct span *v, size_t n)
{
	if (n == 0)
		return;
	buf_printf(out, "    %s ", what);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_puts(out, ", ");
		put_safe(out, v[i]);
	}
	buf_putc(out, '\n');
}

static const char *
colour_of(enum outcome o)
{
	switch (o) {
	case OUTCOME_DELIVER:
		return "\033[32m";
	case OUTCOME_REDIRECT:
	case OUTCOME_HOLD:
	case OUTCOME_QUARANTINE:
	case OUTCOME_DEFER:
		return "\033[33m";
	default:
		return "\033[31m";
	}
}

static void
put_decision(struct paint *p, struct span address, const struct decision *d)
{
	struct buf *o = p->out;

	put_safe(o, address);
	buf_printf(o, ": %s%s%s", p->cli->colour ? colour_of(d->outcome) : "",
	    outcome_name(d->outcome), p->cli->colour ? "\033[0m" : "");
	if (d->queue.n) {
		buf_puts(o, d->outcome == OUTCOME_HOLD ? " for " : " in ");
		put_safe(o, d->queue);
	}
	buf_putc(o, '\n');
	put_list(o, "because of", d->rules, d->nrules);
	put_list(o, "would also hit (shadow):", d->shadow, d->nshadow);
	put_list(o, "cancelled by an exception:", d->skipped, d->nskipped);
	put_list(o, "goes to", d->redirect, d->nredirect);
	if (d->reply.n)
		put_list(o, "answer:", &d->reply, 1);
	for (size_t i = 0; i < d->nholds; i++) {
		const struct hold_need *h = &d->holds[i];

		if (h->approvals == 0)
			continue;
		buf_puts(o, "    ");
		put_safe(o, h->rule);
		buf_printf(o, " asks for %u of %zu approvers\n", h->approvals, h->napprovers);
	}
	for (size_t i = 0; i < d->noverridden; i++) {
		buf_puts(o, "    overridden by the sender: ");
		put_safe(o, d->overridden[i].rule);
		buf_puts(o, ": ");
		put_safe(o, d->overridden[i].reason);
		buf_putc(o, '\n');
	}
}

static void
put_finding(struct buf *o, const struct finding *f)
{
	buf_puts(o, "  ");
	put_safe(o, f->detector);
	buf_printf(o, ": %s, %u found, %u different, in the %s", confidence_name(f->confidence),
	    f->count, f->distinct, f->where);
	if (f->part.n) {
		buf_puts(o, ", part ");
		put_safe(o, f->part);
	}
	if (f->name.n) {
		buf_puts(o, " (");
		put_safe(o, f->name);
		buf_puts(o, ")");
	}
	if (f->origin.n) {
		buf_puts(o, ", ");
		put_safe(o, f->origin);
	}
	buf_putc(o, '\n');
	if (f->grade.n) {
		buf_puts(o, "    ");
		put_safe(o, f->grade);
		buf_putc(o, '\n');
	}
	for (size_t i = 0; i < f->nplaces; i++)
		buf_printf(o, "%s%u-%u", i ? ", " : "    at ", f->places[i].from, f->places[i].to);
	for (size_t i = 0; i < f->nmasked; i++) {
		buf_puts(o, i ? ", " : ": ");
		put_safe(o, f->masked[i]);
	}
	if (f->nplaces || f->nmasked)
		buf_putc(o, '\n');
}

/* Rule by rule its conditions: + it held, - it did not, . nobody asked it. */
static void
put_told(struct buf *o, const struct verdict *v)
{
	static const char signs[] = { [TOLD_NOT_ASKED] = '.', [TOLD_FAILED] = '-', [TOLD_HELD] = '+' };

	for (size_t i = 0; i < v->ntold; i++) {
		const struct told_rule *t = &v->told[i];
		const char *of = "when";

		buf_puts(o, i ? "  " : "why:\n  ");
		put_safe(o, t->rule);
		buf_printf(o, ": %s, for ", t->as);
		put_safe(o, t->recipient);
		buf_putc(o, '\n');
		for (size_t k = 0; k < t->nlines; k++) {
			const struct told_line *l = &t->lines[k];

			if (strcmp(l->of, of) != 0)
				buf_printf(o, "    %s\n", of = l->of);
			buf_printf(o, "    %*s%c ", l->depth * 2, "", signs[l->state]);
			put_safe(o, l->text);
			for (size_t m = 0; m < l->nmasked; m++) {
				buf_puts(o, m ? ", " : " (");
				put_safe(o, l->masked[m]);
			}
			buf_puts(o, l->nmasked ? ")\n" : "\n");
		}
	}
}

static void
put_parts(struct buf *o, const struct anatomy *an)
{
	buf_puts(o, "parts:\n");
	for (size_t i = 0; i < an->nparts; i++) {
		const struct part *p = &an->parts[i];

		buf_puts(o, "  ");
		put_safe(o, p->number.n ? p->number : SPAN_LIT("-"));
		buf_printf(o, "  %s (declared ", part_type_name(p->type));
		put_safe(o, p->declared);
		buf_printf(o, "), %zu bytes", p->decoded.n);
		if (p->name.n) {
			buf_puts(o, ", ");
			put_safe(o, p->name);
		}
		if (p->encrypted)
			buf_printf(o, ", encrypted%s%s%s", p->encryption ? " (" : "",
			    p->encryption ? encryption_name(p->encryption) : "",
			    p->encryption ? ")" : "");
		if (p->opened)
			buf_puts(o, ", opened");
		buf_putc(o, '\n');
	}
	if (an->defects) {
		buf_puts(o, "defects:");
		for (unsigned bit = 0; bit < 32; bit++)
			if (an->defects >> bit & 1)
				buf_printf(o, " %s", defect_name(UINT32_C(1) << bit));
		buf_putc(o, '\n');
	}
}

static void
put_virus(struct buf *o, const struct facts *f, const char *trouble)
{
	static const char *const states[] = { [AV_NOT_ASKED] = "not asked", [AV_CLEAN] = "clean",
		[AV_VIRUS] = "found ", [AV_UNSCANNABLE] = "unscannable: ", [AV_FAILED] = "failed: ", [AV_SUSPECT] = "suspicious: " };

	buf_printf(o, "antivirus: %s", states[f->av]);
	put_safe(o, f->av == AV_FAILED ? span_str(trouble) : f->av_name);
	if (f->av_part.n) {
		buf_puts(o, " in part ");
		put_safe(o, f->av_part);
	}
	if (f->av_engine.n)
		buf_printf(o, " (" SPAN_FMT ")", SPAN_ARG(f->av_engine));
	buf_putc(o, '\n');
}

static void
put_signs(struct buf *o, const struct signs *s)
{
	for (int i = 0; s && i < SIGN_COUNT; i++) {
		if (!(s->mask >> i & 1))
			continue;
		buf_printf(o, "sign: %s: ", sign_name((enum sign)i));
		put_safe(o, s->why[i].n ? s->why[i] : span_str(sign_help((enum sign)i)));
		buf_putc(o, '\n');
	}
}

static void
put_spam(struct buf *o, const struct spam_report *s)
{
	if (s->class == NULL)
		return;
	buf_printf(o, "spam: %s, score %.1f\n", s->class, s->score);
	for (size_t i = 0; i < s->nsymbols; i++) {
		buf_printf(o, "  %+5.1f  ", s->symbols[i].score);
		put_safe(o, s->symbols[i].name);
		if (s->symbols[i].title.n) {
			buf_puts(o, ": ");
			put_safe(o, s->symbols[i].title);
		}
		buf_putc(o, '\n');
	}
}

/* What is changed, what could not be, who gets a copy, who is told. */
static void
put_actions(struct buf *o, const struct verdict *v)
{
	size_t edits = 0;

	for (size_t i = 1; i < v->nvariants; i++)
		for (size_t k = 0; k < v->variants[i].nedits; k++) {
			const struct edit *e = &v->variants[i].edits[k];

			buf_printf(o, "%s  %s", edits++ ? "" : "edits:\n", e->action);
			if (e->part.n) {
				buf_puts(o, " in part ");
				put_safe(o, e->part);
			}
			buf_puts(o, ", by ");
			put_safe(o, e->rule);
			buf_printf(o, ": bytes %llu-%llu become %zu", (unsigned long long)e->offset,
			    (unsigned long long)(e->offset + e->size), e->with.n);
			if (v->nvariants > 2)
				buf_printf(o, " (variant %zu)", i);
			buf_putc(o, '\n');
		}
	for (size_t i = 0; i < v->nrefused; i++) {
		const struct refused_edit *r = &v->refused[i];

		buf_printf(o, "%s  %s", i ? "" : "edits refused:\n", r->action);
		if (r->part.n) {
			buf_puts(o, " in part ");
			put_safe(o, r->part);
		}
		buf_puts(o, ", by ");
		put_safe(o, r->rule);
		buf_printf(o, ": %s\n", r->why);
	}
	for (size_t i = 0; i < v->nbcc; i++) {
		buf_puts(o, i ? ", " : "copies: ");
		put_safe(o, v->bcc[i].address);
		buf_puts(o, i + 1 == v->nbcc ? "\n" : "");
	}
	for (size_t i = 0; i < v->nnotices; i++) {
		buf_puts(o, i ? ", " : "notices: ");
		put_safe(o, v->notices[i].to);
		buf_puts(o, " (");
		put_safe(o, v->notices[i].template);
		buf_puts(o, i + 1 == v->nnotices ? ")\n" : ")");
	}
}

static void
put_all(struct paint *p, const struct judge *j, const struct envelope *env,
    const struct judgement *ju)
{
	const struct verdict *v = &ju->verdict;
	struct buf *o = p->out;

	buf_puts(o, "from ");
	put_safe(o, env->sender.n ? env->sender : SPAN_LIT("<>"));
	buf_printf(o, ", %s, policy %s\n", env->direction == DIRECTION_INBOUND ? "inbound" :
	    "outbound", policy_hash(j->policy));
	for (size_t i = 0; i < v->ndecisions; i++)
		put_decision(p, env->recipients[i].address, &v->decisions[i]);
	put_virus(o, &ju->facts, ju->trouble);
	put_spam(o, &v->spam);
	put_signs(o, v->spam.signs);
	identity_put_facts(o, &ju->facts);
	if (v->unscannable || v->undecided)
		buf_puts(o, v->unscannable ? "the message is unscannable\n" :
		    "a budget ran out: not everything was decided\n");
	buf_puts(o, v->nfindings ? "findings:\n" : "findings: none\n");
	for (size_t i = 0; i < v->nfindings; i++)
		put_finding(o, &v->findings[i]);
	for (size_t i = 0; i < v->nurls; i++) {
		buf_puts(o, i ? "  " : "links:\n  ");
		put_safe(o, v->urls[i].rule);
		buf_puts(o, ": ");
		put_safe(o, v->urls[i].url);
		buf_puts(o, ", ");
		put_safe(o, v->urls[i].why);
		buf_printf(o, " (%s, part ", v->urls[i].kind);
		put_safe(o, v->urls[i].part);
		buf_printf(o, ", offset %u)\n", v->urls[i].offset);
	}
	put_told(o, v);
	if (v->nnear_misses)
		buf_puts(o, "near misses:\n");
	for (size_t i = 0; i < v->nnear_misses; i++) {
		buf_puts(o, "  ");
		put_safe(o, v->near_misses[i].rule);
		buf_puts(o, ": ");
		put_safe(o, v->near_misses[i].text);
		buf_putc(o, '\n');
	}
	put_actions(o, v);
	put_parts(o, &ju->anatomy);
}

/* ---- */

/* The engine is asked when it is there; without it the rest can still be explained. */
/* Who is in the groups that stand in a directory: nobody is asked here. */
static int
members_of(const struct ask *q, const struct judge *j, struct arena *a, struct memberships *out,
    struct err *err)
{
	struct policy_given *v = arena_array(a, q->nmembers, sizeof(*v));
	struct span bad;

	for (size_t i = 0; i < q->nmembers; i++) {
		struct span s = span_str(q->member[i]);
		/* "ldap:CN=…" has signs of its own: the last one counts. */
		size_t at = (size_t)(strrchr(s.p, '=') - s.p);

		v[i] = (struct policy_given){ span_sub(s, 0, at), span_from(s, at + 1) };
	}
	if (q->nmembers && !policy_members_given(j->policy, v, q->nmembers, a, out, &bad))
		return err_set(err, 0, "--member " SPAN_FMT ": no such group stands in a directory",
		    SPAN_ARG(bad));
	return 0;
}

static void
open_antivirus(struct judge *j, const struct ask *q, const struct config *conf, char *tmp)
{
	struct err err;

	if (q->no_antivirus || mkdtemp(tmp) == NULL)
		*tmp = '\0';
	if (*tmp && judge_antivirus(j, conf, tmp, &err) == -1)
		fprintf(stderr, "%s; explained without it\n", err.text);
}

static bool
read_facts(const struct ask *q, const struct cli *cli, struct arena *a, struct facts *facts)
{
	struct diags d;

	diags_init(&d, a);
	if (q->facts && !policy_facts_read("--facts", span_str(q->facts), &d, facts)) {
		diags_show(&d, cli, stderr);
		return false;
	}
	if (q->at && !policy_moment_parse(span_str(q->at), &facts->now)) {
		fprintf(stderr, "postern explain: --at %s: as in '2027-03-01 14:30', in UTC\n", q->at);
		return false;
	}
	return true;
}

static int
explain(const struct ask *q, const struct cli *cli, const struct config *conf, struct judge *j,
    struct arena *a)
{
	struct facts facts = { 0 };
	const struct policy_options opt = { .near_misses = true, .told = true, .known = &facts };
	struct paint p = { .cli = cli };
	struct envelope env;
	struct judgement ju;
	struct span raw;
	struct buf out;
	struct err err;
	char tmp[] = "/tmp/postern-explain-XXXXXX";
	struct reader_alone alone = { .conf = conf ? &conf->ocr : NULL };
	const struct picture_reader reader = { reader_alone, &alone };

	if (read_message(q, a, &raw, &err) == -1 || make_envelope(q, raw, a, &env, &err) == -1 ||
	    members_of(q, j, a, &facts.members, &err) == -1) {
		fprintf(stderr, "postern explain: %s\n", err.text);
		return CLI_USAGE;
	}
	if (!read_facts(q, cli, a, &facts))
		return CLI_USAGE;
	listings_resolve(&facts, &env);
	open_antivirus(j, q, conf, tmp);
	if (conf && conf->ocr.on)
		j->pictures = &reader;
	judge_message(j, &env, raw, &opt, a, &ju);
	buf_init(&out, OUTPUT_MAX);
	if (cli->json) {
		buf_span(&out, judgement_record(j, &env, &ju, OUTPUT_MAX - 1, a));
		buf_putc(&out, '\n');
	} else {
		p.out = &out;
		put_all(&p, j, &env, &ju);
	}
	cli_write(stdout, buf_data(&out));
	buf_release(&out);
	if (*tmp)
		cli_remove_tree(tmp);
	return CLI_OK;
}

int
cmd_explain(int argc, char **argv, const struct cli *cli)
{
	struct ask q = { 0 };
	struct config *conf;
	struct judge judge;
	struct arena *a;
	struct diags d;
	struct err err;
	int status = CLI_FINDINGS;
	uint64_t id;

	if (options(argc, argv, &q) == -1) {
		fputs(usage, stderr);
		return CLI_USAGE;
	}
	if (strcmp(q.file, "-") != 0 && access(q.file, F_OK) == -1 &&
	    id_parse(span_str(q.file), &id)) {
		fprintf(stderr, "postern explain: no file %s; for a message that passed, see "
		    "`postern trace %s`\n", q.file, q.file);
		return CLI_USAGE;
	}
	conf = cli_load_config(cli);
	if (conf == NULL)
		return CLI_FINDINGS;
	a = arena_new(64u << 10);
	diags_init(&d, a);
	if (judge_open(&judge, conf, &d, &err) == -1) {
		diags_show(&d, cli, stderr);
	} else {
		status = explain(&q, cli, conf, &judge, a);
		judge_close(&judge);
	}
	arena_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
