/* queue_notice.c -- notices: to whom, written, signed, and put into the queue.
 *
 * The sender is told. The null sender never is (RFC 5321, 4.5.5); but when
 * what fails is a notice of our own, somebody was meant to learn something and
 * did not: then the postmaster is told, once. A notice to the postmaster that
 * fails ends in the log: nothing goes round in circles.
 *
 * Where the domain of our host name (or one above it, so that DMARC finds them
 * aligned) has keys, the signer is asked first. Meanwhile nothing is recorded: a
 * crash repeats the attempt. A signer that is away, or slow, costs the
 * signature, not the notice.
 */
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/ticket.h"
#include "queue/dsn.h"
#include "queue/note.h"
#include "queue/queue.h"

#define SIGN_WAIT (5 * US_PER_SEC)
/* Stands as the rule that decided: so a notice is known again when it fails itself. */
#define NOTICE_RULE "notice-of-failure"

/* A notice that has been written and is not in the queue yet. */
struct pending_notice {
	struct arena *arena;		/* holds all of it */
	struct stored s;
	struct recipient rcpt;
	struct msg_decision dec;
	struct span text;
	uint64_t about;
	uint16_t leg;
	enum dsn_kind kind;
	struct fate *fates;
	size_t nfates;
	/* a note of the store's: nothing settles behind it, but the store waits for an answer */
	bool note;
	struct link *from;
	uint64_t ticket;
};

/* ---- to whom ---- */

/* A notice of ours that tells of a failure: no client sent it, and it was about something. */
static bool
our_own(const struct stored *s)
{
	return s->env.sender.n == 0 && s->parent != 0 && s->env.listener.n == 0 &&
	    s->env.client.family == 0 && span_is(s->decisions[0].rule, NOTICE_RULE);
}

static bool
for_postmaster(const struct queue *q, const struct stored *s, const struct plan *p,
    const struct fate *o)
{
	return our_own(s) && queue_failure(o->status) &&
	    !span_eq_nocase(p->targets[o->target].rcpt.address, q->rt->conf->postmaster);
}

bool
queue_notice_wanted(const struct queue *q, int kind, const struct stored *s, const struct plan *p,
    const struct fate *o)
{
	uint8_t notify = p->targets[o->target].rcpt.notify;

	if (kind != DSN_DELAYED && o->relayed)
		return dsn_wanted(DSN_RELAYED, s->env.sender, notify);
	if (kind != DSN_DELAYED && for_postmaster(q, s, p, o))
		return true;
	return (kind == DSN_DELAYED || queue_failure(o->status)) &&
	    dsn_wanted((enum dsn_kind)kind, s->env.sender, notify);
}

/* ---- its text ---- */

static void
copy_fates(struct pending_notice *pn, const struct fate *o, size_t n)
{
	struct arena *a = pn->arena;

	pn->nfates = n;
	pn->fates = arena_array(a, n, sizeof(*o));
	for (size_t i = 0; i < n; i++) {
		pn->fates[i] = o[i];
		pn->fates[i].dsn = arena_span(a, o[i].dsn);
		pn->fates[i].reply = arena_span(a, span_sub(o[i].reply, 0, 1024));
		pn->fates[i].relay = arena_span(a, o[i].relay);
		pn->fates[i].tls = arena_span(a, o[i].tls);
	}
}

static void
write_text(struct queue *q, const struct message *m, const struct stored *s, const struct plan *p,
    const struct pending_notice *pn, const struct fate *o, size_t n, struct buf *out,
    bool *eightbit)
{
	const struct config *c = q->rt->conf;
	enum dsn_kind kind = pn->kind;
	struct dsn d = { .kind = kind, .id = pn->s.env.id, .about = m->item.id,
		.hostname = c->hostname, .postmaster = c->postmaster, .to = pn->rcpt.address,
		.envid = s->env.envid, .now = clock_real(), .received = s->env.received,
		.until = m->since + c->delivery.expire,
		.utf8 = s->env.flags & ENVELOPE_SMTPUTF8 };
	struct dsn_recipient *r = arena_array(pn->arena, n, sizeof(*r));
	bool whole = s->env.ret == RET_FULL && (kind == DSN_FAILED || kind == DSN_EXPIRED) &&
	    m->size <= DSN_WHOLE_MAX;		/* RFC 3461, 4.3: of failures only */

	for (size_t i = 0; i < n; i++) {
		const struct target *t = &p->targets[o[i].target];

		/* The sender sees the address he wrote, not where policy sent it. */
		if (queue_notice_wanted(q, kind, s, p, &o[i]))
			r[d.nrecipients++] = (struct dsn_recipient){ .address = t->original,
				.orcpt = t->rcpt.orcpt, .status = o[i].dsn, .reply = o[i].reply,
				.relay = o[i].relay, .remote = o[i].remote,
				.relayed = o[i].relayed };
	}
	d.recipients = r;
	if (getrandom(&d.random, sizeof(d.random), 0) != (ssize_t)sizeof(d.random))
		d.random = d.id;
	/* RFC 8689, 5: a notice that may travel in clear shows nothing of a message that may not. */
	if ((s->env.flags & ENVELOPE_REQUIRETLS) ||
	    spool_read_head(q->sp, &m->item, s, whole ? DSN_WHOLE_MAX : DSN_HEADERS_MAX, pn->arena,
	    &d.head, NULL) == -1)
		d.head = (struct span){ 0 };
	if (whole)
		d.whole = d.head;
	dsn_build(out, &d, eightbit);
}

static struct pending_notice *
notice_new(struct queue *q, const struct stored *s, uint64_t about, uint16_t leg,
    enum dsn_kind kind)
{
	struct arena *a = arena_new(0);
	struct pending_notice *pn = arena_zalloc(a, sizeof(*pn));
	bool doubled = s->env.sender.n == 0;

	pn->arena = a;
	pn->about = about;
	pn->leg = leg;
	pn->kind = doubled ? DSN_DOUBLE : kind;
	pn->rcpt.address = arena_span(a, doubled ? q->rt->conf->postmaster : s->env.sender);
	pn->dec.outcome = OUTCOME_DELIVER;
	pn->dec.rule = doubled ? SPAN_LIT("double-bounce") : kind == DSN_DELAYED ?
	    SPAN_LIT("notice-of-delay") : SPAN_LIT(NOTICE_RULE);
	pn->s = (struct stored){ .parent = about, .decisions = &pn->dec, .ndecisions = 1,
		.env = { .id = queue_new_id(q), .received = clock_real(),
		.helo = arena_span(a, q->rt->conf->hostname), .recipients = &pn->rcpt,
		.nrecipients = 1, .direction = doubled ? DIRECTION_INBOUND :
		s->env.direction == DIRECTION_OUTBOUND ? DIRECTION_INBOUND :
		DIRECTION_OUTBOUND } };
	for (size_t i = 0; i < pn->rcpt.address.n; i++)
		if ((unsigned char)pn->rcpt.address.p[i] > 0x7f)
			pn->s.env.flags |= ENVELOPE_SMTPUTF8;
	return pn;
}

static void
notice_free(struct pending_notice *pn)
{
	struct arena *a = pn->arena;

	arena_free(&a);
}

/* ---- into the queue ---- */

/* Frees it, or gives it to the sync. headers: signatures, to stand on top. false: not stored. */
static bool
notice_append(struct queue *q, struct pending_notice *pn, struct span headers)
{
	struct payload payload;
	struct awaiting *aw;
	enum accept_status status;
	struct err err;
	struct buf text;
	bool ok;

	buf_init(&text, DSN_SIZE_MAX + headers.n);
	buf_span(&text, headers);
	buf_span(&text, pn->text);
	payload_from_span(&payload, buf_data(&text), pn->arena);
	ok = !buf_failed(&text) && queue_append(q, &pn->s, (struct span){ 0 }, &payload, &aw,
	    &status, &err) == 0;
	buf_release(&text);
	if (!ok) {
		log_msg(LOG_LVL_WARN, pn->about, "the notice about it is put off: %s", err.text);
		return false;
	}
	if (pn->note) {
		aw->from = pn->from == q->store ? pn->from : NULL;
		aw->ticket = pn->ticket;
	}
	aw->notice = !pn->note;
	aw->about = pn->about;
	aw->leg = pn->leg;
	aw->kind = pn->kind;
	aw->arena = pn->arena;
	aw->fates = pn->fates;
	aw->nfates = pn->nfates;
	queue_note_accepted(q, aw, &pn->s, (struct span){ 0 });
	return true;
}

/* ---- the signature ---- */

/* The bytes inside the frame, or in a sealed memory file beside it; *fd -1 then. */
static int
payload_for(struct span text, struct arena *a, struct payload *p, int *fd)
{
	*fd = -1;
	if (text.n <= PAYLOAD_INLINE_MAX) {
		payload_from_span(p, text, a);
		return 0;
	}
	if ((*fd = fs_memfd("notice", NULL)) == -1)
		return -1;
	if (fs_write_all(*fd, text.p, text.n, NULL) == -1 || fs_memfd_seal(*fd, NULL) == -1) {
		close(*fd);
		return -1;
	}
	payload_from_fd(p, *fd, text.n, a);
	return 0;
}

static bool
ask_signer(struct queue *q, struct pending_notice *pn)
{
	struct msg_sign msg = { .id = pn->s.env.id, .domain = note_signing_domain(q->rt->conf,
		pn->note ? q->rt->conf->postmaster : (struct span){ 0 }) };	/* MAILER-DAEMON at our name */
	uint64_t ticket;
	struct buf b;
	int fd, r;

	if (q->signer == NULL || msg.domain.n == 0 ||
	    payload_for(pn->text, pn->arena, &msg.payload, &fd) == -1)
		return false;
	ticket = ticket_open(q->signing, pn, clock_mono() + SIGN_WAIT);
	buf_init(&b, FRAME_BIG);
	sign_encode(&b, &msg);
	r = buf_failed(&b) ? -1 : link_send(q->signer, FRAME_SIGN, ticket, buf_data(&b), fd);
	if (buf_failed(&b) && fd != -1)
		close(fd);
	buf_release(&b);
	if (r == -1)
		ticket_close(q->signing, ticket);
	return r == 0;
}

/* The answer came, or will not come. */
static void
go_on(struct queue *q, struct pending_notice *pn, struct span headers)
{
	struct awaiting lost = { .about = pn->about, .leg = pn->leg, .fates = pn->fates,
		.nfates = pn->nfates, .kind = pn->kind, .notice = true };

	if (notice_append(q, pn, headers))
		return;
	if (pn->note && pn->from == q->store)
		queue_answer(q, pn->from, pn->ticket, pn->s.env.id, ACCEPT_IO, "not stored now");
	else if (!pn->note)
		queue_notice_done(q, &lost, false);
	notice_free(pn);
}

int
queue_signed(struct queue *q, struct frame *f)
{
	struct msg_signed m;
	struct pending_notice *pn;

	if (signed_decode(f->body, f->fd, q->scratch, &m) == -1)
		return -1;
	if ((pn = ticket_close(q->signing, f->ticket)) == NULL)
		return 0;	/* late */
	if (m.status == SIGN_FAILED)
		log_msg(LOG_LVL_WARN, pn->s.env.id, "a notice goes unsigned: " SPAN_FMT,
		    SPAN_ARG(m.text));
	go_on(q, pn, m.status == SIGN_OK ? m.headers : (struct span){ 0 });
	return 0;
}

void
queue_signing_over(struct queue *q, bool all)
{
	struct pending_notice *pn;
	uint64_t ticket;

	while ((ticket = ticket_expired(q->signing, all ? INT64_MAX : clock_mono())) != 0) {
		pn = ticket_close(q->signing, ticket);
		log_msg(LOG_LVL_WARN, pn->s.env.id, "a notice goes unsigned: the signer does not "
		    "answer");
		go_on(q, pn, (struct span){ 0 });
	}
}

/* false: it could not even be buffered. */
bool
queue_notice(struct queue *q, struct message *m, uint16_t leg, const struct stored *s,
    const struct plan *p, int kind, const struct fate *o, size_t n)
{
	struct pending_notice *pn = notice_new(q, s, m->item.id, leg, (enum dsn_kind)kind);
	struct buf text;
	bool eightbit, ok;

	buf_init(&text, DSN_SIZE_MAX);
	write_text(q, m, s, p, pn, o, n, &text, &eightbit);
	if (eightbit)
		pn->s.env.flags |= ENVELOPE_8BITMIME;
	pn->text = arena_span(pn->arena, buf_data(&text));
	ok = !buf_failed(&text);
	buf_release(&text);
	if (!ok)
		log_msg(LOG_LVL_WARN, m->item.id, "the notice about it is put off: too large");
	copy_fates(pn, o, n);
	ok = ok && (ask_signer(q, pn) || notice_append(q, pn, (struct span){ 0 }));
	if (!ok)
		notice_free(pn);
	return ok;
}

/* A note of the store's: signed like notices of our own, answered once it is durable. */
void
queue_note(struct queue *q, struct link *from, uint64_t ticket, const struct msg_submit *m)
{
	struct arena *a = arena_new(0);
	struct pending_notice *pn = arena_zalloc(a, sizeof(*pn));
	struct payload copy = m->payload;

	pn->arena = a;
	pn->about = m->parent;
	pn->leg = LEG_NONE;
	pn->note = true;
	pn->from = from;
	pn->ticket = ticket;
	pn->rcpt.address = arena_span(a, m->env.recipients[0].address);
	pn->dec.outcome = OUTCOME_DELIVER;
	pn->dec.rule = SPAN_LIT("notice");
	pn->s = (struct stored){ .parent = m->parent, .decisions = &pn->dec, .ndecisions = 1,
		.env = { .id = m->env.id, .received = m->env.received, .flags = m->env.flags,
		.helo = arena_span(a, m->env.helo), .direction = m->env.direction,
		.recipients = &pn->rcpt, .nrecipients = 1 } };
	pn->text = arena_span(a, payload_flat(&copy, a));
	if (!ask_signer(q, pn))
		go_on(q, pn, (struct span){ 0 });
}
