/* log.c -- one event, one line, one write(2); see log.h.
 *
 * Lines that come with every message (log_later) wait, when the program asks for it, until the end of its turn,
 * and go in one write together. Any other line takes those before it along, so their order is that of
 * the events; a process that crashes writes what waits as its last act.
 *
 * After log_open nothing here opens a file, asks for the time zone, the host
 * name or the process id again, so a role may lock itself into its sandbox
 * first and log ever after: it needs write(2) and clock_gettime(2) only. A fork
 * is noticed by a handler, not by asking.
 *
 * Memory is static, or taken by log_open, and every line has a bound. A text
 * too long is cut and says so: here, unlike everywhere else, a cut is better
 * than nothing.
 *
 * Where the line goes decides what stands in front of it:
 *   stderr   nothing; under systemd "<6>", which journald takes off again
 *   journal  "<22>", facility mail: a datagram as syslog(3) would send it
 *   file     "Nov 22 10:41:39 gw1 ", as syslogd writes files, for the
 *            statistics tools that people already run
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "id.h"
#include "json.h"
#include "log.h"
#include "utf8.h"

#define LINE_MAX_BYTES 8192
#define FRAME_MAX 1024		/* what stands around the text, at most */
#define TEXT_MAX (LINE_MAX_BYTES - FRAME_MAX)
#define WAIT_MAX (64u << 10)	/* bytes that wait for one write to a file */
#define CUT "... [cut]"

enum target { TO_STDERR, TO_JOURNAL, TO_FILE };

static struct {
	int fd;
	enum target target;
	enum log_format format;
	enum log_level max;
	bool priority;		/* stderr is connected to journald */
	bool fork_handled;
	pid_t pid;
	const char *role;
	char host[256];
	struct buf json;	/* its memory is taken by log_open */
	/* What stands before a line's id, as long as second, role and process are the same. */
	struct { const char *role; int64_t second; pid_t pid; size_t n; char text[FRAME_MAX]; } head;
	void (*wake)(void);	/* lines may wait; called when the first one does */
	volatile size_t waiting;	/* bytes of whole lines in `lines` */
} lg = { .fd = STDERR_FILENO, .format = LOG_FORMAT_TEXT, .max = LOG_LVL_INFO };
static char lines[WAIT_MAX];

static void
pid_refresh(void)
{
	lg.pid = getpid();
}

/* What other processes write to the same pipe must not come between. */
static size_t
wait_max(void)
{
	return lg.target == TO_FILE ? WAIT_MAX : PIPE_BUF;
}

static void
write_out(const char *p, size_t n)
{
	while (write(lg.fd, p, n) == -1 && errno == EINTR)
		;
}

void
log_flush(void)
{
	int saved = errno;
	size_t n = lg.waiting;

	if (n == 0)
		return;
	lg.waiting = 0;
	write_out(lines, n);
	errno = saved;
}

/* The process ends here: write(2) is all that may be used. Once more the signal, which has its default again:
 * one that was sent, and not raised by a fault, would not come back by itself. */
static void
on_crash(int sig)
{
	log_flush();
	raise(sig);
}

void
log_batch(void (*wake)(void))
{
	static const int ends[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND }, was;

	lg.wake = wake;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (sigaction(ends[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL)
			sigaction(ends[i], &sa, NULL);
}

/* stderr is the journal when systemd says so and it still is that very stream: terminals
 * hand the variable of their own service down to every shell. */
static bool
stderr_is_journal(void)
{
	const char *s = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return s && sscanf(s, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	    st.st_dev == dev && st.st_ino == ino;
}

static int
open_journal(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd;

	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		int e = errno;

		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

static int
open_file(const char *path)
{
	int fd;

	do
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	while (fd == -1 && errno == EINTR);
	return fd;
}

/* A descriptor that a parent opened: its kind says what it is. */
static int
adopt(const char *number, enum target *target, struct err *err)
{
	char *end;
	long fd = strtol(number, &end, 10);
	struct stat st;

	if (end == number || *end || fd < 0 || fd > 1 << 20)
		return err_set(err, EINVAL, "log: `fd:%s` is no descriptor", number);
	if (fstat((int)fd, &st) == -1)
		return err_errno(err, "log: fd:%ld", fd);
	if (fd > STDERR_FILENO)
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	*target = S_ISSOCK(st.st_mode) && fd != STDERR_FILENO ? TO_JOURNAL :
	    S_ISREG(st.st_mode) && fd != STDERR_FILENO ? TO_FILE : TO_STDERR;
	return (int)fd;
}

int
log_open(const char *to, enum log_format format, struct err *err)
{
	enum target target = TO_STDERR;
	const char *path = "";
	int fd = STDERR_FILENO, failed = 0;

	if (strncmp(to, "file:", 5) == 0) {
		path = to + 5;
		if (*path == '\0')
			return err_set(err, EINVAL, "log: `%s` names no file", to);
		if ((fd = open_file(path)) == -1)
			return err_errno(err, "log: cannot open %s", path);
		target = TO_FILE;
	} else if (strncmp(to, "fd:", 3) == 0) {
		if ((fd = adopt(to + 3, &target, err)) == -1)
			return -1;
	} else if (strcmp(to, "journal") == 0) {
		if ((fd = open_journal()) == -1) {
			failed = errno;
			fd = STDERR_FILENO;
		} else
			target = TO_JOURNAL;
	} else if (strcmp(to, "stderr") != 0)
		return err_set(err, EINVAL, "log: `%s` is none of journal, stderr, file:PATH", to);

	log_flush();
	if (lg.fd > STDERR_FILENO && lg.fd != fd)
		close(lg.fd);
	lg.head.n = 0;
	lg.fd = fd;
	lg.target = target;
	lg.format = format;
	lg.priority = stderr_is_journal();
	if (gethostname(lg.host, sizeof(lg.host)) == -1 || lg.host[0] == '\0')
		memcpy(lg.host, "localhost", 10);
	lg.host[sizeof(lg.host) - 1] = '\0';
	tzset();
	pid_refresh();
	if (!lg.fork_handled)
		lg.fork_handled = pthread_atfork(log_flush, NULL, pid_refresh) == 0;
	if (format == LOG_FORMAT_JSON && lg.json.max == 0) {
		buf_init(&lg.json, LINE_MAX_BYTES * 2);
		ASSERT(buf_room(&lg.json, LINE_MAX_BYTES) != NULL);
	}
	if (failed)
		log_warn("/dev/log cannot be opened (%s): logging to stderr", strerror(failed));
	return 0;
}

void
log_ident(const char *role)
{
	lg.role = role;
	pid_refresh();
}

void
log_level(enum log_level max)
{
	lg.max = max;
}

bool
log_postfix(void)
{
	return lg.format == LOG_FORMAT_POSTFIX;
}

int
log_fd(void)
{
	return lg.fd;
}

/* Control characters, and those that hide or reorder text on a terminal. */
static bool
unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
	    (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Nothing in it that would have to be written otherwise, nor cut. */
static bool
plain(struct span text)
{
	size_t i = 0;

	if (text.n > TEXT_MAX - (sizeof(CUT) - 1))
		return false;
	while (i < text.n && text.p[i] >= ' ' && text.p[i] <= '~')
		i++;
	return i == text.n;
}

/* Copies text with \xNN for unsafe bytes; at most TEXT_MAX bytes, counted as JSON would
 * write them when json is set. Never cut inside a character. */
static struct span
escape(char out[TEXT_MAX], struct span text, bool cut, bool json)
{
	static const char hex[] = "0123456789ABCDEF";
	const size_t room = TEXT_MAX - (sizeof(CUT) - 1);
	size_t n = 0, cost = 0;

	while (text.n) {
		uint32_t c;
		size_t len = utf8_next(text.p, text.n, &c);
		bool raw = len > 0 && !unsafe(c);
		size_t bytes = len ? len : 1, need = raw ? bytes : bytes * 4;
		size_t extra = !json ? 0 : raw ? (c == '"' || c == '\\') : bytes;

		if (cost + need + extra > room) {
			cut = true;
			break;
		}
		if (raw)
			memcpy(out + n, text.p, bytes);
		for (size_t i = 0; i < bytes && !raw; i++) {
			unsigned char b = (unsigned char)text.p[i];

			memcpy(out + n + i * 4, "\\x", 2);
			out[n + i * 4 + 2] = hex[b >> 4];
			out[n + i * 4 + 3] = hex[b & 15];
		}
		n += need;
		cost += need + extra;
		text = span_from(text, bytes);
	}
	if (cut) {
		memcpy(out + n, CUT, sizeof(CUT) - 1);
		n += sizeof(CUT) - 1;
	}
	return span_make(out, n);
}

/* "Nov 22 10:41:39 gw1 "; months in English whatever the locale. */
static size_t
put_stamp(char *out, size_t max, int64_t now)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(now / US_PER_SEC);
	struct tm tm;

	localtime_r(&t, &tm);
	return (size_t)snprintf(out, max, "%s %2d %02d:%02d:%02d %s ", months[tm.tm_mon],
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, lg.host);
}

/* Which of Postfix's programs says what our roles say. */
static const char *
postfix_name(const char *role)
{
	static const char *const names[][2] = { { "receiver", "smtpd" }, { "delivery", "smtp" },
		{ "queue", "qmgr" }, { "scanner", "cleanup" } };

	for (size_t i = 0; role && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(role, names[i][0]) == 0)
			return names[i][1];
	return role;
}

static void
put_json(struct buf *b, const char *role, enum log_level level, uint64_t id, struct span text, int64_t now)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char stamp[64], ident[ID_SIZE];
	time_t t = (time_t)(now / US_PER_SEC);
	struct json j;
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(stamp, sizeof(stamp), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now % US_PER_SEC));
	json_begin(&j, b);
	json_object(&j);
	json_kcstr(&j, "@timestamp", stamp);
	json_kcstr(&j, "log.level", names[level]);
	json_kcstr(&j, "ecs.version", "8.11.0");
	json_kcstr(&j, "service.type", "postern");
	json_kcstr(&j, "event.dataset", "postern.log");
	json_kstr(&j, "host.hostname", span_str(lg.host));
	json_key(&j, "process.name");
	if (role) {
		char name[128];

		snprintf(name, sizeof(name), "postern/%.64s", role);
		json_cstr(&j, name);
	} else
		json_cstr(&j, "postern");
	json_kint(&j, "process.pid", lg.pid);
	if (id)
		json_kcstr(&j, "postern.id", id_format(id, ident));
	json_kstr(&j, "message", text);
	json_end_object(&j);
}

/* "<22>Nov 22 10:41:39 gw1 postern/receiver[812]: " */
static size_t
put_head(char *out, const char *role, enum log_level level, int64_t now)
{
	static const int severity[] = { 3, 4, 6, 7 };
	size_t n = 0;

	if (lg.target == TO_JOURNAL || (lg.target == TO_STDERR && lg.priority))
		n = (size_t)snprintf(out, FRAME_MAX, "<%d>",
		    severity[level] + (lg.target == TO_JOURNAL ? 2 << 3 : 0));
	if (lg.format == LOG_FORMAT_JSON && lg.target != TO_JOURNAL)
		return n;
	if (lg.head.n == 0 || lg.head.second != now / US_PER_SEC || lg.head.role != role ||
	    lg.head.pid != lg.pid) {
		char *to = lg.head.text;
		size_t k = 0;

		if (lg.format != LOG_FORMAT_JSON && lg.target == TO_FILE)
			k = put_stamp(to, sizeof(lg.head.text), now);
		k += (size_t)snprintf(to + k, sizeof(lg.head.text) - k, "postern%s%.64s[%d]: ",
		    role ? "/" : "", role ? role : "", (int)lg.pid);
		ASSERT(k < sizeof(lg.head.text) - 64);
		lg.head.n = k;
		lg.head.second = now / US_PER_SEC;
		lg.head.role = role;
		lg.head.pid = lg.pid;
	}
	memcpy(out + n, lg.head.text, lg.head.n);
	return n + lg.head.n;
}

static void
log_vmsg(const char *role, enum log_level level, uint64_t id, bool later, const char *fmt, va_list ap)
{
	static char raw[TEXT_MAX], text[TEXT_MAX];
	int saved = errno, len;
	struct span body;
	size_t n, max = wait_max();
	int64_t now;
	char *line;

	if (level > lg.max)
		return;
	if (lg.pid == 0)
		pid_refresh();
	now = clock_real();
	len = vsnprintf(raw, sizeof(raw), fmt, ap);
	if (len < 0)
		len = 0;
	body = span_make(raw, (size_t)len < sizeof(raw) ? (size_t)len : sizeof(raw) - 1);
	/* vsnprintf may have cut inside a character: those bytes are not the caller's fault. */
	for (int i = 0; (size_t)len >= sizeof(raw) && i < 3 && (raw[body.n - 1] & 0x80); i++)
		body.n--;
	if ((size_t)len >= sizeof(raw) || lg.format == LOG_FORMAT_JSON || !plain(body))
		body = escape(text, body, (size_t)len >= sizeof(raw), lg.format == LOG_FORMAT_JSON);

	/* Behind the lines that wait, if it may go with them. */
	if (lg.waiting + LINE_MAX_BYTES + 1 > sizeof(lines))
		log_flush();
	line = lines + lg.waiting;
	if (lg.format == LOG_FORMAT_POSTFIX)
		role = postfix_name(role);
	n = put_head(line, role, level, now);
	if (lg.format != LOG_FORMAT_JSON && id) {
		id_format(id, line + n);
		memcpy(line + n + ID_LEN, ": ", 2);
		n += ID_LEN + 2;
	}
	ASSERT(n < FRAME_MAX);
	if (lg.format == LOG_FORMAT_JSON) {
		buf_reset(&lg.json);
		put_json(&lg.json, role, level, id, body, now);
		ASSERT(!buf_failed(&lg.json));
		body = buf_data(&lg.json);
	}
	ASSERT(n + body.n <= LINE_MAX_BYTES);
	memcpy(line + n, body.p, body.n);
	n += body.n;
	line[n] = '\n';

	if (lg.target == TO_JOURNAL) {
		/* A datagram is a line by itself. When the journal is gone, stderr is better than silence. */
		while (write(lg.fd, line, n) == -1) {
			if (errno == EINTR)
				continue;
			(void)!write(STDERR_FILENO, line, n + 1);
			break;
		}
		errno = saved;
		return;
	}
	n++;
	if (lg.waiting + n > max) {
		size_t before = lg.waiting;

		log_flush();
		memmove(lines, lines + before, n);
	}
	later = later && lg.wake && n <= max;
	if (later && lg.waiting == 0)
		lg.wake();
	lg.waiting += n;
	if (!later)
		log_flush();
	errno = saved;
}

void
log_msg(enum log_level level, uint64_t id, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(lg.role, level, id, false, fmt, ap);
	va_end(ap);
}

void
log_later(uint64_t id, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(lg.role, LOG_LVL_INFO, id, true, fmt, ap);
	va_end(ap);
}

void
log_msg_as(const char *role, enum log_level level, uint64_t id, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(role, level, id, false, fmt, ap);
	va_end(ap);
}
