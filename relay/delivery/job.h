/* job.h -- what the files of delivery share: one message for one site on its
 * way, and the world it travels in.
 *
 * A job is made from a DELIVER frame, waits in its site, is carried by one
 * session at a time and ends in carrier->done(), which frees it. All texts of
 * a job live in its arena.
 */
#ifndef DELIVERY_JOB_H
#define DELIVERY_JOB_H

#include "delivery/mx.h"
#include "delivery/smtp_client.h"

struct batv_book;
struct event;
struct event_base;
struct job_part;
struct session;
struct site;
struct table;

struct job_place {		/* where one recipient's copy was left */
	struct span relay, tls;
};

struct job {
	struct job *next;
	struct arena *arena;
	uint64_t ticket;
	struct msg_deliver d;
	struct span bytes;		/* the message; stays mapped as long as the job lives */
	void *mapping;			/* segment.c's */
	struct smtp_result *results;	/* one for each recipient */
	struct job_part *part;		/* dispatch.c's; NULL: it is a whole job */
	struct job_place *places;	/* of each recipient, where they differ; else NULL */
	struct span way;		/* what way_key made of its route; empty: as its site */
	size_t at;			/* first recipient that no transaction has had yet */
	bool eightbit, utf8_header;
	enum { LINES_UNKNOWN, LINES_CRLF, LINES_OTHER } lines;	/* span_has_lines(bytes), once it matters */
	bool requeued;			/* met a connection that had died idle: once is enough */
	uint8_t pushed;			/* times a server would not let it in while others were served */
	bool probe;			/* no message: does this recipient exist? (callout.h) */
	bool handed_back;
	int64_t postponed;		/* not tried: to come again after so many microseconds */
	int64_t t_start, t_conn, t_ready, t_end;	/* clock_real */
	struct span relay;		/* "mx1.example.net[203.0.113.9]:25"; "none" */
	struct span tls;
	struct span talk;		/* what was said, when it failed for anybody */
};

/* A route found, shared by a site and its sessions. */
struct route {
	const struct conf_route *by;		/* the line of postern.yaml; NULL: none */
	unsigned refs;
	bool ok;
	int64_t expires;			/* clock_mono */
	int64_t bad_until[PLAN_TARGETS_MAX];	/* targets that failed lately are tried last */
	struct plan plan;
	struct dns_answer *tlsa[PLAN_HOSTS_MAX];	/* of hosts that are DANE_USABLE; freed with it */
	char tlsa_base[PLAN_HOSTS_MAX][DNS_NAME_MAX];	/* the name they were found at */
	struct sts_known *sts;			/* the policy of the domain (sts.h); NULL: not asked for */
	bool lax;				/* for mail that no TLS policy holds up: DANE and MTA-STS are not asked */
};

struct carrier {
	struct event_base *base;
	const struct config *conf;
	const struct limit_rule *limits;	/* of the policy; those per destination count */
	size_t nlimits;
	struct resolver *resolver;
	struct ssl_ctx_st *tls;			/* NULL: no TLS */
	struct sts_client *sts;			/* NULL: MTA-STS is not asked for */
	const struct batv_book *batv;		/* NULL: senders leave as they are */
	struct tlsrpt *tlsrpt;			/* NULL: nothing is counted */
	struct plan_world world;
	struct table *sites;
	struct health *health;
	struct table *hubs;
	struct tls_cache *tls_sessions;		/* NULL: none is resumed */
	struct site *dirty;			/* sites that want to be looked at */
	struct event *kick;			/* … in the next turn */
	struct event *tick;			/* once a second: time limits of all sessions */
	struct session *sessions;
	struct session *dead;			/* freed at the end of the turn */
	size_t nsessions;
	size_t njobs;
	size_t source_at[2];
	bool retiring;
	/* The job is over: every recipient has its result, or it is handed back. Takes it. */
	void (*done)(void *ctx, struct job *job);
	/* The TLS that was required could not be had there: whose, for the log once in a while. NULL:
	 * nobody wants to know. */
	void (*tls_failed)(void *ctx, const struct job *job, struct span relay, struct span why);
	void *ctx;
};

/* Connections to the servers of a destination, at most. */
uint32_t carrier_connections(const struct carrier *c, struct span destination);
/* c->base, conf, resolver, tls, world, done and ctx are set by the caller. */
void carrier_init(struct carrier *c);
/* All jobs and sessions are dropped without a word; nothing is called back. */
void carrier_release(struct carrier *c);
/* Takes the job: d, bytes, arena and results are set. */
void carrier_take(struct carrier *c, struct job *job);
/* Waiting jobs are handed back, idle connections say goodbye. */
void carrier_retire(struct carrier *c);
/* What is still running is cut off: handed back where nothing was promised yet. */
void carrier_cut(struct carrier *c);

/* The queue is gone: all jobs are handed back but those whose message may be taken already. */
void carrier_abandon(struct carrier *c);

/* Gives every recipient without a result this one; its text is copied. */
void job_fail_rest(struct job *job, const struct smtp_result *why);
void job_done(struct carrier *c, struct job *job);

/* What the job itself asks of a session, beyond what postern.yaml and DANE ask for all. */
struct job_demand {
	enum require_tls least;		/* TLS_ENCRYPTED or more; else TLS_UNSPECIFIED: nothing */
	bool requiretls;		/* and the server's REQUIRETLS (RFC 8689) */
};

static inline struct job_demand
job_demand(const struct job *job)
{
	struct job_demand d = { job->d.require_tls, (job->d.flags & ENVELOPE_REQUIRETLS) != 0 };

	if (d.requiretls && d.least < TLS_VERIFIED)
		d.least = TLS_VERIFIED;
	else if (d.least < TLS_ENCRYPTED)
		d.least = TLS_UNSPECIFIED;
	return d;
}

#endif
