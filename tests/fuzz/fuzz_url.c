/* fuzz_url.c -- links in texts and HTML, hosts in every spelling, look-alikes.
 *
 * What is kept must be in the one spelling of hosts, and stay within its limits. The first byte says
 * what the rest is: a text, HTML, or a host alone.
 */
#include <stdlib.h>

#include "anatomy/url.h"
#include "detect/lookalike_host.h"
#include "postern/anatomy.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lookalikes *names;
static struct confusables *confusables;

static void
begin(void)
{
	static const char *const guarded[] = { "paypal.com", "bank.example", "credit-agricole.fr",
		"xn--mnchen-3ya.example", "impots.gouv.fr" };

	confusables = confusables_open();
	ASSERT(confusables != NULL);
	names = lookalikes_new(confusables);
	for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
		ASSERT(lookalikes_add(names, span_str(guarded[i])));
}

static void
check_host(struct arena *a, struct span host)
{
	char again[HOST_MAX];
	unsigned tricks = 0;
	struct span name, domain = host_domain(host);
	const char *why;
	size_t n = host_normalise(a, host, again, &tricks);

	ASSERT(host.n > 0 && host.n < HOST_MAX);
	ASSERT(n == host.n && memcmp(again, host.p, n) == 0 && tricks == 0);
	ASSERT(domain.n > 0 && domain.p + domain.n == host.p + host.n);
	if (lookalikes_find(names, host, &name, &why))
		ASSERT(name.n && *why && !lookalikes_has(names, host));
}

static void
check(struct arena *a, const struct anatomy *an, size_t most)
{
	struct url_host *hosts;
	bool cut;

	ASSERT(an->nurls <= most);
	for (size_t i = 0; i < an->nurls; i++) {
		const struct url *u = &an->urls[i];
		struct span shown = url_defang(a, u);

		ASSERT(u->part < an->nparts && u->count > 0 && u->kind < URL_KIND_COUNT);
		ASSERT((u->host.n == 0) == (u->kind == URL_SCRIPT));
		ASSERT(u->path.n <= URL_PATH);
		for (size_t k = 0; k < shown.n; k++)
			ASSERT((unsigned char)shown.p[k] >= ' ' && shown.p[k] != 0x7f);
		if (u->host.n == 0)
			continue;
		check_host(a, u->host);
		check_host(a, u->target);
		if (u->shown.n)
			check_host(a, u->shown);
		if (url_mismatch(u))
			ASSERT(u->shown.n && !span_eq(u->shown, u->target));
	}
	ASSERT(anatomy_hosts(an, a, 7, &hosts, &cut) <= 7);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const heads[] = { "Content-Type: text/plain; charset=utf-8\n\n",
		"Content-Type: text/html; charset=utf-8\n\n<html>", "Content-Type: text/calendar\n\n" };
	struct anatomy_limits limits = { .urls = 20 };
	struct arena *a = arena_new(0);
	struct anatomy an;
	char host[HOST_MAX];
	unsigned tricks = 0;
	size_t n;

	if (!names)
		begin();
	if (size > 0 && data[0] % 4 < 3) {
		const char *head = heads[data[0] % 4];
		char *raw = arena_alloc(a, strlen(head) + size);

		memcpy(raw, head, strlen(head));
		memcpy(raw + strlen(head), data + 1, size - 1);
		anatomy_build(a, span_make(raw, strlen(head) + size - 1), &limits, &an);
		check(a, &an, limits.urls);
	} else if (size > 1) {
		n = host_normalise(a, span_make((const char *)data + 1, size - 1), host, &tricks);
		if (n)
			check_host(a, span_make(host, n));
	}
	arena_free(&a);
	return 0;
}
