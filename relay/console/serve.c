/* serve.c -- which request is answered by whom.
 *
 *	GET /approve?token=T, GET /approve/T	shows what waits; decides nothing
 *	POST /approve		token, decision (approve, deny), reason: acts
 *	GET /digest?token=T	a message in quarantine; POST /digest acts
 *	GET /oidc/start, /oidc/return	signing in at a provider: oidc.c
 *	GET /addresses		from where we deliver, to anybody, where `console: {addresses: true}` says so
 *	/api/v1/…		JSON: api.c
 *	GET /healthz		"ok" while this process lives
 *	GET /readyz		"ok" while the store is there
 *	GET …			the pages: files.c
 *
 * HEAD is GET without a body; everything else is 404. The name in Host must be one of ours: a
 * page of somebody else's, whose name was made to point here, reaches nothing.
 */
#include "addr.h"
#include "console/console.h"
#include "postern/ip.h"
#include "zone/addresses.h"

#define ADDRESSES_MAX ((size_t)256 << 10)

/* Without its port. */
static struct span
host_name(struct span host)
{
	size_t n = host.n;

	if (n && host.p[0] == '[')
		return span_sub(host, 1, span_find(host, ']') - 1);
	return span_sub(host, 0, span_find(host, ':'));
}

static bool
is_ours(const struct config *conf, struct span host)
{
	struct span name = host_name(host);
	struct ip ip;

	if (host.n == 0 || ip_parse(name, &ip) || span_is_nocase(name, "localhost") ||
	    span_eq_nocase(name, conf->hostname))
		return true;
	for (size_t i = 0; i < conf->console.nnames; i++)
		if (span_eq_nocase(name, conf->console.names[i]))
			return true;
	return false;
}

/* A proxy of this machine, to which alone a console without TLS listens, says whom it speaks for. */
static void
read_forwarded(struct client *k)
{
	struct span list = k->r.forwarded, last;
	size_t comma = list.n;
	struct ip ip;

	if (k->c->tls || list.n == 0 || !ip_is_loopback(k->ip))
		return;
	while (comma && list.p[comma - 1] != ',')
		comma--;
	last = span_trim(span_from(list, comma));
	if (ip_parse(last, &ip))
		k->ip = ip;
}

static void
ready(struct client *k, bool is)
{
	client_answer(k, is ? 200 : 503, "text/plain; charset=utf-8", is ? SPAN_LIT("ok\n") :
	    SPAN_LIT("no store\n"));
}

/* "/addresses" a network to a line, "/addresses.json", "/addresses.txt" with names. false: none of them. */
static bool
addresses(struct client *k)
{
	static const struct { const char *path, *type; enum address_format f; } shown[] = {
		{ "/addresses", "text/plain; charset=utf-8", ADDRESS_CIDR },
		{ "/addresses.txt", "text/plain; charset=utf-8", ADDRESS_TEXT },
		{ "/addresses.json", "application/json", ADDRESS_JSON },
	};
	const struct config *c = k->c->rt->conf;
	struct addresses v;
	struct buf b;

	for (size_t i = 0; c->console.addresses && i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (!span_is(k->r.path, shown[i].path))
			continue;
		addresses_outside(c, k->arena, &v);
		buf_init(&b, ADDRESSES_MAX);
		addresses_write(&b, &v, c->hostname, shown[i].f);
		client_answer(k, 200, shown[i].type, buf_data(&b));
		buf_release(&b);
		return true;
	}
	return false;
}

void
serve(struct client *k)
{
	static const struct span approve = { "/approve/", 9 }, api = { "/api/", 5 };
	const struct http_request *r = &k->r;
	bool looks = r->method == HTTP_GET || r->method == HTTP_HEAD;

	k->french = http_french(r->languages);
	if (looks && span_is(r->path, "/healthz"))
		ready(k, true);
	else if (looks && span_is(r->path, "/readyz"))
		ready(k, k->c->store != NULL);
	else if (k->metrics)
		metrics_serve(k);
	else if (!is_ours(k->c->rt->conf, r->host))
		client_error(k, 421, "invalid", "this is not the host asked for (`console: {names: …}`)");
	else if (looks && (span_is(r->path, "/approve") || span_starts(r->path, approve)))
		approve_show(k);
	else if (r->method == HTTP_POST && span_is(r->path, "/approve"))
		approve_act(k);
	else if ((looks || r->method == HTTP_POST) && span_is(r->path, "/digest"))
		digest_serve(k);
	else if (r->method == HTTP_GET && (span_is(r->path, "/oidc/start") || span_is(r->path, "/oidc/return"))) {
		read_forwarded(k);
		oidc_serve(k);
	} else if (span_starts(r->path, api)) {
		read_forwarded(k);
		api_serve(k);
	} else if (!looks || (!addresses(k) && !files_serve(k)))
		approve_status(k, 404);
}
