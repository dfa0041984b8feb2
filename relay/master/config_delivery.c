/* config_delivery.c -- postern.yaml: delivery, queue, doctor, TLS reports; see config.h and config_read.h. */
#include "fs.h"
#include "master/config_read.h"

/* ---- delivery ---- */

static void
read_curve(struct reader *r, const struct conf_node *list, struct retry_curve *curve)
{
	int64_t *out;
	size_t n = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of durations: [1m, 5m, 15m]"))
		return;
	if (list->count > RETRY_STEPS_MAX) {
		diag_at(r->d, DIAG_ERROR, list, NULL, "more than %d retries", RETRY_STEPS_MAX);
		return;
	}
	out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list)
		if (conf_duration(r->d, item, &out[n])) {
			if (out[n] < 1000000)
				error_at(r, item, NULL, "a retry sooner than one second");
			n++;
		}
	if (n == 0) {
		error_at(r, list, "[1m, 5m, 15m, 30m, 1h]", "an empty list of retries");
		return;
	}
	*curve = (struct retry_curve){ out, n };
}

/* A list is the curve of all classes. A map names some; the others take its `default` when there
 * is one, else their own of the table. */
static void
read_retry(struct reader *r, const struct conf_node *n, struct conf_delivery *dl)
{
	const char *known[RETRY_CLASSES + 1] = { NULL };
	bool all = n->kind != CONF_MAP || conf_get(n, retry_name(RETRY_DEFAULT)) != NULL;

	for (int c = 0; c < RETRY_CLASSES; c++) {
		known[c] = retry_name((enum retry_class)c);
		if (all && c != RETRY_DEFAULT)
			dl->retry[c] = (struct retry_curve){ 0 };
	}
	if (n->kind == CONF_LIST) {
		read_curve(r, n, &dl->retry[RETRY_DEFAULT]);
		return;
	}
	if (!conf_want(r->d, n, CONF_MAP, "[1m, 5m, 15m], or {default: [...], greylisted: [...]}"))
		return;
	conf_check_keys(r->d, n, "retry", known);
	for (int c = 0; c < RETRY_CLASSES; c++) {
		const struct conf_node *list = conf_get(n, known[c]);

		if (list != NULL)
			read_curve(r, list, &dl->retry[c]);
	}
}

/* As the Internet sees us, where addresses are translated on the way (NAT). */
void
read_public(struct reader *r, const struct conf_node *list)
{
	r->c->npublic = read_sources(r, list, &r->c->public_addresses);
}

static size_t
read_zones(struct reader *r, const struct conf_node *list, const struct span **out)
{
	struct span *names;
	size_t n = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of domain names"))
		return 0;
	names = arena_array(r->a, list->count, sizeof(*names));
	CONF_EACH(item, list) {
		struct span s;

		if (!conf_text(r->d, item, "a domain name", &s))
			continue;
		if (domain_normalise(r->a, s, &names[n]))
			n++;
		else
			diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` is no domain name", SPAN_ARG(s));
	}
	*out = names;
	return n;
}

/* What `postern doctor` asks others. */
void
read_doctor(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "probe", "blocklists", NULL };
	static const struct span probes[] = { SPAN_LIT("gmail.com"), SPAN_LIT("outlook.com") };
	static const struct span lists[] = { SPAN_LIT("zen.spamhaus.org"), SPAN_LIT("bl.spamcop.net"),
		SPAN_LIT("b.barracudacentral.org"), SPAN_LIT("psbl.surriel.com") };
	struct config *c = r->c;
	const struct conf_node *n;

	c->probes = probes;
	c->nprobes = sizeof(probes) / sizeof(*probes);
	c->blocklists = lists;
	c->nblocklists = sizeof(lists) / sizeof(*lists);
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{probe, blocklists}"))
		return;
	conf_check_keys(r->d, map, "doctor", known);
	if ((n = conf_get(map, "probe"))) {
		c->nprobes = read_zones(r, n, &c->probes);
		c->probes_given = true;
	}
	if ((n = conf_get(map, "blocklists")))
		c->nblocklists = read_zones(r, n, &c->blocklists);
}

static void
read_sts(struct reader *r, const struct conf_node *map, struct conf_delivery *dl)
{
	static const char *const known[] = { "port", "timeout", "cache", NULL };
	const struct conf_node *n;
	struct span s;
	uint64_t v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{timeout, cache, port}"))
		return;
	conf_check_keys(r->d, map, "mta_sts", known);
	if ((n = conf_get(map, "port")) && conf_uint(r->d, n, 1, 65535, &v))
		dl->sts_port = (uint16_t)v;
	duration_of(r, map, "timeout", &dl->sts_timeout);
	if (dl->sts_timeout < 1000000 || dl->sts_timeout > 10 * MINUTE)
		error_at(r, conf_get(map, "timeout"), NULL, "`timeout` is between 1s and 10m");
	if ((n = conf_get(map, "cache")) && conf_text(r->d, n, "a folder", &s))
		dl->sts_cache = path_of(r, s);
}

static void
read_delivery_tls(struct reader *r, const struct conf_node *map, struct conf_delivery *dl)
{
	static const char *const known[] = { "policy", "floor", "roots", "mta_sts", NULL };
	static const char *const floors[] = { "none", "opportunistic", "encrypted", NULL };
	static const char *const policies[] = { "none", "dane", "mta-sts", "dane+mta-sts", NULL };
	const struct conf_node *n;
	struct span s;
	int v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{policy, floor, roots, mta_sts}"))
		return;
	conf_check_keys(r->d, map, "tls", known);
	if ((n = conf_get(map, "floor")) && conf_enum(r->d, n, floors, &v))
		dl->floor = (enum tls_floor)v;
	if ((n = conf_get(map, "policy")) && conf_enum(r->d, n, policies, &v)) {
		dl->dane = v == 1 || v == 3;
		dl->sts = v == 2 || v == 3;
	}
	if ((n = conf_get(map, "roots")) && conf_text(r->d, n, "a file of certificates", &s))
		dl->roots = path_of(r, s);
	read_sts(r, conf_get(map, "mta_sts"), dl);
}

/* "600/m": messages each second, minute or hour, as the time from one to the next. */
static void
read_rate(struct reader *r, const struct conf_node *n, int64_t *interval)
{
	static const struct { const char *unit; int64_t us; } units[] = { { "s", 1000000 },
		{ "m", MINUTE }, { "h", 60 * MINUTE } };
	struct span text, unit;
	uint64_t v = 0;
	size_t at = 0;

	if (!conf_text(r->d, n, "messages in a time, as 600/m", &text))
		return;
	for (; at < text.n && text.p[at] >= '0' && text.p[at] <= '9' && v < 1000000; at++)
		v = v * 10 + (uint64_t)(text.p[at] - '0');
	unit = span_from(text, at + 1);
	for (size_t i = 0; v && at < text.n && text.p[at] == '/' && i < 3; i++)
		if (span_is(unit, units[i].unit) && units[i].us >= (int64_t)v) {
			*interval = units[i].us / (int64_t)v;
			return;
		}
	diag_at(r->d, DIAG_ERROR, n, "600/m", "`" SPAN_FMT "` is no rate: messages in a second (s), "
	    "minute (m) or hour (h)", SPAN_ARG(text));
}

void
read_delivery(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "port", "hello", "source", "routes", "retry",
		"delay_notice", "expire", "per_site", "tls", "processes", "pools",
		"sender_routes", NULL };
	static const char *const site[] = { "connections", "messages_per_connection", "rate", NULL };
	struct conf_delivery *dl = &r->c->delivery;
	const struct conf_node *n, *k;
	uint64_t v;

	*dl = (struct conf_delivery){ .lines = dl->lines, .nlines = dl->nlines, .pools = dl->pools,
		.npools = dl->npools, .port = 25, .hello = r->c->hostname,
		.delay_notice = 240 * MINUTE,
		.expire = 5 * 24 * 60 * MINUTE, .site_connections = 20, .site_messages = 100,
		.processes = 1, .floor = FLOOR_OPPORTUNISTIC, .dane = true, .sts = true,
		.sts_port = 443, .sts_timeout = MINUTE };
	if (r->c->store_path)
		dl->sts_cache = fs_beside(r->a, r->c->store_path, SPAN_LIT("mta-sts"));
	for (int c = 0; c < RETRY_CLASSES; c++)
		dl->retry[c] = retry_default((enum retry_class)c);
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "settings of the delivery"))
		return;
	conf_check_keys(r->d, map, "delivery", known);
	if ((n = conf_get(map, "port")) && conf_uint(r->d, n, 1, 65535, &v))
		dl->port = (uint16_t)v;
	text_of(r, conf_get(map, "hello"), "a host name", &dl->hello);
	if ((n = conf_get(map, "source")))
		dl->nsources = read_sources(r, n, &dl->sources);
	if ((n = conf_get(map, "routes")))
		read_routes(r, n, ROUTE_RECIPIENT);
	if ((n = conf_get(map, "sender_routes")))
		read_routes(r, n, ROUTE_SENDER);
	if ((n = conf_get(map, "retry")))
		read_retry(r, n, dl);
	duration_of(r, map, "delay_notice", &dl->delay_notice);
	duration_of(r, map, "expire", &dl->expire);
	u32_of(r, map, "processes", 1, 64, &dl->processes);
	if ((n = conf_get(map, "per_site")) && conf_want(r->d, n, CONF_MAP, "{connections, …}")) {
		conf_check_keys(r->d, n, "per_site", site);
		u32_of(r, n, "connections", 1, 1000, &dl->site_connections);
		u32_of(r, n, "messages_per_connection", 1, 100000, &dl->site_messages);
		if ((k = conf_get(n, "rate")))
			read_rate(r, k, &dl->site_interval);
	}
	read_delivery_tls(r, conf_get(map, "tls"), dl);
}

static void
size_at_least(struct reader *r, const struct conf_node *map, const char *key, uint64_t min,
    uint64_t *out)
{
	const struct conf_node *n = conf_get(map, key);
	uint64_t v;

	if (n == NULL || !conf_size(r->d, n, &v))
		return;
	if (v < min)
		error_at(r, n, NULL, "less than the queue can work with");
	else
		*out = v;
}

void
read_queue(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "messages", "bytes", "memory", "free", "segment", NULL };
	struct conf_queue *q = &r->c->queue;
	const struct conf_node *n;

	*q = (struct conf_queue){ .messages = 2000000, .bytes = UINT64_C(50000000000),
		.memory = 1000000000, .free = UINT64_C(64) << 20, .segment = SEGMENT_SIZE_MAX };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{messages, bytes, memory, free, segment}"))
		return;
	conf_check_keys(r->d, map, "queue", known);
	if ((n = conf_get(map, "messages")))
		conf_uint(r->d, n, 1, 100000000, &q->messages);
	size_at_least(r, map, "bytes", 1 << 20, &q->bytes);
	size_at_least(r, map, "memory", 1 << 20, &q->memory);
	size_at_least(r, map, "free", 1 << 20, &q->free);
	size_at_least(r, map, "segment", 1 << 20, &q->segment);
	if (q->segment > SEGMENT_SIZE_MAX)
		error_at(r, conf_get(map, "segment"), NULL, "segments of the spool have 64 MiB at most");
}

/* ---- TLS reports ---- */

static bool
can_sign(const struct config *c, struct span address)
{
	const struct conf_domain *own;
	struct span local, domain;

	return mailaddr_split(address, &local, &domain) && (own = config_domain(c, domain)) != NULL &&
	    own->ndkim > 0;
}

void
read_reports(struct reader *r, const struct conf_node *map, bool postmaster)
{
	static const char *const known[] = { "from", "contact", "organization", "send", NULL };
	struct conf_reports *rp = &r->c->reports;
	const struct conf_node *n;
	struct span local, domain;
	bool from, send;

	if (map && !conf_want(r->d, map, CONF_MAP, "{from, contact, organization, send}"))
		return;
	if (map)
		conf_check_keys(r->d, map, "tls_reports", known);
	n = conf_get(map, "from");
	if ((from = text_of(r, n, "an address", &rp->from))) {
		rp->from = mailaddr_normalise(r->a, rp->from);
		if (!mailaddr_split(rp->from, &local, &domain))
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is no mail address",
			    SPAN_ARG(rp->from));
	} else if (postmaster)
		rp->from = r->c->postmaster;
	send = rp->send = can_sign(r->c, rp->from);
	if (conf_get(map, "send") && conf_bool(r->d, conf_get(map, "send"), &send)) {
		if (send && rp->from.n == 0)
			error_at(r, conf_get(map, "send"), "from: postmaster@…",
			    "reports need a sender: `from`");
		else if (send && !rp->send)
			diag_at(r->d, DIAG_WARNING, conf_get(map, "send"), NULL, "no DKIM key of `domains` "
			    "signs for " SPAN_FMT ": reports without a signature are ignored (RFC 8460, 3)",
			    SPAN_ARG(rp->from));
		rp->send = send;
	} else if (from && !rp->send)
		diag_at(r->d, DIAG_WARNING, n, NULL, "no DKIM key of `domains` signs for " SPAN_FMT
		    ": no reports are sent", SPAN_ARG(rp->from));
	rp->contact = rp->from;
	text_of(r, conf_get(map, "contact"), "an address", &rp->contact);
	if (!text_of(r, conf_get(map, "organization"), "a name", &rp->organization) &&
	    mailaddr_split(rp->from, &local, &domain))
		rp->organization = domain;
}
