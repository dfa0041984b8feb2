/* master.h -- the master's own books: processes, generations, listening sockets.
 *
 * A process is STARTING until its READY, then READY, then RETIRING until it
 * is reaped. A generation is one reading of the configuration: a reload
 * starts a new one of receiver, scanner, signer and delivery beside the old,
 * and only when all of it is ready does the old one retire. Queue and store
 * live through reloads. The master never reads a byte from the network.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <limits.h>
#include <sys/types.h>

#include "ipc/channel.h"
#include "ipc/messages.h"
#include "master/config.h"
#include "master/counters.h"

struct event;
struct event_base;

enum proc_state { PROC_STARTING, PROC_READY, PROC_RETIRING };

struct proc {
	enum role role;
	enum proc_state state;
	bool worker;		/* a scanner's worker: its parent reaps it */
	pid_t pid;
	uid_t uid;		/* its account, once it has done what it needs ours for; a worker's: 0 */
	uint32_t instance, generation;
	uint32_t place;		/* in ids */
	uint32_t parent;	/* worker: its parent's instance */
	struct link *control;	/* NULL once it is gone */
	uint64_t print;		/* a scanner's parent: of the databases it loads (av_watch.c) */
	bool trial;		/* … beside one that works, until it has shown that it does */
	bool told;		/* … and has said why it ends */
	char *ill;		/* a worker: why its antivirus is blind; NULL: it is not */
	uint32_t grace;		/* RETIRING: seconds it was given; 0: none */
	int64_t started;	/* clock_mono */
	int64_t asked;		/* clock_mono of a PULSE it owes an answer to; 0: none */
	bool hangs;		/* … for too long, and that was said */
	struct proc *next;
};

#define BOUND_TEXT_MAX 128	/* a path of the file system has 107 bytes at most */

struct bound {			/* a listening socket, kept for the receivers to come */
	struct ip ip;
	uint16_t port;
	char *path;		/* of the file system, then ip has no family; NULL: it is not */
	uint64_t dev, ino;	/* … of the one we made */
	char *name;		/* systemd's; NULL: none */
	int fd;
	bool inherited;		/* from systemd, which keeps it open whatever we do */
	struct bound *next;
};

struct asked {			/* who wanted a generation, and how */
	const char *how;	/* "start", "reload", "signal", "list", "restart" */
	uint32_t uid;
	int64_t time;		/* clock_real */
};

struct seen_policy {		/* what its scanner says it judges by */
	char hash[17], commit[65];
	uint64_t size;
	int fd;			/* the archive; 0: none yet */
};

struct generation {
	uint32_t number;
	struct config *conf;	/* NULL: there is none */
	int fd;			/* the sealed memfd of its postern.yaml */
	struct asked asked;
	struct seen_policy policy;
};

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct master {
	const char *path;	/* postern.yaml, absolute */
	const char *exe;
	int reader_fd;		/* postern-ocr as it was at the start; -1: there was none */
	bool foreground;
	enum phase phase;
	struct event_base *base;
	struct event *tick, *sig[5];
	struct generation now, next;
	struct proc *procs;
	struct bound *bound;
	int shared_fd, pid_fd, control_fd;
	struct shared *shared;
	struct event *control_event;
	uint32_t last_instance, last_generation, last_place;
	int64_t since;		/* clock_real at the start */
	int64_t stop_by;	/* clock_mono: then what is left is killed */
	struct { int64_t not_before, delay; } respawn[ROLE_COUNT];
	pid_t check;		/* running `posternd -n` before a reload; 0: none */
	int check_fd;		/* what it says */
	struct buf check_out;
	int status;
	struct asked asked;	/* of the check under way */
	int64_t settle_by;	/* clock_mono: until then old scanners may end; 0: no reload is settling */
	struct arena *scratch;
	struct waiting *waiting;	/* control clients that wait for the end of a reload */
	char *refused;		/* why the last reload was; NULL: it was not */
	struct { int fd; uint64_t generation, size; uint32_t entries; } lists;	/* of senders; fd 0: none yet */
	struct watch *watch;	/* files the policy refers to */
	struct av_watch *av;	/* signatures of the antivirus */
	struct watchdog *watchdog;
	struct { uint64_t generation, size; int fd; } bayes;	/* the classifier's model; fd 0: none */
};

/* processes.c */
int proc_start(struct master *m, enum role role, const struct generation *g, struct err *err);
void proc_reap(struct master *m);
/* grace: seconds its sessions may go on; 0: no longer than they need to end decently. */
void proc_retire(struct master *m, struct proc *p, uint32_t grace);
void proc_kill(struct proc *p);
size_t proc_count(const struct master *m, enum role role, uint32_t generation, int state);
/* Starts what the current generation lacks, as far as the back-off allows. */
void procs_fill(struct master *m);
bool generation_ready(const struct master *m, const struct generation *g);
void generation_listen(struct master *m, const struct generation *g);

/* history.c */
/* A scanner's POLICY frame. -1: its body breaks the rules. */
int history_seen(struct master *m, const struct proc *p, struct frame *f);
void history_tell(struct master *m);	/* the store, if it is there */
void history_forget(struct generation *g);

/* lists.c */
int lists_seen(struct master *m, const struct proc *p, struct frame *f);	/* the store's LISTS frame */
void lists_tell(struct master *m, struct proc *p);	/* a receiver; NULL: all */

/* bayes.c */
/* The store's BAYES frame. -1: its body breaks the rules. */
int bayes_published(struct master *m, const struct proc *p, struct frame *f);
void bayes_tell(const struct master *m, struct proc *p);	/* a worker that became ready */

/* reload.c */
void reload_begin(struct master *m, const char *how, uint32_t uid);
void reload_check_done(struct master *m, int status);
/* `posternd -n` as a child; what it said once it has ended, as long as m lives. */
pid_t reload_check_start(struct master *m, bool quietly, struct err *err);
struct span reload_check_said(struct master *m);
void reload_advance(struct master *m);	/* a process of the next generation became ready */
void reload_settle(struct master *m, bool now);	/* tells who asked, once it is done; now: it is */
void reload_failed(struct master *m, const char *why);

/* watch.c */
/* said: what a successful check printed; its lines "watch: PATH" are looked at from now on. */
void watch_take(struct master *m, struct span said);
void watch_failed(struct master *m);	/* what was checked did not come into force after all */
void watch_look(struct master *m);	/* at each tick */
bool watch_waits(const struct master *m);	/* a changed list, for somebody's reload */

/* control.c */
int control_open(struct master *m, struct err *err);
int control_as(struct master *m, struct frame *f);
void control_reload_done(struct master *m, bool ok, struct span text);

/* watchdog.c */
void watchdog_open(struct master *m);	/* once, at the start */
void watchdog_look(struct master *m);	/* at each tick */
void watchdog_heard(struct proc *p);
int64_t watchdog_silent(const struct master *m, const struct proc *p);	/* µs it owes an answer; 0: it does not hang */

/* installed.c */
void installed_open(struct master *m);	/* once, at the start; m->exe is there */
const char *own_exe(const struct master *m);	/* to execute: the program that runs, whatever the disk has now */
bool own_exe_replaced(const struct master *m);
bool own_reader(const struct master *m, char path[PATH_MAX]);	/* false: there is none */

/* activation.c */
void activation_take(struct master *m);	/* listening sockets of systemd, once, at the start */
void notify(const char *state);		/* to systemd: "READY=1" …; without it: nothing */

/* listen.c */
int generation_bind(struct master *m, const struct generation *g, struct err *err);
bool bound_is(const struct bound *b, const struct config *c, size_t endpoint);
bool bound_used(const struct bound *b, const struct config *c);
const char *bound_text(const struct bound *b, char out[static BOUND_TEXT_MAX]);
void bounds_trim(struct master *m);	/* those the configuration in force does not name */
void bounds_close(struct master *m);	/* all: nobody accepts any more */

/* posternd.c */
int generation_load(struct master *m, struct generation *g, bool print, struct err *err);
void master_stop(struct master *m);

#endif
