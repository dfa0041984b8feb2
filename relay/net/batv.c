/* batv.c -- tags on envelope senders; see batv.h. */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "net/batv.h"

#define FILE_MAX 4096
#define MARK "prvs="
#define MARK_SIZE 5
#define HEAD_SIZE 4		/* KDDD */
#define HASH_SIZE 6
#define TAG_SIZE (MARK_SIZE + HEAD_SIZE + HASH_SIZE + 1)
#define DAY_MICROSECONDS (INT64_C(86400) * 1000000)

const char *
batv_result_name(enum batv_result r)
{
	static const char *const names[] = {
#define X(name, text) text,
		BATV_RESULTS(X)
#undef X
	};

	return names[r];
}

/* ---- days ---- */

int32_t
batv_day(int64_t now)
{
	return (int32_t)(now / DAY_MICROSECONDS);
}

static bool
number(struct span s, unsigned *v)
{
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*v = *v * 10 + (unsigned)(s.p[i] - '0');
	}
	return s.n > 0;
}

bool
batv_date(struct span text, int32_t *day)
{
	static const unsigned lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned y, m, d, leap, n = 0;

	if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-' || !number(span_sub(text, 0, 4), &y) ||
	    !number(span_sub(text, 5, 2), &m) || !number(span_sub(text, 8, 2), &d) ||
	    y < 1970 || m < 1 || m > 12)
		return false;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (d < 1 || d > lengths[m - 1] + (m == 2 ? leap : 0))
		return false;
	for (unsigned i = 1970; i < y; i++)
		n += 365 + ((i % 4 == 0 && i % 100 != 0) || i % 400 == 0);
	for (unsigned i = 1; i < m; i++)
		n += lengths[i - 1] + (i == 2 ? leap : 0);
	*day = (int32_t)(n + d - 1);
	return true;
}

/* ---- keys ---- */

static struct span
word(struct span *line)
{
	struct span w;
	size_t n = 0;

	*line = span_trim(*line);
	while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
		n++;
	w = span_sub(*line, 0, n);
	*line = span_trim(span_from(*line, n));
	return w;
}

static int
parse_line(struct span line, unsigned at, struct batv_keys *k, struct err *err)
{
	struct span digit = word(&line), date = word(&line), secret = word(&line);
	struct batv_key *key;

	if (k->n == BATV_KEYS_MAX)
		return err_set(err, 0, "line %u: more than %d keys", at, BATV_KEYS_MAX);
	key = &k->key[k->n];
	if (digit.n != 1 || digit.p[0] < '0' || digit.p[0] > '9')
		return err_set(err, 0, "line %u: a key begins with its number, 0 to 9", at);
	key->digit = (uint8_t)(digit.p[0] - '0');
	for (size_t i = 0; i < k->n; i++)
		if (k->key[i].digit == key->digit)
			return err_set(err, 0, "line %u: there is a key %u already", at, key->digit);
	if (!batv_date(date, &key->made))
		return err_set(err, 0, "line %u: the day the key was made stands behind its number, as 2026-11-22",
		    at);
	if (secret.n < BATV_SECRET_MIN || secret.n > BATV_SECRET_MAX)
		return err_set(err, 0, "line %u: a secret has %d to %d characters", at, BATV_SECRET_MIN,
		    BATV_SECRET_MAX);
	if (line.n)
		return err_set(err, 0, "line %u: nothing stands behind the secret", at);
	for (size_t i = 0; i < secret.n; i++)
		if (secret.p[i] <= ' ' || secret.p[i] > '~')
			return err_set(err, 0, "line %u: a secret is of printable characters", at);
	memcpy(key->secret, secret.p, secret.n);
	key->size = (uint8_t)secret.n;
	k->n++;
	return 0;
}

int
batv_keys_parse(struct span text, struct batv_keys *k, struct err *err)
{
	unsigned at = 0;

	*k = (struct batv_keys){ 0 };
	while (text.n) {
		size_t n = span_find(text, '\n');
		struct span line = span_trim(span_sub(text, 0, n));

		at++;
		text = span_from(text, n + 1);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (parse_line(line, at, k, err) == -1) {
			batv_keys_wipe(k);
			return -1;
		}
	}
	return k->n ? 0 : err_set(err, 0, "there is no key in it: postern batv new makes one");
}

int
batv_keys_load(const char *path, struct batv_keys *k, struct err *err)
{
	char text[FILE_MAX + 1];
	struct stat st;
	ssize_t n = -1;
	int fd, rc;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) == -1)
		return err_errno(err, "%s", path);
	if (fstat(fd, &st) == -1)
		rc = err_errno(err, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, 0, "%s is not a file", path);
	else if (st.st_mode & 077)
		rc = err_set(err, 0, "%s may be read by others than its owner (mode %04o): chmod 600 it",
		    path, st.st_mode & 07777u);
	else if ((n = pread(fd, text, sizeof(text), 0)) == -1)
		rc = err_errno(err, "%s", path);
	else if (n > FILE_MAX)
		rc = err_set(err, 0, "%s is no file of keys: more than %d bytes", path, FILE_MAX);
	else if ((rc = batv_keys_parse(span_make(text, (size_t)n), k, err)) == -1)
		err_wrap(err, "%s", path);
	close(fd);
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

void
batv_keys_wipe(struct batv_keys *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}

int32_t
batv_keys_since(const struct batv_keys *k)
{
	int32_t day = k->key[0].made;

	for (size_t i = 1; i < k->n; i++)
		if (k->key[i].made < day)
			day = k->key[i].made;
	return day;
}

/* ---- tags ---- */

/* The first three bytes of HMAC-SHA1 over KDDD and the address in lower case. */
static void
hash(const struct batv_key *key, const char head[static HEAD_SIZE], struct arena *a,
    struct span address, char out[static HASH_SIZE + 1])
{
	unsigned char *text = arena_alloc(a, HEAD_SIZE + address.n), mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	memcpy(text, head, HEAD_SIZE);
	for (size_t i = 0; i < address.n; i++) {
		char c = address.p[i];

		text[HEAD_SIZE + i] = (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	ASSERT(HMAC(EVP_sha1(), key->secret, key->size, text, HEAD_SIZE + address.n, mac, &n) != NULL);
	snprintf(out, HASH_SIZE + 1, "%02x%02x%02x", mac[0], mac[1], mac[2]);
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The local part without its quoting begins with a tag. */
static bool
has_tag(struct span bare)
{
	if (bare.n <= TAG_SIZE || !span_starts_nocase(bare, SPAN_LIT(MARK)) || bare.p[TAG_SIZE - 1] != '=')
		return false;
	for (size_t i = MARK_SIZE; i < MARK_SIZE + HEAD_SIZE; i++)
		if (bare.p[i] < '0' || bare.p[i] > '9')
			return false;
	for (size_t i = MARK_SIZE + HEAD_SIZE; i < TAG_SIZE - 1; i++)
		if (!is_hex(bare.p[i]))
			return false;
	return true;
}

struct span
batv_tag(const struct batv_keys *k, struct arena *a, struct span address, int32_t day)
{
	char head[16], mac[HASH_SIZE + 1];
	struct span local, domain, bare, tagged;

	if (!mailaddr_split(address, &local, &domain))
		return address;
	bare = mailaddr_bare(a, local);
	if (bare.n == 0 || local.n > BATV_LOCAL_MAX || has_tag(bare))
		return address;
	snprintf(head, sizeof(head), "%u%03u", k->key[0].digit % 10, (unsigned)(day + BATV_DAYS) % 1000);
	hash(&k->key[0], head, a, address, mac);
	tagged = span_str(arena_printf(a, MARK "%s%s=" SPAN_FMT, head, mac, SPAN_ARG(bare)));
	return mailaddr_join(a, tagged, domain);
}

bool
batv_taggable(struct span address)
{
	struct span local, domain;

	return mailaddr_split(address, &local, &domain) && local.n <= BATV_LOCAL_MAX;
}

bool
batv_untag(struct arena *a, struct span address, struct span *plain)
{
	struct span local, domain, bare;

	if (!mailaddr_split(address, &local, &domain))
		return false;
	bare = mailaddr_bare(a, local);
	if (!has_tag(bare))
		return false;
	*plain = mailaddr_join(a, span_from(bare, TAG_SIZE), domain);
	return true;
}

static const struct batv_key *
key_of(const struct batv_keys *k, char digit)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->key[i].digit == digit - '0')
			return &k->key[i];
	return NULL;
}

/* Days until the tag ends; negative: since it has. Of the thousand days that DDD cannot tell apart,
 * those around today. */
static int
days_left(const char *ddd, int32_t day)
{
	int end = (ddd[0] - '0') * 100 + (ddd[1] - '0') * 10 + (ddd[2] - '0');
	int left = (end - day % 1000 + 1000) % 1000;

	return left > 500 ? left - 1000 : left;
}

enum batv_result
batv_check(const struct batv_keys *k, struct arena *a, struct span address, int32_t day,
    struct span *plain)
{
	char head[HEAD_SIZE], seen[HASH_SIZE], mac[HASH_SIZE + 1];
	const struct batv_key *key;
	struct span local, domain, bare;
	int left;

	*plain = address;
	if (!batv_untag(a, address, plain))
		return BATV_UNTAGGED;
	mailaddr_split(address, &local, &domain);
	bare = mailaddr_bare(a, local);
	memcpy(head, bare.p + MARK_SIZE, HEAD_SIZE);
	for (size_t i = 0; i < HASH_SIZE; i++) {
		char c = bare.p[MARK_SIZE + HEAD_SIZE + i];

		seen[i] = (char)(c >= 'A' && c <= 'F' ? c + 32 : c);
	}
	if ((key = key_of(k, head[0])) == NULL)
		return BATV_FORGED;
	hash(key, head, a, *plain, mac);
	if (CRYPTO_memcmp(mac, seen, HASH_SIZE) != 0)
		return BATV_FORGED;
	left = days_left(head + 1, day);
	/* One that ends later than any we make: made by a clock that is ahead, or old by a thousand
	 * days. A node's clock may be a day ahead of another's around midnight. */
	return left < 0 || left > BATV_DAYS + 1 ? BATV_EXPIRED : BATV_VALID;
}
