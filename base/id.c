/* id.c -- message ids; see id.h. */
#include "id.h"
#include "postern/err.h"

/* In ASCII order, so that text sorts as the numbers do. */
static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

uint32_t
id_slot(uint32_t node, uint32_t process)
{
	ASSERT(node < ID_NODES && process < ID_PROCESSES);
	return node * ID_PROCESSES + process;
}

uint64_t
id_new(struct id_source *src, int64_t now_us)
{
	ASSERT(src->slot < ID_PLACES);
	now_us -= now_us % ID_TICK;
	src->last = now_us > src->last ? now_us : src->last + ID_TICK;
	return (uint64_t)src->last * ID_SLOTS + src->slot;
}

const char *
id_format(uint64_t id, char buf[ID_SIZE])
{
	for (int i = ID_LEN - 1; i >= 0; i--) {
		buf[i] = digits[id % 62];
		id /= 62;
	}
	buf[ID_LEN] = '\0';
	return buf;
}

bool
id_parse(struct span text, uint64_t *out)
{
	uint64_t id = 0;

	if (text.n != ID_LEN)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		unsigned v;

		if (c >= '0' && c <= '9')
			v = (unsigned)(c - '0');
		else if (c >= 'A' && c <= 'Z')
			v = (unsigned)(c - 'A') + 10;
		else if (c >= 'a' && c <= 'z')
			v = (unsigned)(c - 'a') + 36;
		else
			return false;
		if (__builtin_mul_overflow(id, UINT64_C(62), &id) ||
		    __builtin_add_overflow(id, (uint64_t)v, &id))
			return false;
	}
	*out = id;
	return true;
}

int64_t
id_time(uint64_t id)
{
	return (int64_t)(id / ID_PLACES * ID_TICK);
}

uint32_t
id_node(uint64_t id)
{
	return (uint32_t)(id % ID_PLACES) / ID_PROCESSES;
}
