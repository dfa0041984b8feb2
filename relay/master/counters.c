/* counters.c -- numbers that outlive the process that counts; see counters.h. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs.h"
#include "master/counters.h"

#define SHARED_MAGIC UINT64_C(0x706f737465726e31)

_Static_assert(COUNTER_COUNT <= 128, "struct shared has room for 128 counters");

static struct shared *mapped;

static const struct { const char *name, *help; } names[COUNTER_COUNT] = {
#define X(name, metric, help) [COUNTER_##name] = { metric, help },
	COUNTERS(X)
#undef X
};

static const struct { const char *name, *help; } histograms[HISTOGRAM_COUNT] = {
#define X(name, metric, help) [HISTOGRAM_##name] = { metric, help },
	HISTOGRAMS(X)
#undef X
};

/* From 1 ms, where an accept is, to five days, where a delivery ends. */
const int64_t histogram_bounds[HISTOGRAM_BUCKETS - 1] = { 1000, 5000, 10000, 25000, 50000, 100000, 250000,
	1000000, 5000000, 30000000, 120000000, 600000000, 3600000000, 21600000000, 432000000000 };

const char *
counter_name(enum counter c)
{
	ASSERT(c < COUNTER_COUNT);
	return names[c].name;
}

const char *
counter_help(enum counter c)
{
	ASSERT(c < COUNTER_COUNT);
	return names[c].help;
}

int
shared_create(struct err *err)
{
	static const uint64_t magic = SHARED_MAGIC;
	int fd = fs_memfd("postern-shared", err);

	if (fd == -1)
		return -1;
	if (fs_truncate(fd, sizeof(struct shared), err) == -1 ||
	    fs_pwrite_all(fd, &magic, sizeof(magic), 0, err) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

struct shared *
shared_map(int fd, struct err *err)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (s == MAP_FAILED) {
		err_errno(err, "mapping the shared counters");
		return NULL;
	}
	if (s->magic != SHARED_MAGIC) {
		err_set(err, 0, "descriptor %d is not the shared counters", fd);
		munmap(s, sizeof(*s));
		return NULL;
	}
	mapped = s;
	labels_use(&s->labels);
	return s;
}

void
counter_add(enum counter c, int64_t n)
{
	if (mapped)
		__atomic_fetch_add(&mapped->counters[c], (uint64_t)n, __ATOMIC_RELAXED);
}

uint64_t
counter_get(enum counter c)
{
	return mapped ? __atomic_load_n(&mapped->counters[c], __ATOMIC_RELAXED) : 0;
}

void
counter_set(enum counter c, uint64_t n)
{
	if (mapped)
		__atomic_store_n(&mapped->counters[c], n, __ATOMIC_RELAXED);
}

void
histogram_add(enum histogram h, int64_t us)
{
	int i = 0;

	if (mapped == NULL)
		return;
	while (i < HISTOGRAM_BUCKETS - 1 && us > histogram_bounds[i])
		i++;
	__atomic_fetch_add(&mapped->histograms[h].n[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&mapped->histograms[h].sum, us > 0 ? (uint64_t)us : 0, __ATOMIC_RELAXED);
}

void
histogram_get(enum histogram h, uint64_t n[HISTOGRAM_BUCKETS], uint64_t *sum)
{
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		n[i] = mapped ? __atomic_load_n(&mapped->histograms[h].n[i], __ATOMIC_RELAXED) : 0;
	*sum = mapped ? __atomic_load_n(&mapped->histograms[h].sum, __ATOMIC_RELAXED) : 0;
}

const char *
histogram_name(enum histogram h)
{
	ASSERT(h < HISTOGRAM_COUNT);
	return histograms[h].name;
}

const char *
histogram_help(enum histogram h)
{
	ASSERT(h < HISTOGRAM_COUNT);
	return histograms[h].help;
}
