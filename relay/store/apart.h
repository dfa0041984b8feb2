/* apart.h -- questions that may take long are answered beside the store's loop.
 *
 * A search of many rows, a page of the quarantine, a walk along the audit log read the database and nothing
 * else. They go to a searcher: a process with a connection of its own that only reads (WAL: it sees
 * the last commit and holds up nobody), with no file to open and no socket but the one to the store. The store
 * commits what it has before it asks, so that what came a moment ago is found.
 *
 * SQLite must not be carried through a fork: its locks belong to a process. So the store forks a keeper
 * before it opens the database, and it is the keeper that forks searchers, when one is wanted.
 *
 * The book of the lists of senders, seconds of work where there are a million entries, is made by one of them too.
 *
 * One that dies costs its question, which is told so. Where none can be had the store answers itself.
 */
#ifndef STORE_APART_H
#define STORE_APART_H

#include "store/asked.h"

#define SEARCHERS 2		/* at once */
#define APART_WAITING_MAX 64	/* questions that wait for one of them */
#define APART_REQUEST_MAX ((size_t)32 << 10)	/* fits a socket's buffer: it is written without waiting */
#define APART_ALARM 20		/* seconds: then a searcher ends itself */
#define APART_ALARM_BOOK 120	/* the same, for a book */
#define APART_GIVEN_UP 5	/* seconds behind that: then the store waits for it no more */

struct apart;

/* Before the database is opened. NULL: the store answers all itself (the log says why). */
struct apart *apart_new(struct store *s);
void apart_free(struct apart **a);
/* Takes the question, and its reply: true. false: it is not one of those, or nobody is there to answer. */
bool apart_take(struct asked *q, struct span request);
/* A book (lists_book.c); false: nobody is there to make it. done, later: a sealed memfd that is his, or -1. */
typedef void apart_made(struct store *s, int fd);
bool apart_book(struct apart *a, uint64_t generation, apart_made *done);
/* Every second: who has not answered for too long is given up. */
void apart_tick(struct apart *a);
/* Postern.yaml is new: those who have the old one end. */
void apart_renew(struct apart *a);

/* apart_child.c */
enum apart_what {
	APART_ASK,		/* a request of uid's */
	APART_MAKE,		/* a book; its generation follows */
	APART_ANSWER,
	APART_YOURS,		/* the store has to answer it itself: something is to be written */
	APART_BOOK,		/* with a descriptor */
};
struct apart_head {		/* before each question, and each answer */
	uint32_t size, uid;
	uint32_t what;		/* enum apart_what */
};
_Noreturn void apart_keep(int fd, const struct store *s);

/* store_control.c: what is asked, from a request that was read; the reply is taken or written. */
void store_dispatch(struct asked *q, int fd);

#endif
