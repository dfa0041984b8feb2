/* people_directory.c -- signing in by a bind: what the directory's role tells becomes a session.
 *
 * Of who has signed in so the session itself keeps what he may (session.principal): until it ends he may what his
 * groups gave him when he came. A local account of that name without a password is his second factor, and can shut
 * him out (`disabled`), also from sessions he has; one with a password is somebody else. What he typed and what he is known by
 * may differ (ann, ann@example.org): it is the latter that counts, so that no spelling gets around his account.
 */
#include "clock.h"
#include "ipc/principal.h"
#include "log.h"
#include "store/people.h"

#define TYPED_MAX 320		/* of a name, or address, as it is typed */

static bool
is_name(struct span name)
{
	return name.n > 0 && name.n <= PERSON_NAME_MAX && span_is_plain(name);
}

static void
told(struct people *p, struct scrypting *w, const struct msg_scrypted *unused)
{
	const struct msg_entered *m = w->entered;
	struct person row, who;
	struct err err;
	const char *why = NULL;
	int r = 0;

	(void)unused;
	if (m == NULL || m->status == LOGIN_FAILED) {
		people_tell_error(w->link, w->ticket, "busy", "the directory that knows this name cannot be asked now");
		scrypting_free(w);
		return;
	}
	who = (struct person){ .name = m->name, .roles = m->roles, .domains = m->domains, .addresses = m->addresses };
	if (m->status != LOGIN_RIGHT)
		why = "the directory does not know the name, or the password is wrong";
	else if (!is_name(m->name))
		why = "right, but the entry has no name of 1 to 64 plain bytes (`console.login.ldap.name`)";
	else if ((r = person_get(p->s->db, m->name, w->arena, &row, &err)) == 1 && row.hash.n)
		why = "right for the directory, but the name is a local account's";
	else if (r == 1 && row.disabled)
		why = "disabled";
	if (r == -1) {
		people_tell_fault(w->link, w->ticket, &err);
	} else if (why) {
		people_failed(p, w, why, 1);
		people_tell_error(w->link, w->ticket, "login", "name or password is wrong");
	} else if (who.roles == 0) {
		people_failed(p, w, "right, but no group gives a role", 1);
		people_tell_error(w->link, w->ticket, "forbidden", "no group or address of this account gives it a role here");
	} else {
		if (r == 1)
			who.totp = row.totp;
		people_admit(p, w, r == 1 ? &row : NULL, &who, "directory");
	}
	scrypting_free(w);
}

void
people_directory(struct people *p, struct scrypting *w)
{
	struct msg_enter m = { w->name, w->password };
	struct buf b;

	/* What cannot be one is wrong as any other is: without a password nobody is let in (RFC 4513, 5.1.2). */
	if (m.user.n > TYPED_MAX || m.password.n > PASSWORD_MAX)
		m = (struct msg_enter){ .user = SPAN_LIT("") };
	w->done = told;
	buf_init(&b, FRAME_SMALL);
	enter_encode(&b, &m);
	people_send(p, w, ROLE_DIRECTORY, FRAME_ENTER, &b);
}

/* ---- what a session keeps ---- */

struct span
people_principal(struct arena *a, const struct person *who)
{
	struct buf b;
	struct json j;
	struct span s;

	buf_init(&b, FRAME_BIG);
	json_begin(&j, &b);
	json_object(&j);
	person_principal_json(&j, who);
	json_end_object(&j);
	s = arena_span(a, buf_data(&b));
	buf_release(&b);
	return s;
}

static struct span
lines_of(struct arena *a, const struct jval *v)
{
	struct buf b;
	struct span s;

	buf_init(&b, FRAME_BIG);
	for (size_t i = 0; i < jval_count(v); i++) {
		if (i)
			buf_putc(&b, '\n');
		buf_span(&b, jval_str(jval_at(v, i)));
	}
	s = arena_span(a, buf_data(&b));
	buf_release(&b);
	return s;
}

struct person
people_kept(const struct session *s, const struct person *row, struct arena *a)
{
	struct person who = { .name = s->name };
	struct err err;
	struct jval *v = jval_parse(s->principal, &err);
	const struct jval *roles = jval_get(v, "roles");

	if (v == NULL)		/* then he may nothing */
		log_error("a session of " SPAN_FMT " cannot be read: %s", SPAN_ARG(s->name), err.text);
	for (size_t i = 0; i < jval_count(roles); i++) {
		enum principal_role r = principal_role_parse(jval_str(jval_at(roles, i)));

		if (r < PRINCIPAL_ROLE_COUNT)
			who.roles |= 1u << r;
	}
	who.domains = lines_of(a, jval_get(v, "domains"));
	who.addresses = lines_of(a, jval_get(v, "addresses"));
	if (row)
		who.totp = row->totp;
	jval_free(&v);
	return who;
}

int
people_by_directory(struct people *p, const struct session *s, const struct person *row, struct arena *a,
    struct person *out)
{
	const struct conf_console_ldap *ldap = &p->s->rt->conf->console.ldap;

	/* No directory any more, the name is another's now, or his groups were asked for too long ago. */
	if (ldap->find.directory == NULL || (row && (row->hash.n || row->disabled)) ||
	    clock_real() - s->created > ldap->lasts)
		return 0;
	*out = people_kept(s, row, a);
	return out->roles != 0;
}
