/* config_keys.h -- the keys of postern.yaml as its manual page shows them; see config_keys.c. */
#ifndef DOCS_CONFIG_KEYS_H
#define DOCS_CONFIG_KEYS_H

struct config_key {
	const char *section;	/* its path: "listeners[].limits"; "" at the top */
	const char *name;
	const char *value;	/* what may stand there */
	const char *deflt;	/* NULL: none */
	const char *help;
};

extern const struct config_key config_keys[];	/* name NULL behind the last; a section's keys stand together */

#endif
