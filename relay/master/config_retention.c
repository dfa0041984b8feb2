/* config_retention.c -- postern.yaml: `retention`, how long each kind of thing is kept; see config.h. */
#include "master/config_read.h"

#define DAY (24 * 60 * MINUTE)

static const struct {
	const char *name;
	int64_t usual;
} kinds[RETENTION_COUNT] = {
#define X(name, text, days) [RETENTION_##name] = { text, (days) * DAY },
	RETENTIONS(X)
#undef X
};

const char *
retention_name(enum retention r)
{
	return kinds[r].name;
}

static void
read_one(struct reader *r, const struct conf_node *map, enum retention kind)
{
	int64_t *v = &r->c->retention[kind];

	duration_of(r, map, kinds[kind].name, v);
	if (*v && (*v < DAY || *v > 3660 * DAY))
		diag_at(r->d, DIAG_ERROR, conf_get(map, kinds[kind].name), NULL, "`%s` is 0 (for ever), or between one day "
		    "and ten years", kinds[kind].name);
}

void
read_retention(struct reader *r, const struct conf_node *map)
{
	const char *known[RETENTION_COUNT + 1] = { NULL };

	for (int i = 0; i < RETENTION_COUNT; i++) {
		known[i] = kinds[i].name;
		r->c->retention[i] = kinds[i].usual;
	}
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{journal, evidence, quarantine, …}"))
		return;
	conf_check_keys(r->d, map, "retention", known);
	for (int i = 0; i < RETENTION_COUNT; i++)
		read_one(r, map, (enum retention)i);
}
