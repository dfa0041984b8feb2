/* log.h -- one event, one line: "postern/receiver[812]: 4T0q7x1mZz2: text".
 *
 * Untrusted bytes are safe in any argument: control characters, DEL and
 * bytes that are not UTF-8 are written as \xNN, so that no line can be forged.
 * Only the programs log; libraries (base, policy) return errors.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "postern/err.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* to: "stderr", "journal" (journald's /dev/log socket) or "file:PATH" (opened
 * for appending; reopened by log_reopen). Without a call: text on stderr. */
int log_open(const char *to, enum log_format format, struct err *err);
void log_ident(const char *role);	/* "receiver"; kept by pointer */
void log_level(enum log_level max);
int log_fd(void);			/* the descriptor in use, for sandboxes and exec */

/* id 0: no id in the line. */
void log_msg(enum log_level level, uint64_t id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_msg(LOG_LVL_ERROR, 0, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_LVL_WARN, 0, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LVL_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LVL_DEBUG, 0, __VA_ARGS__)

#endif
