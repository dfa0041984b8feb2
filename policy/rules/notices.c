/* notices.c -- who gets a copy of a message, and who is told about it.
 *
 * A message that is deferred is offered again: nothing is copied or said before
 * something is decided. A notice never answers a notice, a list or a robot
 * (RFC 3834, 2): that is how two gateways talk for ever. Nobody is told the same
 * twice about one message. A message with a virus is not copied to anybody.
 */
#include "judge.h"

static bool
deferred(const struct class *classes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (classes[i].decision.outcome == OUTCOME_DEFER)
			return true;
	return false;
}

/* --- copies ----------------------------------------------------------------------------- */

static bool
is_recipient(const struct envelope *env, struct span address)
{
	for (size_t i = 0; i < env->nrecipients; i++)
		if (span_eq_nocase(env->recipients[i].address, address))
			return true;
	return false;
}

static void
copies(struct judge *j, const struct class *classes, size_t n)
{
	struct verdict *v = j->out;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < classes[i].nhits; k++) {
			const struct rule *r = classes[i].hits[k];

			for (size_t s = 0; s < r->then.bcc.n && v->nbcc < BCC_MAX; s++) {
				struct span to = r->then.bcc.v[s];
				bool had = classes[i].decision.outcome <= OUTCOME_DELIVER &&
				    is_recipient(j->e.env, to);

				for (size_t x = 0; x < v->nbcc && !had; x++)
					had = span_eq_nocase(v->bcc[x].address, to);
				if (had)
					continue;
				if (!v->bcc)
					v->bcc = arena_array(j->e.arena, BCC_MAX, sizeof(*v->bcc));
				v->bcc[v->nbcc++] = (struct bcc_copy){ to, r->id };
			}
		}
}

/* --- notices ---------------------------------------------------------------------------- */

/* Written by a program: RFC 3834, 5, and what mail of lists and masses says. */
static bool
from_robot(const struct eval *e)
{
	const struct part *root = &e->an->parts[0];
	const struct header *h = part_header(root, "Auto-Submitted");

	if (h && !span_is_nocase(h->value, "no"))
		return true;
	if (part_header(root, "List-Id") || part_header(root, "List-Unsubscribe"))
		return true;
	h = part_header(root, "Precedence");
	return h && (span_is_nocase(h->value, "bulk") || span_is_nocase(h->value, "list") ||
	    span_is_nocase(h->value, "junk"));
}

/* What the policy says of this reader, else the language of the message. */
static enum language
language_for(struct judge *j, struct span to)
{
	const struct policy *p = j->e.p;
	uint64_t *bits = NULL;

	for (int l = 0; l < LANG_COUNT; l++)
		for (size_t i = 0; i < p->readers[l].n; i++) {
			if (!bits) {
				bits = arena_array(j->e.arena, BITS_WORDS(p->sets.nsets) + 1, sizeof(*bits));
				addrsets_find(&p->sets, to, bits);
			}
			if (bit_has(bits, p->readers[l].v[i]))
				return (enum language)l;
		}
	return language_of(&j->e);
}

static void
notice_add(struct judge *j, const struct rule *r, const struct notify_ask *ask, struct span to)
{
	struct verdict *v = j->out;
	enum language l = language_for(j, to);
	struct notice *n;
	struct span text, line;

	if (v->nnotices == NOTICES_MAX)
		return;
	for (size_t i = 0; i < v->nnotices; i++)
		if (span_eq_nocase(v->notices[i].to, to) && span_eq(v->notices[i].template, ask->name) &&
		    (span_eq(v->notices[i].rule, r->id) || ask->who == NOTIFY_SENDER ||
		    ask->who == NOTIFY_RECIPIENT))
			return;
	if (!v->notices)
		v->notices = arena_array(j->e.arena, NOTICES_MAX, sizeof(*v->notices));
	n = &v->notices[v->nnotices++];
	text = texts_pick(&ask->text, l);
	*n = (struct notice){ .to = to, .rule = r->id, .template = ask->name,
		.language = span_str(language_names[l]), .subject = SPAN_LIT("Mail policy: $rule") };
	line = span_sub(text, 0, span_find(text, '\n'));
	if (span_starts_nocase(line, SPAN_LIT("subject:"))) {
		n->subject = span_trim(span_from(line, 8));
		text = span_from(text, line.n + 1);
		while (text.n && (text.p[0] == '\n' || text.p[0] == '\r'))
			text = span_from(text, 1);
	}
	n->subject = expand_text(&j->e, r, n->subject);
	n->text = expand_lines(&j->e, r, text);
	text = ask->html.v[texts_language(&ask->text, l)];
	n->html = text.n ? expand_html(&j->e, r, text) : (struct span){ 0 };
}

static void
notices_of(struct judge *j, const struct class *classes, size_t class, const uint32_t *of,
    bool robot)
{
	const struct class *c = &classes[class];
	const struct envelope *env = j->e.env;

	for (size_t i = 0; i < c->nhits; i++) {
		const struct rule *r = c->hits[i];
		/* a stricter rule has decided: what this one would say is not true */
		bool true_still = r->then.outcome == OUTCOME_UNJUDGED ?
		    c->decision.outcome <= OUTCOME_HOLD : r->then.outcome == c->decision.outcome;

		for (size_t k = 0; k < r->then.nnotify; k++) {
			const struct notify_ask *ask = &r->then.notify[k];

			switch (ask->who) {
			case NOTIFY_SENDER:
				if (env->sender.n && !robot && true_still)
					notice_add(j, r, ask, env->sender);
				break;
			case NOTIFY_RECIPIENT:
				for (size_t s = 0; s < env->nrecipients && !robot && true_still; s++)
					if (of[s] == class)
						notice_add(j, r, ask, env->recipients[s].address);
				break;
			case NOTIFY_ADMIN:
				notice_add(j, r, ask, j->e.p->contact.n &&
				    span_find(j->e.p->contact, '@') < j->e.p->contact.n ?
				    j->e.p->contact : SPAN_LIT("postmaster"));
				break;
			case NOTIFY_ADDRESS:
				notice_add(j, r, ask, ask->address);
				break;
			}
		}
	}
}

void
judge_notices(struct judge *j, const struct class *classes, size_t n, const uint32_t *of)
{
	bool robot;

	if (deferred(classes, n))
		return;
	if (j->e.facts->av != AV_VIRUS)
		copies(j, classes, n);
	robot = from_robot(&j->e);
	if (robot && j->e.env->sender.n == 0)
		return;		/* a notice, ours or another's */
	for (size_t i = 0; i < n; i++)
		notices_of(j, classes, i, of, robot);
}
