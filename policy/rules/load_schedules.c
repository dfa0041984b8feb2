/* load_schedules.c -- names for times of the week, and moments as people write them.
 *
 * A schedule is a stretch of the day on some days, by the clocks of one zone; a
 * list of them where one is not enough. A stretch that ends before it begins
 * goes over midnight and belongs to the day on which it began, so
 * `days: mon-fri, from: "22:00", to: "06:00"` ends on Saturday morning.
 *
 * There is no default zone: UTC would be wrong twice a year without a word.
 */
#include "load.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define DAY_SECONDS 86400

static const char *const day_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL };

/* --- small readers -------------------------------------------------------------------------- */

/* "07:30", "24:00" */
static bool
parse_clock(struct span s, uint32_t *seconds)
{
	size_t colon = span_find(s, ':');
	uint64_t h, m;

	if (colon == 0 || colon > 2 || s.n != colon + 3 ||
	    !parse_uint(span_sub(s, 0, colon), 24, &h) ||
	    !parse_uint(span_from(s, colon + 1), 59, &m) || (h == 24 && m > 0))
		return false;
	*seconds = (uint32_t)(h * 3600 + m * 60);
	return true;
}

static bool
read_clock(struct load *ld, struct conf_node *n, uint32_t *seconds)
{
	struct span s;

	if (!conf_text(ld->d, n, "a time of the day", &s))
		return false;
	if (parse_clock(s, seconds))
		return true;
	diag_at(ld->d, DIAG_ERROR, n, "as in \"07:30\"", "`" SPAN_FMT "` is not a time of the day",
	    SPAN_ARG(s));
	return false;
}

static int
day_of(struct span s)
{
	for (int i = 0; day_names[i]; i++)
		if (span_is_nocase(s, day_names[i]))
			return i;
	return -1;
}

/* "mon", "mon-fri", "fri-mon" */
static bool
days_add(struct load *ld, struct conf_node *n, struct span s, uint8_t *days)
{
	size_t dash = span_find(s, '-');
	int from = day_of(span_trim(span_sub(s, 0, dash)));
	int to = dash < s.n ? day_of(span_trim(span_from(s, dash + 1))) : from;

	if (from < 0 || to < 0) {
		diag_at(ld->d, DIAG_ERROR, n, "mon, tue, wed, thu, fri, sat, sun; as in mon-fri or [mon, wed]",
		    "`" SPAN_FMT "` is no day", SPAN_ARG(s));
		return false;
	}
	for (int i = from; ; i = (i + 1) % 7) {
		*days |= (uint8_t)(1u << i);
		if (i == to)
			return true;
	}
}

static bool
read_days(struct load *ld, struct conf_node *n, uint8_t *days)
{
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	bool fine = true;

	if (!read_texts(ld, n, "days", &items))
		return false;
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	for (size_t i = 0; i < items.n; i++, at = at->next)
		fine &= days_add(ld, at, items.v[i], days);
	return fine && items.n > 0;
}

/* --- zones ------------------------------------------------------------------------------------- */

/* Letters, digits, `_`, `-`, `+`, and `/` between names: never a path to somewhere else. */
static bool
zone_name_fine(struct span s)
{
	bool start = true;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') ||
		    c == '_' || c == '-' || c == '+';

		if (start ? !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') : !word && c != '/')
			return false;
		start = c == '/';
	}
	return s.n > 0 && s.n < 64 && !start;
}

static const struct zone *
read_zone(struct load *ld, struct conf_node *n)
{
	struct span s, data = { 0 };
	struct err err = { 0 };
	const struct zone *z;

	if (!conf_text(ld->d, n, "a zone", &s))
		return NULL;
	if (span_is(s, "UTC"))
		return zone_utc();
	if ((z = table_get(ld->zones, s)) != NULL)
		return z;
	if (!zone_name_fine(s)) {
		diag_at(ld->d, DIAG_ERROR, n, "as in Europe/Paris", "`" SPAN_FMT "` is no time zone",
		    SPAN_ARG(s));
		return NULL;
	}
	if (!ld->env->read_zone || ld->env->read_zone(ld->env->ctx, s, &data, &err) == -1) {
		diag_at(ld->d, DIAG_ERROR, n, "as in Europe/Paris; the package tzdata has them",
		    "unknown time zone `" SPAN_FMT "`%s%s", SPAN_ARG(s), err.text[0] ? ": " : "",
		    err.text);
		return NULL;
	}
	z = zone_parse(ld->a, data, &err);
	if (!z) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "time zone `" SPAN_FMT "`: %s", SPAN_ARG(s),
		    err.text);
		return NULL;
	}
	table_put(ld->zones, arena_span(ld->tmp, s), (void *)(uintptr_t)z);
	load_hash(ld, s);
	load_hash(ld, data);
	return z;
}

/* --- schedules ---------------------------------------------------------------------------------- */

static void
read_holidays(struct load *ld, struct conf_node *n, struct schedule *s)
{
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	int64_t *v, us;

	if (!read_texts(ld, n, "dates", &items))
		return;
	v = arena_array(ld->a, s->nholidays + items.n + 1, sizeof(*v));
	if (s->nholidays)
		memcpy(v, s->holidays, s->nholidays * sizeof(*v));
	for (size_t i = 0; i < items.n; i++, at = at->next)
		if (read_date(ld, at, &us))
			v[s->nholidays++] = us / DAY_US;
	s->holidays = v;
}

/* One stretch; the zone of the first holds for all that name none. */
static bool
read_hours(struct load *ld, struct conf_node *n, struct schedule *s, struct hours *h)
{
	struct schedule_src src = { 0 };
	const struct zone *zone = NULL;
	size_t errors = ld->d->errors;

	*h = (struct hours){ .days = 0x7f, .to = DAY_SECONDS };
	if (!keys_read(ld, n, SECTION_SCHEDULE, &src))
		return false;
	if (src.days) {
		h->days = 0;
		read_days(ld, src.days, &h->days);
	}
	if (src.from)
		read_clock(ld, src.from, &h->from);
	if (src.to)
		read_clock(ld, src.to, &h->to);
	if (src.holidays)
		read_holidays(ld, src.holidays, s);
	if (src.zone)
		zone = read_zone(ld, src.zone);
	if (ld->d->errors > errors)
		return false;
	if (!src.zone && !s->zone) {
		diag_at(ld->d, DIAG_ERROR, n, "as in zone: Europe/Paris",
		    "a schedule needs `zone`: by whose clocks");
		return false;
	}
	if (zone && s->zone && zone != s->zone) {
		diag_at(ld->d, DIAG_ERROR, src.zone, NULL, "a schedule has one zone");
		return false;
	}
	if (zone)
		s->zone = zone;
	if (h->from == h->to || h->from == DAY_SECONDS) {
		diag_at(ld->d, DIAG_ERROR, src.to ? src.to : n, "leave both out for the whole day",
		    "nothing is between these times");
		return false;
	}
	return true;
}

void
schedules_read(struct load *ld, struct conf_node *n, void *obj)
{
	if (!conf_want(ld->d, n, CONF_MAP, "schedules"))
		return;
	CONF_EACH (c, n) {
		struct schedule *s = arena_zalloc(ld->a, sizeof(*s));
		size_t count = c->kind == CONF_LIST ? c->count : 1;
		struct hours *v = arena_array(ld->a, count ? count : 1, sizeof(*v));

		s->name = arena_span(ld->a, c->key);
		s->hours = v;
		if (!pendings_add(ld, &ld->schedules, "schedule", s->name, c, s))
			continue;
		if (count == 0)
			diag_at(ld->d, DIAG_ERROR, c, NULL, "an empty list: this would never hold");
		for (struct conf_node *at = c->kind == CONF_LIST ? c->first : c; at;
		     at = c->kind == CONF_LIST ? at->next : NULL)
			if (read_hours(ld, at, s, &v[s->nhours]))
				s->nhours++;
	}
}

void
cond_schedule(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_SCHEDULE, .key = SPAN_LIT("schedule") };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate), *at;
	const struct schedule **v;
	struct spans names = { 0 };
	struct buf key;

	if (!list || !read_texts(ld, list, "a schedule", &names))
		return;
	v = arena_array(ld->a, names.n + 1, sizeof(*v));
	at = list->kind == CONF_LIST ? list->first : list;
	if (names.n == 0)
		diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
	for (size_t i = 0; i < names.n; i++, at = at->next) {
		const struct schedule *s = pendings_get(&ld->schedules, names.v[i]);

		if (s)
			v[atom.schedules.n++] = s;
		else
			diag_at(ld->d, DIAG_ERROR, at,
			    nearest_hint(ld, pendings_nearest(ld, &ld->schedules, names.v[i])),
			    "unknown schedule `" SPAN_FMT "`", SPAN_ARG(names.v[i]));
	}
	if (names.n == 0 || atom.schedules.n < names.n)
		return;
	atom.schedules.v = v;
	key_begin(&key, "schedule");
	key_texts(&key, &names);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* --- moments ------------------------------------------------------------------------------------- */

bool
policy_moment_parse(struct span s, int64_t *us)
{
	uint32_t seconds = 0;
	uint64_t last = 0;
	int64_t day;

	if (!parse_date(span_sub(s, 0, 10), &day))
		return false;
	s = span_from(s, 10);
	if (s.n) {
		if (s.p[0] != ' ' && s.p[0] != 'T')
			return false;
		s = span_from(s, 1);
		if (s.n && s.p[s.n - 1] == 'Z')
			s.n--;
		if (!parse_clock(span_sub(s, 0, 5), &seconds) || (s.n > 5 && (s.n != 8 ||
		    s.p[5] != ':' || !parse_uint(span_from(s, 6), 59, &last))))
			return false;
	}
	*us = day + ((int64_t)seconds + (int64_t)last) * 1000000;
	return true;
}

void
test_now(struct load *ld, struct conf_node *n, void *obj)
{
	struct test_src *t = obj;
	struct span s;

	if (conf_text(ld->d, n, "a moment", &s) && !policy_moment_parse(s, &t->now))
		diag_at(ld->d, DIAG_ERROR, n, "as in 2027-03-01 or 2027-03-01 14:30, in UTC",
		    "`" SPAN_FMT "` is not a moment", SPAN_ARG(s));
}
