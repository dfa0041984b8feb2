/* portable_export.c -- a spool becomes one file; see portable.h and docs/SPOOL.md. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "addr.h"
#include "clock.h"
#include "fs.h"
#include "id.h"
#include "json.h"
#include "queue/crc32c.h"
#include "queue/message.h"
#include "queue/portable.h"
#include "table.h"

#define LINE_MAX_BYTES ((size_t)32 << 20)

struct writer {
	int fd;
	struct buf b;
	uint32_t crc;
	struct err *err;
};

static int
flush(struct writer *w)
{
	struct span s = buf_data(&w->b);
	int r = buf_failed(&w->b) ? err_set(w->err, ENOBUFS, "a line is too long") :
	    fs_write_all(w->fd, s.p, s.n, w->err);

	buf_reset(&w->b);
	return r;
}

static int
put_piece(void *ctx, struct span piece)
{
	struct writer *w = ctx;

	w->crc = crc32c(w->crc, piece.p, piece.n);
	return fs_write_all(w->fd, piece.p, piece.n, w->err);
}

static void
put_decision(struct json *j, const struct recipient *r, const struct msg_decision *d,
    const struct span *redirect, size_t n)
{
	json_object(j);
	json_kstr(j, "address", r->address);
	if (r->orcpt.n)
		json_kstr(j, "orcpt", r->orcpt);
	json_kuint(j, "notify", r->notify);
	json_kcstr(j, "outcome", outcome_name(d->outcome));
	json_kuint(j, "require_tls", d->require_tls);
	if (d->reply.n)
		json_kstr(j, "reply", d->reply);
	if (d->queue.n)
		json_kstr(j, "queue", d->queue);
	if (d->rule.n)
		json_kstr(j, "rule", d->rule);
	if (d->expires)
		json_kint(j, "expires", d->expires);
	if (d->on_expire)
		json_kcstr(j, "on_expire", outcome_name(d->on_expire));
	if (d->outcome == OUTCOME_REDIRECT) {
		json_key(j, "redirect");
		json_array(j);
		for (size_t i = 0; i < n; i++)
			json_str(j, redirect[i]);
		json_end_array(j);
	}
	json_end_object(j);
}

/* What is known of the tries of a leg, for its targets that are left: their numbers in the export. */
static int
put_state(struct json *j, const struct audit *au, const struct audit_message *m, const struct audit_state *at,
    const struct plan *p, const int *number, struct arena *a, struct err *err)
{
	struct state st;
	bool any = false;

	if (audit_read_state(au, m, at, a, &st, err) == -1)
		return -1;
	for (size_t i = 0; i < st.ntargets; i++)
		any = any || (st.targets[i].target < p->ntargets && number[st.targets[i].target] >= 0);
	if (!any)
		return 0;
	json_object(j);
	json_kint(j, "time", st.time);
	json_kint(j, "next", st.next);
	json_kuint(j, "attempts", st.attempts);
	json_kuint(j, "streak", st.streak);
	if (st.route.n)
		json_kstr(j, "route", st.route);
	json_key(j, "targets");
	json_array(j);
	for (size_t i = 0; i < st.ntargets; i++) {
		const struct target_state *t = &st.targets[i];

		if (t->target >= p->ntargets || number[t->target] < 0)
			continue;
		json_object(j);
		json_kint(j, "target", number[t->target]);
		json_kuint(j, "class", t->cls);
		json_kstr(j, "dsn", t->dsn);
		json_kstr(j, "reply", t->reply);
		json_kstr(j, "relay", t->relay);
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
	return 0;
}

/* Schedule, attempts and last replies, so that the other node goes on where this one was. */
static int
put_states(struct json *j, const struct audit *au, const struct audit_message *m, const struct plan *p,
    struct arena *a, struct err *err)
{
	int *number = arena_array(a, p->ntargets, sizeof(*number)), n = 0, r = 0;

	for (size_t t = 0; t < p->ntargets; t++)
		number[t] = t >= m->nstatus || m->status[t] == TARGET_PENDING ? n++ : -1;
	json_key(j, "states");
	json_array(j);
	for (const struct audit_state *s = m->states; s && r == 0; s = s->next)
		r = put_state(j, au, m, s, p, number, a, err);
	json_end_array(j);
	return r;
}

/* Where expiry counts from. */
static int64_t
since(const struct audit *au, const struct audit_message *m, struct arena *a)
{
	struct state st;

	if (m->states && audit_read_state(au, m, m->states, a, &st, NULL) == 0 && st.since > 0)
		return st.since;
	return id_time(m->id);
}

/* Recipients with something left to do, as {address, what was decided}; their number. */
static size_t
put_recipients(struct json *j, const struct audit_message *m, const struct stored *s,
    const struct plan *p, struct arena *a)
{
	size_t n = 0;

	json_key(j, "recipients");
	json_array(j);
	for (size_t r = 0, t = 0; r < s->env.nrecipients; r++) {
		struct span *left = arena_array(a, s->decisions[r].nredirect + 1, sizeof(*left));
		size_t nleft = 0;

		for (; t < p->ntargets && p->targets[t].recipient == r; t++)
			if (t >= m->nstatus || m->status[t] == TARGET_PENDING)
				left[nleft++] = p->targets[t].rcpt.address;
		if (nleft > 0) {
			put_decision(j, &s->env.recipients[r], &s->decisions[r], left, nleft);
			n++;
		}
	}
	json_end_array(j);
	return n;
}

static int
put_head(struct writer *w, const struct audit *au, const struct audit_message *m, const struct stored *s,
    const struct plan *p, struct arena *a, size_t *recipients, struct err *err)
{
	const struct envelope *v = &s->env;
	char id[ID_SIZE], ip[IP_TEXT_MAX];
	struct json j;
	int r;

	json_begin(&j, &w->b);
	json_object(&j);
	json_kcstr(&j, "id", id_format(m->id, id));
	json_kcstr(&j, "parent", s->parent ? id_format(s->parent, id) : NULL);
	json_kstr(&j, "sender", v->sender);
	json_kcstr(&j, "direction", v->direction == DIRECTION_INBOUND ? "inbound" : "outbound");
	json_kint(&j, "received", v->received);
	json_kuint(&j, "flags", v->flags);
	json_kuint(&j, "ret", v->ret);
	json_kstr(&j, "envid", v->envid);
	json_kstr(&j, "listener", v->listener);
	json_kcstr(&j, "client", v->client.family ? ip_format(v->client, ip) : NULL);
	json_kuint(&j, "client_port", v->client_port);
	json_kstr(&j, "client_name", v->client_name);
	json_kstr(&j, "helo", v->helo);
	json_kstr(&j, "user", v->user);
	json_kstr(&j, "tls", v->tls);
	json_kbool(&j, "held", (m->flags & STATE_HELD) != 0);
	json_kbool(&j, "noticed", (m->flags & STATE_NOTICED) != 0);
	json_kint(&j, "since", since(au, m, a));
	json_kuint(&j, "record", s->json_size);
	json_kuint(&j, "size", s->size);
	*recipients = put_recipients(&j, m, s, p, a);
	r = put_states(&j, au, m, p, a, err);
	json_end_object(&j);
	buf_putc(&w->b, '\n');
	return r;
}

/* 1: written; 0: cannot be read, nothing was written; -1: the file cannot be written. */
static int
put_message(struct writer *w, struct audit *au, struct audit_message *m, struct span hostname,
    struct portable_count *count, struct arena *a, struct err *why)
{
	struct stored s;
	struct span json;
	struct plan p;
	size_t n;

	if (m->bad)
		return err_set(why, EBADMSG, "its large file is not as it was"), 0;
	if (audit_read(au, m, a, &s, &json, why) == -1)
		return 0;
	if (plan_make(a, &s, hostname, &p) == -1)
		return err_set(why, EBADMSG, "what was decided cannot be understood"), 0;
	if (put_head(w, au, m, &s, &p, a, &n, why) == -1) {
		buf_reset(&w->b);
		return 0;
	}
	if (n == 0) {
		buf_reset(&w->b);
		return err_set(why, 0, "nothing is left to do"), 0;
	}
	w->crc = crc32c(0, json.p, json.n);
	buf_span(&w->b, json);
	if (flush(w) == -1 || audit_body(au, m, &s, put_piece, w, w->err) == -1)
		return -1;
	buf_printf(&w->b, "\n%08x\n", w->crc);
	count->messages++;
	count->recipients += n;
	count->bytes += s.size;
	return flush(w) == -1 ? -1 : 1;
}

static int
by_id(const void *a, const void *b)
{
	const struct audit_message *x = *(struct audit_message *const *)a;
	const struct audit_message *y = *(struct audit_message *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void
put_frame(struct writer *w, bool first, uint64_t name, struct span hostname, bool handover, uint64_t n)
{
	struct json j;
	char text[17];

	json_begin(&j, &w->b);
	json_object(&j);
	if (first) {
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)name);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "format", "postern-queue");
		json_kcstr(&j, "export", text);
		json_kstr(&j, "hostname", hostname);
		if (handover)
			json_kbool(&j, "handover", true);
		json_kint(&j, "time", clock_real());
	} else
		json_kuint(&j, "end", n);
	json_end_object(&j);
	buf_putc(&w->b, '\n');
}

int
portable_export(struct audit *au, int fd, struct span hostname, const struct idtable *only, struct portable_count *count,
    portable_say *say, void *ctx, struct err *err)
{
	struct writer w = { .fd = fd, .err = err };
	struct audit_message **list = calloc(idtable_count(au->messages) + 1, sizeof(*list));
	struct arena *a = arena_new(0);
	size_t at = 0, n = 0;
	uint64_t id, name = 0;
	int r = 0;
	void *v;

	ASSERT(list != NULL);
	while (idtable_next(au->messages, &at, &id, &v))
		if (only == NULL || idtable_get(only, id))
			list[n++] = v;
	qsort(list, n, sizeof(*list), by_id);
	buf_init(&w.b, LINE_MAX_BYTES);
	if (getrandom(&name, sizeof(name), 0) != (ssize_t)sizeof(name))
		r = err_errno(err, "no random bytes");
	put_frame(&w, true, name, hostname, only != NULL, 0);
	if (r == 0)
		r = flush(&w);
	for (size_t i = 0; i < n && r != -1; i++) {
		struct err why;
		char text[1200], short_id[ID_SIZE];

		arena_reset(a);
		if ((r = put_message(&w, au, list[i], hostname, count, a, &why)) != 0)
			continue;
		count->skipped++;
		snprintf(text, sizeof(text), "%s is not in the export: %s",
		    id_format(list[i]->id, short_id), why.text);
		say(ctx, text);
	}
	if (r != -1) {
		put_frame(&w, false, 0, hostname, false, count->messages);
		r = flush(&w);
	}
	buf_release(&w.b);
	arena_free(&a);
	free(list);
	return r == -1 ? -1 : 0;
}
