/* antivirus.h -- libclamav, wrapped so that it cannot fail open.
 *
 * The engine is loaded once and shared by fork; each process then names its
 * own temporary folder. Whatever keeps the engine from looking is AV_FAILED
 * (mail is deferred) or AV_UNSCANNABLE, never AV_CLEAN.
 */
#ifndef SCANNER_ANTIVIRUS_H
#define SCANNER_ANTIVIRUS_H

#include "postern/anatomy.h"
#include "postern/err.h"
#include "postern/facts.h"

struct antivirus;

struct antivirus_info {
	unsigned signatures;	/* loaded */
	unsigned daily;		/* version of the daily database; 0: custom ones only */
	int64_t built;		/* Unix seconds of the newest official database; 0: none */
};

struct antivirus_limits {	/* 0 in a field: the default */
	uint64_t scan_size;	/* bytes over all that is unpacked of one map */
	uint64_t file_size;	/* of one file in it */
	uint32_t depth;
	uint32_t files;
	uint32_t ms;		/* for one map; approximate, the engine looks at its watch rarely */
};
#define ANTIVIRUS_SCAN_SIZE (UINT64_C(400) << 20)
#define ANTIVIRUS_FILE_SIZE (UINT64_C(256) << 20)
#define ANTIVIRUS_DEPTH 17
#define ANTIVIRUS_FILES 10000
#define ANTIVIRUS_MS 55000
#define ANTIVIRUS_CANARY_US (INT64_C(60) * 1000000)

/* Loads and compiles the databases in a folder and scans the canary. tmpdir must exist and be
 * writable. limits may be NULL. NULL on failure. */
struct antivirus *antivirus_new(const char *databases, const char *tmpdir,
    const struct antivirus_limits *limits, struct err *err);
void antivirus_free(struct antivirus **av);
/* After a fork: this process's own folder. The canary is due again. */
int antivirus_tmpdir(struct antivirus *av, const char *tmpdir, struct err *err);
/* EICAR must be found, a clean text must be clean. */
int antivirus_canary(struct antivirus *av, struct err *err);

/* Scans the message and its parts; fills facts->av…, texts in the arena. */
void antivirus_scan(struct antivirus *av, const struct anatomy *an, struct arena *a,
    struct facts *facts);
/* Why the last scan said AV_FAILED; "" when it did not. */
const char *antivirus_trouble(const struct antivirus *av);
/* "libclamav 1.4.6/sigs 8712345" */
struct span antivirus_engine(const struct antivirus *av);
const struct antivirus_info *antivirus_info(const struct antivirus *av);
/* libclamav's own, so that tests can do it harm. */
struct cl_engine *antivirus_handle(struct antivirus *av);

#endif
