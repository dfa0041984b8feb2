/* test_record.c -- what is replayed from a record is what was judged, bit for bit. */
#include <dirent.h>

#include "fs.h"
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

static char *
explained(struct fixture *f, const struct verdict *v, const struct anatomy *an,
    const struct envelope *env, const struct facts *facts)
{
	struct verdict plain = *v;
	struct anatomy nameless = *an;
	struct facts unlinked = *facts;
	struct json j;
	struct buf b;
	char *out;

	plain.nvariants = 0;		/* edits are bytes of the message */
	plain.nrefused = plain.nbcc = plain.nnotices = 0;
	plain.spam.signs = NULL;	/* so are signs: conditions on them keep their answers */
	plain.nurls = 0;		/* and so are links, and what of them came close */
	unlinked.listed_known = false;
	plain.near_misses = arena_array(f->arena, v->nnear_misses + 1, sizeof(*plain.near_misses));
	plain.nnear_misses = 0;
	for (size_t i = 0; i < v->nnear_misses; i++)
		if (!span_starts(v->near_misses[i].text, SPAN_LIT("url:")))
			plain.near_misses[plain.nnear_misses++] = v->near_misses[i];
	nameless.subject = (struct span){ 0 };
	buf_init(&b, 1 << 24);
	json_begin(&j, &b);
	verdict_explain(&plain, f->p, &nameless, env, &unlinked, NULL, &j);
	out = arena_str(f->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

/* A copy in memory of its own size: a read beyond its end is seen. */
static struct span
exactly(struct span s)
{
	char *p = malloc(s.n ? s.n : 1);

	memcpy(p, s.n ? s.p : "", s.n);
	return span_make(p, s.n);
}

/* Judges f->raw, replays its record with the same policy, compares everything. */
static size_t
same_again(struct fixture *f)
{
	struct manifest m;
	struct record r;
	struct replay again;
	struct record_plan *plan;
	struct span bytes;
	struct buf why;

	f->opt = (struct policy_options){ .near_misses = true, .record = true };
	anatomy_build(f->arena, f->raw, NULL, &f->an);
	policy_judge(f->p, &f->an, &f->env, &f->facts, &f->opt, f->arena, &f->v);
	assert_true(f->v.record.n > 0);
	bytes = exactly(f->v.record);
	assert_int_equal(manifest_read(policy_manifest(f->p), f->arena, &m), 0);
	assert_string_equal(arena_str(f->arena, m.policy), policy_hash(f->p));
	assert_int_equal(record_read(bytes, f->arena, &r), 0);
	assert_true(r.manifest == m.key && !r.failed && !r.cut && !r.thin);
	assert_true(r.env.id == f->env.id);
	buf_init(&why, 1 << 20);
	if (!verdict_same(&f->v, &r.verdict, &f->env, &why))
		fail_msg("written down otherwise: %.*s", SPAN_ARG(buf_data(&why)));
	plan = record_plan_new(f->p, &m);
	record_replay(plan, &r, &f->opt, f->arena, &again);
	if (!verdict_same(&f->v, &again.verdict, &f->env, &why))
		fail_msg("replayed otherwise: %.*s", SPAN_ARG(buf_data(&why)));
	assert_false(again.touched);
	assert_string_equal(explained(f, &f->v, &f->an, &f->env, &f->facts),
	    explained(f, &again.verdict, &r.an, &r.env, &r.facts));
	record_plan_free(&plan);
	buf_release(&why);
	free((char *)(uintptr_t)bytes.p);
	return f->v.record.n;
}

static const char *const conditions[] = {
	"from: m.durand@example.org", "from: {not: [group:our-domains]}", "to: [webmail.example]",
	"to: {not: [group:partners]}", "to_all: group:partners", "client: 10.1.2.0/24",
	"recipients: {over: 1}", "size: {over: 400}", "attachments: {over: 0}",
	"subject: {words: [files, été]}", "body: {words: [secret, patient]}",
	"text: {pattern: 'INV-\\d+'}", "header: {X-Class: {words: [internal]}}",
	"header: {Subject: {pattern: '^F'}}", "header: {X-None: {present: false}}",
	"finds: {fr-nir: {min: 1}}", "finds: {payment-card: {min: 2, confidence: low}}",
	"finds: {any: [{iban: {confidence: medium}}, {inv: {count: all, min: 2}}]}",
	"finds: {inv: {in: [body, subject]}}", "finds: {all: [{med: {confidence: medium, count: all}}, {med: {min: 2}}]}",
	"finds: {med: {confidence: high, in: body}}", "finds: {board: {confidence: medium}}", "finds: {board: {confidence: high}}", "attachment: {type: [executable, pdf]}",
	"attachment: {name: ['*.exe'], size: {over: 1}}", "virus: true", "virus: {kind: [pua, macro]}", "unscannable: true",
	"encrypted: false", "attachment: {encrypted: [zip, zip-aes, pdf]}", "attachment: {depth: {over: 1}}",
	"attachment: {type: office-macro}", "defect: [type-mismatch, boundary-unclosed]", "tls: false",
	"direction: outbound", "authenticated: false", "schedule: office", "schedule: {not: office}",
	"spf: [fail, none]", "arc: pass", "dmarc_policy: [quarantine, reject]", "dkim: pass", "dmarc: {not: pass}", "dnsbl: [a.example]", "bounce: [untagged, grace]", "bounce: {not: valid}",
	"spam: [spam, suspected]", "reputation: {under: 50}", "bayes: {over: 59, under: 90}", "experience: {over: 40}", "sign: [no-recipient, html-only, date-old]", "url: {host: [evil.test, .evil.test]}",
	"url: {host: {not: group:our-domains}, text_mismatch: true}", "url: {lookalike_of: [bank.example]}",
	"url: {listed: true}",
};
static const char *const outcomes[] = {
	"reject: true, override: {allow: [m.durand@example.org]}",
	"hold: dpo@example.org, override: {allow: [example.org], justification: subject-tag}",
	"strip_attachment: {matching: {type: pdf}}, on_fail: quarantine", "redact: {detectors: [fr-nir]}, on_fail: hold",
	"append_text: \"Bye\", on_fail: reject",
	"reject: \"5.7.1 no $rule $findings $filenames (ref $ref)\"", "defer: \"4.7.1 later\"",
	"hold: {for: dpo@example.org, expires: 48h, on_expire: reject}", "quarantine: virus",
	"discard: true", "redirect: other@example.org", "add_header: {X-Seen: $rule $findings}",
	"prefix_subject: \"[X]\"", "require_tls: verified", "remove_header: [X-Class]",
};

static void
put_when(struct buf *b, const char *key, size_t n)
{
	static const char *const keys[] = { "from", "to", "to_all", "client", "recipients", "size",
		"attachments", "subject", "body", "text", "header", "finds", "attachment", "virus",
		"unscannable", "encrypted", "defect", "tls", "direction", "authenticated",
		"schedule", "spf", "dkim", "dmarc", "dnsbl", "spam", "reputation", "arc", "dmarc_policy",
		"url", "bounce", "bayes", "experience", "sign" };
	bool used[34] = { false };

	buf_printf(b, "    %s:\n", key);
	for (size_t i = 0; i < n; ) {
		const char *c = conditions[rnd(sizeof(conditions) / sizeof(conditions[0]))];
		size_t k = 0;

		while (strncmp(c, keys[k], strlen(keys[k])) != 0 || c[strlen(keys[k])] != ':')
			k++;
		if (used[k])
			continue;
		used[k] = true;
		buf_printf(b, "      %s\n", c);
		i++;
	}
}

static char *
random_policy(struct arena *a)
{
	static const char *const modes[] = { "enforce", "enforce", "shadow", "off" };
	struct buf b;
	char *out;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "version: 1\nuse: [postern/base, postern/fr-identifiers]\n"
	    "schedules: {office: {days: mon-fri, from: \"07:30\", to: \"19:00\", zone: UTC}}\n"
	    "spam: {source: rspamd, classes: {spam: \">= 12\", suspected: \">= 6\","
	    " marketing: symbol BULK}}\n"
	    "groups: {partners: [partner.example, .partner.example]}\n"
	    "detectors: {inv: {pattern: 'INV-\\d{4}-\\d{6}', near: {words: [facture], within: 40},"
	    " confidence: {alone: low, near: high}},\n"
	    "  med: {lexicon: {patient: 4, secret: 6.5, facture: 3, card: 1}, score: {medium: 7, high: 12, distinct: 2}},\n"
	    "  board: {fingerprint: 'dir:fingerprints/board', overlap: {medium: 25%, high: 50%}}}\nrules:\n");
	for (uint32_t i = 0, n = 1 + rnd(12); i < n; i++) {
		const char *then;
		struct span rule;
		size_t from = buf_size(&b);

		buf_printf(&b, "  - id: r%u\n    severity: %s\n    mode: %s\n", i,
		    rnd(2) ? "high" : "low", modes[rnd(4)]);
		buf_puts(&b, "    review_by: 2027-03-01\n");
		put_when(&b, "when", 1 + rnd(3));
		if (rnd(3) == 0)
			put_when(&b, "unless", 1 + rnd(2));
		then = outcomes[rnd(sizeof(outcomes) / sizeof(outcomes[0]))];
		rule = span_from(buf_data(&b), from);
		if (strstr(then, "override") && memmem(rule.p, rule.n, "virus", 5))
			then = "discard: true";		/* a virus cannot be overridden */
		buf_printf(&b, "    then: {%s}\n", then);
	}
	if (rnd(2)) {
		buf_puts(&b, "exceptions:\n  - id: x\n    rules: [r0]\n");
		put_when(&b, "when", 1);
		buf_puts(&b, "    reason: test\n    until: 2026-12-31\n");
	}
	out = arena_str(a, buf_data(&b));
	buf_release(&b);
	return out;
}

static const char usual[] =
    "From: a@example.org\r\nTo: x@webmail.example\r\nSubject: Files =?utf-8?q?=C3=A9t=C3=A9?=\r\n"
    "X-Class: internal\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    "Card 4111 1111 1111 1111 and 5555 5555 5555 4444 card 4111111111111111, patient NIR 1 84 12 76 451 089 46,\r\n"
    "facture INV-2026-000123 INV-2026-000124 INV-2026-000123 secret\r\n"
    "https://www.evil.test/x https://bank-login.example/\r\n--b\r\n"
    "Content-Type: application/pdf; name=a.exe\r\n\r\nMZ INV-2026-000125\r\n--b--\r\n";

static void
random_message(struct fixture *f, const struct span *corpus, size_t ncorpus)
{
	struct span base = ncorpus && rnd(2) ? corpus[rnd((uint32_t)ncorpus)] : span_str(usual);
	char *p = arena_str(f->arena, base);

	if (base.n > 20000)
		base.n = 20000;
	for (uint32_t i = rnd(8); i > 0 && base.n; i--)
		p[rnd((uint32_t)base.n)] = (char)rnd(256);
	if (rnd(4) == 0) {	/* a piece of a document that is indexed, in the last part */
		char *prose = fixture_prose(f->arena, 1 + rnd(2), 50 + rnd(350));

		p = arena_printf(f->arena, "%.*s\r\n%s\r\nsecret patient\r\n", (int)base.n, p, prose);
		base = span_str(p);
	}
	if (rnd(4) == 0) {	/* words that lift a rule */
		p = arena_printf(f->arena, "X-Postern-Override: agreed with the board\r\nSubject: a [override: because I may]\r\n%s", p);
		base = span_str(p);
	}
	f->raw = span_make(p, rnd(4) ? base.n : rnd((uint32_t)base.n + 1));
}

static void
random_session(struct fixture *f)
{
	static const char *const to[] = { "x@webmail.example", "y@partner.example",
		"z@a.partner.example", "w@example.org", "dpo@example.org" };
	static const char *const from[] = { "m.durand@example.org", "", "b@evil.example" };
	static const struct span symbol = { "BULK", 4 }, list = { "a.example", 9 },
	    evil = { "evil.test", 9 };

	f->env.nrecipients = 1 + rnd(6);
	f->env.recipients = arena_array(f->arena, 8, sizeof(*f->env.recipients));
	for (size_t i = 0; i < f->env.nrecipients; i++)
		f->env.recipients[i].address = span_str(to[rnd(5)]);
	f->env.sender = span_str(from[rnd(3)]);
	f->env.direction = (enum direction)rnd(3);
	f->env.tls = rnd(2) ? SPAN_LIT("TLSv1.3 TLS_AES_256_GCM_SHA384") : (struct span){ 0 };
	f->env.received = NOW - rnd(5000);
	f->facts = (struct facts){ .now = NOW, .av = (enum av_state)rnd(AV_STATES),
		.av_kinds = (uint8_t)(rnd(2) ? rnd(1 << AV_KIND_COUNT) : 0),
		.av_name = SPAN_LIT("Eicar"), .av_engine = SPAN_LIT("libclamav 1.4.6/27500"),
		.spam_known = rnd(2), .spam_score = (double)rnd(200) / 10,
		.spam_symbols = &symbol, .nspam_symbols = rnd(2),
		.dnsbl_known = rnd(2), .dnsbl = &list, .ndnsbl = rnd(2),
		.listed_known = rnd(2), .listed_hosts = &evil, .nlisted_hosts = rnd(2),
		.reputation_known = rnd(2), .reputation = (uint8_t)rnd(101),
		.bayes_known = rnd(2), .bayes = (uint8_t)rnd(101),
		.experience_known = rnd(2), .experience = (uint8_t)rnd(101),
		.spf = (enum auth_result)rnd(9), .dkim = (enum auth_result)rnd(9),
		.dmarc = (enum auth_result)rnd(9), .arc = (enum auth_result)rnd(9),
		.dmarc_asks = (enum dmarc_asks)rnd(DMARC_ASKS_COUNT),
		.bounce = (enum bounce_fact)rnd(BOUNCE_FACTS) };
	if (f->facts.av == AV_VIRUS)
		f->facts.av_kinds |= AV_MALWARE;
	f->facts.now -= (int64_t)rnd(7 * 86400) * 1000000;
	f->env.received = f->facts.now - rnd(5000);
}

static size_t
read_corpus(struct arena *a, const char *dir, struct span *out, size_t max)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;
	struct err err;

	assert_non_null(d);
	while (n < max && (e = readdir(d)) != NULL) {
		char *path = arena_printf(a, "%s/%s", dir, e->d_name);

		if (e->d_name[0] != '.' && fs_read(a, path, 8 << 20, &out[n], &err) == 0)
			n++;
	}
	closedir(d);
	return n;
}

static void
test_random(void **state)
{
	struct arena *a = arena_new(0);
	struct span corpus[200];
	size_t n = read_corpus(a, "tests/corpus/anatomy", corpus, 200), total = 0, largest = 0;
	unsigned rounds = 0;

	assert_true(n > 10);
	for (int i = 0; i < 300; i++) {
		struct fixture f;

		fixture_begin(&f);
		fixture_load(&f, random_policy(f.arena));
		for (int k = 0; k < 10; k++) {
			size_t size;

			random_session(&f);
			random_message(&f, corpus, n);
			size = same_again(&f);
			total += size;
			largest = size > largest ? size : largest;
			rounds++;
		}
		fixture_end(&f);
	}
	print_message("%u random messages: %zu bytes a record, %zu at most\n", rounds,
	    total / rounds, largest);
	arena_free(&a);
}

/* What hangs on the message's own words and parts: an override, edits that could not be made. */
static void
test_actions(void **state)
{
	static const char *const mails[] = {
		"Subject: secret\r\n\r\n.\r\n", "Subject: secret [override: the client asked]\r\n\r\n.\r\n",
		"Subject: secret\r\nX-Postern-Override: the client asked\r\n\r\n.\r\n",
		"Subject: s\r\n\r\ncard 4111 1111 1111 1111\r\n", "Subject: card 4111 1111 1111 1111\r\n\r\n.\r\n",
		"Subject: s\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\ncard 4111 1111 1111 1111\r\n" };
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\ngroups: {dpo: [a@example.org, b@example.org]}\nrules:\n"
	    "  - {id: a, when: {subject: {words: [secret]}}, then: {reject: true, override: {allow: example.org}}}\n"
	    "  - {id: b, when: {finds: payment-card}, then: {redact: this, on_fail: quarantine, notify: sender}}\n"
	    "  - {id: c, when: {finds: payment-card}, then: {hold: {for: group:dpo, approvals: 2}}}\n"
	    "  - {id: d, when: {finds: payment-card}, then: {redact: this, on_fail: reject, bcc: a@example.org}}\n");
	TO(&f, "x@webmail.example", "y@partner.example");
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		f.raw = span_str(mails[i]);
		same_again(&f);
	}
	fixture_end(&f);
}

/* The whole corpus under the policy that ships. */
static void
test_corpus(void **state)
{
	static const char *const folders[] = { "tests/corpus/anatomy", "tests/corpus/detect",
		"tests/corpus/policy", "tests/corpus/smtp_data" };
	struct policy_source files[50];
	struct span texts[50], mails[500];
	struct fixture f;
	size_t nfiles, n = 0;

	fixture_begin(&f);
	nfiles = read_corpus(f.arena, "etc/policy.d", texts, 50);
	for (size_t i = 0; i < nfiles; i++)
		files[i] = (struct policy_source){ arena_printf(f.arena, "%zu.yaml", i), texts[i] };
	fixture_load_files(&f, files, nfiles);
	if (!f.p)
		fail_msg("%s", f.said);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		n += read_corpus(f.arena, folders[i], mails + n, 500 - n);
	assert_true(n > 40);
	for (size_t i = 0; i < n; i++) {
		f.raw = mails[i];
		TO(&f, "x@webmail.example", "y@partner.example");
		same_again(&f);
	}
	fixture_end(&f);
}

/* --- another policy ------------------------------------------------------------------------- */

struct again {
	struct replay replay;
	struct record r;
};

/* The record of f's message, under the policy `then`. */
static struct again
under(struct fixture *f, const char *then, struct fixture *other)
{
	struct record_plan *plan;
	struct manifest m;
	struct again out;

	fixture_begin(other);
	fixture_load(other, then);
	assert_int_equal(manifest_read(policy_manifest(f->p), f->arena, &m), 0);
	assert_int_equal(record_read(f->v.record, f->arena, &out.r), 0);
	plan = record_plan_new(other->p, &m);
	record_replay(plan, &out.r, NULL, f->arena, &out.replay);
	record_plan_free(&plan);
	return out;
}

#define BASE "version: 1\nuse: [postern/base, postern/fr-identifiers]\n" \
	"detectors: {inv: {pattern: 'INV-\\d+'}}\nrules:\n"
#define FIRST BASE "  - {id: a, when: {finds: {inv: {min: 3}}}, then: {reject: \"5.7.1 no\"}}\n" \
	"  - {id: b, when: {body: {words: [secret]}, to: [nobody.example]}, then: {quarantine: q}}\n"

static void
start(struct fixture *f, const char *yaml)
{
	fixture_begin(f);
	fixture_load(f, yaml);
	f->opt.record = true;
	fixture_judge(f, MAIL("INV-1 INV-2 INV-1, it is secret"));
}

static void
test_another_policy(void **state)
{
	struct fixture f, g;
	struct again x;

	start(&f, FIRST);
	assert_outcome(&f, 0, "deliver");
	/* fewer are enough now */
	x = under(&f, BASE "  - {id: a, when: {finds: {inv: {min: 2}}}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_false(x.replay.unsure || x.replay.touched);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_REJECT);
	fixture_end(&g);
	/* all of them, equal ones too */
	x = under(&f, BASE "  - {id: a, when: {finds: {inv: {min: 3, count: all}}}, then: {hold: {for: a@b.example}}}\n", &g);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_HOLD);
	fixture_end(&g);
	/* the same text condition, elsewhere */
	x = under(&f, BASE "  - {id: c, when: {body: {words: [secret]}, finds: inv}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_false(x.replay.unsure || x.replay.touched);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_REJECT);
	fixture_end(&g);
	fixture_end(&f);
}

static void
test_what_cannot_be_known(void **state)
{
	struct fixture f, g;
	struct again x;

	start(&f, FIRST);
	/* other words */
	x = under(&f, BASE "  - {id: a, when: {body: {words: [secret, hidden]}}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_true(x.replay.unsure);
	assert_string_equal(arena_str(f.arena, x.replay.why), "body");
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_DELIVER);
	assert_int_equal(x.replay.upper.decisions[0].outcome, OUTCOME_REJECT);
	fixture_end(&g);
	/* the same words elsewhere in the message */
	x = under(&f, BASE "  - {id: a, when: {subject: {words: [secret]}}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_true(x.replay.unsure);
	fixture_end(&g);
	/* a detector that was not there, and one that was another */
	x = under(&f, BASE "  - {id: a, when: {finds: iban}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_true(x.replay.unsure);
	assert_string_equal(arena_str(f.arena, x.replay.why), "finds iban");
	fixture_end(&g);
	x = under(&f, "version: 1\ndetectors: {inv: {pattern: 'INV-\\d\\d+'}}\nrules:\n"
	    "  - {id: a, when: {finds: inv}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_true(x.replay.unsure);
	fixture_end(&g);
	/* unknown, and of no consequence: another condition does not hold, or the outcome stands */
	x = under(&f, BASE "  - {id: a, when: {body: {words: [x]}, to: [nobody.example]}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_false(x.replay.unsure);
	fixture_end(&g);
	x = under(&f, BASE "  - {id: a, when: {body: {words: [x]}}, then: {quarantine: q}}\n"
	    "  - {id: b, when: {finds: inv}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_false(x.replay.unsure);
	assert_true(x.replay.touched);
	assert_int_equal(x.replay.upper.decisions[0].nrules, 2);
	fixture_end(&g);
	/* in `unless` the unknown speaks the other way */
	x = under(&f, BASE "  - {id: a, when: {finds: inv}, unless: {body: {words: [x]}}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_true(x.replay.unsure);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_DELIVER);
	assert_int_equal(x.replay.upper.decisions[0].outcome, OUTCOME_REJECT);
	fixture_end(&g);
	fixture_end(&f);
}

#define GROUPS "version: 1\ngroups: {a: \"ldap:CN=A,DC=x\", b: \"ldap:CN=B,DC=x\"}\nrules:\n"

/* Who was in a group of a directory is known where the policy of then asked; that nobody answered is a
 * fact of then, that nobody asked is not. */
static void
test_groups_of_directories(void **state)
{
	static const struct span who = { "m.durand@example.org", 20 }, group = { "CN=A,DC=x", 9 };
	static const uint8_t is[] = { MEMBER_YES }, away[] = { MEMBER_UNKNOWN };
	static const char first[] = GROUPS "  - {id: r, when: {from: group:a}, then: {reject: \"5.7.1 no\"}}\n";
	struct fixture f, g;
	struct again x;

	fixture_begin(&f);
	fixture_load(&f, first);
	f.opt.record = true;
	f.facts.members = (struct memberships){ .addresses = &who, .naddresses = 1, .groups = &group,
		.ngroups = 1, .grid = is };
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "reject");
	x = under(&f, first, &g);
	assert_false(x.replay.touched);
	assert_true(verdict_same(&f.v, &x.replay.verdict, &f.env, NULL));
	fixture_end(&g);
	x = under(&f, GROUPS "  - {id: r, when: {from: group:b}, then: {reject: \"5.7.1 no\"}}\n", &g);
	assert_true(x.replay.unsure);
	assert_string_equal(arena_str(f.arena, x.replay.why), "from");
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_DELIVER);
	fixture_end(&g);
	f.facts.members.grid = away;
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "defer");
	x = under(&f, first, &g);
	assert_false(x.replay.touched);
	assert_true(verdict_same(&f.v, &x.replay.verdict, &f.env, NULL));
	fixture_end(&g);
	fixture_end(&f);
}

/* No matched text, no hash of one, no text of the message. */
static void
test_no_content(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, BASE "  - {id: a, when: {finds: {any: [fr-nir, payment-card]}}, then: {reject: \"5.7.1 no\"}}\n");
	f.opt.record = true;
	fixture_judge(&f, MAIL("patient 1 84 12 76 451 089 46, card 4111 1111 1111 1111, something private"));
	assert_outcome(&f, 0, "reject");
	assert_null(memmem(f.v.record.p, f.v.record.n, "451 089", 7));
	assert_null(memmem(f.v.record.p, f.v.record.n, "4111 1", 6));
	assert_null(memmem(f.v.record.p, f.v.record.n, "private", 7));
	assert_null(memmem(f.v.record.p, f.v.record.n, "Files", 5));
	fixture_end(&f);
}

static void
test_limit(void **state)
{
	struct fixture f, g;
	struct again x;
	struct buf b;

	start(&f, FIRST);
	buf_init(&b, RECORD_BYTES_MAX);
	buf_span(&b, f.v.record);
	record_add_limit(&b, SPAN_LIT("per-sender"), SPAN_LIT("dpo@example.org"));
	f.v.record = arena_span(f.arena, buf_data(&b));
	buf_release(&b);
	x = under(&f, FIRST "limits:\n  - {id: per-sender, per: sender, allow: 300 recipients / 1h,"
	    " then: {hold: {for: dpo@example.org}}}\n", &g);
	assert_string_equal(arena_str(f.arena, x.r.limit_rule), "per-sender");
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_DELIVER);
	record_limit(g.p, &x.r, &x.replay.verdict);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_HOLD);
	fixture_end(&g);
	x = under(&f, FIRST, &g);	/* the limit is gone */
	record_limit(g.p, &x.r, &x.replay.verdict);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_DELIVER);
	fixture_end(&g);
	fixture_end(&f);
}

static void
test_failed(void **state)
{
	struct fixture f, g;
	struct again x;

	start(&f, "version: 1\ndefaults: {on_scan_error: defer}\n");
	f.facts.av = AV_FAILED;
	policy_verdict_failed(f.p, &f.env, false, SPAN_LIT("The engine is away"), f.arena, &f.v);
	f.v.record = record_failed(f.p, &f.an, &f.env, &f.facts, &f.v, SPAN_LIT("The engine is away"),
	    f.arena);
	x = under(&f, "version: 1\ndefaults: {on_scan_error: defer}\n", &g);
	assert_true(x.r.failed);
	assert_true(verdict_same(&f.v, &x.replay.verdict, &f.env, NULL));
	fixture_end(&g);
	x = under(&f, "version: 1\ndefaults: {on_scan_error: quarantine}\n", &g);
	assert_int_equal(x.replay.verdict.decisions[0].outcome, OUTCOME_QUARANTINE);
	fixture_end(&g);
	fixture_end(&f);
}

/* Many matches are few bytes; too many parts are not written, and the record says so. */
static void
test_bounds(void **state)
{
	struct fixture f, g;
	struct again x;
	struct buf b;

	fixture_begin(&f);
	fixture_load(&f, FIRST);
	f.opt.record = true;
	buf_init(&b, 8 << 20);
	buf_puts(&b, HEAD "\r\n");
	for (int i = 0; i < 9000; i++)
		buf_printf(&b, "INV-%d INV-7\r\n", i);
	f.raw = arena_span(f.arena, buf_data(&b));
	TO(&f, "x@webmail.example");
	assert_true(same_again(&f) < 60000);
	assert_outcome(&f, 0, "reject");

	buf_reset(&b);
	buf_puts(&b, HEAD "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 1900; i++)
		buf_printf(&b, "--b\r\nContent-Type: text/plain; name=\"%0200d.txt\"\r\n\r\nINV-%d\r\n", i, i);
	buf_puts(&b, "--b--\r\n");
	f.raw = arena_span(f.arena, buf_data(&b));
	anatomy_build(f.arena, f.raw, NULL, &f.an);
	policy_judge(f.p, &f.an, &f.env, &f.facts, &f.opt, f.arena, &f.v);
	assert_true(f.v.record.n > 0 && f.v.record.n <= RECORD_BYTES_MAX);
	x = under(&f, FIRST, &g);
	assert_true(x.r.cut);
	assert_true(x.replay.unsure);
	assert_int_equal(x.r.verdict.decisions[0].outcome, OUTCOME_REJECT);
	fixture_end(&g);
	buf_release(&b);
	fixture_end(&f);
}

/* Whatever is done to the bytes: it is refused, or it is replayed. */
static void
test_damage(void **state)
{
	struct fixture f;
	struct manifest m;
	struct record_plan *plan;
	struct span whole;

	fixture_begin(&f);
	fixture_load(&f, random_policy(f.arena));
	random_session(&f);
	f.raw = span_str(usual);
	same_again(&f);
	whole = f.v.record;
	assert_int_equal(manifest_read(policy_manifest(f.p), f.arena, &m), 0);
	plan = record_plan_new(f.p, &m);
	for (size_t i = 0; i < 20000; i++) {
		struct arena *a = arena_new(0);
		struct span bytes = exactly(span_sub(whole, 0, i < whole.n ? i : whole.n));
		struct replay again;
		struct record r;

		for (uint32_t k = i < whole.n ? 0 : 1 + rnd(4); k > 0; k--)
			((char *)(uintptr_t)bytes.p)[rnd((uint32_t)bytes.n)] = (char)rnd(256);
		if (record_read(bytes, a, &r) == 0) {
			record_replay(plan, &r, &f.opt, a, &again);
			assert_int_equal(again.verdict.ndecisions, r.env.nrecipients);
		}
		free((char *)(uintptr_t)bytes.p);
		arena_free(&a);
	}
	for (size_t i = 0; i < policy_manifest(f.p).n; i++) {
		struct span bytes = exactly(span_sub(policy_manifest(f.p), 0, i));

		assert_int_equal(manifest_read(bytes, f.arena, &m), -1);
		free((char *)(uintptr_t)bytes.p);
	}
	record_plan_free(&plan);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_actions), cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_another_policy), cmocka_unit_test(test_what_cannot_be_known),
		cmocka_unit_test(test_groups_of_directories), cmocka_unit_test(test_no_content), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_failed), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
