/* tls_sink.c -- a receiving server that offers STARTTLS and throws away what it gets.
 *
 *	tls_sink
 *
 * Prints `port N`, then handshakes and messages taken whenever they have risen: what smtp-sink -c
 * does, with TLS. Postfix's own sink has none.
 */
#include <time.h>

#include "delivery_server.h"

int
main(void)
{
	static const struct timespec pause = { 0, 10 * 1000000L };
	struct fake f = { .tls = true };
	int told = -1;

	fake_start(&f);
	printf("port %u\n", f.port);
	for (;;) {
		int n = f.log->messages;

		if (n != told)
			printf("%d %d\n", f.log->handshakes, told = n);
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}
