/* store_reader.h -- the tool's own look into the database, beside a store that may run. */
#ifndef CLI_STORE_READER_H
#define CLI_STORE_READER_H

#include "store/db.h"

/* Opened as the database's owner, for what SQLite makes beside it would be root's and shut the store out. NULL: err. */
struct db *store_reader_open(const char *path, struct err *err);

#endif
