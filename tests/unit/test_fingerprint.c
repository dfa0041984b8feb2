/* test_fingerprint.c -- winnowing, the index of documents, overlaps, records. */
#include "detect/detect.h"
#include "detect/winnow.h"
#include "policy_fixture.h"
#include "postern/record.h"

static uint32_t seed = 1;

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

/* --- winnowing --------------------------------------------------------------------------------- */

struct grams {
	struct winnow_gram v[4096];
	size_t n;
};

static void
keep(void *ctx, const struct winnow_gram *g)
{
	struct grams *x = ctx;

	assert_true(x->n < 4096);
	if (x->n)
		assert_true(g->at > x->v[x->n - 1].at);
	assert_true(g->to > g->from);
	x->v[x->n++] = *g;
}

static bool
shared(const struct grams *a, const struct grams *b)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			if (a->v[i].n == b->v[k].n && memcmp(a->v[i].key, b->v[k].key, a->v[i].n) == 0)
				return true;
	return false;
}

static size_t
noise(char *to, size_t n, char base)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (char)(base + rnd(13));
	return n;
}

/* What both have in common is found from the guaranteed length on, and below a gram never. */
static void
test_guarantee(void **state)
{
	struct grams *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	size_t between = 0;

	for (int round = 0; round < 3000; round++) {
		size_t common = 1 + rnd(100), n, before;
		char x[512], y[512], passage[128];

		noise(passage, common, 'a');
		before = noise(x, rnd(150), 'a');
		memcpy(x + before, passage, common);
		n = before + common;
		a->n = b->n = 0;
		winnow(span_make(x, n + noise(x + n, rnd(150), 'a')), keep, a);
		/* other letters, and blanks and commas within the passage */
		n = noise(y, rnd(150), 'n');
		for (size_t i = 0; i < common; i++) {
			if (rnd(4) == 0)
				y[n++] = " ,.\n"[rnd(4)];
			y[n++] = passage[i];
		}
		winnow(span_make(y, n + noise(y + n, rnd(100), 'n')), keep, b);
		if (common >= WINNOW_GUARANTEE)
			assert_true(shared(a, b));
		if (common < WINNOW_GRAM)
			assert_false(shared(a, b));
		else if (common < WINNOW_GUARANTEE)
			between += shared(a, b);
	}
	assert_true(between > 0);
	free(a);
	free(b);
}

static void
count(void *ctx, const struct winnow_gram *g)
{
	++*(size_t *)ctx;
}

/* A text that repeats one letter has a fingerprint a window, prose about two in WINDOW + 1. */
static void
test_density(void **state)
{
	size_t n = 0, size = 1 << 20;
	char *text = malloc(size);

	memset(text, 'a', size);
	assert_int_equal(winnow(span_make(text, size), count, &n), size);
	assert_true(n <= size / WINNOW_WINDOW + 1);
	n = 0;
	noise(text, size, 'a');
	winnow(span_make(text, size), count, &n);
	assert_true(n > size * 19 / 10 / (WINNOW_WINDOW + 1) && n < size * 21 / 10 / (WINNOW_WINDOW + 1));
	n = 0;
	assert_int_equal(winnow(SPAN_LIT(" ,;.-\n"), count, &n), 0);
	assert_int_equal(winnow(span_make(text, WINNOW_GRAM - 1), count, &n), WINNOW_GRAM - 1);
	assert_int_equal(n, 0);
	winnow(span_make(text, WINNOW_GRAM), count, &n);
	assert_int_equal(n, 1);
	free(text);
}

/* --- the index ------------------------------------------------------------------------------------ */

struct index {
	struct arena *a;
	struct fingerprint_maker *m;
	struct buf b;
	struct fingerprints f;
};

static void
index_begin(struct index *x)
{
	*x = (struct index){ .a = arena_new(0) };
	x->m = fingerprint_maker_new((const uint8_t *)"sixteen bytes ok");
	buf_init(&x->b, FINGERPRINT_BYTES_MAX);
}

static bool
put(struct index *x, const char *name, const char *text, bool ignored)
{
	fingerprint_maker_text(x->m, text_fold_word(x->a, span_str(text)));
	return fingerprint_maker_put(x->m, span_str(name), 1795343000, ignored);
}

static void
index_write(struct index *x)
{
	struct err err = { 0 };

	buf_reset(&x->b);
	assert_int_equal(fingerprint_maker_write(x->m, 1795343000, &x->b, &err), 0);
	if (fingerprints_read(buf_data(&x->b), x->a, &x->f, &err) == -1)
		fail_msg("%s", err.text);
}

static void
index_end(struct index *x)
{
	fingerprint_maker_free(&x->m);
	buf_release(&x->b);
	arena_free(&x->a);
}

static void
test_index(void **state)
{
	struct index x;
	uint32_t hashes;

	index_begin(&x);
	assert_false(put(&x, "zebra", fixture_prose(x.a, 1, 300), false));
	assert_false(put(&x, "apple", fixture_prose(x.a, 2, 100), false));
	index_write(&x);
	assert_int_equal(x.f.ndocuments, 2);
	assert_int_equal(x.f.made, 1795343000);
	assert_true(span_is(x.f.documents[0].name, "apple") && span_is(x.f.documents[1].name, "zebra"));
	assert_int_equal(x.f.nhashes, x.f.documents[0].hashes + x.f.documents[1].hashes);
	assert_int_equal(x.f.documents[0].counted, x.f.documents[0].hashes);
	hashes = x.f.documents[1].hashes;
	assert_true(hashes > 60 && hashes < 200);
	for (uint32_t i = 0; i < x.f.nhashes; i++) {
		uint64_t h = 0;

		for (int k = 5; k >= 0; k--)
			h = h << 8 | x.f.hashes[i * 6 + (unsigned)k];
		assert_int_equal(fingerprints_find(&x.f, h), i);
		assert_true(fingerprints_find(&x.f, h ^ 1) != i);
		assert_true(fingerprints_owner(&x.f, i, 0) >= 0);
		assert_int_equal(fingerprints_owner(&x.f, i, 1), -1);
	}
	/* the same text under a second name, and a changed first one */
	assert_false(put(&x, "copy", fixture_prose(x.a, 1, 300), false));
	assert_true(put(&x, "apple", fixture_prose(x.a, 3, 100), false));
	index_write(&x);
	assert_int_equal(x.f.ndocuments, 3);
	assert_int_equal(x.f.nhashes, hashes + x.f.documents[0].hashes);
	assert_int_equal(x.f.documents[1].hashes, hashes);
	/* taken up by another maker, it is the same file */
	{
		struct index y;
		struct span was = arena_span(x.a, buf_data(&x.b));

		index_begin(&y);
		fingerprint_maker_take(y.m, &x.f);
		index_write(&y);
		assert_true(span_eq(was, buf_data(&y.b)));
		assert_true(fingerprint_maker_remove(y.m, SPAN_LIT("zebra")));
		assert_false(fingerprint_maker_remove(y.m, SPAN_LIT("zebra")));
		index_write(&y);
		assert_int_equal(y.f.ndocuments, 2);
		assert_int_equal(y.f.nhashes, x.f.nhashes);
		assert_int_equal(y.f.nlists, 0);
		index_end(&y);
	}
	index_end(&x);
}

/* Every byte that is another, and every cut, is noticed. */
static void
test_damage(void **state)
{
	struct arena *scratch = arena_new(0);
	struct fingerprints f;
	struct index x;
	struct err err;
	char *p;

	index_begin(&x);
	put(&x, "one", fixture_prose(x.a, 1, 60), false);
	put(&x, "two", fixture_prose(x.a, 1, 40), true);
	index_write(&x);
	p = malloc(buf_size(&x.b));
	for (size_t i = 0; i < buf_size(&x.b); i++) {
		memcpy(p, buf_data(&x.b).p, buf_size(&x.b));
		p[i] ^= (char)(1 << rnd(8));
		arena_reset(scratch);
		assert_int_equal(fingerprints_read(span_make(p, buf_size(&x.b)), scratch, &f, &err), -1);
		memcpy(p, buf_data(&x.b).p, buf_size(&x.b));
		arena_reset(scratch);
		assert_int_equal(fingerprints_read(span_make(p, i), scratch, &f, &err), -1);
	}
	free(p);
	index_end(&x);
	arena_free(&scratch);
}

/* --- overlaps ------------------------------------------------------------------------------------- */

struct scene {
	struct index x;
	struct detectors *d;
	struct surface surfaces[4];
	struct text texts[4];
	struct anatomy an;
	struct detection found;
};

static void
scene_ready(struct scene *s)
{
	struct detector_fingerprints f = { .medium = 30 * OVERLAP_UNIT, .high = 60 * OVERLAP_UNIT };
	struct err err = { 0 };

	index_write(&s->x);
	f.index = buf_data(&s->x.b);
	s->d = detectors_new();
	assert_int_equal(detectors_add_fingerprints(s->d, SPAN_LIT("x"), &f, &err), 0);
	assert_int_equal(detectors_compile(s->d, &err), 0);
}

static void
surface(struct scene *s, uint16_t part, const char *text)
{
	size_t i = s->an.nsurfaces++;

	s->texts[i] = (struct text){ .s = span_str(text) };
	s->surfaces[i] = (struct surface){ .where = WHERE_BODY, .part = part, .text = &s->texts[i] };
}

static void
run(struct scene *s)
{
	s->an.surfaces = s->surfaces;
	detectors_run(s->d, &s->an, s->x.a, &s->found);
}

static void
run_on(struct scene *s, const char *text)
{
	s->an.nsurfaces = 0;
	surface(s, 0, text);
	run(s);
}

/* Per cent, of the document with that name. */
static unsigned
overlap(const struct scene *s, const char *name, uint32_t part)
{
	for (size_t i = 0; i < s->found.ngrades; i++) {
		const struct grade *g = &s->found.grades[i];

		if (g->part == part && span_is(s->x.f.documents[g->subject].name, name))
			return (unsigned)(g->amount / OVERLAP_UNIT);
	}
	return 0;
}

static enum confidence
confidence(const struct scene *s, uint16_t part)
{
	enum confidence best = CONFIDENCE_NONE;

	for (size_t i = 0; i < s->found.nmatches; i++)
		if (s->surfaces[s->found.matches[i].surface].part == part &&
		    s->found.matches[i].confidence > best)
			best = s->found.matches[i].confidence;
	return best;
}

static void
scene_end(struct scene *s)
{
	detectors_free(&s->d);
	index_end(&s->x);
}

/* The words from, to of a prose, with what stands between them. */
static char *
words_of(struct arena *a, const char *text, unsigned from, unsigned to)
{
	const char *p = text, *begin = NULL;

	for (unsigned w = 0; *p; p++)
		if (*p == ' ' || *p == '\n') {
			if (w++ == from)
				begin = p;
			if (w == to + 1)
				break;
		}
	return arena_str(a, span_make(begin ? begin : text, (size_t)(p - (begin ? begin : text))));
}

static void
test_overlap(void **state)
{
	struct scene s = { 0 };
	struct arena *a;
	char *text, *edited, *o, *part[4];

	index_begin(&s.x);
	a = s.x.a;
	text = fixture_prose(a, 1, 1200);
	put(&s.x, "board", text, false);
	put(&s.x, "other", fixture_prose(a, 2, 800), false);
	scene_ready(&s);

	run_on(&s, text);	/* the whole of it */
	assert_int_equal(overlap(&s, "board", 0), 100);
	assert_int_equal(overlap(&s, "other", 0), 0);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_HIGH);
	assert_int_equal(s.found.nmatches, 1);
	assert_string_equal(arena_str(a, s.found.matches[0].masked), "board (100 %)");
	assert_true(s.found.matches[0].place.from < 80);	/* a window may begin with what was not chosen */
	assert_true(s.found.matches[0].place.to > strlen(text) - 80);

	/* one word in fifteen is another */
	edited = o = arena_alloc(a, strlen(text) * 2);
	for (unsigned w = 0, i = 0; text[i]; i++) {
		*o++ = text[i];
		if ((text[i] == ' ' || text[i] == '\n') && ++w % 15 == 0) {
			o = (char *)memcpy(o, "hitherto ", 9) + 9;
			while (text[i + 1] && text[i + 1] != ' ' && text[i + 1] != '\n')
				i++;
		}
	}
	*o = '\0';
	run_on(&s, edited);
	assert_true(overlap(&s, "board", 0) >= 30 && overlap(&s, "board", 0) < 90);
	assert_true(confidence(&s, 0) >= CONFIDENCE_MEDIUM);

	/* quarters in another order, lower case without line ends, upper case with quotes */
	for (unsigned i = 0; i < 4; i++)
		part[i] = words_of(a, text, i * 300, (i + 1) * 300);
	run_on(&s, arena_printf(a, "%s\n%s\n%s\n%s", part[2], part[0], part[3], part[1]));
	assert_true(overlap(&s, "board", 0) >= 95);
	edited = arena_str(a, span_str(text));
	for (char *p = edited; *p; p++)
		*p = *p == '\r' ? '>' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
	run_on(&s, edited);
	assert_int_equal(overlap(&s, "board", 0), 100);

	/* a tenth of it alone is nearly all of the part, and so it is in a letter of its own size */
	run_on(&s, words_of(a, text, 500, 620));
	assert_true(overlap(&s, "board", GRADE_MESSAGE) >= 8 && overlap(&s, "board", GRADE_MESSAGE) <= 12);
	assert_true(overlap(&s, "board", 0) >= 90);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_HIGH);
	run_on(&s, arena_printf(a, "%s %s", fixture_prose(a, 9, 120), words_of(a, text, 500, 620)));
	assert_int_equal(confidence(&s, 0), CONFIDENCE_MEDIUM);

	/* a phrase is nothing, a sentence is low */
	run_on(&s, words_of(a, text, 500, 508));
	assert_int_equal(s.found.nmatches, 0);
	run_on(&s, arena_printf(a, "%s %s", fixture_prose(a, 9, 300), words_of(a, text, 500, 530)));
	assert_int_equal(confidence(&s, 0), CONFIDENCE_LOW);

	/* another text of the same words */
	run_on(&s, fixture_prose(a, 7, 1200));
	assert_int_equal(s.found.nmatches, 0);
	assert_int_equal(s.found.ngrades, 0);

	/* a third in each of two files: the message has two of them */
	s.an.nsurfaces = 0;
	surface(&s, 1, arena_printf(a, "%s %s", words_of(a, text, 0, 400), fixture_prose(a, 11, 1500)));
	surface(&s, 2, arena_printf(a, "%s %s", words_of(a, text, 800, 1200), fixture_prose(a, 12, 1500)));
	run(&s);
	assert_true(overlap(&s, "board", 1) >= 30 && overlap(&s, "board", 1) < 40);
	assert_true(overlap(&s, "board", GRADE_MESSAGE) >= 60);
	assert_int_equal(confidence(&s, 1), CONFIDENCE_HIGH);
	assert_int_equal(confidence(&s, 2), CONFIDENCE_HIGH);
	scene_end(&s);
}

/* What stands in a template counts neither for documents nor for parts. */
static void
test_ignored(void **state)
{
	struct scene s = { 0 };
	char *letterhead, *text;

	index_begin(&s.x);
	letterhead = fixture_prose(s.x.a, 5, 200);
	text = arena_printf(s.x.a, "%s %s", letterhead, fixture_prose(s.x.a, 1, 200));
	put(&s.x, "letter", text, false);
	scene_ready(&s);
	run_on(&s, letterhead);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_HIGH);
	detectors_free(&s.d);
	put(&s.x, "letterhead", letterhead, true);
	scene_ready(&s);
	run_on(&s, letterhead);
	assert_int_equal(s.found.nmatches, 0);
	run_on(&s, text);
	assert_int_equal(overlap(&s, "letter", 0), 100);
	run_on(&s, arena_printf(s.x.a, "%s %s", letterhead, words_of(s.x.a, fixture_prose(s.x.a, 1, 200), 0, 60)));
	assert_true(overlap(&s, "letter", GRADE_MESSAGE) < 40);
	assert_true(overlap(&s, "letter", 0) >= 85);	/* of what is not letterhead */
	scene_end(&s);
}

/* A hundred versions of one text: each look-up is bounded, and the text is found. */
static void
test_many(void **state)
{
	struct scene s = { 0 };
	char *text, name[16];

	index_begin(&s.x);
	text = fixture_prose(s.x.a, 1, 300);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "v%03d", i);
		put(&s.x, name, arena_printf(s.x.a, "%s %s", text, fixture_prose(s.x.a, 100 + (unsigned)i, 60)),
		    false);
	}
	scene_ready(&s);
	run_on(&s, text);
	assert_true(overlap(&s, "v000", 0) >= 80);
	assert_true(overlap(&s, "v063", 0) >= 80);
	assert_int_equal(overlap(&s, "v064", 0), 0);
	run_on(&s, fixture_prose(s.x.a, 100 + 99, 60));	/* what only the last one has */
	assert_true(overlap(&s, "v099", 0) >= 90);
	scene_end(&s);
}

/* --- policies and records --------------------------------------------------------------------------- */

#define RULES "rules:\n  - {id: high, when: {finds: {m: {confidence: high}}}, then: {reject: true}}\n" \
	"  - {id: medium, when: {finds: {m: {confidence: medium}}}, then: {hold: dpo@example.org}}\n"

static enum outcome
replayed(struct fixture *f, const char *detector, bool *touched)
{
	struct record_plan *plan;
	struct manifest m;
	struct replay again;
	struct record r;
	struct fixture g;
	enum outcome o;

	assert_int_equal(manifest_read(policy_manifest(f->p), f->arena, &m), 0);
	assert_int_equal(record_read(f->v.record, f->arena, &r), 0);
	fixture_begin(&g);
	fixture_load(&g, arena_printf(f->arena, "detectors:\n  m: %s\n" RULES, detector));
	plan = record_plan_new(g.p, &m);
	record_replay(plan, &r, NULL, f->arena, &again);
	o = again.verdict.decisions[0].outcome;
	*touched = again.touched;
	record_plan_free(&plan);
	fixture_end(&g);
	return o;
}

static void
test_policy(void **state)
{
	struct fixture f;
	bool touched;
	char *json, *mail;

	fixture_begin(&f);
	fixture_load(&f, "detectors:\n  m: {fingerprint: 'dir:fingerprints/board/', overlap: {medium: 30%, high: 60}}\n" RULES);
	assert_string_equal(f.said, "");
	f.opt = (struct policy_options){ .record = true, .near_misses = true };
	mail = arena_printf(f.arena, HEAD "\r\n%s\r\n%s\r\n", words_of(f.arena, fixture_prose(f.arena, 1, 400), 0, 180),
	    fixture_prose(f.arena, 8, 400));
	fixture_judge(&f, mail);
	assert_outcome(&f, 0, "hold");
	json = fixture_json(&f);
	assert_non_null(strstr(json, "\"grade\":\"overlap 4"));
	assert_non_null(strstr(json, "\"masked\":[\"minutes.docx (4"));
	assert_non_null(strstr(json, "{\"rule\":\"high\",\"text\":\"finds m: overlap 4"));
	assert_int_equal(replayed(&f, "{fingerprint: 'dir:fingerprints/board/', overlap: {medium: 30%, high: 60%}}", &touched), OUTCOME_HOLD);
	assert_false(touched);
	assert_int_equal(replayed(&f, "{fingerprint: 'dir:fingerprints/board/', overlap: {medium: 30%, high: 40%}}", &touched), OUTCOME_REJECT);
	assert_false(touched);
	assert_int_equal(replayed(&f, "{fingerprint: 'dir:fingerprints/board/', overlap: {medium: 51%}}", &touched), OUTCOME_DELIVER);
	assert_false(touched);
	replayed(&f, "{fingerprint: 'dir:fingerprints/none'}", &touched);
	assert_true(touched);
	fixture_judge(&f, arena_printf(f.arena, HEAD "\r\n%s\r\n", fixture_prose(f.arena, 2, 400)));
	assert_outcome(&f, 0, "reject");
	fixture_judge(&f, arena_printf(f.arena, HEAD "\r\n%s\r\n", fixture_prose(f.arena, 8, 400)));
	assert_outcome(&f, 0, "deliver");
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guarantee),
		cmocka_unit_test(test_density),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
