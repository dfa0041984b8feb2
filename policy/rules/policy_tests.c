/* policy_tests.c -- policies are tested like code: a message, and what must
 * become of it for each recipient.
 *
 * Differences are told field by field, at the line of the test that expects
 * something else. Called by `postern test`.
 */
#include <stdlib.h>

#include "load.h"
#include "postern/policy_tests.h"

#define MESSAGE_MAX (64 << 20)
#define TESTS_SAME 1000		/* tests of a file whose message `same_as` can name */

struct run {
	struct load ld;		/* only what keys_read() uses */
	const struct policy *p;
	const struct policy_test_env *env;
	struct diags *d;
	struct buf *out;
	struct arena *a;	/* of the file */
	struct span messages[TESTS_SAME];
	size_t nmessages;
	bool failed;		/* the test in hand */
	const char *name;
};

void
tests_nothing(struct load *ld, struct conf_node *n, void *obj)
{
}

/* --- making messages ------------------------------------------------------------------------ */

static void
put_lines(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_putc(b, '\r');
		buf_putc(b, s.p[i]);
	}
	if (!s.n || s.p[s.n - 1] != '\n')
		buf_puts(b, "\r\n");
}

static void
put_base64_lines(struct buf *b, struct span s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s.p;

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < s.n ? p[i + 1] << 8 : 0) |
		    (i + 2 < s.n ? p[i + 2] : 0);

		buf_putc(b, digits[v >> 18]);
		buf_putc(b, digits[v >> 12 & 63]);
		buf_putc(b, i + 1 < s.n ? digits[v >> 6 & 63] : '=');
		buf_putc(b, i + 2 < s.n ? digits[v & 63] : '=');
		if (i % 57 == 54)
			buf_puts(b, "\r\n");
	}
	buf_puts(b, "\r\n");
}

static bool
fixture(struct run *r, const struct conf_node *at, struct span path, struct span *text)
{
	struct err err = { 0 };

	if (r->env->read_file && r->env->read_file(r->env->ctx, path, text, &err) == 0)
		return true;
	diag_at(r->d, DIAG_ERROR, at, NULL, "%s",
	    err.text[0] ? err.text : "files cannot be read here");
	return false;
}

static void
put_text_part(struct buf *b, const char *type, struct span s)
{
	buf_printf(b, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
	    type);
	put_lines(b, s);
}

static void
put_file(struct run *r, struct buf *b, struct conf_node *n)
{
	struct file_src f = { .type = SPAN_LIT("application/octet-stream") };
	struct span s = { 0 };

	if (!keys_read(&r->ld, n, SECTION_FILE, &f))
		return;
	if (!!f.text + !!f.base64 + !!f.file != 1) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "an attachment has one of `text`, `base64`, `file`");
		return;
	}
	buf_printf(b, "--=_postern_test\r\nContent-Type: " SPAN_FMT "\r\n", SPAN_ARG(f.type));
	buf_printf(b, "Content-Disposition: attachment; filename=\"" SPAN_FMT "\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n", SPAN_ARG(f.name));
	if (f.base64 && conf_text(r->d, f.base64, "base64", &s)) {
		put_lines(b, s);
	} else if (f.text ? conf_text(r->d, f.text, "text", &s) :
	    conf_text(r->d, f.file, "file", &s) && fixture(r, f.file, s, &s)) {
		put_base64_lines(b, s);
	}
}

static void
put_head(struct run *r, struct buf *b, const struct test_src *t, const struct message_src *m)
{
	struct span s = { 0 };

	if (!m->headers || !conf_get(m->headers, "From"))
		buf_printf(b, "From: " SPAN_FMT "\r\n", SPAN_ARG(t->from));
	buf_puts(b, "To: ");
	for (size_t i = 0; i < t->to.n && i < 20; i++)
		buf_printf(b, "%s" SPAN_FMT, i ? ",\r\n " : "", SPAN_ARG(t->to.v[i]));
	buf_puts(b, "\r\n");
	if (m->subject && conf_text(r->d, m->subject, "subject", &s))
		buf_printf(b, "Subject: " SPAN_FMT "\r\n", SPAN_ARG(s));
	if (m->headers && conf_want(r->d, m->headers, CONF_MAP, "headers"))
		CONF_EACH (c, m->headers)
			if (conf_text(r->d, c, "a text", &s))
				buf_printf(b, SPAN_FMT ": " SPAN_FMT "\r\n", SPAN_ARG(c->key), SPAN_ARG(s));
	buf_puts(b, "MIME-Version: 1.0\r\n");
}

static bool
message_write(struct run *r, const struct test_src *t, const struct message_src *m,
    struct span *raw)
{
	struct span body = { 0 }, html = { 0 };
	size_t errors = r->d->errors;
	struct buf b;

	if (m->body)
		conf_text(r->d, m->body, "body", &body);
	if (m->html)
		conf_text(r->d, m->html, "html", &html);
	buf_init(&b, MESSAGE_MAX);
	put_head(r, &b, t, m);
	if (m->attachments && conf_want(r->d, m->attachments, CONF_LIST, "attachments")) {
		buf_puts(&b, "Content-Type: multipart/mixed; boundary=\"=_postern_test\"\r\n\r\n");
		buf_puts(&b, "--=_postern_test\r\n");
		put_text_part(&b, m->html ? "html" : "plain", m->html ? html : body);
		CONF_EACH (c, m->attachments)
			put_file(r, &b, c);
		buf_puts(&b, "--=_postern_test--\r\n");
	} else {
		put_text_part(&b, m->html ? "html" : "plain", m->html ? html : body);
	}
	if (buf_failed(&b))
		diag_at(r->d, DIAG_ERROR, t->message, NULL, "the message is too large");
	else
		*raw = arena_span(r->a, buf_data(&b));
	buf_release(&b);
	return r->d->errors == errors;
}

static bool
message_make(struct run *r, const struct test_src *t, struct span *raw)
{
	struct message_src m = { 0 };
	struct span s;
	uint64_t n;

	if (!t->message)
		return message_write(r, t, &m, raw);
	if (!keys_read(&r->ld, t->message, SECTION_MESSAGE, &m))
		return false;
	if ((m.eml || m.same_as) && t->message->count > 1) {
		diag_at(r->d, DIAG_ERROR, t->message, NULL, "`eml` and `same_as` stand alone");
		return false;
	}
	if (m.eml)
		return conf_text(r->d, m.eml, "eml", &s) && fixture(r, m.eml, s, raw);
	if (!m.same_as)
		return message_write(r, t, &m, raw);
	if (!conf_uint(r->d, m.same_as, 1, TESTS_SAME, &n))
		return false;
	if (n > r->nmessages || !r->messages[n - 1].p) {
		diag_at(r->d, DIAG_ERROR, m.same_as, "tests are counted from 1, in this file",
		    "no message of a test %llu before this one", (unsigned long long)n);
		return false;
	}
	*raw = r->messages[n - 1];
	return true;
}

/* --- differences ------------------------------------------------------------------------------- */

static void
differ(struct run *r, const struct conf_node *at, struct span who, const char *field,
    struct span want, struct span got)
{
	if (!r->failed)
		buf_printf(r->out, "FAIL %s\n", r->name);
	r->failed = true;
	buf_printf(r->out, "  %s:%u: " SPAN_FMT ": %s: expected ", at->file->name, at->line,
	    SPAN_ARG(who), field);
	buf_span(r->out, want);
	buf_puts(r->out, ", got ");
	buf_span(r->out, got.n ? got : SPAN_LIT("nothing"));
	buf_putc(r->out, '\n');
}

static struct span
listed(struct run *r, const struct span *v, size_t n)
{
	struct span out;
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_putc(&b, '[');
	for (size_t i = 0; i < n; i++) {
		buf_puts(&b, i ? ", " : "");
		buf_span(&b, v[i]);
	}
	buf_putc(&b, ']');
	out = arena_span(r->a, buf_data(&b));
	buf_release(&b);
	return out;
}

static bool
same_set(const struct span *a, size_t na, const struct span *b, size_t nb)
{
	for (size_t i = 0; i < na; i++) {
		bool had = false;

		for (size_t k = 0; k < nb && !had; k++)
			had = span_eq(a[i], b[k]);
		if (!had)
			return false;
	}
	return na == nb;
}

static void
expect_list(struct run *r, struct conf_node *n, struct span who, const char *field,
    const struct span *got, size_t ngot)
{
	struct spans want = { 0 };

	if (n && read_texts(&r->ld, n, field, &want) && !same_set(want.v, want.n, got, ngot))
		differ(r, n, who, field, listed(r, want.v, want.n), listed(r, got, ngot));
}

static void
expect_text(struct run *r, struct conf_node *n, struct span who, const char *field,
    struct span got, bool within)
{
	struct span want;

	if (!n || !conf_text(r->d, n, field, &want))
		return;
	if (within ? memmem(got.n ? got.p : "", got.n, want.p, want.n) != NULL : span_eq(want, got))
		return;
	differ(r, n, who, field, want, got);
}

static struct span
edited(struct run *r, struct span raw, const struct variant *v)
{
	struct span out;
	uint64_t at = 0;
	struct buf b;

	buf_init(&b, raw.n + (1 << 20));
	for (size_t i = 0; i < v->nedits; i++) {
		buf_span(&b, span_sub(raw, at, v->edits[i].offset - at));
		buf_span(&b, v->edits[i].with);
		at = v->edits[i].offset + v->edits[i].size;
	}
	buf_span(&b, span_from(raw, at));
	out = arena_span(r->a, buf_data(&b));
	buf_release(&b);
	return out;
}

static void
expect_headers(struct run *r, const struct expect_src *x, struct span who, struct span raw,
    const struct variant *v)
{
	struct anatomy an;

	if (!x->subject && !x->header)
		return;
	anatomy_build(r->a, edited(r, raw, v), NULL, &an);
	expect_text(r, x->subject, who, "subject", an.subject, false);
	if (x->header && conf_want(r->d, x->header, CONF_MAP, "header"))
		CONF_EACH (c, x->header) {
			const struct header *h = part_header(&an.parts[0], arena_str(r->a, c->key));

			expect_text(r, c, who, arena_str(r->a, c->key),
			    h ? h->value : (struct span){ 0 }, false);
		}
}

/* Every text stands (or none does) in what a reader of the edited message sees. */
static void
expect_texts(struct run *r, struct conf_node *n, struct span who, const char *field,
    const struct anatomy *an, bool want)
{
	struct conf_node *at = n && n->kind == CONF_LIST ? n->first : n;
	struct spans texts = { 0 };

	if (!n || !read_texts(&r->ld, n, field, &texts))
		return;
	for (size_t i = 0; i < texts.n; i++, at = at->next) {
		bool has = memmem(an->subject.p, an->subject.n, texts.v[i].p, texts.v[i].n) != NULL;

		for (size_t k = 0; k < an->nparts && !has; k++) {
			struct span s = an->parts[k].text.s;

			has = s.n && memmem(s.p, s.n, texts.v[i].p, texts.v[i].n) != NULL;
		}
		if (has != want)
			differ(r, at, who, field, texts.v[i], has ? SPAN_LIT("it") : (struct span){ 0 });
	}
}

static void
expect_parts(struct run *r, const struct expect_src *x, struct span who, struct span raw,
    const struct variant *v)
{
	struct anatomy an;
	struct span *names;
	size_t n = 0;

	if (!x->attachments && !x->contains && !x->lacks)
		return;
	anatomy_build(r->a, edited(r, raw, v), NULL, &an);
	names = arena_array(r->a, an.nparts, sizeof(*names));
	for (size_t i = 0; i < an.nparts; i++)
		if (an.parts[i].attachment)
			names[n++] = an.parts[i].name;
	expect_list(r, x->attachments, who, "attachments", names, n);
	expect_texts(r, x->contains, who, "contains", &an, true);
	expect_texts(r, x->lacks, who, "lacks", &an, false);
}

static void
expect_people(struct run *r, const struct expect_src *x, struct span who,
    const struct decision *d, const struct verdict *v)
{
	size_t most = v->nrefused + v->nbcc + v->nnotices + d->noverridden + v->spam.nsymbols + 1, n;
	struct span *got = arena_array(r->a, most, sizeof(*got));

	for (n = 0; n < v->nrefused; n++)
		got[n] = span_str(v->refused[n].action);
	expect_list(r, x->refused, who, "refused", got, n);
	for (n = 0; n < v->nbcc; n++)
		got[n] = v->bcc[n].address;
	expect_list(r, x->bcc, who, "bcc", got, n);
	for (n = 0; n < v->nnotices; n++)
		got[n] = v->notices[n].to;
	expect_list(r, x->notify, who, "notify", got, n);
	for (n = 0; n < d->noverridden; n++)
		got[n] = d->overridden[n].rule;
	expect_list(r, x->overridden, who, "overridden", got, n);
	for (n = 0; n < v->spam.nsymbols; n++)
		got[n] = v->spam.symbols[n].name;
	expect_list(r, x->symbols, who, "symbols", got, n);
	expect_text(r, x->spam, who, "spam", span_str(v->spam.class ? v->spam.class : "not rated"), false);
}

static void
expect_one(struct run *r, struct conf_node *n, struct span who, const struct decision *d,
    struct span raw, const struct verdict *v)
{
	struct expect_src x = { 0 };
	struct span s;
	enum outcome o;

	if (!keys_read(&r->ld, n, SECTION_EXPECT, &x))
		return;
	if (x.outcome && conf_text(r->d, x.outcome, "outcome", &s)) {
		if (!outcome_from_name(s, &o)) {
			static const char *const names[] = { "reject", "defer", "hold", "quarantine",
				"discard", "redirect", "deliver", NULL };
			int i;

			conf_enum(r->d, x.outcome, names, &i);	/* says what may stand here */
		} else if (o != d->outcome) {
			differ(r, x.outcome, who, "outcome", s, span_str(outcome_name(d->outcome)));
		}
	}
	expect_list(r, x.rules, who, "rules", d->rules, d->nrules);
	expect_list(r, x.shadow, who, "shadow", d->shadow, d->nshadow);
	expect_list(r, x.skipped, who, "skipped", d->skipped, d->nskipped);
	expect_list(r, x.redirect, who, "redirect", d->redirect, d->nredirect);
	expect_text(r, x.reply, who, "reply", d->reply, true);
	expect_text(r, x.queue, who, "queue", d->queue, false);
	expect_headers(r, &x, who, raw, &v->variants[d->variant]);
	expect_parts(r, &x, who, raw, &v->variants[d->variant]);
	expect_people(r, &x, who, d, v);
}

static void
expect_all(struct run *r, const struct test_src *t, const struct envelope *env, struct span raw,
    const struct verdict *v)
{
	if (!conf_want(r->d, t->expect, CONF_MAP, "expect"))
		return;
	CONF_EACH (c, t->expect) {
		bool all = span_is(c->key, "all"), any = false;
		struct span who = mailaddr_normalise(r->a, c->key);

		for (size_t i = 0; i < env->nrecipients; i++)
			if (all || span_eq_nocase(who, env->recipients[i].address)) {
				expect_one(r, c, env->recipients[i].address, &v->decisions[i], raw, v);
				any = true;
			}
		if (!any)
			diag_key(r->d, DIAG_ERROR, c, NULL, "`" SPAN_FMT "` is no recipient of this test",
			    SPAN_ARG(c->key));
	}
}

/* --- one test ---------------------------------------------------------------------------------- */

static void
read_as_if(struct run *r, struct conf_node *n, struct policy_options *opt)
{
	struct policy_as_if *v;
	size_t k = 0;
	int i;

	if (!n || !conf_want(r->d, n, CONF_MAP, "as_if"))
		return;
	v = arena_array(r->a, n->count ? n->count : 1, sizeof(*v));
	CONF_EACH (c, n) {
		if (!policy_rule(r->p, c->key)) {
			const char **names = arena_array(r->a, r->p->nrules + 1, sizeof(*names));

			for (size_t s = 0; s < r->p->nrules; s++)
				names[s] = arena_str(r->d->arena, r->p->rules[s].id);
			diag_key(r->d, DIAG_ERROR, c, nearest_hint(&r->ld, conf_nearest(c->key, names)),
			    "unknown rule `" SPAN_FMT "`", SPAN_ARG(c->key));
		} else if (conf_enum(r->d, c, mode_names, &i)) {
			v[k++] = (struct policy_as_if){ c->key, span_str(mode_names[i]) };
		}
	}
	opt->as_if = v;
	opt->nas_if = k;
}

/* {doctors: [a@example.org]}: as a directory would say it. */
static void
read_members(struct run *r, struct conf_node *n, struct memberships *out)
{
	struct policy_given *v = NULL;
	size_t k = 0;

	if (!n || !conf_want(r->d, n, CONF_MAP, "groups"))
		return;
	CONF_EACH (c, n) {
		struct spans who = { 0 };
		struct span bad;
		size_t from = k;

		if (!read_texts(&r->ld, c, "addresses", &who))
			continue;
		v = arena_grow(r->a, v, k * sizeof(*v), (k + who.n + 1) * sizeof(*v));
		v[k++] = (struct policy_given){ c->key, { 0 } };
		for (size_t i = 0; i < who.n; i++)
			v[k++] = (struct policy_given){ c->key, who.v[i] };
		if (!policy_members_given(r->p, v + from, k - from, r->a, out, &bad)) {
			diag_key(r->d, DIAG_ERROR, c, NULL, "`" SPAN_FMT
			    "` is no group that stands in a directory", SPAN_ARG(c->key));
			k = from;
		}
	}
	if (k) {
		struct span bad;

		(void)policy_members_given(r->p, v, k, r->a, out, &bad);
	}
}

static bool
read_envelope(struct run *r, struct conf_node *n, const struct test_src *t, struct envelope *env)
{
	if (!conf_get(n, "to") || t->to.n == 0 || t->to.n > ENVELOPE_RECIPIENTS_MAX) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "a test needs `to`: 1 to %d recipients",
		    ENVELOPE_RECIPIENTS_MAX);
		return false;
	}
	if (!conf_get(n, "from")) {
		diag_at(r->d, DIAG_ERROR, n, "`<>` is the null sender", "a test needs `from`");
		return false;
	}
	*env = (struct envelope){ .direction = (enum direction)t->direction, .user = t->user,
		.tls = t->tls, .listener = t->listener, .helo = t->helo, .nrecipients = t->to.n };
	if (!span_is(t->from, "<>"))
		env->sender = mailaddr_normalise(r->a, t->from);
	if (t->client.n && !ip_parse(t->client, &env->client)) {
		diag_at(r->d, DIAG_ERROR, conf_get(n, "client"), NULL, "`" SPAN_FMT "` is no address",
		    SPAN_ARG(t->client));
		return false;
	}
	env->recipients = arena_array(r->a, t->to.n, sizeof(*env->recipients));
	for (size_t i = 0; i < t->to.n; i++)
		env->recipients[i].address = mailaddr_normalise(r->a, t->to.v[i]);
	return true;
}

static void
test_run(struct run *r, struct conf_node *n)
{
	struct test_src t = { .direction = DIRECTION_OUTBOUND };
	struct policy_options opt = { 0 };
	struct memberships members = { 0 };
	struct facts facts;
	struct envelope env;
	struct anatomy an;
	struct verdict v;
	struct span raw;

	if (!keys_read(&r->ld, n, SECTION_TEST, &t) || !read_envelope(r, n, &t, &env) ||
	    !message_make(r, &t, &raw))
		return;
	if (r->nmessages < TESTS_SAME)
		r->messages[r->nmessages] = raw;
	r->name = t.name.n ? arena_str(r->a, t.name) : "(no name)";
	read_as_if(r, t.as_if, &opt);
	read_members(r, t.groups, &members);
	facts = t.facts;
	facts.av = AV_CLEAN;
	facts.now = conf_get(n, "now") ? t.now : r->env->now;
	if (r->env->build)
		r->env->build(r->env->ctx, r->a, raw, &an, &facts);
	else
		anatomy_build(r->a, raw, NULL, &an);
	facts.members = members;
	listings_resolve(&facts, &env);
	if (t.virus.n) {
		enum av_kind kind;

		facts.av = AV_UNSCANNABLE;
		if (av_kind_of(t.virus, &kind)) {
			facts.av = kind == AV_KIND_MALWARE ? AV_VIRUS : AV_SUSPECT;
			facts.av_kinds = (uint8_t)(1u << kind);
		}
		facts.av_name = t.virus;
	} else if (t.unscannable) {
		facts.av = AV_UNSCANNABLE;
	} else if (t.scan_error) {
		facts.av = AV_FAILED;
	}
	policy_judge(r->p, &an, &env, &facts, &opt, r->a, &v);
	if (!t.expect)
		diag_at(r->d, DIAG_ERROR, n, NULL, "a test needs `expect`");
	else
		expect_all(r, &t, &env, raw, &v);
}

static void
file_run(struct run *r, const struct policy_source *file, struct policy_test_result *result)
{
	struct conf_node *root = conf_parse(file->name, file->text, r->d), *tests;

	r->nmessages = 0;
	memset(r->messages, 0, sizeof(r->messages));
	if (!root || !keys_read(&r->ld, root, SECTION_TESTS, NULL)) {
		result->failed++;
		return;
	}
	tests = conf_get(root, "tests");
	if (!tests || !conf_want(r->d, tests, CONF_LIST, "a list of tests"))
		return;
	CONF_EACH (n, tests) {
		size_t errors = r->d->errors;

		r->failed = false;
		test_run(r, n);
		r->nmessages += r->nmessages < TESTS_SAME;
		if (r->failed || r->d->errors > errors)
			result->failed++;
		else
			result->passed++;
	}
}

void
policy_tests_run(const struct policy *p, const struct policy_source *files, size_t nfiles,
    const struct policy_test_env *env, struct diags *d, struct buf *out,
    struct policy_test_result *result)
{
	struct run *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL && !p->limits_only);
	*result = (struct policy_test_result){ 0 };
	r->p = p;
	r->env = env;
	r->d = d;
	r->out = out;
	for (size_t i = 0; i < nfiles; i++) {
		r->a = arena_new(64 << 10);
		r->ld = (struct load){ .d = d, .a = r->a, .tmp = r->a };
		file_run(r, &files[i], result);
		arena_free(&r->a);
	}
	buf_printf(out, "%zu passed, %zu failed\n", result->passed, result->failed);
	free(r);
}
