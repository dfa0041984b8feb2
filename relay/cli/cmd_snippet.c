/* cmd_snippet.c -- `postern snippet KIND`: what makes an internal server take mail from us alone, and send through us alone.
 *
 * The addresses are those of postern.yaml: from where we hand mail over (addresses_inside), where we take it
 * (the listener that lets others relay), the servers behind us (`deliver_to`). Nothing is changed anywhere:
 * the text is for the administrator of the other machine to read and to use.
 */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "zone/addresses.h"

struct snippet {
	const struct config *conf;
	struct arena *a;
	struct buf out;
	struct addresses from;		/* we hand over from these */
	const struct conf_listener *to;	/* and take here; NULL: nowhere */
	struct addresses at;		/* its addresses */
	struct addresses servers;	/* behind us, as far as they are named by address */
	bool forward;
};

/* ---- what is known ---- */

/* The one that is meant for others to relay: outbound before auto. */
static const struct conf_listener *
relaying(const struct config *c)
{
	const struct conf_listener *best = NULL;

	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].direction != LISTEN_INBOUND && !c->listeners[i].milter &&
		    (best == NULL || (best->direction != LISTEN_OUTBOUND && c->listeners[i].direction == LISTEN_OUTBOUND)))
			best = &c->listeners[i];
	return best;
}

static void
put(struct snippet *s, struct addresses *to, struct ip ip)
{
	for (size_t i = 0; i < to->n; i++)
		if (ip_eq(to->v[i].ip, ip))
			return;
	to->v = arena_grow(s->a, to->v, to->n * sizeof(*to->v), (to->n + 1) * sizeof(*to->v));
	to->v[to->n++] = (struct address){ .ip = ip };
}

static void
know(struct snippet *s)
{
	static const struct ip any4 = { .family = 4 }, any6 = { .family = 6 };
	const struct config *c = s->conf;

	addresses_inside(c, s->a, &s->from);
	s->to = relaying(c);
	if (s->to && (ip_eq(s->to->ip, any4) || ip_eq(s->to->ip, any6))) {
		size_t n;
		struct ip *own = addresses_of_machine(s->a, &n);

		for (size_t i = 0; i < n; i++)
			if (own[i].family == 4 || s->to->ip.family == 6)
				put(s, &s->at, own[i]);
	} else if (s->to)
		put(s, &s->at, s->to->ip);
	for (size_t i = 0; i < c->ndomains; i++) {
		const struct conf_route *r = c->domains[i].deliver_to;

		for (size_t k = 0; r && k < r->nhosts; k++)
			if (r->hosts[k].ip.family)
				put(s, &s->servers, r->hosts[k].ip);
	}
}

static void
list(struct snippet *s, const struct addresses *v, int family, const char *between)
{
	char text[IP_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		if (family == 0 || v->v[i].ip.family == family)
			buf_printf(&s->out, "%s%s", n++ ? between : "", ip_format(v->v[i].ip, text));
}

static bool
has(const struct addresses *v, int family)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i].ip.family == family)
			return true;
	return false;
}

/* Where the server hands its mail over: our name. */
static struct span
relay(const struct snippet *s)
{
	return s->to ? s->to->hostname : s->conf->hostname;
}

static unsigned
port(const struct snippet *s)
{
	return s->to ? s->to->port : 25;
}

/* ---- nftables ---- */

static void
set(struct snippet *s, const char *name, const struct addresses *v, int family)
{
	buf_printf(&s->out, "\tset %s%d {\n\t\ttype ipv%d_addr\n", name, family, family);
	if (has(v, family)) {
		buf_puts(&s->out, "\t\telements = { ");
		list(s, v, family, ", ");
		buf_puts(&s->out, " }\n");
	}
	buf_puts(&s->out, "\t}\n");
}

static void
firewall(struct snippet *s)
{
	struct buf *o = &s->out;
	unsigned p = port(s);

	buf_printf(o, "# nftables, for %s: mail comes in from " SPAN_FMT " alone and leaves through it alone.\n"
	    "# nft -c -f FILE tries it, nft -f FILE loads it. It is a table of its own and changes no other.\n"
	    "table inet postern_mail\ndelete table inet postern_mail\ntable inet postern_mail {\n",
	    s->forward ? "the firewall between the mail server and the rest" : "the mail server itself",
	    SPAN_ARG(s->conf->hostname));
	for (int family = 4; family <= 6; family += 2) {
		set(s, "filter", &s->from, family);
		set(s, "relay", &s->at, family);
		if (s->forward)
			set(s, "server", &s->servers, family);
	}
	if (s->forward) {
		buf_puts(o, "\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n");
		for (int family = 4; family <= 6; family += 2) {
			const char *ip = family == 4 ? "ip" : "ip6";

			buf_printf(o, "\t\t%s daddr @server%d tcp dport 25 %s saddr != @filter%d counter reject with tcp reset\n"
			    "\t\t%s saddr @server%d tcp dport %u %s daddr @relay%d counter accept\n"
			    "\t\t%s saddr @server%d tcp dport 25 counter reject with tcp reset\n",
			    ip, family, ip, family, ip, family, p, ip, family, ip, family);
		}
		buf_puts(o, "\t}\n}\n");
		return;
	}
	buf_puts(o, "\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n"
	    "\t\tiif \"lo\" accept\n"
	    "\t\ttcp dport 25 ip saddr @filter4 counter accept\n\t\ttcp dport 25 ip6 saddr @filter6 counter accept\n"
	    "\t\ttcp dport 25 counter reject with tcp reset\n\t}\n");
	buf_printf(o, "\tchain output {\n\t\ttype filter hook output priority filter; policy accept;\n"
	    "\t\toif \"lo\" accept\n"
	    "\t\ttcp dport %u ip daddr @relay4 counter accept\n\t\ttcp dport %u ip6 daddr @relay6 counter accept\n"
	    "\t\ttcp dport 25 counter reject with tcp reset\n\t}\n}\n", p, p);
}

/* ---- Postfix ---- */

static void
postfix(struct snippet *s)
{
	struct buf *o = &s->out;

	buf_printf(o, "# Postfix, main.cf: sends through " SPAN_FMT " alone, takes mail of its own networks and of the gateway alone.\n"
	    "# The table of the gateway's addresses:\n"
	    "#   postern addresses --inside --format postfix    goes to /etc/postfix/postern.cidr\n#\n", SPAN_ARG(relay(s)));
	for (size_t i = 0; i < s->from.n; i++) {
		char text[IP_TEXT_MAX];

		buf_printf(o, "#   %s/%d\tpermit\n", ip_format(s->from.v[i].ip, text), s->from.v[i].ip.family == 4 ? 32 : 128);
	}
	buf_printf(o, "relayhost = [" SPAN_FMT "]:%u\n"
	    "smtpd_client_restrictions = permit_mynetworks, check_client_access cidr:/etc/postfix/postern.cidr, reject\n"
	    "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n", SPAN_ARG(relay(s)), port(s));
}

/* ---- Exchange ---- */

static void
exchange(struct snippet *s)
{
	struct buf *o = &s->out;
	uint64_t max = s->to ? s->to->max_size : 0;

	buf_puts(o, "# Exchange 2013 and later, in the Exchange Management Shell, on the server that talks to the gateway.\n"
	    "# 1. Mail from outside is taken from the gateway alone. The Internet no longer reaches the default connector:\n"
	    "#    name there the networks of your own servers and clients.\n"
	    "New-ReceiveConnector -Name \"From Postern\" -Server $env:COMPUTERNAME -TransportRole FrontendTransport `\n"
	    "    -Usage Custom -Bindings \"0.0.0.0:25\" -AuthMechanism Tls -PermissionGroups AnonymousUsers `\n"
	    "    -RemoteIPRanges ");
	list(s, &s->from, 0, ",");
	if (max)
		buf_printf(o, " `\n    -MaxMessageSize %lluMB", (unsigned long long)((max + (1 << 20) - 1) >> 20));
	buf_puts(o, "\nSet-ReceiveConnector \"$env:COMPUTERNAME\\Default Frontend $env:COMPUTERNAME\" `\n"
	    "    -RemoteIPRanges ");
	list(s, &s->servers, 0, ",");
	buf_printf(o, "%s\n# 2. All mail to the Internet goes to the gateway, none by DNS. Remove other connectors for *.\n"
	    "New-SendConnector -Name \"To Postern\" -Usage Custom -AddressSpaces \"SMTP:*;1\" -DNSRoutingEnabled $false `\n"
	    "    -SmartHosts \"" SPAN_FMT "\" -Port %u -SmartHostAuthMechanism None -SourceTransportServers $env:COMPUTERNAME\n"
	    "Get-SendConnector | Where-Object { $_.AddressSpaces -match \"^SMTP:\\*\" } | Format-List Name,SmartHosts,Enabled\n",
	    s->servers.n ? "" : "\"10.0.0.0/8\",\"172.16.0.0/12\",\"192.168.0.0/16\"", SPAN_ARG(relay(s)), port(s));
}

static void
exchange2003(struct snippet *s)
{
	struct buf *o = &s->out;

	buf_puts(o, "Exchange 2003: System Manager, Servers, your server, Protocols, SMTP,\n"
	    "Default SMTP Virtual Server, right click, Properties.\n\n"
	    "1. Takes mail of the gateway alone\n"
	    "   Access, Connection, \"Only the list below\", Add, Single computer:\n     ");
	list(s, &s->from, 0, "\n     ");
	buf_printf(o, "\n   and the addresses of your own servers and clients.\n\n"
	    "2. Sends through the gateway alone\n"
	    "   Delivery, Advanced:\n"
	    "     Smart host                     " SPAN_FMT "\n"
	    "     Attempt direct delivery        not ticked\n"
	    "     Maximum hop count              30\n"
	    "     Fully-qualified domain name    the server's own name, with an address in the DNS\n"
	    "   Delivery, Outbound connections:\n"
	    "     TCP port                       %u\n"
	    "   An SMTP connector for * must name the same smart host.\n"
	    "   With several Exchange servers these would hold for the mail between them too: leave them, let a listener of\n"
	    "   postern.yaml take mail on port 25, and make a connector: Connectors, New, SMTP Connector\n"
	    "     General                        \"Forward all mail through this connector to the following smart hosts\",\n"
	    "                                    the smart host above; your server as local bridgehead\n"
	    "     Address Space                  Add, SMTP, *\n\n"
	    "3. Restart the service Simple Mail Transfer Protocol (SMTP).\n", SPAN_ARG(relay(s)), port(s));
}

static void
exchange55(struct snippet *s)
{
	struct buf *o = &s->out;

	buf_puts(o, "Exchange 5.5: Administrator, Organization, Site, Configuration, Connections,\n"
	    "Internet Mail Service (Server), Connections.\n\n"
	    "1. Takes mail of the gateway alone\n"
	    "   Accept Connections, \"From any host\" off, Specify by Host..., Add:\n     ");
	list(s, &s->from, 0, "\n     ");
	buf_printf(o, "\n   and your own servers; all others: reject.\n\n"
	    "2. Sends through the gateway alone\n"
	    "   Message Delivery, \"Forward all messages to host\":\n"
	    "     " SPAN_FMT "\n", SPAN_ARG(relay(s)));
	if (port(s) != 25)
		buf_printf(o, "   Exchange 5.5 sends to port 25: let a listener of postern.yaml take mail there (now %u).\n", port(s));
	buf_puts(o, "\n3. Stop and start the Internet Mail Service (Control Panel, Services).\n");
}

/* ---- Domino ---- */

static void
domino(struct snippet *s)
{
	struct buf *o = &s->out;

	buf_printf(o, "Domino: Administrator, Configuration, Messaging, Configurations, the server's document, Edit.\n\n"
	    "1. Sends through the gateway alone: Router/SMTP, Basics\n"
	    "     SMTP used when sending messages outside of the local internet domain:  Enabled\n"
	    "     Relay host for messages leaving the local internet domain:             " SPAN_FMT "\n"
	    "     Host name lookup:                                                      Dynamic then local\n"
	    "   Server document, Ports, Internet Ports, Mail, column Mail (SMTP Outbound); for all that it sends by SMTP\n"
	    "     TCP/IP port number:                                                    %u\n"
	    "     TCP/IP port status:                                                    Enabled\n\n"
	    "2. Takes mail of the gateway alone: Router/SMTP, Restrictions and Controls, SMTP Inbound Controls,\n"
	    "   Inbound Connection Controls\n"
	    "     Allow connections only from the following SMTP internet hostnames/IP addresses:\n", SPAN_ARG(relay(s)), port(s));
	for (size_t i = 0; i < s->from.n; i++) {
		char text[IP_TEXT_MAX];

		buf_printf(o, "       [%s]\n", ip_format(s->from.v[i].ip, text));
	}
	buf_puts(o, "     and the addresses of your own servers and clients, each in brackets\n\n"
	    "3. On the server's console\n"
	    "     tell smtp quit\n     load smtp\n     tell router update config\n");
}

/* ---- the command ---- */

static const struct {
	const char *name;
	void (*write)(struct snippet *s);
} kinds[] = { { "firewall", firewall }, { "exchange", exchange }, { "exchange2003", exchange2003 },
	{ "exchange55", exchange55 }, { "domino", domino }, { "postfix", postfix } };

static int
print(struct snippet *s, const char *name, void (*write)(struct snippet *), const struct cli *cli)
{
	struct json j;
	struct buf all;

	know(s);
	if (s->from.n == 0 || (s->forward && s->servers.n == 0)) {
		fprintf(stderr, "postern: postern.yaml names no address %s\n", s->from.n ?
		    "of a server behind us (`deliver_to`)" : "we deliver from (`delivery: source`)");
		return CLI_FINDINGS;
	}
	if (s->to == NULL)
		fputs("postern: no listener lets others relay: the part that sends names port 25\n", stderr);
	write(s);
	if (!cli->json) {
		page_flush(&s->out);
		return CLI_OK;
	}
	buf_init(&all, 1u << 20);
	json_begin(&j, &all);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "kind", name);
	json_kstr(&j, "text", buf_data(&s->out));
	json_end_object(&j);
	buf_putc(&all, '\n');
	page_flush(&all);
	buf_release(&all);
	return CLI_OK;
}

int
cmd_snippet(int argc, char **argv, const struct cli *cli)
{
	struct snippet s = { .forward = argc == 3 && strcmp(argv[2], "--forward") == 0 };
	struct config *conf;
	size_t k = 0;
	int status;

	while (argc > 1 && k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(argv[1], kinds[k].name) != 0)
		k++;
	if (argc < 2 || argc > 3 || k == sizeof(kinds) / sizeof(kinds[0]) ||
	    (argc == 3 && (!s.forward || kinds[k].write != firewall)))
		return command_usage("snippet");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	s.conf = conf;
	s.a = arena_new(0);
	buf_init(&s.out, 1u << 20);
	status = print(&s, kinds[k].name, kinds[k].write, cli);
	buf_release(&s.out);
	arena_free(&s.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
