/* config.h -- postern.yaml, read and checked.
 *
 * The keys are those of the configuration page; every error has its place.
 * What stands here is what roles need; texts live in the arena of the config.
 * Paths are absolute or relative to the folder of the file (fs_beside).
 */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

#include "addr.h"
#include "conf.h"
#include "log.h"
#include "master/conf_quarantine.h"
#include "postern/envelope.h"
#include "queue/retry.h"

struct conf_net {
	struct span name;
	const struct cidr *cidrs;
	size_t n;
	const struct span *texts;	/* as written */
	const struct span *from;	/* domains its clients may send from; none: any */
	size_t nfrom;
	uint32_t line;
};

struct conf_nets {		/* a list of networks, written out */
	const struct cidr *cidrs;
	const struct span *names;	/* of the network each came from; "" written directly */
	size_t n;
};

#define CONF_RESOLVERS_MAX 8	/* dns.resolvers */
struct conf_host {
	struct span name;	/* as written, without the port */
	struct ip ip;		/* family 0: a name, to be resolved (A/AAAA, no MX) */
	uint16_t port;
	uint16_t weight;	/* next hops: its share among those of its rank; 0: tried in order */
	uint16_t rank;		/* next hops: those of a higher rank when no lower one answers */
};

/* ---- events that go to others (docs/LOGS.md) ---- */
#define EXPORTS_MAX 16
enum export_way { EXPORT_WEBHOOK, EXPORT_UDP, EXPORT_TCP, EXPORT_TLS, EXPORT_UNIX };
enum export_format { EXPORT_JSON /* as `postern tail --json` */, EXPORT_ECS, EXPORT_CEF };
struct conf_export {
	struct span name;		/* [a-z0-9-]; what has been sent is remembered under it */
	uint32_t line;
	enum export_way way;
	enum export_format format;	/* a webhook's is JSON */
	const char *url;		/* of a webhook */
	const char *secret;		/* file of its secret */
	struct conf_host host;		/* UDP, TCP, TLS */
	const char *path;		/* UNIX */
	const char *roots;		/* TLS: a file of certificates; NULL: the system's */
	uint64_t events;		/* 1 << enum event_kind */
	uint64_t backlog;		/* events that may wait; the oldest beyond are lost, and counted */
};

/* ---- LDAP ---- */
#define DIRECTORIES_MAX 16
#define DIRECTORY_SERVERS_MAX 8

struct conf_ldap_server {
	struct span url;	/* as written */
	const char *host;
	struct ip ip;		/* family 0: a name */
	uint16_t port;
	bool ldaps;
};

enum nested_groups { NESTED_SEARCH, NESTED_CHAIN, NESTED_OFF };

struct conf_directory {
	struct span name;
	uint32_t line;
	const struct conf_ldap_server *servers;	/* in the order they are tried */
	size_t nservers;
	const char *base;		/* DN */
	const char *bind;		/* DN; NULL: anonymous */
	const char *password_file;	/* absolute; NULL: anonymous */
	bool starttls;			/* ldap:// becomes TLS before anything is said */
	const char *ca;			/* absolute; NULL: the system's */
	int64_t timeout;		/* 5s: of a connection, of a question */
	uint32_t searches;		/* 32 under way at once */
	struct span person;		/* filter that finds who an address belongs to */
	const struct span *members;	/* attributes of a group that name its members */
	size_t nmembers;
	enum nested_groups nested;
	const struct span *domains;	/* only addresses of these are in it; none: any may be */
	size_t ndomains;
	int64_t found, missing, stale;	/* cache: 10m, 1m, 1d */
	uint32_t entries;		/* cache: 100,000 */
};

struct conf_lookup {		/* {ldap: {directory, filter, attribute}} */
	const struct conf_directory *directory;	/* NULL: none is asked */
	struct span filter;	/* with %m, %u, %d */
	struct span attribute;
};

enum listener_direction { LISTEN_OUTBOUND, LISTEN_INBOUND, LISTEN_AUTO };
enum listener_tls { LISTEN_TLS_OFF, LISTEN_TLS_OFFERED, LISTEN_TLS_REQUIRED };

struct listener_limits {
	uint32_t sessions;		/* 1000 */
	uint32_t sessions_per_client;	/* 100 */
	uint32_t recipients;		/* 1000 for each message */
	uint32_t errors;		/* 20, then 421 */
	uint32_t messages;		/* 10000 in one session, then 421 */
	int64_t command_timeout;	/* 5m, microseconds */
	int64_t data_timeout;		/* 10m for a whole DATA without progress: see receiver */
};

struct receiver_limits {	/* over all receivers and listeners together */
	uint64_t memory;		/* 1 GB: mail that is being received or judged */
	uint32_t sessions;		/* 10000 */
};

struct conf_listener {
	struct span name;
	struct ip ip;
	uint16_t port;
	uint32_t line;		/* of `allow` (or of the listener) in postern.yaml, for the log */
	enum listener_direction direction;
	const struct cidr *allow;
	const struct span *allow_net;	/* name of the network each came from; "" written directly */
	size_t nallow;
	struct conf_nets proxy;		/* a PROXY header is required from these, before the banner */
	struct conf_nets xclient;	/* these may speak for others */
	struct conf_nets upstream;	/* only these may send; whom from stands in their Received lines */
	struct span hostname;		/* EHLO name, Received; the gateway's unless given */
	struct span banner;		/* text of the 220 behind the name; "ESMTP Postern" */
	enum listener_tls tls;
	bool auth;		/* AUTH is offered behind TLS … */
	bool auth_ldap;		/* … and asks the directory; else the file of users */
	const char *client_ca;	/* clients with a certificate of these may relay; NULL: not asked */
	const struct span *client_names;	/* … when it is for one of these names */
	size_t nclient_names;
	bool milter;		/* MTAs speak the milter protocol here, not SMTP … */
	struct conf_nets mtas;	/* … these; none: this machine's */
	const char *local;	/* a socket of the file system; NULL: ip and port */
	uint32_t local_mode;	/* 0660; of a socket we make */
	struct span local_group;	/* ""; its group */
	const char *activated;	/* systemd's name of a socket it holds; NULL: ours */
	bool normalise;		/* bare_newlines: a bare CR or LF becomes CRLF; else it is refused */
	uint64_t max_size;	/* 20 MB unless given */
	struct listener_limits limits;
};

enum recipients_check { RECIPIENTS_ANY, RECIPIENTS_FILE, RECIPIENTS_LDAP, RECIPIENTS_CALLOUT };

#define CALLOUT_KEEP_MAX (INT64_C(366) * 86400 * 1000000)

struct conf_callout {		/* microseconds, from the moment the server was asked */
	int64_t found;		/* 1d: a mailbox it took is taken without asking again … */
	int64_t stale;		/* 7d: … and so long while the server cannot be asked */
	int64_t missing;	/* 1h: one it refused is refused without asking again */
	int64_t timeout;	/* 20s: then the client is told to come back */
	uint32_t probes;	/* 20 at once; more clients are told to come back */
};

struct conf_greylist {
	int64_t delay;		/* 0: off. A stranger's first try is put off so long … */
	int64_t retry;		/* 2d: … and he comes back within this */
	int64_t keep;		/* 35d: then he is no stranger, so long after his last message */
	struct conf_nets exempt;
};

struct conf_dkim {
	struct span selector;
	struct span key;	/* path */
	bool ed25519;
	uint32_t line;
};

struct conf_batv {		/* envelope senders leave with a tag: net/batv.h */
	const char *key;	/* file; NULL: they do not */
	uint32_t line;
	bool refuse;		/* at RCPT, what is no bounce of ours; else the policy decides */
	int32_t grace;		/* days from the first tag on in which nothing is held against a bounce */
	int32_t since;		/* the day of the first tag, since 1970; 0: the day the eldest key was made */
	const struct span *exempt;	/* recipients whose servers see the sender as it is */
	size_t nexempt;
	const struct span *untagged;	/* senders of ours whose mail leaves without a tag */
	size_t nuntagged;
};

struct conf_domain {
	struct span name;	/* A-labels, lower case */
	uint32_t line;
	const struct conf_route *deliver_to;	/* NULL: by MX */
	enum recipients_check recipients;
	struct span recipients_file;
	struct conf_lookup recipients_ldap;
	struct conf_callout callout;
	struct conf_greylist greylist;
	const struct conf_dkim *dkim;
	size_t ndkim;
	bool dkim_managed;	/* keys/DOMAIN.dkim names more (signer/dkim_ring.h) */
	bool dkim_check;	/* only what stands in the DNS signs */
	struct conf_batv batv;
	uint64_t max_size;	/* 0: the listener's */
	const struct span *backup_mx;	/* others that may stand in its MX records: our other gateways, backups */
	size_t nbackup_mx;
};

struct conf_pool {		/* how mail leaves: from which address, under which name */
	struct span name;
	const struct ip *sources;	/* none: as delivery.source */
	size_t nsources;
	struct span hello;		/* empty: as delivery.hello */
};

#define ROUTE_HOSTS_MAX 16	/* next hops of one line */

/* A line of delivery.routes, delivery.sender_routes or domains.X.deliver_to. */
struct conf_route {
	enum route_by { ROUTE_RECIPIENT, ROUTE_DOMAIN, ROUTE_SENDER } by;
	struct span match;	/* "a@b", A-labels, ".domain": its subdomains, "group:NAME", "*" */
	uint32_t line;		/* in postern.yaml */
	uint32_t index;		/* its place in delivery.lines */
	const struct conf_host *hosts;	/* none: by MX */
	size_t nhosts;
	struct conf_lookup ldap;
	struct conf_pool pool;
};

enum tls_floor { FLOOR_NONE, FLOOR_OPPORTUNISTIC, FLOOR_ENCRYPTED };

struct conf_delivery {
	uint16_t port;			/* 25 */
	struct span hello;		/* hostname */
	const struct ip *sources;
	size_t nsources;
	const struct conf_route *const *lines;	/* all routes of the three places */
	size_t nlines;
	const struct conf_pool *pools;
	size_t npools;
	struct retry_curve retry[RETRY_CLASSES];	/* of each class of failure; n 0: the default's */
	int64_t delay_notice, expire;
	uint32_t site_connections;		/* 20 */
	uint32_t site_messages;			/* 100 on one connection */
	int64_t site_interval;			/* per_site.rate: microseconds from one message to the next; 0: none */
	uint32_t processes;			/* 1 */
	enum tls_floor floor;
	bool dane, sts;			/* tls.policy */
	uint16_t sts_port;		/* tls.mta_sts.port, 443: of the servers with policies */
	int64_t sts_timeout;		/* tls.mta_sts.timeout, 1m for one policy */
	const char *sts_cache;		/* tls.mta_sts.cache, absolute: beside the store unless given */
	const char *roots;		/* tls.roots: certificates of authorities; NULL: the system's */
};

/* Reports about TLS to whoever asks for them (RFC 8460). */
struct conf_reports {
	bool send;		/* unless said: when `from` is known and a key of its domain can sign */
	struct span from;	/* default: the postmaster, where one is written */
	struct span contact;	/* for people; default: from */
	struct span organization;	/* default: the domain of from */
};

/* Above them new messages are refused with 452; our own notices are not. */
struct conf_queue {
	uint64_t messages;	/* 2,000,000 */
	uint64_t bytes;		/* 50 GB of messages */
	uint64_t memory;	/* 1 GB for what is known of them */
	uint64_t free;		/* 64 MiB stay free on the spool's disk */
	uint64_t segment;	/* of the spool: 64 MiB */
#define SEGMENT_SIZE_MAX (UINT64_C(64) << 20)
};

/* What is asked about who sends inbound mail: the verifiers'. */
enum conf_spf { CONF_SPF_STRICT, CONF_SPF_LIBSPF2, CONF_SPF_BOTH };
struct dnsbl_list;
enum filter_kind { FILTER_NONE, FILTER_RSPAMD, FILTER_SPAMD };
struct conf_filter {		/* of spam, outside */
	enum filter_kind kind;
	struct conf_host host;		/* an address and a port */
	int64_t timeout;		/* 10s */
	uint64_t max_size;		/* 2 MB: what is larger it is not asked about */
	struct span user;		/* spamd: whose preferences; empty: its own */
};

struct conf_bayes {		/* the classifier (postern/bayes.h) */
	bool on;
	uint32_t minimum;		/* 200: spam and ham each, before it judges */
	uint32_t tokens;		/* 250,000 */
	uint32_t delivered;		/* 10: of 100 that are delivered, how many it remembers */
	int64_t remember;		/* 30d: as long a decision can be learnt or changed */
};

struct conf_verify {
	uint32_t processes;		/* 1 */
	int64_t timeout;		/* 20s for all that one message takes (RFC 7208, 4.6.4) */
	struct span authserv_id;	/* our name in Authentication-Results: hostname */
	enum conf_spf spf;
	bool tree_walk;			/* DMARC's domain by the DNS, not by the Public Suffix List */
	const struct span *arc_trust;	/* forwarders whose seal outweighs a failed DMARC */
	size_t narc_trust;
	const struct dnsbl_list *dnsbl;	/* verifier/dnsbl.h: of clients … */
	size_t ndnsbl;
	const struct dnsbl_list *uribl;	/* … and of domains that links lead to */
	size_t nuribl;
	struct conf_reputation {	/* our own experience: receiver/reputation.h */
		bool off;
		int64_t half_life;	/* 7d */
		uint32_t weight;	/* 25: points it may add to or take from `reputation` */
		uint32_t defer;		/* 0: clients below this score are told to come back */
	} reputation;
};

enum dkim_missing { DKIM_MISSING_WARN, DKIM_MISSING_REFUSE };
enum av_engine { AV_LIBCLAMAV, AV_CLAMD, AV_OFF };
enum av_old { AV_OLD_WARN, AV_OLD_DEFER, AV_OLD_UNSCANNABLE };

#define STAMP_KEYS_MAX 4
#define CLAMD_MAX_SIZE (UINT64_C(25) << 20)	/* clamd's own StreamMaxLength where Debian installs it */

struct conf_antivirus {
	enum av_engine engine;
	const char *databases;		/* absolute */
	const char *socket;		/* of clamd, absolute, when clamd.family is 0 */
	struct ip clamd;
	uint16_t clamd_port;
	uint64_t max_size;		/* clamd is not sent more: unscannable */
	bool pua, macros;		/* false */
	bool phishing, encrypted;	/* true */
	bool remember;			/* verdicts of attachments that were seen before, true */
	int64_t max_age;		/* of the signatures, 3d; 0: any */
	enum av_old on_old;
	bool reload_after;		/* new signatures are loaded when the old ones are gone */
	const char *const *stamp_keys;	/* absolute; none: no stamps */
	size_t nstamp_keys;
	struct conf_nets stamp_trust;	/* whose stamps are looked at … */
	bool stamp_authenticated;	/* … when they have proved who they are */
	int64_t stamp_expires;		/* 1h */
};

#define SCAN_MEMORY (UINT64_C(2) << 30)
#define SCAN_MEMORY_MIN (UINT64_C(64) << 20)

/* scanners.ocr */
struct conf_ocr {
	bool on;
	const char *languages;		/* "eng+fra", of tesseract */
	uint64_t pixels;		/* larger pictures are not read */
	int64_t time;			/* for one picture */
	int64_t per_message;		/* for all of a message */
};

/* The pages, their API, and the page behind links to approve. */
struct conf_console_role {	/* who is in this group has the role */
	struct span group;		/* as dn_normalise leaves it */
	unsigned role;			/* PRINCIPAL_BIT */
	struct span domain;		/* of a domain_admin; else empty */
};
struct conf_console_ldap {	/* console.login.ldap */
	struct conf_lookup find;	/* NULL directory: nobody signs in by one */
	struct span name;		/* the attribute he is known by: uid */
	const struct conf_console_role *roles;
	size_t nroles;
	int64_t lasts;			/* a session: as long as it keeps its roles; login.lasts unless less */
	int64_t again;			/* so often it is looked whether he still has them */
	bool users;			/* `roles` says who is a user; else everybody is */
};

enum oidc_mail {			/* is a provider's `email` his address here? */
	OIDC_MAIL_VERIFIED,		/* where it says email_verified */
	OIDC_MAIL_CLAIMED,
	OIDC_MAIL_OFF,
};
struct conf_console_oidc {	/* console.login.oidc */
	struct span issuer;		/* as its discovery document spells it; empty: nobody signs in by one */
	struct span client_id, scopes;	/* "openid profile email" */
	const char *secret;		/* absolute: of the client */
	const char *roots;		/* absolute: of authorities; NULL: those of delivery.tls */
	struct span groups_claim, name_claim;
	enum oidc_mail mail;
	const struct conf_console_role *roles;	/* group: as the claim has it */
	size_t nroles;
	bool users;			/* `roles` says who is a user; else everybody is */
	const struct span *acr, *amr;	/* one of these is needed; n 0: nothing is asked */
	size_t nacr, namr;
	struct span button_en, button_fr;
	int64_t lasts;			/* a session: as long as it keeps its roles; login.lasts unless less */
	int64_t skew, timeout;		/* of clocks; for the provider's answers, all in all */
	bool logout_local;		/* signing out here is not told the provider */
};

struct conf_console {
	struct ip ip;
	uint16_t port;			/* 0: there is none */
	const struct span *names;	/* hosts it answers to, beside `hostname` and addresses */
	size_t nnames;
	int64_t idle, lasts;		/* of a session: 30m without a request, 12h in all */
	bool totp_required;		/* of administrators */
	struct conf_console_ldap ldap;
	struct conf_console_oidc oidc;
	bool links;			/* our recipients may have themselves mailed a link to sign in */
	const char *certificate, *key;	/* absolute; NULL: plain HTTP, on a loopback address alone */
	bool edits;			/* the policy may be edited in it */
	bool addresses;			/* /addresses says to anybody from where we deliver */
};

/* `retention`: how long each kind is kept; 0: for ever. X(NAME, "name", days unless said). Verdict records
 * (journal.records) and TLS reports have terms of their own. */
#define RETENTIONS(X) \
	X(JOURNAL, "journal", 90)	/* who wrote to whom when, and what became of it */ \
	X(EVIDENCE, "evidence", 90)	/* why: what `postern explain ID` shows, findings masked */ \
	X(HOLDS, "holds", 0)		/* held messages that nobody decides */ \
	X(QUARANTINE, "quarantine", 30)	/* quarantined messages */ \
	X(AUDIT, "audit", 1095)		/* who changed what */ \
	X(STATISTICS, "statistics", 730)	/* counts by hour: nobody is in them */ \
	X(INCIDENTS, "incidents", 730)	/* what a reviewer has closed */
enum retention {
#define X(name, text, days) RETENTION_##name,
	RETENTIONS(X)
#undef X
	RETENTION_COUNT
};
const char *retention_name(enum retention r);

/* The shared base of many nodes: PostgreSQL (`store: postgresql://…`). */
#define BASE_HOSTS_MAX 8
struct conf_base {
	bool on;
	struct span shown;		/* as people read it: no password stands in it */
	struct conf_host hosts[BASE_HOSTS_MAX];
	size_t nhosts;
	const char *socket;		/* folder of a unix socket; NULL: hosts */
	uint16_t port;			/* of the socket */
	const char *user, *database;	/* NULL: as libpq would */
	const char *sslmode;		/* of libpq */
	const char *roots;		/* absolute; of authorities; NULL: the system's */
	const char *password_file;	/* absolute; NULL: none */
};

struct conf_member {		/* a node of the cluster */
	struct span name;
	uint32_t number;	/* 1 .. 127, in the ids it makes */
	struct span address;	/* for ssh, of `postern drain --to NAME`; empty: its name */
};

struct conf_counters {		/* `counters`: where what nodes count together lies (config_counters.c) */
	bool shared;			/* in Redis; else in this node's own memory */
	bool tls;			/* rediss:// */
	struct conf_host host;		/* unless there is a socket */
	const char *server;		/* as written, without user and password */
	const char *socket;		/* absolute; NULL: TCP */
	struct span user, password;	/* empty: none */
	const char *password_file;	/* absolute; NULL: none */
	const char *ca;			/* absolute; NULL: the system's */
	uint32_t database;
	int64_t timeout;		/* 250ms: an answer that takes longer is none */
	uint32_t nodes;			/* 0: those of `cluster`; without it as many as there were last */
	uint32_t share;			/* percent of each limit that a node alone goes on with; 0: 100 / nodes */
	struct span prefix;		/* of every key, within {} */
};

struct config {
	struct arena *arena;
	const char *path;		/* of postern.yaml, absolute */
	struct span hostname;
	uint64_t hash;			/* of postern.yaml as written, without node.yaml: nodes with the same have the same */
	struct span node;		/* this node's name; the hostname unless given */
	uint32_t node_number;		/* 0: it is alone */
	const struct conf_member *nodes;	/* of the cluster, this one too */
	size_t nnodes;
	const char *run, *spool;	/* absolute */
	struct span store;		/* "sqlite:PATH" */
	struct conf_base base;
	const char *store_path;		/* absolute, for sqlite */
	const char *store_key;		/* absolute: the keys of what the store seals */
	int64_t retention[RETENTION_COUNT];	/* microseconds */
	int64_t journal_records;	/* how long verdict records are kept, 30d; 0: none are */
	const char *policy_dir;		/* absolute */
	uint32_t templates_line;	/* 0: not written, and need not be there */
	const char *templates_dir;	/* texts for people, behind policy_dir/templates */
	const struct conf_net *networks;
	size_t nnetworks;
	const struct conf_listener *listeners;
	size_t nlisteners;
	const char *tls_certificate, *tls_key;	/* absolute; NULL: none */
	bool tls_only13;		/* minimum: "1.3"; else 1.2 */
	const char *auth_file;		/* absolute; users and their scrypt hashes; NULL: none */
	uint32_t authenticators;	/* processes that check passwords, 2; 0: no listener asks */
	struct conf_lookup auth_ldap;	/* AUTH by a directory: the filter finds the user … */
	struct span auth_dn;		/* … unless this template is his DN; empty: search */
	const struct conf_directory *directories;
	size_t ndirectories;
	const struct conf_domain *domains;
	size_t ndomains;
	enum dkim_missing dkim_missing;	/* what becomes of outgoing mail that no key signs */
	uint32_t dkim_verify;		/* 100: of a key's signatures libopendkim verifies the first and each so many-th */
	struct conf_counters counters;
	struct conf_delivery delivery;
	struct conf_queue queue;
	struct conf_verify verify;
	struct conf_filter filter;
	struct conf_bayes bayes;
	struct conf_reports reports;
	const struct conf_host *dns;	/* addresses; none: those of /etc/resolv.conf */
	size_t ndns;
	const struct conf_host *resolvers;	/* those that `postern dns check` and the console ask, too; addresses */
	size_t nresolvers;
	const struct ip *public_addresses;	/* as the Internet sees us; none: delivery.source */
	size_t npublic;
	const struct span *probes, *blocklists;	/* doctor: domains to try port 25 on, DNSBL zones */
	size_t nprobes, nblocklists;
	bool probes_given;		/* they stand in postern.yaml: the administrator asks for them */
	bool dnssec;			/* true */
	const char *trust_anchor;	/* absolute; NULL: the root's */
	struct conf_antivirus antivirus;
	uint32_t scanners;		/* processes; `auto`: the number of processors */
	int64_t scan_timeout;
	uint64_t scan_memory;		/* bytes that each may have beside what all share */
	struct conf_ocr ocr;
	uint32_t receivers;		/* processes, 1 */
	struct receiver_limits limits;	/* over all of them */
	struct ip metrics_ip;		/* family 0: none */
	uint16_t metrics_port;
	const struct conf_export *exports;	/* `webhooks` and `siem` */
	size_t nexports;
	struct span log_to;
	enum log_format log_format;
	struct conf_console console;
	struct conf_quarantine quarantine;
	struct conf_digests digests;
	struct span approval_url;	/* what links to approve begin with; empty: none are sent */
	struct span postmaster;		/* address; default postmaster@HOSTNAME */
	struct span echo;		/* the address that answers; empty: none does */
	uint32_t echo_per_hour;		/* answers to one sender */
};

/* Reads and checks `text` as the file `path` (shown as `shown`). NULL when d has errors. */
struct config *config_parse(const char *path, const char *shown, struct span text, struct diags *d);
void config_free(struct config **c);
/* What those of the address's domain are told, and in which language; never NULL. */
const struct conf_digest *config_digest(const struct config *c, struct span address);
const char *config_log_to(const struct config *c, bool foreground);	/* for log_open */
const struct conf_domain *config_domain(const struct config *c, struct span domain);
/* Nodes that count together: 1 without `counters`. heard: how many there were last, 0 unknown. */
uint32_t config_counting(const struct config *c, uint32_t heard);
/* Percent of each limit that a node goes on with alone; heard: how many nodes there were last, 0 unknown. */
uint32_t config_share(const struct config *c, uint32_t heard);
static inline bool
config_is_echo(const struct config *c, struct span address)
{
	return c->echo.n && span_eq_nocase(c->echo, address);
}
/* "https://gw1.example.org:8443", the console as people reach it: as in approvals.url, else the host name. */
struct span config_console_url(const struct config *c, struct arena *a);
/* Where there is to be a listening socket: the listeners, behind them the console and the metrics. */
static inline size_t
config_endpoints(const struct config *c)
{
	return c->nlisteners + (c->console.port > 0) + (c->metrics_port > 0);
}
static inline bool
config_endpoint_is_metrics(const struct config *c, size_t i)
{
	return i == c->nlisteners + (c->console.port > 0);
}
/* Family 0: a socket of the file system or one of systemd's. */
static inline struct ip
config_endpoint(const struct config *c, size_t i, uint16_t *port)
{
	bool metrics = config_endpoint_is_metrics(c, i);

	*port = i < c->nlisteners ? c->listeners[i].port : metrics ? c->metrics_port : c->console.port;
	return i < c->nlisteners ? c->listeners[i].ip : metrics ? c->metrics_ip : c->console.ip;
}
/* Does anything ask for HTTPS? Then there is a fetcher. */
static inline bool
config_fetches(const struct config *c)
{
	return c->delivery.sts || c->reports.send || c->nexports > 0 || c->console.oidc.issuer.n > 0;
}
/* Can mail come from the world? Then there are verifiers. */
static inline bool
config_verifies(const struct config *c)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].direction != LISTEN_OUTBOUND)
			return true;
	return false;
}
const struct conf_net *config_network(const struct config *c, struct span name);
const struct conf_directory *config_directory(const struct config *c, struct span name);
/* The line that decides where mail goes; NULL: none, so by MX. The most particular wins:
 *
 *	routes: the recipient's address; his domain
 *	domains.X.deliver_to: his domain is ours
 *	routes: the longest .domain he is in
 *	sender_routes: the sender's address; his domain; the longest .domain; a group he is in
 *	routes: "*"
 *
 * recipient: an address, or a domain alone. in_group may be NULL. */
struct route_question {
	struct span recipient, sender;
	bool (*in_group)(void *ctx, struct span group, struct span sender);
	void *ctx;
};
const struct conf_route *config_route(const struct config *c, const struct route_question *q);

#endif
