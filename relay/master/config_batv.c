/* config_batv.c -- senders of a domain that leave with a tag: domains.X.batv (docs/INBOUND.md).
 *
 *	batv:
 *	  key: keys/batv.key		# postern batv new
 *	  mode: policy			# or refuse
 *	  grace: 7d
 *	  since: 2026-11-22		# else the day of the eldest key
 *	  exempt: [lists.example.net]
 *	  untagged: [shop@example.org]
 */
#include "master/config_read.h"
#include "net/batv.h"

#define DAY (24 * 60 * MINUTE)
#define GRACE_MAX 30

static size_t
read_patterns(struct reader *r, const struct conf_node *list, const struct span **out)
{
	struct addrlist *probe;
	struct span *v;
	struct err err;
	size_t n = 0;

	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list of domains and addresses"))
		return 0;
	v = arena_array(r->a, list->count, sizeof(*v));
	probe = addrlist_new();
	CONF_EACH(item, list) {
		if (!text_of(r, item, "a domain or an address", &v[n]))
			continue;
		if (addrlist_add(probe, v[n], &err) == -1)
			error_at(r, item, "example.net, .example.net or somebody@example.net", err.text);
		else
			n++;
	}
	addrlist_free(&probe);
	*out = v;
	return n;
}

static void
read_grace(struct reader *r, const struct conf_node *map, struct conf_batv *b)
{
	int64_t grace = BATV_DAYS * DAY;

	duration_of(r, map, "grace", &grace);
	if (grace < 0 || grace > GRACE_MAX * DAY || grace % DAY)
		error_at(r, conf_get(map, "grace"), "grace: 7d", "`grace` is a number of days, 0 to 30");
	b->grace = (int32_t)(grace / DAY);
}

static void
read_since(struct reader *r, const struct conf_node *n, struct conf_batv *b)
{
	struct span s;

	if (n && conf_text(r->d, n, "a date", &s) && !batv_date(s, &b->since))
		error_at(r, n, "since: 2026-11-22", "`since` is the day senders began to be tagged");
}

void
read_batv(struct reader *r, const struct conf_node *map, struct conf_batv *b)
{
	static const char *const known[] = { "key", "mode", "grace", "since", "exempt", "untagged", NULL };
	static const char *const modes[] = { "policy", "refuse", NULL };
	const struct conf_node *n;
	struct span key;
	int mode;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP,
	    "{key, mode, grace, since, exempt, untagged}"))
		return;
	conf_check_keys(r->d, map, "batv", known);
	b->line = map->key_line;
	if (!text_of(r, conf_get(map, "key"), "a file", &key))
		error_at(r, map, "key: keys/batv.key, made by `postern batv new keys/batv.key`",
		    "`batv` needs its `key`");
	else
		b->key = arena_str(r->a, key_path(r, conf_get(map, "key"), key));
	if ((n = conf_get(map, "mode")) && conf_enum(r->d, n, modes, &mode))
		b->refuse = mode == 1;
	read_grace(r, map, b);
	read_since(r, conf_get(map, "since"), b);
	b->nexempt = read_patterns(r, conf_get(map, "exempt"), &b->exempt);
	b->nuntagged = read_patterns(r, conf_get(map, "untagged"), &b->untagged);
}
