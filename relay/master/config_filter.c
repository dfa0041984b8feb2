/* config_filter.c -- postern.yaml: `antispam`, the spam filter that verifiers ask (for `bayes` see
 * config_bayes.c).
 *
 *	antispam: {rspamd: "127.0.0.1:11333"}
 *	antispam: {spamd: {address: "127.0.0.1:783", timeout: 10s, max_size: 2MB, user: filter}}
 */
#include "master/config_read.h"

#define SECOND INT64_C(1000000)

static void
read_address(struct reader *r, const struct conf_node *n, uint16_t port, struct conf_host *h)
{
	if (read_host(r, n, port, h) && h->ip.family == 0)
		diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT
		    "` is no address: a filter is asked on an address, with a port", SPAN_ARG(n->text));
}

static void
read_one(struct reader *r, const struct conf_node *n, enum filter_kind kind, uint16_t port)
{
	static const char *const known[] = { "address", "timeout", "max_size", "user", NULL };
	struct conf_filter *f = &r->c->filter;
	const struct conf_node *k;

	*f = (struct conf_filter){ .kind = kind, .timeout = 10 * SECOND, .max_size = 2000000 };
	if (n->kind != CONF_MAP) {
		read_address(r, n, port, &f->host);
		return;
	}
	conf_check_keys(r->d, n, "antispam", known);
	if ((k = conf_get(n, "address")) == NULL)
		error_at(r, n, "address: \"127.0.0.1:11333\"", "a filter needs its `address`");
	else
		read_address(r, k, port, &f->host);
	duration_of(r, n, "timeout", &f->timeout);
	if (f->timeout < SECOND / 10 || f->timeout > 5 * MINUTE)
		error_at(r, conf_get(n, "timeout"), NULL, "`timeout` is between 100ms and 5m");
	if ((k = conf_get(n, "max_size")))
		conf_size(r->d, k, &f->max_size);
	if ((k = conf_get(n, "user")) && text_of(r, k, "a name", &f->user) && kind != FILTER_SPAMD)
		error_at(r, k, NULL, "`user` is spamd's");
}

void
read_filter(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "rspamd", "spamd", "bayes", NULL };
	const struct conf_node *rspamd, *spamd;

	read_bayes(r, map && map->kind == CONF_MAP ? conf_get(map, "bayes") : NULL);
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{rspamd: ADDRESS} or {spamd: ADDRESS}"))
		return;
	conf_check_keys(r->d, map, "antispam", known);
	rspamd = conf_get(map, "rspamd");
	spamd = conf_get(map, "spamd");
	if (rspamd && spamd)
		error_at(r, spamd, NULL, "one filter: `rspamd` or `spamd`");
	else if (rspamd)
		read_one(r, rspamd, FILTER_RSPAMD, 11333);
	else if (spamd)
		read_one(r, spamd, FILTER_SPAMD, 783);
}
