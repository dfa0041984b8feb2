/* search_query.c -- the trace query language; see search_query.h. */
#include <errno.h>
#include <stdio.h>

#include "addr.h"
#include "clock.h"
#include "conf.h"
#include "id.h"
#include "ipc/messages.h"
#include "store/search_query.h"
#include "table.h"

#define DAY_US (24 * 3600 * US_PER_SEC)
#define COLUMNS "{sender rcpt subject files client rules} : "

static const char *const fields[SEARCH_FIELD_COUNT + 1] = {
#define X(name, text) [SEARCH_##name] = text,
	SEARCH_FIELDS(X)
#undef X
};

/* ---- values ---- */

static bool
digits(struct span s, size_t at, size_t n, int *out)
{
	*out = 0;
	if (at + n > s.n)
		return false;
	for (size_t i = at; i < at + n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*out = 10 * *out + s.p[i] - '0';
	}
	return true;
}

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t
days(int y, int m, int d)
{
	int64_t era, doe;
	int yoe;

	y -= m <= 2;
	era = y / 400;
	yoe = y - (int)era * 400;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + doe - 719468;
}

/* 2026-11-22, with T14:30 or T14:30:15, Z or nothing behind it: UTC all the same. */
static bool
date_parse(struct span s, int64_t *us)
{
	int y, m, d, h = 0, min = 0, sec = 0;

	if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z'))
		s.n--;
	if (!digits(s, 0, 4, &y) || !digits(s, 5, 2, &m) || !digits(s, 8, 2, &d) || s.p[4] != '-' ||
	    s.p[7] != '-' || y < 1970 || y > 9000 || m < 1 || m > 12 || d < 1 || d > 31)
		return false;
	if (s.n != 10 && (s.p[10] != 'T' || (s.n != 16 && s.n != 19) || !digits(s, 11, 2, &h) ||
	    s.p[13] != ':' || !digits(s, 14, 2, &min) || h > 23 || min > 59))
		return false;
	if (s.n == 19 && (s.p[16] != ':' || !digits(s, 17, 2, &sec) || sec > 60))
		return false;
	*us = days(y, m, d) * DAY_US + ((h * 60 + min) * INT64_C(60) + sec) * US_PER_SEC;
	return true;
}

static int
time_parse(struct span field, struct span s, int64_t now, int64_t *us, struct err *err)
{
	int64_t ago;

	if (span_is(s, "today"))
		*us = now - now % DAY_US;
	else if (span_is(s, "yesterday"))
		*us = now - now % DAY_US - DAY_US;
	else if (parse_duration(s, &ago) && ago < now)
		*us = now - ago;
	else if (!date_parse(s, us))
		return err_set(err, EINVAL, "`" SPAN_FMT ":` wants a time such as 2h, 7d, today, yesterday, "
		    "2026-11-22 or 2026-11-22T14:30 (UTC), not `" SPAN_FMT "`", SPAN_ARG(field), SPAN_ARG(s));
	if (*us <= 0)
		*us = 1;
	return 0;
}

static const char *const statuses[] = { "queued", "sent", "deferred", "failed", "held", "quarantined",
	"discarded", "rejected", "refused", "expired", "released", NULL };

static int
status_parse(struct span s, struct span *out, struct err *err)
{
	const char *near;

	for (size_t i = 0; statuses[i]; i++)
		if (span_is_nocase(s, statuses[i])) {
			*out = span_str(statuses[i]);
			return 0;
		}
	if ((near = conf_nearest(s, statuses)) != NULL)
		return err_set(err, EINVAL, "`" SPAN_FMT "` is no status: did you mean `%s`?", SPAN_ARG(s), near);
	return err_set(err, EINVAL, "`" SPAN_FMT "` is no status: queued, sent, deferred, failed, held, "
	    "quarantined, discarded, rejected, refused, expired or released", SPAN_ARG(s));
}

/* Something that a word can be made of. */
static bool
has_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)ascii_lower(s.p[i]);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80)
			return true;
	}
	return false;
}

/* ---- parts ---- */

static int
put_term(struct search_query *q, enum search_field field, struct span text, bool quoted,
    struct err *err)
{
	struct search_term *t = &q->terms[q->n];
	struct ip ip;

	if (q->n == SEARCH_TERMS_MAX)
		return err_set(err, E2BIG, "more than %d words: fewer say as much", SEARCH_TERMS_MAX);
	*t = (struct search_term){ .field = field, .text = text };
	if (!quoted && text.n > 1 && text.p[text.n - 1] == '*') {
		t->prefix = true;
		t->text.n--;
	}
	if (!quoted && t->text.n > 1 && t->text.p[0] == '<' && t->text.p[t->text.n - 1] == '>')
		t->text = span_sub(t->text, 1, t->text.n - 2);
	if (field == SEARCH_IP && !ip_parse(t->text, &ip))
		return err_set(err, EINVAL, "`ip:` wants an address such as 192.0.2.1 or 2001:db8::1, not `"
		    SPAN_FMT "`", SPAN_ARG(text));
	if (!has_word(t->text) && !(field == SEARCH_FROM && t->text.n == 0 && text.n == 2))
		return err_set(err, EINVAL, "there is no word to look for in `" SPAN_FMT "`", SPAN_ARG(text));
	q->n++;
	return 0;
}

static int
put_part(struct search_query *q, enum search_field field, struct span text, bool quoted,
    int64_t now, struct err *err)
{
	switch (field) {
	case SEARCH_SINCE:
		return time_parse(SPAN_LIT("since"), text, now, &q->since, err);
	case SEARCH_BEFORE:
		return time_parse(SPAN_LIT("before"), text, now, &q->before, err);
	case SEARCH_STATUS:
		return status_parse(text, &q->status, err);
	case SEARCH_ID:
		if (!id_parse(text, &q->id))
			return err_set(err, EINVAL, "a message id has 11 letters and digits, `" SPAN_FMT
			    "` is none", SPAN_ARG(text));
		q->has_id = true;
		return 0;
	default:
		return put_term(q, field, text, quoted, err);
	}
}

static bool
letters(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (c < 'a' || c > 'z')
			return false;
	}
	return s.n > 0;
}

/* "from:" in front of it: which field; ANY: none, the text is a word. */
static int
field_of(struct span part, bool next_quoted, enum search_field *field, size_t *skip, struct err *err)
{
	size_t colon = span_find(part, ':');
	struct span name = span_sub(part, 0, colon);
	const char *near;
	struct ip ip;

	*field = SEARCH_ANY;
	*skip = 0;
	if (colon == part.n || !letters(name) || ip_parse(part, &ip) ||
	    (colon + 1 == part.n && !next_quoted))	/* "Re:" */
		return 0;
	for (int f = 1; f < SEARCH_FIELD_COUNT; f++)
		if (span_is_nocase(name, fields[f])) {
			*field = (enum search_field)f;
			*skip = colon + 1;
			return 0;
		}
	if ((near = conf_nearest(name, fields + 1)) != NULL)
		return err_set(err, EINVAL, "`" SPAN_FMT ":` is no field: did you mean `%s:`? (a text with a "
		    "colon goes in quotes)", SPAN_ARG(name), near);
	return err_set(err, EINVAL, "`" SPAN_FMT ":` is no field; there are from, to, subject, file, client, ip, "
	    "rule, reply, id, status, since and before (a text with a colon goes in quotes)", SPAN_ARG(name));
}

int
search_parse(struct span text, int64_t now, struct arena *a, struct search_query *q,
    struct err *err)
{
	*q = (struct search_query){ 0 };
	text = span_trim(text);
	if (text.n == 0)
		return err_set(err, EINVAL, "there is nothing to look for");
	if (text.n > SEARCH_TEXT_MAX)
		return err_set(err, E2BIG, "a search has at most %d characters", SEARCH_TEXT_MAX);
	while (text.n) {
		size_t n = 0, skip, close;
		enum search_field field;
		bool quoted;

		while (n < text.n && !ascii_is_wsp(text.p[n]) && text.p[n] != '\n' && text.p[n] != '\r' &&
		    text.p[n] != '"')
			n++;
		quoted = n < text.n && text.p[n] == '"' && (n == 0 || text.p[n - 1] == ':');
		if (!quoted)
			while (n < text.n && !ascii_is_wsp(text.p[n]) && text.p[n] != '\n' &&
			    text.p[n] != '\r')
				n++;
		if (field_of(span_sub(text, 0, n), quoted, &field, &skip, err) == -1)
			return -1;
		if (quoted) {
			struct span rest = span_from(text, n + 1);

			if ((close = span_find(rest, '"')) == rest.n)
				return err_set(err, EINVAL, "a quote is opened and not closed");
			if (field == SEARCH_ANY && n > 0)
				return err_set(err, EINVAL, "`" SPAN_FMT "` before a quote is no field",
				    SPAN_ARG(span_sub(text, 0, n)));
			if (put_part(q, field, span_sub(rest, 0, close), true, now, err) == -1)
				return -1;
			text = span_trim(span_from(rest, close + 1));
			continue;
		}
		if (put_part(q, field, span_sub(text, skip, n - skip), false, now, err) == -1)
			return -1;
		text = span_trim(span_from(text, n));
	}
	if (q->since && q->before && q->since >= q->before)
		return err_set(err, EINVAL, "`since:` is not before `before:`: nothing can lie between");
	if (q->n == 1 && !q->has_id && q->terms[0].field == SEARCH_ANY && !q->terms[0].prefix &&
	    id_parse(q->terms[0].text, &q->id))
		q->has_id = true;	/* eleven letters may also be a word: the caller looks for both */
	return 0;
}

/* ---- tokens and expressions ---- */

const char *
search_key(enum search_key kind, struct span value, char out[SEARCH_KEY])
{
	static const uint8_t fixed[16] = "postern-search";
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	char lower[512];
	size_t n = value.n < sizeof(lower) ? value.n : sizeof(lower);
	uint64_t h;

	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(value.p[i]);
	h = siphash(fixed, lower, n);
	out[0] = (char)kind;
	for (int i = 1; i < SEARCH_KEY - 1; i++, h >>= 5)
		out[i] = alphabet[h & 31];
	out[SEARCH_KEY - 1] = '\0';
	return out;
}

static void
put_phrase(struct buf *out, struct span text, bool prefix)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\0') {
			buf_putc(out, ' ');
			continue;
		}
		if (text.p[i] == '"')
			buf_putc(out, '"');
		buf_putc(out, text.p[i]);
	}
	buf_puts(out, prefix ? "\" *" : "\"");
}

static void
put_keys(struct buf *out, enum search_key one, enum search_key other, struct span value)
{
	char key[SEARCH_KEY];

	buf_printf(out, "keys : (\"%s\"", search_key(one, value, key));
	if (other)
		buf_printf(out, " OR \"%s\"", search_key(other, value, key));
	buf_putc(out, ')');
}

static bool
is_address(struct span s)
{
	size_t at = span_find(s, '@');

	return at > 0 && at + 1 < s.n;
}

/* A party: an address, a domain behind @ or with a dot in it, or words. */
static void
put_party(struct buf *out, const struct search_term *t, struct arena *a, int address, int domain,
    int other_address, int other_domain, const char *column)
{
	struct span s = t->text, d;

	if (s.n == 0 || (is_address(s) && !t->prefix)) {
		put_keys(out, (enum search_key)address, (enum search_key)other_address,
		    s.n ? mailaddr_normalise(a, s) : s);
		return;
	}
	if (s.p[0] == '@' && !t->prefix && domain_normalise(a, span_from(s, 1), &d)) {
		put_keys(out, (enum search_key)domain, (enum search_key)other_domain, d);
		return;
	}
	if (!t->prefix && span_find(s, '.') < s.n && domain_normalise(a, s, &d)) {
		buf_putc(out, '(');
		put_keys(out, (enum search_key)domain, (enum search_key)other_domain, d);
		buf_puts(out, " OR ");
		buf_puts(out, column);
		put_phrase(out, s, false);
		buf_putc(out, ')');
		return;
	}
	buf_puts(out, column);
	put_phrase(out, s, t->prefix);
}

static void
put_match(struct buf *out, const struct search_term *t, struct arena *a)
{
	char canonical[IP_TEXT_MAX];
	struct ip ip;

	switch (t->field) {
	case SEARCH_FROM:
		put_party(out, t, a, KEY_SENDER, KEY_SENDER_DOMAIN, 0, 0, "sender : ");
		return;
	case SEARCH_TO:
		put_party(out, t, a, KEY_RCPT, KEY_RCPT_DOMAIN, 0, 0, "rcpt : ");
		return;
	case SEARCH_SUBJECT:
		buf_puts(out, "subject : ");
		break;
	case SEARCH_FILE:
		buf_puts(out, "files : ");
		break;
	case SEARCH_CLIENT:
		buf_puts(out, "client : ");
		break;
	case SEARCH_RULE:
		if (t->prefix) {
			buf_puts(out, "rules : ");
			break;
		}
		put_keys(out, KEY_RULE, 0, t->text);
		return;
	default:
		if (!t->prefix && ip_parse(t->text, &ip)) {
			put_keys(out, KEY_CLIENT, 0, span_str(ip_format(ip, canonical)));
			return;
		}
		put_party(out, t, a, KEY_SENDER, KEY_SENDER_DOMAIN, KEY_RCPT, KEY_RCPT_DOMAIN, COLUMNS);
		return;
	}
	put_phrase(out, t->text, t->prefix);
}

bool
search_match(const struct search_query *q, bool replies, struct arena *a, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < q->n; i++) {
		if ((q->terms[i].field == SEARCH_REPLY) != replies)
			continue;
		if (any)
			buf_puts(out, " AND ");
		if (replies)
			put_phrase(out, q->terms[i].text, q->terms[i].prefix);
		else
			put_match(out, &q->terms[i], a);
		any = true;
	}
	return any;
}

bool
search_anywhere(const struct search_query *q, struct buf *out)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->terms[i].field != SEARCH_ANY)
			return false;
	for (size_t i = 0; i < q->n; i++) {
		if (i)
			buf_puts(out, " AND ");
		put_phrase(out, q->terms[i].text, q->terms[i].prefix);
	}
	return q->n > 0;
}
