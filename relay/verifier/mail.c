/* mail.c -- a message as its verifier sees it; see mail.h.
 *
 * Not MIME, and no opinion: a line without a colon is a field without a name, which nobody can
 * have signed.
 */
#include "verifier/mail.h"

bool
mail_next_field(struct span raw, size_t *at, struct span *field)
{
	size_t from = *at, to = from;

	if (from >= raw.n || raw.p[from] == '\r' || raw.p[from] == '\n')
		return false;
	do {
		to += span_find(span_from(raw, to), '\n') + 1;
		if (to > raw.n)
			to = raw.n;
	} while (to < raw.n && ascii_is_wsp(raw.p[to]));
	*field = span_sub(raw, from, to - from);
	*at = to;
	return true;
}

struct span
mail_field_name(struct span field)
{
	size_t colon = span_find(field, ':');

	return colon == field.n ? SPAN_LIT("") : span_trim(span_sub(field, 0, colon));
}

struct span
mail_field_body(struct span field)
{
	return span_from(field, span_find(field, ':') + 1);
}

static struct span
without_crlf(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

void
mail_open(struct span raw, struct arena *a, struct mail *m)
{
	size_t at = 0, room = 64;
	struct span field;

	*m = (struct mail){ .raw = raw };
	m->fields = arena_array(a, room, sizeof(*m->fields));
	while (mail_next_field(raw, &at, &field)) {
		if (m->nfields == MAIL_FIELDS_MAX || at > MAIL_HEADER_MAX) {
			m->overfull = true;
			continue;
		}
		if (m->nfields == room) {
			m->fields = arena_grow(a, m->fields, room * sizeof(*m->fields),
			    2 * room * sizeof(*m->fields));
			room *= 2;
		}
		m->fields[m->nfields++] = without_crlf(field);
	}
	if (span_starts(span_from(raw, at), SPAN_LIT("\r\n")))
		at += 2;
	m->body = span_from(raw, at);
}
