/* queue_select.c -- see queue_select.h. What costs nothing is asked first, what has to be read
 * from the disk last.
 */
#include "clock.h"
#include "conf.h"
#include "queue/queue_select.h"

static const char *const keys[] = { "id", "from", "to", "site", "reason", "older", "newer", "held",
	NULL };
enum key { KEY_ID, KEY_FROM, KEY_TO, KEY_SITE, KEY_REASON, KEY_OLDER, KEY_NEWER, KEY_HELD,
	KEY_NONE };

static enum key
key_of(struct span word)
{
	enum key k;

	for (k = KEY_ID; k < KEY_NONE && !span_is(word, keys[k]); k++)
		;
	return k;
}

static int
condition(struct selector *s, enum key k, struct span v, struct err *err)
{
	int64_t us;

	if (k == KEY_HELD && v.n > 0)
		return err_set(err, 0, "`held` takes no value");
	if (k != KEY_HELD && v.n == 0)
		return err_set(err, 0, "`%s=` needs a value", keys[k]);
	switch (k) {
	case KEY_ID:
		return id_parse(v, &s->id) ? 0 :
		    err_set(err, 0, "`" SPAN_FMT "` is no id", SPAN_ARG(v));
	case KEY_FROM:
		s->by_sender = true;
		s->sender = span_is(v, "<>") ? (struct span){ 0 } : v;
		return 0;
	case KEY_TO:
		s->by_rcpt = true;
		s->rcpt = v;
		return 0;
	case KEY_SITE:
		s->by_site = true;
		s->site = v;
		return 0;
	case KEY_REASON:
		s->by_reason = true;
		s->reason = v;
		return 0;
	case KEY_OLDER:
	case KEY_NEWER:
		if (!parse_duration(v, &us))
			return err_set(err, 0, "`" SPAN_FMT "` is no time: 30s, 5m, 2h, 7d",
			    SPAN_ARG(v));
		*(k == KEY_OLDER ? &s->before : &s->after) = clock_real() - us;
		return 0;
	default:
		s->held = true;
		return 0;
	}
}

/* Where this condition ends: at a comma, but in the words of a reply only when another condition
 * follows it. */
static size_t
condition_end(struct span t, bool words)
{
	for (size_t i = 0; i < t.n; i++) {
		struct span rest = span_from(t, i + 1);
		size_t n = 0;

		if (t.p[i] != ',')
			continue;
		while (n < rest.n && rest.p[n] >= 'a' && rest.p[n] <= 'z')
			n++;
		if (!words || (n < rest.n && rest.p[n] == '=' &&
		    key_of(span_sub(rest, 0, n)) != KEY_NONE) ||
		    (span_starts(rest, SPAN_LIT("held")) && (rest.n == 4 || rest.p[4] == ',')))
			return i;
	}
	return t.n;
}

static int
conditions(struct selector *s, struct span t, struct err *err)
{
	while (t.n > 0) {
		size_t eq = span_find(t, '='), end;
		struct span word;
		enum key k;

		if (span_find(t, ',') < eq)
			eq = span_find(t, ',');
		word = span_sub(t, 0, eq);
		if ((k = key_of(word)) == KEY_NONE) {
			const char *near = conf_nearest(word, keys);

			return err_set(err, 0, "no condition `" SPAN_FMT "`%s%s%s; there are id=, "
			    "from=, to=, site=, reason=, older=, newer=, held", SPAN_ARG(word),
			    near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
		}
		end = condition_end(t, k == KEY_REASON);
		if (condition(s, k, span_sub(t, eq + 1, end > eq ? end - eq - 1 : 0), err) == -1)
			return -1;
		t = span_from(t, end + 1);
	}
	return 0;
}

static bool
looks_like_conditions(struct span t)
{
	size_t n = 0;

	while (n < t.n && t.p[n] >= 'a' && t.p[n] <= 'z')
		n++;
	/* "bounce=x@example.net" is an address, `form=x@example.net` a slip for `from=`. */
	return n > 0 && ((n < t.n && t.p[n] == '=' && (span_find(t, '@') == t.n ||
	    key_of(span_sub(t, 0, n)) != KEY_NONE || conf_nearest(span_sub(t, 0, n), keys))) ||
	    (span_starts(t, SPAN_LIT("held")) && (t.n == 4 || t.p[4] == ',')));
}

int
selector_parse(const struct jval *req, struct selector *s, struct err *err)
{
	struct span any = jval_text(req, "selector"), id = jval_text(req, "id");

	*s = (struct selector){ .site = jval_text(req, "site"), .sender = jval_text(req, "sender") };
	s->by_sender = jval_has(req, "sender");
	s->by_site = s->site.n > 0;
	if (id.n)
		return condition(s, KEY_ID, id, err);
	if (s->by_site || s->by_sender)
		return 0;
	if (any.n == 0)
		return err_set(err, 0, "which messages? an id, a site, an address, all, or "
		    "conditions: from=, to=, site=, reason=, older=, newer=, held");
	if (span_is(any, "all"))
		s->all = true;
	else if (id_parse(any, &s->id))
		;
	else if (looks_like_conditions(any))
		return conditions(s, any, err);
	else if (span_is(any, "<>") || span_find(any, '@') < any.n)
		return condition(s, KEY_FROM, any, err);
	else
		return condition(s, KEY_SITE, any, err);
	return 0;
}

struct span
selector_text(const struct jval *req)
{
	static const char *const names[] = { "selector", "id", "site", "sender" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (jval_has(req, names[i]))
			return jval_text(req, names[i]);
	return (struct span){ 0 };
}

/* ---- matching ---- */

/* "@example.org" is every address of the domain. */
static bool
address_is(struct span address, struct span want)
{
	return want.n > 0 && want.p[0] == '@' ? span_ends_nocase(address, want) :
	    span_eq_nocase(address, want);
}

bool
selector_look(struct queue *q, struct message *m, struct looked *k)
{
	if (!k->read) {
		k->read = true;
		k->failed = queue_plan(q, m, k->a, &k->s, &k->p, NULL) == -1;
	}
	return !k->failed;
}

static bool
site_is(struct queue *q, const struct selector *s, struct message *m, const struct leg *l,
    struct looked *k)
{
	if (l->kind != LEG_DELIVER)
		return false;
	if (l->job.site != NULL)
		return span_eq_nocase(schedule_job_site(&l->job), s->site);
	/* Held messages are in no site's line. */
	return (m->flags & STATE_HELD) && selector_look(q, m, k) &&
	    span_eq_nocase(queue_site(q, l, &k->p, k->a), s->site);
}

static bool
contains(struct span text, struct span part)
{
	for (size_t i = 0; i + part.n <= text.n; i++)
		if (span_eq_nocase(span_sub(text, i, part.n), part))
			return true;
	return false;
}

static bool
reason_is(struct queue *q, const struct selector *s, struct message *m, const struct leg *l,
    struct looked *k)
{
	struct state st;

	if (l->attempts > 0 && span_is_nocase(s->reason, retry_name(l->retry)))
		return true;
	if (l->at.segment == 0 || spool_read_state(q->sp, &l->at, k->a, &st, NULL) == -1)
		return false;
	for (size_t i = 0; i < st.ntargets; i++)
		if (st.targets[i].status == TARGET_PENDING &&
		    contains(st.targets[i].reply, s->reason))
			return true;
	return false;
}

bool
selector_target(const struct selector *s, const struct target *t)
{
	return !s->by_rcpt || address_is(t->rcpt.address, s->rcpt) ||
	    address_is(t->original, s->rcpt);
}

static bool
recipient_in(struct queue *q, const struct selector *s, struct message *m, const struct leg *l,
    struct looked *k)
{
	if (!selector_look(q, m, k))
		return false;
	for (size_t i = 0; i < k->p.ntargets; i++)
		if (k->p.targets[i].leg == l->index && message_status(m)[i] == TARGET_PENDING &&
		    selector_target(s, &k->p.targets[i]))
			return true;
	return false;
}

bool
selector_leg(struct queue *q, const struct selector *s, struct message *m, const struct leg *l,
    struct looked *k)
{
	return (!s->by_site || site_is(q, s, m, l, k)) &&
	    (!s->by_rcpt || recipient_in(q, s, m, l, k)) &&
	    (!s->by_reason || reason_is(q, s, m, l, k));
}

bool
selector_message(struct queue *q, const struct selector *s, struct message *m, struct looked *k)
{
	struct arena *a = k->a;

	if (m->item.state != ITEM_LIVE || message_done(m) || (s->id && m->item.id != s->id) ||
	    (s->held && !(m->flags & STATE_HELD)) || (s->before && m->since >= s->before) ||
	    (s->after && m->since < s->after))
		return false;
	arena_reset(a);
	*k = (struct looked){ .a = a };
	if (s->by_sender && (!selector_look(q, m, k) || !address_is(k->s.env.sender, s->sender)))
		return false;
	if (!s->by_site && !s->by_rcpt && !s->by_reason)
		return true;
	for (size_t i = 0; i < m->nlegs; i++)
		if (selector_leg(q, s, m, &m->legs[i], k))
			return true;
	return false;
}
