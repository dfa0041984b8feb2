/* config_echo.c -- `echo: {address, per_hour}`: the address that answers with what has come (docs/DOMAINS.md). */
#include "addr.h"
#include "master/config_read.h"

#define PER_HOUR 6

void
read_echo(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "address", "per_hour", NULL };
	struct span local, domain, s;
	const struct conf_node *n;

	r->c->echo_per_hour = PER_HOUR;
	if (map == NULL || (map->kind == CONF_SCALAR && span_is(map->text, "off")) ||
	    !conf_want(r->d, map, CONF_MAP, "{address, per_hour}"))
		return;
	conf_check_keys(r->d, map, "echo", known);
	u32_of(r, map, "per_hour", 1, 1000, &r->c->echo_per_hour);
	if ((n = conf_get(map, "address")) == NULL) {
		error_at(r, map, "address: echo@example.org", "`echo` needs its `address`");
		return;
	}
	if (!text_of(r, n, "an address of ours", &s))
		return;
	s = mailaddr_normalise(r->a, s);
	if (!mailaddr_split(s, &local, &domain))
		error_at(r, n, "echo@example.org", "not a mail address");
	else if (config_domain(r->c, domain) == NULL)
		error_at(r, n, NULL, "its domain is none of `domains`");
	else if (span_is_nocase(local, "postmaster"))
		error_at(r, n, NULL, "people are to be reached as postmaster (RFC 5321, 4.5.1)");
	else
		r->c->echo = s;
}
