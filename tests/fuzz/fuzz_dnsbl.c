/* fuzz_dnsbl.c -- any text as the answer of a list that counts: what is taken says 127.x, and ranges that are some. */
#include "verifier/dnsbl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_make((const char *)data, size);
	struct dnsbl_code c = { .weight = 1 };
	struct dns_item item = { .ip = { .family = 4 } };
	struct dns_reply r = { .status = DNS_OK, .n = 1, .items = &item };
	struct dnsbl_list l = { .codes = &c, .ncodes = 1 };
	struct err err = { 0 };

	if (dnsbl_code_parse(text, &c, &err) == -1) {
		ASSERT(err.text[0] != '\0');
		return 0;
	}
	ASSERT(c.from[0] == 127 && c.to[0] == 127);
	for (int i = 1; i < 4; i++) {
		ASSERT(c.from[i] <= c.to[i]);
		item.ip.b[i] = c.to[i];
	}
	item.ip.b[0] = 127;
	ASSERT(dnsbl_read(&l, &r).state != DNSBL_CLEAR);	/* its own last answer is listed, or is none */
	item.ip.b[0] = 128;
	ASSERT(dnsbl_read(&l, &r).state == DNSBL_UNKNOWN);
	return 0;
}
