/* record_grades.c -- what lexicons and fingerprints came to, in a record and out of it.
 *
 * An extension of the record (record.c): how many grades, then of each the
 * detector, the subject, the part (0: the message), how many different things,
 * the amount. A document is told by the number its matches' value has in the
 * record: its name stands in evidence alone.
 */
#include <stdlib.h>

#include "record.h"

/* Numbers of values, in order of first sight, as put_detector() of record.c gives them. */
static void
number_subjects(const struct detection *d, uint32_t detector, struct idtable *numbers)
{
	uint32_t n = 0;

	for (uint32_t i = d->first[detector]; i < d->first[detector + 1]; i++)
		if (!idtable_get(numbers, d->matches[i].value))
			idtable_put(numbers, d->matches[i].value, (void *)(uintptr_t)++n);
}

static void
put_detector_grades(struct buf *b, const struct eval *e, const struct grade *v, size_t n, size_t *put)
{
	struct idtable *numbers = idtable_new();
	struct grade_reach reach;
	bool subjects = detectors_reach(e->p->detectors, v[0].detector, &reach) && reach.documents;

	if (subjects)
		number_subjects(&e->detection, v[0].detector, numbers);
	for (size_t i = 0; i < n; i++) {
		uintptr_t number = subjects ?
		    (uintptr_t)idtable_get(numbers, (uint64_t)v[i].subject + 1) : 1;

		if (number == 0)
			continue;	/* it has no match */
		wire_put(b, v[i].detector);
		wire_put(b, number - 1);
		wire_put(b, v[i].part == GRADE_MESSAGE ? 0 : (uint64_t)v[i].part + 1);
		wire_put(b, v[i].distinct);
		wire_put(b, v[i].amount);
		++*put;
	}
	idtable_free(&numbers);
}

void
put_grades(struct buf *record, const struct eval *e)
{
	const struct detection *d = &e->detection;
	struct buf b, whole;
	size_t put = 0;

	if (d->ngrades == 0 || d->first == NULL)
		return;
	buf_init(&b, RECORD_BYTES_MAX);
	buf_init(&whole, RECORD_BYTES_MAX);
	for (size_t i = 0, k; i < d->ngrades; i = k) {
		for (k = i + 1; k < d->ngrades && d->grades[k].detector == d->grades[i].detector; k++)
			;
		put_detector_grades(&b, e, d->grades + i, k - i, &put);
	}
	wire_put(&whole, put);
	buf_span(&whole, buf_data(&b));
	wire_put(record, EXTENSION_GRADES);
	wire_put_span(record, buf_data(&whole));
	record->failed |= buf_failed(&b) || buf_failed(&whole);
	buf_release(&b);
	buf_release(&whole);
}

void
record_grades(struct grades_reader *g, const struct record *r)
{
	*g = (struct grades_reader){ .w = { .in = r->grades } };
	g->left = wire_get_count(&g->w, RECORD_BYTES_MAX);
}

bool
record_next_grade(struct grades_reader *g, struct grade *out)
{
	uint64_t part;

	if (g->left == 0 || g->w.bad)
		return false;
	g->left--;
	*out = (struct grade){ .detector = (uint32_t)wire_get_max(&g->w, UINT16_MAX) };
	out->subject = (uint32_t)wire_get_max(&g->w, UINT32_MAX - 1);
	part = wire_get_max(&g->w, UINT16_MAX + 1);
	out->part = part ? (uint32_t)part - 1 : GRADE_MESSAGE;
	out->distinct = (uint32_t)wire_get_max(&g->w, UINT32_MAX);
	out->amount = wire_get(&g->w);
	return !g->w.bad;
}
