/* access.h -- who may send what through a listener. */
#ifndef RECEIVER_ACCESS_H
#define RECEIVER_ACCESS_H

#include "addr.h"
#include "master/config.h"

struct access;		/* recipient lists of our domains, read at start */

/* Reads the recipient files. -1: one cannot be read or has a bad line (err says where). */
int access_load(const struct config *conf, struct access **out, struct err *err);
void access_free(struct access **a);

/* true: the client is in `allow` of the listener; name: of its network, "" when written directly. */
bool access_permitted(const struct conf_listener *l, struct ip client, struct span *name);

enum access_answer {
	ACCESS_OUTBOUND,	/* relay it to the world */
	ACCESS_INBOUND,		/* ours to take in */
	ACCESS_NO_RELAY,	/* 554 5.7.1 not permitted to relay */
	ACCESS_UNKNOWN,		/* 550 5.1.1 our domain, no such recipient */
};
/* At RCPT. address: as smtp_path() leaves it. */
enum access_answer access_recipient(const struct access *a, const struct config *conf,
    const struct conf_listener *l, bool permitted, struct span address);

#endif
