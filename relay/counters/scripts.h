/* scripts.h -- what Redis carries out for us: Lua texts, and the encoding of their arguments.
 *
 * Each script is one decision or one batch, atomic, over keys that all begin with {prefix}: so they
 * share a slot, and a Redis Cluster takes them. It is called by EVALSHA; SCRIPT LOAD puts it there when a
 * connection begins, EVAL does where Redis has forgotten it in between (NOSCRIPT).
 *
 * The first key of each is the *fence* of the process that asks: "epoch seq older-epoch older-seq", the number of its
 * connection and of the last script carried out on it. A script of an older connection finds a newer
 * epoch and does nothing (STALE); who has lost a connection reads from the fence what of it was
 * carried out. So whatever is asked again is counted once.
 *
 * Times are microseconds of Redis's own clock (TIME), so nodes need not agree on theirs; `now` is given by tests alone.
 */
#ifndef COUNTERS_SCRIPTS_H
#define COUNTERS_SCRIPTS_H

#include "buf.h"
#include "ipc/messages_count.h"

/* X(NAME) */
#define SCRIPTS(X) X(HELLO) X(DECIDE) X(MERGE) X(NOTE) X(BEAT)
enum script {
#define X(name) SCRIPT_##name,
	SCRIPTS(X)
#undef X
	SCRIPT_COUNT
};
#define SCRIPT_SHA 40

const char *script_name(enum script s);
struct span script_text(enum script s);
/* Forty hexadecimal digits. */
struct span script_sha(enum script s);

/* Kinds of keys, one letter each behind the prefix. */
enum key_kind { KEY_LIMIT = 'l', KEY_LOCK = 'k', KEY_SEEN = 'u', KEY_FRIEND = 'f', KEY_CAME = 'g', KEY_MAILBOX = 'c',
	KEY_REPUTATION = 'r', KEY_FENCE = 'n', KEY_RESET = 't', KEY_NODES = 's' };

/* A command under construction: EVALSHA sha nkeys key … arg …; reused. */
#define CALL_WORDS 2048
struct call {
	struct span prefix;
	struct buf text;		/* of keys and arguments; spans are made of offsets at the end */
	size_t nkeys, nargs;
	struct { uint32_t at, n; } keys[CALL_WORDS / 2], args[CALL_WORDS];
	struct span argv[CALL_WORDS + CALL_WORDS / 2 + 3];
};
void call_init(struct call *c, struct span prefix);
void call_release(struct call *c);
/* fence: the name behind the prefix. now: 0 Redis's own. */
void call_begin(struct call *c, struct span fence, uint64_t epoch, uint64_t seq, int64_t now);
void call_key(struct call *c, enum key_kind kind, struct span name);
/* A key that is a hash of the text, where nobody needs to read it. */
void call_key_hashed(struct call *c, enum key_kind kind, struct span a, struct span b);
void call_num(struct call *c, int64_t v);
void call_text(struct call *c, struct span s);
bool call_failed(const struct call *c);
/* EVALSHA, or EVAL where the script is not there. Lives until the next call_begin. */
size_t call_argv(struct call *c, enum script s, bool whole, const struct span **argv);
/* Keys for plain commands, in buf. */
#define KEY_TEXT_MAX 700
struct span key_text(struct span prefix, enum key_kind kind, struct span name, char buf[static KEY_TEXT_MAX]);
/* As 32 hexadecimal digits: the first half of SHA-256 of "a b". */
#define KEY_HASH 32
void key_hash(struct span a, struct span b, char out[static KEY_HASH]);

#endif
