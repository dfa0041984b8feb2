/* dmarc_record.c -- the text of a DMARC record; see dmarc_record.h. */
#include "verifier/dmarc_record.h"

static const char *const policies[] = { [DMARC_NONE] = "none", [DMARC_QUARANTINE] = "quarantine",
	[DMARC_REJECT] = "reject" };

const char *
dmarc_policy_name(enum dmarc_policy p)
{
	return policies[p];
}

static bool
read_policy(struct span v, enum dmarc_policy *p)
{
	for (int i = DMARC_NONE; i <= DMARC_REJECT; i++)
		if (span_is_nocase(v, policies[i])) {
			*p = (enum dmarc_policy)i;
			return true;
		}
	return false;
}

/* "mailto:a@b", "https://…": a scheme, a colon and something behind it. */
static bool
has_uri(struct span list)
{
	while (list.n) {
		struct span one = span_sub(list, 0, span_find(list, ','));
		size_t colon;

		list = span_from(list, one.n + 1);
		one = span_trim(one);
		colon = span_find(one, ':');
		if (colon > 0 && colon + 1 < one.n && (!span_starts_nocase(one, SPAN_LIT("mailto:")) ||
		    span_find(one, '@') + 1 < one.n))
			return true;
	}
	return false;
}

static uint8_t
read_fo(struct span v)
{
	uint8_t fo = 0;

	while (v.n) {
		struct span one = span_trim(span_sub(v, 0, span_find(v, ':')));

		v = span_from(v, span_find(v, ':') + 1);
		if (one.n != 1)
			continue;
		switch (ascii_lower(one.p[0])) {
		case '0':
			fo |= DMARC_FO_ALL;
			break;
		case '1':
			fo |= DMARC_FO_ANY;
			break;
		case 'd':
			fo |= DMARC_FO_DKIM;
			break;
		case 's':
			fo |= DMARC_FO_SPF;
			break;
		}
	}
	return fo ? fo : DMARC_FO_ALL;
}

static uint8_t
read_percent(struct span v)
{
	unsigned n = 0;

	if (v.n == 0 || v.n > 3)
		return 100;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 100;
		n = n * 10 + (unsigned)(v.p[i] - '0');
	}
	return n > 100 ? 100 : (uint8_t)n;
}

enum tag { TAG_P, TAG_SP, TAG_NP, TAG_ADKIM, TAG_ASPF, TAG_PCT, TAG_PSD, TAG_T, TAG_RUA, TAG_RUF, TAG_FO, TAGS };

static void
read_tag(struct dmarc_record *r, enum tag tag, struct span v)
{
	switch (tag) {
	case TAG_P:
		r->has_p = read_policy(v, &r->p);
		r->bad_p = !r->has_p;
		break;
	case TAG_SP:
		r->has_sp = read_policy(v, &r->sp);
		r->bad_sub |= !r->has_sp;
		break;
	case TAG_NP:
		r->has_np = read_policy(v, &r->np);
		r->bad_sub |= !r->has_np;
		break;
	case TAG_ADKIM:
		r->strict_dkim = span_is_nocase(v, "s");
		break;
	case TAG_ASPF:
		r->strict_spf = span_is_nocase(v, "s");
		break;
	case TAG_PCT:
		r->pct = read_percent(v);
		break;
	case TAG_PSD:
		r->psd = span_is_nocase(v, "y") ? DMARC_PSD_YES : span_is_nocase(v, "n") ? DMARC_PSD_NO :
		    DMARC_PSD_UNSAID;
		break;
	case TAG_T:
		r->testing = span_is_nocase(v, "y");
		break;
	case TAG_RUA:
		r->rua = has_uri(v);
		break;
	case TAG_RUF:
		r->ruf = has_uri(v);
		break;
	case TAG_FO:
		r->fo = read_fo(v);
		break;
	case TAGS:
		break;
	}
}

/* dmarc-version = "v" *WSP "=" *WSP %x44 %x4d %x41 %x52 %x43 %x31, up to ";" or the end */
static bool
is_version(struct span one)
{
	return ascii_lower(one.n ? one.p[0] : 0) == 'v' && span_find(one, '=') < one.n &&
	    span_trim(span_sub(one, 1, span_find(one, '=') - 1)).n == 0 &&
	    span_is(span_trim(span_from(one, span_find(one, '=') + 1)), "DMARC1");
}

bool
dmarc_record_parse(struct span txt, struct dmarc_record *out)
{
	static const char *const names[TAGS] = { "p", "sp", "np", "adkim", "aspf", "pct", "psd", "t", "rua",
		"ruf", "fo" };
	struct dmarc_record r = { .text = txt, .pct = 100, .fo = DMARC_FO_ALL };
	struct span one = span_sub(txt, 0, span_find(txt, ';'));
	uint32_t seen = 0;

	if (txt.n > DMARC_RECORD_MAX || !is_version(one))
		return false;
	for (txt = span_from(txt, one.n + 1); txt.n; txt = span_from(txt, one.n + 1)) {
		struct span name;

		one = span_sub(txt, 0, span_find(txt, ';'));
		name = span_trim(span_sub(one, 0, span_find(one, '=')));
		for (int i = 0; i < TAGS && name.n < one.n; i++)
			if (span_is_nocase(name, names[i]) && !(seen & 1u << i)) {
				seen |= 1u << i;
				read_tag(&r, (enum tag)i, span_trim(span_from(one, span_find(one, '=') + 1)));
			}
	}
	*out = r;
	return true;
}

bool
dmarc_record_settle(struct dmarc_record *r, bool no_p_is_none)
{
	if (r->has_p && !r->bad_sub)
		return true;
	if (!r->rua && !(no_p_is_none && !r->has_p && !r->bad_p && !r->bad_sub))
		return false;
	if (!r->has_p || r->bad_p || r->bad_sub) {
		r->p = DMARC_NONE;
		r->has_p = true;
		if (r->rua)
			r->has_sp = r->has_np = false;
	}
	return true;
}
