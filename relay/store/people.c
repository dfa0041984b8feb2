/* people.c -- PERSON_ASK of the console: who signs in, who asks, who leaves.
 *
 *	{"do":"sign-in","name","password","code","new":HASH,"session":OLD HASH,"ip"}
 *	{"do":"session","session":HASH,"ip"}		whose it is
 *	{"do":"sign-out","session":HASH,"everywhere":BOOL}
 *	{"do":"language","session":HASH,"language"}
 *	{"do":"password","session":HASH,"old","password"}
 *	{"do":"link","address","language"}, {"do":"link-use","token","new":HASH}	people_link.c
 *	{"do":"oidc-start","state","nonce","verifier"}, {"do":"oidc-return","code","error","iss","nonce",
 *	    "verifier","new":HASH,"session":OLD HASH}				people_oidc.c
 *	{"do":"refused","name","what","subject","ip"}	for the audit log; nothing is answered
 *
 * Signing in itself is in people_sign_in.c and, by a directory, people_directory.c, at a provider people_oidc.c. The console never sees a
 * password's hash, and sends of a session only its SHA-256. A session is bound to nothing but
 * its secret; it ends after `idle` without a request and `lasts` in all. Everything that changes
 * something is written with its row in the audit log in one transaction.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "log.h"
#include "store/audit.h"
#include "store/people.h"

#define SCRYPT_TIME (12 * US_PER_SEC)	/* the console waits 15 s */
#define SEEN_EVERY (60 * US_PER_SEC)
#define EXPIRE_EVERY (600 * US_PER_SEC)
/* ---- answers ---- */

static void
tell(struct link *l, uint64_t ticket, struct buf *b)
{
	if (l)
		link_send(l, FRAME_PERSON_TOLD, ticket, buf_data(b), -1);
	buf_release(b);
}

void
people_tell_error(struct link *l, uint64_t ticket, const char *code, const char *text)
{
	struct buf b;
	struct json j;

	buf_init(&b, 4096);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	json_end_object(&j);
	tell(l, ticket, &b);
}

void
people_tell_done(struct link *l, uint64_t ticket)
{
	struct buf b;

	buf_init(&b, 64);
	buf_puts(&b, "{\"v\":1,\"ok\":true}");
	tell(l, ticket, &b);
}

void
people_tell_url(struct link *l, uint64_t ticket, const char *key, struct span url)
{
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_SMALL);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kbool(&j, "ok", true);
	if (url.n)
		json_kstr(&j, key, url);
	json_end_object(&j);
	tell(l, ticket, &b);
}

void
people_tell_fault(struct link *l, uint64_t ticket, const struct err *err)
{
	log_error("people: %s", err->text);
	people_tell_error(l, ticket, "busy", "the store cannot say now");
}

/* principal: of a session that has its own; p: else. */
void
people_tell_person(struct link *l, uint64_t ticket, const struct person *p, const struct session *s)
{
	struct span language = s->language.n ? s->language : p ? p->language : s->language;
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_BIG);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	if (p)
		person_principal_json(&j, p);
	json_kstr(&j, "language", language.n ? language : SPAN_LIT("en"));
	json_kbool(&j, "totp", p && p->totp.n > 0);
	json_kstr(&j, "kind", s->kind);
	json_kint(&j, "since", s->created);
	json_end_object(&j);
	tell(l, ticket, &b);
}

/* ---- waiting for a hash ---- */

struct scrypting *
scrypting_new(void)
{
	struct arena *a = arena_new(0);
	struct scrypting *w = arena_zalloc(a, sizeof(*w));

	w->arena = a;
	return w;
}

void
scrypting_free(struct scrypting *w)
{
	struct arena *a = w->arena;

	if (w->password.n)
		OPENSSL_cleanse((char *)(uintptr_t)w->password.p, w->password.n);
	reply_end(&w->reply);
	arena_free(&a);
}

static void
scrypting_over(struct people *p, struct scrypting *w, const struct msg_scrypted *m)
{
	for (struct scrypting **pp = &p->waiting; *pp; pp = &(*pp)->next)
		if (*pp == w) {
			*pp = w->next;
			p->n--;
			break;
		}
	w->done(p, w, m);
}

void
people_send(struct people *p, struct scrypting *w, enum role role, enum frame_type type, struct buf *b)
{
	struct link *to = NULL;
	int r = -1;

	/* The newest is the first of the list: that of the configuration in force. */
	for (struct store_peer *peer = p->s->peers; peer && to == NULL; peer = peer->next)
		if (link_peer(peer->link) == role)
			to = peer->link;
	w->next = p->waiting;
	p->waiting = w;
	p->n++;
	if (to && p->n <= PEOPLE_WAITING_MAX) {
		w->scrypt = ticket_open(p->tickets, w, clock_mono() + SCRYPT_TIME);
		if ((r = link_send(to, type, w->scrypt, buf_data(b), -1)) == -1)
			ticket_close(p->tickets, w->scrypt);
	}
	if (b->p)
		OPENSSL_cleanse(b->p, b->cap);
	buf_release(b);
	if (r == -1)
		scrypting_over(p, w, NULL);
}

void
scrypting_start(struct people *p, struct scrypting *w, struct span password, struct span hash)
{
	struct msg_scrypt m = { password, hash };
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	scrypt_encode(&b, &m);
	people_send(p, w, ROLE_AUTHENTICATOR, FRAME_SCRYPT, &b);
}

/* The directory's word is in w->entered while done runs. */
int
people_entered(struct people *p, struct frame *f)
{
	struct msg_entered m;
	struct scrypting *w;

	if (entered_decode(f->body, f->fd, p->s->scratch, &m) == -1)
		return -1;
	if ((w = ticket_close(p->tickets, f->ticket)) != NULL) {
		w->entered = &m;
		scrypting_over(p, w, NULL);
	}
	return 0;
}

/* The provider's word is in w->told while done runs. */
int
people_told(struct people *p, struct frame *f)
{
	struct msg_oidc_told m;
	struct scrypting *w;

	if (oidc_told_decode(f->body, f->fd, p->s->scratch, &m) == -1)
		return -1;
	if ((w = ticket_close(p->tickets, f->ticket)) != NULL) {
		w->told = &m;
		scrypting_over(p, w, NULL);
	}
	return 0;
}

int
people_scrypted(struct people *p, struct frame *f)
{
	struct msg_scrypted m;
	struct scrypting *w;

	if (scrypted_decode(f->body, f->fd, p->s->scratch, &m) == -1)
		return -1;
	if ((w = ticket_close(p->tickets, f->ticket)) != NULL)
		scrypting_over(p, w, m.status == LOGIN_FAILED ? NULL : &m);
	return 0;
}

void
people_peer_down(struct people *p, struct link *l)
{
	for (struct scrypting *w = p->waiting; w; w = w->next)
		if (w->link == l)
			w->link = NULL;
}

void
people_tick(struct people *p)
{
	const struct conf_console *conf = &p->s->rt->conf->console;
	int64_t now = clock_mono(), real = clock_real();
	uint64_t ticket;
	struct err err;

	while ((ticket = ticket_expired(p->tickets, now)) != 0)
		scrypting_over(p, ticket_close(p->tickets, ticket), NULL);
	people_again(p);
	if (now < p->expire_at)
		return;
	p->expire_at = now + EXPIRE_EVERY;
	if (conf->port && sessions_expire(p->s->db, real - conf->idle, real - conf->lasts, &err) == -1)
		log_warn("sessions: %s", err.text);
}

struct people *
people_new(struct store *s)
{
	struct people *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL);
	p->s = s;
	p->tickets = tickets_new();
	ASSERT(RAND_bytes(p->failures.key, sizeof(p->failures.key)) == 1);
	return p;
}

/* ---- who is it? ---- */

/* 1 it lives, 0 there is none, -1. who: of a local account; its name is empty otherwise. */
static int
session_alive(struct people *p, struct span hash, struct arena *a, struct session *s, struct person *who,
    struct err *err)
{
	const struct conf_console *conf = &p->s->rt->conf->console;
	int64_t now = clock_real();
	int r = hash.n == SESSION_HASH ? session_get(p->s->db, hash, a, s, err) : 0;

	*who = (struct person){ 0 };
	if (r != 1)
		return r;
	if (span_is(s->kind, "token"))	/* a link that nobody has used is no session */
		return 0;
	if (now - s->seen > conf->idle || now - s->created > conf->lasts)
		return 0;
	r = person_get(p->s->db, s->name, a, who, err);
	if (r == 1 && who->disabled)
		return 0;
	if (r != -1 && span_is(s->kind, "directory"))
		return people_by_directory(p, s, r == 1 ? who : NULL, a, who);
	if (r != -1 && span_is(s->kind, "oidc"))
		return people_by_oidc(p, s, r == 1 ? who : NULL, a, who);
	if (r != -1 && span_is(s->kind, "link")) {
		*who = people_by_link(s->name);
		return 1;
	}
	return r;
}

static void
who_is(struct people *p, struct link *l, uint64_t ticket, const struct jval *v, struct arena *a)
{
	struct session s;
	struct person who;
	struct err err;
	int r = session_alive(p, jval_text(v, "session"), a, &s, &who, &err);

	if (r == 1 && clock_real() - s.seen > SEEN_EVERY)
		r = session_seen(p->s->db, s.hash, clock_real(), &err) == -1 ? -1 : 1;
	if (r == -1)
		people_tell_fault(l, ticket, &err);
	else if (r == 0)
		people_tell_error(l, ticket, "login", "nobody is signed in");
	else
		people_tell_person(l, ticket, &who, &s);
}

static void
sign_out(struct people *p, struct link *l, uint64_t ticket, const struct jval *v, struct arena *a)
{
	bool everywhere = jval_bool(v, "everywhere");
	struct session s;
	struct person who;
	struct span leave = { 0 };
	struct err err;
	int r = session_alive(p, jval_text(v, "session"), a, &s, &who, &err);

	if (r == 1) {
		if (span_is(s.kind, "oidc"))
			leave = people_oidc_leave(p, &s, a);
		store_settle(p->s);
		r = db_begin(p->s->db, true, &err);
		if (r == 0 && ((everywhere ? sessions_remove(p->s->db, s.name, (struct span){ 0 }, &err) :
		    session_remove(p->s->db, s.hash, &err)) == -1 ||
		    audit_put(p->s->db, s.name, everywhere ? "sign-out-everywhere" : "sign-out", s.name,
		    jval_text(v, "ip"), clock_real(), &err) == -1 || db_commit(p->s->db, &err) == -1)) {
			db_rollback(p->s->db);
			r = -1;
		}
	}
	if (r == -1)
		people_tell_fault(l, ticket, &err);
	else
		people_tell_url(l, ticket, "leave", leave);
}

static void
language(struct people *p, struct link *l, uint64_t ticket, const struct jval *v, struct arena *a)
{
	struct span to = jval_text(v, "language");
	struct session s;
	struct person who;
	struct err err;
	int r;

	if (!span_is(to, "en") && !span_is(to, "fr")) {
		people_tell_error(l, ticket, "invalid", "en or fr");
		return;
	}
	if ((r = session_alive(p, jval_text(v, "session"), a, &s, &who, &err)) == 1) {
		who.language = to;
		if (session_language(p->s->db, s.hash, to, &err) == -1 ||
		    (span_is(s.kind, "local") && person_put(p->s->db, &who, &err) == -1))
			r = -1;
	}
	if (r == -1)
		people_tell_fault(l, ticket, &err);
	else if (r == 0)
		people_tell_error(l, ticket, "login", "nobody is signed in");
	else
		people_tell_done(l, ticket);
}

/* ---- a new password of one's own ---- */

static void
password_made(struct people *p, struct scrypting *w, const struct msg_scrypted *m)
{
	struct db *d = p->s->db;
	struct person who;
	struct err err;
	int r = m ? person_get(d, w->name, w->arena, &who, &err) : 0;

	if (r == 1) {
		who.hash = m->hash;
		store_settle(p->s);
		r = db_begin(d, true, &err) == -1 ? -1 : 1;
		if (r == 1 && (person_put(d, &who, &err) == -1 ||
		    sessions_remove(d, who.name, w->session, &err) == -1 ||
		    audit_put(d, who.name, "password", who.name, w->ip, clock_real(), &err) == -1 ||
		    db_commit(d, &err) == -1)) {
			db_rollback(d);
			r = -1;
		}
	}
	if (r == 1)
		people_tell_done(w->link, w->ticket);
	else
		people_tell_error(w->link, w->ticket, "busy", "the password cannot be changed now");
	scrypting_free(w);
}

static void
password_old_checked(struct people *p, struct scrypting *w, const struct msg_scrypted *m)
{
	if (m == NULL) {
		people_tell_error(w->link, w->ticket, "busy", "passwords cannot be checked now");
		scrypting_free(w);
	} else if (m->status != LOGIN_RIGHT) {
		people_failed(p, w, "wrong password, of who is signed in", 1);
		people_tell_error(w->link, w->ticket, "forbidden", "the old password is wrong");
		scrypting_free(w);
	} else {
		w->done = password_made;
		scrypting_start(p, w, w->password, (struct span){ 0 });
	}
}

const char *
password_fault(struct span password)
{
	return password.n < PASSWORD_MIN ? "a password has 10 bytes at least" :
	    password.n > PASSWORD_MAX ? "a password has 512 bytes at most" : NULL;
}

static void
password(struct people *p, struct scrypting *w, const struct jval *v)
{
	const char *fault = password_fault(w->password);
	struct session s;
	struct person who;
	struct err err;
	int r = session_alive(p, jval_text(v, "session"), w->arena, &s, &who, &err);

	if (r == 1) {
		w->name = who.name;
		w->session = arena_span(w->arena, s.hash);
		if (who.hash.n == 0)
			fault = "this session has no password";
		if (fault == NULL && !people_too_often(p, w)) {
			w->done = password_old_checked;
			scrypting_start(p, w, span_sub(jval_text(v, "old"), 0, PASSWORD_MAX), who.hash);
			return;
		}
	}
	if (r == -1)
		people_tell_fault(w->link, w->ticket, &err);
	else if (r == 0)
		people_tell_error(w->link, w->ticket, "login", "nobody is signed in");
	else if (fault)
		people_tell_error(w->link, w->ticket, "invalid", fault);
	else
		people_tell_error(w->link, w->ticket, "limit", "too many failures: try again in a quarter of an hour");
	scrypting_free(w);
}

/* ---- which ---- */

static void
refused(struct people *p, const struct jval *v, struct arena *a)
{
	struct span detail = span_str(arena_printf(a, SPAN_FMT " from " SPAN_FMT,
	    SPAN_ARG(jval_text(v, "what")), SPAN_ARG(jval_text(v, "ip"))));
	struct err err;

	store_settle(p->s);
	if (audit_put(p->s->db, jval_text(v, "name"), "refused", jval_text(v, "subject"), detail, clock_real(),
	    &err) == -1)
		log_error("audit: %s", err.text);
}

static struct scrypting *
of_frame(struct link *l, uint64_t ticket, const struct jval *v)
{
	struct scrypting *w = scrypting_new();

	w->link = l;
	w->ticket = ticket;
	w->name = arena_span(w->arena, jval_text(v, "name"));
	w->password = arena_span(w->arena, jval_text(v, "password"));
	w->ip = arena_span(w->arena, jval_text(v, "ip"));
	return w;
}

int
people_ask(struct people *p, struct link *l, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct err err;
	struct jval *v = jval_parse(f->body, &err);
	struct span what = jval_text(v, "do");
	int r = 0;

	if (span_is(what, "session"))
		who_is(p, l, f->ticket, v, a);
	else if (span_is(what, "sign-in"))
		people_sign_in(p, of_frame(l, f->ticket, v), v);
	else if (span_is(what, "sign-out"))
		sign_out(p, l, f->ticket, v, a);
	else if (span_is(what, "language"))
		language(p, l, f->ticket, v, a);
	else if (span_is(what, "password"))
		password(p, of_frame(l, f->ticket, v), v);
	else if (span_is(what, "oidc-start"))
		people_oidc_start(p, of_frame(l, f->ticket, v), v);
	else if (span_is(what, "oidc-return"))
		people_oidc_return(p, of_frame(l, f->ticket, v), v);
	else if (span_is(what, "link"))
		people_link(p, l, f->ticket, v);
	else if (span_is(what, "link-use"))
		people_link_use(p, l, f->ticket, v);
	else if (span_is(what, "refused"))
		refused(p, v, a);
	else if (v)
		people_tell_error(l, f->ticket, "not-available", "not in this version");
	else
		r = -1;
	jval_free(&v);
	arena_free(&a);
	return r;
}
