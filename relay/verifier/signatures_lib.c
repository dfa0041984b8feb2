/* signatures_lib.c -- libopendkim verifies signatures whose keys are known; see signatures.h.
 *
 * What it is fed has been bounded and read strictly before: so it meets no
 * signature with a tag twice, no huge one, and no thousands of them (it canonicalises the header
 * for each). Fields DKIM-Signature that are not tried are not fed at all.
 *
 * Its answers are read with care. A signature is good only with PASSED *and* a body hash that
 * matches. What dkim_eoh() says is kept: dkim_eom() would call a trouble of its own there a bad
 * signature.
 */
#include <sys/types.h>
#include <opendkim/dkim.h>

#include <openssl/err.h>

#include "verifier/signatures.h"

struct context {
	const struct signature_work *work;
	size_t n;
};

static DKIM_LIB *library;

static const struct signature_work *
work_of(const struct context *c, DKIM_SIGINFO *sig)
{
	const char *d = (const char *)dkim_sig_getdomain(sig);
	const char *s = (const char *)dkim_sig_getselector(sig);

	for (size_t i = 0; d && s && i < c->n; i++)
		if (span_eq_nocase(c->work[i].sig->domain, span_str(d)) &&
		    span_eq_nocase(c->work[i].sig->selector, span_str(s)))
			return &c->work[i];
	return NULL;
}

static DKIM_CBSTAT
answer_key(DKIM *d, DKIM_SIGINFO *sig, u_char *out, size_t size)
{
	const struct context *c = dkim_get_user_context(d);
	const struct signature_work *w = c ? work_of(c, sig) : NULL;

	if (w == NULL || w->key->record.n >= size)
		return DKIM_CBSTAT_NOTFOUND;
	memcpy(out, w->key->record.p, w->key->record.n);
	out[w->key->record.n] = '\0';
	return DKIM_CBSTAT_CONTINUE;
}

static bool
start(void)
{
	u_int flags = DKIM_LIBFLAGS_FIXCRLF;

	if (library)
		return true;
	library = dkim_init(NULL, NULL);
	return library && dkim_set_key_lookup(library, answer_key) == DKIM_STAT_OK &&
	    dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) ==
	    DKIM_STAT_OK;
}

static void
all_are(struct signature_work *work, size_t n, enum auth_result r, const char *why)
{
	for (size_t i = 0; i < n; i++) {
		work[i].result = r;
		work[i].why = why;
	}
}

static bool
is_tried(const struct signature_work *work, size_t n, struct span field)
{
	for (size_t i = 0; i < n; i++)
		if (work[i].field.p == field.p)
			return true;
	return false;
}

/* Fields that are none (no colon, strange names) are left out: nobody can have signed them. One with a
 * NUL ends the matter (RFC 5322, 2.2 has none): libopendkim copies up to it, and then reads the length that
 * the field had, which is beyond its copy. */
static DKIM_STAT
feed(DKIM *d, const struct mail *m, const struct signature_work *work, size_t n)
{
	DKIM_STAT st;

	for (size_t i = 0; i < m->nfields; i++) {
		struct span f = m->fields[i];

		if (span_is_nocase(mail_field_name(f), "DKIM-Signature") && !is_tried(work, n, f))
			continue;
		if (memchr(f.p, '\0', f.n))
			return DKIM_STAT_SYNTAX;
		st = dkim_header(d, (u_char *)(uintptr_t)f.p, f.n);
		if (st != DKIM_STAT_OK && st != DKIM_STAT_SYNTAX)
			return st;
	}
	if ((st = dkim_eoh(d)) != DKIM_STAT_OK)
		return st;
	if (m->body.n)
		st = dkim_body(d, (u_char *)(uintptr_t)m->body.p, m->body.n);
	return st;
}

/* What came before any signature was computed. */
static void
trouble(struct signature_work *work, size_t n, DKIM_STAT st)
{
	switch (st) {
	case DKIM_STAT_CBTRYAGAIN:
	case DKIM_STAT_KEYFAIL:
	case DKIM_STAT_NORESOURCE:
	case DKIM_STAT_INTERNAL:
		all_are(work, n, AUTH_TEMPERROR, "it could not be checked now");
		break;
	case DKIM_STAT_SYNTAX:
		all_are(work, n, AUTH_PERMERROR, "the message cannot be read");
		break;
	default:
		all_are(work, n, AUTH_NEUTRAL, "libopendkim cannot read it");
		break;
	}
}

static void
read_answer(DKIM_SIGINFO *sig, struct signature_work *w)
{
	DKIM_SIGERROR e = dkim_sig_geterror(sig);

	w->why = e > DKIM_SIGERROR_OK ? dkim_sig_geterrorstr(e) : NULL;
	if ((dkim_sig_getflags(sig) & DKIM_SIGFLAG_PASSED) &&
	    dkim_sig_getbh(sig) == DKIM_SIGBH_MATCH && e <= DKIM_SIGERROR_OK) {
		w->result = AUTH_PASS;
		return;
	}
	switch (e) {
	case DKIM_SIGERROR_UNKNOWN:
	case DKIM_SIGERROR_OK:
	case DKIM_SIGERROR_BADSIG:
		w->result = AUTH_FAIL;
		w->why = dkim_sig_getbh(sig) == DKIM_SIGBH_MISMATCH ? "the body was changed" :
		    "the header was changed, or the key is another";
		break;
	case DKIM_SIGERROR_KEYFAIL:
		w->result = AUTH_TEMPERROR;
		break;
	case DKIM_SIGERROR_EXPIRED:
	case DKIM_SIGERROR_FUTURE:
	case DKIM_SIGERROR_KEYTOOSMALL:
		w->result = AUTH_POLICY;
		break;
	case DKIM_SIGERROR_NOKEY:
	case DKIM_SIGERROR_DNSSYNTAX:
	case DKIM_SIGERROR_MULTIREPLY:
	case DKIM_SIGERROR_KEYVERSION:
	case DKIM_SIGERROR_KEYUNKNOWNHASH:
	case DKIM_SIGERROR_KEYHASHMISMATCH:
	case DKIM_SIGERROR_NOTEMAILKEY:
	case DKIM_SIGERROR_KEYTYPEMISSING:
	case DKIM_SIGERROR_KEYTYPEUNKNOWN:
	case DKIM_SIGERROR_KEYREVOKED:
	case DKIM_SIGERROR_KEYDECODE:
	case DKIM_SIGERROR_SUBDOMAIN:
	case DKIM_SIGERROR_TOOLARGE_L:
		w->result = AUTH_PERMERROR;
		break;
	default:
		w->result = AUTH_NEUTRAL;
		break;
	}
}

/* Its list has them in the order of the message; one that it could not read is not there. */
static void
read_answers(DKIM *d, struct signature_work *work, size_t n)
{
	DKIM_SIGINFO **sigs = NULL;
	int nsigs = 0, at = 0;

	if (dkim_getsiglist(d, &sigs, &nsigs) != DKIM_STAT_OK)
		return;
	for (size_t i = 0; i < n && at < nsigs; i++) {
		const struct context one = { &work[i], 1 };

		if (work_of(&one, sigs[at]) == NULL)
			continue;
		if (!(dkim_sig_getflags(sigs[at]) & DKIM_SIGFLAG_PROCESSED))
			dkim_sig_process(d, sigs[at]);
		read_answer(sigs[at++], &work[i]);
	}
}

void
signatures_verify(const struct mail *m, struct signature_work *work, size_t n)
{
	struct context c = { work, n };
	DKIM_STAT st;
	DKIM *d;

	all_are(work, n, AUTH_NEUTRAL, "libopendkim cannot read it");
	if (!start() || (d = dkim_verify(library, (const u_char *)"mail", NULL, &st)) == NULL) {
		all_are(work, n, AUTH_TEMPERROR, "libopendkim does not start");
		return;
	}
	if (dkim_set_user_context(d, &c) != DKIM_STAT_OK)
		st = DKIM_STAT_INTERNAL;
	else
		st = feed(d, m, work, n);
	if (st == DKIM_STAT_OK) {
		bool testing = false;

		st = dkim_eom(d, &testing);
		if (st == DKIM_STAT_NORESOURCE || st == DKIM_STAT_INTERNAL)
			trouble(work, n, st);
		else
			read_answers(d, work, n);
	} else
		trouble(work, n, st);
	dkim_free(d);
	ERR_clear_error();
}
