/* identity_line.h -- who sent it, in a line, as the log has it: "identity: spf=pass, dkim=none, …". */
#ifndef CLI_IDENTITY_LINE_H
#define CLI_IDENTITY_LINE_H

#include "buf.h"
#include "ipc/json_read.h"
#include "postern/facts.h"

/* identity: the member of that name in a verdict's record, or of a line of `trace`. Nothing when
 * nobody looked into it. */
void identity_put(struct buf *o, const struct jval *identity);
void identity_put_facts(struct buf *o, const struct facts *f);

#endif
