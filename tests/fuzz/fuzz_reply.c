/* fuzz_reply.c -- the reply parser under hostile servers: it stays in its bounds, what it
 * keeps is safe to print, and how the bytes were cut into pieces makes no difference. */
#include "delivery/reply.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum reply_status
feed_all(struct smtp_reply *r, struct span in, size_t piece, size_t *total)
{
	enum reply_status st = REPLY_MORE;
	size_t used;

	*total = 0;
	while (in.n && st == REPLY_MORE) {
		st = smtp_reply_feed(r, span_sub(in, 0, piece), &used);
		ASSERT(used <= piece && (used > 0 || st != REPLY_MORE));
		*total += used;
		in = span_from(in, used);
	}
	return st;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct smtp_reply a, b;
	size_t na, nb;

	smtp_reply_init(&a);
	smtp_reply_init(&b);
	for (;;) {
		enum reply_status sa = feed_all(&a, in, SIZE_MAX, &na);
		enum reply_status sb = feed_all(&b, in, 1, &nb);
		struct span text = smtp_reply_text(&a);

		ASSERT(sa == sb && span_eq(text, smtp_reply_text(&b)) && a.code == b.code);
		ASSERT(text.n <= REPLY_TOTAL_MAX + REPLY_LINES_MAX);
		for (size_t i = 0; i < text.n; i++)
			ASSERT(text.p[i] >= ' ' && text.p[i] <= '~');
		if (sa != REPLY_WHOLE)
			break;
		ASSERT(na == nb && a.code >= 200 && a.code <= 599 && a.nlines > 0);
		for (size_t i = 0; i < a.nlines; i++)
			ASSERT(smtp_reply_line(&a, i).n <= REPLY_LINE_MAX);
		in = span_from(in, na);
		smtp_reply_reset(&a);
		smtp_reply_reset(&b);
		if (in.n == 0)
			break;
	}
	smtp_reply_release(&a);
	smtp_reply_release(&b);
	return 0;
}
