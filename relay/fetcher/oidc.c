/* oidc.c -- see oidc.h. A flight is one question of the store's, or of `postern doctor`, on its way.
 *
 * What a flight lacks it fetches, one thing after the other, and then goes on: the discovery document, for OIDC_CODE
 * the tokens, the keys. Documents are held for DOCUMENTS_LAST. A kid that no key has makes the keys
 * be fetched once more, but not within KEYS_AGAIN of the last time that happened: a stranger with made-up
 * tokens cannot make us a nuisance to the provider. Where a document could not be had nobody asks for
 * it again for FAILURE_LASTS. All answers of a flight together have `timeout`.
 */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "clock.h"
#include "fetcher/oidc.h"
#include "fetcher/oidc_claims.h"
#include "fetcher/oidc_request.h"
#include "fs.h"
#include "json.h"
#include "log.h"

#define DOCUMENTS_LAST (3600 * US_PER_SEC)
#define KEYS_AGAIN (60 * US_PER_SEC)
#define FAILURE_LASTS (5 * US_PER_SEC)
#define LEAST_TIME (US_PER_SEC / 10)
#define SECRET_MIN 8

struct flight {
	struct oidc *o;
	struct flight *next;
	struct arena *arena;
	struct link *from;		/* NULL: gone, or `reply` */
	uint64_t ticket;
	struct msg_oidc_ask ask;
	struct reply *reply;		/* oidc.show */
	int64_t clock;			/* its own says so much more than ours, in seconds */
	int64_t deadline;		/* clock_mono */
	struct https *https;
	struct buf form;		/* what is posted: a secret */
	char *authorization;		/* … and the header */
	struct oidc_tokens tokens;	/* "" not yet */
	bool fresh;			/* the keys were fetched for it */
};

struct oidc {
	struct runtime *rt;
	const struct conf_console_oidc *conf;
	struct https_world world;	/* with roots of its own */
	struct x509_store_st *roots;	/* NULL: the world's */
	struct arena *arena, *held;	/* of the secret; of the document in force */
	struct span secret;
	struct oidc_provider provider;
	int64_t provider_at, keys_at, again_at, failed_at;	/* clock_mono; 0 never */
	struct jose_set *keys;
	char failure[512];
	struct flight *flights;
	size_t n;
};

int
oidc_secret(const struct conf_console_oidc *conf, struct arena *a, struct span *out, struct err *err)
{
	struct span s;

	if (fs_read(a, conf->secret, OIDC_SECRET_MAX + 2, &s, err) == -1)
		return -1;
	s = span_trim(s);
	if (s.n < SECRET_MIN)
		return err_set(err, 0, "%s: a client's secret has %d bytes at least", conf->secret, SECRET_MIN);
	*out = s;
	return 0;
}

int
oidc_start(struct runtime *rt, struct oidc **out, struct err *err)
{
	const struct conf_console_oidc *conf = &rt->conf->console.oidc;
	struct oidc *o;

	*out = NULL;
	if (conf->issuer.n == 0)
		return 0;
	o = calloc(1, sizeof(*o));
	ASSERT(o != NULL);
	o->rt = rt;
	o->conf = conf;
	o->arena = arena_new(0);
	o->held = arena_new(0);
	if (oidc_secret(conf, o->arena, &o->secret, err) == -1)
		return -1;
	if (conf->roots && https_roots(conf->roots, &o->roots, err) == -1)
		return err_wrap(err, "console.login.oidc.ca");
	*out = o;
	return 0;
}

void
oidc_run(struct oidc *o, const struct https_world *w)
{
	if (o == NULL)
		return;
	o->world = *w;
	if (o->roots)
		o->world.roots = o->roots;
}

/* ---- the end of a flight ---- */

static void
wipe(struct flight *f)
{
	if (f->form.p)
		OPENSSL_cleanse(f->form.p, f->form.cap);
	buf_release(&f->form);
	if (f->authorization)
		OPENSSL_cleanse(f->authorization, strlen(f->authorization));
	free(f->authorization);
	f->authorization = NULL;
}

static void
end(struct flight *f)
{
	struct oidc *o = f->o;
	struct arena *a = f->arena;

	for (struct flight **pp = &o->flights; *pp; pp = &(*pp)->next)
		if (*pp == f) {
			*pp = f->next;
			break;
		}
	o->n--;
	https_cancel(&f->https);
	wipe(f);
	reply_end(&f->reply);
	arena_free(&a);
}

static void
send_told(struct link *to, uint64_t ticket, const struct msg_oidc_told *m)
{
	struct buf b;

	buf_init(&b, FRAME_BIG);
	oidc_told_encode(&b, m);
	if (to)
		link_send(to, FRAME_OIDC_TOLD, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
say_failed(struct reply *r, const char *why)
{
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kbool(&j, "ok", false);
	json_kcstr(&j, "error", why);
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
}

static void
tell(struct flight *f, enum oidc_status status, const char *why)
{
	struct msg_oidc_told m = { .status = status, .text = span_str(why) };

	if (f->reply)
		say_failed(f->reply, why);
	else
		send_told(f->from, f->ticket, &m);
	end(f);
}

/* ---- fetching ---- */

static void go_on(struct flight *f);

static void
fetch(struct flight *f, struct span url, size_t max, struct https_question *q, https_cb *done)
{
	int64_t left = f->deadline - clock_mono();

	q->url = arena_str(f->arena, url);
	q->max = max;
	q->timeout = left > LEAST_TIME ? left : LEAST_TIME;
	f->https = https_start(&f->o->world, q, done, f);
}

/* A document could not be had, or is none: nobody asks again at once. */
static void
failed(struct flight *f, const char *what, const char *why)
{
	struct oidc *o = f->o;

	snprintf(o->failure, sizeof(o->failure), "%s: %s", what, why);
	o->failed_at = clock_mono();
	log_warn("OpenID Connect: %s", o->failure);
	tell(f, OIDC_FAILED, o->failure);
}

/* NULL: its body is there. */
static const char *
fault_of(struct flight *f, const struct https_answer *a)
{
	f->https = NULL;
	if (a->end != HTTPS_ANSWERED)
		return a->why;
	/* A redirect is none of ours to follow: it would lead where nobody has configured. */
	return a->status == 200 ? NULL : arena_printf(f->arena, "HTTP status %d", a->status);
}

static void
got_discovery(void *ctx, const struct https_answer *a)
{
	struct flight *f = ctx;
	struct oidc *o = f->o;
	const char *why = fault_of(f, a);
	struct arena *held = arena_new(0);
	struct oidc_provider p;
	struct err err;

	if (why == NULL && oidc_provider_read(a->body, o->conf, held, &p, &err) == -1)
		why = err.text;
	if (why) {
		arena_free(&held);
		failed(f, "the discovery document", why);
		return;
	}
	arena_free(&o->held);
	o->held = held;
	o->provider = p;
	o->provider_at = clock_mono();
	f->clock = a->date ? a->date - clock_real() / US_PER_SEC : 0;
	go_on(f);
}

static void
got_keys(void *ctx, const struct https_answer *a)
{
	struct flight *f = ctx;
	struct oidc *o = f->o;
	const char *why = fault_of(f, a);
	struct jose_set *set = NULL;
	struct err err;

	if (why == NULL && (set = jose_set_read(a->body, &err)) == NULL)
		why = err.text;
	if (why) {
		failed(f, "the keys", why);
		return;
	}
	jose_set_free(&o->keys);
	o->keys = set;
	o->keys_at = clock_mono();
	go_on(f);
}

static void
fetch_discovery(struct flight *f)
{
	struct https_question q = { 0 };
	struct span issuer = f->o->conf->issuer;

	if (issuer.p[issuer.n - 1] == '/')	/* Discovery, 4.1 */
		issuer.n--;
	fetch(f, span_str(arena_printf(f->arena, SPAN_FMT "/.well-known/openid-configuration", SPAN_ARG(issuer))),
	    OIDC_DISCOVERY_MAX, &q, got_discovery);
}

static void
fetch_keys(struct flight *f)
{
	struct https_question q = { 0 };

	f->fresh = true;
	fetch(f, f->o->provider.keys, JOSE_SET_MAX, &q, got_keys);
}

/* ---- the token endpoint ---- */

static void
got_tokens(void *ctx, const struct https_answer *a)
{
	struct flight *f = ctx;
	bool refused;
	struct err err;

	f->https = NULL;
	wipe(f);
	if (a->end != HTTPS_ANSWERED)
		tell(f, OIDC_FAILED, arena_printf(f->arena, "the token endpoint: %s", a->why));
	else if (oidc_tokens_read(a->status, a->body, f->arena, &f->tokens, &refused, &err) == -1)
		tell(f, refused ? OIDC_REFUSED : OIDC_FAILED, err.text);
	else
		go_on(f);
}

static void
fetch_tokens(struct flight *f)
{
	struct oidc *o = f->o;
	struct https_question q = { .type = "application/x-www-form-urlencoded", .headers = { "Accept: application/json" } };

	buf_init(&f->form, OIDC_FORM_MAX);
	oidc_put_form(&f->form, o->conf, &o->provider, o->secret, &f->ask);
	ASSERT(!buf_failed(&f->form));
	if (!o->provider.post)
		q.headers[1] = f->authorization = oidc_basic(o->conf, o->secret);
	q.post = buf_data(&f->form);
	fetch(f, o->provider.token, OIDC_ANSWER_MAX, &q, got_tokens);
}

/* ---- the answers ---- */

static void
tell_start(struct flight *f)
{
	struct oidc *o = f->o;
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	oidc_put_start(&b, o->conf, &o->provider, &f->ask);
	ASSERT(!buf_failed(&b));
	send_told(f->from, f->ticket, &(struct msg_oidc_told){ .status = OIDC_DONE, .url = buf_data(&b) });
	buf_release(&b);
	end(f);
}

static void
tell_person(struct flight *f, const struct jose_token *token)
{
	struct oidc *o = f->o;
	struct oidc_person p;
	struct err err;
	struct buf leave;

	if (oidc_claims_read(token, f->tokens.access_token, f->ask.nonce, o->rt->conf, clock_real(), f->arena, &p,
	    &err) == -1) {
		tell(f, OIDC_REFUSED, arena_printf(f->arena, "the ID token: %s", err.text));
		return;
	}
	buf_init(&leave, FRAME_SMALL);
	oidc_put_leave(&leave, o->conf, &o->provider, config_console_url(o->rt->conf, f->arena));
	send_told(f->from, f->ticket, &(struct msg_oidc_told){ .status = OIDC_DONE, .issuer = o->conf->issuer,
		.url = buf_data(&leave), .subject = p.subject, .name = p.name,
		.mail = p.mail, .roles = p.roles, .domains = p.domains });
	buf_release(&leave);
	end(f);
}

static void
verify(struct flight *f)
{
	struct oidc *o = f->o;
	struct jose_token token;
	struct err err;
	enum jose_verdict v = jose_verify(o->keys, f->tokens.id_token, f->arena, &token, &err);
	int64_t now = clock_mono();

	if (v == JOSE_RIGHT) {
		tell_person(f, &token);
	} else if (v == JOSE_NO_KEY && !f->fresh && (o->again_at == 0 || now - o->again_at >= KEYS_AGAIN)) {
		o->again_at = now;
		fetch_keys(f);
	} else {
		tell(f, OIDC_REFUSED, arena_printf(f->arena, "the ID token: %s", err.text));
	}
}

static void
tell_shown(struct flight *f)
{
	struct oidc *o = f->o;
	struct json j;

	json_begin(&j, reply_buf(f->reply));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "issuer", o->conf->issuer);
	json_kstr(&j, "redirect_uri", f->ask.redirect);
	json_kstr(&j, "authorization_endpoint", o->provider.authorize);
	json_kstr(&j, "token_endpoint", o->provider.token);
	json_kstr(&j, "end_session_endpoint", o->provider.leave);
	json_kcstr(&j, "secret", o->provider.post ? "client_secret_post" : "client_secret_basic");
	json_kbool(&j, "iss", o->provider.says_iss);
	json_kuint(&j, "keys", jose_set_count(o->keys));
	json_kint(&j, "clock", f->clock);
	json_end_object(&j);
	buf_putc(reply_buf(f->reply), '\n');
	end(f);
}

/* ---- the way ---- */

/* NULL: this is a return of our provider's. */
static const char *
return_fault(struct flight *f)
{
	struct oidc *o = f->o;

	if (f->ask.iss.n ? !span_eq(f->ask.iss, o->conf->issuer) : o->provider.says_iss)
		return f->ask.iss.n ? "it comes back from another issuer (`iss`)" : "it does not say which issuer it "
		    "comes back from (`iss`), and this one always does";
	return f->ask.code.n == 0 || f->ask.code.n > OIDC_CODE_MAX ? "it comes back without a code" : NULL;
}

static void
go_on(struct flight *f)
{
	struct oidc *o = f->o;
	int64_t now = clock_mono();
	bool old = o->provider_at == 0 || now - o->provider_at >= DOCUMENTS_LAST,
	    keys_old = o->keys_at == 0 || now - o->keys_at >= DOCUMENTS_LAST;
	const char *fault;

	if (old && o->failed_at && now - o->failed_at < FAILURE_LASTS && f->reply == NULL)
		tell(f, OIDC_FAILED, o->failure);
	else if (old)
		fetch_discovery(f);
	else if (f->reply && !f->fresh)
		fetch_keys(f);
	else if (f->reply)
		tell_shown(f);
	else if (f->ask.question == OIDC_START)
		tell_start(f);
	else if ((fault = return_fault(f)) != NULL)
		tell(f, OIDC_REFUSED, fault);
	else if (f->tokens.id_token.n == 0)
		fetch_tokens(f);
	else if (keys_old)
		fetch_keys(f);
	else
		verify(f);
}

static struct flight *
flight_new(struct oidc *o)
{
	struct arena *a = arena_new(0);
	struct flight *f = arena_zalloc(a, sizeof(*f));

	f->arena = a;
	f->o = o;
	f->deadline = clock_mono() + o->conf->timeout;
	f->next = o->flights;
	o->flights = f;
	o->n++;
	return f;
}

void
oidc_ask(struct oidc *o, struct link *from, uint64_t ticket, const struct msg_oidc_ask *m)
{
	struct flight *f;

	if (o == NULL || o->n >= OIDC_FLIGHTS_MAX) {
		send_told(from, ticket, &(struct msg_oidc_told){ .status = OIDC_FAILED, .text = span_str(o ?
		    "too many are signing in at once" : "no provider is configured") });
		return;
	}
	f = flight_new(o);
	f->from = from;
	f->ticket = ticket;
	f->ask = *m;
	f->ask.redirect = arena_span(f->arena, m->redirect);
	f->ask.state = arena_span(f->arena, m->state);
	f->ask.nonce = arena_span(f->arena, m->nonce);
	f->ask.verifier = arena_span(f->arena, m->verifier);
	f->ask.language = arena_span(f->arena, m->language);
	f->ask.code = arena_span(f->arena, m->code);
	f->ask.iss = arena_span(f->arena, m->iss);
	go_on(f);
}

void
oidc_show(struct oidc *o, struct runtime *rt, int fd)
{
	struct flight *f;

	if (o == NULL || o->n >= OIDC_FLIGHTS_MAX) {
		reply_error(rt, fd, o ? "too many are signing in at once" : "no provider is configured");
		return;
	}
	f = flight_new(o);
	f->reply = reply_new(rt, fd);
	f->ask.redirect = span_str(arena_printf(f->arena, SPAN_FMT "/oidc/return",
	    SPAN_ARG(config_console_url(rt->conf, f->arena))));
	fetch_discovery(f);
}

void
oidc_forget(struct oidc *o, const struct link *l)
{
	for (struct flight *f = o ? o->flights : NULL; f; f = f->next)
		if (f->from == l)
			f->from = NULL;
}
