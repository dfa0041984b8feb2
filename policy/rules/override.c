/* override.c -- a sender's own words that lift a rule which allows it.
 *
 *	Subject: Contract [override: agreed with the client on the phone]
 *	X-Postern-Override: agreed with the client on the phone
 *
 * The reason is kept with the verdict; the words never leave with the message.
 * A virus is never lifted, whatever the rule says.
 */
#include "rules.h"

static const struct span mark = { "[override:", 10 };

static size_t
characters(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80 && s.p[i] != ' ';
	return n;
}

bool
override_find(struct span subject, struct span *token, struct span *reason)
{
	for (size_t i = 0; i + mark.n < subject.n; i++) {
		struct span at = span_from(subject, i);
		size_t end;

		if (!span_starts_nocase(at, mark))
			continue;
		end = span_find(at, ']');
		if (end == at.n)
			return false;
		*token = span_sub(at, 0, end + 1);
		*reason = span_trim(span_sub(at, mark.n, end - mark.n));
		return true;
	}
	return false;
}

static bool
may(const struct eval *e, const struct override_ask *o)
{
	if (e->facts->av == AV_VIRUS || e->env->sender.n == 0 ||
	    (o->until && e->facts->now >= o->until))
		return false;
	for (size_t i = 0; i < o->n; i++)
		if (bit_has(e->from, o->sets[i]))
			return true;
	return false;
}

bool
override_offered(const struct eval *e, const struct rule *r)
{
	return r->then.override && may(e, r->then.override);
}

static struct span
clipped(struct arena *a, struct span s)
{
	size_t n = s.n < OVERRIDE_REASON_MAX ? s.n : OVERRIDE_REASON_MAX;
	char *line;

	while (n < s.n && n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	line = arena_str(a, span_sub(s, 0, n));
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	return span_make(line, n);
}

/* The reasons a message gives, whoever may; empty: none. */
static void
override_words(const struct eval *e, struct span *header, struct span *subject)
{
	const struct header *h;
	struct span token, s;

	*header = *subject = (struct span){ 0 };
	if (e->an->nparts == 0)
		return;
	if ((h = part_header(&e->an->parts[0], OVERRIDE_HEADER)) != NULL)
		*header = clipped(e->arena, h->value);
	if (override_find(e->an->subject, &token, &s))
		*subject = clipped(e->arena, s);
}

bool
override_given(const struct eval *e, const struct rule *r, struct span *reason)
{
	const struct override_ask *o = r->then.override;
	struct span header, subject;

	if (!o || !may(e, o))
		return false;
	override_words(e, &header, &subject);
	*reason = o->in_header && characters(header) >= OVERRIDE_REASON_MIN ? header : subject;
	return characters(*reason) >= OVERRIDE_REASON_MIN &&
	    (o->in_subject || reason->p == header.p);
}
