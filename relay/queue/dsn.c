/* dsn.c -- see dsn.h. */
#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "id.h"
#include "queue/dsn.h"
#include "utf8.h"

#define REPLY_SHOWN 900
#define TEXT_MAX (1u << 20)

bool
dsn_wanted(enum dsn_kind kind, struct span sender, uint8_t notify)
{
	if (sender.n == 0 || (notify & NOTIFY_NEVER))
		return false;
	/* RFC 3461, 4.1: without NOTIFY it is ours to choose; we tell of both. */
	if (kind == DSN_RELAYED)
		return (notify & NOTIFY_SUCCESS) != 0;
	if (notify == NOTIFY_DEFAULT)
		return true;
	return kind == DSN_DELAYED ? (notify & NOTIFY_DELAY) != 0 : (notify & NOTIFY_FAILURE) != 0;
}

/* ---- making foreign text harmless ---- */

/* One line of printable ASCII; anything else becomes '?'. */
static void
put_clean(struct buf *b, struct span s)
{
	size_t n = s.n > REPLY_SHOWN ? REPLY_SHOWN : s.n;

	for (size_t i = 0; i < n; i++)
		buf_putc(b, s.p[i] >= ' ' && s.p[i] < 0x7f ? s.p[i] : '?');
	if (n < s.n)
		buf_puts(b, "...");
}

/* The same, folded: a line is ended at the first space behind column 70. */
static void
put_folded(struct buf *b, struct span s, size_t column)
{
	size_t n = s.n > REPLY_SHOWN ? REPLY_SHOWN : s.n;

	for (size_t i = 0; i < n; i++) {
		char c = s.p[i] >= ' ' && s.p[i] < 0x7f ? s.p[i] : '?';

		if (c == ' ' && column > 70 && i + 1 < n && s.p[i + 1] != ' ') {
			buf_puts(b, "\r\n");
			column = 0;
		}
		buf_putc(b, c);
		column++;
	}
	if (n < s.n)
		buf_puts(b, "...");
}

static bool
has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return true;
	return false;
}

static bool
is_utf8(struct span s)
{
	uint32_t cp;

	for (size_t i = 0, n; i < s.n; i += n)
		if ((n = utf8_next(s.p + i, s.n - i, &cp)) == 0)
			return false;
	return true;
}

/* RFC 6533, 3: raw as utf-8-addr-unitext, else as utf-8-addr-xtext. encoded: it is one of
 * them already. */
static void
put_utf8(struct buf *b, struct span s, bool raw, bool encoded)
{
	for (size_t i = 0; i < s.n && i < REPLY_SHOWN; ) {
		uint32_t cp = 0;
		size_t k = utf8_next(s.p + i, s.n - i, &cp);
		bool plain = k == 1 && cp > ' ' && cp < 0x7f &&
		    (encoded || (cp != '\\' && cp != '+' && cp != '='));

		if (plain || (raw && k > 1 && cp >= 0xa0))
			buf_put(b, s.p + i, k);
		else if (k > 0 && (k > 1 || !encoded) && cp >= ' ')
			buf_printf(b, "\\x{%" PRIX32 "}", cp);
		else
			buf_putc(b, '?');
		i += k ? k : 1;
	}
}

/* An address with its type. */
static void
put_address(struct buf *b, struct span addr, bool raw)
{
	if (!has_8bit(addr)) {
		buf_puts(b, "rfc822; ");
		put_clean(b, addr);
		return;
	}
	buf_puts(b, "utf-8; ");
	put_utf8(b, addr, raw, false);
}

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ORCPT and ENVID come in xtext (RFC 3461, 4) and are shown decoded. */
static void
decode_xtext(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n && i < REPLY_SHOWN; i++) {
		char c = s.p[i];

		if (c == '+' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
			c = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
			i += 2;
		}
		buf_putc(b, c);
	}
}

static void
put_xtext(struct buf *b, struct span s)
{
	struct buf plain;

	buf_init(&plain, REPLY_SHOWN);
	decode_xtext(&plain, s);
	put_clean(b, buf_data(&plain));
	buf_release(&plain);
}

/* ---- the text for people ---- */

static void
put_quoted_printable(struct buf *b, struct span s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool eol = c == '\r' || c == '\n';
		bool last = i + 1 == s.n || s.p[i + 1] == '\r' || s.p[i + 1] == '\n';
		bool plain = eol || (c >= '!' && c <= '~' && c != '=') || (c == ' ' && !last);

		if (!eol && column + (plain ? 1 : 3) > 75) {
			buf_puts(b, "=\r\n");
			column = 0;
		}
		if (plain)
			buf_putc(b, (char)c);
		else
			buf_printf(b, "=%02X", c);
		column = eol ? 0 : column + (plain ? 1 : 3);
	}
}

struct words {
	const char *subject, *english, *french, *action;
};

static const struct words words[DSN_KINDS] = {
	[DSN_FAILED] = { "Undelivered mail / Message non remis",
		"Your message could not be delivered to:",
		"Votre message n'a pas pu être remis à :", "failed" },
	[DSN_DELAYED] = { "Delayed mail / Message retardé",
		"Your message is delayed and is still being tried. You need not send it again.\r\n"
		"Not yet delivered to:",
		"Votre message est retardé ; les essais continuent. Il est inutile de le renvoyer.\r\n"
		"Pas encore remis à :", "delayed" },
	[DSN_EXPIRED] = { "Mail given up / Message abandonné",
		"Your message could not be delivered in time and has been given up for:",
		"Votre message n'a pas pu être remis dans les délais et a été abandonné pour :",
		"failed" },
	[DSN_RELAYED] = { "Mail handed on / Message transmis",
		"Your message was handed on to a mail server that does not confirm deliveries, for:",
		"Votre message a été transmis à un serveur qui ne confirme pas les remises, pour :",
		"relayed" },
	[DSN_DOUBLE] = { "Undeliverable notice / Avis non remis",
		"Postmaster: a notice from this system could not be delivered, and nobody else is\r\n"
		"told. It was meant for:",
		"Un avis de ce système n'a pas pu être remis et personne d'autre n'en est informé.\r\n"
		"Il était destiné à :", "failed" },
};

static void
put_people(struct buf *b, const struct dsn *d, bool relayed, bool french)
{
	const struct words *w = &words[relayed ? DSN_RELAYED : d->kind];
	bool replies = !french, any = false;

	for (size_t i = 0; i < d->nrecipients; i++) {
		const struct dsn_recipient *r = &d->recipients[i];

		if (r->relayed != relayed)
			continue;
		if (!any) {
			buf_puts(b, french ? w->french : w->english);
			buf_puts(b, "\r\n\r\n");
		}
		any = true;
		buf_puts(b, "  <");
		buf_span(b, span_sub(r->address, 0, 320));
		buf_puts(b, ">\r\n");
		if (!replies || r->reply.n == 0)
			continue;
		buf_puts(b, "      ");
		if (r->remote && r->relay.n > 0) {
			put_clean(b, span_sub(r->relay, 0, 300));
			buf_puts(b, " said: ");
		}
		put_clean(b, r->reply);
		buf_puts(b, "\r\n");
	}
	if (any)
		buf_puts(b, "\r\n");
}

static void
put_text(struct buf *b, const struct dsn *d)
{
	struct buf t;
	char id[ID_SIZE], date[CLOCK_DATE_MAX];

	buf_init(&t, TEXT_MAX);
	buf_printf(&t, "This is the mail system at " SPAN_FMT ".\r\n\r\n", SPAN_ARG(d->hostname));
	put_people(&t, d, false, false);
	put_people(&t, d, true, false);
	if (d->kind == DSN_DELAYED && d->until > 0)
		buf_printf(&t, "It will be tried until %s.\r\n\r\n", clock_date(d->until, date));
	buf_printf(&t, "Reference: %s. Questions: " SPAN_FMT "\r\n\r\n", id_format(d->about, id),
	    SPAN_ARG(d->postmaster));
	buf_printf(&t, "--\r\n\r\nMessage du serveur de courrier " SPAN_FMT ".\r\n\r\n",
	    SPAN_ARG(d->hostname));
	put_people(&t, d, false, true);
	put_people(&t, d, true, true);
	if (d->kind == DSN_DELAYED && d->until > 0)
		buf_printf(&t, "Les essais continuent jusqu'au %s.\r\n\r\n",
		    clock_date(d->until, date));
	buf_printf(&t, "Référence : %s. Questions : " SPAN_FMT "\r\n", id, SPAN_ARG(d->postmaster));
	put_quoted_printable(b, buf_data(&t));
	buf_release(&t);
}

/* ---- the part for programs ---- */

/* The host of "mx1.example.net[203.0.113.9]:25". */
static struct span
relay_host(struct span relay)
{
	return span_sub(relay, 0, span_find(relay, '['));
}

static bool
status_ok(struct span s)
{
	bool ok = s.n >= 5 && s.n <= 9 && (s.p[0] == '2' || s.p[0] == '4' || s.p[0] == '5') &&
	    s.p[1] == '.';

	for (size_t i = 1; ok && i < s.n; i++)
		ok = s.p[i] == '.' || (s.p[i] >= '0' && s.p[i] <= '9');
	return ok;
}

static void
put_original_recipient(struct buf *b, struct span orcpt, bool raw)
{
	struct span type = span_sub(orcpt, 0, span_find(orcpt, ';'));
	struct buf plain;

	orcpt = span_from(orcpt, type.n + 1);
	buf_init(&plain, REPLY_SHOWN);
	decode_xtext(&plain, orcpt);
	buf_puts(b, "Original-Recipient: ");
	if (span_is_nocase(type, "utf-8")) {
		buf_puts(b, "utf-8; ");
		put_utf8(b, orcpt, raw, true);
	} else if (has_8bit(buf_data(&plain)) && is_utf8(buf_data(&plain))) {
		buf_puts(b, "utf-8; ");
		put_utf8(b, buf_data(&plain), raw, false);
	} else {
		put_clean(b, span_sub(type, 0, 40));
		buf_puts(b, "; ");
		put_clean(b, buf_data(&plain));
	}
	buf_puts(b, "\r\n");
	buf_release(&plain);
}

static void
put_recipient_status(struct buf *b, const struct dsn *d, const struct dsn_recipient *r)
{
	enum dsn_kind kind = r->relayed ? DSN_RELAYED : d->kind;
	char date[CLOCK_DATE_MAX];
	bool raw = has_8bit(d->to);

	buf_puts(b, "\r\n");
	if (r->orcpt.n > 0 && span_find(r->orcpt, ';') < r->orcpt.n) {
		put_original_recipient(b, r->orcpt, raw);
	}
	buf_puts(b, "Final-Recipient: ");
	put_address(b, r->address, raw);
	buf_printf(b, "\r\nAction: %s\r\nStatus: ", words[kind].action);
	/* An expired message failed with what was only put off: RFC 3464, 2.3.4, wants
	 * a status that fits the action. */
	if (kind == DSN_EXPIRED)
		buf_puts(b, "4.4.7");
	else if (status_ok(r->status))
		put_clean(b, r->status);
	else
		buf_puts(b, kind == DSN_DELAYED ? "4.0.0" : kind == DSN_RELAYED ? "2.0.0" : "5.0.0");
	buf_puts(b, "\r\n");
	if (r->remote && relay_host(r->relay).n > 0) {
		buf_puts(b, "Remote-MTA: dns; ");
		put_clean(b, span_sub(relay_host(r->relay), 0, 255));
		buf_puts(b, "\r\n");
	}
	if (r->reply.n > 0) {
		const char *type = r->remote ? "smtp" : "x-postern";

		buf_printf(b, "Diagnostic-Code: %s; ", type);
		put_folded(b, r->reply, 19 + strlen(type));
		buf_puts(b, "\r\n");
	}
	buf_printf(b, "Last-Attempt-Date: %s\r\n", clock_date(d->now, date));
	if (kind == DSN_DELAYED && d->until > 0)
		buf_printf(b, "Will-Retry-Until: %s\r\n", clock_date(d->until, date));
}

static void
put_status(struct buf *b, const struct dsn *d)
{
	char date[CLOCK_DATE_MAX], id[ID_SIZE];

	buf_printf(b, "Reporting-MTA: dns; " SPAN_FMT "\r\n", SPAN_ARG(d->hostname));
	if (d->envid.n > 0) {
		buf_puts(b, "Original-Envelope-Id: ");
		put_xtext(b, d->envid);
		buf_puts(b, "\r\n");
	}
	buf_printf(b, "X-Postern-Id: %s\r\n", id_format(d->about, id));
	buf_printf(b, "Arrival-Date: %s\r\n", clock_date(d->received, date));
	for (size_t i = 0; i < d->nrecipients; i++)
		put_recipient_status(b, d, &d->recipients[i]);
}

/* ---- the original's header ---- */

/* Up to the empty line, whole lines only, at most DSN_HEADERS_MAX. */
static struct span
header_of(struct span head)
{
	size_t end = 0;

	if (head.n > DSN_HEADERS_MAX)
		head.n = DSN_HEADERS_MAX;
	for (size_t at = 0; at < head.n; ) {
		struct span rest = span_from(head, at);
		size_t n = span_find(rest, '\n');

		if (n == rest.n || n == 0 || (n == 1 && rest.p[0] == '\r'))
			break;
		at += n + 1;
		end = at;
	}
	return span_sub(head, 0, end);
}

/* May it stand in the notice as it is? */
static bool
lines_sound(struct span s)
{
	while (s.n) {
		size_t n = span_find(s, '\n');

		if (n == s.n || n == 0 || n > 999 || s.p[n - 1] != '\r' || memchr(s.p, '\0', n) ||
		    memchr(s.p, '\r', n - 1))
			return false;
		s = span_from(s, n + 1);
	}
	return true;
}

/* The third part: the message (RET=FULL), or its header. utf8: the notice is a message of
 * RFC 6532 itself, so UTF-8 may stand in it as it is. */
static bool
put_original(struct buf *b, const struct dsn *d, bool utf8)
{
	struct span header = header_of(d->head);
	bool wide = has_8bit(header);
	bool global = wide && d->utf8 && is_utf8(header);

	if (d->whole.n && d->whole.n <= DSN_WHOLE_MAX && lines_sound(d->whole) &&
	    (!wide || (utf8 && global))) {
		bool eightbit = has_8bit(d->whole);

		buf_printf(b, "Content-Type: message/%s\r\n%s\r\n", global ? "global" : "rfc822",
		    eightbit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
		buf_span(b, d->whole);
		return eightbit;
	}
	buf_printf(b, "Content-Type: %s\r\n", global ? "message/global-headers" :
	    "text/rfc822-headers");
	if (wide)
		buf_printf(b, "Content-Transfer-Encoding: %s\r\n", utf8 && global ? "8bit" :
		    "quoted-printable");
	buf_puts(b, "\r\n");
	if (wide && !(utf8 && global)) {
		put_quoted_printable(b, header);
		return false;
	}
	buf_span(b, header);
	return wide;
}

void
dsn_build(struct buf *b, const struct dsn *d, bool *eightbit)
{
	char id[ID_SIZE], date[CLOCK_DATE_MAX], boundary[64];
	bool utf8 = has_8bit(d->to);
	const char *status = utf8 ? "global-delivery-status" : "delivery-status";

	id_format(d->id, id);
	snprintf(boundary, sizeof(boundary), "%s-%016" PRIx64, id, d->random);
	buf_printf(b, "Date: %s\r\n", clock_date(d->now, date));
	buf_printf(b, "From: Mail Delivery System <MAILER-DAEMON@" SPAN_FMT ">\r\n",
	    SPAN_ARG(d->hostname));
	buf_puts(b, "To: <");
	for (size_t i = 0; i < d->to.n && i < 320; i++)
		buf_putc(b, (unsigned char)d->to.p[i] >= ' ' && d->to.p[i] != 0x7f ? d->to.p[i] : '?');
	buf_puts(b, ">\r\nSubject: ");
	if (has_8bit(span_str(words[d->kind].subject))) {
		buf_puts(b, "=?utf-8?Q?");
		for (const char *p = words[d->kind].subject; *p; p++)
			if ((unsigned char)*p > 0x7f || *p == ' ' || *p == ',' || *p == '/')
				buf_printf(b, "=%02X", (unsigned char)*p);
			else
				buf_putc(b, *p);
		buf_puts(b, "?=");
	} else
		buf_puts(b, words[d->kind].subject);
	buf_printf(b, "\r\nMessage-ID: <%s@" SPAN_FMT ">\r\n", id, SPAN_ARG(d->hostname));
	buf_puts(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	/* RFC 6522, 3: report-type is the subtype of the second part */
	buf_printf(b, "Content-Type: multipart/report; report-type=%s;\r\n"
	    "\tboundary=\"%s\"\r\n\r\n", status, boundary);
	buf_printf(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n", boundary);
	put_text(b, d);
	buf_printf(b, "\r\n--%s\r\nContent-Type: message/%s\r\n%s\r\n", boundary, status,
	    utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	put_status(b, d);
	buf_printf(b, "\r\n--%s\r\n", boundary);
	*eightbit = put_original(b, d, utf8) || utf8;
	buf_printf(b, "\r\n--%s--\r\n", boundary);
}
