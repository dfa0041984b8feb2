/* fuzz_http.c -- requests to the console: what is taken lies within the input and its bounds, and what
 * comes of a form's field is safe in a page. Also: a request that is whole stays so with more behind it. */
#include <stdlib.h>

#include "console/http.h"
#include "console/page.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(struct span in, struct span s)
{
	ASSERT(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void
fields(struct span form)
{
	static const char *const names[] = { "token", "decision", "reason" };
	struct arena *a = arena_new(0);
	struct span v;
	struct buf b;

	for (size_t i = 0; i < 3; i++) {
		if (!http_field(form, names[i], a, &v))
			continue;
		ASSERT(v.n <= HTTP_FIELD_MAX);
		buf_init(&b, 8 * HTTP_FIELD_MAX);
		console_escape(&b, v);
		ASSERT(!buf_failed(&b));
		for (size_t k = 0; k < buf_size(&b); k++)
			ASSERT(b.p[k] != '<' && b.p[k] != '>' && b.p[k] != '"' && (unsigned char)b.p[k] >= ' ');
		buf_release(&b);
	}
	arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct http_request r;
	int status = 0, whole = http_read(in, &r, &status);

	ASSERT(whole != -1 || status >= 400);
	fields(in);
	if (whole != 1) {
		ASSERT(whole == -1 || size < HTTP_HEAD_MAX + HTTP_POLICY_MAX);
		return 0;
	}
	inside(in, r.path);
	inside(in, r.query);
	inside(in, r.languages);
	inside(in, r.body);
	ASSERT(r.path.n > 0 && r.path.p[0] == '/' && r.body.n <= http_room(&r));
	ASSERT(r.size <= in.n && r.size >= r.body.n && (r.host.n || r.old));
	ASSERT(r.session.n == 0 || r.session.n == HTTP_SESSION_SIZE);
	ASSERT(r.oidc.n == 0 ? r.oidc_language.n == 0 && r.oidc_next.n == 0 : r.oidc.n == HTTP_SESSION_SIZE &&
	    r.oidc_language.n == 2 && (r.oidc_next.n == 0 || http_next_ok(r.oidc_next)));
	inside(in, r.host);
	inside(in, r.session);
	inside(in, r.csrf);
	inside(in, r.etag);
	inside(in, r.forwarded);
	http_french(r.languages);
	fields(r.query);
	fields(r.body);
	return 0;
}
