/* identifiers.c -- walks a text once and asks the built-ins; see identifiers.h. */
#include "identifiers.h"
#include "postern/err.h"

const struct builtin *const builtins[] = {
	&builtin_payment_card,
	&builtin_iban,
	&builtin_fr_nir,
	NULL
};

int
builtin_find(struct span name)
{
	for (int i = 0; builtins[i]; i++)
		if (span_is(name, builtins[i]->name))
			return i;
	return -1;
}

void
identifiers_plan_add(struct identifiers_plan *p, int builtin)
{
	const struct builtin *b = builtins[builtin];

	ASSERT(builtin < BUILTINS_MAX && b->match);
	for (int n = 0; n <= ATOM_MAX; n++) {
		if (b->digits >> n & 1)
			p->digits[n].builtin[p->digits[n].n++] = (uint8_t)builtin;
		if (b->mixed >> n & 1)
			p->mixed[n].builtin[p->mixed[n].n++] = (uint8_t)builtin;
	}
	p->any = true;
}

/* --- readings ---------------------------------------------------------------------- */

bool
reading_take(struct atoms *at, size_t n, const char *seps, struct reading *r)
{
	size_t lines = 0;

	ASSERT(n <= READING_MAX);
	r->n = r->ngroups = 0;
	r->sep = 0;
	for (size_t i = 0; i < ATOMS_JOINED_MAX; i++) {
		const struct atom *o = atoms_peek(at, i);

		if (o->kind == ATOM_NONE || !o->usable || r->n + o->n > n)
			return false;
		if (i == 0) {
			r->from = o->from;
		} else {
			char sep = o->sep;

			/* A line may be broken once at a blank. */
			if (sep == '\n' && lines++ == 0)
				sep = ' ';
			if (sep == 0 || strchr(seps, sep) == NULL)
				return false;
			r->sep = r->sep == 0 || r->sep == sep ? sep : '?';
		}
		memcpy(r->c + r->n, o->c, o->n);
		r->n = (uint8_t)(r->n + o->n);
		r->group[r->ngroups++] = o->n;
		r->to = o->to;
		if (r->n == n) {
			r->c[n] = '\0';
			return true;
		}
	}
	return false;
}

bool
reading_grouped(const struct reading *r, const char *groups)
{
	size_t i = 0;

	for (; *groups; i++) {
		unsigned n = 0;

		while (*groups >= '0' && *groups <= '9')
			n = n * 10 + (unsigned)(*groups++ - '0');
		if (i >= r->ngroups || r->group[i] != n)
			return false;
		if (*groups == '-')
			groups++;
	}
	return i == r->ngroups;
}

bool
reading_digits(const struct reading *r, size_t from, size_t n)
{
	if (from + n > r->n)
		return false;
	for (size_t i = from; i < from + n; i++)
		if (r->c[i] < '0' || r->c[i] > '9')
			return false;
	return true;
}

unsigned
reading_number(const struct reading *r, size_t from, size_t n)
{
	unsigned v = 0;

	ASSERT(n <= 9 && from + n <= r->n);
	for (size_t i = from; i < from + n; i++)
		v = v * 10 + (unsigned)(r->c[i] - '0');
	return v;
}

/* ISO/IEC 7812-1, annex B. */
bool
luhn(const char *digits, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(digits[n - 1 - i] - '0');

		if (i % 2)
			d = d > 4 ? d * 2 - 9 : d * 2;
		sum += d;
	}
	return sum % 10 == 0;
}

unsigned
digits_mod(const char *digits, size_t n, unsigned m)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = (v * 10 + (unsigned)(digits[i] - '0')) % m;
	return (unsigned)v;
}

/* --- what stands around a candidate ------------------------------------------------- */

static bool
alnum_at(struct span s, size_t i)
{
	uint8_t c = i < s.n ? (uint8_t)s.p[i] : 0;

	return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 32) - 'a') < 26;
}

/* Is the candidate a piece of a longer name: a URL, a path, an address, a decimal
 * fraction, a hyphenated code? */
static bool
inside_other(struct span s, const struct reading *r)
{
	char before = r->from > 0 ? s.p[r->from - 1] : ' ';
	char after = r->to < s.n ? s.p[r->to] : ' ';
	size_t i = r->from;

	switch (before) {
	case '-': case '.':
		if (r->from > 1 && alnum_at(s, r->from - 2))
			return true;
		break;
	case '@': case '/': case '\\': case '%': case '+': case '$':
		return true;
	}
	switch (after) {
	case '-': case '.': case '/':
		/* "4111 … 1111/12/26" is a card and its date, "x/1234/y" a path. */
		if (alnum_at(s, r->to + 1) && (after != '/' || r->ngroups < 2))
			return true;
		break;
	case '@': case '\\':
		return true;
	}
	for (unsigned n = 0; i > 2 && n < 512; n++) {
		uint8_t c = (uint8_t)s.p[--i];

		if (c <= ' ' || c == '"' || c == '<' || c == '>')
			break;
		if (c == '/' && s.p[i - 1] == '/' && s.p[i - 2] == ':')
			return true;
	}
	return false;
}

void
identifiers_search(const struct identifiers_plan *p, struct span text, identifier_hit *hit,
    void *ctx)
{
	struct atoms at;

	if (!p->any)
		return;
	atoms_begin(&at, text);
	while (atoms_next(&at)) {
		const struct atom *o = atoms_peek(&at, 0);
		size_t n, claim = at.claimed;
		const uint8_t *list;
		bool joined;

		/* Inside a well-proved candidate nothing else begins. */
		if (o->from < at.claimed)
			continue;
		joined = atoms_joined(&at);
		n = o->kind == ATOM_DIGITS ? p->digits[o->n].n : p->mixed[o->n].n;
		list = o->kind == ATOM_DIGITS ? p->digits[o->n].builtin : p->mixed[o->n].builtin;
		for (size_t i = 0; i < n; i++) {
			struct identifier id;
			enum proof proof;

			if (!joined && !(builtins[list[i]]->whole >> o->n & 1))
				continue;
			proof = builtins[list[i]]->match(&at, &id);
			if (proof == PROOF_NONE)
				continue;
			if (proof == PROOF_FAILED) {
				hit(ctx, list[i], NULL);
				continue;
			}
			if (inside_other(text, &id.r))
				continue;
			if (id.alone >= CONFIDENCE_MEDIUM && id.r.to > claim)
				claim = id.r.to;
			hit(ctx, list[i], &id);
		}
		at.claimed = claim;
	}
}
