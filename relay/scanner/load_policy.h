/* load_policy.h -- the policy folder of a configuration, read and compiled. */
#ifndef SCANNER_LOAD_POLICY_H
#define SCANNER_LOAD_POLICY_H

#include "conf.h"
#include "master/config.h"
#include "postern/policy.h"
#include "scanner/archive.h"

#define POLICY_FILE_MAX (4u << 20)	/* a policy file */
#define POLICY_LIST_MAX (64u << 20)	/* a list it refers to */
#define POLICY_FILES_MAX 1000

/* Reads all *.yaml of a folder, in name order (tests/ is not looked into), and compiles them.
 * dir_shown is put before file names in errors. conf gives networks and our own domains; may be
 * NULL. Everything lives in the arena, which must outlive the policy. NULL: the reasons are in d. */
struct policy *policy_load_dir(const char *dir, const char *dir_shown, const struct config *conf,
    bool limits_only, struct arena *a, struct diags *d);
/* policy_load_dir for conf->policy_dir, and what it read: for an archive. */
struct policy *policy_load_parts(const struct config *conf, struct arena *a, struct diags *d,
    struct policy_parts *parts);
/* A single file as a whole policy; what it refers to lies beside it. */
struct policy *policy_load_file(const char *path, const struct config *conf, struct arena *a,
    struct diags *d);
/* policy_load_dir for conf->policy_dir. */
struct policy *policy_load_conf(const struct config *conf, bool limits_only, struct arena *a,
    struct diags *d);

/* Texts in the place of files of the folder: a policy as it would be. */
struct policy_overlay {
	struct overlay_file {
		struct span name;	/* relative to the policy's folder */
		struct span text;
		bool gone;		/* as if it were not there */
	} *files;
	size_t n;
};
/* policy_load_conf as it would be with those. A key of an index that may not be read by the caller is no
 * error: such a detector finds nothing, and says undecided. */
struct policy *policy_load_overlay(const struct config *conf, const struct policy_overlay *over,
    struct arena *a, struct diags *d);

/* A folder whose files are read by relative path, and nothing outside it. */
struct policy_folder {
	int fd;
	struct arena *arena;	/* texts lie here */
	struct policy_parts *parts;	/* each list that is read is noted here; NULL: nowhere */
	const struct policy_overlay *over;	/* NULL: none */
	const char *templates;	/* a second place for templates/, behind the folder's own; NULL: none */
	const char *within;	/* of the overlay's names: this folder's own, as "tests/"; NULL: the policy's */
};
int policy_folder_open(struct policy_folder *f, const char *dir, struct arena *a, struct err *err);
void policy_folder_close(struct policy_folder *f);
/* As policy_env.read_file wants it; ctx: struct policy_folder. */
int policy_folder_read(void *ctx, struct span path, struct span *text, struct err *err);
/* All files with that ending, in name order; what cannot be read is an error in d. */
bool policy_folder_sources(struct policy_folder *f, const char *shown, const char *ending,
    struct diags *d, struct policy_source **files, size_t *nfiles);

#endif
