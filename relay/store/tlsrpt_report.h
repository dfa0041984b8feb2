/* tlsrpt_report.h -- the report itself: JSON (RFC 8460, 4), gzip, and the message that carries it (5.3).
 *
 * No socket, no database, no clock: rows and times in, bytes out.
 */
#ifndef STORE_TLSRPT_REPORT_H
#define STORE_TLSRPT_REPORT_H

#include "buf.h"
#include "store/tlsrpt_db.h"

#define REPORT_JSON_MAX (16u << 20)
#define REPORT_ID_MAX 600

struct tls_report {
	struct span organization, contact;	/* of postern.yaml */
	struct span from;		/* the sender's address */
	struct span submitter;		/* its domain */
	struct span hostname;
	struct span domain;		/* whose TLS it tells of */
	int64_t begin, end;		/* seconds, both within */
	const char *id;			/* as report_id() made it */
	const struct tls_policy_row *rows;
	size_t nrows;
};

/* The same for the same report, however often it is sent. */
void report_id(const struct tls_report *r, char out[REPORT_ID_MAX]);
void report_json(struct buf *out, const struct tls_report *r);
int report_gzip(struct buf *out, struct span json, struct err *err);
/* A whole message to `to`; date: Unix microseconds. */
void report_message(struct buf *out, const struct tls_report *r, struct span gz, const char *to,
    int64_t date);

#endif
