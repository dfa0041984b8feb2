/* labelled.h -- counters with labels, in the memory that all roles share.
 *
 * A family has a table of its own in FAMILIES: what it is called, its labels, and how many different
 * values it takes. Values that come later are counted as `other`: names of sites and domains come from
 * strangers, and whatever they send the page stays small. A label's text is cut and made plain ASCII
 * before it is compared, so nothing in it can break a page.
 */
#ifndef MASTER_LABELLED_H
#define MASTER_LABELLED_H

#include <stddef.h>
#include <stdint.h>

#include "postern/span.h"

/* X(NAME, "metric", "label", "second label" or NULL, values, "help") */
#define FAMILIES(X) \
	X(LISTENER, "listener_messages_total", "listener", NULL, 32, "messages acknowledged with 250, by listener") \
	X(REFUSED, "refused_total", "stage", "reason", 96, "commands and messages refused, by the stage of the dialogue and the (enhanced) code") \
	X(RULE, "rule_hits_total", "rule", "mode", 300, "recipients for whom a rule held: enforce, shadow, or skipped by an exception") \
	X(LIMIT, "limit_reached_total", "limit", NULL, 64, "times a limit of the policy refused or held something") \
	X(SITE, "site_deliveries_total", "site", "result", 300, "recipients by site and what came of an attempt") \
	X(DOMAIN, "domain_recipients_total", "domain", "direction", 200, "recipients accepted, by the domain of ours that sends or gets them")
enum label_family {
#define X(name, metric, a, b, max, help) LABEL_##name,
	FAMILIES(X)
#undef X
	LABEL_FAMILIES
};

#define LABEL_TEXT 64			/* bytes of one label's text */
#define LABEL_SLOTS 2048
#define LABEL_OTHER "other"

struct label_slot {
	uint32_t state;			/* 0 free, 1 being written, 2 readable */
	uint8_t family, na, nb;
	char text[2 * LABEL_TEXT];	/* the first label, behind it the second */
	uint64_t count;
};
struct label_table {
	uint32_t used[LABEL_FAMILIES];
	struct label_slot slots[LABEL_SLOTS];
};

void labels_use(struct label_table *t);	/* the shared one; NULL: counting goes nowhere */
/* b: "" where the family has one label. */
void label_add(enum label_family f, struct span a, struct span b, uint64_t n);

struct label_info {
	const char *metric, *a, *b, *help;
};
const struct label_info *label_info(enum label_family f);
/* The next slot of the family that is readable from *i on; *i then stands behind it. NULL: the end. */
const struct label_slot *label_next(enum label_family f, size_t *i);

#endif
