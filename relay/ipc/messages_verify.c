/* messages_verify.c -- codecs of what receivers and verifiers say; see messages_verify.h. */
#include "ipc/messages_verify.h"

static void
texts_put(struct enc *e, const struct span *v, size_t n)
{
	enc_u32(e, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		enc_span(e, v[i]);
}

static const struct span *
texts_get(struct dec *d, struct arena *a, uint32_t max, size_t *n)
{
	struct span *v;

	*n = dec_count(d, max, 4);
	v = arena_array(a, *n, sizeof(*v));
	for (size_t i = 0; i < *n; i++)
		v[i] = dec_span(d);
	return v;
}

void
facts_put(struct enc *e, const struct facts *f)
{
	uint64_t score;

	memcpy(&score, &f->spam_score, sizeof(score));
	enc_u8(e, (uint8_t)f->spf);
	enc_u8(e, (uint8_t)f->dkim);
	enc_u8(e, (uint8_t)f->dmarc);
	enc_u8(e, (uint8_t)f->arc);
	enc_u8(e, (uint8_t)f->dmarc_asks);
	enc_u8(e, (uint8_t)f->bounce);
	enc_u8(e, f->dnsbl_known);
	texts_put(e, f->dnsbl, f->ndnsbl);
	enc_u8(e, f->listed_known);
	texts_put(e, f->listed_hosts, f->nlisted_hosts);
	enc_u8(e, f->reputation_known);
	enc_u8(e, f->reputation);
	enc_u8(e, f->experience_known);
	enc_u8(e, f->experience);
	enc_span(e, f->proved);
	enc_u8(e, (uint8_t)f->reverse);
	enc_span(e, f->reverse_name);
	enc_u8(e, (uint8_t)f->helo);
	enc_u8(e, f->spam_known);
	enc_u8(e, (uint8_t)f->spam_by);
	enc_u64(e, score);
	texts_put(e, f->spam_symbols, f->nspam_symbols);
	enc_span(e, f->spam_class);
	enc_u8(e, f->lists_known);
	enc_u32(e, (uint32_t)f->nlistings);
	for (size_t i = 0; i < f->nlistings; i++) {
		const struct listed *l = &f->listings[i];

		enc_u16(e, l->recipient);
		enc_u8(e, l->scope);
		enc_u8(e, l->side);
		enc_u8(e, l->by);
		enc_u8(e, l->counts);
		enc_u64(e, l->number);
		enc_span(e, l->owner);
		enc_span(e, l->what);
		enc_span(e, l->reason);
	}
}

static void
listings_get(struct dec *d, struct arena *a, struct facts *f)
{
	struct listed *v;

	f->lists_known = dec_enum(d, 2);
	f->nlistings = dec_count(d, LISTINGS_MAX, 26);
	f->listings = v = arena_array(a, f->nlistings, sizeof(*v));
	for (size_t i = 0; i < f->nlistings; i++) {
		v[i].recipient = dec_u16(d);
		v[i].scope = (uint8_t)dec_enum(d, LIST_SCOPES);
		v[i].side = (uint8_t)dec_enum(d, LIST_SIDES);
		v[i].by = (uint8_t)dec_enum(d, LIST_BYS);
		v[i].counts = dec_enum(d, 2);
		v[i].number = dec_u64(d);
		v[i].owner = dec_span(d);
		v[i].what = dec_span(d);
		v[i].reason = dec_span(d);
	}
}

void
facts_get(struct dec *d, struct arena *a, struct facts *f)
{
	uint64_t score;

	*f = (struct facts){ 0 };
	f->spf = (enum auth_result)dec_enum(d, AUTH_POLICY + 1);
	f->dkim = (enum auth_result)dec_enum(d, AUTH_POLICY + 1);
	f->dmarc = (enum auth_result)dec_enum(d, AUTH_POLICY + 1);
	f->arc = (enum auth_result)dec_enum(d, AUTH_POLICY + 1);
	f->dmarc_asks = (enum dmarc_asks)dec_enum(d, DMARC_ASKS_COUNT);
	f->bounce = (enum bounce_fact)dec_enum(d, BOUNCE_FACTS);
	f->dnsbl_known = dec_enum(d, 2);
	f->dnsbl = texts_get(d, a, FACTS_LISTS_MAX, &f->ndnsbl);
	f->listed_known = dec_enum(d, 2);
	f->listed_hosts = texts_get(d, a, FACTS_LINKS_MAX, &f->nlisted_hosts);
	f->reputation_known = dec_enum(d, 2);
	f->reputation = (uint8_t)dec_enum(d, 101);
	f->experience_known = dec_enum(d, 2);
	f->experience = (uint8_t)dec_enum(d, 101);
	f->proved = dec_span(d);
	f->reverse = (enum host_state)dec_enum(d, HOST_STATES);
	f->reverse_name = dec_span(d);
	f->helo = (enum host_state)dec_enum(d, HOST_STATES);
	f->spam_known = dec_enum(d, 2);
	f->spam_by = (enum spam_source)dec_enum(d, SPAM_SOURCES);
	score = dec_u64(d);
	memcpy(&f->spam_score, &score, sizeof(score));
	if (!(f->spam_score >= -1e9 && f->spam_score <= 1e9))	/* nor a NaN */
		d->bad = true;
	f->spam_symbols = texts_get(d, a, FACTS_SYMBOLS_MAX, &f->nspam_symbols);
	f->spam_class = dec_span(d);
	listings_get(d, a, f);
}

static void
identify_put(struct enc *e, const struct msg_identify *m)
{
	enc_u64(e, m->id);
	enc_ip(e, m->client);
	enc_span(e, m->helo);
	enc_span(e, m->sender);
	enc_span(e, m->listener);
	enc_u8(e, m->relayed);
}

static void
identify_get(struct dec *d, struct msg_identify *m)
{
	m->id = dec_u64(d);
	m->client = dec_ip(d);
	m->helo = dec_span(d);
	m->sender = dec_span(d);
	m->listener = dec_span(d);
	m->relayed = dec_enum(d, 2);
}

ENCODE(identify)
	identify_put(&e, m);
}
DECODE(identify)
	identify_get(&d, m);
DECODED

ENCODE(verify)
	identify_put(&e, &m->who);
	payload_encode(&e, &m->payload);
}
DECODE(verify)
	identify_get(&d, &m->who);
	payload_decode(&d, fd, a, &m->payload);
DECODED

ENCODE(facts)
	facts_put(&e, &m->facts);
	enc_span(&e, m->header);
	texts_put(&e, m->signed_by, m->nsigned_by);
	enc_span(&e, m->summary);
	enc_u8(&e, m->refuse);
	enc_span(&e, m->text);
	enc_u32(&e, m->forged);
	enc_u32(&e, (uint32_t)m->nremovals);
	for (size_t i = 0; i < m->nremovals; i++) {
		enc_u64(&e, m->removals[i].at);
		enc_u64(&e, m->removals[i].n);
	}
}

/* A header field of ours: visible, folded, closed, and nothing behind it. */
static bool
one_field(struct span s)
{
	if (s.n == 0)
		return true;
	if (s.n > FACTS_HEADER_MAX || s.n < 3 || s.p[s.n - 1] != '\n' || s.p[s.n - 2] != '\r' ||
	    ascii_is_wsp(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\r' ? i + 1 == s.n || s.p[i + 1] != '\n' : c == '\n' ? i == 0 ||
		    s.p[i - 1] != '\r' || (i + 1 < s.n && !ascii_is_wsp(s.p[i + 1])) :
		    c != '\t' && (c < ' ' || c > '~'))
			return false;
	}
	return true;
}

DECODE(facts)
	uint64_t before = 0;

	facts_get(&d, a, &m->facts);
	m->header = dec_span(&d);
	m->signed_by = texts_get(&d, a, FACTS_SIGNED_MAX, &m->nsigned_by);
	m->summary = dec_span(&d);
	m->refuse = dec_enum(&d, 2);
	m->text = dec_span(&d);
	m->forged = dec_u32(&d);
	m->nremovals = dec_count(&d, REMOVALS_MAX, 16);
	m->removals = arena_array(a, m->nremovals, sizeof(*m->removals));
	for (size_t i = 0; i < m->nremovals; i++) {
		struct removal *r = &m->removals[i];

		r->at = dec_u64(&d);
		r->n = dec_u64(&d);
		d.bad |= r->n == 0 || r->at < before || r->n > INT64_MAX || r->at > INT64_MAX;
		before = r->at + r->n;
	}
	d.bad |= !one_field(m->header) || (m->refuse && m->text.n == 0);
DECODED
