/* enter.c -- ENTER: who signs in to the console by a bind, and what the directory says he is.
 *
 * The filter of console.login.ldap finds his entry, the bind tells whether it is him. All else is asked of that
 * entry by its DN, afresh: the groups it is in (nested ones with them), the name it is known by, its
 * addresses. What an address is in, as mail is judged by, counts for nothing here: two entries may have one. What
 * cannot be said makes the answer LOGIN_FAILED as a whole; nobody enters with a part of his roles.
 *
 * Who is in is looked at again now and then (`again`): the same filter and the same questions, without the bind.
 */
#include <stdlib.h>

#include "addr.h"
#include "directory/directory.h"
#include "directory/filter.h"
#include "ipc/messages_people.h"
#include "ipc/principal.h"
#include "log.h"

#define ADDRESS_MAX 254

struct enter {
	struct ticket_of to;		/* first */
	struct arena *arena;
	const struct conf_console_ldap *how;
	struct span dn;
	struct msg_entered m;
	struct buf addresses, domains;
	size_t naddresses;
};

static void
enter_end(struct enter *e, enum login_status status)
{
	struct arena *a = e->arena;

	e->m.status = status;
	if (status != LOGIN_RIGHT)
		e->m = (struct msg_entered){ .status = status };
	e->m.addresses = status == LOGIN_RIGHT ? buf_data(&e->addresses) : (struct span){ 0 };
	e->m.domains = status == LOGIN_RIGHT ? buf_data(&e->domains) : (struct span){ 0 };
	entered_encode(&e->to.d->out, &e->m);
	ticket_send(&e->to, FRAME_ENTERED);
	ticket_remove(&e->to);
	buf_release(&e->addresses);
	buf_release(&e->domains);
	arena_free(&a);
}

/* Whether it goes on; else the job is over. An entry that has gone since it was bound as is no longer known. */
static bool
goes_on(struct enter *e, const struct answer *a)
{
	if (a->status == ASK_FOUND)
		return true;
	log_warn("who signs in to the console cannot be looked up: %s", a->text);
	enter_end(e, LOGIN_FAILED);
	return false;
}

static void
put_line(struct buf *b, struct span s)
{
	if (buf_size(b))
		buf_putc(b, '\n');
	buf_span(b, s);
}

/* One line of printable ASCII. */
static bool
is_line(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

/* Values of mail, and of proxyAddresses: "SMTP:a@example.org" beside "X500:…". */
static void
take_addresses(struct enter *e, const struct answer *a, struct span prefix)
{
	for (size_t i = 0; i < a->n; i++) {
		struct span s = a->values[i], local, domain;

		if (!span_starts_nocase(s, prefix))
			continue;
		s = arena_lower(e->arena, span_from(s, prefix.n));
		if (s.n > ADDRESS_MAX || !is_line(s) || !mailaddr_split(s, &local, &domain) ||
		    !ask_covers(e->how->find.directory, s) || span_has_line(buf_data(&e->addresses), s))
			continue;
		if (e->naddresses++ == PRINCIPAL_NAMES_MAX)
			log_warn("console: more than %d addresses of " SPAN_FMT, PRINCIPAL_NAMES_MAX, SPAN_ARG(e->dn));
		if (e->naddresses <= PRINCIPAL_NAMES_MAX)
			put_line(&e->addresses, s);
	}
}

static void
got_proxies(void *ctx, const struct answer *a)
{
	struct enter *e = ctx;

	if (!goes_on(e, a))
		return;
	take_addresses(e, a, SPAN_LIT("smtp:"));
	/* Who has no address of his own has nothing to see as a user. */
	if (buf_size(&e->addresses) == 0)
		e->m.roles &= ~PRINCIPAL_BIT(USER);
	enter_end(e, LOGIN_RIGHT);
}

static void
got_mail(void *ctx, const struct answer *a)
{
	struct enter *e = ctx;

	if (!goes_on(e, a))
		return;
	take_addresses(e, a, SPAN_LIT(""));
	ask_attribute(e->to.d->asker, e->how->find.directory, e->dn, SPAN_LIT("proxyAddresses"), got_proxies, e);
}

/* Of several names the least: an answer has no order. */
static void
got_name(void *ctx, const struct answer *a)
{
	struct enter *e = ctx;

	if (!goes_on(e, a))
		return;
	for (size_t i = 0; i < a->n; i++) {
		struct span s = arena_lower(e->arena, a->values[i]);

		if (e->m.name.n == 0 || (s.n && strcmp(s.p, e->m.name.p) < 0))
			e->m.name = s;
	}
	ask_attribute(e->to.d->asker, e->how->find.directory, e->dn, SPAN_LIT("mail"), got_mail, e);
}

static void
got_groups(void *ctx, const struct answer *a)
{
	struct enter *e = ctx;

	if (!goes_on(e, a))
		return;
	e->m.roles = e->how->users ? 0 : PRINCIPAL_BIT(USER);
	for (size_t i = 0; i < e->how->nroles; i++) {
		const struct conf_console_role *r = &e->how->roles[i];
		size_t k = 1;	/* behind himself */

		while (k < a->n && !span_eq(a->values[k], r->group))
			k++;
		if (k >= a->n)
			continue;
		e->m.roles |= r->role;
		if (r->domain.n && !span_has_line(buf_data(&e->domains), r->domain))
			put_line(&e->domains, r->domain);
	}
	ask_attribute(e->to.d->asker, e->how->find.directory, e->dn, e->how->name, got_name, e);
}

static void
bound(void *ctx, const struct answer *a)
{
	struct enter *e = ctx;

	if (a->status == ASK_UNKNOWN) {
		log_warn("who signs in to the console cannot be checked: %s", a->text);
		enter_end(e, LOGIN_FAILED);
	} else if (a->status == ASK_MISSING) {
		enter_end(e, LOGIN_WRONG);
	} else {
		e->dn = arena_span(e->arena, span_str(a->dn));
		ask_groups_of(e->to.d->asker, e->how->find.directory, e->dn, got_groups, e);
	}
}

int
enter_ask(struct directory *d, struct link *l, struct frame *f)
{
	struct arena *a;
	struct enter *e;
	struct msg_enter m;

	if (enter_decode(f->body, f->fd, d->scratch, &m) == -1)
		return -1;
	a = arena_new(1024);
	e = arena_zalloc(a, sizeof(*e));
	e->arena = a;
	e->how = &d->rt->conf->console.ldap;
	buf_init(&e->addresses, (ADDRESS_MAX + 1) * PRINCIPAL_NAMES_MAX);
	buf_init(&e->domains, (ADDRESS_MAX + 1) * PRINCIPAL_NAMES_MAX);
	ticket_add(d, &e->to, l, f->ticket);
	if (e->how->find.directory == NULL)	/* the store is of another configuration */
		enter_end(e, LOGIN_FAILED);
	else if (m.again)
		ask_entry(d->asker, &e->how->find, m.user, bound, e);
	else
		ask_login(d->asker, &e->how->find, (struct span){ 0 }, m.user, m.password, bound, e);
	return 0;
}
