/* param.h -- Content-Type and Content-Disposition (RFC 2045, 5.1; RFC 2183; RFC 2231). */
#ifndef ANATOMY_PARAM_H
#define ANATOMY_PARAM_H

#include "postern/anatomy.h"

#define PARAMS_MAX 96

struct param {
	struct span name;	/* as written, without "*0*" */
	struct span value;	/* quotes and escapes undone, not decoded */
	uint16_t section;	/* RFC 2231 continuation; 0 when none */
	bool extended;		/* "*": percent encoding */
	bool continued;		/* "*0": part of a series */
};

struct params {
	struct span value;	/* "text/plain", "attachment": as written, without comments */
	struct param list[PARAMS_MAX];
	size_t n;
	bool malformed;
};

/* s: unfolded. Spans point into s or the arena. */
void params_parse(struct params *p, struct arena *a, struct span s);
/* The value as UTF-8: RFC 2231 first, then RFC 2047, then raw bytes. false: absent. */
bool params_text(const struct params *p, struct arena *a, const char *name, struct span *out,
    uint32_t *defects);
/* All values that a reader may take for that name's, "" and doubles included; at most max. */
size_t params_readings(const struct params *p, struct arena *a, const char *name, struct span *out,
    size_t max, uint32_t *defects);
/* The n-th value of that name that is not of RFC 2231, as it stands; counts from 0. */
bool params_plain(const struct params *p, const char *name, size_t nth, struct span *out);
/* The first token without comments and quotes: a Content-Transfer-Encoding. */
struct span token_first(struct arena *a, struct span s);

#endif
