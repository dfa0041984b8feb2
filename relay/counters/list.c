/* list.c -- what is counted, for `postern limits`: shown page by page, and forgotten.
 *
 * Redis is walked with SCAN, so that nobody else waits for it; what comes or goes meanwhile may be shown or not.
 * A forgotten limit leaves the moment of it behind (KEY_RESET), so that no node's memory brings it back.
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counters/role.h"

#define LISTINGS_MAX 16
#define ROWS_MAX 100000		/* of one listing */
#define SCAN_COUNT "500"

struct listing {
	struct listing *next;
	struct counters *c;
	struct link *link;		/* NULL: gone */
	uint64_t ticket;
	enum key_kind kind;
	char cursor[32];
	size_t rows;
	uint32_t forgotten, waits;	/* RESET: keys that were there, commands without an answer */
	char **names;
	size_t nnames;
};

static void
listed(struct counters *c, struct listing *l, const struct msg_count_listed *m)
{
	struct buf b;

	if (l->link == NULL)
		return;
	buf_init(&b, FRAME_BIG);
	count_listed_encode(&b, m);
	link_send(l->link, FRAME_COUNT_LISTED, l->ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
names_free(struct listing *l)
{
	for (size_t i = 0; i < l->nnames; i++)
		free(l->names[i]);
	free(l->names);
	l->names = NULL;
	l->nnames = 0;
}

static void
over(struct counters *c, struct listing *l, bool away)
{
	struct msg_count_listed m = { .last = true, .away = away, .forgotten = l->forgotten };

	listed(c, l, &m);
	for (struct listing **p = &c->listings; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	names_free(l);
	free(l);
}

/* ---- showing ---- */

static void scan(struct counters *c, struct listing *l);

static void
valued(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	struct listing *l = what;
	struct msg_count_listed m = { 0 };
	int64_t now = clock_mono() + c->ahead;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		over(c, l, true);
		return;
	}
	arena_reset(c->scratch);
	m.rows = arena_array(c->scratch, l->nnames, sizeof(*m.rows));
	for (size_t i = 0; i < l->nnames && i < reply->elements; i++) {
		const struct redisReply *v = reply->element[i];
		int64_t at = v->type == REDIS_REPLY_STRING ? strtoll(v->str, NULL, 10) : 0;

		if (at <= now)
			continue;
		m.rows[m.nrows++] = (struct count_row){ span_str(l->names[i]), l->kind == KEY_LOCK, at - now };
	}
	l->rows += m.nrows;
	if (m.nrows)
		listed(c, l, &m);
	names_free(l);
	if (strcmp(l->cursor, "0") == 0 && l->kind == KEY_LIMIT) {
		l->kind = KEY_LOCK;
		scan(c, l);
	} else if (strcmp(l->cursor, "0") == 0 || l->rows >= ROWS_MAX)
		over(c, l, false);
	else
		scan(c, l);
}

static void
scanned(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	struct listing *l = what;
	const struct redisReply *keys;
	struct span *argv, head;
	char buf[KEY_TEXT_MAX];
	size_t n = 1;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_ARRAY) {
		over(c, l, true);
		return;
	}
	keys = reply->element[1];
	snprintf(l->cursor, sizeof(l->cursor), "%s", reply->element[0]->str);
	head = key_text(c->conf->prefix, l->kind, SPAN_LIT(""), buf);
	arena_reset(c->scratch);
	argv = arena_array(c->scratch, keys->elements + 1, sizeof(*argv));
	argv[0] = SPAN_LIT("MGET");
	l->names = calloc(keys->elements + 1, sizeof(*l->names));
	ASSERT(l->names != NULL);
	for (size_t i = 0; i < keys->elements; i++) {
		struct span key = span_make(keys->element[i]->str, keys->element[i]->len);

		if (!span_starts(key, head) || key.n > COUNT_NAME_MAX + head.n)
			continue;
		argv[n++] = key;
		l->names[l->nnames] = strndup(key.p + head.n, key.n - head.n);
		ASSERT(l->names[l->nnames] != NULL);
		l->nnames++;
	}
	if (n == 1) {
		struct redisReply none = { .type = REDIS_REPLY_ARRAY };

		valued(c, l, &none);
	} else if (redis_send(c->redis, n, argv, valued, l) == -1)
		over(c, l, true);
}

static void
scan(struct counters *c, struct listing *l)
{
	char pattern[KEY_TEXT_MAX];
	struct span argv[6] = { SPAN_LIT("SCAN"), { 0 }, SPAN_LIT("MATCH"), { 0 }, SPAN_LIT("COUNT"),
		SPAN_LIT(SCAN_COUNT) };

	if (strcmp(l->cursor, "") == 0 || strcmp(l->cursor, "0") == 0)
		snprintf(l->cursor, sizeof(l->cursor), "0");
	argv[1] = span_str(l->cursor);
	argv[3] = key_text(c->conf->prefix, l->kind, SPAN_LIT("*"), pattern);
	if (redis_send(c->redis, 6, argv, scanned, l) == -1)
		over(c, l, true);
}

/* ---- forgetting ---- */

static void
forgotten(void *ctx, void *what, const struct redisReply *reply)
{
	struct listing *l = what;

	if (reply && reply->type == REDIS_REPLY_INTEGER)
		l->forgotten += (uint32_t)reply->integer;
	if (--l->waits == 0)
		over(ctx, l, reply == NULL);
}

static bool
forget(struct counters *c, struct listing *l, const struct count_item *it)
{
	char keys[3][KEY_TEXT_MAX], at[24], ms[24];
	struct span del[3] = { SPAN_LIT("DEL"), key_text(c->conf->prefix, KEY_LIMIT, it->name, keys[0]),
		key_text(c->conf->prefix, KEY_LOCK, it->name, keys[1]) };
	struct span set[5] = { SPAN_LIT("SET"), key_text(c->conf->prefix, KEY_RESET, it->name, keys[2]), { 0 },
		SPAN_LIT("PX") };
	int64_t life = (int64_t)it->window / 1000 + (int64_t)it->lock / 1000 + 1000;

	merge_forget(c, it->name);
	set[2] = span_make(at, (size_t)snprintf(at, sizeof(at), "%lld", (long long)(clock_mono() + c->ahead)));
	set[4] = span_make(ms, (size_t)snprintf(ms, sizeof(ms), "%lld", (long long)life));
	if (redis_send(c->redis, 3, del, forgotten, l) == -1)
		return false;
	l->waits++;
	redis_send(c->redis, 5, set, NULL, NULL);
	return true;
}

/* ---- */

int
list_frame(struct counters *c, struct link *from, struct frame *f)
{
	struct msg_count_list m;
	struct listing *l;
	size_t n = 0;

	if (count_list_decode(f->body, f->fd, c->scratch, &m) == -1)
		return -1;
	for (l = c->listings; l; l = l->next)
		n++;
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	l->link = from;
	l->ticket = f->ticket;
	l->kind = KEY_LIMIT;
	l->next = c->listings;
	c->listings = l;
	if (!c->serving || n >= LISTINGS_MAX) {
		for (size_t i = 0; m.reset && i < m.nitems; i++)
			merge_forget(c, m.items[i].name);
		over(c, l, true);
		return 0;
	}
	if (!m.reset) {
		scan(c, l);
		return 0;
	}
	l->waits = 1;
	for (size_t i = 0; i < m.nitems; i++)
		if (!forget(c, l, &m.items[i]))
			break;
	if (--l->waits == 0)
		over(c, l, m.nitems > 0);
	return 0;
}

void
list_link_down(struct counters *c, const struct link *gone)
{
	for (struct listing *l = c->listings; l; l = l->next)
		if (l->link == gone)
			l->link = NULL;
}
