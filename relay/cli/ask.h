/* ask.h -- asks for a password: on the terminal, unseen, or the first line of the standard input. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>

/* false: none, or one longer than size - 2 bytes. The prompt goes to stderr. */
bool password_ask(const char *prompt, char *to, size_t size);

#endif
