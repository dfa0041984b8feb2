/* archive.c -- packs a policy, and unpacks it; see archive.h.
 *
 * The scanner's parent packs what it has just read, so what is kept is what
 * judges, whatever happens to the folder meanwhile. It is unpacked by the
 * store, for its manifest, and by the tool `postern`.
 */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "ipc/codec.h"
#include "scanner/archive.h"
#include "store/zip.h"

#define ARCHIVE_VERSION 1
#define NAMES_MAX 100000

static int
longer_first(const void *a, const void *b)
{
	const struct archive_list *const *x = a, *const *y = b;

	return ((*x)->text.n < (*y)->text.n) - ((*x)->text.n > (*y)->text.n);
}

/* The longest go first, so that as many as possible stay. */
static void
leave_out(const struct policy_parts *parts, struct arena *a, bool *out)
{
	const struct archive_list **order = arena_array(a, parts->nlists + 1, sizeof(*order));
	size_t total = 0;

	for (size_t i = 0; i < parts->nlists; i++) {
		order[i] = &parts->lists[i];
		total += parts->lists[i].text.n;
	}
	if (total <= ARCHIVE_LISTS_MAX)
		return;
	qsort(order, parts->nlists, sizeof(*order), longer_first);
	for (size_t i = 0; i < parts->nlists && total > ARCHIVE_LISTS_MAX; i++) {
		out[order[i] - parts->lists] = true;
		total -= order[i]->text.n;
	}
}

static void
put_all(struct enc *e, const struct policy *p, const struct policy_parts *parts,
    const struct config *conf, const bool *left_out)
{
	enc_u8(e, ARCHIVE_VERSION);
	enc_span(e, span_str(policy_hash(p)));
	enc_span(e, policy_manifest(p));
	enc_u32(e, (uint32_t)parts->nfiles);
	for (size_t i = 0; i < parts->nfiles; i++) {
		enc_span(e, span_str(parts->files[i].name));
		enc_span(e, parts->files[i].text);
	}
	enc_u32(e, (uint32_t)parts->nlists);
	for (size_t i = 0; i < parts->nlists; i++) {
		enc_u8(e, left_out[i]);
		enc_span(e, parts->lists[i].path);
		enc_span(e, left_out[i] ? (struct span){ 0 } : parts->lists[i].text);
	}
	enc_u32(e, (uint32_t)conf->nnetworks);
	for (size_t i = 0; i < conf->nnetworks; i++) {
		enc_span(e, conf->networks[i].name);
		enc_u32(e, (uint32_t)conf->networks[i].n);
		for (size_t k = 0; k < conf->networks[i].n; k++)
			enc_span(e, conf->networks[i].texts[k]);
	}
	enc_u32(e, (uint32_t)conf->ndomains);
	for (size_t i = 0; i < conf->ndomains; i++)
		enc_span(e, conf->domains[i].name);
}

int
policy_archive_pack(const struct policy *p, const struct policy_parts *parts, const struct config *conf,
    char **out, size_t *n, struct err *err)
{
	struct arena *a = arena_new(0);
	bool *left_out = arena_array(a, parts->nlists + 1, sizeof(*left_out));
	struct buf b;
	struct enc e = { &b };
	int r;

	leave_out(parts, a, left_out);
	buf_init(&b, ARCHIVE_MAX);
	put_all(&e, p, parts, conf, left_out);
	r = buf_failed(&b) ? err_set(err, EFBIG, "the policy is too long to be kept") :
	    zip(buf_data(&b), out, n, err);
	buf_release(&b);
	arena_free(&a);
	return r;
}

static const char *
get_name(struct dec *d, struct arena *a)
{
	return arena_str(a, dec_span(d));
}

static void
get_parts(struct dec *d, struct arena *a, struct policy_parts *p)
{
	p->nfiles = dec_count(d, NAMES_MAX, 8);
	p->files = arena_array(a, p->nfiles + 1, sizeof(*p->files));
	for (size_t i = 0; i < p->nfiles; i++) {
		p->files[i].name = get_name(d, a);
		p->files[i].text = dec_span(d);
	}
	p->nlists = dec_count(d, NAMES_MAX, 9);
	p->lists = arena_array(a, p->nlists + 1, sizeof(*p->lists));
	for (size_t i = 0; i < p->nlists; i++) {
		p->lists[i].left_out = dec_enum(d, 2);
		p->lists[i].path = dec_span(d);
		p->lists[i].text = dec_span(d);
	}
}

int
policy_archive_unpack(struct span bytes, struct arena *a, struct archive *out, struct err *err)
{
	struct span raw;
	struct dec d;

	*out = (struct archive){ 0 };
	if (unzip(a, bytes, ARCHIVE_MAX, &raw, err) == -1)
		return -1;
	dec_init(&d, raw);
	if (dec_u8(&d) != ARCHIVE_VERSION)
		return err_set(err, EPROTO, "the archive of a policy is damaged, or of another version");
	out->hash = dec_span(&d);
	out->manifest = dec_span(&d);
	get_parts(&d, a, &out->parts);
	out->nnetworks = dec_count(&d, NAMES_MAX, 8);
	out->networks = arena_array(a, out->nnetworks + 1, sizeof(*out->networks));
	for (size_t i = 0; i < out->nnetworks && !d.bad; i++) {
		struct policy_network *n = &out->networks[i];
		struct span *members;

		n->name = dec_span(&d);
		n->nmembers = dec_count(&d, NAMES_MAX, 4);
		n->members = members = arena_array(a, n->nmembers + 1, sizeof(*members));
		for (size_t k = 0; k < n->nmembers; k++)
			members[k] = dec_span(&d);
	}
	out->ndomains = dec_count(&d, NAMES_MAX, 4);
	out->domains = arena_array(a, out->ndomains + 1, sizeof(*out->domains));
	for (size_t i = 0; i < out->ndomains; i++)
		out->domains[i] = dec_span(&d);
	if (!dec_done(&d) || out->hash.n != 16)
		return err_set(err, EPROTO, "the archive of a policy is damaged");
	return 0;
}

static int
read_list(void *ctx, struct span path, struct span *text, struct err *err)
{
	const struct archive *ar = ctx;

	for (size_t i = 0; i < ar->parts.nlists; i++) {
		const struct archive_list *l = &ar->parts.lists[i];

		if (!span_eq(l->path, path))
			continue;
		if (l->left_out)
			return err_set(err, EFBIG, SPAN_FMT " was too long to be kept with its policy",
			    SPAN_ARG(path));
		*text = l->text;
		return 0;
	}
	return err_set(err, ENOENT, SPAN_FMT " is not in the archive", SPAN_ARG(path));
}

static int
read_zone(void *ctx, struct span name, struct span *tzif, struct err *err)
{
	char path[128];
	int n = snprintf(path, sizeof(path), ARCHIVE_ZONES SPAN_FMT, SPAN_ARG(name));

	return read_list(ctx, span_make(path, n < (int)sizeof(path) ? (size_t)n : 0), tzif, err);
}

static int
read_index(void *ctx, struct span path, struct span key_path, struct policy_index *out, struct err *err)
{
	struct arena *a = arena_new(0);
	int rc = read_list(ctx, span_str(arena_printf(a, ARCHIVE_INDEX SPAN_FMT, SPAN_ARG(path))),
	    &out->bytes, err);

	arena_free(&a);
	out->header_only = true;
	return rc;
}

struct policy *
policy_archive_load(const struct archive *ar, struct diags *d)
{
	const struct policy_env env = { .read_file = read_list,
		.read_zone = read_zone, .read_index = read_index, .ctx = (void *)(uintptr_t)ar,
		.facts_missing = 0,
		.now = clock_real(), .networks = ar->networks, .nnetworks = ar->nnetworks,
		.domains = ar->domains, .ndomains = ar->ndomains };

	return policy_load(ar->parts.files, ar->parts.nfiles, &env, d);
}
