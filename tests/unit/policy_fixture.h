/* policy_fixture.h -- loads a policy from text and judges a message, for tests of policy/rules/. */
#ifndef POLICY_FIXTURE_H
#define POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "addr.h"
#include "buf.h"
#include "conf.h"
#include "edm_fixture.h"
#include "postern/fingerprint.h"
#include "json.h"
#include "postern/policy.h"

#define NOW INT64_C(1795343000000000)	/* 22 November 2026 */

struct fixture {
	struct arena *arena;		/* of the load, and of the message */
	struct diags d;
	struct policy *p;
	struct envelope env;
	struct facts facts;
	struct anatomy an;
	struct verdict v;
	struct policy_options opt;
	struct span raw;
	unsigned facts_missing;
	char *said;			/* the diagnostics as people read them */
};

/* Two documents: prose of made-up words, the same at every call. */
__attribute__((unused)) static char *
fixture_prose(struct arena *a, unsigned seed, unsigned words)
{
	static const char *const syllables[] = { "ba", "con", "de", "fi", "lar", "mo", "nu", "per",
		"qui", "ro", "sta", "tion", "u", "ven", "za", "gri" };
	size_t room = (size_t)words * 24 + 1;
	char *out = arena_alloc(a, room), *o = out;
	uint32_t x = seed * 2654435761u + 1;

	for (unsigned i = 0; i < words; i++) {
		for (unsigned k = 0; k < 2 + x % 3; k++) {
			x ^= x << 13, x ^= x >> 17, x ^= x << 5;
			o += snprintf(o, room - (size_t)(o - out), "%s", syllables[x >> 28]);
		}
		o += snprintf(o, room - (size_t)(o - out), "%s", i % 12 == 11 ? ".\r\n" : " ");
	}
	return out;
}

__attribute__((unused)) static int
fixture_index(struct span path, struct span *text, struct err *err)
{
	static char kept[4][1 << 16], board[1 << 16];
	static unsigned turn;
	static size_t nboard;
	char *to = kept[turn++ % 4];
	struct arena *a = arena_new(0);
	struct fingerprint_maker *m = fingerprint_maker_new((const uint8_t *)"a key of 16 byte");
	struct buf b;

	if (nboard && span_is(path, "fingerprints/board/index.fpr")) {
		*text = span_make(board, nboard);
		fingerprint_maker_free(&m);
		arena_free(&a);
		return 0;
	}
	if (!span_is(path, "fingerprints/board/index.fpr") && !span_is(path, "fingerprints/none/index.fpr") &&
	    !span_is(path, "fingerprints/cut/index.fpr") && !span_is(path, "fingerprints/damaged/index.fpr")) {
		fingerprint_maker_free(&m);
		arena_free(&a);
		return err_set(err, 2, SPAN_FMT ": No such file or directory", SPAN_ARG(path));
	}
	for (unsigned i = 1; i <= 2 && !span_is(path, "fingerprints/none/index.fpr"); i++) {
		fingerprint_maker_text(m, text_fold_word(a, span_str(fixture_prose(a, i, 400))));
		fingerprint_maker_put(m, i == 1 ? SPAN_LIT("minutes.docx") : SPAN_LIT("plan.pdf"),
		    NOW / 1000000, false);
	}
	buf_init(&b, sizeof(kept[0]));
	assert_int_equal(fingerprint_maker_write(m, NOW / 1000000, &b, err), 0);
	memcpy(to, buf_data(&b).p, buf_size(&b));
	*text = span_make(to, buf_size(&b));
	if (span_is(path, "fingerprints/board/index.fpr")) {
		memcpy(board, to, text->n);
		nboard = text->n;
	}
	if (span_is(path, "fingerprints/cut/index.fpr"))
		text->n = 200;
	if (span_is(path, "fingerprints/damaged/index.fpr"))
		to[text->n / 2] ^= 1;
	buf_release(&b);
	fingerprint_maker_free(&m);
	arena_free(&a);
	return 0;
}

__attribute__((unused)) static int
fixture_file(void *ctx, struct span path, struct span *text, struct err *err)
{
	if (span_is(path, "lists/partners.txt")) {
		*text = SPAN_LIT("# partners\npartner.example\n.partner.example # and below\n\nBob@Other.Example\n");
		return 0;
	}
	if (span_is(path, "lists/bad.txt")) {
		*text = SPAN_LIT("fine.example\nnot a domain\n");
		return 0;
	}
	if (span_is(path, "lists/medical.txt")) {
		*text = SPAN_LIT("# weights as in the manual\r\nangine\t3\r\ninfarctus du myocarde\t8.5 # rare\r\n"
		    "Ordonnance\t4\ntension art\xc3\xa9rielle\t5\nbilan sanguin\t5\nposologie\t6\n");
		return 0;
	}
	if (span_is(path, "lists/weights-bad.txt")) {
		*text = SPAN_LIT("fine\t2\nno weight\nblanks 12\n\t3\nnegative\t-4\nword\t1O\nb\xe9ton\t2\nzero\t1001\n");
		return 0;
	}
	if (span_is(path, "lists/weights-unseen.txt")) {
		*text = SPAN_LIT("fine\t2\n\xe2\x80\x8b\xc2\xad\t3\n");
		return 0;
	}
	if (span_is(path, "lists/weights-zero.txt")) {
		*text = SPAN_LIT("fine\t2\nnothing\t0\nnothing else\t0.0\n");
		return 0;
	}
	if (span_starts(path, SPAN_LIT("fingerprints/")))
		return fixture_index(path, text, err);
	if (span_is(path, "lists/empty.txt")) {
		*text = SPAN_LIT("# nobody yet\n\n");
		return 0;
	}
	return err_set(err, 2, "cannot read `" SPAN_FMT "`: No such file or directory", SPAN_ARG(path));
}

__attribute__((unused)) static int
fixture_zone(void *ctx, struct span name, struct span *tzif, struct err *err)
{
	static char data[64 << 10];
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/" SPAN_FMT, SPAN_ARG(name));
	f = fopen(path, "rb");
	if (!f)
		return err_set(err, 2, "No such file or directory");
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	*tzif = span_make(data, n);
	return 0;
}

__attribute__((unused)) static void
fixture_begin(struct fixture *f)
{
	*f = (struct fixture){ .arena = arena_new(0) };
	diags_init(&f->d, f->arena);
	f->env.direction = DIRECTION_OUTBOUND;
	f->env.sender = SPAN_LIT("m.durand@example.org");
	f->env.id = UINT64_C(1795343000000000) * 3844 + 7;
	f->facts.now = NOW;
	f->facts.av = AV_CLEAN;
	ip_parse(SPAN_LIT("10.1.2.3"), &f->env.client);
}

__attribute__((unused)) static void
fixture_end(struct fixture *f)
{
	policy_free(&f->p);
	free(f->said);
	arena_free(&f->arena);
}

__attribute__((unused)) static void
fixture_load_files(struct fixture *f, const struct policy_source *files, size_t n)
{
	static const struct span domains[] = { { "example.org", 11 } };
	static const struct span exchange[] = { { "10.1.2.0/24", 11 } };
	static const struct span listeners[] = { { "smart-host", 10 }, { "mx", 2 } };
	static const struct policy_network networks[] = { { { "exchange", 8 }, exchange, 1 } };
	struct policy_env env = { .read_file = fixture_file, .read_zone = fixture_zone, .now = NOW,
		.facts_missing = f->facts_missing, .domains = domains,
		.ndomains = 1, .listeners = listeners, .nlisteners = 2, .networks = networks, .nnetworks = 1 };
	struct buf b;

	env.read_index = edm_fixture_read;
	policy_free(&f->p);
	f->p = policy_load(files, n, &env, &f->d);
	buf_init(&b, 1 << 20);
	diags_print(&f->d, &b, NULL, false);
	free(f->said);
	f->said = strndup(buf_size(&b) ? buf_data(&b).p : "", buf_size(&b));
	buf_release(&b);
}

__attribute__((unused)) static void
fixture_load(struct fixture *f, const char *yaml)
{
	const struct policy_source file = { "test.yaml", span_str(yaml) };

	fixture_load_files(f, &file, 1);
	if (!f->p)
		print_error("%s\n", f->said);
	assert_non_null(f->p);
}

__attribute__((unused)) static void
fixture_to(struct fixture *f, const char *const *to)
{
	size_t n = 0;

	while (to[n])
		n++;
	f->env.recipients = arena_array(f->arena, n + 1, sizeof(*f->env.recipients));
	for (size_t i = 0; i < n; i++)
		f->env.recipients[i].address = span_str(to[i]);
	f->env.nrecipients = n;
}
#define TO(f, ...) fixture_to(f, (const char *const[]){ __VA_ARGS__, NULL })

__attribute__((unused)) static void
fixture_judge(struct fixture *f, const char *raw)
{
	f->raw = span_str(raw);
	if (!f->env.nrecipients)
		TO(f, "x@webmail.example");
	anatomy_build(f->arena, f->raw, NULL, &f->an);
	policy_judge(f->p, &f->an, &f->env, &f->facts, &f->opt, f->arena, &f->v);
	assert_int_equal(f->v.ndecisions, f->env.nrecipients);
}

__attribute__((unused)) static bool
fixture_has(const struct span *v, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(v[i], id))
			return true;
	return false;
}
#define HIT(f, i, id) fixture_has((f)->v.decisions[i].rules, (f)->v.decisions[i].nrules, id)
#define SHADOW(f, i, id) fixture_has((f)->v.decisions[i].shadow, (f)->v.decisions[i].nshadow, id)
#define SKIPPED(f, i, id) fixture_has((f)->v.decisions[i].skipped, (f)->v.decisions[i].nskipped, id)
#define OUTCOME(f, i) ((f)->v.decisions[i].outcome)
#define assert_outcome(f, i, o) assert_string_equal(outcome_name(OUTCOME(f, i)), o)

/* The message as its recipient gets it. */
__attribute__((unused)) static char *
fixture_edited(struct fixture *f, size_t recipient)
{
	const struct variant *var = &f->v.variants[f->v.decisions[recipient].variant];
	struct buf b;
	uint64_t at = 0;
	char *out;

	buf_init(&b, 1 << 24);
	for (size_t i = 0; i < var->nedits; i++) {
		const struct edit *e = &var->edits[i];

		assert_true(e->offset >= at && e->offset + e->size <= f->raw.n);
		buf_span(&b, span_sub(f->raw, at, e->offset - at));
		buf_span(&b, e->with);
		at = e->offset + e->size;
	}
	buf_span(&b, span_from(f->raw, at));
	out = arena_str(f->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

__attribute__((unused)) static char *
fixture_json(struct fixture *f)
{
	struct json j;
	struct buf b;
	char *out;

	buf_init(&b, 1 << 24);
	json_begin(&j, &b);
	verdict_explain(&f->v, f->p, &f->an, &f->env, &f->facts, NULL, &j);
	out = arena_str(f->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

#define HEAD "From: M. Durand <m.durand@example.org>\r\nTo: x@webmail.example\r\nSubject: Files\r\n"
#define MAIL(body) HEAD "\r\n" body "\r\n"

#endif
