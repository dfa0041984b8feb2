/* backup.h -- what is in a backup, for cmd_backup.c and cmd_restore.c.
 *
 * Within the vault (vault.h): a tar archive (pax, zstd) of
 *
 *	MANIFEST	lines "name value": format 1, postern, schema, made, host, folder
 *	etc/PATH	all of the folder of postern.yaml: configuration, policy, keys, lists, certificates
 *	abs/PATH	files that postern.yaml names outside it, at the same place again
 *	store.db	a copy of the database as it was at one moment
 *
 * The spool is not in it: its mail goes on being delivered, and would be delivered again from a copy.
 */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include "cli/cli.h"
#include "cli/vault.h"
#include "postern/arena.h"

#define BACKUP_FORMAT 1
#define BACKUP_DEPTH 16			/* folders in folders of the configuration */
#define BACKUP_FILES 100000

/* --passphrase-file FILE, --recipient or --key FILE, else a passphrase that is asked for, twice when `new`.
 * 0; -1: said on stderr. */
int backup_secret(struct arena *a, const char *passphrase_file, const char *key, bool new, struct vault_secret *out);

#endif
