/* inspect.c -- a kept message, looked at again; see inspect.h.
 *
 * A preview is text alone: decoded header fields, the visible text of the text parts, and a list of
 * the parts. No HTML comes out of here, no link, no picture; what cannot be seen is written
 * out (visible.h). All of it is bounded.
 */
#include "json.h"
#include "scanner/inspect.h"
#include "visible.h"

#define TEXT_FIELD "text"

static void
put_visible(struct json *j, const char *key, struct span s, size_t max, bool lines)
{
	struct buf b;

	buf_init(&b, max + 16);
	visible_put(&b, s, lines, max);
	json_kstr(j, key, buf_data(&b));
	buf_release(&b);
}

/* ---- preview ---- */

static void
put_headers(struct json *j, const struct part *root)
{
	json_key(j, "headers");
	json_array(j);
	for (size_t i = 0; i < root->nheaders && i < PREVIEW_HEADERS; i++) {
		json_object(j);
		put_visible(j, "name", root->headers[i].name, PREVIEW_VALUE_MAX, false);
		put_visible(j, "value", root->headers[i].value, PREVIEW_VALUE_MAX, false);
		json_end_object(j);
	}
	json_end_array(j);
}

static bool
readable(const struct part *p)
{
	return p->text.s.n > 0 && !p->attachment && !p->unpacked && !p->reading &&
	    (p->type == TYPE_TEXT || p->type == TYPE_HTML);
}

/* Plain text where there is any; what HTML shows else. */
static bool
preview_text(const struct anatomy *an, struct buf *b)
{
	bool plain = false, all = true;

	for (size_t i = 0; i < an->nparts && !plain; i++)
		plain = readable(&an->parts[i]) && an->parts[i].type == TYPE_TEXT;
	for (size_t i = 0; i < an->nparts && all; i++) {
		const struct part *p = &an->parts[i];
		size_t left = PREVIEW_TEXT_MAX - buf_size(b);

		if (!readable(p) || (plain && p->type != TYPE_TEXT))
			continue;
		if (buf_size(b) && left > 1) {
			buf_putc(b, '\n');
			left--;
		}
		all = visible_put(b, p->text.s, true, left);
	}
	return all;
}

static void
put_parts(struct json *j, const struct anatomy *an)
{
	size_t n = 0;

	json_key(j, "parts");
	json_array(j);
	for (size_t i = 0; i < an->nparts && n < PREVIEW_PARTS; i++) {
		const struct part *p = &an->parts[i];

		if (p->type == TYPE_MULTIPART || p->reading)
			continue;
		n++;
		json_object(j);
		json_kstr(j, "part", p->number);
		json_kcstr(j, "type", part_type_name(p->type));
		put_visible(j, "name", p->name, PREVIEW_VALUE_MAX, false);
		json_kuint(j, "size", p->decoded.n);
		json_kbool(j, "attachment", p->attachment);
		json_kbool(j, "encrypted", p->encrypted);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
preview(const struct anatomy *an, struct json *j)
{
	struct buf text;
	bool all;

	buf_init(&text, PREVIEW_TEXT_MAX + 64);
	all = preview_text(an, &text);
	put_headers(j, &an->parts[0]);
	json_kstr(j, TEXT_FIELD, buf_data(&text));
	json_kbool(j, "truncated", !all);
	put_parts(j, an);
	buf_release(&text);
}

/* ---- evidence ---- */

/* The first offset of the text that comes from `origin` or behind it. */
static size_t
offset_of(const struct text *t, size_t origin)
{
	size_t low = 0, high = t->s.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (offmap_origin(&t->map, mid) < origin)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static const struct part *
part_of(const struct anatomy *an, struct span number)
{
	for (size_t i = 0; i < an->nparts; i++)
		if (span_eq(an->parts[i].number, number))
			return &an->parts[i];
	return NULL;
}

static const struct text *
text_of(const struct part *p, struct span origin)
{
	for (size_t i = 0; i < p->nsides && origin.n; i++)
		if (span_eq(p->sides[i].origin, origin))
			return &p->sides[i].text;
	return origin.n && span_is(origin, "hidden text") ? &p->hidden : &p->text;
}

static void
put_value(struct json *j, struct span s)
{
	struct buf b;

	buf_init(&b, EVIDENCE_VALUE_MAX + 16);
	visible_put(&b, s, false, EVIDENCE_VALUE_MAX);
	json_str(j, buf_data(&b));
	buf_release(&b);
}

static void
put_values(struct json *j, const struct anatomy *an, const struct finding *f)
{
	const struct part *p = part_of(an, f->part);
	bool header = strcmp(f->where, where_name(WHERE_HEADER)) == 0;
	const struct header *h;

	json_key(j, "values");
	json_array(j);
	if (strcmp(f->where, where_name(WHERE_SUBJECT)) == 0) {
		put_value(j, an->subject);
	} else if (header) {	/* the whole field: where it stands in it does not matter to a reader */
		char name[100];

		snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(f->name));
		if ((h = part_header(p ? p : &an->parts[0], name)) != NULL)
			put_value(j, h->value);
	} else if (p) {
		const struct text *t = text_of(p, f->origin);

		for (size_t i = 0; i < f->nplaces; i++) {
			size_t from = offset_of(t, f->places[i].from), to = offset_of(t, f->places[i].to);

			if (to > from)
				put_value(j, span_sub(t->s, from, to - from));
		}
	}
	json_end_array(j);
}

static void
evidence(const struct anatomy *an, const struct verdict *v, struct json *j)
{
	json_key(j, "findings");
	json_array(j);
	for (size_t i = 0; i < v->nfindings && i < EVIDENCE_FINDINGS; i++) {
		const struct finding *f = &v->findings[i];

		json_object(j);
		json_kstr(j, "detector", f->detector);
		json_kstr(j, "part", f->part);
		json_kcstr(j, "where", f->where);
		put_visible(j, "name", f->name, PREVIEW_VALUE_MAX, false);
		json_kuint(j, "count", f->count);
		put_values(j, an, f);
		json_end_object(j);
	}
	json_end_array(j);
}

/* ---- all of it ---- */

static struct span
finish(struct buf *b, struct json *j, struct arena *a)
{
	struct span text;

	json_end_object(j);
	text = buf_failed(b) ? SPAN_LIT("{\"v\":1,\"cut\":true}") : arena_span(a, buf_data(b));
	buf_release(b);
	return text;
}

void
inspect_message(const struct judge *j, enum inspect_what what, const struct envelope *env,
    struct span raw, struct arena *a, struct msg_inspected *out)
{
	struct judgement ju;
	struct anatomy an;
	struct json js;
	struct buf b;

	*out = (struct msg_inspected){ .status = INSPECT_DONE };
	buf_init(&b, RECORD_MAX);
	json_begin(&js, &b);
	json_object(&js);
	json_kint(&js, "v", 1);
	if (what == INSPECT_PREVIEW) {
		anatomy_build(a, raw, &(struct anatomy_limits){ 0 }, &an);
		preview(&an, &js);
		out->text = finish(&b, &js, a);
		return;
	}
	judge_message(j, env, raw, NULL, a, &ju);
	out->av = ju.facts.av;
	if (ju.facts.av == AV_VIRUS || ju.facts.av == AV_SUSPECT)
		out->virus = ju.facts.av_name;
	if (*ju.trouble) {
		out->status = INSPECT_FAILED;
		out->why = span_str(ju.trouble);
	}
	if (what == INSPECT_EVIDENCE)
		evidence(&ju.anatomy, &ju.verdict, &js);
	out->text = finish(&b, &js, a);
	if (what == INSPECT_JUDGE)
		out->text = judgement_record(j, env, &ju, RECORD_MAX, a);
}
