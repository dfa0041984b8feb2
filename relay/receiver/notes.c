/* notes.c -- copies and notices: groups of a message beside those of its recipients.
 *
 * They are signed and submitted with the message, ride on the same sync, and the
 * client hears 250 when all are on the disk: who was to be told is told, whatever
 * crashes. A message that is refused may have some as well; they are stored
 * before the refusal is said, and a spool that does not take them does not change it.
 *
 * A copy is the message as it was received, for an address its sender never
 * named: nothing of its fate is reported to the sender (NOTIFY=NEVER). A notice
 * has the null sender, so what fails there ends in the log.
 *
 * One address gets NOTICES_PER_HOUR notices at most, over all receivers; what is
 * beyond stands in the log.
 */
#include "clock.h"
#include "log.h"
#include "queue/note.h"
#include "receiver/echo.h"
#include "receiver/message.h"

#define NOTICES_PER_HOUR 60

static const struct limit_rule notice_rate = { .id = { "notices", 7 }, .per = LIMIT_SENDER,
	.unit = LIMIT_MESSAGES, .allow = NOTICES_PER_HOUR, .window = 3600 * US_PER_SEC,
	.then = OUTCOME_DEFER };

static bool
within_rate(struct messages *all, uint64_t about, struct span to)
{
	struct limits_who who = { .sender = to, .real = clock_real() };
	struct limits_hit hit;

	if (all->limits == NULL || limits_take(all->limits, &notice_rate, 1, LIMIT_MESSAGES, &who, 1,
	    all->now ? all->now : clock_mono(), &hit) == OUTCOME_UNJUDGED)
		return true;
	log_msg(LOG_LVL_WARN, about, "a notice to <" SPAN_FMT "> is not sent: %d an hour are enough",
	    SPAN_ARG(to), NOTICES_PER_HOUR);
	return false;
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return false;
	return true;
}

static struct group *
group_new(struct message *m)
{
	struct group *g = &m->groups[m->ngroups];

	*g = (struct group){ .env = m->t->env,
		.id = m->ngroups || m->refusal.code ? id_new(m->all->ids, clock_real()) : m->id };
	g->parent = g->id == m->id ? 0 : m->id;
	g->env.id = g->id;
	m->ngroups++;
	return g;
}

static void
copy_group(struct message *m)
{
	struct arena *a = m->t->arena;
	size_t n = m->verdict.nbcc;
	struct group *g = group_new(m);

	g->copy = true;
	g->sign_domain = m->sign_domain;
	g->env.recipients = arena_array(a, n, sizeof(*g->env.recipients));
	g->decisions = arena_array(a, n, sizeof(*g->decisions));
	g->env.nrecipients = n;
	g->env.envid = (struct span){ 0 };
	for (size_t i = 0; i < n; i++) {
		const struct bcc_copy *c = &m->verdict.bcc[i];

		g->env.recipients[i] = (struct recipient){ .address = c->address,
			.notify = NOTIFY_NEVER };
		g->decisions[i] = (struct msg_decision){ .outcome = OUTCOME_DELIVER, .rule = c->rule };
		if (!is_ascii(c->address))
			g->env.flags |= ENVELOPE_SMTPUTF8;
		log_msg(LOG_LVL_INFO, m->id, "copy to <" SPAN_FMT "> by rule " SPAN_FMT,
		    SPAN_ARG(c->address), SPAN_ARG(c->rule));
	}
}

/* false: the address had enough. */
static bool
notice_group(struct message *m, const struct notice *n)
{
	const struct config *conf = m->all->conf;
	struct arena *a = m->t->arena;
	struct span to = span_find(n->to, '@') < n->to.n ? n->to : conf->postmaster;
	struct note note = { .about = m->id, .hostname = conf->hostname, .from = conf->postmaster,
		.to = to, .subject = n->subject, .text = n->text, .html = n->html, .language = n->language,
		.now = clock_real() };
	struct envelope env = { .direction = DIRECTION_OUTBOUND, .helo = conf->hostname,
		.received = note.now, .nrecipients = 1 };
	struct group *g;
	struct buf b;

	if (!within_rate(m->all, m->id, to))
		return false;
	g = group_new(m);
	g->copy = true;
	g->sign_domain = note_signing_domain(conf, conf->postmaster);
	env.id = note.id = g->id;
	env.recipients = arena_array(a, 1, sizeof(*env.recipients));
	env.recipients[0].address = to;
	env.flags = is_ascii(to) && is_ascii(conf->postmaster) ? 0 :
	    ENVELOPE_SMTPUTF8 | ENVELOPE_8BITMIME;
	g->env = env;
	g->decisions = arena_array(a, 1, sizeof(*g->decisions));
	g->decisions[0] = (struct msg_decision){ .outcome = OUTCOME_DELIVER, .rule = SPAN_LIT("notice") };
	buf_init(&b, NOTE_MAX);
	note_build(&b, &note);
	g->notice = true;
	g->bytes = arena_span(a, buf_data(&b));
	if (buf_failed(&b))
		g->bytes = SPAN_LIT("Subject: notice\r\n\r\n(too large)\r\n");
	buf_release(&b);
	log_msg(LOG_LVL_INFO, m->id, "notice to <" SPAN_FMT "> by rule " SPAN_FMT, SPAN_ARG(to),
	    SPAN_ARG(n->rule));
	return true;
}

size_t
notes_wanted(const struct message *m)
{
	return (m->verdict.nbcc > 0) + m->verdict.nnotices + m->echo;
}

void
notes_add(struct message *m)
{
	if (m->verdict.nbcc)
		copy_group(m);
	for (size_t i = 0; i < m->verdict.nnotices; i++)
		notice_group(m, &m->verdict.notices[i]);
	if (m->echo)
		echo_group(m, group_new(m));
}

void
note_send(struct messages *all, uint64_t about, struct span to, struct span rule,
    struct span subject, struct span text, int64_t now)
{
	struct arena *a = arena_new(0);
	struct smtp_transaction *t = arena_zalloc(a, sizeof(*t));
	struct notice n = { .to = arena_span(a, to), .rule = arena_span(a, rule),
		.subject = arena_span(a, subject), .text = arena_span(a, text) };
	struct message *m = message_new(all, id_new(all->ids, clock_real()), 0, NOTE_MAX);

	t->arena = a;
	t->env.received = clock_real();
	m->t = t;
	m->groups = arena_array(a, 1, sizeof(*m->groups));
	m->refusal.code = 250;		/* whatever becomes of it: nobody waits for an answer */
	m->refusal.text = SPAN_LIT("2.0.0 noted");
	if (all->queue == NULL || !notice_group(m, &n)) {
		message_free(&m);
		return;
	}
	m->groups[0].parent = about;
	message_sign(m, now);
}
