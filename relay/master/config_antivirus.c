/* config_antivirus.c -- postern.yaml: `antivirus`; see config.h and config_read.h. */
#include <sys/un.h>

#include "master/config_read.h"

#define DAY (24 * 60 * MINUTE)

static const struct conf_node *
get_bool(struct reader *r, const struct conf_node *map, const char *key, bool *out)
{
	const struct conf_node *n = conf_get(map, key);

	if (n)
		conf_bool(r->d, n, out);
	return n;
}

/* Where clamd listens: a path, or an address with its port. A name would have to be resolved by
 * processes that may ask nobody. */
static void
read_socket(struct reader *r, const struct conf_node *n, struct conf_antivirus *av)
{
	struct sockaddr_un sun;
	struct span s;
	struct err err;

	if (!conf_text(r->d, n, "a path, or address:port", &s))
		return;
	if (s.n && (s.p[0] == '/' || s.p[0] == '.')) {
		av->socket = path_of(r, s);
		if (strlen(av->socket) >= sizeof(sun.sun_path))
			error_at(r, n, NULL, "too long a path for a socket");
	} else if (hostport_parse_ip(s, 3310, &av->clamd, &av->clamd_port, &err) == -1) {
		error_at(r, n, "/run/clamav/clamd.ctl, or 127.0.0.1:3310",
		    "clamd is named by the path of its socket, or by its address and port");
	}
}

static void
read_stamp(struct reader *r, const struct conf_node *map, struct conf_antivirus *av)
{
	static const char *const known[] = { "key", "trust", "authenticated", "expires", NULL };
	const struct conf_node *n, *keys;
	const char **paths;
	struct span s;

	if (!conf_want(r->d, map, CONF_MAP, "{key, trust, authenticated, expires}"))
		return;
	conf_check_keys(r->d, map, "stamp", known);
	if ((keys = conf_get(map, "key")) == NULL) {
		error_at(r, map, "{key: keys/av-stamp.key, trust: [network:hubs]}",
		    "a stamp needs its `key`, a file with a secret that the hops share");
		return;
	}
	paths = arena_array(r->a, keys->kind == CONF_LIST ? keys->count : 1, sizeof(*paths));
	if (keys->kind != CONF_LIST && conf_text(r->d, keys, "a file, or a list of files", &s)) {
		paths[av->nstamp_keys++] = secret_of(r, keys, s);
	} else if (keys->kind == CONF_LIST) {
		CONF_EACH(item, keys)
			if (conf_text(r->d, item, "a file", &s))
				paths[av->nstamp_keys++] = secret_of(r, item, s);
		if (keys->count == 0 || keys->count > STAMP_KEYS_MAX)
			error_at(r, keys, NULL, "1 to 4 keys: the first makes stamps, the others are still accepted");
	}
	av->stamp_keys = paths;
	if ((n = conf_get(map, "trust")))
		av->stamp_trust.n = read_allow(r, n, &av->stamp_trust.cidrs, &av->stamp_trust.names);
	if ((n = get_bool(r, map, "authenticated", &av->stamp_authenticated)) &&
	    av->stamp_trust.n == 0)
		error_at(r, n, "trust: [network:hubs]", "`authenticated` goes with `trust`");
	duration_of(r, map, "expires", &av->stamp_expires);
	if (av->stamp_expires < MINUTE || av->stamp_expires > 7 * DAY)
		error_at(r, conf_get(map, "expires"), NULL, "`expires` is between 1m and 7d");
}

static void
read_age(struct reader *r, const struct conf_node *map, struct conf_antivirus *av)
{
	static const char *const whats[] = { "warn", "defer", "unscannable", NULL };
	static const char *const reloads[] = { "beside", "after", NULL };
	const struct conf_node *n;
	int v;

	duration_of(r, map, "max_age", &av->max_age);
	if (av->max_age && (av->max_age < 60 * MINUTE || av->max_age > 3660 * DAY))
		error_at(r, conf_get(map, "max_age"), NULL, "`max_age` is 0, or between 1h and ten years");
	if ((n = conf_get(map, "on_old")) && conf_enum(r->d, n, whats, &v)) {
		av->on_old = (enum av_old)v;
		if (v && av->max_age == 0)
			error_at(r, n, NULL, "`on_old` needs a `max_age`");
	}
	if ((n = conf_get(map, "reload")) && conf_enum(r->d, n, reloads, &v))
		av->reload_after = v;
}

/* What one engine knows and the other does not is an error rather than a wish nobody grants. */
static void
only_for(struct reader *r, const struct conf_node *map, enum av_engine engine,
    const char *const *keys)
{
	for (; *keys; keys++) {
		const struct conf_node *n = conf_get(map, *keys);

		if (n && r->c->antivirus.engine != engine && r->c->antivirus.engine != AV_OFF)
			diag_key(r->d, DIAG_ERROR, n, engine == AV_CLAMD ? NULL :
			    "clamd.conf says it: see docs/ANTIVIRUS.md", "`%s` goes with `engine: %s`",
			    *keys, engine == AV_CLAMD ? "clamd" : "libclamav");
	}
}

void
read_antivirus(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "engine", "databases", "socket", "max_size", "pua",
		"phishing", "macros", "encrypted", "remember", "max_age", "on_old", "reload", "stamp", NULL };
	static const char *const engines[] = { "libclamav", "clamd", "off", NULL };
	static const char *const lib_keys[] = { "databases", "pua", "phishing", "macros", "encrypted",
		"remember", "reload", "stamp", NULL };
	static const char *const clamd_keys[] = { "socket", "max_size", NULL };
	struct conf_antivirus *av = &r->c->antivirus;
	const struct conf_node *n;
	struct span s;
	int v;

	*av = (struct conf_antivirus){ .engine = AV_LIBCLAMAV, .databases = "/var/lib/clamav",
		.socket = "/run/clamav/clamd.ctl", .max_size = CLAMD_MAX_SIZE, .phishing = true,
		.encrypted = true, .remember = true, .max_age = 3 * DAY, .stamp_expires = 60 * MINUTE };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{engine, databases, …}"))
		return;
	conf_check_keys(r->d, map, "antivirus", known);
	if ((n = conf_get(map, "engine")) && conf_enum(r->d, n, engines, &v))
		av->engine = (enum av_engine)v;
	if ((n = conf_get(map, "databases")) && conf_text(r->d, n, "a folder", &s))
		av->databases = path_of(r, s);
	if ((n = conf_get(map, "socket")))
		read_socket(r, n, av);
	if ((n = conf_get(map, "max_size")) && conf_size(r->d, n, &av->max_size) &&
	    (av->max_size < (1 << 20) || av->max_size > UINT32_MAX))
		error_at(r, n, NULL, "`max_size` is between 1 MiB and 4 GiB");
	get_bool(r, map, "pua", &av->pua);
	get_bool(r, map, "phishing", &av->phishing);
	get_bool(r, map, "macros", &av->macros);
	get_bool(r, map, "encrypted", &av->encrypted);
	get_bool(r, map, "remember", &av->remember);
	read_age(r, map, av);
	if ((n = conf_get(map, "stamp")))
		read_stamp(r, n, av);
	only_for(r, map, AV_LIBCLAMAV, lib_keys);
	only_for(r, map, AV_CLAMD, clamd_keys);
}
