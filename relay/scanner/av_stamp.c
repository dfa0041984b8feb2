/* av_stamp.c -- X-Postern-AV, taken apart and put together; see av_stamp.h. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "postern/err.h"
#include "scanner/av_stamp.h"

#define BASE64 44		/* characters of 32 bytes */

bool
av_stamp_word(struct span s)
{
	if (s.n == 0 || s.n > 200)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '.' || c == '_' || c == '-' || c == '+' || c == ':'))
			return false;
	}
	return true;
}

/* ---- parsing ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* "v=1;" at the front of *rest, white space before it taken off. */
static bool
take(struct span *rest, char tag, struct span *out)
{
	size_t n;

	while (rest->n && is_space(rest->p[0]))
		*rest = span_from(*rest, 1);
	if (rest->n < 2 || rest->p[0] != tag || rest->p[1] != '=')
		return false;
	*rest = span_from(*rest, 2);
	n = span_find(*rest, ';');
	*out = span_trim(span_sub(*rest, 0, n));
	*rest = span_from(*rest, n + 1);
	return true;
}

static bool
take_hash(struct span *rest, char tag, unsigned char out[STAMP_HASH])
{
	/* 44 characters are 33 bytes, of which the padding is one. */
	unsigned char room[33], again[BASE64 + 1];
	struct span s;

	if (!take(rest, tag, &s) || s.n != BASE64 || s.p[BASE64 - 1] != '=' ||
	    s.p[BASE64 - 2] == '=' ||
	    EVP_DecodeBlock(room, (const unsigned char *)s.p, BASE64) != 33)
		return false;
	/* One spelling for each value: no bits hide behind the last character. */
	EVP_EncodeBlock(again, room, STAMP_HASH);
	if (memcmp(again, s.p, BASE64) != 0)
		return false;
	memcpy(out, room, STAMP_HASH);
	return true;
}

bool
av_stamp_parse(struct span value, struct arena *a, struct av_stamp *out)
{
	struct span v, t, engine, signatures;
	uint64_t time;

	*out = (struct av_stamp){ 0 };
	value = span_trim(value);
	if (value.n > STAMP_TEXT_MAX || !take(&value, 'v', &v) || !span_is(v, "1") ||
	    !take(&value, 't', &t) || !parse_uint(t, INT64_MAX / 1000000, &time) ||
	    !take(&value, 'e', &engine) || !av_stamp_word(engine) ||
	    !take(&value, 's', &signatures) || !av_stamp_word(signatures) ||
	    !take_hash(&value, 'b', out->body) || !take_hash(&value, 'm', out->mac) ||
	    span_trim(value).n)
		return false;
	out->time = (int64_t)time;
	out->engine = arena_span(a, engine);
	out->signatures = arena_span(a, signatures);
	return true;
}

/* ---- the MAC ---- */

/* Over words that cannot contain the line end between them. */
static void
mac(const struct av_stamp *s, struct span key, unsigned char out[STAMP_HASH])
{
	char text[512];
	unsigned n = STAMP_HASH;
	int len = snprintf(text, sizeof(text), "postern antivirus stamp 1\nclean\n%lld\n%.*s\n%.*s\n",
	    (long long)s->time, SPAN_ARG(s->engine), SPAN_ARG(s->signatures));

	ASSERT(len > 0 && (size_t)len + STAMP_HASH <= sizeof(text));
	memcpy(text + len, s->body, STAMP_HASH);
	ASSERT(HMAC(EVP_sha256(), key.p, (int)key.n, (unsigned char *)text, (size_t)len + STAMP_HASH,
	    out, &n) != NULL && n == STAMP_HASH);
}

bool
av_stamp_genuine(const struct av_stamp *s, struct span key)
{
	unsigned char want[STAMP_HASH];

	mac(s, key, want);
	return CRYPTO_memcmp(want, s->mac, STAMP_HASH) == 0;
}

struct span
av_stamp_make(struct av_stamp *s, struct span key, struct arena *a)
{
	char b[BASE64 + 1], m[BASE64 + 1];

	mac(s, key, s->mac);
	EVP_EncodeBlock((unsigned char *)b, s->body, STAMP_HASH);
	EVP_EncodeBlock((unsigned char *)m, s->mac, STAMP_HASH);
	return span_str(arena_printf(a, STAMP_NAME ": v=1; t=%lld; e=%.*s;\r\n\ts=%.*s;\r\n\tb=%s;\r\n\tm=%s\r\n",
	    (long long)s->time, SPAN_ARG(s->engine), SPAN_ARG(s->signatures), b, m));
}

/* ---- the message ---- */

/* Behind the field that begins at `at`, with the lines it is folded over. */
static size_t
field_end(struct span m, size_t at)
{
	do
		at += span_find(span_from(m, at), '\n') + 1;
	while (at < m.n && (m.p[at] == ' ' || m.p[at] == '\t'));
	return at < m.n ? at : m.n;
}

static bool
header_over(struct span m, size_t at)
{
	return at >= m.n || m.p[at] == '\n' || (m.p[at] == '\r' && at + 1 < m.n && m.p[at + 1] == '\n');
}

/* White space before the colon is wrong and is met; some take the field all the same. */
static struct span
field_name(struct span m, size_t at, size_t end, size_t *colon)
{
	struct span f = span_sub(m, at, end - at);

	*colon = span_find(f, ':');
	return *colon < f.n ? span_trim(span_sub(f, 0, *colon)) : (struct span){ 0 };
}

size_t
av_stamp_find(struct span m, size_t from, size_t *end, struct span *value)
{
	while (!header_over(m, from)) {
		size_t colon;

		*end = field_end(m, from);
		if (span_is_nocase(field_name(m, from, *end, &colon), STAMP_NAME)) {
			*value = span_sub(m, from + colon + 1, *end - from - colon - 1);
			return from;
		}
		from = *end;
	}
	return m.n;
}

void
av_stamp_body(struct span m, unsigned char out[STAMP_HASH])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned n = STAMP_HASH;
	size_t at = 0;
	struct span body;

	ASSERT(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	while (!header_over(m, at)) {
		size_t end = field_end(m, at), colon;
		struct span name = field_name(m, at, end, &colon);

		if (span_starts_nocase(name, SPAN_LIT("Content-")) ||
		    span_is_nocase(name, "MIME-Version"))
			EVP_DigestUpdate(md, m.p + at, end - at);
		at = end;
	}
	body = span_from(m, at);
	body = span_from(body, span_starts(body, SPAN_LIT("\r\n")) ? 2 : body.n > 0);
	while (body.n && (body.p[body.n - 1] == '\n' || body.p[body.n - 1] == '\r'))
		body.n--;
	EVP_DigestUpdate(md, "\n\n", 2);	/* what no field can contain ends them */
	if (body.n)
		EVP_DigestUpdate(md, body.p, body.n);
	ASSERT(EVP_DigestFinal_ex(md, out, &n) == 1 && n == STAMP_HASH);
	EVP_MD_CTX_free(md);
}
