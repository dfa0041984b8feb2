/* unlock.h -- keys made of the message's passwords, and the containers they open.
 *
 * A container that opens is rebuilt without its lock, or its plain bytes become a part; whatever reads
 * that kind reads it then. Making a key is slow by design, and the sender says how slow: so each is
 * paid for from one budget of the message (ANATOMY_KEY_BLOCKS) before it is made, and what cannot be
 * paid for stays locked.
 */
#ifndef ANATOMY_UNLOCK_H
#define ANATOMY_UNLOCK_H

#include "anatomy/unpack.h"

enum lock {
	LOCK_NONE,		/* it has none, or none that is known */
	LOCK_SHUT,		/* no password fits */
	LOCK_OPEN
};

struct unlocked {
	enum lock lock;
	bool names;		/* the list of files is under it too */
	struct span bytes;	/* LOCK_OPEN: the same container without it */
};

struct unlocked sevenzip_unlock(struct builder *b, struct span bytes);
struct unlocked rar4_unlock(struct builder *b, struct span bytes);
struct unlocked rar5_unlock(struct builder *b, struct span bytes);
/* The next locked file of a RAR 5 archive whose names are not; at: 0 first. */
bool rar5_locked_name(struct span file, size_t *at, struct span *name);
/* An OpenDocument file: a zip of the members that were locked; LOCK_SHUT with bytes: not all of them. */
struct zip_listing;
struct unlocked odf_unlock(struct builder *b, const struct zip_listing *l);
/* Streams EncryptionInfo and EncryptedPackage; bytes: the package. */
struct unlocked ooxml_unlock(struct builder *b, struct span info, struct span package);

/* --- unlock.c: what all of them need -------------------------------------------------------- */

#define KEY_PASSWORD 512	/* bytes of a password in UTF-16 */

/* So many bytes hashed: false when the message has spent what it may. */
bool key_pay(struct builder *b, uint64_t rounds, uint64_t bytes_each);
/* "" where it has no UTF-16. */
struct span key_utf16(struct builder *b, struct span utf8);
/* SHA-256 over 2^power times (salt, password in UTF-16, counter). False: it costs too much. */
bool key_sevenzip(struct builder *b, struct span salt, struct span password, unsigned power,
    uint8_t key[32]);
/* PBKDF2 with HMAC-SHA-256 to the values after so many rounds, and 16, and 32 more. */
bool key_rar5(struct builder *b, struct span salt, struct span password, unsigned power,
    uint8_t key[32], uint8_t checksum[32], uint8_t check[32]);
bool key_rar4(struct builder *b, struct span salt, struct span password, uint8_t key[16],
    uint8_t iv[16]);

/* AES in CBC; n and whatever is behind `in` are multiples of 16. nkey: 16, 24 or 32 bytes. */
void aes_cbc_open(const uint8_t *key, size_t nkey, const uint8_t iv[16], struct span in, uint8_t *out);
/* Room for n bytes that come out of a lock, against the budget; NULL: it is spent. */
uint8_t *unlock_room(struct builder *b, size_t n);
/* What a wrong password cost was no content: b->left is `left` again, until *spent is too much to
 * have lain about. */
void unlock_refund(struct builder *b, uint64_t left, uint64_t *spent);

#endif
