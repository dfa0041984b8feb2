/* health.h -- servers that could not be connected to, whoever tried.
 *
 * Of several servers one that is dead is tried last, by all sites. When its rest is over one
 * connection tries it, and the others go on without it until that one knows. The rest
 * begins with a minute and doubles to a quarter of an hour; one connection ends it. Pure: time is
 * passed in.
 */
#ifndef DELIVERY_HEALTH_H
#define DELIVERY_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/ip.h"

struct health;

#define HEALTH_MAX 10000		/* servers that are remembered */
#define HEALTH_REST_FIRST (INT64_C(60) * 1000000)
#define HEALTH_REST_MAX (INT64_C(900) * 1000000)

struct health *health_new(void);
void health_free(struct health **h);
void health_failed(struct health *h, struct ip ip, uint16_t port, int64_t now);
void health_good(struct health *h, struct ip ip, uint16_t port);
/* 0: nothing is known against it; else when its rest is over, which may have passed. */
int64_t health_until(const struct health *h, struct ip ip, uint16_t port);
unsigned health_failures(const struct health *h, struct ip ip, uint16_t port);
/* It is about to be tried: until that is known the others leave it alone. */
void health_trying(struct health *h, struct ip ip, uint16_t port, int64_t now);

#endif
