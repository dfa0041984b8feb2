/* cmd_passwd.c -- `postern passwd USER`: a line for the file of users.
 *
 * The password is asked for on the terminal, twice and unseen, or is the first
 * line of the standard input. It is never an argument: those are everybody's
 * to read. The line goes to the standard output; nothing is written elsewhere.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authenticator/scrypt.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "receiver/smtp_auth.h"

#define SHORT 8

static bool
name_ok(const char *name)
{
	if (*name == '\0' || *name == '#' || *name == ' ' || strlen(name) > AUTH_TEXT_MAX)
		return false;
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == ':' || *name == 0x7f)
			return false;
	return true;
}

int
cmd_passwd(int argc, char **argv, const struct cli *cli)
{
	char password[AUTH_TEXT_MAX + 2] = "", again[AUTH_TEXT_MAX + 2] = "";
	struct buf b;
	struct err err;
	int status = CLI_FINDINGS;

	if (argc != 2 || argv[1][0] == '-')
		return command_usage("passwd");
	if (!name_ok(argv[1])) {
		fprintf(stderr, "postern: a name has 1 to %d bytes, no colon, no control character\n",
		    AUTH_TEXT_MAX);
		return CLI_USAGE;
	}
	buf_init(&b, 1024);
	if (!password_ask("Password: ", password, sizeof(password)))
		fprintf(stderr, "postern: no password, or one of more than %d bytes\n", AUTH_TEXT_MAX);
	else if (isatty(STDIN_FILENO) == 1 && (!password_ask("Once more: ", again, sizeof(again)) ||
	    strcmp(password, again) != 0))
		fputs("postern: these are not the same\n", stderr);
	else if (scrypt_make(span_str(password), &b, &err) == -1)
		fprintf(stderr, "postern: %s\n", err.text);
	else {
		if (strlen(password) < SHORT)
			fprintf(stderr, "postern: a password of less than %d characters\n", SHORT);
		printf("%s:%.*s\n", argv[1], SPAN_ARG(buf_data(&b)));
		status = CLI_OK;
	}
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(again, sizeof(again));
	buf_release(&b);
	return status;
}
