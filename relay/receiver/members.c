/* members.c -- who of a message is in which group of a directory: asked before it is judged.
 *
 * The policy says which groups it needs (policy_externals); without any nothing of this
 * happens. All addresses of the envelope and the author's are asked in one frame, and the answer
 * goes to the scanner with the message. What is not known by MEMBERS_PATIENCE, or when
 * there is no directory, the scanner is not told, and the policy lets wait what hangs on it.
 */
#include "addr.h"
#include "log.h"
#include "receiver/message.h"

#define MEMBERS_PATIENCE (INT64_C(20) * 1000000)

/* The sender first, then the recipients, then the author, where the policy looks for them. */
static void
list_addresses(struct message *m, struct memberships *out)
{
	const struct envelope *env = &m->t->env;
	struct arena *a = m->t->arena;
	struct span *v = arena_array(a, env->nrecipients + 2, sizeof(*v));
	char author[MEMBERS_AUTHOR_MAX];
	struct span from = header_from_address(buf_data(&m->head), author);

	ASSERT(env->nrecipients + 2 <= MEMBERS_ADDRESSES_MAX);
	v[out->naddresses++] = env->sender;
	for (size_t i = 0; i < env->nrecipients; i++)
		v[out->naddresses++] = env->recipients[i].address;
	if (from.n)
		v[out->naddresses++] = mailaddr_normalise(a, arena_span(a, from));
	out->addresses = v;
}

int
message_ask_members(struct message *m, int64_t now)
{
	struct messages *all = m->all;
	struct memberships *ms = &m->members;
	struct msg_members ask;
	int sent;

	if (all->nexternals == 0 || all->directory == NULL)
		return 0;
	list_addresses(m, ms);
	ms->groups = all->externals;
	ms->ngroups = all->nexternals;
	ask = (struct msg_members){ ms->addresses, ms->naddresses, ms->groups, ms->ngroups };
	members_encode(&all->scratch, &ask);
	m->ticket = ticket_open(all->tickets, m, now + MEMBERS_PATIENCE);
	sent = buf_failed(&all->scratch) ? -1 : link_send(all->directory, FRAME_MEMBERS, m->ticket,
	    buf_data(&all->scratch), -1);
	buf_reset(&all->scratch);
	if (sent == -1) {
		log_msg(LOG_LVL_WARN, m->id, "the directory does not take a question");
		ticket_close(all->tickets, m->ticket);
		m->ticket = 0;
		return 0;
	}
	m->state = MESSAGE_MEMBERS;
	return 1;
}

/* Without an answer the message is judged with nothing known. */
void
message_members_late(struct message *m, const char *why, int64_t now)
{
	log_msg(LOG_LVL_WARN, m->id, "who is in which group cannot be looked up: %s", why);
	ticket_close(m->all->tickets, m->ticket);
	m->ticket = 0;
	message_to_scanner(m, now);
}

int
messages_memberships(struct messages *all, struct frame *f, int64_t now)
{
	struct message *m = ticket_owner(all->tickets, f->ticket);
	struct msg_memberships r;

	if (m == NULL || m->ticket != f->ticket || m->state != MESSAGE_MEMBERS)
		return 0;
	if (memberships_decode(arena_span(m->t->arena, f->body), f->fd, m->t->arena, &r) == -1 ||
	    r.grid.n != m->members.naddresses * m->members.ngroups)
		return -1;
	m->members.grid = (const uint8_t *)r.grid.p;
	if (r.text.n)
		log_msg(LOG_LVL_WARN, m->id, "who is in which group is not wholly known: " SPAN_FMT,
		    SPAN_ARG(r.text));
	ticket_close(all->tickets, m->ticket);
	m->ticket = 0;
	message_to_scanner(m, now);
	return 0;
}

void
messages_directory_down(struct messages *all, const struct link *down, struct link *other,
    int64_t now)
{
	struct message *m, *next;
	bool asked = all->directory == down;

	all->directory = other;
	for (m = all->first; asked && m; m = next) {
		next = m->next;
		if (m->state == MESSAGE_MEMBERS)
			message_members_late(m, "the directory's process is gone", now);
	}
}
