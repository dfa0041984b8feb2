/* doctor_oidc.c -- can people sign in at the provider of `console.login.oidc`? See doctor.h.
 *
 * The fetcher is asked, as it alone speaks with the provider: whether it is reached, is the issuer it is said to
 * be, has keys that would do, and what its clock says.
 */
#include <stdlib.h>

#include "cli/control_client.h"
#include "cli/doctor.h"
#include "ipc/json_read.h"

struct shown {
	struct doctor *d;
	bool heard;
};

static void
heard(void *ctx, const struct jval *v, struct span text)
{
	struct shown *s = ctx;
	int64_t clock = jval_int(v, "clock", 0), skew = s->d->conf->console.oidc.skew / 1000000;

	s->heard = true;
	if (jval_has(v, "error"))
		doctor_say(s->d, ILL, "oidc", SPAN_FMT, SPAN_ARG(jval_text(v, "error")));
	else if (llabs(clock) > skew)
		doctor_say(s->d, ILL, "oidc", "the clock of " SPAN_FMT " is %lld s %s ours: its tokens are not taken",
		    SPAN_ARG(jval_text(v, "issuer")), llabs(clock), clock > 0 ? "before" : "behind");
	else
		doctor_say(s->d, HEALTHY, "oidc", SPAN_FMT " answers with %lld keys, %lld s from our clock; it has to know "
		    SPAN_FMT, SPAN_ARG(jval_text(v, "issuer")), (long long)jval_int(v, "keys", 0), llabs(clock),
		    SPAN_ARG(jval_text(v, "redirect_uri")));
}

void
doctor_oidc(struct doctor *d)
{
	struct shown s = { .d = d };
	struct request r;

	if (d->conf->console.oidc.issuer.n == 0)
		return;
	request_begin(&r, "oidc.show");
	if (control_ask_quietly(d->cli, &r, heard, &s) != CLI_UNREACHABLE && !s.heard)
		doctor_say(d, ILL, "oidc", "the fetcher cannot be asked");	/* else the row `daemon` says so */
}
