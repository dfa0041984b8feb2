/* doctor_inbound.c -- whom inbound mail is asked about: the spam filter, callout servers, blocklists; see doctor.h.
 *
 * Each of them can fail in a way that no message shows: a filter that is down leaves mail unrated, a server
 * that takes every address makes callout useless, a list that is gone lists nobody, or everybody.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/auth_book.h"
#include "cli/control_client.h"
#include "cli/doctor.h"
#include "verifier/dnsbl.h"

#define CONNECT_MS 5000
#define ANSWER_MS 5000

/* ---- the spam filter ---- */

static int
dial(const struct conf_host *host, const char **why)
{
	struct sockaddr_storage to;
	socklen_t len = ip_to_sockaddr(host->ip, host->port, &to), elen = sizeof(int);
	struct pollfd p = { .events = POLLOUT };
	int error = 0;

	p.fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd == -1 || connect(p.fd, (struct sockaddr *)&to, len) == -1)
		error = errno;
	if (p.fd != -1 && error == EINPROGRESS) {
		if (poll(&p, 1, CONNECT_MS) != 1)
			error = ETIMEDOUT;
		else if (getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &elen) == -1)
			error = errno;
	}
	if (error == 0)
		return p.fd;
	*why = strerror(error);
	if (p.fd != -1)
		close(p.fd);
	return -1;
}

/* Both have a question that costs them nothing: rspamd's manual, "Workers protocol"; PING of spamd/PROTOCOL. */
static bool
filter_answers(const struct conf_filter *f, const char **why)
{
	bool rspamd = f->kind == FILTER_RSPAMD;
	const char *ask = rspamd ? "GET /ping HTTP/1.0\r\n\r\n" : "PING SPAMC/1.5\r\n\r\n";
	struct span want = rspamd ? SPAN_LIT("HTTP/1.") : SPAN_LIT("SPAMD/"), got;
	struct pollfd p = { .events = POLLIN };
	char text[64];
	ssize_t n = -1;

	if ((p.fd = dial(&f->host, why)) == -1)
		return false;
	if (send(p.fd, ask, strlen(ask), MSG_NOSIGNAL) == (ssize_t)strlen(ask) &&
	    poll(&p, 1, ANSWER_MS) == 1)
		n = recv(p.fd, text, sizeof(text), 0);
	close(p.fd);
	got = span_make(text, n > 0 ? (size_t)n : 0);
	*why = n <= 0 ? "it takes the connection and says nothing" : "what answers there is another program";
	return span_starts(got, want);
}

void
doctor_filter(struct doctor *d)
{
	const struct conf_filter *f = &d->conf->filter;
	const char *name = f->kind == FILTER_RSPAMD ? "rspamd" : "spamd", *why = "";
	char ip[IP_TEXT_MAX];

	if (f->kind == FILTER_NONE)
		return;
	ip_format(f->host.ip, ip);
	if (filter_answers(f, &why))
		doctor_say(d, HEALTHY, "filter", "%s answers on %s:%u", name, ip, f->host.port);
	else
		doctor_say(d, ILL, "filter", "%s on %s:%u: %s: mail from the world is judged unrated", name, ip,
		    f->host.port, why);
}

/* ---- callout ---- */

struct told {
	char is[16];	/* known, unknown, unsure */
	char relay[300], text[200];
};

static void
heard(void *ctx, const struct jval *v, struct span line)
{
	struct told *t = ctx;

	snprintf(t->is, sizeof(t->is), "%.*s", SPAN_ARG(span_sub(jval_text(v, "recipient"), 0, 15)));
	snprintf(t->relay, sizeof(t->relay), "%.*s", SPAN_ARG(span_sub(jval_text(v, "relay"), 0, 299)));
	snprintf(t->text, sizeof(t->text), "%.*s", SPAN_ARG(span_sub(jval_text(v, "text"), 0, 199)));
}

/* Asked by the daemon, as it would ask for a client: a mailbox that nobody can have. */
static void
one_domain(struct doctor *d, const struct conf_domain *dom)
{
	struct told told = { 0 };
	struct request r;
	uint64_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return;
	request_begin(&r, "recipients.test");
	json_kcstr(&r.j, "address", arena_printf(d->a, "doctor-%016llx@" SPAN_FMT, (unsigned long long)n,
	    SPAN_ARG(dom->name)));
	if (control_ask_quietly(d->cli, &r, heard, &told) != CLI_OK)
		doctor_say(d, DOUBTFUL, "callout", SPAN_FMT ": posternd does not answer, nobody was asked",
		    SPAN_ARG(dom->name));
	else if (strcmp(told.is, "unknown") == 0)
		doctor_say(d, HEALTHY, "callout", SPAN_FMT ": %s refuses an address that was made up",
		    SPAN_ARG(dom->name), told.relay);
	else if (strcmp(told.is, "known") == 0)
		doctor_say(d, ILL, "callout", SPAN_FMT ": %s takes every address, also one that was made up: "
		    "`recipients: callout` keeps nothing out", SPAN_ARG(dom->name), told.relay);
	else
		doctor_say(d, ILL, "callout", SPAN_FMT ": %s does not say who exists (%s): who is not "
		    "remembered is told to come back", SPAN_ARG(dom->name), told.relay, told.text);
}

void
doctor_callout(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->ndomains; i++)
		if (d->conf->domains[i].recipients == RECIPIENTS_CALLOUT)
			one_domain(d, &d->conf->domains[i]);
}

/* ---- blocklists: RFC 5782, 5 ---- */

static bool
step(void *ctx)
{
	return dnsbl_step(ctx);
}

/* A test entry may have an answer that is none of those we count: any is one. */
static struct dnsbl_verdict
ask(struct doctor *d, const struct dnsbl_list *list, const char *what)
{
	struct dnsbl_list *bare = arena_alloc(d->a, sizeof(*bare));
	struct dns_book *book = dns_book_new(d->a);
	struct dnsbl *q;
	struct ip ip;

	*bare = *list;
	bare->ncodes = 0;
	q = ip_parse(span_str(what), &ip) ? dnsbl_new(d->a, book, bare, 1, ip) :
	    dnsbl_new_domain(d->a, book, bare, 1, span_str(what));
	auth_pump(d->lookup, book, step, q);
	return dnsbl_result(q)->verdicts[0];
}

/* Lists of addresses have 127.0.0.2, and never 127.0.0.1. Lists of domains have TEST, or 127.0.0.2 as well,
 * and never INVALID; some answer every address, to say that they want none. */
static void
one_list(struct doctor *d, const struct dnsbl_list *l, bool domains)
{
	const char *never = domains ? "invalid" : "127.0.0.1";
	struct dnsbl_verdict in = ask(d, l, domains ? "test" : "127.0.0.2"), out;

	if (domains && in.state == DNSBL_CLEAR)
		in = ask(d, l, "127.0.0.2");
	out = ask(d, l, never);
	if (out.state == DNSBL_LISTED)
		doctor_say(d, ILL, "lists", SPAN_FMT " lists %s, which no list has (RFC 5782, 5): it lists "
		    "everybody", SPAN_ARG(l->zone), never);
	else if (in.state == DNSBL_UNKNOWN)
		doctor_say(d, ILL, "lists", SPAN_FMT ": %s", SPAN_ARG(l->zone), in.why);
	else if (in.state == DNSBL_CLEAR)
		doctor_say(d, ILL, "lists", SPAN_FMT " does not list %s, which every list has (RFC 5782, 5): "
		    "is it still run?", SPAN_ARG(l->zone), domains ? "test nor 127.0.0.2" : "127.0.0.2");
	else
		doctor_say(d, HEALTHY, "lists", SPAN_FMT " is alive", SPAN_ARG(l->zone));
}

void
doctor_lists(struct doctor *d)
{
	const struct conf_verify *v = &d->conf->verify;

	for (size_t i = 0; i < v->ndnsbl; i++)
		one_list(d, &v->dnsbl[i], false);
	for (size_t i = 0; i < v->nuribl; i++)
		one_list(d, &v->uribl[i], true);
}
