/* notes.c -- what is learnt and needs no answer: mailboxes that exist, and how people behave.
 *
 * Observations are written into this node's table (receiver/reputation.h) here and nowhere else, gathered by
 * subject and sent together once in a turn. With each goes what the table
 * has: where Redis knows nothing of a subject, that is what it learns. What it
 * answers are the counts of all nodes, which take the place of our own: verifiers and receivers read them where they always did.
 */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counters/role.h"

struct subject {
	double n[REPUTATION_EVENT_COUNT];
	char name[REPUTATION_NAME_MAX + 1];	/* kind, name */
};

struct note_batch {
	struct note_batch *next;
	uint64_t epoch, seq;
	bool lost;
	size_t n;
	struct subject *v[NOTE_BATCH];
};

static struct subject *
subject_for(struct counters *c, const char *name)
{
	struct subject *s;

	if (c->notes == NULL)
		c->notes = table_new();
	s = table_get(c->notes, span_str(name));
	if (s || table_count(c->notes) >= NOTES_MAX)
		return s;
	s = calloc(1, sizeof(*s));
	ASSERT(s != NULL);
	snprintf(s->name, sizeof(s->name), "%s", name);
	table_put(c->notes, span_str(s->name), s);
	return s;
}

static void
observe(struct counters *c, char kind, struct span name, uint32_t event, double n)
{
	char text[REPUTATION_NAME_MAX + 1];
	struct subject *s;
	int len = snprintf(text, sizeof(text), "%c" SPAN_FMT, kind, SPAN_ARG(name));

	if (name.n == 0 || len < 2 || (size_t)len >= sizeof(text))
		return;
	if ((s = subject_for(c, text)) != NULL)
		s->n[event] += n;
	else
		counter_add(COUNTER_COUNT_LOST, 1);
}

/* ---- out ---- */

static void noted(void *ctx, void *what, const struct redisReply *reply);

static void
put_subject(struct counters *c, const struct subject *s, int64_t now)
{
	struct reputation_row row;
	char text[40];

	call_key(&c->call, KEY_REPUTATION, span_str(s->name));
	if (reputation_row(&c->reputation, s->name[0], span_str(s->name + 1), now, &row)) {
		char base[40 * (REPUTATION_EVENT_COUNT + 2)];
		int n = snprintf(base, sizeof(base), "%lld %lld", (long long)(now / US_PER_SEC),
		    (long long)row.counts.since);

		for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
			n += snprintf(base + n, sizeof(base) - (size_t)n, " %.6g", row.counts.n[i]);
		call_text(&c->call, span_make(base, (size_t)n));
	} else
		call_text(&c->call, SPAN_LIT(""));
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
		call_text(&c->call, span_make(text, (size_t)snprintf(text, sizeof(text), "%.9g", s->n[i])));
}

static void
batch_over(struct counters *c, struct note_batch *b, bool counted)
{
	for (struct note_batch **p = &c->note_batches; *p; p = &(*p)->next)
		if (*p == b) {
			*p = b->next;
			break;
		}
	for (size_t i = 0; i < b->n; i++) {
		struct subject *s = b->v[i];

		for (uint32_t e = 0; !counted && e < REPUTATION_EVENT_COUNT; e++)
			if (s->n[e] < 0 || s->n[e] > 0)
				observe(c, s->name[0], span_str(s->name + 1), e, s->n[e]);
		free(s);
	}
	free(b);
}

static bool
batch_send(struct counters *c, struct note_batch *b, bool whole)
{
	int64_t now = clock_real();

	counters_call_begin(c);
	call_num(&c->call, c->reputation.half_life / US_PER_SEC);
	call_num(&c->call, REPUTATION_EVENT_COUNT);
	call_num(&c->call, (int64_t)b->n);
	for (size_t i = 0; i < b->n; i++)
		put_subject(c, b->v[i], now);
	if (counters_call(c, SCRIPT_NOTE, whole, noted, b) == -1) {
		batch_over(c, b, false);
		return false;
	}
	b->epoch = c->epoch;
	b->seq = c->seq;
	return true;
}

void
notes_heard(struct counters *c, char kind, const char *name, const char *text)
{
	struct reputation_row row = { .kind = kind, .counts = { .there = true } };
	char *end;
	long long at = strtoll(text, &end, 10);

	if (end == text || at <= 0)
		return;
	row.counts.since = strtoll(end, &end, 10);
	for (int i = 0; i < REPUTATION_EVENT_COUNT; i++)
		row.counts.n[i] = strtod(end, &end);
	snprintf(row.name, sizeof(row.name), "%s", name);
	reputation_replace(&c->reputation, &row, at * US_PER_SEC);
}

static void
noted(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	struct note_batch *b = what;
	bool noscript;

	if (reply == NULL) {
		b->lost = true;
		return;
	}
	if (counters_refused(c, reply, &noscript)) {
		if (noscript)
			batch_send(c, b, true);
		else
			batch_over(c, b, false);
		return;
	}
	counters_clock(c, reply);
	for (size_t i = 0; i < b->n && i + 1 < reply->elements; i++)
		if (reply->element[i + 1]->type == REDIS_REPLY_STRING)
			notes_heard(c, b->v[i]->name[0], b->v[i]->name + 1, reply->element[i + 1]->str);
	batch_over(c, b, true);
}

void
notes_flush(struct counters *c)
{
	struct span key;
	size_t at;
	void *v;

	while (c->serving && c->notes && table_count(c->notes) && redis_is_up(c->redis)) {
		struct note_batch *b = calloc(1, sizeof(*b));

		ASSERT(b != NULL);
		at = 0;
		while (b->n < NOTE_BATCH && table_next(c->notes, &at, &key, &v)) {
			b->v[b->n++] = v;
			table_remove(c->notes, key);
		}
		b->next = c->note_batches;
		c->note_batches = b;
		if (!batch_send(c, b, false))
			break;
	}
}

void
notes_settle(struct counters *c, uint64_t epoch, uint64_t seq)
{
	for (struct note_batch *b = c->note_batches, *next; b; b = next) {
		next = b->next;
		if (b->lost)
			batch_over(c, b, b->epoch == epoch && b->seq <= seq);
	}
}

/* ---- in ---- */

static void
put_mailbox(struct counters *c, const struct msg_count_note *m)
{
	char hash[KEY_HASH], text[KEY_TEXT_MAX], value[48], ms[24];
	struct span argv[5] = { SPAN_LIT("SET"), { 0 }, { 0 }, SPAN_LIT("PX") };

	key_hash(m->name, SPAN_LIT(""), hash);
	argv[1] = key_text(c->conf->prefix, KEY_MAILBOX, span_make(hash, KEY_HASH), text);
	argv[2] = span_make(value, (size_t)snprintf(value, sizeof(value), "%u %lld", m->kind + 1,
	    (long long)(clock_mono() + c->ahead)));
	argv[4] = span_make(ms, (size_t)snprintf(ms, sizeof(ms), "%lld", (long long)(m->keep / 1000)));
	if (c->serving && m->keep >= 1000)
		redis_send(c->redis, 5, argv, NULL, NULL);
}

static void
forget(struct counters *c, enum key_kind kind, struct span name)
{
	char text[KEY_TEXT_MAX];
	struct span argv[2] = { SPAN_LIT("DEL"), key_text(c->conf->prefix, kind, name, text) };

	if (c->serving)
		redis_send(c->redis, 2, argv, NULL, NULL);
}

static void
forget_mailbox(struct counters *c, struct span name)
{
	char hash[KEY_HASH];

	key_hash(name, SPAN_LIT(""), hash);
	forget(c, KEY_MAILBOX, span_make(hash, KEY_HASH));
}

static void
reputation_in(struct counters *c, const struct msg_count_note *m, bool forgets)
{
	char names[2][REPUTATION_NAME_MAX], key[REPUTATION_NAME_MAX + 2];
	struct reputation_who who = { m->client, m->name };
	double n = (double)m->thousandths / 1000;

	if (!forgets)
		reputation_note(&c->reputation, &who, (enum reputation_event)m->kind, n, clock_real());
	if (m->client.family)
		reputation_names(m->client, names[0], names[1]);
	for (int i = 0; i < 3; i++) {
		struct span name = i == 2 ? m->name : m->client.family ? span_str(names[i]) : SPAN_LIT("");
		int len;

		if (name.n == 0 || name.n >= REPUTATION_NAME_MAX)
			continue;
		if (!forgets) {
			observe(c, "and"[i], name, m->kind, n);
		} else if (i != 1) {
			len = snprintf(key, sizeof(key), "%c" SPAN_FMT, "and"[i], SPAN_ARG(name));
			forget(c, KEY_REPUTATION, span_make(key, (size_t)len));
		}
	}
	event_active(c->settle, EV_TIMEOUT, 0);
}

int
notes_frame(struct counters *c, struct frame *f)
{
	struct msg_count_note m;

	if (count_note_decode(f->body, f->fd, c->scratch, &m) == -1)
		return -1;
	switch (m.what) {
	case COUNT_NOTE_MAILBOX:
		put_mailbox(c, &m);
		return 0;
	case COUNT_NOTE_REPUTATION:
		if (m.kind >= REPUTATION_EVENT_COUNT)
			return -1;
		reputation_in(c, &m, false);
		return 0;
	case COUNT_NOTE_FORGET:
		reputation_in(c, &m, true);
		return 0;
	case COUNT_NOTE_FORGET_MAILBOX:
		forget_mailbox(c, m.name);
		return 0;
	case COUNT_NOTES:
		break;
	}
	return -1;
}
