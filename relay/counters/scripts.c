/* scripts.c -- what Redis carries out for us; see scripts.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "counters/scripts.h"
#include "postern/err.h"

#define CALL_TEXT (1u << 20)
#define FENCE_LIFE "86400000"		/* ms: a process that is quiet for a day has nothing under way */

/* KEYS[1] is the fence; ARGV: epoch, seq, now. All keys are texts and read at once (V), for a call is what costs; a key is
 * known by its place. */
#define HEAD \
	"local a, k, call, format = 3, 1, redis.call, string.format\n" \
	"local V = call('MGET', unpack(KEYS))\n" \
	"local now = tonumber(ARGV[3])\n" \
	"if now == 0 then local t = call('TIME') now = t[1] * 1000000 + t[2] end\n" \
	"local function word() a = a + 1 return ARGV[a] end\n" \
	"local function num() a = a + 1 return tonumber(ARGV[a]) end\n" \
	"local function key() k = k + 1 return k end\n" \
	"local function get(i) return tonumber(V[i] or 0) or 0 end\n" \
	"local function int(v) return format('%.0f', v) end\n" \
	"local function keep(i, v, us)\n" \
	"	V[i] = v\n" \
	"	call('SET', KEYS[i], v, 'PX', format('%.0f', us > 1000 and us / 1000 + 0.5 or 1))\n" \
	"end\n" \
	"local function until_(i, t) keep(i, int(t), t - now) end\n"
#define FENCE \
	"local f, older = V[1], ''\n" \
	"if f then\n" \
	"	local e, rest = string.match(f, '^(%d+) %d+(.*)$')\n" \
	"	if tonumber(e) > tonumber(ARGV[1]) then return redis.error_reply('STALE a newer connection has been made') end\n" \
	"	older = rest\n" \
	"end\n" \
	"call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. older, 'PX', " FENCE_LIFE ")\n"

/* A new connection: what of the older ones was carried out? Commands of those are refused from here on. */
static const char hello[] = HEAD
	"local f = V[1] or ''\n"
	"local e, s, rest = string.match(f, '^(%d+) (%d+)(.*)$')\n"
	"local older = ''\n"
	"if e and tonumber(s) > 0 then older = ' ' .. e .. ' ' .. s elseif e then older = rest end\n"
	"redis.call('SET', KEYS[1], ARGV[1] .. ' 0' .. older, 'PX', " FENCE_LIFE ")\n"
	"return {now, older}\n";

/* limits.c's arithmetic (GCRA): for each key the time at which all of the allowance is back. */
static const char decide[] = HEAD FENCE
	"local defer = num()\n"
	"local items = {}\n"
	"for i = 1, num() do\n"
	"	local it = {op = num(), group = num(), step = num(), window = num(), cost = num(), lock = num(), act = num()}\n"
	"	it.key = key()\n"
	"	if it.lock > 0 then it.lkey = key() end\n"
	"	if it.op == 1 then it.skey = key() end\n"
	"	items[i] = it\n"
	"end\n"
	"local function room(it, cost)\n"
	"	local tat, more = get(it.key), it.step * cost\n"
	"	if tat < now then tat = now end\n"
	"	it.level = tat - now\n"
	"	if it.step == 0 or more > it.window or tat - now > it.window - more then return nil end\n"
	"	return tat + more\n"
	"end\n"
	"local function take(it, cost)\n"
	"	local tat = room(it, cost)\n"
	"	if not tat then return false end\n"
	"	it.level = tat - now\n"
	"	until_(it.key, tat)\n"
	"	return true\n"
	"end\n"
	"local function give(it)\n"
	"	local tat = get(it.key) - it.step * it.cost\n"
	"	it.level = math.max(0, tat - now)\n"
	"	if tat > now then until_(it.key, tat) else call('DEL', KEYS[it.key]) V[it.key] = false end\n"
	"end\n"
	"local function locked(it)\n"
	"	if not it.lkey then return 0 end\n"
	"	local t = get(it.lkey)\n"
	"	it.ends = t > now and t - now or 0\n"
	"	return it.ends\n"
	"end\n"
	"local function take_one(it)\n"
	"	local left = locked(it)\n"
	"	if left > 0 then return false, 0, left end\n"
	"	if it.op == 1 then\n"
	"		if V[it.skey] then return true end\n"
	"		if take(it, 1) then keep(it.skey, '', it.window) return true end\n"
	"	elseif take(it, it.cost) then return true end\n"
	"	if it.lkey then until_(it.lkey, now + it.lock) it.ends = it.lock return false, 1, it.lock end\n"
	"	return false, 0, 0\n"
	"end\n"
	"local function check_one(it)\n"
	"	local left = locked(it)\n"
	"	if left > 0 then return false, 0, left end\n"
	"	return it.op == 3 or room(it, 1) ~= nil, 0, 0\n"
	"end\n"
	"local out, stop, i = {now}, false, 1\n"
	"for g = 0, 1 do\n"
	"	local worst, hit, lk, left, taken = 0, 0, 0, 0, {}\n"
	"	while items[i] and items[i].group == g do\n"
	"		local it = items[i]\n"
	"		if not stop and (it.op < 2 or it.act > worst) then\n"
	"			local ok, l, u\n"
	"			if it.op < 2 then ok, l, u = take_one(it) else ok, l, u = check_one(it) end\n"
	"			if ok then\n"
	"				if it.op == 0 then taken[#taken + 1] = it end\n"
	"			else\n"
	"				if it.act > worst then worst, hit, lk, left = it.act, i, l, u end\n"
	"				if it.op < 2 and worst >= defer then\n"
	"					for _, t in ipairs(taken) do give(t) end\n"
	"					stop = true\n"
	"				end\n"
	"			end\n"
	"		end\n"
	"		i = i + 1\n"
	"	end\n"
	"	out[#out + 1] = hit out[#out + 1] = lk out[#out + 1] = left\n"
	"end\n"
	"for _, it in ipairs(items) do out[#out + 1] = it.level or -1 out[#out + 1] = it.ends or 0 end\n"
	/* A stranger: asking.c's greylisted(), with what the node remembers by itself. */
	"local grey, age = 0, 0\n"
	"if num() == 1 then\n"
	"	local friend, came = key(), key()\n"
	"	local delay, retry, keeps, fa, ca = num(), num(), num(), num(), num()\n"
	"	local t = get(friend)\n"
	"	if fa >= 0 then t = math.max(t, now - fa) end\n"
	"	if t > 0 and now - t < keeps then grey = 2\n"
	"	else\n"
	"		t = get(came)\n"
	"		if t > 0 and now - t > retry then t = 0 end\n"
	"		if ca >= 0 and ca <= retry and (t == 0 or now - ca < t) then t = now - ca end\n"
	"		if t == 0 then t = now end\n"
	"		grey, age = 1, now - t\n"
	"		if age >= delay then grey, age = 2, 0 else keep(came, int(t), retry - age + 1000000) end\n"
	"	end\n"
	"	if grey == 2 then keep(friend, int(now), keeps) end\n"
	"end\n"
	"out[#out + 1] = grey out[#out + 1] = age\n"
	"local box, learnt = 0, 0\n"
	"if num() == 1 then\n"
	"	local v = V[key()]\n"
	"	if v then box, learnt = string.match(v, '^(%d+) (%d+)$') box = tonumber(box) or 0 learnt = now - (tonumber(learnt) or now) end\n"
	"end\n"
	"out[#out + 1] = box out[#out + 1] = math.max(0, learnt)\n"
	"for _ = 1, num() do out[#out + 1] = V[key()] or '' end\n"
	"return out\n";

/* What nodes remember, and what they took alone. cost: what was taken; level: where their takings alone
 * would stand, behind now. A sequence of takings maps a level x to max(x + cost, level), whatever x was. */
static const char merge[] = HEAD FENCE
	"local out = {now}\n"
	"for _ = 1, num() do\n"
	"	local lkey, kkey, tkey = key(), key(), key()\n"
	"	local tat, ends, told, cost, level, window = num(), num(), num(), num(), num(), num()\n"
	"	local is = get(lkey)\n"
	"	if told > get(tkey) then\n"
	"		local t = math.max(is, tat)\n"
	"		if cost > 0 then t = math.max(t, math.min(math.max(t + cost, now + level), now + window)) end\n"
	"		if t > now and t > is then until_(lkey, t) is = t end\n"
	"		if ends > now and ends > get(kkey) then until_(kkey, ends) end\n"
	"	end\n"
	"	out[#out + 1] = math.max(0, is - now)\n"
	"end\n"
	"return out\n";

/* Reputation (receiver/reputation.h): "second since n…", each n faded to the second. Where Redis knows nothing
 * what the node knows is put there, which has what is new in it already. */
static const char note[] = HEAD FENCE
	"local out = {now}\n"
	"local half, n = num(), num()\n"
	"local second = math.floor(now / 1000000)\n"
	"for _ = 1, num() do\n"
	"	local rkey, base, new = key(), word(), {}\n"
	"	for i = 1, n do new[i] = num() end\n"
	"	local v = V[rkey]\n"
	"	if not v then v = base new = {} end\n"
	"	local old = {}\n"
	"	for x in string.gmatch(v, '%S+') do old[#old + 1] = tonumber(x) end\n"
	"	local at, since = old[1] or second, old[2] or second\n"
	"	local fade = second > at and 2 ^ (-(second - at) / half) or 1\n"
	"	local to = {int(second), int(since)}\n"
	"	for i = 1, n do\n"
	"		local x = math.max(0, math.min(1000000, (old[i + 2] or 0) * fade + (new[i] or 0)))\n"
	"		to[i + 2] = x < 0.001 and '0' or string.format('%.6g', x)\n"
	"	end\n"
	"	v = table.concat(to, ' ')\n"
	"	call('SET', KEYS[rkey], v, 'EX', int(math.min(half * 10, 15552000)))\n"
	"	out[#out + 1] = v\n"
	"end\n"
	"return out\n";

/* Who is there: a sorted set of "name id", scored by when they were last heard; for 30 seconds. */
static const char beat[] = HEAD
	"local set = KEYS[2]\n"
	"redis.call('ZADD', set, int(now), word())\n"
	"redis.call('ZREMRANGEBYSCORE', set, '-inf', int(now - 30000000))\n"
	"redis.call('EXPIRE', set, 60)\n"
	"local out = redis.call('ZRANGE', set, 0, 999)\n"
	"table.insert(out, 1, now)\n"
	"return out\n";

static const struct { const char *name; const char *text; size_t n; } scripts[SCRIPT_COUNT] = {
	[SCRIPT_HELLO] = { "hello", hello, sizeof(hello) - 1 },
	[SCRIPT_DECIDE] = { "decide", decide, sizeof(decide) - 1 },
	[SCRIPT_MERGE] = { "merge", merge, sizeof(merge) - 1 },
	[SCRIPT_NOTE] = { "note", note, sizeof(note) - 1 },
	[SCRIPT_BEAT] = { "beat", beat, sizeof(beat) - 1 },
};

const char *
script_name(enum script s)
{
	ASSERT(s < SCRIPT_COUNT);
	return scripts[s].name;
}

struct span
script_text(enum script s)
{
	ASSERT(s < SCRIPT_COUNT);
	return span_make(scripts[s].text, scripts[s].n);
}

static void
to_hex(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
}

struct span
script_sha(enum script s)
{
	static char shas[SCRIPT_COUNT][SCRIPT_SHA];
	unsigned char hash[EVP_MAX_MD_SIZE];
	struct span text = script_text(s);
	unsigned n;

	if (shas[s][0] == '\0') {
		ASSERT(EVP_Digest(text.p, text.n, hash, &n, EVP_sha1(), NULL) == 1 && n == SCRIPT_SHA / 2);
		to_hex(hash, SCRIPT_SHA / 2, shas[s]);
	}
	return span_make(shas[s], SCRIPT_SHA);
}

/* ---- keys ---- */

void
key_hash(struct span a, struct span b, char out[static KEY_HASH])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char text[2048];
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		struct span s = span_sub(i ? b : a, 0, 1000);

		for (size_t k = 0; k < s.n; k++)
			text[n++] = ascii_lower(s.p[k]);
		text[n++] = '\0';
	}
	ASSERT(EVP_Digest(text, n, hash, NULL, EVP_sha256(), NULL) == 1);
	to_hex(hash, KEY_HASH / 2, out);
}

struct span
key_text(struct span prefix, enum key_kind kind, struct span name, char buf[static KEY_TEXT_MAX])
{
	int n = snprintf(buf, KEY_TEXT_MAX, "{" SPAN_FMT "}%c:" SPAN_FMT, SPAN_ARG(prefix), kind, SPAN_ARG(name));

	ASSERT(n > 0);
	return span_make(buf, n < KEY_TEXT_MAX ? (size_t)n : KEY_TEXT_MAX - 1);
}

/* ---- calls ---- */

void
call_init(struct call *c, struct span prefix)
{
	c->prefix = prefix;
	buf_init(&c->text, CALL_TEXT);
	c->nkeys = c->nargs = 0;
}

void
call_release(struct call *c)
{
	buf_release(&c->text);
}

void
call_key(struct call *c, enum key_kind kind, struct span name)
{
	char text[KEY_TEXT_MAX];
	struct span s = key_text(c->prefix, kind, name, text);

	ASSERT(c->nkeys < CALL_WORDS / 2);
	c->keys[c->nkeys].at = (uint32_t)buf_size(&c->text);
	c->keys[c->nkeys++].n = (uint32_t)s.n;
	buf_span(&c->text, s);
}

void
call_key_hashed(struct call *c, enum key_kind kind, struct span a, struct span b)
{
	char hash[KEY_HASH];

	key_hash(a, b, hash);
	call_key(c, kind, span_make(hash, KEY_HASH));
}

void
call_text(struct call *c, struct span s)
{
	ASSERT(c->nargs < CALL_WORDS);
	c->args[c->nargs].at = (uint32_t)buf_size(&c->text);
	c->args[c->nargs++].n = (uint32_t)s.n;
	buf_span(&c->text, s);
}

void
call_num(struct call *c, int64_t v)
{
	char text[24];

	call_text(c, span_make(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v)));
}

void
call_begin(struct call *c, struct span fence, uint64_t epoch, uint64_t seq, int64_t now)
{
	buf_reset(&c->text);
	c->nkeys = c->nargs = 0;
	call_key(c, KEY_FENCE, fence);
	call_num(c, (int64_t)epoch);
	call_num(c, (int64_t)seq);
	call_num(c, now);
}

bool
call_failed(const struct call *c)
{
	return buf_failed(&c->text);
}

size_t
call_argv(struct call *c, enum script s, bool whole, const struct span **argv)
{
	static char number[16];
	struct span text;
	size_t n = 0;

	ASSERT(!call_failed(c));
	text = buf_data(&c->text);
	c->argv[n++] = whole ? SPAN_LIT("EVAL") : SPAN_LIT("EVALSHA");
	c->argv[n++] = whole ? script_text(s) : script_sha(s);
	c->argv[n++] = span_make(number, (size_t)snprintf(number, sizeof(number), "%zu", c->nkeys));
	for (size_t i = 0; i < c->nkeys; i++)
		c->argv[n++] = span_sub(text, c->keys[i].at, c->keys[i].n);
	for (size_t i = 0; i < c->nargs; i++)
		c->argv[n++] = span_sub(text, c->args[i].at, c->args[i].n);
	*argv = c->argv;
	return n;
}
