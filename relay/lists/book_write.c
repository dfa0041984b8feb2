/* book_write.c -- a book, written once; see book.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "fs.h"
#include "lists/book_layout.h"
#include "table.h"

struct book_writer {
	struct book_head head;
	struct book_entry *v;
	uint32_t n, room;
	char *texts;
	size_t ntexts, troom;
	uint32_t owner, who;		/* of the entry before, to be used again */
	uint16_t owner_n, who_n;
};

struct book_writer *
book_writer_new(uint64_t generation, int64_t made)
{
	struct book_writer *w = calloc(1, sizeof(*w));

	ASSERT(w != NULL);
	memcpy(w->head.magic, BOOK_MAGIC, sizeof(BOOK_MAGIC));
	w->head.generation = generation;
	w->head.made = made;
	/* Who may write into the lists must not know where an entry comes to stand. */
	ASSERT(getrandom(w->head.key, sizeof(w->head.key), 0) == (ssize_t)sizeof(w->head.key));
	return w;
}

void
book_writer_free(struct book_writer **wp)
{
	struct book_writer *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	free(w->v);
	free(w->texts);
	free(w);
}

size_t
book_writer_count(const struct book_writer *w)
{
	return w->n;
}

static int
put_text(struct book_writer *w, struct span s, uint32_t *at, uint16_t *n, struct err *err)
{
	if (s.n > UINT16_MAX || s.n > BOOK_TEXTS_MAX - w->ntexts)
		return err_set(err, E2BIG, "the lists are too large");
	if (s.n > w->troom - w->ntexts) {
		w->troom = w->troom ? w->troom * 2 : 64u << 10;
		while (w->troom - w->ntexts < s.n)
			w->troom *= 2;
		w->texts = realloc(w->texts, w->troom);
		ASSERT(w->texts != NULL);
	}
	*at = (uint32_t)w->ntexts;
	*n = (uint16_t)s.n;
	if (s.n)
		memcpy(w->texts + w->ntexts, s.p, s.n);
	w->ntexts += s.n;
	return 0;
}

/* The text of the entry before, when it is the same. */
static int
put_again(struct book_writer *w, struct span s, uint32_t *last, uint16_t *last_n, struct err *err)
{
	if (s.n == *last_n && (s.n == 0 || memcmp(w->texts + *last, s.p, s.n) == 0))
		return 0;
	return put_text(w, s, last, last_n, err);
}

static void
note_length(struct book_head *h, struct span what)
{
	struct cidr c;

	if (cidr_parse(what, &c, NULL) == -1)
		return;
	if (c.ip.family == 4)
		h->lengths4 |= UINT64_C(1) << c.bits;
	else
		h->lengths6[c.bits / 64] |= UINT64_C(1) << (c.bits % 64);
}

int
book_writer_add(struct book_writer *w, const struct entry *e, struct err *err)
{
	struct book_entry x = { .number = e->number, .expires = e->expires, .scope = (uint8_t)e->scope,
		.side = (uint8_t)e->side, .kind = (uint8_t)e->kind, .unauthenticated = e->unauthenticated };

	if (w->n >= LISTS_MAX || e->owner.n > LISTS_OWNER_MAX || e->what.n > LISTS_WHAT_MAX)
		return err_set(err, E2BIG, "the lists are too large");
	if (put_again(w, e->owner, &w->owner, &w->owner_n, err) == -1 ||
	    put_again(w, e->who, &w->who, &w->who_n, err) == -1 ||
	    put_text(w, e->what, &x.what, &x.what_n, err) == -1 ||
	    put_text(w, e->reason, &x.reason, &x.reason_n, err) == -1)
		return -1;
	x.owner = w->owner;
	x.owner_n = w->owner_n;
	x.who = w->who;
	x.who_n = w->who_n;
	if (w->n == w->room) {
		w->room = w->room ? w->room * 2 : 256;
		w->v = realloc(w->v, w->room * sizeof(*w->v));
		ASSERT(w->v != NULL);
	}
	w->v[w->n++] = x;
	w->head.scopes[e->scope]++;
	if (e->kind == ENTRY_NETWORK)
		note_length(&w->head, e->what);
	return 0;
}

static void
fill_slots(const struct book_writer *w, uint32_t *slots)
{
	char key[BOOK_KEY_MAX];

	for (uint32_t i = 0; i < w->n; i++) {
		const struct book_entry *e = &w->v[i];
		size_t n = book_key(key, (enum list_scope)e->scope, (enum entry_kind)e->kind,
		    span_make(w->texts + e->owner, e->owner_n), span_make(w->texts + e->what, e->what_n));
		uint32_t at = (uint32_t)siphash(w->head.key, key, n) & (w->head.slots - 1);

		while (slots[at])
			at = (at + 1) & (w->head.slots - 1);
		slots[at] = i + 1;
	}
}

int
book_writer_finish(struct book_writer *w, int (*sink)(void *ctx, const void *p, size_t n, struct err *err),
    void *ctx, struct err *err)
{
	uint32_t *slots;
	int r = -1;

	w->head.n = w->n;
	w->head.slots = 16;
	while (w->head.slots < w->n * 2)
		w->head.slots *= 2;
	w->head.texts = w->ntexts;
	w->head.size = sizeof(w->head) + (uint64_t)w->n * sizeof(*w->v) +
	    (uint64_t)w->head.slots * sizeof(*slots) + w->ntexts;
	slots = calloc(w->head.slots, sizeof(*slots));
	ASSERT(slots != NULL);
	fill_slots(w, slots);
	if (sink(ctx, &w->head, sizeof(w->head), err) == 0 &&
	    (w->n == 0 || sink(ctx, w->v, w->n * sizeof(*w->v), err) == 0) &&
	    sink(ctx, slots, w->head.slots * sizeof(*slots), err) == 0 &&
	    (w->ntexts == 0 || sink(ctx, w->texts, w->ntexts, err) == 0))
		r = 0;
	free(slots);
	return r;
}
