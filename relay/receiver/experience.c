/* experience.c -- what the receiver notes of its clients, and when it puts one off; see experience.h.
 *
 * Strangers alone are counted: nobody who may relay or has logged in, no relay in front of us
 * (what that one brings counts for the client it names). A message is counted once it has its
 * final answer: one that was put off comes again. What nobody has rated is a message, but
 * neither a clean one nor a bad one. Marketing is clean: who did not want it can say so.
 *
 * Our experience refuses nothing for good: who is put off is told 451, and as the counts fade and
 * nothing new is added he gets another chance by himself.
 */
#include <string.h>

#include "clock.h"
#include "log.h"
#include "receiver/experience.h"

/* Weighed observations of the address itself, before it may be put off: twenty messages of spam. */
#define FOUNDED 20.0

bool
experience_counts(const struct conn_mail *c, const struct smtp_session *s)
{
	return !c->rx->rt->conf->verify.reputation.off && !s->permitted && s->user.n == 0 &&
	    c->door->conf->direction != LISTEN_OUTBOUND && c->door->conf->upstream.n == 0 &&
	    s->client.family;
}

static void
note_client(struct receiver *rx, struct ip client, enum reputation_event e)
{
	struct reputation_who who = { .client = client };

	reputation_note(&rx->reputation, &who, e, 1, clock_real());
}

void
experience_refused(struct conn_mail *c, const struct smtp_session *s, const char *command,
    unsigned code, struct span text)
{
	if (code < 500 || !experience_counts(c, s))
		return;
	if (strcmp(command, "RCPT") == 0)
		note_client(c->rx, s->client, span_starts(text, SPAN_LIT("5.1.1 ")) ?
		    REPUTATION_UNKNOWN : REPUTATION_REFUSED);
	else if (strcmp(command, "EHLO") == 0 || strcmp(command, "HELO") == 0)
		note_client(c->rx, s->client, REPUTATION_GREETING);
	else if (strcmp(command, "AUTH") == 0 && code == 535)
		note_client(c->rx, s->client, REPUTATION_LOGIN);
}

static bool
is_forged(const struct facts *f)
{
	return f->dmarc == AUTH_FAIL || (f->dmarc == AUTH_NONE && f->spf == AUTH_FAIL && f->proved.n == 0);
}

void
experience_judged(struct receiver *rx, const struct message *m, unsigned code)
{
	static const enum reputation_event of[RATINGS] = { [RATING_HAM] = REPUTATION_CLEAN,
		[RATING_MARKETING] = REPUTATION_CLEAN, [RATING_SUSPECTED] = REPUTATION_SUSPECTED,
		[RATING_SPAM] = REPUTATION_SPAM };
	const struct facts *f = &m->verification.facts;
	struct reputation_who who = { m->t->env.client, f->proved };
	int64_t now = clock_real();

	if (rx->rt->conf->verify.reputation.off || !m->t->foreign || m->verdict.ndecisions == 0 ||
	    (code >= 400 && code < 500))
		return;
	reputation_note(&rx->reputation, &who, REPUTATION_MESSAGES, 1, now);
	if (m->verdict.virus)
		reputation_note(&rx->reputation, &who, REPUTATION_VIRUS, 1, now);
	else if (m->verdict.rating != RATING_NONE)
		reputation_note(&rx->reputation, &who, of[m->verdict.rating], 1, now);
	if (is_forged(f))
		note_client(rx, m->t->env.client, REPUTATION_FORGED);
}

void
experience_rcpt(struct conn_mail *c, struct smtp_session *s, struct smtp_reply *r)
{
	const struct conf_reputation *conf = &c->rx->rt->conf->verify.reputation;
	struct reputation_who who = { .client = s->client };
	struct reputation_answer own;

	if (conf->defer == 0 || s->vouched || !experience_counts(c, s) ||
	    s->t->env.direction != DIRECTION_INBOUND)
		return;
	reputation_ask(&c->rx->reputation, &who, clock_real(), &own);
	if (own.evidence < FOUNDED || own.client >= (int)conf->defer)
		return;
	counter_add(COUNTER_UNWELCOME, 1);
	smtp_refuse(s, r, 451, "4.7.1 our experience with this client is bad (%d of 100), "
	    "try again later", own.client);
}
