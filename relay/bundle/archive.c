/* archive.c -- the one form of a bundle, read and written; see bundle.h.
 *
 * A member's head is not interpreted: it is written anew from the name and the size it shows, and must be the same
 * 512 bytes. So there are no links, no owners, no times, no long names, no second spelling of anything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "bundle/bundle.h"
#include "ipc/json_read.h"
#include "json.h"

#define BLOCK 512
#define MEMBER_MAX ((size_t)32 << 20)
#define SIGNATURE_TEXT 128

static void
head_make(char h[static BLOCK], struct span name, size_t size)
{
	unsigned sum = 0;

	memset(h, 0, BLOCK);
	memcpy(h, name.p, name.n);
	memcpy(h + 100, "0000644", 7);
	memcpy(h + 108, "0000000", 7);
	memcpy(h + 116, "0000000", 7);
	snprintf(h + 124, 12, "%011zo", size);
	memcpy(h + 136, "00000000000", 11);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum & 0777777);
	h[155] = ' ';
}

static size_t
padding(size_t size)
{
	return -size & (BLOCK - 1);
}

bool
bundle_name_ok(struct span name)
{
	bool start = true;

	if (name.n == 0 || name.n > BUNDLE_NAME_MAX - 4)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (start && (c == '.' || c == '-' || c == '/'))
			return false;
		start = c == '/';
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("._-+@=,/", c) != NULL) || c == '\0')
			return false;
	}
	return !start;
}

/* ---- writing ---- */

void
bundle_put(struct buf *b, const char *name, struct span data)
{
	static const char zeros[BLOCK];
	char head[BLOCK];

	ASSERT(strlen(name) <= BUNDLE_NAME_MAX && data.n <= MEMBER_MAX);
	head_make(head, span_str(name), data.n);
	buf_put(b, head, BLOCK);
	buf_span(b, data);
	buf_put(b, zeros, padding(data.n));
}

void
bundle_end(struct buf *b)
{
	static const char zeros[2 * BLOCK];

	buf_put(b, zeros, sizeof(zeros));
}

static int
by_name(const void *x, const void *y)
{
	const struct bundle_file *a = x, *b = y;
	size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
	int d = n ? memcmp(a->name.p, b->name.p, n) : 0;

	return d ? d : a->name.n < b->name.n ? -1 : a->name.n > b->name.n;
}

void
bundle_sort(struct bundle_file *files, size_t n)
{
	if (n)
		qsort(files, n, sizeof(*files), by_name);
}

static int
put_files(struct buf *b, const struct bundle_file *files, size_t n, bool secret, struct err *err)
{
	char name[BUNDLE_NAME_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		if (files[i].secret != secret)
			continue;
		if (!bundle_name_ok(files[i].name))
			return err_set(err, EINVAL, SPAN_FMT ": a file of this name cannot be in a bundle",
			    SPAN_ARG(files[i].name));
		if (files[i].data.n > MEMBER_MAX)
			return err_set(err, EFBIG, SPAN_FMT " is larger than %zu bytes", SPAN_ARG(files[i].name),
			    MEMBER_MAX);
		snprintf(name, sizeof(name), "etc/" SPAN_FMT, SPAN_ARG(files[i].name));
		bundle_put(b, name, files[i].data);
	}
	return buf_failed(b) ? err_set(err, EFBIG, "a bundle is at most %zu bytes", BUNDLE_MAX) : 0;
}

int
bundle_write(struct buf *b, const struct bundle *m, struct err *err)
{
	struct buf text;
	struct json j;

	buf_init(&text, 1u << 20);
	json_begin(&j, &text);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "format", "postern-bundle");
	json_kint(&j, "serial", m->serial);
	json_kstr(&j, "made", m->made);
	json_kstr(&j, "postern", m->version);
	json_key(&j, "needs");
	json_array(&j);
	for (size_t i = 0; i < m->nneeds; i++)
		json_str(&j, m->needs[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&text, '\n');
	bundle_put(b, "MANIFEST", buf_data(&text));
	buf_release(&text);
	if (put_files(b, m->files, m->nfiles, false, err) == -1)
		return -1;
	if (m->sealed.n > MEMBER_MAX)
		return err_set(err, EFBIG, "the secrets are larger than %zu bytes", MEMBER_MAX);
	if (m->sealed.n)
		bundle_put(b, "secrets", m->sealed);
	return buf_failed(b) ? err_set(err, EFBIG, "a bundle is at most %zu bytes", BUNDLE_MAX) : 0;
}

void
bundle_write_secrets(struct buf *b, const struct bundle_file *files, size_t n)
{
	struct err err;

	if (put_files(b, files, n, true, &err) == -1)
		b->failed = true;
	bundle_end(b);
}

/* ---- reading ---- */

struct reading {
	struct span left;
	struct span last;	/* name before */
	size_t at;
};

/* 1: a member; 0: the end; -1. */
static int
next_member(struct reading *r, struct span *name, struct span *data, struct err *err)
{
	char head[BLOCK];
	char *end;
	size_t size;

	if (r->left.n < BLOCK)
		return err_set(err, EBADMSG, "it is cut off at byte %zu", r->at);
	if (r->left.p[0] == '\0') {
		for (size_t i = 0; i < r->left.n; i++)
			if (r->left.p[i] != '\0' || r->left.n != 2 * BLOCK)
				return err_set(err, EBADMSG, "something stands behind its end, byte %zu", r->at);
		return 0;
	}
	*name = span_sub(r->left, 0, 100);
	name->n = span_find(*name, '\0');
	if (name->n > BUNDLE_NAME_MAX)
		return err_set(err, EBADMSG, "a name that is too long, byte %zu", r->at);
	size = r->left.p[135] == '\0' ? strtoull(r->left.p + 124, &end, 8) : SIZE_MAX;
	if (size > MEMBER_MAX)
		return err_set(err, EBADMSG, "a member with a bad size, byte %zu", r->at);
	head_make(head, *name, size);
	if (memcmp(head, r->left.p, BLOCK) != 0)
		return err_set(err, EBADMSG, "a member that `postern bundle make` would not write (a link? an "
		    "owner?), byte %zu", r->at);
	if (r->left.n < BLOCK + size + padding(size))
		return err_set(err, EBADMSG, "it is cut off at byte %zu", r->at);
	*data = span_sub(r->left, BLOCK, size);
	for (size_t i = 0; i < padding(size); i++)
		if (r->left.p[BLOCK + size + i] != '\0')
			return err_set(err, EBADMSG, "something stands behind a member, byte %zu", r->at);
	if (by_name(&(struct bundle_file){ .name = r->last }, &(struct bundle_file){ .name = *name }) >= 0)
		return err_set(err, EBADMSG, "its members are not in order, byte %zu", r->at);
	r->last = *name;
	r->left = span_from(r->left, BLOCK + size + padding(size));
	r->at += BLOCK + size + padding(size);
	return 1;
}

struct gathered {
	struct bundle_file *v;
	size_t n, cap;
};

static int
gather(struct arena *a, struct gathered *g, struct span name, struct span data, bool secret, struct err *err)
{
	static const struct span etc = { "etc/", 4 };

	if (!span_starts(name, etc) || !bundle_name_ok(span_from(name, etc.n)))
		return err_set(err, EBADMSG, "`" SPAN_FMT "` has no place in a bundle",
		    SPAN_ARG(bundle_name_ok(name) ? name : SPAN_LIT("a name")));
	if (g->n == BUNDLE_FILES_MAX)
		return err_set(err, EBADMSG, "more than %d files", BUNDLE_FILES_MAX);
	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 64;

		g->v = arena_grow(a, g->v, g->cap * sizeof(*g->v), cap * sizeof(*g->v));
		g->cap = cap;
	}
	name = span_from(name, etc.n);
	g->v[g->n++] = (struct bundle_file){ name, data, secret };
	return 0;
}

int
bundle_read_files(struct arena *a, struct span bytes, bool secret, struct bundle_file **files, size_t *n,
    struct err *err)
{
	struct reading r = { .left = bytes };
	struct gathered g = { 0 };
	struct span name, data;
	int k;

	while ((k = next_member(&r, &name, &data, err)) == 1)
		if (gather(a, &g, name, data, secret, err) == -1)
			return -1;
	if (k == 0) {
		*files = g.v;
		*n = g.n;
	}
	return k;
}

static int
read_manifest(struct arena *a, struct span text, struct bundle *out, struct err *err)
{
	struct err why;
	struct jval *v = text.n <= 1u << 20 ? jval_parse(text, &why) : NULL;
	const struct jval *needs = jval_get(v, "needs");
	int r = 0;

	if (v == NULL || !span_is(jval_text(v, "format"), "postern-bundle") || jval_int(v, "serial", 0) <= 0)
		r = err_set(err, EBADMSG, "its MANIFEST is none");
	else if (jval_int(v, "v", 0) != 1)
		r = err_set(err, ENOTSUP, "a bundle of version %lld; this program reads 1",
		    (long long)jval_int(v, "v", 0));
	else {
		out->serial = jval_int(v, "serial", 0);
		out->made = arena_span(a, jval_text(v, "made"));
		out->version = arena_span(a, jval_text(v, "postern"));
		out->nneeds = jval_count(needs) > BUNDLE_FILES_MAX ? 0 : jval_count(needs);
		out->needs = arena_array(a, out->nneeds + 1, sizeof(*out->needs));
		for (size_t i = 0; i < out->nneeds; i++) {
			out->needs[i] = arena_span(a, jval_str(jval_at(needs, i)));
			if (!bundle_name_ok(out->needs[i]))
				r = err_set(err, EBADMSG, "its MANIFEST needs a file with a bad name");
		}
	}
	jval_free(&v);
	return r;
}

static int
read_signature(struct arena *a, struct span text, struct bundle *out, struct err *err)
{
	static const struct span algorithm = { "ed25519 ", 8 };
	struct span id = span_sub(text, algorithm.n, BUNDLE_KEYID), rest;
	struct buf b;
	int r = -1;

	buf_init(&b, 64);
	rest = span_from(text, algorithm.n + BUNDLE_KEYID + 1);
	if (span_starts(text, algorithm) && text.n > algorithm.n + BUNDLE_KEYID + 2 && text.n < SIGNATURE_TEXT &&
	    text.p[algorithm.n + BUNDLE_KEYID] == ' ' && rest.p[rest.n - 1] == '\n' &&
	    base64_decode(&b, span_sub(rest, 0, rest.n - 1)) == 0 && buf_size(&b) == 64)
		r = 0;
	for (size_t i = 0; i < id.n && r == 0; i++)
		if (strchr("0123456789abcdef", id.p[i]) == NULL || id.p[i] == '\0')
			r = -1;
	if (r == 0) {
		out->keyid = id;
		out->sig = arena_span(a, buf_data(&b));
	} else
		err_set(err, EBADMSG, "its signature is none");
	buf_release(&b);
	return r;
}

int
bundle_read(struct arena *a, struct span bytes, struct bundle *out, struct err *err)
{
	struct bundle b = { .signed_part = bytes };
	struct reading r = { .left = bytes };
	struct gathered g = { 0 };
	struct span name, data;
	bool manifest = false;
	int k;

	if (bytes.n > BUNDLE_MAX)
		return err_set(err, EFBIG, "a bundle is at most %zu bytes", BUNDLE_MAX);
	for (;;) {
		size_t at = r.at;

		if ((k = next_member(&r, &name, &data, err)) != 1)
			break;
		if (b.sig.n)
			return err_set(err, EBADMSG, "something stands behind its signature");
		if (span_is(name, "MANIFEST")) {
			k = read_manifest(a, data, &b, err);
			manifest = true;
		} else if (!manifest)
			k = err_set(err, EBADMSG, "this is no bundle: it has no MANIFEST");
		else if (span_is(name, "secrets"))
			b.sealed = data;
		else if (span_is(name, "signature")) {
			k = read_signature(a, data, &b, err);
			b.signed_part = span_sub(bytes, 0, at);
		} else
			k = gather(a, &g, name, data, false, err);
		if (k == -1)
			return -1;
	}
	if (k == -1)
		return -1;
	if (!manifest)
		return err_set(err, EBADMSG, "this is no bundle: it has no MANIFEST");
	if (b.sig.n == 0)
		b.signed_part = span_sub(bytes, 0, r.at);
	b.files = g.v;
	b.nfiles = g.n;
	*out = b;
	return 0;
}
