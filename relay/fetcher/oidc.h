/* oidc.h -- the provider of OpenID Connect that `console.login.oidc` names: asked for the store.
 *
 * Here the client's secret is kept, the provider's documents are fetched and held for a while, a code is exchanged for
 * an ID token, and that is verified (jose.h, oidc_claims.h). No more than OIDC_FLIGHTS_MAX questions are under way.
 */
#ifndef FETCHER_OIDC_H
#define FETCHER_OIDC_H

#include "fetcher/https.h"
#include "ipc/messages_oidc.h"
#include "master/runtime.h"

#define OIDC_FLIGHTS_MAX 32

struct oidc;

/* The client's secret, without what stands around it. */
int oidc_secret(const struct conf_console_oidc *conf, struct arena *a, struct span *out, struct err *err);
/* Before the sandbox: the secret, the authorities. *out is NULL where none is configured. */
int oidc_start(struct runtime *rt, struct oidc **out, struct err *err);
void oidc_run(struct oidc *o, const struct https_world *w);
/* o NULL: that is the answer. */
void oidc_ask(struct oidc *o, struct link *from, uint64_t ticket, const struct msg_oidc_ask *m);
/* {"cmd":"oidc.show"}: fetches the documents afresh and says what stands in them. Takes fd. */
void oidc_show(struct oidc *o, struct runtime *rt, int fd);
void oidc_forget(struct oidc *o, const struct link *l);

#endif
