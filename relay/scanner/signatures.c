/* signatures.c -- a folder of antivirus databases; see signatures.h.
 *
 * What counts as a database is what libclamav would load, by the ending of
 * its name. freshclam and its helpers write beside them, under other names, and rename.
 *
 * Two machines have the same signatures when daily and main have the same
 * version, as many were loaded, and the files of one's own have the same
 * content: cl_engine's own version number is 0 where there are custom ones alone.
 */
#include <clamav.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postern/span.h"
#include "scanner/signatures.h"
#include "table.h"

#define FILES_MAX 10000

static const char *const endings[] = { "cvd", "cld", "cud", "db", "fp", "sfp", "gdb", "wdb", "pdb",
	"ftm", "hdb", "hdu", "hsb", "hsu", "mdb", "mdu", "msb", "msu", "imp", "ndb", "ndu", "ldb", "ldu",
	"sdb", "zmd", "rmd", "idb", "cdb", "crb", "cat", "cbc", "ign", "ign2", "ioc", "yar", "yara",
	"pwdb", "cfg", "info" };

static bool
is_database(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (name[0] == '.' || dot == NULL)
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcmp(dot + 1, endings[i]) == 0)
			return true;
	return false;
}

static bool
is_official(const char *name)
{
	const char *dot = strrchr(name, '.');

	return strcmp(dot, ".cvd") == 0 || strcmp(dot, ".cld") == 0;
}

static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	uint8_t key[16] = "database";

	memcpy(key + 8, &h, 8);
	return siphash(key, p, n);
}

uint64_t
signatures_print(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	struct stat st;
	uint64_t h = 0;

	while (d && (e = readdir(d)) != NULL) {
		int64_t v[5];

		if (!is_database(e->d_name) || fstatat(dirfd(d), e->d_name, &st, 0) == -1)
			continue;
		v[0] = (int64_t)st.st_dev;
		v[1] = (int64_t)st.st_ino;
		v[2] = st.st_size;
		v[3] = st.st_mtim.tv_sec;
		v[4] = st.st_mtim.tv_nsec;
		h ^= mix(mix(1, e->d_name, strlen(e->d_name)), v, sizeof(v));
	}
	if (d)
		closedir(d);
	return h;
}

static int
wanted(const struct dirent *e)
{
	return is_database(e->d_name);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
note_official(const struct cl_cvd *cvd, const char *name, struct signatures *s, int64_t *daily)
{
	if (strncmp(name, "daily.", 6) == 0 && cvd->version >= s->daily) {
		s->daily = cvd->version;
		*daily = cvd->stime;
	} else if (strncmp(name, "main.", 5) == 0 && cvd->version >= s->main) {
		s->main = cvd->version;
		s->made = cvd->stime;
	}
}

/* A file's bytes, with their number in front. */
static int
digest_file(EVP_MD_CTX *md, const char *path, const struct stat *st, struct err *err)
{
	unsigned char block[65536];
	uint64_t size = (uint64_t)st->st_size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return err_errno(err, "%s", path);
	EVP_DigestUpdate(md, &size, sizeof(size));
	while ((n = read(fd, block, sizeof(block))) > 0)
		EVP_DigestUpdate(md, block, (size_t)n);
	if (n == -1)
		err_errno(err, "%s", path);
	close(fd);
	return n == -1 ? -1 : 0;
}

static int
read_one(const char *folder, const char *name, EVP_MD_CTX *md, struct signatures *s, int64_t *daily,
    int64_t *newest, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s/%s", folder, name);
	if (stat(path, &st) == -1)
		return err_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (is_official(name)) {
		/* bytecode and third parties' databases have versions in their heads, too */
		struct cl_cvd *cvd = cl_cvdhead(path);
		unsigned version = cvd ? cvd->version : 0;

		if (cvd) {
			note_official(cvd, name, s, daily);
			cl_cvdfree(cvd);
		}
		EVP_DigestUpdate(md, name, strlen(name) - 4);	/* .cvd and .cld say the same */
		EVP_DigestUpdate(md, &version, sizeof(version));
		return 0;
	}
	if (st.st_mtim.tv_sec > *newest)
		*newest = st.st_mtim.tv_sec;
	EVP_DigestUpdate(md, name, strlen(name) + 1);
	return digest_file(md, path, &st, err);
}

int
signatures_read(const char *folder, struct signatures *out, struct err *err)
{
	struct signatures s = { 0 };
	struct dirent **names = NULL;
	unsigned char hash[EVP_MAX_MD_SIZE];
	int64_t daily = 0, newest = 0;
	int n = scandir(folder, &names, wanted, by_name), rc = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	ASSERT(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	if (n == -1)
		rc = err_errno(err, "%s", folder);
	else if (n > FILES_MAX)
		rc = err_set(err, E2BIG, "%s: more than %d databases", folder, FILES_MAX);
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = read_one(folder, names[i]->d_name, md, &s, &daily, &newest, err);
		free(names[i]);
	}
	free(names);
	ASSERT(EVP_DigestFinal_ex(md, hash, NULL) == 1);
	EVP_MD_CTX_free(md);
	if (rc == -1)
		return -1;
	if (daily)
		s.made = daily;
	else if (s.made == 0)
		s.made = newest;
	n = snprintf(s.id, sizeof(s.id), "daily%u+main%u+set", s.daily, s.main);
	for (int i = 0; i < 8; i++)
		n += snprintf(s.id + n, sizeof(s.id) - (size_t)n, "%02x", hash[i]);
	*out = s;
	return 0;
}

void
signatures_name(struct signatures *s, unsigned loaded, unsigned options)
{
	size_t n = strlen(s->id);

	s->count = loaded;
	if (n)
		snprintf(s->id + n, sizeof(s->id) - n, "+n%u+opt%x", loaded, options);
}
