/* messages_count.c -- codecs of the frames about what all nodes count together; see messages_count.h. */
#include "ipc/messages_count.h"

#define ROWS_MAX 4096

static void
enc_items(struct enc *e, const struct count_item *v, size_t n)
{
	enc_u16(e, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		enc_u8(e, (uint8_t)v[i].kind);
		enc_u8(e, (uint8_t)v[i].group);
		enc_span(e, v[i].name);
		enc_span(e, v[i].member);
		enc_u64(e, v[i].step);
		enc_u64(e, v[i].window);
		enc_u64(e, v[i].lock);
		enc_u32(e, v[i].cost);
		enc_u8(e, (uint8_t)v[i].then);
	}
}

static size_t
dec_items(struct dec *d, struct arena *a, size_t max, struct count_item **out)
{
	size_t n = dec_u16(d);

	if (n > max || d->bad) {
		d->bad = true;
		return 0;
	}
	*out = arena_array(a, n, sizeof(**out));
	for (size_t i = 0; i < n; i++) {
		struct count_item *it = &(*out)[i];

		it->kind = (enum count_kind)dec_enum(d, COUNT_KINDS);
		it->group = dec_u8(d);
		it->name = dec_span(d);
		it->member = dec_span(d);
		it->step = dec_u64(d);
		it->window = dec_u64(d);
		it->lock = dec_u64(d);
		it->cost = dec_u32(d);
		it->then = dec_u8(d);
		if (it->group >= COUNT_GROUPS || it->name.n == 0 || it->name.n > COUNT_NAME_MAX ||
		    (i && it->group < it[-1].group))
			d->bad = true;
	}
	return n;
}

ENCODE(count_ask)
	enc_items(&e, m->items, m->nitems);
	enc_span(&e, m->grey.friend);
	enc_span(&e, m->grey.came);
	enc_i64(&e, m->grey.friend_age);
	enc_i64(&e, m->grey.came_age);
	enc_i64(&e, m->grey.delay);
	enc_i64(&e, m->grey.retry);
	enc_i64(&e, m->grey.keep);
	enc_span(&e, m->mailbox);
	enc_ip(&e, m->client);
}
DECODE(count_ask)
	m->nitems = dec_items(&d, a, COUNT_ITEMS_MAX, &m->items);
	m->grey.friend = dec_span(&d);
	m->grey.came = dec_span(&d);
	m->grey.friend_age = dec_i64(&d);
	m->grey.came_age = dec_i64(&d);
	m->grey.delay = dec_i64(&d);
	m->grey.retry = dec_i64(&d);
	m->grey.keep = dec_i64(&d);
	m->mailbox = dec_span(&d);
	m->client = dec_ip(&d);
DECODED

ENCODE(count_told)
	enc_u8(&e, m->away);
	enc_u64(&e, m->decision);
	for (int i = 0; i < COUNT_GROUPS; i++) {
		enc_u32(&e, m->groups[i].hit);
		enc_u8(&e, m->groups[i].locked);
		enc_i64(&e, m->groups[i].until);
	}
	enc_u8(&e, (uint8_t)m->grey);
	enc_i64(&e, m->grey_age);
	enc_u32(&e, m->mailbox);
	enc_i64(&e, m->mailbox_age);
}
DECODE(count_told)
	m->away = dec_enum(&d, 2);
	m->decision = dec_u64(&d);
	for (int i = 0; i < COUNT_GROUPS; i++) {
		m->groups[i].hit = dec_u32(&d);
		m->groups[i].locked = dec_enum(&d, 2);
		m->groups[i].until = dec_i64(&d);
	}
	m->grey = (enum count_grey)dec_enum(&d, COUNT_GREYS);
	m->grey_age = dec_i64(&d);
	m->mailbox = dec_u32(&d);
	m->mailbox_age = dec_i64(&d);
DECODED

ENCODE(count_owe)
	enc_u64(&e, m->decision);
	enc_items(&e, m->items, m->nitems);
}
DECODE(count_owe)
	m->decision = dec_u64(&d);
	m->nitems = dec_items(&d, a, COUNT_ITEMS_MAX, &m->items);
DECODED

ENCODE(count_note)
	enc_u8(&e, (uint8_t)m->what);
	enc_span(&e, m->name);
	enc_ip(&e, m->client);
	enc_u32(&e, m->kind);
	enc_i64(&e, m->keep);
	enc_i64(&e, m->thousandths);
}
DECODE(count_note)
	m->what = (enum count_note)dec_enum(&d, COUNT_NOTES);
	m->name = dec_span(&d);
	m->client = dec_ip(&d);
	m->kind = dec_u32(&d);
	m->keep = dec_i64(&d);
	m->thousandths = dec_i64(&d);
DECODED

ENCODE(count_list)
	enc_u8(&e, m->reset);
	enc_items(&e, m->items, m->nitems);
}
DECODE(count_list)
	m->reset = dec_enum(&d, 2);
	m->nitems = dec_items(&d, a, ROWS_MAX, &m->items);
DECODED

ENCODE(count_listed)
	enc_u8(&e, m->last);
	enc_u8(&e, m->away);
	enc_u32(&e, m->forgotten);
	enc_u32(&e, (uint32_t)m->nrows);
	for (size_t i = 0; i < m->nrows; i++) {
		enc_span(&e, m->rows[i].name);
		enc_u8(&e, m->rows[i].locked);
		enc_i64(&e, m->rows[i].left);
	}
}
DECODE(count_listed)
	m->last = dec_enum(&d, 2);
	m->away = dec_enum(&d, 2);
	m->forgotten = dec_u32(&d);
	m->nrows = dec_count(&d, ROWS_MAX, 13);
	m->rows = arena_array(a, m->nrows, sizeof(*m->rows));
	for (size_t i = 0; i < m->nrows; i++) {
		m->rows[i].name = dec_span(&d);
		m->rows[i].locked = dec_enum(&d, 2);
		m->rows[i].left = dec_i64(&d);
	}
DECODED
