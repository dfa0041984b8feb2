/* err.c -- see postern/err.h. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "postern/err.h"

static void
one_line(char *s)
{
	for (; *s; s++)
		if (*s == '\n' || *s == '\r')
			*s = ' ';
}

int
err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	one_line(err->text);
	return -1;
}

int
err_errno(struct err *err, const char *fmt, ...)
{
	int code = errno;
	size_t n;
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(code));
	err->code = code;
	one_line(err->text);
	return -1;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
	char was[sizeof(err->text)];
	size_t n;
	va_list ap;

	if (err == NULL)
		return -1;
	memcpy(was, err->text, sizeof(was));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", was);
	one_line(err->text);
	return -1;
}

void
assert_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
	abort();
}

void
memory_failed(void)
{
	fputs("out of memory\n", stderr);
	abort();
}
