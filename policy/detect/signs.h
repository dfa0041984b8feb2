/* signs.h -- finds what header, session and make of a message say against it; see postern/sign.h. */
#ifndef DETECT_SIGNS_H
#define DETECT_SIGNS_H

#include "detect/lookalike_host.h"
#include "postern/anatomy.h"
#include "postern/envelope.h"
#include "postern/facts.h"
#include "postern/sign.h"

#define PEOPLE_MAX 1000
#define PERSON_WORDS 8		/* of a name; more are not compared */

struct person {
	struct span name;	/* its words folded, sorted, with a space between */
	struct span address;	/* normalised; "" */
};

struct sign_guards {		/* whom nobody else may look like */
	const struct lookalikes *own, *brands;	/* never NULL; may have none */
	const struct person *people;
	size_t npeople;
};

/* The form in which names are compared: "DURAND, Marie" is "durand marie". "" below two words. */
struct span person_name(struct arena *a, struct span name);

/* Texts of `out` live in the arena. */
void signs_find(const struct anatomy *an, const struct envelope *env, const struct facts *facts,
    const struct sign_guards *guards, struct arena *a, struct signs *out);

/* A client's name that a provider gives to each of its lines. */
bool reverse_is_pool(struct span name, struct ip client);

#endif
