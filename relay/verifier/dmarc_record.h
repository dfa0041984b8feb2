/* dmarc_record.h -- the text of a DMARC record (RFC 7489, 6.3; RFC 9989, 4.7). Pure.
 *
 * Only the version must be right. Whatever else is wrong falls back to its
 * default (6.3): unknown tags, tags without value, junk. Of a tag given twice
 * the first counts.
 */
#ifndef VERIFIER_DMARC_RECORD_H
#define VERIFIER_DMARC_RECORD_H

#include "verifier/dmarc.h"

enum dmarc_psd { DMARC_PSD_UNSAID, DMARC_PSD_YES, DMARC_PSD_NO };
enum { DMARC_FO_ALL = 1, DMARC_FO_ANY = 2, DMARC_FO_DKIM = 4, DMARC_FO_SPF = 8 };

struct dmarc_record {
	struct span text;
	enum dmarc_policy p, sp, np;
	bool has_p, has_sp, has_np;	/* with a value that is one */
	bool bad_p, bad_sub;		/* p, or sp or np, with a value that is none */
	bool strict_dkim, strict_spf;	/* adkim=s, aspf=s */
	uint8_t pct;			/* 100 */
	enum dmarc_psd psd;
	bool testing;			/* t=y */
	bool rua;			/* at least one address for reports */
	bool ruf;
	uint8_t fo;			/* DMARC_FO_… */
};

/* false: not a DMARC record. */
bool dmarc_record_parse(struct span txt, struct dmarc_record *out);
/* Without a policy that can be read a record counts as p=none when it asks for reports, and not at all
 * otherwise (RFC 7489, 6.6.3). no_p_is_none: so does one without any p= (RFC 9989, 4.7). */
bool dmarc_record_settle(struct dmarc_record *r, bool no_p_is_none);

#endif
