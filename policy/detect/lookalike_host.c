/* lookalike_host.c -- hosts that people take for others; see detect/lookalike_host.h.
 *
 * Of each name the label counts that its owner chose ("bank" of www.bank.co.uk, by the public
 * suffix list). A host is taken for it when its own such label
 *
 *  - looks the same: equal skeletons of UTS #39, marks dropped, and with the exchanges that
 *    people overlook in ASCII (rn m, vv w, cl d, 0 o, 1 l i, 3 e, 4 a, 5 s, 8 b);
 *  - differs by one letter: one more, one less, another one, two exchanged. Not the first
 *    one, and only of five letters or more: "bank" and "tank" are both words;
 *  - is the name with something added: "bank-login", "secure-bank", "bankonline". Without a
 *    hyphen, and of a name of four letters, what is added must be a word that lures;
 *
 * or when the whole name stands in front of another domain: "bank.example.evil.test".
 *
 * A host that is one of the names, is below one, or is registered as the same domain as one is none
 * of this, so who owns several alike names lists them all. The same label under another
 * suffix ("bank.fr" for "bank.com") is left alone: it is as often the same owner as not.
 *
 * A look-up costs what the host is long, not how many names there are: of each name its
 * skeleton and all it becomes by leaving one letter out are in hash tables.
 */
#include "detect/lookalike_host.h"

#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/uspoof.h>

#include "anatomy/lookalike.h"
#include "anatomy/textmap.h"
#include "anatomy/url.h"
#include "postern/err.h"
#include "table.h"

#define FOLD_MAX 512
#define TYPO_LEAST 5	/* letters of a name of which one may be wrong */
#define ADDED_LEAST 5	/* letters of a name that is known with anything added */
#define LURED_LEAST 4	/* … with one of the words below, behind a hyphen */
#define NAME_LABELS 6

struct confusables {
	USpoofChecker *checker;
	char ascii[128][8];	/* what each looks like */
};

struct name {
	struct span host;	/* as given */
	struct span label;	/* U-labels */
	struct name *next;	/* of those that become the same with a letter left out */
};

struct lookalikes {
	const struct confusables *c;
	struct arena *arena;
	struct table *hosts;	/* the names and their domains */
	struct table *folds;	/* skeleton of the label -> name */
	struct table *typos;	/* the label, or what is left of it -> names */
	size_t n;
};

/* Words that stand beside a name to make people act. */
static const char *const lures[] = { "login", "logon", "signin", "sign", "secure", "security", "securite",
	"account", "accounts", "compte", "verify", "verification", "update", "support", "service", "services",
	"help", "helpdesk", "billing", "pay", "payment", "paiement", "invoice", "facture", "confirm", "auth",
	"sso", "password", "reset", "portal", "portail", "online", "web", "webmail", "mail", "my", "app",
	"mobile", "official", "alert", "alerts", "client", "clients", "customer", "bank", "banking", "card",
	"wallet", "refund", "remboursement", "delivery", "livraison", "colis", "tracking", "bonus", "gift",
	"promo", "www", "http", "https", "com", "net", "org", "connexion", "espace", "messagerie",
	"assistance", "info", "infos", "team", "id" };

/* --- what it looks like --------------------------------------------------------------------- */

/* A letter of a skeleton, in what people overlook; 0: it is itself. */
static const char *
overlooked(char c)
{
	switch (c) {
	case '0':
		return "o";
	case '1':
	case 'i':
	case '|':
		return "l";
	case '3':
		return "e";
	case '4':
		return "a";
	case '5':
		return "s";
	case '8':
		return "b";
	case 'm':
		return "rn";
	case 'w':
		return "vv";
	case 'd':
		return "cl";
	default:
		return NULL;
	}
}

static size_t
put_letter(char *out, size_t n, char c)
{
	const char *as;

	c = ascii_lower(c);
	as = overlooked(c);
	if (!as) {
		out[n++] = c;
		return n;
	}
	while (*as)
		out[n++] = *as++;
	return n;
}

static size_t
skeleton(const struct confusables *c, struct span s, char out[FOLD_MAX])
{
	UErrorCode status = U_ZERO_ERROR;
	char raw[FOLD_MAX];
	int32_t len = uspoof_getSkeletonUTF8(c->checker, 0, s.p, (int32_t)s.n, raw, sizeof(raw), &status);
	size_t n = 0;

	if (U_FAILURE(status) || len < 0 || (size_t)len >= sizeof(raw))
		return 0;
	for (size_t i = 0; i < (size_t)len && n + 8 < FOLD_MAX; ) {
		uint32_t ch;
		unsigned k = utf8_get(raw, (size_t)len, i, &ch);
		char latin;

		if (k == 0)
			return 0;
		if (ch < 0x80) {
			n = put_letter(out, n, (char)ch);
		} else if ((latin = lookalike_latin(ch)) != 0) {
			n = put_letter(out, n, latin);
		} else if (u_charType((UChar32)ch) != U_NON_SPACING_MARK) {
			memcpy(out + n, raw + i, k);
			n += k;
		}
		i += k;
	}
	return n;
}

/* "paypa1" and "paypal" are one. 0: too long to look like anything. */
static size_t
fold(const struct confusables *c, struct span s, char out[FOLD_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *as;

		if ((unsigned char)s.p[i] >= 0x80)
			return skeleton(c, s, out);
		for (as = c->ascii[(unsigned char)s.p[i]]; *as && n < FOLD_MAX; as++)
			out[n++] = *as;
	}
	return n < FOLD_MAX ? n : 0;
}

struct confusables *
confusables_open(void)
{
	UErrorCode status = U_ZERO_ERROR;
	struct confusables *c = calloc(1, sizeof(*c));
	char out[FOLD_MAX];

	ASSERT(c != NULL);
	c->checker = uspoof_open(&status);
	if (U_FAILURE(status)) {
		free(c);
		return NULL;
	}
	for (unsigned i = 0; i < 128; i++) {
		char one = (char)i;
		size_t n = i > ' ' && i < 127 ? skeleton(c, span_make(&one, 1), out) : 0;

		if (n == 0 || n >= sizeof(c->ascii[i]))
			n = put_letter(out, 0, one);
		memcpy(c->ascii[i], out, n);
	}
	/* Whatever it loads when it is first wanted is loaded here. */
	skeleton(c, SPAN_LIT("\xd0\xb0\xc3\xa9\xef\xbd\x81"), out);
	return c;
}

void
confusables_close(struct confusables **c)
{
	if (!*c)
		return;
	uspoof_close((*c)->checker);
	free(*c);
	*c = NULL;
}

/* --- names ------------------------------------------------------------------------------------ */

struct lookalikes *
lookalikes_new(const struct confusables *c)
{
	struct lookalikes *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL && c != NULL);
	*l = (struct lookalikes){ .c = c, .arena = arena_new(0), .hosts = table_new(),
		.folds = table_new(), .typos = table_new() };
	return l;
}

void
lookalikes_free(struct lookalikes **l)
{
	if (!*l)
		return;
	table_free(&(*l)->hosts);
	table_free(&(*l)->folds);
	table_free(&(*l)->typos);
	arena_free(&(*l)->arena);
	free(*l);
	*l = NULL;
}

size_t
lookalikes_count(const struct lookalikes *l)
{
	return l->n;
}

/* The label somebody chose, as people read it; "" of a public suffix. */
static struct span
chosen_label(struct arena *a, struct span host, struct span *domain)
{
	*domain = host_domain(host);
	if (host_is_address(host) || span_find(*domain, '.') == domain->n ||
	    host_is_suffix(host))
		return span_make("", 0);
	return host_unicode(a, span_sub(*domain, 0, span_find(*domain, '.')));
}

static void
typo_put(struct lookalikes *l, struct name *name, struct span key)
{
	struct name *had = table_get(l->typos, key), *one;

	for (one = had; one; one = one->next)
		if (span_eq(one->label, name->label))
			return;
	one = arena_alloc(l->arena, sizeof(*one));
	*one = *name;
	one->next = had;
	table_put(l->typos, arena_span(l->arena, key), one);
}

/* s without its byte i. */
static struct span
without(struct span s, size_t i, char out[HOST_MAX])
{
	memcpy(out, s.p, i);
	memcpy(out + i, s.p + i + 1, s.n - i - 1);
	return span_make(out, s.n - 1);
}

bool
lookalikes_add(struct lookalikes *l, struct span host)
{
	struct span domain, label = chosen_label(l->arena, host, &domain);
	struct name *name;
	char out[FOLD_MAX];
	size_t n;

	if (label.n == 0)
		return false;
	if (table_get(l->hosts, host))
		return true;
	name = arena_zalloc(l->arena, sizeof(*name));
	name->host = arena_span(l->arena, host);
	name->label = arena_span(l->arena, label);
	l->n++;
	table_put(l->hosts, name->host, name);
	domain = span_from(name->host, host.n - domain.n);
	if (!table_get(l->hosts, domain))
		table_put(l->hosts, domain, name);
	n = fold(l->c, label, out);
	if (n && !table_get(l->folds, span_make(out, n)))
		table_put(l->folds, arena_span(l->arena, span_make(out, n)), name);
	if (label.n < TYPO_LEAST || label.n >= HOST_MAX)
		return true;
	typo_put(l, name, label);
	for (size_t i = 0; i < label.n; i++)
		typo_put(l, name, without(label, i, out));
	return true;
}

/* --- one host -------------------------------------------------------------------------------------- */

static bool
is_own(const struct lookalikes *l, struct span host, struct span domain)
{
	if (table_get(l->hosts, domain))
		return true;
	for (struct span s = host; s.n; s = span_from(s, span_find(s, '.') + 1))
		if (table_get(l->hosts, s))
			return true;
	return false;
}

bool
lookalikes_has(const struct lookalikes *l, struct span host)
{
	return is_own(l, host, host);	/* its domain is among the ends of the host */
}

static const struct name *
same_look(const struct lookalikes *l, struct span label)
{
	char out[FOLD_MAX];
	size_t n = fold(l->c, label, out);

	return n ? table_get(l->folds, span_make(out, n)) : NULL;
}

/* One letter more, less or other, or two neighbours exchanged; the first is the same. */
static bool
one_apart(struct span a, struct span b)
{
	size_t i = 0;

	if (a.n > b.n) {
		struct span c = a;

		a = b;
		b = c;
	}
	while (i < a.n && a.p[i] == b.p[i])
		i++;
	if (i == 0)
		return false;
	if (a.n + 1 == b.n)
		return span_eq(span_from(a, i), span_from(b, i + 1));
	if (a.n != b.n || i == a.n)
		return false;
	return span_eq(span_from(a, i + 1), span_from(b, i + 1)) ||
	    (i + 1 < a.n && a.p[i] == b.p[i + 1] && a.p[i + 1] == b.p[i] &&
	    span_eq(span_from(a, i + 2), span_from(b, i + 2)));
}

static const struct name *
typo_among(const struct lookalikes *l, struct span key, struct span label)
{
	for (const struct name *x = table_get(l->typos, key); x; x = x->next)
		if (one_apart(x->label, label))
			return x;
	return NULL;
}

static const struct name *
typo(const struct lookalikes *l, struct span label)
{
	const struct name *x;
	char out[HOST_MAX];

	if (label.n + 1 < TYPO_LEAST || label.n >= HOST_MAX)
		return NULL;
	if ((x = typo_among(l, label, label)) != NULL)
		return x;
	for (size_t i = 0; i < label.n; i++)
		if ((x = typo_among(l, without(label, i, out), label)) != NULL)
			return x;
	return NULL;
}

static bool
is_lure(struct span s)
{
	for (size_t i = 0; i < sizeof(lures) / sizeof(lures[0]); i++)
		if (span_is(s, lures[i]))
			return true;
	return false;
}

/* Beside the piece that is the name. */
static bool
has_lure(struct span label, struct span name)
{
	while (label.n) {
		size_t n = span_find(label, '-');

		if (is_lure(span_sub(label, 0, n)) && (label.p < name.p || label.p >= name.p + name.n))
			return true;
		label = span_from(label, n + 1);
	}
	return false;
}

/* The piece of a label that is a name; the rest is what was added. */
static const struct name *
piece(const struct lookalikes *l, struct span s, struct span label)
{
	const struct name *x = s.n >= LURED_LEAST - 1 && s.n < label.n ? same_look(l, s) : NULL;

	if (!x || span_eq(x->label, label))
		return NULL;
	return x->label.n >= ADDED_LEAST || (x->label.n >= LURED_LEAST &&
	    has_lure(label, s)) ? x : NULL;
}

static const struct name *
added(const struct lookalikes *l, struct span label)
{
	const struct name *x;
	size_t last = 0;

	for (size_t i = 0; i <= label.n && span_find(label, '-') < label.n; i++) {
		if (i < label.n && label.p[i] != '-')
			continue;
		if ((x = piece(l, span_sub(label, 0, i), label)) != NULL ||
		    (x = piece(l, span_sub(label, last, i - last), label)) != NULL ||
		    (x = piece(l, span_from(label, i + 1), label)) != NULL)
			return x;
		last = i + 1;
	}
	for (size_t i = 0; i < sizeof(lures) / sizeof(lures[0]); i++) {
		struct span w = span_str(lures[i]);

		if (label.n < w.n + ADDED_LEAST - 1)
			continue;
		if (span_starts(label, w) && (x = piece(l, span_from(label, w.n), label)) != NULL)
			return x;
		if (span_ends_nocase(label, w) &&
		    (x = piece(l, span_sub(label, 0, label.n - w.n), label)) != NULL)
			return x;
	}
	return NULL;
}

/* "www.bank.example.evil.test", "bank.example-login.evil.test" */
static const struct name *
in_front(const struct lookalikes *l, struct span host)
{
	for (size_t from = 0; from < host.n; from += span_find(span_from(host, from), '.') + 1) {
		size_t end = from;

		for (int k = 0; k < NAME_LABELS; k++) {
			size_t label = end + (k > 0), n = span_find(span_from(host, label), '.'), hyphen;
			const struct name *x;

			if (label + n >= host.n)
				break;
			end = label + n;
			hyphen = label + span_find(span_sub(host, label, n), '-');
			if (k == 0)
				continue;
			if ((x = table_get(l->hosts, span_sub(host, from, end - from))) != NULL ||
			    (hyphen < end && hyphen > label &&
			    (x = table_get(l->hosts, span_sub(host, from, hyphen - from))) != NULL))
				return x;
		}
	}
	return NULL;
}

bool
lookalikes_find(const struct lookalikes *l, struct span host, struct span *name, const char **why)
{
	struct arena *a = NULL;
	struct span domain, label;
	const struct name *x;

	domain = host_domain(host);
	if (l->n == 0 || host.n == 0 || host_is_address(host) || is_own(l, host, domain))
		return false;
	label = span_sub(domain, 0, span_find(domain, '.'));
	if (label.n == domain.n)
		return false;
	if (span_starts(label, SPAN_LIT("xn--"))) {
		a = arena_new(0);
		label = host_unicode(a, label);
	}
	*why = NULL;
	if ((x = same_look(l, label)) != NULL && !span_eq(x->label, label))
		*why = "it looks the same";
	else if ((x = typo(l, label)) != NULL)
		*why = "one letter differs";
	else if ((x = added(l, label)) != NULL)
		*why = "something is added to the name";
	else if ((x = in_front(l, host)) != NULL)
		*why = "the name stands in front of another domain";
	if (*why)
		*name = x->host;
	arena_free(&a);
	return *why != NULL;
}

bool
lookalikes_named(const struct lookalikes *l, struct span label, struct span *name)
{
	const struct name *x = label.n && label.n < HOST_MAX ? same_look(l, label) : NULL;

	if (x)
		*name = x->host;
	return x != NULL;
}

/* The label somebody chose of a name that is no address: no tables are made for a single pair. */
static struct span
pair_label(struct span host, struct span *domain)
{
	*domain = host_domain(host);
	return host_is_address(host) ? SPAN_LIT("") : span_sub(*domain, 0, span_find(*domain, '.'));
}

bool
lookalikes_pair(const struct lookalikes *l, struct span name, struct span host, const char **why)
{
	struct span d1, d2, a = pair_label(name, &d1), b = pair_label(host, &d2);
	char one[FOLD_MAX], two[FOLD_MAX];
	size_t n, m;

	if (a.n == 0 || b.n == 0 || a.n == d1.n || b.n == d2.n || span_eq(a, b))
		return false;
	n = fold(l->c, a, one);
	m = fold(l->c, b, two);
	if (n && n == m && memcmp(one, two, n) == 0)
		*why = "it looks the same";
	else if (a.n >= TYPO_LEAST && one_apart(a, b))
		*why = "one letter differs";
	else if (a.n >= ADDED_LEAST && b.n > a.n + 1 &&
	    ((span_starts(b, a) && b.p[a.n] == '-') || (span_ends_nocase(b, a) && b.p[b.n - a.n - 1] == '-')))
		*why = "something is added to the name";
	else
		return false;
	return true;
}
