/* tlsrpt_own.h -- what tlsrpt.c, tlsrpt_send.c and tlsrpt_control.c share. */
#ifndef STORE_TLSRPT_OWN_H
#define STORE_TLSRPT_OWN_H

#include "store/tlsrpt.h"
#include "store/tlsrpt_record.h"
#include "store/tlsrpt_report.h"

#define SEEN_MAX 20000			/* waiting for the database; beyond they are dropped and counted */
#define FLIGHTS_AT_ONCE 8

/* Somebody asked for it now, and waits. */
struct tls_ask {
	struct reply *reply;
	size_t open, sent, failed;
};

enum flight_stage { FLIGHT_QUEUED, FLIGHT_LOOKUP, FLIGHT_SIGN, FLIGHT_SUBMIT, FLIGHT_POST };

/* One look-up (uri "") or one report on its way. */
struct tls_flight {
	struct tls_reports *t;
	struct tls_flight *next;
	enum flight_stage stage;
	struct arena *arena;
	struct tls_report_row row;
	bool partial;			/* the day is not over: nothing of it is written down */
	struct tls_ask *ask;		/* NULL: the day's own */
	uint64_t ticket;
	uint64_t mail;			/* the message's id */
	const char *to;
	struct buf message;
	int64_t deadline;		/* clock_mono */
};

struct tls_reports {
	struct store *s;
	struct link *delivery, *signer, *fetcher;
	struct { struct arena *arena; struct msg_tls_seen *list; size_t n; bool failing; } seen;
	struct event *write;
	struct tls_flight *flights;
	size_t flying;
	uint64_t last_ticket;
	int64_t look_at, prune_at;	/* clock_mono */
};

/* tlsrpt_send.c */
struct tls_flight *flight_new(struct tls_reports *t, const struct tls_report_row *row,
    struct tls_ask *ask);
void flights_pump(struct tls_reports *t);	/* starts what may start */
void flights_tick(struct tls_reports *t, int64_t mono);
void flights_drop(struct tls_reports *t);	/* all, and nothing of it is written down */
void flights_lost(struct tls_reports *t, struct link *l);	/* that peer is gone */
int flight_rua(struct tls_reports *t, uint64_t ticket, const struct msg_rua *m);
int flight_signed(struct tls_reports *t, uint64_t ticket, const struct msg_signed *m);
int flight_posted(struct tls_reports *t, uint64_t ticket, const struct msg_posted *m);
/* tlsrpt_control.c */
void tls_ask_tell(struct tls_ask *ask, const struct tls_report_row *row);	/* one line */
void tls_ask_done(struct tls_ask *ask);		/* one less; behind the last one the end */

#endif
