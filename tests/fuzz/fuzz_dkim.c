/* fuzz_dkim.c -- any bytes as a message to be signed: taken apart whole and in pieces, hashed alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "signer/dkim_canon.h"
#include "signer/dkim_sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size }, pieces[64];
	unsigned char whole[32], cut[32];
	struct arena *a = arena_new(0);
	struct dkim_message m;
	struct payload p;
	struct err err;
	struct buf b;
	size_t n, step = size ? 1 + data[0] % 61 : 1;

	payload_from_span(&p, text, a);
	if (dkim_message_open(&p, a, &m, &err) == 0) {
		buf_init(&b, DKIM_HEADER_MAX);
		for (size_t i = 0; i < m.nfields; i++) {
			ASSERT(m.fields[i].p >= text.p && m.fields[i].p + m.fields[i].n <=
			    text.p + text.n);
			buf_reset(&b);
			canon_field(&b, m.fields[i]);
			/* A name that is none is never one of those signed. */
			n = canon_field_name(m.fields[i]).n;
			ASSERT(buf_failed(&b) || buf_size(&b) > n);
			ASSERT(buf_failed(&b) || memchr(buf_data(&b).p + n, '\n', buf_size(&b) - n) ==
			    NULL);
		}
		buf_release(&b);
	}
	/* The hash of a body does not depend on where it was cut. */
	n = 0;
	for (size_t at = 0; at < size; at += pieces[n++].n)
		pieces[n] = span_sub(text, at, n == 63 ? size : step);
	ASSERT(dkim_body_hash(&text, 1, whole) == 0 && dkim_body_hash(pieces, n, cut) == 0);
	ASSERT(memcmp(whole, cut, sizeof(whole)) == 0);
	arena_free(&a);
	return 0;
}
