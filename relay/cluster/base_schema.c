/* base_schema.c -- the tables of the shared base; see base_schema.h.
 *
 * What belongs to a message (message, recipient, event, record) lies in a partition for each day of its
 * id, which is a time: a search walks days from the newest back, and what is too old is dropped with its
 * day. Every row has a key that does not depend on who sends it or how often, so that what is sent twice
 * is there once. Texts of people's mail are never compared by a locale: the database's collation is of no
 * account.
 *
 * Of a kept message the state, and what belongs to a decision, is the base's alone: `state` goes from 1
 * (waiting) only by a claim, an UPDATE that one of two can win; all else is the home node's to write.
 *
 * Steps are for ever: a new one goes to the end. Several nodes may start at once, so all of it runs under
 * one lock; a base made by a newer Postern is left alone.
 */
#include <stdio.h>

#include "buf.h"
#include "cluster/base_schema.h"
#include "postern/err.h"

static const char *const steps[] = {
	/* ---- nodes ---- */
	"CREATE TABLE node("
	" store bigint PRIMARY KEY,"		/* of its own database: a machine made anew is another one */
	" name text NOT NULL, version text NOT NULL DEFAULT '',"
	" since timestamptz NOT NULL DEFAULT now(), heard timestamptz NOT NULL DEFAULT now(),"
	" event_seq bigint NOT NULL DEFAULT 0, audit_seq bigint NOT NULL DEFAULT 0,"
	" behind bigint NOT NULL DEFAULT 0,"	/* rows that waited when it spoke last */
	" queue bigint NOT NULL DEFAULT 0,"	/* messages in its queue then */
	" config text NOT NULL DEFAULT '', counters text NOT NULL DEFAULT '',"	/* hash of its postern.yaml; Redis: shared, alone */
	" journal_days int NOT NULL DEFAULT 0, evidence_days int NOT NULL DEFAULT 0);"	/* 0: for ever */
	"CREATE INDEX node_name ON node(name);"
	/* ---- messages ---- */
	"CREATE TABLE message("
	" id bigint NOT NULL, parent bigint, time bigint NOT NULL, direction int NOT NULL,"
	" listener text, client text, client_name text, helo text, \"user\" text, tls text,"
	" sender text, sender_domain text, subject text, size bigint NOT NULL, node text NOT NULL,"
	" words tsvector, PRIMARY KEY(id)) PARTITION BY RANGE(id);"
	"CREATE INDEX message_parent ON message(parent) WHERE parent IS NOT NULL;"
	"CREATE INDEX message_words ON message USING gin(words);"
	"CREATE TABLE recipient("
	" id bigint NOT NULL, address text NOT NULL, domain text, outcome text, status text NOT NULL,"
	" dsn text, relay text, reply text, tls text, time bigint NOT NULL, attempts int NOT NULL,"
	" PRIMARY KEY(id, address)) PARTITION BY RANGE(id);"
	"CREATE INDEX recipient_trouble ON recipient(status, id) WHERE status NOT IN ('sent', 'queued');"
	"CREATE TABLE event("
	" id bigint NOT NULL, key bigint NOT NULL, seq bigint NOT NULL, time bigint NOT NULL, kind text NOT NULL,"
	" rcpt text NOT NULL, outcome text, dsn text, relay text, reply text, tls text, \"by\" text,"
	" parent bigint, node text NOT NULL, words tsvector, PRIMARY KEY(id, key)) PARTITION BY RANGE(id);"
	"CREATE INDEX event_words ON event USING gin(words) WHERE words IS NOT NULL;"
	"CREATE TABLE record(id bigint PRIMARY KEY, json bytea NOT NULL) PARTITION BY RANGE(id);"
	"CREATE TABLE day(day int PRIMARY KEY, records boolean NOT NULL DEFAULT true);"	/* since 1970, UTC */
	/* A day's partitions. 332121600000000: ids of a day. */
	"CREATE FUNCTION day_make(d int) RETURNS void LANGUAGE plpgsql AS $f$"
	" DECLARE t text; lo bigint := d * 332121600000000; hi bigint := (d + 1) * 332121600000000; BEGIN"
	" IF EXISTS(SELECT FROM day WHERE day = d) THEN RETURN; END IF;"
	" PERFORM pg_advisory_xact_lock(1349743730, 1);"
	" IF EXISTS(SELECT FROM day WHERE day = d) THEN RETURN; END IF;"
	" FOREACH t IN ARRAY ARRAY['message', 'recipient', 'event', 'record'] LOOP"
	/* attached, for that lets others read meanwhile */
	"  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', t || '_' || d, t);"
	"  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', t, t || '_' || d, lo, hi);"
	" END LOOP;"
	" INSERT INTO day(day) VALUES(d); END $f$;"
	"CREATE FUNCTION days_drop(before int, records_before int) RETURNS int LANGUAGE plpgsql AS $f$"
	" DECLARE r record; t text; n int := 0; BEGIN"
	" FOR r IN SELECT * FROM day WHERE day < before ORDER BY day LIMIT 10 LOOP"
	"  PERFORM pg_advisory_xact_lock(1349743730, 1);"
	"  FOREACH t IN ARRAY ARRAY['message', 'recipient', 'event', 'record'] LOOP"
	"   EXECUTE format('DROP TABLE IF EXISTS %I', t || '_' || r.day); END LOOP;"
	"  DELETE FROM day WHERE day = r.day; n := n + 1; END LOOP;"
	" FOR r IN SELECT * FROM day WHERE day < records_before AND records ORDER BY day LIMIT 10 LOOP"
	"  EXECUTE format('TRUNCATE %I', 'record_' || r.day);"
	"  UPDATE day SET records = false WHERE day = r.day; END LOOP;"
	" RETURN n; END $f$;"
	/* ---- searching: days from the newest back, each with a plan for what is asked ---- */
	"CREATE FUNCTION found(w tsquery, r tsquery, anywhere boolean, st text, lo bigint, hi bigint, n int, ms int)"
	" RETURNS TABLE(id bigint, more boolean) LANGUAGE plpgsql STABLE AS $f$"
	" DECLARE d int; got int := 0; one bigint; q text; base text; cond text; until timestamptz :="
	"  clock_timestamp() + ms * interval '1 ms'; BEGIN"
	" cond := CASE WHEN st IS NULL THEN '' ELSE"
	"  ' AND EXISTS(SELECT FROM %2$I x WHERE x.id = m.id AND x.status = $4)' END;"
	" base := CASE WHEN w IS NULL AND r IS NULL THEN"
	"   CASE WHEN st IS NULL OR st IN ('sent', 'queued') THEN 'SELECT m.id FROM %1$I m WHERE m.id >= $5 AND m.id < $6' || cond"
	"   ELSE 'SELECT DISTINCT m.id FROM %2$I m WHERE m.status = $4 AND m.status NOT IN (''sent'', ''queued'')"
	" AND m.id >= $5 AND m.id < $6' END"
	"  WHEN r IS NULL THEN 'SELECT m.id FROM %1$I m WHERE m.words @@ $1 AND m.id >= $5 AND m.id < $6' || cond"
	"  WHEN anywhere THEN 'SELECT m.id FROM (SELECT a.id FROM %1$I a WHERE a.words @@ $1 UNION"
	" SELECT e.id FROM %3$I e WHERE e.words @@ $2) m WHERE m.id >= $5 AND m.id < $6' || cond"
	"  WHEN w IS NULL THEN 'SELECT DISTINCT m.id FROM %3$I m WHERE m.words @@ $2 AND m.id >= $5 AND m.id < $6' || cond"
	"  ELSE 'SELECT m.id FROM %1$I m WHERE m.words @@ $1 AND m.id >= $5 AND m.id < $6 AND m.id IN"
	" (SELECT e.id FROM %3$I e WHERE e.words @@ $2)' || cond END;"
	" FOR d IN SELECT x.day FROM day x WHERE x.day >= lo / 332121600000000 AND x.day <= (hi - 1) / 332121600000000"
	"  ORDER BY 1 DESC LOOP"
	"  q := format(base || ' ORDER BY 1 DESC LIMIT $3', 'message_' || d, 'recipient_' || d, 'event_' || d);"
	"  FOR one IN EXECUTE q USING w, r, n - got, st, lo, hi LOOP"
	"   id := one; more := false; got := got + 1; RETURN NEXT; END LOOP;"
	"  EXIT WHEN got >= n;"
	"  IF clock_timestamp() > until THEN id := 0; more := true; RETURN NEXT; EXIT; END IF;"
	" END LOOP; END $f$;"
	/* ---- kept messages ---- */
	"CREATE TABLE kept("
	" gid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" store bigint NOT NULL, kid bigint NOT NULL, node text NOT NULL,"
	" id bigint NOT NULL, parent bigint, kind text NOT NULL, queue text, time bigint NOT NULL,"
	" expires bigint, on_expire text, sender text, client text, subject text, size bigint NOT NULL,"
	" state int NOT NULL, new_id bigint, \"by\" text, decided bigint, envelope bytea NOT NULL, record bytea,"
	" voted int, direction int, class text, sender_domain text, virus text, confirmed bigint,"
	" needs int NOT NULL DEFAULT 0,"	/* voices, or two persons: counted at home */
	" rcpts text[] NOT NULL DEFAULT '{}', content bytea,"
	" claimer bigint, token bigint,"	/* which node decides, and by which claim */
	" mark boolean NOT NULL DEFAULT false,"	/* another node decided: its home does not know yet */
	" UNIQUE(store, kid));"
	"ALTER TABLE kept ALTER content SET STORAGE EXTERNAL;"	/* sealed: nothing to compress */
	"CREATE INDEX kept_waiting ON kept(kind, gid) WHERE state = 1;"
	"CREATE INDEX kept_kind ON kept(kind, gid);"
	"CREATE INDEX kept_id ON kept(id);"
	"CREATE INDEX kept_sender ON kept(lower(sender));"
	"CREATE INDEX kept_rcpts ON kept USING gin(rcpts);"
	"CREATE UNIQUE INDEX kept_token ON kept(token) WHERE token IS NOT NULL;"
	"CREATE INDEX kept_mark ON kept(store) WHERE mark;"
	/* ---- lists of senders: rev counts all changes, in the order of their commits ---- */
	"CREATE TABLE list_rev(one int PRIMARY KEY, rev bigint NOT NULL);"
	"INSERT INTO list_rev VALUES(1, 0);"
	"CREATE TABLE list_entry("
	" scope int NOT NULL, owner text NOT NULL, what text NOT NULL, domain text NOT NULL, side int NOT NULL,"
	" kind int NOT NULL, who text NOT NULL, reason text NOT NULL, time bigint NOT NULL, \"by\" text NOT NULL,"
	" expires bigint, unauthenticated int NOT NULL, state int NOT NULL, gone boolean NOT NULL,"
	" rev bigint NOT NULL, store bigint NOT NULL, PRIMARY KEY(scope, owner, what));"
	"CREATE INDEX list_entry_rev ON list_entry(rev);"
	/* ---- the audit logs: a chain for each node ---- */
	"CREATE TABLE audit("
	" store bigint NOT NULL, seq bigint NOT NULL, node text NOT NULL, time bigint NOT NULL, who text NOT NULL,"
	" what text NOT NULL, subject text NOT NULL, detail text NOT NULL, key bigint NOT NULL, hash bytea NOT NULL,"
	" PRIMARY KEY(store, seq));"
	"CREATE INDEX audit_time ON audit(time DESC);"
	"CREATE TABLE audit_base("
	" store bigint PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL, key bigint NOT NULL, mac bytea NOT NULL);",
};

int
base_schema_version(void)
{
	return (int)(sizeof(steps) / sizeof(steps[0]));
}

const char *
base_schema_sql(void)
{
	static struct buf b;

	if (buf_size(&b))
		return buf_data(&b).p;
	buf_init(&b, 256u << 10);
	buf_printf(&b, "DO $m$ DECLARE v int; BEGIN PERFORM pg_advisory_xact_lock(1349743730, 0);"
	    " IF NOT EXISTS(SELECT FROM pg_namespace WHERE nspname = 'postern') THEN CREATE SCHEMA postern; END IF;"
	    " IF to_regclass('postern.base') IS NULL THEN"
	    "  CREATE TABLE base(version int NOT NULL, id bigint NOT NULL, since timestamptz NOT NULL DEFAULT now());"
	    "  INSERT INTO base(version, id) VALUES(0, ('x' || substr(md5(gen_random_uuid()::text), 2, 15))::bit(60)::bigint);"
	    " END IF;"
	    " SELECT version INTO v FROM base;"
	    " IF v > %d THEN RAISE EXCEPTION USING ERRCODE = '" BASE_SCHEMA_NEWER "',"
	    "  MESSAGE = 'the base was made by a newer Postern (version ' || v || ', this one knows %d)'; END IF;",
	    base_schema_version(), base_schema_version());
	for (int i = 0; i < base_schema_version(); i++)
		buf_printf(&b, " IF v < %d THEN %s END IF;", i + 1, steps[i]);
	buf_printf(&b, " IF v < %d THEN UPDATE base SET version = %d; END IF; END $m$", base_schema_version(),
	    base_schema_version());
	buf_putc(&b, '\0');
	ASSERT(!buf_failed(&b));
	return buf_data(&b).p;
}
