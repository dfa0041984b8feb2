/* doctor_antivirus.c -- is the antivirus there, does it see, are its signatures recent? See doctor.h. */
#include <string.h>

#include "buf.h"
#include "cli/doctor.h"
#include "clock.h"
#include "scanner/clamd.h"
#include "scanner/antivirus.h"

#define DAY 86400
#define AV_OLD 3		/* days: freshclam has missed several; where no max_age is set */

static void
say_age(struct doctor *d, const char *what, int64_t made)
{
	const struct conf_antivirus *c = &d->conf->antivirus;
	int64_t age = clock_real() / US_PER_SEC - made;
	int64_t max = c->max_age ? c->max_age / US_PER_SEC : AV_OLD * DAY;
	bool old = age > max;

	doctor_say(d, !old ? HEALTHY : c->on_old != AV_OLD_WARN || age > 2 * max ? ILL : DOUBTFUL, "antivirus",
	    "%s%sthe newest signatures are %lld days old%s", what, *what ? ", " : "", (long long)(age / DAY),
	    !old ? "" : c->on_old == AV_OLD_DEFER ? ": mail is deferred (on_old): does freshclam run, and reach its servers?" :
	    ": does freshclam run, and reach its servers?");
}

/* ---- clamd ---- */

static int
dial(void *ctx, struct err *err)
{
	return clamd_dial(ctx, err);
}

static void
look_at_clamd(struct doctor *d)
{
	const struct conf_antivirus *c = &d->conf->antivirus;
	const struct antivirus_dial how = { dial, (void *)(uintptr_t)c, c->clamd.family == 0 };
	const struct antivirus_options o = { .file_size = c->max_size, .ms = 10000 };
	struct err err = { 0 };
	struct antivirus *av = antivirus_new_clamd(&how, &o, &err);

	if (av == NULL || antivirus_canary(av, &err) == -1) {
		doctor_say(d, ILL, "antivirus", "%s: all mail is deferred until it answers", err.text);
	} else {
		int64_t made = antivirus_signatures(av)->made;
		char what[128];

		snprintf(what, sizeof(what), "%.*s finds the test file", SPAN_ARG(antivirus_engine(av)));
		if (made)
			say_age(d, what, made);
		else
			doctor_say(d, DOUBTFUL, "antivirus", "%s; how old its signatures are it does not tell", what);
		if (!antivirus_tells_limits(av, d->a))
			doctor_say(d, DOUBTFUL, "antivirus", ANTIVIRUS_SILENT);
	}
	antivirus_free(&av);
}

void
doctor_antivirus(struct doctor *d)
{
	const struct conf_antivirus *c = &d->conf->antivirus;
	struct signatures s;
	struct err err;

	if (c->engine == AV_OFF)
		doctor_say(d, DOUBTFUL, "antivirus", "off (antivirus: {engine: off})");
	else if (c->engine == AV_CLAMD)
		look_at_clamd(d);
	else if (signatures_read(c->databases, &s, &err) == -1)
		doctor_say(d, ILL, "antivirus", "%s: freshclam fetches signatures", err.text);
	else if (s.made == 0)
		doctor_say(d, ILL, "antivirus", "no signatures in %s: freshclam fetches them", c->databases);
	else
		say_age(d, "", s.made);
}
