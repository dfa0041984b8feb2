/* digest_page.c -- see digest_page.h. */
#include <time.h>

#include "clock.h"
#include "console/digest_page.h"
#include "console/page.h"
#include "id.h"

static const struct act {
	const char *name;
	const char *button[2], *done[2];	/* English, French */
} acts[] = {
	[DIGEST_SHOW] = { "show", { "", "" }, { "", "" } },
	[DIGEST_RELEASE] = { "release", { "Deliver it to me", "Me le remettre" },
	    { "You have had it delivered. It is on its way unless a last check finds a virus in it.",
	    "Vous l'avez fait remettre. Il arrive, sauf si un dernier contrôle y trouve un virus." } },
	[DIGEST_REQUEST] = { "request", { "Ask for it", "Le demander" },
	    { "You have asked for it. An operator decides, and you are told by mail.",
	    "Vous l'avez demandé. Un opérateur décide, et vous en serez averti par courriel." } },
	[DIGEST_BLOCK] = { "block", { "Block this sender for me", "Bloquer cet expéditeur pour moi" },
	    { "The sender is on your list of those who are blocked.",
	    "L'expéditeur est sur votre liste de blocage." } },
	[DIGEST_ALLOW] = { "allow", { "Allow this sender for me", "Autoriser cet expéditeur pour moi" },
	    { "The sender is on your list of those who are allowed.",
	    "L'expéditeur est sur votre liste d'autorisation." } },
};

bool
digest_act_parse(struct span text, enum digest_act *act)
{
	for (int i = DIGEST_SHOW + 1; i < DIGEST_ACT_COUNT; i++)
		if (span_is(text, acts[i].name)) {
			*act = (enum digest_act)i;
			return true;
		}
	return false;
}

static void
form(struct buf *b, struct span token, const struct act *a, bool fr)
{
	buf_puts(b, "<form method=\"post\" action=\"/digest\">\n"
	    "<input type=\"hidden\" name=\"token\" value=\"");
	console_escape(b, token);
	buf_printf(b, "\">\n<input type=\"hidden\" name=\"decision\" value=\"%s\">\n"
	    "<button type=\"submit\">%s</button>\n</form>\n", a->name, a->button[fr]);
}

void
digest_page_open(struct buf *b, const struct msg_digest_told *m, struct span token, bool fr)
{
	char id[ID_SIZE], date[CLOCK_DATE_MAX];

	console_page_begin(b, fr ? "Un message en quarantaine" : "A message in quarantine", fr);
	buf_puts(b, "<table>\n");
	console_page_row(b, fr ? "Référence" : "Reference", span_str(id_format(m->id, id)));
	console_page_row(b, fr ? "De" : "From", m->sender.n ? m->sender : SPAN_LIT("<>"));
	console_page_row(b, fr ? "Objet" : "Subject", m->subject);
	console_page_row(b, fr ? "Motif" : "Why", m->class);
	console_page_row(b, fr ? "Retenu le" : "Kept since", span_str(clock_date(m->time, date)));
	console_page_row(b, fr ? "Vous êtes" : "You are", m->as);
	buf_puts(b, "</table>\n");
	for (int i = DIGEST_SHOW + 1; i < DIGEST_ACT_COUNT; i++)
		if (m->offers >> i & 1)
			form(b, token, &acts[i], fr);
	console_page_end(b);
}

static const char *
state_text(struct span state, bool fr)
{
	static const struct { const char *name, *text[2]; } texts[] = {
		{ "waiting", { "It still waits.", "Il attend encore." } },
		{ "releasing", { "It is being delivered.", "Il est en cours de remise." } },
		{ "released", { "It was delivered.", "Il a été remis." } },
		{ "rejecting", { "It is being rejected.", "Il est en cours de rejet." } },
		{ "rejected", { "It was rejected.", "Il a été rejeté." } },
		{ "deleted", { "It was deleted.", "Il a été supprimé." } },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (span_is(state, texts[i].name))
			return texts[i].text[fr];
	return "";
}

void
digest_page_over(struct buf *b, const struct msg_digest_told *m, bool fr)
{
	bool used = m->told == DIGEST_USED;
	char id[ID_SIZE];

	console_page_begin(b, used ? fr ? "C'est fait" : "Done" : fr ? "Ce message est déjà décidé" :
	    "This message is decided already", fr);
	buf_printf(b, fr ? "<p>Référence : %s</p>\n" : "<p>Reference: %s</p>\n", id_format(m->id, id));
	if (used)
		buf_printf(b, "<p>%s</p>\n", acts[m->act].done[fr]);
	buf_printf(b, "<p>%s</p>\n", state_text(m->state, fr));
	console_page_end(b);
}
