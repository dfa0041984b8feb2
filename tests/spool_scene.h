/* spool_scene.h -- everything a spool does, in some eighty operations on the disk, and what must be
 * there afterwards. Played with faults (test_spool_fault.c) and without power (test_spool_power.c).
 */
#ifndef TESTS_SPOOL_SCENE_H
#define TESTS_SPOOL_SCENE_H

#include "spool_test.h"

static struct id_source ids = { .slot = 9 };
static bool dark;		/* the power is gone: nothing is done any more */
static long scene_faults;	/* operations that were made to fail */

static inline uint64_t
next_id(void)
{
	return id_new(&ids, INT64_C(1795000000) * US_PER_SEC);
}

enum known { KNOWN_NOT, ACKNOWLEDGED, REFUSED, DONE };

#define SCENE_MAX 64

struct scene {
	struct user u;
	uint64_t id[SCENE_MAX];
	enum known known[SCENE_MAX];
	bool finishing[SCENE_MAX];
	size_t n;
	uint64_t reused;
};

static inline void
scene_sync(struct scene *s, size_t since)
{
	struct err err;
	int r = spool_sync(s->u.sp, &err);

	for (size_t i = 0; i < s->n; i++) {
		if (i >= since && s->known[i] == KNOWN_NOT)
			s->known[i] = r == 0 ? ACKNOWLEDGED : REFUSED;
		if (r == 0 && s->finishing[i])
			s->known[i] = DONE;
	}
	spool_check(s->u.sp);
}

static inline void
scene_batch(struct scene *s, struct arena *a, size_t count, size_t bytes)
{
	static char body[SPOOL_INLINE_MAX + 1000];
	struct user_item *made[SCENE_MAX] = { 0 };
	size_t since = s->n;
	struct err err;

	for (size_t i = 0; i < count; i++) {
		s->known[s->n] = KNOWN_NOT;
		s->finishing[s->n] = false;
		s->id[s->n] = next_id();
		made[i] = user_append(&s->u, s->id[s->n], span_make(body, bytes), a, &err);
		if (made[i] == NULL)
			s->known[s->n] = REFUSED;
		s->n++;
	}
	scene_sync(s, since);
	for (size_t i = 0; i < count; i++)
		if (s->known[since + i] == REFUSED && made[i] != NULL)
			free(made[i]);
}

static inline void
scene_finish(struct scene *s, size_t from, size_t step)
{
	if (dark)
		return;
	for (size_t i = from; i < s->n; i += step) {
		struct spool_item *it = spool_find(s->u.sp, s->id[i]);

		if (s->known[i] == ACKNOWLEDGED && it != NULL && it->state == ITEM_LIVE) {
			user_state(&s->u, (struct user_item *)it, 1);
			spool_finish(s->u.sp, it);
			s->finishing[i] = true;
		}
	}
}

/* Everything a spool does, in about sixty operations on the disk. */
static inline void
scene_play(struct scene *s, int64_t *now)
{
	struct arena *a = arena_new(0);
	struct spool_stats st;

	spool_set_segment_max(s->u.sp, 40000);
	scene_batch(s, a, 3, 2000);
	scene_batch(s, a, 1, SPOOL_INLINE_MAX + 1000);
	scene_batch(s, a, 4, 9000);
	scene_finish(s, 1, 3);
	scene_sync(s, s->n);
	scene_batch(s, a, 4, 9000);
	scene_finish(s, 2, 2);
	scene_batch(s, a, 2, 100);
	*now += 60 * US_PER_SEC;
	for (int i = 0; i < 20 && spool_compact(s->u.sp, 15000); i++)
		spool_check(s->u.sp);
	scene_finish(s, 3, 4);
	scene_batch(s, a, 2, 30000);
	scene_sync(s, s->n);
	/* Into files used before, over bytes that are still there. */
	for (int i = 0; i < 4; i++) {
		scene_batch(s, a, 3, 9000);
		scene_batch(s, a, 1, 300);
		scene_finish(s, (size_t)i, 3);
		scene_sync(s, s->n);
	}
	spool_stats(s->u.sp, &st);
	s->reused = st.reused;
	arena_free(&a);
}

static inline void
scene_judge(struct scene *s, const char *what, long at, bool power)
{
	struct err err;

	if (user_open(&s->u, &err) == -1) {
		fprintf(stderr, "%s at %ld: %s\n", what, at, err.text);
		fail();
	}
	spool_check(s->u.sp);
	for (size_t i = 0; i < s->n; i++) {
		bool there = spool_find(s->u.sp, s->id[i]) != NULL;
		bool must = s->known[i] == ACKNOWLEDGED && !s->finishing[i];
		bool must_not = s->known[i] == DONE ||
		    (s->known[i] == REFUSED && !power && scene_faults == 1);

		if ((must && !there) || (must_not && there)) {
			fprintf(stderr, "%s at %ld: message %zu is %s\n", what, at, i,
			    there ? "there" : "lost");
			fail();
		}
		if (there) {
			struct arena *a = arena_new(0);
			struct stored m;

			assert_int_equal(spool_read(s->u.sp, spool_find(s->u.sp, s->id[i]), a, &m,
			    &err), 0);
			arena_free(&a);
		}
	}
	user_close(&s->u);
}

#endif
