/* approval.c -- see approval.h. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base64.h"
#include "store/approval.h"

#define MAC_SIZE 20
#define SIGNED_SIZE (1 + 8 + 8 + 8 + APPROVAL_NONCE + 8)
#define TOKEN_SIZE (SIGNED_SIZE + MAC_SIZE)
#define PURPOSE_MAX 32

/* ---- tokens ---- */

void
token_person(struct span address, unsigned char out[8])
{
	unsigned char digest[32];
	char lower[512];
	size_t n = address.n < sizeof(lower) ? address.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(address.p[i]);
	ASSERT(EVP_Digest(lower, n, digest, NULL, EVP_sha256(), NULL) == 1);
	memcpy(out, digest, 8);
}

static void
put64(unsigned char *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (unsigned char)v;
}

static uint64_t
get64(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void
mac(const char *purpose, const unsigned char *body, const unsigned char key[APPROVAL_KEY],
    unsigned char out[32])
{
	unsigned char text[PURPOSE_MAX + SIGNED_SIZE];
	size_t head = strlen(purpose) + 1;
	unsigned n = 32;

	ASSERT(head <= PURPOSE_MAX);
	memcpy(text, purpose, head);
	memcpy(text + head, body, SIGNED_SIZE);
	ASSERT(HMAC(EVP_sha256(), key, APPROVAL_KEY, text, head + SIGNED_SIZE, out, &n) != NULL);
}

void
token_write(const struct token *t, const unsigned char key[APPROVAL_KEY],
    char out[APPROVAL_TOKEN_TEXT])
{
	token_write_as(TOKEN_APPROVAL, t, key, out);
}

void
token_write_as(const char *purpose, const struct token *t, const unsigned char key[APPROVAL_KEY],
    char out[APPROVAL_TOKEN_TEXT])
{
	unsigned char b[SIGNED_SIZE + 32];
	struct span text;
	struct buf o;

	b[0] = 1;
	put64(b + 1, (uint64_t)t->kid);
	put64(b + 9, t->id);
	put64(b + 17, (uint64_t)t->expires);
	memcpy(b + 25, t->nonce, APPROVAL_NONCE);
	memcpy(b + 25 + APPROVAL_NONCE, t->person, 8);
	mac(purpose, b, key, b + SIGNED_SIZE);
	buf_init(&o, 256);
	base64_encode(&o, span_make((const char *)b, TOKEN_SIZE), false);
	text = buf_data(&o);
	ASSERT(!buf_failed(&o) && text.n < APPROVAL_TOKEN_TEXT);
	for (size_t i = 0; i < text.n; i++)
		out[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
	out[text.n] = '\0';
	buf_release(&o);
}

bool
token_read(struct span text, const unsigned char key[APPROVAL_KEY], int64_t now, struct token *t,
    const char **why)
{
	return token_read_as(TOKEN_APPROVAL, text, key, now, t, why);
}

bool
token_read_as(const char *purpose, struct span text, const unsigned char key[APPROVAL_KEY],
    int64_t now, struct token *t, const char **why)
{
	char plain[APPROVAL_TOKEN_TEXT];
	unsigned char want[32];
	const unsigned char *b;
	struct buf o;
	bool ok = false;

	*why = "the link is not complete, or not one of this gateway";
	text = span_trim(text);
	if (text.n >= sizeof(plain))
		return false;
	for (size_t i = 0; i < text.n; i++)
		plain[i] = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' :
		    text.p[i] == '+' || text.p[i] == '/' ? '!' : text.p[i];
	buf_init(&o, 256);
	if (base64_decode_bare(&o, span_make(plain, text.n)) == 0 && buf_size(&o) == TOKEN_SIZE) {
		b = (const unsigned char *)buf_data(&o).p;
		mac(purpose, b, key, want);
		if (b[0] == 1 && CRYPTO_memcmp(want, b + SIGNED_SIZE, MAC_SIZE) == 0) {
			*t = (struct token){ .kid = (int64_t)get64(b + 1), .id = get64(b + 9),
				.expires = (int64_t)get64(b + 17) };
			memcpy(t->nonce, b + 25, APPROVAL_NONCE);
			memcpy(t->person, b + 25 + APPROVAL_NONCE, 8);
			ok = now < t->expires;
			*why = "the link is too old";
		}
	}
	buf_release(&o);
	return ok;
}

/* ---- voices ---- */

static bool
pattern_has(struct span pattern, struct span address)
{
	struct span domain = span_from(address, span_find(address, '@') + 1);

	if (span_find(pattern, '@') < pattern.n)
		return span_eq_nocase(pattern, address);
	if (pattern.n && pattern.p[0] == '.')
		return domain.n > pattern.n && span_ends_nocase(domain, pattern);
	return pattern.n > 0 && span_eq_nocase(pattern, domain);
}

bool
approver_may(const struct need *n, struct span sender, struct span address)
{
	bool named = span_find(address, '@') < address.n;

	if (address.n == 0 || span_eq_nocase(address, sender))
		return false;
	for (size_t i = 0; i < n->napprovers; i++)
		if (span_is(n->approvers[i], APPROVER_ANYBODY) ||
		    (named && pattern_has(n->approvers[i], address)))
			return true;
	return false;
}

unsigned
need_approved(const struct need *n, struct span sender, const struct vote *v, size_t nv)
{
	unsigned count = 0;

	for (size_t i = 0; i < nv; i++) {
		bool again = false;

		for (size_t k = 0; k < i && !again; k++)
			again = span_eq_nocase(v[k].address, v[i].address);
		count += !again && v[i].approve && approver_may(n, sender, v[i].address);
	}
	return count;
}

enum approval_state
approval_judge(const struct need *n, size_t nn, struct span sender, const struct vote *v,
    size_t nv)
{
	enum approval_state s = nn ? APPROVAL_GIVEN : APPROVAL_WAITS;

	for (size_t i = 0; i < nv; i++)
		for (size_t k = 0; k < nn && !v[i].approve; k++)
			if (approver_may(&n[k], sender, v[i].address))
				return APPROVAL_DENIED;
	for (size_t k = 0; k < nn; k++)
		if (n[k].approvals == 0 || need_approved(&n[k], sender, v, nv) < n[k].approvals)
			s = APPROVAL_WAITS;
	return s;
}
