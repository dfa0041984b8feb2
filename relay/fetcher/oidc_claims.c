/* oidc_claims.c -- see oidc_claims.h. */
#include "addr.h"
#include "fetcher/oidc_claims.h"
#include "ipc/json_read.h"
#include "ipc/principal.h"

#define SECONDS_MAX 1e11		/* a time beyond is none */
#define WORD_MAX 60			/* of a stranger's, in a reason */
#define NAME_MAX_BYTES 64
#define ADDRESS_MAX 254

/* Printable ASCII without a space. */
static bool
is_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

static bool
is_line(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

/* For a reason: what is not printable stands as a question mark. */
static struct span
shown(struct arena *a, struct span s)
{
	char *to = arena_str(a, span_sub(s, 0, WORD_MAX));
	size_t n = s.n < WORD_MAX ? s.n : WORD_MAX;

	for (size_t i = 0; i < n; i++)
		if (to[i] < ' ' || to[i] > '~')
			to[i] = '?';
	return span_make(to, n);
}

static bool
has_text(const struct jval *list, struct span text)
{
	for (size_t i = 0; i < jval_count(list); i++)
		if (span_eq(jval_str(jval_at(list, i)), text))
			return true;
	return false;
}

/* ---- the provider ---- */

static int
take_url(const struct jval *v, const char *name, bool needed, struct arena *a, struct span *out, struct err *err)
{
	struct span s = jval_text(v, name);

	*out = (struct span){ 0 };
	if (!jval_has(v, name) && !needed)
		return 0;
	if (!span_starts(s, SPAN_LIT("https://")) || s.n > OIDC_URL_MAX || !is_word(s) || span_find(s, '#') < s.n)
		return err_set(err, 0, "the discovery document has no `%s` that is an https: URL", name);
	*out = arena_span(a, s);
	return 0;
}

static int
take_provider(const struct jval *v, const struct conf_console_oidc *conf, struct arena *a, struct oidc_provider *p,
    struct err *err)
{
	const struct jval *ways = jval_get(v, "token_endpoint_auth_methods_supported"),
	    *challenges = jval_get(v, "code_challenge_methods_supported");
	struct span issuer = jval_text(v, "issuer");

	if (!jval_is_object(v))
		return err_set(err, 0, "the discovery document is no object");
	/* To the letter: Discovery, 4.3. */
	if (!span_eq(issuer, conf->issuer))
		return err_set(err, 0, "the discovery document is of another issuer: `" SPAN_FMT "`",
		    SPAN_ARG(shown(a, issuer)));
	if (take_url(v, "authorization_endpoint", true, a, &p->authorize, err) == -1 ||
	    take_url(v, "token_endpoint", true, a, &p->token, err) == -1 ||
	    take_url(v, "jwks_uri", true, a, &p->keys, err) == -1 ||
	    take_url(v, "end_session_endpoint", false, a, &p->leave, err) == -1)
		return -1;
	p->says_iss = jval_bool(v, "authorization_response_iss_parameter_supported");
	p->post = ways && !has_text(ways, SPAN_LIT("client_secret_basic"));
	if (p->post && !has_text(ways, SPAN_LIT("client_secret_post")))
		return err_set(err, 0, "the provider takes neither client_secret_basic nor client_secret_post");
	if (challenges && !has_text(challenges, SPAN_LIT("S256")))
		return err_set(err, 0, "the provider does not know PKCE with S256");
	return 0;
}

int
oidc_provider_read(struct span text, const struct conf_console_oidc *conf, struct arena *a, struct oidc_provider *p,
    struct err *err)
{
	struct oidc_provider got = { 0 };
	struct jval *v;
	int r;

	if (text.n > OIDC_DISCOVERY_MAX)
		return err_set(err, 0, "the discovery document is too large");
	if ((v = jval_parse(text, err)) == NULL)
		return err_wrap(err, "the discovery document");
	if ((r = take_provider(v, conf, a, &got, err)) == 0)
		*p = got;
	jval_free(&v);
	return r;
}

/* ---- the token endpoint ---- */

int
oidc_tokens_read(int status, struct span text, struct arena *a, struct oidc_tokens *t, bool *refused, struct err *err)
{
	struct jval *v = text.n > OIDC_ANSWER_MAX ? NULL : jval_parse(text, err);
	struct span why = jval_text(v, "error"), id = jval_text(v, "id_token");
	int r = -1;

	*refused = false;
	if (status != 200 && why.n) {
		*refused = status == 400;
		err_set(err, 0, "the token endpoint says `" SPAN_FMT "`", SPAN_ARG(shown(a, why)));
	} else if (status != 200) {
		err_set(err, 0, "the token endpoint answers with status %d", status);
	} else if (v == NULL) {
		err_set(err, 0, "the token endpoint's answer is no JSON, or too large");
	} else if (id.n == 0) {
		err_set(err, 0, "the token endpoint gives no ID token: is `openid` among the scopes?");
	} else {
		t->id_token = arena_span(a, id);
		t->access_token = arena_span(a, jval_text(v, "access_token"));
		r = 0;
	}
	jval_free(&v);
	return r;
}

/* ---- the ID token ---- */

/* Seconds, perhaps with a fraction (RFC 7519, 2). false: it is there and is none, or is not there. */
static bool
time_of(const struct jval *v, const char *name, int64_t *us)
{
	double s = jval_num(jval_get(v, name), -1);

	if (!(s >= 0 && s < SECONDS_MAX))
		return false;
	*us = (int64_t)(s * 1e6);
	return true;
}

static int
check_times(const struct jval *v, int64_t now, int64_t skew, struct err *err)
{
	int64_t exp, iat, nbf;

	if (!time_of(v, "exp", &exp) || !time_of(v, "iat", &iat))
		return err_set(err, 0, "it does not say when it was made or ends (`iat`, `exp`)");
	if (exp + skew <= now)
		return err_set(err, 0, "it has expired %lld s ago", (long long)((now - exp) / 1000000));
	if (iat - skew > now)
		return err_set(err, 0, "it is from the future, by %lld s: do the clocks agree?",
		    (long long)((iat - now) / 1000000));
	if (iat + OIDC_AGE_MAX + skew < now)
		return err_set(err, 0, "it was made %lld s ago: it is not the one we asked for",
		    (long long)((now - iat) / 1000000));
	if (jval_has(v, "nbf") && (!time_of(v, "nbf", &nbf) || nbf - skew > now))
		return err_set(err, 0, "it is not valid yet (`nbf`)");
	return 0;
}

static int
check_audience(const struct jval *v, struct span client, struct arena *a, struct err *err)
{
	const struct jval *aud = jval_get(v, "aud");
	bool ours = jval_is_array(aud) ? jval_count(aud) <= OIDC_AUDIENCES_MAX && has_text(aud, client) :
	    jval_is_text(aud) && span_eq(jval_str(aud), client);

	if (!ours)
		return err_set(err, 0, "it is not for us (`aud`: `" SPAN_FMT "`)",
		    SPAN_ARG(shown(a, jval_is_array(aud) ? jval_str(jval_at(aud, 0)) : jval_str(aud))));
	if (jval_has(v, "azp") ? !span_eq(jval_text(v, "azp"), client) : jval_is_array(aud) && jval_count(aud) > 1)
		return err_set(err, 0, "it was issued to another (`azp`)");
	return 0;
}

static bool
among(struct span s, const struct span *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s.n && span_eq(s, list[i]))
			return true;
	return false;
}

/* How he has proved himself there, where that is asked. */
static int
check_means(const struct jval *v, const struct conf_console_oidc *conf, struct arena *a, struct err *err)
{
	const struct jval *amr = jval_get(v, "amr");
	bool any = false;

	if (conf->nacr && !among(jval_text(v, "acr"), conf->acr, conf->nacr))
		return err_set(err, 0, "the way of signing in there is not enough (`acr`: `" SPAN_FMT "`)",
		    SPAN_ARG(shown(a, jval_text(v, "acr"))));
	for (size_t i = 0; i < jval_count(amr); i++)
		any |= among(jval_str(jval_at(amr, i)), conf->amr, conf->namr);
	if (conf->namr && !any)
		return err_set(err, 0, "the means of signing in there are not enough (`amr`)");
	return 0;
}

/* The claim of that name; else, where the name has dots, by them: realm_access.roles. */
static const struct jval *
claim(const struct jval *v, struct span name, struct arena *a)
{
	const struct jval *whole = jval_get(v, arena_str(a, name));

	while (whole == NULL && name.n) {
		size_t n = span_find(name, '.');

		v = jval_get(v, arena_str(a, span_sub(name, 0, n)));
		name = span_from(name, n + 1);
		if (name.n == 0)
			return v;
	}
	return whole;
}

static bool
in_group(const struct jval *groups, struct span name)
{
	return jval_is_text(groups) ? span_eq(jval_str(groups), name) : jval_is_array(groups) && has_text(groups, name);
}

static int
take_roles(const struct jval *v, const struct conf_console_oidc *conf, struct arena *a, struct oidc_person *p,
    struct err *err)
{
	const struct jval *groups = claim(v, conf->groups_claim, a);

	/* Entra ID leaves out more than 200 and says where to ask: nobody gets a part of his roles. */
	if (jval_count(groups) == 0 && !jval_is_text(groups) && (jval_has(jval_get(v, "_claim_names"), "groups") || jval_bool(v, "hasgroups")))
		return err_set(err, 0, "he is in more groups than the provider puts into a token: let it send those "
		    "alone that are of this client, or its roles (`groups_claim: roles`)");
	if (jval_count(groups) > OIDC_GROUPS_MAX)
		return err_set(err, 0, "he is in more than %d groups", OIDC_GROUPS_MAX);
	p->roles = conf->users ? 0 : PRINCIPAL_BIT(USER);
	for (size_t i = 0; i < conf->nroles; i++) {
		const struct conf_console_role *r = &conf->roles[i];

		if (!in_group(groups, r->group))
			continue;
		p->roles |= r->role;
		if (r->domain.n && !span_has_line(p->domains, r->domain))
			p->domains = p->domains.n ? span_str(arena_printf(a, SPAN_FMT "\n" SPAN_FMT,
			    (int)p->domains.n, p->domains.p, SPAN_ARG(r->domain))) : r->domain;
	}
	return 0;
}

/* His address, where it is to be believed and of a domain of ours. */
static void
take_mail(const struct jval *v, const struct config *conf, struct arena *a, struct oidc_person *p)
{
	const struct conf_console_oidc *oidc = &conf->console.oidc;
	struct span s = arena_lower(a, jval_text(v, "email")), local, domain;
	bool proved = jval_bool(v, "email_verified") || span_is(jval_text(v, "email_verified"), "true");

	if (oidc->mail != OIDC_MAIL_OFF && (proved || oidc->mail == OIDC_MAIL_CLAIMED) && s.n <= ADDRESS_MAX &&
	    is_word(s) && mailaddr_split(s, &local, &domain) && config_domain(conf, domain))
		p->mail = s;
	/* Who has no address of his own has nothing to see as a user. */
	if (p->mail.n == 0)
		p->roles &= ~PRINCIPAL_BIT(USER);
}

static int
take_claims(const struct jval *v, enum jose_alg alg, struct span access_token, struct span nonce,
    const struct config *conf, int64_t now, struct arena *a, struct oidc_person *p, struct err *err)
{
	const struct conf_console_oidc *oidc = &conf->console.oidc;
	struct span name = jval_str(claim(v, oidc->name_claim, a)), sub = jval_text(v, "sub");

	if (!jval_is_object(v))
		return err_set(err, 0, "it is no object");
	if (!span_eq(jval_text(v, "iss"), oidc->issuer))
		return err_set(err, 0, "it is of another issuer: `" SPAN_FMT "`", SPAN_ARG(shown(a, jval_text(v, "iss"))));
	if (check_audience(v, oidc->client_id, a, err) == -1 || check_times(v, now, oidc->skew, err) == -1)
		return -1;
	if (nonce.n == 0 || !span_eq(jval_text(v, "nonce"), nonce))
		return err_set(err, 0, "it answers another question (`nonce`)");
	if (jval_has(v, "at_hash") && !jose_half_hash_is(alg, access_token, jval_text(v, "at_hash")))
		return err_set(err, 0, "the access token beside it is another's (`at_hash`)");
	if (!is_line(sub) || sub.n > OIDC_SUBJECT_MAX)
		return err_set(err, 0, "it names nobody (`sub`)");
	if (check_means(v, oidc, a, err) == -1)
		return -1;
	if (!is_word(name) || name.n > NAME_MAX_BYTES)
		return err_set(err, 0, "the claim `" SPAN_FMT "` is no name of 1 to %d plain bytes",
		    SPAN_ARG(oidc->name_claim), NAME_MAX_BYTES);
	p->subject = arena_span(a, sub);
	p->name = arena_lower(a, name);
	if (take_roles(v, oidc, a, p, err) == -1)
		return -1;
	take_mail(v, conf, a, p);
	return 0;
}

int
oidc_claims_read(const struct jose_token *token, struct span access_token, struct span nonce,
    const struct config *conf, int64_t now, struct arena *a, struct oidc_person *p, struct err *err)
{
	struct jval *v = jval_parse(token->payload, err);
	struct oidc_person got = { 0 };
	int r = -1;

	if (v)
		r = take_claims(v, token->alg, access_token, nonce, conf, now, a, &got, err);
	jval_free(&v);
	if (r == 0)
		*p = got;
	return r;
}
