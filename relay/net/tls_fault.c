/* tls_fault.c -- in which of a few ways a certificate falls short; see tls_fault.h. */
#include <openssl/x509_vfy.h>

#include "net/tls_fault.h"
#include "net/transport.h"

enum tls_fault
tls_fault_of(const struct transport *t)
{
	/* As the first handshake had it: a resumed session says that all is well. */
	switch (t->ssl ? t->proof.chain : X509_V_ERR_UNSPECIFIED) {
	case X509_V_OK:
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return TLS_FAULT_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_FAULT_EXPIRED;
	case X509_V_ERR_DANE_NO_MATCH:
		return TLS_FAULT_DANE;
	default:
		return TLS_FAULT_OTHER;
	}
}
