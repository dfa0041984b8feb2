/* message.c -- a message while it arrives: collected, bounded, sealed.
 *
 * Small ones stay in memory and travel inside frames. A larger one spills
 * into a memfd, which is sealed at its end: what is judged, signed and
 * delivered are the same bytes. Its first MESSAGE_HEAD_MAX bytes stay in
 * memory too, so that the header can be read without mapping anything.
 *
 * A message above its size, above the budget of all messages together, or
 * that cannot be written is swallowed to its end and refused there
 * (RFC 5321, 4.5.3.1.9); what was kept of it is given back at once.
 *
 * Answers are never given from within a call of the session: message_finish
 * puts the message on a list that messages_settle works off.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs.h"
#include "log.h"
#include "receiver/message.h"
#include "receiver/scanners.h"
#include "receiver/verifiers.h"

#define TAIL_MAX (64u << 10)
#define DIRECT_MIN 4096		/* a run this large is written as it is */

const char *
message_state_name(enum message_state s)
{
	static const char *const text[MESSAGE_STATE_COUNT] = {
#define X(name, t, phrase) t,
		MESSAGE_STATES(X)
#undef X
	};

	ASSERT(s < MESSAGE_STATE_COUNT);
	return text[s];
}

bool
messages_charge(struct messages *all, uint64_t n)
{
	struct limits_totals others = { 0 };

	if (all->limits)
		limits_totals(all->limits, all->column, all->now, &others);
	if (n > all->memory_max || all->memory + others.memory > all->memory_max - n)
		return false;
	all->memory += n;
	if (all->limits)
		limits_publish_memory(all->limits, all->column, all->memory);
	return true;
}

void
messages_give_back(struct messages *all, uint64_t n)
{
	ASSERT(n <= all->memory);
	all->memory -= n;
	if (all->limits)
		limits_publish_memory(all->limits, all->column, all->memory);
}

void
message_charged(struct message *m, uint64_t n)
{
	m->charged += n;
}

struct message *
message_new(struct messages *all, uint64_t id, uint64_t conn, uint64_t max_size)
{
	struct message *m = calloc(1, sizeof(*m));

	ASSERT(m != NULL);
	m->all = all;
	m->id = id;
	m->conn = conn;
	m->max_size = max_size;
	m->fd = -1;
	buf_init(&m->head, MESSAGE_HEAD_MAX);
	buf_init(&m->tail, TAIL_MAX);
	m->next = all->first;
	if (m->next)
		m->next->prev = m;
	all->first = m;
	return m;
}

static void
drop_bytes(struct message *m)
{
	messages_give_back(m->all, m->charged);
	m->charged = 0;
	buf_release(&m->head);
	buf_release(&m->tail);
	if (m->fd != -1)
		close(m->fd);
	m->fd = -1;
}

static void
forget_requests(struct message *m)
{
	scanners_forget(m->all->scanners, m);	/* and its ticket, whose ever */
	if (m->all->verifiers)
		verifiers_forget(m->all->verifiers, m);
	for (size_t i = 0; i < m->ngroups; i++) {
		if (m->groups[i].ticket)
			ticket_close(m->all->tickets, m->groups[i].ticket);
		m->groups[i].ticket = 0;
	}
}

static void
done_remove(struct message *m)
{
	struct messages *all = m->all;

	for (struct message **at = &all->done; *at; at = &(*at)->next_done)
		if (*at == m) {
			*at = m->next_done;
			if (all->done_tail == &m->next_done)
				all->done_tail = at;
			return;
		}
}

void
message_free(struct message **mp)
{
	struct message *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	forget_requests(m);
	if (m->state == MESSAGE_DONE)
		done_remove(m);
	if (m->prev)
		m->prev->next = m->next;
	else
		m->all->first = m->next;
	if (m->next)
		m->next->prev = m->prev;
	drop_bytes(m);
	smtp_transaction_free(&m->t);
	free(m);
}

/* ---- collecting ---- */

static void
write_out(struct message *m, struct span s)
{
	struct err err;

	if (m->broken || s.n == 0 || fs_write_all(m->fd, s.p, s.n, &err) == 0)
		return;
	log_msg(LOG_LVL_ERROR, m->id, "%s", err.text);
	m->broken = true;
}

static void
spill(struct message *m)
{
	struct err err;

	m->fd = fs_memfd("message", &err);
	if (m->fd == -1) {
		log_msg(LOG_LVL_ERROR, m->id, "%s", err.text);
		m->broken = true;
		return;
	}
	write_out(m, buf_data(&m->head));
}

static void
store(struct message *m, struct span s)
{
	if (m->fd == -1 && s.n <= MESSAGE_HEAD_MAX - buf_size(&m->head)) {
		buf_span(&m->head, s);
		return;
	}
	if (m->fd == -1) {
		struct span first = span_sub(s, 0, MESSAGE_HEAD_MAX - buf_size(&m->head));

		buf_span(&m->head, first);
		s = span_from(s, first.n);
		spill(m);
	}
	if (s.n > TAIL_MAX - buf_size(&m->tail) || s.n >= DIRECT_MIN) {
		write_out(m, buf_data(&m->tail));
		buf_reset(&m->tail);
	}
	if (s.n >= DIRECT_MIN)
		write_out(m, s);
	else
		buf_span(&m->tail, s);
}

void
message_put(struct message *m, struct span s)
{
	struct messages *all = m->all;

	ASSERT(m->state == MESSAGE_COLLECT);
	m->size += s.n;
	if (m->too_large || m->no_memory || m->broken)
		return;
	if (m->size > m->max_size)
		m->too_large = true;
	else if (!messages_charge(all, s.n))
		m->no_memory = true;
	else {
		m->charged += s.n;
		store(m, s);
	}
	if (m->too_large || m->no_memory || m->broken)
		drop_bytes(m);
}

/* ---- the end ---- */

static void
reply_now(struct smtp_reply *r, unsigned code, const char *text)
{
	*r = (struct smtp_reply){ .code = code, .text = span_str(text) };
}

static int
seal(struct message *m, struct smtp_reply *r)
{
	struct err err;

	if (m->too_large) {
		reply_now(r, 552, "5.3.4 message too large");
		return -1;
	}
	if (m->no_memory) {
		reply_now(r, 452, "4.3.1 too much mail at once, try again later");
		return -1;
	}
	if (m->fd != -1) {
		write_out(m, buf_data(&m->tail));
		if (!m->broken && fs_memfd_seal(m->fd, &err) == -1) {
			log_msg(LOG_LVL_ERROR, m->id, "%s", err.text);
			m->broken = true;
		}
	}
	if (m->broken) {
		reply_now(r, 451, "4.3.0 the message cannot be stored now");
		return -1;
	}
	if (m->fd != -1)
		payload_from_fd(&m->payload, m->fd, m->size, m->t->arena);
	else
		payload_from_span(&m->payload, buf_data(&m->head), m->t->arena);
	return 0;
}

/* The author's domain signs, else the sender's; only for those who may relay. */
static struct span
choose_key(const struct message *m)
{
	const struct envelope *env = &m->t->env;
	const struct conf_domain *d;
	struct span local, domain;
	char buf[256];

	if (env->direction != DIRECTION_OUTBOUND)
		return (struct span){ 0 };
	domain = header_from_domain(buf_data(&m->head), buf);
	if (domain.n && domain_normalise(m->t->arena, domain, &domain) &&
	    (d = config_domain(m->all->conf, domain)) != NULL && (d->ndkim || d->dkim_managed))
		return d->name;
	if (mailaddr_split(env->sender, &local, &domain) &&
	    (d = config_domain(m->all->conf, domain)) != NULL && (d->ndkim || d->dkim_managed))
		return d->name;
	return (struct span){ 0 };
}

/* Nobody's key signs it. Said, or (true) reason enough to refuse it. */
static bool
dkim_is_missing(const struct message *m, struct smtp_reply *r)
{
	const struct config *conf = m->all->conf;
	bool keys = false;

	for (size_t i = 0; i < conf->ndomains; i++)
		keys |= conf->domains[i].ndkim > 0 || conf->domains[i].dkim_managed;
	if (m->t->env.direction != DIRECTION_OUTBOUND)
		return false;
	if (keys || conf->dkim_missing == DKIM_MISSING_REFUSE)
		log_msg(LOG_LVL_WARN, m->id, "no DKIM key for the domain of the author or of <"
		    SPAN_FMT ">", SPAN_ARG(m->t->env.sender));
	if (conf->dkim_missing != DKIM_MISSING_REFUSE)
		return false;
	reply_now(r, 550, "5.7.1 this relay has no DKIM key for the domain of the author");
	return true;
}

/* The name that stands in our Received field. */
struct span
message_hostname(const struct message *m)
{
	const struct config *conf = m->all->conf;

	for (size_t i = 0; i < conf->nlisteners; i++)
		if (span_eq(conf->listeners[i].name, m->t->env.listener))
			return conf->listeners[i].hostname;
	return conf->hostname;
}

int
message_end(struct message *m, struct smtp_transaction *t, int64_t now, struct smtp_reply *r)
{
	const char *loop;

	ASSERT(m->state == MESSAGE_COLLECT && m->t == NULL);
	m->t = t;
	if (seal(m, r) == -1)
		return -1;
	if ((loop = header_loop(buf_data(&m->head), message_hostname(m))) != NULL) {
		reply_now(r, 554, loop);
		return -1;
	}
	if (m->all->queue == NULL) {
		reply_now(r, 451, "4.3.0 the spool is not available, try again later");
		return -1;
	}
	m->sign_domain = choose_key(m);
	if (m->sign_domain.n == 0 && dkim_is_missing(m, r))
		return -1;
	if (message_is_foreign(m) && !verifiers_ask(m->all->verifiers, m, now)) {
		reply_now(r, 451, "4.7.1 too many messages wait for a verifier, try again later");
		return -1;
	}
	if (m->state == MESSAGE_DONE || message_ask_members(m, now))
		return 0;
	if (m->verification.pending) {
		m->state = MESSAGE_VERIFY;
		return 0;
	}
	m->state = MESSAGE_SCAN;
	message_lists(m);
	if (scanners_judge(m->all->scanners, m, now) == -1) {
		m->state = MESSAGE_COLLECT;
		reply_now(r, 451, "4.7.1 too many messages wait for a scanner, try again later");
		return -1;
	}
	return 0;
}

void
message_finish(struct message *m, unsigned code, const char *fmt, ...)
{
	char text[1024], id[ID_SIZE];
	va_list ap;
	int n;

	if (m->state == MESSAGE_DONE)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 32, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	if (m->refusal.code) {		/* that was decided before */
		code = m->refusal.code;
		snprintf(text, sizeof(text) - 32, "%.*s", SPAN_ARG(m->refusal.text));
	}
	if (code >= 400 && strstr(text, "(ref ") == NULL) {
		n = (int)strlen(text);
		snprintf(text + n, 32, " (ref %s)", id_format(m->id, id));
	}
	forget_requests(m);
	m->state = MESSAGE_DONE;
	m->reply.code = code;
	m->reply.text = arena_span(m->t->arena, span_str(text));
	m->next_done = NULL;
	*m->all->done_tail = m;
	m->all->done_tail = &m->next_done;
	m->all->wake(m->all->ctx);
}

void
message_orphan(struct message *m)
{
	m->conn = 0;
	if (m->state == MESSAGE_MEMBERS || m->state == MESSAGE_VERIFY || m->state == MESSAGE_SCAN ||
	    m->state == MESSAGE_SIGN)
		message_free(&m);
}

void
messages_init(struct messages *all)
{
	buf_init(&all->scratch, FRAME_BIG);
	all->done_tail = &all->done;
	all->memory_max = all->conf->limits.memory;
}

void
messages_release(struct messages *all)
{
	while (all->first) {
		struct message *m = all->first;

		message_free(&m);
	}
	buf_release(&all->scratch);
}

void
messages_settle(struct messages *all)
{
	while (all->done) {
		struct message *m = all->done;

		if (m->conn)
			all->answered(all->ctx, m, &m->reply);
		message_free(&m);
	}
}

void
messages_stop(struct messages *all)
{
	struct message *m, *next;

	for (m = all->first; m; m = next) {
		next = m->next;
		if (m->state == MESSAGE_MEMBERS || m->state == MESSAGE_VERIFY ||
		    m->state == MESSAGE_SCAN || m->state == MESSAGE_SIGN) {
			message_finish(m, 421, "4.3.2 service stopping, try again later");
			m->reply.close = true;
		}
	}
}
