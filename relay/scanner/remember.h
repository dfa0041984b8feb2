/* remember.h -- attachments that were scanned before, and were clean.
 *
 * A logo, a circular, a form: the same attachment comes in hundreds of mails.
 * What is known here is not looked at again, and is left out of the bytes of the
 * message that the engine is given; everything else of the message is looked at as ever.
 *
 * What is remembered is an attachment as it stands in the message (the fields of its header that say
 * how it is to be read, and its encoded bytes) after a message of which all was clean, by 256 bits of the
 * BLAKE2b of that. Only where the message can be read in one way, and only attachments directly in it
 * that are no text. Never: a virus, anything not clean, anything across another set
 * of signatures (a process lives with one engine). What a signature can no longer see is the bytes of a
 * mail's header and those of a known attachment together.
 *
 * It is memory of one process, not shared: processes that read what strangers write could
 * teach each other lies. It has a bound; what is not seen again makes room.
 */
#ifndef SCANNER_REMEMBER_H
#define SCANNER_REMEMBER_H

#include "postern/anatomy.h"

#define REMEMBER_HASH 32		/* bytes */
#define REMEMBER_MIN 4096		/* encoded bytes: below it looking is as quick */
#define REMEMBER_ENTRIES 32768		/* 1 MiB */

struct memory;
struct memory *memory_new(size_t entries);	/* a power of two, 4 at least */
void memory_free(struct memory **m);
void memory_forget(struct memory *m);
bool memory_has(struct memory *m, const unsigned char hash[REMEMBER_HASH]);
void memory_add(struct memory *m, const unsigned char hash[REMEMBER_HASH]);

struct seen {			/* of one message */
	uint8_t *state;		/* of each part: enum; NULL: nothing can be said */
	unsigned char (*hashes)[REMEMBER_HASH];
	const struct anatomy *an;
	unsigned nknown;
};
/* Everything lives in the arena. */
void remember_look(struct memory *m, const struct anatomy *an, struct arena *a, struct seen *out);
/* The message without the bodies of the known ones, behind `before`. */
struct span remember_rest(const struct seen *s, struct span before, struct arena *a);
/* The part is known, or lies within one that is. */
bool remember_covers(const struct seen *s, size_t part);
/* All of the message was clean. */
void remember_clean(struct memory *m, const struct seen *s);

#endif
