/* reputation.h -- our own experience with those who send: counts that fade, and what they are worth.
 *
 * Counted for each client (IPv4 /32, IPv6 /64), for its network (/24, /48) and for each domain that
 * was proved to be the author's (SPF or DKIM aligned with From:). A count loses half of itself in
 * each half-life, so it tells what happened lately and how often. All processes of a node share one
 * table (the receivers note, the verifiers ask, the store keeps it over restarts and corrects what
 * people release). A base of many nodes takes the place of what lies behind these functions.
 *
 * The score is 0, the worst, to 100, the best; 50 is a stranger. Of the observations good and bad
 * ones are weighed (REPUTATION_EVENTS):
 *
 *	a = 1 + bad, b = 1 + good	both and a share of the network's others (below)
 *	m = a / (a + b)			how bad it is, as far as is known
 *	s = sqrt(a b / ((a + b)^2 (a + b + 1)))
 *	score = 100 (1 - (m - z s))	where even m - z s is above a half: bad for certain
 *	        100 (1 - (m + z s))	where even m + z s is below a half: good for certain
 *	        50			between: too little is known
 *
 * with z = 1.28: it would be nearer to 50 than said once in ten. Who has sent nothing yet inherits
 * of its neighbours: what the others of its network did counts a quarter, for four observations at
 * most. A proved domain is scored alike; client and domain are added: 50 + (client - 50) +
 * (domain - 50).
 *
 * Memory is bounded: 65,536 subjects, and who has the least weight makes room. Made-up ones
 * drive out each other. Times are Unix seconds, for the table outlives the machine's boot.
 */
#ifndef RECEIVER_REPUTATION_H
#define RECEIVER_REPUTATION_H

#include "postern/ip.h"
#include "postern/span.h"

/* X(NAME, "name", bad, good, "singular", "plural"): what one counts for */
#define REPUTATION_EVENTS(X) \
	X(MESSAGES, "messages", 0, 0, "message", "messages") \
	X(CLEAN, "clean", 0, 1, "clean", "clean") \
	X(SUSPECTED, "suspected", 0.4, 0, "suspected", "suspected") \
	X(SPAM, "spam", 1, 0, "spam", "spam") \
	X(VIRUS, "virus", 3, 0, "with a virus", "with a virus") \
	X(FORGED, "forged", 0.5, 0, "forged author", "forged authors") \
	X(UNKNOWN, "unknown_recipients", 0.2, 0, "unknown recipient", "unknown recipients") \
	X(REFUSED, "refused_recipients", 0.1, 0, "refused recipient", "refused recipients") \
	X(GREETING, "bad_greetings", 0.2, 0, "bad greeting", "bad greetings") \
	X(LOGIN, "failed_logins", 0.2, 0, "failed login", "failed logins") \
	X(RELEASED, "corrected", 0, 0, "corrected by a person", "corrected by people")
enum reputation_event {
#define X(name, ...) REPUTATION_##name,
	REPUTATION_EVENTS(X)
#undef X
	REPUTATION_EVENT_COUNT
};
const char *reputation_event_name(enum reputation_event e);
/* For people: "message", "messages". */
const char *reputation_event_words(enum reputation_event e, bool many);
double reputation_event_weight(enum reputation_event e);	/* bad above 0, good below */

#define REPUTATION_MIDDLE 50
#define REPUTATION_HALF_LIFE (INT64_C(7) * 86400 * 1000000)
#define REPUTATION_NAME_MAX 88		/* bytes; a longer domain is not counted */
#define REPUTATION_MEMORY_MIN ((size_t)16 << 10)

struct reputation_table;
struct reputation_who;
struct reputation {		/* a process's handle */
	struct reputation_table *table;
	int64_t half_life;	/* microseconds */
	/* Who notes it for all nodes, and in this table (relay/counters/notes.c); false: he cannot, note it here.
	 * NULL: nobody does. */
	bool (*noted)(void *ctx, const struct reputation_who *who, enum reputation_event e, double n);
	void *ctx;
};

/* The first to come makes the table; memory all zero or made before, 64-byte aligned. */
void reputation_open(struct reputation *r, void *memory, size_t size, int64_t half_life);

struct reputation_who {
	struct ip client;	/* family 0: not known */
	struct span domain;	/* proved, normalised; "" none */
};

/* now: Unix microseconds. n: how many; below 0 takes back, never under none. */
void reputation_note(const struct reputation *r, const struct reputation_who *who,
    enum reputation_event e, double n, int64_t now);

struct reputation_counts {
	bool there;		/* something is counted, and has not faded */
	int64_t since;		/* the first of it, Unix seconds */
	double n[REPUTATION_EVENT_COUNT];	/* faded to now */
};
struct reputation_answer {
	struct reputation_counts address, network, domain;
	int client, author;	/* scores of the client with its network, and of the domain */
	int score;		/* both */
	double evidence;	/* weighed observations of the address itself, bad and good */
};
void reputation_ask(const struct reputation *r, const struct reputation_who *who, int64_t now,
    struct reputation_answer *out);
/* The formula; of: the network's, may be NULL. */
int reputation_score(const struct reputation_counts *c, const struct reputation_counts *of);

/* What lists (-1: none is asked) and our own score make together: weight is what ours may add or
 * take away. */
int reputation_joined(int lists, int own, uint32_t weight);

/* A message sent at `then` was rated e and is what it should have been: moves the count, as
 * faded as it is by now. */
void reputation_correct(const struct reputation *r, const struct reputation_who *who,
    enum reputation_event from, enum reputation_event to, int64_t then, int64_t now);
/* The address, and what it did to its network's counts; the domain. true: there was something. */
bool reputation_forget(const struct reputation *r, const struct reputation_who *who, int64_t now);

/* "192.0.2.7", "2001:db8:1:2::/64"; "192.0.2.0/24", "2001:db8:1::/48". */
void reputation_names(struct ip client, char address[static REPUTATION_NAME_MAX],
    char network[static REPUTATION_NAME_MAX]);

/* ---- for saving (store/reputation_db.h) and for lists ---- */
struct reputation_row {
	char kind;		/* 'a' address, 'n' network, 'd' domain */
	char name[REPUTATION_NAME_MAX];
	struct reputation_counts counts;	/* not there: faded to nothing, or forgotten */
	int64_t changed;	/* Unix seconds */
};
#define REPUTATION_ROWS 65536	/* at most, in the memory that the processes share */
/* *at starts at 0; false at the end. */
bool reputation_next(const struct reputation *r, size_t *at, int64_t now, struct reputation_row *row);
/* What is counted under a kind and a name, faded to now; false: nothing is. */
bool reputation_row(const struct reputation *r, char kind, struct span name, int64_t now,
    struct reputation_row *row);
/* The row is what is counted from here on, as of `then` (Unix microseconds). */
void reputation_replace(const struct reputation *r, const struct reputation_row *row, int64_t then);
/* Adds a row that was saved at `then`. */
void reputation_add(const struct reputation *r, const struct reputation_row *row, int64_t then);
/* true for the one caller of all processes that is to load what was saved. */
bool reputation_loads(const struct reputation *r);

#endif
