/* fingerprint.h -- an index of documents by their fingerprints (policy/detect/winnow.h), and how it is made.
 *
 * One file holds the hashes of all documents, sorted, each with the documents
 * it stands in. A look-up costs the same whatever their number. The file has
 * no text: of a document its name, the day it was added, how long it is, and
 * 48 bits of SipHash of each chosen gram, under a key of the index. Equal texts
 * have other hashes in another index; but who has the file has the key, and can
 * test whether a text he guesses is in it. So it is as confidential as an
 * extract of the documents.
 *
 * A document may be *ignored*: a template, a letterhead, a disclaimer. What
 * stands in it counts neither for the other documents nor for a message.
 *
 * Layout, numbers little-endian: "PSTNFPR1", gram, window (4 bytes each),
 * checksum of all that follows (8), key (16), numbers of documents, hashes and
 * lists, bytes of the documents (4 each), when it was made (8); the documents by
 * name: flags (1), added (8), hashes (4), letters (4), length of the name (2),
 * name; the hashes, rising (6 each); the owner of each (4): a document, or with
 * the highest bit a place among the lists: their number, and so many documents.
 */
#ifndef POSTERN_FINGERPRINT_H
#define POSTERN_FINGERPRINT_H

#include <stdint.h>

#include "postern/anatomy.h"
#include "postern/arena.h"
#include "postern/err.h"

struct buf;

#define FINGERPRINT_FILE "index.fpr"	/* within its folder */
#define FINGERPRINT_BYTES_MAX ((size_t)64 << 20)
#define FINGERPRINT_LETTERS 64	/* letters and digits in a row that are always recognised */
#define FINGERPRINT_DOCUMENTS_MAX 100000
#define FINGERPRINT_NAME_MAX 255
/* A hash that more documents have counts for the first of them by name, for the others it is as
 * if ignored: the work for one passage stays bounded. */
#define FINGERPRINT_OWNERS_MAX 64

struct fingerprint_document {
	struct span name;
	int64_t added;		/* Unix seconds */
	uint32_t hashes;	/* distinct ones */
	uint32_t letters;	/* letters and digits of its text */
	uint32_t counted;	/* hashes that are not ignored: what a share is a share of */
	bool ignored;
};

struct fingerprints {		/* an index, borrowed from the bytes of its file */
	struct span bytes;
	uint8_t key[16];
	int64_t made;
	struct fingerprint_document *documents;
	uint32_t ndocuments, nhashes;
	const uint8_t *hashes, *owners, *lists;
	uint32_t nlists;
	uint32_t *buckets;	/* hashes with the first bits b are [buckets[b], buckets[b + 1]) */
	unsigned bits;
	uint8_t *ignored;	/* a bit for each hash */
};

/* Any bytes may come; -1 says what is wrong with them. Lives in the arena and borrows the bytes. */
int fingerprints_read(struct span bytes, struct arena *a, struct fingerprints *out, struct err *err);
uint64_t fingerprint_hash(const uint8_t key[16], const uint8_t *gram, size_t n);
/* The place of the hash among all, or -1. */
int64_t fingerprints_find(const struct fingerprints *f, uint64_t hash);
bool fingerprints_ignored(const struct fingerprints *f, uint32_t place);
/* The i-th document that has it, for which it counts; -1: no more. */
int64_t fingerprints_owner(const struct fingerprints *f, uint32_t place, uint32_t i);
/* The checksum a file with these bytes has to have. */
uint64_t fingerprints_checksum(struct span file);

/* What a policy would find in a message, the most first; per cent. */
struct fingerprint_overlap {
	const struct fingerprint_document *document;
	double overlap;
	uint32_t hashes;	/* of the document's that stand in it */
};
size_t fingerprints_check(const struct fingerprints *f, const struct anatomy *an, struct arena *a,
    struct fingerprint_overlap **out);

/* --- making one ------------------------------------------------------------------------- */

struct fingerprint_maker;

struct fingerprint_maker *fingerprint_maker_new(const uint8_t key[16]);
void fingerprint_maker_free(struct fingerprint_maker **m);
/* All that an index has. */
void fingerprint_maker_take(struct fingerprint_maker *m, const struct fingerprints *f);
/* The texts of one document, then its name; one of the same name is replaced: true. The texts
 * are folded. */
void fingerprint_maker_text(struct fingerprint_maker *m, struct span folded);
/* What the texts until now came to. */
uint32_t fingerprint_maker_hashes(const struct fingerprint_maker *m, uint32_t *letters);
bool fingerprint_maker_put(struct fingerprint_maker *m, struct span name, int64_t added, bool ignored);
void fingerprint_maker_drop(struct fingerprint_maker *m);	/* forgets the texts until now */
bool fingerprint_maker_remove(struct fingerprint_maker *m, struct span name);	/* false: no such */
/* -1: it would be too large. */
int fingerprint_maker_write(struct fingerprint_maker *m, int64_t now, struct buf *out, struct err *err);

#endif
