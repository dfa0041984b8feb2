/* init_detect.c -- what a machine says of itself: the defaults of `postern init`'s questions; see init.h.
 *
 * Only files of this machine, its interfaces and its host name are looked at;
 * nothing is asked of the network but the name of this host (getaddrinfo).
 */
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/init.h"
#include "cli/port_owner.h"
#include "fs.h"

#define CLAMD_SOCKET "/run/clamav/clamd.ctl"
#define CLAMAV_FOLDER "/var/lib/clamav"

static void
add(struct init *in, enum init_field f, struct span s)
{
	struct init_answer *v = &in->answers[f];

	for (size_t i = 0; i < v->n; i++)
		if (span_eq(v->items[i], s))
			return;
	if (v->n < INIT_ITEMS_MAX)
		v->items[v->n++] = arena_span(in->a, s);
}

/* The first line of a small file; empty: none. */
static struct span
first_line(struct init *in, const char *path)
{
	struct span text;

	if (fs_read(in->a, path, 64 << 10, &text, NULL) == -1)
		return (struct span){ 0 };
	return span_trim(span_sub(text, 0, span_find(text, '\n')));
}

static bool
has_dot(struct span name)
{
	return span_find(name, '.') < name.n;
}

/* What the resolver calls this host, when that has a dot; else the name the kernel has. */
static void
detect_hostname(struct init *in)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *ai = NULL;
	char name[256] = "";
	struct span found, mail;

	gethostname(name, sizeof(name) - 1);
	found = arena_span(in->a, span_str(name));
	if (!has_dot(found) && getaddrinfo(name, NULL, &hints, &ai) == 0 && ai->ai_canonname &&
	    strchr(ai->ai_canonname, '.') && !span_starts(span_str(ai->ai_canonname), SPAN_LIT("localhost")))
		found = arena_span(in->a, span_str(ai->ai_canonname));
	if (ai)
		freeaddrinfo(ai);
	mail = first_line(in, "/etc/mailname");
	if (!has_dot(found) && has_dot(mail))
		found = span_str(arena_printf(in->a, SPAN_FMT "." SPAN_FMT, SPAN_ARG(found), SPAN_ARG(mail)));
	if (!domain_normalise(in->a, found, &found))
		found = SPAN_LIT("localhost");
	add(in, INIT_HOSTNAME, found);
}

/* /etc/mailname, else the host's name without its first label, unless that is a mere top level. */
static void
detect_domains(struct init *in)
{
	struct span host = in->answers[INIT_HOSTNAME].items[0], mail = first_line(in, "/etc/mailname"), above;

	if (has_dot(mail) && domain_normalise(in->a, mail, &mail) && !span_eq(mail, host)) {
		add(in, INIT_DOMAINS, mail);
		return;
	}
	above = span_from(host, span_find(host, '.') + 1);
	if (has_dot(above))
		add(in, INIT_DOMAINS, above);
}

static bool
is_public(struct ip ip)
{
	if (ip.family == 6)
		return (ip.b[0] & 0xe0) == 0x20;	/* 2000::/3, RFC 4291 */
	return !(ip.b[0] == 0 || ip.b[0] == 10 || ip.b[0] == 127 || ip.b[0] >= 224 ||
	    (ip.b[0] == 172 && (ip.b[1] & 0xf0) == 16) || (ip.b[0] == 192 && ip.b[1] == 168) ||
	    (ip.b[0] == 100 && (ip.b[1] & 0xc0) == 64) || (ip.b[0] == 169 && ip.b[1] == 254));
}

static void
detect_addresses(struct init *in)
{
	struct ifaddrs *list = NULL;
	char text[IP_TEXT_MAX];

	if (getifaddrs(&list) == -1)
		return;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct ip ip = i->ifa_addr ? ip_from_sockaddr(i->ifa_addr, NULL) : (struct ip){ 0 };

		if (ip.family && (i->ifa_flags & IFF_UP) && is_public(ip))
			add(in, INIT_ADDRESSES, span_str(ip_format(ip, text)));
	}
	freeifaddrs(list);
}

static void
detect_admin(struct init *in)
{
	const struct init_answer *d = &in->answers[INIT_DOMAINS];
	struct span at = d->n ? d->items[0] : in->answers[INIT_HOSTNAME].items[0];

	add(in, INIT_ADMIN, span_str(arena_printf(in->a, "postmaster@" SPAN_FMT, SPAN_ARG(at))));
}

static void
detect_language(struct init *in)
{
	static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
	const char *v = NULL;

	for (size_t i = 0; i < 3 && !(v && *v); i++)
		v = getenv(names[i]);
	add(in, INIT_LANGUAGE, v && strncmp(v, "fr", 2) == 0 ? SPAN_LIT("fr") : SPAN_LIT("en"));
}

void
init_detect(struct init *in, enum init_field f)
{
	if (in->answers[f].given)
		return;
	switch (f) {
	case INIT_LANGUAGE: detect_language(in); break;
	case INIT_HOSTNAME: detect_hostname(in); break;
	case INIT_DOMAINS: detect_domains(in); break;
	case INIT_ADDRESSES: detect_addresses(in); break;
	case INIT_ADMIN: detect_admin(in); break;
	case INIT_NETWORKS:	/* this machine alone, until somebody says who else */
		add(in, f, SPAN_LIT("127.0.0.1"));
		add(in, f, SPAN_LIT("::1"));
		break;
	case INIT_MAILBOXES:	/* closed by default: nothing comes in */
	case INIT_FIELDS:
		break;
	}
}

/* Official signatures of ClamAV as freshclam leaves them. */
static bool
has_signatures(void)
{
	return access(CLAMAV_FOLDER "/main.cvd", R_OK) == 0 || access(CLAMAV_FOLDER "/main.cld", R_OK) == 0;
}

void
init_look_around(struct init *in)
{
	struct stat st;

	in->port25 = port_owner(in->a, (struct ip){ 0 }, 25);
	if (stat(CLAMD_SOCKET, &st) == 0 && S_ISSOCK(st.st_mode)) {
		in->antivirus = "antivirus: {engine: clamd, socket: " CLAMD_SOCKET ", max_size: 25MiB}";
	} else if (has_signatures()) {
		in->antivirus = "antivirus: {engine: libclamav, databases: " CLAMAV_FOLDER "}";
	} else {
		in->antivirus = "antivirus: {engine: off}";
		in->antivirus_why[0] = "There are no virus signatures in " CLAMAV_FOLDER
		    ": viruses are not looked for. Install clamav-freshclam,\n"
		    "    wait for its signatures, and write antivirus: {engine: libclamav, databases: "
		    CLAMAV_FOLDER "}";
		in->antivirus_why[1] = "Il n'y a pas de signatures dans " CLAMAV_FOLDER
		    " : les virus ne sont pas recherchés. Installez\n"
		    "    clamav-freshclam, attendez ses signatures, et écrivez antivirus: {engine: libclamav, databases: "
		    CLAMAV_FOLDER "}";
	}
}
