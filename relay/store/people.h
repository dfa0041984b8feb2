/* people.h -- who signs in to the console, and the accounts of those who do.
 *
 * people.c answers the console (PERSON_ASK), users_control.c the commands users.*; both wait for the
 * authenticator where a password is to be hashed.
 */
#ifndef STORE_PEOPLE_H
#define STORE_PEOPLE_H

#include "ipc/messages_oidc.h"
#include "ipc/messages_people.h"
#include "store/asked.h"
#include "store/failures.h"
#include "store/people_db.h"

#define PEOPLE_WAITING_MAX 64		/* passwords under way; who comes then is told to come again */
#define PASSWORD_MIN 10
#define PASSWORD_MAX 512

struct people {
	struct store *s;
	struct tickets *tickets;	/* of SCRYPT; owner: struct scrypting */
	struct scrypting *waiting;
	size_t n;
	struct failures failures;
	int64_t expire_at;
	int64_t again_at;		/* clock_mono: people_again.c */
};

/* Something that goes on when a password is hashed. */
struct scrypting {
	struct arena *arena;		/* it lies in there itself */
	uint64_t scrypt;		/* the ticket */
	struct link *link;		/* the console's; NULL: it is gone, or a control client asks */
	uint64_t ticket;		/* … and its ticket */
	struct reply *reply;		/* a control client's */
	struct span by;			/* who asks, for the audit log */
	/* m NULL: the authenticator does not answer. */
	void (*done)(struct people *p, struct scrypting *w, const struct msg_scrypted *m);
	/* people.c: signing in, a new password of one's own */
	struct span name, code, session, old, ip, password;
	bool known;
	const struct msg_entered *entered;	/* while done runs; NULL: the directory does not answer */
	const struct msg_oidc_told *told;	/* … ; NULL: the fetcher does not answer */
	/* users_control.c; else who it turned out to be */
	struct person person;
	bool fresh;
	struct scrypting *next;
};

/* people_link.c: signing in by a mail, for addresses of ours. */
void people_link(struct people *p, struct link *l, uint64_t ticket, const struct jval *v);
void people_link_use(struct people *p, struct link *l, uint64_t ticket, const struct jval *v);
/* What such a session may: its address's own. */
struct person people_by_link(struct span address);

/* people_sign_in.c */
void people_sign_in(struct people *p, struct scrypting *w, const struct jval *v);
bool people_too_often(const struct people *p, const struct scrypting *w);
/* One more failure of w's name (where it has one) and address, for the limits and the audit log. */
void people_failed(struct people *p, struct scrypting *w, const char *why, uint32_t weight);
/* The password was right: a code where row has one, then a session. row: the account, NULL none; who: what he may, row
 * itself or else kept in the session. */
void people_admit(struct people *p, struct scrypting *w, struct person *row, const struct person *who,
    const char *kind);

/* people_directory.c: signing in by a bind. Takes w. */
void people_directory(struct people *p, struct scrypting *w);
/* What a session keeps of who has no account, and who that is. row: the account of his name, NULL none.
 * 1, or 0: the session is over. */
struct span people_principal(struct arena *a, const struct person *who);
int people_by_directory(struct people *p, const struct session *s, const struct person *row, struct arena *a,
    struct person *out);

/* What a session keeps of who has no account. */
struct person people_kept(const struct session *s, const struct person *row, struct arena *a);

/* people_oidc.c: signing in at a provider of OpenID Connect. people_oidc_return takes w. */
void people_oidc_start(struct people *p, struct scrypting *w, const struct jval *v);
void people_oidc_return(struct people *p, struct scrypting *w, const struct jval *v);
int people_by_oidc(struct people *p, const struct session *s, const struct person *row, struct arena *a,
    struct person *out);
/* Where he who signs out here signs out there, too; "" nowhere. */
struct span people_oidc_leave(struct people *p, const struct session *s, struct arena *a);

/* people_again.c */
void people_again(struct people *p);

/* people.c */
void people_tell_fault(struct link *l, uint64_t ticket, const struct err *err);
void people_tell_error(struct link *l, uint64_t ticket, const char *code, const char *text);
void people_tell_done(struct link *l, uint64_t ticket);
void people_tell_url(struct link *l, uint64_t ticket, const char *key, struct span url);
void people_tell_person(struct link *l, uint64_t ticket, const struct person *p, const struct session *s);
struct people *people_new(struct store *s);
int people_ask(struct people *p, struct link *l, struct frame *f);
int people_scrypted(struct people *p, struct frame *f);
int people_entered(struct people *p, struct frame *f);
int people_told(struct people *p, struct frame *f);
void people_peer_down(struct people *p, struct link *l);
void people_tick(struct people *p);

struct scrypting *scrypting_new(void);
void scrypting_free(struct scrypting *w);
/* Asks the newest peer of that role, and wipes b. Takes w: done is called once, perhaps before this returns. */
void people_send(struct people *p, struct scrypting *w, enum role role, enum frame_type type, struct buf *b);
/* Takes w: done is called once, perhaps before this returns. hash "": one is made. */
void scrypting_start(struct people *p, struct scrypting *w, struct span password, struct span hash);

/* Commands users.*; q->reply is kept where it waits. */
void users_client(struct asked *q, struct span cmd);
/* NULL: it may be one; else what is wrong with it. */
const char *password_fault(struct span password);

#endif
