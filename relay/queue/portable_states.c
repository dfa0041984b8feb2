/* portable_states.c -- the states that a message of an export begins with; see portable_states.h. */
#include <errno.h>

#include "clock.h"
#include "queue/portable_states.h"

/* A leg's schedule, from the other node */
static int
read_state(struct arena *a, const struct jval *v, int64_t since, struct state *st)
{
	const struct jval *list = jval_get(v, "targets");
	int64_t attempts = jval_int(v, "attempts", 0), streak = jval_int(v, "streak", 0);

	*st = (struct state){ .time = jval_int(v, "time", 0), .next = jval_int(v, "next", 0),
		.attempts = (uint16_t)attempts, .streak = (uint8_t)streak, .route = jval_text(v, "route"),
		.since = since, .ntargets = jval_count(list) };
	if (attempts < 0 || attempts > UINT16_MAX || streak < 0 || streak > UINT8_MAX || st->ntargets == 0 ||
	    st->ntargets > TARGETS_MAX || st->route.n > 300 || st->next < 0 || st->time < 0)
		return -1;
	st->targets = arena_array(a, st->ntargets, sizeof(*st->targets));
	for (size_t i = 0; i < st->ntargets; i++) {
		const struct jval *t = jval_at(list, i);
		int64_t number = jval_int(t, "target", -1), cls = jval_int(t, "class", 0);

		if (number < 0 || number >= TARGETS_MAX || cls < 0 || cls >= FAIL_CLASSES)
			return -1;
		st->targets[i] = (struct target_state){ .target = (uint16_t)number, .cls = (enum fail_class)cls,
			.dsn = jval_text(t, "dsn"), .reply = span_sub(jval_text(t, "reply"), 0, 1024),
			.relay = jval_text(t, "relay") };
	}
	return 0;
}

/* What is known of it beside the message: that it is held, and on a hand-over how its tries went. */
int
portable_states(struct arena *a, const struct jval *head, bool handover, uint64_t id, portable_put_state *put,
    void *ctx, struct err *err)
{
	uint8_t flags = (jval_bool(head, "held") ? STATE_HELD : 0) |
	    (handover && jval_bool(head, "noticed") ? STATE_NOTICED : 0);
	int64_t since = handover ? jval_int(head, "since", 0) : 0;
	const struct jval *list = handover ? jval_get(head, "states") : NULL;
	struct target_state first = { .target = 0 };
	struct state st = { .time = clock_real(), .targets = &first, .ntargets = 1, .since = since };

	if (since < 0 || since > clock_real())
		st.since = since = 0;
	if ((flags || since) && jval_count(list) == 0)
		return put(ctx, id, flags, &st, err);
	for (size_t i = 0; i < jval_count(list); i++) {
		if (read_state(a, jval_at(list, i), since, &st) == -1)
			return err_set(err, EBADMSG, "a state that is not understood");
		if (put(ctx, id, flags, &st, err) == -1)
			return -1;
	}
	return 0;
}
