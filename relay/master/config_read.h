/* config_read.h -- what the files that read postern.yaml share: config.c and its
 * sections, config_*.c. Nobody else includes it.
 */
#ifndef MASTER_CONFIG_READ_H
#define MASTER_CONFIG_READ_H

#include "master/config.h"

#define MINUTE (INT64_C(60) * 1000000)

struct reader {
	struct config *c;
	struct diags *d;
	struct arena *a;
	const struct conf_route **lines;	/* delivery.lines, growing */
};

/* ---- config.c ---- */
void error_at(struct reader *r, const struct conf_node *n, const char *hint, const char *text);
const char *path_of(struct reader *r, struct span s);	/* beside postern.yaml */
/* Of a file that holds a secret: beside postern.yaml, or `credential:NAME`. */
struct span key_path(struct reader *r, const struct conf_node *n, struct span key);
const char *secret_of(struct reader *r, const struct conf_node *n, struct span s);
/* Copies the text; false when n is NULL or no text. */
bool text_of(struct reader *r, const struct conf_node *n, const char *what, struct span *out);
void duration_of(struct reader *r, const struct conf_node *map, const char *key, int64_t *out);
void u32_of(struct reader *r, const struct conf_node *map, const char *key, uint64_t min,
    uint64_t max, uint32_t *out);
bool read_host(struct reader *r, const struct conf_node *n, uint16_t port, struct conf_host *h);

/* ---- config_listeners.c ---- */
void read_networks(struct reader *r, const struct conf_node *map);
/* config_milter.c */
void read_milter(struct reader *r, const struct conf_node *map, const struct conf_node *n, struct conf_listener *l);
void refuse_milter_keys(struct reader *r, const struct conf_node *map);	/* beside an `address` */
void check_milters(struct reader *r, const struct conf_node *root);
void read_listeners(struct reader *r, const struct conf_node *list);
size_t read_allow(struct reader *r, const struct conf_node *list, const struct cidr **cidrs,
    const struct span **nets);
size_t read_hosts(struct reader *r, const struct conf_node *list, uint16_t port,
    const struct conf_host **out);
void refuse_later(struct reader *r, const struct conf_node *map, const char *const *keys);

/* The value of allow, proxy_protocol … */
void read_nets(struct reader *r, const struct conf_node *list, struct conf_nets *out);

/* ---- config_recipients.c; deliver_to is read before ---- */
void read_recipients(struct reader *r, const struct conf_node *n, struct conf_domain *dom);
void read_greylist(struct reader *r, const struct conf_node *n, struct conf_greylist *g);

/* ---- config_cluster.c; hostname is read before ---- */
void read_cluster(struct reader *r, const struct conf_node *root);

/* ---- config_counters.c ---- */
void read_counters(struct reader *r, const struct conf_node *n);

/* ---- config_batv.c ---- */
void read_batv(struct reader *r, const struct conf_node *map, struct conf_batv *b);

/* ---- config_delivery.c ---- */
void read_delivery(struct reader *r, const struct conf_node *map);
void read_queue(struct reader *r, const struct conf_node *map);
void read_doctor(struct reader *r, const struct conf_node *map);
void read_public(struct reader *r, const struct conf_node *list);
void read_reports(struct reader *r, const struct conf_node *map, bool postmaster);

/* ---- config_antivirus.c ---- */
void read_retention(struct reader *r, const struct conf_node *map);
void read_antivirus(struct reader *r, const struct conf_node *map);

/* ---- config_verify.c ---- */
/* `antispam`, in config_filter.c, and its `bayes`, in config_bayes.c */
void read_bayes(struct reader *r, const struct conf_node *n);
void read_filter(struct reader *r, const struct conf_node *map);
void read_verify(struct reader *r, const struct conf_node *map);

/* ---- config_ocr.c; scanners.timeout is read before ---- */
void read_ocr(struct reader *r, const struct conf_node *map);

/* ---- config_base.c: `store`; what it needs of `cluster` ---- */
void read_store(struct reader *r, const struct conf_node *root);
void check_base(struct reader *r, const struct conf_node *root);

/* ---- config_console.c; tls, listeners and approvals are read before ---- */
void read_console(struct reader *r, const struct conf_node *map);

/* ---- config_console_roles.c ---- */
#define CONSOLE_GROUPS_MAX 256	/* that give roles, in one login */
/* What a group is called, as it is compared; false: told what is wrong with it. */
typedef bool conf_group_taker(struct reader *r, const struct conf_node *n, const void *ctx, struct span *group);
struct conf_groups {
	struct conf_console_role list[CONSOLE_GROUPS_MAX];
	size_t n;
	bool users;			/* one of them makes users */
	conf_group_taker *take;
	const void *ctx;
};
const struct conf_groups *read_console_roles(struct reader *r, const struct conf_node *login, conf_group_taker *take,
    const void *ctx);

/* ---- config_console_ldap.c: console.login.ldap; directories are read before ---- */
void read_console_ldap(struct reader *r, const struct conf_node *map);

/* ---- config_console_oidc.c: console.login.oidc; approvals are read before ---- */
void read_console_oidc(struct reader *r, const struct conf_node *map);
/* ---- config_quarantine.c; console is read before ---- */
void read_quarantine(struct reader *r, const struct conf_node *map);
void read_echo(struct reader *r, const struct conf_node *map);	/* config_echo.c */
void read_digest(struct reader *r, const struct conf_node *map);

/* ---- config_directory.c ---- */
void read_directories(struct reader *r, const struct conf_node *map);
/* The directory that `directory` of a look-up names, or the only one; NULL: an error was said. */
const struct conf_directory *read_which(struct reader *r, const struct conf_node *map);
bool attribute_ok(struct span s);
/* {directory, filter, attribute}; attribute: whether there has to be one. */
void read_lookup(struct reader *r, const struct conf_node *map, bool attribute,
    struct conf_lookup *out);

/* ---- config_export.c: `webhooks` and `siem` ---- */
void read_exports(struct reader *r, const struct conf_node *webhooks, const struct conf_node *siem);

/* ---- config_routes.c: pools first, then deliver_to, routes and sender_routes ---- */
void read_pools(struct reader *r, const struct conf_node *map);
size_t read_sources(struct reader *r, const struct conf_node *list, const struct ip **out);
/* A value of routes, sender_routes or deliver_to into a new line; NULL: it is none. */
const struct conf_route *read_route(struct reader *r, const struct conf_node *n, enum route_by by,
    struct span match, uint16_t port);
void read_routes(struct reader *r, const struct conf_node *map, enum route_by by);

#endif
