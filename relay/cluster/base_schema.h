/* base_schema.h -- the tables of the shared base, and the steps that bring an older one up. */
#ifndef CLUSTER_BASE_SCHEMA_H
#define CLUSTER_BASE_SCHEMA_H

#define BASE_SCHEMA_NEWER "PN001"	/* SQLSTATE of base_schema_sql: it was made by a newer Postern */
#define BASE_DAYS_AHEAD 3		/* partitions are made for so many days to come */

int base_schema_version(void);
/* One statement that makes all of it, whatever was there: a step or nothing. */
const char *base_schema_sql(void);

#endif
