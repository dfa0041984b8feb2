/* delivery_server.h -- a receiving server in a process of its own, on an ephemeral loopback port.
 *
 * It blocks and is simple; what it was told to do wrong, it does at the command
 * named. What it received lies in memory shared with the test.
 */
#ifndef TESTS_DELIVERY_SERVER_H
#define TESTS_DELIVERY_SERVER_H

#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addr.h"

struct server_log {		/* shared */
	_Atomic int connections, messages, recipients, transactions, handshakes, quits;
	_Atomic int resumed, turned_away, chunks, open, most;
	_Atomic size_t body_n;		/* of the last message, as received, dots undone */
	char body[8 << 20];
};

struct fake {
	/* how it behaves */
	bool tls;			/* STARTTLS is offered */
	bool tls_broken;		/* … and then the handshake is rubbish */
	int close_after;		/* messages, then the connection is closed without a word; 0 never */
	const char *stuck_at;		/* never answers this command ("." the end of data) */
	const char *refuse;		/* answers 450 to lines that begin so */
	bool no_pipelining;
	bool tls12;			/* no TLS 1.3 */
	int room;			/* connections at a time; one more is told 421; 0: any */
	bool chunking, chunking_lie;	/* offers BDAT; … and does not know it */
	bool closed;			/* greets everybody with 421 */
	/* where it is */
	pid_t pid;
	uint16_t port;
	struct server_log *log;
	/* of the child */
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	char buf[1 << 16];
	size_t at, n;
};

static inline SSL_CTX *
fake_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.lab");

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.lab", -1, -1, 0);
	X509_add_ext(cert, san, -1);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_EXTENSION_free(san);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

static inline void
fake_say(struct fake *s, const char *text)
{
	size_t n = strlen(text);

	if (s->ssl ? SSL_write(s->ssl, text, (int)n) <= 0 :
	    send(s->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
		s->n = s->at = SIZE_MAX;	/* gone */
}

/* One line with its CRLF into line; its length, 0 at the end. */
static inline size_t
fake_line(struct fake *s, char *line, size_t max)
{
	size_t n = 0;

	while (n < max) {
		if (s->at == SIZE_MAX)
			return 0;
		if (s->at == s->n) {
			ssize_t r = s->ssl ? SSL_read(s->ssl, s->buf, sizeof(s->buf)) :
			    recv(s->fd, s->buf, sizeof(s->buf), 0);

			if (r <= 0)
				return 0;
			s->at = 0;
			s->n = (size_t)r;
		}
		line[n++] = s->buf[s->at++];
		if (line[n - 1] == '\n')
			return n;
	}
	return 0;
}

static inline void
fake_data(struct fake *s)
{
	static char line[1 << 20];
	size_t n, total = 0;

	while ((n = fake_line(s, line, sizeof(line))) > 0) {
		if (n < 2 || line[n - 2] != '\r')
			_exit(3);		/* bare LF */
		if (n == 3 && line[0] == '.') {
			s->log->body_n = total;
			s->log->messages++;
			if (s->stuck_at && strcmp(s->stuck_at, ".") == 0)
				pause();
			fake_say(s, "250 2.0.0 queued\r\n");
			return;
		}
		if (total + n > sizeof(s->log->body))
			_exit(4);
		memcpy(s->log->body + total, line + (line[0] == '.'), n - (line[0] == '.'));
		total += n - (line[0] == '.');
	}
}

/* A chunk with its answer; false: the connection is gone. */
static inline bool
fake_chunk(struct fake *s, size_t size, bool last)
{
	static size_t total;

	for (size_t got = 0; got < size; ) {
		size_t n = s->n - s->at < size - got ? s->n - s->at : size - got;

		if (total + n > sizeof(s->log->body))
			_exit(4);
		memcpy(s->log->body + total, s->buf + s->at, n);
		total += n;
		got += n;
		s->at += n;
		if (got < size) {
			ssize_t r = s->ssl ? SSL_read(s->ssl, s->buf, sizeof(s->buf)) :
			    recv(s->fd, s->buf, sizeof(s->buf), 0);

			if (r <= 0)
				return false;
			s->at = 0;
			s->n = (size_t)r;
		}
	}
	s->log->chunks++;
	if (last) {
		s->log->body_n = total;
		s->log->messages++;
		total = 0;
	}
	fake_say(s, last ? "250 2.0.0 queued\r\n" : "250 2.0.0 chunk ok\r\n");
	return true;
}

static inline bool
fake_starttls(struct fake *s)
{
	fake_say(s, "220 2.0.0 go\r\n");
	if (s->tls_broken) {
		char c;

		/* Behind the client's hello: text sent with the 220 is another fault. */
		if (recv(s->fd, &c, 1, MSG_PEEK) != 1)
			return false;
		fake_say(s, "this is not the hello of a TLS server, it is an ordinary text\r\n");
		return false;
	}
	s->ssl = SSL_new(s->ctx);
	SSL_set_fd(s->ssl, s->fd);
	if (SSL_accept(s->ssl) != 1)
		return false;
	s->log->handshakes++;
	s->log->resumed += SSL_session_reused(s->ssl);
	return true;
}

static inline void
fake_session(struct fake *s)
{
	char line[2048], reply[512];
	int messages = s->log->messages, rcpts = 0;
	size_t n;

	s->at = s->n = 0;
	if (s->closed || (s->room && s->log->open > s->room)) {
		s->log->turned_away++;
		fake_say(s, "421 4.7.0 too many connections from you\r\n");
		return;
	}
	if (s->log->open > s->log->most)
		s->log->most = (int)s->log->open;
	fake_say(s, "220 mx.lab ESMTP\r\n");
	while ((n = fake_line(s, line, sizeof(line))) > 0) {
		if (s->stuck_at && strncmp(line, s->stuck_at, strlen(s->stuck_at)) == 0)
			pause();
		if (s->refuse && strncmp(line, s->refuse, strlen(s->refuse)) == 0) {
			fake_say(s, "450 4.2.1 not now\r\n");
		} else if (strncmp(line, "EHLO", 4) == 0) {
			snprintf(reply, sizeof(reply), "250-mx.lab\r\n%s%s%s250 8BITMIME\r\n",
			    s->no_pipelining ? "" : "250-PIPELINING\r\n",
			    s->chunking || s->chunking_lie ? "250-CHUNKING\r\n" : "",
			    s->tls && !s->ssl ? "250-STARTTLS\r\n" : "");
			fake_say(s, reply);
		} else if (strncmp(line, "STARTTLS", 8) == 0) {
			if (!fake_starttls(s))
				return;
		} else if (strncmp(line, "RCPT", 4) == 0) {
			s->log->recipients++;
			rcpts++;
			fake_say(s, "250 2.1.5 ok\r\n");
		} else if (s->chunking && strncmp(line, "BDAT ", 5) == 0) {
			if (!fake_chunk(s, (size_t)atol(line + 5), strstr(line, "LAST") != NULL))
				return;
			if (strstr(line, "LAST")) {
				s->log->transactions++;
				rcpts = 0;
			}
		} else if (s->chunking_lie && strncmp(line, "BDAT ", 5) == 0) {
			fake_say(s, "502 5.5.1 what is BDAT?\r\n");
		} else if (strncmp(line, "DATA", 4) == 0) {
			if (rcpts == 0) {
				fake_say(s, "554 5.5.1 no valid recipients\r\n");
				continue;
			}
			s->log->transactions++;
			rcpts = 0;
			fake_say(s, "354 go on\r\n");
			fake_data(s);
			if (s->close_after && s->log->messages - messages >= s->close_after)
				return;
		} else if (strncmp(line, "QUIT", 4) == 0) {
			s->log->quits++;
			fake_say(s, "221 bye\r\n");
			return;
		} else
			fake_say(s, "250 2.0.0 ok\r\n");
	}
}

/* Each connection in a process of its own, so that one that is stuck does not hold the others. */
static inline void
fake_start(struct fake *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	s->log = mmap(NULL, sizeof(*s->log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lfd == -1 || bind(lfd, (struct sockaddr *)&in, len) == -1 || listen(lfd, 64) == -1 ||
	    getsockname(lfd, (struct sockaddr *)&in, &len) == -1 || s->log == MAP_FAILED)
		abort();
	s->port = ntohs(in.sin_port);
	if (s->tls && s->ctx == NULL)
		s->ctx = fake_certificate();
	if (s->tls12)
		SSL_CTX_set_max_proto_version(s->ctx, TLS1_2_VERSION);
	if ((s->pid = fork()) != 0) {
		close(lfd);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	while ((s->fd = accept(lfd, NULL, NULL)) != -1) {
		int on = 1;

		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		s->log->connections++;
		s->log->open++;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(lfd);
			fake_session(s);
			s->log->open--;
			_exit(0);
		}
		close(s->fd);
	}
	_exit(1);
}

static inline void
fake_stop(struct fake *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	munmap(s->log, sizeof(*s->log));
	SSL_CTX_free(s->ctx);
	s->ctx = NULL;
}

/* A port where nobody listens. */
static inline uint16_t
fake_closed_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&in, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) == -1)
		abort();
	close(fd);
	return ntohs(in.sin_port);
}

#endif
