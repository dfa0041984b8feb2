/* signs.c -- what header, session and make of a message say against it; see signs.h.
 *
 * What nobody has looked up (a fact that is not known) is no sign. Signs of the session are those
 * of a stranger: of who may relay, and of what leaves, nothing has been looked up.
 */
#include "detect/signs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicode/uchar.h>

#include "addr.h"
#include "anatomy/textmap.h"
#include "detect/mail_date.h"
#include "detect/signs_own.h"

#define DAY INT64_C(86400)
#define OLD (14 * DAY)		/* queues give up after five days; holidays of a server are longer */
#define RECEIVED_MAX 50		/* fields looked at */
#define TEXT_LOOKED 4096	/* bytes of a text */
#define LETTERS_LEAST 40	/* of a text, to say what script it is in */
#define TEXT_LITTLE 200		/* letters */
#define PICTURE_LARGE (10u << 10)

const char *
sign_name(enum sign s)
{
	static const char *const names[] = {
#define X(name, text, help) text,
		SIGNS(X)
#undef X
	};

	return names[s];
}

const char *
sign_help(enum sign s)
{
	static const char *const helps[] = {
#define X(name, text, help) help,
		SIGNS(X)
#undef X
	};

	return helps[s];
}

bool
sign_from_name(struct span name, enum sign *s)
{
	for (int i = 0; i < SIGN_COUNT; i++)
		if (span_is(name, sign_name((enum sign)i))) {
			*s = (enum sign)i;
			return true;
		}
	return false;
}

void
sign_set(struct seeker *s, enum sign which, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	s->out->mask |= UINT64_C(1) << which;
	if (fmt == NULL)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->out->why[which] = arena_span(s->a, span_make(text, n < 0 ? 0 :
	    (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

struct span
seeker_header(const struct seeker *s, const char *name)
{
	const struct header *h = part_header(&s->an->parts[0], name);

	return h ? h->value : SPAN_LIT("");
}

static bool
has_header(const struct seeker *s, const char *name)
{
	return part_header(&s->an->parts[0], name) != NULL;
}

/* --- the client ------------------------------------------------------------------------------- */

/* Words of lines that customers have; a name with one of the second row is a server's all the same. */
static const char *const pool_words[] = { "dyn", "dynamic", "dynip", "dhcp", "dsl", "adsl", "vdsl", "xdsl",
	"ppp", "pppoe", "dial", "dialup", "dialin", "pool", "pools", "cable", "broadband", "ftth", "fttx",
	"fiber", "fibre", "gpon", "mobile", "lte", "wimax", "residential", "cust", "customer", "customers",
	"client", "user", "subscriber", "abo", "catv", "hsd", "ip", "ipv4", "unassigned", "generic" };
static const char *const server_words[] = { "mail", "smtp", "mx", "relay", "mta", "out", "outbound",
	"static", "server", "mailout", "mailer" };

static bool
is_among(struct span w, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_is_nocase(w, words[i]))
			return true;
	return false;
}

#define AMONG(w, words) is_among(w, words, sizeof(words) / sizeof((words)[0]))

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A run of letters or of digits. */
static struct span
token(struct span *s)
{
	size_t from = 0, to;
	bool digits;

	while (from < s->n && (s->p[from] == '.' || s->p[from] == '-' || s->p[from] == '_'))
		from++;
	digits = from < s->n && is_digit(s->p[from]);
	for (to = from; to < s->n && s->p[to] != '.' && s->p[to] != '-' && s->p[to] != '_' &&
	    is_digit(s->p[to]) == digits; to++)
		;
	*s = span_from(*s, to);
	return span_make(s->p - (to - from), to - from);
}

/* How many of the address's numbers stand in the name, each once. */
static unsigned
octets_in(struct span name, struct ip client)
{
	unsigned used = 0, n = 0;

	while (name.n) {
		struct span t = token(&name);
		unsigned v = 0;

		if (t.n == 0 || t.n > 3 || !is_digit(t.p[0]))
			continue;
		for (size_t i = 0; i < t.n; i++)
			v = v * 10 + (unsigned)(t.p[i] - '0');
		for (unsigned i = 0; i < 4; i++)
			if (client.b[i] == v && !(used >> i & 1)) {
				used |= 1u << i;
				n++;
				break;
			}
	}
	return n;
}

bool
reverse_is_pool(struct span name, struct ip client)
{
	bool pool = false, server = false;
	struct span rest = name;
	unsigned octets = client.family == 4 ? octets_in(name, client) : 0;
	char hex[9];

	while (rest.n) {
		struct span t = token(&rest);

		pool |= AMONG(t, pool_words);
		server |= AMONG(t, server_words);
	}
	if (client.family == 4) {
		snprintf(hex, sizeof(hex), "%02x%02x%02x%02x", client.b[0], client.b[1], client.b[2],
		    client.b[3]);
		for (size_t i = 0; i + 8 <= name.n; i++)
			if (span_is_nocase(span_sub(name, i, 8), hex))
				octets = 4;
	}
	return !server && ((pool && (octets >= 2 || client.family == 6)) || octets >= 4);
}

static void
look_at_client(struct seeker *s)
{
	const struct facts *f = s->facts;

	if (f->reverse == HOST_NONE)
		sign_set(s, SIGN_NO_REVERSE, NULL);
	else if (f->reverse == HOST_UNPROVED)
		sign_set(s, SIGN_REVERSE_UNPROVED, SPAN_FMT, SPAN_ARG(f->reverse_name));
	if (f->reverse_name.n && reverse_is_pool(f->reverse_name, s->env->client))
		sign_set(s, SIGN_REVERSE_POOL, SPAN_FMT, SPAN_ARG(f->reverse_name));
}

static void
look_at_helo(struct seeker *s)
{
	struct span helo = s->env->helo, name;
	struct ip ip;

	if (helo.n == 0)
		return;
	if (helo.p[0] == '[' || ip_parse(helo, &ip)) {
		sign_set(s, SIGN_HELO_ADDRESS, SPAN_FMT, SPAN_ARG(span_sub(helo, 0, 100)));
		return;
	}
	if (span_find(helo, '.') == helo.n)
		sign_set(s, SIGN_HELO_PLAIN, SPAN_FMT, SPAN_ARG(span_sub(helo, 0, 100)));
	else if (domain_normalise(s->a, helo, &name) && lookalikes_has(s->guards->own, name))
		sign_set(s, SIGN_HELO_OURS, SPAN_FMT, SPAN_ARG(name));
	if (s->facts->helo == HOST_NONE)
		sign_set(s, SIGN_HELO_UNKNOWN, SPAN_FMT, SPAN_ARG(span_sub(helo, 0, 100)));
}

/* --- the header -------------------------------------------------------------------------------- */

static void
look_at_date(struct seeker *s)
{
	int64_t now = s->facts->now / 1000000, at;

	if (!has_header(s, "Date"))
		return;
	if (!mail_date(seeker_header(s, "Date"), &at))
		sign_set(s, SIGN_DATE_UNREADABLE, NULL);
	else if (at < now - OLD)
		sign_set(s, SIGN_DATE_OLD, "%lld days", (long long)((now - at) / DAY));
	else if (at > now + DAY)
		sign_set(s, SIGN_DATE_AHEAD, "%lld days", (long long)((at - now) / DAY));
}

/* RFC 5322, 3.6.4: <left@right>. What people's programs get wrong and is no sign: an empty comment behind it. */
static void
look_at_id(struct seeker *s)
{
	struct span id = seeker_header(s, "Message-ID"), domain, local, host;
	size_t end = span_find(id, '>');

	if (id.n == 0)
		return;
	domain = span_sub(id, 1, end - 1);
	domain = span_from(domain, span_find(domain, '@') + 1);
	if (id.p[0] != '<' || end == id.n || end < 4 || domain.n == 0 ||
	    span_find(span_sub(id, 0, end), ' ') < end || span_trim(span_from(id, end + 1)).n > 200) {
		sign_set(s, SIGN_ID_MALFORMED, NULL);
		return;
	}
	if (!s->outside || s->facts->proved.n || !domain_normalise(s->a, domain, &host) ||
	    !lookalikes_has(s->guards->own, host) ||
	    !mailaddr_split(s->an->header_from, &local, &domain) ||
	    lookalikes_has(s->guards->own, domain))
		return;
	sign_set(s, SIGN_ID_OURS, SPAN_FMT, SPAN_ARG(host));
}

/* The topmost was written last. A clock may be wrong; more than a day is no clock. */
static void
look_at_received(struct seeker *s)
{
	const struct part *root = &s->an->parts[0];
	int64_t above = s->facts->now / 1000000, at;
	unsigned seen = 0;

	for (size_t i = 0; i < root->nheaders && seen < RECEIVED_MAX; i++) {
		struct span v = root->headers[i].value, last = v;

		if (!span_is_nocase(root->headers[i].name, "Received"))
			continue;
		seen++;
		while (span_find(last, ';') < last.n)
			last = span_from(last, span_find(last, ';') + 1);
		if (last.n == v.n || !mail_date(last, &at))
			continue;
		if (at > above + DAY) {
			sign_set(s, SIGN_RECEIVED_BACKWARDS, "%lld days", (long long)((at - above) / DAY));
			return;
		}
		above = at;
	}
}

static void
look_at_recipients(struct seeker *s)
{
	struct span to = seeker_header(s, "To");

	if (!has_header(s, "To") && !has_header(s, "Cc"))
		sign_set(s, SIGN_NO_RECIPIENT, NULL);
	else if (!has_header(s, "Cc") && has_header(s, "To") && span_find(to, '@') == to.n)
		sign_set(s, SIGN_UNDISCLOSED, NULL);
}

/* --- letters -------------------------------------------------------------------------------------- */

enum script { SCRIPT_LATIN = 1, SCRIPT_CYRILLIC = 2, SCRIPT_GREEK = 4, SCRIPT_OTHER = 8 };

static unsigned
script_of(uint32_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0x24f))
		return SCRIPT_LATIN;
	if (c >= 0x370 && c <= 0x3ff)
		return SCRIPT_GREEK;
	if (c >= 0x400 && c <= 0x52f)
		return SCRIPT_CYRILLIC;
	return c > 0x24f && u_isalpha((UChar32)c) ? SCRIPT_OTHER : 0;
}

/* A word of Latin and Cyrillic or Greek letters, as no language writes. "µm", "Ωs" and the like, of three
 * letters or less, are units and formulas. */
static bool
mixes_scripts(struct span s, struct span *word)
{
	unsigned scripts = 0, letters = 0;
	size_t from = 0;

	for (size_t i = 0; i <= s.n; ) {
		uint32_t c = ' ';
		unsigned k = i < s.n ? utf8_get(s.p, s.n, i, &c) : 1, is;

		if (k == 0)
			return false;
		is = script_of(c);
		if (is) {
			scripts |= is;
			letters++;
		} else {
			if (letters > 3 && (scripts & SCRIPT_LATIN) &&
			    (scripts & (SCRIPT_CYRILLIC | SCRIPT_GREEK))) {
				*word = span_sub(s, from, i - from);
				return true;
			}
			scripts = letters = 0;
			from = i + k;
		}
		i += k;
	}
	return false;
}

static void
look_at_letters(struct seeker *s)
{
	struct span texts[] = { s->an->subject, seeker_header(s, "From") }, word;

	for (size_t i = 0; i < 2; i++)
		if (mixes_scripts(span_sub(texts[i], 0, 1000), &word)) {
			sign_set(s, SIGN_MIXED_SCRIPTS, SPAN_FMT, SPAN_ARG(span_sub(word, 0, 100)));
			return;
		}
}

/* Character sets that hold another script beside ASCII. Latin ones and Unicode say nothing. */
static bool
is_foreign_charset(struct span name)
{
	static const char *const starts[] = { "koi8", "windows-1251", "cp1251", "iso-8859-5", "gb2312", "gbk",
		"gb18030", "big5", "euc-", "iso-2022-", "shift_jis", "windows-1256", "windows-1255",
		"iso-8859-6", "iso-8859-8", "tis-620", "windows-874", "ks_c_5601" };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (span_starts(name, span_str(starts[i])))
			return true;
	return false;
}

static void
count_letters(struct span s, size_t *latin, size_t *other)
{
	s = span_sub(s, 0, TEXT_LOOKED);
	for (size_t i = 0; i < s.n; ) {
		uint32_t c;
		unsigned k = utf8_get(s.p, s.n, i, &c), is;

		if (k == 0)
			return;
		is = script_of(c);
		*latin += is == SCRIPT_LATIN;
		*other += is && is != SCRIPT_LATIN;
		i += k;
	}
}

/* --- the make ----------------------------------------------------------------------------------------- */

static void
look_at_parts(struct seeker *s)
{
	const struct part *html = NULL, *picture = NULL;
	size_t latin = 0, other = 0;
	bool plain = false;

	for (size_t i = 0; i < s->an->nparts; i++) {
		const struct part *p = &s->an->parts[i];
		size_t l = 0, o = 0;

		if (p->unpacked || p->reading)
			continue;
		if (part_type_class(p->type) == CLASS_IMAGE && p->decoded.n >= PICTURE_LARGE)
			picture = p;
		if (p->attachment || p->text.s.n == 0)
			continue;
		count_letters(p->text.s, &l, &o);
		if (is_foreign_charset(p->charset) && l >= LETTERS_LEAST && o == 0)
			sign_set(s, SIGN_CHARSET_IDLE, SPAN_FMT, SPAN_ARG(span_sub(p->charset, 0, 40)));
		if (span_is(p->declared, "text/html"))
			html = p;
		else if (span_trim(p->text.s).n)
			plain = true;
		latin += l;
		other += o;
	}
	if (html && !plain)
		sign_set(s, SIGN_HTML_ONLY, NULL);
	if (html && picture && latin + other < TEXT_LITTLE)
		sign_set(s, SIGN_PICTURE_ONLY, "%zu letters, a picture of %zu bytes", latin + other,
		    picture->decoded.n);
}

void
signs_find(const struct anatomy *an, const struct envelope *env, const struct facts *facts,
    const struct sign_guards *guards, struct arena *a, struct signs *out)
{
	struct seeker s = { an, env, facts, guards, a, out, facts->spf != AUTH_UNKNOWN ||
		facts->dmarc != AUTH_UNKNOWN };

	*out = (struct signs){ 0 };
	if (env->direction != DIRECTION_OUTBOUND) {
		look_at_client(&s);
		if (s.outside)
			look_at_helo(&s);
	}
	signs_sender(&s);
	look_at_date(&s);
	look_at_id(&s);
	look_at_received(&s);
	look_at_recipients(&s);
	look_at_letters(&s);
	look_at_parts(&s);
}
