/* milter_pass.c -- what becomes of a milter's message: what the MTA carries on, what we took.
 *
 * A milter can change a message for all its recipients and take recipients away; it cannot give
 * them different texts. So of the recipients that are to get it, those with the first one's variant
 * go on with the MTA (one group, which never enters the queue); every other one is a group of the queue as
 * after SMTP, and is taken from the MTA's envelope. The queue's groups are on the disk before the MTA
 * hears anything, so what is held, quarantined or redirected is never in nobody's hands. When
 * nobody is left, the MTA is told to forget the message.
 *
 * What is given back stands beside the message until the MTA has read it, and is of the same budget (`limits.memory`): without
 * room for it the MTA hears that it should try again.
 *
 * Not passed, although it could be: a variant whose edits reach from the header into the body, or
 * that gives a body above MILTER_REPLACE_MAX another text. Delivery carries those.
 */
#include "clock.h"
#include "log.h"
#include "receiver/connection.h"

/* Where the body begins in m->payload, from which forged fields may have been cut. */
static uint64_t
body_at(const struct message *m)
{
	return m->payload.size - (m->size - m->t->header_size);
}

static bool
changes_body(const struct message *m, const struct variant *v)
{
	return v->nedits && v->edits[v->nedits - 1].offset >= body_at(m);
}

static bool
can_pass(const struct message *m, const struct variant *v)
{
	uint64_t at = body_at(m);

	for (size_t i = 0; i < v->nedits; i++)
		if (v->edits[i].offset < at && v->edits[i].offset + v->edits[i].size > at - 2)
			return false;
	return !changes_body(m, v) || m->size <= MILTER_REPLACE_MAX;
}

bool
message_passes(const struct message *m, const struct msg_decision *d)
{
	return m->passing && d->outcome == OUTCOME_DELIVER && d->variant == m->pass_variant;
}

void
message_choose_passing(struct message *m)
{
	if (!m->t->milter || m->size < m->t->header_size)
		return;
	for (size_t i = 0; i < m->verdict.ndecisions; i++) {
		const struct msg_decision *d = &m->verdict.decisions[i];

		if (d->outcome != OUTCOME_DELIVER || d->variant >= m->verdict.nvariants ||
		    !can_pass(m, &m->verdict.variants[d->variant]))
			continue;
		m->passing = true;
		m->pass_variant = d->variant;
		return;
	}
}

/* The first n bytes of a payload behind `head`. */
static struct span
header_of(const struct payload *p, uint64_t n, struct span head, struct arena *a)
{
	char *out = arena_alloc(a, head.n + n);
	size_t at = head.n;

	if (head.n)
		memcpy(out, head.p, head.n);
	for (size_t i = 0; i < p->npieces && n; i++) {
		struct span s = span_sub(payload_piece(p, i), 0, n);

		if (s.n)
			memcpy(out + at, s.p, s.n);
		at += s.n;
		n -= s.n;
	}
	return span_make(out, at);
}

/* All behind the first `skip` bytes, in packets. */
static void
put_body(struct buf *out, const struct payload *p, uint64_t skip)
{
	bool any = false;

	for (size_t i = 0; i < p->npieces; i++) {
		struct span s = payload_piece(p, i);
		size_t n = skip < s.n ? (size_t)skip : s.n;

		skip -= n;
		for (s = span_from(s, n); s.n; s = span_from(s, MILTER_CHUNK)) {
			milter_put(out, 'b', span_sub(s, 0, MILTER_CHUNK));
			any = true;
		}
	}
	if (!any)
		milter_put(out, 'b', (struct span){ 0 });
}

/* What put_edits() is going to write, without the few bytes around each packet. */
static bool
charge(struct receiver *rx, struct milter *mt, const struct message *m, const struct group *g)
{
	const struct variant *v = &m->verdict.variants[g->variant];
	uint64_t n = 2 * buf_size(&mt->header) + buf_size(&mt->rcpts) + (changes_body(m, v) ? g->out.size : 0);

	if (!messages_charge(&rx->messages, n))
		return false;
	mt->charged += n;
	return true;
}

void
milter_written(struct receiver *rx, struct milter *mt)
{
	messages_give_back(&rx->messages, mt->charged);
	mt->charged = 0;
}

static int
put_edits(struct milter *mt, const struct message *m, struct group *g)
{
	const struct variant *v = &m->verdict.variants[g->variant];
	struct arena *a = m->t->arena;
	uint64_t in = body_at(m), size = in;
	struct span rest = buf_data(&mt->rcpts), was = buf_data(&mt->header), head;
	struct err err;
	char id[ID_SIZE];

	for (size_t i = 0; i < v->nedits && v->edits[i].offset < in; i++)
		size += v->edits[i].with.n - v->edits[i].size;
	head = span_str(arena_printf(a, SPAN_FMT SPAN_FMT "X-Postern-Id: %s\r\n", SPAN_ARG(g->signature),
	    SPAN_ARG(m->verification.header), id_format(m->id, id)));
	if (payload_map(&g->out, &err) == -1) {
		log_msg(LOG_LVL_ERROR, m->id, "%s", err.text);
		return -1;
	}
	milter_header_edits(&mt->edits, span_sub(was, 0, was.n - 2), header_of(&g->out, size - 2, head, a),
	    milter_leading_space(mt));
	for (size_t i = 0; i < m->verdict.ndecisions; i++) {
		struct span to = milter_rcpt(&rest);

		if (!message_passes(m, &m->verdict.decisions[i]))
			milter_put(&mt->edits, '-', span_make(to.p, to.n + 1));
	}
	if (changes_body(m, v))
		put_body(&mt->edits, &g->out, size);
	payload_unmap(&g->out);
	return buf_failed(&mt->edits) ? -1 : 0;
}

static void
journal_passed(struct receiver *rx, const struct message *m, const struct group *g, const char *reply)
{
	struct msg_event ev = { .kind = EVENT_ACCEPTED, .id = g->id, .parent = g->parent,
		.time = clock_real(), .size = g->out.size, .has_env = true, .env = g->env,
		.record = m->verdict.record };

	journal_send(rx, &ev);
	ev = (struct msg_event){ .kind = EVENT_SENT, .id = g->id, .time = ev.time,
		.outcome = SPAN_LIT("deliver"), .dsn = SPAN_LIT("2.0.0"), .relay = m->t->env.listener,
		.reply = span_str(reply) };
	journal_send(rx, &ev);
}

void
milter_accepted(struct receiver *rx, const struct message *m)
{
	struct smtp_session *s;
	struct conn_mail *cm = conn_find(rx, m->conn, &s);
	struct milter *mt = cm ? ((struct conn *)cm)->milter : NULL;	/* its first member */
	struct group *g = NULL;
	char reply[MILTER_WORD_MAX + 64];

	if (mt == NULL)
		return;
	for (size_t i = 0; i < m->ngroups; i++)
		if (m->groups[i].passes)
			g = &m->groups[i];
	if (g == NULL) {
		log_msg(LOG_LVL_INFO, m->id, "taken from the MTA, its %s", mt->mta_id[0] ? mt->mta_id :
		    "message has no name yet");
		milter_told(mt, false);
		return;
	}
	if (!charge(rx, mt, m, g)) {
		log_msg(LOG_LVL_WARN, m->id, "no memory to give its text back (limits.memory): the MTA will try again");
		counter_add(COUNTER_LIMIT_HITS, 1);
		return;
	}
	if (put_edits(mt, m, g) == -1) {
		log_msg(LOG_LVL_ERROR, m->id, "its changes are too large for the MTA: it will try again");
		return;
	}
	snprintf(reply, sizeof(reply), "250 2.0.0 passed to the MTA%s%s", mt->mta_id[0] ? " as " : "",
	    mt->mta_id);
	log_msg(LOG_LVL_INFO, g->id, "%s, %zu of %zu recipients", reply + 10, g->env.nrecipients,
	    m->verdict.ndecisions);
	journal_passed(rx, m, g, reply);
	milter_told(mt, true);
}
