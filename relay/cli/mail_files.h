/* mail_files.h -- messages in files, mboxes and folders, one after the other. */
#ifndef CLI_MAIL_FILES_H
#define CLI_MAIL_FILES_H

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

#define MAIL_FILE_MAX ((size_t)64 << 20)	/* of one message; larger ones are told and left out */

/* name: the file, and behind it #N in an mbox. content lives until the call returns. -1 ends the walk. */
typedef int mail_file(void *ctx, const char *name, struct span content, struct arena *a);
typedef void mail_complaint(void *ctx, const char *name, const char *why);

/* A message; an mbox (its first line begins "From "); or a folder: all files in it and below, of a
 * Maildir those in cur and new. What cannot be read is told, and the walk goes on. -1: a call said so. */
int mail_files_walk(const char *path, mail_file *take, mail_complaint *complain, void *ctx);

#endif
