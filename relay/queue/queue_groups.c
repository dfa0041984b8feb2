/* queue_groups.c -- see queue_groups.h.
 *
 * The largest are found with a heap of at most `limit` groups, the smallest on
 * top, so that a million senders cost no sort of a million.
 */
#include <stdlib.h>

#include "clock.h"
#include "queue/queue_groups.h"
#include "queue/queue_show.h"
#include "table.h"

#define PIECE 256		/* groups looked at, or said, at a time */
#define KEY_MAX 400

struct group {
	size_t messages;
	uint64_t bytes;
	int64_t oldest;
	bool kept;		/* in the heap */
	size_t n;
	char key[];
};

struct groups {
	struct table *all;
	struct group **heap;	/* the smallest first */
	size_t nheap, limit;
	size_t cursor;
	size_t said;
	bool masked, sifted, sorted;
};

struct groups *
groups_new(size_t limit, bool masked)
{
	struct groups *g = calloc(1, sizeof(*g));

	ASSERT(g != NULL);
	g->all = table_new();
	g->limit = limit < 1 ? 1 : limit < GROUPS_LIMIT_MAX ? limit : GROUPS_LIMIT_MAX;
	g->heap = calloc(g->limit, sizeof(struct group *));
	ASSERT(g->heap != NULL);
	g->masked = masked;
	return g;
}

void
groups_reset(struct groups *g)
{
	struct span key;
	void *v;

	for (size_t at = 0; table_next(g->all, &at, &key, &v); )
		free(v);
	table_free(&g->all);
	g->all = table_new();
	g->nheap = g->cursor = g->said = 0;
	g->sifted = g->sorted = false;
}

void
groups_free(struct groups **gp)
{
	struct groups *g = *gp;

	if (g == NULL)
		return;
	groups_reset(g);
	table_free(&g->all);
	free(g->heap);
	free(g);
	*gp = NULL;
}

/* "450 4.2.0 <a@b> id 17AB3-0004": the same reason as with another address and id. */
static struct span
mask(struct span s, char out[KEY_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n + 8 < KEY_MAX; ) {
		struct span word = span_sub(s, i, span_find(span_from(s, i), ' '));
		bool digit = false;

		for (size_t k = 0; k < word.n; k++)
			digit = digit || (word.p[k] >= '0' && word.p[k] <= '9');
		if ((word.n > 6 && digit) || span_find(word, '@') < word.n)
			word = SPAN_LIT("…");
		else
			word = span_sub(word, 0, KEY_MAX - 8 - n);
		memcpy(out + n, word.p, word.n);
		n += word.n;
		i += span_find(span_from(s, i), ' ');
		if (i < s.n)
			out[n++] = s.p[i++];
	}
	return span_make(out, n);
}

static struct group *
group_get(struct groups *g, struct span key)
{
	struct group *x = table_get(g->all, key);

	if (x != NULL)
		return x;
	if (table_count(g->all) >= GROUPS_MAX) {
		key = SPAN_LIT("(others)");
		if ((x = table_get(g->all, key)) != NULL)
			return x;
	}
	x = calloc(1, sizeof(*x) + key.n + 1);
	ASSERT(x != NULL);
	if (key.n)
		memcpy(x->key, key.p, key.n);
	x->n = key.n;
	table_put(g->all, span_make(x->key, x->n), x);
	return x;
}

void
groups_add(struct groups *g, struct span key, uint64_t bytes, int64_t since)
{
	char text[KEY_MAX];
	struct group *x = group_get(g, g->masked ? mask(key, text) : key);

	x->messages++;
	x->bytes += bytes;
	if (x->oldest == 0 || since < x->oldest)
		x->oldest = since;
}

/* ---- the largest ---- */

static void
sift_down(struct groups *g, size_t n)
{
	for (size_t i = 0, c; (c = 2 * i + 1) < n; i = c) {
		struct group *x = g->heap[i];

		if (c + 1 < n && g->heap[c + 1]->messages < g->heap[c]->messages)
			c++;
		if (x->messages <= g->heap[c]->messages)
			return;
		g->heap[i] = g->heap[c];
		g->heap[c] = x;
	}
}

/* The group that has to go, which may be x; NULL: none. */
static struct group *
heap_offer(struct groups *g, struct group *x)
{
	struct group *out = x;
	size_t i;

	if (g->nheap == g->limit) {
		if (x->messages <= g->heap[0]->messages)
			return x;
		out = g->heap[0];
		out->kept = false;
		x->kept = true;
		g->heap[0] = x;
		sift_down(g, g->nheap);
		return out;
	}
	x->kept = true;
	for (i = g->nheap++; i > 0 && g->heap[(i - 1) / 2]->messages > x->messages; i = (i - 1) / 2)
		g->heap[i] = g->heap[(i - 1) / 2];
	g->heap[i] = x;
	return NULL;
}

void
groups_offer(struct groups *g, struct span key, size_t messages)
{
	struct group *x, *out;

	if (g->nheap == g->limit && messages <= g->heap[0]->messages)
		return;
	x = group_get(g, key);
	x->messages = messages;
	if (x->kept || (out = heap_offer(g, x)) == NULL)
		return;
	table_remove(g->all, span_make(out->key, out->n));
	free(out);
}

/* The smallest goes to the end each time: what is left is the largest first. */
static void
heap_sort(struct groups *g)
{
	for (size_t n = g->nheap; n > 1; n--) {
		struct group *x = g->heap[0];

		g->heap[0] = g->heap[n - 1];
		g->heap[n - 1] = x;
		sift_down(g, n - 1);
	}
	g->sorted = true;
}

bool
groups_say(struct groups *g, struct buf *out, const char *name)
{
	struct span key;
	void *v;

	for (int i = 0; i < PIECE && !g->sifted; i++)
		if (table_next(g->all, &g->cursor, &key, &v))
			(void)heap_offer(g, v);
		else
			g->sifted = true;
	if (!g->sifted)
		return true;
	if (!g->sorted)
		heap_sort(g);
	for (int i = 0; i < PIECE && g->said < g->nheap; i++) {
		const struct group *x = g->heap[g->said++];
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, name, span_make(x->key, x->n));
		json_kuint(&j, "messages", x->messages);
		json_kuint(&j, "bytes", x->bytes);
		json_key(&j, "oldest");
		json_num(&j, (double)x->oldest / US_PER_SEC);
		json_end_object(&j);
		buf_putc(out, '\n');
	}
	return g->said < g->nheap;
}

bool
groups_say_sites(struct groups *g, struct buf *out, const struct schedule *s)
{
	struct site_info info;

	if (!g->sorted)
		heap_sort(g);
	for (int i = 0; i < PIECE && g->said < g->nheap; i++) {
		const struct group *x = g->heap[g->said++];
		struct json j;

		/* Gone since: its last message was delivered. */
		if (!schedule_site(s, span_make(x->key, x->n), &info))
			continue;
		json_begin(&j, out);
		queue_show_site(&j, &info);
		buf_putc(out, '\n');
	}
	return g->said < g->nheap;
}
