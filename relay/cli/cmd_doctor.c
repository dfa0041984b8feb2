/* cmd_doctor.c -- `postern doctor`: everything that keeps mail from arriving, looked at once.
 *
 * Two tables: what can be seen from this machine (below, doctor_listeners.c, doctor_machine.c, doctor_files.c,
 * doctor_world.c, doctor_inbound.c), and what the DNS must say about each of our domains
 * (dns_table.c). What is not well comes with a remedy. No mail is sent, and nothing but the DNS
 * of others is asked unless --outward, or `doctor: {probe}` in postern.yaml, says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/zone_world.h"
#include "cli/doctor.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"

#define INODES_LOW 20000
#define SPOOL_LOW ((uint64_t)1 << 30)
#define MEMORY_LOW ((uint64_t)256 << 20)

/* What to do about a topic that is not well. */
static const char *
remedy_of(const char *topic)
{
	static const char *const remedies[][2] = {
		{ "daemon", "systemctl start postern; why it does not: journalctl -u postern, posternd -n" },
		{ "listener", "free the port or write another `address`; a firewall here may be in the way" },
		{ "tls", "name a certificate and its key under `tls` (0600), then postern reload" },
		{ "antivirus", "install clamav-freshclam and let it run; docs/ANTIVIRUS.md" },
		{ "disk", "free space or inodes, or move `spool` to a larger disk; new mail is refused at queue.free" },
		{ "memory", "more memory; or fewer `scanners.processes`, or clamd shared with others" },
		{ "clock", "timedatectl set-ntp true, or install chrony" },
		{ "dns", "name a resolver of your own under `dns: {servers}`; install unbound for one" },
		{ "source", "public_addresses: [the addresses the Internet sees]" },
		{ "outward", "ask the provider or the firewall for outgoing port 25, or route through a host that has it" },
		{ "blocklist", "find what was sent (postern trace), stop it, then ask the list to take you off" },
		{ "dkim", "postern dkim rotate DOMAIN, then postern dns plan DOMAIN" },
		{ "filter", "start the spam filter, or take `antispam` out of postern.yaml" },
		{ "callout", "recipients: \"file:...\" or ldap where that server cannot say who exists" },
		{ "lists", "take the list out of `verify`" },
		{ "files", "LimitNOFILE= in the unit (systemctl edit postern), or fewer `limits: {sessions}`" },
		{ "secret", "chmod 600 and chown root; a key that others could read is to be replaced" },
		{ "running", "postern status; postern queue --by reason" },
		{ "export", "the log says which of them and why (`cannot be told of events`); postern reload once it is mended" },
		{ "oidc", "docs/CONSOLE.md, OpenID Connect; the log says who was not let in, and why" },
		{ "policy", "postern check shows each with its line" },
		{ "name", "an A or AAAA record for the host name: postern dns plan DOMAIN" },
		{ "libraries", "upgrade the package, then restart postern" },
	};

	for (size_t i = 0; i < sizeof(remedies) / sizeof(*remedies); i++)
		if (strcmp(remedies[i][0], topic) == 0)
			return remedies[i][1];
	return "postern dns plan DOMAIN";
}

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
		json_kcstr(&j, "remedy", h == HEALTHY ? NULL : remedy_of(topic));
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
	if (h == ILL || (h == DOUBTFUL && strcmp(topic, d->last ? d->last : "") != 0))
		buf_printf(&d->out, "%-18s > %s\n", "", remedy_of(topic));
	d->last = h == HEALTHY ? NULL : topic;
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

static void
look_disk(struct doctor *d)
{
	uint64_t bytes = 0, inodes = 0;
	struct err err;
	int fd = fs_open(d->conf->spool, O_RDONLY | O_DIRECTORY, 0, &err);

	if (fd == -1 || fs_free(fd, &bytes, &inodes, &err) == -1)
		doctor_say(d, ILL, "disk", "%s", err.text);
	else
		doctor_say(d, bytes < SPOOL_LOW || inodes < INODES_LOW ? ILL : HEALTHY, "disk",
		    "%llu MB and %s inodes free for the spool %s", (unsigned long long)(bytes / 1000000),
		    inodes == UINT64_MAX ? "unlimited" : arena_printf(d->a, "%llu", (unsigned long long)inodes),
		    d->conf->spool);
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
	look_daemon, doctor_listeners, doctor_running, doctor_policy, doctor_secrets, doctor_tls, doctor_antivirus,
	look_disk, look_memory, doctor_files, look_clock, doctor_libraries, look_dns, doctor_name, doctor_source, doctor_outward, doctor_blocklists, look_dkim, doctor_filter,
	doctor_callout, doctor_lists, doctor_counters, doctor_export, doctor_oidc,
};

static void
look_domains(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->ndomains; i++) {
		struct zone z = { .a = d->a };

		if (!zone_of(&z, d->conf, arena_str(d->a, d->conf->domains[i].name)))
			continue;
		zone_check_by(&z, d->lookup);
		if (!d->cli->json) {
			buf_printf(&d->out, "\n" SPAN_FMT "\n", SPAN_ARG(z.name));
			zone_print_checks(&d->out, d->cli, &z, &d->bad);
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

	d.outward = argc == 2 && strcmp(argv[1], "--outward") == 0;
	if (argc != 1 && !d.outward)
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
