/* retry.c -- see retry.h. */
#include "postern/err.h"
#include "queue/retry.h"

#define MINUTES(n) ((int64_t)(n) * 60 * 1000000)

/* Pauses of all classes, one class a row; 0 ends it. */
static const int16_t minutes[RETRY_CLASSES][8] = {
#define X(name, key, phrase, ...) { __VA_ARGS__ },
	RETRY_TABLE(X)
#undef X
};

const char *
retry_name(enum retry_class c)
{
	static const char *const names[] = {
#define X(name, key, phrase, ...) key,
		RETRY_TABLE(X)
#undef X
	};

	return c < RETRY_CLASSES ? names[c] : "unknown";
}

const char *
retry_phrase(enum retry_class c)
{
	static const char *const phrases[] = {
#define X(name, key, phrase, ...) phrase,
		RETRY_TABLE(X)
#undef X
	};

	return c < RETRY_CLASSES ? phrases[c] : "unknown";
}

struct retry_curve
retry_default(enum retry_class c)
{
	static int64_t pauses[RETRY_CLASSES][8];
	struct retry_curve out = { pauses[c], 0 };

	ASSERT(c < RETRY_CLASSES);
	for (; out.n < 8 && minutes[c][out.n] > 0; out.n++)
		pauses[c][out.n] = MINUTES(minutes[c][out.n]);
	return out;
}

int64_t
retry_pause(const struct retry_curve curves[RETRY_CLASSES], enum retry_class c, unsigned failed)
{
	const struct retry_curve *k = curves[c].n ? &curves[c] : &curves[RETRY_DEFAULT];
	size_t i = failed == 0 ? 0 : failed - 1;

	ASSERT(k->n > 0);
	return k->pause[i < k->n ? i : k->n - 1];
}

/* ---- words ---- */

static size_t
find_nocase(struct span s, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= s.n; i++)
		if (ascii_lower(s.p[i]) == word[0] &&
		    span_eq_nocase(span_sub(s, i, n), span_make(word, n)))
			return i;
	return s.n;
}

static bool
says(struct span reply, const char *const *words)
{
	for (; *words; words++)
		if (find_nocase(reply, *words) < reply.n)
			return true;
	return false;
}

enum retry_class
retry_classify(enum fail_class cls, struct span dsn, struct span reply)
{
	static const char *const grey[] = { "greylist", "graylist", "grey-list", "gray-list",
		"grey list", "gray list", NULL };
	static const char *const full[] = { "mailbox full", "mailbox is full", "over quota",
		"overquota", "quota exceeded", "exceeded storage", NULL };
	static const char *const rate[] = { "rate limit", "ratelimit", "sending rate", "too many",
		"too fast", "throttl", "unexpected volume", "too much mail", NULL };

	switch (cls) {
	case FAIL_DNS:
		return RETRY_DNS;
	case FAIL_CONNECT:
		return RETRY_CONNECT;
	case FAIL_TLS:
		return RETRY_TLS;
	default:
		break;
	}
	if (says(reply, grey))
		return RETRY_GREYLISTED;
	if (span_is(dsn, "4.2.2") || says(reply, full))
		return RETRY_MAILBOX_FULL;
	if (span_starts(reply, SPAN_LIT("421")) || span_is(dsn, "4.7.28") || says(reply, rate))
		return RETRY_RATE;
	/* A conversation that broke off, and a banner that is none: as if nobody were there. */
	if (cls == FAIL_GREETING || (cls == FAIL_SITE && span_is(dsn, "4.4.2")))
		return RETRY_CONNECT;
	if (cls == FAIL_SITE)
		return RETRY_RATE;
	/* Greylisting by another name: a recipient refused for now by policy (RFC 6647, 2.1). */
	if (cls == FAIL_RECIPIENT && span_is(dsn, "4.7.1"))
		return RETRY_GREYLISTED;
	if (cls == FAIL_MESSAGE && span_starts(dsn, SPAN_LIT("4.7.")) &&
	    (span_is(dsn, "4.7.4") || span_is(dsn, "4.7.5")))
		return RETRY_TLS;
	return RETRY_DEFAULT;
}

enum retry_class
retry_of_site(enum fail_class cls)
{
	switch (cls) {
	case FAIL_DNS:
		return RETRY_DNS;
	case FAIL_TLS:
		return RETRY_TLS;
	case FAIL_SITE:
		return RETRY_RATE;
	default:
		return RETRY_CONNECT;
	}
}

/* ---- the time they ask for ---- */

static bool
number_at(struct span s, size_t *at, int64_t *v)
{
	size_t from = *at;

	*v = 0;
	while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9' && *at - from < 6)
		*v = *v * 10 + (s.p[(*at)++] - '0');
	return *at > from;
}

/* "300 seconds", "5 min", "00:05:00", "04:59" at a digit; microseconds, 0: none of these. */
static int64_t
time_at(struct span s, size_t *at)
{
	int64_t v, sum = 0;
	size_t parts = 1, unit;

	(void)number_at(s, at, &v);
	for (sum = v; parts < 3 && *at + 1 < s.n && s.p[*at] == ':'; parts++) {
		size_t next = *at + 1;

		if (!number_at(s, &next, &v) || next - *at != 3)
			return 0;
		*at = next;
		sum = sum * 60 + v;
	}
	if (parts > 1)
		return sum * 1000000;
	for (unit = *at; unit < s.n && (s.p[unit] == ' ' || s.p[unit] == '-'); unit++)
		;
	s = span_from(s, unit);
	if (span_starts_nocase(s, SPAN_LIT("sec")))
		return sum * 1000000;
	if (span_starts_nocase(s, SPAN_LIT("min")))
		return MINUTES(sum);
	return 0;
}

int64_t
retry_hint(struct span reply)
{
	for (size_t at = 0; at < reply.n; ) {
		int64_t us;

		if (reply.p[at] < '0' || reply.p[at] > '9') {
			at++;
			continue;
		}
		us = time_at(reply, &at);
		if (us > 0)
			return us < RETRY_HINT_MIN ? RETRY_HINT_MIN :
			    us > RETRY_HINT_MAX ? RETRY_HINT_MAX : us;
		/* The rest of a longer word of digits and dots is no number of its own. */
		while (at < reply.n && ((reply.p[at] >= '0' && reply.p[at] <= '9') ||
		    reply.p[at] == '.' || reply.p[at] == ':'))
			at++;
	}
	return 0;
}
