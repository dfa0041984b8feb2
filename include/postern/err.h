/* err.h -- what a function that fails for the world's reasons says to its caller.
 *
 * Three kinds of failure are never mixed: a bug is an always-on ASSERT; a
 * hostile message is data (a defect, a reply); a failing world is -1 and the
 * caller's struct err. Results are written only on success. Libraries never log.
 */
#ifndef POSTERN_ERR_H
#define POSTERN_ERR_H

#include <stdio.h>
#include <stdlib.h>

struct err {
	int code;		/* an errno value, or 0 */
	char text[1024];	/* one line, NUL-terminated */
};

/* All three return -1, so that `return err_set(...)` reads well. err may be NULL. */
int err_set(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int err_errno(struct err *err, const char *fmt, ...)	/* appends ": " strerror(errno) */
    __attribute__((format(printf, 2, 3)));
int err_wrap(struct err *err, const char *fmt, ...)	/* puts "text: " in front */
    __attribute__((format(printf, 2, 3)));

/* Always on: a broken invariant ends the process, which is restarted. */
#define ASSERT(cond) \
	((cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))
/* Memory that could not be had ends the process too, but is no bug: it has a limit. */
#define ASSERT_MEMORY(p) ((p) != NULL ? (void)0 : memory_failed())
_Noreturn void memory_failed(void);
_Noreturn void assert_failed(const char *cond, const char *file, int line);

#endif
