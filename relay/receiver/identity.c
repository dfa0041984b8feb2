/* identity.c -- who sent an inbound message: asked of a verifier before it is judged.
 *
 * Asked for all that comes from the world: not for clients that may relay, nor for who has
 * logged in. It is asked beside the directory (members.c), not behind it; whichever
 * answer comes last hands the message to a scanner, and the answers go with it as facts.
 *
 * Fields that claim to be our own Authentication-Results are cut out here, before anybody
 * reads the message: the scanner, the policy and the recipient see only ours (RFC 8601, 5).
 */
#include "log.h"
#include "receiver/scanners.h"
#include "receiver/verifiers.h"

bool
message_is_foreign(const struct message *m)
{
	return m->all->verifiers != NULL && m->t->foreign;
}

/* Behind the verifier and the directory. */
void
message_to_scanner(struct message *m, int64_t now)
{
	if (m->verification.pending) {
		m->state = MESSAGE_VERIFY;
		return;
	}
	m->state = MESSAGE_SCAN;
	message_lists(m);
	if (scanners_judge(m->all->scanners, m, now) == -1)
		message_finish(m, 451, "4.7.1 too many messages wait for a scanner, try again later");
}

static int
cut_out(struct message *m, const struct msg_facts *f, struct err *err)
{
	struct arena *a = m->t->arena;
	struct edit *edits = arena_array(a, f->nremovals, sizeof(*edits));
	struct payload without;

	for (size_t i = 0; i < f->nremovals; i++)
		edits[i] = (struct edit){ .offset = f->removals[i].at, .size = f->removals[i].n };
	if (payload_edit(a, &m->payload, SPAN_LIT(""), edits, f->nremovals, &without, err) == -1)
		return -1;
	m->payload = without;
	return 0;
}

void
message_identified(struct message *m, const struct msg_facts *f, int64_t now)
{
	struct err err;

	m->verification.facts = f->facts;
	m->verification.header = f->header;
	m->verification.signed_by = f->signed_by;
	m->verification.nsigned_by = f->nsigned_by;
	if (f->summary.n)
		log_msg(LOG_LVL_INFO, m->id, SPAN_FMT, SPAN_ARG(f->summary));
	if (f->refuse) {
		message_finish(m, 554, SPAN_FMT, SPAN_ARG(f->text));
		return;
	}
	if (f->nremovals) {
		log_msg(LOG_LVL_WARN, m->id, "%u forged Authentication-Results taken out", f->forged);
		if (cut_out(m, f, &err) == -1) {
			log_msg(LOG_LVL_ERROR, m->id, "%s", err.text);
			message_finish(m, 451, "4.3.0 the message cannot be changed as it must");
			return;
		}
	}
	if (m->state == MESSAGE_VERIFY)
		message_to_scanner(m, now);
}
