/* load_signs.c -- the condition `sign`, and whom nobody may look like: `spam: {protect, people}`.
 *
 * Guarded are our own domains (group:our-domains), the well-known ones below and those of `protect`,
 * and the names of `people`. The tables are made once, if any condition asks.
 */
#include "load.h"
#include "detect/mailbox.h"

/* Names that are fished for, and beside them the ones their owners write from, so that these are
 * not taken for look-alikes. No words that anybody may have in a name (apple, orange, chase, free). */
static const char *const well_known[] = { "paypal.com", "microsoft.com", "microsoftonline.com",
	"microsoftsupport.com", "office365.com", "google.com", "googlemail.com", "googlegroups.com", "icloud.com",
	"amazon.com", "amazonaws.com", "amazonses.com", "facebook.com", "facebookmail.com", "instagram.com",
	"whatsapp.com", "linkedin.com", "netflix.com", "dropbox.com", "dropboxmail.com", "docusign.com",
	"docusign.net", "wetransfer.com", "coinbase.com", "binance.com", "westernunion.com", "mastercard.com",
	"americanexpress.com", "bankofamerica.com", "wellsfargo.com", "santander.com", "credit-agricole.fr",
	"societegenerale.fr", "bnpparibas.com", "bnpparibas.net", "labanquepostale.fr", "caisse-epargne.fr",
	"creditmutuel.fr", "boursorama.com", "impots.gouv.fr", "laposte.fr", "laposte.net", "chronopost.fr",
	"colissimo.fr", "mondialrelay.fr", "spotify.com" };

void
cond_sign(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_SIGN, .key = SPAN_LIT("sign") };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	const char *names[SIGN_COUNT + 1] = { NULL };
	struct buf key;

	if (list == NULL)
		return;
	for (int i = 0; i < SIGN_COUNT; i++)
		names[i] = sign_name((enum sign)i);
	for (struct conf_node *c = list->kind == CONF_LIST ? list->first : list; c;
	     c = list->kind == CONF_LIST ? c->next : NULL) {
		int v;

		if (!conf_enum(ld->d, c, names, &v))
			return;
		atom.signs |= UINT64_C(1) << v;
	}
	if (atom.signs == 0) {
		diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
		return;
	}
	ld->asks_signs = true;
	key_begin(&key, "sign");
	buf_printf(&key, "%llx", (unsigned long long)atom.signs);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* --- whom nobody may look like ------------------------------------------------------------------ */

void
signs_protect(struct load *ld, struct conf_node *n)
{
	struct spans names = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	struct span *v;

	if (!read_texts(ld, n, "a domain", &names))
		return;
	if (names.n > LOOKALIKE_NAMES) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "at most %d domains", LOOKALIKE_NAMES);
		return;
	}
	v = arena_array(ld->a, names.n + 1, sizeof(*v));
	for (size_t i = 0; i < names.n; i++, at = at->next)
		if (!domain_normalise(ld->a, names.v[i], &v[i]))
			diag_at(ld->d, DIAG_ERROR, at, "as in bank.example", "`" SPAN_FMT "` is no domain",
			    SPAN_ARG(names.v[i]));
	ld->protect = (struct spans){ v, names.n };
}

void
signs_people(struct load *ld, struct conf_node *n)
{
	struct spans texts = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	struct person *v;

	if (!read_texts(ld, n, "a name and an address", &texts))
		return;
	if (texts.n > PEOPLE_MAX) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "at most %d people", PEOPLE_MAX);
		return;
	}
	v = arena_array(ld->a, texts.n + 1, sizeof(*v));
	for (size_t i = 0; i < texts.n; i++, at = at->next) {
		struct mailbox m;
		struct span local, domain;
		size_t from = 0;

		if (!mailbox_next(ld->tmp, texts.v[i], &from, &m) || !mailaddr_split(m.address, &local, &domain)) {
			diag_at(ld->d, DIAG_ERROR, at, "as in \"Marie Durand <m.durand@example.org>\"",
			    "`" SPAN_FMT "` has no address", SPAN_ARG(texts.v[i]));
			continue;
		}
		v[i].name = person_name(ld->a, m.name);
		v[i].address = mailaddr_normalise(ld->a, m.address);
		if (v[i].name.n == 0)
			diag_at(ld->d, DIAG_ERROR, at, "as in \"Marie Durand <m.durand@example.org>\"",
			    "a name of two words at least: one alone is anybody's");
	}
	ld->p->guards.people = v;
	ld->p->guards.npeople = texts.n;
}

static struct lookalikes *
table_new_of(struct load *ld)
{
	struct policy *p = ld->p;
	struct lookalikes *l = lookalikes_new(p->confusables);

	p->lookalikes = arena_grow(p->arena, p->lookalikes, p->nlookalikes * sizeof(*p->lookalikes),
	    (p->nlookalikes + 1) * sizeof(*p->lookalikes));
	p->lookalikes[p->nlookalikes++] = l;
	return l;
}

/* Our domains as the policy or the configuration names them; addresses of the group are left out. */
static void
add_own(struct load *ld, struct lookalikes *l, uint64_t *hash)
{
	struct group *g = pendings_get(&ld->groups, SPAN_LIT("our-domains"));
	struct spans all = { 0 };

	if (g)
		all = group_members(ld, g);
	for (size_t i = 0; i < all.n && lookalikes_count(l) < LOOKALIKE_NAMES; i++) {
		struct span s = all.v[i];

		if (span_find(s, '@') < s.n)
			continue;
		*hash = hash_numbers(*hash, hash_spans(&s, 1));
		lookalikes_add(l, span_from(s, s.n && s.p[0] == '.'));
	}
}

void
signs_finish(struct load *ld)
{
	struct policy *p = ld->p;
	struct lookalikes *own, *brands;
	uint64_t hash = 0;

	if (!ld->asks_signs)
		return;
	if (!p->confusables)
		p->confusables = confusables_open();
	if (!p->confusables) {
		diag_at(ld->d, DIAG_ERROR, NULL, NULL, "libicu has no table of confusable characters");
		return;
	}
	own = table_new_of(ld);
	brands = table_new_of(ld);
	add_own(ld, own, &hash);
	for (size_t i = 0; i < sizeof(well_known) / sizeof(well_known[0]); i++) {
		struct span s = span_str(well_known[i]);

		hash = hash_numbers(hash, hash_spans(&s, 1));
		lookalikes_add(brands, s);
	}
	for (size_t i = 0; i < ld->protect.n; i++) {
		hash = hash_numbers(hash, hash_spans(&ld->protect.v[i], 1));
		lookalikes_add(brands, ld->protect.v[i]);
	}
	for (size_t i = 0; i < p->guards.npeople; i++) {
		hash = hash_numbers(hash, hash_spans(&p->guards.people[i].name, 1));
		hash = hash_numbers(hash, hash_spans(&p->guards.people[i].address, 1));
	}
	p->guards.own = own;
	p->guards.brands = brands;
	p->guards_hash = hash;
}

/* --- facts for tests ---------------------------------------------------------------------------------- */

/* none, or a name that leads back, or {unproved: NAME} */
void
fact_reverse(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	const struct conf_node *name = n->kind == CONF_MAP ? conf_get(n, "unproved") : n;
	struct span s;

	if (name == NULL || (n->kind == CONF_MAP && n->count != 1)) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "none, a name, or {unproved: NAME}");
		return;
	}
	if (!conf_text(ld->d, name, "a name", &s))
		return;
	f->reverse = n->kind == CONF_MAP ? HOST_UNPROVED : span_is(s, "none") ? HOST_NONE : HOST_PROVED;
	f->reverse_name = f->reverse == HOST_NONE ? SPAN_LIT("") : s;
}

void
fact_helo(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "none", "unproved", "proved", NULL };
	int i;

	if (conf_enum(ld->d, n, names, &i))
		((struct facts *)obj)->helo = (enum host_state)(i + HOST_NONE);
}

void
fact_proved(struct load *ld, struct conf_node *n, void *obj)
{
	conf_text(ld->d, n, "a domain", &((struct facts *)obj)->proved);
}
