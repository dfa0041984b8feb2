/* frame.c -- the tables of roles and frames; see frame.h. */
#include <string.h>

#include "ipc/frame.h"
#include "postern/err.h"

static const struct { const char *name, *account; } roles[ROLE_COUNT] = {
	[ROLE_NONE] = { "none", "nobody" },
#define X(name, text, account) [ROLE_##name] = { text, account },
	ROLES(X)
#undef X
};

const char *
role_name(enum role r)
{
	ASSERT(r < ROLE_COUNT);
	return roles[r].name;
}

const char *
role_account(enum role r)
{
	ASSERT(r < ROLE_COUNT);
	return roles[r].account;
}

enum role
role_from_name(const char *name)
{
	for (int r = ROLE_MASTER; r < ROLE_COUNT; r++)
		if (strcmp(roles[r].name, name) == 0)
			return (enum role)r;
	return ROLE_NONE;
}

static const struct frame_rule rules[FRAME_COUNT] = {
#define X(name, from, to, max, fds) [FRAME_##name] = { #name, (from), (to), (max), (fds) },
	FRAMES(X)
#undef X
};

const struct frame_rule *
frame_rule(uint16_t type)
{
	if (type == FRAME_NONE || type >= FRAME_COUNT)
		return NULL;
	return &rules[type];
}

const char *
frame_name(enum frame_type t)
{
	const struct frame_rule *r = frame_rule((uint16_t)t);

	return r ? r->name : "NONE";
}
