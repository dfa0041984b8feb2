/* people_sign_in.c -- {"do":"sign-in"}: a name, a password, perhaps a code, and how often they were wrong.
 *
 * A local account that has a password is asked for it alone; any other name is the directory's to know, where there
 * is one (people_directory.c), else it costs as much time as one that is known. Failures are counted by name
 * and address, by address, and by name (failures.h); beyond their limits nothing is computed or asked at all.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "addr.h"
#include "clock.h"
#include "ipc/principal.h"
#include "log.h"
#include "store/audit.h"
#include "store/people.h"

/* Failures within a quarter of an hour, which a person with a bad memory does not reach. */
#define FAILURES_PAIR 8			/* of one name from one address */
#define FAILURES_ADDRESS 40		/* of one address (IPv6: of a /64) */
#define FAILURES_NAME 100		/* of one name, from wherever */
#define FAILURES_CODE 4			/* a wrong code weighs as so many: the password was right */

/* What an unknown name is checked against, with the costs of a new hash. */
static const char nobody[] = "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/* ---- how often it has failed ---- */

struct keys { struct span pair, address, name; };

static struct keys
keys_of(struct arena *a, struct span name, struct span ip)
{
	struct ip addr;
	struct span near = ip;
	char *low = arena_str(a, name);

	for (size_t i = 0; i < name.n; i++)
		low[i] = ascii_lower(low[i]);
	if (ip_parse(ip, &addr) && addr.family == 6) {
		char text[IP_TEXT_MAX];

		memset(addr.b + 8, 0, 8);
		near = arena_span(a, span_str(ip_format(addr, text)));
	}
	return (struct keys){ span_str(arena_printf(a, "p %s " SPAN_FMT, low, SPAN_ARG(near))),
		span_str(arena_printf(a, "a " SPAN_FMT, SPAN_ARG(near))),
		span_str(arena_printf(a, "n %s", low)) };
}

bool
people_too_often(const struct people *p, const struct scrypting *w)
{
	struct keys k = keys_of(w->arena, w->name, w->ip);
	int64_t now = clock_mono();

	return failures_count(&p->failures, k.address, now) >= FAILURES_ADDRESS || (w->name.n &&
	    (failures_count(&p->failures, k.pair, now) >= FAILURES_PAIR ||
	    failures_count(&p->failures, k.name, now) >= FAILURES_NAME));
}

void
people_failed(struct people *p, struct scrypting *w, const char *why, uint32_t weight)
{
	struct keys k = keys_of(w->arena, w->name, w->ip);
	struct span detail = span_str(arena_printf(w->arena, "from " SPAN_FMT ": %s", SPAN_ARG(w->ip), why));
	int64_t now = clock_mono();
	struct err err;

	failures_add(&p->failures, k.address, 1, now);
	if (w->name.n) {
		failures_add(&p->failures, k.pair, weight, now);
		failures_add(&p->failures, k.name, weight, now);
	}
	store_settle(p->s);
	if (audit_put(p->s->db, SPAN_LIT("nobody"), "sign-in-failed", w->name.n ? w->name : w->person.name, detail,
	    clock_real(), &err) == -1)
		log_error("audit: %s", err.text);
}

/* ---- signing in ---- */

/* A code of the device, or one of those for who lost it. false: neither; p is as it was. */
static bool
code_right(struct scrypting *w, struct person *p)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *left;
	int64_t step = totp_check((const unsigned char *)p->totp.p, w->code, clock_real(), p->totp_step);
	unsigned n;

	if (step) {
		p->totp_step = step;
		return true;
	}
	ASSERT(EVP_Digest(w->code.p, w->code.n, digest, &n, EVP_sha256(), NULL) == 1);
	for (size_t at = 0; at + 32 <= p->recovery.n; at += 32) {
		if (CRYPTO_memcmp(p->recovery.p + at, digest, 32) != 0)
			continue;
		left = arena_alloc(w->arena, p->recovery.n);
		memcpy(left, p->recovery.p, at);
		memcpy(left + at, p->recovery.p + at + 32, p->recovery.n - at - 32);
		p->recovery = span_make((char *)left, p->recovery.n - 32);
		return true;
	}
	return false;
}

/* row: his account, or NULL when the directory alone knows him; a code is that account's. */
static int
enter(struct people *p, struct scrypting *w, struct person *row, const struct person *who, struct session *s,
    struct err *err)
{
	struct db *d = p->s->db;
	const char *how = span_is(s->kind, "directory") ? ", by the directory" : "";

	store_settle(p->s);
	if (db_begin(d, true, err) == -1)
		return -1;
	if (row)
		row->seen = s->created;
	if ((row && person_put(d, row, err) == -1) || (w->old.n && session_remove(d, w->old, err) == -1) ||
	    session_put(d, s, err) == -1 ||
	    audit_put(d, who->name, "sign-in", who->name, span_str(arena_printf(w->arena, "from " SPAN_FMT "%s",
	    SPAN_ARG(w->ip), how)), s->created, err) == -1 || db_commit(d, err) == -1) {
		db_rollback(d);
		return -1;
	}
	return 0;
}

void
people_admit(struct people *p, struct scrypting *w, struct person *row, const struct person *who, const char *kind)
{
	bool required = p->s->rt->conf->console.totp_required, coded = row && row->totp.n > 0;
	struct session s = { .hash = w->session, .name = who->name, .kind = span_str(kind), .ip = w->ip,
		.created = clock_real(), .seen = clock_real() };
	struct keys k = keys_of(w->arena, w->name, w->ip);
	struct err err;

	if (coded && w->code.n == 0) {
		people_tell_error(w->link, w->ticket, "totp", "a code is asked for");
	} else if (coded && !code_right(w, row)) {
		people_failed(p, w, "wrong code", FAILURES_CODE);
		people_tell_error(w->link, w->ticket, "totp", "the code is wrong");
	} else if (!coded && required && who->roles & PRINCIPAL_BIT(ADMIN)) {
		people_tell_error(w->link, w->ticket, "forbidden", "administrators need a second factor: "
		    "`postern users totp NAME` on the machine makes one");
	} else {
		if (who != row) {
			s.principal = people_principal(w->arena, who);
			s.typed = w->name;
		}
		if (enter(p, w, row, who, &s, &err) == -1) {
			people_tell_fault(w->link, w->ticket, &err);
		} else {
			failures_forget(&p->failures, k.pair);
			people_tell_person(w->link, w->ticket, who, &s);
		}
	}
}

static void
sign_in_checked(struct people *p, struct scrypting *w, const struct msg_scrypted *m)
{
	struct person who;
	struct err err;
	int r;

	/* Read again: it may have changed meanwhile, and two with one code shall not both enter. */
	if (m == NULL || (r = person_get(p->s->db, w->name, w->arena, &who, &err)) == -1) {
		people_tell_error(w->link, w->ticket, "busy", "passwords cannot be checked now");
	} else if (!w->known || m->status != LOGIN_RIGHT || r == 0 || who.disabled) {
		people_failed(p, w, r == 1 && who.disabled ? "disabled" : w->known ? "wrong password" : "unknown", 1);
		people_tell_error(w->link, w->ticket, "login", "name or password is wrong");
	} else {
		people_admit(p, w, &who, &who, "local");
	}
	scrypting_free(w);
}

void
people_sign_in(struct people *p, struct scrypting *w, const struct jval *v)
{
	struct person who = { 0 };
	struct err err;
	int r;

	w->code = arena_span(w->arena, jval_text(v, "code"));
	w->session = arena_span(w->arena, jval_text(v, "new"));
	w->old = arena_span(w->arena, jval_text(v, "session"));
	if (w->session.n != SESSION_HASH || w->name.n == 0 || w->password.n == 0) {
		people_tell_error(w->link, w->ticket, "invalid", "name and password are asked for");
		scrypting_free(w);
		return;
	}
	if (people_too_often(p, w)) {
		people_tell_error(w->link, w->ticket, "limit", "too many failures: try again in a quarter of an hour");
		scrypting_free(w);
		return;
	}
	if ((r = person_get(p->s->db, w->name, w->arena, &who, &err)) == -1) {
		people_tell_fault(w->link, w->ticket, &err);
		scrypting_free(w);
		return;
	}
	w->known = r == 1 && who.hash.n > 0;
	if (!w->known && p->s->rt->conf->console.ldap.find.directory) {
		people_directory(p, w);
		return;
	}
	w->done = sign_in_checked;
	scrypting_start(p, w, span_sub(w->password, 0, PASSWORD_MAX), w->known ? who.hash : span_str(nobody));
}
