/* messages_count.h -- the bodies of the frames about what all nodes count together. */
#ifndef IPC_MESSAGES_COUNT_H
#define IPC_MESSAGES_COUNT_H

#include "ipc/messages.h"

#define COUNT_ITEMS_MAX 64	/* rules of one decision; more are not counted, and the log says so */
#define COUNT_GROUPS 2
#define COUNT_NAME_MAX 600	/* "rule key" */

enum count_kind { COUNT_TAKE, COUNT_UNIQUE, COUNT_FULL, COUNT_LOCKED, COUNT_KINDS };

struct count_item {		/* one rule for one key */
	enum count_kind kind;	/* take; take once for each member; room for one? locked? (these two take nothing) */
	uint32_t group;		/* groups follow each other until one refuses */
	struct span name;	/* "rule key", the key in lower case */
	struct span member;	/* UNIQUE: the recipient */
	uint64_t step, window;	/* microseconds one unit takes to come back, and all of them; step 0: nothing is allowed */
	uint64_t lock;		/* 0: it locks nobody */
	uint32_t cost;
	uint32_t then;		/* enum outcome */
};

struct count_strangers {	/* greylisting */
	struct span friend, came;	/* keys of asking.c; empty: nothing is asked */
	int64_t friend_age, came_age;	/* what this node remembers, microseconds ago; -1: nothing */
	int64_t delay, retry, keep;
};

/* ---- COUNT_ASK: one decision; ticket answers with COUNT_TOLD ---- */
struct msg_count_ask {
	struct count_item *items;
	size_t nitems;
	struct count_strangers grey;
	struct span mailbox;	/* what is remembered of it? "" none is asked for */
	struct ip client;	/* what is its reputation? family 0: none is asked for */
};

enum count_grey { COUNT_GREY_NONE, COUNT_GREY_CAME, COUNT_GREY_FRIEND, COUNT_GREYS };

/* ---- COUNT_TOLD ---- */
struct count_group {
	uint32_t hit;		/* item + 1; 0: within all limits */
	bool locked;		/* by this decision */
	int64_t until;		/* the lock ends in so many microseconds; 0: there is none */
};
struct msg_count_told {
	bool away;		/* nothing is known, or nothing in time: decide alone */
	uint64_t decision;	/* away: 0 it was not asked; else it may have been counted all the same: COUNT_OWE names it */
	struct count_group groups[COUNT_GROUPS];
	enum count_grey grey;
	int64_t grey_age;
	uint32_t mailbox;	/* enum recall_kind + 1; 0: nothing is remembered */
	int64_t mailbox_age;
};

/* ---- COUNT_OWE: taken within this node's share. The answer to each `away` with a decision, even when nothing was taken ---- */
struct msg_count_owe {
	uint64_t decision;	/* 0: none was asked */
	struct count_item *items;
	size_t nitems;
};

/* ---- COUNT_NOTE: something was learnt; no answer ---- */
enum count_note { COUNT_NOTE_MAILBOX, COUNT_NOTE_REPUTATION, COUNT_NOTE_FORGET, COUNT_NOTE_FORGET_MAILBOX, COUNT_NOTES };
struct msg_count_note {
	enum count_note what;
	struct span name;	/* the mailbox, or the domain */
	struct ip client;
	uint32_t kind;		/* enum recall_kind, enum reputation_event */
	int64_t keep;		/* MAILBOX: microseconds */
	int64_t thousandths;	/* REPUTATION: how many, may be below 0 */
};

/* ---- COUNT_LIST: what is counted, for people, or RESET: forgets it; ticket answers with COUNT_LISTED, until one is last ---- */
struct msg_count_list {
	bool reset;
	struct count_item *items;	/* RESET: their names and windows */
	size_t nitems;
};
struct count_row {
	struct span name;
	bool locked;
	int64_t left;		/* microseconds until all is back, or the lock ends */
};
struct msg_count_listed {
	bool last;
	bool away;		/* Redis cannot be asked: these are not all */
	uint32_t forgotten;
	struct count_row *rows;
	size_t nrows;
};

MSG_CODEC(count_ask);
MSG_CODEC(count_told);
MSG_CODEC(count_owe);
MSG_CODEC(count_note);
MSG_CODEC(count_list);
MSG_CODEC(count_listed);

#endif
