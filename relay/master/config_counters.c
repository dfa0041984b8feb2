/* config_counters.c -- `counters`: where limits, greylist, callouts and reputation are counted.
 *
 *	counters: local
 *	counters: rediss://postern@redis.example.org/2
 *	counters: {url: rediss://postern@redis.example.org, password_file: keys/redis.password,
 *	    ca: tls/redis-ca.pem, timeout: 250ms, nodes: 3, share: 34, prefix: postern}
 *
 * The URL is Redis's own: redis:// or rediss:// (TLS), [user][:password]@ with %XX, host and port, and
 * behind the slash the number of the database; redis+unix://PATH is a socket, with ?db=N.
 */
#include "clock.h"
#include "master/config_read.h"

#define REDIS_PORT 6379
#define TIMEOUT_MIN (10 * 1000)
#define TIMEOUT_MAX (5 * US_PER_SEC)
#define PREFIX_MAX 40

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX (RFC 3986, 2.1); false: not well-formed. */
static bool
decode(struct arena *a, struct span s, struct span *out)
{
	char *to = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];

		if (c == '%') {
			if (s.n - i < 3 || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
				return false;
			c = hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]);
			i += 2;
		}
		if (c < ' ')
			return false;
		to[n++] = (char)c;
	}
	to[n] = '\0';
	*out = span_make(to, n);
	return true;
}

static bool
read_database(struct reader *r, const struct conf_node *n, struct span s)
{
	uint32_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || v > 9999) {
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is no number of a database",
			    SPAN_ARG(s));
			return false;
		}
		v = v * 10 + (uint32_t)(s.p[i] - '0');
	}
	r->c->counters.database = v;
	return true;
}

static bool
read_who(struct reader *r, const struct conf_node *n, struct span who)
{
	struct conf_counters *c = &r->c->counters;
	size_t colon = span_find(who, ':');

	if (decode(r->a, span_sub(who, 0, colon), &c->user) &&
	    (colon == who.n || decode(r->a, span_from(who, colon + 1), &c->password)))
		return true;
	error_at(r, n, "redis://postern:p%40ss@HOST", "user and password stand with %XX in a URL");
	return false;
}

static bool
read_socket(struct reader *r, const struct conf_node *n, struct span s)
{
	static const struct span db = { "?db=", 4 };
	size_t q = span_find(s, '?');

	if (q < s.n && (!span_starts(span_from(s, q), db) || !read_database(r, n, span_from(s, q + db.n)))) {
		error_at(r, n, "redis+unix:///run/redis/redis.sock?db=1", "behind a socket's path stands ?db=NUMBER, or nothing");
		return false;
	}
	s = span_sub(s, 0, q);
	if (s.n == 0 || s.p[0] != '/' || s.n > 100) {
		error_at(r, n, "redis+unix:///run/redis/redis.sock", "a socket is named by its whole path, of 100 bytes at most");
		return false;
	}
	r->c->counters.socket = arena_str(r->a, s);
	return true;
}

static void
read_url(struct reader *r, const struct conf_node *n)
{
	static const struct { struct span scheme; bool tls, local; } schemes[] = {
		{ { "redis://", 8 }, false, false }, { { "rediss://", 9 }, true, false },
		{ { "redis+unix://", 13 }, false, true }, { { "valkey://", 9 }, false, false },
		{ { "valkeys://", 10 }, true, false } };
	struct conf_counters *c = &r->c->counters;
	struct span s = { 0 }, host, name;
	size_t i, at;
	struct err err;

	if (!conf_text(r->d, n, "local, or redis://HOST", &s))
		return;
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (span_starts_nocase(s, schemes[i].scheme))
			break;
	if (i == sizeof(schemes) / sizeof(schemes[0])) {
		diag_at(r->d, DIAG_ERROR, n, "redis://redis.example.org", "`counters` is `local`, redis://HOST, "
		    "rediss://HOST or redis+unix://PATH");
		return;
	}
	c->tls = schemes[i].tls;
	s = span_from(s, schemes[i].scheme.n);
	for (at = s.n; at > 0 && s.p[at - 1] != '@'; at--)
		;
	if (at > 0) {
		if (!read_who(r, n, span_sub(s, 0, at - 1)))
			return;
		s = span_from(s, at);
	}
	c->server = arena_printf(r->a, SPAN_FMT SPAN_FMT, SPAN_ARG(schemes[i].scheme), SPAN_ARG(s));
	if (schemes[i].local) {
		c->shared = read_socket(r, n, s);
		return;
	}
	at = span_find(s, '/');
	if (at < s.n && !read_database(r, n, span_from(s, at + 1)))
		return;
	if (hostport_parse(span_sub(s, 0, at), REDIS_PORT, &host, &c->host.port, &err) == -1) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "%s", err.text);
		return;
	}
	if (!ip_parse(host, &c->host.ip)) {
		c->host.ip = (struct ip){ 0 };
		if (!domain_normalise(r->a, host, &name)) {
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT
			    "` is neither an address nor a host name", SPAN_ARG(host));
			return;
		}
		host = name;
		if (span_is_nocase(host, "localhost"))
			ip_parse(SPAN_LIT("127.0.0.1"), &c->host.ip);
	}
	c->host.name = arena_span(r->a, host);
	c->shared = true;
}

static void
read_prefix(struct reader *r, const struct conf_node *n)
{
	struct span s;

	if (n == NULL || !text_of(r, n, "a word", &s))
		return;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		    (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' || s.p[i] == '_' || s.p[i] == '.'))
			s.n = 0;
	if (s.n == 0 || s.n > PREFIX_MAX)
		error_at(r, n, "postern", "`prefix` is a word of letters, digits, - _ and ., 40 at most");
	else
		r->c->counters.prefix = s;
}

void
read_counters(struct reader *r, const struct conf_node *n)
{
	static const char *const known[] = { "url", "password_file", "ca", "timeout", "nodes", "share",
		"prefix", NULL };
	struct conf_counters *c = &r->c->counters;
	const struct conf_node *k;
	struct span s;

	*c = (struct conf_counters){ .timeout = US_PER_SEC / 4, .prefix = SPAN_LIT("postern") };
	if (n == NULL || (n->kind == CONF_SCALAR && span_is(n->text, "local")))
		return;
	if (n->kind == CONF_SCALAR) {
		read_url(r, n);
		return;
	}
	if (!conf_want(r->d, n, CONF_MAP, "local, redis://HOST, or {url, password_file, ca, timeout, nodes, share}"))
		return;
	conf_check_keys(r->d, n, "counters", known);
	if ((k = conf_get(n, "url")) == NULL) {
		error_at(r, n, "url: redis://redis.example.org", "`counters` needs its `url`");
		return;
	}
	read_url(r, k);
	if (text_of(r, conf_get(n, "password_file"), "a file", &s)) {
		c->password_file = secret_of(r, conf_get(n, "password_file"), s);
		if (c->password.n)
			error_at(r, conf_get(n, "password_file"), NULL, "a password stands in the URL already");
	}
	if (text_of(r, conf_get(n, "ca"), "a file", &s)) {
		c->ca = secret_of(r, conf_get(n, "ca"), s);
		if (c->shared && !c->tls)
			error_at(r, conf_get(n, "ca"), "url: rediss://HOST", "`ca` is for TLS: rediss://");
	}
	duration_of(r, n, "timeout", &c->timeout);
	if (c->timeout < TIMEOUT_MIN || c->timeout > TIMEOUT_MAX)
		error_at(r, conf_get(n, "timeout"), "250ms", "`timeout` is between 10ms and 5s");
	u32_of(r, n, "nodes", 1, 1000, &c->nodes);
	u32_of(r, n, "share", 1, 100, &c->share);
	read_prefix(r, conf_get(n, "prefix"));
}

uint32_t
config_counting(const struct config *c, uint32_t heard)
{
	uint32_t n = c->counters.nodes ? c->counters.nodes : c->nnodes ? (uint32_t)c->nnodes : heard;

	return c->counters.shared && n ? n : 1;
}

uint32_t
config_share(const struct config *c, uint32_t heard)
{
	uint32_t n = config_counting(c, heard);

	if (c->counters.share)
		return c->counters.share;
	return n <= 1 ? 100 : n >= 100 ? 1 : 100 / n;
}
