/* odf_lock.c -- OpenDocument under a password (ODF 1.2, part 3, 3.8); see anatomy/unlock.h.
 *
 * Each member is locked by itself: packed, then AES in CBC, with a key of
 * PBKDF2 whose salt and rounds stand in the manifest. What opens is written
 * as a zip again, without the manifest. The password is found on the
 * smallest member, so that a wrong one costs one key; each further member
 * costs one more. Blowfish (ODF 1.1) and Argon2 (ODF 1.4) stay shut.
 */
#include "anatomy/unlock.h"

#include <nettle/pbkdf2.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <zlib.h>

#include "anatomy/decode.h"
#include "anatomy/office.h"
#include "anatomy/ole2.h"
#include "anatomy/xml.h"

#define MEMBERS 512
#define SUM_OVER 1024

struct locked_member {
	struct span path, sum, iv, salt;
	uint64_t size, rounds;
	size_t nkey;
	bool sum_256, start_256, cbc, pbkdf2;
};

struct manifest {
	struct arena *a;
	struct locked_member *v;
	size_t n;
	struct locked_member now;
	bool locked;
};

static struct span
base64(struct arena *a, struct span s)
{
	struct span out = span_make("", 0);

	decode_body(a, ENCODING_BASE64, s, 256, &out);
	return arena_span(a, out);
}

static void
on_tag(void *arg, const struct xml_tag *t)
{
	struct manifest *m = arg;
	struct locked_member *now = &m->now;
	struct span v;

	if (span_is(t->name, "file-entry")) {
		if (m->locked && m->n < MEMBERS)
			m->v[m->n++] = *now;
		m->locked = false;
		*now = (struct locked_member){ 0 };
		if (!t->closing)
			now->path = arena_span(m->a, xml_value(m->a, xml_attribute(t, "full-path")));
	} else if (t->closing) {
		return;
	} else if (span_is(t->name, "encryption-data")) {
		m->locked = true;
		now->sum = base64(m->a, xml_attribute(t, "checksum"));
		now->sum_256 = span_ends_nocase(xml_attribute(t, "checksum-type"), SPAN_LIT("sha256-1k"));
	} else if (span_is(t->name, "algorithm")) {
		now->iv = base64(m->a, xml_attribute(t, "initialisation-vector"));
		v = xml_attribute(t, "algorithm-name");
		now->cbc = v.n > 10 && span_ends_nocase(v, SPAN_LIT("-cbc")) && memmem(v.p, v.n, "#aes", 4);
		now->nkey = now->cbc && memmem(v.p, v.n, "128", 3) ? 16 : now->cbc &&
		    memmem(v.p, v.n, "192", 3) ? 24 : 32;
	} else if (span_is(t->name, "start-key-generation")) {
		now->start_256 = span_ends_nocase(xml_attribute(t, "start-key-generation-name"),
		    SPAN_LIT("sha256"));
	} else if (span_is(t->name, "key-derivation")) {
		now->pbkdf2 = span_ends_nocase(xml_attribute(t, "key-derivation-name"), SPAN_LIT("PBKDF2"));
		now->rounds = xml_number(xml_attribute(t, "iteration-count"));
		now->salt = base64(m->a, xml_attribute(t, "salt"));
	}
}

static void
on_text(void *arg, const char *p, size_t n)
{
}

static bool
key_make(struct builder *b, const struct locked_member *m, struct span password, uint8_t key[32])
{
	uint8_t start[32];
	size_t nstart = m->start_256 ? 32 : 20;

	/* Blocks of 20 bytes, each of two hashes a round. */
	if (!m->cbc || !m->pbkdf2 || m->iv.n != 16 || m->rounds == 0 || m->rounds > UINT32_MAX / 2 ||
	    !key_pay(b, m->rounds * 2, 127))
		return false;
	if (m->start_256) {
		struct sha256_ctx c;

		sha256_init(&c);
		sha256_update(&c, password.n, (const uint8_t *)password.p);
		sha256_digest(&c, 32, start);
	} else {
		struct sha1_ctx c;

		sha1_init(&c);
		sha1_update(&c, password.n, (const uint8_t *)password.p);
		sha1_digest(&c, 20, start);
	}
	pbkdf2_hmac_sha1(nstart, start, (unsigned)m->rounds, m->salt.n, (const uint8_t *)m->salt.p,
	    m->nkey, key);
	return true;
}

/* The packed bytes of a member; p NULL: not this password. */
static struct span
member_open(struct builder *b, const struct locked_member *m, struct span in, struct span password)
{
	struct span out = { NULL, 0 };
	uint8_t key[32], sum[32], *to;
	size_t over;
	unsigned pad;

	in.n &= ~(size_t)15;
	if (in.n == 0 || !key_make(b, m, password, key) || (to = unlock_room(b, in.n)) == NULL)
		return out;
	aes_cbc_open(key, m->nkey, (const uint8_t *)m->iv.p, in, to);
	pad = to[in.n - 1];
	if (pad == 0 || pad > 16)
		return out;
	over = in.n - pad < SUM_OVER ? in.n - pad : SUM_OVER;
	if (m->sum_256) {
		struct sha256_ctx c;

		sha256_init(&c);
		sha256_update(&c, over, to);
		sha256_digest(&c, 32, sum);
	} else {
		struct sha1_ctx c;

		sha1_init(&c);
		sha1_update(&c, over, to);
		sha1_digest(&c, 20, sum);
	}
	if (m->sum.n != (m->sum_256 ? 32 : 20) || memcmp(m->sum.p, sum, m->sum.n) != 0)
		return out;
	return span_make((char *)to, in.n - pad);
}

/* A local header; the sizes are right, the sum is nobody's concern here. */
static void
put_member(struct pour *o, struct span name, unsigned method, struct span data, uint64_t size)
{
	unsigned char h[30] = "PK\3\4\x14\0\0\x08";
	uint64_t v[4] = { 0, data.n, size, name.n };

	h[8] = (unsigned char)method;
	for (int k = 0; k < 4; k++)
		for (int i = 0; i < 4 && 14 + 4 * k + i < 30; i++)
			h[14 + 4 * k + i] = (unsigned char)(v[k] >> (8 * i));
	h[28] = h[29] = 0;
	pour_put(o, (char *)h, 30);
	pour_put(o, name.p, name.n);
	pour_put(o, data.p, data.n);
}

static const struct zip_entry *
entry_named(const struct zip_listing *l, struct span name)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_eq(l->v[i].name, name) && l->v[i].data.p)
			return &l->v[i];
	return NULL;
}

struct unlocked
odf_unlock(struct builder *b, const struct zip_listing *l)
{
	struct manifest m = { .a = b->a };
	struct xml x = { .text = on_text, .tag = on_tag, .arg = &m };
	const struct zip_entry *e = entry_named(l, SPAN_LIT("META-INF/manifest.xml")), *least = NULL;
	struct unlocked u = { LOCK_SHUT };
	const struct span *words;
	struct span manifest, data, password = { NULL, 0 };
	size_t n, which = 0;
	struct pour o;

	if (e == NULL || e->encrypted)
		return u;
	pour_begin(&o, b, e->data.n, e->size);
	zip_pour(e, &o);
	manifest = pour_end(&o);
	m.v = arena_array(b->a, MEMBERS, sizeof(*m.v));
	xml_piece(&x, manifest.p, manifest.n);
	for (size_t i = 0; i < m.n; i++) {
		e = entry_named(l, m.v[i].path);
		if (e && e->method == 0 && e->data.n && (least == NULL || e->data.n < least->data.n)) {
			least = e;
			which = i;
		}
	}
	words = passwords_find(b, &n);
	for (size_t i = 0; i < n && least && password.p == NULL; i++)
		if (member_open(b, &m.v[which], least->data, words[i]).p)
			password = words[i];
	if (password.p == NULL)
		return u;
	u.lock = LOCK_OPEN;
	pour_begin(&o, b, UINT32_MAX, 0);
	e = entry_named(l, SPAN_LIT("mimetype"));
	if (e && e->method == 0 && !e->encrypted)
		put_member(&o, e->name, 0, e->data, e->data.n);
	for (size_t i = 0; i < m.n; i++) {
		e = entry_named(l, m.v[i].path);
		if (e == NULL || e->data.n == 0)
			continue;
		data = member_open(b, &m.v[i], e->data, password);
		if (data.p == NULL)
			u.lock = LOCK_SHUT;	/* not all of it */
		else
			put_member(&o, e->name, Z_DEFLATED, data, e->size);
	}
	u.bytes = pour_end(&o);
	return u;
}
