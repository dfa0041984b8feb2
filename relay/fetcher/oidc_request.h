/* oidc_request.h -- what is said to a provider of OpenID Connect: addresses for the browser, the form for the token
 * endpoint. Pure: bytes in, bytes out, all of them encoded.
 */
#ifndef FETCHER_OIDC_REQUEST_H
#define FETCHER_OIDC_REQUEST_H

#include "buf.h"
#include "fetcher/oidc_claims.h"
#include "ipc/messages_oidc.h"

#define OIDC_SECRET_MAX 1024		/* bytes of the client's secret */
#define OIDC_CODE_MAX 4096
#define OIDC_FORM_MAX ((size_t)32 << 10)

/* Where the browser goes (OpenID Connect Core 1.0, 3.1.2.1; PKCE: RFC 7636, 4.3). */
void oidc_put_start(struct buf *b, const struct conf_console_oidc *conf, const struct oidc_provider *p,
    const struct msg_oidc_ask *ask);
/* Where it goes to sign out there, too (RP-Initiated Logout 1.0, 2); nothing where that is not offered, or not
 * wanted. back: "https://gw1.example.org". Without a token as a hint: none is kept. */
void oidc_put_leave(struct buf *b, const struct conf_console_oidc *conf, const struct oidc_provider *p, struct span back);
/* A code for tokens (RFC 6749, 4.1.3); the secret is in it where p->post says so. */
void oidc_put_form(struct buf *b, const struct conf_console_oidc *conf, const struct oidc_provider *p,
    struct span secret, const struct msg_oidc_ask *ask);
/* "Authorization: Basic …" (RFC 6749, 2.3.1), on the heap: a secret. */
char *oidc_basic(const struct conf_console_oidc *conf, struct span secret);

#endif
