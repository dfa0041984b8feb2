/* av_watch.c -- new antivirus signatures without a blind moment; see master.h.
 *
 * Once a second the folder of databases is looked at (names, sizes, times; no
 * file is read). What has changed and then stood still for SETTLE_US is loaded by a new
 * scanner beside the one that works, the *trial*. Its first worker that is
 * ready, after its canary, ends the trial: the receivers have the new worker already, and
 * the old scanner is retired as at any reload. A trial that cannot load them (half a file, an
 * empty folder, no EICAR in them, no memory) is over, the old scanner goes
 * on, and that is an alarm until signatures come that can be loaded. The same
 * files are not tried again before RETRY_US, or until something changes.
 *
 * So while a trial loads the signatures are in memory twice (official ones: about 1.2 GiB each).
 * `antivirus: {reload: after}` retires the old scanner first, and mail is
 * deferred for as long as loading takes.
 *
 * Scanners tell how they are in ANTIVIRUS frames. What is wrong is an alarm: in the log
 * when it begins and when it is over, and in `postern status` meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ipc/messages_antivirus.h"
#include "json.h"
#include "log.h"
#include "master/av_watch.h"
#include "scanner/signatures.h"

#define LOOK_US (1 * US_PER_SEC)
#define SETTLE_US (2 * US_PER_SEC)
#define RETRY_US (600 * US_PER_SEC)

struct av_watch {
	int64_t looked, changed;	/* clock_mono */
	uint64_t seen;			/* print at the last look */
	uint64_t refused;		/* print that could not be loaded; 0: none */
	int64_t refused_at;
	struct in_use {
		char *engine, *id;
		uint32_t signatures;
		int64_t made, loaded;	/* Unix seconds */
	} now, next;			/* next: the trial's */
	char *why;			/* the last ones were refused; NULL: they were not */
	bool old;			/* alarm was given */
	char *but;			/* it is well, but …; NULL: no but */
};

static struct av_watch *
watch_of(struct master *m)
{
	if (m->av == NULL) {
		m->av = calloc(1, sizeof(*m->av));
		ASSERT(m->av != NULL);
	}
	return m->av;
}

static const struct conf_antivirus *
conf_of(const struct master *m)
{
	return m->now.conf ? &m->now.conf->antivirus : NULL;
}

static void
keep(char **to, struct span s)
{
	free(*to);
	*to = s.n ? strndup(s.p, s.n) : NULL;
}

uint64_t
av_print(const struct generation *g)
{
	const struct conf_antivirus *c = &g->conf->antivirus;

	return c->engine == AV_LIBCLAMAV ? signatures_print(c->databases) : 0;
}

/* The scanner in force, or the one that is coming up: the youngest. NULL: none. */
static const struct proc *
youngest(const struct master *m)
{
	const struct proc *best = NULL;

	for (const struct proc *p = m->procs; p; p = p->next)
		if (p->role == ROLE_SCANNER && !p->worker && p->generation == m->now.number &&
		    p->state != PROC_RETIRING && (best == NULL || p->instance > best->instance))
			best = p;
	return best;
}

static struct proc *
trial_of(const struct master *m)
{
	for (struct proc *p = m->procs; p; p = p->next)
		if (p->trial)
			return p;
	return NULL;
}

/* ---- age ---- */

static int64_t
age_us(const struct av_watch *w)
{
	return w->now.made ? clock_real() - w->now.made * US_PER_SEC : 0;
}

static void
look_at_age(struct av_watch *w, const struct conf_antivirus *c)
{
	static const char *const then[] = { "", ": mail is deferred (antivirus.on_old)",
		": mail is unscannable (antivirus.on_old)" };
	bool old = c->max_age && w->now.made && age_us(w) > c->max_age;

	counter_set(COUNTER_AV_SIGNATURES_MADE, (uint64_t)(w->now.made > 0 ? w->now.made : 0));
	if (old == w->old)
		return;
	w->old = old;
	if (old)
		log_error("antivirus: the signatures are %lld days old%s: does freshclam run?",
		    (long long)(age_us(w) / US_PER_SEC / 86400), then[c->on_old]);
	else
		log_info("antivirus: the signatures are recent again");
}

/* ---- a new generation of signatures ---- */

static void
refused(struct master *m, struct span why)
{
	struct av_watch *w = watch_of(m);

	keep(&w->why, why);
	log_error("antivirus: new signatures are refused, those of before go on: " SPAN_FMT, SPAN_ARG(why));
	counter_add(COUNTER_AV_RELOADS_REFUSED, 1);
}

static void
trial_start(struct master *m)
{
	struct err err;

	log_info("antivirus: %s has changed: loading", conf_of(m)->databases);
	if (conf_of(m)->reload_after) {
		for (struct proc *p = m->procs; p; p = p->next)
			if (p->role == ROLE_SCANNER && !p->worker && p->generation == m->now.number)
				proc_retire(m, p, 0);
		return;		/* procs_fill starts the next when the last of these has ended */
	}
	if (proc_start(m, ROLE_SCANNER, &m->now, &err) == -1) {
		log_error("starting scanner: %s", err.text);
		return;
	}
	for (struct proc *p = m->procs; p; p = p->next)
		if (p->role == ROLE_SCANNER && !p->worker && p->instance == m->last_instance)
			p->trial = true;
}

void
av_watch_look(struct master *m)
{
	const struct conf_antivirus *c = conf_of(m);
	struct av_watch *w = watch_of(m);
	int64_t now = clock_mono();
	const struct proc *p;
	uint64_t print;

	if (m->phase != PHASE_RUNNING || c == NULL || now - w->looked < LOOK_US)
		return;
	w->looked = now;
	look_at_age(w, c);
	if (c->engine != AV_LIBCLAMAV)
		return;
	if ((print = av_print(&m->now)) != w->seen) {
		w->seen = print;
		w->changed = now;
		return;
	}
	/* What could not be loaded has gone again. */
	if (w->why && w->refused && w->refused != print && (p = youngest(m)) != NULL && p->print == print) {
		log_info("antivirus: the signatures in use are those of %s again", c->databases);
		keep(&w->why, (struct span){ 0 });
		w->refused = 0;
	}
	if (now - w->changed < SETTLE_US || m->check || m->next.conf || trial_of(m) ||
	    (p = youngest(m)) == NULL || p->state != PROC_READY || p->print == print ||
	    (w->refused && w->refused == print && now - w->refused_at < RETRY_US))
		return;
	trial_start(m);
}

static void
take(struct in_use *u, const struct msg_antivirus *msg)
{
	keep(&u->engine, msg->engine);
	keep(&u->id, msg->id);
	u->signatures = msg->signatures;
	u->made = msg->made;
	u->loaded = clock_real() / US_PER_SEC;
}

void
av_watch_worker(struct master *m, const struct proc *worker)
{
	struct av_watch *w = watch_of(m);
	struct proc *t = trial_of(m);

	if (t == NULL || worker->parent != t->instance)
		return;
	t->trial = false;
	free(w->now.engine);
	free(w->now.id);
	w->now = w->next;
	w->next = (struct in_use){ 0 };
	keep(&w->why, (struct span){ 0 });
	for (struct proc *p = m->procs; p; p = p->next)
		if (p->role == ROLE_SCANNER && !p->worker && p->generation == t->generation && p != t)
			proc_retire(m, p, 0);
	log_info("antivirus: new signatures are in use: %s", w->now.engine);
	counter_add(COUNTER_AV_RELOADS, 1);
}

void
av_watch_cancel(struct master *m)
{
	struct proc *t = trial_of(m);

	if (t == NULL)
		return;
	t->trial = false;
	t->state = PROC_RETIRING;
	proc_kill(t);
}

bool
av_watch_died(struct master *m, struct proc *p, const char *how)
{
	struct av_watch *w = watch_of(m);

	if (!p->trial)
		return false;
	w->refused = p->print;
	w->refused_at = clock_mono();
	if (!p->told)
		refused(m, span_str(how));
	return true;
}

/* ---- what scanners say ---- */

int
av_watch_heard(struct master *m, struct proc *p, const struct frame *f)
{
	struct av_watch *w = watch_of(m);
	struct msg_antivirus msg;

	if (antivirus_decode(f->body, f->fd, m->scratch, &msg) == -1 ||
	    p->worker != (msg.report == AV_REPORT_WELL || msg.report == AV_REPORT_ILL))
		return -1;
	switch (msg.report) {
	case AV_REPORT_LOADED:
		take(p->trial ? &w->next : &w->now, &msg);
		if (!p->trial)
			keep(&w->why, (struct span){ 0 });
		w->refused = 0;
		break;
	case AV_REPORT_REFUSED:
		p->told = true;
		if (p->trial)
			refused(m, msg.text);
		else if (m->next.conf && p->generation == m->next.number)
			reload_failed(m, arena_str(m->scratch, msg.text));
		else if (m->phase == PHASE_RUNNING && p->generation == m->now.number)
			keep(&w->why, msg.text);	/* and nobody scans: see av_watch_status */
		break;
	case AV_REPORT_ILL:
		if (p->ill == NULL)
			log_error("antivirus: " SPAN_FMT ": mail is deferred", SPAN_ARG(msg.text));
		keep(&p->ill, msg.text);
		if (trial_of(m) && trial_of(m)->instance == p->parent) {
			struct proc *t = trial_of(m);

			refused(m, msg.text);
			t->told = true;
			proc_kill(t);
		}
		break;
	default:
		if (msg.made)	/* clamd may have new ones */
			w->now.made = msg.made;
		if (msg.engine.n && m->now.conf && conf_of(m)->engine == AV_CLAMD)
			keep(&w->now.engine, msg.engine);
		if (p->ill)
			log_info("antivirus: it answers as it must again");
		keep(&p->ill, (struct span){ 0 });
		if (msg.text.n && (w->but == NULL || !span_eq(span_str(w->but), msg.text)))
			log_warn("antivirus: " SPAN_FMT, SPAN_ARG(msg.text));
		keep(&w->but, msg.text);
	}
	return 0;
}

/* ---- postern status ---- */

static void
put_alarm(struct json *j, const char *kind, const char *text)
{
	json_object(j);
	json_kcstr(j, "kind", kind);
	json_kcstr(j, "text", text);
	json_end_object(j);
}

void
av_watch_status(const struct master *m, struct json *j)
{
	const struct av_watch *w = m->av;
	bool works = false;
	char old[64];

	for (const struct proc *p = m->procs; p; p = p->next)
		works |= p->worker && p->state == PROC_READY;
	json_key(j, "antivirus");
	json_object(j);
	json_kcstr(j, "engine", w ? w->now.engine : NULL);
	json_kcstr(j, "signatures_id", w ? w->now.id : NULL);
	json_kuint(j, "signatures", w ? w->now.signatures : 0);
	json_kint(j, "made", w ? w->now.made : 0);
	json_kint(j, "loaded", w ? w->now.loaded : 0);
	json_kint(j, "age", w ? age_us(w) / US_PER_SEC : 0);
	json_kbool(j, "loading", trial_of(m) != NULL);
	json_key(j, "alarms");
	json_array(j);
	for (const struct proc *p = m->procs; p; p = p->next)
		if (p->ill) {
			put_alarm(j, "down", p->ill);
			break;
		}
	if (w && w->why)
		put_alarm(j, works ? "refused" : "down", w->why);
	if (w && w->but)
		put_alarm(j, "limits", w->but);
	if (w && w->old) {
		snprintf(old, sizeof(old), "the signatures are %lld days old",
		    (long long)(age_us(w) / US_PER_SEC / 86400));
		put_alarm(j, "old", old);
	}
	json_end_array(j);
	json_end_object(j);
}
