/* ip.h -- a network address as a value. */
#ifndef POSTERN_IP_H
#define POSTERN_IP_H

#include <stdint.h>

/* IPv4-mapped IPv6 is turned into IPv4 where addresses enter, so that one
 * client has one spelling. */
struct ip {
	uint8_t family;		/* 4, 6, or 0: none */
	uint8_t b[16];		/* network order; IPv4 uses the first four, the rest is zero */
};

#endif
