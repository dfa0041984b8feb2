/* fuzz_proxy.c -- any bytes as a PROXY header or as XCLIENT's arguments: a header is decided at its
 * last byte and no sooner, and nothing that may not stand in a header field comes out. */
#include "addr.h"
#include "receiver/proxy.h"
#include "receiver/xclient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
clean(struct span s)
{
	ASSERT(s.n <= 255);
	for (size_t i = 0; i < s.n; i++)
		ASSERT(s.p[i] > ' ' && s.p[i] < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size }, bad;
	struct proxy_header h, part;
	enum proxy_status st = proxy_parse(in, &h);
	struct arena *a = arena_new(0);
	struct xclient x;

	ASSERT(st != PROXY_MORE || size < PROXY_HEADER_MAX);
	if (st == PROXY_CLIENT || st == PROXY_LOCAL) {
		ASSERT(h.size > 0 && h.size <= size && h.size <= PROXY_HEADER_MAX);
		ASSERT((st == PROXY_CLIENT) == (h.client.family == 4 || h.client.family == 6));
		for (size_t n = 0; n < h.size; n++)
			ASSERT(proxy_parse(span_sub(in, 0, n), &part) == PROXY_MORE);
		ASSERT(proxy_parse(span_sub(in, 0, h.size), &part) == st && part.size == h.size &&
		    ip_eq(part.client, h.client) && part.port == h.port);
	}
	if (size < 2048 && xclient_parse(a, in, &x, &bad)) {
		clean(x.name);
		clean(x.helo);
		clean(x.login);
	}
	arena_free(&a);
	return 0;
}
