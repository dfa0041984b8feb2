/* clamd_reply.c -- what clamd says, taken apart; see clamd.h.
 *
 * clamd may be another machine's, or somebody else at that address: an answer
 * counts only when it is one word for word, and for the request that was made. Above all nothing
 * but "stream: OK" and "fd[N]: OK" is clean.
 */
#include <string.h>

#include "conf.h"
#include "scanner/clamd.h"

static bool
printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* Takes "ID: " off. */
static bool
take_id(struct span *s, uint32_t id)
{
	size_t colon = span_find(*s, ':');
	uint64_t n;

	if (s->n > CLAMD_REPLY_MAX || s->n == 0 || s->p[0] == '0' || !printable(*s) || colon + 1 >= s->n || s->p[colon + 1] != ' ' ||
	    !parse_uint(span_sub(*s, 0, colon), UINT32_MAX, &n) || n != id)
		return false;
	*s = span_from(*s, colon + 2);
	return true;
}

/* Takes "stream: " or "fd[N]: " off. */
static bool
take_subject(struct span *s)
{
	size_t colon = span_find(*s, ':');
	struct span what = span_sub(*s, 0, colon);
	uint64_t n;

	if (colon + 1 >= s->n || s->p[colon + 1] != ' ')
		return false;
	if (!span_is(what, "stream") && !(what.n > 4 && span_starts(what, SPAN_LIT("fd[")) &&
	    what.p[what.n - 1] == ']' && parse_uint(span_sub(what, 3, what.n - 4), UINT32_MAX, &n)))
		return false;
	*s = span_from(*s, colon + 2);
	return true;
}

static bool
take_end(struct span *s, const char *word)
{
	size_t n = strlen(word);

	if (s->n <= n || memcmp(s->p + s->n - n, word, n) != 0 || s->p[s->n - n - 1] != ' ')
		return false;
	*s = span_sub(*s, 0, s->n - n - 1);
	return true;
}

enum clamd_word
clamd_reply_parse(struct span s, uint32_t id, struct span *text)
{
	struct span rest;

	*text = (struct span){ 0 };
	if (!take_id(&s, id))
		return CLAMD_GARBAGE;
	if (take_end(&s, "ERROR")) {
		*text = s;
		return memmem(s.p, s.n, "size limit exceeded", 19) ? CLAMD_LIMIT : CLAMD_ERROR;
	}
	if (!take_subject(&s))
		return CLAMD_GARBAGE;
	if (span_is(s, "OK"))
		return CLAMD_OK;
	if (!take_end(&s, "FOUND"))
		return CLAMD_GARBAGE;
	/* ExtendedDetectionInfo: NAME(md5:size) */
	rest = span_sub(s, 0, span_find(s, '('));
	if (rest.n == 0 || rest.n > 200 || span_find(rest, ' ') < rest.n)
		return CLAMD_GARBAGE;
	*text = rest;
	return CLAMD_FOUND;
}

/* ---- VERSION ---- */

static int64_t
days_since_1970(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 719469;
}

/* The next word of a date; colons part them, too. */
static struct span
word(struct span *s)
{
	struct span w;
	size_t n = 0;

	while (s->n && (s->p[0] == ' ' || s->p[0] == ':'))
		*s = span_from(*s, 1);
	while (n < s->n && s->p[n] != ' ' && s->p[n] != ':')
		n++;
	w = span_sub(*s, 0, n);
	*s = span_from(*s, n);
	return w;
}

/* As ctime(3) writes it. 0: it is none. */
static int64_t
date_parse(struct span s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t day, h, m, sec, year;
	struct span month;
	const char *at;

	word(&s);
	month = word(&s);
	if (month.n != 3 || (at = memmem(months, 36, month.p, 3)) == NULL || (at - months) % 3 ||
	    !parse_uint(word(&s), 31, &day) || !parse_uint(word(&s), 23, &h) ||
	    !parse_uint(word(&s), 59, &m) || !parse_uint(word(&s), 60, &sec) ||
	    !parse_uint(word(&s), 9999, &year) || year < 1990 || day == 0)
		return 0;
	return days_since_1970((int64_t)year, (at - months) / 3 + 1, (int64_t)day) * 86400 +
	    (int64_t)(h * 3600 + m * 60 + sec);
}

bool
clamd_version_parse(struct span s, uint32_t id, struct clamd_version *out)
{
	static const struct span name = { "ClamAV ", 7 };
	uint64_t daily = 0;
	size_t slash;

	*out = (struct clamd_version){ 0 };
	if (!take_id(&s, id) || !span_starts(s, name))
		return false;
	s = span_from(s, name.n);
	slash = span_find(s, '/');
	out->version = span_sub(s, 0, slash);
	if (out->version.n == 0 || out->version.n > 40 || span_find(out->version, ' ') < out->version.n)
		return false;
	s = span_from(s, slash + (slash < s.n));
	if (s.n == 0)
		return true;
	slash = span_find(s, '/');
	if (!parse_uint(span_sub(s, 0, slash), UINT32_MAX, &daily))
		return false;
	out->daily = (unsigned)daily;
	out->made = date_parse(span_from(s, slash + (slash < s.n)));
	return true;
}
