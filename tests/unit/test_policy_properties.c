/* test_policy_properties.c -- what holds for every policy and every message, tried on thousands made
 * by chance (POLICY_SEED repeats a run):
 *   - joining is associative, commutative and idempotent, and verdicts are joins;
 *   - no order of rules, files or recipients shows in a verdict;
 *   - shadow rules change neither an outcome nor a byte;
 *   - the same policy and message give the same verdict, bit for bit. */
#include "policy_fixture.h"

#define ROUNDS 2000
#define ONE_MAX 400

static uint64_t seed;

static unsigned
rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

/* --- policies and messages ------------------------------------------------------------------ */

static const char *const conditions[] = {
	"from: example.org", "from: {not: [example.org]}", "from: m.durand@example.org",
	"header_from: example.org", "to: webmail.example", "to: {not: group:partners}",
	"to: [group:partners, x@webmail.example]", "to_all: {not: [other.example]}",
	"to_all: [webmail.example, group:partners]", "client: network:exchange", "tls: false",
	"authenticated: false", "direction: outbound", "recipients: {over: 1}", "size: {under: 10KB}",
	"attachments: {under: 1}", "subject: {words: [files, invoice]}", "subject: {pattern: '(?i)^re:'}",
	"body: {words: secret}", "text: {pattern: '\\d{4}'}", "header: {X-Class: {words: red}}",
	"header: {X-Class: {present: false}}", "finds: [names, iban]", "finds: {names: {min: 2}}",
	"finds: {all: [names, number]}", "finds: {any: [{number: {min: 2, count: all}}, iban]}",
	"attachment: {extension: [pdf, exe]}", "encrypted: false", "virus: false", "virus: {kind: [pua, macro]}", "unscannable: false",
	"schedule: office", "schedule: {not: office}", "spam: suspected", "spam: {not: spam}",
	"dmarc: fail", "spf: {not: pass}", "reputation: {under: 50}", "bayes: {over: 89}", "experience: {under: 50}", "dnsbl: true",
	"url: {host: evil.test}", "url: {lookalike_of: partner.example, host: {not: other.example}}",
	"url: {text_mismatch: false}", "url: {listed: true}",
};
static const char *const outcomes[] = { "deliver: true", "redirect: a@r.example",
	"redirect: [b@r.example, a@r.example]", "discard: true", "quarantine: q1", "quarantine: q2",
	"hold: group:dpo", "hold: {for: h@example.org, expires: 1h}",
	"hold: {for: group:dpo, expires: 1h, on_expire: deliver}",
	"hold: {for: group:dpo, expires: 2h, on_expire: quarantine}", "defer: true",
	"defer: \"later $rule\"", "reject: true", "reject: \"5.7.2 no: $findings $filenames\"" };
static const char *const changes[] = { "add_header: {X-A: one}", "add_header: {X-A: two, X-B: $findings}",
	"remove_header: X-Class", "remove_header: [X-Cl*, Subject]", "prefix_subject: \"[A]\"",
	"prefix_subject: \"[été]\"", "require_tls: encrypted", "require_tls: verified" };
static const char *const severities[] = { "low", "medium", "high", "critical" };
#define PICK(list) (list)[rnd(sizeof(list) / sizeof((list)[0]))]

#define TOP \
	"use: [postern/base]\nnetworks: {inside: [10.0.0.0/8]}\n" \
	"groups: {partners: [partner.example, .partner.example], dpo: [d@example.org]}\n" \
	"schedules: {office: {days: mon-fri, from: 08:00, to: 18:00, zone: UTC}}\n" \
	"detectors:\n  names: {words: [aurora, dawn]}\n  number: {pattern: '\\bN-\\d{3}\\b'}\n"

static const char *const lines[] = { "Hello,", "the secret aurora", "dawn, Aurora and N-123",
	"N-124 N-125", "FR14 2004 1010 0505 0001 3M02 606", "year 2026", "nothing",
	"https://www.evil.test/x", "http://partner-login.example/ and https://partner.example" };
static const char *const headers[] = { "X-Class: red", "X-Class: blue", "X-Other: 1",
	"Content-Transfer-Encoding: x-unheard-of" };
static const char *const subjects[] = { "Files", "Re: invoice 2026", "=?utf-8?q?=C3=A9t=C3=A9?=", "" };
static const char *const people[] = { "x@webmail.example", "y@partner.example", "z@sub.partner.example",
	"a@other.example", "b@example.org", "m@webmail.example", "n@nowhere.example" };

struct rule_text {
	char id[16];
	char text[1400];
};

/* Adds one of the list unless its key stands there already. */
static void
add_one(char *to, const char *c)
{
	char key[40], behind[44];
	size_t n;

	snprintf(key, sizeof(key), "%.*s:", (int)strcspn(c, ":"), c);
	snprintf(behind, sizeof(behind), ", %s", key);
	if (strncmp(to, key, strlen(key)) == 0 || strstr(to, behind))
		return;
	n = strlen(to);
	snprintf(to + n, ONE_MAX - n, "%s%s", n ? ", " : "", c);
}

static void
make_rule(struct rule_text *r, int n, const char *mode)
{
	char when[ONE_MAX] = "", then[ONE_MAX] = "", unless[200] = "";

	snprintf(r->id, sizeof(r->id), "%c%d", 'a' + (int)rnd(26), n);
	for (unsigned i = rnd(4); i > 0; i--)
		add_one(when, PICK(conditions));
	if (rnd(5) == 0)
		snprintf(unless, sizeof(unless), ", unless: {%s}", PICK(conditions));
	if (rnd(4))
		add_one(then, PICK(outcomes));
	if (!*then || rnd(2))
		add_one(then, PICK(changes));
	snprintf(r->text, sizeof(r->text), "  - {id: %s, severity: %s%s, when: {%s}%s, then: {%s}}\n",
	    r->id, PICK(severities), mode, when, unless, then);
}

static void
shuffle(int *v, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int k = (int)rnd((unsigned)i + 1), t = v[i];

		v[i] = v[k];
		v[k] = t;
	}
}

/* These rules, in this order, in that many files. */
static void
load(struct fixture *f, const struct rule_text *rules, const int *order, int n, int nfiles)
{
	struct policy_source files[6] = { 0 };
	struct buf b[6];

	for (int i = 0; i <= nfiles; i++) {
		char *name = arena_printf(f->arena, "%c.yaml", 'z' - (int)rnd(4) * 5 - i);

		buf_init(&b[i], 1 << 20);
		buf_puts(&b[i], i == nfiles ? TOP : "rules:\n");
		for (int k = i; i < nfiles && k < n; k += nfiles)
			buf_puts(&b[i], rules[order[k]].text);
		if (i < nfiles && i >= n)
			buf_puts(&b[i], "  []\n");
		files[i] = (struct policy_source){ name, buf_data(&b[i]) };
	}
	fixture_load_files(f, files, (size_t)nfiles + 1);
	if (!f->p)
		fail_msg("%s", f->said);
	for (int i = 0; i <= nfiles; i++)
		buf_release(&b[i]);
}

static const char *
make_message(struct fixture *f)
{
	struct buf b;
	char *p;

	buf_init(&b, 1 << 16);
	buf_printf(&b, "From: %s\r\n", rnd(3) ? "m.durand@example.org" : "else@elsewhere.example");
	if (rnd(8))
		buf_printf(&b, "Subject: %s\r\n", PICK(subjects));
	for (unsigned i = rnd(3); i > 0; i--)
		buf_printf(&b, "%s\r\n", PICK(headers));
	if (rnd(3) == 0) {
		buf_puts(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee\r\n"
		    "--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF-1.4\r\n--b--\r\n");
	} else {
		buf_puts(&b, "\r\n");
		for (unsigned i = rnd(5); i > 0; i--)
			buf_printf(&b, "%s\r\n", PICK(lines));
	}
	p = arena_str(f->arena, buf_data(&b));
	buf_release(&b);
	return p;
}

static void
make_facts(struct fixture *f)
{
	f->facts = (struct facts){ .now = NOW + (int64_t)rnd(14) * INT64_C(43200000000),
		.av = rnd(6) ? AV_CLEAN : (enum av_state)rnd(AV_STATES) };
	f->env.direction = rnd(3) ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
	f->env.sender = rnd(3) ? SPAN_LIT("m.durand@example.org") : SPAN_LIT("q@elsewhere.example");
	if (rnd(2)) {
		f->facts.spf = (enum auth_result)rnd(9);
		f->facts.dmarc = (enum auth_result)rnd(9);
		f->facts.dnsbl_known = f->facts.spam_known = f->facts.reputation_known = true;
		f->facts.spam_score = (double)rnd(20);
		f->facts.reputation = (uint8_t)rnd(101);
		f->facts.bayes_known = rnd(2);
		f->facts.bayes = (uint8_t)rnd(101);
		f->facts.experience_known = true;
		f->facts.experience = (uint8_t)rnd(101);
	}
}

static void
make_recipients(struct fixture *f, int *order, int n)
{
	f->env.recipients = arena_array(f->arena, (size_t)n, sizeof(*f->env.recipients));
	for (int i = 0; i < n; i++)
		f->env.recipients[i].address = span_str(people[order[i]]);
	f->env.nrecipients = (size_t)n;
}

/* All that reaches anybody; full: and all that is recorded. */
static char *
told(struct fixture *f, size_t i, bool full)
{
	const struct decision *d = &f->v.decisions[i];
	struct buf b;
	char *out;

	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s|" SPAN_FMT "|%d|" SPAN_FMT "|%lld|%d|%d%d|", outcome_name(d->outcome),
	    SPAN_ARG(d->reply), d->require_tls, SPAN_ARG(d->queue), (long long)d->expires, d->on_expire,
	    f->v.unscannable, f->v.undecided);
	for (size_t k = 0; k < d->nredirect; k++)
		buf_printf(&b, SPAN_FMT ",", SPAN_ARG(d->redirect[k]));
	for (size_t k = 0; k < d->nrules; k++)
		buf_printf(&b, "+" SPAN_FMT, SPAN_ARG(d->rules[k]));
	for (size_t k = 0; full && k < d->nshadow; k++)
		buf_printf(&b, "~" SPAN_FMT, SPAN_ARG(d->shadow[k]));
	for (size_t k = 0; full && k < d->nskipped; k++)
		buf_printf(&b, "-" SPAN_FMT, SPAN_ARG(d->skipped[k]));
	buf_printf(&b, "\n%s", fixture_edited(f, i));
	out = arena_str(f->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

static void
identity(int *v, int n)
{
	for (int i = 0; i < n; i++)
		v[i] = i;
}

/* --- order, recipients, replay ---------------------------------------------------------------- */

static void
test_order(void **state)
{
	unsigned outcomes_seen[OUTCOME_COUNT] = { 0 }, edited = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct rule_text rules[12];
		int n = (int)rnd(12) + 1, nto = (int)rnd(5) + 1, order[12], who[7], moved[7];
		struct fixture f, g;
		const char *raw;
		char *json;

		for (int i = 0; i < n; i++)
			make_rule(&rules[i], i, rnd(6) ? "" : ", mode: shadow, review_by: 2028-01-01");
		fixture_begin(&f);
		fixture_begin(&g);
		identity(order, n);
		load(&f, rules, order, n, 1);
		shuffle(order, n);
		load(&g, rules, order, n, (int)rnd(4) + 1);
		identity(who, 7);
		shuffle(who, 7);
		memcpy(moved, who, sizeof(moved));
		shuffle(moved, nto);
		raw = make_message(&f);
		make_facts(&f);
		g.facts = f.facts;
		g.env.direction = f.env.direction;
		g.env.sender = f.env.sender;
		make_recipients(&f, who, nto);
		make_recipients(&g, moved, nto);
		fixture_judge(&f, raw);
		fixture_judge(&g, raw);
		for (int i = 0; i < nto; i++)
			for (int k = 0; k < nto; k++)
				if (who[i] == moved[k]) {
					outcomes_seen[OUTCOME(&f, i)]++;
					edited += f.v.decisions[i].variant > 0;
					assert_string_equal(told(&f, (size_t)i, true), told(&g, (size_t)k, true));
				}
		/* again, after another message has gone through the same policy */
		json = fixture_json(&f);
		make_recipients(&g, who, nto);
		fixture_judge(&g, MAIL("aurora dawn N-111 N-222"));
		fixture_judge(&g, raw);
		assert_string_equal(strstr(json, "\"recipients\""), strstr(fixture_json(&g), "\"recipients\""));
		fixture_judge(&f, raw);
		assert_string_equal(json, fixture_json(&f));
		fixture_end(&f);
		fixture_end(&g);
	}
	/* the rounds have seen what they claim to hold for */
	for (int o = OUTCOME_DELIVER; o < OUTCOME_COUNT; o++)
		assert_true(outcomes_seen[o] > 20);
	assert_true(edited > 200);
}

/* --- shadow ------------------------------------------------------------------------------------- */

static void
test_shadow(void **state)
{
	unsigned hit = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct rule_text rules[14];
		int n = (int)rnd(7), all = n + (int)rnd(7) + 1, order[14], who[7], nto = (int)rnd(5) + 1;
		struct fixture f, g;
		const char *raw;

		for (int i = 0; i < all; i++)
			make_rule(&rules[i], i, i < n ? "" : ", mode: shadow, review_by: 2028-01-01");
		if (rnd(4) == 0)	/* one that gives up */
			snprintf(rules[all - 1].text, sizeof(rules[all - 1].text),
			    "  - {id: zz, mode: shadow, review_by: 2028-01-01, %s, then: {reject: true}}\n",
			    rnd(2) ? "when: {header: {X-Slow: {pattern: '^(a+)+b$'}}}" :
			    "when: {body: {pattern: '(?:a+)+c\\d'}}");
		identity(order, all);
		fixture_begin(&f);
		fixture_begin(&g);
		load(&f, rules, order, n, 1);
		load(&g, rules, order, all, 1);
		identity(who, 7);
		shuffle(who, 7);
		raw = make_message(&f);
		if (rnd(4) == 0)
			raw = arena_printf(f.arena, "X-Slow: %s%s!b\r\n%s%s%s!c1 ac1\r\n",
			    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", raw,
			    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		make_facts(&f);
		g.facts = f.facts;
		g.env.direction = f.env.direction;
		g.env.sender = f.env.sender;
		make_recipients(&f, who, nto);
		make_recipients(&g, who, nto);
		fixture_judge(&f, raw);
		fixture_judge(&g, raw);
		for (size_t i = 0; i < (size_t)nto; i++) {
			hit += g.v.decisions[i].nshadow > 0;
			assert_string_equal(told(&f, i, false), told(&g, i, false));
		}
		fixture_end(&f);
		fixture_end(&g);
	}
	assert_true(hit > 200);
}

/* --- join ----------------------------------------------------------------------------------------- */

/* What joining means, written down once more, as a set that grows: the model. */
struct joined {
	int outcome, tls;
	unsigned queues, redirects;	/* a bit for each */
	int64_t expires;		/* hours, 0: never */
	int on_expire;
	int leader_severity, leader;	/* whose text counts: -1 none */
};

static struct joined
join2(struct joined a, struct joined b)
{
	struct joined r = a;
	bool earlier = b.expires && (!a.expires || b.expires < a.expires);

	r.outcome = a.outcome > b.outcome ? a.outcome : b.outcome;
	r.tls = a.tls > b.tls ? a.tls : b.tls;
	r.queues |= b.queues;
	r.redirects |= b.redirects;
	if (earlier || (b.expires == a.expires && b.on_expire > a.on_expire)) {
		r.expires = b.expires;
		r.on_expire = b.on_expire;
	}
	/* a text counts only where its outcome won */
	if (b.outcome > a.outcome || (b.outcome == a.outcome && b.leader >= 0 && (a.leader < 0 ||
	    b.leader_severity > a.leader_severity ||
	    (b.leader_severity == a.leader_severity && b.leader < a.leader)))) {
		r.leader = b.leader;
		r.leader_severity = b.leader_severity;
	}
	return r;
}

static struct joined
random_effect(int id, struct buf *yaml)
{
	static const char *const tls[] = { "opportunistic", "encrypted", "verified", "dane" };
	static const char *const on_expire[] = { "deliver", "discard", "quarantine", "reject" };
	static const enum outcome expire[] = { OUTCOME_DELIVER, OUTCOME_DISCARD, OUTCOME_QUARANTINE,
		OUTCOME_REJECT };
	struct joined j = { .outcome = OUTCOME_DELIVER, .leader = -1 };
	int severity = (int)rnd(4), what = (int)rnd(8);

	buf_printf(yaml, "  - {id: r%03d, severity: %s, then: {", id, severities[severity]);
	switch (what) {
	case 0:
		buf_printf(yaml, "deliver: true");
		break;
	case 1: {
		unsigned k = rnd(4);

		j.outcome = OUTCOME_REDIRECT;
		j.redirects = 1u << k;
		buf_printf(yaml, "redirect: t%u@r.example", k);
		break;
	}
	case 2:
		j.outcome = OUTCOME_DISCARD;
		buf_printf(yaml, "discard: true");
		break;
	case 3:
		j.outcome = OUTCOME_QUARANTINE;
		buf_printf(yaml, "quarantine: q%03d", id);
		break;
	case 4: case 5: {
		unsigned k = rnd(4), x = rnd(4);

		j.outcome = OUTCOME_HOLD;
		j.queues = 1u << k;
		j.expires = (int64_t)rnd(4);
		buf_printf(yaml, "hold: {for: h%u@example.org", k);
		if (j.expires) {
			j.on_expire = expire[x];
			buf_printf(yaml, ", expires: %dh, on_expire: %s", (int)j.expires, on_expire[x]);
		}
		buf_printf(yaml, "}");
		break;
	}
	case 6:
		j.outcome = OUTCOME_DEFER;
		buf_printf(yaml, "defer: \"4.7.1 text %d.\"", id);
		break;
	case 7:
		j.outcome = OUTCOME_REJECT;
		buf_printf(yaml, "reject: \"5.7.1 text %d.\"", id);
		break;
	}
	if (j.outcome > OUTCOME_REDIRECT) {
		j.leader = id;
		j.leader_severity = severity;
	}
	if (rnd(3) == 0) {
		j.tls = (int)rnd(4) + 1;
		buf_printf(yaml, ", require_tls: %s", tls[j.tls - 1]);
	}
	buf_puts(yaml, "}}\n");
	return j;
}

static bool
joined_eq(struct joined a, struct joined b)
{
	return a.outcome == b.outcome && a.tls == b.tls && a.queues == b.queues &&
	    a.redirects == b.redirects && a.expires == b.expires && a.on_expire == b.on_expire &&
	    a.leader == b.leader;
}

static void
compare(const struct fixture *f, struct joined j)
{
	const struct decision *d = &f->v.decisions[0];
	char text[64];

	assert_int_equal(d->outcome, j.outcome);
	assert_int_equal(d->require_tls, j.tls);
	if (j.outcome == OUTCOME_HOLD) {
		unsigned queues = 0;

		for (unsigned k = 0; k < 4; k++) {
			snprintf(text, sizeof(text), "h%u@example.org", k);
			queues |= (unsigned)(memmem(d->queue.p, d->queue.n, text, strlen(text)) != NULL) << k;
		}
		assert_int_equal(queues, j.queues);
		assert_int_equal(d->expires, j.expires ? NOW + j.expires * INT64_C(3600000000) : 0);
		assert_int_equal(d->on_expire, j.on_expire);
	} else if (j.outcome == OUTCOME_QUARANTINE) {
		snprintf(text, sizeof(text), "q%03d", j.leader);
		assert_true(span_is(d->queue, text));
	} else if (j.outcome >= OUTCOME_DEFER) {
		snprintf(text, sizeof(text), "text %d.", j.leader);
		assert_non_null(memmem(d->reply.p, d->reply.n, text, strlen(text)));
	}
	if (j.outcome == OUTCOME_REDIRECT) {
		unsigned to = 0;

		for (size_t i = 0; i < d->nredirect; i++)
			to |= 1u << (d->redirect[i].p[1] - '0');
		assert_int_equal(to, j.redirects);
	}
}

static void
test_join(void **state)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct joined v[8], left = { .leader = -1, .outcome = OUTCOME_DELIVER }, right = left;
		struct buf yaml;
		int n = (int)rnd(8) + 1, order[8], at = (int)rnd((unsigned)n + 1);
		struct fixture f;

		buf_init(&yaml, 1 << 16);
		buf_puts(&yaml, "rules:\n");
		for (int i = 0; i < n; i++)
			v[i] = random_effect(i, &yaml);
		/* the laws, on the model */
		for (int i = 0; i + 2 < n; i++) {
			assert_true(joined_eq(join2(v[i], v[i + 1]), join2(v[i + 1], v[i])));
			assert_true(joined_eq(join2(join2(v[i], v[i + 1]), v[i + 2]),
			    join2(v[i], join2(v[i + 1], v[i + 2]))));
			assert_true(joined_eq(join2(v[i], v[i]), v[i]));
		}
		/* joined in any grouping and order, some twice */
		identity(order, n);
		shuffle(order, n);
		for (int i = 0; i < at; i++)
			left = join2(left, v[order[i]]);
		for (int i = at; i < n; i++)
			right = join2(v[order[i]], right);
		left = join2(join2(left, right), v[rnd((unsigned)n)]);
		fixture_begin(&f);
		fixture_load(&f, arena_str(f.arena, buf_data(&yaml)));
		buf_release(&yaml);
		fixture_judge(&f, MAIL("x"));
		compare(&f, left);
		fixture_end(&f);
	}
}

static int
setup(void **state)
{
	const char *s = getenv("POLICY_SEED");

	seed = s ? strtoull(s, NULL, 10) : UINT64_C(20261122);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
