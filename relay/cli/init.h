/* init.h -- what the files of `postern init` share. */
#ifndef CLI_INIT_H
#define CLI_INIT_H

#include "addr.h"
#include "buf.h"
#include "cli/cli.h"
#include "postern/arena.h"

#define INIT_ITEMS_MAX 32	/* values of one answer */

enum init_field { INIT_LANGUAGE, INIT_HOSTNAME, INIT_DOMAINS, INIT_NETWORKS, INIT_MAILBOXES, INIT_ADDRESSES,
	INIT_ADMIN, INIT_FIELDS };

struct init_answer {
	struct span items[INIT_ITEMS_MAX];
	size_t n;
	bool given;		/* by an option, or answered: not to be detected */
};

/* What stood there already, and what was written; in the order of the work. */
struct init_file {
	const char *path;
	const char *what;	/* for people */
	enum { INIT_WRITTEN, INIT_EXISTS, INIT_REPLACED } state;
};

struct init {
	const struct cli *cli;
	struct arena *a;
	struct buf out;
	bool yes;		/* ask nobody */
	bool dry;		/* write nothing: show */
	bool french;
	const char *folder;	/* absolute */
	const char *state;	/* run, spool and store below it; NULL: where systemd has them */
	struct span listen;	/* of the smart host; empty: by the networks */
	struct span certificate, key;	/* that exist already; empty: one is made */
	struct init_answer answers[INIT_FIELDS];
	/* Found, not asked. */
	const char *antivirus;	/* the line of postern.yaml */
	const char *antivirus_why[2];	/* said in both languages, NULL: nothing to say */
	const char *port25;	/* who has port 25; NULL: it is free */
	struct init_file files[64];
	size_t nfiles;
};

/* The text in the language of the answers. */
#define INIT_SAY(in, en, fr) ((in)->french ? (fr) : (en))

/* init_detect.c: the default of a field; what was answered before may decide. */
void init_detect(struct init *in, enum init_field f);
void init_look_around(struct init *in);		/* antivirus, ports */

/* init_yaml.c */
void init_yaml(struct init *in, struct buf *out);
/* A shipped policy file with the administrator's address, and what comes in, put into it. */
struct span init_policy(struct init *in, struct span shipped);

/* init_files.c: everything, or -1 with err. in->files says what became of each. */
int init_files(struct init *in, struct span yaml, struct err *err);
/* Is there a configuration of somebody's own? What came with the package is nobody's. */
bool init_occupied(struct init *in, const char *path);

/* init_next.c: what was done, and what is to be done. */
void init_report(struct init *in);
void init_report_occupied(struct init *in, const char *path, struct span yaml);

#endif
