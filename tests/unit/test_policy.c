/* test_policy.c -- what policies mean: conditions, outcomes, ties, defaults, edits. */
#include "policy_fixture.h"

#define PACKS "version: 1\nuse: [postern/base, postern/fr-identifiers]\n"
#define NIR3 "1 84 12 76 451 089 46"

static void
test_empty(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "");
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "deliver");
	assert_int_equal(f.v.decisions[0].variant, 0);
	assert_int_equal(f.v.nvariants, 1);
	fixture_end(&f);
}

static void
test_addresses(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f,
	    "groups:\n"
	    "  partners: 'file:lists/partners.txt'\n"
	    "  ours: [group:our-domains, .example.org]\n"
	    "rules:\n"
	    "  - {id: a-exact, when: {from: M.DURAND@example.org}, then: {deliver: true}}\n"
	    "  - {id: b-domain, when: {from: example.org}, then: {deliver: true}}\n"
	    "  - {id: c-sub, when: {from: .example.org}, then: {deliver: true}}\n"
	    "  - {id: d-group, when: {to: group:partners}, then: {quarantine: p}}\n"
	    "  - {id: e-not, when: {to: {not: [group:partners, webmail.example]}}, then: {hold: boss@example.org}}\n"
	    "  - {id: f-all, when: {to_all: [webmail.example, group:partners]}, then: {deliver: true}}\n"
	    "  - {id: g-hf, when: {header_from: group:ours}, then: {deliver: true}}\n"
	    "  - {id: h-client, when: {client: network:exchange}, then: {deliver: true}}\n"
	    "  - {id: i-none, when: {to_all: {not: group:partners}}, then: {deliver: true}}\n"
	    "  - {id: j-idn, when: {to: bücher.example}, then: {discard: true}}\n");
	TO(&f, "x@webmail.example", "y@deep.partner.example", "bob@other.example", "z@elsewhere.example",
	    "a@xn--bcher-kva.example");
	fixture_judge(&f, MAIL("hello"));
	assert_true(HIT(&f, 0, "a-exact"));
	assert_true(HIT(&f, 0, "b-domain"));
	assert_false(HIT(&f, 0, "c-sub"));
	assert_false(HIT(&f, 0, "d-group"));
	assert_false(HIT(&f, 0, "e-not"));
	assert_outcome(&f, 0, "deliver");
	assert_outcome(&f, 1, "quarantine");
	assert_outcome(&f, 2, "quarantine");
	assert_outcome(&f, 3, "hold");
	assert_string_equal(arena_str(f.arena, f.v.decisions[3].queue), "boss@example.org");
	assert_true(HIT(&f, 4, "j-idn"));
	assert_false(HIT(&f, 0, "f-all"));
	assert_true(HIT(&f, 0, "g-hf"));
	assert_true(HIT(&f, 0, "h-client"));
	assert_false(HIT(&f, 0, "i-none"));
	TO(&f, "x@webmail.example", "y@partner.example");
	fixture_judge(&f, MAIL("hello"));
	assert_true(HIT(&f, 0, "f-all"));
	TO(&f, "x@webmail.example", "y@none.example");
	fixture_judge(&f, MAIL("hello"));
	assert_true(HIT(&f, 0, "i-none"));
	f.env.sender = SPAN_LIT("");
	fixture_load(&f, "rules:\n  - {id: n, when: {from: '<>'}, then: {discard: true}}\n");
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "discard");
	fixture_end(&f);
}

static void
test_session(void **state)
{
	struct fixture f;
	const char *yaml =
	    "rules:\n"
	    "  - {id: auth, when: {authenticated: true}, then: {deliver: true}}\n"
	    "  - {id: noauth, when: {authenticated: false}, then: {deliver: true}}\n"
	    "  - {id: alice, when: {authenticated: [Alice]}, then: {deliver: true}}\n"
	    "  - {id: tls, when: {tls: true}, then: {deliver: true}}\n"
	    "  - {id: listener, when: {listener: [smart-host]}, then: {deliver: true}}\n"
	    "  - {id: out, when: {direction: outbound}, then: {deliver: true}}\n"
	    "  - {id: in, direction: inbound, then: {reject: true}}\n"
	    "  - {id: many, when: {recipients: {over: 1}}, then: {deliver: true}}\n"
	    "  - {id: big, when: {size: {over: 1KiB}}, then: {deliver: true}}\n"
	    "  - {id: small, when: {size: {under: 1KiB}}, then: {deliver: true}}\n";

	fixture_begin(&f);
	fixture_load(&f, yaml);
	fixture_judge(&f, MAIL("hello"));
	assert_true(HIT(&f, 0, "noauth") && HIT(&f, 0, "out") && HIT(&f, 0, "small"));
	assert_false(HIT(&f, 0, "auth") || HIT(&f, 0, "alice") || HIT(&f, 0, "tls") ||
	    HIT(&f, 0, "listener") || HIT(&f, 0, "in") || HIT(&f, 0, "many") || HIT(&f, 0, "big"));
	f.env.user = SPAN_LIT("alice");
	f.env.tls = SPAN_LIT("TLSv1.3");
	f.env.listener = SPAN_LIT("smart-host");
	f.env.direction = DIRECTION_INBOUND;
	TO(&f, "a@example.org", "b@example.org");
	fixture_judge(&f, MAIL("hello"));
	assert_true(HIT(&f, 0, "auth") && HIT(&f, 0, "alice") && HIT(&f, 0, "tls") &&
	    HIT(&f, 0, "listener") && HIT(&f, 0, "in") && HIT(&f, 0, "many"));
	assert_false(HIT(&f, 0, "out") || HIT(&f, 0, "noauth"));
	fixture_end(&f);
}

static void
test_texts(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f,
	    "rules:\n"
	    "  - {id: subject, when: {subject: {words: [FILES]}}, then: {deliver: true}}\n"
	    "  - {id: body, when: {body: {words: secret}}, then: {deliver: true}}\n"
	    "  - {id: body-subject, when: {body: {words: files}}, then: {deliver: true}}\n"
	    "  - {id: text, when: {text: {pattern: '(?i)\\bsec\\w+t\\b'}}, then: {deliver: true}}\n"
	    "  - {id: header, when: {header: {X-Class: {pattern: '^conf'}}}, then: {deliver: true}}\n"
	    "  - {id: absent, when: {header: {X-Class: {present: false}}}, then: {deliver: true}}\n"
	    "  - {id: received, when: {header: {received: {words: gw}}}, then: {deliver: true}}\n");
	fixture_judge(&f, "Received: by gw.example\r\n" HEAD "X-Class: public\r\nX-Class: confidential\r\n\r\nvery Secret indeed\r\n");
	assert_true(HIT(&f, 0, "subject"));
	assert_true(HIT(&f, 0, "body"));
	assert_false(HIT(&f, 0, "body-subject"));
	assert_true(HIT(&f, 0, "text"));
	assert_true(HIT(&f, 0, "header"));
	assert_false(HIT(&f, 0, "absent"));
	assert_true(HIT(&f, 0, "received"));
	fixture_judge(&f, MAIL("nothing"));
	assert_true(HIT(&f, 0, "absent") && HIT(&f, 0, "subject"));
	assert_int_equal(f.v.decisions[0].nrules, 2);
	assert_int_equal(f.v.nfindings, 0);	/* conditions' own words are no findings */
	fixture_end(&f);
}

static void
test_finds(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, PACKS
	    "detectors:\n"
	    "  invoice:\n"
	    "    pattern: '\\bINV-\\d{4}-\\d{6}\\b'\n"
	    "    near: {words: [invoice, facture], within: 80}\n"
	    "    confidence: {alone: low, near: high}\n"
	    "    mask: last-4\n"
	    "    samples: {match: ['facture INV-2026-000123'], no_match: ['INV-26-1']}\n"
	    "  names: {words: ['Projet Aurore']}\n"
	    "rules:\n"
	    "  - {id: one, when: {finds: invoice}, then: {deliver: true}}\n"
	    "  - {id: two, when: {finds: {invoice: {min: 2}}}, then: {deliver: true}}\n"
	    "  - {id: two-all, when: {finds: {invoice: {min: 2, count: all}}}, then: {deliver: true}}\n"
	    "  - {id: high, when: {finds: {invoice: {confidence: high}}}, then: {deliver: true}}\n"
	    "  - {id: either, when: {finds: [names, invoice]}, then: {deliver: true}}\n"
	    "  - {id: both, when: {finds: {all: [names, invoice]}}, then: {deliver: true}}\n"
	    "  - {id: nested, when: {finds: {any: [{all: [names, invoice]}, names]}}, then: {deliver: true}}\n"
	    "  - {id: in-subject, when: {finds: {invoice: {in: subject}}}, then: {deliver: true}}\n"
	    "  - {id: in-body, when: {finds: {invoice: {in: [body, subject]}}}, then: {deliver: true}}\n");
	fixture_judge(&f, MAIL("INV-2026-000123 and again INV-2026-000123"));
	assert_true(HIT(&f, 0, "one") && HIT(&f, 0, "two-all") && HIT(&f, 0, "either") &&
	    HIT(&f, 0, "in-body"));
	assert_false(HIT(&f, 0, "two") || HIT(&f, 0, "high") || HIT(&f, 0, "both") ||
	    HIT(&f, 0, "nested") || HIT(&f, 0, "in-subject"));
	assert_int_equal(f.v.nfindings, 1);
	assert_int_equal(f.v.findings[0].count, 2);
	assert_int_equal(f.v.findings[0].distinct, 1);
	fixture_judge(&f, MAIL("projet aurore: the facture INV-2026-000123"));
	assert_true(HIT(&f, 0, "both") && HIT(&f, 0, "nested") && HIT(&f, 0, "high"));
	fixture_end(&f);
}

#define ATTACHED(type, name, data) \
	HEAD "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
	"--b\r\nContent-Type: text/plain\r\n\r\nsee file\r\n" \
	"--b\r\nContent-Type: " type "\r\nContent-Disposition: attachment; filename=\"" name "\"\r\n" \
	"Content-Transfer-Encoding: base64\r\n\r\n" data "\r\n--b--\r\n"
#define MZ "TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAAA4fug4AtAnNIbgBTM0hVGhpcyBwcm9ncmFt"
#define PDF "JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyPDw+PgolJUVPRgo="

static void
test_attachments(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f,
	    "rules:\n"
	    "  - {id: exe, when: {attachment: {type: [executable, script]}}, then: {reject: \"5.7.1 No programs: $filenames\"}}\n"
	    "  - {id: named, when: {attachment: {name: '*.pdf'}}, then: {deliver: true}}\n"
	    "  - {id: ext, when: {attachment: {extension: [.PDF, com]}}, then: {deliver: true}}\n"
	    "  - {id: same, when: {attachment: {type: pdf, name: '*.exe'}}, then: {deliver: true}}\n"
	    "  - {id: any, when: {attachments: {over: 0}}, then: {deliver: true}}\n"
	    "  - {id: big, when: {attachment: {size: {over: 10KB}}}, then: {deliver: true}}\n");
	fixture_judge(&f, ATTACHED("application/pdf", "report.pdf", MZ));
	assert_outcome(&f, 0, "reject");
	assert_true(HIT(&f, 0, "exe") && HIT(&f, 0, "named") && HIT(&f, 0, "ext") && HIT(&f, 0, "any"));
	assert_non_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "report.pdf"));
	fixture_judge(&f, ATTACHED("application/pdf", "a.pdf. ", PDF));
	assert_outcome(&f, 0, "deliver");
	assert_true(HIT(&f, 0, "named") && HIT(&f, 0, "ext"));
	assert_false(HIT(&f, 0, "same") || HIT(&f, 0, "big"));
	fixture_judge(&f, MAIL("none"));
	assert_int_equal(f.v.decisions[0].nrules, 0);
	fixture_end(&f);
}

static void
test_split(void **state)
{
	struct fixture f;
	const char *const nine[] = { "postern/base" };

	fixture_begin(&f);
	fixture_load(&f, PACKS
	    "groups: {partners: [partner.example], dpo: [dpo@example.org]}\n"
	    "rules:\n"
	    "  - id: health\n"
	    "    direction: outbound\n"
	    "    when: {to: {not: [group:partners, group:our-domains]}, finds: {fr-nir: {min: 1}}}\n"
	    "    unless: {from: group:dpo}\n"
	    "    then: {hold: {for: group:dpo, expires: 48h, on_expire: reject}}\n");
	TO(&f, "x@webmail.example", "y@partner.example", "z@example.org");
	fixture_judge(&f, MAIL("Numero de securite sociale " NIR3));
	assert_outcome(&f, 0, "hold");
	assert_outcome(&f, 1, "deliver");
	assert_outcome(&f, 2, "deliver");
	assert_true(span_is(f.v.decisions[0].queue, "dpo"));
	assert_true(f.v.decisions[0].expires == NOW + INT64_C(48) * 3600 * 1000000);
	assert_int_equal(f.v.decisions[0].on_expire, OUTCOME_REJECT);
	f.env.sender = SPAN_LIT("dpo@example.org");
	fixture_judge(&f, MAIL("Numero de securite sociale " NIR3));
	assert_outcome(&f, 0, "deliver");
	assert_true(SKIPPED(&f, 0, "health"));
	assert_non_null(nine[0]);
	fixture_end(&f);
}

static void
test_shadow(void **state)
{
	struct fixture f;
	const struct policy_as_if as_if[] = { { { "try", 3 }, { "enforce", 7 } } };

	fixture_begin(&f);
	fixture_load(&f,
	    "rules:\n"
	    "  - {id: try, mode: shadow, review_by: 2027-01-01, when: {subject: {words: files}},\n"
	    "     then: {reject: true, add_header: {X-A: b}, prefix_subject: '[X]'}}\n"
	    "  - {id: gone, mode: off, then: {reject: true}}\n");
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "deliver");
	assert_true(SHADOW(&f, 0, "try"));
	assert_false(HIT(&f, 0, "try") || HIT(&f, 0, "gone") || SHADOW(&f, 0, "gone"));
	assert_int_equal(f.v.decisions[0].variant, 0);
	assert_string_equal(fixture_edited(&f, 0), MAIL("hello"));
	f.opt = (struct policy_options){ .as_if = as_if, .nas_if = 1 };
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "reject");
	fixture_end(&f);
}

static void
test_exceptions(void **state)
{
	struct fixture f;
	const char *yaml =
	    "rules:\n"
	    "  - {id: a, tags: [x], then: {reject: true}}\n"
	    "  - {id: b, then: {quarantine: q}}\n"
	    "exceptions:\n"
	    "  - {id: e, tags: [x], when: {from: m.durand@example.org, to: webmail.example}, reason: y, until: 2026-12-31}\n";

	fixture_begin(&f);
	fixture_load(&f, yaml);
	TO(&f, "x@webmail.example", "y@else.example");
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "quarantine");
	assert_true(SKIPPED(&f, 0, "a"));
	assert_outcome(&f, 1, "reject");
	f.facts.now = INT64_C(1798761599999999);	/* the last microsecond of 2026 */
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "quarantine");
	f.facts.now++;
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "reject");
	fixture_end(&f);
}

static void
test_ties(void **state)
{
	struct fixture f;
	char *reply;

	fixture_begin(&f);
	fixture_load(&f,
	    "groups: {dpo: [d@example.org], legal: [l@example.org]}\n"
	    "rules:\n"
	    "  - {id: z, severity: high, when: {subject: {words: files}}, then: {reject: \"5.7.9 high $rule\"}}\n"
	    "  - {id: a, severity: medium, when: {subject: {words: files}}, then: {reject: \"medium\"}}\n"
	    "  - {id: y, severity: high, when: {subject: {words: files}}, then: {reject: \"5.7.8 first ($ref)\"}}\n"
	    "  - {id: h1, when: {subject: {words: holds}}, then: {hold: {for: dpo, expires: 2d}}}\n"
	    "  - {id: h2, when: {subject: {words: holds}}, then: {hold: {for: group:legal, expires: 1h, on_expire: deliver}}}\n"
	    "  - {id: h3, when: {subject: {words: holds}}, then: {hold: group:dpo}}\n"
	    "  - {id: r1, when: {subject: {words: moves}}, then: {redirect: [a@x.example, b@x.example]}}\n"
	    "  - {id: r2, when: {subject: {words: moves}}, then: {redirect: a@x.example}}\n"
	    "  - {id: r3, when: {subject: {words: moves}}, then: discard}\n");
	fixture_judge(&f, MAIL("hello"));
	reply = arena_str(f.arena, f.v.decisions[0].reply);
	assert_non_null(strstr(reply, "5.7.8 first ("));
	assert_null(strstr(reply, "(ref"));	/* it names the message already */
	fixture_judge(&f, "Subject: holds\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "hold");
	assert_true(span_is(f.v.decisions[0].queue, "dpo,legal"));
	assert_true(f.v.decisions[0].expires == NOW + INT64_C(3600) * 1000000);
	assert_int_equal(f.v.decisions[0].on_expire, OUTCOME_DELIVER);
	fixture_judge(&f, "Subject: moves\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "discard");
	assert_int_equal(f.v.decisions[0].nredirect, 0);
	fixture_end(&f);
}

static void
test_replies(void **state)
{
	struct fixture f;
	char *reply;

	fixture_begin(&f);
	fixture_load(&f,
	    "rules:\n"
	    "  - {id: a, when: {subject: {words: one}}, then: {reject: \"Pièce refusée: $sender\"}}\n"
	    "  - {id: b, when: {subject: {words: two}}, then: {defer: true}}\n"
	    "  - {id: c, when: {subject: {words: three}}, then: {reject: \"costs $$5 or $5\"}}\n");
	f.env.sender = SPAN_LIT("\"a\r\n250 ok\"@example.org");
	fixture_judge(&f, "Subject: one\r\n\r\n.\r\n");
	reply = arena_str(f.arena, f.v.decisions[0].reply);
	assert_non_null(strstr(reply, "5.7.1 Piece refusee: "));
	assert_null(strpbrk(reply, "\r\n"));
	assert_non_null(strstr(reply, " (ref "));
	fixture_judge(&f, "Subject: two\r\n\r\n.\r\n");
	assert_outcome(&f, 0, "defer");
	assert_non_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "4.7.1 "));
	fixture_judge(&f, "Subject: three\r\n\r\n.\r\n");
	assert_non_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "costs $5 or $5 (ref "));
	fixture_end(&f);
}

static void
finds(struct fixture *f, const char *name)
{
	enum av_kind k;

	f->facts.av_name = span_str(name);
	f->facts.av = AV_UNSCANNABLE;
	f->facts.av_kinds = 0;
	if (av_kind_of(f->facts.av_name, &k)) {
		f->facts.av = k == AV_KIND_MALWARE ? AV_VIRUS : AV_SUSPECT;
		f->facts.av_kinds = (uint8_t)(1u << k);
	}
}

/* `virus: true` is malware alone; the rest has kinds, and what no rule judges is kept. */
static void
test_virus_kinds(void **state)
{
	static const struct { const char *name, *outcome, *rule; } cases[] = {
		{ "Win.Trojan.Agent-1", "quarantine", "virus" },
		{ "Eicar-Test.UNOFFICIAL", "quarantine", "virus" },
		{ "PUA.Win.Packer.Upx-1", "reject", "tools" },
		{ "PUA.Own.Tool.UNOFFICIAL", "reject", "tools" },
		{ "Heuristics.OLE2.ContainsMacros.VBA", "hold", "macros" },
		{ "Heuristics.Phishing.Email.SpoofedDomain", "quarantine", "defaults/suspect" },
		{ "Phishing.Email.Bank-2", "quarantine", "defaults/suspect" },
		{ "Heuristics.Broken.Executable", "quarantine", "defaults/suspect" },
		{ "Heuristics.Limits.Exceeded.MaxFileSize", "hold", "defaults/on_unscannable" },
		{ "Heuristics.Encrypted.Zip", "hold", "defaults/on_unscannable" },
	};
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "use: [postern/base]\ngroups: {dpo: [dpo@example.org]}\nrules:\n"
	    "  - {id: tools, when: {virus: {kind: pua}}, then: {reject: true}}\n"
	    "  - {id: macros, when: {virus: {kind: [macro]}}, then: {hold: group:dpo}}\n"
	    "  - {id: seen, when: {virus: {kind: [phishing, heuristic]}}, then: {add_header: {X-Seen: 'yes'}}}\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		finds(&f, cases[i].name);
		fixture_judge(&f, MAIL("x"));
		if (!HIT(&f, 0, cases[i].rule))
			fail_msg("%s: not %s", cases[i].name, cases[i].rule);
		assert_outcome(&f, 0, cases[i].outcome);
	}
	/* Two things at once: both rules speak. */
	finds(&f, "Win.Trojan.Agent-1");
	f.facts.av_kinds |= 1u << AV_KIND_PUA;
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "virus") && HIT(&f, 0, "tools"));
	assert_outcome(&f, 0, "reject");
	/* A tool in a message that could not be looked into is still a tool. */
	f.facts.av = AV_UNSCANNABLE;
	f.facts.av_kinds = 1u << AV_KIND_PUA;
	fixture_judge(&f, MAIL("x"));
	assert_true(HIT(&f, 0, "tools") && HIT(&f, 0, "defaults/on_unscannable"));
	/* A rule may let a kind pass; `malware` is a kind like the others. */
	fixture_load(&f, "rules:\n  - {id: tools, when: {virus: {kind: pua}}, then: deliver}\n"
	    "  - {id: bad, when: {virus: {kind: malware}}, then: {discard: true}}\n");
	finds(&f, "PUA.Win.Packer.Upx-1");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "deliver");
	finds(&f, "Win.Trojan.Agent-1");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "discard");
	assert_true(HIT(&f, 0, "bad") && !HIT(&f, 0, "defaults/virus"));
	fixture_end(&f);
}

static void
test_virus(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	f.facts.av = AV_VIRUS;
	fixture_load(&f, "");			/* nobody judges: not delivered */
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "quarantine");
	assert_true(span_is(f.v.decisions[0].queue, "virus"));
	assert_true(HIT(&f, 0, "defaults/virus"));
	fixture_load(&f, "use: [postern/base]\n");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "quarantine");
	assert_true(HIT(&f, 0, "virus"));
	fixture_load(&f, "use: [postern/base]\nrules:\n  - {id: virus, when: {virus: true}, then: {reject: true}}\n");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "reject");
	/* only a header: it has not judged */
	fixture_load(&f, "rules:\n  - {id: v, when: {virus: true}, then: {add_header: {X-V: 'yes'}}}\n");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "quarantine");
	/* nor has a shadow rule */
	fixture_load(&f, "rules:\n  - {id: v, mode: shadow, review_by: 2028-01-01, when: {virus: true}, then: deliver}\n");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "quarantine");
	/* an exception has */
	fixture_load(&f, "use: [postern/base]\nexceptions:\n  - {id: abuse, rules: virus, when: {to: abuse@cert.example}, reason: samples, until: 2027-01-01}\n");
	TO(&f, "abuse@cert.example", "other@cert.example");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "deliver");
	assert_outcome(&f, 1, "quarantine");
	fixture_end(&f);
}

static void
test_scanner(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "defaults: {contact: security@example.org}\n");
	f.facts.av = AV_FAILED;
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "defer");
	assert_non_null(strstr(arena_str(f.arena, f.v.decisions[0].reply), "4.7.1 "));
	f.facts.av = AV_UNSCANNABLE;
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "hold");
	assert_true(f.v.unscannable);
	assert_true(span_is(f.v.decisions[0].queue, "security@example.org"));
	fixture_load(&f, "defaults: {on_unscannable: reject, on_scan_error: quarantine}\n"
	    "rules:\n  - {id: trusted, when: {unscannable: true, to: partner.example}, then: deliver}\n");
	TO(&f, "x@webmail.example", "y@partner.example");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "reject");
	assert_outcome(&f, 1, "deliver");
	f.facts.av = AV_CLEAN;
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "deliver");
	fixture_judge(&f, HEAD "Content-Transfer-Encoding: x-unheard-of\r\n\r\nbody\r\n");
	assert_outcome(&f, 0, "reject");
	policy_verdict_failed(f.p, &f.env, false, SPAN_LIT("the scanner crashed twice"), f.arena, &f.v);
	assert_int_equal(f.v.ndecisions, 2);
	assert_outcome(&f, 0, "quarantine");
	policy_verdict_failed(f.p, &f.env, true, SPAN_LIT("the scanner crashed twice"), f.arena, &f.v);
	assert_outcome(&f, 1, "reject");
	assert_non_null(strstr(arena_str(f.arena, f.v.decisions[1].reply), "crashed twice (ref "));
	fixture_end(&f);
}

/* A pattern that runs out of steps proves nothing: never "clean". */
static void
test_undecided(void **state)
{
	struct fixture f;
	char *raw;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: slow, when: {header: {X-Slow: {pattern: '^(a+)+b?$'}}}, then: {reject: true}}\n"
	    "  - {id: seen, when: {unscannable: true, to: partner.example}, then: {quarantine: u}}\n");
	raw = arena_printf(f.arena, HEAD "X-Slow: %0*d\r\n\r\n.\r\n", 60, 0);
	for (char *p = strstr(raw, "X-Slow: ") + 8; *p == '0'; p++)
		*p = p[1] == '0' ? 'a' : '!';
	TO(&f, "x@webmail.example", "y@partner.example");
	fixture_judge(&f, raw);
	assert_true(f.v.undecided);
	assert_outcome(&f, 0, "hold");
	assert_outcome(&f, 1, "quarantine");
	fixture_end(&f);
}

static void
test_explain(void **state)
{
	struct fixture f;
	char *json;

	fixture_begin(&f);
	f.opt.near_misses = true;
	fixture_load(&f, PACKS
	    "rules:\n"
	    "  - {id: three, when: {to: webmail.example, finds: {fr-nir: {min: 3}}}, then: {reject: true}}\n"
	    "  - {id: none, when: {to: webmail.example, subject: {words: nowhere}, body: {words: nope}}, then: discard}\n");
	f.env.id = 0;
	fixture_judge(&f, MAIL("NIR " NIR3));
	json = fixture_json(&f);
	assert_non_null(strstr(json, "{\"v\":1,\"id\":null,\"policy\":\""));
	assert_non_null(strstr(json, "\"virus\":null,\"recipients\":[{\"address\":\"x@webmail.example\",\"outcome\":\"deliver\",\"reply\":null,\"rules\":[],\"shadow\":[],\"skipped\":[]"));
	assert_non_null(strstr(json, "\"detector\":\"fr-nir\""));
	assert_non_null(strstr(json, "finds fr-nir: 1 distinct, min 3"));
	assert_null(strstr(json, "\"rule\":\"none\""));
	assert_null(strstr(json, "451 089"));	/* evidence is masked */
	fixture_end(&f);
}

static struct arena *test_told_arena;

static const struct told_rule *
told(const struct fixture *f, const char *id)
{
	for (size_t i = 0; i < f->v.ntold; i++)
		if (span_is(f->v.told[i].rule, id))
			return &f->v.told[i];
	return NULL;
}

static void
line_is(const struct told_rule *t, size_t i, enum told_state state, const char *text)
{
	assert_non_null(t);
	assert_true(i < t->nlines);
	assert_string_equal(arena_str(test_told_arena, t->lines[i].text), text);
	assert_int_equal(t->lines[i].state, state);
}

/* Why: of rules that hit, were cancelled, or failed with something in their favour. */
static void
test_told(void **state)
{
	struct fixture f;
	const struct told_rule *t;
	struct verdict without;

	fixture_begin(&f);
	test_told_arena = f.arena;
	fixture_load(&f, PACKS
	    "rules:\n"
	    "  - {id: hit, when: {to: webmail.example, finds: {fr-nir: {min: 1}}}, then: {hold: dpo@example.org}}\n"
	    "  - {id: near, when: {to: webmail.example, finds: {fr-nir: {min: 3}}}, then: {reject: true}}\n"
	    "  - {id: shadow, mode: shadow, review_by: 2028-01-01, when: {recipients: {under: 9}}, then: {reject: true}}\n"
	    "  - {id: skipped, when: {finds: {fr-nir: {min: 1}}}, unless: {from: example.org}, then: {reject: true}}\n"
	    "  - {id: tree, when: {finds: {any: [{fr-nir: {min: 5}}, {fr-nir: {min: 1}}]}, size: {under: 1MB}}, then: {bcc: a@example.org}}\n"
	    "  - {id: excepted, when: {finds: {fr-nir: {min: 1}}}, then: {reject: true}}\n"
	    "  - {id: silent, when: {to: elsewhere.example, subject: {words: nope}}, then: {reject: true}}\n"
	    "exceptions:\n"
	    "  - {id: until-then, rules: [excepted], when: {from: example.org, to: webmail.example}, reason: agreed, until: 2029-01-01}\n");
	fixture_judge(&f, MAIL("NIR " NIR3));
	without = f.v;
	assert_int_equal(without.ntold, 0);
	f.opt.told = true;
	fixture_judge(&f, MAIL("NIR " NIR3));
	assert_int_equal(f.v.decisions[0].outcome, without.decisions[0].outcome);
	assert_int_equal(f.v.decisions[0].nrules, without.decisions[0].nrules);

	t = told(&f, "hit");
	assert_string_equal(t->as, "hit");
	assert_string_equal(arena_str(f.arena, t->recipient), "x@webmail.example");
	assert_int_equal(t->nlines, 2);
	line_is(t, 0, TOLD_HELD, "to: <x@webmail.example> is in the list");
	line_is(t, 1, TOLD_HELD, "finds fr-nir: 1 distinct, min 1");
	assert_int_equal(t->lines[1].nmasked, 1);
	assert_null(strstr(arena_str(f.arena, t->lines[1].masked[0]), "451"));
	t = told(&f, "near");
	assert_string_equal(t->as, "near");
	line_is(t, 0, TOLD_HELD, "to: <x@webmail.example> is in the list");
	line_is(t, 1, TOLD_FAILED, "finds fr-nir: 1 distinct, min 3");
	t = told(&f, "shadow");
	assert_string_equal(t->as, "shadow");
	line_is(t, 0, TOLD_HELD, "recipients: 1");
	t = told(&f, "skipped");
	assert_string_equal(t->as, "skipped");
	assert_string_equal(t->lines[1].of, "unless");
	line_is(t, 1, TOLD_HELD, "from: <m.durand@example.org> is in the list");
	t = told(&f, "tree");
	for (size_t i = 0; i < t->nlines; i++)
		if (t->lines[i].depth == 0 && span_is(t->lines[i].text, "any of")) {
			line_is(t, i, TOLD_HELD, "any of");
			line_is(t, i + 1, TOLD_FAILED, "finds fr-nir: 1 distinct, min 5");
			line_is(t, i + 2, TOLD_HELD, "finds fr-nir: 1 distinct, min 1");
			assert_int_equal(t->lines[i + 2].depth, 1);
		}
	assert_int_equal(t->nlines, 4);
	t = told(&f, "excepted");
	assert_string_equal(t->lines[1].of, "exception");
	line_is(t, 1, TOLD_HELD, "until-then");
	assert_int_equal(t->lines[2].depth, 1);
	assert_null(told(&f, "silent"));

	/* what stands behind the first that failed was not asked */
	fixture_load(&f, PACKS "rules:\n"
	    "  - {id: order, when: {to: webmail.example, size: {over: 9MB}, finds: {fr-nir: {min: 1}}}, then: {reject: true}}\n");
	fixture_judge(&f, MAIL("NIR " NIR3));
	t = told(&f, "order");
	assert_int_equal(t->nlines, 3);
	assert_int_equal(t->lines[0].state, TOLD_HELD);
	assert_int_equal(t->lines[1].state, TOLD_FAILED);
	assert_int_equal(t->lines[2].state, TOLD_NOT_ASKED);
	fixture_end(&f);
}

/* Two persons for what is in quarantine: the most that a rule asks for. */
static void
test_quarantine_approvals(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: a, severity: high, when: {from: example.org}, then: {quarantine: malware}}\n"
	    "  - {id: b, when: {to: webmail.example}, then: {quarantine: {name: other, approvals: 2}}}\n"
	    "  - {id: c, when: {to: held.example}, then: {hold: dpo@example.org}}\n"
	    "  - {id: d, when: {to: held.example}, then: {quarantine: {approvals: 2}}}\n");
	TO(&f, "x@webmail.example", "y@partner.example", "z@held.example");
	fixture_judge(&f, MAIL("hello"));
	assert_outcome(&f, 0, "quarantine");
	assert_string_equal(arena_str(f.arena, f.v.decisions[0].queue), "malware");
	assert_int_equal(f.v.decisions[0].approvals, 2);
	assert_int_equal(f.v.decisions[1].approvals, 0);
	assert_outcome(&f, 2, "hold");
	assert_int_equal(f.v.decisions[2].approvals, 2);	/* once it is approved */
	assert_non_null(strstr(fixture_json(&f), "\"queue\":\"malware\",\"approvals\":2"));
	fixture_end(&f);
}

/* Rules and files in any order give the same verdict, to the byte. */
static void
test_order(void **state)
{
	static const char *const rules[] = {
		"  - {id: a, when: {subject: {words: files}}, then: {add_header: {X-A: a}, prefix_subject: '[A]'}}\n",
		"  - {id: b, when: {from: example.org}, then: {add_header: {X-B: b}, prefix_subject: '[B]', remove_header: X-Old}}\n",
		"  - {id: c, severity: high, when: {to: webmail.example}, then: {hold: d@example.org}}\n",
		"  - {id: d, when: {to: webmail.example}, then: {hold: {for: e@example.org, expires: 1d}}}\n",
		"  - {id: e, mode: shadow, review_by: 2028-01-01, then: discard}\n",
	};
	char *first = NULL;

	for (int perm = 0; perm < 120; perm++) {
		struct fixture f;
		struct policy_source files[5];
		char names[5][32], text[5][256], *json, *mail;
		int left[5] = { 0, 1, 2, 3, 4 }, code = perm, n = 5;

		for (int i = 0; i < 5; i++) {
			int at = code % n;

			code /= n;
			snprintf(names[i], sizeof(names[i]), "%d.yaml", i);
			snprintf(text[i], sizeof(text[i]), "rules:\n%s", rules[left[at]]);
			left[at] = left[--n];
			files[i] = (struct policy_source){ names[i], span_str(text[i]) };
		}
		fixture_begin(&f);
		fixture_load_files(&f, files, 5);
		assert_non_null(f.p);
		TO(&f, "x@webmail.example", "y@other.example");
		fixture_judge(&f, HEAD "X-Old: 1\r\n\r\nhello\r\n");
		json = strstr(fixture_json(&f), "\"recipients\"");
		mail = arena_printf(f.arena, "%s%s%s", fixture_edited(&f, 0), fixture_edited(&f, 1), json);
		if (!first)
			first = strdup(mail);
		assert_string_equal(mail, first);
		fixture_end(&f);
	}
	free(first);
}

/* Joining outcomes takes the larger: associative, commutative, idempotent. All triples. */
static void
test_join(void **state)
{
	static const char *const then[] = { "deliver: true", "redirect: a@b.example", "discard: true",
		"quarantine: q", "hold: a@b.example", "defer: true", "reject: true" };
	static const enum outcome outcome[] = { OUTCOME_DELIVER, OUTCOME_REDIRECT, OUTCOME_DISCARD,
		OUTCOME_QUARANTINE, OUTCOME_HOLD, OUTCOME_DEFER, OUTCOME_REJECT };

	for (int i = 0; i < 7; i++)
		for (int k = 0; k < 7; k++)
			for (int l = 0; l < 7; l += 3) {
				struct fixture f;
				int max = i > k ? i : k;
				char yaml[400];

				max = max > l ? max : l;
				snprintf(yaml, sizeof(yaml), "rules:\n  - {id: a, then: {%s}}\n"
				    "  - {id: b, then: {%s}}\n  - {id: c, then: {%s}}\n", then[i],
				    then[k], then[l]);
				fixture_begin(&f);
				fixture_load(&f, yaml);
				fixture_judge(&f, MAIL("x"));
				assert_int_equal(OUTCOME(&f, 0), outcome[max]);
				fixture_end(&f);
			}
}

static void
test_many_recipients(void **state)
{
	struct fixture f;
	struct recipient *to;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: p, when: {to: d1.example}, then: {add_header: {X-P: p}}}\n"
	    "  - {id: q, when: {to: d2.example}, then: {add_header: {X-P: p}}}\n");
	to = arena_array(f.arena, 1000, sizeof(*to));
	for (int i = 0; i < 1000; i++)
		to[i].address = span_str(arena_printf(f.arena, "u%d@d%d.example", i, i % 4));
	f.env.recipients = to;
	f.env.nrecipients = 1000;
	fixture_judge(&f, MAIL("x"));
	assert_int_equal(f.v.nvariants, 2);	/* equal edits are one variant */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(f.v.decisions[i].variant, i % 4 == 1 || i % 4 == 2);
	fixture_end(&f);
}

static void
test_limits(void **state)
{
	struct fixture f;
	const struct limit_rule *l;
	size_t n;

	fixture_begin(&f);
	fixture_load(&f, "groups: {dpo: [d@example.org]}\nlimits:\n"
	    "  - {id: per-server, per: client, allow: 6000 recipients / 1h, then: defer}\n"
	    "  - {id: per-sender, per: sender, allow: 300 messages / 1d, then: {hold: {for: group:dpo}}}\n"
	    "  - {id: conn, per: client, allow: 10 connections, then: reject}\n");
	l = policy_limits(f.p, &n);
	assert_int_equal(n, 3);
	assert_true(span_is(l[0].id, "per-server") && l[0].per == LIMIT_CLIENT);
	assert_true(l[0].unit == LIMIT_RECIPIENTS && l[0].allow == 6000);
	assert_true(l[0].window == INT64_C(3600) * 1000000 && l[0].then == OUTCOME_DEFER);
	assert_true(l[1].then == OUTCOME_HOLD && span_is(l[1].queue, "dpo"));
	assert_true(l[2].unit == LIMIT_CONNECTIONS && l[2].window == 0);
	fixture_end(&f);

	fixture_begin(&f);
	fixture_load(&f, "limits:\n"
	    "  - {id: many, per: sender, allow: 500 unique recipients / 1d, then: {reject: true, lock: 2h, notify: soc@example.org}}\n"
	    "  - {id: guess, per: client, allow: 20 invalid recipients / 1d, then: {lock: 10m},\n"
	    "     exempt: [{match: 10.0.0.0/8, owner: it@example.org, until: 2027-12-31, reason: scanners},\n"
	    "              {match: 192.0.2.1, owner: it@example.org, until: 2028-12-31}]}\n");
	l = policy_limits(f.p, &n);
	assert_int_equal(n, 2);
	assert_true(l[0].unit == LIMIT_UNIQUE && l[0].then == OUTCOME_REJECT);
	assert_true(l[0].lock == INT64_C(7200) * 1000000 && span_is(l[0].notify, "soc@example.org"));
	assert_true(l[1].unit == LIMIT_INVALID && l[1].then == OUTCOME_DEFER);
	assert_int_equal(l[1].nexempt, 2);
	assert_true(span_is(l[1].exempt[0].match, "10.0.0.0/8") && span_is(l[1].exempt[0].owner, "it@example.org"));
	assert_true(l[1].exempt[0].until == INT64_C(1830297600) * 1000000);	/* the day behind it */
	assert_true(span_is(l[1].exempt[0].reason, "scanners"));
	assert_true(strlen(l[1].file) > 0 && l[1].line > l[0].line);
	fixture_end(&f);
}

static void
test_require_tls(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "rules:\n"
	    "  - {id: a, when: {to: [ars.example, .ars.example]}, then: {require_tls: encrypted}}\n"
	    "  - {id: c, when: {to: [bank.example]}, then: {require_tls: verified}}\n"
	    "  - {id: b, then: {require_tls: opportunistic}}\n");
	TO(&f, "x@sub.ars.example", "y@other.example");
	fixture_judge(&f, MAIL("x"));
	assert_outcome(&f, 0, "deliver");
	assert_int_equal(f.v.decisions[0].require_tls, TLS_ENCRYPTED);
	assert_int_equal(f.v.decisions[1].require_tls, TLS_OPPORTUNISTIC);
	fixture_end(&f);
}

static void
test_hash(void **state)
{
	const struct policy_source one[] = { { "a", SPAN_LIT("rules: []\n") }, { "b", SPAN_LIT("groups: {}\n") } };
	const struct policy_source two[] = { { "b", SPAN_LIT("groups: {}\n") }, { "a", SPAN_LIT("rules: []\n") } };
	const struct policy_source three[] = { { "a", SPAN_LIT("rules: [ ]\n") }, { "b", SPAN_LIT("groups: {}\n") } };
	struct fixture f;
	char hash[32];

	fixture_begin(&f);
	fixture_load_files(&f, one, 2);
	snprintf(hash, sizeof(hash), "%s", policy_hash(f.p));
	assert_int_equal(strlen(hash), 16);
	fixture_load_files(&f, two, 2);
	assert_string_equal(policy_hash(f.p), hash);
	fixture_load_files(&f, three, 2);
	assert_string_not_equal(policy_hash(f.p), hash);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_attachments),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_virus), cmocka_unit_test(test_virus_kinds),
		cmocka_unit_test(test_scanner),
		cmocka_unit_test(test_undecided),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_quarantine_approvals),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_require_tls),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
