/* mail_floor.c -- what no mail server can be cheaper than, on this machine and now.
 *
 *	mail_floor sign SECONDS				one RSA-2048 signature of a SHA-256 hash, CPU ms
 *	mail_floor scan DATABASES KIND BYTES SECONDS	one libclamav scan of one message (load_messages.h), CPU ms,
 *							and the memory of the bare engine (PSS) before and after
 *	mail_floor batch FOLDER BYTES BATCH SECONDS	BATCH appends and an fdatasync, over and over: messages a second
 *	mail_floor delay FOLDER BYTES RATE SECONDS	a message is due RATE times a second; what is due is appended
 *							and synced together: microseconds from due to synced
 *
 * Nothing of posternd's is in it but the options its engine scans with. The signature is OpenSSL's with a
 * key at hand; the engine has its own default limits and no cache, since no content comes twice.
 * CPU is this process's, user and system. Files are made in FOLDER and removed; files of the engine go to
 * TMPDIR. Prints one object of JSON.
 */
#include <clamav.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <time.h>
#include <unistd.h>

#include "load_messages.h"

#define NS INT64_C(1000000000)

static int64_t
now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

__attribute__((noreturn))
static void
fail(const char *what)
{
	fprintf(stderr, "mail_floor: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

static double
seconds_of(const char *text)
{
	double s = strtod(text, NULL);

	if (!(s > 0))
		fail("a time must be above 0");
	return s;
}

static void
floor_sign(double seconds)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	unsigned char hash[32] = { 1 }, sig[256];
	int64_t cpu, end;
	uint64_t n = 0;

	if (ctx == NULL || EVP_PKEY_sign_init(ctx) <= 0 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) <= 0)
		fail("making a key");
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	end = now(CLOCK_MONOTONIC) + (int64_t)(seconds * (double)NS);
	do {
		size_t len = sizeof(sig);

		memcpy(hash + 8, &n, sizeof(n));
		if (EVP_PKEY_sign(ctx, sig, &len, hash, sizeof(hash)) <= 0)
			fail("signing");
		n++;
	} while (now(CLOCK_MONOTONIC) < end);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"sign_ms\": %.4f, \"signatures\": %" PRIu64 "}\n", (double)cpu / 1e6 / (double)n, n);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static double
pss_mib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[200];
	double kib = 0;

	if (f == NULL)
		fail("/proc/self/smaps_rollup");
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Pss: %lf", &kib) == 1)
			break;
	fclose(f);
	return kib / 1024;
}

static void
floor_scan(const char *databases, bool mixed, size_t size, double seconds)
{
	struct cl_scan_options o = { .general = CL_SCAN_GENERAL_HEURISTICS, .parse = ~(uint32_t)0,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX | CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE |
		    CL_SCAN_HEURISTIC_ENCRYPTED_DOC };
	struct load_template *t = load_templates_make(size, mixed, "a@example.lab", "b@partner.lab");
	uint64_t n = 0, start = (uint64_t)now(CLOCK_MONOTONIC);
	struct cl_engine *engine;
	unsigned signatures = 0;
	int64_t cpu = 0, end;
	double loaded;

	errno = 0;
	if (cl_init(CL_INIT_DEFAULT) != CL_SUCCESS || (engine = cl_engine_new()) == NULL ||
	    cl_engine_set_num(engine, CL_ENGINE_DISABLE_CACHE, 1) != CL_SUCCESS ||
	    cl_engine_set_str(engine, CL_ENGINE_TMPDIR, getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp") != CL_SUCCESS ||
	    cl_load(databases, engine, &signatures, CL_DB_STDOPT) != CL_SUCCESS || signatures == 0 ||
	    cl_engine_compile(engine) != CL_SUCCESS)
		fail("loading the signatures");
	loaded = pss_mib();
	end = now(CLOCK_MONOTONIC) + (int64_t)(seconds * (double)NS);
	do {
		char serial[LOAD_SERIAL], *whole = malloc(t[n % LOAD_VARIANTS].n), *to = whole;
		struct iovec iov[LOAD_IOV];
		int pieces = load_message(t, false, start, n, serial, iov);
		const char *virus = NULL;
		unsigned long scanned = 0;
		cl_fmap_t *map;
		int64_t before;
		cl_error_t rc;

		if (whole == NULL)
			fail("memory");
		for (int i = 0; i < pieces; i++)
			to = (char *)memcpy(to, iov[i].iov_base, iov[i].iov_len) + iov[i].iov_len;
		before = now(CLOCK_PROCESS_CPUTIME_ID);
		map = cl_fmap_open_memory(whole, (size_t)(to - whole) - 3);	/* without its dot */
		rc = map ? cl_scanmap_callback(map, NULL, &virus, &scanned, engine, &o, NULL) : CL_EMEM;
		cl_fmap_close(map);
		cpu += now(CLOCK_PROCESS_CPUTIME_ID) - before;
		if (rc != CL_CLEAN) {
			fprintf(stderr, "mail_floor: a message is not clean: %s\n", cl_strerror(rc));
			exit(1);
		}
		free(whole);
		n++;
	} while (now(CLOCK_MONOTONIC) < end || n < 5);
	printf("{\"scan_ms\": %.4f, \"scans\": %" PRIu64 ", \"signatures\": %u, \"engine_mib\": %.1f, \"after_mib\": %.1f, "
	    "\"bytes\": %zu}\n", (double)cpu / 1e6 / (double)n, n, signatures, loaded, pss_mib(), t[0].n);
	cl_engine_free(engine);
}

static int
scratch(const char *folder, char *name, size_t size)
{
	int fd;

	snprintf(name, size, "%s/mail_floor.%ld", folder, (long)getpid());
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0600);
	if (fd == -1)
		fail(name);
	return fd;
}

/* The file begins anew at 64 MiB, as a spool's segments do. */
static void
append(int fd, const char *bytes, size_t size, size_t *written)
{
	if (*written > (size_t)64 << 20) {
		if (ftruncate(fd, 0) == -1)
			fail("ftruncate");
		*written = 0;
	}
	if (write(fd, bytes, size) != (ssize_t)size)
		fail("write");
	*written += size;
}

static void
floor_batch(const char *folder, size_t size, int batch, double seconds)
{
	char name[4096], *bytes = calloc(1, size);
	int fd = scratch(folder, name, sizeof(name));
	int64_t start = now(CLOCK_MONOTONIC), end = start + (int64_t)(seconds * (double)NS), at;
	uint64_t n = 0, syncs = 0;
	size_t written = 0;

	if (bytes == NULL)
		fail("memory");
	do {
		for (int i = 0; i < batch; i++, n++)
			append(fd, bytes, size, &written);
		if (fdatasync(fd) == -1)
			fail("fdatasync");
		syncs++;
		at = now(CLOCK_MONOTONIC);
	} while (at < end);
	unlink(name);
	printf("{\"rate\": %.1f, \"sync_us\": %.1f}\n", (double)n * (double)NS / (double)(at - start),
	    (double)(at - start) / 1000 / (double)syncs);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
floor_delay(const char *folder, size_t size, double rate, double seconds)
{
	char name[4096], *bytes = calloc(1, size);
	int fd = scratch(folder, name, sizeof(name));
	uint64_t all = (uint64_t)(rate * seconds) + 1, done = 0;
	int64_t start = now(CLOCK_MONOTONIC), *took = calloc(all, sizeof(*took));
	size_t written = 0;

	if (bytes == NULL || took == NULL)
		fail("memory");
	while (done < all) {
		uint64_t first = done, due;
		int64_t at = now(CLOCK_MONOTONIC), next = start + (int64_t)((double)done * (double)NS / rate);

		if (next > at) {
			struct timespec t = { next / NS, next % NS };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
			at = now(CLOCK_MONOTONIC);
		}
		due = (uint64_t)((double)(at - start) * rate / (double)NS) + 1;
		for (; done < due && done < all; done++)
			append(fd, bytes, size, &written);
		if (fdatasync(fd) == -1)
			fail("fdatasync");
		at = now(CLOCK_MONOTONIC);
		for (uint64_t i = first; i < done; i++)
			took[i] = at - (start + (int64_t)((double)i * (double)NS / rate));
	}
	unlink(name);
	qsort(took, done, sizeof(*took), by_size);
	printf("{\"messages\": %" PRIu64 ", \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}\n", done,
	    (double)took[done / 2] / 1000, (double)took[(uint64_t)(0.99 * (double)(done - 1))] / 1000,
	    (double)took[(uint64_t)(0.999 * (double)(done - 1))] / 1000, (double)took[done - 1] / 1000);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "sign") == 0)
		floor_sign(seconds_of(argv[2]));
	else if (argc == 6 && strcmp(argv[1], "scan") == 0)
		floor_scan(argv[2], strcmp(argv[3], "text") != 0, strtoul(argv[4], NULL, 10), seconds_of(argv[5]));
	else if (argc == 6 && strcmp(argv[1], "batch") == 0)
		floor_batch(argv[2], strtoul(argv[3], NULL, 10), atoi(argv[4]), seconds_of(argv[5]));
	else if (argc == 6 && strcmp(argv[1], "delay") == 0)
		floor_delay(argv[2], strtoul(argv[3], NULL, 10), seconds_of(argv[4]), seconds_of(argv[5]));
	else {
		fprintf(stderr, "usage: mail_floor sign SECONDS | scan DATABASES mixed|text BYTES SECONDS |\n"
		    "    batch FOLDER BYTES BATCH SECONDS | delay FOLDER BYTES RATE SECONDS\n");
		return 2;
	}
	return 0;
}
