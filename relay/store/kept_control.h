/* kept_control.h -- what people ask of kept messages, as far as they may: see kept_control.c. */
#ifndef STORE_KEPT_CONTROL_H
#define STORE_KEPT_CONTROL_H

#include "store/asked.h"
#include "store/kept_view.h"

/* verb: what stands behind "kept.", "held." or "quarantine."; false: no such verb. */
bool kept_command(struct asked *q, struct span verb);

/* {"v":1,"error":text,"code":code} */
void say_coded(struct asked *q, const char *code, const char *text);
/* {"v":1,"kid","ok":false,"error","code"} and the audit's line for what was refused. */
void say_refused(struct asked *q, int64_t kid, const char *code, const char *text);
/* A refused access, written down. */
void audit_refused(struct asked *q, const char *what, struct span subject);
/* Loads what the request names and lets nothing through that may not be: 1, 0 said why not. */
int kept_asked(struct asked *q, int64_t kid, enum kept_right right, struct kept *k, bool *mine,
    size_t *n);
bool kept_kid(struct span text, int64_t *kid);
struct span kept_reason(struct asked *q);		/* "reason", else "text": one line */

/* kept_look.c: what a scanner has to look at; the answer comes later. */
void kept_preview(struct asked *q, const struct kept *k, const bool *mine);
void kept_rescan(struct asked *q, const int64_t *kids, size_t n);

#endif
