/* bench_anatomy.c -- what building the anatomy costs: microseconds for a plain text message of
 * 4 KiB, MB/s for a multipart message of 10 MiB and for its kinds of content. */
#include <stdio.h>
#include <time.h>

#include "postern/anatomy.h"

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
measure(struct span raw, unsigned rounds)
{
	struct arena *a = arena_new(64 << 10);
	struct anatomy an;
	double best = 1e9;

	for (int k = 0; k < 5; k++) {
		double from = now(), took;

		for (unsigned i = 0; i < rounds; i++) {
			arena_reset(a);
			anatomy_build(a, raw, NULL, &an);
		}
		took = (now() - from) / rounds;
		if (took < best)
			best = took;
	}
	printf("    %zu parts, %zu surfaces, arena %zu KiB\n", an.nparts, an.nsurfaces,
	    arena_used(a) >> 10);
	arena_free(&a);
	return best;
}

static char out[24 << 20];
static size_t n;

static void
put(const char *s)
{
	size_t len = strlen(s);

	memcpy(out + n, s, len);
	n += len;
}

static const char head[] =
    "Received: from exch1.example.org (exch1.example.org [10.1.2.3])\r\n"
    "\tby gw1.example.org with ESMTPS id 4T0q7x1mZz2; Mon, 2 Mar 2026 10:00:00 +0100\r\n"
    "From: =?utf-8?Q?Ren=C3=A9e_Durand?= <r.durand@example.org>\r\n"
    "To: \"Smith, John\" <john@partner.example>, b@partner.example\r\n"
    "Subject: =?iso-8859-1?Q?R=E9union_de_mardi?=\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\n"
    "Message-ID: <1234.5678@exch1.example.org>\r\nMIME-Version: 1.0\r\n";

static void
lines(size_t until, const char *line)
{
	while (n < until)
		put(line);
}

static void
report(const char *what, unsigned rounds)
{
	double t = measure(span_make(out, n), rounds);

	printf("%-28s %8zu bytes %10.2f us %8.0f MB/s\n", what, n, t * 1e6, (double)n / t / 1e6);
}

int
main(void)
{
	static const char prose[] = "The committee met on Tuesday and agreed upon the figures of the quarter.\r\n";
	static const char french[] = "Le comit\xc3\xa9 s'est r\xc3\xa9uni mardi et a approuv\xc3\xa9 les chiffres du trimestre.\r\n";
	static const char base64[] =
	    "VGhlIGNvbW1pdHRlZSBtZXQgb24gVHVlc2RheSBhbmQgYWdyZWVkIHVwb24gdGhlIGZpZ3VyZXMg\r\n";
	static const char qp[] = "Le comit=C3=A9 s'est r=C3=A9uni mardi et a approuv=C3=A9 les chiffres.=\r\n";
	static const char html[] = "<p style=\"margin:0\">The <b>committee</b> met on Tuesday &amp; agreed.</p>\r\n";

	put(head);
	put("Content-Type: text/plain; charset=us-ascii\r\n\r\n");
	lines(4096, prose);
	report("plain text, 4 KiB", 20000);

	n = 0;
	put(head);
	put("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
	lines(4096, french);
	report("French UTF-8, 4 KiB", 20000);

	n = 0;
	put(head);
	put("Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\n--b1\r\n"
	    "Content-Type: multipart/alternative; boundary=b2\r\n\r\n--b2\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
	lines(n + (1 << 20), qp);
	put("\r\n--b2\r\nContent-Type: text/html; charset=utf-8\r\n\r\n");
	lines(n + (1 << 20), html);
	put("\r\n--b2--\r\n");
	for (int i = 0; i < 8; i++) {
		put("--b1\r\nContent-Type: application/octet-stream; name=\"a.bin\"\r\n"
		    "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n");
		put(i ? "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4\r\n" : "");
		lines(n + (1 << 20), base64);
	}
	put("--b1--\r\n");
	report("multipart, 10 MiB", 5);

	n = 0;
	put(head);
	put("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	lines(10 << 20, base64);
	report("base64 text, 10 MiB", 5);

	n = 0;
	put(head);
	put("Content-Type: text/html; charset=iso-8859-1\r\n\r\n");
	lines(10 << 20, html);
	report("HTML, 10 MiB", 5);

	n = 0;
	put(head);
	put("Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n");
	for (unsigned i = 0; i < 1000; i++) {
		char link[256];

		snprintf(link, sizeof(link), "<p><a href=\"https://click%u.news.example/r/%u?m=4711&amp;u="
		    "https%%3A%%2F%%2Fshop%u.example%%2F\" style=\"color:#1a0dab\">Read <b>more</b></a>\r\n",
		    i, i * 7919, i);
		put(link);
		lines(n + 900, html);
	}
	report("newsletter, 1,000 links", 20);

	n = 0;
	put(head);
	put("Content-Type: text/plain; charset=shift_jis\r\n\r\n");
	lines(10 << 20, "\x83\x65\x83\x58\x83\x67 abc \x93\xfa\x96\x7b\x8c\xea\r\n");
	report("Shift_JIS, 10 MiB", 3);

	n = 0;
	put(head);
	put("Content-Type: multipart/mixed; boundary=b1\r\n\r\n");
	lines(10 << 20, "--\r\n--b\r\n--b12\r\n-- \r\n");
	report("lines of dashes, 10 MiB", 5);
	return 0;
}
