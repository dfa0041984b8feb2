/* experience_control.c -- our own experience, for people: what is counted of an address or a domain,
 * its score, and why, in words. Any receiver answers: the counts are shared.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "clock.h"
#include "ipc/principal.h"
#include "json.h"
#include "log.h"
#include "receiver/counting.h"
#include "receiver/experience.h"

#define LIST_MAX 1000
#define LIST_USUAL 50
#define DAY (INT64_C(86400))

static void
begin(struct json *j, struct buf *out)
{
	json_begin(j, out);
	json_object(j);
	json_kint(j, "v", 1);
}

static void
end(struct json *j)
{
	json_end_object(j);
	buf_putc(j->b, '\n');
}

static void
refuse(struct buf *out, const char *text)
{
	struct json j;

	begin(&j, out);
	json_kcstr(&j, "error", text);
	end(&j);
}

/* ---- words ---- */

/* "about 12 messages, 9 of them spam, 1 clean; 4 unknown recipients" */
static void
put_counts(struct buf *b, const struct reputation_counts *c)
{
	const char *before = "";

	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++) {
		long n = lround(c->n[i]);

		if (n < 1)
			continue;
		buf_printf(b, "%s%ld %s", before, n,
		    reputation_event_words((enum reputation_event)i, n != 1));
		before = i == REPUTATION_MESSAGES ? ": " : ", ";
	}
	if (*before == '\0')
		buf_puts(b, "nothing that has not faded");
}

static void
put_subject(struct buf *b, const char *what, struct span name, const struct reputation_counts *c,
    int64_t now)
{
	int64_t days = (now / US_PER_SEC - c->since) / DAY;

	buf_printf(b, "%s %.*s, known for %lld day%s: ", what, SPAN_ARG(name), (long long)days,
	    days == 1 ? "" : "s");
	put_counts(b, c);
}

static const char *
grade(int score)
{
	return score < 20 ? "bad" : score < 50 ? "doubtful" : score == 50 ? "unknown" :
	    score <= 80 ? "good so far" : "good";
}

/* One sentence for each thing that made the score. */
static void
put_why(struct receiver *rx, struct json *j, const struct reputation_who *who,
    const struct reputation_answer *a, int64_t now)
{
	const struct conf_reputation *conf = &rx->rt->conf->verify.reputation;
	char address[REPUTATION_NAME_MAX], network[REPUTATION_NAME_MAX];
	struct buf b;

	buf_init(&b, 4096);
	reputation_names(who->client, address, network);
	json_key(j, "why");
	json_array(j);
	if (a->address.there)
		put_subject(&b, "the address", span_str(address), &a->address, now);
	else if (who->client.family)
		buf_printf(&b, "nothing is counted of %s", address);
	if (buf_size(&b))
		json_str(j, buf_data(&b));
	buf_reset(&b);
	if (a->network.there) {
		put_subject(&b, "its network", span_str(network), &a->network, now);
		json_str(j, buf_data(&b));
		buf_reset(&b);
	}
	if (a->domain.there) {
		put_subject(&b, "the domain", who->domain, &a->domain, now);
		json_str(j, buf_data(&b));
		buf_reset(&b);
	} else if (who->domain.n) {
		buf_printf(&b, "nothing is counted of the domain %.*s", SPAN_ARG(who->domain));
		json_str(j, buf_data(&b));
		buf_reset(&b);
	}
	if (a->score == REPUTATION_MIDDLE)
		buf_puts(&b, "that is too little, or too much of both, to say anything: 50 of 100");
	else
		buf_printf(&b, "so it is %s: %d of 100, and nine times in ten no nearer to 50", grade(a->score),
		    a->score);
	json_str(j, buf_data(&b));
	buf_reset(&b);
	buf_printf(&b, "what was counted loses half of itself in %.3g days",
	    (double)conf->half_life / (double)US_PER_SEC / (double)DAY);
	json_str(j, buf_data(&b));
	buf_reset(&b);
	if (conf->defer && a->score < (int)conf->defer) {
		buf_puts(&b, "below `verify.reputation.defer`: its recipients are put off with 451");
		json_str(j, buf_data(&b));
	}
	json_end_array(j);
	buf_release(&b);
}

/* ---- JSON ---- */

static void
put_numbers(struct json *j, const char *key, struct span name, const struct reputation_counts *c)
{
	json_key(j, key);
	if (!c->there) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kstr(j, "name", name);
	json_kint(j, "since", c->since);
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++) {
		json_key(j, reputation_event_name((enum reputation_event)i));
		json_num(j, c->n[i]);
	}
	json_end_object(j);
}

static void
show(struct receiver *rx, const struct reputation_who *who, struct span asked, struct buf *out)
{
	char address[REPUTATION_NAME_MAX], network[REPUTATION_NAME_MAX];
	struct reputation_answer a;
	int64_t now = clock_real();
	struct json j;

	reputation_names(who->client, address, network);
	reputation_ask(&rx->reputation, who, now, &a);
	begin(&j, out);
	json_kstr(&j, "address", asked);
	json_kbool(&j, "on", !rx->rt->conf->verify.reputation.off);
	json_kint(&j, "score", a.score);
	json_kcstr(&j, "grade", grade(a.score));
	json_kint(&j, "client", a.client);
	json_kint(&j, "author", a.author);
	json_kuint(&j, "weight", rx->rt->conf->verify.reputation.weight);
	put_numbers(&j, "counts", span_str(address), &a.address);
	put_numbers(&j, "network", span_str(network), &a.network);
	put_numbers(&j, "domain", who->domain, &a.domain);
	put_why(rx, &j, who, &a, now);
	end(&j);
}

/* ---- the worst ---- */

struct worst {
	struct reputation_row row;
	int score;
	double bad;
};

/* Worst first; of the same score the one that has done more. */
static bool
is_worse(const struct worst *a, const struct worst *b)
{
	return a->score != b->score ? a->score < b->score : a->bad > b->bad;
}

/* Keeps the n worst, in order. */
static void
keep(struct worst *v, size_t *n, size_t max, const struct worst *w)
{
	size_t at = *n;

	while (at && is_worse(w, &v[at - 1]))
		at--;
	if (at == max)
		return;
	if (*n < max)
		(*n)++;
	memmove(v + at + 1, v + at, (*n - at - 1) * sizeof(*v));
	v[at] = *w;
}

static void
list(struct receiver *rx, size_t max, struct buf *out)
{
	static const char *const kinds[] = { "address", "network", "domain" };
	struct worst *v = calloc(max, sizeof(*v)), w = { 0 };
	int64_t now = clock_real();
	size_t at = 0, n = 0;
	struct json j;

	ASSERT_MEMORY(v);
	while (reputation_next(&rx->reputation, &at, now, &w.row)) {
		w.score = reputation_score(&w.row.counts, NULL);
		w.bad = w.row.counts.n[REPUTATION_SPAM] + w.row.counts.n[REPUTATION_VIRUS];
		if (w.row.counts.there && w.score < REPUTATION_MIDDLE)
			keep(v, &n, max, &w);
	}
	for (size_t i = 0; i < n; i++) {
		begin(&j, out);
		json_kcstr(&j, "kind", kinds[v[i].row.kind == 'a' ? 0 : v[i].row.kind == 'n' ? 1 : 2]);
		json_kint(&j, "score", v[i].score);
		put_numbers(&j, "counts", span_str(v[i].row.name), &v[i].row.counts);
		end(&j);
	}
	free(v);
}

/* ---- requests ---- */

/* An address of a client, or a domain. */
static bool
who_is(struct span text, struct arena *a, struct reputation_who *who)
{
	*who = (struct reputation_who){ 0 };
	if (ip_parse(text, &who->client))
		return true;
	return span_find(text, '.') < text.n && domain_normalise(a, text, &who->domain) &&
	    who->domain.n < REPUTATION_NAME_MAX - 1;
}

static void
answer(struct receiver *rx, const struct jval *req, const struct principal *p, struct arena *a,
    struct buf *out)
{
	struct span cmd = jval_text(req, "cmd"), text = jval_text(req, "address");
	int64_t limit = jval_int(req, "limit", LIST_USUAL);
	struct reputation_who who;
	struct json j;
	bool any;

	if (!principal_sees_all(p)) {
		refuse(out, "not found");
	} else if (span_is(cmd, "reputation.list")) {
		list(rx, (size_t)(limit < 1 ? 1 : limit > LIST_MAX ? LIST_MAX : limit), out);
	} else if (!who_is(text, a, &who)) {
		refuse(out, "reputation: `address` is an IP address or a domain");
	} else if (span_is(cmd, "reputation.show")) {
		show(rx, &who, text, out);
	} else if (!principal_is(p, PRINCIPAL_BIT(OPERATOR))) {
		refuse(out, "not found");
	} else if (span_is(cmd, "reputation.forget")) {
		any = reputation_forget(&rx->reputation, &who, clock_real());
		if (rx->counting)
			counting_forget_reputation(rx->counting, &who);
		begin(&j, out);
		json_kstr(&j, "address", text);
		json_kbool(&j, "forgotten", any);
		end(&j);
		log_info("reputation of %.*s forgotten by %.*s", SPAN_ARG(span_sub(text, 0, 255)),
		    SPAN_ARG(p->name.n ? p->name : SPAN_LIT("the control socket")));
	} else {
		refuse(out, "the receiver knows reputation.show, .list and .forget");
	}
}

void
experience_client(struct receiver *rx, struct span request, uint32_t uid, struct buf *out)
{
	struct arena *a = arena_new(0);
	struct principal p;
	struct jval *req;
	struct err err;

	if ((req = jval_parse(request, &err)) == NULL ||
	    principal_read(req, uid, a, &p, &err) == -1)
		refuse(out, err.text);
	else
		answer(rx, req, &p, a, out);
	jval_free(&req);
	arena_free(&a);
}
