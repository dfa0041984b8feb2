/* antivirus.c -- libclamav, wrapped so that it cannot fail open; see antivirus.h.
 *
 * Each of these makes libclamav 1.4 say CL_CLEAN without having looked, and is
 * met here:
 *   - a temporary folder that is missing, full or not writable: proved usable
 *     before each message, and by a canary (EICAR) every minute of use;
 *   - an engine that is not compiled: antivirus_new() scans the canary;
 *   - its cache of clean hashes, which ignores the scan options: switched off;
 *   - limits without the option that reports them: switched on; what is
 *     reported as Heuristics.Limits.Exceeded.* or Heuristics.Encrypted.* is
 *     unscannable, not a virus and not clean.
 *
 * What is scanned: the message as received (the engine has its own MIME
 * reader), then every leaf whose decoded bytes do not stand in the message as
 * they are. Leaves that do stand in it are scanned too where the engine may
 * have read the message otherwise than we did: it takes a message for mail only
 * when the first field is one it knows (measured: Received and From), and a
 * message with defects has several readings. What counts is the union.
 *
 * Members of archives above file_size the engine skips without a word. Each
 * member that the anatomy unpacked is scanned by itself, where its size is
 * reported; what the anatomy could not unpack within its own budgets is unscannable there.
 * So nothing larger than the budget exists that only the engine would see.
 */
#include <clamav.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clock.h"
#include "scanner/antivirus.h"

_Static_assert(ANATOMY_DECODED <= ANTIVIRUS_FILE_SIZE, "a member that was unpacked can be scanned");

#define TMP_FREE_MIN (UINT64_C(1) << 20)	/* below this a scan would be cut short */

struct antivirus {
	struct cl_engine *engine;
	char tmpdir[PATH_MAX - 64];
	char probe[PATH_MAX];
	char text[64];			/* antivirus_engine */
	struct antivirus_info info;
	int64_t canary_at;		/* clock_mono of the last good one */
	bool canary_good;
	struct err trouble;
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

/* The EICAR test file, turned by one bit so that no scanner takes this program for it. */
#define EICAR_LEN 68
static void
eicar(char out[EICAR_LEN])
{
	static const char turned[] =
	    "Y4N Q$A@QZ5]Q[Y45)Q_(6BB(6|%DHB@S,RU@OE@SE,@OUHWHSTR,UDRU,GHMD %I*I+";

	_Static_assert(sizeof(turned) == EICAR_LEN + 1, "the test file has 68 bytes");
	for (size_t i = 0; i < EICAR_LEN; i++)
		out[i] = (char)(turned[i] ^ 1);
}

static struct cl_scan_options
scan_options(void)
{
	struct cl_scan_options o = { 0 };

	o.general = CL_SCAN_GENERAL_HEURISTICS;
	o.parse = ~(uint32_t)0;
	o.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX | CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE |
	    CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
	return o;
}

/* cl_scanmap_callback leaves its name NULL for some alerts (a whole message above the file
 * limit is one) that this callback is told of. ctx: a const char *. */
static void
virus_found(int fd, const char *name, void *ctx)
{
	const char **heard = ctx;

	if (heard && *heard == NULL)
		*heard = name;
}

/* Names a result; *name is the engine's own memory. */
static enum av_state
judge(cl_error_t rc, const char *name)
{
	switch (rc) {
	case CL_CLEAN:
		return AV_CLEAN;
	case CL_VIRUS:
		if (name && (strncmp(name, "Heuristics.Limits.Exceeded", 26) == 0 ||
		    strncmp(name, "Heuristics.Encrypted.", 21) == 0))
			return AV_UNSCANNABLE;
		return AV_VIRUS;
	case CL_EMAXREC:
	case CL_EMAXSIZE:
	case CL_EMAXFILES:
	case CL_ETIMEOUT:
		return AV_UNSCANNABLE;
	default:
		return AV_FAILED;
	}
}

static enum av_state
scan_bytes(struct antivirus *av, struct span bytes, const char **name, cl_error_t *rc)
{
	struct cl_scan_options o = scan_options();
	unsigned long scanned = 0;
	const char *heard = NULL;
	enum av_state state;
	cl_fmap_t *map;

	*name = NULL;
	*rc = CL_CLEAN;
	if (bytes.n == 0)
		return AV_CLEAN;
	map = cl_fmap_open_memory(bytes.p, bytes.n);
	if (map == NULL) {
		*rc = CL_EMAP;
		return AV_FAILED;
	}
	*rc = cl_scanmap_callback(map, NULL, name, &scanned, av->engine, &o, &heard);
	cl_fmap_close(map);
	if (*name == NULL)
		*name = heard;
	state = judge(*rc, *name);
	if (*name == NULL)		/* happens, also with CL_VIRUS */
		*name = state == AV_VIRUS ? "unnamed" : cl_strerror(*rc);
	return state;
}

/* Does what the engine is about to do: make a folder in its temporary folder. */
static int
tmpdir_usable(struct antivirus *av, struct err *err)
{
	struct statvfs st;

	if (mkdir(av->probe, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "antivirus: temporary folder %s", av->tmpdir);
	if (rmdir(av->probe) == -1)
		return err_errno(err, "antivirus: temporary folder %s", av->tmpdir);
	if (statvfs(av->tmpdir, &st) == -1)
		return err_errno(err, "antivirus: temporary folder %s", av->tmpdir);
	if ((uint64_t)st.f_bavail * st.f_frsize < TMP_FREE_MIN)
		return err_set(err, ENOSPC, "antivirus: temporary folder %s is full", av->tmpdir);
	return 0;
}

int
antivirus_canary(struct antivirus *av, struct err *err)
{
	static const char clean[] = "This text is clean, and the engine must say so.\r\n";
	char test[EICAR_LEN];
	const char *name;
	cl_error_t rc;

	av->canary_good = false;
	if (tmpdir_usable(av, err) == -1)
		return -1;
	eicar(test);
	if (scan_bytes(av, span_make(test, sizeof(test)), &name, &rc) != AV_VIRUS)
		return err_set(err, 0,
		    "antivirus: the EICAR test file is not found (%s): the engine is blind, or "
		    "its databases do not know the test file", cl_strerror(rc));
	if (scan_bytes(av, span_make(clean, sizeof(clean) - 1), &name, &rc) != AV_CLEAN)
		return err_set(err, 0, "antivirus: a clean text is taken for %s", name);
	av->canary_good = true;
	av->canary_at = clock_mono();
	return 0;
}

static int
canary_due(struct antivirus *av, struct err *err)
{
	int64_t age = clock_mono() - av->canary_at;

	if (av->canary_good && age >= 0 && age < ANTIVIRUS_CANARY_US)
		return tmpdir_usable(av, err);
	return antivirus_canary(av, err);
}

int
antivirus_tmpdir(struct antivirus *av, const char *tmpdir, struct err *err)
{
	cl_error_t rc;

	if (strlen(tmpdir) >= sizeof(av->tmpdir))
		return err_set(err, ENAMETOOLONG, "antivirus: temporary folder %s", tmpdir);
	rc = cl_engine_set_str(av->engine, CL_ENGINE_TMPDIR, tmpdir);
	if (rc != CL_SUCCESS)
		return engine_err(err, rc, "antivirus: setting the temporary folder");
	snprintf(av->tmpdir, sizeof(av->tmpdir), "%s", tmpdir);
	snprintf(av->probe, sizeof(av->probe), "%s/probe-%ld", tmpdir, (long)getpid());
	av->canary_good = false;
	return 0;
}

static int
set_limits(struct antivirus *av, const struct antivirus_limits *given, struct err *err)
{
	static const struct antivirus_limits none;
	const struct antivirus_limits *l = given ? given : &none;
	const struct { enum cl_engine_field field; uint64_t value; } set[] = {
		{ CL_ENGINE_MAX_SCANSIZE, l->scan_size ? l->scan_size : ANTIVIRUS_SCAN_SIZE },
		{ CL_ENGINE_MAX_FILESIZE, l->file_size ? l->file_size : ANTIVIRUS_FILE_SIZE },
		{ CL_ENGINE_MAX_RECURSION, l->depth ? l->depth : ANTIVIRUS_DEPTH },
		{ CL_ENGINE_MAX_FILES, l->files ? l->files : ANTIVIRUS_FILES },
		{ CL_ENGINE_MAX_SCANTIME, l->ms ? l->ms : ANTIVIRUS_MS },
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
		cl_error_t rc = cl_engine_set_num(av->engine, set[i].field, (long long)set[i].value);
		char what[64];

		if (rc != CL_SUCCESS) {
			snprintf(what, sizeof(what), "antivirus: setting %d", (int)set[i].field);
			return engine_err(err, rc, what);
		}
	}
	return 0;
}

/* Version and date of the official databases, when there are any. */
static void
read_info(struct antivirus *av, const char *databases)
{
	static const char *const names[] = { "daily.cld", "daily.cvd", "main.cld", "main.cvd" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[PATH_MAX];
		struct cl_cvd *cvd;

		if (snprintf(path, sizeof(path), "%s/%s", databases, names[i]) >=
		    (int)sizeof(path) || access(path, R_OK) == -1)
			continue;
		cvd = cl_cvdhead(path);
		if (cvd == NULL)
			continue;
		if (names[i][0] == 'd' && cvd->version > av->info.daily)
			av->info.daily = cvd->version;
		if (cvd->stime > av->info.built)
			av->info.built = cvd->stime;
		cl_cvdfree(cvd);
	}
}

static int
load(struct antivirus *av, const char *databases, struct err *err)
{
	struct stat st;
	cl_error_t rc;

	if (stat(databases, &st) == -1)
		return err_errno(err, "antivirus: databases %s (freshclam fetches them; "
		    "`antivirus: {engine: off}` does without)", databases);
	rc = cl_load(databases, av->engine, &av->info.signatures, CL_DB_PHISHING);
	if (rc != CL_SUCCESS || av->info.signatures == 0)
		return err_set(err, 0, "antivirus: no signatures loaded from %s: %s%s%s (freshclam "
		    "fetches them; `antivirus: {engine: off}` does without)", databases,
		    cl_strerror(rc), *last_words ? ": " : "", last_words);
	rc = cl_engine_compile(av->engine);
	if (rc != CL_SUCCESS)
		return engine_err(err, rc, "antivirus: compiling the signatures");
	return 0;
}

struct antivirus *
antivirus_new(const char *databases, const char *tmpdir, const struct antivirus_limits *limits,
    struct err *err)
{
	static bool initialised;
	struct antivirus *av;
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
	av = calloc(1, sizeof(*av));
	ASSERT(av != NULL);
	av->engine = cl_engine_new();
	if (av->engine == NULL) {
		err_set(err, ENOMEM, "antivirus: no memory for the engine");
		goto fail;
	}
	cl_engine_set_clcb_virus_found(av->engine, virus_found);
	if (set_limits(av, limits, err) == -1 || antivirus_tmpdir(av, tmpdir, err) == -1 ||
	    tmpdir_usable(av, err) == -1 || load(av, databases, err) == -1 ||
	    antivirus_canary(av, err) == -1)
		goto fail;
	read_info(av, databases);
	snprintf(av->text, sizeof(av->text), "libclamav %s/sigs %u", cl_retver(),
	    av->info.signatures);
	return av;
fail:
	antivirus_free(&av);
	return NULL;
}

void
antivirus_free(struct antivirus **av)
{
	if (*av == NULL)
		return;
	if ((*av)->engine)
		cl_engine_free((*av)->engine);
	free(*av);
	*av = NULL;
}

/* VIRUS, then FAILED, UNSCANNABLE, CLEAN: what a later part says never hides an earlier one. */
static int
weight(enum av_state s)
{
	static const int of[] = { [AV_NOT_ASKED] = 0, [AV_CLEAN] = 1, [AV_UNSCANNABLE] = 2,
		[AV_FAILED] = 3, [AV_VIRUS] = 4 };

	return of[s];
}

static bool
is_leaf(const struct anatomy *an, size_t i)
{
	const struct part *p = &an->parts[i];

	/* A file that was unpacked is scanned as what it is, and so are the files within; other
	 * readings of its bytes take nothing from the first. */
	return p->decoded.n > 0 && p->type != TYPE_MULTIPART && p->decoded.p != an->raw.p &&
	    !(i + 1 < an->nparts && an->parts[i + 1].parent == i && !an->parts[i + 1].unpacked &&
	    !an->parts[i + 1].reading);
}

static bool
stands_in_message(const struct anatomy *an, const struct part *p)
{
	return p->decoded.p >= an->raw.p && p->decoded.p < an->raw.p + an->raw.n;
}

static bool
engine_reads_alike(const struct anatomy *an)
{
	return an->defects == 0 && (span_starts(an->raw, SPAN_LIT("Received: ")) ||
	    span_starts(an->raw, SPAN_LIT("From: ")));
}

/* Everything locked that the anatomy knows of was opened: its members are scanned by themselves. */
static bool
all_opened(const struct anatomy *an)
{
	bool any = false;

	for (size_t i = 0; i < an->nparts; i++)
		if (an->parts[i].encrypted) {
			any = true;
			if (!an->parts[i].opened)
				return false;
		}
	return any;
}

static void
scan_one(struct antivirus *av, const struct anatomy *an, struct span bytes, struct span part,
    struct arena *a, struct facts *f)
{
	const char *name;
	cl_error_t rc;
	enum av_state s = scan_bytes(av, bytes, &name, &rc);

	if (s == AV_UNSCANNABLE && name && strncmp(name, "Heuristics.Encrypted.", 21) == 0 &&
	    all_opened(an))
		s = AV_CLEAN;

	if (weight(s) <= weight(f->av))
		return;
	f->av = s;
	f->av_name = s == AV_VIRUS || s == AV_UNSCANNABLE ? arena_span(a, span_str(name)) :
	    span_make(NULL, 0);
	f->av_part = part;
	if (s == AV_FAILED)
		engine_err(&av->trouble, rc, "antivirus");
}

/* The raw message is infected: name the part that is, when our own reading finds it. */
static void
locate(struct antivirus *av, const struct anatomy *an, struct arena *a, struct facts *f)
{
	for (size_t i = 0; i < an->nparts; i++) {
		struct facts one = { 0 };

		if (!is_leaf(an, i))
			continue;
		scan_one(av, an, an->parts[i].decoded, an->parts[i].number, a, &one);
		if (one.av == AV_VIRUS) {
			f->av_name = one.av_name;
			f->av_part = one.av_part;
			return;
		}
	}
}

void
antivirus_scan(struct antivirus *av, const struct anatomy *an, struct arena *a,
    struct facts *facts)
{
	bool alike;

	facts->av = AV_NOT_ASKED;
	facts->av_name = facts->av_part = span_make(NULL, 0);
	facts->av_engine = antivirus_engine(av);
	av->trouble.text[0] = '\0';
	*last_words = '\0';
	if (canary_due(av, &av->trouble) == -1) {
		facts->av = AV_FAILED;
		return;
	}
	scan_one(av, an, an->raw, span_make(NULL, 0), a, facts);
	if (facts->av == AV_VIRUS) {
		locate(av, an, a, facts);
		return;
	}
	alike = engine_reads_alike(an);
	for (size_t i = 0; i < an->nparts && facts->av != AV_VIRUS; i++)
		if (is_leaf(an, i) && !(alike && stands_in_message(an, &an->parts[i])))
			scan_one(av, an, an->parts[i].decoded, an->parts[i].number, a, facts);
}

const char *
antivirus_trouble(const struct antivirus *av)
{
	return av->trouble.text;
}

struct span
antivirus_engine(const struct antivirus *av)
{
	return span_str(av->text);
}

struct cl_engine *
antivirus_handle(struct antivirus *av)
{
	return av->engine;
}

const struct antivirus_info *
antivirus_info(const struct antivirus *av)
{
	return &av->info;
}
