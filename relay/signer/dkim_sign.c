/* dkim_sign.c -- signing with libopendkim: the reference.
 *
 * The library parses the PEM for every message and finds a bad key only at
 * the end; it wants the array of oversigned names with sizeof(u_char **) and
 * silently signs without them otherwise: every return is checked here. One
 * handle makes one signature.
 */
#include <sys/types.h>

#include <opendkim/dkim.h>
#include <stdlib.h>
#include <string.h>

#include "signer/dkim_sign.h"

static DKIM_LIB *library;

static int
library_open(struct err *err)
{
	uint64_t fixed = 0;
	DKIM_LIB *lib = library;
	u_int flags = DKIM_LIBFLAGS_NONE;

	if (lib)
		return 0;
	lib = dkim_init(NULL, NULL);
	if (lib == NULL)
		return err_set(err, 0, "libopendkim does not start");
	if (dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS,
	    (void *)(uintptr_t)dkim_signed_fields, sizeof(u_char **)) != DKIM_STAT_OK ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS,
	    (void *)(uintptr_t)dkim_oversigned_fields, sizeof(u_char **)) != DKIM_STAT_OK ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) !=
	    DKIM_STAT_OK ||
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &fixed, sizeof(fixed)) !=
	    DKIM_STAT_OK) {
		dkim_close(lib);
		return err_set(err, 0, "libopendkim refuses an option");
	}
	library = lib;
	return 0;
}

static int
lib_err(struct err *err, DKIM *d, DKIM_STAT st, const char *what)
{
	const char *more = d ? dkim_geterror(d) : NULL;

	return err_set(err, 0, "%s: %s%s%s", what, dkim_getresultstr(st), more ? ": " : "",
	    more ? more : "");
}

static int
feed(DKIM *d, const struct dkim_message *m, struct err *err)
{
	DKIM_STAT st;

	for (size_t i = 0; i < m->nfields; i++) {
		st = dkim_header(d, (u_char *)(uintptr_t)m->fields[i].p, m->fields[i].n);
		if (st != DKIM_STAT_OK)
			return lib_err(err, d, st, "header field");
	}
	st = dkim_eoh(d);
	if (st != DKIM_STAT_OK)
		return lib_err(err, d, st, "header");
	for (size_t i = 0; i < m->nbody; i++) {
		if (m->body[i].n == 0)
			continue;
		st = dkim_body(d, (u_char *)(uintptr_t)m->body[i].p, m->body[i].n);
		if (st != DKIM_STAT_OK)
			return lib_err(err, d, st, "body");
	}
	st = dkim_eom(d, NULL);
	return st == DKIM_STAT_OK ? 0 : lib_err(err, d, st, "signing");
}

/* The library folds with LF and tabs; we send CRLF. */
static int
put_field(struct buf *out, const u_char *value, size_t n)
{
	buf_puts(out, "DKIM-Signature: ");
	for (size_t i = 0; i < n; i++) {
		if (value[i] == '\r')
			continue;
		if (value[i] == '\n')
			buf_putc(out, '\r');
		buf_putc(out, (char)value[i]);
	}
	return buf_puts(out, "\r\n");
}

int
dkim_sign_lib(const struct dkim_key *k, const struct dkim_message *m, int64_t now,
    struct arena *a, struct buf *out, struct err *err)
{
	const char *domain = arena_str(a, k->domain), *selector = arena_str(a, k->selector);
	uint64_t fixed = (uint64_t)now;
	u_char *value = NULL;
	DKIM_STAT st;
	size_t n = 0;
	DKIM *d;
	int rc = -1;

	if (library_open(err) == -1)
		return -1;
	if (dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &fixed, sizeof(fixed)) !=
	    DKIM_STAT_OK)
		return err_set(err, 0, "libopendkim refuses the time");
	d = dkim_sign(library, (const u_char *)"postern", NULL, (dkim_sigkey_t)k->pem,
	    (const u_char *)selector, (const u_char *)domain, DKIM_CANON_RELAXED,
	    DKIM_CANON_RELAXED, k->ed25519 ? DKIM_SIGN_ED25519SHA256 : DKIM_SIGN_RSASHA256, -1, &st);
	if (d == NULL)
		return lib_err(err, NULL, st, "starting a signature");
	if (feed(d, m, err) == -1)
		goto out;
	st = dkim_getsighdr_d(d, strlen("DKIM-Signature: "), &value, &n);
	if (st != DKIM_STAT_OK) {
		lib_err(err, d, st, "the finished field");
		goto out;
	}
	rc = put_field(out, value, n) == 0 ? 0 : err_set(err, 0, "the signature is too long");
out:
	dkim_free(d);
	return rc;
}
