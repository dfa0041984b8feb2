/* config_verify.c -- postern.yaml: what is asked about who sends inbound mail; see config.h. */
#include "master/config_read.h"
#include "receiver/reputation.h"
#include "verifier/dnsbl.h"

#define WEIGHT 10	/* of a list that says none */
#define REPUTATION_WEIGHT 25	/* our experience alone neither makes `reputation: {under: 20}` nor over 80 */
#define HALF_LIFE_MIN (60 * MINUTE)
#define HALF_LIFE_MAX (INT64_C(366) * 24 * 60 * MINUTE)
#define TIMEOUT_MIN (INT64_C(1) * 1000000)
#define TIMEOUT_MAX (5 * MINUTE)

static void
read_spf(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "engine", NULL };
	static const char *const engines[] = { "strict", "libspf2", "both", NULL };
	const struct conf_node *n;
	int v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{engine}"))
		return;
	conf_check_keys(r->d, map, "spf", known);
	if ((n = conf_get(map, "engine")) && conf_enum(r->d, n, engines, &v))
		r->c->verify.spf = (enum conf_spf)v;
}

static void
read_dmarc(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "discovery", NULL };
	static const char *const ways[] = { "psl", "tree-walk", NULL };
	const struct conf_node *n;
	int v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{discovery}"))
		return;
	conf_check_keys(r->d, map, "dmarc", known);
	if ((n = conf_get(map, "discovery")) && conf_enum(r->d, n, ways, &v))
		r->c->verify.tree_walk = v == 1;
}

static void
read_arc(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "trust", NULL };
	const struct conf_node *list;
	struct span *out;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{trust: [DOMAIN]}"))
		return;
	conf_check_keys(r->d, map, "arc", known);
	if ((list = conf_get(map, "trust")) == NULL ||
	    !conf_want(r->d, list, CONF_LIST, "a list of domains"))
		return;
	r->c->verify.arc_trust = out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list) {
		struct span s;

		if (!conf_text(r->d, item, "a domain", &s))
			continue;
		if (!domain_normalise(r->a, s, &out[r->c->verify.narc_trust]))
			diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` is no domain name",
			    SPAN_ARG(s));
		else
			r->c->verify.narc_trust++;
	}
}

/* ---- blocklists ---- */

static void
read_weight(struct reader *r, const struct conf_node *n, int16_t *out)
{
	uint64_t v;

	if (conf_uint(r->d, n, 1, DNSBL_WEIGHT_MAX, &v))
		*out = (int16_t)v;
}

/* ["127.0.0.2", "127.0.0.4-11"], or with a weight each: {"127.0.0.2": 30, "127.0.0.4-11": 10}. */
static void
read_answers(struct reader *r, const struct conf_node *n, struct dnsbl_list *l)
{
	bool map = n->kind == CONF_MAP;
	struct dnsbl_code *codes;

	if (!map && !conf_want(r->d, n, CONF_LIST, "a list of answers, or answers with their weights"))
		return;
	if (n->count == 0 || n->count > DNSBL_CODES_MAX) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "1 to %d answers", DNSBL_CODES_MAX);
		return;
	}
	l->codes = codes = arena_array(r->a, n->count, sizeof(*codes));
	CONF_EACH(item, n) {
		struct dnsbl_code *c = &codes[l->ncodes++];
		struct span text = item->key;
		struct err err;

		if (!map && !conf_text(r->d, item, "an answer, as in \"127.0.0.2\"", &text))
			continue;
		if (dnsbl_code_parse(text, c, &err) == -1)
			diag_at(r->d, DIAG_ERROR, item, "\"127.0.0.2\", \"127.0.0.4-11\"", "%s",
			    err.text);
		c->weight = l->weight;
		if (map)
			read_weight(r, item, &c->weight);
	}
}

static void
read_list(struct reader *r, const struct conf_node *n, struct dnsbl_list *l)
{
	static const char *const known[] = { "name", "zone", "allow", "weight", "answers", NULL };
	const struct conf_node *zone = n, *k;
	struct span s;

	*l = (struct dnsbl_list){ .weight = WEIGHT };
	if (n->kind == CONF_MAP) {
		conf_check_keys(r->d, n, "dnsbl", known);
		if ((zone = conf_get(n, "zone")) == NULL) {
			error_at(r, n, "{zone: bl.example.org}", "a blocklist needs its `zone`");
			return;
		}
	}
	if (!conf_text(r->d, zone, "a domain, or {zone, name, weight, answers, allow}", &s))
		return;
	if (!domain_normalise(r->a, s, &l->zone))
		diag_at(r->d, DIAG_ERROR, zone, NULL, "`" SPAN_FMT "` is no domain name", SPAN_ARG(s));
	l->name = l->zone;
	if (n->kind != CONF_MAP)
		return;
	text_of(r, conf_get(n, "name"), "a name", &l->name);
	if ((k = conf_get(n, "allow")))
		conf_bool(r->d, k, &l->allow);
	if ((k = conf_get(n, "weight")))
		read_weight(r, k, &l->weight);
	if ((k = conf_get(n, "answers")))
		read_answers(r, k, l);
}

static void
read_lists(struct reader *r, const struct conf_node *list, const struct dnsbl_list **to, size_t *n)
{
	struct dnsbl_list *out;

	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list of blocklists"))
		return;
	if (list->count > DNSBL_LISTS_MAX) {
		diag_at(r->d, DIAG_ERROR, list, NULL, "at most %d blocklists", DNSBL_LISTS_MAX);
		return;
	}
	*to = out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list) {
		read_list(r, item, &out[*n]);
		for (size_t i = 0; i < *n; i++)
			if (out[i].name.n && span_eq_nocase(out[i].name, out[*n].name))
				diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` stands twice",
				    SPAN_ARG(out[i].name));
		(*n)++;
	}
}

/* off, or {half_life, weight, defer} */
static void
read_reputation(struct reader *r, const struct conf_node *n, struct conf_reputation *out)
{
	static const char *const known[] = { "half_life", "weight", "defer", NULL };
	bool on;

	if (n && n->kind == CONF_SCALAR) {
		if (conf_bool(r->d, n, &on))
			out->off = !on;
		return;
	}
	if (n == NULL || !conf_want(r->d, n, CONF_MAP, "off, or {half_life, weight, defer}"))
		return;
	conf_check_keys(r->d, n, "reputation", known);
	duration_of(r, n, "half_life", &out->half_life);
	if (out->half_life < HALF_LIFE_MIN || out->half_life > HALF_LIFE_MAX)
		error_at(r, conf_get(n, "half_life"), NULL,
		    "`half_life` is one hour at least, a year at most");
	u32_of(r, n, "weight", 0, 50, &out->weight);
	u32_of(r, n, "defer", 0, 25, &out->defer);
}

void
read_verify(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "processes", "timeout", "authserv_id", "spf", "dmarc",
		"arc", "dnsbl", "uribl", "reputation", NULL };
	struct conf_verify *v = &r->c->verify;
	const struct conf_node *n;

	*v = (struct conf_verify){ .processes = 1, .timeout = MINUTE / 3,
		.authserv_id = r->c->hostname,
		.reputation = { .half_life = REPUTATION_HALF_LIFE, .weight = REPUTATION_WEIGHT } };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{timeout, arc, …}"))
		return;
	conf_check_keys(r->d, map, "verify", known);
	u32_of(r, map, "processes", 1, 16, &v->processes);
	duration_of(r, map, "timeout", &v->timeout);
	if (v->timeout < TIMEOUT_MIN || v->timeout > TIMEOUT_MAX)
		error_at(r, conf_get(map, "timeout"), NULL,
		    "`timeout` is one second at least, five minutes at most");
	if ((n = conf_get(map, "authserv_id")) && text_of(r, n, "a name", &v->authserv_id)) {
		struct span name;

		if (!domain_normalise(r->a, v->authserv_id, &name))
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is no host or domain name",
			    SPAN_ARG(v->authserv_id));
	}
	read_spf(r, conf_get(map, "spf"));
	read_dmarc(r, conf_get(map, "dmarc"));
	read_arc(r, conf_get(map, "arc"));
	read_lists(r, conf_get(map, "dnsbl"), &v->dnsbl, &v->ndnsbl);
	read_lists(r, conf_get(map, "uribl"), &v->uribl, &v->nuribl);
	read_reputation(r, conf_get(map, "reputation"), &v->reputation);
}
