/* test_lexicon.c -- weighted lexicons: their files, how scores add up, near, records. */
#include "detect/detect.h"
#include "detect/lexicon.h"
#include "policy_fixture.h"
#include "postern/record.h"

/* --- files ---------------------------------------------------------------------------------- */

struct said {
	char text[4096];
	unsigned n;
};

static bool
problem(void *ctx, uint32_t line, uint32_t column, uint32_t width, const char *hint, const char *text)
{
	struct said *s = ctx;

	s->n++;
	snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%u:%u+%u %s\n", line,
	    column, width, text);
	return true;
}

static void
test_file(void **state)
{
	struct arena *a = arena_new(0);
	struct said said = { .n = 0 };
	struct lexicon x;

	lexicon_parse(a, SPAN_LIT("\xef\xbb\xbf# a comment\r\n\r\nangine\t3\r\n  C# \t2.5 # a language\n"
	    "\xc3\xa9t\xc3\xa9\t0.125\nlast\t1000"), problem, &said, &x);
	assert_int_equal(said.n, 0);
	assert_int_equal(x.n, 4);
	assert_true(span_is(x.terms[0].word, "angine") && x.terms[0].weight == 3000);
	assert_int_equal(x.terms[0].line, 3);
	assert_true(span_is(x.terms[1].word, "C#") && x.terms[1].weight == 2500);
	assert_int_equal(x.terms[2].weight, 125);
	assert_int_equal(x.terms[3].weight, 1000000);
	lexicon_parse(a, SPAN_LIT("a b 3\nword\n\t5\nx\t-1\ny\t1O\nz\t1001\nw\t\nv\t1.\nu\t1.2345\n\xe9\t1\n"),
	    problem, &said, &x);
	assert_int_equal(x.n, 0);
	assert_string_equal(said.text,
	    "1:5+1 between word and weight stands no tab\n"
	    "2:1+4 a word without a weight\n"
	    "3:1+1 a weight without a word\n"
	    "4:3+2 a weight below 0\n"
	    "5:3+2 this is no weight\n"
	    "6:3+4 this is no weight\n"
	    "7:3+1 a word without a weight\n"
	    "8:3+2 this is no weight\n"
	    "9:3+6 this is no weight\n"
	    "10:1+3 this line is not UTF-8\n");
	arena_free(&a);
}

/* --- scores ---------------------------------------------------------------------------------- */

struct scene {
	struct arena *a;
	struct detectors *d;
	struct surface surfaces[8];
	struct text texts[8];
	struct anatomy an;
	struct detection found;
};

static struct scene
scene_of(const struct detector_lexicon *l)
{
	struct scene s = { .a = arena_new(0), .d = detectors_new() };
	struct err err = { 0 };

	assert_int_equal(detectors_add_lexicon(s.d, SPAN_LIT("x"), l, &err), 0);
	assert_int_equal(detectors_compile(s.d, &err), 0);
	return s;
}

static void
surface(struct scene *s, uint16_t part, const char *text)
{
	size_t i = s->an.nsurfaces++;

	s->texts[i] = (struct text){ .s = span_str(text) };
	s->surfaces[i] = (struct surface){ .where = WHERE_BODY, .part = part };
}

static void
run(struct scene *s)
{
	for (size_t i = 0; i < s->an.nsurfaces; i++)
		s->surfaces[i].text = &s->texts[i];
	s->an.surfaces = s->surfaces;
	detectors_run(s->d, &s->an, s->a, &s->found);
}

static void
run_on(struct scene *s, const char *text)
{
	s->an.nsurfaces = 0;
	surface(s, 0, text);
	run(s);
}

static const struct grade *
grade(const struct scene *s, uint32_t part)
{
	for (size_t i = 0; i < s->found.ngrades; i++)
		if (s->found.grades[i].part == part)
			return &s->found.grades[i];
	return NULL;
}

static uint64_t
score(const struct scene *s, uint32_t part)
{
	return grade(s, part) ? grade(s, part)->amount : 0;
}

static enum confidence
confidence(const struct scene *s, uint16_t part)
{
	for (size_t i = 0; i < s->found.nmatches; i++)
		if (s->surfaces[s->found.matches[i].surface].part == part)
			return s->found.matches[i].confidence;
	return CONFIDENCE_NONE;
}

static void
scene_end(struct scene *s)
{
	detectors_free(&s->d);
	arena_free(&s->a);
}

static const struct detector_term terms[] = {
	{ { "angine", 6 }, 4000 }, { { "Infarctus du myocarde", 21 }, 10000 },
	{ { "ANGINE", 6 }, 2000 }, { { "art\xc3\xa8re", 7 }, 6000 }, { { "nichts", 6 }, 0 },
};
#define LEXICON (struct detector_lexicon){ .terms = terms, .nterms = 5, .medium = 10000, \
	.high = 20000, .mask_last = 2 }

/* Full, half, a quarter, nothing. Of two spellings of one word the heavier counts. */
static void
test_repetition(void **state)
{
	static const struct {
		const char *text;
		uint64_t score;
		uint32_t distinct;
		size_t matches;
		enum confidence confidence;
	} cases[] = {
		{ "rien", 0, 0, 0, CONFIDENCE_NONE },
		{ "angine", 4000, 1, 1, CONFIDENCE_LOW },
		{ "angine, Angine", 6000, 1, 2, CONFIDENCE_LOW },
		{ "angine ANGINE \xef\xbd\x81ngine", 7000, 1, 3, CONFIDENCE_LOW },
		{ "angine angine angine angine angine", 7000, 1, 5, CONFIDENCE_LOW },
		{ "angines langine", 0, 0, 0, CONFIDENCE_NONE },
		{ "infarctus  du\r\nmyocarde", 10000, 1, 1, CONFIDENCE_MEDIUM },
		{ "angine, ARTERE, infarctus du myocarde", 20000, 3, 3, CONFIDENCE_HIGH },
		{ "angine, arte\xcc\x80re, infarctus", 10000, 2, 2, CONFIDENCE_MEDIUM },
		{ "nichts", 0, 0, 0, CONFIDENCE_NONE },
	};
	struct scene s = scene_of(&LEXICON);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		run_on(&s, cases[i].text);
		assert_int_equal(score(&s, 0), cases[i].score);
		assert_int_equal(score(&s, GRADE_MESSAGE), cases[i].score);
		assert_int_equal(grade(&s, 0) ? grade(&s, 0)->distinct : 0, cases[i].distinct);
		assert_int_equal(s.found.nmatches, cases[i].matches);
		assert_int_equal(confidence(&s, 0), cases[i].confidence);
		for (size_t k = 0; k < s.found.nmatches; k++)
			assert_non_null(strstr(arena_str(s.a, s.found.matches[k].masked), "\xe2\x80\xa2"));
	}
	scene_end(&s);
}

/* A letter that is there twice is one letter; what is spread over parts is added up. */
static void
test_parts(void **state)
{
	struct scene s = scene_of(&LEXICON);

	surface(&s, 1, "angine et art\xc3\xa8re");
	surface(&s, 2, "angine et art\xc3\xa8re");
	run(&s);
	assert_int_equal(score(&s, 1), 10000);
	assert_int_equal(score(&s, 2), 10000);
	assert_int_equal(score(&s, GRADE_MESSAGE), 10000);
	assert_int_equal(confidence(&s, 1), CONFIDENCE_MEDIUM);

	s.an.nsurfaces = 0;	/* no part reaches what all do: all are worth it */
	surface(&s, 0, "angine");
	surface(&s, 1, "art\xc3\xa8re");
	surface(&s, 2, "infarctus du myocarde");
	run(&s);
	assert_int_equal(score(&s, GRADE_MESSAGE), 20000);
	for (uint16_t part = 0; part < 3; part++)
		assert_int_equal(confidence(&s, part), CONFIDENCE_HIGH);

	s.an.nsurfaces = 0;	/* one part does: the others are worth their own */
	surface(&s, 0, "angine");
	surface(&s, 1, "angine, art\xc3\xa8re, infarctus du myocarde");
	surface(&s, 1, "angine");
	run(&s);
	assert_int_equal(score(&s, 1), 22000);	/* two texts of one part */
	assert_int_equal(score(&s, GRADE_MESSAGE), 22000);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_LOW);
	assert_int_equal(confidence(&s, 1), CONFIDENCE_HIGH);
	scene_end(&s);
}

static void
test_distinct(void **state)
{
	struct detector_lexicon l = LEXICON;
	struct scene s;

	l.distinct = 3;
	s = scene_of(&l);
	run_on(&s, "infarctus du myocarde, infarctus du myocarde, infarctus du myocarde, angine");
	assert_int_equal(score(&s, 0), 17500 + 4000);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_LOW);
	run_on(&s, "infarctus du myocarde, art\xc3\xa8re, angine");
	assert_int_equal(confidence(&s, 0), CONFIDENCE_HIGH);
	scene_end(&s);
}

/* Only what stands near a keyword counts, on either side; a word may be both. */
static void
test_near(void **state)
{
	struct span near[] = { SPAN_LIT("patient"), SPAN_LIT("angine") };
	struct detector_lexicon l = LEXICON;
	struct scene s;

	l.near = (struct detector_near){ near, 1, 10 };
	s = scene_of(&l);
	run_on(&s, "angine: le patient");
	assert_int_equal(score(&s, 0), 4000);
	run_on(&s, "patient, l'angine");
	assert_int_equal(score(&s, 0), 4000);
	run_on(&s, "patient ............................. angine");
	assert_int_equal(s.found.nmatches, 0);
	assert_int_equal(s.found.ngrades, 0);
	run_on(&s, "angine");
	assert_int_equal(s.found.nmatches, 0);
	scene_end(&s);
	l.near.nwords = 2;
	s = scene_of(&l);
	run_on(&s, "angine");
	assert_int_equal(score(&s, 0), 4000);
	scene_end(&s);
}

/* Words have `near` too. */
static void
test_words_near(void **state)
{
	static const struct { const char *text; const char *outcome; } cases[] = {
		{ "Projet Aurore", "deliver" }, { "Projet Aurore: budget", "reject" },
		{ "le budget du Projet Aurore", "reject" }, { "budget", "deliver" },
	};
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "detectors:\n  p: {words: [Projet Aurore], near: {words: [budget], within: 20}}\n"
	    "rules:\n  - {id: r, when: {finds: {p: {confidence: high}}}, then: {reject: true}}\n"
	    "  - {id: m, when: {finds: {p: {confidence: medium}}}, then: {add_header: {X-M: y}}}\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fixture_judge(&f, arena_printf(f.arena, HEAD "\r\n%s\r\n", cases[i].text));
		assert_outcome(&f, 0, cases[i].outcome);
		assert_int_equal(HIT(&f, 0, "m"), strstr(cases[i].text, "Aurore") != NULL);
	}
	fixture_end(&f);
}

/* Ten thousand harmless words first don't hide what stands behind them. */
static void
test_flood(void **state)
{
	struct scene s = scene_of(&LEXICON);
	char *text = arena_alloc(s.a, 7 * 20000 + 1);

	for (int i = 0; i < 20000; i++)
		memcpy(text + 7 * i, "angine\n", 8);
	surface(&s, 0, text);
	surface(&s, 1, "angine, art\xc3\xa8re, infarctus du myocarde");
	run(&s);
	assert_int_equal(score(&s, 0), 7000);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_LOW);
	assert_int_equal(confidence(&s, 1), CONFIDENCE_HIGH);
	assert_true(s.found.nmatches <= DETECT_MATCHES_MAX);
	/* and behind them in the same text, too: the score counts on */
	run_on(&s, arena_printf(s.a, "%sart\xc3\xa8re, infarctus du myocarde", text));
	assert_int_equal(score(&s, 0), 7000 + 16000);
	assert_int_equal(confidence(&s, 0), CONFIDENCE_HIGH);
	scene_end(&s);
}

/* --- policies ----------------------------------------------------------------------------------- */

#define RULES "rules:\n  - {id: high, when: {finds: {m: {confidence: high}}}, then: {reject: true}}\n" \
	"  - {id: medium, when: {finds: {m: {confidence: medium}}}, then: {hold: dpo@example.org}}\n"

static void
test_policy(void **state)
{
	struct fixture f;
	char *json;

	fixture_begin(&f);
	fixture_load(&f, "detectors:\n  m: {lexicon: 'file:lists/medical.txt', score: {medium: 10, high: 20},\n"
	    "    samples: {match: ['angine, ordonnance, posologie'], no_match: [angine]}}\n" RULES);
	assert_string_equal(f.said, "");
	fixture_judge(&f, MAIL("Angine: ordonnance."));
	assert_outcome(&f, 0, "deliver");
	fixture_judge(&f, MAIL("Ordonnance, POSOLOGIE."));
	assert_outcome(&f, 0, "hold");
	fixture_judge(&f, HEAD "Comments: bilan sanguin\r\n\r\nOrdonnance, posologie, tension arterielle\r\n");
	assert_outcome(&f, 0, "reject");
	f.opt.near_misses = true;
	fixture_judge(&f, MAIL("Ordonnance, POSOLOGIE."));
	json = fixture_json(&f);
	assert_non_null(strstr(json, "\"grade\":\"score 10 of 2 different terms, high from 20\""));
	assert_non_null(strstr(json, "{\"rule\":\"high\",\"text\":\"finds m: score 10 of 2 different terms, high from 20\"}"));
	assert_null(strstr(json, "Ordonnance"));
	assert_null(strstr(json, "posologie"));
	fixture_end(&f);
}

static void
test_inline(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "detectors:\n  m: {lexicon: {samples: 6, score: 5.5, infarctus du myocarde: 10}, score: {high: 11.5}}\n"
	    "rules:\n  - {id: high, when: {finds: {m: {confidence: high}}}, then: {reject: true}}\n");
	fixture_judge(&f, MAIL("samples, score"));
	assert_outcome(&f, 0, "reject");
	fixture_judge(&f, MAIL("samples, infarctus"));
	assert_outcome(&f, 0, "deliver");
	fixture_end(&f);
}

/* --- records ------------------------------------------------------------------------------------- */

struct past {
	struct manifest m;
	struct record r;
	struct replay replay;
};

static void
remember(struct fixture *f, const char *mail, struct past *p)
{
	f->opt = (struct policy_options){ .record = true, .near_misses = true };
	fixture_judge(f, mail);
	assert_int_equal(manifest_read(policy_manifest(f->p), f->arena, &p->m), 0);
	assert_int_equal(record_read(f->v.record, f->arena, &p->r), 0);
}

static enum outcome
again(struct fixture *f, struct past *p, const char *detector)
{
	struct record_plan *plan;
	struct fixture g;
	enum outcome o;

	fixture_begin(&g);
	fixture_load(&g, arena_printf(f->arena, "detectors:\n  m: %s\n" RULES, detector));
	plan = record_plan_new(g.p, &p->m);
	record_replay(plan, &p->r, NULL, f->arena, &p->replay);
	o = p->replay.verdict.decisions[0].outcome;
	record_plan_free(&plan);
	fixture_end(&g);
	return o;
}

/* Thresholds may change and the past is known; another lexicon, and it is not. */
static void
test_replay(void **state)
{
	struct fixture f;
	struct past p;

	fixture_begin(&f);
	fixture_load(&f, "detectors:\n  m: {lexicon: 'file:lists/medical.txt', score: {medium: 10, high: 20}}\n" RULES);
	remember(&f, MAIL("Ordonnance, posologie, angine"), &p);	/* 13 of 3 */
	assert_outcome(&f, 0, "hold");
	assert_int_equal(again(&f, &p, "{lexicon: 'file:lists/medical.txt', score: {medium: 10, high: 20}}"), OUTCOME_HOLD);
	assert_false(p.replay.touched);
	assert_int_equal(again(&f, &p, "{lexicon: 'file:lists/medical.txt', score: {medium: 10, high: 13}}"), OUTCOME_REJECT);
	assert_false(p.replay.touched);
	assert_int_equal(again(&f, &p, "{lexicon: 'file:lists/medical.txt', score: {medium: 14, high: 20}}"), OUTCOME_DELIVER);
	assert_false(p.replay.touched);
	assert_int_equal(again(&f, &p, "{lexicon: 'file:lists/medical.txt', score: {medium: 10, high: 20, distinct: 4}}"), OUTCOME_DELIVER);
	assert_false(p.replay.touched);
	again(&f, &p, "{lexicon: {posologie: 30}, score: {medium: 10, high: 20}}");
	assert_true(p.replay.unsure);
	again(&f, &p, "{lexicon: 'file:lists/medical.txt', score: {medium: 10, high: 20}, near: {words: [x]}}");
	assert_true(p.replay.unsure);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_repetition),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_distinct),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_words_near),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_inline),
		cmocka_unit_test(test_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
