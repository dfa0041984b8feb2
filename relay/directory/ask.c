/* ask.c -- questions about addresses; see ask.h.
 *
 * A question is a small machine: it sends a search, and what comes back either ends it
 * or leads to the next. Those that may be kept have a key; who asks for a key that is
 * under way joins it.
 *
 * The groups of an address: first the entries it belongs to (`person`), then the groups that
 * have one of them as a member, then the groups of those, until no new one comes. Each round is one
 * search, or several when the names are many. With `chain` a server of Microsoft's does it in one
 * (LDAP_MATCHING_RULE_IN_CHAIN). Too many groups, too deep a nest: unknown, not a part of the truth.
 */
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "directory/ask.h"
#include "directory/filter.h"
#include "log.h"
#include "master/counters.h"
#include "table.h"

#define PERSONS_MAX 8		/* entries one address may belong to */
#define LOGINS_MAX 2		/* more than one is nobody */
#define IN_CHAIN ":1.2.840.113556.1.4.1941:"
#define ACTIVE_DIRECTORY "1.2.840.113556.1.4.800"	/* supportedCapabilities of those that know it */

struct waiter {
	struct waiter *next;
	ask_cb *cb;
	void *ctx;
};

struct ask {
	struct asker *k;
	struct ask *next, **prev;
	struct arena *arena;
	const struct conf_directory *dir;
	struct span key;		/* empty: not kept */
	struct waiter first, *more;
	int64_t keep_missing;
	const char *filter, *dn, *server;
	enum cache_age was;
	int64_t was_made;
	/* groups */
	struct table *seen;		/* DN -> itself */
	struct span *groups;		/* all there are, in the order they were found */
	size_t ngroups, asked, round_end, depth;	/* asked: those whose own groups are known */
	/* login */
	char *password;
	size_t npassword;
};

struct asker {
	const struct config *conf;
	struct event_base *base;
	struct cache *cache;
	struct pool *pools[DIRECTORIES_MAX];
	bool knows_chain[DIRECTORIES_MAX];
	struct table *open;		/* by key */
	struct ask *all;
};

struct asker *
asker_new(const struct config *conf, struct event_base *base, struct cache *cache)
{
	struct asker *k = calloc(1, sizeof(*k));

	ASSERT(k != NULL);
	k->conf = conf;
	k->base = base;
	k->cache = cache;
	k->open = table_new();
	return k;
}

static size_t
index_of(const struct asker *k, const struct conf_directory *dir)
{
	size_t i = (size_t)(dir - k->conf->directories);

	ASSERT(i < k->conf->ndirectories && i < DIRECTORIES_MAX);
	return i;
}

void
asker_add(struct asker *k, const struct pool_setup *how)
{
	k->pools[index_of(k, how->dir)] = pool_new(how);
}

struct pool *
asker_pool(const struct asker *k, const struct conf_directory *dir)
{
	return k->pools[index_of(k, dir)];
}

bool
ask_covers(const struct conf_directory *dir, struct span address)
{
	struct span local, domain;

	if (dir->ndomains == 0)
		return true;
	if (!mailaddr_split(address, &local, &domain))
		return false;
	for (size_t i = 0; i < dir->ndomains; i++)
		if (span_eq_nocase(dir->domains[i], domain))
			return true;
	return false;
}

/* ---- life of a question ---- */

static void
ask_free(struct ask *q)
{
	struct arena *a = q->arena;

	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	if (q->key.n)
		table_remove(q->k->open, q->key);
	if (q->password)
		explicit_bzero(q->password, q->npassword);
	table_free(&q->seen);
	arena_free(&a);
}

void
asker_free(struct asker **kp)
{
	struct asker *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	for (size_t i = 0; i < DIRECTORIES_MAX; i++)
		pool_free(&k->pools[i]);
	while (k->all)
		ask_free(k->all);
	table_free(&k->open);
	free(k);
}

static struct ask *
ask_new(struct asker *k, const struct conf_directory *dir, struct span key, ask_cb *cb, void *ctx)
{
	struct arena *a = arena_new(1024);
	struct ask *q = arena_zalloc(a, sizeof(*q));

	*q = (struct ask){ .k = k, .arena = a, .dir = dir, .first = { NULL, cb, ctx },
		.next = k->all, .prev = &k->all, .keep_missing = dir->missing, .filter = "",
		.dn = "", .server = "" };
	if (q->next)
		q->next->prev = &q->next;
	k->all = q;
	if (key.n) {
		struct cached c;

		q->key = arena_span(a, key);
		if ((q->was = cache_get(k->cache, key, clock_real(), &c)) != CACHE_NONE)
			q->was_made = c.made;
		table_put(k->open, q->key, q);
	}
	counter_add(COUNTER_DIRECTORY_SEARCHES, 1);
	return q;
}

static void
tell_all(struct ask *q, struct answer *a)
{
	a->filter = q->filter;
	a->dn = q->dn;
	a->server = q->server;
	a->was = q->was;
	a->was_made = q->was_made;
	if (q->key.n)
		table_remove(q->k->open, q->key);
	q->key.n = 0;
	q->first.cb(q->first.ctx, a);
	for (struct waiter *w = q->more; w; w = w->next)
		w->cb(w->ctx, a);
	ask_free(q);
}

static void
ask_done(struct ask *q, bool found, const struct span *values, size_t n)
{
	struct answer a = { .status = found ? ASK_FOUND : ASK_MISSING, .values = values, .n = n,
		.made = clock_real(), .text = "" };

	if (q->key.n)
		cache_put(q->k->cache, q->key, found, values, n, a.made,
		    found ? q->dir->found : q->keep_missing, q->dir->stale);
	tell_all(q, &a);
}

/* LDAP cannot be asked: what was known of old, if it is not too old. */
static void
ask_unknown(struct ask *q, const char *why)
{
	struct answer a = { .status = ASK_UNKNOWN, .text = arena_str(q->arena, span_str(why)) };
	struct cached c;

	if (q->key.n && cache_get(q->k->cache, q->key, clock_real(), &c) != CACHE_NONE) {
		a.status = c.found ? ASK_FOUND : ASK_MISSING;
		a.values = c.values;
		a.n = c.n;
		a.made = c.made;
		a.cached = a.stale = true;
		counter_add(COUNTER_DIRECTORY_STALE, 1);
	} else {
		counter_add(COUNTER_DIRECTORY_FAILURES, 1);
		if (q->password == NULL)
			log_warn("directory " SPAN_FMT ": cannot be asked, and nothing is known: %s",
			    SPAN_ARG(q->dir->name), why);
	}
	tell_all(q, &a);
}

static void
ask_failed(struct ask *q, const struct pool_answer *pa)
{
	if (pa->status == POOL_TOO_MANY)
		ask_unknown(q, "more entries or values than can be");
	else if (pa->status == POOL_NO_OBJECT)
		ask_unknown(q, "the `base` is not in the directory");
	else
		ask_unknown(q, pa->text);
}

/* true: answered, by the cache, or joined to one under way. */
static bool
answered_already(struct asker *k, struct span key, bool fresh, ask_cb *cb, void *ctx)
{
	struct cached c;
	struct ask *q;

	counter_add(COUNTER_DIRECTORY_LOOKUPS, 1);
	if (!fresh && cache_get(k->cache, key, clock_real(), &c) == CACHE_FRESH) {
		struct answer a = { .status = c.found ? ASK_FOUND : ASK_MISSING,
			.values = c.values, .n = c.n, .cached = true, .made = c.made, .text = "",
			.filter = "", .dn = "", .server = "" };

		counter_add(COUNTER_DIRECTORY_HITS, 1);
		cb(ctx, &a);
		return true;
	}
	if ((q = table_get(k->open, key)) != NULL) {
		struct waiter *w = arena_alloc(q->arena, sizeof(*w));

		*w = (struct waiter){ q->more, cb, ctx };
		q->more = w;
		return true;
	}
	return false;
}

static void
refuse(const char *why, ask_cb *cb, void *ctx)
{
	struct answer a = { .status = ASK_UNKNOWN, .text = why, .filter = "", .dn = "",
		.server = "" };

	cb(ctx, &a);
}

/* A key: the kind, the directory's name, then parts, each behind a NUL. */
static struct span
key_make(struct arena *a, char kind, const struct conf_directory *dir, struct span one,
    struct span two, struct span three)
{
	struct span parts[] = { dir->name, one, two, three };
	struct buf b;
	struct span s;

	buf_init(&b, 16384);
	buf_putc(&b, kind);
	for (size_t i = 0; i < 4; i++) {
		buf_span(&b, parts[i]);
		buf_putc(&b, '\0');
	}
	s = buf_failed(&b) ? (struct span){ 0 } : arena_span(a, buf_data(&b));
	buf_release(&b);
	return s;
}

/* ---- values ---- */

static void
got_values(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;
	struct span *all;
	size_t n = 0;

	q->server = arena_str(q->arena, span_str(pa->server));
	if (pa->status != POOL_OK) {
		ask_failed(q, pa);
		return;
	}
	for (size_t i = 0; i < pa->n; i++)
		n += pa->entries[i].n;
	if (n > CACHE_VALUES_MAX) {
		ask_unknown(q, "more values than can be");
		return;
	}
	all = arena_array(q->arena, n, sizeof(*all));
	n = 0;
	for (size_t i = 0; i < pa->n; i++)
		for (size_t k = 0; k < pa->entries[i].n; k++)
			all[n++] = arena_span(q->arena, pa->entries[i].values[k]);
	if (pa->n)
		q->dn = arena_str(q->arena, pa->entries[0].dn);
	ask_done(q, pa->n > 0, all, n);
}

void
ask_values(struct asker *k, const struct conf_directory *dir, struct span filter,
    struct span attribute, struct span address, bool fresh, ask_cb *cb, void *ctx)
{
	struct arena *tmp = arena_new(1024);
	struct span low = arena_lower(tmp, address), text;
	struct span key = key_make(tmp, 'v', dir, filter, attribute, low);
	struct err err;
	struct ask *q;

	if (key.n == 0 || template_expand(TEMPLATE_FILTER, filter, low, tmp, &text, &err) == -1) {
		refuse("the address is too long for a filter", cb, ctx);
	} else if (!answered_already(k, key, fresh, cb, ctx)) {
		struct pool_search s = { .base = dir->base, .subtree = true, .max = PERSONS_MAX };

		q = ask_new(k, dir, key, cb, ctx);
		q->filter = s.filter = arena_str(q->arena, text);
		s.attribute = attribute.n ? arena_str(q->arena, attribute) : NULL;
		pool_search(asker_pool(k, dir), &s, got_values, q);
	}
	arena_free(&tmp);
}

/* ---- groups ---- */

static void groups_next(struct ask *q);

/* A group, or (at first) an entry the address belongs to. false: too many. */
static bool
groups_add(struct ask *q, struct span dn)
{
	struct span normal;

	if (!dn_normalise(q->arena, dn, &normal) || table_get(q->seen, normal))
		return true;
	if (q->ngroups == GROUPS_MAX)
		return false;
	q->groups[q->ngroups] = normal;
	table_put(q->seen, normal, &q->groups[q->ngroups]);
	q->ngroups++;
	return true;
}

static void
got_groups(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;

	if (pa->status != POOL_OK) {
		ask_failed(q, pa);
		return;
	}
	for (size_t i = 0; i < pa->n; i++)
		if (!groups_add(q, pa->entries[i].dn)) {
			ask_unknown(q, "the address is in more groups than can be");
			return;
		}
	groups_next(q);
}

/* (|(member=A)(uniqueMember=A)(member=B)…), as many of those not asked for yet as fit. */
static const char *
groups_filter(struct ask *q)
{
	struct span rule = q->dir->nested == NESTED_CHAIN ? SPAN_LIT(IN_CHAIN) : SPAN_LIT("");
	struct buf one, b;
	const char *text;

	buf_init(&b, FILTER_MAX);
	buf_init(&one, FILTER_MAX);
	buf_puts(&b, "(|");
	for (; q->asked < q->round_end; q->asked++) {
		buf_reset(&one);
		for (size_t i = 0; i < q->dir->nmembers; i++) {
			buf_putc(&one, '(');
			buf_span(&one, q->dir->members[i]);
			buf_span(&one, rule);
			buf_putc(&one, '=');
			filter_escape(&one, q->groups[q->asked]);
			buf_putc(&one, ')');
		}
		if (buf_failed(&one) || buf_size(&b) + buf_size(&one) > FILTER_MAX - 2)
			break;
		buf_span(&b, buf_data(&one));
	}
	buf_putc(&b, ')');
	text = buf_size(&b) > 3 && !buf_failed(&b) ? arena_str(q->arena, buf_data(&b)) : NULL;
	buf_release(&b);
	buf_release(&one);
	return text;
}

/* The next search of this round, the next round, or the end. */
static void
groups_next(struct ask *q)
{
	struct pool_search s = { .base = q->dir->base, .subtree = true, .max = GROUPS_MAX };
	bool deeper = q->depth == 0 || q->dir->nested == NESTED_SEARCH;

	if (q->asked == q->round_end) {
		if (q->round_end == q->ngroups || !deeper) {
			ask_done(q, true, q->groups, q->ngroups);
			return;
		}
		if (q->depth++ == GROUPS_DEPTH_MAX) {
			ask_unknown(q, "groups within groups within groups: too deep");
			return;
		}
		q->round_end = q->ngroups;
	}
	if ((s.filter = groups_filter(q)) == NULL) {
		ask_unknown(q, "a name too long for a filter");
		return;
	}
	pool_search(asker_pool(q->k, q->dir), &s, got_groups, q);
}

/* A server that does not know the rule finds nobody with it, and says so with a clear conscience. */
static void
got_capabilities(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;
	bool *knows = &q->k->knows_chain[index_of(q->k, q->dir)];

	if (pa->status != POOL_OK) {
		ask_failed(q, pa);
		return;
	}
	for (size_t i = 0; pa->n && i < pa->entries[0].n; i++)
		*knows |= span_is(pa->entries[0].values[i], ACTIVE_DIRECTORY);
	if (*knows)
		groups_next(q);
	else
		ask_unknown(q, "`nested: chain` is for Active Directory, which this server is not");
}

static void
groups_begin(struct ask *q)
{
	struct pool_search s = { .base = "", .filter = "(objectClass=*)",
		.attribute = "supportedCapabilities", .max = 100 };

	if (q->dir->nested == NESTED_CHAIN && !q->k->knows_chain[index_of(q->k, q->dir)])
		pool_search(asker_pool(q->k, q->dir), &s, got_capabilities, q);
	else
		groups_next(q);
}

static void
got_person(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;

	q->server = arena_str(q->arena, span_str(pa->server));
	if (pa->status != POOL_OK) {
		ask_failed(q, pa);
		return;
	}
	if (pa->n == 0) {
		ask_done(q, false, NULL, 0);
		return;
	}
	q->dn = arena_str(q->arena, pa->entries[0].dn);
	q->seen = table_new();
	q->groups = arena_array(q->arena, GROUPS_MAX, sizeof(*q->groups));
	for (size_t i = 0; i < pa->n; i++)
		groups_add(q, pa->entries[i].dn);
	groups_begin(q);
}

void
ask_groups(struct asker *k, const struct conf_directory *dir, struct span address, bool fresh,
    ask_cb *cb, void *ctx)
{
	struct arena *tmp = arena_new(1024);
	struct span low = arena_lower(tmp, address), text;
	struct span key = key_make(tmp, 'g', dir, low, SPAN_LIT(""), SPAN_LIT(""));
	struct err err;
	struct ask *q;

	if (key.n == 0 || template_expand(TEMPLATE_FILTER, dir->person, low, tmp, &text,
	    &err) == -1) {
		refuse("the address is too long for a filter", cb, ctx);
	} else if (!answered_already(k, key, fresh, cb, ctx)) {
		struct pool_search s = { .base = dir->base, .subtree = true, .max = PERSONS_MAX };

		q = ask_new(k, dir, key, cb, ctx);
		q->filter = s.filter = arena_str(q->arena, text);
		pool_search(asker_pool(k, dir), &s, got_person, q);
	}
	arena_free(&tmp);
}

/* ---- of an entry that is known ---- */

void
ask_groups_of(struct asker *k, const struct conf_directory *dir, struct span dn, ask_cb *cb, void *ctx)
{
	struct ask *q = ask_new(k, dir, (struct span){ 0 }, cb, ctx);

	q->seen = table_new();
	q->groups = arena_array(q->arena, GROUPS_MAX, sizeof(*q->groups));
	groups_add(q, dn);
	groups_begin(q);
}

void
ask_attribute(struct asker *k, const struct conf_directory *dir, struct span dn, struct span attribute,
    ask_cb *cb, void *ctx)
{
	struct ask *q = ask_new(k, dir, (struct span){ 0 }, cb, ctx);
	struct pool_search s = { .filter = "(objectClass=*)", .max = CACHE_VALUES_MAX };

	s.base = arena_str(q->arena, dn);
	s.attribute = arena_str(q->arena, attribute);
	pool_search(asker_pool(k, dir), &s, got_values, q);
}

/* ---- exists ---- */

static void
got_object(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;

	q->server = arena_str(q->arena, span_str(pa->server));
	if (pa->status == POOL_OK || pa->status == POOL_NO_OBJECT)
		ask_done(q, pa->status == POOL_OK && pa->n > 0, NULL, 0);
	else
		ask_failed(q, pa);
}

void
ask_exists(struct asker *k, const struct conf_directory *dir, struct span dn, bool fresh,
    ask_cb *cb, void *ctx)
{
	struct arena *tmp = arena_new(1024);
	struct span key = key_make(tmp, 'e', dir, dn, SPAN_LIT(""), SPAN_LIT(""));
	struct ask *q;

	if (key.n == 0) {
		refuse("the name is too long", cb, ctx);
	} else if (!answered_already(k, key, fresh, cb, ctx)) {
		struct pool_search s = { .filter = "(objectClass=*)", .max = 1 };

		q = ask_new(k, dir, key, cb, ctx);
		s.base = q->dn = arena_str(q->arena, dn);
		q->filter = s.filter;
		pool_search(asker_pool(k, dir), &s, got_object, q);
	}
	arena_free(&tmp);
}

/* ---- login ---- */

static void
got_bind(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;

	q->server = arena_str(q->arena, span_str(pa->server));
	if (pa->status == POOL_OK || pa->status == POOL_REFUSED)
		ask_done(q, pa->status == POOL_OK, NULL, 0);
	else
		ask_unknown(q, pa->text);
}

static void
login_bind(struct ask *q)
{
	pool_bind(asker_pool(q->k, q->dir), q->dn, span_make(q->password, q->npassword), got_bind,
	    q);
	explicit_bzero(q->password, q->npassword);
}

static void
got_user(void *ctx, const struct pool_answer *pa)
{
	struct ask *q = ctx;

	if (pa->status != POOL_OK && pa->status != POOL_TOO_MANY) {
		ask_failed(q, pa);
		return;
	}
	/* Two entries for one name: neither is him. */
	if (pa->status == POOL_TOO_MANY || pa->n > 1)
		log_warn("directory " SPAN_FMT ": several entries for the user that logs in: %s",
		    SPAN_ARG(q->dir->name), q->filter);
	if (pa->n != 1 || pa->entries[0].dn.n == 0) {
		ask_done(q, false, NULL, 0);
		return;
	}
	q->dn = arena_str(q->arena, pa->entries[0].dn);
	if (q->password)
		login_bind(q);
	else
		ask_done(q, true, NULL, 0);
}

void
ask_entry(struct asker *k, const struct conf_lookup *how, struct span user, ask_cb *cb, void *ctx)
{
	struct ask *q = ask_new(k, how->directory, (struct span){ 0 }, cb, ctx);
	struct pool_search s = { .base = how->directory->base, .subtree = true, .max = LOGINS_MAX };
	struct span text;
	struct err err;

	if (user.n == 0 || template_expand(TEMPLATE_FILTER, how->filter, user, q->arena, &text, &err) == -1) {
		ask_done(q, false, NULL, 0);
		return;
	}
	q->filter = s.filter = arena_str(q->arena, text);
	pool_search(asker_pool(k, how->directory), &s, got_user, q);
}

void
ask_login(struct asker *k, const struct conf_lookup *how, struct span dn_template,
    struct span user, struct span password, ask_cb *cb, void *ctx)
{
	static const struct answer wrong = { .status = ASK_MISSING, .text = "", .filter = "",
		.dn = "", .server = "" };
	struct ask *q;
	struct span text;
	struct err err;

	/* RFC 4513, 5.1.2: with an empty password every name would be right. */
	if (user.n == 0 || password.n == 0) {
		cb(ctx, &wrong);
		return;
	}
	q = ask_new(k, how->directory, (struct span){ 0 }, cb, ctx);
	q->password = arena_alloc(q->arena, password.n);
	q->npassword = password.n;
	memcpy(q->password, password.p, password.n);
	if (template_expand(dn_template.n ? TEMPLATE_DN : TEMPLATE_FILTER,
	    dn_template.n ? dn_template : how->filter, user, q->arena, &text, &err) == -1) {
		ask_done(q, false, NULL, 0);
	} else if (dn_template.n) {
		q->dn = arena_str(q->arena, text);
		login_bind(q);
	} else {
		struct pool_search s = { .base = how->directory->base, .subtree = true,
			.max = LOGINS_MAX };

		q->filter = s.filter = arena_str(q->arena, text);
		pool_search(asker_pool(k, how->directory), &s, got_user, q);
	}
}
