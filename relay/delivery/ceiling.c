/* ceiling.c -- how many connections a destination gets: `delivery.per_site.connections`
 * of postern.yaml, and fewer where a limit of the policy says so
 * (`{per: destination, match: [isp.example], allow: 10 connections, then: wait}`). Nodes that count
 * together make their part of what a limit allows, at least one each.
 */
#include "delivery/job.h"
#include "master/config.h"
#include "master/counters.h"
#include "postern/policy.h"

/* "isp.example", ".isp.example" its subdomains; patterns and destinations are in lower-case A-labels. */
static bool
matches(struct span pattern, struct span destination)
{
	return pattern.n && pattern.p[0] == '.' ? destination.n > pattern.n &&
	    span_ends_nocase(destination, pattern) : span_eq_nocase(pattern, destination);
}

uint32_t
carrier_connections(const struct carrier *c, struct span destination)
{
	uint32_t most = c->conf->delivery.site_connections;
	uint32_t nodes = config_counting(c->conf, (uint32_t)counter_get(COUNTER_COUNT_NODES));

	for (size_t i = 0; i < c->nlimits; i++) {
		const struct limit_rule *l = &c->limits[i];

		for (size_t k = 0; l->per == LIMIT_DESTINATION && k < l->nmatch; k++) {
			uint64_t part = l->allow / nodes ? l->allow / nodes : l->allow > 0;

			if (part < most && matches(l->match[k], destination))
				most = (uint32_t)part;
		}
	}
	return most;
}
