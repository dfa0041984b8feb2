/* policy_rules.c -- {"cmd":"policy.rules"}: the rules of the policy in force, and how often each has hit.
 *
 *	{"v":1,"hash":"…","rules":[{"id","name","title","mode","then","severity","direction","hits_24h",
 *	"hits_7d","shadow_7d","skipped_7d","last","review_by","file","line"}…]}
 *
 * They come from the archive that the scanners' policy left here (scanner/archive.h), so that the list is of what
 * judges mail, not of what lies in the folder, and there with the editor off, too. It is compiled again
 * when the first one asks after a change; what is shown of it is kept. No policy yet: no hash, no rules.
 */
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "scanner/archive.h"
#include "store/asked.h"
#include "store/basis.h"
#include "store/policies.h"
#include "store/policy_rules.h"
#include "table.h"

#define ANSWER_MAX ((size_t)8 << 20)

struct rules_shown {
	uint64_t manifest;
	struct arena *arena;		/* of all below */
	struct span hash;
	struct policy_rule_info *rules;
	size_t n;
	bool has_spam;
	struct policy_spam spam;
};
struct hits { int64_t h24, d7, shadow, skipped, last; };

void
policy_rules_free(struct rules_shown **sp)
{
	struct rules_shown *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	arena_free(&s->arena);
	free(s);
}

static struct rules_shown *
copy_of(const struct policy *p, uint64_t manifest)
{
	struct rules_shown *s = calloc(1, sizeof(*s));
	struct policy_rule_info info;

	ASSERT(s != NULL);
	s->manifest = manifest;
	s->arena = arena_new(0);
	s->hash = arena_span(s->arena, span_str(policy_hash(p)));
	s->rules = arena_array(s->arena, policy_rule_count(p) + 1, sizeof(*s->rules));
	while (policy_rule_info(p, s->n, &info)) {
		info.id = arena_span(s->arena, info.id);
		info.title = arena_span(s->arena, info.title);
		info.mode = arena_str(s->arena, span_str(info.mode));
		info.severity = arena_str(s->arena, span_str(info.severity));
		info.direction = arena_str(s->arena, span_str(info.direction));
		info.file = arena_str(s->arena, span_str(info.file));
		s->rules[s->n++] = info;
	}
	s->has_spam = policy_spam_info(p, s->arena, &s->spam);
	return s;
}

static struct rules_shown *
compile(struct asked *q, uint64_t manifest, struct err *err)
{
	struct rules_shown *s;
	struct archive ar;
	struct policy *p;
	struct span bytes;
	struct diags d;
	int r = policies_archive(q->s->db, (struct span){ 0 }, manifest, q->arena, &bytes, err);

	if (r == 0)
		err_set(err, 0, "the policy in force is not kept");
	if (r != 1 || policy_archive_unpack(bytes, q->arena, &ar, err) == -1)
		return NULL;
	diags_init(&d, q->arena);
	if ((p = policy_archive_load(&ar, &d)) == NULL) {
		err_set(err, 0, "the policy in force cannot be read again: %s", d.first ? d.first->text : "?");
		return NULL;
	}
	s = copy_of(p, manifest);
	policy_free(&p);
	return s;
}

/* ---- hits ---- */

static int
read_hits(struct asked *q, struct table *t, struct err *err)
{
	struct span rest;
	struct buf b;

	buf_init(&b, ANSWER_MAX);
	if (basis_hits(q->s->db, clock_real(), &b, err) == -1) {
		buf_release(&b);
		return -1;
	}
	for (rest = buf_data(&b); rest.n; ) {
		size_t n = span_find(rest, '\n');
		struct jval *v = jval_parse(span_sub(rest, 0, n), err);
		struct hits *h = arena_zalloc(q->arena, sizeof(*h));

		rest = span_from(rest, n + 1);
		*h = (struct hits){ jval_int(v, "h24", 0) + jval_int(v, "h24_shadow", 0),
			jval_int(v, "d7", 0) + jval_int(v, "d7_shadow", 0), jval_int(v, "d7_shadow", 0),
			jval_int(v, "d7_skipped", 0), jval_int(v, "last", 0) };
		if (v)
			table_put(t, arena_span(q->arena, jval_text(v, "rule")), h);
		jval_free(&v);
	}
	buf_release(&b);
	return 0;
}

static void
put_date(struct json *j, int64_t us)
{
	time_t t = (time_t)(us / US_PER_SEC);
	char text[16];
	struct tm tm;

	if (us && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d", &tm))
		json_kcstr(j, "review_by", text);
	else
		json_kcstr(j, "review_by", NULL);
}

static void
put_rule(struct json *j, const struct policy_rule_info *r, const struct hits *h)
{
	json_object(j);
	json_kstr(j, "id", r->id);
	json_kstr(j, "name", r->id);
	json_kstr(j, "title", r->title);
	json_kcstr(j, "mode", r->mode);
	json_kcstr(j, "then", r->outcome ? outcome_name(r->outcome) : NULL);
	json_kcstr(j, "severity", r->severity);
	json_kcstr(j, "direction", r->direction);
	json_kint(j, "hits_24h", h ? h->h24 : 0);
	json_kint(j, "hits_7d", h ? h->d7 : 0);
	json_kint(j, "shadow_7d", h ? h->shadow : 0);
	json_kint(j, "skipped_7d", h ? h->skipped : 0);
	json_key(j, "last");
	if (h && h->last)
		json_int(j, h->last);
	else
		json_null(j);
	put_date(j, r->review_by);
	json_kcstr(j, "file", r->file);
	json_kuint(j, "line", r->line);
	json_end_object(j);
}

/* ---- the answer ---- */

/* 1, 0 none was in force yet, -1. */
static int
in_force(struct asked *q, struct err *err)
{
	struct rules_shown **kept = &q->s->rules, *s;
	uint64_t manifest;
	int r = policies_last(q->s->db, &manifest, err);

	if (r != 1 || (*kept && (*kept)->manifest == manifest))
		return r;
	if ((s = compile(q, manifest, err)) == NULL)
		return -1;
	policy_rules_free(kept);
	*kept = s;
	return 1;
}

int
policy_rules_spam(struct asked *q, const struct policy_spam **spam, struct err *err)
{
	int r;

	store_settle(q->s);
	r = in_force(q, err);
	*spam = r == 1 && q->s->rules->has_spam ? &q->s->rules->spam : NULL;
	return r == -1 ? -1 : 0;
}

void
do_policy_rules(struct asked *q, int fd)
{
	struct table *hits = table_new();
	const struct rules_shown *s;
	struct err err = { 0 };
	struct buf b;
	struct json j;
	int r;

	store_settle(q->s);
	store_flush(q->s);
	r = in_force(q, &err);
	s = r == 1 ? q->s->rules : NULL;
	if (r == -1 || read_hits(q, hits, &err) == -1) {
		say_error(q, err.text);
		table_free(&hits);
		return;
	}
	buf_init(&b, ANSWER_MAX);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "hash", s ? s->hash : (struct span){ 0 });
	json_key(&j, "rules");
	json_array(&j);
	for (size_t i = 0; s && i < s->n; i++)
		put_rule(&j, &s->rules[i], table_get(hits, s->rules[i].id));
	json_end_array(&j);
	json_end_object(&j);
	if (buf_failed(&b)) {
		say_error(q, "too many rules to be shown");
	} else {
		buf_span(reply_buf(q->reply), buf_data(&b));
		buf_putc(reply_buf(q->reply), '\n');
	}
	buf_release(&b);
	table_free(&hits);
}
