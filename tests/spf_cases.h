/* spf_cases.h -- the cases of tests/corpus/spf/, and the DNS they are judged against.
 *
 * A file has a `zone` (names with records) and `cases`. A case is judged against
 * its own `zone`, then the record `spf` of the domain example.com, then the zone
 * of its file. What the zone says travels as a DNS packet through dns_read, as it
 * would from a server. In texts, \xNN is a byte; 'a' 'b' are two strings of one
 * TXT record; `x12 A 10.0.0.#` stands for twelve records.
 */
#ifndef TESTS_SPF_CASES_H
#define TESTS_SPF_CASES_H

#include <arpa/inet.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "buf.h"
#include "conf.h"
#include "fs.h"
#include "verifier/spf.h"

#define SUITE_MAX 1000
#define SPF_NOW (INT64_C(1700000000) * 1000000)

struct spf_case {
	struct span id, rfc, why, want, or_want, explanation, by, problem;
	struct spf_request request;
	struct span spf;
	const struct conf_node *own, *shared;	/* zones */
};

struct spf_suite {
	struct arena *a;
	struct spf_case *cases;
	size_t n;
};

static struct span
spf_field(const struct conf_node *n, const char *key, const char *otherwise)
{
	struct conf_node *v = conf_get(n, key);

	if (v && v->kind == CONF_LIST)
		v = v->first;
	return v ? v->text : span_str(otherwise);
}

/* \xNN */
static struct span
spf_unescape(struct arena *a, struct span s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 3 < s.n && s.p[i + 1] == 'x') {
			char hex[3] = { s.p[i + 2], s.p[i + 3], 0 };

			out[n++] = (char)strtoul(hex, NULL, 16);
			i += 3;
		} else
			out[n++] = s.p[i];
	}
	return span_make(out, n);
}

static inline void
spf_suite_add(void *suite, struct conf_node *file, struct conf_node *c)
{
	struct spf_suite *s = suite;
	static const char *const known[] = { "id", "rfc", "why", "want", "spf", "zone", "ip", "helo", "from",
		"receiver", "helo-only", "exp", "by", "problem", NULL };
	struct conf_node *want = conf_get(c, "want");
	struct spf_case *k = &s->cases[s->n++];
	struct diags d;

	ASSERT(s->n <= SUITE_MAX);
	diags_init(&d, s->a);
	conf_check_keys(&d, c, "case", known);
	ASSERT(d.errors == 0);
	k->id = spf_field(c, "id", "");
	k->rfc = spf_field(c, "rfc", "");
	k->why = spf_field(c, "why", "");
	k->want = spf_field(c, "want", "");
	k->or_want = want && want->kind == CONF_LIST && want->first->next ? want->first->next->text :
	    (struct span){ 0 };
	k->explanation = spf_field(c, "exp", NULL);
	k->by = spf_field(c, "by", NULL);
	k->problem = spf_field(c, "problem", NULL);
	k->spf = spf_unescape(s->a, spf_field(c, "spf", NULL));
	k->own = conf_get(c, "zone");
	k->shared = conf_get(file, "zone");
	k->request.helo = spf_unescape(s->a, spf_field(c, "helo", "mail.example.com"));
	k->request.mail_from = spf_unescape(s->a, spf_field(c, "from", "user@example.com"));
	k->request.receiver = spf_field(c, "receiver", "gw.receiver.example");
	k->request.helo_only = conf_get(c, "helo-only") != NULL;
	k->request.now = SPF_NOW;
	k->request.explain = true;
	ASSERT(k->id.n && k->rfc.n && k->why.n && k->want.n);
	ASSERT(ip_parse(spf_field(c, "ip", "192.0.2.1"), &k->request.ip));
}

/* Every case of every file of the folder, in their order. Ends the program when a file is wrong. */
static inline void
cases_load(struct arena *a, const char *pattern, void (*add)(void *suite, struct conf_node *file, struct conf_node *c),
    void *suite)
{
	struct err err;
	glob_t g;

	ASSERT(glob(pattern, 0, NULL, &g) == 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct conf_node *file;
		struct span text;
		struct diags d;
		struct buf out;

		diags_init(&d, a);
		ASSERT(fs_read(a, g.gl_pathv[i], 1 << 20, &text, &err) == 0);
		file = conf_parse(g.gl_pathv[i], text, &d);
		if (file == NULL || d.errors) {
			buf_init(&out, 1 << 16);
			diags_print(&d, &out, NULL, false);
			fprintf(stderr, SPAN_FMT "\n", SPAN_ARG(buf_data(&out)));
			abort();
		}
		CONF_EACH(c, conf_get(file, "cases"))
			add(suite, file, c);
	}
	globfree(&g);
}

static inline void
spf_suite_load(struct spf_suite *s, const char *pattern)
{
	s->a = arena_new(1 << 16);
	s->cases = arena_array(s->a, SUITE_MAX, sizeof(*s->cases));
	cases_load(s->a, pattern, spf_suite_add, s);
}

/* ---- the DNS ---- */

struct spf_packet {
	unsigned char p[65536];
	size_t n;
	unsigned answers;
};

static inline void
spf_put16(struct spf_packet *k, unsigned v)
{
	k->p[k->n++] = (unsigned char)(v >> 8);
	k->p[k->n++] = (unsigned char)v;
}

static inline void
spf_put_name(struct spf_packet *k, struct span name)
{
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	while (name.n) {
		struct span label = span_sub(name, 0, span_find(name, '.'));

		k->p[k->n++] = (unsigned char)label.n;
		memcpy(k->p + k->n, label.p, label.n);
		k->n += label.n;
		name = span_from(name, label.n + 1);
	}
	k->p[k->n++] = 0;
}

static inline void
spf_put_string(struct spf_packet *k, struct span s)
{
	do {
		struct span piece = span_sub(s, 0, 255);

		k->p[k->n++] = (unsigned char)piece.n;
		memcpy(k->p + k->n, piece.p, piece.n);
		k->n += piece.n;
		s = span_from(s, piece.n);
	} while (s.n);
}

static inline void
spf_put_data(struct spf_packet *k, uint16_t type, struct span data)
{
	char text[64];

	if (type == DNS_A || type == DNS_AAAA) {
		snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(data));
		ASSERT(inet_pton(type == DNS_A ? AF_INET : AF_INET6, text, k->p + k->n) == 1);
		k->n += type == DNS_A ? 4 : 16;
	} else if (type == DNS_TXT && data.n && data.p[0] == '\'') {
		while (data.n) {
			struct span s = span_from(data, 1);

			s.n = span_find(s, '\'');
			spf_put_string(k, s);
			data = span_trim(span_from(data, s.n + 2));
		}
	} else if (type == DNS_TXT) {
		spf_put_string(k, data);
	} else {
		if (type == DNS_MX) {
			spf_put16(k, (unsigned)atoi(data.p));
			data = span_trim(span_from(data, span_find(data, ' ')));
		}
		spf_put_name(k, data);
	}
}

static inline void
spf_put_record(struct spf_packet *k, uint16_t type, struct span data)
{
	size_t length;

	k->p[k->n++] = 0;	/* the owner: no test looks at it */
	spf_put16(k, type);
	spf_put16(k, 1);
	spf_put16(k, 0);
	spf_put16(k, 300);
	length = k->n;
	spf_put16(k, 0);
	spf_put_data(k, type, data);
	k->p[length] = (unsigned char)((k->n - length - 2) >> 8);
	k->p[length + 1] = (unsigned char)(k->n - length - 2);
	k->answers++;
}

static inline const char *
spf_type_name(uint16_t type)
{
	return type == DNS_A ? "A" : type == DNS_AAAA ? "AAAA" : type == DNS_MX ? "MX" :
	    type == DNS_PTR ? "PTR" : type == DNS_TXT ? "TXT" : "?";
}

static inline const struct conf_node *
spf_zone_name(const struct conf_node *zone, struct span name)
{
	CONF_EACH(n, zone) {
		struct span key = n->key;

		if (span_eq_nocase(key, name))
			return n;
	}
	return NULL;
}

/* `x12 A 10.0.0.#`: twelve, with # counted up. */
static inline unsigned
spf_times(struct span *line)
{
	unsigned times = 1;

	if (line->n && line->p[0] == 'x') {
		times = (unsigned)atoi(line->p + 1);
		*line = span_from(*line, span_find(*line, ' ') + 1);
	}
	return times;
}

static inline struct span
spf_counted(struct arena *a, struct span data, unsigned i)
{
	size_t at = span_find(data, '#');

	if (at == data.n)
		return data;
	return span_str(arena_printf(a, SPAN_FMT "%u" SPAN_FMT, SPAN_ARG(span_sub(data, 0, at)), i,
	    SPAN_ARG(span_from(data, at + 1))));
}

/* What the servers of the case say. */
static inline void
spf_case_answer(struct arena *a, const struct spf_case *c, struct span name, uint16_t type,
    struct dns_answer *out)
{
	static struct spf_packet k;
	const struct conf_node *n = spf_zone_name(c->own, name);
	const char *want = spf_type_name(type);
	bool example = span_is_nocase(name, "example.com") && c->spf.p;

	*out = (struct dns_answer){ .status = DNS_NXDOMAIN };
	if (n == NULL)
		n = spf_zone_name(c->shared, name);
	if (n == NULL && !example)
		return;
	memset(k.p, 0, 12);
	k.n = 12;
	k.answers = 0;
	if (example && type == DNS_TXT)
		spf_put_record(&k, DNS_TXT, c->spf);
	CONF_EACH(r, n) {
		struct span line = r->text, word;
		unsigned times = spf_times(&line);

		word = span_sub(line, 0, span_find(line, ' '));
		line = span_from(line, word.n + 1);
		if (span_is(word, "TIMEOUT") || span_is(word, "SERVFAIL") || span_is(word, "BOGUS")) {
			if (line.n && !span_is(line, want))
				continue;
			out->status = span_is(word, "TIMEOUT") ? DNS_TIMEOUT : span_is(word, "BOGUS") ?
			    DNS_BOGUS : DNS_SERVFAIL;
			return;
		}
		if (span_is(word, "CNAME")) {
			spf_case_answer(a, c, line, type, out);
			return;
		}
		for (unsigned i = 1; span_is(word, want) && i <= times; i++)
			spf_put_record(&k, type, spf_unescape(a, spf_counted(a, line, i)));
	}
	k.p[6] = (unsigned char)(k.answers >> 8);
	k.p[7] = (unsigned char)k.answers;
	dns_read(span_make((char *)k.p, k.n), type, out);
}

/* Judges the case. order: 0 answers come as asked, 1 the last question first. */
static inline const struct spf_result *
spf_case_run(struct arena *a, const struct spf_case *c, enum spf_engine engine, bool serial, int order,
    struct dns_book **book_out)
{
	static struct dns_answer answer;
	struct dns_book *book = dns_book_new(a);
	struct spf_request r = c->request;
	struct dns_question open[DNS_BOOK_MAX];
	struct spf *s;
	size_t n = 0;

	r.engine = engine;
	r.serial = serial;
	s = spf_new(a, book, &r);
	while (!spf_step(s)) {
		while (dns_book_next(book, &open[n]))
			n++;
		ASSERT(n > 0);		/* it waits, so there is something to wait for */
		if (order == 0) {
			struct dns_question first = open[0];

			memmove(open, open + 1, --n * sizeof(*open));
			open[n] = first;
		} else
			n--;
		spf_case_answer(a, c, span_str(open[n].name), open[n].type, &answer);
		dns_book_answer(book, open[n].id, &answer);
	}
	if (book_out)
		*book_out = book;
	return spf_result(s);
}

#endif
