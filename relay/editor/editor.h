/* editor.h -- what the role's parent and its children share.
 *
 * The parent takes requests and forks a child for each; the child reads the policy, answers
 * on the client's socket, and ends. What it must ask of other roles it asks through the
 * parent, which lets a few commands through and no other.
 */
#ifndef EDITOR_EDITOR_H
#define EDITOR_EDITOR_H

#include "ipc/json_read.h"
#include "ipc/principal.h"
#include "master/config.h"

#define EDITOR_FILES 200		/* of one request */
#define EDITOR_NAME_MAX 128
#define EDITOR_FILE_MAX ((size_t)1 << 20)	/* edited in the console */
#define EDITOR_LISTED 2000		/* files of a folder that are shown */
#define EDITOR_ASK_MAX (64u << 10)	/* what a child may ask of others, one request */

struct job {
	const struct config *conf;
	const struct jval *req;
	const struct principal *who;
	struct span as;			/* for whom the child asks, JSON */
	int up;				/* to the parent: a request and the descriptor for its answer */
};

struct editor_command {
	const char *name;
	unsigned roles;			/* PRINCIPAL_BIT */
	bool writes;			/* one at a time, and may reload */
	int (*run)(struct job *j);	/* in the child, with stdout as the answer: an exit status */
};
/* NULL: there is none of that name. */
const struct editor_command *editor_command(struct span name);

/* Is it one of a policy's files that may be edited: NAME.yaml, tests/NAME.test.yaml, FOLDER/NAME.txt? */
bool editor_name_good(struct span name);

/* folder.c: the files of the policy's folder, in the order of their names. */
struct policy_file {
	char *name;
	struct span text;
};
int editor_folder_read(const char *dir, struct arena *a, struct policy_file **files, size_t *n,
    struct err *err);
/* SHA-256 over names and texts, as hexadecimal digits: what an edit was based on. */
void editor_folder_hash(const struct policy_file *files, size_t n, char out[65]);
/* Puts the text in the place of the file in one step, for good; text.p NULL: removes it. What was there is
 * in *was (p NULL: nothing). */
int editor_folder_write(const char *dir, struct span name, struct span text, struct arena *a,
    struct span *was, struct err *err);

#endif
