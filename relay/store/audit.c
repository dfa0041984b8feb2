/* audit.c -- who changed what; see audit.h. */
#include "store/audit.h"

int
audit_put(struct db *d, struct span who, const char *what, struct span subject,
    struct span detail, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO audit(time, who, what, subject, detail)"
	    " VALUES(?,?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, now);
	db_text_always(st, 2, who);
	db_text_always(st, 3, span_str(what));
	db_text_always(st, 4, subject);
	db_text_always(st, 5, detail);
	return db_run(d, st, err);
}
