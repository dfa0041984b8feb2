/* addr.h -- network addresses, mail addresses, and lists that match them. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/ip.h"
#include "postern/span.h"

#define IP_TEXT_MAX 46		/* as INET6_ADDRSTRLEN */

bool ip_parse(struct span text, struct ip *ip);
const char *ip_format(struct ip ip, char buf[IP_TEXT_MAX]);	/* "none" for family 0 */
bool ip_eq(struct ip a, struct ip b);
bool ip_is_loopback(struct ip ip);
/* Family 0 for what is no IP socket; port may be NULL. */
struct ip ip_from_sockaddr(const struct sockaddr *sa, uint16_t *port);
/* The length used, 0 for family 0. */
socklen_t ip_to_sockaddr(struct ip ip, uint16_t port, struct sockaddr_storage *ss);

struct cidr {
	struct ip ip;
	uint8_t bits;
};

/* "10.0.0.0/8", "::1", "10.1.2.3". Host bits set beyond the prefix are an error. */
int cidr_parse(struct span text, struct cidr *c, struct err *err);
bool cidr_has(struct cidr c, struct ip ip);

/* "0.0.0.0:25", "[::1]:8025", "10.1.2.3" with a default port (0: port required). */
int hostport_parse_ip(struct span text, uint16_t default_port, struct ip *ip, uint16_t *port,
    struct err *err);
/* "mail2.example.org:25" or an address: host is a span into text, without brackets. */
int hostport_parse(struct span text, uint16_t default_port, struct span *host,
    uint16_t *port, struct err *err);

/* The parts of "local@domain" (the last @ outside quotes). false when either is
 * missing. The null sender is the empty span and has no parts. */
bool mailaddr_split(struct span addr, struct span *local, struct span *domain);
/* Lower-cased domain, IDN A-labels; local part as it is. "" stays "". */
struct span mailaddr_normalise(struct arena *a, struct span addr);
/* A local part with its quoting undone: what it means. */
struct span mailaddr_bare(struct arena *a, struct span local);
/* And the way back, with quotes only where there must be some; no "@" where the domain is empty. */
struct span mailaddr_join(struct arena *a, struct span bare, struct span domain);
bool mailaddr_atext(unsigned char c);		/* RFC 5322, 3.2.3 */
bool mailaddr_dot_string(struct span local);	/* needs no quotes */
/* A-label form of a domain in lower case; false when it is no domain name: empty labels
 * (a dot at the end too: DNS callers take it off first), labels above 63, names above 253,
 * anything but letters, digits, hyphen and underscore. */
bool domain_normalise(struct arena *a, struct span domain, struct span *out);

/* A list of patterns: "a@b" one address, "b" the domain, ".b" its subdomains;
 * "@" alone or "<>" the null sender; compared without case, IDN in both spellings.
 * Look-up is by hash: cost does not grow with the list. Patterns are copied. */
struct addrlist;
struct addrlist *addrlist_new(void);
void addrlist_free(struct addrlist **l);
int addrlist_add(struct addrlist *l, struct span pattern, struct err *err);
bool addrlist_has(const struct addrlist *l, struct span addr);
size_t addrlist_count(const struct addrlist *l);

#endif
