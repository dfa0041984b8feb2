/* config_verify.c -- postern.yaml: what is asked about who sends inbound mail; see config.h. */
#include "master/config_read.h"

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

void
read_verify(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "processes", "timeout", "authserv_id", "spf", "dmarc",
		"arc", NULL };
	struct conf_verify *v = &r->c->verify;
	const struct conf_node *n;

	*v = (struct conf_verify){ .processes = 1, .timeout = MINUTE / 3,
		.authserv_id = r->c->hostname };
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
}
