/* console.h -- what the console's own files share.
 *
 * console.c is the role: sockets and peers. client.c is a connection: it reads requests and writes
 * answers. What a request is answered is decided in serve.c and the files behind it: approve.c and digest.c (links
 * of mails), oidc.c (signing in at a provider), files.c (pages), api.c (JSON), session.c (who asks), live.c (events).
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "console/http.h"
#include "ipc/messages_approve.h"
#include "ipc/json_read.h"
#include "ipc/ticket.h"
#include "json.h"
#include "master/runtime.h"
#include "net/transport.h"

#define US_SECONDS(n) ((n) * INT64_C(1000000))
#define STORE_TIME US_SECONDS(15)	/* for the store to say who it is, what a link is worth */
#define COMMAND_TIME US_SECONDS(190)	/* for a role to carry out a command: the editor's tests take 180 */
#define METRICS_TIME US_SECONDS(3)	/* … and to say its figures */
#define ANSWER_BYTES_MAX ((size_t)8 << 20)	/* of a command */
#define ERROR_TEXT_MAX 2000
#define CLIENT_FIELDS_MAX ((size_t)16 << 10)	/* of an answer's own; Location may be long */

struct event;
struct client;
struct forward;
struct live;
struct route;

struct console {
	struct runtime *rt;
	struct ssl_ctx_st *tls;		/* NULL: plain, behind a proxy of this machine */
	int fd, metrics_fd;		/* -1: not listening */
	struct event *accept, *metrics_accept, *leave;
	struct event *rested;		/* no descriptor was left: listens again then */
	struct link *store;
	struct tickets *tickets;
	struct client *clients;		/* newest first */
	size_t n, lives;
	struct arena *scratch;
};

enum stage { HANDSHAKE, REQUEST, ASKING, ANSWER, LIVE, LINGER };

/* What a frame of the store that answers a ticket is given to; m NULL: no answer comes. */
typedef void told_fn(struct client *k, struct frame *f);

struct client {
	struct console *c;
	struct client *next;
	struct transport t;
	struct ip ip;			/* the peer's, or what a proxy of this machine says */
	bool metrics;			/* came by the address of `metrics` */
	struct event *ev;
	enum stage stage;
	int64_t deadline;
	unsigned requests;		/* on this connection */
	struct buf in, out;
	struct span rest;		/* behind `out`: bytes that live as long as the program */
	/* ---- of the request under way ---- */
	struct arena *arena;
	struct http_request r;		/* borrowed from `in` */
	bool french;
	struct buf fields;		/* of the answer, beside the usual ones: "Name: value\r\n" */
	uint64_t ticket;		/* ASKING the store */
	told_fn *told;
	struct forward *forward;	/* ASKING another role */
	struct live *live;		/* LIVE */
	struct span token;		/* approve.c: shown, it goes into the forms */
	const struct route *route;	/* api.c */
	struct span parameter;
	struct span as;			/* who asks, as commands have it: a JSON object */
	struct span name;		/* … his name */
	unsigned roles;
	void *state;			/* of what answers in several steps */
};

/* client.c */
void client_new(struct console *c, int fd, struct ip ip, bool metrics);
void client_close(struct client *k);
/* The body is copied; type NULL: there is none. Then the next request is read, or the end is near. */
void client_answer(struct client *k, int status, const char *type, struct span body);
/* The same for bytes that live as long as the program. */
void client_answer_static(struct client *k, int status, const char *type, struct span body);
/* {"v":1,"error":text,"code":code} */
void client_error(struct client *k, int status, const char *code, const char *text);
/* Waits for something else than the client; client_late is called when it takes longer. */
void client_asks(struct client *k, int64_t time);
/* The head of an answer without end, and pieces of it; false: the client is gone, or does not read. */
bool client_live(struct client *k, const char *type);
bool client_say(struct client *k, struct span piece);
/* The ticket's answer; told is called once, unless the client goes first. -1: the store is away. */
int client_ask_store(struct client *k, enum frame_type type, struct span body, told_fn *told);
void clients_store_gone(struct console *c);
void clients_retire(struct console *c);		/* those who rest are hung up on */

/* serve.c */
void serve(struct client *k);

/* approve.c */
void approve_show(struct client *k);
void approve_act(struct client *k);
struct buf;
void approve_page(struct client *k, int status, const struct buf *page);
void approve_status(struct client *k, int status);	/* a page that says so */

/* digest.c: GET and POST /digest */
void digest_serve(struct client *k);

/* oidc.c: GET /oidc/start, /oidc/return */
void oidc_serve(struct client *k);

/* files.c */
void files_start(void);			/* before the sandbox */
/* The page at the request's path; false: there is none. */
bool files_serve(struct client *k);

/* api.c */
void api_serve(struct client *k);
/* A command's answer: api_forward.c */
void forward_free(struct forward **f);
/* No answer comes in time; false: nobody but the client waits for that. */
bool forward_late(struct client *k);

/* live.c */
void live_free(struct live **l);
void live_beat(struct client *k);

/* metrics.c */
void metrics_serve(struct client *k);

#endif
