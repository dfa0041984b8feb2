/* port_owner.c -- see port_owner.h: /proc/net/tcp names the socket's inode, /proc/PID/fd who has it. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "cli/port_owner.h"

#define TCP_LISTEN 0x0a

/* Eight hex digits are four bytes in the machine's order, of an address in network order. */
static struct ip
proc_ip(const char *hex)
{
	struct ip ip = { .family = strlen(hex) == 8 ? 4 : 6 };
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	for (size_t w = 0; w * 8 < strlen(hex) && w < 4; w++) {
		char word[9];
		uint32_t v;

		memcpy(word, hex + 8 * w, 8);
		word[8] = '\0';
		v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(ip.b + 4 * w, &v, 4);
	}
	if (ip.family == 6 && memcmp(ip.b, mapped, 12) == 0) {
		struct ip four = { .family = 4 };

		memcpy(four.b, ip.b + 12, 4);
		return four;
	}
	return ip;
}

static bool
is_any(struct ip ip)
{
	static const struct ip any4 = { .family = 4 }, any6 = { .family = 6 };

	return ip_eq(ip, any4) || ip_eq(ip, any6);
}

/* The inode of a socket that listens there; 0: none. */
static unsigned long
listening_inode(const char *table, struct ip ip, uint16_t port)
{
	unsigned long found = 0;
	char line[512];
	FILE *f = fopen(table, "re");

	while (f && found == 0 && fgets(line, sizeof(line), f)) {
		unsigned long inode;
		unsigned p, state;
		char local[33];

		if (sscanf(line, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d %lu",
		    local, &p, &state, &inode) != 4 || state != TCP_LISTEN || p != port)
			continue;
		if (ip.family == 0 || is_any(ip) || is_any(proc_ip(local)) || ip_eq(proc_ip(local), ip))
			found = inode ? inode : 1;
	}
	if (f)
		fclose(f);
	return found;
}

static bool
has_socket(const char *pid, const char *want)
{
	char folder[64], path[400], link[64];
	bool found = false;
	struct dirent *e;
	DIR *d;

	snprintf(folder, sizeof(folder), "/proc/%.20s/fd", pid);
	if ((d = opendir(folder)) == NULL)
		return false;
	while (!found && (e = readdir(d)) != NULL) {
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if ((n = readlink(path, link, sizeof(link) - 1)) > 0) {
			link[n] = '\0';
			found = strcmp(link, want) == 0;
		}
	}
	closedir(d);
	return found;
}

static const char *
name_of(struct arena *a, const char *pid)
{
	char path[64], name[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	if ((f = fopen(path, "re")) != NULL) {
		if (fgets(name, sizeof(name), f) == NULL)
			name[0] = '\0';
		fclose(f);
	}
	name[strcspn(name, "\n")] = '\0';
	return arena_printf(a, "%s (pid %s)", name[0] ? name : "a process", pid);
}

const char *
port_owner(struct arena *a, struct ip ip, uint16_t port)
{
	const char *owner = "another process";
	unsigned long inode = listening_inode("/proc/net/tcp", ip, port);
	struct dirent *e;
	char want[64];
	DIR *proc;

	if (inode == 0)
		inode = listening_inode("/proc/net/tcp6", ip, port);
	if (inode == 0)
		return NULL;
	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	if ((proc = opendir("/proc")) == NULL)
		return owner;
	while ((e = readdir(proc)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) && has_socket(e->d_name, want)) {
			owner = name_of(a, e->d_name);
			break;
		}
	closedir(proc);
	return owner;
}
