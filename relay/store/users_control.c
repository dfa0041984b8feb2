/* users_control.c -- commands about accounts of the console; see people.h.
 *
 *	{"cmd":"users.list"}
 *	{"cmd":"users.add","name","password","roles":[],"domains":[],"addresses":[],"language"}
 *	{"cmd":"users.set","name", and of the others what changes, "disabled":BOOL}
 *	{"cmd":"users.remove","name"}		an account; who signed in at a provider is forgotten with it
 *	{"cmd":"users.totp","name","off":BOOL}		a new secret and codes for who loses the device
 *
 * For administrators, and on the machine; auditors see the list. Whose password, roles or state change is
 * signed out everywhere. A password is hashed by the authenticator.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "clock.h"
#include "store/audit.h"
#include "store/people.h"
#include "store/people_oidc_db.h"

#define RECOVERY_BYTES 10		/* 16 characters of base32 */
#define LINES_MAX 256			/* PRINCIPAL_NAMES_MAX */
#define LINE_BYTES_MAX 320

static void
say_code(struct reply *r, const char *code, const char *text)
{
	struct json j = open_line(r);

	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	close_line(r, &j);
}

static void
say_person(struct reply *r, const struct person *p)
{
	struct json j = open_line(r);

	person_json(&j, p);
	close_line(r, &j);
}

/* ---- what is asked ---- */

static const char *
name_fault(struct span name)
{
	if (name.n == 0 || name.n > PERSON_NAME_MAX)
		return "a name has 1 to 64 bytes";
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f || strchr(":\"\\/<>%?#&", name.p[i]))
			return "a name has no space, control character, nor any of : \" \\ / < > % ? # &";
	return NULL;
}

static const char *
take_roles(const struct jval *v, unsigned *roles)
{
	unsigned found = 0;

	if (!jval_is_array(v))
		return "`roles` is a list";
	for (size_t i = 0; i < jval_count(v); i++) {
		enum principal_role r = principal_role_parse(jval_str(jval_at(v, i)));

		if (r == PRINCIPAL_ROLE_COUNT)
			return "roles are user, domain_admin, operator, editor, reviewer, auditor, admin";
		found |= 1u << r;
	}
	*roles = found;
	return NULL;
}

static const char *
take_lines(struct arena *a, const struct jval *v, struct span *lines, bool addresses)
{
	struct buf b;

	if (!jval_is_array(v) || jval_count(v) > LINES_MAX)
		return "`domains` and `addresses` are lists, of 256 at most";
	buf_init(&b, LINES_MAX * (LINE_BYTES_MAX + 1));
	for (size_t i = 0; i < jval_count(v); i++) {
		struct span s = jval_str(jval_at(v, i));
		size_t at = span_find(s, '@');

		if (s.n == 0 || s.n > LINE_BYTES_MAX || !span_is_plain(s) || (addresses ? at == 0 || at >= s.n - 1 :
		    at < s.n)) {
			buf_release(&b);
			return addresses ? "`addresses` are like a@example.org" : "`domains` are like example.org";
		}
		if (i)
			buf_putc(&b, '\n');
		buf_span(&b, s);
	}
	*lines = arena_span(a, buf_data(&b));
	buf_release(&b);
	return NULL;
}

/* What the request says, over what was. NULL: fine. */
static const char *
take(struct arena *a, const struct jval *req, struct person *p)
{
	struct span language = jval_text(req, "language");
	const char *fault = NULL;

	if (jval_has(req, "roles"))
		fault = take_roles(jval_get(req, "roles"), &p->roles);
	if (fault == NULL && jval_has(req, "domains"))
		fault = take_lines(a, jval_get(req, "domains"), &p->domains, false);
	if (fault == NULL && jval_has(req, "addresses"))
		fault = take_lines(a, jval_get(req, "addresses"), &p->addresses, true);
	if (fault == NULL && language.n && !span_is(language, "en") && !span_is(language, "fr"))
		fault = "`language` is en or fr";
	if (language.n)
		p->language = arena_span(a, language);
	if (jval_has(req, "disabled"))
		p->disabled = jval_bool(req, "disabled");
	if (fault)
		return fault;
	if (p->roles == 0)
		return "an account needs a role: user, domain_admin, operator, editor, reviewer, auditor or admin";
	if (p->roles & PRINCIPAL_BIT(DOMAIN_ADMIN) && p->domains.n == 0)
		return "a domain_admin needs `domains`";
	if (p->roles == PRINCIPAL_BIT(USER) && p->addresses.n == 0)
		return "a user needs `addresses`";
	return NULL;
}

/* ---- writing ---- */

static int
write_person(struct people *p, const struct scrypting *w, struct err *err)
{
	struct db *d = p->s->db;
	struct buf detail;
	struct json j;
	int r;

	buf_init(&detail, FRAME_SMALL);
	json_begin(&j, &detail);
	json_object(&j);
	person_principal_json(&j, &w->person);
	json_kbool(&j, "disabled", w->person.disabled);
	json_end_object(&j);
	store_settle(p->s);
	r = db_begin(d, true, err);
	if (r == 0 && (person_put(d, &w->person, err) == -1 ||
	    sessions_remove(d, w->person.name, (struct span){ 0 }, err) == -1 ||
	    audit_put(d, w->by, w->fresh ? "users.add" : "users.set", w->person.name, buf_data(&detail),
	    clock_real(), err) == -1 || db_commit(d, err) == -1)) {
		db_rollback(d);
		r = -1;
	}
	buf_release(&detail);
	return r;
}

static void
hashed(struct people *p, struct scrypting *w, const struct msg_scrypted *m)
{
	struct err err;

	if (w->password.n && m == NULL) {
		say_code(w->reply, "busy", "no authenticator answers: is a `console` configured?");
	} else {
		if (m)
			w->person.hash = m->hash;
		if (write_person(p, w, &err) == -1)
			say_code(w->reply, "busy", err.text);
		else
			say_person(w->reply, &w->person);
	}
	scrypting_free(w);
}

static void
add_or_set(struct asked *q, bool add)
{
	struct people *p = q->s->people;
	struct scrypting *w = scrypting_new();
	struct span name = jval_text(q->req, "name");
	const char *fault = name_fault(name);
	struct err err = { 0 };
	int r = 0;

	w->reply = q->reply;
	q->reply = NULL;
	w->by = arena_span(w->arena, asked_by(q));
	w->password = arena_span(w->arena, jval_text(q->req, "password"));
	w->fresh = add;
	if (fault == NULL)
		r = person_get(p->s->db, name, w->arena, &w->person, &err);
	if (r == 0) {
		w->person = (struct person){ .name = arena_span(w->arena, name), .created = clock_real() };
	}
	if (fault == NULL)
		fault = take(w->arena, q->req, &w->person);
	if (fault == NULL && w->password.n)
		fault = password_fault(w->password);
	if (r == -1)
		say_code(w->reply, "busy", err.text);
	else if (r == 1 && add)
		say_code(w->reply, "conflict", "there is an account of this name");
	else if (r == 0 && !add && name_fault(name) == NULL)
		say_code(w->reply, "not-found", "no account has this name");
	else if (fault)
		say_code(w->reply, "invalid", fault);
	else {
		w->done = hashed;
		if (w->password.n)
			scrypting_start(p, w, w->password, (struct span){ 0 });
		else
			hashed(p, w, NULL);
		return;
	}
	scrypting_free(w);
}

static void
remove_person(struct asked *q)
{
	struct db *d = q->s->db;
	struct span name = jval_text(q->req, "name");
	struct err err;
	struct json j;
	int r, known = 0;

	store_settle(q->s);
	r = db_begin(d, true, &err);
	if (r == 0 && ((r = person_remove(d, name, &err)) == -1 || (known = oidc_person_remove(d, name, &err)) == -1 ||
	    ((r |= known) && audit_put(d, asked_by(q), "users.remove", name, (struct span){ 0 }, clock_real(), &err) == -1) ||
	    db_commit(d, &err) == -1)) {
		db_rollback(d);
		r = -1;
	}
	if (r == -1) {
		say_code(q->reply, "busy", err.text);
	} else if (r == 0) {
		say_code(q->reply, "not-found", "no account has this name");
	} else {
		j = open_line(q->reply);
		json_kstr(&j, "removed", name);
		close_line(q->reply, &j);
	}
}

static void
list(struct asked *q)
{
	struct err err;
	struct json j;
	size_t n;

	if (person_list(q->s->db, reply_buf(q->reply), &n, &err) == -1 ||
	    oidc_person_list(q->s->db, reply_buf(q->reply), &n, &err) == -1) {
		say_code(q->reply, "busy", err.text);
		return;
	}
	j = open_line(q->reply);
	json_kuint(&j, "found", n);
	close_line(q->reply, &j);
}

/* ---- a second factor ---- */

static void
put_uri(struct asked *q, const struct person *p, struct buf *b)
{
	buf_puts(b, "otpauth://totp/Postern%20");
	buf_span(b, q->s->rt->conf->hostname);
	buf_printf(b, ":" SPAN_FMT "?secret=", SPAN_ARG(p->name));
	base32_put(b, (const unsigned char *)p->totp.p, p->totp.n);
	buf_printf(b, "&issuer=Postern%%20" SPAN_FMT, SPAN_ARG(q->s->rt->conf->hostname));
}

/* Ten codes, and what is kept of them. */
static void
make_recovery(struct arena *a, struct person *p, char codes[PERSON_RECOVERY][20])
{
	unsigned char *hashes = arena_alloc(a, PERSON_RECOVERY * 32), raw[RECOVERY_BYTES];
	struct buf b;
	unsigned n;

	buf_init(&b, 64);
	for (size_t i = 0; i < PERSON_RECOVERY; i++) {
		ASSERT(RAND_bytes(raw, sizeof(raw)) == 1);
		buf_reset(&b);
		base32_put(&b, raw, sizeof(raw));
		memcpy(codes[i], buf_data(&b).p, 16);
		codes[i][16] = '\0';
		ASSERT(EVP_Digest(codes[i], 16, hashes + 32 * i, &n, EVP_sha256(), NULL) == 1 && n == 32);
	}
	buf_release(&b);
	p->recovery = span_make((char *)hashes, PERSON_RECOVERY * 32);
}

static void
say_totp(struct asked *q, const struct person *p, char codes[PERSON_RECOVERY][20])
{
	struct json j = open_line(q->reply);
	struct buf b;

	json_kstr(&j, "name", p->name);
	json_kbool(&j, "totp", p->totp.n > 0);
	if (p->totp.n) {
		buf_init(&b, 2048);
		base32_put(&b, (const unsigned char *)p->totp.p, p->totp.n);
		json_kstr(&j, "secret", buf_data(&b));
		buf_reset(&b);
		put_uri(q, p, &b);
		json_kstr(&j, "uri", buf_data(&b));
		buf_release(&b);
		json_key(&j, "recovery");
		json_array(&j);
		for (size_t i = 0; i < PERSON_RECOVERY; i++)
			json_cstr(&j, codes[i]);
		json_end_array(&j);
	}
	close_line(q->reply, &j);
}

static void
totp(struct asked *q)
{
	struct db *d = q->s->db;
	unsigned char secret[TOTP_SECRET];
	char codes[PERSON_RECOVERY][20];
	bool off = jval_bool(q->req, "off");
	struct person p;
	struct err err;
	int r = person_get(d, jval_text(q->req, "name"), q->arena, &p, &err);

	if (r == 0) {
		say_code(q->reply, "not-found", "no account has this name");
		return;
	}
	if (r == 1) {
		ASSERT(RAND_bytes(secret, sizeof(secret)) == 1);
		p.totp = off ? (struct span){ 0 } : span_make((char *)secret, sizeof(secret));
		p.recovery = (struct span){ 0 };
		p.totp_step = 0;
		if (!off)
			make_recovery(q->arena, &p, codes);
		store_settle(q->s);
		r = db_begin(d, true, &err);
		if (r == 0 && (person_put(d, &p, &err) == -1 ||
		    sessions_remove(d, p.name, (struct span){ 0 }, &err) == -1 ||
		    audit_put(d, asked_by(q), off ? "users.totp-off" : "users.totp", p.name, (struct span){ 0 },
		    clock_real(), &err) == -1 || db_commit(d, &err) == -1)) {
			db_rollback(d);
			r = -1;
		}
	}
	if (r == -1)
		say_code(q->reply, "busy", err.text);
	else
		say_totp(q, &p, codes);
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(codes, sizeof(codes));
}

void
users_client(struct asked *q, struct span cmd)
{
	bool lists = span_is(cmd, "users.list");
	struct err err;

	if (!principal_is(&q->who, lists ? PRINCIPAL_BIT(AUDITOR) : PRINCIPAL_BIT(ADMIN))) {
		if (audit_put(q->s->db, asked_by(q), "refused", cmd, (struct span){ 0 }, clock_real(), &err) == -1)
			say_code(q->reply, "busy", err.text);
		say_code(q->reply, "forbidden", "for administrators");
	} else if (lists)
		list(q);
	else if (span_is(cmd, "users.add") || span_is(cmd, "users.set"))
		add_or_set(q, span_is(cmd, "users.add"));
	else if (span_is(cmd, "users.remove"))
		remove_person(q);
	else if (span_is(cmd, "users.totp"))
		totp(q);
	else
		say_code(q->reply, "not-available", "the store knows no such command");
}
