/* fuzz_frames.c -- bodies of frames from a peer that has gone mad.
 *
 * The first byte chooses the codec, the rest is the body. Whatever decodes
 * must encode to the same bytes again: no field is lost or read two ways.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ipc/messages_count.h"
#include "ipc/messages_oidc.h"
#include "ipc/messages_tls.h"
#include "ipc/messages_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRY(name) TRY_WITH(name, -1)
#define TRY_WITH(name, fd) do { \
		struct msg_##name m; \
		if (name##_decode(body, fd, a, &m) == 0) \
			name##_encode(&b, &m); \
		else \
			bad = true; \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body;
	struct arena *a;
	struct buf b;
	bool bad = false;

	if (size == 0)
		return 0;
	body = span_make((const char *)data + 1, size - 1);
	a = arena_new(0);
	buf_init(&b, 16u << 20);
	switch (data[0] % 38) {
	case 0: TRY(peer); break;
	case 1: TRY(scan); break;
	case 2: TRY(verdict); break;
	case 3: TRY(sign); break;
	case 4: TRY(signed); break;
	case 5: TRY(submit); break;
	case 6: TRY(accepted); break;
	case 7: TRY(segment); break;
	case 8: TRY(deliver); break;
	case 9: TRY(result); break;
	case 10: TRY(keep); break;
	case 11: TRY(event); break;
	case 12: TRY(sts_ask); break;
	case 13: TRY(sts_answer); break;
	case 14: TRY(tls_seen); break;
	case 15: TRY(rua_ask); break;
	case 16: TRY(rua); break;
	case 17: TRY(post); break;
	case 18: TRY(posted); break;
	case 19: TRY(basis); break;
	case 20: TRY_WITH(policy, 0); break;
	case 21: TRY(published); break;
	case 22: TRY(lookup); break;
	case 23: TRY(found); break;
	case 24: TRY(members); break;
	case 25: TRY(memberships); break;
	case 26: TRY(identify); break;
	case 27: TRY(verify); break;
	case 28: TRY(facts); break;
	case 29: TRY(picture_text); break;
	case 30: TRY(count_ask); break;
	case 31: TRY(count_told); break;
	case 32: TRY(count_owe); break;
	case 33: TRY(count_note); break;
	case 34: TRY(count_list); break;
	case 35: TRY(count_listed); break;
	case 36: TRY(oidc_ask); break;
	case 37: TRY(oidc_told); break;
	}
	if (!bad && !span_eq(buf_data(&b), body))
		abort();
	buf_release(&b);
	arena_free(&a);
	return 0;
}
