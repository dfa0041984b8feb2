/* people_oidc.c -- signing in at a provider of OpenID Connect: what the fetcher vouches for becomes a session.
 *
 *	{"do":"oidc-start","state","nonce","verifier"}		-> {"url"}: where the browser goes
 *	{"do":"oidc-return","code" or "error","iss","nonce","verifier","new"}	-> as sign-in
 *
 * State, nonce and verifier are the console's (console/oidc.c): they hang on a cookie of the browser that began. A way
 * back is taken once, whatever comes of it. As with a directory the session itself keeps what he may: what his
 * groups gave him when he came, until `lasts`. Our own second factor is not asked of him: how he proves himself is
 * between him and the provider, and `acr` and `amr` say what is enough. A local account of that name without a
 * password can shut him out (`disabled`); one with a password is somebody else. Who he is: people_oidc_db.h.
 */
#include "clock.h"
#include "ipc/principal.h"
#include "log.h"
#include "store/audit.h"
#include "store/people.h"
#include "store/people_oidc_db.h"

#define RETURN_PATH "/oidc/return"
#define TAKEN_WEIGHT 10			/* of a way back that was taken: forgotten after a quarter of an hour (failures.h) */
#define SECRET_TEXT 64			/* of state, nonce and verifier: hexadecimal */
#define ERROR_SHOWN 60

static struct span
redirect_of(struct people *p, struct arena *a)
{
	return span_str(arena_printf(a, SPAN_FMT RETURN_PATH, SPAN_ARG(config_console_url(p->s->rt->conf, a))));
}

static void
ask(struct people *p, struct scrypting *w, const struct msg_oidc_ask *m)
{
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	oidc_ask_encode(&b, m);
	people_send(p, w, ROLE_FETCHER, FRAME_OIDC_ASK, &b);
}

static void
tell_away(struct scrypting *w)
{
	people_tell_error(w->link, w->ticket, "busy", "the provider cannot be asked now");
}

/* ---- the way there ---- */

static void
started(struct people *p, struct scrypting *w, const struct msg_scrypted *unused)
{
	const struct msg_oidc_told *m = w->told;

	(void)unused;
	if (m && m->status == OIDC_DONE)
		people_tell_url(w->link, w->ticket, "url", m->url);
	else
		tell_away(w);
	scrypting_free(w);
}

void
people_oidc_start(struct people *p, struct scrypting *w, const struct jval *v)
{
	struct msg_oidc_ask m = { .question = OIDC_START, .redirect = redirect_of(p, w->arena),
		.state = jval_text(v, "state"), .nonce = jval_text(v, "nonce"), .verifier = jval_text(v, "verifier"),
		.language = jval_text(v, "seen") };

	if (p->s->rt->conf->console.oidc.issuer.n == 0) {
		people_tell_error(w->link, w->ticket, "not-available", "no provider is configured");
		scrypting_free(w);
	} else if (people_too_often(p, w)) {
		people_tell_error(w->link, w->ticket, "limit", "too many failures: try again in a quarter of an hour");
		scrypting_free(w);
	} else {
		w->done = started;
		ask(p, w, &m);
	}
}

/* ---- the way back ---- */

static bool
is_name(struct span name)
{
	return name.n > 0 && name.n <= PERSON_NAME_MAX && span_is_plain(name);
}

static void
refuse(struct people *p, struct scrypting *w, const char *why, const char *code, const char *text)
{
	log_warn("OpenID Connect: " SPAN_FMT " is not let in, from " SPAN_FMT ": %s", SPAN_ARG(w->person.name.n ?
	    w->person.name : SPAN_LIT("somebody")), SPAN_ARG(w->ip), why);
	people_failed(p, w, arena_printf(w->arena, "at the provider: %s", why), 1);
	people_tell_error(w->link, w->ticket, code, text);
}

/* NULL: he may come in. r: whether there is an account of his name; -1: err. */
static const char *
fault_of(struct people *p, struct scrypting *w, struct oidc_identity *before, bool *known, int *r, struct err *err)
{
	const struct msg_oidc_told *m = w->told;
	struct oidc_identity other;
	struct person row;

	if ((*r = person_get(p->s->db, m->name, w->arena, &row, err)) == -1)
		return NULL;
	if (*r == 1 && row.hash.n)
		return "right for the provider, but the name is a local account's";
	if (*r == 1 && row.disabled)
		return "disabled";
	if ((*r = oidc_person_by_subject(p->s->db, m->issuer, m->subject, w->arena, before, err)) == -1)
		return NULL;
	*known = *r == 1;
	if ((*r = oidc_person_by_name(p->s->db, m->name, w->arena, &other, err)) == -1)
		return NULL;
	if (*r == 1 && (!span_eq(other.issuer, m->issuer) || !span_eq(other.subject, m->subject)))
		return "the name is another person's at the provider (`postern users remove NAME` forgets that one)";
	return NULL;
}

static struct span
principal_of(struct arena *a, const struct person *who, const struct msg_oidc_told *m)
{
	struct buf b;
	struct json j;
	struct span s;

	buf_init(&b, FRAME_BIG);
	json_begin(&j, &b);
	json_object(&j);
	person_principal_json(&j, who);
	json_kstr(&j, "issuer", m->issuer);
	json_kstr(&j, "subject", m->subject);
	json_kstr(&j, "leave", m->url);
	json_end_object(&j);
	s = arena_span(a, buf_data(&b));
	buf_release(&b);
	return s;
}

/* before: of one who was here; else its subject is empty. */
static int
enter(struct people *p, struct scrypting *w, const struct person *who, const struct oidc_identity *before,
    const struct session *s, struct err *err)
{
	const struct msg_oidc_told *m = w->told;
	struct oidc_identity now = { .issuer = m->issuer, .subject = m->subject, .name = m->name, .mail = m->mail,
		.roles = m->roles, .created = s->created, .seen = s->created };
	bool renamed = before->subject.n && !span_eq_nocase(before->name, m->name);
	struct db *d = p->s->db;

	store_settle(p->s);
	if (db_begin(d, true, err) == -1)
		return -1;
	/* He goes by another name there: sessions of the old one are nobody's. */
	if (renamed && (sessions_remove(d, before->name, (struct span){ 0 }, err) == -1 ||
	    audit_put(d, SPAN_LIT("provider"), "users.renamed", before->name, m->name, s->created, err) == -1))
		goto bad;
	if ((w->old.n && session_remove(d, w->old, err) == -1) || oidc_person_put(d, &now, err) == -1 ||
	    session_put(d, s, err) == -1 || audit_put(d, who->name, "sign-in", who->name, span_str(arena_printf(w->arena,
	    "from " SPAN_FMT ", at the provider, as " SPAN_FMT, SPAN_ARG(w->ip), SPAN_ARG(m->subject))), s->created,
	    err) == -1 || db_commit(d, err) == -1)
		goto bad;
	return 0;
bad:
	db_rollback(d);
	return -1;
}

static void
admit(struct people *p, struct scrypting *w)
{
	const struct msg_oidc_told *m = w->told;
	struct person who = { .name = m->name, .roles = m->roles, .domains = m->domains, .addresses = m->mail };
	struct session s = { .hash = w->session, .name = m->name, .kind = SPAN_LIT("oidc"), .ip = w->ip,
		.language = w->code, .created = clock_real(), .seen = clock_real() };
	struct oidc_identity before = { .name = { 0 } };
	const char *fault;
	bool known = false;
	struct err err;
	int r;

	w->person.name = is_name(m->name) ? m->name : (struct span){ 0 };
	fault = is_name(m->name) ? fault_of(p, w, &before, &known, &r, &err) :
	    "the token's name is not of 1 to 64 plain bytes (`console.login.oidc.name_claim`)";
	if (is_name(m->name) && r == -1) {
		people_tell_fault(w->link, w->ticket, &err);
	} else if (fault) {
		refuse(p, w, fault, "login", "this account may not sign in here");
	} else if (who.roles == 0) {
		refuse(p, w, "right, but no group gives a role", "forbidden",
		    "no group or address of this account gives it a role here");
	} else {
		s.principal = principal_of(w->arena, &who, m);
		if (!known)
			before = (struct oidc_identity){ .name = { 0 } };
		if (enter(p, w, &who, &before, &s, &err) == -1)
			people_tell_fault(w->link, w->ticket, &err);
		else
			people_tell_person(w->link, w->ticket, &who, &s);
	}
}

static void
returned(struct people *p, struct scrypting *w, const struct msg_scrypted *unused)
{
	const struct msg_oidc_told *m = w->told;

	(void)unused;
	if (m == NULL || m->status == OIDC_FAILED) {
		log_warn("OpenID Connect: a sign-in from " SPAN_FMT " cannot be finished: " SPAN_FMT, SPAN_ARG(w->ip),
		    SPAN_ARG(m ? m->text : SPAN_LIT("the fetcher does not answer")));
		tell_away(w);
	} else if (m->status != OIDC_DONE) {
		refuse(p, w, arena_str(w->arena, m->text), "login", "the provider's answer is not taken");
	} else if (!span_eq(m->issuer, p->s->rt->conf->console.oidc.issuer)) {
		tell_away(w);	/* the fetcher is of another configuration */
	} else {
		admit(p, w);
	}
	scrypting_free(w);
}

/* What the provider sent in place of a code: its word where it is one. */
static const char *
error_of(struct arena *a, struct span error)
{
	for (size_t i = 0; i < error.n; i++)
		if (error.p[i] <= ' ' || error.p[i] > '~' || i >= ERROR_SHOWN)
			return "it says something that cannot be shown";
	return arena_printf(a, "it says " SPAN_FMT, SPAN_ARG(error));
}

void
people_oidc_return(struct people *p, struct scrypting *w, const struct jval *v)
{
	struct msg_oidc_ask m = { .question = OIDC_CODE, .redirect = redirect_of(p, w->arena),
		.nonce = jval_text(v, "nonce"), .verifier = jval_text(v, "verifier"), .code = jval_text(v, "code"),
		.iss = jval_text(v, "iss") };
	struct span way = span_str(arena_printf(w->arena, "o " SPAN_FMT, SPAN_ARG(m.nonce))), error = jval_text(v, "error");
	int64_t now = clock_mono();

	w->session = arena_span(w->arena, jval_text(v, "new"));
	w->old = arena_span(w->arena, jval_text(v, "session"));
	w->code = arena_span(w->arena, jval_text(v, "seen"));	/* the language */
	if (p->s->rt->conf->console.oidc.issuer.n == 0 || w->session.n != SESSION_HASH || m.nonce.n != SECRET_TEXT) {
		people_tell_error(w->link, w->ticket, "not-available", "no provider is configured");
	} else if (people_too_often(p, w)) {
		people_tell_error(w->link, w->ticket, "limit", "too many failures: try again in a quarter of an hour");
	} else if (failures_count(&p->failures, way, now)) {
		refuse(p, w, "this way back was taken already", "login", "the provider's answer is not taken");
	} else if (error.n) {
		failures_add(&p->failures, way, TAKEN_WEIGHT, now);
		refuse(p, w, error_of(w->arena, error), "login", "the provider refuses it");
	} else {
		failures_add(&p->failures, way, TAKEN_WEIGHT, now);
		w->done = returned;
		ask(p, w, &m);
		return;
	}
	scrypting_free(w);
}

/* ---- a session ---- */

int
people_by_oidc(struct people *p, const struct session *s, const struct person *row, struct arena *a,
    struct person *out)
{
	const struct conf_console_oidc *oidc = &p->s->rt->conf->console.oidc;
	struct jval *v;
	bool same;

	/* The name is another's now, or his groups were told too long ago. */
	if (oidc->issuer.n == 0 || (row && (row->hash.n || row->disabled)) || clock_real() - s->created > oidc->lasts)
		return 0;
	v = jval_parse(s->principal, &(struct err){ 0 });
	same = span_eq(jval_text(v, "issuer"), oidc->issuer);
	jval_free(&v);
	if (!same)
		return 0;
	*out = people_kept(s, row, a);
	return out->roles != 0;
}

struct span
people_oidc_leave(struct people *p, const struct session *s, struct arena *a)
{
	const struct conf_console_oidc *oidc = &p->s->rt->conf->console.oidc;
	struct jval *v = jval_parse(s->principal, &(struct err){ 0 });
	struct span url = arena_span(a, jval_text(v, "leave"));

	jval_free(&v);
	return oidc->logout_local || oidc->issuer.n == 0 ? (struct span){ 0 } : url;
}
