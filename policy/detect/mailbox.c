/* mailbox.c -- the mailboxes of an address field (RFC 5322, 3.4); see mailbox.h.
 *
 * Reads what people are shown, so it is lenient: a name without quotes may hold anything but a
 * comma, a group's name is dropped, comments count as a name where there is no other. The text is
 * decoded already (RFC 2047), so a comma that stood in an encoded word parts two mailboxes here;
 * a piece without any address is joined to what follows it, as people read it.
 */
#include "detect/mailbox.h"

struct reader {
	struct arena *a;
	char *name, *comment, *address;
	size_t nname, ncomment, naddress;
	bool angle;		/* an address stood in < > */
};

static void
name_put(struct reader *r, char c)
{
	if (c == ' ' || c == '\t') {
		if (r->nname && r->name[r->nname - 1] != ' ')
			r->name[r->nname++] = ' ';
		return;
	}
	r->name[r->nname++] = c;
}

/* At s[i], behind the opening; behind the closing, or at the end. */
static size_t
quoted(struct reader *r, struct span s, size_t i)
{
	for (; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		name_put(r, s.p[i]);
	}
	return i < s.n ? i + 1 : i;
}

static size_t
comment(struct reader *r, struct span s, size_t i)
{
	unsigned depth = 1;

	for (; i < s.n && depth; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			continue;
		r->comment[r->ncomment++] = s.p[i];
	}
	return i;
}

/* "<@route:a@b>" too: what stands behind the last colon. */
static size_t
angle(struct reader *r, struct span s, size_t i)
{
	r->naddress = 0;
	for (; i < s.n && s.p[i] != '>'; i++) {
		if (s.p[i] == ':')
			r->naddress = 0;
		else if (s.p[i] != ' ' && s.p[i] != '\t')
			r->address[r->naddress++] = s.p[i];
	}
	r->angle = true;
	return i < s.n ? i + 1 : i;
}

/* Without < >: the word with the @ is the address. */
static void
bare(struct reader *r, struct mailbox *out)
{
	struct span s = span_trim(span_make(r->name, r->nname));

	if (span_find(s, '@') < s.n && span_find(s, ' ') == s.n) {
		out->address = s;
		s.n = 0;
	}
	out->name = s;
}

bool
mailbox_next(struct arena *a, struct span value, size_t *at, struct mailbox *out)
{
	struct reader r = { .a = a };
	size_t i = *at;

	*out = (struct mailbox){ .name = SPAN_LIT(""), .address = SPAN_LIT("") };
	if (span_trim(span_from(value, i)).n == 0) {
		*at = value.n;
		return false;
	}
	r.name = arena_alloc(a, value.n - i + 1);
	r.comment = arena_alloc(a, value.n - i + 1);
	r.address = arena_alloc(a, value.n - i + 1);
	while (i < value.n) {
		char c = value.p[i++];

		if (c == '"')
			i = quoted(&r, value, i);
		else if (c == '(')
			i = comment(&r, value, i);
		else if (c == '<')
			i = angle(&r, value, i);
		else if (c == ':' && !r.angle && span_find(span_make(r.name, r.nname), '@') == r.nname)
			r.nname = 0;
		else if (c == ';' || (c == ',' && (r.angle ||
		    span_find(span_make(r.name, r.nname), '@') < r.nname)))
			break;
		else
			name_put(&r, c);
	}
	*at = i;
	if (r.angle) {
		out->name = span_trim(span_make(r.name, r.nname));
		out->address = span_make(r.address, r.naddress);
	} else {
		bare(&r, out);
	}
	if (out->name.n == 0)
		out->name = span_trim(span_make(r.comment, r.ncomment));
	return true;
}
