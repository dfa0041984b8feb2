/* conf.h -- YAML into a tree where every node knows its file, line and column.
 *
 * Read through libyaml's event interface. Refused with a clear text: anchors,
 * aliases, tags and `<<` ("use groups:"), several documents, a key given
 * twice, nesting beyond 32, files above 4 MiB. Types come from the schema,
 * not from the scalar: every scalar is text here, and the accessors below turn
 * it into what the schema asks. Errors are collected, all of them, and
 * printed as in docs (file:line:column, source line, caret, did-you-mean).
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdint.h>

#include "buf.h"
#include "postern/arena.h"
#include "postern/err.h"

enum conf_kind { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf_file {
	const char *name;	/* as shown: "policy.d/50-health.yaml" */
	struct span text;	/* the whole source, kept for the caret lines */
	const uint32_t *lines;	/* offset of each line, or NULL: found by counting */
	size_t nlines;
};

struct conf_node {
	enum conf_kind kind;
	bool quoted;		/* scalar stood in quotes or as a block */
	const struct conf_file *file;
	uint32_t line, column;	/* 1-based, of the value */
	uint32_t width;		/* columns the caret covers; at least 1 */
	/* within a map: the key */
	struct span key;
	uint32_t key_line, key_column, key_width;
	struct span text;	/* CONF_SCALAR: value, UTF-8, NUL behind it */
	struct conf_node *first;	/* children in order */
	struct conf_node *next;
	size_t count;		/* children */
};

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_level level;
	const struct conf_file *file;	/* NULL: no place */
	uint32_t line, column, width;
	const char *text;		/* "unknown key `recipient` in `when`" */
	const char *hint;		/* beside the caret, or NULL: "did you mean `to`?" */
	struct diag *next;
};

struct diags {
	struct arena *arena;	/* everything lives here */
	struct diag *first, **tail;
	size_t errors, warnings;
};
#define DIAGS_MAX 200		/* kept; more are counted */

/* d must not move afterwards: tail points into it. */
void diags_init(struct diags *d, struct arena *a);
/* At the node's value / at its key / at no node (node NULL). The texts are copied. */
void diag_at(struct diags *d, enum diag_level level, const struct conf_node *node,
    const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void diag_key(struct diags *d, enum diag_level level, const struct conf_node *node,
    const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* At a place of the caller's own: a line of a list file, the offset inside a pattern. */
void diag_place(struct diags *d, enum diag_level level, const struct conf_file *file,
    uint32_t line, uint32_t column, uint32_t width, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 8, 9)));
/* Source line, 1-based, without its end; empty when there is none. */
struct span conf_line(const struct conf_file *file, uint32_t line);
/* As people read them; sorted by file and line. trailer (may be NULL) stands as "   = trailer"
 * behind each error. colour: ANSI. */
void diags_print(const struct diags *d, struct buf *out, const char *trailer, bool colour);

/* NULL when the file is not YAML of the kind above; the reasons are in d. A key given twice is an
 * error that leaves a tree (the first one counts), so that others are found too. An empty file is an
 * empty map. The tree lives in d->arena; text must stay. */
struct conf_node *conf_parse(const char *name, struct span text, struct diags *d);

/* over on top of base, which is changed; see conf_merge.c. Errors go to d. */
void conf_merge(struct diags *d, struct conf_node *base, struct conf_node *over);

/* Look-ups. conf_get on something that is no map: NULL. */
struct conf_node *conf_get(const struct conf_node *map, const char *key);
#define CONF_EACH(child, parent) \
	for (struct conf_node *child = (parent) ? (parent)->first : NULL; child; child = child->next)

/* Nearest of the NULL-terminated names (optimal string alignment distance), or NULL when none is near. */
const char *conf_nearest(struct span word, const char *const *names);
/* An error for each key that is not among known; with did-you-mean. where: the word shown, "when". */
void conf_check_keys(struct diags *d, const struct conf_node *map, const char *where,
    const char *const *known);
/* Each says what was expected when the node is something else, and returns false.
 * n NULL (the key is absent): false, nothing said; whether it is required is the caller's
 * to say. A key without a value is an error. what: "an address", "a list of rules". */
bool conf_want(struct diags *d, const struct conf_node *n, enum conf_kind kind, const char *what);
bool conf_text(struct diags *d, const struct conf_node *n, const char *what, struct span *out);
bool conf_bool(struct diags *d, const struct conf_node *n, bool *out);	/* true/false, yes/no, on/off */
bool conf_uint(struct diags *d, const struct conf_node *n, uint64_t min, uint64_t max, uint64_t *out);
bool conf_size(struct diags *d, const struct conf_node *n, uint64_t *bytes);	/* 20MB 20MiB 512 */
/* 30s 5m 1h 2d 1w, 1h30m, 500ms, 0 */
bool conf_duration(struct diags *d, const struct conf_node *n, int64_t *us);
bool conf_enum(struct diags *d, const struct conf_node *n, const char *const *names, int *index);

/* The same grammars on bare text; false when it is none. */
bool parse_size(struct span text, uint64_t *bytes);
bool parse_duration(struct span text, int64_t *us);
bool parse_uint(struct span text, uint64_t max, uint64_t *out);

#endif
