/* oidc.c -- signing in at a provider of OpenID Connect: the two steps that a browser takes here.
 *
 *	GET /oidc/start?language=fr&next=/queue	sends it to the provider
 *	GET /oidc/return?state=S&code=C&iss=I	it comes back: a session, and on to `next`
 *
 * What binds one to the other is a cookie of 256 random bits (`__Host-`, so that no other host of the domain can have
 * set it; SameSite=Lax, for the way back begins at the provider's site; WAY_SECONDS long). State, nonce and the
 * verifier of PKCE are three hashes of it: nothing is kept here, a reload of the console loses nobody, and a way
 * back that another browser began is none. The cookie goes with the way back, whatever comes of it, and the
 * store takes each once. Language and `next` stand in the cookie, too; the latter can only name a page behind our own `/#`.
 *
 * The rest is the store's (store/people_oidc.c) and the fetcher's. No code, token or secret stands in the log.
 */
#include <openssl/crypto.h>

#include "addr.h"
#include "console/page.h"
#include "console/routes.h"
#include "log.h"

#define WAY_SECONDS 600
#define OIDC_PAGE_MAX 8192

enum trouble { NOT_BEGUN, REFUSED, NO_ROLE, AWAY, TOO_OFTEN, NOT_HERE };

static const struct {
	int status;
	const char *title[2], *text[2];
} troubles[] = {
	[NOT_BEGUN] = { 400, { "Please begin again", "Veuillez recommencer" },
	    { "This sign-in was not begun in this browser, or it has taken more than ten minutes.",
	    "Cette connexion n'a pas commencé dans ce navigateur, ou elle a duré plus de dix minutes." } },
	[REFUSED] = { 403, { "You are not signed in", "Vous n'êtes pas connecté" },
	    { "The gateway could not accept the answer of your organisation's sign-in service. Your administrator "
	    "finds the reason in the gateway's log, at this time.",
	    "La passerelle n'a pas pu accepter la réponse du service de connexion de votre organisation. Votre "
	    "administrateur en trouve la raison dans le journal de la passerelle, à cette heure." } },
	[NO_ROLE] = { 403, { "Nothing is open to you here", "Rien ne vous est ouvert ici" },
	    { "You are known, but no group of your account gives it a role in this console. Ask your administrator.",
	    "Vous êtes connu, mais aucun groupe de votre compte ne lui donne de rôle dans cette console. Demandez à "
	    "votre administrateur." } },
	[AWAY] = { 503, { "Try again in a moment", "Réessayez dans un instant" },
	    { "The sign-in service of your organisation, or a part of this gateway, cannot be reached now.",
	    "Le service de connexion de votre organisation, ou une partie de cette passerelle, est injoignable." } },
	[TOO_OFTEN] = { 429, { "Too many attempts", "Trop de tentatives" },
	    { "Wait a quarter of an hour, then try again.", "Attendez un quart d'heure, puis réessayez." } },
	[NOT_HERE] = { 404, { "Not on this gateway", "Pas sur cette passerelle" },
	    { "No sign-in service of an organisation is configured here.",
	    "Aucun service de connexion d'une organisation n'est configuré ici." } },
};

static void
trouble(struct client *k, enum trouble t)
{
	bool fr = k->french;
	struct buf b;

	buf_init(&b, OIDC_PAGE_MAX);
	console_page_begin(&b, troubles[t].title[fr], fr);
	buf_printf(&b, "<p>%s</p>\n<p><a href=\"/\">%s</a></p>\n", troubles[t].text[fr], fr ? "Retour à la connexion" :
	    "Back to the sign-in page");
	console_page_end(&b);
	approve_page(k, troubles[t].status, &b);
	buf_release(&b);
}

static void
put_way(struct client *k, struct span secret, struct span next)
{
	buf_printf(&k->fields, "Set-Cookie: __Host-postern_oidc=" SPAN_FMT "%s" SPAN_FMT "; Path=/; Secure; HttpOnly; "
	    "SameSite=Lax; Max-Age=%d\r\n", SPAN_ARG(secret), secret.n == 0 ? "" : k->french ? ".fr" : ".en",
	    SPAN_ARG(next), secret.n ? WAY_SECONDS : 0);
}

static void
send_to(struct client *k, struct span url)
{
	buf_printf(&k->fields, "Location: " SPAN_FMT "\r\n", SPAN_ARG(url));
	if (buf_failed(&k->fields)) {
		buf_release(&k->fields);
		buf_init(&k->fields, CLIENT_FIELDS_MAX);
		trouble(k, AWAY);
		return;
	}
	client_answer(k, 303, NULL, (struct span){ 0 });
}

/* The store's answer; NULL: the browser has heard why there is none. */
static struct jval *
answer_of(struct client *k, struct frame *f)
{
	struct jval *v = f ? jval_parse(f->body, &(struct err){ 0 }) : NULL;
	struct span code = jval_text(v, "code");

	if (v && !jval_has(v, "error"))
		return v;
	trouble(k, v == NULL || span_is(code, "busy") ? AWAY : span_is(code, "limit") ? TOO_OFTEN :
	    span_is(code, "forbidden") ? NO_ROLE : span_is(code, "not-available") ? NOT_HERE : REFUSED);
	jval_free(&v);
	return NULL;
}

static void
ask(struct client *k, struct json *j, struct buf *b, told_fn *told)
{
	json_end_object(j);
	if (buf_failed(b))
		trouble(k, REFUSED);
	else if (client_ask_store(k, FRAME_PERSON_ASK, buf_data(b), told) == -1)
		trouble(k, AWAY);
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_release(b);
}

static void
put_secrets(struct client *k, struct json *j, struct span secret)
{
	json_kstr(j, "nonce", session_hashed(k->arena, "postern oidc nonce ", secret));
	json_kstr(j, "verifier", session_hashed(k->arena, "postern oidc verifier ", secret));
}

/* ---- there ---- */

static void
started(struct client *k, struct frame *f)
{
	struct jval *v = answer_of(k, f);
	struct span next = { 0 };

	if (v == NULL)
		return;
	if (!http_field(k->r.query, "next", k->arena, &next) || !http_next_ok(next))
		next = (struct span){ 0 };
	put_way(k, k->token, next);
	send_to(k, arena_span(k->arena, jval_text(v, "url")));
	jval_free(&v);
}

/* The way back leads to the name that the provider knows us by: there the cookie has to be. */
static bool
at_home(struct client *k, struct span *home)
{
	struct span url = config_console_url(k->c->rt->conf, k->arena), moved;

	if (k->r.host.n == 0 || span_eq_nocase(k->r.host, span_from(url, 8)) ||
	    http_field(k->r.query, "moved", k->arena, &moved))
		return true;
	*home = span_str(arena_printf(k->arena, SPAN_FMT "/oidc/start?moved=1%s" SPAN_FMT, SPAN_ARG(url),
	    k->r.query.n ? "&" : "", SPAN_ARG(span_sub(k->r.query, 0, HTTP_NEXT_MAX * 3 + 8))));
	return false;
}

static void
start(struct client *k)
{
	struct span home, language;
	struct buf b;
	struct json j;

	/* The one chosen on the page, before that of the browser. */
	if (http_field(k->r.query, "language", k->arena, &language) && language.n)
		k->french = span_is(language, "fr");
	if (!at_home(k, &home)) {
		send_to(k, home);
		return;
	}
	k->token = session_secret(k);
	buf_init(&b, FRAME_SMALL);
	session_question(k, &j, &b, "oidc-start");
	json_kstr(&j, "state", session_hashed(k->arena, "postern oidc state ", k->token));
	put_secrets(k, &j, k->token);
	ask(k, &j, &b, started);
}

/* ---- and back ---- */

static void
returned(struct client *k, struct frame *f)
{
	struct jval *v;

	put_way(k, (struct span){ 0 }, (struct span){ 0 });
	if ((v = answer_of(k, f)) == NULL)
		return;
	session_put_cookie(k, k->token);
	send_to(k, span_str(arena_printf(k->arena, "/#" SPAN_FMT, SPAN_ARG(k->r.oidc_next.n ? k->r.oidc_next :
	    SPAN_LIT("/")))));
	jval_free(&v);
}

static void
come_back(struct client *k)
{
	static const char *const members[] = { "code", "error", "iss" };
	struct span state, right, value;
	char ip[IP_TEXT_MAX];
	struct buf b;
	struct json j;

	if (k->r.oidc.n)
		k->french = span_is(k->r.oidc_language, "fr");
	right = session_hashed(k->arena, "postern oidc state ", k->r.oidc);
	if (k->r.oidc.n == 0 || !http_field(k->r.query, "state", k->arena, &state) || state.n != right.n ||
	    CRYPTO_memcmp(state.p, right.p, right.n) != 0) {
		log_info("OpenID Connect: a way back that did not begin in this browser, from %s", ip_format(k->ip, ip));
		put_way(k, (struct span){ 0 }, (struct span){ 0 });
		trouble(k, NOT_BEGUN);
		return;
	}
	k->token = session_secret(k);
	buf_init(&b, FRAME_SMALL);
	session_question(k, &j, &b, "oidc-return");
	put_secrets(k, &j, k->r.oidc);
	json_kstr(&j, "new", session_hashed(k->arena, SESSION_OF, k->token));
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (http_field(k->r.query, members[i], k->arena, &value) && value.n)
			json_kstr(&j, members[i], value);
	ask(k, &j, &b, returned);
}

void
oidc_serve(struct client *k)
{
	if (k->c->rt->conf->console.oidc.issuer.n == 0)
		trouble(k, NOT_HERE);
	else if (span_is(k->r.path, "/oidc/start"))
		start(k);
	else
		come_back(k);
}
