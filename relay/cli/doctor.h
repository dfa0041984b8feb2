/* doctor.h -- what the files of `postern doctor` share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "buf.h"
#include "cli/cli.h"
#include "cli/lookup.h"

struct doctor {
	const struct cli *cli;
	const struct config *conf;
	struct arena *a;
	struct lookup *lookup;
	struct buf out;
	bool bad;
	const char *last;	/* topic of the line before, when that was not well: its remedy is said once */
	bool outward;		/* --outward: try the way out, on servers of others */
};

enum health { HEALTHY, DOUBTFUL, ILL };

/* One line of what was found. Unless all is well the topic's remedy stands below it (cmd_doctor.c has the
 * table), but where the text has it already. */
void doctor_say(struct doctor *d, enum health h, const char *topic, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* doctor_listeners.c */
void doctor_listeners(struct doctor *d);	/* each answers, and it is posternd that does */
/* doctor_machine.c: this machine, and what runs on it */
void doctor_files(struct doctor *d);		/* how many may be open */
void doctor_secrets(struct doctor *d);		/* who may read keys and passwords */
void doctor_running(struct doctor *d);		/* what `postern status` says needs attention: queue, spool, policy */
void doctor_policy(struct doctor *d);		/* errors and warnings in it */
void doctor_name(struct doctor *d);		/* our host name leads here */
void doctor_libraries(struct doctor *d);	/* versions; older than what it was built with */
/* doctor_world.c: how the Internet sees us */
void doctor_outward(struct doctor *d);		/* port 25, from our addresses */
void doctor_blocklists(struct doctor *d);	/* our public addresses on them */
void doctor_source(struct doctor *d);		/* do we know our public addresses? */
/* doctor_files.c: what grows old on this machine */
void doctor_tls(struct doctor *d);		/* our certificate: name, end, key */
/* doctor_antivirus.c */
void doctor_antivirus(struct doctor *d);	/* clamd, its limits; age of the signatures */
/* doctor_counters.c */
void doctor_counters(struct doctor *d);		/* Redis answers, and as it should */
/* doctor_export.c */
void doctor_export(struct doctor *d);		/* webhooks and log servers hear of events */
/* doctor_oidc.c */
void doctor_oidc(struct doctor *d);		/* the provider at which people sign in to the console */
/* doctor_inbound.c: whom inbound mail is asked about */
void doctor_filter(struct doctor *d);		/* rspamd or spamd answers */
void doctor_callout(struct doctor *d);		/* the servers behind us refuse who does not exist */
void doctor_lists(struct doctor *d);		/* blocklists have their test entries, and no others */

#endif
