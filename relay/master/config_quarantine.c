/* config_quarantine.c -- `quarantine` and `digest` of postern.yaml.
 *
 *	quarantine: {users_release: [spam, newsletters], two_persons: [malware], undo: 10s}
 *	digest: {at: ["08:00", "14:00"], language: fr, url: "https://gw1.example.org:8443/digest?token=",
 *	    domains: {example.de: {language: en, at: ["07:30"]}, example.com: off}}
 *
 * Without `at` nobody gets a digest. Times are the machine's.
 */
#include <stdlib.h>

#include "addr.h"
#include "master/config_read.h"

#define UNDO_DEFAULT (INT64_C(10) * 1000000)
#define UNDO_MAX (INT64_C(3600) * 1000000)

static size_t
names_of(struct reader *r, const struct conf_node *list, const struct span **out)
{
	struct span *v;
	size_t n = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of names of quarantines, as in [spam]"))
		return 0;
	for (const struct conf_node *k = list->first; k; k = k->next)
		n++;
	v = arena_array(r->a, n, sizeof(*v));
	n = 0;
	for (const struct conf_node *k = list->first; k; k = k->next)
		if (text_of(r, k, "the name of a quarantine", &v[n]))
			n++;
	*out = v;
	return n;
}

void
read_quarantine(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "users_release", "two_persons", "undo", NULL };
	static const struct span spam[] = { { "spam", 4 } };
	struct conf_quarantine *q = &r->c->quarantine;
	const struct conf_node *n;

	*q = (struct conf_quarantine){ .users_release = spam, .nusers_release = 1,
		.undo = UNDO_DEFAULT };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{users_release, two_persons, undo}"))
		return;
	conf_check_keys(r->d, map, "quarantine", known);
	if ((n = conf_get(map, "users_release")))
		q->nusers_release = names_of(r, n, &q->users_release);
	if ((n = conf_get(map, "two_persons")))
		q->ntwo_persons = names_of(r, n, &q->two_persons);
	duration_of(r, map, "undo", &q->undo);
	if (q->undo > UNDO_MAX)
		diag_at(r->d, DIAG_ERROR, conf_get(map, "undo"), NULL, "`undo` is an hour at most; 0s: no "
		    "decision can be taken back");
	for (size_t i = 0; i < q->ntwo_persons; i++)
		for (size_t k = 0; k < q->nusers_release; k++)
			if (span_eq(q->two_persons[i], q->users_release[k]))
				diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` stands in both: is one "
				    "person enough, or are two?", SPAN_ARG(q->two_persons[i]));
}

/* "08:00" in minutes. */
static bool
time_of(struct reader *r, const struct conf_node *n, uint16_t *out)
{
	struct span s;
	unsigned h, m;

	if (!conf_text(r->d, n, "a time of the day, as in \"08:00\"", &s))
		return false;
	if (s.n != 5 || s.p[2] != ':' || s.p[0] < '0' || s.p[0] > '2' || s.p[1] < '0' || s.p[1] > '9' ||
	    s.p[3] < '0' || s.p[3] > '5' || s.p[4] < '0' || s.p[4] > '9')
		goto bad;
	h = (unsigned)(s.p[0] - '0') * 10 + (unsigned)(s.p[1] - '0');
	m = (unsigned)(s.p[3] - '0') * 10 + (unsigned)(s.p[4] - '0');
	if (h > 23)
		goto bad;
	*out = (uint16_t)(h * 60 + m);
	return true;
bad:
	error_at(r, n, "\"08:00\"", "that is no time of the day");
	return false;
}

static void
times_of(struct reader *r, const struct conf_node *list, struct conf_digest *d)
{
	d->nat = 0;
	if (!conf_want(r->d, list, CONF_LIST, "a list of times, as in [\"08:00\"]"))
		return;
	for (const struct conf_node *k = list->first; k; k = k->next) {
		uint16_t t;

		if (!time_of(r, k, &t))
			return;
		if (d->nat == DIGEST_HOURS_MAX || (d->nat && t <= d->at[d->nat - 1])) {
			error_at(r, k, NULL, "times rise, and there are 24 at most");
			return;
		}
		d->at[d->nat++] = t;
	}
}

static void
read_one(struct reader *r, const struct conf_node *map, struct conf_digest *d)
{
	static const char *const languages[] = { "en", "fr", NULL };
	const struct conf_node *n;
	int v;

	if ((n = conf_get(map, "at")))
		times_of(r, n, d);
	if ((n = conf_get(map, "language")) && conf_enum(r->d, n, languages, &v))
		d->french = v == 1;
}

static void
read_domains(struct reader *r, const struct conf_node *map, struct conf_digests *c)
{
	static const char *const known[] = { "at", "language", NULL };
	struct conf_digest *v;
	size_t n = 0;

	if (!conf_want(r->d, map, CONF_MAP, "domains, and what is different for them"))
		return;
	for (const struct conf_node *k = map->first; k; k = k->next)
		n++;
	c->domains = v = arena_array(r->a, n, sizeof(*v));
	for (const struct conf_node *k = map->first; k; k = k->next) {
		struct conf_digest *d = &v[c->ndomains];

		*d = c->others;
		if (!domain_normalise(r->a, k->key, &d->domain)) {
			error_at(r, k, NULL, "that is no domain");
			continue;
		}
		c->ndomains++;
		if (k->kind == CONF_SCALAR && span_is(k->text, "off")) {
			d->nat = 0;
		} else if (conf_want(r->d, k, CONF_MAP, "{at, language}, or off")) {
			conf_check_keys(r->d, k, "digest.domains", known);
			read_one(r, k, d);
		}
	}
}

void
read_digest(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "at", "language", "url", "domains", NULL };
	struct conf_digests *c = &r->c->digests;
	const struct conf_node *n;

	if (map == NULL || (map->kind == CONF_SCALAR && span_is(map->text, "off")) ||
	    !conf_want(r->d, map, CONF_MAP, "{at, language, url, domains}"))
		return;
	conf_check_keys(r->d, map, "digest", known);
	read_one(r, map, &c->others);
	if ((n = conf_get(map, "domains")))
		read_domains(r, n, c);
	if (!text_of(r, conf_get(map, "url"), "the address of the console's page", &c->url))
		return;
	if (!span_starts(c->url, SPAN_LIT("https://")))
		error_at(r, conf_get(map, "url"), "https://gw1.example.org:8443/digest?token=",
		    "links to decide go over HTTPS");
	for (size_t i = 0; i < c->url.n; i++)
		if (c->url.p[i] <= ' ' || c->url.p[i] > '~' || c->url.n > 300) {
			error_at(r, conf_get(map, "url"), NULL, "a URL has no spaces, is ASCII, and short");
			break;
		}
	if (r->c->console.port == 0)
		diag_at(r->d, DIAG_WARNING, conf_get(map, "url"), "console: {address: \"0.0.0.0:8443\"}",
		    "nothing serves the links of the digests here: `console` is missing");
}

const struct conf_digest *
config_digest(const struct config *c, struct span address)
{
	struct span domain = span_from(address, span_find(address, '@') + 1);

	for (size_t i = 0; i < c->digests.ndomains; i++)
		if (span_eq_nocase(c->digests.domains[i].domain, domain))
			return &c->digests.domains[i];
	return &c->digests.others;
}
