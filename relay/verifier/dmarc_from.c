/* dmarc_from.c -- the domains in From:; see dmarc_from.h.
 *
 * One pass over the bytes. Comments nest by a counter; quoted strings and
 * comments never hold an address. `a@good <b@evil>` is read as b@evil, as mail
 * programs do; `<b@evil> <a@good>` gives both.
 */
#include "addr.h"
#include "verifier/dmarc_from.h"

struct reader {
	struct arena *a;
	struct span *out;
	size_t max, n;
	bool too_many;
	const char *problem;
	char *word;		/* the addr-spec being read, without comments, white space and quoted strings */
	size_t nword, at;	/* at: behind the last @ in it; 0 none */
	bool gap;		/* white space behind an atom of the domain … */
	bool junk;		/* … and another atom behind that */
	bool angle;		/* between < and > */
	bool angled;		/* an address in <> was read in this mailbox */
};

static void
restart(struct reader *r)
{
	r->nword = r->at = 0;
	r->gap = r->junk = false;
}

static void
add(struct reader *r, struct span domain)
{
	struct span d;

	if (r->too_many)
		return;
	if (domain.n && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n && domain.p[0] == '[') {
		r->problem = "an address in From: has an address literal for its domain";
		return;
	}
	if (!domain_normalise(r->a, domain, &d)) {
		r->problem = "an address in From: has no domain name";
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		if (span_eq(r->out[i], d))
			return;
	if (r->n == r->max)
		r->too_many = true;
	else
		r->out[r->n++] = d;
}

/* What stands there is an address, if it is anything. */
static void
finish(struct reader *r)
{
	if (r->at && r->junk)
		r->problem = "text stands behind an address in From:";
	else if (r->at)
		add(r, span_make(r->word + r->at, r->nword - r->at));
	else if (r->nword)
		r->problem = "an address in From: has no @";
	restart(r);
}

/* The end of a mailbox: outside < > only what was not a name in front of it. */
static void
end_mailbox(struct reader *r)
{
	if (r->angle)
		r->problem = "a < in From: is never closed";
	else if (!r->angled)
		finish(r);
	else if (r->at)		/* behind the > more that looks like an address */
		finish(r);
	restart(r);
	r->angle = r->angled = false;
}

/* The offset behind the comment or quoted string that begins at i. */
static size_t
skip_quoted(struct span s, size_t i)
{
	char open = s.p[i], close = open == '(' ? ')' : '"';
	unsigned depth = 1;

	for (i++; i < s.n && depth; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == close)
			depth--;
		else if (s.p[i] == open)
			depth++;
	}
	return i < s.n ? i : s.n;
}

static void
put_atom(struct reader *r, char c)
{
	r->junk |= r->gap && c != '.' && r->word[r->nword - 1] != '.';
	r->gap = false;
	r->word[r->nword++] = c;
}

static void
read_field(struct reader *r, struct span s)
{
	size_t i = 0;

	r->word = arena_alloc(r->a, s.n + 1);
	restart(r);
	r->angle = r->angled = false;
	while (i < s.n) {
		char c = s.p[i];

		if (c == '(' || c == '"') {
			i = skip_quoted(s, i);
			if (c == '"')	/* a local part, or a name: one letter stands for it */
				put_atom(r, 'q');
			else
				r->gap = r->at && r->nword > r->at;
			continue;
		}
		i++;
		switch (c) {
		case '<':
			r->angle = true;
			restart(r);
			break;
		case '>':
			if (r->angle) {
				finish(r);
				r->angle = false;
				r->angled = true;
			}
			break;
		case ',':
			if (r->angle && r->at && r->word[0] == '@')	/* a route: <@a,@b:c@d> */
				restart(r);
			else
				end_mailbox(r);
			break;
		case ':':	/* the name of a group, or the end of a route */
			restart(r);
			break;
		case ';':
			end_mailbox(r);
			break;
		case ' ': case '\t': case '\r': case '\n':
			r->gap = r->at && r->nword > r->at;
			break;
		case '@':
			put_atom(r, c);
			r->at = r->nword;
			break;
		default:
			put_atom(r, c);
		}
	}
	end_mailbox(r);
}

bool
dmarc_from_domains(struct arena *a, const struct span *fields, size_t nfields, struct span *out,
    size_t max, size_t *n, bool *too_many, const char **problem)
{
	struct reader r = { .a = a, .out = out, .max = max };

	for (size_t i = 0; i < nfields; i++)
		read_field(&r, fields[i]);
	if (r.problem == NULL && r.n == 0)
		r.problem = nfields ? "From: holds no address" : "there is no From: field";
	*n = r.n;
	*too_many = r.too_many;
	*problem = r.problem;
	return r.problem == NULL;
}
