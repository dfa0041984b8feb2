/* ask.c -- a decision as the arguments of its script, and its answer read; see ask.h. */
#include <hiredis/hiredis.h>
#include <stdio.h>

#include "counters/ask.h"
#include "postern/verdict.h"
#include "receiver/reputation.h"

int64_t
reply_int(const struct redisReply *r, size_t i)
{
	return r->type == REDIS_REPLY_ARRAY && i < r->elements && r->element[i]->type == REDIS_REPLY_INTEGER ?
	    r->element[i]->integer : 0;
}

static void
put_item(struct call *call, const struct count_item *it)
{
	const int64_t v[] = { it->kind, it->group, (int64_t)it->step, (int64_t)it->window, it->cost,
		(int64_t)it->lock, it->then };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		call_num(call, v[i]);
	call_key(call, KEY_LIMIT, it->name);
	if (it->lock)
		call_key(call, KEY_LOCK, it->name);
	if (it->kind == COUNT_UNIQUE)
		call_key_hashed(call, KEY_SEEN, it->name, it->member);
}

void
ask_write(struct call *call, const struct msg_count_ask *m)
{
	const struct count_strangers *g = &m->grey;
	char names[2][REPUTATION_NAME_MAX], key[REPUTATION_NAME_MAX + 1];

	call_num(call, OUTCOME_DEFER);
	call_num(call, (int64_t)m->nitems);
	for (size_t i = 0; i < m->nitems; i++)
		put_item(call, &m->items[i]);
	call_num(call, g->friend.n > 0);
	if (g->friend.n) {
		const int64_t v[] = { g->delay, g->retry, g->keep, g->friend_age, g->came_age };

		call_key_hashed(call, KEY_FRIEND, g->friend, SPAN_LIT(""));
		call_key_hashed(call, KEY_CAME, g->came, SPAN_LIT(""));
		for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
			call_num(call, v[i]);
	}
	call_num(call, m->mailbox.n > 0);
	if (m->mailbox.n)
		call_key_hashed(call, KEY_MAILBOX, m->mailbox, SPAN_LIT(""));
	call_num(call, m->client.family ? 2 : 0);
	if (m->client.family)
		reputation_names(m->client, names[0], names[1]);
	for (int i = 0; m->client.family && i < 2; i++) {
		int n = snprintf(key, sizeof(key), "%c%s", "an"[i], names[i]);

		call_key(call, KEY_REPUTATION, span_make(key, (size_t)n));
	}
}

bool
ask_read(const struct redisReply *r, size_t nitems, struct msg_count_told *m)
{
	size_t at = 1;

	if (r->type != REDIS_REPLY_ARRAY || r->elements < ASK_ITEMS + 2 * nitems + 4)
		return false;
	for (int g = 0; g < COUNT_GROUPS; g++, at += 3) {
		int64_t hit = reply_int(r, at);

		if (hit < 0 || (size_t)hit > nitems)
			return false;
		m->groups[g] = (struct count_group){ (uint32_t)hit, reply_int(r, at + 1) == 1, reply_int(r, at + 2) };
	}
	at += 2 * nitems;
	if (reply_int(r, at) < 0 || reply_int(r, at) >= COUNT_GREYS)
		return false;
	m->grey = (enum count_grey)reply_int(r, at);
	m->grey_age = reply_int(r, at + 1);
	m->mailbox = (uint32_t)reply_int(r, at + 2);
	m->mailbox_age = reply_int(r, at + 3);
	return true;
}
