/* filter_words.c -- what is said to rspamd and spamd, and what their answers mean; see filter.h. */
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "conf.h"
#include "id.h"
#include "ipc/json_read.h"
#include "postern/err.h"
#include "verifier/filter.h"

/* ---- questions ---- */

/* A value of a header line: nothing in it may end the line. */
static void
put_line(struct buf *b, const char *name, struct span value)
{
	if (value.n == 0 || value.n > 1000)
		return;
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return;
	buf_printf(b, "%s: %.*s\r\n", name, SPAN_ARG(value));
}

void
filter_question(struct buf *b, const struct conf_filter *conf, const struct msg_identify *who,
    size_t size)
{
	char ip[IP_TEXT_MAX], id[ID_SIZE];

	if (conf->kind == FILTER_SPAMD) {
		buf_printf(b, "SYMBOLS SPAMC/1.5\r\nContent-length: %zu\r\n", size);
		put_line(b, "User", conf->user);
		buf_puts(b, "\r\n");
		return;
	}
	buf_printf(b, "POST /checkv2 HTTP/1.1\r\nHost: rspamd\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\nQueue-Id: %s\r\n", size, id_format(who->id, id));
	if (who->client.family)
		put_line(b, "IP", span_str(ip_format(who->client, ip)));
	put_line(b, "Helo", who->helo);
	/* An empty sender is said as <>. */
	put_line(b, "From", who->sender.n ? who->sender : SPAN_LIT("<>"));
	buf_puts(b, "\r\n");
}

/* ---- answers ---- */

static void
add_symbol(struct arena *a, struct facts *f, struct span *v, struct span name)
{
	name = span_trim(name);
	if (name.n && name.n <= FILTER_NAME_MAX && f->nspam_symbols < FACTS_SYMBOLS_MAX)
		v[f->nspam_symbols++] = arena_span(a, name);
}

/* The value of a header field of an answer; none: n is 0. */
static struct span
field(struct span head, const char *name)
{
	struct span want = span_str(name);

	while (head.n) {
		size_t n = span_find(head, '\n');
		struct span line = span_sub(head, 0, n);

		if (line.n > want.n && line.p[want.n] == ':' && span_starts_nocase(line, want))
			return span_trim(span_from(line, want.n + 1));
		head = span_from(head, n + 1);
	}
	return (struct span){ 0 };
}

/* 15.2, -3: digits, and a point. */
static bool
read_number(struct span s, double *out)
{
	char text[32], *end;

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.' && s.p[i] != '-')
			return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*out = strtod(text, &end);
	return *end == '\0';
}

/* "True ; 15.2 / 5.0", and names with commas between. */
static enum filter_status
read_spamd(struct span head, struct span body, struct arena *a, struct facts *f, const char **why)
{
	struct span spam = field(head, "Spam"), *v = arena_array(a, FACTS_SYMBOLS_MAX, sizeof(*v));
	size_t at = span_find(spam, ';'), slash = span_find(spam, '/');

	if (at >= spam.n || slash >= spam.n || slash < at ||
	    !read_number(span_trim(span_sub(spam, at + 1, slash - at - 1)), &f->spam_score)) {
		*why = "spamd does not say a score";
		return FILTER_NONSENSE;
	}
	while (body.n) {
		size_t n = 0;

		while (n < body.n && body.p[n] != ',' && body.p[n] != '\n' && body.p[n] != '\r')
			n++;
		add_symbol(a, f, v, span_sub(body, 0, n));
		body = span_from(body, n + 1);
	}
	f->spam_symbols = v;
	f->spam_known = true;
	f->spam_by = SPAM_SOURCE_SPAMD;
	return FILTER_SAID;
}

/* {"score":5.2,"action":"add header","symbols":{"NAME":{"score":1.5,…},…},…} */
static enum filter_status
read_rspamd(struct span body, struct arena *a, struct facts *f, const char **why)
{
	struct span *v = arena_array(a, FACTS_SYMBOLS_MAX, sizeof(*v)), name;
	const struct jval *symbols;
	struct err err;
	struct jval *j = jval_parse(body, &err);
	bool reject;

	if (j == NULL || !jval_has(j, "score")) {
		jval_free(&j);
		*why = "rspamd does not say a score";
		return FILTER_NONSENSE;
	}
	reject = span_is(jval_text(j, "action"), "reject");
	if (!jval_bool(j, "is_skipped") || reject) {
		f->spam_score = jval_num(jval_get(j, "score"), 0);
		symbols = jval_get(j, "symbols");
		for (size_t i = 0; jval_member(symbols, i, &name) != NULL; i++)
			add_symbol(a, f, v, name);
		/* What it refuses whatever the score (GTUBE, a map of senders) is spam. */
		if (reject)
			f->spam_class = SPAN_LIT("spam");
		f->spam_symbols = v;
		f->spam_known = true;
		f->spam_by = SPAM_SOURCE_RSPAMD;
	}
	jval_free(&j);
	if (!f->spam_known)
		*why = "rspamd skipped it";
	return f->spam_known ? FILTER_SAID : FILTER_NONSENSE;
}

/* The end of the header fields; 0: it is not there yet. */
static size_t
head_end(struct span s)
{
	const char *at = s.n ? memmem(s.p, s.n, "\r\n\r\n", 4) : NULL;

	return at ? (size_t)(at - s.p) + 4 : 0;
}

static bool
first_line_fine(const struct conf_filter *conf, struct span s)
{
	struct span line = span_trim(span_sub(s, 0, span_find(s, '\n')));
	size_t at = span_find(line, ' ');
	struct span code = span_from(line, at < line.n ? at + 1 : at);

	if (conf->kind == FILTER_SPAMD)
		return span_starts(line, SPAN_LIT("SPAMD/1.")) && span_starts(code, SPAN_LIT("0 "));
	return span_starts(line, SPAN_LIT("HTTP/1.")) && span_starts(code, SPAN_LIT("200"));
}

enum filter_status
filter_heard(const struct conf_filter *conf, struct span heard, bool eof, struct arena *a,
    struct facts *f, const char **why)
{
	size_t end = head_end(heard);
	struct span head, body, length;
	uint64_t n;

	*f = (struct facts){ 0 };
	if (heard.n > FILTER_REPLY_MAX) {
		*why = "the answer is too long";
		return FILTER_NONSENSE;
	}
	if (end == 0) {
		*why = "the connection was closed before an answer";
		return eof ? FILTER_NONSENSE : FILTER_MORE;
	}
	head = span_sub(heard, 0, end);
	body = span_from(heard, end);
	if (!first_line_fine(conf, head)) {
		*why = "the answer is a refusal";
		return FILTER_NONSENSE;
	}
	length = field(head, "Content-Length");
	if (length.n) {
		if (!parse_uint(length, FILTER_REPLY_MAX, &n)) {
			*why = "the answer has no length that makes sense";
			return FILTER_NONSENSE;
		}
		if (body.n < n && eof) {
			*why = "the answer was cut off";
			return FILTER_NONSENSE;
		}
		if (body.n < n)
			return FILTER_MORE;
		body = span_sub(body, 0, n);
	} else if (!eof)
		return FILTER_MORE;
	return conf->kind == FILTER_SPAMD ? read_spamd(head, body, a, f, why) :
	    read_rspamd(body, a, f, why);
}
