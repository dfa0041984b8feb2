/* probe_client.h -- the command `probe` of the control socket and the console. */
#ifndef DELIVERY_PROBE_CLIENT_H
#define DELIVERY_PROBE_CLIENT_H

#include "delivery/job.h"
#include "master/runtime.h"

#define PROBES_MAX 8		/* at once */

/* {"cmd":"probe","host","port","domain"}: answers on fd. */
void probe_client(struct runtime *rt, struct carrier *c, int fd, uint32_t uid, struct span request);

#endif
