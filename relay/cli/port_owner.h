/* port_owner.h -- who listens on a TCP port of this machine. */
#ifndef CLI_PORT_OWNER_H
#define CLI_PORT_OWNER_H

#include <stdint.h>

#include "postern/arena.h"
#include "postern/ip.h"

/* "master (pid 812)"; "another process" where /proc does not tell us; NULL: nobody listens on it at this
 * address or on all addresses. Family 0: at any address. */
const char *port_owner(struct arena *a, struct ip ip, uint16_t port);

#endif
