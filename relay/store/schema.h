/* schema.h -- the tables of the store's database, step by step. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

/* How many steps there are: the version of a database that is up to date. */
int schema_version(void);
/* The statements that bring version `from` to `from` + 1. Published steps never change; a new one
 * stands behind them. */
const char *schema_step(int from);

#endif
