/* hosts.h -- the names of a client: what the DNS calls it, and does the name it gives exist. Pure.
 *
 * Pumped over the message's book of questions (dns_question.h). The reverse name counts as proved where
 * one of its addresses is the client's (forward-confirmed); at most HOSTS_NAMES names are tried.
 */
#ifndef VERIFIER_HOSTS_H
#define VERIFIER_HOSTS_H

#include "postern/facts.h"
#include "postern/ip.h"
#include "verifier/dns_question.h"

#define HOSTS_NAMES 4

struct hosts;

struct hosts *hosts_new(struct arena *a, struct dns_book *book, struct ip client, struct span helo);
bool hosts_step(struct hosts *h);	/* true: done */
void hosts_abort(struct hosts *h);	/* time is up: what is missing is unknown */
void hosts_facts(const struct hosts *h, struct arena *a, struct facts *f);

#endif
