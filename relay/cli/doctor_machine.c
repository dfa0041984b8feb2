/* doctor_machine.c -- this machine and what runs on it: limits, secrets, policy, libraries; see doctor.h. */
#include <archive.h>
#include <clamav.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <hs/hs.h>
#include <openssl/crypto.h>
#include <pwd.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unbound.h>
#include <unistd.h>
#include <zstd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/doctor.h"
#include "fs.h"
#include "scanner/load_policy.h"
#include "signer/dkim_ring.h"

/* ---- open files ---- */

#define FILES_BESIDE 256	/* that a receiver has open beside its sessions */

struct receivers {
	long long pid;		/* of one; 0: none known */
};

static void
heard_processes(void *ctx, const struct jval *v, struct span text)
{
	const struct jval *list = jval_get(v, "processes"), *p;
	struct receivers *r = ctx;

	for (size_t i = 0; (p = jval_at(list, i)) != NULL; i++)
		if (span_is(jval_text(p, "role"), "receiver"))
			r->pid = jval_int(p, "pid", 0);
}

/* The soft limit of that process; 0: not known. */
static unsigned long long
files_of(struct doctor *d, long long pid)
{
	unsigned long long soft = 0;
	struct span text;
	const char *at;

	if (fs_read(d->a, arena_printf(d->a, "/proc/%lld/limits", pid), 64 << 10, &text, NULL) == 0 &&
	    (at = strstr(text.p, "Max open files")) != NULL && sscanf(at + 14, "%llu", &soft) == 1)
		return soft;
	return 0;
}

void
doctor_files(struct doctor *d)
{
	struct receivers r = { 0 };
	struct request ask;
	struct rlimit rl;
	unsigned long long has = 0, wants = (unsigned long long)d->conf->limits.sessions + FILES_BESIDE;

	request_begin(&ask, "status");
	control_ask_quietly(d->cli, &ask, heard_processes, &r);
	if (r.pid)
		has = files_of(d, r.pid);
	if (has == 0 && getrlimit(RLIMIT_NOFILE, &rl) == 0)
		has = rl.rlim_max;
	doctor_say(d, has < wants ? DOUBTFUL : HEALTHY, "files", has < wants ? "a receiver may open %llu files: too few for "
	    "`limits: {sessions}` (%llu)" : "a receiver may open %llu files, sessions and what is beside them take %llu",
	    has, wants);
}

/* ---- secrets ---- */

struct secrets {
	struct doctor *d;
	size_t n, bad;
};

/* Group may read where a program of another account writes it (certificates); others never. */
static void
secret(struct secrets *s, const char *path, bool needed)
{
	struct doctor *d = s->d;
	struct stat st;

	if (path == NULL)
		return;
	s->n++;
	if (stat(path, &st) == -1) {
		if (errno == EACCES || (errno == ENOENT && !needed))
			return;
		s->bad++;
		doctor_say(d, ILL, "secret", "%s: %s", path, strerror(errno));
	} else if (st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) {
		s->bad++;
		doctor_say(d, ILL, "secret", "%s has mode %04o: others may %s it", path, st.st_mode & 07777,
		    st.st_mode & (S_IWOTH | S_IWGRP) ? "write" : "read");
	} else if (st.st_uid != 0 && st.st_uid != geteuid()) {
		const struct passwd *pw = getpwuid(st.st_uid);

		s->bad++;
		doctor_say(d, DOUBTFUL, "secret", "%s belongs to %s, who may change it", path, pw ? pw->pw_name : "nobody known");
	}
}

void
doctor_secrets(struct doctor *d)
{
	const struct config *c = d->conf;
	struct secrets s = { .d = d };
	struct err err;

	for (size_t i = 0; i < c->ndomains; i++) {
		const struct domain_key *keys;
		size_t n;

		if (domain_keys(c, &c->domains[i], d->a, &keys, &n, &err) == -1) {
			s.bad++;
			doctor_say(d, ILL, "secret", "%s", err.text);
			continue;
		}
		for (size_t k = 0; k < n; k++)
			secret(&s, keys[k].path, true);
		secret(&s, c->domains[i].batv.key, true);
	}
	secret(&s, c->tls_key, true);
	if (c->console.key != c->tls_key)
		secret(&s, c->console.key, true);
	secret(&s, c->store_key, false);	/* made at the first start */
	secret(&s, c->auth_file, true);
	for (size_t i = 0; i < c->antivirus.nstamp_keys; i++)
		secret(&s, c->antivirus.stamp_keys[i], true);
	for (size_t i = 0; i < c->ndirectories; i++)
		secret(&s, c->directories[i].password_file, true);
	secret(&s, c->counters.password_file, true);
	if (s.bad == 0)
		doctor_say(d, HEALTHY, "secret", "%zu keys and files of passwords, closed to others", s.n);
}

/* ---- what runs ---- */

static void
attention(void *ctx, bool bad, const char *text)
{
	doctor_say(ctx, bad ? ILL : DOUBTFUL, "running", "%s", text);
}

void
doctor_running(struct doctor *d)
{
	status_attention(d->cli, attention, d);
}

void
doctor_policy(struct doctor *d)
{
	struct policy *p;
	struct diags g;

	diags_init(&g, d->a);
	p = policy_load_conf(d->conf, false, d->a, &g);
	if (p == NULL || g.errors)
		doctor_say(d, ILL, "policy", "%zu errors: a reload would be refused", g.errors);
	else if (g.warnings)
		doctor_say(d, DOUBTFUL, "policy", "%zu warnings, the first: %s", g.warnings, g.first->text);
	else
		doctor_say(d, HEALTHY, "policy", "no warnings in %s", d->conf->policy_dir);
	policy_free(&p);
}

/* With domains the table of each says it (address, ptr). */
void
doctor_name(struct doctor *d)
{
	const char *host = arena_str(d->a, d->conf->hostname);
	struct dns_answer a, b;

	if (d->conf->ndomains)
		return;
	a = *lookup_ask(d->lookup, host, DNS_A);
	b = a.n ? a : *lookup_ask(d->lookup, host, DNS_AAAA);
	if (a.n == 0 && b.n == 0)
		doctor_say(d, ILL, "name", "%s has no address in the DNS: %s", host, dns_status_text(a.status));
	else
		doctor_say(d, HEALTHY, "name", "%s has an address in the DNS", host);
}

/* ---- libraries ---- */

void
doctor_libraries(struct doctor *d)
{
	char pcre[64] = "";

	pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	/* A library older than the headers it was built with lacks what we count on. */
	if (sqlite3_libversion_number() < SQLITE_VERSION_NUMBER)
		doctor_say(d, ILL, "libraries", "SQLite %s is older than the %s this was built with",
		    sqlite3_libversion(), SQLITE_VERSION);
	if (OpenSSL_version_num() >> 20 != OPENSSL_VERSION_NUMBER >> 20)
		doctor_say(d, ILL, "libraries", "%s is not the line this was built with (%s)",
		    OpenSSL_version(OPENSSL_VERSION), OPENSSL_VERSION_TEXT);
	doctor_say(d, HEALTHY, "libraries", "Postern " POSTERN_VERSION ", %s, libclamav %s, PCRE2 %.10s, Hyperscan %.12s, "
	    "SQLite %s, unbound %s, libevent %s, %s, zstd %s, curl %s", OpenSSL_version(OPENSSL_VERSION_STRING), cl_retver(),
	    pcre, hs_version(), sqlite3_libversion(), ub_version(), event_get_version(), archive_version_string(),
	    ZSTD_versionString(), curl_version_info(CURLVERSION_NOW)->version);
}
