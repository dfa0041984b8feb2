/* cli_main.c -- `postern [-c FILE] [--json] COMMAND …`: the table, the options, the help.
 *
 * -c and --json may stand anywhere up to a `--`; all else belongs to the
 * command. A command that does not exist is answered with the nearest one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "id.h"

static int cmd_help(int argc, char **argv, const struct cli *cli);
static int cmd_version(int argc, char **argv, const struct cli *cli);

/* A file is judged, an id is looked up. */
static int
explain_either(int argc, char **argv, const struct cli *cli)
{
	uint64_t id;

	if (argc == 2 && id_parse(span_str(argv[1]), &id) && access(argv[1], F_OK) == -1)
		return cmd_explain_id(argv[1], cli);
	return cmd_explain(argc, argv, cli);
}

#define KEPT_USAGE(name) \
	name " list [SELECTOR] [--all] [--limit N]\n" \
	name " show ID [--raw]\n" \
	name " preview ID\n" \
	name " release SELECTOR [--yes] [--anyway]\n" \
	name " delete|confirm|request|rescan SELECTOR [--yes]\n" \
	name " reject SELECTOR [--text REASON] [--yes]\n" \
	"  SELECTOR: an id, all, or queue=NAME,from=WHO,to=WHO,older=2h,newer=7d\n" \
	"  (WHO: an address or a domain)"

const struct command commands[] = {
	{ "init", "a first configuration: a few questions, and a gateway that runs",
	    "init [--yes] [--dry-run] [--folder DIR] [--language en|fr] [--hostname NAME] [--domain NAME]...\n"
	    "     [--network ADDRESS|NETWORK]... [--mailboxes HOST[:PORT]]... [--address ADDRESS]...\n"
	    "     [--admin ADDRESS] [--listen ADDRESS:PORT] [--certificate FILE --key FILE] [--state DIR]\n"
	    "  asks what no option says; --yes takes what it finds. Nothing that exists is written over.\n"
	    "  --network: who may relay. --mailboxes: where mail from the Internet goes; without, none comes in.\n"
	    "  --state: run, spool and store in DIR instead of the system's folders", cmd_init },
	{ "import", "what a Postfix does, as configuration and policy",
	    "import postfix [FOLDER] [--to DIR] [--admin ADDRESS]\n"
	    "  reads FOLDER (/etc/postfix); writes postern.yaml, policy.d/60-postfix.yaml and NOT-TRANSLATED.txt into\n"
	    "  DIR, or prints them. Status 1 when anything is not translated", cmd_import },
	{ "backup", "configuration, policy, keys and store as one encrypted file",
	    "backup FILE [--passphrase-file FILE|--recipient FILE.pub]\n"
	    "backup key FILE\n"
	    "  asks for a passphrase unless one is given. key: makes FILE and FILE.pub; who has the second can make\n"
	    "  backups and read none. The queue is not in it: see postern drain, postern queue export", cmd_backup },
	{ "restore", "a backup onto a fresh machine",
	    "restore FILE [--check] [--force] [--passphrase-file FILE|--key FILE]\n"
	    "  --check: is it whole, what is in it. --force: what is there steps aside as NAME.before-restore", cmd_restore },
	{ "check", "validate configuration and policy, all errors at once",
	    "check [DIR|FILE]", cmd_check },
	{ "test", "run the tests written in the policy", "test [FILE...]", cmd_test },
	{ "directory", "the LDAP directories, and what they know of an address",
	    "directory [list]\ndirectory test NAME\ndirectory lookup NAME ADDRESS\n"
	    "directory flush NAME", cmd_directory },
	{ "explain", "why: the verdict on a message file, or on one that passed",
	    "explain FILE.eml [--direction D] [--client IP] [--from A] [--to B,C]\n"
	    "    [--member GROUP=ADDRESS]...\n"
	    "explain ID", explain_either },
	{ "auth", "who sent a message: what the verifier would say now",
	    "auth spf --ip ADDRESS [--helo NAME] [--from ADDRESS] [--engine strict|libspf2|both]\n"
	    "         [--dns IP:PORT] [-v]\n"
	    "auth dkim FILE [--dns IP:PORT]\n"
	    "auth dmarc --from ADDRESS [--spf RESULT:DOMAIN] [--dkim RESULT:DOMAIN]...\n"
	    "         [--discovery psl|tree-walk] [--sample N] [--dns IP:PORT] [-v]\n"
	    "  the first word is the result; -v shows each question to the DNS. Exit status 0 for\n"
	    "  `pass`. RESULT: is `pass:` unless given; --sample: 0 to 99, those below pct= count", cmd_auth },
	{ "bayes", "the classifier that learns spam and ham from decisions",
	    "bayes [status]\n"
	    "bayes train spam|ham FILE|FOLDER|ID... [--count] [--yes]\n"
	    "bayes forget FILE|FOLDER|ID... [--count] [--yes]\n"
	    "bayes forget --all [--yes]\n"
	    "bayes test FILE|FOLDER...\n"
	    "bayes export [FILE]\n"
	    "bayes import FILE [--yes]\n"
	    "  FILE: a message or an mbox; FOLDER: a Maildir, or any with messages in it;\n"
	    "  ID: of a message the store remembers", cmd_bayes },
	{ "policy", "the rules: how they do, and what became of them when",
	    "policy list\n"
	    "policy show RULE|DETECTOR   (detector:NAME where a rule has that name too)\n"
	    "policy backtest [DIR] [--last 7d] [--rule RULE] [--ids N]\n"
	    "policy promote RULE [--yes]\n"
	    "policy history\n"
	    "policy diff [A [B]]\n"
	    "  A, B: first digits of a policy's hash, or `folder`\n"
	    "policy schema [--tests]", cmd_policy },
	{ "diff", "what a changed policy would have done with past messages",
	    "diff [DIR] [--last 7d] [--ids N]", cmd_diff },
	{ "replay", "the verdict on a message once more, from its record",
	    "replay ID [DIR]", cmd_replay },
	{ "edm", "indexes of exact data: rows that must not leave, as keyed hashes",
	    "edm build SOURCE.csv|- INDEX.idx --column NAME=TYPE[:HEADER]... [--columns FILE.yaml]\n"
	    "    [--delimiter comma|semicolon|tab|'|'] [--encoding utf-8|windows-1252|latin-1]\n"
	    "    [--key FILE] [--strict]\n"
	    "edm rekey SOURCE.csv|- INDEX.idx ...\n"
	    "edm info INDEX.idx [--key FILE]\n"
	    "edm check INDEX.idx [COLUMN] [--key FILE]\n"
	    "edm key FILE\n"
	    "  TYPE: digits, code, nir, phone, name, date, date-mdy, email, text. The key stands beside\n"
	    "  the index (INDEX.key) and is made when there is none; rekey makes a new one. check reads\n"
	    "  values, or COLUMN=VALUE of one row, from its standard input", cmd_edm },
	{ "trace", "find messages: by id, address, domain, client or words",
	    "trace QUERY... [--limit N] [--before ID] [--events]\n"
	    "  all must hold: words anywhere, wor*, \"several words\", from:A|@DOMAIN, to:A|@DOMAIN, subject:W,\n"
	    "    file:W, client:W, ip:ADDRESS, rule:ID, reply:W, status:failed, id:ID, since:7d|2026-11-20,\n"
	    "    before:2026-11-22T14:30 (UTC)", cmd_trace },
	{ "tail", "the journal as it happens, until Ctrl-C", "tail", cmd_tail },
	{ "queue", "the queue, and the operator's hand on it",
	    "queue [--by site|sender|reason]\n"
	    "queue show SELECTOR [--limit N]\n"
	    "queue retry|hold|release SELECTOR [--yes]\n"
	    "queue fail SELECTOR [--silent] [--yes]\n"
	    "queue reroute SELECTOR HOST[:PORT]|default [--yes]\n"
	    "queue pause|resume SITE\n"
	    "queue export|import FILE|- [DIR]\n"
	    "  SELECTOR: an id, a site, a sender's address (@DOMAIN: all of it, <>: nobody), all, or\n"
	    "    conditions joined by commas: id=ID,from=A|@DOMAIN,to=A|@DOMAIN,site=SITE,older=2h,newer=7d,\n"
	    "    held,reason=CLASS or a part of the last reply. Of a message to many, an act with to=, site=\n"
	    "    or reason= touches only those recipients; a hold is of the whole message.\n"
	    "    CLASS: default, dns, connect, tls, greylisted, rate, mailbox_full\n"
	    "  export and import work beside a running posternd too", cmd_queue },
	{ "bundle", "one configuration for all nodes, as a signed file",
	    "bundle make [--key FILE] [--to NODE.pub]... [--serial N] -o FILE\n"
	    "bundle sign FILE --key FILE [-o FILE]\n"
	    "bundle check FILE [--trust FILE] [--without-secrets] [--force] [--brief]\n"
	    "bundle apply FILE [--trust FILE] [--without-secrets] [--force] [--brief]\n"
	    "bundle keygen [--node] [NAME]\n"
	    "  make takes what all nodes share; node.yaml and what it names stay. Keys are sealed for the\n"
	    "  nodes of --to, else left out. check says what would change; apply puts it in force or\n"
	    "  leaves all as it is. --force: also an older one. keygen: NAME.key and NAME.pub, to sign\n"
	    "  with; --node: keys/node.key, to open secrets with", cmd_bundle },
	{ "cluster", "the nodes: what each says of itself",
	    "cluster status [--here] [--ask [--via COMMAND]]\n"
	    "  of the others what the shared base was told last; --ask: they are asked themselves, over ssh\n"
	    "  (or COMMAND, with POSTERN_NODE and POSTERN_ADDRESS set). --here: this one alone.\n"
	    "  Status 1 when something is wrong with one of them", cmd_cluster },
	{ "drain", "hand the whole queue over to another node",
	    "drain --to NODE|ADDRESS [--via COMMAND]\n"
	    "drain HOST:PORT\n"
	    "drain off [--keep]\n"
	    "  --to: as it is, with holds, tries and expiry, over ssh (or COMMAND, whose input is taken by\n"
	    "  `postern --json queue import -` there); cut off, the same command goes on, and only that node\n"
	    "  can say what it has: off --keep delivers here what was offered, perhaps a second time.\n"
	    "  HOST:PORT: by SMTP; waits until it is empty; new mail goes there too. What the node refuses\n"
	    "  stays here, nothing is bounced for it. A restart ends a drain", cmd_drain },
	{ "spool", "the spool on the disk: what is broken in it, make it good",
	    "spool check [DIR]\n"
	    "spool repair [DIR]\n"
	    "spool adopt DIR [--force]\n"
	    "  of a stopped daemon, or a copy; a repair renames, it deletes nothing. adopt: the spool of a\n"
	    "  dead node goes into the queue here; no posternd starts on DIR before that has ended well", cmd_spool },
	{ "held", "messages that wait for somebody's decision", "held approve|deny ID --as ADDRESS [--text REASON]\n"
	    "held approve|deny --token TOKEN [--text REASON]\n" KEPT_USAGE("held"), cmd_held },
	{ "quarantine", "messages put in quarantine", KEPT_USAGE("quarantine"), cmd_quarantine },
	{ "digest", "the mails that tell users of their quarantine",
	    "digest send [ADDRESS]\n"
	    "digest preview ADDRESS\n"
	    "  send without ADDRESS: all of what is new, as at their hours", cmd_digest },
	{ "incidents", "what rules about content held or refused, and what it was",
	    "incidents [list] [--state open|closed|all] [--rule RULE] [--search TEXT] [--before NUMBER]\n"
	    "incidents show NUMBER\n"
	    "incidents reveal NUMBER --reason TEXT\n"
	    "incidents close NUMBER true|false|accepted|duplicate|other [--note TEXT]\n"
	    "incidents rules", cmd_incidents },
	{ "route", "where mail for an address would go", "route ADDRESS|DOMAIN [--from ADDRESS]", cmd_route },
	{ "send-test", "a real message, and what the other side said to it",
	    "send-test ADDRESS [--from ADDRESS] [--wait SECONDS]", cmd_send_test },
	{ "dkim", "signing keys: make, show, look up in the DNS, replace",
	    "dkim new DOMAIN SELECTOR [--ed25519]\n"
	    "dkim rotate DOMAIN [--now]\n"
	    "dkim show [DOMAIN]\n"
	    "dkim check [DOMAIN]", cmd_dkim },
	{ "dns", "what the DNS must say: the lines, a check, a letter",
	    "dns plan DOMAIN\n"
	    "dns check DOMAIN [--resolver ADDRESS]…\n"
	    "dns letter DOMAIN [--lang fr|en]", cmd_dns },
	{ "domain", "take on a domain, step by step",
	    "domain add DOMAIN [--deliver-to HOST[:PORT]]… [--recipients callout|any|file:LIST]\n"
	    "           [--backup-mx HOST]… [--bypass] [--no-dkim] [--write]\n"
	    "  --bypass: a backup that is not ours may stay; --write: puts the lines into postern.yaml", cmd_domain },
	{ "addresses", "from where this gateway delivers, for the firewalls of others",
	    "addresses [--inside] [--format text|json|cidr|postfix|nft]\n"
	    "  --inside: as our own servers see them", cmd_addresses },
	{ "snippet", "what an internal server needs, to talk to this gateway alone",
	    "snippet firewall [--forward]\n"
	    "snippet exchange|exchange2003|exchange55|domino|postfix\n"
	    "  --forward: for the firewall in front of the server, not for the server", cmd_snippet },
	{ "probe", "what a mail server says of itself; no mail is sent",
	    "probe HOST [PORT]", cmd_probe },
	{ "tlsrpt", "TLS with other servers, and the reports that tell them of it",
	    "tlsrpt [show] [DAY] [DOMAIN]\n"
	    "tlsrpt send [DAY] [DOMAIN]\n"
	    "  DAY: 2026-11-22, today, yesterday (UTC). Reports go by themselves once the day\n"
	    "  is over; what is sent of today is told again with the whole day", cmd_tlsrpt },
	{ "fingerprint", "documents whose passages a policy recognises: its index",
	    "fingerprint add DIR FILE... [--name NAME] [--ignore TEMPLATE]...\n"
	    "fingerprint list DIR\n"
	    "fingerprint remove DIR NAME...\n"
	    "fingerprint check DIR FILE...\n"
	    "  DIR: a folder, or dir:PATH as it stands in a policy. FILE: a document of any kind\n"
	    "    that mail is searched in, or a folder of them. What stands in a TEMPLATE (a\n"
	    "    letterhead, a disclaimer) counts for no document. check: what would be found in\n"
	    "    FILE; status 1 when anything is", cmd_fingerprint },
	{ "doctor", "looks at everything that keeps mail from arriving", "doctor [--outward]\n"
	    "  --outward: also connects to port 25 of a large provider (`doctor: {probe}`), says QUIT", cmd_doctor },
	{ "status", "one page: is all well, and what needs attention", "status", cmd_status },
	{ "recipients", "does an address of ours exist, and who says so",
	    "recipients test [--fresh] ADDRESS...\nrecipients forget ADDRESS|--all", cmd_recipients },
	{ "reputation", "what is known of a client: lists, limits, its last messages",
	    "reputation ADDRESS|DOMAIN [--forget]\n"
	    "  blocklists, our own experience and what it rests on, limits, its last messages; of a\n"
	    "  DOMAIN our own experience. --forget: what we counted of it. status 1 when it is on a\n"
	    "  blocklist, locked, or our own experience is bad (below 20)", cmd_reputation },
	{ "limits", "what the limits count now, and who is locked",
	    "limits [show]\nlimits locked\nlimits exempt\nlimits reset KEY", cmd_limits },
	{ "lists", "allow and block lists of senders: for all, a domain, a user",
	    "lists [list] [OWNER|all] [--allow|--block] [--requests] [--find TEXT] [--limit N]\n"
	    "lists add allow|block WHAT [--for ADDRESS|DOMAIN] [--expires 30d|DATE|--forever]\n"
	    "          [--reason TEXT] [--owner WHO] [--unauthenticated]\n"
	    "lists remove NUMBER...\n"
	    "lists check SENDER RECIPIENT [IP] [--from AUTHOR]\n"
	    "lists request allow|block WHAT [--for ADDRESS|DOMAIN] [--expires WHEN] [--reason TEXT]\n"
	    "lists approve NUMBER [--expires WHEN|--forever]\nlists deny NUMBER\n"
	    "lists import FILE\nlists export [OWNER|all]\n"
	    "  WHAT: an address, @domain (and those below it), a network; without --for: for all", cmd_lists },
	{ "audit", "who changed what, and whether that log is whole",
	    "audit list [WORD...] [--limit N] [--before NUMBER]\n"
	    "audit verify [--head NUMBER:HASH]\n"
	    "  status 1 when a row was changed or is missing. Each row's hash is in the log, the\n"
	    "  head's once an hour: --head finds out whether the latest rows were cut off", cmd_audit },
	{ "store", "the database of journal and kept messages: size, keys, copies",
	    "store status\nstore keys\nstore rekey\nstore check [FILE] [--quick]\nstore backup FILE|FOLDER [--anyway]\n"
	    "store restore FILE [--anyway]\n"
	    "  check looks at the database, or a copy: its structure, the audit log's chain, what is sealed, and whether\n"
	    "  what belongs together is there; --quick unseals nothing. backup copies it while Postern runs, restore\n"
	    "  puts a copy in its place while Postern is stopped, and keeps what was there; --anyway takes one that is not\n"
	    "  sound.\n"
	    "  contents and verdict records are sealed with a key outside the database (store_key).\n"
	    "  rekey adds a new one; an older line may leave the file once `store keys` needs it no more,\n"
	    "  but what the audit log has of its time is then no longer verified", cmd_store },
	{ "session", "transcripts of SMTP sessions, without credentials and bodies",
	    "session start [--client NETWORK] [--minutes 10]\nsession show\nsession stop",
	    cmd_session },
	{ "simulate", "the SMTP answers a client would get, without sending",
	    "simulate --client IP [--helo NAME] --from ADDRESS --to ADDRESS,... [--listener NAME]\n"
	    "         [--user NAME] [--tls] [--no-antivirus] [FILE.eml]", cmd_simulate },
	{ "batv", "tags on envelope senders, by which bounces are known",
	    "batv new FILE [--later]\nbatv tag ADDRESS\nbatv check ADDRESS\n"
	    "  new: makes the file, or adds a key that signs from the next reload on; --later: that\n"
	    "  only verifies, for other nodes to learn of it first. check: status 1 unless it is valid",
	    cmd_batv },
	{ "users", "accounts of the console; add and password ask for a password",
	    "users [list]\n"
	    "users add NAME --role R… [--domain D…] [--address A…] [--language en|fr] [--no-password]\n"
	    "users set NAME [--role R…] [--domain D…] [--address A…] [--language en|fr] [--disable|--enable]\n"
	    "users password NAME\nusers remove NAME\nusers totp NAME [--off]", cmd_users },
	{ "passwd", "a line for the file of users (auth.file); asks for the password",
	    "passwd USER", cmd_passwd },
	{ "reload", "read the configuration and policy anew", "reload", cmd_reload },
	{ "version", "print the version", "version", cmd_version },
	{ "help", "this list, or how a command is used", "help [COMMAND]", cmd_help },
	{ NULL, NULL, NULL, NULL },
};

const struct command *
command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void
put_usage(const struct command *c, FILE *to)
{
	const char *line = c->usage, *eol;
	const char *head = "usage: postern ";

	for (; line; line = eol ? eol + 1 : NULL) {
		int n;

		eol = strchr(line, '\n');
		n = eol ? (int)(eol - line) : (int)strlen(line);
		if (*line == ' ')	/* an explanation, not a form */
			fprintf(to, "     %.*s\n", n, line);
		else
			fprintf(to, "%s%.*s\n", head, n, line);
		head = "       postern ";
	}
}

int
command_usage(const char *name)
{
	put_usage(command_find(name), stderr);
	return CLI_USAGE;
}

static void
put_help(FILE *to)
{
	fputs("usage: postern [-c FILE] [--json] COMMAND ...\n\n", to);
	for (const struct command *c = commands; c->name; c++)
		fprintf(to, "  %-11s %s\n", c->name, c->help);
	fputs("\n  -c FILE     the configuration (" CLI_CONFIG_DEFAULT ")\n"
	    "  --json      answers as JSON, one object a line\n\n"
	    "`postern help COMMAND` says how one is used. Exit status: 0 fine, 1 findings,\n"
	    "2 wrong usage, 3 posternd does not answer.\n", to);
}

static int
unknown(const char *name)
{
	const char *names[64], *near;
	size_t n = 0;

	for (const struct command *c = commands; c->name && n < 63; c++)
		names[n++] = c->name;
	names[n] = NULL;
	near = conf_nearest(span_str(name), names);
	fprintf(stderr, "postern: there is no command `%s`", name);
	if (near)
		fprintf(stderr, "; did you mean `%s`?\n", near);
	else
		fputs("; `postern help` lists them\n", stderr);
	return CLI_USAGE;
}

static int
cmd_help(int argc, char **argv, const struct cli *cli)
{
	const struct command *c;

	if (argc < 2) {
		put_help(stdout);
		return CLI_OK;
	}
	if ((c = command_find(argv[1])) == NULL)
		return unknown(argv[1]);
	put_usage(c, stdout);
	printf("\n%s\n", c->help);
	return CLI_OK;
}

static int
cmd_version(int argc, char **argv, const struct cli *cli)
{
	if (cli->json)
		puts("{\"v\":1,\"version\":\"" POSTERN_VERSION "\"}");
	else
		puts("postern " POSTERN_VERSION);
	return CLI_OK;
}

/* Takes -c FILE and --json out of argv; -1: said on stderr. */
static int
options(int *argc, char **argv, struct cli *cli)
{
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (i < *argc)
				argv[n++] = argv[i++];
		} else if (strcmp(argv[i], "--json") == 0) {
			cli->json = true;
		} else if (strcmp(argv[i], "-c") == 0) {
			if (++i == *argc) {
				fputs("postern: -c wants a file\n", stderr);
				return -1;
			}
			cli->config_path = argv[i];
		} else {
			argv[n++] = argv[i];
		}
	}
	argv[n] = NULL;
	*argc = n;
	return 0;
}

int
cli_main(int argc, char **argv)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct cli cli = { .config_path = CLI_CONFIG_DEFAULT };
	const struct command *c;
	int status;

	if (options(&argc, argv, &cli) == -1)
		return CLI_USAGE;
	cli.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) &&
	    !(term && strcmp(term, "dumb") == 0);
	if (argc < 2) {
		put_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		put_help(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return cmd_version(1, argv + 1, &cli);
	if ((c = command_find(argv[1])) == NULL)
		return unknown(argv[1]);
	if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
		put_usage(c, stdout);
		return CLI_OK;
	}
	status = c->run(argc - 1, argv + 1, &cli);
	config_free(&cli.conf);
	if (fflush(stdout) != 0 && status == CLI_OK)
		status = CLI_FINDINGS;
	return status;
}
