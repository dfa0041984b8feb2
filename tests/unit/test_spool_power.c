/* test_spool_power.c -- the power goes at each operation on the disk in turn: what was not synced is
 * gone, or half there, or there in any order. What was acknowledged is there afterwards, what is
 * known to be done is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "spool_scene.h"

#define FILES_MAX 64

/* What the disk is sure to have: bytes as of the last sync of a file, names as of the last sync of
 * its folder: a copy of hard links stands for those. */
static struct {
	char root[256];
	long at, count;
	struct { ino_t ino; off_t size; char *bytes; } synced[FILES_MAX];
	size_t n;
	bool off;
} power;
static uint64_t reused_in_all;

/* The whole of a file; the caller's to free. */
static char *
slurp(const char *path, off_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *p;

	ASSERT(fd != -1 && fstat(fd, &st) == 0);
	p = malloc((size_t)st.st_size + 1);
	ASSERT(p != NULL && pread(fd, p, (size_t)st.st_size, 0) == st.st_size);
	close(fd);
	*size = st.st_size;
	return p;
}

static void
names_durable(void)
{
	char cmd[1200];

	/* Names the disk is sure of: a hard link for each. */
	snprintf(cmd, sizeof(cmd), "rm -rf '%s.names'; cp -al '%s' '%s.names'", power.root, power.root,
	    power.root);
	ASSERT(system(cmd) == 0);
}

static int
power_watch(enum fs_op op, const char *path, int fd, size_t *n)
{
	struct stat st;

	if (power.off || power.count++ >= power.at) {
		power.off = dark = true;
		return EIO;
	}
	if ((op == FS_FDATASYNC || op == FS_FSYNC) && fstat(fd, &st) == 0) {
		size_t i;

		if (S_ISDIR(st.st_mode)) {
			names_durable();
			return 0;
		}
		for (i = 0; i < power.n && power.synced[i].ino != st.st_ino; i++)
			;
		ASSERT(i < FILES_MAX);
		char name[64];

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		power.synced[i].ino = st.st_ino;
		free(power.synced[i].bytes);
		power.synced[i].bytes = slurp(name, &power.synced[i].size);
		if (i == power.n)
			power.n++;
	}
	return 0;
}

/* A file of which `now` was written and `then` was synced: back to that, or, torn, with every other
 * block of 512 bytes, or the first half of what was changed, of the newer. */
static void
file_restore(const char *path, const char *then, off_t n_then)
{
	off_t n_now, n = n_then, first, last;
	char *now = slurp(path, &n_now), *out = calloc(1, (size_t)(n_now > n_then ? n_now : n_then) + 1);
	int fd;

	ASSERT(out != NULL);
	if (n_then)
		memcpy(out, then, (size_t)n_then);
	for (first = 0; first < n_now && first < n_then && now[first] == then[first]; first++)
		;
	for (last = n_now; last > first && last <= n_then && now[last - 1] == then[last - 1]; last--)
		;
	if (power.at % 3 == 1 && last > first) {		/* the first half arrived */
		off_t half = first + (last - first) / 2;

		memcpy(out + first, now + first, (size_t)(half - first));
		n = half > n ? half : n;
	} else if (power.at % 3 == 2 && n_now <= n_then)	/* in any order */
		for (off_t at = first & ~(off_t)511; at < last; at += 1024)
			memcpy(out + at, now + at, (size_t)(at + 512 < n_now ? 512 : n_now - at));
	fd = open(path, O_WRONLY);
	ASSERT(fd != -1 && ftruncate(fd, n) == 0 && pwrite(fd, out, (size_t)n, 0) == n);
	close(fd);
	free(now);
	free(out);
}

/* Back to what is durable: the names of the last sync, each file as it was synced, and for some of
 * the rounds a part of what was not: torn. */
static void
power_restore(void)
{
	char cmd[1200], dir[600], name[1200];
	static const char *const dirs[] = { "", "/big" };

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'; cp -al '%s.names' '%s'", power.root, power.root,
	    power.root);
	ASSERT(system(cmd) == 0);
	for (int k = 0; k < 2; k++) {
		DIR *d;
		struct dirent *e;

		snprintf(dir, sizeof(dir), "%s%s", power.root, dirs[k]);
		d = opendir(dir);
		ASSERT(d != NULL);
		while ((e = readdir(d)) != NULL) {
			struct stat st;
			const char *bytes = NULL;
			off_t keep = 0;

			snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
			if (stat(name, &st) == -1 || !S_ISREG(st.st_mode))
				continue;
			for (size_t i = 0; i < power.n; i++)
				if (power.synced[i].ino == st.st_ino) {
					keep = power.synced[i].size;
					bytes = power.synced[i].bytes;
				}
			file_restore(name, bytes, keep);
		}
		closedir(d);
	}
}

static void
power_loss(void **state)
{
	int64_t now = 1000 * US_PER_SEC;
	struct scene s;
	char cmd[1200];

	clock_virtual = &now;
	for (long at = 0; ; at++) {
		memset(&s, 0, sizeof(s));
		memset(&power, 0, sizeof(power));
		scene_faults = 0;
		dark = false;
		user_fresh(&s.u, "power");
		snprintf(power.root, sizeof(power.root), "%s", s.u.path);
		power.at = at;
		names_durable();
		fs_fault = power_watch;
		scene_play(&s, &now);
		reused_in_all += s.reused;
		user_crash(&s.u);
		power_restore();
		for (size_t i = 0; i < power.n; i++)
			free(power.synced[i].bytes);
		scene_judge(&s, "power loss", at, true);
		if (!power.off)
			break;
		assert_true(at < 400);
	}
	assert_true(reused_in_all > 100);	/* else it says nothing of files used again */
	snprintf(cmd, sizeof(cmd), "rm -rf '%s' '%s.names'", power.root, power.root);
	ASSERT(system(cmd) == 0);
	clock_virtual = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(power_loss) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
