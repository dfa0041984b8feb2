/* init_files.c -- writes what `postern init` has made up; see init.h.
 *
 * Nothing that is there is written over: every file is made with O_EXCL, and
 * what existed is said. The one exception is a file that is, byte for byte,
 * what came with the package: it is nobody's, and its place is taken (rename).
 * Secrets are 0600 from their first byte. postern.yaml is written last, so
 * that a run that is cut short is begun again.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/dkim_page.h"
#include "cli/diag_out.h"
#include "cli/init.h"
#include "cli/shipped.h"
#include "fs.h"
#include "signer/dkim_ring.h"

#define CERT_DAYS 3650
#define SHIPPED_MAX (4u << 20)

static void
note(struct init *in, const char *path, const char *what, int state)
{
	if (in->nfiles < sizeof(in->files) / sizeof(*in->files))
		in->files[in->nfiles++] = (struct init_file){ path, what, state };
}

/* Is the file what the package brought? */
static bool
is_shipped(struct init *in, const char *path, const char *name)
{
	struct span text;

	for (const struct shipped_file *f = shipped_files; f->path; f++)
		if (strcmp(f->path, name) == 0)
			return fs_read(in->a, path, SHIPPED_MAX, &text, NULL) == 0 &&
			    span_eq(text, span_make(f->bytes, (size_t)(f->end - f->bytes)));
	return false;
}

bool
init_occupied(struct init *in, const char *path)
{
	return access(path, F_OK) == 0 && !is_shipped(in, path, "postern.yaml");
}

static int
write_new(const char *path, struct span text, mode_t mode, struct err *err)
{
	int fd = fs_open(path, O_WRONLY | O_CREAT | O_EXCL, mode, err), rc;

	if (fd == -1)
		return -1;
	rc = fs_write_all(fd, text.p, text.n, err);
	if (rc == 0 && fchmod(fd, mode) == -1)
		rc = err_errno(err, "%s", path);
	if (rc == 0)
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == -1)
		unlink(path);
	return rc;
}

/* name: below etc/ of the sources, for what may be replaced; NULL: never. */
static int
put(struct init *in, const char *path, const char *name, struct span text, mode_t mode, const char *what,
    struct err *err)
{
	const char *beside;

	if (access(path, F_OK) == -1) {
		if (write_new(path, text, mode, err) == -1)
			return -1;
		note(in, path, what, INIT_WRITTEN);
		return 0;
	}
	if (name == NULL || !is_shipped(in, path, name)) {
		note(in, path, what, INIT_EXISTS);
		return 0;
	}
	beside = arena_printf(in->a, "%s.init", path);
	unlink(beside);
	if (write_new(beside, text, mode, err) == -1)
		return -1;
	if (rename(beside, path) == -1) {
		unlink(beside);
		return err_errno(err, "%s", path);
	}
	note(in, path, what, INIT_REPLACED);
	return 0;
}

/* ---- a certificate of our own ---- */

static bool
extend(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	if ((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return false;
	ok = X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

/* Self-signed: it hides what is said from those who listen, and proves nothing. Clients that deliver
 * opportunistically ask for no more; DANE makes a proof of it. */
static X509 *
self_signed(struct init *in, EVP_PKEY *key)
{
	const char *host = arena_str(in->a, in->answers[INIT_HOSTNAME].items[0]);
	X509 *x = X509_new();
	uint64_t serial = 0;
	X509_NAME *name;

	if (x == NULL || getentropy(&serial, sizeof(serial)) == -1)
		goto fail;
	name = X509_get_subject_name(x);
	/* A common name has 64 characters at most (RFC 5280, appendix A); the names that count stand in the SAN. */
	if (X509_set_version(x, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1 | 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(x), 0) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(x), CERT_DAYS, 0, NULL) == NULL ||
	    X509_set_pubkey(x, key) != 1 ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)(strlen(host) <= 64 ? host : "postern"), -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, name) != 1 ||
	    !extend(x, NID_subject_alt_name, arena_printf(in->a, "DNS:%s", host)) ||
	    !extend(x, NID_basic_constraints, "critical,CA:FALSE") ||
	    X509_sign(x, key, EVP_sha256()) == 0)
		goto fail;
	return x;
fail:
	X509_free(x);
	return NULL;
}

static struct span
pem(struct init *in, X509 *x, EVP_PKEY *key)
{
	BIO *bio = BIO_new(key ? BIO_s_secmem() : BIO_s_mem());
	struct span out = { 0 };
	char *text;
	long n;

	if (bio && (key ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) :
	    PEM_write_bio_X509(bio, x)) == 1) {
		n = BIO_get_mem_data(bio, &text);
		out = arena_span(in->a, span_make(text, (size_t)n));
	}
	BIO_free(bio);
	return out;
}

/* Both files or neither: a key without its certificate helps nobody. */
static int
make_certificate(struct init *in, struct err *err)
{
	const char *cert = fs_beside(in->a, arena_printf(in->a, "%s/x", in->folder), in->certificate);
	const char *file = fs_beside(in->a, arena_printf(in->a, "%s/x", in->folder), in->key);
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	int rc = -1;

	if (access(cert, F_OK) == 0 || access(file, F_OK) == 0) {
		note(in, cert, INIT_SAY(in, "certificate", "certificat"), INIT_EXISTS);
		return 0;
	}
	if (fs_mkdirs(arena_printf(in->a, "%s/tls", in->folder), 0755, err) == -1)
		return -1;
	if ((key = EVP_EC_gen("P-256")) == NULL || (x = self_signed(in, key)) == NULL)
		err_set(err, 0, "OpenSSL makes no certificate");
	else if (write_new(file, pem(in, NULL, key), 0600, err) == 0)
		rc = write_new(cert, pem(in, x, NULL), 0644, err);
	X509_free(x);
	EVP_PKEY_free(key);
	if (rc == 0) {
		note(in, cert, INIT_SAY(in, "certificate, self-signed", "certificat auto-signé"), INIT_WRITTEN);
		note(in, file, INIT_SAY(in, "its key", "sa clé"), INIT_WRITTEN);
	}
	return rc;
}

/* ---- DKIM ---- */

/* The first step of `postern dkim rotate` for each domain: keys that wait for the DNS. */
static int
make_keys(struct init *in, const char *path, struct err *err)
{
	struct cli own = *in->cli;
	struct diags d;
	struct config *conf;
	int rc = 0;

	own.config_path = path;		/* a daemon that is asked to reload is this one's */
	diags_init(&d, in->a);
	if ((conf = config_read(path, in->a, &d)) == NULL)
		return err_set(err, 0, "%s cannot be read again", path);
	for (size_t i = 0; i < conf->ndomains && rc == 0; i++) {
		struct dkim_page p = { .cli = &own, .conf = conf, .a = in->a };
		char *domain = arena_str(in->a, conf->domains[i].name);
		struct ring ring;

		if (!conf->domains[i].dkim_managed)
			continue;
		if (ring_load(&ring, path, conf->domains[i].name, in->a, err) == -1) {
			rc = -1;
			break;
		}
		if (ring.n) {
			note(in, ring.path, INIT_SAY(in, "DKIM keys", "clés DKIM"), INIT_EXISTS);
			continue;
		}
		buf_init(&p.out, 1u << 20);
		if (dkim_rotate(&p, 1, &domain) != CLI_OK)
			rc = err_set(err, 0, "no DKIM keys for %s", domain);
		else
			note(in, ring.path, INIT_SAY(in, "DKIM keys, RSA and Ed25519",
			    "clés DKIM, RSA et Ed25519"), INIT_WRITTEN);
		buf_release(&p.out);
	}
	config_free(&conf);
	return rc;
}

int
init_files(struct init *in, struct span yaml, struct err *err)
{
	const char *path = arena_printf(in->a, "%s/postern.yaml", in->folder);

	if (fs_mkdirs(in->folder, 0755, err) == -1 ||
	    fs_mkdirs(arena_printf(in->a, "%s/policy.d", in->folder), 0755, err) == -1 ||
	    fs_mkdirs(arena_printf(in->a, "%s/keys", in->folder), 0700, err) == -1)
		return -1;
	for (const struct shipped_file *f = shipped_files; f->path; f++) {
		struct span text = span_make(f->bytes, (size_t)(f->end - f->bytes));

		if (strncmp(f->path, "policy.d/", 9) == 0 && put(in, arena_printf(in->a, "%s/%s", in->folder,
		    f->path), f->path, init_policy(in, text), 0644, INIT_SAY(in, "policy", "politique"), err) == -1)
			return -1;
	}
	if (make_certificate(in, err) == -1 ||
	    put(in, path, "postern.yaml", yaml, 0644, "configuration", err) == -1)
		return -1;
	return make_keys(in, path, err);
}
