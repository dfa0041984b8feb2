/* child.h -- what the editor's child offers its commands. */
#ifndef EDITOR_CHILD_H
#define EDITOR_CHILD_H

#include "editor/editor.h"

/* {"v":1,"error":text,"code":code} on stdout; 1. */
int editor_say_error(const char *code, const char *text);
/* As struct cli's `ask`; ctx: struct job. */
int editor_ask(void *ctx, struct span request);
/* The child: answers on fd, and ends. */
_Noreturn void editor_child(const struct editor_command *c, struct job *job, int fd);

#endif
