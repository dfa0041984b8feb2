/* dkim_message.c -- a message taken apart for signing: fields, and the body where it lies.
 *
 * Folding stays in the fields: canonicalisation is the engines' work. The
 * header is copied only when edits have cut it into several pieces; the body
 * never is.
 */
#include <string.h>

#include "signer/dkim_sign.h"

const char *const dkim_signed_fields[] = {
	/* RFC 6376, 5.4.1; then what decides how the body is read */
	"from", "sender", "reply-to", "subject", "date", "message-id", "to", "cc",
	"in-reply-to", "references", "mime-version", "content-type",
	"content-transfer-encoding", "resent-date", "resent-from", "resent-to", "resent-cc",
	"list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe",
	"list-post", "list-owner", "list-archive", NULL
};
const char *const dkim_oversigned_fields[] = { "from", "subject", "date", "message-id", "to", NULL };

/* Offset of the first body byte, or SIZE_MAX when the header does not end in s. The first
 * `seen` bytes were looked at before. */
static size_t
header_end(struct span s, size_t seen)
{
	size_t from = seen > 3 ? seen - 3 : 0;
	const char *q;

	if (span_starts(s, SPAN_LIT("\r\n")))
		return 2;
	q = s.n > from ? memmem(s.p + from, s.n - from, "\r\n\r\n", 4) : NULL;
	return q ? (size_t)(q - s.p) + 4 : SIZE_MAX;
}

static int
split_fields(struct span head, struct arena *a, struct dkim_message *m, struct err *err)
{
	size_t at = 0;

	m->fields = arena_array(a, DKIM_FIELDS_MAX, sizeof(*m->fields));
	m->nfields = 0;
	while (at < head.n) {
		size_t start = at, end;

		do {	/* up to the line end that no space follows */
			const char *q = memmem(head.p + at, head.n - at, "\r\n", 2);

			end = q ? (size_t)(q - head.p) : head.n;
			at = q ? end + 2 : head.n;
		} while (at < head.n && ascii_is_wsp(head.p[at]));
		if (end == start)
			break;	/* the empty line */
		if (m->nfields == DKIM_FIELDS_MAX)
			return err_set(err, 0, "more than %d header fields", DKIM_FIELDS_MAX);
		m->fields[m->nfields++] = span_make(head.p + start, end - start);
	}
	return 0;
}

int
dkim_message_open(const struct payload *p, struct arena *a, struct dkim_message *m,
    struct err *err)
{
	struct span head = { NULL, 0 }, piece = { NULL, 0 };
	size_t i, end = SIZE_MAX;

	for (i = 0; i < p->npieces && end == SIZE_MAX; i++) {
		size_t before = head.n;

		piece = payload_piece(p, i);
		if (before + piece.n > DKIM_HEADER_MAX)
			piece.n = DKIM_HEADER_MAX - before;
		if (before == 0) {
			head = piece;
		} else {
			char *both = arena_alloc(a, before + piece.n);

			memcpy(both, head.p, before);
			memcpy(both + before, piece.p, piece.n);
			head = span_make(both, before + piece.n);
		}
		end = header_end(head, before);
		if (end != SIZE_MAX) {
			piece = span_from(payload_piece(p, i), end - before);
			head.n = end;
		} else if (head.n == DKIM_HEADER_MAX) {
			return err_set(err, 0, "the header is above %u bytes", DKIM_HEADER_MAX);
		}
	}
	m->amended = false;
	m->body = arena_array(a, p->npieces - i + 1, sizeof(*m->body));
	m->nbody = 0;
	if (end != SIZE_MAX && piece.n)
		m->body[m->nbody++] = piece;
	for (; i < p->npieces; i++)
		m->body[m->nbody++] = payload_piece(p, i);
	return split_fields(head, a, m, err);
}
