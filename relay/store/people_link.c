/* people_link.c -- signing in by a link in a mail: for recipients of ours, who have no password here.
 *
 * Whoever asks for a link hears the same, at the same time, whether the address is ours, exists, or
 * has had too many: the answer goes out first. The token is 256 random bits, of which the database keeps the
 * SHA-256, good for LINK_TIME and once. It stands behind the # of the link: no server's log and no
 * Referer has it, and what only opens links (scanners of mail) signs nobody in. Such a session may what
 * the role `user` may with that one address.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "addr.h"
#include "clock.h"
#include "ipc/principal.h"
#include "log.h"
#include "store/approval_db.h"
#include "store/audit.h"
#include "store/people.h"

#define LINK_TIME (15 * 60 * US_PER_SEC)
#define LINKS_ADDRESS 3			/* within a quarter of an hour, to one address */
#define LINKS_CLIENT 20			/* … asked for by one client */
#define SECRET_BYTES 32
#define ADDRESS_MAX 254

struct person
people_by_link(struct span address)
{
	return (struct person){ .name = address, .addresses = address, .roles = PRINCIPAL_BIT(USER) };
}

static struct span
hash_of(struct arena *a, struct span token)
{
	struct span text = span_str(arena_printf(a, "postern link " SPAN_FMT, SPAN_ARG(token)));
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *to = arena_alloc(a, SESSION_HASH + 1);
	unsigned n;

	ASSERT(EVP_Digest(text.p, text.n, digest, &n, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < SESSION_HASH; i++)
		to[i] = "0123456789abcdef"[i & 1 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
	to[SESSION_HASH] = '\0';
	return span_make(to, SESSION_HASH);
}

/* An address of a domain of ours, in one spelling; false: not. */
static bool
is_ours(const struct config *conf, struct arena *a, struct span address, struct span *out)
{
	size_t at = span_find(address, '@');
	char *low;

	if (address.n > ADDRESS_MAX || at == 0 || at >= address.n || !span_is_plain(address) ||
	    span_find(address, ' ') < address.n || config_domain(conf, span_from(address, at + 1)) == NULL)
		return false;
	low = arena_str(a, address);
	for (size_t i = 0; i < address.n; i++)
		low[i] = ascii_lower(low[i]);
	*out = span_make(low, address.n);
	return true;
}

static bool
once_more(struct people *p, struct arena *a, struct span address, struct span ip)
{
	struct span to = span_str(arena_printf(a, "l " SPAN_FMT, SPAN_ARG(address))),
	    by = span_str(arena_printf(a, "L " SPAN_FMT, SPAN_ARG(ip)));
	int64_t now = clock_mono();

	if (failures_count(&p->failures, to, now) >= LINKS_ADDRESS ||
	    failures_count(&p->failures, by, now) >= LINKS_CLIENT)
		return false;
	failures_add(&p->failures, to, 1, now);
	failures_add(&p->failures, by, 1, now);
	return true;
}

static int
mail(struct people *p, struct arena *a, struct span address, struct span ip, bool french, struct err *err)
{
	struct db *d = p->s->db;
	struct session s = { .name = address, .kind = SPAN_LIT("token"), .ip = ip, .created = clock_real(),
		.seen = clock_real() };
	unsigned char secret[SECRET_BYTES];
	char token[2 * SECRET_BYTES + 1];
	struct buf b;
	int r;

	ASSERT(RAND_bytes(secret, sizeof(secret)) == 1);
	for (size_t i = 0; i < 2 * SECRET_BYTES; i++)
		token[i] = "0123456789abcdef"[i & 1 ? secret[i / 2] & 15 : secret[i / 2] >> 4];
	token[2 * SECRET_BYTES] = '\0';
	s.hash = hash_of(a, span_str(token));
	buf_init(&b, 4096);
	buf_puts(&b, french ? "Voici le lien pour vous connecter. Il sert une fois, pendant 15 minutes :\n\n  " :
	    "Here is the link to sign in. It works once, for 15 minutes:\n\n  ");
	buf_span(&b, config_console_url(p->s->rt->conf, a));
	buf_printf(&b, "/#/signin?token=%s\n\n%s\n", token, french ?
	    "Si vous n'avez rien demandé, il n'y a rien à faire." : "If you did not ask for it, there is nothing to do.");
	store_settle(p->s);
	r = db_begin(d, true, err);
	if (r == 0 && (session_put(d, &s, err) == -1 ||
	    outbox_put(d, 0, 0, address, french ? SPAN_LIT("Connexion à la messagerie retenue") :
	    SPAN_LIT("Sign in to see your held mail"), buf_data(&b), french ? SPAN_LIT("fr") : SPAN_LIT("en"),
	    err) == -1 || audit_put(d, SPAN_LIT("nobody"), "sign-in-link", address, ip, s.created, err) == -1 ||
	    db_commit(d, err) == -1)) {
		db_rollback(d);
		r = -1;
	}
	p->s->outbox_at = 0;
	OPENSSL_cleanse(b.p, b.cap);
	OPENSSL_cleanse(token, sizeof(token));
	buf_release(&b);
	return r;
}

void
people_link(struct people *p, struct link *l, uint64_t ticket, const struct jval *v)
{
	const struct config *conf = p->s->rt->conf;
	struct span address, ip = jval_text(v, "ip");
	struct arena *a = arena_new(0);
	struct err err;

	people_tell_done(l, ticket);
	if (conf->console.links && is_ours(conf, a, jval_text(v, "address"), &address) &&
	    once_more(p, a, address, ip) && mail(p, a, address, ip, span_is(jval_text(v, "seen"), "fr"), &err) == -1)
		log_error("a link to sign in: %s", err.text);
	arena_free(&a);
}

/* 1 entered, 0 the link is worth nothing, -1. */
static int
enter(struct people *p, const struct jval *v, struct arena *a, struct session *s, struct err *err)
{
	struct db *d = p->s->db;
	struct person who;
	int r;

	store_settle(p->s);
	if (jval_text(v, "new").n != SESSION_HASH || !p->s->rt->conf->console.links)
		return 0;
	if ((r = session_get(d, hash_of(a, jval_text(v, "token")), a, s, err)) != 1)
		return r;
	if (!span_is(s->kind, "token") || clock_real() - s->created > LINK_TIME)
		return 0;
	if ((r = person_get(d, s->name, a, &who, err)) == -1 || (r == 1 && who.disabled))
		return r == -1 ? -1 : 0;
	if (db_begin(d, true, err) == -1)
		return -1;
	if (session_remove(d, s->hash, err) == -1)
		goto bad;
	s->hash = jval_text(v, "new");
	s->kind = SPAN_LIT("link");
	s->ip = jval_text(v, "ip");
	s->language = jval_text(v, "seen");
	s->created = s->seen = clock_real();
	if (session_put(d, s, err) == 0 && audit_put(d, s->name, "sign-in", s->name, SPAN_LIT("by a link"), s->created,
	    err) == 0 && db_commit(d, err) == 0)
		return 1;
bad:
	db_rollback(d);
	return -1;
}

void
people_link_use(struct people *p, struct link *l, uint64_t ticket, const struct jval *v)
{
	struct arena *a = arena_new(0);
	struct session s = { 0 };
	struct person who;
	struct err err;
	int r = enter(p, v, a, &s, &err);

	if (r == 1) {
		who = people_by_link(s.name);
		people_tell_person(l, ticket, &who, &s);
	} else if (r == 0) {
		people_tell_error(l, ticket, "login", "this link was used, is too old, or is none");
	} else {
		log_error("a link to sign in: %s", err.text);
		people_tell_error(l, ticket, "busy", "the store cannot say now");
	}
	arena_free(&a);
}
