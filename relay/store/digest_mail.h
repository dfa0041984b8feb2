/* digest_mail.h -- what a user is told of his quarantine: pure, from values to text and HTML.
 *
 * What strangers wrote (senders, subjects) is made visible (base/visible.h), one line, bounded, never a
 * link: "://" becomes "[:]//", for mail programs make links of what looks like one. The HTML has no script,
 * no picture, nothing from elsewhere.
 */
#ifndef STORE_DIGEST_MAIL_H
#define STORE_DIGEST_MAIL_H

#include "buf.h"

#define DIGEST_ROWS_MAX 100		/* of one mail; then "and N more" */
#define DIGEST_SENDER_MAX 120
#define DIGEST_SUBJECT_MAX 160
#define DIGEST_TEXT_MAX ((size_t)256 << 10)

struct digest_row {
	int64_t time;
	struct span sender, subject, class;
	struct span link;		/* "": none */
};

struct digest {
	struct span address;
	const struct digest_row *rows;
	size_t n;
	uint64_t total;			/* n, and those left out */
	bool french;
};

void digest_subject(struct buf *b, const struct digest *d);
void digest_text(struct buf *b, const struct digest *d);
void digest_html(struct buf *b, const struct digest *d);

#endif
