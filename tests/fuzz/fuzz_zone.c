/* fuzz_zone.c -- any bytes as time-zone data. */
#include "buf.h"
#include "rules/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t moments[] = { INT64_MIN / 4000000, -2208988800, -1, 0, 1795343000,
		4102444800, 253402300799, INT64_MAX / 4000000 };
	struct arena *a = arena_new(0);
	struct err err;
	struct zone *z = zone_parse(a, span_make((const char *)data, size), &err);

	for (size_t i = 0; z && i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct local_time l = zone_local(z, moments[i]);

		ASSERT(l.weekday < 7 && l.second < 86400);
		ASSERT(zone_offset(z, moments[i]) >= -200 * 3600 && zone_offset(z, moments[i]) <= 200 * 3600);
	}
	arena_free(&a);
	return 0;
}
