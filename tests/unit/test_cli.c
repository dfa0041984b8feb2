/* test_cli.c -- the tool: its table, options, exit statuses, and what people see of answers
 * that a daemon of a few lines gives. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/commands.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"
#include "ipc/json_read.h"

#define MAX_OUTPUT (1u << 20)

static char dir[64], conf[96], sock[96], asked[96];
static char out[MAX_OUTPUT], err[MAX_OUTPUT], requests[MAX_OUTPUT];
static pid_t daemon_pid;

/* ---- a folder with postern.yaml ---- */

static void
put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
setup(void **state)
{
	char yaml[1024];

	snprintf(dir, sizeof(dir), "/tmp/postern-test-cli-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(conf, sizeof(conf), "%s/postern.yaml", dir);
	snprintf(sock, sizeof(sock), "%s/control.sock", dir);
	snprintf(asked, sizeof(asked), "%s/asked", dir);
	snprintf(yaml, sizeof(yaml), "version: 1\nhostname: gw1.example.org\nrun: %s\n"
	    "spool: %s/spool\nstore: sqlite:%s/store.db\npolicy: policy.d\n"
	    "networks: {internal: [127.0.0.1]}\nlisteners:\n  - {name: a, address: \"127.0.0.1:8025\","
	    " direction: outbound, allow: [network:internal]}\nantivirus: {engine: off}\n", dir, dir, dir);
	put_file(conf, yaml);
	setenv("TZ", "UTC0", 1);
	unsetenv("NO_COLOR");
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int
teardown(void **state)
{
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGKILL);
		waitpid(daemon_pid, NULL, 0);
	}
	daemon_pid = 0;
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* ---- the daemon: an answer for each beginning of a request ---- */

struct reply {
	const char *begins, *answer;	/* answer NULL: cut off in the middle of a line */
};

static void
serve(int lfd, const struct reply *replies)
{
	for (;;) {
		int fd = accept(lfd, NULL, NULL), log;
		char line[4096];
		ssize_t n = 0, r;
		const struct reply *p;

		while (n < (ssize_t)sizeof(line) - 1 && !memchr(line, '\n', (size_t)n) &&
		    (r = read(fd, line + n, sizeof(line) - 1 - (size_t)n)) > 0)
			n += r;
		line[n] = '\0';
		log = open(asked, O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (write(log, line, (size_t)n) != n)
			_exit(1);
		close(log);
		for (p = replies; p->begins && strncmp(line, p->begins, strlen(p->begins)) != 0; p++)
			;
		if (p->begins == NULL)
			dprintf(fd, "{\"v\":1,\"error\":\"nobody answers this command now\"}\n");
		else
			dprintf(fd, "%s", p->answer ? p->answer : "{\"v\":1,");
		close(fd);
	}
}

static void
daemon_up(const struct reply *replies)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", sock);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 8), 0);
	daemon_pid = fork();
	if (daemon_pid == 0)
		serve(fd, replies);
	close(fd);
}

/* ---- the tool, with what it prints ---- */

static void
read_back(int fd, char *to)
{
	ssize_t n = pread(fd, to, MAX_OUTPUT - 1, 0);

	to[n > 0 ? n : 0] = '\0';
	close(fd);
}

static int
temp(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	return fd;
}

/* words: NULL-terminated, without the program's name. */
static int
run(char *const *words)
{
	char *argv[20] = { (char *)(uintptr_t)"postern" };
	int argc = 1, status, fds[2] = { temp(), temp() }, saved[2] = { dup(1), dup(2) }, fd;

	while (words[argc - 1] && argc < 19) {
		argv[argc] = words[argc - 1];
		argc++;
	}
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++)
		dup2(fds[i], i + 1);
	status = cli_main(argc, argv);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	read_back(fds[0], out);
	read_back(fds[1], err);
	requests[0] = '\0';
	if ((fd = open(asked, O_RDONLY)) != -1)
		read_back(fd, requests);
	unlink(asked);
	return status;
}

#define RUN(...) run((char *const []){ __VA_ARGS__, NULL })
#define W(s) ((char *)(uintptr_t)(s))
/* With the configuration of the test. */
#define POSTERN(...) RUN(W("-c"), conf, __VA_ARGS__)

static void
has(const char *where, const char *what)
{
	if (!strstr(where, what))
		fail_msg("\"%s\" is not in:\n%s", what, where);
}

static void
has_not(const char *where, const char *what)
{
	if (strstr(where, what))
		fail_msg("\"%s\" is in:\n%s", what, where);
}

/* ---- the table ---- */

static void
every_command_is_whole(void **state)
{
	for (const struct command *c = commands; c->name; c++) {
		assert_non_null(c->run);
		assert_true(strlen(c->help) > 5 && strlen(c->help) < 66);
		assert_ptr_equal(command_find(c->name), c);
		/* Each form begins with the command's name; explanations are indented. */
		for (const char *l = c->usage; l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL)
			assert_true(*l == ' ' || strncmp(l, c->name, strlen(c->name)) == 0);
	}
	assert_null(command_find("frobnicate"));
}

static void
help(void **state)
{
	assert_int_equal(RUN(W("help")), CLI_OK);
	for (const struct command *c = commands; c->name; c++)
		has(out, c->help);
	assert_int_equal(RUN(W("--help")), CLI_OK);
	has(out, "usage: postern");
	assert_int_equal(RUN(W("help"), W("queue")), CLI_OK);
	has(out, "usage: postern queue [--by site|sender|reason]");
	has(out, "       postern queue pause|resume SITE");
	assert_int_equal(RUN(W("queue"), W("--help")), CLI_OK);
	has(out, "usage: postern queue");
	assert_int_equal(run((char *const []){ NULL }), CLI_USAGE);
	has(err, "usage: postern");
	assert_int_equal(RUN(W("--version")), CLI_OK);
	has(out, "postern 0.");
	assert_int_equal(RUN(W("version"), W("--json")), CLI_OK);
	has(out, "{\"v\":1,\"version\":\"");
}

static void
slips(void **state)
{
	assert_int_equal(RUN(W("quarentine"), W("list")), CLI_USAGE);
	has(err, "did you mean `quarantine`?");
	assert_int_equal(RUN(W("xyzzyplugh")), CLI_USAGE);
	has(err, "`postern help` lists them");
	assert_int_equal(RUN(W("help"), W("traec")), CLI_USAGE);
	has(err, "did you mean `trace`?");
	assert_int_equal(RUN(W("-c")), CLI_USAGE);
	has(err, "-c wants a file");
	assert_int_equal(RUN(W("trace")), CLI_USAGE);
	has(err, "usage: postern trace QUERY");
	assert_int_equal(RUN(W("trace"), W("a"), W("--limit"), W("x")), CLI_USAGE);
	assert_int_equal(RUN(W("queue"), W("--by"), W("colour")), CLI_USAGE);
	assert_int_equal(RUN(W("queue"), W("--by")), CLI_USAGE);
	assert_int_equal(RUN(W("queue"), W("retry")), CLI_USAGE);
	assert_int_equal(RUN(W("queue"), W("burn"), W("all")), CLI_USAGE);
	assert_int_equal(RUN(W("queue"), W("pause")), CLI_USAGE);
	assert_int_equal(RUN(W("held"), W("show")), CLI_USAGE);
	assert_int_equal(RUN(W("held"), W("show"), W("tooshort")), CLI_USAGE);
	has(err, "is no message id");
	assert_int_equal(RUN(W("held"), W("release"), W("all"), W("--text"), W("x")), CLI_USAGE);
	assert_int_equal(RUN(W("route")), CLI_USAGE);
	assert_int_equal(RUN(W("status"), W("now")), CLI_USAGE);
	assert_int_equal(RUN(W("tail"), W("x")), CLI_USAGE);
	assert_int_equal(RUN(W("limits"), W("reset")), CLI_USAGE);
}

static void
nobody_there(void **state)
{
	char *const commands_to_try[][4] = { { W("status") }, { W("queue") }, { W("trace"), W("x") },
		{ W("held") }, { W("reload") }, { W("route"), W("a@b.example") }, { W("limits") },
		{ W("explain"), W("4T0q7x1mZz2") }, { W("held"), W("release"), W("4T0q7x1mZz2") },
		{ W("held"), W("release"), W("all") }, { W("tail") } };

	for (size_t i = 0; i < sizeof(commands_to_try) / sizeof(commands_to_try[0]); i++) {
		char *const *c = commands_to_try[i];

		assert_int_equal(POSTERN(c[0], c[1], c[2]), CLI_UNREACHABLE);
		has(err, "posternd is not running");
		has(err, sock);
		assert_string_equal(out, "");
	}
	assert_int_equal(RUN(W("-c"), W("/nowhere/postern.yaml"), W("status")), CLI_FINDINGS);
	has(err, "/nowhere/postern.yaml");
}

/* ---- the journal ---- */

#define MESSAGE "{\"v\":1,\"id\":\"4T0q7x1mZz2\",\"parent\":null,\"time\":1795344099000000," \
	"\"direction\":\"outbound\",\"client\":\"10.1.2.3\",\"client_name\":\"exch1\"," \
	"\"sender\":\"m.durand@example.org\",\"subject\":\"a\\u001b[31mb\",\"size\":48211," \
	"\"recipients\":[{\"address\":\"a@example.net\",\"status\":\"sent\"," \
	"\"relay\":\"mx1.example.net[203.0.113.9]:25\",\"reply\":\"250 2.0.0 OK\\u0007 \\u202ex\"," \
	"\"time\":1795344100000000,\"attempts\":2}],\"events\":[{\"seq\":1," \
	"\"time\":1795344099000000,\"kind\":\"released\",\"rcpt\":\"\",\"by\":\"uid 0\"}]}\n"

static const struct reply journal[] = {
	{ "{\"cmd\":\"trace\",\"q\":\"a@example.net\"", MESSAGE
	    "{\"v\":1,\"found\":1,\"more\":true,\"next\":\"4T0q7x1mZz2\",\"partial\":false}\n" },
	{ "{\"cmd\":\"trace\",\"q\":\"broken\"", NULL },
	{ "{\"cmd\":\"trace\",\"q\":\"junk\"", "hello\n" },
	{ "{\"cmd\":\"trace\",\"q\":\"bad\"", "{\"v\":1,\"error\":\"it \\u001b[2J failed\"}\n" },
	{ "{\"cmd\":\"trace\"", "{\"v\":1,\"found\":0,\"more\":false,\"partial\":false}\n" },
	{ "{\"cmd\":\"tail\"}", "{\"v\":1,\"seq\":9,\"time\":1795344099000000,"
	    "\"id\":\"4T0q7x1mZz2\",\"kind\":\"sent\",\"rcpt\":\"a@example.net\","
	    "\"reply\":\"250 \\r\\nfake line\"}\n" },
	{ "{\"cmd\":\"explain\",\"id\":\"4T0q7x1mZz2\"}", "{\"v\":1,\"policy\":\"7c1e\",\"recipients\":"
	    "[{\"address\":\"x@w.example\",\"outcome\":\"hold\",\"rules\":[\"r1\",\"r2\"]}],"
	    "\"findings\":[{\"detector\":\"fr-nir\",\"confidence\":\"high\",\"count\":3,"
	    "\"distinct\":2,\"part\":\"2\",\"where\":\"attachment\",\"name\":\"a.docx\","
	    "\"offsets\":[[1204,1219]],\"masked\":[\"\xe2\x80\xa2\xe2\x80\xa2 46\"]}],"
	    "\"parts\":[],\"defects\":[\"boundary-duplicate\"]}\n" },
	{ NULL, NULL },
};

static void
traces(void **state)
{
	daemon_up(journal);
	assert_int_equal(POSTERN(W("trace"), W("a@example.net")), CLI_OK);
	has(requests, "{\"cmd\":\"trace\",\"q\":\"a@example.net\",\"limit\":20}\n");
	has(out, "4T0q7x1mZz2  2026-11-22");
	has(out, "outbound  48.2 kB");
	has(out, "<m.durand@example.org> by exch1[10.1.2.3]");
	has(out, "a\\x1b[31mb");
	has(out, "mx1.example.net[203.0.113.9]:25: 250 2.0.0 OK\\x07 \\u{202e}x");
	has(out, "there are older ones: --before 4T0q7x1mZz2\n");
	has_not(out, "\033");
	has_not(out, "released");
	assert_int_equal(POSTERN(W("trace"), W("a@example.net"), W("--events"), W("--limit"), W("3")),
	    CLI_OK);
	has(requests, "\"limit\":3}");
	has(out, "released");
	has(out, "by root");
	/* JSON goes through as it came, wherever the option stands. */
	assert_int_equal(POSTERN(W("trace"), W("--json"), W("a@example.net")), CLI_OK);
	assert_string_equal(out, journal[0].answer);
	assert_int_equal(POSTERN(W("trace"), W("no one")), CLI_FINDINGS);
	has(out, "nothing in the journal about no one");
	assert_int_equal(POSTERN(W("--json"), W("trace"), W("no one")), CLI_OK);
}

static void
answers_that_are_none(void **state)
{
	daemon_up(journal);
	assert_int_equal(POSTERN(W("trace"), W("broken")), CLI_UNREACHABLE);
	has(err, "broke off");
	assert_int_equal(POSTERN(W("trace"), W("junk")), CLI_FINDINGS);
	has(err, "no JSON");
	assert_int_equal(POSTERN(W("trace"), W("bad")), CLI_FINDINGS);
	has(err, "it \\x1b[2J failed");
	has_not(err, "\033");
	assert_int_equal(POSTERN(W("trace"), W("bad"), W("--json")), CLI_FINDINGS);
	has(out, "\"error\":");
	assert_int_equal(POSTERN(W("queue")), CLI_FINDINGS);
	has(err, "nobody answers");
}

static void
follows(void **state)
{
	daemon_up(journal);
	assert_int_equal(POSTERN(W("tail")), CLI_OK);
	has(out, "4T0q7x1mZz2  sent        to=<a@example.net> 250 \\x0d\\x0afake line\n");
}

static void
explains_by_id(void **state)
{
	daemon_up(journal);
	assert_int_equal(POSTERN(W("explain"), W("4T0q7x1mZz2")), CLI_OK);
	has(out, "policy 7c1e\nx@w.example: hold\n    because of r1, r2\n");
	has(out, "  fr-nir: high, 3 found, 2 different, in the attachment, part 2 (a.docx)\n"
	    "    at 1204-1219: \xe2\x80\xa2\xe2\x80\xa2 46\n");
	has(out, "defects: boundary-duplicate\n");
	assert_int_equal(POSTERN(W("explain"), W("4T0q7x1mZz3")), CLI_FINDINGS);
}

/* ---- kept messages ---- */

static const struct reply kept[] = {
	{ "{\"cmd\":\"held.list\"", "{\"v\":1,\"id\":\"4T0q7x1mZz2\",\"state\":\"waiting\",\"queue\":"
	    "\"dpo\",\"sender\":\"\",\"recipients\":[\"a@b.example\",\"c@d.example\"],\"size\":305,"
	    "\"subject\":\"x\\ny\",\"time\":1795344099000000}\n{\"v\":1,\"found\":1,\"total\":7}\n" },
	{ "{\"cmd\":\"quarantine.list\"", "{\"v\":1,\"found\":0,\"total\":0}\n" },
	{ "{\"cmd\":\"held.show\",\"id\":\"4T0q7x1mZz2\",\"raw\":true}",
	    "{\"v\":1,\"raw\":\"AAEC\"}\n{\"v\":1,\"raw\":\"/w==\"}\n{\"v\":1,\"raw\":\"DQo=\"}\n" },
	{ "{\"cmd\":\"held.show\"", "{\"v\":1,\"id\":\"4T0q7x1mZz2\",\"state\":\"waiting\","
	    "\"recipients\":[\"a@b.example\"]}\n{\"v\":1,\"header\":\"Subject: x\\r\\n\\ty\\u001b\"}\n" },
	{ "{\"cmd\":\"held.release\",\"selector\":\"all\",\"count\":true}", "{\"v\":1,\"count\":3}\n" },
	{ "{\"cmd\":\"held.release\",\"selector\":\"queue=none\",\"count\":true}",
	    "{\"v\":1,\"count\":0}\n" },
	{ "{\"cmd\":\"held.release\",\"selector\":\"from=a\",\"count\":true}",
	    "{\"v\":1,\"error\":\"`from` what\"}\n" },
	{ "{\"cmd\":\"held.release\"", "{\"v\":1,\"id\":\"4T0q7x1mZz2\",\"state\":\"released\","
	    "\"new_id\":\"4T0q7x1mZz9\"}\n{\"v\":1,\"id\":\"4T0q7x1mZz3\",\"error\":\"no\"}\n"
	    "{\"v\":1,\"done\":1,\"failed\":1}\n" },
	{ "{\"cmd\":\"held.reject\"", "{\"v\":1,\"id\":\"4T0q7x1mZz2\",\"state\":\"rejected\"}\n"
	    "{\"v\":1,\"done\":1,\"failed\":0}\n" },
	{ NULL, NULL },
};

static void
lists_kept(void **state)
{
	daemon_up(kept);
	assert_int_equal(POSTERN(W("held"), W("list"), W("queue=dpo")), CLI_OK);
	has(requests, "{\"cmd\":\"held.list\",\"selector\":\"queue=dpo\",\"all\":false,\"limit\":1000}");
	has(out, "a@b.example +1  305 B");
	has(out, "x\\x0ay");
	has(out, "7 in all");
	assert_int_equal(POSTERN(W("held")), CLI_OK);
	assert_int_equal(POSTERN(W("quarantine")), CLI_OK);
	assert_string_equal(out, "nothing\n");
	assert_int_equal(POSTERN(W("held"), W("show"), W("4T0q7x1mZz2")), CLI_OK);
	has(out, "  | Subject: x\n  |     y\\x1b\n");
	assert_int_equal(POSTERN(W("held"), W("show"), W("4T0q7x1mZz2"), W("--raw")), CLI_OK);
	assert_memory_equal(out, "\0\1\2\xff\r\n", 7);
}

/* Nothing happens to many without --yes, and the count stands first. */
static void
acts_ask_first(void **state)
{
	daemon_up(kept);
	assert_int_equal(POSTERN(W("held"), W("release"), W("all")), CLI_FINDINGS);
	has(err, "3 messages to release\nnothing done: say --yes");
	assert_string_equal(requests,
	    "{\"cmd\":\"held.release\",\"selector\":\"all\",\"count\":true}\n");
	assert_int_equal(POSTERN(W("held"), W("release"), W("all"), W("--yes")), CLI_FINDINGS);
	has(requests, "{\"cmd\":\"held.release\",\"selector\":\"all\"}\n");
	has(out, "4T0q7x1mZz2: released, now 4T0q7x1mZz9\n4T0q7x1mZz3: no\n1 released, others not");
	assert_int_equal(POSTERN(W("held"), W("release"), W("queue=none"), W("--yes")), CLI_OK);
	has(err, "0 messages to release");
	assert_null(strstr(requests, "}\n{"));
	assert_int_equal(POSTERN(W("held"), W("release"), W("from=a"), W("--yes")), CLI_FINDINGS);
	has(err, "`from` what");
	assert_null(strstr(requests, "}\n{"));
	/* One by its id: at once. */
	assert_int_equal(POSTERN(W("held"), W("reject"), W("4T0q7x1mZz2"), W("--text"), W("no \"x\"")),
	    CLI_OK);
	assert_string_equal(requests, "{\"cmd\":\"held.reject\",\"selector\":\"4T0q7x1mZz2\","
	    "\"text\":\"no \\\"x\\\"\"}\n");
}

/* ---- queue, status ---- */

#define PROCESS(role, state) "{\"role\":\"" role "\",\"worker\":false,\"pid\":7,\"instance\":1," \
	"\"generation\":1,\"state\":\"" state "\",\"seconds\":99}"
#define STATUS(store, restarts) "{\"v\":1,\"version\":\"0.1.0\",\"pid\":1,\"state\":\"running\"," \
	"\"uptime\":7380,\"config\":\"/etc/x\",\"hostname\":\"gw1.example.org\",\"listeners\":[" \
	"{\"name\":\"a\",\"address\":\"127.0.0.1\",\"port\":8025}],\"processes\":[" \
	PROCESS("receiver", "ready") "," PROCESS("scanner", "ready") "," PROCESS("signer", "ready") "," \
	PROCESS("queue", "ready") "," PROCESS("delivery", "ready") "," PROCESS("store", store) "]," \
	"\"counters\":{\"messages_received\":5,\"role_restarts\":" restarts "}}\n"
#define SUMMARY(held) "{\"v\":1,\"messages\":2,\"held\":0,\"active\":1,\"sites\":1,\"oldest\":null," \
	"\"refusing\":false,\"store\":true,\"deliveries\":1,\"spool\":{\"free_bytes\":9000000000}}\n"

static const struct reply well[] = {
	{ "{\"cmd\":\"status\"}", STATUS("ready", "0") },
	{ "{\"cmd\":\"queue.summary\"}", SUMMARY() },
	{ "{\"cmd\":\"journal.stats\"}", "{\"v\":1,\"hours\":24,\"recipients\":{\"sent\":4,\"held\":1},"
	    "\"held\":0,\"quarantined\":0}\n" },
	{ "{\"cmd\":\"queue.list\",\"by\":\"site\"}", "{\"v\":1,\"site\":\"example.net\",\"messages\":12,"
	    "\"deferred\":11,\"active\":1,\"failures\":3,\"last\":\"connect\",\"paused\":true}\n" },
	{ "{\"cmd\":\"queue.list\"", "{\"v\":1,\"reason\":\"450 later\\u001b\",\"messages\":3,"
	    "\"bytes\":1200,\"oldest\":1795344099.5}\n" },
	{ "{\"cmd\":\"queue.show\"", "{\"v\":1,\"id\":\"4T0q7x1mZz2\",\"sender\":\"\",\"size\":9,"
	    "\"received\":1795344099.5,\"held\":false,\"legs\":[{\"kind\":\"deliver\",\"site\":"
	    "\"example.net\",\"state\":\"deferred\",\"why\":\"waits for its next try\",\"attempts\":2,"
	    "\"recipients\":[{\"address\":\"a@example.net\",\"status\":\"pending\",\"reply\":\"450 no\","
	    "\"relay\":\"mx[203.0.113.9]:25\"}]}]}\n" },
	{ "{\"cmd\":\"queue.fail\",\"selector\":\"example.net\",\"silent\":true,\"count\":true}",
	    "{\"v\":1,\"act\":\"fail\",\"matched\":4,\"done\":0}\n" },
	{ "{\"cmd\":\"queue.fail\",\"selector\":\"example.net\",\"silent\":true}",
	    "{\"v\":1,\"act\":\"fail\",\"matched\":4,\"done\":4}\n" },
	{ "{\"cmd\":\"queue.pause\",\"site\":\"example.net\"}",
	    "{\"v\":1,\"site\":\"example.net\",\"paused\":true}\n" },
	{ "{\"cmd\":\"route\",\"address\":\"a@x.example\"}", "{\"v\":1,\"address\":\"a@x.example\","
	    "\"domain\":\"x.example\",\"ok\":false,\"status\":\"bounced\",\"dsn\":\"5.1.2\","
	    "\"error\":\"no such domain\"}\n" },
	{ "{\"cmd\":\"route\"", "{\"v\":1,\"domain\":\"example.net\",\"ok\":true,\"kind\":\"mx\","
	    "\"targets\":[{\"preference\":10,\"host\":\"mx1\",\"address\":\"203.0.113.9\",\"port\":25}],"
	    "\"tls\":{\"floor\":\"opportunistic\"},\"limits\":{\"connections\":20}}\n" },
	{ "{\"cmd\":\"limits.show\"}", "{\"v\":1,\"limit\":\"per-sender\",\"key\":\"m@example.org\","
	    "\"unit\":\"recipients\",\"used\":3,\"allow\":300,\"window\":3600,\"free_at\":0}\n" },
	{ "{\"cmd\":\"limits.reset\"", "{\"v\":1,\"reset\":false}\n" },
	{ "{\"cmd\":\"reload\"}", "{\"v\":1,\"ok\":false,\"error\":\"x.yaml:1\\n  bad\"}\n" },
	{ NULL, NULL },
};

static void
status_when_all_is_well(void **state)
{
	struct jval *v;

	daemon_up(well);
	assert_int_equal(POSTERN(W("status")), CLI_OK);
	has(out, "Postern 0.1.0 on gw1.example.org: running, up 2h 3m");
	has(out, "nothing needs attention");
	has(out, "5 accepted");
	has(out, "4 sent, 1 held");
	has(out, "2 messages for 1 sites");
	has(out, "a on 127.0.0.1 port 8025");
	assert_int_equal(POSTERN(W("status"), W("--json")), CLI_OK);
	v = jval_parse(span_str(out), NULL);
	assert_non_null(v);
	assert_int_equal(jval_count(jval_get(v, "processes")), 6);
	assert_int_equal(jval_int(jval_get(v, "queue"), "messages", 0), 2);
	assert_int_equal(jval_int(jval_get(v, "journal"), "hours", 0), 24);
	assert_int_equal(jval_count(jval_get(v, "attention")), 0);
	jval_free(&v);
}

/* The store does not come up, and the queue does not answer. */
static void
status_when_it_is_not(void **state)
{
	static const struct reply ill[] = { { "{\"cmd\":\"status\"}", STATUS("starting", "3") },
		{ NULL, NULL } };
	struct jval *v;

	daemon_up(ill);
	assert_int_equal(POSTERN(W("status")), CLI_FINDINGS);
	has(out, "running, but not well");
	has(out, "! no store is ready");
	has(out, "! store[7] has been starting for 99s");
	has(out, "! the queue does not answer");
	has(out, "! the store does not answer");
	has(out, "- 3 times a process died");
	assert_null(strstr(out, "verifier"));	/* nobody wants one */
	assert_int_equal(POSTERN(W("status"), W("--json")), CLI_FINDINGS);
	v = jval_parse(span_str(out), NULL);
	assert_true(jval_has(v, "attention"));
	assert_false(jval_has(v, "queue"));
	jval_free(&v);
}

#define INBOUND(processes) "{\"v\":1,\"state\":\"running\",\"inbound\":true,\"processes\":[" processes "]," \
	"\"counters\":{\"inbound_verified\":9,\"inbound_unverified\":1,\"inbound_dmarc_failed\":2," \
	"\"inbound_unrated\":3,\"recipients_asked\":4,\"recipients_remembered\":5," \
	"\"recipients_unverified\":6,\"recipients_greylisted\":7}}\n"

/* Mail may come from the world, and nobody is there to look into it. */
static void
status_of_the_way_in(void **state)
{
	static const struct reply without[] = { { "{\"cmd\":\"status\"}",
		INBOUND(PROCESS("verifier", "starting")) }, { NULL, NULL } };

	daemon_up(without);
	assert_int_equal(POSTERN(W("status")), CLI_FINDINGS);
	has(out, "! no verifier is ready: the log says why");
	has(out, "- 3 messages are not rated");
	has(out, "from the world: 9 looked into, 1 of them late or without DNS, 2 failed DMARC, 3 not rated\n");
	has(out, "do they exist: 4 recipients asked about, 5 remembered, 6 unsure; 7 greylisted\n");
}

static void
status_with_a_verifier(void **state)
{
	static const struct reply with[] = { { "{\"cmd\":\"status\"}",
		INBOUND(PROCESS("verifier", "ready")) }, { NULL, NULL } };

	daemon_up(with);
	assert_int_equal(POSTERN(W("status")), CLI_FINDINGS);	/* of the others there is none */
	has(out, "! no scanner is ready");
	assert_null(strstr(out, "no verifier"));
}

static void
queues(void **state)
{
	daemon_up(well);
	assert_int_equal(POSTERN(W("queue")), CLI_OK);
	has(out, "example.net  paused by an operator, failed 3 times (connect)");
	assert_int_equal(POSTERN(W("queue"), W("--by"), W("reason")), CLI_OK);
	has(out, "450 later\\x1b");
	assert_int_equal(POSTERN(W("queue"), W("show"), W("all")), CLI_OK);
	has(out, "example.net: waits for its next try; tried 2 times");
	has(out, "mx[203.0.113.9]:25 said: 450 no");
	assert_int_equal(POSTERN(W("queue"), W("fail"), W("example.net"), W("--silent")), CLI_FINDINGS);
	has(err, "4 messages to fail\nnothing done");
	assert_int_equal(POSTERN(W("queue"), W("fail"), W("example.net"), W("--silent"), W("--yes")),
	    CLI_OK);
	has(out, "4 given up");
	assert_int_equal(POSTERN(W("queue"), W("pause"), W("example.net")), CLI_OK);
	has(out, "example.net: paused");
}

static void
the_rest(void **state)
{
	daemon_up(well);
	assert_int_equal(POSTERN(W("route"), W("a@example.net")), CLI_OK);
	has(out, "example.net: by its MX");
	has(out, "10  mx1   203.0.113.9    25");
	assert_int_equal(POSTERN(W("route"), W("a@x.example")), CLI_FINDINGS);
	has(out, "mail would be bounced: 5.1.2 no such domain");
	assert_int_equal(POSTERN(W("limits")), CLI_OK);
	has(out, "m@example.org  3 of 300 recipients");
	assert_int_equal(POSTERN(W("limits"), W("reset"), W("x")), CLI_FINDINGS);
	has(out, "nothing is counted");
	assert_int_equal(POSTERN(W("reload")), CLI_FINDINGS);
	has(err, "x.yaml:1\n  bad\nnot reloaded");
}

/* ---- pages ---- */

static void
page(const char *in, size_t n, const char *want)
{
	struct buf b;

	buf_init(&b, 4096);
	page_text(&b, span_make(in, n));
	buf_putc(&b, '\0');
	assert_string_equal(buf_data(&b).p, want);
	buf_release(&b);
}

static void
nothing_moves_the_cursor(void **state)
{
	page("plain \xc3\xa9t\xc3\xa9", 11, "plain \xc3\xa9t\xc3\xa9");
	page("a\0b", 3, "a\\x00b");
	page("\x1b]0;t\x07", 6, "\\x1b]0;t\\x07");
	page("\xc2\x9b" "31m", 5, "\\u{9b}31m");
	page("\xe2\x80\xae", 3, "\\u{202e}");
	page("\xff\xc3", 2, "\\xff\\xc3");
	page("\x7f\t", 2, "\\x7f\\x09");
	page("\xe2\x80\xa8", 3, "\\u{2028}");
}

static void
times_and_sizes(void **state)
{
	int64_t now = INT64_C(1795344099) * US_PER_SEC;	/* 2026-11-22 10:41:39 UTC */
	struct buf b;

	setenv("TZ", "UTC0", 1);
	buf_init(&b, 4096);
	page_time(&b, now - 60 * US_PER_SEC, now);
	buf_putc(&b, '|');
	page_time(&b, now - 2 * 86400 * US_PER_SEC, now);
	buf_putc(&b, '|');
	page_time(&b, now - 400 * 86400 * US_PER_SEC, now);
	buf_putc(&b, '|');
	page_time(&b, 0, now);
	buf_putc(&b, '|');
	page_age(&b, 59 * US_PER_SEC);
	buf_putc(&b, '|');
	page_age(&b, 130 * 60 * US_PER_SEC);
	buf_putc(&b, '|');
	page_age(&b, 5 * 86400 * US_PER_SEC);
	buf_putc(&b, '|');
	page_size(&b, 999);
	buf_putc(&b, '|');
	page_size(&b, 48211);
	buf_putc(&b, '\0');
	assert_string_equal(buf_data(&b).p,
	    "10:40:39|20 Nov 10:41|2025-10-18|-|59s|2h 10m|5d|999 B|48.2 kB");
	buf_release(&b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_command_is_whole), T(help), T(slips), T(nobody_there), T(traces),
		T(answers_that_are_none), T(follows), T(explains_by_id), T(lists_kept),
		T(acts_ask_first), T(status_when_all_is_well), T(status_when_it_is_not),
		T(status_of_the_way_in), T(status_with_a_verifier), T(queues),
		T(the_rest), T(nothing_moves_the_cursor), T(times_and_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
