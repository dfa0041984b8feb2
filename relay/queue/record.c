/* record.c -- the records of a segment; see record.h.
 *
 * Decoders trust nothing, although a CRC stood in front: a damaged disk is
 * one thing, a spool folder copied from a stranger another.
 */
#include "queue/crc32c.h"
#include "queue/record.h"

const char *
record_type_name(enum record_type t)
{
	static const char *const names[RECORD_TYPES] = { "none", "message", "state", "done",
		"sites", "end", "tail" };

	return t < RECORD_TYPES ? names[t] : "unknown";
}

const char *
target_status_name(enum target_status s)
{
	static const char *const names[TARGET_STATUSES] = { "pending", "sent", "failed",
		"expired", "kept", "discarded", "refused", "dropped" };

	return s < TARGET_STATUSES ? names[s] : "unknown";
}

static void
put32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> 8 * i);
}

static void
put64(char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (char)(v >> 8 * i);
}

static uint32_t
get32(const char *p)
{
	uint32_t v = 0;

	for (int i = 3; i >= 0; i--)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static uint64_t
get64(const char *p)
{
	return (uint64_t)get32(p + 4) << 32 | get32(p);
}

void
record_head_write(char out[RECORD_HEAD], uint64_t salt, const struct record *r)
{
	put64(out, salt);
	out[8] = (char)r->type;
	out[9] = (char)r->flags;
	out[10] = out[11] = 0;
	put32(out + 12, r->meta_size);
	put32(out + 16, r->data_size);
	put32(out + 20, r->meta_crc);
	put64(out + 24, r->id);
	put32(out + 32, r->data_crc);
	put32(out + 36, crc32c(0, out, 36));
}

bool
record_head_read(const char *p, uint64_t salt, struct record *r)
{
	unsigned type = (unsigned char)p[8];

	if (get64(p) != salt || get32(p + 36) != crc32c(0, p, 36))
		return false;
	if (type == RECORD_NONE || type >= RECORD_TYPES || p[10] || p[11] ||
	    get32(p + 12) > RECORD_META_MAX || get32(p + 16) > RECORD_DATA_MAX)
		return false;
	*r = (struct record){ .type = type, .flags = (uint8_t)p[9], .meta_size = get32(p + 12),
		.data_size = get32(p + 16), .meta_crc = get32(p + 20), .id = get64(p + 24),
		.data_crc = get32(p + 32) };
	return true;
}

/* ---- MESSAGE ---- */

static void
decision_encode(struct enc *e, const struct msg_decision *d)
{
	enc_u8(e, (uint8_t)d->outcome);
	enc_u8(e, (uint8_t)d->require_tls);
	enc_u8(e, (uint8_t)d->on_expire);
	enc_i64(e, d->expires);
	enc_span(e, d->reply);
	enc_span(e, d->queue);
	enc_span(e, d->rule);
	enc_u32(e, (uint32_t)d->nredirect);
	for (size_t i = 0; i < d->nredirect; i++)
		enc_span(e, d->redirect[i]);
}

static void
decision_decode(struct dec *d, struct arena *a, struct msg_decision *out)
{
	*out = (struct msg_decision){ .outcome = dec_u8(d), .require_tls = dec_u8(d),
		.on_expire = dec_u8(d) };
	if (out->outcome >= OUTCOME_COUNT || out->on_expire >= OUTCOME_COUNT ||
	    out->require_tls > TLS_DANE)
		d->bad = true;
	out->expires = dec_i64(d);
	out->reply = dec_span(d);
	out->queue = dec_span(d);
	out->rule = dec_span(d);
	out->nredirect = dec_count(d, TARGETS_MAX, 4);
	out->redirect = arena_array(a, out->nredirect, sizeof(*out->redirect));
	for (size_t i = 0; i < out->nredirect; i++)
		out->redirect[i] = dec_span(d);
}

void
stored_encode(struct buf *b, const struct stored *m)
{
	struct enc e = { b };
	const struct envelope *v = &m->env;

	ASSERT(m->ndecisions == v->nrecipients);
	enc_u64(&e, m->parent);
	enc_u64(&e, m->size);
	enc_u32(&e, m->json_size);
	enc_u32(&e, m->big_crc);
	enc_u8(&e, (uint8_t)v->direction);
	enc_u8(&e, (uint8_t)v->ret);
	enc_u32(&e, v->flags);
	enc_i64(&e, v->received);
	enc_span(&e, v->listener);
	enc_ip(&e, v->client);
	enc_u16(&e, v->client_port);
	enc_span(&e, v->client_name);
	enc_span(&e, v->helo);
	enc_span(&e, v->user);
	enc_span(&e, v->tls);
	enc_span(&e, v->envid);
	enc_span(&e, v->sender);
	enc_u32(&e, (uint32_t)v->nrecipients);
	for (size_t i = 0; i < v->nrecipients; i++) {
		enc_span(&e, v->recipients[i].address);
		enc_span(&e, v->recipients[i].orcpt);
		enc_u8(&e, v->recipients[i].notify);
		decision_encode(&e, &m->decisions[i]);
	}
}

int
stored_decode(struct span meta, struct arena *a, struct stored *m)
{
	struct dec d;
	struct stored s = { 0 };
	struct envelope *v = &s.env;

	dec_init(&d, meta);
	s.parent = dec_u64(&d);
	s.size = dec_u64(&d);
	s.json_size = dec_u32(&d);
	s.big_crc = dec_u32(&d);
	v->direction = dec_u8(&d);
	v->ret = dec_u8(&d);
	if (v->direction > DIRECTION_INBOUND || v->ret > RET_HDRS || s.json_size > RECORD_DATA_MAX)
		return -1;
	v->flags = dec_u32(&d);
	v->received = dec_i64(&d);
	v->listener = dec_span(&d);
	v->client = dec_ip(&d);
	v->client_port = dec_u16(&d);
	v->client_name = dec_span(&d);
	v->helo = dec_span(&d);
	v->user = dec_span(&d);
	v->tls = dec_span(&d);
	v->envid = dec_span(&d);
	v->sender = dec_span(&d);
	v->nrecipients = s.ndecisions = dec_count(&d, ENVELOPE_RECIPIENTS_MAX, 16);
	v->recipients = arena_array(a, v->nrecipients, sizeof(*v->recipients));
	s.decisions = arena_array(a, v->nrecipients, sizeof(*s.decisions));
	for (size_t i = 0; i < v->nrecipients; i++) {
		v->recipients[i].address = dec_span(&d);
		v->recipients[i].orcpt = dec_span(&d);
		v->recipients[i].notify = dec_u8(&d);
		decision_decode(&d, a, &s.decisions[i]);
	}
	if (!dec_done(&d))
		return -1;
	*m = s;
	return 0;
}

/* ---- STATE ---- */

static bool
same_texts(const struct target_state *a, const struct target_state *b)
{
	return span_eq(a->dsn, b->dsn) && span_eq(a->reply, b->reply) &&
	    span_eq(a->relay, b->relay);
}

/* A hundred recipients of one site mostly got one and the same answer: it is
 * written once. */
void
state_encode(struct buf *b, const struct state *s)
{
	struct enc e = { b };

	enc_i64(&e, s->time);
	enc_i64(&e, s->next);
	enc_u16(&e, s->attempts);
	enc_u32(&e, (uint32_t)s->ntargets);
	for (size_t i = 0; i < s->ntargets; i++) {
		const struct target_state *t = &s->targets[i];
		bool same = i > 0 && same_texts(t, t - 1);

		enc_u16(&e, t->target);
		enc_u8(&e, (uint8_t)t->status);
		enc_u8(&e, (uint8_t)t->cls);
		enc_u8(&e, same);
		if (!same) {
			enc_span(&e, t->dsn);
			enc_span(&e, t->reply);
			enc_span(&e, t->relay);
		}
	}
	if (s->route.n > 0 || s->streak > 0 || s->since > 0)
		enc_span(&e, s->route);
	if (s->streak > 0 || s->since > 0)
		enc_u8(&e, s->streak);
	if (s->since > 0)
		enc_i64(&e, s->since);
}

int
state_decode(struct span meta, struct arena *a, struct state *out)
{
	struct dec d;
	struct state s = { 0 };

	dec_init(&d, meta);
	s.time = dec_i64(&d);
	s.next = dec_i64(&d);
	s.attempts = dec_u16(&d);
	s.ntargets = dec_count(&d, TARGETS_MAX, 5);
	s.targets = arena_array(a, s.ntargets, sizeof(*s.targets));
	for (size_t i = 0; i < s.ntargets; i++) {
		struct target_state *t = &s.targets[i];
		uint8_t same;

		t->target = dec_u16(&d);
		t->status = dec_u8(&d);
		t->cls = dec_u8(&d);
		same = dec_u8(&d);
		if (t->target >= TARGETS_MAX || t->status >= TARGET_STATUSES ||
		    t->cls >= FAIL_CLASSES || same > 1 || (same && i == 0))
			return -1;
		t->dsn = same ? t[-1].dsn : dec_span(&d);
		t->reply = same ? t[-1].reply : dec_span(&d);
		t->relay = same ? t[-1].relay : dec_span(&d);
	}
	if (d.p < d.end)	/* version 2 */
		s.route = dec_span(&d);
	if (d.p < d.end)	/* version 3 */
		s.streak = dec_u8(&d);
	if (d.p < d.end)	/* version 4 */
		s.since = dec_i64(&d);
	if (!dec_done(&d))
		return -1;
	*out = s;
	return 0;
}
