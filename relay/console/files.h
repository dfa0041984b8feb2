/* files.h -- the pages in the program: a table that the Makefile makes of relay/console/pages/. */
#ifndef CONSOLE_FILES_H
#define CONSOLE_FILES_H

#include <stddef.h>

struct console_file {
	const char *path;	/* "/app.js" */
	const char *bytes, *end;
};
extern const struct console_file console_files[];	/* sorted by path */
extern const size_t nconsole_files;

#endif
