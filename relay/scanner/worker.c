/* worker.c -- a forked scanner: one blocking loop, one message at a time; see worker.h.
 *
 * Everything a stranger wrote is looked at here, so this process may do next
 * to nothing: no network, no exec, no fork, no files but its own temporary
 * folder. It keeps nothing from one message to the next, but for what the antivirus
 * found clean (remember.h).
 *
 * Archives and documents are read here too, and not in a process of their own:
 * the readers call nothing, as a message costs at most this process, whose cage
 * could not be smaller; a second process would cost each message a switch and a copy of
 * all that comes out of its files. Memory is limited (scanners.memory, RLIMIT_DATA): past
 * it the process ends like one that crashes.
 *
 * A message that takes longer than scanners.timeout ends the process by
 * SIGALRM, one that crashes it by its own signal: the receiver sees the
 * channel close, tries the message once more on another worker, and then
 * has it held. So a worker never answers in place of a verdict.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/messages_antivirus.h"
#include "ipc/messages_bayes.h"
#include "log.h"
#include "postern/record.h"
#include "scanner/classify.h"
#include "scanner/inspect.h"
#include "scanner/pictures.h"
#include "scanner/worker.h"

#define PEERS_MAX 512
#define ARENA_BLOCK (1u << 20)
#define DIAL_MS 5000		/* for a connection to clamd */
#define GOODBYE (5 * US_PER_SEC)	/* for receivers to let a retiring worker go */

struct peer {
	struct chan chan;
	enum role role;
	uint32_t instance;
	bool gone;
};

struct worker {
	struct worker_env *env;
	uint32_t instance;
	struct chan control;
	struct peer *peers[PEERS_MAX];
	size_t npeers;
	struct arena *arena;		/* of one message */
	struct buf answer;
	size_t model_size;		/* mapped: of the classifier's model */
	bool ill;			/* the antivirus: the master was told so */
	struct pictures pictures;
	struct picture_reader reader;
	bool finished;			/* the master is gone */
	int status;
};

static volatile sig_atomic_t retiring;

static void
on_term(int sig)
{
	retiring = 1;
}

/* The default action of SIGALRM ends the process, which is what is wanted. */
static void
set_alarm(int64_t us)
{
	struct itimerval it = { .it_value = { us / US_PER_SEC, us % US_PER_SEC } };

	setitimer(ITIMER_REAL, &it, NULL);
}

static int
flush_all(struct chan *c, struct err *err)
{
	int rc;

	while ((rc = chan_flush(c, err)) == 1) {
		struct pollfd pfd = { .fd = c->fd, .events = POLLOUT };

		poll(&pfd, 1, -1);
	}
	return rc;
}

static void
tell_master(struct worker *w, enum frame_type type, enum role role, uint32_t instance)
{
	struct err err;
	struct buf b;

	startup_ready(&b, role, instance);	/* READY and FAULT have the same body */
	if (chan_push(&w->control, type, 0, buf_data(&b), -1) == -1 ||
	    flush_all(&w->control, &err) == -1)
		w->finished = true;
	buf_release(&b);
}

static void
drop_peer(struct worker *w, struct peer *p, bool fault, const char *why)
{
	p->gone = true;
	if (!fault)
		return;
	log_error("%s[%u] broke the rules of its channel: %s", role_name(p->role), p->instance, why);
	tell_master(w, FRAME_FAULT, p->role, p->instance);
}

/* ---- the antivirus ---- */

/* clamd that is well, but calls clean what it has not looked at. */
static struct span
silent(struct worker *w)
{
	if (w->env->conf->antivirus.engine != AV_CLAMD ||
	    antivirus_tells_limits(w->env->judge.antivirus, w->arena))
		return (struct span){ 0 };
	return SPAN_LIT(ANTIVIRUS_SILENT);
}

/* The master is told of changes, not of each failure. why NULL: it is well. */
static void
tell_antivirus(struct worker *w, const char *why)
{
	const struct antivirus *av = w->env->judge.antivirus;
	struct msg_antivirus m = { .report = why ? AV_REPORT_ILL : AV_REPORT_WELL,
		.engine = antivirus_engine(av), .signatures = antivirus_signatures(av)->count,
		.made = antivirus_signatures(av)->made, .text = why ? span_str(why) : silent(w) };
	struct err err;
	struct buf b;

	counter_add(COUNTER_AV_CANARIES_MISSED, why != NULL);
	if (w->ill == (why != NULL) && !(why == NULL && w->env->conf->antivirus.engine == AV_CLAMD))
		return;		/* clamd may have new signatures, which the master is to know */
	w->ill = why != NULL;
	buf_init(&b, FRAME_SMALL);
	antivirus_encode(&b, &m);
	if (chan_push(&w->control, FRAME_ANTIVIRUS, 0, buf_data(&b), -1) == -1 ||
	    flush_all(&w->control, &err) == -1)
		w->finished = true;
	buf_release(&b);
}

/* Also when there is no mail: a blind engine shall be known of before the next message comes. */
static void
look_for_canary(struct worker *w)
{
	struct antivirus *av = w->env->judge.antivirus;
	struct err err;
	int rc;

	if (av == NULL || retiring || antivirus_canary_in(av) > 0)
		return;
	arena_reset(w->arena);
	set_alarm(w->env->conf->scan_timeout);
	rc = antivirus_canary(av, &err);
	set_alarm(0);
	tell_antivirus(w, rc == -1 ? err.text : NULL);
}

/* Asks the parent for a connection to clamd: this process may make none. ctx: the worker_env. */
int
worker_dial(void *ctx, struct err *err)
{
	const struct worker_env *env = ctx;
	struct pollfd pfd = { .fd = env->dial, .events = POLLIN };
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } ctl;
	char text[DIAL_TEXT_MAX + 1];
	struct iovec iov = { text, DIAL_TEXT_MAX };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
		.msg_controllen = sizeof(ctl.room) };
	struct cmsghdr *c;
	ssize_t n;
	int fd = -1;

	if (send(env->dial, "?", 1, MSG_NOSIGNAL) != 1)
		return err_errno(err, "clamd: asking for a connection");
	while ((n = poll(&pfd, 1, DIAL_MS)) == -1 && errno == EINTR)
		;
	if (n != 1 || (n = recvmsg(env->dial, &mh, MSG_CMSG_CLOEXEC)) <= 0)
		return err_set(err, ETIMEDOUT, "clamd: no connection can be had");
	c = CMSG_FIRSTHDR(&mh);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	text[n] = '\0';
	return fd == -1 ? err_set(err, 0, "%s", text) : fd;
}

/* ---- a message ---- */

static void
count_rules(const struct verdict *v)
{
	static const struct span modes[] = { { "enforce", 7 }, { "shadow", 6 }, { "skipped", 7 } };

	for (size_t i = 0, n; i < v->ndecisions; i += n) {
		const struct decision *d = &v->decisions[i];
		const struct span *ids[] = { d->rules, d->shadow, d->skipped };
		const size_t nids[] = { d->nrules, d->nshadow, d->nskipped };

		for (n = 1; i + n < v->ndecisions && v->decisions[i + n].rules == d->rules &&
		    v->decisions[i + n].shadow == d->shadow && v->decisions[i + n].skipped == d->skipped; n++)
			;
		for (int m = 0; m < 3; m++)
			for (size_t k = 0; k < nids[m]; k++)
				label_add(LABEL_RULE, ids[m][k], modes[m], n);
	}
}

static void
count(const struct worker *w, const struct judgement *ju)
{
	const struct verdict *v = &ju->verdict;
	static const enum counter of[OUTCOME_COUNT] = {
		[OUTCOME_DELIVER] = COUNTER_OUT_DELIVER, [OUTCOME_REDIRECT] = COUNTER_OUT_REDIRECT,
		[OUTCOME_DISCARD] = COUNTER_OUT_DISCARD, [OUTCOME_QUARANTINE] =
		    COUNTER_OUT_QUARANTINE, [OUTCOME_HOLD] = COUNTER_OUT_HOLD,
		[OUTCOME_DEFER] = COUNTER_OUT_DEFER, [OUTCOME_REJECT] = COUNTER_OUT_REJECT,
	};
	uint32_t n[OUTCOME_COUNT] = { 0 };

	for (size_t i = 0; i < v->ndecisions; i++)
		n[v->decisions[i].outcome]++;
	for (int o = OUTCOME_DELIVER; o < OUTCOME_COUNT; o++)
		if (n[o])
			counter_add(of[o], n[o]);
	count_rules(v);
	counter_add(COUNTER_SCANS, 1);
	if (w->env->judge.antivirus && !ju->stamp_accepted) {
		counter_add(COUNTER_AV_SCANS, 1);
		counter_add(COUNTER_AV_REMEMBERED, antivirus_remembered(w->env->judge.antivirus));
	}
	counter_add(COUNTER_AV_STAMPED, ju->stamped);
	counter_add(COUNTER_AV_STAMPS_ACCEPTED, ju->stamp_accepted);
	counter_add(COUNTER_AV_STAMPS_REFUSED, ju->stamp_refused);
	counter_add(COUNTER_AV_STAMPS_STRIPPED, ju->stamps_stripped);
}

static void
encode_answer(struct worker *w, const struct envelope *env, const struct judgement *ju)
{
	struct span record = judgement_record(&w->env->judge, env, ju, RECORD_MAX, w->arena);
	struct judgement failed = *ju;
	struct msg_verdict m;
	bool fits = true;

	judgement_message(ju, record, w->arena, &m);
	m.tokens = classify_remember(&w->env->judge.bayes, env, &ju->verdict, &ju->tokens, w->arena);
	buf_reset(&w->answer);
	verdict_encode(&w->answer, &m);
	for (size_t i = 0; i < m.nvariants && fits; i++)
		fits = m.variants[i].nedits <= PAYLOAD_PIECES_MAX / 2 - 8;
	if (fits && !buf_failed(&w->answer))
		return;
	/* More edits than a frame can carry: what cannot be said whole is not said in part. */
	log_msg(LOG_LVL_WARN, env->id, "the verdict is too large; held as unscannable");
	policy_verdict_failed(w->env->judge.policy, env, true, SPAN_LIT("The verdict is too large"),
	    w->arena, &failed.verdict);
	failed.verdict.record = record_failed(w->env->judge.policy, &ju->anatomy, env, &ju->facts,
	    &failed.verdict, SPAN_LIT("The verdict is too large"), w->arena);
	record = judgement_record(&w->env->judge, env, &failed, RECORD_MAX, w->arena);
	judgement_message(&failed, record, w->arena, &m);
	buf_reset(&w->answer);
	verdict_encode(&w->answer, &m);
	ASSERT(!buf_failed(&w->answer));
}

static void
log_overrides(const struct envelope *env, const struct verdict *v)
{
	const struct overridden *last = NULL;

	for (size_t i = 0; i < v->ndecisions; i++)
		for (size_t k = 0; k < v->decisions[i].noverridden; k++) {
			const struct overridden *o = &v->decisions[i].overridden[k];

			if (i && v->decisions[i].overridden == v->decisions[i - 1].overridden)
				break;		/* recipients of one class */
			if (!last || !span_eq(last->rule, o->rule))
				log_msg(LOG_LVL_INFO, env->id, "rule " SPAN_FMT " overridden by <" SPAN_FMT
				    ">: " SPAN_FMT, SPAN_ARG(o->rule), SPAN_ARG(env->sender),
				    SPAN_ARG(o->reason));
			last = o;
		}
}

/* One message that cannot be looked at is no illness; a canary that is not found is one. */
static void
tell_message(struct worker *w, const char *trouble)
{
	bool well = antivirus_well(w->env->judge.antivirus);

	if (!well && *trouble)
		tell_antivirus(w, trouble);
	else if (well && w->ill)
		tell_antivirus(w, NULL);
}

static void
scan(struct worker *w, struct msg_scan *m)
{
	struct span raw = payload_flat(&m->payload, w->arena);
	struct facts facts = m->inbound;
	const struct policy_options opt = { .known = &facts, .told = true };
	int64_t from = clock_mono();
	struct judgement ju;

	facts.members = m->members;
	pictures_begin(&w->pictures);
	judge_message(&w->env->judge, &m->env, raw, &opt, w->arena, &ju);
	if (w->env->judge.antivirus)
		tell_message(w, ju.trouble);
	if (*ju.trouble) {
		counter_add(COUNTER_SCAN_ERRORS, 1);
		log_msg(LOG_LVL_ERROR, m->env.id, "%s", ju.trouble);
	}
	count(w, &ju);
	histogram_add(HISTOGRAM_SCAN, clock_mono() - from);
	log_overrides(&m->env, &ju.verdict);
	encode_answer(w, &m->env, &ju);
}

/* -1: the frame breaks the rules. */
static int
on_scan(struct worker *w, struct peer *p, struct frame *f)
{
	struct msg_scan m;
	struct err err;

	if (f->type != FRAME_SCAN || scan_decode(f->body, f->fd, w->arena, &m) == -1)
		return -1;
	set_alarm(w->env->conf->scan_timeout);
	if (payload_map(&m.payload, &err) == -1) {
		/* Without an answer: the receiver's deadline defers the message. */
		log_msg(LOG_LVL_ERROR, m.env.id, "%s", err.text);
		drop_peer(w, p, false, "");
		set_alarm(0);
		return 0;
	}
	scan(w, &m);
	payload_unmap(&m.payload);
	set_alarm(0);
	if (chan_push(&p->chan, FRAME_VERDICT, f->ticket, buf_data(&w->answer), -1) == -1 ||
	    flush_all(&p->chan, &err) == -1)
		drop_peer(w, p, false, "");
	if (w->answer.cap > (1u << 20))
		buf_release(&w->answer);
	return 0;
}

/* What is kept, looked at for those who decide about it. -1: the frame breaks the rules. */
static int
on_inspect(struct worker *w, struct peer *p, struct frame *f)
{
	struct msg_inspected told;
	struct msg_inspect m;
	struct err err;

	if (inspect_decode(f->body, f->fd, w->arena, &m) == -1)
		return -1;
	set_alarm(w->env->conf->scan_timeout);
	if (payload_map(&m.payload, &err) == -1) {
		log_msg(LOG_LVL_ERROR, m.env.id, "%s", err.text);
		told = (struct msg_inspected){ .status = INSPECT_FAILED, .why = span_str(err.text) };
	} else {
		pictures_begin(&w->pictures);
		inspect_message(&w->env->judge, m.what, &m.env, payload_flat(&m.payload, w->arena),
		    w->arena, &told);
	}
	buf_reset(&w->answer);
	inspected_encode(&w->answer, &told);
	ASSERT(!buf_failed(&w->answer));
	payload_unmap(&m.payload);
	set_alarm(0);
	if (chan_push(&p->chan, FRAME_INSPECTED, f->ticket, buf_data(&w->answer), -1) == -1 ||
	    flush_all(&p->chan, &err) == -1)
		drop_peer(w, p, false, "");
	return 0;
}

static int
on_frame(struct worker *w, struct peer *p, struct frame *f)
{
	return f->type == FRAME_INSPECT ? on_inspect(w, p, f) : on_scan(w, p, f);
}

/* ---- the master ---- */

/* The classifier's model, in place of the one before. What cannot be mapped leaves that one. */
static int
take_model(struct worker *w, struct frame *f)
{
	struct bayes_model *now = &w->env->judge.bayes, m;
	struct msg_bayes msg;
	struct err err;
	uint64_t size;
	void *p;

	if (bayes_decode(f->body, f->fd, w->arena, &msg) == -1)
		return -1;
	if (!w->env->conf->bayes.on)
		return 0;
	if (fs_memfd_check(f->fd, &size, &err) == -1 || size != msg.size) {
		log_error("the classifier's model is not as it was announced");
		return 0;
	}
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, f->fd, 0);
	if (p == MAP_FAILED || !bayes_model_read(span_make(p, size), &m)) {
		log_error("the classifier's model cannot be read");
		if (p != MAP_FAILED)
			munmap(p, size);
		return 0;
	}
	if (now->head)
		munmap((void *)(uintptr_t)now->head, w->model_size);
	*now = m;
	w->model_size = size;
	return 0;
}

static int
on_control(struct worker *w, struct frame *f)
{
	struct msg_peer m;
	struct peer *p;

	if (f->type == FRAME_RETIRE) {
		retiring = 1;
		return 0;
	}
	if (f->type == FRAME_BAYES)
		return take_model(w, f);
	if (f->type != FRAME_PEER)
		return f->type == FRAME_GO ? 0 : -1;
	if (peer_decode(f->body, f->fd, w->arena, &m) == -1 || f->fd == -1)
		return -1;
	if (m.role == ROLE_READER) {
		pictures_connect(&w->pictures, f->fd, m.instance);
		f->fd = -1;
		return 0;
	}
	if ((m.role != ROLE_RECEIVER && m.role != ROLE_STORE) || w->npeers == PEERS_MAX)
		return -1;
	p = calloc(1, sizeof(*p));
	ASSERT(p != NULL);
	chan_init(&p->chan, f->fd, ROLE_SCANNER, m.role);
	f->fd = -1;
	p->role = m.role;
	p->instance = m.instance;
	w->peers[w->npeers++] = p;
	return 0;
}

static void
hear_control(struct worker *w)
{
	struct frame f = { .fd = -1 };
	struct err err = { 0 };
	int rc = chan_fill(&w->control, &err);

	while (rc != -1 && (rc = chan_next(&w->control, &f, &err)) == 1) {
		arena_reset(w->arena);
		if (on_control(w, &f) == -1) {
			log_error("a frame of the master that cannot be: %s", frame_name(f.type));
			rc = -1;
		}
	}
	if (f.fd != -1)
		close(f.fd);
	if (rc == -1) {
		w->finished = true;
		w->status = retiring ? 0 : 1;
	}
}

/* ---- the loop ---- */

/* One frame of each peer, so that a busy one does not starve the others. True: there was one. */
static bool
serve_once(struct worker *w)
{
	bool any = false;

	for (size_t i = 0; i < w->npeers; i++) {
		struct frame f = { .fd = -1 };
		struct peer *p = w->peers[i];
		struct err err = { 0 };
		int rc;

		if (p->gone)
			continue;
		arena_reset(w->arena);
		rc = chan_next(&p->chan, &f, &err);
		if (rc == 1 && on_frame(w, p, &f) == -1)
			drop_peer(w, p, true, frame_name(f.type));
		else if (rc == -1)
			drop_peer(w, p, true, err.text);
		any |= rc == 1;
		if (f.fd != -1)
			close(f.fd);
	}
	return any;
}

static void
bury_gone(struct worker *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->npeers; i++) {
		struct peer *p = w->peers[i];

		if (!p->gone) {
			w->peers[kept++] = p;
			continue;
		}
		chan_release(&p->chan);
		free(p);
	}
	w->npeers = kept;
}

/* Waits (unless busy) and reads what is there. False: nothing was. */
static bool
listen_all(struct worker *w, struct pollfd *pfds, bool busy)
{
	static const struct timespec now = { 0, 0 }, soon = { 0, 50 * 1000000L };
	const struct antivirus *av = w->env->judge.antivirus;
	struct timespec canary;
	size_t n = w->npeers;

	pfds[0] = (struct pollfd){ .fd = w->control.fd, .events = POLLIN };
	for (size_t i = 0; i < n; i++)
		pfds[i + 1] = (struct pollfd){ .fd = w->peers[i]->chan.fd, .events = POLLIN };
	if (av) {
		int64_t us = antivirus_canary_in(av) + 1000;

		canary = (struct timespec){ us / US_PER_SEC, us % US_PER_SEC * 1000 };
	}
	if (ppoll(pfds, n + 1, busy ? &now : retiring ? &soon : av ? &canary : NULL,
	    &w->env->sigmask) <= 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };

		if (pfds[i + 1].revents && chan_fill(&w->peers[i]->chan, &err) == -1)
			drop_peer(w, w->peers[i], err.code == EPROTO, err.text);
	}
	if (pfds[0].revents)
		hear_control(w);
	return true;
}

/* Retiring: receivers hear it, send no more, and close when they have all their answers, so that
 * nothing is lost between them and us. Until when they are waited for. */
static int64_t
say_goodbye(struct worker *w)
{
	struct err err;

	for (size_t i = 0; i < w->npeers; i++)
		if (chan_push(&w->peers[i]->chan, FRAME_RETIRE, 0, (struct span){ 0 }, -1) == -1 ||
		    flush_all(&w->peers[i]->chan, &err) == -1)
			drop_peer(w, w->peers[i], false, "");
	bury_gone(w);
	return clock_mono() + GOODBYE;
}

static void
loop(struct worker *w)
{
	struct pollfd *pfds = calloc(PEERS_MAX + 1, sizeof(*pfds));
	int64_t leave_by = 0;
	bool busy = false;

	ASSERT(pfds != NULL);
	while (!w->finished) {
		bool heard = listen_all(w, pfds, busy);

		busy = serve_once(w);
		bury_gone(w);
		look_for_canary(w);
		if (!retiring)
			continue;
		if (leave_by == 0)
			leave_by = say_goodbye(w);
		if (!busy && !heard && (w->npeers == 0 || clock_mono() >= leave_by))
			break;		/* everything that had arrived is answered */
	}
	free(pfds);
}

static int
confine(struct worker *w, const char *tmpdir, struct err *err)
{
	static const struct sandbox box = { .may = SANDBOX_FILES_READ | SANDBOX_FILES_WRITE };
	const char *write[] = { tmpdir, NULL };
	const struct sandbox_paths paths = { .write = write };
	const char *missing;

	if (sandbox_enter(&box, &paths, &missing, err) == -1)
		return -1;
	if (w->env->judge.antivirus == NULL)
		return 0;
	if (antivirus_tmpdir(w->env->judge.antivirus, tmpdir, err) == -1)
		return -1;
	/* The canary proves the engine inside the cage: what it may not do there, it will not find.
	 * clamd may be started after us. */
	if (antivirus_canary(w->env->judge.antivirus, err) == -1) {
		tell_antivirus(w, err->text);
		return w->env->conf->antivirus.engine == AV_CLAMD ? 0 : -1;
	}
	tell_antivirus(w, NULL);
	return 0;
}

int
worker_main(struct worker_env *env, uint32_t instance, const char *tmpdir, int control)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct sigaction sa = { .sa_handler = on_term };
	struct err err = { 0 };

	ASSERT(w != NULL);
	w->env = env;
	w->instance = instance;
	w->arena = arena_new(ARENA_BLOCK);
	w->pictures.each = env->conf->ocr.time;
	w->pictures.all = env->conf->ocr.per_message;
	w->reader = (struct picture_reader){ pictures_ask, &w->pictures };
	if (env->conf->ocr.on)
		env->judge.pictures = &w->reader;
	buf_init(&w->answer, FRAME_BIG);
	chan_init(&w->control, control, ROLE_SCANNER, ROLE_MASTER);
	sigaction(SIGTERM, &sa, NULL);
	if (confine(w, tmpdir, &err) == -1) {
		log_error("a worker does not start: %s", err.text);
		return 1;
	}
	tell_master(w, FRAME_READY, ROLE_SCANNER, instance);
	loop(w);
	return w->status;
}
