/* load_people.c -- who gets a copy, who is told, who must approve.
 *
 * People are addresses, one by one or of a group; a group's domains and patterns are
 * nobody whom a mail could reach.
 */
#include "load.h"

#define APPROVERS_MAX 50

/* The addresses of a group (patterns left out), or one address. */
static bool
read_people(struct load *ld, struct conf_node *n, struct span s, struct spans *out)
{
	struct span name = span_starts(s, SPAN_LIT("group:")) ? span_from(s, 6) : s, normal;
	struct err err = { 0 };
	struct group *g;
	struct span *one;

	if (name.n == s.n) {
		if (span_find(s, '@') == s.n || s.p[0] == '@' ||
		    !addrpattern_normalise(ld->tmp, s, &normal, &err)) {
			diag_at(ld->d, DIAG_ERROR, n, "or group:NAME", "`" SPAN_FMT "` is not an address",
			    SPAN_ARG(s));
			return false;
		}
		one = arena_array(ld->a, 1, sizeof(*one));
		one[0] = mailaddr_normalise(ld->a, s);
		*out = (struct spans){ one, 1 };
		return true;
	}
	g = pendings_get(&ld->groups, name);
	if (!g) {
		diag_at(ld->d, DIAG_ERROR, n,
		    nearest_hint(ld, pendings_nearest(ld, &ld->groups, name)),
		    "unknown group `" SPAN_FMT "`", SPAN_ARG(name));
		return false;
	}
	g->used = true;
	*out = group_members(ld, g);
	return true;
}

static void
people_add(struct load *ld, const struct conf_node *at, struct spans more, struct spans *to)
{
	struct span *v = arena_array(ld->a, to->n + more.n + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < to->n; i++)
		v[n++] = to->v[i];
	for (size_t i = 0; i < more.n; i++)
		if (span_find(more.v[i], '@') < more.v[i].n)
			v[n++] = more.v[i];
	if (n == to->n)
		diag_at(ld->d, DIAG_WARNING, at, NULL, "the group has no address: nobody would get it");
	*to = (struct spans){ v, n };
}

void
then_bcc(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct spans items = { 0 }, people;
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;

	if (!read_texts(ld, n, "an address", &items))
		return;
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: nobody would get a copy");
	for (size_t i = 0; i < items.n; i++, at = at->next)
		if (read_people(ld, at, items.v[i], &people))
			people_add(ld, at, people, &src->rule.then.bcc);
	if (src->rule.then.bcc.n > BCC_MAX)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "at most %d copies of a message", BCC_MAX);
}

struct notify_to {
	const char *word;
	enum notify_who who;
	const char *template;
};
static const struct notify_to notify_words[] = {
	{ "sender", NOTIFY_SENDER, NULL }, { "recipient", NOTIFY_RECIPIENT, "changed" },
	{ "admin", NOTIFY_ADMIN, "incident" }, { "postmaster", NOTIFY_ADMIN, "incident" },
};

static void
notify_push(struct load *ld, struct rule_src *src, struct notify_ask one)
{
	struct effects *t = &src->rule.then;
	struct notify_ask *v = arena_array(ld->a, t->nnotify + 1, sizeof(*v));

	if (t->nnotify)
		memcpy(v, t->notify, t->nnotify * sizeof(*v));
	v[t->nnotify++] = one;
	t->notify = v;
}

/* template: NULL: the usual one, known once the whole rule is. */
static void
notify_one(struct load *ld, struct rule_src *src, struct conf_node *n, struct span who,
    struct conf_node *template)
{
	struct notify_ask one = { .who = NOTIFY_ADDRESS };
	struct spans people = { 0 };
	const struct notify_to *to = NULL;
	struct span word = SPAN_LIT("incident");

	for (size_t i = 0; i < sizeof(notify_words) / sizeof(notify_words[0]); i++)
		if (span_is(who, notify_words[i].word))
			to = &notify_words[i];
	if (to) {
		one.who = to->who;
		word = span_str(to->template);
	} else if (span_find(who, '@') == who.n && !span_starts(who, SPAN_LIT("group:"))) {
		diag_at(ld->d, DIAG_ERROR, n, "sender, recipient, admin, an address or group:NAME",
		    "nobody is called `" SPAN_FMT "`", SPAN_ARG(who));
		return;
	} else if (!read_people(ld, n, who, &people)) {
		return;
	}
	if (template && !conf_text(ld->d, template, "a template", &word))
		return;
	if (word.n && !template_read(ld, template ? template : n, word, &one.name, &one.text, &one.html))
		return;
	if (to) {
		notify_push(ld, src, one);
		return;
	}
	for (size_t i = 0; i < people.n; i++) {
		one.address = people.v[i];
		if (span_find(one.address, '@') < one.address.n)
			notify_push(ld, src, one);
	}
}

void
then_notify(struct load *ld, struct conf_node *n, void *obj)
{
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;

	if (n->kind == CONF_MAP) {
		if (n->count == 0)
			diag_at(ld->d, DIAG_ERROR, n, "as in {sender: held}", "nobody is told");
		CONF_EACH (c, n)
			notify_one(ld, obj, c, c->key, c);
		return;
	}
	if (!read_texts(ld, n, "who is told", &items))
		return;
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "nobody is told");
	for (size_t i = 0; i < items.n; i++, at = at->next)
		notify_one(ld, obj, at, items.v[i], NULL);
}

void
hold_approvals(struct load *ld, struct conf_node *n, void *obj)
{
	struct hold_src *h = obj;

	conf_uint(ld->d, n, 1, 2, &h->approvals);
}

void
quarantine_approvals(struct load *ld, struct conf_node *n, void *obj)
{
	struct quarantine_src *q = obj;

	conf_uint(ld->d, n, 1, 2, &q->approvals);
}

/* Who may approve what the rule holds; their number is known only when all files are read. */
void
approvers_read(struct load *ld, struct conf_node *n, struct rule_src *src, uint64_t approvals)
{
	struct conf_node *who = conf_get(n, "for");
	struct span s;
	size_t addresses = 0;

	if (!approvals || !who || !conf_text(ld->d, who, "a group", &s))
		return;
	if (span_find(s, '@') == s.n && !span_starts(s, SPAN_LIT("group:")))
		s = span_str(arena_printf(ld->tmp, "group:" SPAN_FMT, SPAN_ARG(s)));
	if (!read_people(ld, who, s, &src->rule.then.approvers))
		return;
	for (size_t i = 0; i < src->rule.then.approvers.n; i++)
		addresses += span_find(src->rule.then.approvers.v[i], '@') <
		    src->rule.then.approvers.v[i].n;
	if (addresses < approvals)
		diag_at(ld->d, DIAG_ERROR, who, "approvers are asked by mail: list their addresses",
		    "%llu %s to approve, and the group has %zu", (unsigned long long)approvals,
		    approvals == 1 ? "person" : "persons", addresses);
	else if (src->rule.then.approvers.n > APPROVERS_MAX)
		diag_at(ld->d, DIAG_ERROR, who, NULL, "at most %d approvers", APPROVERS_MAX);
	src->rule.then.approvals = (uint8_t)approvals;
}
