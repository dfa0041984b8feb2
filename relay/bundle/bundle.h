/* bundle.h -- a configuration as one signed file that all nodes of a cluster take (docs/CLUSTER.md).
 *
 * A bundle is a ustar archive (`tar tf` lists it) of a form so strict that the same files are always the same
 * bytes: regular files alone, in rising order of their names, each head as bundle_put writes it, nothing behind the
 * end. Its members:
 *
 *	MANIFEST	JSON: {"v":1,"format":"postern-bundle","serial":…,"made":"host","postern":"0.1.0","needs":[…]}
 *	etc/NAME	files beside postern.yaml, postern.yaml itself among them
 *	secrets		keys, sealed for each node (seal.c); absent when they were left out
 *	signature	"ed25519 KEYID BASE64\n" over all bytes before its head
 *
 * The reader takes bytes from strangers: nothing here opens a file. What is read stays in its bounds and borrows
 * from the bytes; a bundle is believed only after bundle_verify().
 */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include "buf.h"
#include "postern/arena.h"
#include "postern/err.h"

#define BUNDLE_MAX ((size_t)64 << 20)		/* bytes of a bundle */
#define BUNDLE_FILES_MAX 4096
#define BUNDLE_NAME_MAX 99			/* of a name within the archive */
#define BUNDLE_KEYID 16				/* hex digits: the start of SHA-256 over the raw public key */
#define BUNDLE_KEYS_MAX 128			/* that one file of public keys may hold */

struct bundle_file {
	struct span name;	/* without "etc/" */
	struct span data;
	bool secret;		/* from the sealed part: for its owner's eyes alone */
};

struct bundle {
	int64_t serial;			/* rises: microseconds since 1970, unless somebody said otherwise */
	struct span made, version;	/* on which host, by which program */
	struct span *needs;		/* files that must be on the node already */
	size_t nneeds;
	struct bundle_file *files;	/* in the order of their names */
	size_t nfiles;
	struct span sealed;		/* "secrets"; empty: none */
	struct span signed_part;	/* what the signature is over */
	struct span keyid, sig;		/* sig: 64 bytes; both empty: it is not signed */
};

/* 0, or -1 with what is wrong and where. Everything in *out points into bytes or lives in a. */
int bundle_read(struct arena *a, struct span bytes, struct bundle *out, struct err *err);
/* An archive of files alone, as the sealed part holds it. */
int bundle_read_files(struct arena *a, struct span bytes, bool secret, struct bundle_file **files, size_t *n,
    struct err *err);
/* Is it a name a bundle may hold: "policy.d/10-x.yaml"? No empty, hidden or `..` part, no odd character. */
bool bundle_name_ok(struct span name);

/* Writing: members in rising order, then the end. */
void bundle_put(struct buf *b, const char *name, struct span data);
void bundle_end(struct buf *b);
/* Everything but signature and end. files: sorted by name; those that are secret are not written. */
int bundle_write(struct buf *b, const struct bundle *m, struct err *err);
void bundle_write_secrets(struct buf *b, const struct bundle_file *files, size_t n);
void bundle_sort(struct bundle_file *files, size_t n);

/* ---- keys (keys.c): PEM, Ed25519 to sign, X25519 to seal ---- */
struct bundle_key;		/* one, private or public */
struct bundle_keys {		/* public ones */
	struct bundle_key *v[BUNDLE_KEYS_MAX];
	size_t n;
};
enum bundle_use { BUNDLE_SIGN, BUNDLE_SEAL };

/* text: PEM. what: for the error, the file's name. */
struct bundle_key *bundle_key_private(struct span text, enum bundle_use use, const char *what, struct err *err);
int bundle_keys_read(struct span text, enum bundle_use use, const char *what, struct bundle_keys *out,
    struct err *err);
void bundle_key_free(struct bundle_key **k);
void bundle_keys_free(struct bundle_keys *k);
const char *bundle_key_id(const struct bundle_key *k);
/* A new one, as two PEM texts. */
int bundle_key_make(enum bundle_use use, struct buf *private, struct buf *public, struct err *err);

/* Appends signature and end to what bundle_write made (or is the signed_part of one read). */
int bundle_sign(struct buf *b, const struct bundle_key *k, struct err *err);
/* 0 when one of the keys has signed it. */
int bundle_verify(const struct bundle *b, const struct bundle_keys *trusted, struct err *err);

/* ---- the sealed part (seal.c) ---- */
int bundle_seal(struct buf *out, struct span plain, const struct bundle_keys *to, struct err *err);
/* 0: *plain is in a. -1, err.code ENOKEY: it was not sealed for this key. */
int bundle_unseal(struct arena *a, struct span sealed, const struct bundle_key *own, struct span *plain,
    struct err *err);

#endif
