/* answer.c -- what was found out about a message, as facts, as a header field, as a line; see answer.h.
 *
 * The field says what was found, not what became of it: dmarc=fail stays fail when a trusted
 * forwarder outweighs it (then the fact is `policy`, and the comment names him).
 */
#include <stdio.h>

#include "addr.h"
#include "verifier/answer.h"
#include "verifier/results.h"
#include "verifier/spam_headers.h"

#define DKIM_WRITTEN 12		/* signatures that are shown */

/* ---- forged ones ---- */

/* Ranges that touch are one. */
static bool
remove_range(struct msg_facts *out, size_t at, size_t n)
{
	struct removal *last = out->nremovals ? &out->removals[out->nremovals - 1] : NULL;

	if (last && last->at + last->n == at) {
		last->n += n;
		return true;
	}
	if (out->nremovals == REMOVALS_MAX)
		return false;
	out->removals[out->nremovals++] = (struct removal){ at, n };
	return true;
}

/* RFC 8601, 5: in the whole header, however long it is. */
static void
find_forged(const struct check_found *f, struct arena *a, struct msg_facts *out)
{
	struct span raw = f->mail->raw, field;
	size_t at = 0, from = 0;

	while (mail_next_field(raw, &at, &field)) {
		if (span_is_nocase(mail_field_name(field), "Authentication-Results") &&
		    results_claim(mail_field_body(field), f->conf->verify.authserv_id)) {
			if (out->forged++ == 0)
				out->removals = arena_array(a, REMOVALS_MAX, sizeof(*out->removals));
			if (!remove_range(out, from, field.n)) {
				out->refuse = true;
				out->text = SPAN_LIT("5.6.0 too many forged Authentication-Results");
				return;
			}
		}
		from = at;
	}
}

/* ---- facts ---- */

static void
set_lists(const struct check_found *f, struct arena *a, struct facts *out)
{
	const struct conf_verify *v = &f->conf->verify;
	struct span *names;
	int r = f->dnsbl ? dnsbl_reputation(f->dnsbl, v->ndnsbl) : -1;

	if (r == -1)
		return;
	out->dnsbl_known = out->reputation_known = true;
	out->dnsbl = names = arena_array(a, v->ndnsbl, sizeof(*names));
	for (size_t i = 0; i < v->ndnsbl; i++)
		if (f->dnsbl->blocked >> i & 1)
			names[out->ndnsbl++] = v->dnsbl[i].name;
	out->reputation = (uint8_t)r;
}

static bool
within(struct span domain, struct span organisation)
{
	return span_eq_nocase(domain, organisation) || (domain.n > organisation.n &&
	    domain.p[domain.n - organisation.n - 1] == '.' && span_ends_nocase(domain, organisation));
}

/* The author's domain, where SPF or DKIM proves it; a record of DMARC is not needed for that. */
static void
set_proved(const struct check_found *f, struct arena *a, struct facts *out)
{
	const struct dmarc_result *d = f->dmarc;
	bool aligned = d->spf_aligned || d->dkim_aligned;

	if (d->result == AUTH_NONE && d->organisation.n) {
		aligned = f->spf && f->spf->result == AUTH_PASS && within(f->spf->domain, d->organisation);
		for (size_t i = 0; i < f->nsignatures; i++)
			aligned |= f->signatures[i].result == AUTH_PASS &&
			    within(f->signatures[i].domain, d->organisation);
	}
	if (aligned)
		out->proved = arena_span(a, d->from);
}

/* Our own: by itself, and as a part of `reputation`, which is known where either is. */
static void
set_experience(const struct check_found *f, struct facts *out)
{
	struct reputation_who who = { f->who->client, out->proved };
	struct reputation_answer own;
	int r;

	if (f->reputation == NULL || f->conf->verify.reputation.off || f->who->client.family == 0)
		return;
	reputation_ask(f->reputation, &who, f->now, &own);
	out->experience_known = true;
	out->experience = (uint8_t)own.score;
	if (own.score == REPUTATION_MIDDLE)
		return;
	r = reputation_joined(out->reputation_known ? out->reputation : -1, own.score,
	    f->conf->verify.reputation.weight);
	out->reputation_known = true;
	out->reputation = (uint8_t)r;
}

/* The filter's own word weighs more than what a header field says. */
static void
set_rating(const struct check_found *f, struct arena *a, struct facts *out)
{
	const struct facts *r = f->rated;
	struct span *v;

	if (r == NULL || !r->spam_known)
		return;
	out->spam_known = true;
	out->spam_by = r->spam_by;
	out->spam_score = r->spam_score;
	out->spam_class = arena_span(a, r->spam_class);
	out->spam_symbols = v = arena_array(a, r->nspam_symbols, sizeof(*v));
	out->nspam_symbols = r->nspam_symbols;
	for (size_t i = 0; i < r->nspam_symbols; i++)
		v[i] = arena_span(a, r->spam_symbols[i]);
}

static void
set_facts(const struct check_found *f, struct arena *a, struct facts *out)
{
	static const enum dmarc_asks asks[] = { [DMARC_NONE] = DMARC_ASKS_NOTHING,
		[DMARC_QUARANTINE] = DMARC_ASKS_QUARANTINE, [DMARC_REJECT] = DMARC_ASKS_REJECT };

	if (f->spf)
		out->spf = f->spf->result;
	set_lists(f, a, out);
	if (f->hosts)
		hosts_facts(f->hosts, a, out);
	if (f->uribl)
		uribl_facts(f->uribl, a, out);
	if (f->who->relayed)
		spam_headers_read(f->mail, a, out);
	set_rating(f, a, out);
	out->dkim = f->dkim;
	out->arc = f->seals->result;
	out->dmarc = f->dmarc->result;
	out->dmarc_asks = asks[f->dmarc->disposition];
	set_proved(f, a, out);
	set_experience(f, out);
	if (f->vouched.n && out->dmarc == AUTH_FAIL) {
		out->dmarc = AUTH_POLICY;
		out->dmarc_asks = DMARC_ASKS_NOTHING;
	}
}

/* Who vouches for it with a key: what lists of senders ask (lists/), beside alignment. */
static void
set_signed(const struct check_found *f, struct arena *a, struct msg_facts *out)
{
	struct span *v = arena_array(a, FACTS_SIGNED_MAX, sizeof(*v));

	out->signed_by = v;
	for (size_t i = 0; i < f->nsignatures && out->nsigned_by < FACTS_SIGNED_MAX; i++)
		if (f->signatures[i].result == AUTH_PASS)
			v[out->nsigned_by++] = f->signatures[i].domain;
}

/* ---- the field ---- */

static void
put_spf(const struct check_found *f, struct results *r)
{
	const struct spf_result *s = f->spf;

	if (s == NULL)
		return;
	results_method(r, "spf", auth_result_name(s->result));
	results_reason(r, s->problem);
	results_property(r, s->identity == SPF_HELO ? "smtp.helo" : "smtp.mailfrom", s->domain);
}

static void
put_dkim(const struct check_found *f, struct results *r)
{
	if (f->nsignatures == 0)
		results_method(r, "dkim", "none");
	for (size_t i = 0; i < f->nsignatures && i < DKIM_WRITTEN; i++) {
		const struct signature *s = &f->signatures[i];

		results_method(r, "dkim", auth_result_name(s->result));
		if (s->algorithm && s->bits)
			results_comment(r, "%u-bit key", s->bits);
		results_reason(r, span_str(s->why));
		results_property(r, "header.d", s->domain);
		results_property(r, "header.s", s->selector);
		results_property(r, "header.a", span_str(s->algorithm));
		results_property(r, "header.b", s->b);
	}
}

static void
put_dmarc(const struct check_found *f, struct results *r)
{
	const struct dmarc_result *d = f->dmarc;

	results_method(r, "dmarc", auth_result_name(d->result));
	if (d->record.n && f->vouched.n)
		results_comment(r, "p=%s, sealed by %.*s", dmarc_policy_name(d->policy),
		    SPAN_ARG(f->vouched));
	else if (d->record.n)
		results_comment(r, "p=%s%s", dmarc_policy_name(d->policy),
		    d->sampled_out ? ", spared by pct" : "");
	if (d->result == AUTH_TEMPERROR || d->result == AUTH_PERMERROR)
		results_reason(r, d->reason);
	results_property(r, "header.from", d->from);
}

/* RFC 8617, 10.2: there is no temperror. */
static void
put_arc(const struct check_found *f, struct results *r)
{
	const struct seals_result *s = f->seals;
	char ip[IP_TEXT_MAX], oldest[16];

	if (s->result == AUTH_NONE)
		return;
	results_method(r, "arc", s->result == AUTH_PASS ? "pass" : "fail");
	results_comment(r, "i=%u", s->sets);
	results_reason(r, span_str(s->why));
	if (s->result == AUTH_PASS) {
		snprintf(oldest, sizeof(oldest), "%u", s->oldest_pass);
		results_property(r, "header.oldest-pass", span_str(oldest));
	}
	if (f->who->client.family)
		results_property(r, "smtp.remote-ip", span_str(ip_format(f->who->client, ip)));
}

static void
write_field(const struct check_found *f, struct arena *a, struct msg_facts *out)
{
	struct results r;
	struct buf b;

	buf_init(&b, FACTS_HEADER_MAX);
	results_begin(&r, &b, f->conf->verify.authserv_id);
	put_spf(f, &r);
	put_dkim(f, &r);
	put_dmarc(f, &r);
	put_arc(f, &r);
	results_end(&r);
	ASSERT(!buf_failed(&b));	/* twelve signatures are far from its maximum */
	out->header = arena_span(a, buf_data(&b));
	buf_release(&b);
}

/* ---- the line ---- */

static void
write_summary(const struct check_found *f, struct arena *a, struct msg_facts *out)
{
	const struct facts *x = &out->facts;
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "identity: spf=%s", x->spf ? auth_result_name(x->spf) : "unknown");
	if (f->spf)
		buf_printf(&b, " (" SPAN_FMT ")", SPAN_ARG(span_sub(f->spf->domain, 0, 255)));
	buf_printf(&b, ", dkim=%s", auth_result_name(x->dkim));
	for (size_t i = 0; i < f->nsignatures && i < 3; i++)
		buf_printf(&b, " (" SPAN_FMT "%s%s)", SPAN_ARG(span_sub(f->signatures[i].domain, 0, 255)),
		    f->signatures[i].why ? ": " : "", f->signatures[i].why ? f->signatures[i].why : "");
	buf_printf(&b, ", dmarc=%s", auth_result_name(x->dmarc));
	if (f->dmarc->from.n)
		buf_printf(&b, " (" SPAN_FMT "%s%s)", SPAN_ARG(span_sub(f->dmarc->from, 0, 255)),
		    f->dmarc->record.n ? " p=" : "",
		    f->dmarc->record.n ? dmarc_policy_name(f->dmarc->policy) : "");
	buf_printf(&b, ", arc=%s", auth_result_name(x->arc));
	if (f->seals->why)
		buf_printf(&b, " (%s)", f->seals->why);
	for (size_t i = 0; i < x->ndnsbl; i++)
		buf_printf(&b, "%s" SPAN_FMT, i ? "+" : ", dnsbl=", SPAN_ARG(x->dnsbl[i]));
	if (x->reputation_known)
		buf_printf(&b, ", reputation=%u", x->reputation);
	if (x->experience_known && x->experience != REPUTATION_MIDDLE)
		buf_printf(&b, ", experience=%u", x->experience);
	for (size_t i = 0; i < x->nlisted_hosts; i++)
		buf_printf(&b, "%s" SPAN_FMT, i ? "+" : ", links=", SPAN_ARG(x->listed_hosts[i]));
	if (x->spam_known)
		buf_printf(&b, ", spam=%.1f", x->spam_score);
	else if (f->unrated)
		buf_printf(&b, ", spam=unknown (%s)", f->unrated);
	if (!buf_failed(&b))
		out->summary = arena_span(a, buf_data(&b));
	buf_release(&b);
}

void
answer_make(const struct check_found *f, struct arena *a, struct msg_facts *out)
{
	*out = (struct msg_facts){ 0 };
	find_forged(f, a, out);
	set_facts(f, a, &out->facts);
	set_signed(f, a, out);
	write_field(f, a, out);
	write_summary(f, a, out);
}
