/* keyring.c -- see keyring.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "store/keyring.h"

#define FILE_MAX (64u << 10)
#define HEX (2 * DB_KEY_SIZE)

struct key {
	int64_t number;
	unsigned char seal[DB_KEY_SIZE], audit[DB_KEY_SIZE];
};

struct keyring {
	size_t n;
	struct key keys[KEYRING_MAX];
};

static void
derive(const unsigned char *key, const void *in, size_t n, unsigned char out[DB_KEY_SIZE])
{
	unsigned len = DB_KEY_SIZE;

	ASSERT(HMAC(EVP_sha256(), key, DB_KEY_SIZE, in, n, out, &len) != NULL);
}

static void
add_key(struct keyring *k, const unsigned char master[DB_KEY_SIZE])
{
	static const char number[] = "postern store key number", s[] = "postern store seal",
	    a[] = "postern store audit";
	struct key *key = &k->keys[k->n];
	unsigned char digest[DB_KEY_SIZE];

	derive(master, number, sizeof(number), digest);
	key->number = 0;
	for (int i = 0; i < 7; i++)
		key->number = key->number << 8 | digest[i];
	key->number |= 1;	/* 0 is no key */
	for (size_t i = 0; i < k->n; i++)
		if (k->keys[i].number == key->number)
			return;
	derive(master, s, sizeof(s), key->seal);
	derive(master, a, sizeof(a), key->audit);
	k->n++;
}

/* ---- the file ---- */

static int
hex_value(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
read_line(struct keyring *k, const char *path, size_t number, struct span line, struct err *err)
{
	unsigned char master[DB_KEY_SIZE];
	int r = 0;

	line = span_trim(span_sub(line, 0, span_find(line, '#')));
	if (line.n == 0)
		return 0;
	if (k->n == KEYRING_MAX)
		return err_set(err, E2BIG, "%s has more than %d keys", path, KEYRING_MAX);
	if (line.n != HEX)
		return err_set(err, EINVAL, "%s:%zu: a key has %d hexadecimal digits, here are %zu characters",
		    path, number, HEX, line.n);
	for (size_t i = 0; r == 0 && i < HEX; i++) {
		int v = hex_value(line.p[i]);

		if (v == -1)
			r = err_set(err, EINVAL, "%s:%zu: a key has hexadecimal digits only", path, number);
		master[i / 2] = (unsigned char)(i % 2 ? master[i / 2] << 4 | v : v);
	}
	if (r == 0)
		add_key(k, master);
	OPENSSL_cleanse(master, sizeof(master));
	return r;
}

static int
read_keys(struct keyring *k, const char *path, int fd, struct err *err)
{
	char *text = malloc(FILE_MAX);
	ssize_t n, at = 0;
	size_t line = 0;
	int r = 0;

	ASSERT(text != NULL);
	while (at < (ssize_t)FILE_MAX && (n = read(fd, text + at, FILE_MAX - (size_t)at)) > 0)
		at += n;
	if (at == (ssize_t)FILE_MAX)
		r = err_set(err, E2BIG, "%s is too large for a file of keys", path);
	for (struct span rest = span_make(text, (size_t)at); r == 0 && rest.n;) {
		size_t eol = span_find(rest, '\n');

		r = read_line(k, path, ++line, span_sub(rest, 0, eol), err);
		rest = span_from(rest, eol + 1);
	}
	OPENSSL_cleanse(text, FILE_MAX);
	free(text);
	if (r == 0 && k->n == 0)
		return err_set(err, EINVAL, "%s has no key", path);
	return r;
}

/* A line with a fresh key. */
static int
write_key(int fd, const char *path, const char *head, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char key[DB_KEY_SIZE];
	char text[HEX + 1];
	int r;

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return err_errno(err, "no random numbers");
	for (size_t i = 0; i < sizeof(key); i++) {
		text[2 * i] = digits[key[i] >> 4];
		text[2 * i + 1] = digits[key[i] & 15];
	}
	text[HEX] = '\n';
	r = fs_write_all(fd, head, strlen(head), err);
	if (r == 0)
		r = fs_write_all(fd, text, sizeof(text), err);
	if (r == 0 && fsync(fd) == -1)
		r = err_errno(err, "%s", path);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(text, sizeof(text));
	return r;
}

/* Its folder: what is not on the disk is a key that a power cut takes. */
static int
sync_folder(const char *path, struct err *err)
{
	char *folder = strdup(path), *slash;
	int fd, r;

	ASSERT(folder != NULL);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd == -1 || fsync(fd) == -1 ? err_errno(err, "%s", slash ? folder : ".") : 0;
	if (fd != -1)
		close(fd);
	free(folder);
	return r;
}

static int
make_folder(const char *path, struct err *err)
{
	char *folder = strdup(path), *slash;
	int r = 0;

	ASSERT(folder != NULL);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (mkdir(folder, 0700) == -1 && errno != EEXIST)
			r = err_errno(err, "%s (the folder of store_key)", folder);
	}
	free(folder);
	return r;
}

static int
make(const char *path, struct err *err)
{
	int fd, r;

	if (make_folder(path, err) == -1)
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return err_errno(err, "%s (store_key cannot be made)", path);
	r = write_key(fd, path, "# Keys of the store, one a line; the last one seals. Without them what the\n"
	    "# database keeps cannot be read: have a copy of this file, apart from the database's.\n", err);
	close(fd);
	if (r == -1)
		unlink(path);
	return r == -1 ? -1 : sync_folder(path, err);
}

static int
check_mode(const char *path, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is no file", path);
	if (st.st_mode & 077)
		return err_set(err, EPERM, "%s can be read by others (mode %03o): chmod 600 it", path,
		    st.st_mode & 0777);
	return 0;
}

struct keyring *
keyring_open(const char *path, bool *made, struct err *err)
{
	struct keyring *k;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	*made = false;
	if (fd == -1 && errno == ENOENT) {
		if (make(path, err) == -1)
			return NULL;
		*made = true;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd == -1) {
		err_errno(err, "%s (store_key)", path);
		return NULL;
	}
	k = mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(k != MAP_FAILED);
	mlock(k, sizeof(*k));			/* where a limit forbids it: as good as it gets */
	madvise(k, sizeof(*k), MADV_DONTDUMP);
	r = check_mode(path, fd, err);
	if (r == 0)
		r = read_keys(k, path, fd, err);
	close(fd);
	if (r == -1)
		keyring_free(&k);
	return k;
}

int
keyring_extend(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW), r;

	if (fd == -1)
		return err_errno(err, "%s (store_key)", path);
	r = check_mode(path, fd, err);
	if (r == 0)
		r = write_key(fd, path, "\n", err);
	close(fd);
	return r;
}

void
keyring_free(struct keyring **kp)
{
	struct keyring *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	OPENSSL_cleanse(k, sizeof(*k));
	munmap(k, sizeof(*k));
}

/* ---- keys ---- */

size_t
keyring_count(const struct keyring *k)
{
	return k ? k->n : 0;
}

int64_t
keyring_number(const struct keyring *k, size_t i)
{
	ASSERT(i < k->n);
	return k->keys[i].number;
}

int64_t
keyring_active(const struct keyring *k)
{
	return k ? k->keys[k->n - 1].number : 0;
}

static const struct key *
find(const struct keyring *k, int64_t number)
{
	for (size_t i = 0; k && i < k->n; i++)
		if (k->keys[i].number == number)
			return &k->keys[i];
	return NULL;
}

const unsigned char *
keyring_audit(const struct keyring *k, int64_t number)
{
	const struct key *key = find(k, number);

	return key ? key->audit : NULL;
}

/* ---- sealing ---- */

bool
is_sealed(struct span s)
{
	return s.n >= SEAL_EXTRA && s.p[0] == 'P' && s.p[1] == 'S' && s.p[2] == 1;
}

int64_t
sealed_by(struct span s)
{
	int64_t number = 0;

	if (!is_sealed(s))
		return 0;
	for (int i = 0; i < 7; i++)
		number = number << 8 | (unsigned char)s.p[3 + i];
	return number;
}

/* What is authenticated beside the text, and the key is derived from: label, id, the head without nonce. */
struct context {
	char bytes[128];
	size_t n;
};

static void
context_of(struct context *c, const char *label, int64_t id, const char *head)
{
	size_t n = strlen(label) + 1;

	ASSERT(n + 8 + SEAL_HEAD <= sizeof(c->bytes));
	memcpy(c->bytes, label, n);
	for (int i = 0; i < 8; i++)
		c->bytes[n + i] = (char)((uint64_t)id >> (56 - 8 * i));
	memcpy(c->bytes + n + 8, head, SEAL_HEAD - 12);
	c->n = n + 8 + SEAL_HEAD - 12;
}

/* One way or the other; false: the tag does not fit. */
static bool
cipher(bool encrypt, const struct key *key, const struct context *c, const char *nonce,
    struct span in, char *out, char *tag)
{
	static EVP_CIPHER *aes;
	unsigned char own[DB_KEY_SIZE];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t at = 0;
	int n;
	bool ok;

	if (aes == NULL)
		aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	ASSERT(aes != NULL && ctx != NULL);
	derive(key->seal, c->bytes, c->n, own);
	ASSERT(EVP_CipherInit_ex2(ctx, aes, own, (const unsigned char *)nonce, encrypt, NULL) == 1);
	OPENSSL_cleanse(own, sizeof(own));
	ASSERT(EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)c->bytes, (int)c->n) == 1);
	for (; at < in.n; at += (size_t)n) {	/* its length is an int */
		size_t piece = in.n - at > 1u << 30 ? 1u << 30 : in.n - at;

		ASSERT(EVP_CipherUpdate(ctx, (unsigned char *)out + at, &n,
		    (const unsigned char *)in.p + at, (int)piece) == 1);
	}
	if (!encrypt)
		ASSERT(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1);
	ok = EVP_CipherFinal_ex(ctx, (unsigned char *)out + at, &n) == 1;
	if (encrypt)
		ASSERT(ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

int
seal(const struct keyring *k, const char *label, int64_t id, struct span plain, char **out,
    size_t *n, struct err *err)
{
	const struct key *key = &k->keys[k->n - 1];
	char *to = malloc(plain.n + SEAL_EXTRA);
	struct context c;

	if (to == NULL)
		return err_set(err, ENOMEM, "no memory to seal %zu bytes", plain.n);
	memcpy(to, "PS\1", 3);
	for (int i = 0; i < 7; i++)
		to[3 + i] = (char)((uint64_t)key->number >> (48 - 8 * i));
	if (getrandom(to + 10, 28, 0) != 28) {	/* salt and nonce */
		free(to);
		return err_errno(err, "no random numbers");
	}
	context_of(&c, label, id, to);
	cipher(true, key, &c, to + SEAL_HEAD - 12, plain, to + SEAL_HEAD, to + SEAL_HEAD + plain.n);
	*out = to;
	*n = plain.n + SEAL_EXTRA;
	return 0;
}

int
unseal(const struct keyring *k, const char *label, int64_t id, struct span sealed,
    struct arena *a, struct span *out, struct err *err)
{
	const struct key *key = find(k, sealed_by(sealed));
	size_t n = sealed.n - SEAL_EXTRA;
	struct context c;
	char tag[16], *to;

	if (!is_sealed(sealed)) {
		*out = sealed;
		return 0;
	}
	if (key == NULL)
		return err_set(err, ENOKEY, "it is sealed with key %014llx, which store_key does not have",
		    (unsigned long long)sealed_by(sealed));
	context_of(&c, label, id, sealed.p);
	to = arena_alloc(a, n ? n : 1);
	memcpy(tag, sealed.p + sealed.n - 16, 16);
	if (!cipher(false, key, &c, sealed.p + SEAL_HEAD - 12, span_sub(sealed, SEAL_HEAD, n), to, tag)) {
		OPENSSL_cleanse(to, n);
		return err_set(err, EBADMSG, "what is stored was changed, or is another row's");
	}
	*out = span_make(to, n);
	return 0;
}

int
keyring_try(const struct keyring *k, struct err *err)
{
	struct arena *a = arena_new(0);
	struct span out;
	char *sealed;
	size_t n;
	int r = seal(k, "try", 1, SPAN_LIT("a key"), &sealed, &n, err);

	if (r == 0) {
		r = unseal(k, "try", 1, span_make(sealed, n), a, &out, err);
		free(sealed);
	}
	arena_free(&a);
	return r;
}
