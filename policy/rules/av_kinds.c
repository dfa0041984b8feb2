/* av_kinds.c -- what the names that ClamAV gives stand for; see postern/facts.h.
 *
 * The first words of a name say who made the signature and for what; signatures of one's own
 * have the same words, and .UNOFFICIAL behind them. A name that fits nowhere is malware:
 * what is not known to be less is taken for the worst.
 */
#include "postern/facts.h"

static const char *const names[] = {
#define X(name, text, help) text,
	AV_KINDS(X)
#undef X
};

const char *
av_kind_name(enum av_kind k)
{
	return names[k];
}

bool
av_kind_from_name(struct span name, enum av_kind *k)
{
	for (int i = 0; i < AV_KIND_COUNT; i++)
		if (span_is(name, names[i])) {
			*k = (enum av_kind)i;
			return true;
		}
	return false;
}

static bool
starts(struct span s, const char *with)
{
	return span_starts(s, span_str(with));
}

bool
av_kind_of(struct span found, enum av_kind *k)
{
	if (starts(found, "Heuristics.Limits.Exceeded") || starts(found, "Heuristics.Encrypted."))
		return false;
	if (starts(found, "PUA."))
		*k = AV_KIND_PUA;
	else if (starts(found, "Heuristics.Phishing.") || starts(found, "Phishing.") ||
	    starts(found, "Email.Phishing.") || starts(found, "Html.Phishing."))
		*k = AV_KIND_PHISHING;
	else if (starts(found, "Heuristics.OLE2.ContainsMacros"))
		*k = AV_KIND_MACRO;
	else if (starts(found, "Heuristics."))
		*k = AV_KIND_HEURISTIC;
	else
		*k = AV_KIND_MALWARE;
	return true;
}
