/* export.h -- events on their way out: webhooks through libcurl, log servers over a socket of ours.
 *
 * The store asks (EXPORT) and keeps what was not taken; here nothing waits longer than one question. Only what
 * postern.yaml names is connected to: a frame brings the name of a line, never an address.
 */
#ifndef FETCHER_EXPORT_H
#define FETCHER_EXPORT_H

#include "fetcher/https.h"
#include "ipc/messages_export.h"
#include "master/runtime.h"

struct exporter;
struct syslog_peer;

/* Before the sandbox: secrets, certificates, the socket for /dev/log. */
struct exporter *exporter_start(struct runtime *rt, struct arena *a, struct err *err);
void exporter_run(struct exporter *x, const struct https_world *w);
void exporter_ask(struct exporter *x, struct link *from, uint64_t ticket, const struct msg_export *m);
void exporter_forget(struct exporter *x, const struct link *l);

/* "t=UNIX,v1=HEX": HMAC-SHA256 over "UNIX.DELIVERY.BODY". out: WEBHOOK_SIGNATURE_MAX */
#define WEBHOOK_SIGNATURE_MAX 128
void webhook_sign(char *out, struct span secret, int64_t now, struct span delivery, struct span body);

/* syslog.c: one log server. done is called once for each send, never from within. */
typedef void syslog_cb(void *ctx, const char *why);	/* NULL: it has all of it */
struct syslog_peer *syslog_start(const struct conf_export *conf, struct err *err);
void syslog_run(struct syslog_peer *p, const struct https_world *w);
bool syslog_busy(const struct syslog_peer *p);
/* body: messages behind 32-bit lengths. -1: it is none. */
int syslog_send(struct syslog_peer *p, struct span body, syslog_cb *done, void *ctx);

#endif
