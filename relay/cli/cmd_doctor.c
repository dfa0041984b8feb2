/* cmd_doctor.c -- `postern doctor`: everything that keeps mail from arriving, looked at once.
 *
 * Two tables: what can be seen from this machine (below, doctor_files.c,
 * doctor_world.c, doctor_inbound.c), and what the DNS must say about each of our domains
 * (dns_table.c). No mail is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/dns_table.h"
#include "cli/doctor.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"

#define SPOOL_LOW ((uint64_t)1 << 30)
#define MEMORY_LOW ((uint64_t)256 << 20)
#define BANNER_MS 5000

void
doctor_say(struct doctor *d, enum health h, const char *topic, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "note", "wrong" };
	static const enum page_colour colours[] = { GREEN, YELLOW, RED };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->bad |= h == ILL;
	if (d->cli->json) {
		struct json j;

		json_begin(&j, &d->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "topic", topic);
		json_kcstr(&j, "verdict", words[h]);
		json_kcstr(&j, "detail", text);
		json_end_object(&j);
		buf_putc(&d->out, '\n');
		return;
	}
	page_begin(&d->out, d->cli, colours[h]);
	buf_printf(&d->out, "%-8s", words[h]);
	page_end(&d->out, d->cli, colours[h]);
	buf_printf(&d->out, " %-9s ", topic);
	page_text(&d->out, span_str(text));
	buf_putc(&d->out, '\n');
}

static void
heard_status(void *ctx, const struct jval *v, struct span text)
{
	struct span *state = ctx;

	*state = span_is(jval_text(v, "state"), "running") ? SPAN_LIT("running") : SPAN_LIT("not ready");
}

static void
look_daemon(struct doctor *d)
{
	struct span state = { 0 };
	struct request r;

	request_begin(&r, "status");
	if (control_ask_quietly(d->cli, &r, heard_status, &state) != CLI_OK)
		doctor_say(d, ILL, "daemon", "posternd does not answer on %s/control.sock", d->conf->run);
	else
		doctor_say(d, span_is(state, "running") ? HEALTHY : ILL, "daemon", "posternd is " SPAN_FMT,
		    SPAN_ARG(state));
}

/* The greeting of a listener: 220, or 554 for those it does not know. */
static void
look_listener(struct doctor *d, const struct conf_listener *l)
{
	static const struct ip any4 = { .family = 4 }, any6 = { .family = 6 };
	struct ip ip = ip_eq(l->ip, any4) ? (struct ip){ 4, { 127, 0, 0, 1 } } :
	    ip_eq(l->ip, any6) ? (struct ip){ 6, { [15] = 1 } } : l->ip;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(ip, l->port, &ss);
	struct pollfd p = { .events = POLLIN };
	char text[8] = "", addr[IP_TEXT_MAX];
	ssize_t n = -1;

	p.fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p.fd != -1 && connect(p.fd, (struct sockaddr *)&ss, len) == 0 && poll(&p, 1, BANNER_MS) == 1)
		n = recv(p.fd, text, sizeof(text) - 1, 0);
	if (p.fd != -1)
		close(p.fd);
	if (n >= 3 && (strncmp(text, "220", 3) == 0 || strncmp(text, "554", 3) == 0))
		doctor_say(d, HEALTHY, "listener", SPAN_FMT " answers on %s:%u", SPAN_ARG(l->name),
		    ip_format(ip, addr), l->port);
	else
		doctor_say(d, ILL, "listener", SPAN_FMT " does not answer on %s:%u", SPAN_ARG(l->name),
		    ip_format(ip, addr), l->port);
}

static void
look_listeners(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->nlisteners; i++)
		look_listener(d, &d->conf->listeners[i]);
}

static void
look_disk(struct doctor *d)
{
	uint64_t bytes = 0, inodes = 0;
	struct err err;
	int fd = fs_open(d->conf->spool, O_RDONLY | O_DIRECTORY, 0, &err);

	if (fd == -1 || fs_free(fd, &bytes, &inodes, &err) == -1)
		doctor_say(d, ILL, "disk", "%s", err.text);
	else
		doctor_say(d, bytes < SPOOL_LOW ? ILL : HEALTHY, "disk", "%llu MB free for the spool %s",
		    (unsigned long long)(bytes / 1000000), d->conf->spool);
	if (fd != -1)
		close(fd);
}

static void
look_memory(struct doctor *d)
{
	struct span text;
	const char *at;
	unsigned long long kb;

	if (fs_read(d->a, "/proc/meminfo", 64 << 10, &text, NULL) == -1 ||
	    (at = strstr(text.p, "MemAvailable:")) == NULL || sscanf(at + 13, "%llu", &kb) != 1) {
		doctor_say(d, DOUBTFUL, "memory", "/proc/meminfo cannot be read");
		return;
	}
	doctor_say(d, kb * 1024 < MEMORY_LOW ? ILL : HEALTHY, "memory", "%llu MB available", kb / 1000);
}

static void
look_clock(struct doctor *d)
{
	struct timex t = { 0 };

	if (adjtimex(&t) == -1)
		doctor_say(d, DOUBTFUL, "clock", "%s", strerror(errno));
	else if (t.status & STA_UNSYNC)
		doctor_say(d, DOUBTFUL, "clock", "nobody sets it (no NTP): signatures and retries depend on it");
	else
		doctor_say(d, HEALTHY, "clock", "synchronised");
}

static void
look_dns(struct doctor *d)
{
	struct dns_answer a = *lookup_ask(d->lookup, "org", DNS_NS);
	bool roots = d->conf->dnssec && d->conf->trust_anchor == NULL;

	if (a.status == DNS_BOGUS)
		doctor_say(d, ILL, "dns", "DNSSEC cannot be validated through these servers: they do not pass on "
		    "its records. Name others, or say dnssec: false");
	else if (a.status >= DNS_SERVFAIL)
		doctor_say(d, ILL, "dns", "the servers do not answer: %s", dns_status_text(a.status));
	else if (roots && !a.secure)
		doctor_say(d, ILL, "dns", "answers come without DNSSEC: DANE will not work");
	else
		doctor_say(d, HEALTHY, "dns", "the servers answer%s", roots ? ", and DNSSEC validates" : "");
}

static void
look_dkim(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->ndomains; i++)
		if (d->conf->domains[i].ndkim == 0 && !d->conf->domains[i].dkim_managed)
			doctor_say(d, DOUBTFUL, "dkim", SPAN_FMT " has no key: its mail goes unsigned (postern dkim new)",
			    SPAN_ARG(d->conf->domains[i].name));
}

static void (*const looks[])(struct doctor *d) = {
	look_daemon, look_listeners, doctor_tls, doctor_antivirus, look_disk, look_memory, look_clock, look_dns,
	doctor_source, doctor_outward, doctor_blocklists, look_dkim, doctor_filter,
	doctor_callout, doctor_lists, doctor_counters,
};

static void
look_domains(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->ndomains; i++) {
		struct zone z = { .a = d->a, .lookup = d->lookup };

		if (!dns_zone_of(&z, d->conf, arena_str(d->a, d->conf->domains[i].name)))
			continue;
		zone_check(&z);
		if (!d->cli->json) {
			buf_printf(&d->out, "\n" SPAN_FMT "\n", SPAN_ARG(z.name));
			dns_print_checks(&d->out, d->cli, &z, &d->bad);
			continue;
		}
		for (size_t k = 0; k < z.n; k++)
			doctor_say(d, z.lines[k].verdict == ZONE_OK ? HEALTHY : z.lines[k].verdict == ZONE_NOTE ?
			    DOUBTFUL : ILL, z.lines[k].topic->name, "%s %s: %s", z.lines[k].name,
			    zone_verdict_word(z.lines[k].verdict), z.lines[k].detail);
	}
}

int
cmd_doctor(int argc, char **argv, const struct cli *cli)
{
	struct doctor d = { .cli = cli };
	struct config *conf;
	struct err err;

	if (argc != 1)
		return command_usage("doctor");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	d.conf = conf;
	d.a = arena_new(0);
	buf_init(&d.out, 4u << 20);
	if ((d.lookup = lookup_new(conf, &err)) == NULL) {
		fprintf(stderr, "postern: %s\n", err.text);
		d.bad = true;
	} else {
		for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++)
			looks[i](&d);
		look_domains(&d);
	}
	page_flush(&d.out);
	lookup_free(&d.lookup);
	buf_release(&d.out);
	arena_free(&d.a);
	if (conf != cli->conf)
		config_free(&conf);
	return d.bad ? CLI_FINDINGS : CLI_OK;
}
