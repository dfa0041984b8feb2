/* av_engine.h -- what antivirus.c asks of the engine behind it: libclamav in this process
 * (av_libclamav.c) or clamd at the other end of a socket (av_clamd.c). Nobody else includes it.
 */
#ifndef SCANNER_AV_ENGINE_H
#define SCANNER_AV_ENGINE_H

#include "postern/err.h"
#include "postern/facts.h"
#include "scanner/antivirus.h"
#include "scanner/av_layers.h"
#include "scanner/signatures.h"

#define AV_NAME_MAX 256

struct av_found {
	enum av_state state;		/* never NOT_ASKED */
	uint8_t kinds;			/* VIRUS, SUSPECT */
	char name[AV_NAME_MAX];		/* of what was found, or of the limit; FAILED: why */
};

struct av_backend;
struct av_backend_ops {
	/* Before each message: can it look at all? What can be known without a scan. */
	int (*ready)(struct av_backend *e, struct err *err);
	/* Bytes that are not empty. layers, which may be NULL, hears of the files within, where the engine
	 * tells of them; it knows of none after anything but AV_CLEAN. */
	void (*scan)(struct av_backend *e, struct span bytes, struct av_layers *layers,
	    struct av_found *out);
	/* A temporary folder of this process's own. May be NULL. */
	int (*tmpdir)(struct av_backend *e, const char *tmpdir, struct err *err);
	/* The message is over. May be NULL. */
	void (*done)(struct av_backend *e);
	void (*free)(struct av_backend *e);
	/* Which signatures it has now, when they may change under us. May be NULL. */
	int (*signatures)(struct av_backend *e, struct signatures *out, struct err *err);
};

struct av_backend {		/* the first member of each engine */
	const struct av_backend_ops *ops;
	char version[64];	/* "libclamav 1.4.6" */
	struct signatures signatures;
};

/* Names a finding: its kind, and what that makes of the state. */
void av_found_named(struct av_found *f, const char *name);
void av_found_failed(struct av_found *f, const char *why);

struct av_backend *libclamav_new(const char *databases, const char *tmpdir,
    const struct antivirus_options *o, struct err *err);
struct cl_engine *libclamav_handle(struct av_backend *e);

struct av_backend *clamd_new(const struct antivirus_dial *dial, const struct antivirus_options *o,
    struct err *err);

#endif
