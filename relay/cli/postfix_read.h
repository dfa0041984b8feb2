/* postfix_read.h -- Postfix's files as they are written: main.cf, master.cf, lookup tables as text, tables of
 * patterns (postconf(5), master(5), postmap(1), access(5), regexp_table(5), pcre_table(5)).
 *
 * Pure: text in, tables in an arena out. Nothing here knows what a parameter means, and nothing is
 * lost: a line that is not understood is an item with `bad` set.
 */
#ifndef CLI_POSTFIX_READ_H
#define CLI_POSTFIX_READ_H

#include <stdint.h>

#include "postern/arena.h"

#define PF_FILE_MAX (8u << 20)
#define PF_ITEMS_MAX 200000	/* lines of one file; more are refused */
#define PF_VALUE_MAX 65536	/* bytes of an expanded value */
#define PF_NAMES_MAX 8		/* header names before one pattern */

struct pf_param {
	struct span name, value;	/* value as written, continuation lines joined */
	uint32_t line;
	bool used;			/* of the importer's */
	bool bad;			/* no `name = value`: name is the line */
};
struct pf_params {
	struct pf_param *v;
	size_t n;
};
/* A name that stands twice: the last one counts, as in Postfix, in the place of the first. -1: too many lines. */
int pf_main_cf(struct arena *a, struct span text, struct pf_params *out);
struct pf_param *pf_find(const struct pf_params *p, const char *name);
/* $name, ${name}, ${name?x}, ${name:x}, ${name?{x}:{y}} replaced; what is not set is empty; false: deeper than 16
 * or longer than PF_VALUE_MAX. */
bool pf_expand(struct arena *a, const struct pf_params *p, struct span value, struct span *out);

struct pf_service {
	struct span name, type, command, args;	/* "smtp", "inet", "smtpd", "-o a=b" */
	uint32_t line;
	bool bad;
};
int pf_master_cf(struct arena *a, struct span text, struct pf_service **out, size_t *n);

struct pf_entry {		/* a line of a hash:, texthash:, cidr: table's source */
	struct span key, value;
	uint32_t line;
	bool bad;		/* a key without a value */
};
int pf_table(struct arena *a, struct span text, struct pf_entry **out, size_t *n);

struct pf_rule {		/* a line of a regexp: or pcre: table */
	enum { PF_MATCH, PF_IF, PF_ENDIF, PF_BAD } kind;
	bool negate;
	struct span whole;	/* the line */
	struct span pattern, flags, verb, text;	/* "REJECT", "no such mail" */
	uint32_t line;
};
int pf_rules(struct arena *a, struct span text, struct pf_rule **out, size_t *n);

/* "^Subject:.*x" into the names of headers and what follows. An alternative each; false: it does not begin
 * with names of headers, or reads otherwise. rest empty: the header's presence is enough. */
struct pf_header {
	struct span names[PF_NAMES_MAX];
	size_t nnames;
	struct span rest;
	bool anchored;		/* rest stands at the value's beginning */
};
bool pf_header_pattern(struct arena *a, struct span pattern, struct pf_header *out);
/* The alternatives of a pattern at its outermost level; 0: more than max, or brackets that do not close. */
size_t pf_alternatives(struct span pattern, struct span *out, size_t max);
/* Extensions asked for of a file's name: "\.(exe|bat)" behind a `name`; 0: none are recognised. */
size_t pf_extensions(struct arena *a, struct span pattern, struct span *out, size_t max);

/* Next of a list: commas and blanks between. */
bool pf_word(struct span *list, struct span *word);

#endif
