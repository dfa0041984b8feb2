/* audit.c -- who did what, in the log; see audit.h. */
#include "log.h"
#include "store/audit.h"

int
audit_put(struct db *d, struct span who, const char *what, struct span subject,
    struct span detail, int64_t now, struct err *err)
{
	log_info("audit: " SPAN_FMT " %s " SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(who), what, SPAN_ARG(subject),
	    detail.n ? ": " : "", SPAN_ARG(detail));
	return 0;
}
