/* tags.h -- tag=value lists (RFC 6376, 3.2): DKIM and ARC fields, key records. */
#ifndef VERIFIER_TAGS_H
#define VERIFIER_TAGS_H

#include "postern/arena.h"
#include "postern/span.h"

#define TAGS_MAX 40		/* of one list; a longer one is none */
#define TAGS_BYTES_MAX (32u << 10)

struct tag {
	struct span name, value;	/* value without white space around it */
};

struct tags {
	struct tag v[TAGS_MAX];
	size_t n;
};

/* false: it is no such list, or a tag stands twice (then all of it is invalid). */
bool tags_parse(struct span s, struct tags *out);
/* p NULL: there is no such tag. Names are compared with case. */
struct span tags_get(const struct tags *t, const char *name);
/* The value without any white space inside, in lower case when asked for. */
struct span tags_compact(struct arena *a, struct span value, bool lower);
bool tags_number(struct span value, uint64_t *out);	/* digits only, at most 12 (3.5: t=, x=) */
/* Is `word` among those of a:b:c? An empty list has none. */
bool tags_list_has(struct span list, const char *word);

#endif
