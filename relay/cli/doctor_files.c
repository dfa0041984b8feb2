/* doctor_files.c -- what grows old on this machine: our certificate; see doctor.h. */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/doctor.h"

#define CERT_SOON 14		/* days */

/* ---- the certificate ---- */

static X509 *
read_certificate(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return x;
}

static bool
key_fits(X509 *x, const char *path, bool *readable)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
	bool fits = k && X509_check_private_key(x, k) == 1;

	*readable = f != NULL;
	if (f)
		fclose(f);
	EVP_PKEY_free(k);
	return fits;
}

void
doctor_tls(struct doctor *d)
{
	const struct config *c = d->conf;
	int days = 0, seconds = 0;
	bool readable, fits;
	X509 *x;

	if (c->tls_certificate == NULL) {
		doctor_say(d, DOUBTFUL, "tls", "no certificate (`tls:` in postern.yaml): clients talk to us in clear");
		return;
	}
	if ((x = read_certificate(c->tls_certificate)) == NULL) {
		doctor_say(d, ILL, "tls", "%s: no certificate can be read from it", c->tls_certificate);
		return;
	}
	ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x));
	fits = c->tls_key ? key_fits(x, c->tls_key, &readable) : (readable = true);
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		doctor_say(d, ILL, "tls", "%s is not valid yet", c->tls_certificate);
	else if (days < 0 || seconds < 0)
		doctor_say(d, ILL, "tls", "%s has expired %d days ago", c->tls_certificate, -days);
	else if (readable && !fits)
		doctor_say(d, ILL, "tls", "%s is not the key of %s", c->tls_key, c->tls_certificate);
	else if (X509_check_host(x, c->hostname.p, c->hostname.n, 0, NULL) != 1)
		doctor_say(d, DOUBTFUL, "tls", "%s is not for " SPAN_FMT ": clients that verify will not go on",
		    c->tls_certificate, SPAN_ARG(c->hostname));
	else
		doctor_say(d, days < CERT_SOON ? DOUBTFUL : HEALTHY, "tls", "the certificate for " SPAN_FMT
		    " is good for %d more days%s", SPAN_ARG(c->hostname), days,
		    days < CERT_SOON ? ": renew it, then `postern reload`" : "");
	X509_free(x);
}
