/* cmd_reputation.c -- `postern reputation ADDRESS`: what is known here of a client, and why.
 *
 * The lists of verify.dnsbl are asked now, as a verifier would ask them, with the weights of postern.yaml;
 * our own experience, limits, locks, exemptions and the last messages come from the daemon. Without the
 * daemon the lists are shown, and that the rest is not known. Nothing is changed, but with --forget
 * what is counted of the address. Of a domain there is our own experience alone.
 */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "cli/auth_book.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
#include "receiver/gate.h"
#include "receiver/reputation.h"
#include "verifier/dnsbl.h"

#define MESSAGES 10
#define PAGE_MAX (16u << 20)
#define BAD 20			/* our own score: worth a look below it */

struct lines {			/* answers of the daemon about the address, as they came */
	struct inquiry *of;
	struct span *texts;
	size_t n, room;
	int status;
};

struct inquiry {
	const struct cli *cli;
	const struct config *conf;
	struct arena *a;
	char ip_text[REPUTATION_NAME_MAX];	/* or the domain */
	struct ip ip;
	const struct dnsbl_result *lists;
	struct lines limits, exempt, messages, experience, forgotten;
	bool locked, domain;		/* domain: asked for by name, ip is none */
	int own;			/* our own score; -1: not known */
	struct buf out;
};

/* ---- the lists ---- */

static bool
step(void *ctx)
{
	return dnsbl_step(ctx);
}

static int
ask_lists(struct inquiry *p)
{
	const struct conf_verify *v = &p->conf->verify;
	struct dns_book *book = dns_book_new(p->a);
	struct dnsbl *d = dnsbl_new(p->a, book, v->dnsbl, v->ndnsbl, p->ip);
	struct lookup *l;
	struct err err;

	if ((l = lookup_new(p->conf, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		return -1;
	}
	auth_pump(l, book, step, d);
	p->lists = dnsbl_result(d);
	lookup_free(&l);
	return 0;
}

/* Lists and our own together, as the verifier adds them up. */
static int
score(const struct inquiry *p)
{
	int lists = p->lists ? dnsbl_reputation(p->lists, p->conf->verify.ndnsbl) : -1;

	if (p->domain)
		return p->own;
	if (p->conf->verify.reputation.off || p->own == -1 || p->own == REPUTATION_MIDDLE)
		return lists;
	return reputation_joined(lists, p->own, p->conf->verify.reputation.weight);
}

static const char *
state_word(const struct dnsbl_verdict *v)
{
	static const char *const words[] = { [DNSBL_UNKNOWN] = "unknown", [DNSBL_CLEAR] = "clear",
		[DNSBL_LISTED] = "listed" };

	return words[v->state];
}

/* ---- what the daemon knows ---- */

static void
keep(struct lines *l, struct span text)
{
	if (l->n == l->room) {
		struct span *more = arena_array(l->of->a, l->room ? 2 * l->room : 16, sizeof(*more));

		if (l->n)
			memcpy(more, l->texts, l->n * sizeof(*more));
		l->texts = more;
		l->room = l->room ? 2 * l->room : 16;
	}
	l->texts[l->n++] = arena_span(l->of->a, text);
}

static void
on_limit(void *ctx, const struct jval *v, struct span text)
{
	struct lines *l = ctx;
	struct ip ip;

	if (!ip_parse(jval_text(v, "key"), &ip) || !ip_eq(ip, l->of->ip))
		return;
	l->of->locked |= jval_bool(v, "locked");
	keep(l, text);
}

static void
on_exempt(void *ctx, const struct jval *v, struct span text)
{
	struct lines *l = ctx;
	struct cidr c;

	if (cidr_parse(jval_text(v, "match"), &c, NULL) == 0 && cidr_has(c, l->of->ip))
		keep(l, text);
}

static void
on_experience(void *ctx, const struct jval *v, struct span text)
{
	struct lines *l = ctx;

	l->of->own = (int)jval_int(v, "score", -1);
	keep(l, text);
}

static void
on_forgotten(void *ctx, const struct jval *v, struct span text)
{
	keep(ctx, text);
}

static void
on_message(void *ctx, const struct jval *v, struct span text)
{
	if (jval_has(v, "id"))
		keep(ctx, text);
}

static void
ask(struct inquiry *p, struct lines *l, const char *cmd, control_line *line)
{
	struct request r;

	l->of = p;
	request_begin(&r, cmd);
	if (line == on_message) {
		json_kcstr(&r.j, "q", p->ip_text);
		json_kuint(&r.j, "limit", MESSAGES);
	} else if (line == on_experience || line == on_forgotten) {
		json_kcstr(&r.j, "address", p->ip_text);
	}
	l->status = control_ask_quietly(p->cli, &r, line, l);
}

/* ---- whom the configuration trusts ---- */

struct trust {
	const char *key;		/* of postern.yaml */
	struct span of;			/* listener or domain */
};

/* The i-th line that treats the address as no stranger. */
static bool
trusted(const struct inquiry *p, size_t i, struct trust *t)
{
	const struct config *c = p->conf;
	struct span net;

	for (size_t k = 0; k < c->nlisteners; k++) {
		const struct conf_listener *l = &c->listeners[k];

		if (access_permitted(l, p->ip, &net) && i-- == 0) {
			*t = (struct trust){ "allow", l->name };
			return true;
		}
		if (nets_have(&l->upstream, p->ip) && i-- == 0) {
			*t = (struct trust){ "upstream", l->name };
			return true;
		}
	}
	for (size_t k = 0; k < c->ndomains; k++)
		if (nets_have(&c->domains[k].greylist.exempt, p->ip) && i-- == 0) {
			*t = (struct trust){ "greylist", c->domains[k].name };
			return true;
		}
	return false;
}

/* ---- JSON ---- */

static void
json_lines(struct json *j, const char *key, const struct lines *l)
{
	json_key(j, key);
	if (l->status != CLI_OK) {
		json_null(j);
		return;
	}
	json_array(j);
	for (size_t i = 0; i < l->n; i++)
		json_raw(j, l->texts[i]);
	json_end_array(j);
}

static void
json_list(struct json *j, const struct dnsbl_list *l, const struct dnsbl_verdict *v)
{
	char code[IP_TEXT_MAX];

	json_object(j);
	json_kstr(j, "name", l->name);
	json_kstr(j, "zone", l->zone);
	json_kbool(j, "allow", l->allow);
	json_kcstr(j, "state", state_word(v));
	json_kcstr(j, "answer", v->code.family ? ip_format(v->code, code) : NULL);
	json_kint(j, "weight", v->weight);
	json_kcstr(j, "why", v->why);
	json_end_object(j);
}

static void
put_json(struct inquiry *p)
{
	const struct conf_verify *c = &p->conf->verify;
	struct trust t;
	struct json j;

	json_begin(&j, &p->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "address", p->ip_text);
	json_key(&j, "reputation");
	if (score(p) == -1)
		json_null(&j);
	else
		json_int(&j, score(p));
	json_kbool(&j, "locked", p->locked);
	json_key(&j, "experience");
	if (p->experience.n)
		json_raw(&j, p->experience.texts[0]);
	else
		json_null(&j);
	json_key(&j, "lists");
	json_array(&j);
	for (size_t i = 0; p->lists && i < c->ndnsbl; i++)
		json_list(&j, &c->dnsbl[i], &p->lists->verdicts[i]);
	json_end_array(&j);
	json_key(&j, "trusted");
	json_array(&j);
	for (size_t i = 0; !p->domain && trusted(p, i, &t); i++) {
		json_object(&j);
		json_kcstr(&j, "by", t.key);
		json_kstr(&j, "of", t.of);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_lines(&j, "limits", &p->limits);
	json_lines(&j, "exemptions", &p->exempt);
	json_lines(&j, "messages", &p->messages);
	json_end_object(&j);
	buf_putc(&p->out, '\n');
}

/* ---- for people ---- */

static void
put_score(struct inquiry *p)
{
	struct buf *o = &p->out;
	int s = score(p);

	buf_printf(o, "%s: ", p->ip_text);
	page_begin(o, p->cli, s >= 50 ? GREEN : s >= 20 ? YELLOW : s >= 0 ? RED : PLAIN);
	if (s >= 0)
		buf_printf(o, "reputation %d of 100", s);
	else if (p->domain)
		buf_puts(o, "reputation unknown: the daemon does not answer");
	else
		buf_puts(o, p->conf->verify.ndnsbl ? "reputation unknown: no list answers" :
		    "reputation unknown: no list is asked (verify: {dnsbl: […]})");
	page_end(o, p->cli, PLAIN);
	buf_puts(o, p->locked ? ", locked by a limit\n" : "\n");
}

static void
put_lists(struct inquiry *p)
{
	static const char *const titles[] = { "list", "is", "answer", "counts", "", NULL };
	const struct conf_verify *c = &p->conf->verify;
	char code[IP_TEXT_MAX];
	struct grid g;

	if (c->ndnsbl == 0 || p->lists == NULL)
		return;
	grid_init(&g, p->cli, titles, "lllrl");
	for (size_t i = 0; i < c->ndnsbl; i++) {
		const struct dnsbl_verdict *v = &p->lists->verdicts[i];

		grid_text(&g, c->dnsbl[i].name);
		buf_puts(grid_cell(&g), state_word(v));
		grid_done(&g, v->state == DNSBL_UNKNOWN ? YELLOW : v->state == DNSBL_CLEAR ? PLAIN :
		    c->dnsbl[i].allow ? GREEN : RED);
		grid_cstr(&g, v->code.family ? ip_format(v->code, code) : "-");
		if (v->state == DNSBL_LISTED)
			buf_printf(grid_cell(&g), "%+d", c->dnsbl[i].allow ? v->weight : -v->weight);
		else
			buf_putc(grid_cell(&g), '-');
		grid_done(&g, PLAIN);
		grid_text(&g, span_str(v->why));
	}
	grid_print(&g, &p->out, "  ");
	grid_release(&g);
}

static void
limit_line(struct buf *o, const struct jval *v)
{
	page_text(o, jval_text(v, "limit"));
	if (jval_bool(v, "locked")) {
		buf_puts(o, ": locked for ");
		page_age(o, page_when(v, "free_at") - clock_real());
	} else {
		buf_printf(o, ": %lld of %lld ", (long long)jval_int(v, "used", 0),
		    (long long)jval_int(v, "allow", 0));
		page_text(o, jval_text(v, "unit"));
		buf_puts(o, " in ");
		page_age(o, jval_int(v, "window", 0) * US_PER_SEC);
	}
}

static void
exempt_line(struct buf *o, const struct jval *v)
{
	page_text(o, jval_text(v, "match"));
	buf_puts(o, " is exempt from ");
	page_text(o, jval_text(v, "limit"));
	buf_puts(o, jval_bool(v, "expired") ? " no more: it ended " : " until ");
	page_stamp(o, page_when(v, "until"));
	buf_puts(o, ", ");
	page_text(o, jval_text(v, "owner"));
	buf_puts(o, ": ");
	page_text(o, jval_text(v, "reason"));
}

static void
message_line(struct buf *o, const struct jval *v)
{
	const struct jval *list = jval_get(v, "recipients"), *r;

	page_stamp(o, jval_int(v, "time", 0));
	buf_puts(o, "  ");
	page_text(o, jval_text(v, "id"));
	buf_puts(o, "  <");
	page_text(o, jval_text(v, "sender"));
	buf_puts(o, ">");
	for (size_t i = 0; (r = jval_at(list, i)) != NULL && i < 3; i++) {
		buf_puts(o, i ? ", " : " to ");
		page_text(o, jval_text(r, "address"));
		buf_puts(o, ": ");
		page_text(o, jval_text(r, "status"));
	}
	if (jval_count(list) > 3)
		buf_printf(o, ", and %zu more", jval_count(list) - 3);
}

static void
put_lines(struct inquiry *p, const char *title, const struct lines *l,
    void (*line)(struct buf *o, const struct jval *v), const char *none)
{
	struct buf *o = &p->out;

	page_begin(o, p->cli, BOLD);
	buf_printf(o, "%s\n", title);
	page_end(o, p->cli, BOLD);
	if (l->status != CLI_OK || l->n == 0)
		buf_printf(o, "  %s\n", l->status != CLI_OK ? "not known: the daemon does not answer" : none);
	for (size_t i = 0; i < l->n; i++) {
		struct jval *v = jval_parse(l->texts[i], NULL);

		buf_puts(o, "  ");
		line(o, v);
		buf_putc(o, '\n');
		jval_free(&v);
	}
}

/* Its part of the whole, and the daemon's own words for it. */
static void
experience_line(struct buf *o, const struct jval *v)
{
	const struct jval *why = jval_get(v, "why");
	int64_t weight = jval_int(v, "weight", 0), own = jval_int(v, "score", REPUTATION_MIDDLE);

	if (!jval_bool(v, "on"))
		buf_puts(o, "switched off (verify: {reputation: off})\n  ");
	buf_printf(o, "%lld of 100, counts %+lld", (long long)own,
	    (long long)((own - REPUTATION_MIDDLE) * weight / REPUTATION_MIDDLE));
	for (size_t i = 0; i < jval_count(why); i++) {
		buf_puts(o, "\n  ");
		page_text(o, jval_str(jval_at(why, i)));
	}
}

static void
put_text(struct inquiry *p)
{
	struct trust t;

	put_score(p);
	if (p->domain) {
		put_lines(p, "our own experience", &p->experience, experience_line, "none");
		return;
	}
	put_lists(p);
	for (size_t i = 0; trusted(p, i, &t); i++) {
		buf_printf(&p->out, "  trusted by `%s` of ", t.key);
		page_text(&p->out, t.of);
		buf_putc(&p->out, '\n');
	}
	put_lines(p, "our own experience", &p->experience, experience_line, "none");
	put_lines(p, "limits", &p->limits, limit_line, "none counts it now");
	put_lines(p, "exemptions", &p->exempt, exempt_line, "none");
	put_lines(p, "last messages", &p->messages, message_line, "none in the journal");
}

/* Worth a look: on a list of the bad, or locked. */
static int
status_of(const struct inquiry *p)
{
	if (p->experience.status != CLI_OK)
		return p->experience.status;
	if (p->domain)
		return p->own < BAD ? CLI_FINDINGS : CLI_OK;
	if (p->limits.status != CLI_OK || p->messages.status != CLI_OK)
		return p->limits.status != CLI_OK ? p->limits.status : p->messages.status;
	return p->lists->blocked || p->locked || p->own < BAD ? CLI_FINDINGS : CLI_OK;
}

/* --forget: the daemon alone has something to forget. */
static int
forget(struct inquiry *p)
{
	struct jval *v;

	ask(p, &p->forgotten, "reputation.forget", on_forgotten);
	if (p->forgotten.status != CLI_OK || p->forgotten.n == 0)
		return p->forgotten.status != CLI_OK ? p->forgotten.status : CLI_FINDINGS;
	if (p->cli->json) {
		printf("%.*s\n", SPAN_ARG(p->forgotten.texts[0]));
		return CLI_OK;
	}
	v = jval_parse(p->forgotten.texts[0], NULL);
	printf("%s: %s\n", p->ip_text, jval_bool(v, "forgotten") ? "our own experience is forgotten" :
	    "nothing was counted");
	jval_free(&v);
	return CLI_OK;
}

static int
show(struct inquiry *p)
{
	if (!p->domain && ask_lists(p) == -1)
		return CLI_FINDINGS;
	ask(p, &p->experience, "reputation.show", on_experience);
	if (!p->domain) {
		ask(p, &p->limits, "limits.show", on_limit);
		ask(p, &p->exempt, "limits.exempt", on_exempt);
		ask(p, &p->messages, "trace", on_message);
	}
	(p->cli->json ? put_json : put_text)(p);
	page_flush(&p->out);
	return status_of(p);
}

/* An address, or a domain in its normal form. */
static bool
subject(struct inquiry *p, struct span text)
{
	struct span name;

	if (ip_parse(text, &p->ip)) {
		ip_format(p->ip, p->ip_text);
		return true;
	}
	p->domain = true;
	if (span_find(text, '.') == text.n || !domain_normalise(p->a, text, &name) ||
	    name.n >= sizeof(p->ip_text))
		return false;
	memcpy(p->ip_text, name.p, name.n);
	return true;
}

int
cmd_reputation(int argc, char **argv, const struct cli *cli)
{
	struct inquiry p = { .cli = cli, .own = -1 };
	struct config *conf;
	int status = CLI_FINDINGS;
	bool forgets = false;
	const char *what = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--forget") == 0)
			forgets = true;
		else if (what || argv[i][0] == '-')
			return command_usage("reputation");
		else
			what = argv[i];
	}
	p.a = arena_new(0);
	if (what == NULL || !subject(&p, span_str(what))) {
		arena_free(&p.a);
		return command_usage("reputation");
	}
	if ((conf = cli_load_config(cli)) == NULL) {
		arena_free(&p.a);
		return CLI_FINDINGS;
	}
	p.conf = conf;
	buf_init(&p.out, PAGE_MAX);
	status = forgets ? forget(&p) : show(&p);
	buf_release(&p.out);
	arena_free(&p.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
