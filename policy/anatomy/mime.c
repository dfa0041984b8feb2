/* mime.c -- a message into its tree of parts (RFC 2046, 5.1 and 5.2.1).
 *
 * One pass over the lines with a stack of the containers that are open: a
 * line "--boundary" belongs to the innermost container that has it, and ends
 * all that is open within, closed or not. So the cost of a line does not
 * grow with the size of the message, only with the depth (which is limited),
 * and an outer boundary is seen whatever the inner parts say.
 *
 * Only containers that must be decoded first (an attached message in base64)
 * are split by a call within the call, as deep as the depth limit at most;
 * the parts within have the offsets of the container, and their headers size
 * 0: nothing of them can be pointed at in the message.
 *
 * Boundaries are compared whole, trailing white space apart. With two boundary
 * parameters either is taken. A boundary that comes again after its
 * closing line opens a part again. What stands before the first and behind
 * the last boundary is kept (preamble, epilogue): no reader shows it, but it
 * travels.
 */
#include "anatomy/mime.h"

#include "anatomy/fields.h"
#include "postern/err.h"

#define LINE_MAX_BYTES 998
#define HEADER_BELOW 2048	/* bytes in which a header is looked for below a strange first line */

struct frame {
	uint16_t part;
	struct span boundary[2];
	bool seen;		/* one boundary line at least */
	bool closed;
	size_t first;		/* where the first boundary line begins */
	size_t epilogue;	/* behind the closing line */
	bool multipart;		/* else an attached message */
	bool prefix;		/* lines that only begin with the boundary count too */
	bool prefixed;		/* there was such a line */
};

struct splitter {
	struct builder *b;
	struct span src;
	size_t at;
	struct frame *frames;
	size_t nframes;
	uint16_t leaf;		/* the part whose body is read, PART_NONE between parts */
	uint16_t current;	/* whose lines these are */
	bool stop;
	bool decoded;		/* src is not the message, or is looked at again */
	bool found;		/* src is a mail saved as a file */
	uint32_t offset, size;	/* of the container then */
};

static uint16_t
part_new(struct builder *b)
{
	struct anatomy *out = b->out;

	if (out->nparts == PART_NONE)
		return PART_NONE;
	if (out->nparts == b->cap) {
		size_t cap = b->cap ? b->cap * 4 : 2;

		out->parts = arena_grow(b->a, out->parts, b->cap * sizeof(*out->parts),
		    cap * sizeof(*out->parts));
		b->nodes = arena_grow(b->a, b->nodes, b->cap * sizeof(*b->nodes),
		    cap * sizeof(*b->nodes));
		b->cap = cap;
	}
	out->parts[out->nparts] = (struct part){ .parent = PART_NONE };
	b->nodes[out->nparts] = (struct node){ 0 };
	return (uint16_t)out->nparts++;
}

/* --- boundaries ------------------------------------------------------------------------ */

/* Whose boundary line is it? The index of the frame, or SIZE_MAX. */
static size_t
boundary_match(struct splitter *s, struct span line, bool *closing)
{
	struct span v = span_from(line, 2);

	while (v.n && (ascii_is_wsp(v.p[v.n - 1]) || v.p[v.n - 1] == '\r'))
		v.n--;
	if (v.n == 0)
		return SIZE_MAX;
	for (int round = 0; round < 2; round++)		/* open ones first */
		for (size_t k = s->nframes; k-- > 0;) {
			const struct frame *f = &s->frames[k];

			if (!f->multipart || f->closed != (round == 1))
				continue;
			for (size_t i = 0; i < 2; i++) {
				struct span b = f->boundary[i];

				if (b.n == 0 || b.n > v.n || (v.n > b.n + 2 && !f->prefix) ||
				    memcmp(b.p, v.p, b.n) != 0)
					continue;
				*closing = v.n > b.n + 1 && v.p[b.n] == '-' && v.p[b.n + 1] == '-';
				if (v.n == b.n || (v.n == b.n + 2 && *closing) || f->prefix)
					return k;
			}
		}
	/* Some compare the beginning alone. */
	for (size_t k = 0; k < s->nframes; k++) {
		struct frame *f = &s->frames[k];

		if (f->multipart && !f->prefixed && f->boundary[0].n && !f->closed)
			f->prefixed = span_starts(v, f->boundary[0]);
	}
	return SIZE_MAX;
}

static bool
boundary_stop(void *arg, struct span line)
{
	bool closing;

	return boundary_match(arg, line, &closing) != SIZE_MAX;
}

/* --- beginnings and ends ----------------------------------------------------------------- */

static void split_decoded(struct splitter *s, uint16_t index, struct frame *again);

/* The body of a part goes up to offset end of src. */
static void
body_end(struct splitter *s, uint16_t index, size_t end)
{
	struct part *p = &s->b->out->parts[index];
	struct node *node = &s->b->nodes[index];

	if (end < node->start)
		end = node->start;
	node->body = span_sub(s->src, node->start, end - node->start);
	if (node->raw.p == NULL)
		node->raw = node->body;
	if (s->decoded) {
		p->body_offset = s->offset;
		p->body_size = s->size;
	} else {
		p->body_offset = (uint32_t)node->start;
		p->body_size = (uint32_t)node->body.n;
	}
}

static void
leaf_end(struct splitter *s, size_t end)
{
	uint16_t index = s->leaf;

	if (index == PART_NONE)
		return;
	s->leaf = PART_NONE;
	body_end(s, index, end);
	if (s->b->nodes[index].message && !(s->b->out->parts[index].defects & DEFECT_TOO_DEEP))
		split_decoded(s, index, NULL);
}

/* Ends all frames from the k-th on, the innermost first. */
static void
frames_end(struct splitter *s, size_t k, size_t end)
{
	leaf_end(s, end);
	while (s->nframes > k) {
		struct frame *f = &s->frames[--s->nframes];
		struct node *node = &s->b->nodes[f->part];
		struct part *p = &s->b->out->parts[f->part];

		body_end(s, f->part, end);
		p->decoded = node->body;
		if (!f->multipart)
			continue;
		if (!f->closed)
			p->defects |= DEFECT_BOUNDARY_UNCLOSED;
		if (f->prefixed)
			reading_note(s->b, f->part, (struct reading){ .prefix = true });
		if (f->seen && node->encoding == ENCODING_QP && node->body.n &&
		    memchr(node->body.p, '=', node->body.n))
			reading_note(s->b, f->part, (struct reading){ .decoded = true });
		node->preamble = node->body;
		if (f->seen && f->first >= node->start)
			node->preamble = span_sub(node->body, 0, f->first - node->start);
		if (f->closed)
			node->epilogue = span_from(node->body, f->epilogue - node->start);
		if (!f->seen && (node->encoding == ENCODING_BASE64 || node->encoding == ENCODING_QP))
			split_decoded(s, f->part, f);
	}
}

/* Offset of the line end before `at`: it belongs to the boundary. */
static size_t
line_end_before(const struct splitter *s, size_t at)
{
	if (at > 0 && s->src.p[at - 1] == '\n')
		at--;
	if (at > 0 && s->src.p[at - 1] == '\r')
		at--;
	return at;
}

static void
frame_push(struct splitter *s, uint16_t index, bool multipart, struct span second)
{
	struct frame *f = &s->frames[s->nframes];
	struct part *p = &s->b->out->parts[index];

	*f = (struct frame){ .part = index, .multipart = multipart };
	if (multipart) {
		f->boundary[0] = p->boundary;
		f->boundary[1] = second;
		for (size_t k = 0; k < s->nframes; k++)
			if (s->frames[k].multipart && span_eq(s->frames[k].boundary[0], p->boundary))
				p->defects |= DEFECT_BOUNDARY_DUPLICATE;
	}
	s->nframes++;
	s->leaf = PART_NONE;
}

static void
headers_keep(struct splitter *s, uint16_t index)
{
	struct header_block *block = &s->b->block;
	struct part *p = &s->b->out->parts[index];
	struct header *h = arena_alloc(s->b->a, block->n * sizeof(*h));

	p->defects |= block->defects;
	for (size_t i = 0; i < block->n; i++) {
		h[i] = block->fields[i];
		p->defects |= header_decode(s->b->a, h[i].raw, 0, &h[i].value, NULL);
		if (s->decoded) {
			h[i].offset = s->offset;
			h[i].size = 0;
		}
	}
	p->headers = h;
	p->nheaders = block->n;
}

static void
number_give(struct builder *b, uint16_t index, uint16_t parent, bool top)
{
	struct part *p = &b->out->parts[index];
	struct node *node = &b->nodes[index], *up = parent == PART_NONE ? NULL : &b->nodes[parent];
	struct span prefix = up ? up->prefix : span_make("", 0);
	bool multi = !node->leaf && !node->message;

	if (top && multi) {
		/* The parts of an attached message "3" are "3.1", …: its multipart has no number
		 * of its own there; IMAP calls the whole of it "3.TEXT". */
		p->number = prefix.n ? span_str(arena_printf(b->a, SPAN_FMT "TEXT",
		    SPAN_ARG(prefix))) : span_make("", 0);
		node->prefix = prefix;
		return;
	}
	p->number = span_str(arena_printf(b->a, SPAN_FMT "%u", SPAN_ARG(prefix),
	    up ? ++up->children : 1));
	node->prefix = span_str(arena_printf(b->a, SPAN_FMT ".", SPAN_ARG(p->number)));
}

/* A line that is no field stands above what looks like a header: some skip it. */
static bool
header_below(const struct splitter *s, size_t at)
{
	const struct span sign = SPAN_LIT("\ncontent-");
	struct span head = span_sub(s->src, at, HEADER_BELOW);

	for (size_t i = 0; i + sign.n <= head.n; i++)
		if (head.p[i] == '\n' && span_starts_nocase(span_from(head, i), sign))
			return true;
	return false;
}

/* A part begins at `at`; where it is a message, the message within too. */
static void
part_begin(struct splitter *s, size_t at, uint16_t parent, bool top)
{
	struct builder *b = s->b;

	for (;;) {
		uint16_t index = b->parts_left ? part_new(b) : PART_NONE;
		bool digest, deep, multi;
		struct span second;
		struct part *p;
		struct node *node;

		if (index == PART_NONE) {
			b->out->parts[parent].defects |= DEFECT_TOO_MANY_PARTS;
			s->stop = true;
			return;
		}
		b->parts_left--;
		p = &b->out->parts[index];
		node = &b->nodes[index];
		digest = false;
		if (parent != PART_NONE) {
			p->parent = parent;
			p->depth = b->out->parts[parent].depth + 1;
			node->nested = b->nodes[parent].nested ||
			    (b->nodes[parent].message && !b->nodes[parent].again);
			p->reading = b->out->parts[parent].reading;
			node->levels = b->nodes[parent].levels;
			p->unpacked = s->found || b->out->parts[parent].unpacked;
			digest = span_is(b->out->parts[parent].declared, "multipart/digest");
		}
		node->top = top;
		node->src = s->src;
		header_block_read(&b->block, b->a, s->src, at, b->max_headers, boundary_stop, s);
		p->header_offset = s->decoded ? s->offset : (uint32_t)at;
		node->start = s->at = at = b->block.body;
		headers_keep(s, index);
		fields_read(b, index, digest, NULL, &second);
		if (b->block.n == 0 && (b->block.defects & DEFECT_HEADER_MALFORMED) &&
		    header_below(s, at))
			reading_note(b, index, (struct reading){ .below = true });
		multi = is_multipart(p->declared);
		deep = p->depth + 1u > b->max_depth;
		if (multi && p->boundary.n == 0) {
			p->defects |= DEFECT_BOUNDARY_MISSING;
			multi = false;
		}
		if ((multi || node->message) && deep) {
			p->defects |= DEFECT_TOO_DEEP;
			multi = false;
		}
		node->leaf = !multi && (!node->message || deep);
		number_give(b, index, parent, top);
		s->current = index;
		if (multi) {
			frame_push(s, index, true, second);
			return;
		}
		if (!node->message || deep || node->encoding != ENCODING_IDENTITY) {
			s->leaf = index;
			return;
		}
		frame_push(s, index, false, second);
		parent = index;
		top = true;
	}
}

/* --- the lines ---------------------------------------------------------------------------- */

static void
split_run(struct splitter *s)
{
	const char *p = s->src.p;
	size_t n = s->src.n;

	if (s->at < n && memchr(p + s->at, '\0', n - s->at))
		s->b->out->parts[s->current].defects |= DEFECT_BODY_NUL;
	while (s->at < n && !s->stop) {
		const char *nl = memchr(p + s->at, '\n', n - s->at);
		size_t next = nl ? (size_t)(nl - p) + 1 : n, k, len = next - s->at;
		bool closing = false;
		struct span line;

		if (len > LINE_MAX_BYTES && len - (nl ? 1u + (p[next - 2] == '\r') : 0u) > LINE_MAX_BYTES)
			s->b->out->parts[s->current].defects |= DEFECT_LINE_TOO_LONG;
		if (p[s->at] != '-' || len < 3 || p[s->at + 1] != '-' || s->nframes == 0) {
			s->at = next;
			continue;
		}
		line = span_sub(s->src, s->at, nl ? len - 1 : len);
		k = boundary_match(s, line, &closing);
		if (k == SIZE_MAX || (closing && s->frames[k].closed)) {
			s->at = next;
			continue;
		}
		frames_end(s, k + 1, line_end_before(s, s->at));
		if (!s->frames[k].seen)
			s->frames[k].first = s->at;
		s->frames[k].seen = true;
		s->current = s->frames[k].part;
		s->at = next;
		if (closing) {
			s->frames[k].closed = true;
			s->frames[k].epilogue = next;
			continue;
		}
		if (s->frames[k].closed) {	/* it comes again */
			s->frames[k].closed = false;
			s->b->out->parts[s->current].defects |= DEFECT_BOUNDARY_DUPLICATE;
		}
		part_begin(s, next, s->current, false);
	}
	frames_end(s, 0, n);
}

/* The parts within a container that had to be decoded: an attached message, or (again)
 * a multipart that shows no boundary until it is decoded. */
static void
split_decoded(struct splitter *s, uint16_t index, struct frame *again)
{
	struct builder *b = s->b;
	struct part *p = &b->out->parts[index];
	struct node *node = &b->nodes[index];
	struct splitter in = { .b = b, .decoded = true, .leaf = PART_NONE, .current = index };
	struct span first = span_sub(node->body, 0, span_find(node->body, '\n'));

	if (node->encoding == ENCODING_BASE64 && span_find(first, ':') < first.n)
		node->encoding = ENCODING_IDENTITY;	/* no base64: a header in clear */
	p->defects |= decode_body(b->a, node->encoding, node->body,
	    b->left > SIZE_MAX ? SIZE_MAX : (size_t)b->left, &p->decoded);
	b->left -= p->decoded.n;
	node->known = true;
	node->leaf = false;
	node->encoding = ENCODING_IDENTITY;
	in.src = p->decoded;
	in.offset = p->body_offset;
	in.size = p->body_size;
	in.frames = arena_alloc(b->a, (b->max_depth + 2) * sizeof(*in.frames));
	if (again) {
		struct span second = again->boundary[1];

		node->start = 0;
		frame_push(&in, index, true, second);
	} else {
		part_begin(&in, 0, index, true);
	}
	split_run(&in);
	/* The container itself lies where it lay. */
	p = &b->out->parts[index];
	p->body_offset = in.offset;
	p->body_size = in.size;
}

/* One more part, child of the one whose bytes it reads. */
static void
reading_make(struct builder *b, uint16_t parent, unsigned k)
{
	const struct reading r = b->nodes[parent].readings[k];
	uint16_t index = b->parts_left ? part_new(b) : PART_NONE;
	struct part *p, *up = &b->out->parts[parent];
	struct node *node, *was = &b->nodes[parent];
	struct splitter in = { .b = b, .decoded = true, .leaf = PART_NONE, .current = index };
	struct span second;
	bool multi;

	if (was->raw.p == NULL) {	/* the end of the parts' budget came first */
		if (index != PART_NONE)
			b->out->nparts--;
		return;
	}
	if (index == PART_NONE || up->depth + 1u > b->max_depth) {
		b->out->parts[parent].defects |= DEFECT_READINGS_TOO_MANY;
		if (index != PART_NONE)
			b->out->nparts--;
		return;
	}
	b->parts_left--;
	p = &b->out->parts[index];
	node = &b->nodes[index];
	*p = (struct part){ .parent = parent, .depth = up->depth + 1, .headers = up->headers,
		.nheaders = up->nheaders, .header_offset = up->header_offset,
		.body_offset = up->body_offset, .body_size = up->body_size, .reading = true };
	p->number = span_str(arena_printf(b->a, SPAN_FMT "~%u", SPAN_ARG(up->number), k + 1));
	node->prefix = span_str(arena_printf(b->a, SPAN_FMT ".", SPAN_ARG(p->number)));
	node->src = was->src;
	node->nested = was->nested;
	node->levels = was->levels;
	p->unpacked = up->unpacked;
	node->raw = node->body = was->raw;
	if (r.body)
		node->body = span_make(r.body, (size_t)(was->raw.p + was->raw.n - r.body));
	fields_read(b, index, false, &r, &second);
	if (node->body.p == NULL)
		node->body.p = "";
	multi = is_multipart(p->declared) && p->boundary.n;
	in.offset = p->body_offset;
	in.size = p->body_size;
	/* The headers are the parent's; as surfaces they stand there. */
	p->nheaders = 0;
	node->leaf = !multi && !node->message && !r.below;
	if (node->leaf)
		return;
	in.src = node->body;
	if (node->encoding != ENCODING_IDENTITY && (r.decoded || !multi)) {
		p->defects |= decode_body(b->a, node->encoding, node->body,
		    b->left > SIZE_MAX ? SIZE_MAX : (size_t)b->left, &in.src);
		b->left -= in.src.n;
		node->encoding = ENCODING_IDENTITY;
	}
	p->decoded = in.src;
	node->known = true;
	in.frames = arena_alloc(b->a, (b->max_depth + 2) * sizeof(*in.frames));
	if (multi) {
		frame_push(&in, index, true, second);
		in.frames[0].prefix = r.prefix;
	} else {
		size_t at = r.below ? span_find(in.src, '\n') : 0;

		node->message = true;
		node->again = r.below;
		part_begin(&in, r.below && at < in.src.n ? at + 1 : at, index, true);
	}
	split_run(&in);
	p = &b->out->parts[index];
	p->body_offset = in.offset;
	p->body_size = in.size;
}

void
mime_readings(struct builder *b, uint16_t index)
{
	for (unsigned k = 0; k < b->nodes[index].nreadings; k++)
		reading_make(b, index, k);
}

void
mime_split_found(struct builder *b, uint16_t index)
{
	struct splitter s = { .b = b, .src = b->out->parts[index].decoded, .decoded = true,
		.found = true, .leaf = PART_NONE, .current = index,
		.offset = b->out->parts[index].body_offset,
		.size = b->out->parts[index].body_size };

	b->nodes[index].message = true;
	b->nodes[index].leaf = false;
	s.frames = arena_alloc(b->a, (b->max_depth + 2) * sizeof(*s.frames));
	part_begin(&s, 0, index, true);
	split_run(&s);
	/* The container itself lies where it lay. */
	b->out->parts[index].body_offset = s.offset;
	b->out->parts[index].body_size = s.size;
}

uint16_t
mime_part_found(struct builder *b, uint16_t parent, struct span bytes, struct span name)
{
	struct part *p, *up;
	struct node *node;
	uint16_t index;

	if (b->entries == 0 || (index = part_new(b)) == PART_NONE) {
		b->out->parts[parent].defects |= DEFECT_TOO_MANY_PARTS;
		return PART_NONE;
	}
	b->entries--;
	p = &b->out->parts[index];
	up = &b->out->parts[parent];
	node = &b->nodes[index];
	*p = (struct part){ .parent = parent, .depth = up->depth + 1, .name = file_name(b->a, name),
		.declared = span_make("", 0), .charset = span_make("", 0), .boundary = span_make("", 0),
		.encoding = span_make("", 0), .disposition = span_make("", 0),
		.header_offset = up->header_offset, .body_offset = up->body_offset,
		.body_size = up->body_size, .decoded = bytes, .attachment = true, .unpacked = true };
	node->src = bytes;
	node->leaf = node->known = true;
	node->nested = b->nodes[parent].nested || b->nodes[parent].message;
	node->levels = (uint8_t)(b->nodes[parent].levels + 1);
	number_give(b, index, parent, false);
	return index;
}

void
mime_split(struct builder *b, struct span raw)
{
	struct splitter s = { .b = b, .src = raw, .leaf = PART_NONE };

	s.frames = arena_alloc(b->a, (b->max_depth + 2) * sizeof(*s.frames));
	part_begin(&s, 0, PART_NONE, true);
	b->out->header_end = (uint32_t)b->nodes[0].start;
	split_run(&s);
}
