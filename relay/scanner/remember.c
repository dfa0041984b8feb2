/* remember.c -- attachments that were clean before; see remember.h. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "postern/err.h"
#include "scanner/remember.h"

/* ---- the table: buckets of four, the oldest of a bucket makes room ---- */

#define WAYS 4

struct memory {
	EVP_MD *md;
	size_t nbuckets;
	uint8_t *next;		/* of each bucket: which entry goes */
	uint8_t *used;
	unsigned char (*hashes)[REMEMBER_HASH];
};

struct memory *
memory_new(size_t entries)
{
	struct memory *m = calloc(1, sizeof(*m));

	ASSERT(m != NULL && entries >= WAYS && (entries & (entries - 1)) == 0);
	/* As strong as SHA-256, and three times as quick where the processor has no instructions for that; a
	 * machine in FIPS mode does not have it. */
	m->md = EVP_MD_fetch(NULL, "BLAKE2B-512", NULL);
	if (m->md == NULL)
		m->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	ASSERT(m->md != NULL);
	m->nbuckets = entries / WAYS;
	m->next = calloc(m->nbuckets, 1);
	m->used = calloc(m->nbuckets, 1);
	m->hashes = calloc(entries, REMEMBER_HASH);
	ASSERT(m->next && m->used && m->hashes);
	return m;
}

void
memory_free(struct memory **m)
{
	if (*m == NULL)
		return;
	EVP_MD_free((*m)->md);
	free((*m)->next);
	free((*m)->used);
	free((*m)->hashes);
	free(*m);
	*m = NULL;
}

void
memory_forget(struct memory *m)
{
	if (m == NULL)
		return;
	memset(m->next, 0, m->nbuckets);
	memset(m->used, 0, m->nbuckets);
}

static size_t
bucket_of(const struct memory *m, const unsigned char *hash)
{
	uint64_t v;

	memcpy(&v, hash, sizeof(v));
	return (size_t)v & (m->nbuckets - 1);
}

bool
memory_has(struct memory *m, const unsigned char hash[REMEMBER_HASH])
{
	size_t b = bucket_of(m, hash);

	for (size_t i = 0; i < m->used[b]; i++)
		if (memcmp(m->hashes[b * WAYS + i], hash, REMEMBER_HASH) == 0)
			return true;
	return false;
}

void
memory_add(struct memory *m, const unsigned char hash[REMEMBER_HASH])
{
	size_t b = bucket_of(m, hash), at;

	if (memory_has(m, hash))
		return;
	at = m->used[b] < WAYS ? m->used[b]++ : m->next[b]++ % WAYS;
	memcpy(m->hashes[b * WAYS + at], hash, REMEMBER_HASH);
}

/* ---- parts of a message ---- */

enum { PART_NOT, PART_NEW, PART_KNOWN, PART_WITHIN };

/* Directly in the message: nothing but multiparts above it. */
static bool
eligible(const struct anatomy *an, size_t i)
{
	const struct part *p = &an->parts[i];

	if (p->type == TYPE_MULTIPART || part_type_class(p->type) == CLASS_TEXT || p->unpacked ||
	    p->reading || p->encrypted || p->parent == PART_NONE || p->body_size < REMEMBER_MIN ||
	    p->header_offset > p->body_offset || p->body_offset > an->raw.n ||
	    p->body_size > an->raw.n - p->body_offset)
		return false;
	for (size_t up = p->parent; up != PART_NONE; up = an->parts[up].parent)
		if (an->parts[up].type != TYPE_MULTIPART || an->parts[up].unpacked ||
		    an->parts[up].reading || span_is(an->parts[up].encoding, "base64") ||
		    span_is(an->parts[up].encoding, "quoted-printable"))
			return false;
	return true;
}

static void
digest_span(EVP_MD_CTX *md, struct span s)
{
	uint64_t n = s.n;

	EVP_DigestUpdate(md, &n, sizeof(n));
	EVP_DigestUpdate(md, s.p, s.n);
}

/* Content-Type and its like: a Content-ID, which many programs draw anew, says nothing of how to
 * read what follows, and stays in what is scanned. */
static void
digest_part(EVP_MD_CTX *md, const struct anatomy *an, const struct part *p,
    unsigned char out[REMEMBER_HASH])
{
	unsigned char whole[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	ASSERT(EVP_DigestInit_ex(md, NULL, NULL) == 1);
	for (size_t i = 0; i < p->nheaders; i++) {
		const struct header *h = &p->headers[i];

		if (!span_starts_nocase(h->name, SPAN_LIT("Content-")) ||
		    span_is_nocase(h->name, "Content-ID") ||
		    span_is_nocase(h->name, "Content-Description") ||
		    span_is_nocase(h->name, "Content-Location"))
			continue;
		digest_span(md, h->name);
		digest_span(md, h->raw);
	}
	digest_span(md, span_sub(an->raw, p->body_offset, p->body_size));
	ASSERT(EVP_DigestFinal_ex(md, whole, &n) == 1 && n >= REMEMBER_HASH);
	memcpy(out, whole, REMEMBER_HASH);
}

/* The parts stand in the order of the message. */
struct span
remember_rest(const struct seen *s, struct span before, struct arena *a)
{
	const struct anatomy *an = s->an;
	size_t from = 0, n = before.n;
	char *out;

	if (s->nknown == 0 && before.n == 0)
		return an->raw;
	out = arena_alloc(a, before.n + an->raw.n);
	if (before.n)
		memcpy(out, before.p, before.n);
	for (size_t i = 0; s->nknown && i < an->nparts; i++) {
		const struct part *p = &an->parts[i];

		if (s->state[i] != PART_KNOWN || p->body_offset < from)
			continue;
		memcpy(out + n, an->raw.p + from, p->body_offset - from);
		n += p->body_offset - from;
		from = (size_t)p->body_offset + p->body_size;
	}
	memcpy(out + n, an->raw.p + from, an->raw.n - from);
	return span_make(out, n + an->raw.n - from);
}

void
remember_look(struct memory *m, const struct anatomy *an, struct arena *a, struct seen *out)
{
	EVP_MD_CTX *md = NULL;

	*out = (struct seen){ .an = an };
	for (size_t i = 0; i < an->nparts; i++) {
		const struct part *p = &an->parts[i];

		if (out->state && p->parent != PART_NONE && out->state[p->parent] >= PART_KNOWN)
			out->state[i] = PART_WITHIN;
		if (!eligible(an, i))
			continue;
		if (md == NULL) {
			out->state = arena_array(a, an->nparts, sizeof(*out->state));
			out->hashes = arena_array(a, an->nparts, sizeof(*out->hashes));
			md = EVP_MD_CTX_new();
			ASSERT(md != NULL && EVP_DigestInit_ex(md, m->md, NULL) == 1);
		}
		digest_part(md, an, p, out->hashes[i]);
		out->state[i] = memory_has(m, out->hashes[i]) ? PART_KNOWN : PART_NEW;
		out->nknown += out->state[i] == PART_KNOWN;
	}
	EVP_MD_CTX_free(md);
}

bool
remember_covers(const struct seen *s, size_t part)
{
	return s->state && s->state[part] >= PART_KNOWN;
}

void
remember_clean(struct memory *m, const struct seen *s)
{
	for (size_t i = 0; s->state && i < s->an->nparts; i++)
		if (s->state[i] == PART_NEW)
			memory_add(m, s->hashes[i]);
}
