/* directory.c -- the role that speaks LDAP, for all others.
 *
 * Receivers ask who is in a group and whether a password is right, deliveries ask for
 * routes; they see values, never a connection or the password that Postern binds with. One
 * process does it all in its event loop: connections never block (conn.h), so a silent
 * server delays nobody but those who ask it, and there is one cache, which a pool of
 * processes that wait for their server would each have to fill.
 *
 * What is known outlives this process: <run>/directory.cache is written every SAVE_SECONDS when something
 * is new, and read at the start, so that a reload or a restart while LDAP is down
 * changes nothing. Passwords and what came of them are not in it.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "net/resolver.h"
#include "directory/ask.h"
#include "directory/directory.h"
#include "directory/filter.h"
#include "fs.h"
#include "log.h"
#include "master/identity.h"
#include "net/transport.h"

#define SAVE_SECONDS 20
#define SAVE_MAX (64u << 20)
#define DNS_SERVERS_MAX 8
#define PASSWORD_MAX 1024
#define RETIRE_SECONDS 5

struct members_job {
	struct ticket_of to;		/* first */
	struct arena *arena;
	struct msg_members ask;
	const struct conf_directory **dirs;	/* of each group; NULL: none has it */
	struct span *groups;		/* as dn_normalise leaves them; empty: no DN */
	uint8_t *grid;
	bool *absent;			/* the group is not there, or not known to be */
	const char *why;
	size_t waiting;
};

struct members_question {
	struct members_job *job;
	const struct conf_directory *dir;
	size_t at;			/* address, or group */
};

/* ---- start ---- */

int
directory_password(const struct conf_directory *dir, struct arena *a, struct span *out,
    struct err *err)
{
	int fd = fs_open(dir->password_file, O_RDONLY, 0, err);
	struct span text;
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && (st.st_mode & 007)) {
		close(fd);
		return err_set(err, EPERM, "%s: everybody may read or change it: chmod o-rwx %s",
		    dir->password_file, dir->password_file);
	}
	if (fs_read_fd(a, fd, PASSWORD_MAX, &text, err) == -1) {
		close(fd);
		return err_wrap(err, "%s", dir->password_file);
	}
	close(fd);
	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	if (text.n == 0)
		return err_set(err, EINVAL, "%s: an empty password would bind as nobody "
		    "(RFC 4513, 5.1.2)", dir->password_file);
	*out = text;
	return 0;
}

/* What /etc/hosts and the like know of a server; later only the DNS is asked. */
static struct ip
known_address(const struct conf_ldap_server *s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	struct ip ip = { 0 };

	if (s->ip.family || getaddrinfo(s->host, NULL, &hints, &list) != 0)
		return ip;
	if (list)
		ip = ip_from_sockaddr(list->ai_addr, NULL);
	freeaddrinfo(list);
	return ip;
}

/* The file of the cache, opened before the sandbox is entered; -1: without. */
static void
cache_open(struct directory *d)
{
	struct runtime *rt = d->rt;
	const char *path = arena_printf(d->scratch, "%s/directory.cache", rt->conf->run);
	struct span text;
	struct err err;

	identity_files_own();	/* `run` is the master's; we keep the descriptor */
	d->cache_fd = fs_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, &err);
	identity_files_root();
	if (d->cache_fd == -1) {
		log_warn("what directories answer is not kept over a restart: %s", err.text);
		return;
	}
	if (rt->privileged && fchown(d->cache_fd, rt->uid, rt->gid) == -1)
		log_debug("%s: %s", path, strerror(errno));
	if (fs_read_fd(d->scratch, d->cache_fd, SAVE_MAX + 64, &text, &err) == -1)
		log_warn("%s: %s", path, err.text);
	else if (text.n && cache_load(d->cache, text, clock_real(), &err) == -1)
		log_warn("%s is not used: %s", path, err.text);
	d->saved = cache_changes(d->cache);
}

static int
directory_start(struct runtime *rt, struct err *err)
{
	struct directory *d = calloc(1, sizeof(*d));
	const struct config *conf = rt->conf;
	uint32_t entries = 0;

	ASSERT(d != NULL);
	rt->state = d;
	d->rt = rt;
	d->cache_fd = -1;
	d->scratch = arena_new(0);
	d->arena = arena_new(0);
	buf_init(&d->out, FRAME_BIG);
	if (lconn_library(err) == -1)
		return -1;
	for (size_t i = 0; i < conf->ndirectories; i++) {
		const struct conf_directory *dir = &conf->directories[i];
		struct pool_setup *how = &d->setups[i];

		how->dir = dir;
		entries += dir->entries;
		if ((how->tls = transport_context(dir->ca, err)) == NULL ||
		    (dir->password_file &&
		    directory_password(dir, d->arena, &how->password, err) == -1))
			return err_wrap(err, "directory " SPAN_FMT, SPAN_ARG(dir->name));
		for (size_t k = 0; k < dir->nservers; k++)
			how->known[k] = known_address(&dir->servers[k]);
	}
	if (conf->ndns == 0)
		d->ndns = resolver_system_servers(d->dns, DNS_SERVERS_MAX, d->arena);
	d->cache = cache_new(entries ? entries : 1);
	cache_open(d);
	arena_reset(d->scratch);
	return 0;
}

static void
save(struct directory *d)
{
	struct buf b;
	struct err err;

	if (d->cache_fd == -1 || cache_changes(d->cache) == d->saved || d->rt->retiring)
		return;
	d->saved = cache_changes(d->cache);
	buf_init(&b, SAVE_MAX + 64);
	cache_save(d->cache, clock_real(), SAVE_MAX, &b);
	/* Whoever reads half of it sees that by its checksum. */
	if (!buf_failed(&b) && (lseek(d->cache_fd, 0, SEEK_SET) == -1 ||
	    fs_write_all(d->cache_fd, buf_data(&b).p, buf_size(&b), &err) == -1 ||
	    ftruncate(d->cache_fd, (off_t)buf_size(&b)) == -1))
		log_warn("what directories answered cannot be saved: %s", strerror(errno));
	buf_release(&b);
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct directory *d = arg;
	uint64_t down = 0;

	for (size_t i = 0; i < d->rt->conf->ndirectories; i++)
		down += pool_down(asker_pool(d->asker, d->setups[i].dir));
	counter_set(COUNTER_DIRECTORY_DOWN, down);
	if (++d->seconds % SAVE_SECONDS == 0)
		save(d);
	if (d->rt->retiring && (d->open == NULL || d->seconds > d->retire_at))
		runtime_finish(d->rt);
}

static int
directory_run(struct runtime *rt, struct err *err)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct directory *d = rt->state;
	const struct conf_host *servers = rt->conf->ndns ? rt->conf->dns : d->dns;

	d->resolver = resolver_new(rt->base, servers, rt->conf->ndns ? rt->conf->ndns : d->ndns,
	    SPAN_LIT(""), err);
	if (d->resolver == NULL)
		return -1;
	d->asker = asker_new(rt->conf, rt->base, d->cache);
	for (size_t i = 0; i < rt->conf->ndirectories; i++) {
		d->setups[i].base = rt->base;
		d->setups[i].resolver = d->resolver;
		asker_add(d->asker, &d->setups[i]);
	}
	d->tick = event_new(rt->base, -1, EV_PERSIST, on_second, d);
	ASSERT(d->tick != NULL);
	event_add(d->tick, &second);
	return 0;
}

/* ---- those who wait for an answer ---- */

void
ticket_add(struct directory *d, struct ticket_of *t, struct link *l, uint64_t ticket)
{
	*t = (struct ticket_of){ d, l, ticket, d->open, &d->open };
	if (t->next)
		t->next->prev = &t->next;
	d->open = t;
}

void
ticket_remove(struct ticket_of *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
}

void
ticket_send(struct ticket_of *t, enum frame_type type)
{
	struct directory *d = t->d;

	if (t->l && (buf_failed(&d->out) ||
	    link_send(t->l, type, t->ticket, buf_data(&d->out), -1) == -1))
		log_warn("an answer cannot be sent to the %s", role_name(link_peer(t->l)));
	buf_reset(&d->out);
}

static void
directory_peer_up(struct runtime *rt, struct link *l)
{
}

static void
directory_peer_down(struct runtime *rt, struct link *l)
{
	struct directory *d = rt->state;

	for (struct ticket_of *t = d->open; t; t = t->next)
		if (t->l == l)
			t->l = NULL;
}

/* ---- LOGIN ---- */

static void
logged_in(void *ctx, const struct answer *a)
{
	static const enum login_status means[ASK_STATUSES] = { [ASK_FOUND] = LOGIN_RIGHT,
		[ASK_MISSING] = LOGIN_WRONG, [ASK_UNKNOWN] = LOGIN_FAILED };
	struct ticket_of *t = ctx;
	struct msg_login_result res = { means[a->status] };

	if (a->status == ASK_UNKNOWN)
		log_warn("a password cannot be checked: %s", a->text);
	login_result_encode(&t->d->out, &res);
	ticket_send(t, FRAME_LOGIN_RESULT);
	ticket_remove(t);
	free(t);
}

static int
on_login(struct directory *d, struct link *l, struct frame *f)
{
	const struct config *conf = d->rt->conf;
	struct ticket_of *t;
	struct msg_login m;

	if (login_decode(f->body, f->fd, d->scratch, &m) == -1)
		return -1;
	t = malloc(sizeof(*t));
	ASSERT(t != NULL);
	ticket_add(d, t, l, f->ticket);
	if (conf->auth_ldap.directory == NULL) {	/* a receiver of a configuration before this one */
		struct answer a = { .status = ASK_UNKNOWN, .text = "no directory for it" };

		logged_in(t, &a);
		return 0;
	}
	ask_login(d->asker, &conf->auth_ldap, conf->auth_dn, m.user, m.password, logged_in, t);
	return 0;
}

/* ---- LOOKUP ---- */

static void
looked_up(void *ctx, const struct answer *a)
{
	static const enum lookup_status means[ASK_STATUSES] = { [ASK_FOUND] = LOOKUP_FOUND,
		[ASK_MISSING] = LOOKUP_MISSING, [ASK_UNKNOWN] = LOOKUP_UNKNOWN };
	struct ticket_of *t = ctx;
	struct msg_found m = { .status = means[a->status], .stale = a->stale,
		.values = (struct span *)(uintptr_t)a->values, .n = a->n,
		.text = span_str(a->text) };

	found_encode(&t->d->out, &m);
	ticket_send(t, FRAME_FOUND);
	ticket_remove(t);
	free(t);
}

static int
on_lookup(struct directory *d, struct link *l, struct frame *f)
{
	const struct conf_directory *dir;
	struct answer none = { .status = ASK_UNKNOWN, .text = "no such directory" };
	struct ticket_of *t;
	struct msg_lookup m;

	if (lookup_decode(f->body, f->fd, d->scratch, &m) == -1)
		return -1;
	t = malloc(sizeof(*t));
	ASSERT(t != NULL);
	ticket_add(d, t, l, f->ticket);
	if ((dir = config_directory(d->rt->conf, m.directory)) == NULL) {
		looked_up(t, &none);
	} else if (!ask_covers(dir, m.address)) {
		none.status = ASK_MISSING;
		looked_up(t, &none);
	} else {
		ask_values(d->asker, dir, m.filter, m.attribute, m.address, false, looked_up, t);
	}
	return 0;
}

/* ---- MEMBERS ---- */

const struct conf_directory *
directory_of(const struct config *conf, struct span dn, struct arena *a)
{
	const struct conf_directory *best = NULL;
	size_t length = 0;

	for (size_t i = 0; i < conf->ndirectories; i++) {
		const struct conf_directory *dir = &conf->directories[i];
		struct span base;

		if (dn_normalise(a, span_str(dir->base), &base) && dn_within(dn, base) &&
		    (best == NULL || base.n > length)) {
			best = dir;
			length = base.n;
		}
	}
	return best;
}

static void
members_one_less(struct members_job *job)
{
	struct directory *d = job->to.d;
	struct arena *a = job->arena;
	size_t ng = job->ask.ngroups;
	struct msg_memberships m = { .text = span_str(job->why) };

	if (--job->waiting > 0)
		return;
	/* A group that is not there has no members, and surely that was not meant. */
	for (size_t i = 0; i < job->ask.naddresses; i++)
		for (size_t g = 0; g < ng; g++)
			if (job->absent[g])
				job->grid[i * ng + g] = MEMBER_UNKNOWN;
	m.grid = span_make((const char *)job->grid, job->ask.naddresses * ng);
	memberships_encode(&d->out, &m);
	ticket_send(&job->to, FRAME_MEMBERSHIPS);
	ticket_remove(&job->to);
	arena_free(&a);
}

static void
got_groups_of(void *ctx, const struct answer *a)
{
	struct members_question *q = ctx;
	struct members_job *job = q->job;
	uint8_t *row = job->grid + q->at * job->ask.ngroups;

	if (a->status == ASK_UNKNOWN)
		job->why = arena_str(job->arena, span_str(a->text));
	for (size_t g = 0; g < job->ask.ngroups; g++) {
		if (job->dirs[g] != q->dir)
			continue;
		row[g] = a->status == ASK_UNKNOWN ? MEMBER_UNKNOWN : MEMBER_NO;
		for (size_t k = 0; a->status == ASK_FOUND && k < a->n; k++)
			if (span_eq(a->values[k], job->groups[g])) {
				row[g] = MEMBER_YES;
				break;
			}
	}
	members_one_less(job);
}

static void
got_group(void *ctx, const struct answer *a)
{
	struct members_question *q = ctx;
	struct members_job *job = q->job;

	if (a->status != ASK_FOUND) {
		job->absent[q->at] = true;
		job->why = a->status == ASK_UNKNOWN ? arena_str(job->arena, span_str(a->text)) :
		    arena_printf(job->arena, "there is no group " SPAN_FMT,
		    SPAN_ARG(job->ask.groups[q->at]));
		if (a->status == ASK_MISSING && !a->cached)
			log_error("directory " SPAN_FMT ": %s: rules that ask for it cannot be "
			    "decided, and their mail waits", SPAN_ARG(q->dir->name), job->why);
	}
	members_one_less(job);
}

/* All groups of one directory for one address. */
static void
ask_address(struct members_job *job, size_t at, const struct conf_directory *dir)
{
	struct members_question *q = arena_alloc(job->arena, sizeof(*q));
	struct span address = job->ask.addresses[at];
	struct answer no = { .status = ASK_MISSING, .text = "" };

	*q = (struct members_question){ job, dir, at };
	job->waiting++;
	if (address.n == 0 || !ask_covers(dir, address))
		got_groups_of(q, &no);
	else
		ask_groups(job->to.d->asker, dir, address, false, got_groups_of, q);
}

static void
ask_group(struct members_job *job, size_t at)
{
	struct members_question *q;

	if (job->dirs[at] == NULL) {
		job->absent[at] = true;
		job->why = arena_printf(job->arena, "no directory has a `base` above "
		    SPAN_FMT, SPAN_ARG(job->ask.groups[at]));
		return;
	}
	q = arena_alloc(job->arena, sizeof(*q));
	*q = (struct members_question){ job, job->dirs[at], at };
	job->waiting++;
	ask_exists(job->to.d->asker, job->dirs[at], job->groups[at], false, got_group, q);
}

static int
on_members(struct directory *d, struct link *l, struct frame *f)
{
	const struct config *conf = d->rt->conf;
	struct arena *a = arena_new(4096);
	struct members_job *job = arena_zalloc(a, sizeof(*job));

	if (members_decode(arena_span(a, f->body), f->fd, a, &job->ask) == -1) {
		arena_free(&a);
		return -1;
	}
	job->arena = a;
	job->why = "";
	job->dirs = arena_array(a, job->ask.ngroups, sizeof(struct conf_directory *));
	job->groups = arena_array(a, job->ask.ngroups, sizeof(*job->groups));
	job->absent = arena_array(a, job->ask.ngroups, sizeof(*job->absent));
	job->grid = arena_array(a, job->ask.naddresses * job->ask.ngroups, 1);
	ticket_add(d, &job->to, l, f->ticket);
	job->waiting = 1;		/* ourselves, until all is asked */
	for (size_t g = 0; g < job->ask.ngroups; g++) {
		if (dn_normalise(a, job->ask.groups[g], &job->groups[g]))
			job->dirs[g] = directory_of(conf, job->groups[g], a);
		ask_group(job, g);
	}
	for (size_t k = 0; k < conf->ndirectories; k++) {
		bool wanted = false;

		for (size_t g = 0; g < job->ask.ngroups; g++)
			wanted |= job->dirs[g] == &conf->directories[k];
		for (size_t i = 0; wanted && i < job->ask.naddresses; i++)
			ask_address(job, i, &conf->directories[k]);
	}
	members_one_less(job);
	return 0;
}

static int
directory_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct directory *d = rt->state;

	arena_reset(d->scratch);
	switch (f->type) {
	case FRAME_LOGIN:
		return on_login(d, l, f);
	case FRAME_ENTER:
		return enter_ask(d, l, f);
	case FRAME_LOOKUP:
		return on_lookup(d, l, f);
	case FRAME_MEMBERS:
		return on_members(d, l, f);
	default:
		return -1;
	}
}

/* What is asked is answered; the others find the directory of the new configuration. */
static void
directory_retire(struct runtime *rt)
{
	struct directory *d = rt->state;

	d->retire_at = d->seconds + RETIRE_SECONDS;
	if (d->open == NULL)
		runtime_finish(rt);
}

static const struct sandbox directory_sandbox = { .may = SANDBOX_NET_CLIENT };

const struct role_ops directory_ops = {
	.role = ROLE_DIRECTORY,
	.sandbox = &directory_sandbox,
	.start = directory_start,
	.run = directory_run,
	.peer_up = directory_peer_up,
	.peer_down = directory_peer_down,
	.frame = directory_frame,
	.client = directory_client,
	.retire = directory_retire,
};
