/* people_again.c -- are those who signed in by the directory still whom they were?
 *
 * Every `console.login.ldap.again` each of their sessions is looked at: the directory is asked as at the signing in,
 * without the bind. An entry that the filter finds no more (gone, or disabled where the filter says so), or one that
 * has lost a role, a domain or an address ends the session; what it has gained is there at the next signing in.
 * While the directory cannot be asked nothing ends but by `lasts`: its failure must not throw everybody out.
 */
#include "clock.h"
#include "ipc/json_read.h"
#include "ipc/principal.h"
#include "log.h"
#include "store/audit.h"
#include "store/people.h"

#define AT_ONCE 8
#define TICK_US (US_PER_SEC / 2)

static bool
has_line(struct span lines, struct span s)
{
	while (lines.n) {
		size_t n = span_find(lines, '\n');

		if (span_eq_nocase(span_sub(lines, 0, n), s))
			return true;
		lines = span_from(lines, n + 1);
	}
	return false;
}

static bool
all_there(const struct jval *list, struct span lines)
{
	for (size_t i = 0; i < jval_count(list); i++)
		if (!has_line(lines, jval_str(jval_at(list, i))))
			return false;
	return true;
}

/* NULL: he may all that his session may. */
static const char *
lost(struct span principal, struct span name, const struct msg_entered *m)
{
	struct jval *v = jval_parse(principal, &(struct err){ 0 });
	const struct jval *roles = jval_get(v, "roles");
	const char *why = NULL;

	if (v == NULL || !span_eq_nocase(m->name, name))
		why = "the directory knows him by another name";
	for (size_t i = 0; why == NULL && i < jval_count(roles); i++) {
		enum principal_role r = principal_role_parse(jval_str(jval_at(roles, i)));

		if (r < PRINCIPAL_ROLE_COUNT && !(m->roles >> r & 1))
			why = "a group that gave him a role is gone";
	}
	if (why == NULL && !all_there(jval_get(v, "domains"), m->domains))
		why = "a group that gave him a domain is gone";
	if (why == NULL && !all_there(jval_get(v, "addresses"), m->addresses))
		why = "an address of his is gone";
	jval_free(&v);
	return why;
}

static void
end(struct people *p, struct scrypting *w, const char *why)
{
	struct db *d = p->s->db;
	struct err err;

	store_settle(p->s);
	if (db_begin(d, true, &err) == -1 || session_remove(d, w->session, &err) == -1 ||
	    audit_put(d, SPAN_LIT("directory"), "session.ended", w->person.name, span_str(why), clock_real(),
	    &err) == -1 || db_commit(d, &err) == -1) {
		db_rollback(d);
		log_error("a session that is to end: %s", err.text);
	}
}

static void
told(struct people *p, struct scrypting *w, const struct msg_scrypted *unused)
{
	const struct msg_entered *m = w->entered;
	const char *why = NULL;

	(void)unused;
	if (m && m->status == LOGIN_WRONG)
		why = "the directory knows him no more";
	else if (m && m->status == LOGIN_RIGHT)
		why = lost(w->old, w->person.name, m);
	if (why)
		end(p, w, why);
	scrypting_free(w);
}

static void
look(struct people *p, const struct session *s)
{
	struct scrypting *w = scrypting_new();
	struct msg_enter m = { .user = s->typed.n ? s->typed : s->name, .again = true };
	struct buf b;

	w->session = arena_span(w->arena, s->hash);
	w->old = arena_span(w->arena, s->principal);
	w->person.name = arena_span(w->arena, s->name);
	w->done = told;
	buf_init(&b, FRAME_SMALL);
	enter_encode(&b, &m);
	people_send(p, w, ROLE_DIRECTORY, FRAME_ENTER, &b);
}

void
people_again(struct people *p)
{
	const struct conf_console_ldap *ldap = &p->s->rt->conf->console.ldap;
	int64_t now = clock_real();
	struct session v[AT_ONCE];
	struct err err = { 0 };
	struct arena *a;
	size_t n;

	if (ldap->find.directory == NULL || p->s->rt->retiring || clock_mono() < p->again_at)
		return;
	p->again_at = clock_mono() + TICK_US;
	a = arena_new(0);
	store_settle(p->s);
	if (sessions_stale(p->s->db, now - ldap->again, AT_ONCE, a, v, &n, &err) == -1)
		log_warn("sessions: %s", err.text);
	for (size_t i = 0; i < n; i++)	/* written first: whatever comes of it, others come before it */
		if (session_checked(p->s->db, v[i].hash, now, &err) == -1)
			log_warn("sessions: %s", err.text);
		else
			look(p, &v[i]);
	arena_free(&a);
}
