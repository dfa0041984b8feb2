/* session.c -- who signed in: cookies, tokens, and what the store is asked about people.
 *
 * A session is 256 random bits in a cookie. The store knows their SHA-256 and whose they are
 * (store/people.h): a reload of the console signs nobody out, and who is removed, or whose roles change,
 * is so at the next request. The token against forged requests (X-Postern-CSRF) is a hash of the
 * session, told to the page that signed in; no other site can know it. A new session at each sign-in:
 * none that somebody else could have set stays in use.
 *
 * Who signs in at a provider comes by oidc.c. Questions and answers are JSON in frames PERSON_ASK and PERSON_TOLD, which channels wipe.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "addr.h"
#include "console/routes.h"
#include "log.h"

#define SECRET_BYTES 32
#define HASH_TEXT (2 * 32)

static struct span
hex(struct arena *a, const unsigned char *p, size_t n)
{
	char *to = arena_alloc(a, 2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = "0123456789abcdef"[p[i] >> 4];
		to[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	to[2 * n] = '\0';
	return span_make(to, 2 * n);
}

struct span
session_hashed(struct arena *a, const char *what, struct span session)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct span text = span_str(arena_printf(a, "%s" SPAN_FMT, what, SPAN_ARG(session)));
	unsigned n;

	ASSERT(EVP_Digest(text.p, text.n, digest, &n, EVP_sha256(), NULL) == 1);
	return hex(a, digest, n);
}

struct span
session_secret(struct client *k)
{
	unsigned char secret[SECRET_BYTES];

	ASSERT(RAND_bytes(secret, sizeof(secret)) == 1);
	return hex(k->arena, secret, sizeof(secret));
}

/* What the store knows a session by. */
static struct span
session_hash(struct arena *a, struct span session)
{
	return session_hashed(a, SESSION_OF, session);
}

static struct span
csrf_token(struct arena *a, struct span session)
{
	return session_hashed(a, "postern csrf ", session);
}

bool
session_csrf_right(const struct client *k)
{
	struct span token = csrf_token(k->arena, k->r.session);

	return k->r.csrf.n == token.n && CRYPTO_memcmp(k->r.csrf.p, token.p, token.n) == 0;
}

/* ---- asking ---- */

void
session_question(struct client *k, struct json *j, struct buf *b, const char *what)
{
	char ip[IP_TEXT_MAX];

	json_begin(j, b);
	json_object(j);
	json_kcstr(j, "do", what);
	json_kcstr(j, "ip", ip_format(k->ip, ip));
	json_kcstr(j, "seen", k->french ? "fr" : "en");
	if (k->r.session.n)
		json_kstr(j, "session", session_hash(k->arena, k->r.session));
}

static void
ask(struct client *k, struct json *j, struct buf *b, told_fn *told)
{
	json_end_object(j);
	if (buf_failed(b))
		client_error(k, 400, "invalid", "too long");
	else if (client_ask_store(k, FRAME_PERSON_ASK, buf_data(b), told) == -1)
		client_error(k, 503, "busy", "the store is away");
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_release(b);
}

void
session_refused(struct client *k, const char *what, struct span subject)
{
	struct buf b;
	struct json j;

	log_info("console: " SPAN_FMT " is refused: %s " SPAN_FMT, SPAN_ARG(k->name), what,
	    SPAN_ARG(span_sub(subject, 0, 200)));
	if (k->c->store == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	session_question(k, &j, &b, "refused");
	json_kstr(&j, "name", k->name);
	json_kcstr(&j, "what", what);
	json_kstr(&j, "subject", span_sub(subject, 0, 200));
	json_end_object(&j);
	link_send(k->c->store, FRAME_PERSON_ASK, 0, buf_data(&b), -1);
	buf_release(&b);
}

/* The answer, or NULL: then the client has heard why there is none. */
static struct jval *
answer_of(struct client *k, struct frame *f)
{
	struct jval *v;
	struct err err;
	const char *code;
	int status;

	if (f == NULL) {
		client_error(k, 503, "busy", "the store does not answer");
		return NULL;
	}
	if (api_failed(f->body, &status, &code, &err) == -1) {
		client_error(k, status, code, err.text);
		return NULL;
	}
	v = jval_parse(f->body, &err);
	ASSERT(v != NULL);
	return v;
}

/* ---- who asks ---- */

static void
answer_who(struct client *k, const struct jval *v, struct span session)
{
	static const char *const members[] = { "name", "roles", "domains", "addresses", "language", "totp",
		"kind" };
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_BIG);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct buf one;

		buf_init(&one, FRAME_SMALL);
		jval_write(jval_get(v, members[i]), &one);
		json_key(&j, members[i]);
		json_raw(&j, buf_data(&one));
		buf_release(&one);
	}
	json_kstr(&j, "csrf", csrf_token(k->arena, session));
	json_end_object(&j);
	client_answer(k, 200, "application/json", buf_data(&b));
	buf_release(&b);
}

/* From the store's answer to who may what. */
static void
take_person(struct client *k, const struct jval *v)
{
	static const char *const members[] = { "name", "roles", "addresses", "domains" };
	const struct jval *roles = jval_get(v, "roles");
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		buf_printf(&b, "%c\"%s\":", i ? ',' : '{', members[i]);
		jval_write(jval_get(v, members[i]), &b);
	}
	buf_putc(&b, '}');
	k->as = arena_span(k->arena, buf_data(&b));
	buf_release(&b);
	k->name = arena_span(k->arena, jval_text(v, "name"));
	for (size_t i = 0; i < jval_count(roles); i++) {
		enum principal_role r = principal_role_parse(jval_str(jval_at(roles, i)));

		if (r < PRINCIPAL_ROLE_COUNT)
			k->roles |= 1u << r;
	}
}

static bool
is_own(const struct client *k, const char *what)
{
	return k->route->shape == SHAPE_OWN && strcmp(k->route->command, what) == 0;
}

void
session_put_cookie(struct client *k, struct span session)
{
	buf_printf(&k->fields, "Set-Cookie: postern_session=" SPAN_FMT "; Path=/; Secure; HttpOnly; "
	    "SameSite=Strict%s\r\n", SPAN_ARG(session), session.n ? "" : "; Max-Age=0");
}

static void
found(struct client *k, struct frame *f)
{
	struct err err;
	struct jval *v;

	if (f && (v = jval_parse(f->body, &err)) != NULL) {
		if (span_is(jval_text(v, "code"), "login"))
			session_put_cookie(k, (struct span){ 0 });
		jval_free(&v);
	}
	if ((v = answer_of(k, f)) == NULL)
		return;
	take_person(k, v);
	if (is_own(k, "who"))
		answer_who(k, v, k->r.session);
	else
		api_known(k);
	jval_free(&v);
}

void
session_find(struct client *k)
{
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_SMALL);
	session_question(k, &j, &b, "session");
	ask(k, &j, &b, found);
}

/* ---- in and out ---- */

static void
signed_in(struct client *k, struct frame *f)
{
	struct jval *v = answer_of(k, f);

	if (v == NULL)
		return;
	session_put_cookie(k, k->token);
	answer_who(k, v, k->token);
	jval_free(&v);
}

static void
done(struct client *k, struct frame *f)
{
	struct jval *v = answer_of(k, f);
	struct buf b;
	struct json j;

	if (v == NULL)
		return;
	if (is_own(k, "sign-out"))
		session_put_cookie(k, (struct span){ 0 });
	buf_init(&b, FRAME_SMALL);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kbool(&j, "ok", true);
	if (jval_text(v, "leave").n)	/* signing out goes on there */
		json_kstr(&j, "leave", jval_text(v, "leave"));
	json_end_object(&j);
	client_answer(k, is_own(k, "link") ? 202 : 200, "application/json", buf_data(&b));
	buf_release(&b);
	jval_free(&v);
}

/* What the page shows beside name and password. */
static void
tell_ways(struct client *k)
{
	const struct conf_console *c = &k->c->rt->conf->console;
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_SMALL);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kbool(&j, "links", c->links);
	json_key(&j, "oidc");
	if (c->oidc.issuer.n) {
		json_object(&j);
		json_kstr(&j, "en", c->oidc.button_en);
		json_kstr(&j, "fr", c->oidc.button_fr);
		json_end_object(&j);
	} else {
		json_null(&j);
	}
	json_end_object(&j);
	client_answer(k, 200, "application/json", buf_data(&b));
	buf_release(&b);
}

/* The members of the body that the route names, texts and truths. */
static int
put_body(struct client *k, struct json *j, struct err *err)
{
	const char *members = k->route->members;
	struct jval *body = jval_parse(k->r.body.n ? k->r.body : SPAN_LIT("{}"), err);
	struct member m;
	int r = body && jval_is_object(body) ? 0 : -1;

	if (body && r == -1)
		err_set(err, 0, "the body has to be a JSON object");
	while (r == 0 && route_member(&members, &m)) {
		const char *key = arena_str(k->arena, m.name);
		const struct jval *x = jval_get(body, key);

		if (m.type == 's' && jval_is_text(x) && jval_str(x).n)
			json_kstr(j, key, jval_str(x));
		else if (m.type == 'b' && jval_is_bool(x))
			json_kbool(j, key, jval_bool(body, key));
		else if (jval_has(body, key) && jval_str(x).n)
			r = err_set(err, 0, "`%s` is of another type", key);
		else if (m.needed)
			r = err_set(err, 0, "`%s` is missing", key);
	}
	jval_free(&body);
	return r;
}

static void
wipe_body(struct client *k)
{
	if (k->r.body.n)
		explicit_bzero((char *)(uintptr_t)k->r.body.p, k->r.body.n);
}

void
session_serve(struct client *k)
{
	bool enters = is_own(k, "sign-in") || is_own(k, "link-use");
	struct span everywhere;
	struct err err = { 0 };
	struct buf b;
	struct json j;

	if (is_own(k, "ways")) {
		tell_ways(k);
		return;
	}
	buf_init(&b, FRAME_SMALL);
	session_question(k, &j, &b, k->route->command);
	if (enters) {
		k->token = session_secret(k);
		json_kstr(&j, "new", session_hash(k->arena, k->token));
	} else if (k->name.n) {
		json_kstr(&j, "name", k->name);
	}
	if (is_own(k, "sign-out") && http_field(k->r.query, "everywhere", k->arena, &everywhere))
		json_kbool(&j, "everywhere", span_is(everywhere, "true"));
	else if (put_body(k, &j, &err) == -1) {
		buf_release(&b);
		client_error(k, 400, "invalid", err.text);
		return;
	}
	wipe_body(k);
	ask(k, &j, &b, enters ? signed_in : done);
}
