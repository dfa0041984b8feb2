/* identifiers.c -- walks a text once and asks the built-ins; see identifiers.h. */
#include <stdlib.h>

#include "identifiers.h"
#include "postern/err.h"

#define DIGITS_MAX 24		/* of a number in the tables */

/* In the order of the manual. */
#define BUILTINS(X)                                                                        \
	X(payment_card)                                                                    \
	X(iban) X(bic) X(fr_rib) X(us_aba) X(isin) X(bitcoin_address) X(fr_nir)            \
	    X(fr_siren) X(fr_siret) X(fr_tva) X(fr_spi) X(fr_rpps) X(fr_finess) X(uk_nhs)  \
		X(uk_nino) X(us_ssn) X(us_itin) X(us_npi) X(de_steuer_id) X(es_dni)        \
		    X(es_nie) X(it_codice_fiscale) X(be_nn) X(nl_bsn) X(ch_ahv) X(pt_nif)  \
			X(pl_pesel) X(se_pnr) X(no_fnr) X(fi_hetu) X(dk_cpr) X(ie_pps)     \
			    X(ca_sin) X(au_tfn) X(au_medicare) X(in_aadhaar) X(in_pan)     \
				X(cn_ric) X(br_cpf) X(kr_rrn) X(za_id) X(imei) X(vin)      \
				    X(passport_mrz) X(private_key) X(aws_key) X(gcp_key)   \
					X(azure_key) X(github_token) X(gitlab_token)       \
					    X(slack_token) X(stripe_key) X(jwt)            \
						X(connection_string) X(password_in_clear)

#define X(name) extern const struct builtin builtin_##name;
BUILTINS(X)
#undef X

const struct builtin *const builtins[] = {
#define X(name) &builtin_##name,
	BUILTINS(X)
#undef X
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

static unsigned
group_first(const char *groups)
{
	return (unsigned)strtoul(groups, NULL, 10);
}

static void
ask_put(struct ask *a, int builtin)
{
	ASSERT(a->n < BUILTINS_MAX);
	a->builtin[a->n++] = (uint8_t)builtin;
}

void
identifiers_plan_add(struct identifiers_plan *p, int builtin)
{
	const struct builtin *b = builtins[builtin];
	uint64_t digits = b->digits, whole = b->whole;

	ASSERT(builtin < BUILTINS_MAX);
	for (const struct number *u = b->numbers; u && u->n; u++) {
		ASSERT(u->n <= DIGITS_MAX);
		if (u->whole.with_near)
			digits |= LEN(u->n), whole |= LEN(u->n);
		for (const char *g = u->groups; g; g = strchr(g, ' ') ? strchr(g, ' ') + 1 : NULL)
			digits |= LEN(group_first(g));
	}
	for (int n = 0; n <= ATOM_MAX; n++) {
		for (int joined = 0; joined < 2; joined++) {
			if (!joined && !(whole >> n & 1))
				continue;
			if (digits >> n & 1)
				ask_put(&p->digits[joined][n], builtin);
			if (b->mixed >> n & 1)
				ask_put(&p->mixed[joined][n], builtin);
		}
	}
	p->any = p->any || digits || b->mixed;
}

/* --- readings ---------------------------------------------------------------------- */

static bool
alnum_at(struct span s, size_t i)
{
	uint8_t c = i < s.n ? (uint8_t)s.p[i] : 0;

	return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 32) - 'a') < 26;
}

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
			if (sep == 0 || strchr(seps, sep == '\t' ? ' ' : sep) == NULL)
				return false;
			/* Boxes, one for each group, or none. */
			if (i > 1 && (sep == '\t') != (r->sep == '\t'))
				return false;
			r->sep = r->sep == 0 || r->sep == sep ? sep : '?';
		}
		memcpy(r->c + r->n, o->c, o->n);
		r->n = (uint8_t)(r->n + o->n);
		r->group[r->ngroups++] = o->n;
		r->to = o->to;
		if (r->n == n) {
			r->c[n] = '\0';
			/* A line is not broken among hyphens or points: those end one number and
			 * begin another. */
			return lines == 0 || r->sep == ' ';
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
reading_lead(struct atoms *at, size_t n, struct reading *r)
{
	struct span s = at->text;
	size_t i = r->from;
	bool sep = i > 0 && (s.p[i - 1] == ' ' || s.p[i - 1] == '-');

	if (!sep || r->n + n > READING_MAX || i < n + 1 || r->ngroups >= ATOMS_JOINED_MAX)
		return false;
	memmove(r->c + n, r->c, r->n + 1u);
	memmove(r->group + 1, r->group, r->ngroups);
	i -= n + 1;
	for (size_t k = 0; k < n; k++) {
		char c = ascii_lower(s.p[i + k]);

		if (c < 'a' || c > 'z')
			return false;
		r->c[k] = (char)(c - 32);
	}
	/* Not the end of a longer word; U+00A0 to U+00BF and U+2000 to U+203F are blanks and signs. */
	if (i > 0 && (s.p[i - 1] == '_' || alnum_at(s, i - 1)))
		return false;
	if (i > 0 && (s.p[i - 1] & 0x80) && !(i > 1 && s.p[i - 2] == '\xc2') &&
	    !(i > 2 && s.p[i - 3] == '\xe2' && s.p[i - 2] == '\x80'))
		return false;
	r->from = i;
	r->n = (uint8_t)(r->n + n);
	r->group[0] = (uint8_t)n;
	r->ngroups++;
	return true;
}

bool
reading_is(const struct reading *r, const char *form)
{
	if (strlen(form) != r->n)
		return false;
	for (size_t i = 0; i < r->n; i++) {
		bool digit = r->c[i] <= '9';

		if (form[i] == 'A'       ? digit
			: form[i] == '9' ? !digit
					 : form[i] != '*' && form[i] != r->c[i])
			return false;
	}
	return true;
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

unsigned
digits_number(const char *digits, size_t n)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++)
		v = v * 10 + (unsigned)(digits[i] - '0');
	return v;
}

bool
digits_vary(const char *digits)
{
	for (size_t i = 1; digits[i]; i++)
		if (digits[i] != digits[0])
			return true;
	return false;
}

unsigned
weighted(const char *c, const uint8_t *weights, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += weights[i] * (unsigned)(c[i] <= '9' ? c[i] - '0' : c[i] - 'A' + 10);
	return sum;
}

bool
is_day(int year, unsigned month, unsigned day)
{
	static const uint8_t days[] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month < 1 || month > 12 || day < 1 || day > days[month])
		return false;
	return month != 2 || day != 29 || year < 0 ||
	    (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

bool
reading_compact(struct span text, size_t n, struct reading *r)
{
	ASSERT(n <= READING_MAX);
	r->n = 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if ((c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z')) {
			if (r->n == n)
				return false;
			r->c[r->n++] = c >= 'a' ? (char)(c - 32) : c;
		}
	}
	r->c[r->n] = '\0';
	return r->n == n;
}

/* --- numbers of digits -------------------------------------------------------------- */

static bool
grouped_as(const struct reading *r, const char *groups)
{
	char one[32];

	while (groups) {
		size_t n = strcspn(groups, " ");

		ASSERT(n < sizeof(one));
		memcpy(one, groups, n);
		one[n] = '\0';
		if (reading_grouped(r, one))
			return true;
		groups = groups[n] ? groups + n + 1 : NULL;
	}
	return false;
}

/* Does another group of digits stand before it, set off in the same way? Then it is the end of a
 * longer number: a telephone's, an amount. */
static bool
goes_before(struct atoms *at, const struct reading *r)
{
	return r->ngroups > 1 && at->before.kind == ATOM_DIGITS &&
	    atoms_peek(at, 0)->sep == r->sep && at->before.to != at->claimed;
}

/* Or behind it? */
static bool
goes_on(struct atoms *at, const struct reading *r)
{
	const struct atom *o;

	if (r->ngroups == 1 || r->ngroups >= ATOMS_JOINED_MAX)
		return false;
	o = atoms_peek(at, r->ngroups);
	return o->kind == ATOM_DIGITS && o->sep == r->sep;
}

/* How many groups of digits from the current atom on make so many digits; 0: none do. */
struct totals {
	bool made;
	uint8_t groups[DIGITS_MAX + 1];
};

static void
totals_make(struct totals *t, struct atoms *at)
{
	size_t n = 0;

	memset(t, 0, sizeof(*t));
	t->made = true;
	for (size_t i = 0; i < ATOMS_JOINED_MAX; i++) {
		const struct atom *o = atoms_peek(at, i);

		if (o->kind != ATOM_DIGITS || !o->usable || (i > 0 && o->sep == 0) ||
		    n + o->n > DIGITS_MAX)
			return;
		n += o->n;
		t->groups[n] = (uint8_t)(i + 1);
	}
}

static enum proof
number_match(const struct number *u, struct atoms *at, const struct totals *t,
    struct identifier *out)
{
	enum proof proof = PROOF_NONE;
	const char *seps = "";
	size_t taken = 0;
	bool there = false;

	for (; u->n; u++) {
		struct reading *r = &out->r;
		struct worth worth;

		if (t->groups[u->n] == 0 || (t->groups[u->n] > 1 && u->groups == NULL))
			continue;
		if (taken != u->n || seps != u->seps) {
			taken = u->n;
			seps = u->seps;
			there = reading_take(at, u->n, seps ? seps : " -./", r) &&
			    reading_digits(r, 0, u->n);
		}
		if (!there || (r->ngroups > 1 && !grouped_as(r, u->groups)))
			continue;
		worth = r->ngroups > 1 ? u->grouped : u->whole;
		if (worth.with_near == CONFIDENCE_NONE || (u->shape && !u->shape(r->c)))
			continue;
		if (u->check && !u->check(r->c)) {
			proof = PROOF_FAILED;
			continue;
		}
		out->alone = worth.alone;
		out->with_near = worth.with_near;
		if (goes_before(at, r)) {
			out->alone = CONFIDENCE_NONE;
			out->with_near = CONFIDENCE_LOW;
		} else if (goes_on(at, r)) {
			out->alone = CONFIDENCE_NONE;
		}
		return PROOF_FOUND;
	}
	return proof;
}

/* --- what stands around a candidate ------------------------------------------------- */

#define URL_BYTES_MAX 512	/* between "://" and what is still a piece of that URL */

/* The stretch without blanks before the last candidate: they come in order of place, so each byte
 * is looked at once. */
struct stretch {
	size_t seen;		/* looked at so far */
	size_t url;		/* where the last "://" in it ends; SIZE_MAX: none near */
};

static bool
in_url(struct stretch *st, struct span s, size_t from)
{
	size_t stop = st->seen <= from ? st->seen : 0, i = from, url = SIZE_MAX;

	while (i > stop && from - i < URL_BYTES_MAX && url == SIZE_MAX) {
		uint8_t c = (uint8_t)s.p[--i];

		if (c <= ' ' || c == '"' || c == '<' || c == '>')
			break;
		if (c == '/' && i > 1 && s.p[i - 1] == '/' && s.p[i - 2] == ':')
			url = i;
	}
	/* It goes on to what was looked at before. */
	if (i == stop && stop > 0 && url == SIZE_MAX && st->url != SIZE_MAX &&
	    from - st->url < URL_BYTES_MAX &&
	    !((uint8_t)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '<' || s.p[i] == '>'))
		url = st->url;
	st->seen = from;
	st->url = url;
	return url != SIZE_MAX;
}

/* Is the candidate a piece of a longer name: a URL, a path, an address, a decimal
 * fraction, a hyphenated code? */
static bool
inside_other(struct stretch *st, struct span s, const struct reading *r)
{
	char before = r->from > 0 ? s.p[r->from - 1] : ' ';
	char after = r->to < s.n ? s.p[r->to] : ' ';

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
	return in_url(st, s, r->from);
}

void
identifiers_search(const struct identifiers_plan *p, struct span text, identifier_hit *hit,
    void *ctx)
{
	struct stretch stretch = { 0, SIZE_MAX };
	struct atoms at;

	if (!p->any)
		return;
	atoms_begin(&at, text);
	while (atoms_next(&at)) {
		const struct atom *o = atoms_peek(&at, 0);
		const struct ask *ask;
		struct totals totals;
		size_t claim = at.claimed;
		bool joined;

		/* Inside a well-proved candidate nothing else begins. */
		if (o->from < at.claimed)
			continue;
		joined = atoms_joined(&at);
		totals.made = false;
		ask = o->kind == ATOM_DIGITS ? &p->digits[joined][o->n] : &p->mixed[joined][o->n];
		for (size_t i = 0; i < ask->n; i++) {
			const struct builtin *b = builtins[ask->builtin[i]];
			struct identifier id;
			enum proof proof;

			if (b->numbers && !totals.made)
				totals_make(&totals, &at);
			proof = b->numbers ? number_match(b->numbers, &at, &totals, &id) :
			    b->match(&at, &id);
			if (proof == PROOF_NONE)
				continue;
			if (proof == PROOF_FAILED) {
				hit(ctx, ask->builtin[i], NULL);
				continue;
			}
			if (inside_other(&stretch, text, &id.r))
				continue;
			if (id.alone >= CONFIDENCE_MEDIUM && id.r.to > claim)
				claim = id.r.to;
			hit(ctx, ask->builtin[i], &id);
		}
		at.claimed = claim;
	}
}
