/* dkim_sign.h -- DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed, SHA-256, no l=.
 *
 * Two engines make the same signatures: dkim_sign_fast() keeps the parsed key
 * and is what the signer uses; dkim_sign_lib() is libopendkim, the reference
 * it is held against in the tests (measured for a 4 KiB message: see
 * bench_scan). The message must have CRLF line ends, as the receiver makes sure.
 */
#ifndef SIGNER_DKIM_SIGN_H
#define SIGNER_DKIM_SIGN_H

#include <openssl/evp.h>

#include "buf.h"
#include "ipc/payload.h"
#include "postern/arena.h"
#include "postern/err.h"

struct dkim_key {
	struct span domain, selector;
	bool ed25519;
	char *pem;		/* for libopendkim */
	EVP_PKEY *key;
	/* the signer's */
	enum { KEY_UNCHECKED, KEY_PUBLISHED, KEY_UNPUBLISHED } published;	/* where `check` is asked for */
	uint64_t unverified;	/* signatures since libopendkim verified one of a message */
};

/* A message taken apart: fields without their final CRLF, and the body in pieces. */
struct dkim_message {
	struct span *fields;
	size_t nfields;
	struct span *body;
	size_t nbody;
	bool amended;	/* an MTA may still add a Date, Message-ID or To that is missing */
};

#define DKIM_HEADER_MAX (1u << 20)	/* bytes of all fields together */
#define DKIM_FIELDS_MAX 4096
#define DKIM_SIGNATURE_MAX (16u << 10)	/* of one DKIM-Signature field */

/* Reads the key, checks it, and makes a trial signature that libopendkim must verify. NULL: err
 * names the file. */
struct dkim_key *dkim_key_load(struct span domain, struct span selector, const char *path,
    bool ed25519, struct err *err);
void dkim_key_free(struct dkim_key **k);

/* p is mapped (payload_map); everything is borrowed from it or lies in the arena. */
int dkim_message_open(const struct payload *p, struct arena *a, struct dkim_message *m,
    struct err *err);

/* Both append one whole field, "DKIM-Signature: …" with its CRLF. now: Unix seconds, for t=. */
int dkim_sign_fast(const struct dkim_key *k, const struct dkim_message *m, int64_t now,
    struct arena *a, struct buf *out, struct err *err);
int dkim_sign_lib(const struct dkim_key *k, const struct dkim_message *m, int64_t now,
    struct arena *a, struct buf *out, struct err *err);

/* 0 when libopendkim verifies the one signature of a whole message (CRLF, in pieces) with k's public half. */
int dkim_verify_own(const struct dkim_key *k, const struct span *pieces, size_t n, struct arena *a,
    struct err *err);

/* The fields that are signed, and those of which one more is claimed than there are, so that
 * none can be added (RFC 6376, 5.4.2 and 8.15). NULL-terminated, lower case. */
extern const char *const dkim_signed_fields[];
extern const char *const dkim_oversigned_fields[];

/* Hash of a body, relaxed (RFC 6376, 3.4.4): what bh= carries. */
int dkim_body_hash(const struct span *body, size_t n, unsigned char hash[32]);

#endif
