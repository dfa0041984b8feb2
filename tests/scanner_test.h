/* scanner_test.h -- folders, databases and test files for the tests of scanner and signer. */
#ifndef TESTS_SCANNER_TEST_H
#define TESTS_SCANNER_TEST_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postern/arena.h"
#include "postern/err.h"

/* A new folder below TMPDIR; free() its name. */
static inline char *
test_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *dir = NULL;

	if (asprintf(&dir, "%s/postern-test-XXXXXX", base ? base : "/tmp") == -1 ||
	    mkdtemp(dir) == NULL || chmod(dir, 0755) == -1) {
		perror("test_dir");
		exit(1);
	}
	return dir;
}

static inline int
test_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static inline void
test_remove(const char *dir)
{
	nftw(dir, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
test_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF) {
		perror(path);
		exit(1);
	}
}

/* The EICAR test file, 68 characters, put together here so that this source is not taken for it. */
static inline const char *
test_eicar(struct arena *a)
{
	return arena_printf(a, "%s%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS",
	    "-TEST-FILE!$H+H*");
}

/* A database folder whose one signature is the test file, at offset `at` ("0", "*"). */
static inline char *
test_databases(struct arena *a, const char *dir, const char *at)
{
	char *db = arena_printf(a, "%s/databases", dir), hex[2 * 68 + 1];
	const char *eicar = test_eicar(a);

	for (size_t i = 0; i < 68; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)eicar[i]);
	if (mkdir(db, 0755) == -1) {
		perror(db);
		exit(1);
	}
	test_write(arena_printf(a, "%s/test.ndb", db),
	    arena_printf(a, "Eicar-Test:0:%s:%s\n", at, hex));
	return db;
}

#endif
