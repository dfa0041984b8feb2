/* tls_fault.h -- in which of a few ways a certificate falls short, for reports about it. */
#ifndef NET_TLS_FAULT_H
#define NET_TLS_FAULT_H

struct transport;

enum tls_fault {
	TLS_FAULT_NAME,		/* vouched for, and for another name */
	TLS_FAULT_EXPIRED,	/* or not valid yet */
	TLS_FAULT_DANE,		/* no TLSA record matches */
	TLS_FAULT_OTHER,	/* self-signed, of an unknown authority, … */
};

/* Of a certificate that transport_proved() was not content with. */
enum tls_fault tls_fault_of(const struct transport *t);

#endif
