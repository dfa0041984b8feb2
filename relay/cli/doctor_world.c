/* doctor_world.c -- how the Internet sees us: the way out, our addresses, blocklists; see doctor.h.
 *
 * The way out is tried, when that is asked for, on the MX of a large provider (doctor.probe): connect,
 * hear the greeting, QUIT. Blocklists are asked through our own name servers; one that answers
 * 127.255.255.x means "not to you" (large public resolvers are shut out) and says nothing of us.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "zone/zone.h"
#include "cli/doctor.h"

#define CONNECT_MS 10000
#define GREETING_MS 10000

/* Not to be reached from the Internet (RFC 1918, 6598, 4193, 4291). */
static bool
is_private(struct ip ip)
{
	if (ip.family == 6)
		return (ip.b[0] & 0xfe) == 0xfc || (ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80) ||
		    (ip.b[0] == 0 && ip.b[15] == 1);
	return ip.b[0] == 10 || ip.b[0] == 127 || (ip.b[0] == 172 && (ip.b[1] & 0xf0) == 16) ||
	    (ip.b[0] == 192 && ip.b[1] == 168) || (ip.b[0] == 100 && (ip.b[1] & 0xc0) == 64) ||
	    (ip.b[0] == 169 && ip.b[1] == 254);
}

void
doctor_source(struct doctor *d)
{
	size_t n;
	const struct ip *own = zone_addresses(d->conf, &n);
	char text[IP_TEXT_MAX];

	if (n == 0)
		doctor_say(d, DOUBTFUL, "source", "neither `public_addresses` nor `delivery: source` names an "
		    "address: SPF, reverse name and blocklists are looked at less closely");
	for (size_t i = 0; i < n; i++)
		if (is_private(own[i]))
			doctor_say(d, DOUBTFUL, "source", "%s is not how the Internet sees us: say `public_addresses: "
			    "[…]` in postern.yaml", ip_format(own[i], text));
}

/* ---- the way out ---- */

static const struct ip *
source_for(const struct doctor *d, uint8_t family)
{
	const struct conf_delivery *dl = &d->conf->delivery;

	for (size_t i = 0; i < dl->nsources; i++)
		if (dl->sources[i].family == family)
			return &dl->sources[i];
	return NULL;
}

/* The greeting's code; 0 and why: none. */
static int
greeting(const struct doctor *d, struct ip ip, char why[256])
{
	struct sockaddr_storage to, from;
	socklen_t len = ip_to_sockaddr(ip, d->conf->delivery.port, &to), flen, elen = sizeof(errno);
	const struct ip *source = source_for(d, ip.family);
	struct pollfd p = { .events = POLLOUT };
	char text[512] = "";
	int code = 0, error = 0;
	ssize_t n;

	if ((p.fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1) {
		snprintf(why, 256, "%s", strerror(errno));
		return 0;
	}
	if (source) {
		flen = ip_to_sockaddr(*source, 0, &from);
		if (bind(p.fd, (struct sockaddr *)&from, flen) == -1)
			error = errno;
	}
	if (error == 0 && connect(p.fd, (struct sockaddr *)&to, len) == -1)
		error = errno;
	if (error == EINPROGRESS) {
		if (poll(&p, 1, CONNECT_MS) != 1)
			error = ETIMEDOUT;
		else if (getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &elen) == -1)
			error = errno;
	}
	p.events = POLLIN;
	if (error) {
		snprintf(why, 256, "%s", strerror(error));
	} else if (poll(&p, 1, GREETING_MS) != 1 || (n = recv(p.fd, text, sizeof(text) - 1, 0)) < 3) {
		snprintf(why, 256, "connected, but nobody greets");
	} else {
		code = atoi(text);
		text[strcspn(text, "\r\n")] = '\0';
		snprintf(why, 256, "%.200s", text);
		(void)!send(p.fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
	}
	close(p.fd);
	return code;
}

/* An address of the first MX of the domain. */
static bool
find_mx(struct doctor *d, const char *domain, struct ip *ip, char host[DNS_NAME_MAX])
{
	struct dns_answer a = *lookup_ask(d->lookup, domain, DNS_MX);
	const struct dns_record *best = NULL;

	for (size_t i = 0; i < a.n; i++)
		if (a.records[i].name[0] && (best == NULL || a.records[i].pref < best->pref))
			best = &a.records[i];
	if (best == NULL)
		return false;
	snprintf(host, DNS_NAME_MAX, "%s", best->name);
	a = *lookup_ask(d->lookup, host, DNS_A);
	if (a.n)
		*ip = a.records[0].ip;
	return a.n > 0;
}

void
doctor_outward(struct doctor *d)
{
	const struct config *c = d->conf;
	char why[256] = "", host[DNS_NAME_MAX] = "", text[IP_TEXT_MAX];
	bool found = false;
	struct ip ip;

	if (!d->outward && !c->probes_given) {
		doctor_say(d, DOUBTFUL, "outward", "outgoing port %u was not tried: postern doctor --outward connects to "
		    "a large provider's mail server", c->delivery.port);
		return;
	}
	for (size_t i = 0; i < c->nprobes; i++) {
		int code;

		if (!find_mx(d, arena_str(d->a, c->probes[i]), &ip, host))
			continue;
		found = true;
		code = greeting(d, ip, why);
		if (code / 100 == 2) {
			doctor_say(d, HEALTHY, "outward", "port %u of %s[%s] greets us", c->delivery.port, host,
			    ip_format(ip, text));
			return;
		}
		if (code) {
			doctor_say(d, ILL, "outward", "%s[%s] will not have us: %s", host, ip_format(ip, text), why);
			return;
		}
	}
	if (!found && c->nprobes)
		doctor_say(d, DOUBTFUL, "outward", "no mail server could be looked up to try port %u on "
		    "(doctor: {probe: […]})", c->delivery.port);
	else if (found)
		doctor_say(d, ILL, "outward", "port %u of %s[%s] cannot be reached: %s. Many providers and firewalls close "
		    "it: have it opened", c->delivery.port, host, ip_format(ip, text), why);
}

/* ---- blocklists ---- */

static void
one_list(struct doctor *d, struct ip ip, const char *list)
{
	char *reverse = zone_reverse(d->a, ip), *end, text[IP_TEXT_MAX], code[IP_TEXT_MAX];
	const char *name;
	struct dns_answer a;

	if ((end = strstr(reverse, ip.family == 4 ? ".in-addr.arpa" : ".ip6.arpa")) != NULL)
		*end = '\0';
	name = arena_printf(d->a, "%s.%s", reverse, list);
	a = *lookup_ask(d->lookup, name, DNS_A);
	ip_format(ip, text);
	if (a.status == DNS_NXDOMAIN || a.status == DNS_NODATA) {
		doctor_say(d, HEALTHY, "blocklist", "%s is not on %s", text, list);
	} else if (a.n == 0) {
		doctor_say(d, DOUBTFUL, "blocklist", "%s does not answer", list);
	} else if (a.records[0].ip.b[0] != 127) {
		doctor_say(d, DOUBTFUL, "blocklist", "%s answers %s, which means nothing: is it still run?", list,
		    ip_format(a.records[0].ip, code));
	} else if (a.records[0].ip.b[1] == 255) {
		doctor_say(d, DOUBTFUL, "blocklist", "%s does not answer the name servers we ask (%s): ask it through "
		    "a resolver of your own", list, ip_format(a.records[0].ip, code));
	} else {
		struct dns_answer why = *lookup_ask(d->lookup, name, DNS_TXT);
		struct span reason = why.n ? dns_data(&why, &why.records[0]) : SPAN_LIT("it does not say why");

		doctor_say(d, ILL, "blocklist", "%s is on %s (%s): " SPAN_FMT, text, list,
		    ip_format(a.records[0].ip, code), SPAN_ARG(reason));
	}
}

void
doctor_blocklists(struct doctor *d)
{
	size_t n;
	const struct ip *own = zone_addresses(d->conf, &n);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; !is_private(own[i]) && k < d->conf->nblocklists; k++)
			one_list(d, own[i], arena_str(d->a, d->conf->blocklists[k]));
}
