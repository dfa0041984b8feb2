/* load_messages.h -- the messages of the benches: made once, each one sent different from all others.
 *
 * A template is a whole message that ends with its dot, cut into pieces; between two pieces comes
 * a serial number of 16 letters, valid in a header, in text, in HTML and in base64. So each message has
 * parts no other had, and nothing but the serial is written for it. `recur`: nine attachments of
 * ten are one of LOAD_VARIANTS, as logos and circulars are; texts and the tenth attachment are new.
 *
 * A mixed message is text + HTML + attachment of bytes without a known form (what a compressed file
 * looks like inside), most of it attachment; a text message is one text. No line begins with a dot,
 * and nothing in it is what the patterns of tests/bench/patterns.py look for.
 *
 * Used by tests/tools/smtp_load.c, which sends them, and tests/tools/mail_floor.c, which scans the same bytes.
 */
#ifndef TESTS_LOAD_MESSAGES_H
#define TESTS_LOAD_MESSAGES_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define LOAD_VARIANTS 20	/* attachments that recur; templates of one load */
#define LOAD_SERIAL 16
#define LOAD_PLACES 5		/* Message-ID, Subject, text, HTML, attachment */
#define LOAD_IOV (2 * LOAD_PLACES + 1)

struct load_template {
	char *p;
	size_t n, size;
	size_t places[LOAD_PLACES];	/* where a serial is written; the last is the attachment's */
	int nplaces;
	bool mixed;
};

static inline uint64_t
load_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

__attribute__((format(printf, 2, 3)))
static inline void
load_add(struct load_template *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->p + t->n, t->size - t->n, fmt, ap);
	va_end(ap);
	if (t->n >= t->size) {
		fprintf(stderr, "load_messages: a message is too large for its buffer\n");
		exit(1);
	}
}

static inline void
load_serial_here(struct load_template *t)
{
	t->places[t->nplaces++] = t->n;
	load_add(t, "%.*s", LOAD_SERIAL, "SerialSerialSerial");
}

/* Words and now and then a number, in lines of about 72, until the message has `until` bytes. */
static inline void
load_text(struct load_template *t, size_t until, uint64_t *state, const char *before, const char *after)
{
	static const char *const words[] = { "the", "report", "of", "this", "week", "says", "that", "all", "is",
		"well", "and", "orders", "arrive", "on", "Monday", "with", "care", "please", "find", "enclosed",
		"minutes", "our", "meeting", "project", "confidential", "number", "patient", "invoice", "tomorrow",
		"signature", "hospital", "library", "copy", "answer", "question", "agreement", "between", "parties",
		"delivery", "colleagues", "schedule", "budget", "results", "from", "laboratory", "reference" };

	while (t->n < until) {
		size_t line = t->n;

		load_add(t, "%s", before);
		while (t->n - line < 64) {
			uint64_t r = load_random(state);

			if (r % 17 == 0)
				load_add(t, "%u ", (unsigned)(r >> 32) % 100000);
			else
				load_add(t, "%s ", words[(r >> 32) % (sizeof(words) / sizeof(words[0]))]);
		}
		load_add(t, "%s\r\n", after);
	}
}

static inline void
load_base64(struct load_template *t, size_t until, uint64_t *state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	load_serial_here(t);		/* four groups of four letters: still base64 */
	for (int column = LOAD_SERIAL; t->n < until; column = 0) {
		char line[77];
		int n = 0;

		while (column + n < 76)
			line[n++] = letters[load_random(state) >> 58];
		line[n] = '\0';
		load_add(t, "%s\r\n", line);
	}
}

static inline void
load_template_make(struct load_template *t, size_t size, bool mixed, unsigned variant, const char *from, const char *to)
{
	uint64_t state = 0x9e3779b97f4a7c15u * (variant + 1);
	size_t text = size < 16384 ? size / 4 : 4096, html = size < 16384 ? size / 4 : 12288;

	*t = (struct load_template){ .size = size + 4096, .mixed = mixed };
	t->p = malloc(t->size);
	if (t->p == NULL) {
		perror("load_messages");
		exit(1);
	}
	load_add(t, "From: Accounts <%s>\r\nTo: <%s>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <", from, to);
	load_serial_here(t);
	load_add(t, "@example.lab>\r\nSubject: report ");
	load_serial_here(t);
	load_add(t, "\r\nMIME-Version: 1.0\r\n");
	if (!mixed) {
		load_add(t, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
		load_serial_here(t);
		load_add(t, "\r\n");
		load_text(t, size - 5, &state, "", "");
		load_add(t, ".\r\n");
		return;
	}
	load_add(t, "Content-Type: multipart/mixed; boundary=\"=_outer\"\r\n\r\n--=_outer\r\n"
	    "Content-Type: multipart/alternative; boundary=\"=_inner\"\r\n\r\n--=_inner\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\nNumber ");
	load_serial_here(t);
	load_add(t, "\r\n");
	load_text(t, t->n + text - 300, &state, "", "");
	load_add(t, "\r\n--=_inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>report</title>"
	    "</head><body><h1>Number ");
	load_serial_here(t);
	load_add(t, "</h1>\r\n<p>See <a href=\"https://www.example.org/reports/%u\">the report</a>.</p>\r\n", variant);
	load_text(t, t->n + html - 500, &state, "<p style=\"margin:0\">", "</p>");
	load_add(t, "</body></html>\r\n\r\n--=_inner--\r\n\r\n--=_outer\r\n"
	    "Content-Type: application/octet-stream; name=\"data.bin\"\r\n"
	    "Content-Disposition: attachment; filename=\"data.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	load_base64(t, size > t->n + 100 ? size - 14 : t->n + 100, &state);
	load_add(t, "\r\n--=_outer--\r\n.\r\n");
}

static inline struct load_template *
load_templates_make(size_t size, bool mixed, const char *from, const char *to)
{
	struct load_template *t = calloc(LOAD_VARIANTS, sizeof(*t));

	if (t == NULL) {
		perror("load_messages");
		exit(1);
	}
	for (unsigned i = 0; i < LOAD_VARIANTS; i++)
		load_template_make(&t[i], size, mixed, i, from, to);
	return t;
}

/* 16 letters that no other number of this start has; `start` tells one run from the next. */
static inline void
load_serial(char out[LOAD_SERIAL], uint64_t start, uint64_t number)
{
	for (int i = 0; i < LOAD_SERIAL; i++) {
		uint64_t *from = i < 8 ? &start : &number;

		out[i] = (char)('A' + *from % 26);
		*from /= 26;
	}
}

/* Message `number` in pieces; `serial` must live until it is sent. The number of pieces. */
static inline int
load_message(const struct load_template *all, bool recur, uint64_t start, uint64_t number, char serial[LOAD_SERIAL],
    struct iovec iov[LOAD_IOV])
{
	const struct load_template *t = &all[number % LOAD_VARIANTS];
	int places = t->nplaces, n = 0;
	size_t at = 0;

	/* Each variant is of both sorts: 7 is prime to the number of variants. */
	if (recur && t->mixed && (number + number / LOAD_VARIANTS * 7) % 10 != 0)
		places--;
	load_serial(serial, start, number);
	for (int i = 0; i < places; i++) {
		iov[n++] = (struct iovec){ t->p + at, t->places[i] - at };
		iov[n++] = (struct iovec){ serial, LOAD_SERIAL };
		at = t->places[i] + LOAD_SERIAL;
	}
	iov[n++] = (struct iovec){ t->p + at, t->n - at };
	return n;
}

#endif
