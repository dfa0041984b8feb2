/* book.h -- all entries of the lists in one piece of memory that never changes.
 *
 * The store writes a book when entries have changed (book_writer), seals it in a memfd, and every
 * receiver maps it and looks up what it needs: nobody is asked while mail is received. A look-up
 * costs as many probes of one hash table as the sender's domain has labels and clients'
 * networks have lengths, whatever the number of entries.
 *
 * A book comes from the store, which is trusted; still no byte of it can make a reader look outside
 * of it: book_open() checks what all look-ups rest on, each look-up what it touches. Entries that
 * have run out are not found, however old the book is.
 */
#ifndef LISTS_BOOK_H
#define LISTS_BOOK_H

#include "buf.h"
#include "lists/entry.h"

struct book {			/* a reader; borrows the bytes */
	struct span bytes;
	uint64_t generation;
	int64_t made;
	uint32_t n;		/* entries */
};

/* -1: no book, or a damaged one. */
int book_open(struct span bytes, struct book *b, struct err *err);

struct book_ask {		/* of one message; addresses as address_folded() leaves them */
	struct span sender, from;	/* envelope; author; "" none */
	bool sender_proved, from_proved;
	struct ip client;	/* family 0: not known */
	int64_t now;
};
struct book_answer {
	struct listed v[LISTINGS_PER_RECIPIENT];	/* the one that says most, of each scope and side */
	int64_t expires[LISTINGS_PER_RECIPIENT];
	size_t n;
	unsigned mask;		/* LISTED_BIT of those that count … */
	unsigned seen;		/* … and of all */
};
/* What the lists of that scope say for this recipient (folded; not asked for LIST_ALL). Added to out, texts are
 * the book's. scopes: 1 << enum list_scope, or-ed. */
void book_find(const struct book *b, const struct book_ask *ask, struct span recipient, unsigned scopes,
    struct book_answer *out);
/* Of the client alone, in the lists for all: what it is before anything is said. */
void book_find_client(const struct book *b, struct ip client, int64_t now, struct book_answer *out);

/* ---- writing: linear, in the order entries come; equal owners behind each other are stored once ---- */
struct book_writer;
struct book_writer *book_writer_new(uint64_t generation, int64_t made);
void book_writer_free(struct book_writer **w);
int book_writer_add(struct book_writer *w, const struct entry *e, struct err *err);
/* Every byte of the book, until the writer is freed; sink is called with pieces that follow each other. */
int book_writer_finish(struct book_writer *w, int (*sink)(void *ctx, const void *p, size_t n, struct err *err),
    void *ctx, struct err *err);
size_t book_writer_count(const struct book_writer *w);

#endif
