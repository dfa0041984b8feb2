/* ask.c -- see ask.h. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/ask.h"

bool
password_ask(const char *prompt, char *to, size_t size)
{
	bool terminal = isatty(STDIN_FILENO) == 1;
	struct termios was, unseen;
	bool ok;

	if (terminal && tcgetattr(STDIN_FILENO, &was) == 0) {
		fputs(prompt, stderr);
		unseen = was;
		unseen.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
	}
	ok = fgets(to, (int)size, stdin) != NULL;
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	if (ok && strchr(to, '\n') == NULL && strlen(to) + 1 == size)
		return false;	/* longer than a password may be */
	to[ok ? strcspn(to, "\r\n") : 0] = '\0';
	return ok && to[0] != '\0';
}
