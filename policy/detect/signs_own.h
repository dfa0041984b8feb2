/* signs_own.h -- between signs.c, which asks for everything, and signs_sender.c. */
#ifndef DETECT_SIGNS_OWN_H
#define DETECT_SIGNS_OWN_H

#include "detect/signs.h"

struct seeker {
	const struct anatomy *an;
	const struct envelope *env;
	const struct facts *facts;
	const struct sign_guards *guards;
	struct arena *a;
	struct signs *out;
	bool outside;		/* of the world: who sent it has been looked into */
};

/* why: NULL nothing to add. */
void sign_set(struct seeker *s, enum sign which, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct span seeker_header(const struct seeker *s, const char *name);	/* decoded; "" */
void signs_sender(struct seeker *s);

#endif
