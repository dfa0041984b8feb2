/* counting_list.c -- `postern limits` where nodes count together: asked of Redis, by the role `counters`.
 *
 * While Redis is away the answer is what this node has counted alone.
 */
#include <stdlib.h>

#include "clock.h"
#include "ipc/messages_count.h"
#include "receiver/counting.h"
#include "receiver/limits_shared.h"

#define PEOPLE_MAX 16

struct listing {
	struct listing *next;
	struct link *link;
	uint64_t ticket;
	struct reply *reply;
	bool only_locked, reset, here;	/* here: something was forgotten in this node */
	size_t rows;
};

/* One process answers control clients; each has few. */
static struct listing *listings;
static uint64_t last_ticket;

static void
over(struct receiver *rx, struct listing *l, bool away, uint32_t forgotten)
{
	for (struct listing **p = &listings; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	if (l->reset)
		limits_forgotten(reply_buf(l->reply), l->here || forgotten > 0);
	else if (away && l->rows == 0)
		limits_show(rx, l->only_locked, reply_buf(l->reply));
	reply_end(&l->reply);
	free(l);
}

static bool
begin(struct counting *cg, struct receiver *rx, struct listing *how, const struct msg_count_list *m,
    struct reply **r)
{
	struct link *to = counting_link(cg);
	struct listing *l;
	struct buf b;
	size_t n = 0;
	bool sent;

	for (l = listings; l; l = l->next)
		n++;
	if (to == NULL || n >= PEOPLE_MAX)
		return false;
	buf_init(&b, FRAME_BIG);
	count_list_encode(&b, m);
	sent = !buf_failed(&b) && link_send(to, FRAME_COUNT_LIST, ++last_ticket, buf_data(&b), -1) == 0;
	buf_release(&b);
	if (!sent)
		return false;
	l = malloc(sizeof(*l));
	ASSERT(l != NULL);
	*l = *how;
	l->link = to;
	l->ticket = last_ticket;
	l->reply = *r;
	l->next = listings;
	listings = l;
	*r = NULL;
	return true;
}

bool
counting_show(struct receiver *rx, bool only_locked, struct reply **r)
{
	struct listing how = { .only_locked = only_locked };

	return rx->counting && begin(rx->counting, rx, &how, &(struct msg_count_list){ 0 }, r);
}

bool
counting_reset(struct receiver *rx, struct span limit, struct span key, bool here, struct reply **r)
{
	struct listing how = { .reset = true, .here = here };
	struct msg_count_list m = { .reset = true };
	struct arena *a;
	bool asked;

	if (rx->counting == NULL || rx->nrules == 0)
		return false;
	a = arena_new(0);
	m.items = arena_array(a, rx->nrules, sizeof(*m.items));
	for (size_t i = 0; i < rx->nrules; i++)
		if (rx->rules[i].unit != LIMIT_CONNECTIONS && (limit.n == 0 || span_eq(rx->rules[i].id, limit)))
			limits_item_reset(&rx->rules[i], key, a, &m.items[m.nitems++]);
	asked = begin(rx->counting, rx, &how, &m, r);
	arena_free(&a);
	return asked;
}

int
counting_listed(struct receiver *rx, struct link *from, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct msg_count_listed m;
	struct listing *l;
	int r = -1;

	if (count_listed_decode(f->body, f->fd, a, &m) == -1)
		goto out;
	r = 0;
	for (l = listings; l && (l->ticket != f->ticket || l->link != from); l = l->next)
		;
	if (l == NULL)
		goto out;
	for (size_t i = 0; i < m.nrows; i++)
		l->rows += limits_row(rx, m.rows[i].name, m.rows[i].locked, m.rows[i].left, l->only_locked,
		    reply_buf(l->reply));
	if (m.last)
		over(rx, l, m.away, m.forgotten);
	else
		reply_send(l->reply);
out:
	arena_free(&a);
	return r;
}

void
counting_list_down(struct receiver *rx, const struct link *down)
{
	for (struct listing *l = listings, *next; l; l = next) {
		next = l->next;
		if (l->link == down)
			over(rx, l, true, 0);
	}
}
