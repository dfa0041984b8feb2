/* cmd_send_test.c -- `postern send-test ADDRESS`: a real message by the real way, and what the other side said.
 *
 * It goes in by a listener like any other: policy, signature, spool and
 * delivery are those of every message. Then the journal is asked until it
 * knows the outcome. Nothing is hidden: relay, TLS proof and reply are shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/diag_out.h"
#include "cli/page.h"
#include "clock.h"

#define PATIENCE_S 60		/* for the outcome, unless --wait says otherwise */
#define TALK_S 30		/* for each reply of the listener */
#define ASK_EVERY_MS 200

struct test {
	const struct cli *cli;
	const struct config *conf;
	struct arena *a;
	const char *to, *from;
	int seconds;
	int fd;
	char reply[2048];		/* the last one, its lines joined */
	char id[16];
	/* the outcome */
	bool known, sent;
	struct buf out;
};

/* One reply; its code, or -1. */
static int
hear(struct test *t)
{
	size_t n = 0, line = 0;

	for (;;) {
		char c;

		if (n == sizeof(t->reply) - 1 || recv(t->fd, &c, 1, 0) != 1)
			return -1;
		t->reply[n++] = c;
		if (c != '\n')
			continue;
		t->reply[n] = '\0';
		if (n - line >= 4 && t->reply[line + 3] != '-')
			break;
		line = n;
	}
	while (n && (t->reply[n - 1] == '\n' || t->reply[n - 1] == '\r'))
		t->reply[--n] = '\0';
	return atoi(t->reply + line);
}

static int
command(struct test *t, const char *text)
{
	size_t n = strlen(text);

	if (send(t->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
		return -1;
	return hear(t);
}

static const struct conf_listener *
way_in(const struct config *conf)
{
	for (size_t i = 0; i < conf->nlisteners; i++)
		if (conf->listeners[i].direction != LISTEN_INBOUND && !conf->listeners[i].milter)
			return &conf->listeners[i];
	return NULL;
}

static int
open_way(struct test *t)
{
	static const struct ip any4 = { .family = 4 }, any6 = { .family = 6 };
	const struct timeval tv = { TALK_S, 0 };
	const struct conf_listener *l = way_in(t->conf);
	struct sockaddr_storage ss;
	socklen_t len;
	struct ip ip;

	if (l == NULL) {
		fputs("postern: no listener takes outgoing mail\n", stderr);
		return -1;
	}
	ip = ip_eq(l->ip, any4) ? (struct ip){ 4, { 127, 0, 0, 1 } } :
	    ip_eq(l->ip, any6) ? (struct ip){ 6, { [15] = 1 } } : l->ip;
	len = ip_to_sockaddr(ip, l->port, &ss);
	t->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd != -1) {
		setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	}
	if (t->fd == -1 || connect(t->fd, (struct sockaddr *)&ss, len) == -1) {
		fprintf(stderr, "postern: listener " SPAN_FMT " cannot be reached; is posternd running?\n",
		    SPAN_ARG(l->name));
		return -1;
	}
	return 0;
}

static char *
message(struct test *t)
{
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S %z", &tm);
	return arena_printf(t->a, "From: <%s>\r\nTo: <%s>\r\nSubject: Test message from " SPAN_FMT
	    "\r\nDate: %s\r\nMessage-ID: <send-test.%llx@" SPAN_FMT ">\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\nAuto-Submitted: auto-generated\r\n\r\n"
	    "This message was sent by `postern send-test` on " SPAN_FMT "\r\n"
	    "to see that mail to this address arrives. It can be deleted.\r\n.\r\n",
	    t->from, t->to, SPAN_ARG(t->conf->hostname), date, (unsigned long long)clock_real(),
	    SPAN_ARG(t->conf->hostname), SPAN_ARG(t->conf->hostname));
}

/* false: refused on the way in; the reply says why. */
static bool
hand_in(struct test *t)
{
	const char *at;
	int code;

	if ((code = hear(t)) / 100 != 2 ||
	    (code = command(t, "EHLO localhost\r\n")) / 100 != 2 ||
	    (code = command(t, arena_printf(t->a, "MAIL FROM:<%s>\r\n", t->from))) / 100 != 2 ||
	    (code = command(t, arena_printf(t->a, "RCPT TO:<%s>\r\n", t->to))) / 100 != 2 ||
	    (code = command(t, "DATA\r\n")) != 354 || (code = command(t, message(t))) / 100 != 2) {
		if (code == -1)
			snprintf(t->reply, sizeof(t->reply), "the listener does not answer any more");
		return false;
	}
	at = strstr(t->reply, "accepted as ");
	snprintf(t->id, sizeof(t->id), "%s", at ? at + 12 : "");
	command(t, "QUIT\r\n");
	return true;
}

static void
outcome(void *ctx, const struct jval *v, struct span text)
{
	static const struct { const char *label, *key; } facts[] = { { "is", "status" },
		{ "relay", "relay" }, { "TLS", "tls" }, { "answer", "reply" } };
	struct test *t = ctx;
	const struct jval *r = jval_at(jval_get(v, "recipients"), 0);
	struct span status = jval_text(r, "status");

	if (r == NULL || t->known || status.n == 0 || span_is(status, "queued"))
		return;
	t->known = true;
	t->sent = span_is(status, "sent");
	if (t->cli->json) {
		buf_span(&t->out, text);
		buf_putc(&t->out, '\n');
		return;
	}
	for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
		struct span s = jval_text(r, facts[i].key);

		buf_printf(&t->out, "%-9s", facts[i].label);
		page_begin(&t->out, t->cli, i ? PLAIN : page_colour_of(s));
		page_text(&t->out, s.n ? s : SPAN_LIT("none"));
		page_end(&t->out, t->cli, i ? PLAIN : page_colour_of(s));
		buf_putc(&t->out, '\n');
	}
}

static int
await_outcome(struct test *t)
{
	static const struct timespec pause = { 0, ASK_EVERY_MS * 1000000L };
	int64_t end = clock_mono() + t->seconds * US_PER_SEC;
	int status;

	for (;;) {
		struct request r;

		request_begin(&r, "trace");
		json_kcstr(&r.j, "q", t->id);
		json_kint(&r.j, "limit", 1);
		if ((status = control_ask(t->cli, &r, CONTROL_READ, outcome, t)) != CLI_OK)
			return status;
		if (t->known || clock_mono() > end)
			break;
		nanosleep(&pause, NULL);
	}
	if (!t->known) {
		fprintf(stderr, "postern: no outcome after %d s; `postern trace %s` will know\n",
		    t->seconds, t->id);
		return CLI_FINDINGS;
	}
	return t->sent ? CLI_OK : CLI_FINDINGS;
}

static int
run(struct test *t)
{
	int status = CLI_FINDINGS;

	if (t->from == NULL) {
		t->from = arena_str(t->a, t->conf->postmaster);
		for (size_t i = 0; i < t->conf->ndomains; i++)
			if (t->conf->domains[i].ndkim) {
				t->from = arena_printf(t->a, "postmaster@" SPAN_FMT,
				    SPAN_ARG(t->conf->domains[i].name));
				break;
			}
	}
	if (open_way(t) == -1)
		return CLI_UNREACHABLE;
	if (!hand_in(t)) {
		fputs("postern: refused on the way in: ", stderr);
		page_text(&t->out, span_str(t->reply));
		cli_write(stderr, buf_data(&t->out));
		buf_reset(&t->out);
		fputc('\n', stderr);
	} else {
		if (!t->cli->json) {
			printf("from     %s\nto       %s\naccepted as %s\n", t->from, t->to, t->id);
			fflush(stdout);
		}
		status = await_outcome(t);
	}
	return status;
}

/* What stands between < and > in SMTP: nothing that ends it. */
static bool
address_ok(const char *s)
{
	return strchr(s, '@') && strpbrk(s, "<> \t\r\n") == NULL && strlen(s) < 320;
}

int
cmd_send_test(int argc, char **argv, const struct cli *cli)
{
	struct test t = { .cli = cli, .seconds = PATIENCE_S, .fd = -1 };
	struct config *conf;
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			t.from = argv[++i];
		else if (strcmp(argv[i], "--wait") == 0 && i + 1 < argc)
			t.seconds = atoi(argv[++i]);
		else if (t.to == NULL && argv[i][0] != '-')
			t.to = argv[i];
		else
			return command_usage("send-test");
	}
	if (t.to == NULL || !address_ok(t.to) || (t.from && !address_ok(t.from)) || t.seconds < 1)
		return command_usage("send-test");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	t.conf = conf;
	t.a = arena_new(0);
	buf_init(&t.out, 4u << 20);
	status = run(&t);
	page_flush(&t.out);
	if (t.fd != -1)
		close(t.fd);
	buf_release(&t.out);
	arena_free(&t.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
