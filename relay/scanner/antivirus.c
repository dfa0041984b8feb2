/* antivirus.c -- what of a message an engine is given, and what its answers make; see antivirus.h.
 *
 * What is scanned: the message as received (the engine has its own MIME
 * reader and its own unpackers), then every leaf whose decoded bytes the engine has not
 * looked at with it. libclamav tells which it has, and they are compared byte for byte (av_layers.h), so
 * that nothing is looked at twice and nothing is left out. clamd tells nothing: what stands in the message as it is
 * counts as seen there. Text that stands in it the engine has seen in its
 * own form (it takes CRs away), and that is enough where it reads the message as we do: it took it for
 * mail, and the message has no defect, which would give it several readings. After something
 * less than malware all leaves are scanned. What counts is the union.
 *
 * The engine takes a message for mail only when the first field is one it knows. In front of any other
 * a trace field is put for it, as milters do: else signatures for mail and the look for phishing would
 * depend on the order of the fields.
 *
 * Members of archives above file_size libclamav skips without a word. Each
 * member that the anatomy unpacked is scanned by itself, where its size is
 * reported; what the anatomy could not unpack within its own budgets is unscannable there.
 * So nothing larger than the budget exists that only the engine would see.
 *
 * Attachments that were clean before are left out of both: remember.h.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "scanner/av_engine.h"
#include "scanner/remember.h"

struct antivirus {
	struct av_backend *engine;
	struct antivirus_options options;
	char text[96];			/* antivirus_engine */
	int64_t canary_at;		/* clock_mono of the last one */
	bool canary_good;
	struct memory *memory;		/* NULL: nothing is remembered */
	unsigned remembered;		/* of the last message */
	struct err trouble;
};

/* ---- what an engine found ---- */

void
av_found_named(struct av_found *f, const char *name)
{
	enum av_kind kind;

	snprintf(f->name, sizeof(f->name), "%s", name);
	if (!av_kind_of(span_str(name), &kind)) {
		f->state = AV_UNSCANNABLE;
		return;
	}
	f->state = kind == AV_KIND_MALWARE ? AV_VIRUS : AV_SUSPECT;
	f->kinds |= (uint8_t)(1u << kind);
}

void
av_found_failed(struct av_found *f, const char *why)
{
	*f = (struct av_found){ .state = AV_FAILED };
	snprintf(f->name, sizeof(f->name), "%s", why);
}

static void
scan_bytes(struct antivirus *av, struct span bytes, struct av_layers *layers, struct av_found *out)
{
	*out = (struct av_found){ .state = AV_CLEAN };
	if (bytes.n)
		av->engine->ops->scan(av->engine, bytes, layers, out);
	ASSERT(out->state != AV_NOT_ASKED);
}

/* ---- the canary ---- */

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

static void
set_text(struct antivirus *av)
{
	const struct signatures *s = &av->engine->signatures;

	if (s->daily)
		snprintf(av->text, sizeof(av->text), "%s/%u", av->engine->version, s->daily);
	else if (s->count)
		snprintf(av->text, sizeof(av->text), "%s/sigs %u", av->engine->version, s->count);
	else
		snprintf(av->text, sizeof(av->text), "%s", av->engine->version);
}

static int
look_for_canary(struct antivirus *av, struct err *err)
{
	static const char clean[] = "This text is clean, and the engine must say so.\r\n";
	char test[EICAR_LEN];
	struct av_found found;

	if (av->engine->ops->ready(av->engine, err) == -1)
		return -1;
	if (av->engine->ops->signatures &&
	    av->engine->ops->signatures(av->engine, &av->engine->signatures, err) == -1)
		return -1;
	set_text(av);
	eicar(test);
	scan_bytes(av, span_make(test, sizeof(test)), NULL, &found);
	if (found.state != AV_VIRUS)
		return err_set(err, 0, "antivirus: the EICAR test file is not found (%s): the engine is "
		    "blind, or its databases do not know the test file",
		    found.state == AV_CLEAN ? "no virus" : found.name);
	scan_bytes(av, span_make(clean, sizeof(clean) - 1), NULL, &found);
	if (found.state != AV_CLEAN)
		return err_set(err, 0, "antivirus: a clean text is taken for %s", found.name);
	return 0;
}

int
antivirus_canary(struct antivirus *av, struct err *err)
{
	int rc;

	av->canary_good = false;
	rc = look_for_canary(av, err);
	if (av->engine->ops->done)
		av->engine->ops->done(av->engine);
	av->canary_at = clock_mono();
	av->canary_good = rc == 0;
	return rc;
}

bool
antivirus_well(const struct antivirus *av)
{
	return av->canary_good;
}

int64_t
antivirus_canary_in(const struct antivirus *av)
{
	int64_t age = clock_mono() - av->canary_at;
	int64_t left = (av->canary_good ? ANTIVIRUS_CANARY_US : ANTIVIRUS_RETRY_US) - age;

	return av->canary_at == 0 || age < 0 || left < 0 ? 0 : left;
}

static int
canary_due(struct antivirus *av, struct err *err)
{
	if (!av->canary_good || antivirus_canary_in(av) == 0)
		return antivirus_canary(av, err);
	if (av->engine->ops->ready(av->engine, err) == 0)
		return 0;
	av->canary_good = false;
	av->canary_at = clock_mono();
	return -1;
}

/* ---- making one ---- */

static struct antivirus *
wrap(const struct antivirus_options *o)
{
	struct antivirus *av = calloc(1, sizeof(*av));

	ASSERT(av != NULL);
	if (o)
		av->options = *o;
	return av;
}

struct antivirus *
antivirus_new(const char *databases, const char *tmpdir, const struct antivirus_options *o,
    struct err *err)
{
	struct antivirus *av = wrap(o);

	av->engine = libclamav_new(databases, tmpdir, &av->options, err);
	if (av->engine == NULL || antivirus_canary(av, err) == -1) {
		antivirus_free(&av);
		return NULL;
	}
	if (av->options.remember)
		av->memory = memory_new(REMEMBER_ENTRIES);
	return av;
}

struct antivirus *
antivirus_new_clamd(const struct antivirus_dial *dial, const struct antivirus_options *o,
    struct err *err)
{
	struct antivirus *av = wrap(o);

	av->engine = clamd_new(dial, &av->options, err);
	if (av->engine == NULL) {
		antivirus_free(&av);
		return NULL;
	}
	set_text(av);
	return av;
}

void
antivirus_free(struct antivirus **av)
{
	if (*av == NULL)
		return;
	if ((*av)->engine)
		(*av)->engine->ops->free((*av)->engine);
	memory_free(&(*av)->memory);
	free(*av);
	*av = NULL;
}

int
antivirus_tmpdir(struct antivirus *av, const char *tmpdir, struct err *err)
{
	memory_forget(av->memory);
	av->canary_good = false;
	return av->engine->ops->tmpdir ? av->engine->ops->tmpdir(av->engine, tmpdir, err) : 0;
}

/* ---- a message ---- */

/* VIRUS, then FAILED, UNSCANNABLE, SUSPECT, CLEAN: what a later part says never hides an earlier one. */
static int
weight(enum av_state s)
{
	static const int of[AV_STATES] = { [AV_NOT_ASKED] = 0, [AV_CLEAN] = 1, [AV_SUSPECT] = 2,
		[AV_UNSCANNABLE] = 3, [AV_FAILED] = 4, [AV_VIRUS] = 5 };

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
starts_as_mail(struct span raw)
{
	return span_starts(raw, SPAN_LIT("Received: ")) || span_starts(raw, SPAN_LIT("From: "));
}

/* What goes before the message so that the engine takes it for one. */
static struct span
mail_sign(const struct anatomy *an)
{
	if (starts_as_mail(an->raw) || an->nparts == 0 || an->parts[0].nheaders == 0)
		return SPAN_LIT("");
	return SPAN_LIT("Received: by postern\r\n");
}

/* The files of a message, as the engine may meet them in it. */
static void
layers_of(const struct anatomy *an, struct arena *a, struct av_layers *l)
{
	struct span *files = arena_array(a, an->nparts, sizeof(*files));

	for (size_t i = 0; i < an->nparts; i++)
		if (is_leaf(an, i))
			files[i] = an->parts[i].decoded;
	av_layers_init(l, files, an->nparts, a);
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
scan_one(struct antivirus *av, const struct anatomy *an, struct span bytes, struct av_layers *layers,
    struct span part, struct arena *a, struct facts *f)
{
	struct av_found found;

	scan_bytes(av, bytes, layers, &found);
	if (found.state == AV_UNSCANNABLE && strncmp(found.name, "Heuristics.Encrypted.", 21) == 0 &&
	    all_opened(an))
		found.state = AV_CLEAN;
	f->av_kinds |= found.kinds;
	if (weight(found.state) <= weight(f->av))
		return;
	f->av = found.state;
	f->av_name = found.state == AV_CLEAN || found.state == AV_FAILED ? span_make(NULL, 0) :
	    arena_span(a, span_str(found.name));
	f->av_part = part;
	if (found.state == AV_FAILED)
		err_set(&av->trouble, 0, "antivirus: %s", found.name);
}

/* Something was found in the raw message: name the part it is in, when our own reading finds it. */
static void
locate(struct antivirus *av, const struct anatomy *an, struct arena *a, struct facts *f)
{
	for (size_t i = 0; i < an->nparts; i++) {
		struct facts one = { 0 };

		if (!is_leaf(an, i))
			continue;
		scan_one(av, an, an->parts[i].decoded, NULL, an->parts[i].number, a, &one);
		f->av_kinds |= one.av_kinds;
		if (one.av == AV_VIRUS) {
			f->av_name = one.av_name;
			f->av_part = one.av_part;
			return;
		}
	}
}

/* The parts that the engine has not seen with the message, or not as we read them; after something
 * less than malware all of them, for that may have hidden the rest. */
static void
scan_parts(struct antivirus *av, const struct anatomy *an, const struct seen *seen,
    const struct av_layers *layers, struct arena *a, struct facts *f)
{
	bool alike = an->defects == 0 && f->av != AV_SUSPECT && layers->mail;

	for (size_t i = 0; i < an->nparts && f->av != AV_VIRUS; i++) {
		const struct part *p = &an->parts[i];
		struct facts one = { 0 };

		if (!is_leaf(an, i) || remember_covers(seen, i) || av_layers_saw(layers, i) ||
		    (alike && stands_in_message(an, p)))
			continue;
		scan_one(av, an, p->decoded, NULL, p->number, a, &one);
		f->av_kinds |= one.av_kinds;
		if (weight(one.av) < weight(f->av) || one.av == AV_CLEAN ||
		    (one.av == f->av && f->av_part.n))
			continue;
		f->av = one.av;
		f->av_name = one.av_name;
		f->av_part = one.av_part;
	}
}

void
antivirus_scan(struct antivirus *av, const struct anatomy *an, struct arena *a,
    struct facts *facts)
{
	struct seen seen = { .an = an };
	struct span sign = mail_sign(an), given;
	struct av_layers layers;

	facts->av = AV_NOT_ASKED;
	facts->av_kinds = 0;
	facts->av_name = facts->av_part = span_make(NULL, 0);
	facts->av_engine = antivirus_engine(av);
	av->trouble.text[0] = '\0';
	av->remembered = 0;
	if (canary_due(av, &av->trouble) == -1) {
		facts->av = AV_FAILED;
		return;
	}
	facts->av_engine = antivirus_engine(av);
	if (av->memory && an->defects == 0)
		remember_look(av->memory, an, a, &seen);
	given = remember_rest(&seen, sign, a);
	layers_of(an, a, &layers);
	layers.mail = starts_as_mail(given);	/* until the engine says otherwise */
	scan_one(av, an, given, &layers, span_make(NULL, 0), a, facts);
	if (facts->av == AV_VIRUS)
		locate(av, an, a, facts);
	else
		scan_parts(av, an, &seen, &layers, a, facts);
	if (facts->av == AV_FAILED)	/* is it this message, or the engine? The canary will say. */
		av->canary_good = false;
	if (facts->av == AV_CLEAN && av->memory)
		remember_clean(av->memory, &seen);
	av->remembered = seen.nknown;
	if (av->engine->ops->done)
		av->engine->ops->done(av->engine);
}

void
antivirus_age(struct antivirus *av, struct arena *a, struct facts *f)
{
	int64_t made = av->engine->signatures.made, age = f->now - made * US_PER_SEC;
	long long days = (long long)(age / US_PER_SEC / 86400);

	if (f->av == AV_CLEAN)
		av->trouble.text[0] = '\0';
	if (av->options.max_age == 0 || made == 0 || age <= av->options.max_age ||
	    f->av == AV_VIRUS || f->av == AV_FAILED)
		return;
	if (av->options.on_old == ANTIVIRUS_OLD_DEFER) {
		f->av = AV_FAILED;
		err_set(&av->trouble, 0, "antivirus: the signatures are %lld days old "
		    "(antivirus.max_age, on_old: defer)", days);
	} else if (av->options.on_old == ANTIVIRUS_OLD_UNSCANNABLE && f->av != AV_UNSCANNABLE) {
		f->av = AV_UNSCANNABLE;
		f->av_name = span_str(arena_printf(a, "the signatures are %lld days old", days));
		f->av_part = span_make(NULL, 0);
	}
}

const char *
antivirus_trouble(const struct antivirus *av)
{
	return av->trouble.text;
}

unsigned
antivirus_remembered(const struct antivirus *av)
{
	return av->remembered;
}

struct span
antivirus_engine(const struct antivirus *av)
{
	return span_str(av->text);
}

struct span
antivirus_version(const struct antivirus *av)
{
	return span_str(av->engine->version);
}

struct cl_engine *
antivirus_handle(struct antivirus *av)
{
	return libclamav_handle(av->engine);
}

const struct signatures *
antivirus_signatures(const struct antivirus *av)
{
	return &av->engine->signatures;
}
