/* fuzz_smtp_data.c -- any bytes, cut anywhere, through the DATA machine: the cuts change
 * nothing, the message holds no bare CR or LF, and stuffed again it is the same message. */
#include <stdint.h>

#include "buf.h"
#include "postern/err.h"
#include "receiver/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum data_status
run(struct span in, size_t chunk, struct buf *out, size_t *end)
{
	enum data_status st = DATA_MORE;
	struct smtp_data d;
	size_t at = 0;

	smtp_data_init(&d, false);
	while (at < in.n && (st == DATA_MORE || st == DATA_BYTES)) {
		struct span piece = span_sub(in, at, chunk), got;
		size_t used;

		st = smtp_data_step(&d, piece, &used, &got);
		ASSERT(used <= piece.n && (used > 0 || st == DATA_BARE));
		ASSERT(st != DATA_BYTES || (got.n > 0 && got.p >= piece.p &&
		    got.p + got.n <= piece.p + piece.n));
		buf_span(out, got);
		at += used;
	}
	*end = at;
	return st == DATA_BYTES ? DATA_MORE : st;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data + 1, size - 1 }, msg;
	struct buf one, many, again;
	enum data_status st;
	size_t end1, end2;

	if (size < 2 || size > 1 << 20)
		return 0;
	buf_init(&one, 2 << 20);
	buf_init(&many, 2 << 20);
	buf_init(&again, 4 << 20);
	st = run(in, SIZE_MAX, &one, &end1);
	ASSERT(run(in, 1 + data[0] % 16, &many, &end2) == st);
	msg = buf_data(&one);
	if (st != DATA_BARE) {
		ASSERT(end1 == end2 && span_eq(msg, buf_data(&many)));
		for (size_t i = 0; i < msg.n; i++) {
			ASSERT(msg.p[i] != '\n' || (i && msg.p[i - 1] == '\r'));
			ASSERT(msg.p[i] != '\r' || i + 1 == msg.n || msg.p[i + 1] == '\n');
		}
	}
	if (st == DATA_END) {
		ASSERT(msg.n == 0 || msg.p[msg.n - 1] == '\n');
		for (size_t i = 0; i < msg.n; i++) {
			if (msg.p[i] == '.' && (i == 0 || msg.p[i - 1] == '\n'))
				buf_putc(&again, '.');
			buf_putc(&again, msg.p[i]);
		}
		buf_puts(&again, ".\r\n");
		buf_reset(&many);
		ASSERT(run(buf_data(&again), 7, &many, &end2) == DATA_END);
		ASSERT(end2 == buf_size(&again) && span_eq(buf_data(&many), msg));
	}
	buf_release(&one);
	buf_release(&many);
	buf_release(&again);
	return 0;
}
