/* zone_keys.c -- the public halves of our keys, as the signers have said them; see zone_keys.h. */
#include <stdlib.h>

#include "delivery/zone_keys.h"
#include "ipc/messages_keys.h"
#include "postern/err.h"

struct known {
	struct link *from;
	struct arena *arena;
	struct msg_dkim_key *v;
	size_t n, room;
};

struct zone_keys {
	struct known known[ZONE_SIGNERS_MAX];
	size_t n;
};

struct zone_keys *
zone_keys_new(void)
{
	struct zone_keys *k = calloc(1, sizeof(*k));

	ASSERT(k != NULL);
	return k;
}

static struct known *
of(struct zone_keys *k, const struct link *signer)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->known[i].from == signer)
			return &k->known[i];
	return NULL;
}

void
zone_keys_peer(struct zone_keys *k, struct link *signer, bool up)
{
	struct known *o = of(k, signer);

	if (up && k->n < ZONE_SIGNERS_MAX)
		k->known[k->n++] = (struct known){ .from = signer, .arena = arena_new(0) };
	if (up || o == NULL)
		return;
	arena_free(&o->arena);
	*o = k->known[--k->n];
}

int
zone_keys_heard(struct zone_keys *k, struct link *signer, struct frame *f)
{
	struct known *o = of(k, signer);
	struct arena *a = arena_new(0);
	struct msg_dkim_key m;
	int r = dkim_key_decode(f->body, f->fd, a, &m);

	arena_free(&a);
	if (r == -1 || o == NULL)
		return r;
	if (o->n == o->room) {
		size_t room = o->room ? 2 * o->room : 16;

		o->v = arena_grow(o->arena, o->v, o->n * sizeof(*o->v), room * sizeof(*o->v));
		o->room = room;
	}
	m.domain = arena_span(o->arena, m.domain);
	m.selector = arena_span(o->arena, m.selector);
	m.record = arena_span(o->arena, m.record);
	m.why = arena_span(o->arena, m.why);
	o->v[o->n++] = m;
	return 0;
}

size_t
zone_keys_of(const struct zone_keys *k, struct span domain, struct arena *a, const struct zone_key **out)
{
	const struct known *best = NULL;
	struct zone_key *v;
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		if (best == NULL || link_instance(k->known[i].from) > link_instance(best->from))
			best = &k->known[i];
	for (size_t i = 0; best && i < best->n; i++)
		n += span_eq(best->v[i].domain, domain);
	*out = v = arena_array(a, n + 1, sizeof(*v));
	n = 0;
	for (size_t i = 0; best && i < best->n; i++) {
		const struct msg_dkim_key *m = &best->v[i];

		if (span_eq(m->domain, domain))
			v[n++] = (struct zone_key){ .selector = arena_span(a, m->selector), .ed25519 = m->ed25519,
				.state = (enum ring_state)m->state, .since = m->since,
				.record = arena_str(a, m->record), .why = arena_str(a, m->why) };
	}
	return n;
}
