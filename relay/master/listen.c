/* listen.c -- listening sockets: made by the master, or taken from systemd (activation.c).
 *
 * They are kept over reloads and handed to each generation of receivers and consoles; what the
 * configuration in force no longer names is closed.
 *
 * A socket of the file system gets its mode and group before anybody is listened to, so nobody comes
 * in between. One that is there already is taken away only when nobody answers on it: a posternd
 * that was killed leaves its own behind. Ours is removed at the end, unless another has taken the name.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fs.h"
#include "log.h"
#include "master/master.h"

#define BACKLOG 1024

static int
bind_port(struct ip ip, uint16_t port, struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(ip, port, &ss);
	char text[IP_TEXT_MAX];
	int fd, on = 1;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_errno(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ip.family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) == -1 || listen(fd, BACKLOG) == -1) {
		err_errno(err, "cannot listen on %s port %u", ip_format(ip, text), port);
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- sockets of the file system ---- */

static int
local_open(const char *path, struct sockaddr_un *sun, struct err *err)
{
	size_t n = strlen(path);
	int fd;

	ASSERT(n < sizeof(sun->sun_path));	/* read_milter() saw to it */
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(sun->sun_path, path, n + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd == -1 ? err_errno(err, "socket") : fd;
}

/* The name is free, or becomes so. */
static int
make_room(const char *path, struct err *err)
{
	struct sockaddr_un sun;
	struct stat st;
	int fd, r, cause;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : err_errno(err, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s is there already and is no socket", path);
	if ((fd = local_open(path, &sun, err)) == -1)
		return -1;
	r = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	cause = errno;
	close(fd);
	if (r == 0 || cause != ECONNREFUSED)
		return err_set(err, EADDRINUSE, "another program listens on %s", path);
	if (unlink(path) == -1)
		return err_errno(err, "%s, which nobody listens on any more", path);
	log_info("%s was left behind by a program that has ended: made anew", path);
	return 0;
}

static int
give(const char *path, const struct conf_listener *l, struct err *err)
{
	struct group *gr;

	if (l->local_group.n) {
		if ((gr = getgrnam(l->local_group.p)) == NULL)
			return err_set(err, 0, "listener %.*s: there is no group `%.*s` on this machine",
			    SPAN_ARG(l->name), SPAN_ARG(l->local_group));
		if (lchown(path, (uid_t)-1, gr->gr_gid) == -1)
			return err_errno(err, "giving %s to the group %s", path, gr->gr_name);
	}
	return chmod(path, l->local_mode) == -1 ? err_errno(err, "the mode of %s", path) : 0;
}

static int
bind_local(const struct conf_listener *l, struct bound *b, struct err *err)
{
	char dir[PATH_MAX];
	struct sockaddr_un sun;
	struct stat st;
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", l->local);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (fs_mkdirs(dir, 0755, err) == -1 || make_room(l->local, err) == -1 ||
	    (fd = local_open(l->local, &sun, err)) == -1)
		return -1;
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		err_errno(err, "cannot listen on %s", l->local);
	else if (give(l->local, l, err) == 0 && lstat(l->local, &st) == 0 && listen(fd, BACKLOG) == 0) {
		b->path = strdup(l->local);
		ASSERT(b->path != NULL);
		b->dev = st.st_dev;
		b->ino = st.st_ino;
		return fd;
	} else {
		if (err->text[0] == '\0')
			err_errno(err, "cannot listen on %s", l->local);
		unlink(l->local);
	}
	close(fd);
	return -1;
}

static void
remove_local(const struct bound *b)
{
	struct stat st;

	if (b->path && !b->inherited && lstat(b->path, &st) == 0 && st.st_dev == b->dev && st.st_ino == b->ino)
		unlink(b->path);
}

/* ---- which is whose ---- */

bool
bound_is(const struct bound *b, const struct config *c, size_t i)
{
	const struct conf_listener *l = i < c->nlisteners ? &c->listeners[i] : NULL;
	uint16_t port;
	struct ip ip;

	if (l && l->activated)
		return b->name && strcmp(b->name, l->activated) == 0;
	if (l && l->local)
		return b->path && strcmp(b->path, l->local) == 0;
	ip = config_endpoint(c, i, &port);
	return b->path == NULL && b->port == port && ip_eq(b->ip, ip);
}

bool
bound_used(const struct bound *b, const struct config *c)
{
	for (size_t i = 0; i < config_endpoints(c); i++)
		if (bound_is(b, c, i))
			return true;
	return false;
}

const char *
bound_text(const struct bound *b, char out[static BOUND_TEXT_MAX])
{
	char ip[IP_TEXT_MAX];

	if (b->path)
		snprintf(out, BOUND_TEXT_MAX, "%s", b->path);
	else
		snprintf(out, BOUND_TEXT_MAX, "%s port %u", ip_format(b->ip, ip), b->port);
	return out;
}

static int
bind_endpoint(struct master *m, const struct config *c, size_t i, struct err *err)
{
	const struct conf_listener *l = i < c->nlisteners ? &c->listeners[i] : NULL;
	struct bound *b;

	if (l && l->activated)
		return err_set(err, 0, "listener %.*s: systemd holds no socket named %s; see postern-milter.socket "
		    "and its FileDescriptorName=", SPAN_ARG(l->name), l->activated);
	b = calloc(1, sizeof(*b));
	ASSERT(b != NULL);
	if (l && l->local)
		b->fd = bind_local(l, b, err);
	else {
		b->ip = config_endpoint(c, i, &b->port);
		b->fd = bind_port(b->ip, b->port, err);
	}
	if (b->fd == -1) {
		free(b);
		return -1;
	}
	b->next = m->bound;
	m->bound = b;
	return 0;
}

int
generation_bind(struct master *m, const struct generation *g, struct err *err)
{
	for (size_t i = 0; i < config_endpoints(g->conf); i++) {
		struct bound *b = m->bound;

		while (b && !bound_is(b, g->conf, i))
			b = b->next;
		if (b == NULL && bind_endpoint(m, g->conf, i, err) == -1)
			return -1;
		/* Another mode or group since. */
		if (b && b->path && !b->inherited && i < g->conf->nlisteners &&
		    give(b->path, &g->conf->listeners[i], err) == -1)
			return -1;
	}
	return 0;
}

void
bounds_trim(struct master *m)
{
	for (struct bound **bp = &m->bound; *bp; ) {
		struct bound *b = *bp;

		if (bound_used(b, m->now.conf) || b->inherited) {	/* or it could not be had again */
			bp = &b->next;
			continue;
		}
		*bp = b->next;
		remove_local(b);
		close(b->fd);
		free(b->path);
		free(b->name);
		free(b);
	}
}

void
bounds_close(struct master *m)
{
	for (struct bound *b = m->bound; b; b = b->next) {
		remove_local(b);
		close(b->fd);
	}
}
