/* schema.h -- the tables of the store's database, step by step. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

/* The statements that bring version `from` to `from` + 1. Published steps never change. */
const char *schema_step(int from);

#endif
