/* gate_bounce.c -- mail with the null sender to a domain that tags its senders (BATV): is it a
 * bounce of anything we sent? See gate.h, net/batv.h.
 *
 * Whoever writes to a tagged address means the mailbox behind it: the tag is taken off before
 * anything else asks who the recipient is, for other senders too (autoresponders and lists
 * answer the envelope). What a bounce proves is a fact of the message, so recipients of whom it proves
 * different things come in messages of their own (452); a real bounce has one recipient.
 */
#include "net/batv_book.h"
#include "receiver/gate.h"

/* Bounces may come to it without a tag. */
static bool
needs_none(const struct batv_domain *d, struct span address)
{
	struct span local, domain;

	/* RFC 5321, 4.5.1: the postmaster can always be reached. */
	return !batv_taggable(address) || addrlist_has(d->untagged, address) ||
	    (mailaddr_split(address, &local, &domain) && span_is_nocase(local, "postmaster"));
}

static enum bounce_fact
judge(const struct batv_domain *d, enum batv_result r, struct span address, int32_t day)
{
	static const enum bounce_fact of[BATV_RESULT_COUNT] = { [BATV_UNTAGGED] = BOUNCE_UNTAGGED,
		[BATV_VALID] = BOUNCE_VALID, [BATV_EXPIRED] = BOUNCE_EXPIRED, [BATV_FORGED] = BOUNCE_FORGED };

	if (r == BATV_VALID)
		return BOUNCE_VALID;
	if (needs_none(d, address))
		return BOUNCE_UNKNOWN;
	/* What went out before there were tags may still come back. */
	return day < d->since + d->conf->batv.grace ? BOUNCE_GRACE : of[r];
}

static void
refuse(const struct gate *g, struct smtp_session *s, const struct batv_domain *d,
    const struct recipient *rcpt, struct smtp_reply *r, struct gate_why *why)
{
	gate_because(why, g->conf->path, d->conf->batv.line, "`batv` of domain %.*s: %s",
	    SPAN_ARG(d->conf->name), bounce_fact_name(s->t->bounce));
	smtp_refuse(s, r, 550, "5.7.1 <%.*s>: nothing was sent from this address that could bounce%s",
	    SPAN_ARG(rcpt->address), s->t->bounce == BOUNCE_EXPIRED ? " now" : "");
}

void
gate_bounce(const struct gate *g, struct smtp_session *s, struct recipient *rcpt,
    struct smtp_reply *r, struct gate_why *why)
{
	const struct batv_domain *d = batv_book_of(g->batv, rcpt->address);
	enum bounce_fact b = BOUNCE_UNKNOWN;
	int32_t day = batv_day(s->now);
	enum batv_result seen;
	struct span plain;

	*why = (struct gate_why){ 0 };
	if (d) {
		seen = batv_check(&d->keys, s->t->arena, rcpt->address, day, &plain);
		rcpt->address = plain;
		if (s->t->env.sender.n == 0 && !s->permitted && s->user.n == 0)
			b = judge(d, seen, plain, day);
	}
	if (s->t->env.nrecipients && b != s->t->bounce) {
		smtp_refuse(s, r, 452, "4.5.3 <%.*s>: one recipient at a time for mail without a sender",
		    SPAN_ARG(rcpt->address));
		return;
	}
	s->t->bounce = b;
	if (b >= BOUNCE_EXPIRED && b <= BOUNCE_UNTAGGED && d->conf->batv.refuse)
		refuse(g, s, d, rcpt, r, why);
}
