/* conf_quarantine.h -- `quarantine` and `digest` of postern.yaml, read (config_quarantine.c). */
#ifndef MASTER_CONF_QUARANTINE_H
#define MASTER_CONF_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/span.h"

#define DIGEST_HOURS_MAX 24

struct conf_quarantine {
	const struct span *users_release;	/* names: recipients release from these on their own; [spam] */
	size_t nusers_release;
	const struct span *two_persons;		/* names: two of them must release */
	size_t ntwo_persons;
	int64_t undo;				/* microseconds for which the console takes a decision back */
};

struct conf_digest {
	struct span domain;		/* of the recipients; "" what stands for all others */
	uint16_t at[DIGEST_HOURS_MAX];	/* minutes of the day, local time, rising */
	size_t nat;			/* 0: none are sent */
	bool french;
};

struct conf_digests {
	struct span url;		/* links begin with it; empty: the mails have none */
	const struct conf_digest *domains;
	size_t ndomains;
	struct conf_digest others;
};

#endif
