/* fuzz_vault.c -- any bytes as a backup's file; and any bytes as what is in one: it comes back as it was, and with a
 * byte changed anywhere, or its end missing, it does not come back whole. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/vault.h"
#include "fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char key[64], pub[80];

static void
forget(void)
{
	unlink(key);
	unlink(pub);
}

static void
make_key(void)
{
	struct err err;

	if (key[0])
		return;
	snprintf(key, sizeof(key), "/tmp/postern-fuzz-vault-%d", (int)getpid());
	snprintf(pub, sizeof(pub), "%s.pub", key);
	forget();
	ASSERT(vault_make_key(key, &err) == 0);
	atexit(forget);
}

/* Bytes that come out before the end, or -1 when it is refused. `want` is what they must begin with. */
static ssize_t
read_back(int fd, const struct vault_secret *s, const uint8_t *want, size_t size)
{
	struct vault *v;
	struct err err;
	size_t n = 0;
	struct span part = { "", 1 };

	ASSERT(lseek(fd, 0, SEEK_SET) == 0);
	if ((v = vault_open(fd, s, &err)) == NULL)
		return -1;
	while (part.n) {
		if (vault_read(v, &part, &err) == -1) {
			vault_free(&v);
			return -1;
		}
		ASSERT(want == NULL || (part.n <= size - n && (part.n == 0 || memcmp(part.p, want + n, part.n) == 0)));
		n += part.n;
	}
	vault_free(&v);
	return (ssize_t)n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vault_secret to = { .key = pub }, from = { .key = key };
	struct vault *v;
	struct stat st;
	struct err err;
	size_t at;
	uint8_t byte;
	int fd;

	if (size < 3)
		return 0;
	make_key();
	ASSERT((fd = memfd_create("vault", MFD_CLOEXEC)) != -1);
	/* A passphrase would cost scrypt each time; heads that ask for one are refused for want of it. */
	ASSERT(fs_write_all(fd, data, size, &err) == 0);
	read_back(fd, &from, NULL, 0);
	ASSERT(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	ASSERT((v = vault_create(fd, &to, &err)) != NULL);
	ASSERT(vault_write(v, data, size, &err) == 0 && vault_finish(v, &err) == 0);
	vault_free(&v);
	ASSERT(read_back(fd, &from, data, size) == (ssize_t)size);
	ASSERT(fstat(fd, &st) == 0);
	at = ((size_t)data[0] << 8 | data[1]) % (size_t)st.st_size;
	ASSERT(pread(fd, &byte, 1, (off_t)at) == 1);
	byte ^= (uint8_t)(1 << (data[2] & 7));
	ASSERT(pwrite(fd, &byte, 1, (off_t)at) == 1);
	ASSERT(read_back(fd, &from, data, size) == -1);
	byte ^= (uint8_t)(1 << (data[2] & 7));
	ASSERT(pwrite(fd, &byte, 1, (off_t)at) == 1);
	ASSERT(ftruncate(fd, (off_t)at) == 0);
	ASSERT(read_back(fd, &from, data, size) == -1);
	close(fd);
	return 0;
}
