/* av_libclamav.c -- libclamav in this process; see av_engine.h and antivirus.h.
 *
 * Each of these makes libclamav 1.4 say CL_CLEAN without having looked, and is
 * met here or in antivirus.c:
 *   - a temporary folder that is missing, full or not writable: proved usable
 *     before each message, and by a canary (EICAR) every minute;
 *   - an engine that is not compiled: antivirus_new() scans the canary;
 *   - its cache of clean hashes, which ignores the scan options: switched off;
 *   - limits without the option that reports them: switched on; what is
 *     reported as Heuristics.Limits.Exceeded.* or Heuristics.Encrypted.* is
 *     unscannable, not a virus and not clean.
 *
 * It stops at the first signature that matches. When that is not malware, the
 * same bytes are looked at again for all that matches: a tool nobody minds must not
 * hide the virus behind it.
 *
 * Memory the engine could not have (CL_EMEM) is unscannable: the worker's memory is limited, and
 * the next try would end as this one did.
 */
#include <clamav.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "scanner/av_engine.h"

_Static_assert(ANATOMY_DECODED <= ANTIVIRUS_FILE_SIZE, "a member that was unpacked can be scanned");

#define TMP_FREE_MIN (UINT64_C(1) << 20)	/* below this a scan would be cut short */

struct libclamav {
	struct av_backend e;
	struct cl_engine *engine;
	struct antivirus_options options;
	char tmpdir[PATH_MAX - 64];
	char probe[PATH_MAX];
};

/* libclamav talks to stderr by itself; the last thing it said is worth having in an error. */
static char last_words[256];

static void
hear(enum cl_msg severity, const char *full, const char *msg, void *ctx)
{
	if (severity >= CL_MSG_WARN && msg)
		snprintf(last_words, sizeof(last_words), "%.*s", (int)strcspn(msg, "\r\n"), msg);
}

static int
engine_err(struct err *err, cl_error_t rc, const char *what)
{
	return err_set(err, 0, "%s: %s%s%s", what, cl_strerror(rc), *last_words ? ": " : "",
	    last_words);
}

/* ---- scanning ---- */

static struct cl_scan_options
scan_options(const struct antivirus_options *given, bool all)
{
	struct cl_scan_options o = { 0 };

	o.general = CL_SCAN_GENERAL_HEURISTICS | (all ? CL_SCAN_GENERAL_ALLMATCHES : 0);
	o.parse = ~(uint32_t)0;
	o.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
	if (!given->no_encrypted)
		o.heuristic |= CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
	if (given->macros)
		o.heuristic |= CL_SCAN_HEURISTIC_MACROS;
	return o;
}

/* What a scan says by the callback: with ALLMATCHES each match, and the name where
 * cl_scanmap_callback leaves it NULL (a whole message above the file limit is one such). */
struct heard {
	char first[AV_NAME_MAX];
	struct av_found *all;		/* NULL: only the first is wanted */
	uint8_t wanted;			/* kinds */
	enum av_kind worst;		/* named in `all` */
	struct av_layers *layers;	/* NULL: nobody wants to know */
};

static void
virus_found(int fd, const char *name, void *ctx)
{
	struct heard *h = ctx;
	enum av_kind kind;

	if (h == NULL || name == NULL)
		return;
	if (*h->first == '\0')
		snprintf(h->first, sizeof(h->first), "%s", name);
	if (h->all == NULL || !av_kind_of(span_str(name), &kind) || !(h->wanted >> kind & 1))
		return;
	if (h->all->kinds == 0 || kind < h->worst) {
		h->worst = kind;
		av_found_named(h->all, name);
	}
	h->all->kinds |= (uint8_t)(1u << kind);
}

/* What the engine made of other bytes (HTML without its tags) is no file of the message. */
static cl_error_t
layer_begins(int fd, const char *type, const char **ancestors, size_t parent_size, const char *name,
    size_t size, const char *bytes, uint32_t depth, uint32_t attributes, void *ctx)
{
	const struct heard *h = ctx;

	if (h && h->layers)
		av_layers_enter(h->layers, span_make(bytes, attributes || !bytes ? 0 : size), type);
	return CL_CLEAN;	/* which means: look at it */
}

static cl_error_t
layer_ends(int fd, int result, const char *name, void *ctx)
{
	const struct heard *h = ctx;

	if (h && h->layers)
		av_layers_leave(h->layers, result == CL_CLEAN);
	return CL_CLEAN;	/* which means: as you found it */
}

/* Custom databases hold what they like: a kind that is not looked for is not found. */
static uint8_t
wanted(const struct antivirus_options *o)
{
	unsigned k = (1u << AV_KIND_COUNT) - 1;

	if (!o->pua)
		k &= ~(1u << AV_KIND_PUA);
	if (o->no_phishing)
		k &= ~(1u << AV_KIND_PHISHING);
	return (uint8_t)k;
}

static cl_error_t
scan_map(struct libclamav *l, struct span bytes, bool all, const char **name, struct heard *heard)
{
	struct cl_scan_options o = scan_options(&l->options, all);
	unsigned long scanned = 0;
	cl_fmap_t *map = cl_fmap_open_memory(bytes.p, bytes.n);
	cl_error_t rc;

	if (map == NULL)
		return CL_EMAP;
	rc = cl_scanmap_callback(map, NULL, name, &scanned, l->engine, &o, heard);
	cl_fmap_close(map);
	return rc;
}

static void
libclamav_scan(struct av_backend *e, struct span bytes, struct av_layers *layers,
    struct av_found *out)
{
	struct libclamav *l = (struct libclamav *)e;
	struct heard heard = { .layers = layers };
	const char *name = NULL;
	cl_error_t rc;

	*last_words = '\0';
	*out = (struct av_found){ .state = AV_FAILED };
	rc = scan_map(l, bytes, false, &name, &heard);
	if (rc != CL_CLEAN && layers)
		av_layers_forget(layers);
	switch (rc) {
	case CL_CLEAN:
		out->state = AV_CLEAN;
		return;
	case CL_VIRUS:
		if (name == NULL)	/* it happens */
			name = *heard.first ? heard.first : "unnamed";
		av_found_named(out, name);
		break;
	case CL_EMAXREC:
	case CL_EMAXSIZE:
	case CL_EMAXFILES:
	case CL_ETIMEOUT:
	case CL_EMEM:
		out->state = AV_UNSCANNABLE;
		snprintf(out->name, sizeof(out->name), "%s", cl_strerror(rc));
		return;
	default:
		snprintf(out->name, sizeof(out->name), "%.80s%s%.160s", cl_strerror(rc),
		    *last_words ? ": " : "", last_words);
		return;
	}
	if (out->state != AV_SUSPECT)
		return;
	*out = (struct av_found){ .state = AV_CLEAN };
	heard = (struct heard){ .all = out, .wanted = wanted(&l->options) };
	rc = scan_map(l, bytes, true, &name, &heard);
	if (rc != CL_VIRUS && rc != CL_CLEAN && out->state != AV_VIRUS)
		av_found_failed(out, cl_strerror(rc));
}

/* Does what the engine is about to do: make a folder in its temporary folder. */
static int
libclamav_ready(struct av_backend *e, struct err *err)
{
	struct libclamav *l = (struct libclamav *)e;
	struct statvfs st;

	if (mkdir(l->probe, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "antivirus: temporary folder %s", l->tmpdir);
	if (rmdir(l->probe) == -1)
		return err_errno(err, "antivirus: temporary folder %s", l->tmpdir);
	if (statvfs(l->tmpdir, &st) == -1)
		return err_errno(err, "antivirus: temporary folder %s", l->tmpdir);
	if ((uint64_t)st.f_bavail * st.f_frsize < TMP_FREE_MIN)
		return err_set(err, ENOSPC, "antivirus: temporary folder %s is full", l->tmpdir);
	return 0;
}

static int
libclamav_tmpdir(struct av_backend *e, const char *tmpdir, struct err *err)
{
	struct libclamav *l = (struct libclamav *)e;
	cl_error_t rc;

	if (strlen(tmpdir) >= sizeof(l->tmpdir))
		return err_set(err, ENAMETOOLONG, "antivirus: temporary folder %s", tmpdir);
	rc = cl_engine_set_str(l->engine, CL_ENGINE_TMPDIR, tmpdir);
	if (rc != CL_SUCCESS)
		return engine_err(err, rc, "antivirus: setting the temporary folder");
	snprintf(l->tmpdir, sizeof(l->tmpdir), "%s", tmpdir);
	snprintf(l->probe, sizeof(l->probe), "%s/probe-%ld", tmpdir, (long)getpid());
	return 0;
}

/* ---- loading ---- */

static int
set_limits(struct libclamav *l, struct err *err)
{
	const struct antivirus_options *o = &l->options;
	const struct { enum cl_engine_field field; uint64_t value; } set[] = {
		{ CL_ENGINE_MAX_SCANSIZE, o->scan_size ? o->scan_size : ANTIVIRUS_SCAN_SIZE },
		{ CL_ENGINE_MAX_FILESIZE, o->file_size ? o->file_size : ANTIVIRUS_FILE_SIZE },
		{ CL_ENGINE_MAX_RECURSION, o->depth ? o->depth : ANTIVIRUS_DEPTH },
		{ CL_ENGINE_MAX_FILES, o->files ? o->files : ANTIVIRUS_FILES },
		{ CL_ENGINE_MAX_SCANTIME, o->ms ? o->ms : ANTIVIRUS_MS },
		/* Above these the engine leaves a step out without a word. */
		{ CL_ENGINE_MAX_EMBEDDEDPE, 100 << 20 },
		{ CL_ENGINE_MAX_HTMLNORMALIZE, 100 << 20 },
		{ CL_ENGINE_MAX_HTMLNOTAGS, 50 << 20 },
		{ CL_ENGINE_MAX_SCRIPTNORMALIZE, 50 << 20 },
		{ CL_ENGINE_MAX_ZIPTYPERCG, 10 << 20 },
		{ CL_ENGINE_PCRE_MAX_FILESIZE, 100 << 20 },
		{ CL_ENGINE_DISABLE_CACHE, 1 },
		{ CL_ENGINE_BYTECODE_SECURITY, CL_BYTECODE_TRUST_NOTHING },
	};

	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		cl_error_t rc = cl_engine_set_num(l->engine, set[i].field, (long long)set[i].value);
		char what[64];

		if (rc != CL_SUCCESS) {
			snprintf(what, sizeof(what), "antivirus: setting %d", (int)set[i].field);
			return engine_err(err, rc, what);
		}
	}
	return 0;
}

/* The options that decide what is found, for a stamp: equal signatures that look for less do not
 * make equal verdicts. */
static unsigned
options_word(const struct antivirus_options *o)
{
	return (unsigned)o->pua | (unsigned)o->macros << 1 | (unsigned)o->no_phishing << 2 |
	    (unsigned)o->no_encrypted << 3;
}

static int
load(struct libclamav *l, const char *databases, struct err *err)
{
	unsigned flags = (l->options.no_phishing ? 0 : CL_DB_PHISHING | CL_DB_PHISHING_URLS) |
	    (l->options.pua ? CL_DB_PUA : 0);
	uint64_t print = signatures_print(databases);
	unsigned n = 0;
	struct stat st;
	cl_error_t rc;

	if (stat(databases, &st) == -1)
		return err_errno(err, "antivirus: databases %s (freshclam fetches them; "
		    "`antivirus: {engine: off}` does without)", databases);
	rc = cl_load(databases, l->engine, &n, flags);
	if (rc != CL_SUCCESS || n == 0)
		return err_set(err, 0, "antivirus: no signatures loaded from %s: %s%s%s (freshclam "
		    "fetches them; `antivirus: {engine: off}` does without)", databases,
		    cl_strerror(rc), *last_words ? ": " : "", last_words);
	rc = cl_engine_compile(l->engine);
	if (rc != CL_SUCCESS)
		return engine_err(err, rc, "antivirus: compiling the signatures");
	if (signatures_read(databases, &l->e.signatures, err) == -1)
		return -1;
	/* Replaced while it was read: what was loaded has no name. The master sees it too, and loads anew. */
	if (signatures_print(databases) != print)
		l->e.signatures.id[0] = '\0';
	signatures_name(&l->e.signatures, n, options_word(&l->options));
	return 0;
}

static void
libclamav_free(struct av_backend *e)
{
	struct libclamav *l = (struct libclamav *)e;

	if (l->engine)
		cl_engine_free(l->engine);
	free(l);
}

static const struct av_backend_ops ops = { .ready = libclamav_ready, .scan = libclamav_scan,
	.tmpdir = libclamav_tmpdir, .free = libclamav_free };

struct av_backend *
libclamav_new(const char *databases, const char *tmpdir, const struct antivirus_options *o,
    struct err *err)
{
	static bool initialised;
	struct libclamav *l;
	cl_error_t rc;

	*last_words = '\0';
	if (!initialised) {
		cl_set_clcb_msg(hear);
		rc = cl_init(CL_INIT_DEFAULT);
		if (rc != CL_SUCCESS) {
			engine_err(err, rc, "antivirus: starting libclamav");
			return NULL;
		}
		initialised = true;
	}
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	l->e.ops = &ops;
	l->options = *o;
	snprintf(l->e.version, sizeof(l->e.version), "libclamav %s", cl_retver());
	l->engine = cl_engine_new();
	if (l->engine == NULL) {
		err_set(err, ENOMEM, "antivirus: no memory for the engine");
		goto fail;
	}
	cl_engine_set_clcb_virus_found(l->engine, virus_found);
	cl_engine_set_clcb_file_inspection(l->engine, layer_begins);
	cl_engine_set_clcb_post_scan(l->engine, layer_ends);
	if (set_limits(l, err) == -1 || libclamav_tmpdir(&l->e, tmpdir, err) == -1 ||
	    libclamav_ready(&l->e, err) == -1 || load(l, databases, err) == -1)
		goto fail;
	return &l->e;
fail:
	libclamav_free(&l->e);
	return NULL;
}

struct cl_engine *
libclamav_handle(struct av_backend *e)
{
	return ((struct libclamav *)e)->engine;
}
