/* addresses.c -- from which addresses we deliver; see addresses.h. */
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>

#include "addr.h"
#include "zone/addresses.h"

static void
add(struct arena *a, struct addresses *out, struct ip ip, struct span name, struct span pool)
{
	for (size_t i = 0; i < out->n; i++)
		if (ip_eq(out->v[i].ip, ip))
			return;
	out->v = arena_grow(a, out->v, out->n * sizeof(*out->v), (out->n + 1) * sizeof(*out->v));
	out->v[out->n++] = (struct address){ ip, name, pool };
}

static bool
is_link_local(struct ip ip)
{
	return ip.family == 6 && ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80;
}

struct ip *
addresses_of_machine(struct arena *a, size_t *n)
{
	struct ip *v = NULL;
	struct ifaddrs *all;

	*n = 0;
	if (getifaddrs(&all) == -1)
		return NULL;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct ip ip = { 0 };

		if (i->ifa_addr && !(i->ifa_flags & IFF_LOOPBACK))
			ip = ip_from_sockaddr(i->ifa_addr, NULL);
		if (ip.family == 0 || is_link_local(ip))
			continue;
		v = arena_grow(a, v, *n * sizeof(*v), (*n + 1) * sizeof(*v));
		v[(*n)++] = ip;
	}
	freeifaddrs(all);
	return v;
}

static void
sources(const struct config *c, struct arena *a, struct addresses *out)
{
	const struct conf_delivery *d = &c->delivery;

	for (size_t i = 0; i < d->nsources; i++)
		add(a, out, d->sources[i], d->hello, (struct span){ 0 });
	for (size_t p = 0; p < d->npools; p++)
		for (size_t i = 0; i < d->pools[p].nsources; i++)
			add(a, out, d->pools[p].sources[i], d->pools[p].hello.n ? d->pools[p].hello : d->hello,
			    d->pools[p].name);
}

void
addresses_outside(const struct config *c, struct arena *a, struct addresses *out)
{
	*out = (struct addresses){ 0 };
	for (size_t i = 0; i < c->npublic; i++)
		add(a, out, c->public_addresses[i], c->delivery.hello, (struct span){ 0 });
	if (c->npublic == 0)
		sources(c, a, out);
}

void
addresses_inside(const struct config *c, struct arena *a, struct addresses *out)
{
	struct ip *own;
	size_t n;

	*out = (struct addresses){ 0 };
	sources(c, a, out);
	/* Where only pools have addresses of their own, the rest leaves by any. */
	if (c->delivery.nsources)
		return;
	own = addresses_of_machine(a, &n);
	for (size_t i = 0; i < n; i++)
		add(a, out, own[i], c->delivery.hello, (struct span){ 0 });
}

/* ---- formats ---- */

enum address_format
address_format_parse(struct span name)
{
	static const char *const names[] = {
#define X(n, text) text,
		ADDRESS_FORMATS(X)
#undef X
	};

	for (int i = 0; i < ADDRESS_FORMAT_COUNT; i++)
		if (span_is(name, names[i]))
			return (enum address_format)i;
	return ADDRESS_FORMAT_COUNT;
}

static void
write_json(struct buf *out, const struct addresses *v, struct span hostname)
{
	char text[IP_TEXT_MAX];
	struct json j;

	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "hostname", hostname);
	json_key(&j, "addresses");
	json_array(&j);
	for (size_t i = 0; i < v->n; i++) {
		json_object(&j);
		json_kcstr(&j, "address", ip_format(v->v[i].ip, text));
		json_kstr(&j, "name", v->v[i].name);
		json_key(&j, "pool");
		if (v->v[i].pool.n)
			json_str(&j, v->v[i].pool);
		else
			json_null(&j);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(out, '\n');
}

static void
write_sets(struct buf *out, const struct addresses *v)
{
	char text[IP_TEXT_MAX];

	for (int family = 4; family <= 6; family += 2) {
		size_t n = 0;

		buf_printf(out, "set postern%d {\n\ttype ipv%d_addr\n", family, family);
		for (size_t i = 0; i < v->n; i++)
			if (v->v[i].ip.family == family)
				buf_printf(out, "%s%s", n++ ? ", " : "\telements = { ", ip_format(v->v[i].ip, text));
		buf_puts(out, n ? " }\n}\n" : "}\n");
	}
}

void
addresses_write(struct buf *out, const struct addresses *v, struct span hostname, enum address_format f)
{
	char text[IP_TEXT_MAX];

	if (f == ADDRESS_JSON)
		write_json(out, v, hostname);
	else if (f == ADDRESS_NFT)
		write_sets(out, v);
	else
		for (size_t i = 0; i < v->n; i++) {
			const struct address *o = &v->v[i];

			ip_format(o->ip, text);
			if (f == ADDRESS_TEXT)
				buf_printf(out, "%-39s " SPAN_FMT "%s" SPAN_FMT "\n", text, SPAN_ARG(o->name),
				    o->pool.n ? " " : "", SPAN_ARG(o->pool));
			else
				buf_printf(out, "%s/%d%s\n", text, o->ip.family == 4 ? 32 : 128,
				    f == ADDRESS_POSTFIX ? "\tpermit" : "");
		}
}
