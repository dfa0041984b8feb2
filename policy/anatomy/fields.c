/* fields.c -- what a part's header fields say of its body; see anatomy/fields.h.
 *
 * Where a field stands twice, a parameter twice, or a header may end at two places, readers differ, and a
 * message can be made so that a gateway sees one thing and the mail program another. The first
 * reading here is the one that shows most (of two types the multipart, of two encodings the one that
 * decodes); each other one is noted, and mime.c makes a part of it, so that the policy judges the union.
 * Two fields that say the same are no difference.
 */
#include "anatomy/fields.h"

#include "anatomy/param.h"

#define NAMES_MAX 8		/* of one part */
#define FIELDS_MAX 4		/* of one name, told apart */

void
reading_note(struct builder *b, uint16_t index, struct reading r)
{
	struct node *node = &b->nodes[index];

	if (node->nreadings == READINGS_PART || b->readings == READINGS) {
		b->out->parts[index].defects |= DEFECT_READINGS_TOO_MANY;
		return;
	}
	if (node->readings == NULL)
		node->readings = arena_array(b->a, READINGS_PART, sizeof(*node->readings));
	node->readings[node->nreadings++] = r;
	b->readings++;
	if (!r.forced || r.charset.n)
		b->out->parts[index].defects |= DEFECT_AMBIGUOUS;
}

static void
boundaries_read(struct builder *b, const struct params *ps, struct part *p, struct span *second)
{
	struct span v;
	uint32_t defects = 0;

	if (params_plain(ps, "boundary", 0, &v)) {
		p->boundary = v;
		if (params_plain(ps, "boundary", 1, second)) {
			p->defects |= DEFECT_BOUNDARY_DUPLICATE;
		} else if (params_text(ps, b->a, "boundary", &v, &defects) &&
		    !span_eq(v, p->boundary)) {
			p->defects |= DEFECT_BOUNDARY_DUPLICATE;
			*second = v;
		}
	} else if (params_text(ps, b->a, "boundary", &v, &defects)) {
		p->boundary = v;
	}
	/* RFC 2046, 5.1.1: white space at the end is never a boundary's. */
	while (p->boundary.n && ascii_is_wsp(p->boundary.p[p->boundary.n - 1]))
		p->boundary.n--;
	while (second->n && ascii_is_wsp(second->p[second->n - 1]))
		second->n--;
}

static bool
type_is_sound(struct span v)
{
	size_t slash = span_find(v, '/');

	if (slash == 0 || slash + 1 >= v.n)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] <= ' ' || (unsigned char)v.p[i] >= 0x7f ||
		    (i != slash && strchr("()<>@,;:\\\"/[]?=", v.p[i])))
			return false;
	return true;
}

/* One Content-Type takes the place of what p had. */
static void
content_type_read(struct builder *b, struct part *p, struct span raw, struct params *ps,
    struct span *second)
{
	params_parse(ps, b->a, header_unfold(b->a, raw));
	p->declared = lower_case(b->a, ps->value);
	if (ps->malformed)
		p->defects |= DEFECT_CONTENT_TYPE_MALFORMED;
	if (!type_is_sound(p->declared)) {
		p->defects |= DEFECT_CONTENT_TYPE_MALFORMED;
		/* "multipart" alone still has parts to readers. */
		p->declared = span_starts(p->declared, SPAN_LIT("multipart")) ?
		    SPAN_LIT("multipart/mixed") : SPAN_LIT("text/plain");
	}
	p->boundary = *second = span_make("", 0);
	boundaries_read(b, ps, p, second);
}

/* The names that a field gives to the file, behind those that are known. */
static void
names_gather(struct builder *b, const struct params *ps, const char *param, struct part *p,
    struct span *names, size_t *n)
{
	struct span got[NAMES_MAX];
	size_t ngot;

	if (ps->n == 0)
		return;
	ngot = params_readings(ps, b->a, param, got, NAMES_MAX, &p->defects);
	for (size_t i = 0; i < ngot && *n < NAMES_MAX; i++) {
		struct span name = file_name(b->a, got[i]);
		bool known = name.n == 0;

		for (size_t k = 0; k < *n && !known; k++)
			known = span_eq(names[k], name);
		if (!known)
			names[(*n)++] = name;
	}
}

/* The name that counts, and the others. */
static void
names_keep(struct builder *b, struct part *p, struct span name, const struct span *names, size_t n)
{
	struct span *others;

	p->name = file_name(b->a, name);
	if (n == 0 || (n == 1 && span_eq(names[0], p->name)))
		return;
	others = arena_array(b->a, n, sizeof(*others));
	for (size_t i = 0; i < n; i++)
		if (!span_eq(names[i], p->name))
			others[p->naliases++] = names[i];
	p->aliases = others;
}

/* The fields of one name, index + 1 each, and which of them counts. */
struct rivals {
	uint16_t at[FIELDS_MAX];
	size_t n;
	uint16_t taken;
	bool more;
};

static void
rival_add(struct rivals *r, size_t index, bool taken)
{
	if (r->n < FIELDS_MAX)
		r->at[r->n++] = (uint16_t)(index + 1);
	else
		r->more = true;
	if (taken)
		r->taken = (uint16_t)(index + 1);
}

static struct span
encoding_word(struct builder *b, const struct header *h)
{
	return lower_case(b->a, token_first(b->a, header_unfold(b->a, h->raw)));
}

/* Leaves those that say something else than the one taken. */
static void
rivals_differ(struct builder *b, const struct part *p, struct rivals *r, bool encodings)
{
	const struct header *taken = r->taken ? &p->headers[r->taken - 1] : NULL;
	size_t n = 0;

	for (size_t i = 0; taken && i < r->n; i++) {
		const struct header *h = &p->headers[r->at[i] - 1];
		bool same = encodings ? encoding_from_name(encoding_word(b, h)) ==
		    encoding_from_name(encoding_word(b, taken)) :
		    span_eq_nocase(span_trim(h->raw), span_trim(taken->raw));

		if (!same)
			r->at[n++] = r->at[i];
	}
	r->n = n;
}

static void
readings_note(struct builder *b, uint16_t index, struct rivals *types, struct rivals *encodings,
    struct span second, size_t last)
{
	struct part *p = &b->out->parts[index];
	const struct header_block *block = &b->block;

	if (types->more || encodings->more)
		p->defects |= DEFECT_READINGS_TOO_MANY;
	rivals_differ(b, p, types, false);
	rivals_differ(b, p, encodings, true);
	for (size_t t = 0; t <= types->n; t++)
		for (size_t e = 0; e <= encodings->n; e++)
			if (t || e)
				reading_note(b, index, (struct reading){
				    .type_field = t ? types->at[t - 1] : types->taken,
				    .encoding_field = e ? encodings->at[e - 1] : encodings->taken });
	if (second.n) {
		reading_note(b, index, (struct reading){ .boundary = 1 });
		reading_note(b, index, (struct reading){ .boundary = 2 });
	}
	/* Some end the header at a line that is no field, or is blank but for spaces. */
	for (size_t i = 0; i < last; i++)
		if (p->headers[i].name.n == 0) {
			reading_note(b, index, (struct reading){ .fields = (uint16_t)(i + 1),
			    .body = p->headers[i].raw.p });
			break;
		}
	if (block->blank_body && block->blank_field < last)
		reading_note(b, index, (struct reading){ .fields = (uint16_t)(block->blank_field + 2),
		    .body = block->src.p + block->blank_body });
}

void
fields_read(struct builder *b, uint16_t index, bool digest, const struct reading *r,
    struct span *second)
{
	struct part *p = &b->out->parts[index];
	struct node *node = &b->nodes[index];
	struct span name = { 0 }, v, charset = { 0 }, names[NAMES_MAX];
	struct rivals types = { 0 }, encodings = { 0 };
	size_t nnames = 0, nfields = r && r->fields ? r->fields - 1u : p->nheaders, last = 0;
	bool disposed = false;
	struct params ps;

	p->declared = digest ? SPAN_LIT("message/rfc822") : SPAN_LIT("text/plain");
	p->charset = p->boundary = p->encoding = p->disposition = p->name = span_make("", 0);
	*second = p->boundary;
	for (size_t i = 0; i < nfields; i++) {
		const struct header *h = &p->headers[i];

		if (h->name.n < 12 || ascii_lower(h->name.p[0]) != 'c')
			continue;
		if (span_is_nocase(h->name, "Content-Type")) {
			struct part saved = *p;
			struct span saved_second = *second;

			if (r && r->type_field && r->type_field != i + 1)
				continue;
			last = i;
			/* Of two, the first counts, unless only a later one has parts in it. */
			content_type_read(b, p, h->raw, &ps, second);
			names_gather(b, &ps, "name", p, names, &nnames);
			if (types.n && !(is_multipart(p->declared) && p->boundary.n &&
			    !is_multipart(saved.declared))) {
				uint32_t defects = p->defects;

				*p = saved;
				p->defects = defects;
				*second = saved_second;
				rival_add(&types, i, false);
				continue;
			}
			rival_add(&types, i, true);
			if (params_plain(&ps, "charset", 0, &v) ||
			    params_text(&ps, b->a, "charset", &v, &p->defects))
				charset = v;
			if (name.n == 0 && params_text(&ps, b->a, "name", &v, &p->defects))
				name = v;
		} else if (span_is_nocase(h->name, "Content-Transfer-Encoding")) {
			if (r && r->encoding_field && r->encoding_field != i + 1)
				continue;
			last = i;
			v = encoding_word(b, h);
			if (encodings.n && (node->encoding == ENCODING_BASE64 ||
			    node->encoding == ENCODING_QP ||
			    encoding_from_name(v) == ENCODING_IDENTITY)) {
				rival_add(&encodings, i, false);
				continue;
			}
			p->encoding = v;
			node->encoding = encoding_from_name(v);
			rival_add(&encodings, i, true);
		} else if (span_is_nocase(h->name, "Content-Disposition")) {
			params_parse(&ps, b->a, header_unfold(b->a, h->raw));
			if (!disposed)
				p->disposition = lower_case(b->a, ps.value);
			disposed = true;
			names_gather(b, &ps, "filename", p, names, &nnames);
			if (params_text(&ps, b->a, "filename", &v, &p->defects) && v.n)
				name = v;
		}
	}
	p->charset = lower_case(b->a, span_trim(charset));
	names_keep(b, p, name, names, nnames);
	if (r == NULL) {
		readings_note(b, index, &types, &encodings, *second, last);
	} else if (r->forced) {
		node->encoding = r->encoding;
		if (r->charset.n)
			p->charset = r->charset;
		else
			p->declared = SPAN_LIT("text/plain");
	} else if (r->boundary) {
		if (r->boundary == 2)
			p->boundary = *second;
		*second = span_make("", 0);
	}
	if (span_is(p->declared, "message/partial"))
		p->defects |= DEFECT_MESSAGE_PARTIAL;
	else if (span_is(p->declared, "message/external-body"))
		p->defects |= DEFECT_EXTERNAL_BODY;
	node->message = span_is(p->declared, "message/rfc822") ||
	    span_is(p->declared, "message/global") || span_is(p->declared, "message/news");
	if ((node->message || is_multipart(p->declared)) && node->encoding != ENCODING_IDENTITY)
		p->defects |= DEFECT_ENCODING_ON_MULTIPART;
}
