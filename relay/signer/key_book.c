/* key_book.c -- the public halves of all keys; see key_book.h. */
#include <stdlib.h>

#include "ipc/channel.h"
#include "ipc/messages_keys.h"
#include "log.h"
#include "signer/dkim_record.h"
#include "signer/key_book.h"

struct key_book {
	struct arena *arena;
	struct msg_dkim_key *v;
	size_t n, room;
};

_Static_assert(KEY_STATES == RING_STATES, "states of the frame and of the ring");

struct key_book *
key_book_new(void)
{
	struct key_book *b = calloc(1, sizeof(*b));

	ASSERT(b != NULL);
	b->arena = arena_new(0);
	return b;
}

void
key_book_add(struct key_book *b, struct span domain, const struct domain_key *c, const struct dkim_key *k,
    const struct err *why)
{
	struct msg_dkim_key *m;

	if (b->n == b->room) {
		size_t room = b->room ? 2 * b->room : 16;

		b->v = arena_grow(b->arena, b->v, b->n * sizeof(*b->v), room * sizeof(*b->v));
		b->room = room;
	}
	m = &b->v[b->n++];
	*m = (struct msg_dkim_key){ .domain = domain, .selector = arena_span(b->arena, c->selector),
		.ed25519 = c->ed25519, .state = (uint8_t)c->state, .since = c->since };
	if (k)
		m->record = span_str(dkim_record(b->arena, k));
	else
		m->why = arena_span(b->arena, span_str(why->text));
}

void
key_book_tell(const struct key_book *b, struct link *delivery)
{
	struct buf out;

	buf_init(&out, FRAME_SMALL);
	for (size_t i = 0; i < b->n; i++) {
		buf_reset(&out);
		dkim_key_encode(&out, &b->v[i]);
		if (buf_failed(&out) || link_send(delivery, FRAME_DKIM_KEY, 0, buf_data(&out), -1) == -1) {
			log_warn("what the DNS should say of a key cannot be told");
			break;
		}
	}
	buf_release(&out);
}
