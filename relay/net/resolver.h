/* resolver.h -- DNS questions in the event loop, through libunbound.
 *
 * libunbound runs inside our own libevent base (ub_ctx_create_event): no
 * thread, no helper process, no file once it is made. Answers never come
 * from within resolver_ask. A question has its own time limit, since a dead
 * server keeps libunbound busy for 17 seconds.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "net/dns.h"
#include "master/config.h"
#include "postern/err.h"

struct event_base;
struct resolver;
struct question;

#define RESOLVER_PATIENCE (INT64_C(8) * 1000000)

typedef void resolver_cb(void *ctx, const struct dns_answer *a);

/* The servers of /etc/resolv.conf as forwarders; reads files, so before the sandbox. */
size_t resolver_system_servers(struct conf_host *out, size_t max, struct arena *a);
/* The trust anchors of DNSSEC: the DS or DNSKEY records of the file, one on each line, or
 * (NULL) those of the root as IANA publishes them. Reads a file, so before the sandbox. */
int resolver_anchors(const char *path, struct arena *a, struct span *out, struct err *err);
/* servers: forwarders; none: libunbound asks the roots itself. anchors: as resolver_anchors
 * made them; "": nothing is validated, and nothing is ever secure or bogus. */
struct resolver *resolver_new(struct event_base *base, const struct conf_host *servers,
    size_t n, struct span anchors, struct err *err);
void resolver_free(struct resolver **r);
/* name must pass dns_name_ok, or dns_question_ok (verifier/dns_question.h). */
struct question *resolver_ask(struct resolver *r, const char *name, uint16_t type,
    resolver_cb *cb, void *ctx);
void resolver_cancel(struct question **q);	/* NULL-safe; the callback will not come */

#endif
