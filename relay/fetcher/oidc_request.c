/* oidc_request.c -- see oidc_request.h. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base64.h"
#include "fetcher/oidc_request.h"

/* As a query or form has it (RFC 3986, 2.3). */
static void
put_encoded(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c)))
			buf_putc(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static void
put_field(struct buf *b, const char *name, struct span value)
{
	buf_printf(b, "%s=", name);
	put_encoded(b, value);
	buf_putc(b, '&');
}

/* A name of ours and its value; the first one of a query comes behind what url has already. */
static void
put_query(struct buf *b, struct span url)
{
	buf_span(b, url);
	buf_putc(b, span_find(url, '?') < url.n ? '&' : '?');
}

static void
challenge_of(struct span verifier, char *out)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	ASSERT(EVP_Digest(verifier.p ? verifier.p : "", verifier.n, digest, &n, EVP_sha256(), NULL) == 1);
	base64url_write(out, digest, n);
}

void
oidc_put_start(struct buf *b, const struct conf_console_oidc *conf, const struct oidc_provider *p,
    const struct msg_oidc_ask *ask)
{
	char challenge[2 * EVP_MAX_MD_SIZE];

	challenge_of(ask->verifier, challenge);
	put_query(b, p->authorize);
	buf_puts(b, "response_type=code&code_challenge_method=S256&");
	put_field(b, "code_challenge", span_str(challenge));
	put_field(b, "client_id", conf->client_id);
	put_field(b, "redirect_uri", ask->redirect);
	put_field(b, "scope", conf->scopes);
	put_field(b, "state", ask->state);
	put_field(b, "nonce", ask->nonce);
	for (size_t i = 0; i < conf->nacr; i++) {
		buf_puts(b, i ? "%20" : "acr_values=");
		put_encoded(b, conf->acr[i]);
	}
	buf_puts(b, conf->nacr ? "&ui_locales=" : "ui_locales=");
	put_encoded(b, ask->language);
}

void
oidc_put_leave(struct buf *b, const struct conf_console_oidc *conf, const struct oidc_provider *p, struct span back)
{
	if (p->leave.n == 0 || conf->logout_local)
		return;
	put_query(b, p->leave);
	put_field(b, "client_id", conf->client_id);
	buf_puts(b, "post_logout_redirect_uri=");
	put_encoded(b, back);
	put_encoded(b, SPAN_LIT("/"));
}

void
oidc_put_form(struct buf *b, const struct conf_console_oidc *conf, const struct oidc_provider *p,
    struct span secret, const struct msg_oidc_ask *ask)
{
	put_field(b, "code", ask->code);
	put_field(b, "redirect_uri", ask->redirect);
	put_field(b, "code_verifier", ask->verifier);
	if (p->post) {
		put_field(b, "client_id", conf->client_id);
		put_field(b, "client_secret", secret);
	}
	buf_puts(b, "grant_type=authorization_code");
}

char *
oidc_basic(const struct conf_console_oidc *conf, struct span secret)
{
	struct buf pair, b;
	char *line;

	buf_init(&pair, 4 * OIDC_SECRET_MAX);
	buf_init(&b, 8 * OIDC_SECRET_MAX);
	put_encoded(&pair, conf->client_id);	/* both, before they are joined */
	buf_putc(&pair, ':');
	put_encoded(&pair, secret);
	buf_puts(&b, "Authorization: Basic ");
	base64_encode(&b, buf_data(&pair), true);
	line = strndup(buf_data(&b).p, buf_size(&b));
	ASSERT(line != NULL);
	OPENSSL_cleanse(pair.p, pair.cap);
	OPENSSL_cleanse(b.p, b.cap);
	buf_release(&pair);
	buf_release(&b);
	return line;
}
