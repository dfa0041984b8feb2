/* fuzz_bundle.c -- a bundle from a stranger: what is read lies within the bytes, has names that stay in the folder and
 * in order, and the same files written again are the same bytes. */
#include "bundle/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
within(struct span in, struct span s)
{
	ASSERT(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void
files_ok(struct span in, const struct bundle_file *f, size_t n)
{
	ASSERT(n <= BUNDLE_FILES_MAX);
	for (size_t i = 0; i < n; i++) {
		within(in, f[i].name);
		within(in, f[i].data);
		ASSERT(f[i].name.n > 0 && f[i].name.p[0] != '/' && f[i].name.p[f[i].name.n - 1] != '/');
		ASSERT(memmem(f[i].name.p, f[i].name.n, "..", 2) != f[i].name.p &&
		    memmem(f[i].name.p, f[i].name.n, "/.", 2) == NULL);
	}
}

/* An archive is the only spelling of its files. */
static void
archive(struct arena *a, struct span in)
{
	struct bundle_file *f;
	struct buf b;
	size_t n;

	if (bundle_read_files(a, in, true, &f, &n, &(struct err){ 0 }) == -1)
		return;
	files_ok(in, f, n);
	buf_init(&b, BUNDLE_MAX);
	bundle_write_secrets(&b, f, n);
	ASSERT(!buf_failed(&b) && span_eq(buf_data(&b), in));
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of nobody: what `tests/corpus/bundle` is sealed for. */
	static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
	    "MC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
	    "-----END PRIVATE KEY-----\n";
	struct span in = { (const char *)data, size }, plain;
	struct bundle_keys trusted = { .n = 0 };
	struct arena *a = arena_new(0);
	struct bundle_key *own;
	struct bundle b;
	struct err err;

	archive(a, in);
	if (bundle_read(a, in, &b, &err) == 0) {
		files_ok(in, b.files, b.nfiles);
		within(in, b.sealed);
		within(in, b.signed_part);
		ASSERT(b.serial > 0 && (b.sig.n == 0 || (b.sig.n == 64 && b.keyid.n == BUNDLE_KEYID)));
		ASSERT(bundle_verify(&b, &trusted, &err) == -1);	/* nobody is trusted here */
		own = bundle_key_private(span_str(key), BUNDLE_SEAL, "key", &err);
		ASSERT(own != NULL);
		if (b.sealed.n && bundle_unseal(a, b.sealed, own, &plain, &err) == 0)
			archive(a, plain);
		bundle_key_free(&own);
	}
	arena_free(&a);
	return 0;
}
