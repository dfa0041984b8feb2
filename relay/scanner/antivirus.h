/* antivirus.h -- an antivirus engine, wrapped so that it cannot fail open.
 *
 * libclamav is loaded once and shared by fork; each process then names its
 * own temporary folder. Whatever keeps an engine from looking is AV_FAILED
 * (mail is deferred) or AV_UNSCANNABLE, never AV_CLEAN.
 */
#ifndef SCANNER_ANTIVIRUS_H
#define SCANNER_ANTIVIRUS_H

#include "postern/anatomy.h"
#include "postern/err.h"
#include "postern/facts.h"
#include "scanner/signatures.h"

struct antivirus;

enum antivirus_old { ANTIVIRUS_OLD_WARN, ANTIVIRUS_OLD_DEFER, ANTIVIRUS_OLD_UNSCANNABLE };

struct antivirus_options {	/* 0 in a limit: the default */
	uint64_t scan_size;	/* bytes over all that is unpacked of one map */
	uint64_t file_size;	/* of one file in it; clamd: of what it is sent */
	uint32_t depth;
	uint32_t files;
	uint32_t ms;		/* for one map; approximate, libclamav looks at its watch rarely */
	bool pua, macros;	/* looked for */
	bool no_phishing;	/* not looked for */
	bool no_encrypted;	/* what is locked is no reason for AV_UNSCANNABLE */
	bool remember;		/* attachments seen before in this process: see remember.h */
	int64_t max_age;	/* microseconds; 0: signatures may have any age */
	enum antivirus_old on_old;
};
#define ANTIVIRUS_SCAN_SIZE (UINT64_C(400) << 20)
#define ANTIVIRUS_FILE_SIZE (UINT64_C(256) << 20)
#define ANTIVIRUS_DEPTH 17
#define ANTIVIRUS_FILES 10000
#define ANTIVIRUS_MS 55000
#define ANTIVIRUS_CANARY_US (INT64_C(60) * 1000000)
#define ANTIVIRUS_RETRY_US (INT64_C(5) * 1000000)	/* when the last canary failed */

/* Who makes connections to clamd: a process that scans may not. */
struct antivirus_dial {
	int (*dial)(void *ctx, struct err *err);	/* a socket, perhaps still connecting; -1 */
	void *ctx;
	bool local;		/* a unix socket: descriptors can travel */
};

/* Loads and compiles the databases in a folder and scans the canary. tmpdir must exist and be
 * writable. o may be NULL. NULL on failure. */
struct antivirus *antivirus_new(const char *databases, const char *tmpdir,
    const struct antivirus_options *o, struct err *err);
/* clamd. Nobody is asked yet: it may come later, and mail waits until it does. */
struct antivirus *antivirus_new_clamd(const struct antivirus_dial *dial,
    const struct antivirus_options *o, struct err *err);
void antivirus_free(struct antivirus **av);
/* After a fork: this process's own folder. The canary is due again, and nothing is remembered. */
int antivirus_tmpdir(struct antivirus *av, const char *tmpdir, struct err *err);
/* EICAR must be found, a clean text must be clean. */
int antivirus_canary(struct antivirus *av, struct err *err);
bool antivirus_well(const struct antivirus *av);	/* the last one was found */
/* Whether it says of what is nested too deep that it has not looked. */
bool antivirus_tells_limits(struct antivirus *av, struct arena *a);
#define ANTIVIRUS_SILENT "clamd calls clean what lies beyond its limits: `AlertExceedsMax yes` in clamd.conf"
/* Microseconds until the next one is due; 0: now. */
int64_t antivirus_canary_in(const struct antivirus *av);

/* Scans the message and its parts; fills facts->av…, texts in the arena. facts->now is the time. */
void antivirus_scan(struct antivirus *av, const struct anatomy *an, struct arena *a,
    struct facts *facts);
/* The signatures may be too old whoever has scanned: applies `on_old` to what facts say. */
void antivirus_age(struct antivirus *av, struct arena *a, struct facts *facts);
/* Why the last scan said AV_FAILED; "" when it did not. */
const char *antivirus_trouble(const struct antivirus *av);
/* Attachments of the last message that had been seen before. */
unsigned antivirus_remembered(const struct antivirus *av);
/* "libclamav 1.4.6/27850", "libclamav 1.4.6/sigs 12", "clamd 1.4.6/27850" */
struct span antivirus_engine(const struct antivirus *av);
struct span antivirus_version(const struct antivirus *av);	/* "libclamav 1.4.6" */
const struct signatures *antivirus_signatures(const struct antivirus *av);
/* libclamav's own, so that tests can do it harm. */
struct cl_engine *antivirus_handle(struct antivirus *av);

#endif
