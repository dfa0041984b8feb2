/* log.h -- one event, one line: "postern/receiver[812]: 4T0q7x1mZz2: text".
 *
 * Untrusted bytes are safe in any argument: control characters, DEL and
 * bytes that are not UTF-8 are written as \xNN, so that no line can be forged.
 * A line has at most 8 KiB; a longer text ends in "... [cut]".
 * Only the programs log; libraries (base, policy) return errors.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/err.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };
/* POSTFIX: as TEXT, but under the names Postfix's programs have, so that pflogsumm counts:
 * "postern/smtpd[812]: 4T0q7x1mZz2: text". JSON: fields of the Elastic Common Schema. */
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_POSTFIX };

/* to: "stderr", "journal" (journald's /dev/log socket; stderr when it cannot be opened),
 * "file:PATH" (opened for appending), or "fd:N": the log_fd() of a
 * parent, whatever it was; it is ours then. Opened before is closed; on an error it stays. Without a call: text on stderr.
 * Call before the sandbox; afterwards only write and clock_gettime are needed. */
int log_open(const char *to, enum log_format format, struct err *err);
void log_ident(const char *role);	/* "receiver"; kept by pointer */
void log_level(enum log_level max);	/* LOG_LVL_INFO until said otherwise */
bool log_postfix(void);		/* LOG_FORMAT_POSTFIX: some steps have lines of their own there */
int log_fd(void);			/* the descriptor in use, for sandboxes and exec (it is
					 * close-on-exec unless it is stderr) */

/* id 0: no id in the line. */
void log_msg(enum log_level level, uint64_t id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As log_msg, under the name of another role: who writes it is not who it is about. */
void log_msg_as(const char *role, enum log_level level, uint64_t id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* One INFO line of those that come with every message. After log_batch() it may wait for log_flush(), or for
 * the next line that is no such one; `wake` is told when the first begins to wait. */
void log_later(uint64_t id, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_batch(void (*wake)(void));
void log_flush(void);

#define log_error(...) log_msg(LOG_LVL_ERROR, 0, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_LVL_WARN, 0, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LVL_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LVL_DEBUG, 0, __VA_ARGS__)

#endif
