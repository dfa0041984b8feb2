/* inspect.h -- a kept message, looked at again for those who decide about it. */
#ifndef SCANNER_INSPECT_H
#define SCANNER_INSPECT_H

#include "ipc/messages_inspect.h"
#include "scanner/scan.h"

#define PREVIEW_TEXT_MAX ((size_t)16 << 10)	/* of all text parts together */
#define PREVIEW_HEADERS 60
#define PREVIEW_VALUE_MAX ((size_t)1000)	/* of one header field, one file name */
#define PREVIEW_PARTS 200
#define EVIDENCE_FINDINGS 50
#define EVIDENCE_VALUE_MAX ((size_t)200)

/* Cannot fail: what cannot be judged is INSPECT_FAILED. Everything lives in the arena and in raw. */
void inspect_message(const struct judge *j, enum inspect_what what, const struct envelope *env,
    struct span raw, struct arena *a, struct msg_inspected *out);

#endif
