/* https.c -- one HTTPS exchange in the event loop; see https.h. */
#include <curl/curl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "buf.h"
#include "net/resolver.h"
#include "fetcher/https.h"

#define ADDRESSES_MAX 8		/* of each family */
#define CONNECT_US (15 * INT64_C(1000000))
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

struct https {
	const struct https_world *w;
	https_cb *cb;
	void *ctx;
	CURL *easy;
	CURLM *multi;
	struct curl_slist *resolve, *headers;
	struct event *timer;		/* curl's own */
	struct event *done;		/* fails, in the next turn */
	struct question *a, *aaaa;
	struct buf addresses;
	size_t naddresses;
	char host[DNS_NAME_MAX];
	unsigned port;
	bool post;
	struct buf body;
	char error[CURL_ERROR_SIZE];
	char why[512];
};

int
https_global(const char *roots, struct x509_store_st **out, struct err *err)
{
	X509_STORE *store;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, 0, "libcurl does not start");
	if ((store = X509_STORE_new()) == NULL)
		return err_set(err, 0, "OpenSSL: no store of certificates");
	/* The system may have none: then no server can be believed, and each attempt says so. */
	if (X509_STORE_load_file(store, roots ? roots : SYSTEM_ROOTS) != 1 && roots) {
		X509_STORE_free(store);
		return err_set(err, 0, "delivery.tls.roots %s: %s", roots,
		    ERR_reason_error_string(ERR_get_error()));
	}
	ERR_clear_error();
	*out = store;
	return 0;
}

int
https_roots(const char *path, struct x509_store_st **out, struct err *err)
{
	X509_STORE *store = X509_STORE_new();

	ASSERT(store != NULL);
	if (X509_STORE_load_file(store, path) != 1) {
		X509_STORE_free(store);
		return err_set(err, 0, "%s: %s", path, ERR_reason_error_string(ERR_get_error()));
	}
	*out = store;
	return 0;
}

static void
https_free(struct https *h)
{
	resolver_cancel(&h->a);
	resolver_cancel(&h->aaaa);
	if (h->multi && h->easy)
		curl_multi_remove_handle(h->multi, h->easy);
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->resolve);
	curl_slist_free_all(h->headers);
	event_free(h->timer);
	event_free(h->done);
	buf_release(&h->addresses);
	buf_release(&h->body);
	free(h);
}

void
https_cancel(struct https **hp)
{
	struct https *h = *hp;

	*hp = NULL;
	if (h)
		https_free(h);
}

static void
failed(evutil_socket_t fd, short what, void *arg)
{
	struct https *h = arg;
	struct https_answer a = { .end = HTTPS_FAILED, .why = h->why };

	h->cb(h->ctx, &a);
	https_free(h);
}

static void __attribute__((format(printf, 2, 3)))
fail(struct https *h, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	event_active(h->done, EV_TIMEOUT, 0);
}

/* ---- libcurl and libevent ---- */

static int64_t
date_of(struct https *h)
{
	struct curl_header *date;
	time_t t;

	if (curl_easy_header(h->easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
		return 0;
	t = curl_getdate(date->value, NULL);
	return t > 0 ? t : 0;
}

static void
ended(struct https *h, CURLcode code)
{
	struct https_answer a = { .end = HTTPS_ANSWERED, .why = "" };
	long status = 0;
	char *type = NULL;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h->easy, CURLINFO_CONTENT_TYPE, &type);
	if (code != CURLE_OK) {
		a.end = code == CURLE_PEER_FAILED_VERIFICATION ? HTTPS_CERTIFICATE : HTTPS_FAILED;
		a.why = buf_failed(&h->body) || code == CURLE_FILESIZE_EXCEEDED ?
		    "the answer is too large" : h->error[0] ? h->error : curl_easy_strerror(code);
	} else {
		a.status = (int)status;
		a.type = span_str(type);
		a.body = buf_data(&h->body);
		a.date = date_of(h);
	}
	h->cb(h->ctx, &a);
	https_free(h);
}

static void
go_on(struct https *h, curl_socket_t fd, int what)
{
	CURLMsg *m;
	int n;

	curl_multi_socket_action(h->multi, fd, what, &n);
	while ((m = curl_multi_info_read(h->multi, &n)) != NULL)
		if (m->msg == CURLMSG_DONE) {
			ended(h, m->data.result);
			return;
		}
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	go_on(arg, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	go_on(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *own)
{
	struct https *h = arg;
	struct event *ev = own;

	if (ev)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(h->w->base, fd, EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		    (what & CURL_POLL_OUT ? EV_WRITE : 0), on_socket, h);
		ASSERT(ev != NULL);
		event_add(ev, NULL);
	}
	curl_multi_assign(h->multi, fd, ev);
	return 0;
}

static int
want_timer(CURLM *multi, long ms, void *arg)
{
	struct https *h = arg;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms < 0)
		evtimer_del(h->timer);
	else
		evtimer_add(h->timer, &tv);
	return 0;
}

static size_t
take_body(char *p, size_t size, size_t n, void *arg)
{
	struct https *h = arg;

	return buf_put(&h->body, p, n) == 0 ? n : 0;
}

/* The roots as they were read at the start, and the name by the alternative names alone. */
static CURLcode
tls_rules(CURL *easy, void *ssl_ctx, void *arg)
{
	struct https *h = arg;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);

	SSL_CTX_set1_cert_store(ssl_ctx, h->w->roots);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, h->host, 0) != 1)
		return CURLE_OUT_OF_MEMORY;
	return CURLE_OK;
}

static void
connect_now(struct https *h)
{
	char *line;
	int n;

	n = asprintf(&line, "+%s:%u:" SPAN_FMT, h->host, h->port, SPAN_ARG(buf_data(&h->addresses)));
	ASSERT(n > 0);
	h->resolve = curl_slist_append(NULL, line);
	free(line);
	curl_easy_setopt(h->easy, CURLOPT_RESOLVE, h->resolve);
	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		fail(h, "libcurl takes no request");
}

/* ---- names ---- */

static void
got_address(struct https *h, const struct dns_answer *a)
{
	size_t taken = 0;

	for (size_t i = 0; i < a->n && taken < ADDRESSES_MAX; i++, taken++) {
		char text[IP_TEXT_MAX];

		ip_format(a->records[i].ip, text);
		buf_printf(&h->addresses, a->records[i].ip.family == 6 ? "%s[%s]" : "%s%s",
		    h->naddresses++ ? "," : "", text);
	}
	if (h->a || h->aaaa)
		return;
	if (h->naddresses == 0)
		fail(h, "%s has no address: %s", h->host, dns_status_text(a->status));
	else
		connect_now(h);
}

static void
got_a(void *arg, const struct dns_answer *a)
{
	struct https *h = arg;

	h->a = NULL;
	got_address(h, a);
}

static void
got_aaaa(void *arg, const struct dns_answer *a)
{
	struct https *h = arg;

	h->aaaa = NULL;
	got_address(h, a);
}

/* ---- the start ---- */

static char *
url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, flags) == CURLUE_OK ? text : NULL;
}

/* false: said in h->why. */
static bool
take_url(struct https *h, const char *url)
{
	CURLU *u = curl_url();
	char *scheme, *host, *port, *user, *password;
	bool ok = false;

	ASSERT(u != NULL);
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK) {
		fail(h, "this is no URL that is used here");
		curl_url_cleanup(u);
		return false;
	}
	scheme = url_part(u, CURLUPART_SCHEME, 0);
	host = url_part(u, CURLUPART_HOST, 0);
	port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	user = url_part(u, CURLUPART_USER, 0);
	password = url_part(u, CURLUPART_PASSWORD, 0);
	if (scheme == NULL || strcmp(scheme, "https") != 0)
		fail(h, "only https: is used here");
	else if (host == NULL || port == NULL || user || password || !dns_name_ok(span_str(host)))
		fail(h, "the URL names no host, or more than a host");
	else {
		snprintf(h->host, sizeof(h->host), "%s", host);
		h->port = (unsigned)strtoul(port, NULL, 10);
		ok = true;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_free(password);
	curl_url_cleanup(u);
	return ok;
}

static void
prepare(struct https *h, const struct https_question *q)
{
	int64_t connect = q->timeout < CONNECT_US ? q->timeout : CONNECT_US;
	char type[128];

	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_easy_setopt(h->easy, CURLOPT_URL, q->url);
	curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(h->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(h->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)(q->timeout / 1000));
	curl_easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect / 1000));
	curl_easy_setopt(h->easy, CURLOPT_MAXFILESIZE, (long)q->max);
	curl_easy_setopt(h->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(h->easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(h->easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(h->easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(h->easy, CURLOPT_SSL_CTX_FUNCTION, tls_rules);
	curl_easy_setopt(h->easy, CURLOPT_SSL_CTX_DATA, h);
	curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "Postern/" POSTERN_VERSION);
	if (h->post) {
		snprintf(type, sizeof(type), "Content-Type: %s", q->type);
		h->headers = curl_slist_append(NULL, type);
		h->headers = curl_slist_append(h->headers, "Expect:");
		for (size_t i = 0; i < sizeof(q->headers) / sizeof(q->headers[0]) && q->headers[i]; i++)
			h->headers = curl_slist_append(h->headers, q->headers[i]);
		curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long)q->post.n);
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, q->post.p);
	}
}

struct https *
https_start(const struct https_world *w, const struct https_question *q, https_cb *cb, void *ctx)
{
	struct https *h = calloc(1, sizeof(*h));

	ASSERT(h != NULL);
	h->w = w;
	h->cb = cb;
	h->ctx = ctx;
	h->post = q->post.p != NULL;
	h->easy = curl_easy_init();
	h->multi = curl_multi_init();
	h->timer = evtimer_new(w->base, on_timer, h);
	h->done = event_new(w->base, -1, 0, failed, h);
	ASSERT(h->easy && h->multi && h->timer && h->done);
	buf_init(&h->body, q->max);
	buf_init(&h->addresses, 2 * ADDRESSES_MAX * (IP_TEXT_MAX + 3));
	if (!take_url(h, q->url))
		return h;
	prepare(h, q);
	/* Both are set before either can answer: answers never come from within. */
	h->a = resolver_ask(w->resolver, h->host, DNS_A, got_a, h);
	h->aaaa = resolver_ask(w->resolver, h->host, DNS_AAAA, got_aaaa, h);
	return h;
}
