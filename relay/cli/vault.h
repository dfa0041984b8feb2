/* vault.h -- a stream of bytes as an encrypted file: what `postern backup` writes and `postern restore` reads.
 *
 *	postern-backup 1\n
 *	scrypt LN SALT\n			or: x25519 EPHEMERAL RECIPIENT\n	(base64)
 *	chunks: length (4, big-endian), ciphertext, tag (16)
 *
 * AES-256-GCM over chunks of 64 KiB; the nonce is the chunk's number and whether it is the last one, so that none
 * can be left out, doubled, moved or cut off. The key is HMAC-SHA256 of the head's lines with what scrypt makes of the
 * passphrase, or with the shared secret of a fresh X25519 key and the recipient's: no two files share a key, and
 * a head that was tampered with opens nothing. Who has only the public key can make backups and read none.
 */
#ifndef CLI_VAULT_H
#define CLI_VAULT_H

#include <stdint.h>

#include "postern/err.h"
#include "postern/span.h"

#define VAULT_CHUNK 65536

/* One of the two. */
struct vault_secret {
	struct span passphrase;
	const char *key;	/* file: the recipient's public key to write, the private one to read */
};

struct vault;
struct vault *vault_create(int fd, const struct vault_secret *s, struct err *err);
struct vault *vault_open(int fd, const struct vault_secret *s, struct err *err);
int vault_write(struct vault *v, const void *p, size_t n, struct err *err);
int vault_finish(struct vault *v, struct err *err);	/* the last chunk */
/* Bytes of the next chunk, borrowed until the next call; empty: the end, and it was the end. */
int vault_read(struct vault *v, struct span *out, struct err *err);
void vault_free(struct vault **v);

/* path and path.pub, PEM. */
int vault_make_key(const char *path, struct err *err);

#endif
