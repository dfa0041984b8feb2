/* shipped.h -- the files of etc/ that are in the program: a table the Makefile makes (relay/cli/embed). */
#ifndef CLI_SHIPPED_H
#define CLI_SHIPPED_H

#include <stddef.h>

struct shipped_file {
	const char *path;	/* "policy.d/10-base.yaml", below etc/ */
	const char *bytes, *end;
};
extern const struct shipped_file shipped_files[];	/* path NULL behind the last */

#endif
