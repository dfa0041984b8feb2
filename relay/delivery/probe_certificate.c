/* probe_certificate.c -- what a server's certificate says; see probe_certificate.h. */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "addr.h"
#include "clock.h"
#include "delivery/probe_certificate.h"

static struct span
name_text(struct arena *a, const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	struct span out = { 0 };
	char *p;
	long n;

	if (b && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0 &&
	    (n = BIO_get_mem_data(b, &p)) > 0)
		out = arena_span(a, span_make(p, (size_t)(n < 500 ? n : 500)));
	BIO_free(b);
	return out;
}

static int64_t
moment(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void
names(struct probe_certificate *c, X509 *x, struct arena *a)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all) && c->nnames < CERTIFICATE_NAMES_MAX; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		struct ip ip = { 0 };
		char text[IP_TEXT_MAX];

		if (g->type == GEN_DNS && ASN1_STRING_length(g->d.dNSName) <= 255)
			c->names[c->nnames++] = arena_span(a, span_make(
			    (const char *)ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName)));
		else if (g->type == GEN_IPADD && (ASN1_STRING_length(g->d.iPAddress) == 4 ||
		    ASN1_STRING_length(g->d.iPAddress) == 16)) {
			ip.family = ASN1_STRING_length(g->d.iPAddress) == 4 ? 4 : 6;
			memcpy(ip.b, ASN1_STRING_get0_data(g->d.iPAddress), (size_t)ASN1_STRING_length(g->d.iPAddress));
			c->names[c->nnames++] = arena_span(a, span_str(ip_format(ip, text)));
		}
	}
	GENERAL_NAMES_free(all);
}

bool
probe_certificate_read(const struct transport *t, struct span host, struct arena *a,
    struct probe_certificate *c)
{
	X509 *x = t->ssl ? SSL_get0_peer_certificate(t->ssl) : NULL;
	struct err why = { 0 };

	*c = (struct probe_certificate){ 0 };
	if (x == NULL)
		return false;
	c->subject = name_text(a, X509_get_subject_name(x));
	c->issuer = name_text(a, X509_get_issuer_name(x));
	names(c, x, a);
	c->from = moment(X509_get0_notBefore(x));
	c->until = moment(X509_get0_notAfter(x));
	c->verified = transport_proved(t, &host, 1, &why) == PROVED_NAME;
	if (!c->verified)
		c->why = arena_span(a, span_str(why.text));
	return true;
}

void
probe_certificate_write(const struct probe_certificate *c, int64_t now, struct json *j)
{
	json_object(j);
	json_kstr(j, "subject", c->subject);
	json_kstr(j, "issuer", c->issuer);
	json_key(j, "names");
	json_array(j);
	for (size_t i = 0; i < c->nnames; i++)
		json_str(j, c->names[i]);
	json_end_array(j);
	json_kint(j, "not_before", c->from * US_PER_SEC);
	json_kint(j, "not_after", c->until * US_PER_SEC);
	json_kint(j, "days", (c->until - now) / 86400);
	json_kbool(j, "verified", c->verified);
	json_key(j, "why");
	if (c->why.n)
		json_str(j, c->why);
	else
		json_null(j);
	json_end_object(j);
}

/* ---- TLSA ---- */

static bool
names_it(X509 *x, unsigned selector, unsigned matching, struct span want)
{
	unsigned char *der = NULL, hash[EVP_MAX_MD_SIZE];
	const EVP_MD *md = matching == 1 ? EVP_sha256() : EVP_sha512();
	int n = selector == 0 ? i2d_X509(x, &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	unsigned len = 0;
	bool same = false;

	if (n > 0 && matching == 0)
		same = span_eq(span_make((const char *)der, (size_t)n), want);
	else if (n > 0 && matching <= 2 && EVP_Digest(der, (size_t)n, hash, &len, md, NULL) == 1)
		same = span_eq(span_make((const char *)hash, len), want);
	OPENSSL_free(der);
	return same;
}

bool
probe_certificate_matches(const struct transport *t, struct span tlsa)
{
	X509 *leaf = t->ssl ? SSL_get0_peer_certificate(t->ssl) : NULL;
	STACK_OF(X509) *chain = t->ssl ? SSL_get_peer_cert_chain(t->ssl) : NULL;
	unsigned usage, selector, matching;

	if (leaf == NULL || tlsa.n < 4)
		return false;
	usage = (unsigned char)tlsa.p[0];
	selector = (unsigned char)tlsa.p[1];
	matching = (unsigned char)tlsa.p[2];
	tlsa = span_from(tlsa, 3);
	if (selector > 1)
		return false;
	if (usage == 3)
		return names_it(leaf, selector, matching, tlsa);
	for (int i = 0; usage == 2 && i < sk_X509_num(chain); i++)
		if (names_it(sk_X509_value(chain, i), selector, matching, tlsa))
			return true;
	return false;
}
