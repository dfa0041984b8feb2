/* digest_mail.c -- see digest_mail.h. */
#include <time.h>

#include "clock.h"
#include "store/digest_mail.h"
#include "visible.h"

/* Visible, on one line, no link. */
static void
put_safe(struct buf *b, struct span s, size_t max, bool html)
{
	struct buf v;
	struct span t;
	bool all;

	buf_init(&v, max + 16);
	all = visible_put(&v, s, false, max);
	t = buf_data(&v);
	for (size_t i = 0; i < t.n; i++) {
		char c = t.p[i];

		if (c == ':' && i + 2 < t.n && t.p[i + 1] == '/' && t.p[i + 2] == '/')
			buf_puts(b, "[:]");
		else if (html && (c == '&' || c == '<' || c == '>' || c == '"' || c == '\''))
			buf_printf(b, "&#%d;", c);
		else
			buf_putc(b, c);
	}
	if (!all)
		buf_puts(b, "…");
	buf_release(&v);
}

static const char *
class_text(struct span class, bool fr)
{
	static const struct { const char *name, *en, *fr; } words[] = {
		{ "spam", "spam", "spam" }, { "suspected", "perhaps spam", "peut-être du spam" },
		{ "marketing", "bulk mail", "envoi en nombre" }, { "virus", "virus", "virus" },
		{ "unscannable", "could not be checked", "invérifiable" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_is(class, words[i].name))
			return fr ? words[i].fr : words[i].en;
	return fr ? "règle" : "a rule";
}

static void
put_time(struct buf *b, int64_t us)
{
	time_t t = (time_t)(us / US_PER_SEC);
	char text[32];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	buf_puts(b, text);
}

static struct span
sender_of(const struct digest_row *r)
{
	return r->sender.n ? r->sender : SPAN_LIT("<>");
}

void
digest_subject(struct buf *b, const struct digest *d)
{
	buf_printf(b, d->french ? d->total == 1 ? "%llu message en quarantaine" :
	    "%llu messages en quarantaine" : d->total == 1 ? "%llu message in quarantine" :
	    "%llu messages in quarantine", (unsigned long long)d->total);
}

static void
intro(struct buf *b, const struct digest *d, bool html)
{
	buf_puts(b, d->french ? "La passerelle a retenu ces messages pour " :
	    "The mail gateway keeps these messages for ");
	put_safe(b, d->address, DIGEST_SENDER_MAX, html);
	buf_puts(b, d->french ? ". Ouvrir un lien ne décide rien ; la page propose ce que vous pouvez faire." :
	    ". Opening a link decides nothing; the page shows what you can do.");
}

static void
more(struct buf *b, const struct digest *d)
{
	buf_printf(b, d->french ? "et %llu de plus" : "and %llu more",
	    (unsigned long long)(d->total - d->n));
}

void
digest_text(struct buf *b, const struct digest *d)
{
	intro(b, d, false);
	buf_puts(b, "\n\n");
	for (size_t i = 0; i < d->n; i++) {
		const struct digest_row *r = &d->rows[i];

		put_time(b, r->time);
		buf_printf(b, "  (%s)\n", class_text(r->class, d->french));
		buf_puts(b, d->french ? "De : " : "From: ");
		put_safe(b, sender_of(r), DIGEST_SENDER_MAX, false);
		buf_puts(b, d->french ? "\nObjet : " : "\nSubject: ");
		put_safe(b, r->subject, DIGEST_SUBJECT_MAX, false);
		buf_putc(b, '\n');
		buf_span(b, r->link);
		buf_puts(b, r->link.n ? "\n\n" : "\n");
	}
	if (d->total > d->n) {
		more(b, d);
		buf_putc(b, '\n');
	}
}

void
digest_html(struct buf *b, const struct digest *d)
{
	static const char *const en[] = { "Date", "From", "Subject", "Why", "" };
	static const char *const fr[] = { "Date", "De", "Objet", "Motif", "" };

	buf_printf(b, "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"></head>\n<body>\n<p>",
	    d->french ? "fr" : "en");
	intro(b, d, true);
	buf_puts(b, "</p>\n<table border=\"1\" cellpadding=\"4\" cellspacing=\"0\">\n<tr>");
	for (size_t i = 0; i < 5; i++)
		buf_printf(b, "<th align=\"left\">%s</th>", d->french ? fr[i] : en[i]);
	buf_puts(b, "</tr>\n");
	for (size_t i = 0; i < d->n; i++) {
		const struct digest_row *r = &d->rows[i];

		buf_puts(b, "<tr><td>");
		put_time(b, r->time);
		buf_puts(b, "</td><td>");
		put_safe(b, sender_of(r), DIGEST_SENDER_MAX, true);
		buf_puts(b, "</td><td>");
		put_safe(b, r->subject, DIGEST_SUBJECT_MAX, true);
		buf_printf(b, "</td><td>%s</td><td>", class_text(r->class, d->french));
		if (r->link.n) {	/* ours: the configuration's URL and base64url */
			buf_puts(b, "<a href=\"");
			for (size_t k = 0; k < r->link.n; k++)
				if (r->link.p[k] == '&' || r->link.p[k] == '"' || r->link.p[k] == '<')
					buf_printf(b, "&#%d;", r->link.p[k]);
				else
					buf_putc(b, r->link.p[k]);
			buf_puts(b, d->french ? "\">Décider</a>" : "\">Decide</a>");
		}
		buf_puts(b, "</td></tr>\n");
	}
	buf_puts(b, "</table>\n");
	if (d->total > d->n) {
		buf_puts(b, "<p>");
		more(b, d);
		buf_puts(b, "</p>\n");
	}
	buf_puts(b, "</body></html>\n");
}
