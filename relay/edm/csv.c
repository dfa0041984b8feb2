/* csv.c -- see csv.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edm/csv.h"

enum state { FIELD_BEGIN, BARE, QUOTED, QUOTE_IN_QUOTED };

void
csv_init(struct csv *c, ssize_t (*read)(void *, char *, size_t), void *ctx, char delimiter)
{
	*c = (struct csv){ .read = read, .ctx = ctx, .delimiter = delimiter, .next_line = 1 };
	c->in = malloc(CSV_READ);
	c->ends = calloc(CSV_FIELDS_MAX, sizeof(*c->ends));
	c->fields = calloc(CSV_FIELDS_MAX, sizeof(*c->fields));
	c->cap = 4096;
	c->record = malloc(c->cap);
	ASSERT(c->in && c->ends && c->fields && c->record);
}

void
csv_release(struct csv *c)
{
	if (c->in)
		explicit_bzero(c->in, CSV_READ);
	if (c->record)
		explicit_bzero(c->record, c->cap);
	free(c->in);
	free(c->record);
	free(c->ends);
	free(c->fields);
	*c = (struct csv){ 0 };
}

/* More, behind what is not read yet. -1: err; 0: no more. */
static int
fill(struct csv *c, struct err *err)
{
	ssize_t n;

	if (c->ended)
		return 0;
	if (c->at == c->n)
		c->at = c->n = 0;
	do
		n = c->read(c->ctx, c->in + c->n, CSV_READ - c->n);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return err_errno(err, "line %llu", (unsigned long long)c->next_line);
	c->n += (size_t)n;
	c->bytes += (uint64_t)n;
	c->ended = n == 0;
	return n > 0;
}

static int
get(struct csv *c, struct err *err)
{
	if (c->at == c->n) {
		int r = fill(c, err);

		if (r <= 0)
			return r == 0 ? EOF : -2;
	}
	return (unsigned char)c->in[c->at++];
}

static int
put(struct csv *c, char ch, struct err *err)
{
	if (c->size == c->cap) {
		size_t cap = c->cap * 2;
		char *p;

		if (cap > CSV_RECORD_MAX)
			return err_set(err, EFBIG, "line %llu: a record of more than %u bytes; is a quote missing?",
			    (unsigned long long)c->line, CSV_RECORD_MAX);
		p = malloc(cap);
		ASSERT_MEMORY(p);
		memcpy(p, c->record, c->size);
		explicit_bzero(c->record, c->cap);
		free(c->record);
		c->record = p;
		c->cap = cap;
	}
	c->record[c->size++] = ch;
	return 0;
}

static int
field_end(struct csv *c, struct err *err)
{
	if (c->nfields == CSV_FIELDS_MAX)
		return err_set(err, EFBIG, "line %llu: more than %d fields", (unsigned long long)c->line,
		    CSV_FIELDS_MAX);
	c->ends[c->nfields++] = c->size;
	return 0;
}

/* The mark that stands most often in the first line, outside of quotes. */
static void
find_delimiter(struct csv *c)
{
	static const char marks[] = ",;\t|";
	size_t counts[sizeof(marks) - 1] = { 0 }, best = 0;
	bool quoted = false;

	for (size_t i = c->at; i < c->n && c->in[i] != '\n' && c->in[i] != '\r'; i++) {
		if (c->in[i] == '"')
			quoted = !quoted;
		for (size_t k = 0; !quoted && k < sizeof(marks) - 1; k++)
			counts[k] += c->in[i] == marks[k];
	}
	for (size_t k = 1; k < sizeof(marks) - 1; k++)
		if (counts[k] > counts[best])
			best = k;
	c->delimiter = marks[best];
}

static int
begin(struct csv *c, struct err *err)
{
	c->begun = true;
	/* The first line, to see what it is made of: a pipe may give it byte by byte. */
	while (!c->ended && c->n < CSV_READ && !memchr(c->in, '\n', c->n))
		if (fill(c, err) == -1)
			return -1;
	if (c->n - c->at >= 3 && memcmp(c->in + c->at, "\xef\xbb\xbf", 3) == 0)
		c->at += 3;
	if (c->n - c->at >= 2 && (memcmp(c->in + c->at, "\xff\xfe", 2) == 0 ||
	    memcmp(c->in + c->at, "\xfe\xff", 2) == 0))
		return err_set(err, EINVAL, "this is UTF-16: save it as UTF-8");
	if (!c->delimiter)
		find_delimiter(c);
	return 0;
}

static void
fields_set(struct csv *c)
{
	size_t from = 0;

	for (size_t i = 0; i < c->nfields; i++) {
		c->fields[i] = span_make(c->record + from, c->ends[i] - from);
		from = c->ends[i];
	}
}

/* The end of a line: a record, unless nothing stood in it, not even quotes. */
static int
line_end(struct csv *c, int ch, bool quotes, struct err *err)
{
	int next;

	if (ch == '\r') {
		next = get(c, err);
		if (next == -2)
			return -1;
		if (next != EOF && next != '\n')
			c->at--;
	}
	if (ch != EOF)
		c->next_line++;
	if (c->nfields == 0 && c->size == 0 && !quotes)
		return 0;
	return field_end(c, err) == -1 ? -1 : 1;
}

int
csv_next(struct csv *c, struct err *err)
{
	enum state s = FIELD_BEGIN;
	bool quotes = false;

	if (!c->begun && begin(c, err) == -1)
		return -1;
	c->size = c->nfields = 0;
	c->line = c->next_line;
	for (;;) {
		int ch = get(c, err), r;

		if (ch == -2)
			return -1;
		if (ch == '\0')
			return err_set(err, EINVAL, "line %llu: a NUL byte: this is no text",
			    (unsigned long long)c->next_line);
		if (s == QUOTED) {
			if (ch == EOF)
				return err_set(err, EINVAL, "line %llu: a quote that never ends",
				    (unsigned long long)c->line);
			c->next_line += ch == '\n';
			if (ch == '"')
				s = QUOTE_IN_QUOTED;
			else if (put(c, (char)ch, err) == -1)
				return -1;
			continue;
		}
		if (s == QUOTE_IN_QUOTED && ch == '"') {
			s = QUOTED;
			if (put(c, '"', err) == -1)
				return -1;
			continue;
		}
		if (ch == EOF || ch == '\n' || ch == '\r') {
			r = line_end(c, ch, quotes, err);
			if (r == -1)
				return -1;
			if (r == 1) {
				fields_set(c);
				return 1;
			}
			if (ch == EOF)
				return 0;
			c->line = c->next_line;
			s = FIELD_BEGIN;
			continue;
		}
		if (ch == c->delimiter) {
			if (field_end(c, err) == -1)
				return -1;
			s = FIELD_BEGIN;
			continue;
		}
		if (s == QUOTE_IN_QUOTED)
			return err_set(err, EINVAL, "line %llu: text behind a closing quote",
			    (unsigned long long)c->next_line);
		if (ch == '"' && s == FIELD_BEGIN) {
			quotes = true;
			s = QUOTED;
			continue;
		}
		s = BARE;
		if (put(c, (char)ch, err) == -1)
			return -1;
	}
}
