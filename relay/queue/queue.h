/* queue.h -- what the files of the queue role share. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "id.h"
#include "master/runtime.h"
#include "queue/message.h"
#include "table.h"

#define QUEUE_LINKS_MAX 64
#define STORE_SITE "store"
#define LOCAL_SITE "local"

/* A submitted message, or a notice of ours, that waits for the sync. */
struct awaiting {
	struct message *m;
	struct link *from;	/* NULL: nobody to answer (a notice, or the link went) */
	uint64_t ticket;
	struct event_entry *event;	/* ACCEPTED; NULL: told, or nothing to tell */
	bool notice;
	/* a notice: whose settling goes on once it is durable */
	uint64_t about;
	uint16_t leg;
	struct arena *arena;	/* holds the fates */
	struct fate *fates;
	size_t nfates;
	int kind;		/* enum dsn_kind */
};

/* A job that is at a delivery process or at the store. */
struct flight {
	uint64_t id;
	struct link *to;
	uint32_t segment;	/* pinned; 0: none */
	uint16_t leg;
};

/* What became of one target. */
struct fate {
	uint16_t target;
	enum target_status status;	/* PENDING: put off */
	enum fail_class cls;
	struct span dsn, reply, relay, tls;
	bool remote;
	bool relayed;		/* SENT to a server that knows nothing of notifications */
};

/* X(NAME, "name", LEVEL, "what is said when it is over") */
#define ALARM_TABLE(X) \
	X(NEAR, "queue-nearly-full", WARN, "the queue is well below its limits again") \
	X(LIMIT, "queue-full", ERROR, "new messages are accepted again: the queue has room") \
	X(DISK, "disk-nearly-full", WARN, "the spool's disk has room again") \
	X(SPOOL, "spool-refuses", ERROR, "new messages are accepted again") \
	X(EVENTS, "events-lost", WARN, "events are kept again")
enum queue_alarm {
#define X(name, text, level, over) ALARM_##name,
	ALARM_TABLE(X)
#undef X
	ALARMS
};
#define ALARM_TEXT_MAX 300

struct queue {
	struct runtime *rt;
	struct spool *sp;
	struct schedule *out, *inner;	/* to other hosts; to the store and to ourselves */
	struct wheel lives;
	struct idtable *flights;
	uint64_t last_ticket;
	struct link *delivery[QUEUE_LINKS_MAX];
	size_t ndelivery;
	struct link *store, *signer;
	struct tickets *signing;	/* notices at the signer */
	struct awaiting *awaiting;
	size_t nawaiting, cap_awaiting;
	struct event *turn, *timer, *lazy, *gather, *idle;
	bool turning;			/* `turn` is active */
	bool gathering;			/* the sync of this turn waits for what others bring */
	size_t batch;			/* messages that the last sync served */
	bool soon;			/* what has happened waits in memory for a sync */
	bool lazy_soon;			/* `lazy` was armed for that */
	bool more;			/* the last turn left jobs that could go out */
	struct id_source ids;
	struct arena *scratch;		/* of one frame; reset by whoever begins one */
	struct arena *work;		/* of one message in the work at the end of a turn */
	struct event_log *events;
	struct span drain;		/* "host:port" that everything goes to; empty: none */
	char drain_text[300];
	struct walk *walks;		/* acts of operators that go on */
	struct adoption *adoptions;	/* the first asked for is the last */
	struct {			/* what was offered to another node (queue_handover.c) */
		char to[128];		/* its name; "": none */
		uint64_t *ids;		/* some may be gone */
		size_t n, cap;
		size_t at;		/* of a walk over the spool's items */
		unsigned moves;
	} handover;
	uint64_t *adopted;		/* ids found in an adopted segment, not yet scheduled */
	size_t nadopted, cap_adopted;
	struct { int64_t since; char text[ALARM_TEXT_MAX]; } alarms[ALARMS];	/* since 0: not now */
	struct {
		uint64_t messages, bytes, memory;	/* of what is queued or waits for the sync */
		uint64_t held;
		struct idtable *ages;	/* messages by when they came, in steps of AGE_STEP */
		uint64_t oldest;	/* no message is of an earlier step */
		const char *over;	/* the limit that refuses new messages now; NULL: none */
	} size;
	bool finishing;
	int64_t retire_by;		/* clock_mono */
};

/* queue.c */
extern const struct spool_ops queue_spool_ops;
void queue_turn(struct queue *q);		/* do what is due at the end of this turn */
struct message *queue_find(struct queue *q, uint64_t id);
int queue_plan(struct queue *q, const struct message *m, struct arena *a, struct stored *s,
    struct plan *p, struct err *err);
uint64_t queue_new_id(struct queue *q);

/* queue_handover.c: at the start. */
void handover_found(struct queue *q, uint64_t id);
int handover_open(struct queue *q, struct err *err);

/* queue_limits.c */
void queue_took(struct queue *q, const struct message *m);
void queue_gave(struct queue *q, const struct message *m);
/* The only way flags change: what is held is counted. */
void queue_flags(struct queue *q, struct message *m, uint8_t flags);
/* When the oldest message came, give or take a quarter of a minute; 0: there is none. */
int64_t queue_oldest(struct queue *q);
/* Is there room for one more from outside? Says what changes, once. */
bool queue_has_room(struct queue *q);

/* queue_alarms.c */
const char *queue_alarm_name(enum queue_alarm a);
/* Begins, unless it goes on already. */
void queue_alarm(struct queue *q, enum queue_alarm a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void queue_alarm_over(struct queue *q, enum queue_alarm a);
void queue_watch_disk(struct queue *q);
static inline bool
queue_alarmed(const struct queue *q, enum queue_alarm a)
{
	return q->alarms[a].since != 0;
}

/* queue_submit.c */
int queue_submit(struct queue *q, struct link *from, struct frame *f);
struct awaiting *queue_await(struct queue *q, struct message *m);
/* Appends and puts it among the awaiting; -1: refused at once (status says why). */
int queue_append(struct queue *q, struct stored *s, struct span record, struct payload *payload,
    struct awaiting **aw, enum accept_status *status, struct err *err);
void queue_sync(struct queue *q);
void queue_note_accepted(struct queue *q, struct awaiting *aw, const struct stored *s, struct span record);
void queue_forget_link(struct queue *q, struct link *l);
void queue_answer(struct queue *q, struct link *to, uint64_t ticket, uint64_t id,
    enum accept_status status, const char *why);

/* queue_work.c */
void queue_schedule_all(struct queue *q, struct message *m, const struct plan *p);
void queue_unschedule(struct queue *q, struct leg *l);
void queue_dispatch(struct queue *q);
int queue_result(struct queue *q, struct link *from, struct frame *f);
int queue_kept(struct queue *q, struct link *from, struct frame *f);
void queue_link_lost(struct queue *q, struct link *l);
struct schedule *queue_schedule_of(struct queue *q, const struct leg *l);
/* In whose line a leg waits: a domain, where an operator sent it, STORE_SITE, LOCAL_SITE.
 * The arena is needed for a rerouted one only. */
struct span queue_site(struct queue *q, const struct leg *l, const struct plan *p, struct arena *a);

/* queue_postfix.c: with `log: {format: postfix}` alone. _ended: false: nothing was written */
void queue_postfix_received(uint64_t id, const struct envelope *env);
bool queue_postfix_ended(uint64_t id, const struct envelope *env, enum target_status status, struct span rcpt,
    struct span dsn, struct span why);

/* queue_settle.c */
/* The leg is idle and these outcomes are known: record, tell, notify, go on. */
void queue_settle(struct queue *q, struct message *m, struct leg *l, const struct stored *s,
    const struct plan *p, const struct fate *o, size_t n);
void queue_notice_done(struct queue *q, struct awaiting *aw, bool durable);
void queue_lives(struct queue *q);
void queue_live(struct queue *q, struct message *m);	/* arms the next of notice and expiry */
void queue_finish(struct queue *q, struct message *m);
void queue_remember(struct queue *q, struct message *m, struct leg *l, const struct plan *p,
    const struct fate *o, size_t n);
/* The same, and from now on it goes to "host:port"; empty: where it belongs again. */
void queue_remember_route(struct queue *q, struct message *m, struct leg *l, const struct plan *p,
    struct span route);

/* Class of failure and streak, as the latest state tells them. */
void queue_leg_read(struct leg *l, const struct state *st);

bool queue_failure(enum target_status s);	/* for good, and somebody may be told */

/* queue_notice.c; kind: enum dsn_kind */
#define LEG_NONE UINT16_MAX		/* a notice of delay: of no leg */
bool queue_notice_wanted(const struct queue *q, int kind, const struct stored *s,
    const struct plan *p, const struct fate *o);
bool queue_notice(struct queue *q, struct message *m, uint16_t leg, const struct stored *s,
    const struct plan *p, int kind, const struct fate *o, size_t n);
void queue_note(struct queue *q, struct link *from, uint64_t ticket, const struct msg_submit *m);
int queue_signed(struct queue *q, struct frame *f);
/* Notices whose signature does not come go without; all: now. */
void queue_signing_over(struct queue *q, bool all);

/* queue_events.c */
struct event_log *events_new(void);
void events_free(struct event_log **e);
void queue_event(struct queue *q, const struct msg_event *m);
/* The same in two steps, where what it is made of is gone when it is to be told. NULL: larger than
 * any frame. Freed by telling it, or by free(). */
struct event_entry;
struct event_entry *queue_event_make(struct queue *q, const struct msg_event *m);
void queue_event_tell(struct queue *q, struct event_entry *x);	/* NULL-safe */
void queue_events_resend(struct queue *q);
int queue_events_ack(struct queue *q, uint64_t seq);
/* DONE of a message waits until what was told so far is confirmed; false: it need not, or cannot. always: also
 * while no store is there. */
bool queue_events_hold(struct queue *q, uint64_t id, bool always);
size_t queue_events_held(const struct queue *q);	/* so many are done and wait */
/* queue_settle.c */
enum event_kind queue_event_kind(enum target_status status, enum outcome outcome);
/* queue_retell.c: at the start, what the last run told and may not have brought to the store. */
void queue_retell(struct queue *q);
size_t queue_events_waiting(const struct queue *q);

/* queue_walk.c */
void queue_walks_end(struct queue *q);	/* the queue stops: their answers say so */

/* queue_adopt.c */
void queue_adoptions_end(struct queue *q);
void queue_adopted(struct queue *q, uint64_t id);

/* queue_control.c */
void queue_client(struct runtime *rt, int fd, uint32_t uid, struct span request);

#endif
