/* audit_query.c -- see audit_query.h. */
#include <errno.h>

#include "conf.h"
#include "postern/policy.h"
#include "store/audit.h"
#include "store/audit_query.h"

struct span
audit_act(struct span what)
{
	static const struct { struct span from, to; } acts[] = {
#define X(from, to) { { from, sizeof(from) - 1 }, { to, sizeof(to) - 1 } },
		AUDIT_ACTS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (span_eq(acts[i].from, what))
			return acts[i].to;
	return what;
}

static int
moment(struct span key, struct span text, int64_t now, int64_t *us, struct err *err)
{
	int64_t length;

	if (parse_duration(text, &length) && length > 0 && length <= now)
		*us = now - length;
	else if (!policy_moment_parse(text, us))
		return err_set(err, EINVAL, "`" SPAN_FMT ":" SPAN_FMT "`: a duration as in 1d, or a day as in "
		    "2026-11-20", SPAN_ARG(key), SPAN_ARG(text));
	return 0;
}

static int
term(struct span key, struct span text, int64_t now, struct audit_query *out, struct err *err)
{
	struct audit_term *t = &out->terms[out->n];

	if (span_is(key, "since"))
		return moment(key, text, now, &out->since, err);
	if (span_is(key, "before"))
		return moment(key, text, now, &out->before, err);
	if (out->n == AUDIT_TERMS_MAX)
		return err_set(err, EINVAL, "at most %d words are searched for", AUDIT_TERMS_MAX);
	t->text = text;
	t->kind = span_is(key, "who") ? AUDIT_WHO : span_is(key, "what") ? AUDIT_ACT : AUDIT_WORD;
	out->n++;
	return 0;
}

/* A word with a colon in front of which no key of ours stands is a word: an address of IPv6, a time. */
static bool
is_key(struct span s)
{
	return span_is(s, "who") || span_is(s, "what") || span_is(s, "since") || span_is(s, "before");
}

int
audit_query_parse(struct span q, int64_t now, struct audit_query *out, struct err *err)
{
	*out = (struct audit_query){ 0 };
	while ((q = span_trim(q)).n) {
		size_t colon = span_find(q, ':'), blank = span_find(q, ' ');
		struct span key = { 0 }, text;

		if (colon < blank && is_key(span_sub(q, 0, colon))) {
			key = span_sub(q, 0, colon);
			q = span_from(q, colon + 1);
		}
		if (q.n && q.p[0] == '"') {
			q = span_from(q, 1);
			blank = span_find(q, '"');
			text = span_sub(q, 0, blank);
			blank += blank < q.n;
		} else {
			blank = span_find(q, ' ');
			text = span_sub(q, 0, blank);
		}
		if (text.n == 0 && key.n)
			return err_set(err, EINVAL, "`" SPAN_FMT ":` says nothing", SPAN_ARG(key));
		if (text.n && term(key, text, now, out, err) == -1)
			return -1;
		q = span_from(q, blank);
	}
	if (out->since && out->before && out->since >= out->before)
		return err_set(err, EINVAL, "`since:` is not before `before:`: nothing can lie between");
	return 0;
}

static bool
has(struct span s, struct span word)
{
	for (size_t at = 0; at + word.n <= s.n; at++)
		if (span_eq_nocase(span_sub(s, at, word.n), word))
			return true;
	return false;
}

/* kept.release, or all of `kept`; asked for by any of its names. */
static bool
is_act(struct span act, struct span asked)
{
	struct span name = audit_act(asked);

	return span_eq_nocase(act, name) || span_eq_nocase(act, asked) || (act.n > asked.n && act.p[asked.n] == '.' &&
	    span_eq_nocase(span_sub(act, 0, asked.n), asked));
}

bool
audit_query_has(const struct audit_query *q, const struct audit_shown *r)
{
	struct span act = audit_act(r->what);

	for (size_t i = 0; i < q->n; i++) {
		struct span x = q->terms[i].text;
		bool yes = false;

		switch (q->terms[i].kind) {
		case AUDIT_WHO:
			yes = has(r->who, x);
			break;
		case AUDIT_ACT:
			yes = is_act(act, x) || (span_is(r->what, AUDIT_WHAT_REFUSED) &&
			    (is_act(audit_act(r->detail), x) || is_act(audit_act(r->subject), x)));
			break;
		case AUDIT_WORD:
			yes = has(r->who, x) || has(r->what, x) || has(act, x) || has(r->subject, x) ||
			    has(r->detail, x);
			break;
		}
		if (!yes)
			return false;
	}
	return true;
}
