/* fuzz_directory.c -- what strangers may put into an LDAP question, and what may stand in the file
 * of the cache.
 *
 * The first byte chooses. Whatever the address: the filter has the shape of its template, a value
 * stays a value. A name that can be read is the same when it is read again. What can be loaded
 * of a cache is saved and loaded again as it was.
 */
#include <stddef.h>
#include <stdint.h>

#include "directory/cache.h"
#include "directory/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Brackets, stars and operators that are not escaped: those of the template alone. */
static size_t
signs(struct span f)
{
	size_t n = 0;

	for (size_t i = 0; i < f.n; i++) {
		ASSERT((unsigned char)f.p[i] > ' ' && (unsigned char)f.p[i] < 127);
		n += strchr("()*", f.p[i]) != NULL;
	}
	return n;
}

static void
filters(struct arena *a, struct span address)
{
	static const struct span t = { "(|(mail=%m)(proxyAddresses=smtp:%u@%d))", 39 };
	struct span out, back;
	struct err err;

	if (template_expand(TEMPLATE_FILTER, t, address, a, &out, &err) == -1)
		return;
	ASSERT(signs(out) == 6 && out.n <= FILTER_MAX);
	if (template_expand(TEMPLATE_DN, SPAN_LIT("uid=%m,dc=x"), address, a, &out, &err) == 0 &&
	    address.n && dn_normalise(a, out, &back))
		ASSERT(span_starts(back, SPAN_LIT("uid=")) && dn_within(back, SPAN_LIT("dc=x")));
}

static void
names(struct arena *a, struct span dn)
{
	struct span once, twice;

	if (!dn_normalise(a, dn, &once))
		return;
	ASSERT(dn_normalise(a, once, &twice) && span_eq(once, twice));
	ASSERT(dn_within(once, once));
}

static void
caches(struct span bytes)
{
	struct cache *c = cache_new(100), *d = cache_new(100);
	struct buf first, second;
	struct err err;

	buf_init(&first, 1 << 20);
	buf_init(&second, 1 << 20);
	if (cache_load(c, bytes, 1000, &err) == 0) {
		cache_save(c, 1000, 1 << 20, &first);
		ASSERT(buf_failed(&first) || cache_load(d, buf_data(&first), 1000, &err) == 0);
		ASSERT(buf_failed(&first) || cache_count(c) == cache_count(d));
		cache_save(d, 1000, 1 << 20, &second);
		ASSERT(span_eq(buf_data(&first), buf_data(&second)));
	} else
		ASSERT(cache_count(c) == 0);
	buf_release(&first);
	buf_release(&second);
	cache_free(&c);
	cache_free(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in;
	struct arena *a;
	struct err err;

	if (size == 0)
		return 0;
	in = span_make((const char *)data + 1, size - 1);
	a = arena_new(0);
	switch (data[0] % 4) {
	case 0:
		filters(a, in);
		break;
	case 1:
		names(a, in);
		break;
	case 2:
		caches(in);
		break;
	default:
		(void)template_check(TEMPLATE_FILTER, in, &err);
	}
	arena_free(&a);
	return 0;
}
