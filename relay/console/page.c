/* page.c -- see page.h. */
#include <openssl/evp.h>

#include "clock.h"
#include "console/http.h"
#include "console/page.h"
#include "id.h"
#include "ipc/json_read.h"
#include "utf8.h"

#define SHOWN 50		/* of files, findings, voices */
#define MASKED_SHOWN 5		/* values of one finding */

static const char style[] =
    "body{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em;color:#222}"
    "th{text-align:left;vertical-align:top;padding-right:1em;white-space:nowrap}"
    "td{overflow-wrap:anywhere}form{margin:1em 0;padding:1em;border:1px solid #999}"
    "input{width:100%;box-sizing:border-box}button{font-size:1em;padding:.4em 1.2em}";

const char *
console_page_security(void)
{
	static char value[256];
	unsigned char digest[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (value[0])
		return value;
	if (EVP_Digest(style, sizeof(style) - 1, digest, &n, EVP_sha256(), NULL) != 1)
		n = 0;	/* then the page is without style */
	EVP_EncodeBlock(text, digest, (int)n);
	snprintf(value, sizeof(value), "default-src 'none'; style-src 'sha256-%s'; "
	    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'", (char *)text);
	return value;
}

/* Nothing that is seen: controls, what turns the direction of writing, marks without a width. */
static bool
hides(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
	    (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
	    (c >= 0xe0000 && c <= 0xe0fff);
}

void
console_escape(struct buf *b, struct span s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		uint32_t c = 0;

		n = utf8_next(s.p + i, s.n - i, &c);
		if (n == 0 || hides(c)) {
			n = n ? n : 1;
			buf_puts(b, "\xef\xbf\xbd");
		} else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
			buf_printf(b, "&#%u;", c);
		} else {
			buf_put(b, s.p + i, n);
		}
	}
}

void
console_page_begin(struct buf *b, const char *title, bool fr)
{
	buf_printf(b, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width\">\n"
	    "<meta name=\"robots\" content=\"noindex\">\n"
	    "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<h1>%s</h1>\n",
	    fr ? "fr" : "en", title, style, title);
}

void
console_page_end(struct buf *b)
{
	buf_puts(b, "</body>\n</html>\n");
}

void
console_page_row(struct buf *b, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(b, "<tr><th>%s</th><td>", name);
	console_escape(b, value);
	buf_puts(b, "</td></tr>\n");
}

static void
row_files(struct buf *b, const char *name, const struct jval *parts)
{
	const struct jval *p;
	bool any = false;

	for (size_t i = 0, n = 0; n < SHOWN && (p = jval_at(parts, i)) != NULL; i++) {
		struct span file = jval_text(p, "name");

		if (file.n == 0)
			continue;
		if (any)
			buf_puts(b, "<br>");
		else
			buf_printf(b, "<tr><th>%s</th><td>", name);
		console_escape(b, file);
		any = true;
		n++;
	}
	if (any)
		buf_puts(b, "</td></tr>\n");
}

/* Masked, as everywhere. */
static void
row_findings(struct buf *b, const char *name, const struct jval *list)
{
	const struct jval *f, *m;

	if (jval_count(list) == 0)
		return;
	buf_printf(b, "<tr><th>%s</th><td>", name);
	for (size_t i = 0; i < SHOWN && (f = jval_at(list, i)) != NULL; i++) {
		if (i)
			buf_puts(b, "<br>");
		console_escape(b, jval_text(f, "detector"));
		buf_puts(b, " (");
		console_escape(b, jval_text(f, "where"));
		if (jval_text(f, "name").n)
			buf_putc(b, ' ');
		console_escape(b, jval_text(f, "name"));
		buf_puts(b, ")");
		for (size_t k = 0; k < MASKED_SHOWN && (m = jval_at(jval_get(f, "masked"), k)) != NULL; k++) {
			buf_puts(b, k ? ", " : ": ");
			console_escape(b, jval_str(m));
		}
	}
	buf_puts(b, "</td></tr>\n");
}

static void
row_rules(struct buf *b, const char *name, const struct jval *needs, bool fr)
{
	const struct jval *n;

	if (jval_count(needs) == 0)
		return;
	buf_printf(b, "<tr><th>%s</th><td>", name);
	for (size_t i = 0; i < SHOWN && (n = jval_at(needs, i)) != NULL; i++) {
		if (i)
			buf_puts(b, "<br>");
		console_escape(b, jval_text(n, "rule"));
		buf_printf(b, fr ? " : %lld sur %lld approbations" : ": %lld of %lld approvals",
		    (long long)jval_int(n, "given", 0), (long long)jval_int(n, "needed", 0));
	}
	buf_puts(b, "</td></tr>\n");
}

static void
row_votes(struct buf *b, const char *name, const struct jval *votes, bool fr)
{
	const struct jval *v;

	buf_printf(b, "<tr><th>%s</th><td>", name);
	for (size_t i = 0; i < SHOWN && (v = jval_at(votes, i)) != NULL; i++) {
		bool yes = span_is(jval_text(v, "decision"), "approve");

		if (i)
			buf_puts(b, "<br>");
		console_escape(b, jval_text(v, "address"));
		buf_puts(b, yes ? fr ? " : approuvé" : ": approved" : fr ? " : refusé" : ": denied");
	}
	if (jval_count(votes) == 0)
		buf_puts(b, fr ? "personne encore" : "nobody yet");
	buf_puts(b, "</td></tr>\n");
}

static void
form(struct buf *b, struct span token, const char *decision, const char *label, const char *button)
{
	buf_puts(b, "<form method=\"post\" action=\"/approve\">\n"
	    "<input type=\"hidden\" name=\"token\" value=\"");
	console_escape(b, token);
	buf_printf(b, "\">\n<input type=\"hidden\" name=\"decision\" value=\"%s\">\n"
	    "<p><label>%s<input type=\"text\" name=\"reason\" maxlength=\"200\" "
	    "autocomplete=\"off\"></label></p>\n"
	    "<button type=\"submit\">%s</button>\n</form>\n", decision, label, button);
}

static const char *
expiry(struct span on_expire, bool fr)
{
	if (span_is(on_expire, "reject"))
		return fr ? "sinon il est rejeté" : "else it is rejected";
	if (span_is(on_expire, "deliver"))
		return fr ? "sinon il est envoyé" : "else it is released";
	if (span_is(on_expire, "discard"))
		return fr ? "sinon il est supprimé" : "else it is deleted";
	if (span_is(on_expire, "quarantine"))
		return fr ? "sinon il va en quarantaine" : "else it goes to quarantine";
	return fr ? "sinon il reste retenu" : "else it stays held";
}

void
console_page_open(struct buf *b, const struct msg_approve_told *m, struct span token,
    bool fr)
{
	struct jval *record = m->record.n ? jval_parse(m->record, NULL) : NULL;
	struct jval *ap = jval_parse(m->approvals, NULL);
	char id[ID_SIZE], date[CLOCK_DATE_MAX], until[CLOCK_DATE_MAX + 64];

	snprintf(until, sizeof(until), "%s (%s)", clock_date(m->until, date), expiry(m->on_expire, fr));
	console_page_begin(b, fr ? "Un message attend votre décision" : "A message waits for your decision", fr);
	buf_puts(b, "<table>\n");
	console_page_row(b, fr ? "Référence" : "Reference", span_str(id_format(m->id, id)));
	console_page_row(b, fr ? "De" : "From", m->sender.n ? m->sender : SPAN_LIT("<>"));
	console_page_row(b, fr ? "À" : "To", m->recipients);
	console_page_row(b, fr ? "Objet" : "Subject", jval_text(record, "subject"));
	row_files(b, fr ? "Fichiers" : "Files", jval_get(record, "parts"));
	row_findings(b, fr ? "Constaté (masqué)" : "Found (masked)", jval_get(record, "findings"));
	row_rules(b, fr ? "Règles" : "Rules", jval_get(ap, "approvals"), fr);
	row_votes(b, fr ? "Se sont prononcés" : "Have decided", jval_get(ap, "votes"), fr);
	console_page_row(b, fr ? "À décider avant" : "To be decided before", span_str(until));
	console_page_row(b, fr ? "Vous êtes" : "You are", m->as);
	buf_puts(b, "</table>\n");
	form(b, token, "approve", fr ? "Remarque (facultative, journalisée)" :
	    "Remark (optional, journalled)", fr ? "Approuver" : "Approve");
	form(b, token, "deny", fr ? "Motif (l'expéditeur le lit)" : "Reason (the sender reads it)",
	    fr ? "Refuser" : "Deny");
	console_page_end(b);
	jval_free(&record);
	jval_free(&ap);
}

static const char *
state_text(struct span state, bool fr)
{
	static const struct { const char *name, *en, *fr; } texts[] = {
		{ "waiting", "It waits for another person's approval.",
		    "Il attend l'approbation d'une autre personne." },
		{ "approved", "All approvals are there: it is being sent.",
		    "Toutes les approbations sont là : il est envoyé." },
		{ "denied", "It is not sent; the sender is told.",
		    "Il n'est pas envoyé ; l'expéditeur en est averti." },
		{ "releasing", "It is being sent.", "Il est envoyé." },
		{ "released", "It was released.", "Il a été libéré." },
		{ "rejecting", "It is being rejected; the sender is told.",
		    "Il est rejeté ; l'expéditeur en est averti." },
		{ "rejected", "It was rejected; the sender was told.",
		    "Il a été rejeté ; l'expéditeur en a été averti." },
		{ "deleted", "It was deleted.", "Il a été supprimé." },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (span_is(state, texts[i].name))
			return fr ? texts[i].fr : texts[i].en;
	return "";
}

void
console_page_over(struct buf *b, const struct msg_approve_told *m, bool fr)
{
	bool spoken = m->told == APPROVE_SPOKEN, yes = span_is(m->text, "approve");
	char id[ID_SIZE];

	console_page_begin(b, !spoken ? fr ? "Ce message est déjà décidé" : "This message is decided already" :
	    yes ? fr ? "Vous avez approuvé ce message" : "You have approved this message" :
	    fr ? "Vous avez refusé ce message" : "You have denied this message", fr);
	buf_printf(b, fr ? "<p>Référence : %s</p>\n<p>%s</p>\n" : "<p>Reference: %s</p>\n<p>%s</p>\n",
	    id_format(m->id, id), state_text(m->state, fr));
	console_page_end(b);
}

void
console_page_status(struct buf *b, int status, bool fr)
{
	if (status == 404) {
		console_page_begin(b, fr ? "Rien ici" : "Nothing here", fr);
		buf_puts(b, fr ? "<p>Le lien n'est pas complet, n'est plus valable, ou n'est pas d'ici. "
		    "La référence dans le courriel aide votre administrateur.</p>\n" :
		    "<p>The link is not whole, is not valid any more, or is not from here. The reference "
		    "in the mail helps your administrator.</p>\n");
	} else if (status == 503) {
		console_page_begin(b, fr ? "Réessayez plus tard" : "Try again later", fr);
		buf_puts(b, fr ? "<p>La passerelle ne peut pas répondre maintenant. Ouvrez le lien de nouveau : "
		    "il dira ce qui est décidé.</p>\n" : "<p>The gateway cannot answer now. Open the link "
		    "again: it will say what is decided.</p>\n");
	} else {
		console_page_begin(b, http_reason(status), fr);
	}
	console_page_end(b);
}
