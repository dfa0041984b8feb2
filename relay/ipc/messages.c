/* messages.c -- codecs of the frame bodies; see messages.h.
 *
 * Longer than most files because it is the one place where both directions of
 * every body stand side by side: a field that is encoded is decoded a few
 * lines below. Encoders write into a buf whose maximum the caller chose;
 * link_send and the caller check buf_failed.
 */
#include <endian.h>

#include "ipc/messages.h"
#include "ipc/messages_verify.h"

#include "fs.h"

#define EACH_RCPT 4	/* least bytes an encoded recipient, decision … takes: bounds the counts */

const char *
event_name(enum event_kind k)
{
	static const char *const names[EVENT_COUNT] = {
#define X(name, text) [EVENT_##name] = text,
		EVENTS(X)
#undef X
	};

	ASSERT(k < EVENT_COUNT);
	return names[k];
}

/* ---- shared pieces ---- */

static void
recipients_encode(struct enc *e, const struct recipient *r, size_t n)
{
	enc_u32(e, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		enc_span(e, r[i].address);
		enc_span(e, r[i].orcpt);
		enc_u8(e, r[i].notify);
	}
}

static struct recipient *
recipients_decode(struct dec *d, struct arena *a, size_t *n)
{
	struct recipient *r;

	*n = dec_count(d, ENVELOPE_RECIPIENTS_MAX, EACH_RCPT);
	r = arena_array(a, *n, sizeof(*r));
	for (size_t i = 0; i < *n; i++) {
		r[i].address = dec_span(d);
		r[i].orcpt = dec_span(d);
		r[i].notify = dec_u8(d);
	}
	return r;
}

void
envelope_encode(struct enc *e, const struct envelope *env)
{
	enc_u64(e, env->id);
	enc_u8(e, (uint8_t)env->direction);
	enc_span(e, env->listener);
	enc_ip(e, env->client);
	enc_u16(e, env->client_port);
	enc_span(e, env->client_name);
	enc_span(e, env->helo);
	enc_span(e, env->user);
	enc_span(e, env->tls);
	enc_u32(e, env->flags);
	enc_u8(e, (uint8_t)env->ret);
	enc_span(e, env->envid);
	enc_i64(e, env->received);
	enc_span(e, env->sender);
	recipients_encode(e, env->recipients, env->nrecipients);
}

void
envelope_decode(struct dec *d, struct arena *a, struct envelope *env)
{
	*env = (struct envelope){ 0 };
	env->id = dec_u64(d);
	env->direction = (enum direction)dec_enum(d, DIRECTION_INBOUND + 1);
	env->listener = dec_span(d);
	env->client = dec_ip(d);
	env->client_port = dec_u16(d);
	env->client_name = dec_span(d);
	env->helo = dec_span(d);
	env->user = dec_span(d);
	env->tls = dec_span(d);
	env->flags = dec_u32(d);
	env->ret = (enum dsn_ret)dec_enum(d, RET_HDRS + 1);
	env->envid = dec_span(d);
	env->received = dec_i64(d);
	env->sender = dec_span(d);
	env->recipients = recipients_decode(d, a, &env->nrecipients);
}

static void
spans_encode(struct enc *e, const struct span *v, size_t n)
{
	enc_u32(e, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		enc_span(e, v[i]);
}

static struct span *
spans_decode(struct dec *d, struct arena *a, uint32_t max, size_t *n)
{
	struct span *v;

	*n = dec_count(d, max, 4);
	v = arena_array(a, *n, sizeof(*v));
	for (size_t i = 0; i < *n; i++)
		v[i] = dec_span(d);
	return v;
}

static bool
grid_fine(struct span grid, size_t cells)
{
	bool fine = grid.n == cells;

	for (size_t i = 0; fine && i < grid.n; i++)
		fine = (unsigned char)grid.p[i] < MEMBER_STATES;
	return fine;
}

static void
memberships_put(struct enc *e, const struct memberships *m)
{
	spans_encode(e, m->addresses, m->naddresses);
	spans_encode(e, m->groups, m->ngroups);
	enc_span(e, span_make((const char *)m->grid, m->naddresses * m->ngroups));
}

static void
memberships_get(struct dec *d, struct arena *a, struct memberships *m)
{
	struct span grid;

	*m = (struct memberships){ 0 };
	m->addresses = spans_decode(d, a, MEMBERS_ADDRESSES_MAX, &m->naddresses);
	m->groups = spans_decode(d, a, EXTERNAL_GROUPS_MAX, &m->ngroups);
	grid = dec_span(d);
	d->bad |= !grid_fine(grid, m->naddresses * m->ngroups);
	m->grid = grid.n ? (const uint8_t *)grid.p : NULL;	/* NULL: nothing is known */
}

static void
decisions_encode(struct enc *e, const struct msg_decision *m, size_t n)
{
	enc_u32(e, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		enc_u8(e, (uint8_t)m[i].outcome);
		enc_u16(e, m[i].variant);
		enc_u8(e, (uint8_t)m[i].require_tls);
		enc_span(e, m[i].reply);
		enc_span(e, m[i].queue);
		enc_i64(e, m[i].expires);
		enc_u8(e, (uint8_t)m[i].on_expire);
		enc_span(e, m[i].rule);
		enc_u32(e, (uint32_t)m[i].nredirect);
		for (size_t k = 0; k < m[i].nredirect; k++)
			enc_span(e, m[i].redirect[k]);
	}
}

static struct msg_decision *
decisions_decode(struct dec *d, struct arena *a, size_t *n)
{
	struct msg_decision *m;

	*n = dec_count(d, ENVELOPE_RECIPIENTS_MAX, EACH_RCPT);
	m = arena_array(a, *n, sizeof(*m));
	for (size_t i = 0; i < *n; i++) {
		m[i].outcome = (enum outcome)dec_enum(d, OUTCOME_COUNT);
		m[i].variant = dec_u16(d);
		m[i].require_tls = (enum require_tls)dec_enum(d, TLS_DANE + 1);
		m[i].reply = dec_span(d);
		m[i].queue = dec_span(d);
		m[i].expires = dec_i64(d);
		m[i].on_expire = (enum outcome)dec_enum(d, OUTCOME_COUNT);
		m[i].rule = dec_span(d);
		m[i].nredirect = dec_count(d, ENVELOPE_RECIPIENTS_MAX, 4);
		m[i].redirect = arena_array(a, m[i].nredirect, sizeof(struct span));
		for (size_t k = 0; k < m[i].nredirect; k++)
			m[i].redirect[k] = dec_span(d);
	}
	return m;
}

static void
ref_encode(struct enc *e, const struct spool_ref *r)
{
	enc_u32(e, r->segment);
	enc_u64(e, r->offset);
	enc_u64(e, r->size);
}

static void
ref_decode(struct dec *d, int fd, struct spool_ref *r)
{
	r->segment = dec_u32(d);
	r->offset = dec_u64(d);
	r->size = dec_u64(d);
	if ((r->segment == 0) != (fd != -1) || r->offset > INT64_MAX || r->size > INT64_MAX)
		d->bad = true;
}

/* ---- control ---- */

ENCODE(listener)
	enc_u32(&e, m->index);
}
DECODE(listener)
	m->index = dec_u32(&d);
	if (fd == -1)
		d.bad = true;
DECODED

ENCODE(peer)
	enc_u8(&e, (uint8_t)m->role);
	enc_u32(&e, m->instance);
}
DECODE(peer)
	m->role = (enum role)dec_enum(&d, ROLE_COUNT);
	m->instance = dec_u32(&d);
DECODED

ENCODE(worker)
	enc_u32(&e, m->instance);
	enc_u32(&e, m->pid);
}
DECODE(worker)
	m->instance = dec_u32(&d);
	m->pid = dec_u32(&d);
	if (fd == -1)
		d.bad = true;
DECODED

ENCODE(client)
	enc_u32(&e, m->uid);
	enc_span(&e, m->request);
}
DECODE(client)
	m->uid = dec_u32(&d);
	m->request = dec_span(&d);
	if (fd == -1)
		d.bad = true;
DECODED

ENCODE(retire)
	enc_u32(&e, m->seconds);
}
DECODE(retire)
	m->seconds = dec_u32(&d);
DECODED

/* ---- text in pictures ---- */

ENCODE(picture)
	enc_u32(&e, m->ms);
	enc_u64(&e, m->size);
}
DECODE(picture)
	uint64_t size = 0;

	m->ms = dec_u32(&d);
	m->size = dec_u64(&d);
	if (fd == -1 || fs_memfd_check(fd, &size, NULL) == -1 || m->size == 0 || m->size != size ||
	    m->size > PICTURE_SIZE_MAX || m->ms == 0 || m->ms > PICTURE_MS_MAX)
		d.bad = true;
DECODED

ENCODE(picture_text)
	enc_u8(&e, m->status);
	enc_span(&e, m->text);
}
DECODE(picture_text)
	m->status = (uint8_t)dec_enum(&d, 3);
	m->text = dec_span(&d);
DECODED

/* ---- the way of a message ---- */

ENCODE(scan)
	envelope_encode(&e, &m->env);
	memberships_put(&e, &m->members);
	facts_put(&e, &m->inbound);
	payload_encode(&e, &m->payload);
}
DECODE(scan)
	envelope_decode(&d, a, &m->env);
	memberships_get(&d, a, &m->members);
	facts_get(&d, a, &m->inbound);
	payload_decode(&d, fd, a, &m->payload);
DECODED

ENCODE(verdict)
	enc_u8(&e, m->unscannable);
	decisions_encode(&e, m->decisions, m->ndecisions);
	enc_u32(&e, (uint32_t)m->nvariants);
	for (size_t i = 0; i < m->nvariants; i++) {
		enc_u32(&e, (uint32_t)m->variants[i].nedits);
		for (size_t k = 0; k < m->variants[i].nedits; k++) {
			const struct edit *ed = &m->variants[i].edits[k];

			enc_u64(&e, ed->offset);
			enc_u64(&e, ed->size);
			enc_span(&e, ed->with);
			enc_span(&e, ed->rule);
		}
	}
	enc_u32(&e, (uint32_t)m->nbcc);
	for (size_t i = 0; i < m->nbcc; i++) {
		enc_span(&e, m->bcc[i].address);
		enc_span(&e, m->bcc[i].rule);
	}
	enc_u32(&e, (uint32_t)m->nnotices);
	for (size_t i = 0; i < m->nnotices; i++) {
		enc_span(&e, m->notices[i].to);
		enc_span(&e, m->notices[i].rule);
		enc_span(&e, m->notices[i].template);
		enc_span(&e, m->notices[i].language);
		enc_span(&e, m->notices[i].subject);
		enc_span(&e, m->notices[i].text);
		enc_span(&e, m->notices[i].html);
	}
	enc_span(&e, m->record);
	enc_span(&e, m->basis);
	enc_span(&e, m->tokens);
	enc_u8(&e, (uint8_t)m->rating);
	enc_u8(&e, m->virus);
}
DECODE(verdict)
	m->unscannable = dec_enum(&d, 2);
	m->decisions = decisions_decode(&d, a, &m->ndecisions);
	m->nvariants = dec_count(&d, ENVELOPE_RECIPIENTS_MAX + 1, 4);
	m->variants = arena_array(a, m->nvariants, sizeof(*m->variants));
	for (size_t i = 0; i < m->nvariants; i++) {
		struct variant *v = &m->variants[i];

		v->nedits = dec_count(&d, PAYLOAD_PIECES_MAX / 2, 24);
		v->edits = arena_array(a, v->nedits, sizeof(*v->edits));
		for (size_t k = 0; k < v->nedits; k++) {
			v->edits[k].offset = dec_u64(&d);
			v->edits[k].size = dec_u64(&d);
			v->edits[k].with = dec_span(&d);
			v->edits[k].rule = dec_span(&d);
		}
	}
	for (size_t i = 0; i < m->ndecisions; i++)
		if (m->decisions[i].variant >= m->nvariants)
			d.bad = true;
	m->nbcc = dec_count(&d, BCC_MAX, 8);
	m->bcc = arena_array(a, m->nbcc, sizeof(*m->bcc));
	for (size_t i = 0; i < m->nbcc; i++) {
		m->bcc[i].address = dec_span(&d);
		m->bcc[i].rule = dec_span(&d);
	}
	m->nnotices = dec_count(&d, NOTICES_MAX, 28);
	m->notices = arena_array(a, m->nnotices, sizeof(*m->notices));
	for (size_t i = 0; i < m->nnotices; i++) {
		m->notices[i].to = dec_span(&d);
		m->notices[i].rule = dec_span(&d);
		m->notices[i].template = dec_span(&d);
		m->notices[i].language = dec_span(&d);
		m->notices[i].subject = dec_span(&d);
		m->notices[i].text = dec_span(&d);
		m->notices[i].html = dec_span(&d);
	}
	m->record = dec_span(&d);
	m->basis = dec_span(&d);
	m->tokens = dec_span(&d);
	m->rating = (enum rating)dec_enum(&d, RATINGS);
	m->virus = dec_enum(&d, 2);
	if (m->record.n > RECORD_MAX || m->basis.n > BASIS_MAX || m->tokens.n > TOKENS_MAX)
		d.bad = true;
DECODED

ENCODE(basis)
	enc_u64(&e, m->id);
	enc_span(&e, m->basis);
	enc_span(&e, m->limit);
	enc_span(&e, m->limit_queue);
	enc_span(&e, m->tokens);
}
DECODE(basis)
	m->id = dec_u64(&d);
	m->basis = dec_span(&d);
	m->limit = dec_span(&d);
	m->limit_queue = dec_span(&d);
	m->tokens = dec_span(&d);
	if (m->id == 0 || m->basis.n == 0 || m->basis.n > BASIS_MAX || m->tokens.n > TOKENS_MAX)
		d.bad = true;
DECODED

ENCODE(policy)
	enc_span(&e, m->hash);
	enc_span(&e, m->commit);
	enc_u64(&e, m->size);
	enc_i64(&e, m->time);
	enc_span(&e, m->how);
	enc_u32(&e, m->uid);
}
DECODE(policy)
	m->hash = dec_span(&d);
	m->commit = dec_span(&d);
	m->size = dec_u64(&d);
	m->time = dec_i64(&d);
	m->how = dec_span(&d);
	m->uid = dec_u32(&d);
	if (fd == -1 || m->hash.n != 16 || m->commit.n > 64 || m->how.n > 16)
		d.bad = true;
DECODED

ENCODE(sign)
	enc_u64(&e, m->id);
	enc_span(&e, m->domain);
	enc_u8(&e, m->amended);
	payload_encode(&e, &m->payload);
}
DECODE(sign)
	m->id = dec_u64(&d);
	m->domain = dec_span(&d);
	m->amended = dec_u8(&d) != 0;
	payload_decode(&d, fd, a, &m->payload);
DECODED

ENCODE(signed)
	enc_u8(&e, (uint8_t)m->status);
	enc_span(&e, m->headers);
	enc_span(&e, m->text);
}
DECODE(signed)
	m->status = (enum sign_status)dec_enum(&d, SIGN_STATUSES);
	m->headers = dec_span(&d);
	m->text = dec_span(&d);
DECODED

ENCODE(published)
	enc_span(&e, m->domain);
	enc_span(&e, m->selector);
	enc_u8(&e, m->known);
	enc_u32(&e, (uint32_t)m->ntexts);
	for (size_t i = 0; i < m->ntexts; i++)
		enc_span(&e, m->texts[i]);
}
DECODE(published)
	m->domain = dec_span(&d);
	m->selector = dec_span(&d);
	m->known = dec_enum(&d, 2);
	m->ntexts = dec_count(&d, PUBLISHED_TEXTS_MAX, 4);
	m->texts = arena_array(a, m->ntexts, sizeof(*m->texts));
	for (size_t i = 0; i < m->ntexts; i++)
		d.bad |= (m->texts[i] = dec_span(&d)).n > PUBLISHED_TEXT_MAX;
DECODED

ENCODE(submit)
	envelope_encode(&e, &m->env);
	enc_u64(&e, m->parent);
	decisions_encode(&e, m->decisions, m->ndecisions);
	enc_span(&e, m->record);
	payload_encode(&e, &m->payload);
}
DECODE(submit)
	envelope_decode(&d, a, &m->env);
	m->parent = dec_u64(&d);
	m->decisions = decisions_decode(&d, a, &m->ndecisions);
	m->record = dec_span(&d);
	payload_decode(&d, fd, a, &m->payload);
	if (m->ndecisions != m->env.nrecipients || m->ndecisions == 0)
		d.bad = true;
	for (size_t i = 0; i < m->ndecisions; i++)	/* never deliver unjudged */
		if (m->decisions[i].outcome == OUTCOME_UNJUDGED ||
		    m->decisions[i].outcome == OUTCOME_DEFER)
			d.bad = true;
DECODED

ENCODE(accepted)
	enc_u64(&e, m->id);
	enc_u8(&e, (uint8_t)m->status);
	enc_span(&e, m->text);
}
DECODE(accepted)
	m->id = dec_u64(&d);
	m->status = (enum accept_status)dec_enum(&d, ACCEPT_IO + 1);
	m->text = dec_span(&d);
DECODED

ENCODE(segment)
	enc_u32(&e, m->number);
}
DECODE(segment)
	m->number = dec_u32(&d);
	if (m->number == 0)
		d.bad = true;
DECODED

ENCODE(deliver)
	enc_u64(&e, m->id);
	enc_i64(&e, m->received);
	enc_i64(&e, m->started);
	enc_span(&e, m->site);
	enc_span(&e, m->sender);
	enc_span(&e, m->envid);
	enc_u8(&e, (uint8_t)m->ret);
	enc_u32(&e, m->flags);
	enc_u8(&e, (uint8_t)m->require_tls);
	recipients_encode(&e, m->recipients, m->nrecipients);
	for (size_t i = 0; i < m->nrecipients; i++)
		enc_u16(&e, m->index[i]);
	ref_encode(&e, &m->ref);
}
DECODE(deliver)
	m->id = dec_u64(&d);
	m->received = dec_i64(&d);
	m->started = dec_i64(&d);
	m->site = dec_span(&d);
	m->sender = dec_span(&d);
	m->envid = dec_span(&d);
	m->ret = (enum dsn_ret)dec_enum(&d, RET_HDRS + 1);
	m->flags = dec_u32(&d);
	m->require_tls = (enum require_tls)dec_enum(&d, TLS_DANE + 1);
	m->recipients = recipients_decode(&d, a, &m->nrecipients);
	m->index = arena_array(a, m->nrecipients, sizeof(*m->index));
	for (size_t i = 0; i < m->nrecipients; i++)
		m->index[i] = dec_u16(&d);
	ref_decode(&d, fd, &m->ref);
	if (m->nrecipients == 0)
		d.bad = true;
DECODED

ENCODE(result)
	enc_u64(&e, m->id);
	enc_span(&e, m->site);
	enc_i64(&e, m->t_start);
	enc_i64(&e, m->t_conn);
	enc_i64(&e, m->t_ready);
	enc_i64(&e, m->t_end);
	enc_span(&e, m->tls);
	enc_u8(&e, m->handed_back);
	enc_i64(&e, m->postponed);
	enc_u32(&e, (uint32_t)m->nrcpts);
	for (size_t i = 0; i < m->nrcpts; i++) {
		const struct rcpt_result *r = &m->rcpts[i];

		enc_u16(&e, r->index);
		enc_u8(&e, (uint8_t)r->status);
		enc_u8(&e, (uint8_t)r->cls);
		enc_span(&e, r->dsn);
		enc_span(&e, r->reply);
		enc_span(&e, r->relay);
		enc_u8(&e, r->remote);
		enc_span(&e, r->tls);
		enc_u8(&e, r->notifies);
	}
}
DECODE(result)
	m->id = dec_u64(&d);
	m->site = dec_span(&d);
	m->t_start = dec_i64(&d);
	m->t_conn = dec_i64(&d);
	m->t_ready = dec_i64(&d);
	m->t_end = dec_i64(&d);
	m->tls = dec_span(&d);
	m->handed_back = dec_enum(&d, 2);
	m->postponed = dec_i64(&d);
	d.bad |= m->postponed < 0 || m->postponed > POSTPONED_MAX;
	m->nrcpts = dec_count(&d, ENVELOPE_RECIPIENTS_MAX, 18);
	m->rcpts = arena_array(a, m->nrcpts, sizeof(*m->rcpts));
	for (size_t i = 0; i < m->nrcpts; i++) {
		struct rcpt_result *r = &m->rcpts[i];

		r->index = dec_u16(&d);
		r->status = (enum rcpt_status)dec_enum(&d, RCPT_FAILED + 1);
		r->cls = (enum fail_class)dec_enum(&d, FAIL_CLASSES);
		r->dsn = dec_span(&d);
		r->reply = dec_span(&d);
		r->relay = dec_span(&d);
		r->remote = dec_enum(&d, 2);
		r->tls = dec_span(&d);
		r->notifies = dec_enum(&d, 2);
	}
DECODED

ENCODE(keep)
	enc_u8(&e, (uint8_t)m->kind);
	enc_span(&e, m->queue);
	enc_i64(&e, m->expires);
	enc_u8(&e, (uint8_t)m->on_expire);
	envelope_encode(&e, &m->env);
	enc_u64(&e, m->parent);
	enc_span(&e, m->record);
	ref_encode(&e, &m->ref);
}
DECODE(keep)
	m->kind = (enum outcome)dec_enum(&d, OUTCOME_COUNT);
	m->queue = dec_span(&d);
	m->expires = dec_i64(&d);
	m->on_expire = (enum outcome)dec_enum(&d, OUTCOME_COUNT);
	envelope_decode(&d, a, &m->env);
	m->parent = dec_u64(&d);
	m->record = dec_span(&d);
	ref_decode(&d, fd, &m->ref);
	if (m->kind != OUTCOME_HOLD && m->kind != OUTCOME_QUARANTINE)
		d.bad = true;
DECODED

ENCODE(kept)
	enc_u8(&e, m->ok);
	enc_span(&e, m->text);
}
DECODE(kept)
	m->ok = dec_enum(&d, 2);
	m->text = dec_span(&d);
DECODED

ENCODE(event)
	enc_u64(&e, m->seq);
	enc_u8(&e, (uint8_t)m->kind);
	enc_u64(&e, m->id);
	enc_u64(&e, m->parent);
	enc_i64(&e, m->time);
	enc_u64(&e, m->size);
	enc_u8(&e, m->has_env);
	if (m->has_env)
		envelope_encode(&e, &m->env);
	enc_span(&e, m->rcpt);
	enc_span(&e, m->outcome);
	enc_span(&e, m->dsn);
	enc_span(&e, m->relay);
	enc_span(&e, m->reply);
	enc_span(&e, m->tls);
	enc_span(&e, m->by);
	enc_span(&e, m->record);
}

void
event_number(char *body, uint64_t seq)
{
	seq = htole64(seq);
	memcpy(body, &seq, sizeof(seq));
}

DECODE(event)
	m->seq = dec_u64(&d);
	m->kind = (enum event_kind)dec_enum(&d, EVENT_COUNT);
	m->id = dec_u64(&d);
	m->parent = dec_u64(&d);
	m->time = dec_i64(&d);
	m->size = dec_u64(&d);
	m->has_env = dec_enum(&d, 2);
	if (m->has_env)
		envelope_decode(&d, a, &m->env);
	m->rcpt = dec_span(&d);
	m->outcome = dec_span(&d);
	m->dsn = dec_span(&d);
	m->relay = dec_span(&d);
	m->reply = dec_span(&d);
	m->tls = dec_span(&d);
	m->by = dec_span(&d);
	m->record = dec_span(&d);
DECODED

ENCODE(login)
	enc_span(&e, m->user);
	enc_span(&e, m->password);
}
DECODE(login)
	m->user = dec_span(&d);
	m->password = dec_span(&d);
DECODED

ENCODE(login_result)
	enc_u8(&e, (uint8_t)m->status);
}
DECODE(login_result)
	m->status = (enum login_status)dec_enum(&d, LOGIN_STATUSES);
DECODED

ENCODE(lookup)
	enc_span(&e, m->directory);
	enc_span(&e, m->filter);
	enc_span(&e, m->attribute);
	enc_span(&e, m->address);
}
DECODE(lookup)
	m->directory = dec_span(&d);
	m->filter = dec_span(&d);
	m->attribute = dec_span(&d);
	m->address = dec_span(&d);
DECODED

ENCODE(found)
	enc_u8(&e, (uint8_t)m->status);
	enc_u8(&e, m->stale);
	spans_encode(&e, m->values, m->n);
	enc_span(&e, m->text);
}
DECODE(found)
	m->status = (enum lookup_status)dec_enum(&d, LOOKUP_STATUSES);
	m->stale = dec_enum(&d, 2);
	m->values = spans_decode(&d, a, LOOKUP_VALUES_MAX, &m->n);
	m->text = dec_span(&d);
DECODED

ENCODE(members)
	spans_encode(&e, m->addresses, m->naddresses);
	spans_encode(&e, m->groups, m->ngroups);
}
DECODE(members)
	m->addresses = spans_decode(&d, a, MEMBERS_ADDRESSES_MAX, &m->naddresses);
	m->groups = spans_decode(&d, a, EXTERNAL_GROUPS_MAX, &m->ngroups);
	d.bad |= m->naddresses == 0 || m->ngroups == 0;
DECODED

ENCODE(memberships)
	enc_span(&e, m->grid);
	enc_span(&e, m->text);
}
DECODE(memberships)
	m->grid = dec_span(&d);
	m->text = dec_span(&d);
	d.bad |= !grid_fine(m->grid, m->grid.n);
DECODED
