/* tlsrpt_record.h -- where a domain wants to hear of TLS that failed: the record of RFC 8460, 3.
 *
 * Pure. The record is its owner's; addresses are checked before they are used, URLs by the
 * fetcher. What we cannot use (other schemes, more than TLSRPT_URIS_MAX) is passed over.
 */
#ifndef STORE_TLSRPT_RECORD_H
#define STORE_TLSRPT_RECORD_H

#include "postern/span.h"

#define TLSRPT_URIS_MAX 8
#define TLSRPT_URI_MAX 1000
#define TLSRPT_ADDRESS_MAX 320

bool tlsrpt_record_is(struct span txt);
/* false: no TLSRPT record, or not to the letter. uris: "mailto:…", "https://…", borrowed; *n may be 0. */
bool tlsrpt_record_parse(struct span txt, struct span uris[TLSRPT_URIS_MAX], size_t *n);
bool tlsrpt_uri_is_mailto(struct span uri);
/* The address of a mailto: URI with %XX undone; false when it is none that mail can be sent to. */
bool tlsrpt_uri_address(struct span uri, char out[TLSRPT_ADDRESS_MAX]);

#endif
