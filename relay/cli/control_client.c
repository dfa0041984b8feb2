/* control_client.c -- asks the running daemon; see control_client.h.
 *
 * `<run>/control.sock` is named by postern.yaml. Whoever may not connect is
 * told which group to join; that the daemon is down is told as that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/control_client.h"
#include "cli/page.h"

#define REQUEST_MAX (1u << 20)
#define LINE_MAX_BYTES ((size_t)64 << 20)

void
request_begin(struct request *r, const char *cmd)
{
	buf_init(&r->b, REQUEST_MAX);
	json_begin(&r->j, &r->b);
	json_object(&r->j);
	json_kcstr(&r->j, "cmd", cmd);
}

void
request_release(struct request *r)
{
	buf_release(&r->b);
}

static void
say_why(const char *path, int code)
{
	if (code == EACCES || code == EPERM)
		fprintf(stderr, "postern: %s: you may not connect; be root, or join the group "
		    "postern-admin\n", path);
	else if (code == ENOENT || code == ECONNREFUSED)
		fprintf(stderr, "postern: posternd is not running (nobody listens on %s)\n", path);
	else
		fprintf(stderr, "postern: %s: %s\n", path, strerror(code));
}

static int
connect_to(const struct cli *cli, bool quiet)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct config *conf = cli_load_config(cli);
	int fd, n, code = 0;

	if (conf == NULL)
		return -1;
	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/control.sock", conf->run);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		code = ENAMETOOLONG;
	else if (fd == -1 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		code = errno;
	if (conf != cli->conf)
		config_free(&conf);
	if (code == 0)
		return fd;
	if (fd != -1)
		close(fd);
	if (!quiet)
		say_why(sun.sun_path, code);
	return -2;
}

static int
send_all(int fd, struct span s)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		s = span_from(s, (size_t)n);
	}
	return 0;
}

struct reading {
	const struct cli *cli;
	enum control_mode mode;
	bool quiet, failed;
	control_line *line;
	void *ctx;
};

static void
say_error(struct span text)
{
	struct buf b;

	buf_init(&b, 4 * LINE_MAX_BYTES);
	page_text(&b, text);
	fprintf(stderr, "postern: " SPAN_FMT "\n", SPAN_ARG(buf_data(&b)));
	buf_release(&b);
}

static void
take_line(struct reading *r, struct span text)
{
	struct err err;
	struct jval *v;
	struct span error;

	if (text.n == 0)
		return;
	v = jval_parse(text, &err);
	error = jval_text(v, "error");
	if (r->mode == CONTROL_SHOW && r->cli->json) {
		r->failed |= error.n > 0;
		fwrite(text.p, 1, text.n, stdout);
		putchar('\n');
		fflush(stdout);
	} else if (v == NULL) {
		r->failed = true;
		fprintf(stderr, "postern: the answer is %s\n", err.text);
	} else if (error.n && !jval_has(v, "id") && !jval_has(v, "ok") && !jval_has(v, "address")) {
		/* An error about one of several things is its line's business. */
		r->failed = true;
		if (!r->quiet)
			say_error(error);
	} else {
		r->failed |= error.n > 0;
		r->line(r->ctx, v, text);
	}
	jval_free(&v);
}

static int
read_lines(struct reading *r, int fd)
{
	struct buf in;
	int status = CLI_OK;

	buf_init(&in, LINE_MAX_BYTES);
	for (;;) {
		struct span s = buf_data(&in);
		size_t eol = span_find(s, '\n');
		char *room;
		ssize_t n;

		if (eol < s.n) {
			take_line(r, span_sub(s, 0, eol));
			buf_consume(&in, eol + 1);
			continue;
		}
		room = buf_room(&in, 65536);
		n = room ? read(fd, room, 65536) : -1;
		if (n == -1 && room && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == -1 || s.n)
				status = CLI_UNREACHABLE;
			break;
		}
		buf_commit(&in, (size_t)n);
	}
	if (status != CLI_OK && !r->quiet)
		fputs("postern: the answer broke off\n", stderr);
	buf_release(&in);
	return status;
}

static int
ask(struct reading *r, struct request *q)
{
	const struct cli *cli = r->cli;
	int fd, status;

	if (cli->as.n) {
		json_key(&q->j, "as");
		json_raw(&q->j, cli->as);
	}
	json_end_object(&q->j);
	fd = cli->ask == NULL ? connect_to(cli, r->quiet) : buf_failed(&q->b) ? -1 :
	    cli->ask(cli->ask_ctx, buf_data(&q->b));
	buf_putc(&q->b, '\n');
	if (fd < 0) {
		request_release(q);
		return fd == -1 ? CLI_FINDINGS : CLI_UNREACHABLE;
	}
	if (buf_failed(&q->b)) {
		fputs("postern: the request is too long\n", stderr);
		status = CLI_USAGE;
	} else if (cli->ask == NULL && send_all(fd, buf_data(&q->b)) == -1) {
		if (!r->quiet)
			fputs("postern: posternd went away\n", stderr);
		status = CLI_UNREACHABLE;
	} else {
		status = read_lines(r, fd);
	}
	close(fd);
	request_release(q);
	return status == CLI_OK && r->failed ? CLI_FINDINGS : status;
}

int
control_ask(const struct cli *cli, struct request *q, enum control_mode mode, control_line *line,
    void *ctx)
{
	struct reading r = { cli, mode, false, false, line, ctx };

	return ask(&r, q);
}

int
control_ask_quietly(const struct cli *cli, struct request *q, control_line *line, void *ctx)
{
	struct reading r = { cli, CONTROL_READ, true, false, line, ctx };

	return ask(&r, q);
}
