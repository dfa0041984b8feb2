/* postfix_import.h -- what the files of `postern import postfix` share.
 *
 * Nothing is dropped in silence: what has no counterpart, and what has one that differs, is an item of
 * `left` with its file, line and reason.
 */
#ifndef CLI_POSTFIX_IMPORT_H
#define CLI_POSTFIX_IMPORT_H

#include "buf.h"
#include "cli/cli.h"
#include "cli/postfix_read.h"

enum pf_left_kind {
	PF_LOST,	/* what it did is not done: people must look */
	PF_DIFFERS,	/* done, and not quite the same */
	PF_NOTHING,	/* of Postfix alone: there is nothing to be done */
};
struct pf_left {
	enum pf_left_kind kind;
	const char *file;	/* "main.cf" */
	uint32_t line;
	struct span what;
	const char *why;
};

struct pf_import {
	const struct cli *cli;
	struct arena *a;
	const char *folder, *admin;
	struct pf_params main;
	struct pf_service *services;
	size_t nservices;
	struct buf yaml, rules, limits, recipients;
	struct pf_left *left;
	size_t nleft, lost;
	const char *ldap_filter;	/* a directory `postfix` stands in yaml, asked by this; NULL: it does not */
	bool uses_internal, uses_hold;	/* of the policy: the network, the group */
	size_t nrules;
};

void pf_leave(struct pf_import *im, enum pf_left_kind kind, const char *file, uint32_t line, struct span what,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The expanded value, and it counts as translated; empty: not set. p may be NULL. */
struct span pf_take(struct pf_import *im, const char *name, struct pf_param **p);
/* "hash:/etc/postfix/x" as a file: its type, its name for people, its text. false: it is left. */
struct pf_source {
	struct span type;
	const char *name, *path;
	struct span text;
};
bool pf_open(struct pf_import *im, struct pf_param *p, struct span map, struct pf_source *out);
const char *pf_path(struct pf_import *im, struct span file);	/* below the folder that is read */
bool pf_is_pattern(const struct pf_source *s);		/* regexp:, pcre: */

/* UTF-8 that a line of YAML can hold; what was none is `?`, and said. */
struct span pf_clean(struct pf_import *im, const char *file, struct span text);
/* Of clean text of one line: "…" and '…' of YAML. */
char *pf_quote(struct arena *a, struct span s);
char *pf_single(struct arena *a, struct span s);

/* postfix_yaml.c */
void pf_write_yaml(struct pf_import *im);
/* postfix_ldap.c: the table ldap:NAME as a `directory` in im->yaml; false: it is left, with its reason */
bool pf_ldap(struct pf_import *im, struct pf_param *p, struct span whole, struct span name);
/* postfix_checks.c: header_checks and their kind, into im->rules */
void pf_write_checks(struct pf_import *im);
/* The `then` of an action, as YAML; NULL: it has none, *why. header: for IGNORE; may be empty. */
const char *pf_action(struct pf_import *im, const char *file, uint32_t line, struct span verb, struct span text,
    struct span header, const char **why);
/* A rule's head: comment with its source, and its id. */
void pf_rule_begin(struct pf_import *im, const char *file, uint32_t line, struct span source, const char *suffix);
/* postfix_access.c: restrictions, access maps, TLS policy, copies, rates */
void pf_write_access(struct pf_import *im);
/* postfix_left.c: what nobody has taken, with its reason */
void pf_sweep(struct pf_import *im);

#endif
