/* payload.h -- the bytes of a message on their way between processes.
 *
 * Small messages travel inside the frame (measured: 16 us for a round trip
 * with 4 KiB inside, 42 us with a new sealed memfd), larger ones in a sealed
 * memfd. Either way the sender cannot change them any more. A payload is a list of
 * pieces, each a range of the inline bytes or of the descriptor: applying
 * edits makes a new list and copies nothing of the body.
 */
#ifndef IPC_PAYLOAD_H
#define IPC_PAYLOAD_H

#include "ipc/codec.h"
#include "postern/arena.h"
#include "postern/err.h"
#include "postern/verdict.h"

#define PAYLOAD_INLINE_MAX (64u << 10)	/* a message up to here travels inside frames */
#define PAYLOAD_PIECES_MAX 4096

struct piece {
	bool from_fd;
	uint64_t off, n;
};

struct payload {
	struct span bytes;	/* inline bytes */
	int fd;			/* -1: none. Not owned; a decoded payload's is the frame's */
	uint64_t fd_size;
	struct piece *pieces;
	size_t npieces;
	uint64_t size;		/* of all pieces together: the message */
	const char *map;	/* payload_map */
};

void payload_from_span(struct payload *p, struct span bytes, struct arena *a);
void payload_from_fd(struct payload *p, int fd, uint64_t size, struct arena *a);
/* `in` with head in front and the edits applied (sorted, not overlapping, inside: else -1).
 * Large inserted texts are gathered into inline bytes in the arena; the body is not copied. */
int payload_edit(struct arena *a, const struct payload *in, struct span head,
    const struct edit *edits, size_t nedits, struct payload *out, struct err *err);
/* Maps the descriptor (when there is one) so that payload_each works. */
int payload_map(struct payload *p, struct err *err);
void payload_unmap(struct payload *p);
/* Piece i as a span; mapped before when from_fd. */
struct span payload_piece(const struct payload *p, size_t i);
/* The whole message as one span: borrowed when it is one piece, copied into the arena else. */
struct span payload_flat(const struct payload *p, struct arena *a);

/* Codec; the descriptor travels beside. Decoding checks seals and ranges. */
void payload_encode(struct enc *e, const struct payload *p);
int payload_decode(struct dec *d, int fd, struct arena *a, struct payload *p);

#endif
