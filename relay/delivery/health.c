/* health.c -- servers that could not be connected to; see health.h. */
#include <stdlib.h>

#include "delivery/health.h"
#include "postern/err.h"
#include "table.h"

#define KEY_MAX (1 + 16 + 2)
#define US_TOGETHER (INT64_C(5) * 1000000)
#define FORGET_AFTER (INT64_C(3600) * 1000000)

struct patient {
	int64_t until, failed;
	unsigned failures;
	char key[KEY_MAX];
};

struct health {
	struct table *table;
};

struct health *
health_new(void)
{
	struct health *h = calloc(1, sizeof(*h));

	ASSERT(h != NULL);
	h->table = table_new();
	return h;
}

void
health_free(struct health **hp)
{
	struct health *h = *hp;
	struct span key;
	void *p;
	size_t at = 0;

	*hp = NULL;
	if (h == NULL)
		return;
	while (table_next(h->table, &at, &key, &p))
		free(p);
	table_free(&h->table);
	free(h);
}

static struct span
key_of(struct ip ip, uint16_t port, char key[KEY_MAX])
{
	key[0] = (char)ip.family;
	memcpy(key + 1, ip.b, 16);
	memcpy(key + 17, &port, 2);
	return span_make(key, KEY_MAX);
}

static struct patient *
find(const struct health *h, struct ip ip, uint16_t port)
{
	char key[KEY_MAX];

	return table_get(h->table, key_of(ip, port, key));
}

static int64_t
rest_of(const struct patient *p)
{
	unsigned doublings = p->failures > 4 ? 4 : p->failures ? p->failures - 1 : 0;
	int64_t rest = HEALTH_REST_FIRST << doublings;

	return rest < HEALTH_REST_MAX ? rest : HEALTH_REST_MAX;
}

/* Those nobody has tried for long: their servers are not asked for any more. */
static void
forget_old(struct health *h, int64_t now)
{
	struct span key;
	void *v;
	size_t at = 0;

	while (table_next(h->table, &at, &key, &v))
		if (((struct patient *)v)->until + FORGET_AFTER < now) {
			table_remove(h->table, key);
			free(v);
		}
}

void
health_failed(struct health *h, struct ip ip, uint16_t port, int64_t now)
{
	struct patient *p = find(h, ip, port);

	if (p == NULL) {
		if (table_count(h->table) >= HEALTH_MAX)
			forget_old(h, now);
		if (table_count(h->table) >= HEALTH_MAX)
			return;
		p = calloc(1, sizeof(*p));
		ASSERT(p != NULL);
		table_put(h->table, key_of(ip, port, p->key), p);
	}
	/* Those that were on their way together fail together: that is one. */
	if (p->failures && now < p->failed + US_TOGETHER)
		return;
	p->failures++;
	p->failed = now;
	p->until = now + rest_of(p);
}

void
health_good(struct health *h, struct ip ip, uint16_t port)
{
	char key[KEY_MAX];

	free(table_remove(h->table, key_of(ip, port, key)));
}

int64_t
health_until(const struct health *h, struct ip ip, uint16_t port)
{
	const struct patient *p = find(h, ip, port);

	return p ? p->until : 0;
}

unsigned
health_failures(const struct health *h, struct ip ip, uint16_t port)
{
	const struct patient *p = find(h, ip, port);

	return p ? p->failures : 0;
}

void
health_trying(struct health *h, struct ip ip, uint16_t port, int64_t now)
{
	struct patient *p = find(h, ip, port);

	if (p)
		p->until = now + HEALTH_REST_FIRST;
}
