/* newest.h -- of several processes of one role, the one that was started last.
 *
 * During a reload two generations stand side by side; the new one knows the new configuration. Should
 * it end, the one before it counts again. Zeroed: none.
 */
#ifndef IPC_NEWEST_H
#define IPC_NEWEST_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/channel.h"

#define NEWEST_MAX 16

struct newest {
	struct link *v[NEWEST_MAX];
	size_t n;
};

static inline void
newest_add(struct newest *w, struct link *l)
{
	if (w->n < NEWEST_MAX)
		w->v[w->n++] = l;
}

static inline bool
newest_remove(struct newest *w, const struct link *l)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i] == l) {
			w->v[i] = w->v[--w->n];
			return true;
		}
	return false;
}

static inline struct link *
newest_get(const struct newest *w)
{
	struct link *best = NULL;

	for (size_t i = 0; i < w->n; i++)
		if (best == NULL || link_instance(w->v[i]) > link_instance(best))
			best = w->v[i];
	return best;
}

#endif
