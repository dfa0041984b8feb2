/* kept_look.c -- previews and rescans: requests whose answer a scanner gives; see kept_control.h. */
#include <stdlib.h>

#include "clock.h"
#include "ipc/json_read.h"
#include "log.h"
#include "store/kept_control.h"
#include "store/look.h"

#define RESCANS_MAX 1000	/* of one request */

struct looker {
	struct store *s;
	struct reply *reply;
	int64_t kid;
	uint64_t id;
	struct rescan *all;		/* of a rescan */
};

struct rescan {
	struct reply *reply;
	size_t left, done, failed;
};

static struct json
begin_line(struct reply *r, int64_t kid, uint64_t id, bool ok)
{
	struct json j = open_line(r);
	char text[ID_SIZE], number[24];

	snprintf(number, sizeof(number), "%lld", (long long)kid);
	json_kcstr(&j, "kid", number);
	json_kcstr(&j, "id", id_format(id, text));
	json_kbool(&j, "ok", ok);
	return j;
}

static void
failure(struct reply *r, int64_t kid, uint64_t id, const char *why)
{
	struct json j = begin_line(r, kid, id, false);

	json_kcstr(&j, "error", why);
	json_kcstr(&j, "code", "busy");
	close_line(r, &j);
}

/* What a scanner says begins with its version: the rest are members of our own object. */
void
store_splice(struct json *j, struct span object)
{
	static const struct span head = { "{\"v\":1,", 7 };

	if (span_starts(object, head) && object.p[object.n - 1] == '}')
		json_raw(j, span_sub(object, head.n, object.n - head.n - 1));
	else
		json_kbool(j, "cut", true);
}

/* ---- preview ---- */

static void
on_preview(void *ctx, const struct msg_inspected *m, const char *why)
{
	struct looker *l = ctx;
	struct arena *a = arena_new(0);
	struct json j;

	if (m == NULL) {
		failure(l->reply, l->kid, l->id, why);
	} else {
		j = begin_line(l->reply, l->kid, l->id, true);
		store_splice(&j, store_one_line(a, m->text));
		close_line(l->reply, &j);
	}
	reply_end(&l->reply);
	arena_free(&a);
	free(l);
}

void
kept_preview(struct asked *q, const struct kept *k, const bool *mine)
{
	struct looker *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL);
	*l = (struct looker){ q->s, q->reply, k->kid, k->id, NULL };
	q->reply = NULL;
	look_start(q->s, INSPECT_PREVIEW, k->kid, on_preview, l);
}

/* ---- rescan ---- */

static const char *
av_name(enum av_state av)
{
	static const char *const names[AV_STATES] = { "off", "clean", "virus", "unscannable", "failed",
		"suspect" };

	return names[av];
}

static void
rescan_end(struct rescan *r)
{
	struct json j = open_line(r->reply);

	json_kuint(&j, "done", r->done);
	json_kuint(&j, "failed", r->failed);
	close_line(r->reply, &j);
	reply_end(&r->reply);
	free(r);
}

static void
on_rescan(void *ctx, const struct msg_inspected *m, const char *why)
{
	struct looker *l = ctx;
	struct rescan *r = l->all;
	struct arena *a = arena_new(0);
	struct err err = { 0 };
	struct json j;

	store_settle(l->s);
	if (m && m->av == AV_VIRUS && kept_virus(l->s->db, l->kid, m->virus, &err) == -1) {
		m = NULL;
		why = err.text;
	}
	if (m == NULL) {
		failure(r->reply, l->kid, l->id, why);
		r->failed++;
	} else {
		j = begin_line(r->reply, l->kid, l->id, true);
		json_kcstr(&j, "antivirus", av_name(m->av));
		if (m->virus.n)
			json_kstr(&j, "virus", m->virus);
		json_key(&j, "record");
		json_raw(&j, store_one_line(a, m->text));
		close_line(r->reply, &j);
		r->done++;
	}
	arena_free(&a);
	free(l);
	reply_send(r->reply);
	if (--r->left == 0)
		rescan_end(r);
}

void
kept_rescan(struct asked *q, const int64_t *kids, size_t n)
{
	struct rescan *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	*r = (struct rescan){ .reply = q->reply, .left = n < RESCANS_MAX ? n : RESCANS_MAX };
	q->reply = NULL;
	if (n == 0) {
		rescan_end(r);
		return;
	}
	n = r->left;
	for (size_t i = 0; i < n; i++) {
		struct looker *l = calloc(1, sizeof(*l));
		struct kept k = { 0 };
		struct err err;

		ASSERT(l != NULL);
		kept_load(q->s->db, kids[i], false, q->arena, &k, &err);
		*l = (struct looker){ q->s, NULL, kids[i], k.id, r };
		look_start(q->s, INSPECT_JUDGE, kids[i], on_rescan, l);
	}
}
