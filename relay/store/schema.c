/* schema.c -- the tables of the store's database; see schema.h.
 *
 * message and recipient hold what is known now (one row each, updated by
 * events), event what happened (never updated). An event sent twice, by a
 * queue that lost its link before the acknowledgement came, has the same
 * message, time, kind and recipient: the unique index drops the second one,
 * whichever process sends it. Ids rise with time, so no table needs an index
 * over time.
 *
 * What is large and rarely read (verdict records, contents) has tables of its
 * own, so that searches read narrow rows. A full-text table over message may
 * come in a later step.
 */
#include "postern/err.h"
#include "store/db.h"
#include "store/schema.h"

static const char *const steps[] = {
	"PRAGMA application_id=1349743730;"	/* DB_APPLICATION */
	"CREATE TABLE message("
	" id INTEGER PRIMARY KEY,"
	" parent INTEGER,"		/* the message it was made from; NULL none */
	" time INTEGER NOT NULL,"
	" direction INTEGER NOT NULL,"	/* enum direction */
	" listener TEXT, client TEXT, client_name TEXT, helo TEXT, user TEXT, tls TEXT,"
	" sender TEXT, sender_domain TEXT,"
	" subject TEXT,"
	" size INTEGER NOT NULL);"
	"CREATE INDEX message_parent ON message(parent) WHERE parent IS NOT NULL;"
	"CREATE INDEX message_sender ON message(sender COLLATE NOCASE);"
	"CREATE INDEX message_sender_domain ON message(sender_domain);"
	"CREATE INDEX message_client ON message(client);"
	"CREATE INDEX message_subject ON message(id, subject) WHERE subject IS NOT NULL;"
	"CREATE TABLE record(id INTEGER PRIMARY KEY, json BLOB NOT NULL);"	/* zstd */
	"CREATE TABLE recipient("
	" id INTEGER NOT NULL, address TEXT NOT NULL, domain TEXT,"
	" outcome TEXT, status TEXT NOT NULL, dsn TEXT, relay TEXT, reply TEXT, tls TEXT,"
	" time INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY(id, address)) WITHOUT ROWID;"
	"CREATE INDEX recipient_address ON recipient(address COLLATE NOCASE);"
	"CREATE INDEX recipient_domain ON recipient(domain);"
	"CREATE TABLE event("
	" seq INTEGER PRIMARY KEY,"
	" id INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL,"	/* event_name */
	" key INTEGER NOT NULL,"	/* of time, kind and rcpt: what it happened to */
	" rcpt TEXT NOT NULL, outcome TEXT, dsn TEXT, relay TEXT, reply TEXT, tls TEXT,"
	" by TEXT, parent INTEGER);"
	"CREATE UNIQUE INDEX event_once ON event(id, key);"
	"CREATE TABLE kept("
	" kid INTEGER PRIMARY KEY,"	/* one message may be kept twice: held for one, quarantined for another */
	" id INTEGER NOT NULL, parent INTEGER,"
	" kind TEXT NOT NULL,"	/* outcome_name: hold, quarantine */
	" queue TEXT, time INTEGER NOT NULL,"
	" expires INTEGER, on_expire TEXT,"	/* outcome_name */
	" sender TEXT, client TEXT, subject TEXT, size INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"	/* enum kept_state */
	" new_id INTEGER,"		/* of the message a decision makes */
	" by TEXT, decided INTEGER,"
	" envelope BLOB NOT NULL, record BLOB);"
	"CREATE INDEX kept_id ON kept(id);"
	"CREATE INDEX kept_state ON kept(state, kind, kid);"
	"CREATE INDEX kept_expires ON kept(expires) WHERE state=1 AND expires IS NOT NULL;"
	"CREATE TABLE kept_rcpt(kid INTEGER NOT NULL, address TEXT NOT NULL,"
	" PRIMARY KEY(kid, address)) WITHOUT ROWID;"
	"CREATE TABLE kept_content(kid INTEGER PRIMARY KEY,"
	" method INTEGER NOT NULL,"	/* 1: zstd */
	" bytes BLOB NOT NULL);",
	/* What verdicts rested on (basis.h) and the policies they were judged by (policies.h). */
	"CREATE TABLE verdict(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"	/* not packed yet */
	"CREATE TABLE verdict_pack(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" first INTEGER NOT NULL, last INTEGER NOT NULL,"	/* ids */
	" n INTEGER NOT NULL, bytes BLOB NOT NULL);"	/* zstd */
	"CREATE INDEX verdict_pack_last ON verdict_pack(last);"
	"CREATE TABLE rule_hits(rule TEXT NOT NULL, mode TEXT NOT NULL,"	/* e, s, x */
	" hour INTEGER NOT NULL, n INTEGER NOT NULL, last INTEGER NOT NULL,"
	" PRIMARY KEY(rule, mode, hour)) WITHOUT ROWID;"
	"CREATE TABLE policy(manifest INTEGER PRIMARY KEY,"	/* manifest_key */
	" hash TEXT NOT NULL, used INTEGER NOT NULL,"	/* the last moment known */
	" names BLOB NOT NULL, bytes BLOB NOT NULL);"	/* manifest; archive */
	"CREATE TABLE policy_history(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" time INTEGER NOT NULL, manifest INTEGER NOT NULL, hash TEXT NOT NULL,"
	" how TEXT NOT NULL, uid INTEGER, git TEXT);",
	/* TLS with other servers, day by day (tlsrpt_db.c) */
	"CREATE TABLE tls_policy("
	" pid INTEGER PRIMARY KEY,"
	" day INTEGER NOT NULL,"	/* UTC, since 1970 */
	" domain TEXT NOT NULL,"
	" kind INTEGER NOT NULL,"	/* enum tls_kind */
	" policy TEXT NOT NULL, mx TEXT NOT NULL,"	/* lines */
	" ok INTEGER NOT NULL DEFAULT 0);"
	"CREATE UNIQUE INDEX tls_policy_once ON tls_policy(day, domain, kind, policy, mx);"
	"CREATE TABLE tls_failure("
	" pid INTEGER NOT NULL, result TEXT NOT NULL,"	/* tls_result_name */
	" local TEXT NOT NULL, remote TEXT NOT NULL, host TEXT NOT NULL, helo TEXT NOT NULL,"
	" reason TEXT NOT NULL, count INTEGER NOT NULL,"
	" PRIMARY KEY(pid, result, local, remote, host, helo, reason)) WITHOUT ROWID;"
	"CREATE TABLE tls_report("
	" day INTEGER NOT NULL, domain TEXT NOT NULL,"
	" uri TEXT NOT NULL,"		/* '': who wants it is still to be asked, or nobody */
	" state INTEGER NOT NULL,"	/* enum report_state */
	" first INTEGER NOT NULL, next INTEGER NOT NULL, tries INTEGER NOT NULL,"
	" detail TEXT, PRIMARY KEY(day, domain, uri)) WITHOUT ROWID;"
	"CREATE INDEX tls_report_next ON tls_report(next) WHERE state=1;",
	/* Approvals (approval_db.h), and mail of our own on its way to the queue. */
	"CREATE TABLE approval("	/* what each rule asks for that holds the row */
	" kid INTEGER NOT NULL, rule TEXT NOT NULL, decider TEXT, approvals INTEGER NOT NULL,"
	" PRIMARY KEY(kid, rule)) WITHOUT ROWID;"
	"CREATE TABLE approver("
	" kid INTEGER NOT NULL, rule TEXT NOT NULL, pattern TEXT NOT NULL,"
	" PRIMARY KEY(kid, rule, pattern)) WITHOUT ROWID;"
	"CREATE TABLE vote("
	" kid INTEGER NOT NULL, address TEXT NOT NULL COLLATE NOCASE, approve INTEGER NOT NULL,"
	" time INTEGER NOT NULL, via TEXT, reason TEXT,"
	" PRIMARY KEY(kid, address)) WITHOUT ROWID;"
	"CREATE TABLE token("
	" nonce BLOB PRIMARY KEY, kid INTEGER NOT NULL, address TEXT NOT NULL,"
	" used INTEGER) WITHOUT ROWID;"	/* when; NULL not yet */
	"CREATE TABLE secret(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE outbox("
	" oid INTEGER PRIMARY KEY, about INTEGER NOT NULL, kid INTEGER,"	/* kid: only while it waits */
	" rcpt TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, language TEXT);"
	"ALTER TABLE kept ADD COLUMN voted INTEGER;"	/* enum approval_state; NULL: not decided so */
	"CREATE INDEX kept_voted ON kept(kid) WHERE voted IS NOT NULL AND state=1;",
	/* what the classifier has learnt, and of which messages (bayes_db.h) */
	"CREATE TABLE bayes_token("
	" token INTEGER PRIMARY KEY, spam INTEGER NOT NULL, ham INTEGER NOT NULL,"
	" day INTEGER NOT NULL);"	/* since 1970, learnt last */
	"CREATE TABLE bayes_total("
	" one INTEGER PRIMARY KEY, spam INTEGER NOT NULL, ham INTEGER NOT NULL,"
	" since INTEGER NOT NULL);"
	"CREATE TABLE bayes_message("
	" id INTEGER PRIMARY KEY,"	/* of a message; negative: a hash of a file */
	" time INTEGER NOT NULL,"
	" learnt INTEGER NOT NULL,"	/* enum bayes_class */
	" by TEXT, source TEXT, decided INTEGER,"
	" tokens BLOB);"		/* bayes_pack; NULL: too long ago to be changed */
	"CREATE INDEX bayes_message_time ON bayes_message(time);"
	"CREATE INDEX bayes_message_by ON bayes_message(by, decided) WHERE by IS NOT NULL;"
	"CREATE INDEX bayes_message_source ON bayes_message(source, decided) WHERE source IS NOT NULL;",
	/* Who changed what (audit.h). A number is used once, also after rows were deleted at the end. */
	"CREATE TABLE audit(seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
	" who TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,"
	" key INTEGER NOT NULL,"	/* keyring_number; 0 none */
	" hash BLOB NOT NULL);"
	"CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN"
	" SELECT RAISE(ABORT, 'the audit log is not changed'); END;"
	"CREATE TABLE audit_base(one INTEGER PRIMARY KEY CHECK(one=1), seq INTEGER NOT NULL,"
	" hash BLOB NOT NULL, key INTEGER NOT NULL, mac BLOB NOT NULL);",
	/* what the store remembers of itself */
	"CREATE TABLE setting(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;",
	/* People of the console, and who of them is signed in (people_db.h) */
	"CREATE TABLE person("
	" name TEXT PRIMARY KEY COLLATE NOCASE,"
	" hash TEXT,"			/* scrypt; NULL: no password */
	" roles INTEGER NOT NULL,"	/* PRINCIPAL_BIT */
	" domains TEXT, addresses TEXT,"	/* lines */
	" language TEXT, totp BLOB, totp_step INTEGER NOT NULL DEFAULT 0, recovery BLOB,"
	" disabled INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, seen INTEGER NOT NULL DEFAULT 0"
	") WITHOUT ROWID;"
	"CREATE TABLE session("
	" hash TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, principal TEXT, language TEXT,"
	" ip TEXT, created INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX session_name ON session(name COLLATE NOCASE);",
	/* The classifier's secret, sealed (sealed.h) as that of approvals cannot be: by a row's number. */
	"CREATE TABLE bayes_secret(one INTEGER PRIMARY KEY CHECK(one=1), bytes BLOB NOT NULL);"
	"INSERT INTO bayes_secret(one, bytes) SELECT 1, value FROM secret WHERE name='bayes';"
	"DELETE FROM secret WHERE name='bayes';",
	/* lists of senders (lists_db.h); numbers are used once, they stand in verdicts and logs */
	"CREATE TABLE list_entry("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" scope INTEGER NOT NULL,"	/* enum list_scope */
	" owner TEXT NOT NULL,"		/* domain or address, folded; '' for all */
	" domain TEXT NOT NULL,"	/* the owner's */
	" side INTEGER NOT NULL, kind INTEGER NOT NULL,"	/* enum list_side, entry_kind */
	" what TEXT NOT NULL,"		/* in its one spelling */
	" who TEXT NOT NULL, reason TEXT NOT NULL, time INTEGER NOT NULL, by TEXT NOT NULL,"
	" expires INTEGER, unauthenticated INTEGER NOT NULL, state INTEGER NOT NULL);"	/* enum list_state */
	"CREATE UNIQUE INDEX list_entry_once ON list_entry(scope, owner, what);"
	"CREATE INDEX list_entry_owner ON list_entry(owner) WHERE owner<>'';"
	"CREATE INDEX list_entry_domain ON list_entry(domain) WHERE domain<>'';"
	"CREATE INDEX list_entry_expires ON list_entry(expires) WHERE expires IS NOT NULL;",
	/* Kept messages by whom they concern (kept_page.c), asked for (request_db.c), told of (digest_db.c). */
	"ALTER TABLE kept ADD COLUMN direction INTEGER;"	/* enum direction; NULL: kept before it was written */
	"ALTER TABLE kept ADD COLUMN class TEXT;"	/* of the record: virus, spam, suspected, … */
	"ALTER TABLE kept ADD COLUMN sender_domain TEXT;"
	"ALTER TABLE kept ADD COLUMN virus TEXT;"	/* found when it came, or when it was to be released */
	"ALTER TABLE kept ADD COLUMN confirmed INTEGER;"	/* somebody says it is spam indeed: when */
	"ALTER TABLE kept_rcpt ADD COLUMN domain TEXT;"
	"UPDATE kept SET sender_domain=lower(substr(sender, instr(sender,'@')+1)) WHERE instr(sender,'@')>0;"
	"UPDATE kept_rcpt SET domain=lower(substr(address, instr(address,'@')+1));"
	"CREATE INDEX kept_kind ON kept(kind, kid);"
	"CREATE INDEX kept_queue ON kept(queue, kind, kid);"
	"CREATE INDEX kept_class ON kept(class, kind, kid);"
	"CREATE INDEX kept_sender ON kept(sender COLLATE NOCASE, kind, kid);"
	"CREATE INDEX kept_sender_domain ON kept(sender_domain, kind, kid);"
	"CREATE INDEX kept_rcpt_address ON kept_rcpt(address COLLATE NOCASE, kid);"
	"CREATE INDEX kept_rcpt_domain ON kept_rcpt(domain, kid);"
	"CREATE VIRTUAL TABLE kept_words USING fts5(words, tokenize='trigram');"	/* rowid: kid */
	"INSERT INTO kept_words(rowid, words) SELECT kid, '#'||kind||' '||coalesce(sender,'')||' '||coalesce(subject,'')"
	"||' '||coalesce((SELECT group_concat(address,' ') FROM kept_rcpt r WHERE r.kid=k.kid),'') FROM kept k;"
	"CREATE TRIGGER kept_gone AFTER DELETE ON kept BEGIN"
	" DELETE FROM kept_words WHERE rowid=old.kid; END;"
	"CREATE TABLE kept_request("	/* a recipient asks for his message */
	" kid INTEGER NOT NULL, address TEXT NOT NULL COLLATE NOCASE, time INTEGER NOT NULL,"
	" reason TEXT, state INTEGER NOT NULL,"	/* enum request_state */
	" by TEXT, decided INTEGER, PRIMARY KEY(kid, address)) WITHOUT ROWID;"
	"CREATE INDEX kept_request_open ON kept_request(kid) WHERE state=1;"
	"CREATE TABLE digest_domain(domain TEXT PRIMARY KEY, slot INTEGER NOT NULL,"	/* the hour told of last */
	" upto INTEGER NOT NULL) WITHOUT ROWID;"	/* kid */
	"CREATE TABLE digest_todo("	/* who is to be told, of what lies between */
	" address TEXT PRIMARY KEY COLLATE NOCASE, after INTEGER NOT NULL, upto INTEGER NOT NULL,"
	" time INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE digest_used(nonce BLOB PRIMARY KEY, what TEXT NOT NULL,"
	" expires INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX digest_used_expires ON digest_used(expires);"
	"ALTER TABLE outbox ADD COLUMN html TEXT;"
	"ALTER TABLE outbox ADD COLUMN mid INTEGER;"	/* under which id it was offered to the queue; NULL not yet */
	"CREATE TABLE incident("	/* what DLP rules held or refused (incident_db.c) */
	" iid INTEGER PRIMARY KEY, id INTEGER NOT NULL, kid INTEGER, time INTEGER NOT NULL,"
	" outcome TEXT NOT NULL, rules TEXT NOT NULL, sender TEXT, sender_domain TEXT,"
	" recipients TEXT, subject TEXT, state INTEGER NOT NULL,"	/* 1 open, 2 closed */
	" resolution TEXT, note TEXT, by TEXT, decided INTEGER);"
	"CREATE UNIQUE INDEX incident_once ON incident(id, outcome);"
	"CREATE INDEX incident_state ON incident(state, iid);"
	"CREATE TABLE incident_rule(rule TEXT NOT NULL, iid INTEGER NOT NULL,"
	" PRIMARY KEY(rule, iid)) WITHOUT ROWID;",
	/* Our own experience with senders, as the receivers have it in memory (reputation_db.c). */
	"CREATE TABLE reputation("
	" name TEXT PRIMARY KEY,"	/* its kind (a, n, d), then the address, network or domain */
	" at INTEGER NOT NULL, since INTEGER NOT NULL,"	/* Unix seconds; the counts are of `at` */
	" counts BLOB NOT NULL) WITHOUT ROWID;"		/* enum reputation_event, floats */
	"CREATE INDEX reputation_at ON reputation(at);",
	/* Searches have an index of words (search.h), which is made for what is there little by little;
	 * indexes over addresses and domains cost more than all else when events are written. */
	"CREATE TABLE search_week(week INTEGER PRIMARY KEY,"	/* there are search_N and replies_N */
	" gone INTEGER NOT NULL DEFAULT 0);"	/* being deleted: not to be searched */
	"INSERT INTO setting(name, value) SELECT 'search_from', max(id)+1 FROM message HAVING max(id) IS NOT NULL;"
	"DROP INDEX message_sender; DROP INDEX message_sender_domain; DROP INDEX message_client;"
	"DROP INDEX message_subject; DROP INDEX recipient_address; DROP INDEX recipient_domain;"
	"CREATE INDEX recipient_trouble ON recipient(status, id) WHERE status NOT IN ('sent', 'queued');"
	"CREATE TABLE hour_count(hour INTEGER NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY(hour, what)) WITHOUT ROWID;",
	/* Lines that somebody asks for are few among many (overview.c). */
	"CREATE INDEX list_entry_requested ON list_entry(number) WHERE state=1;",
	/* Decisions that can still be taken back (undo.c). */
	"CREATE TABLE kept_later("
	" kid INTEGER PRIMARY KEY, verb INTEGER NOT NULL,"	/* enum act_verb */
	" by TEXT NOT NULL, reason TEXT NOT NULL, due INTEGER NOT NULL);"
	"CREATE TRIGGER kept_later_gone AFTER DELETE ON kept BEGIN"
	" DELETE FROM kept_later WHERE kid=old.kid; END;",
	/* `status:queued` (search_run.c): few at any time. */
	"CREATE INDEX recipient_queued ON recipient(id) WHERE status='queued';",
	/* What the shared base has still to hear of (share.h): the journal and the audit log go by their numbers;
	 * rows that change are noted here, while this node shares. A guest is a row of another node's. */
	"ALTER TABLE kept ADD COLUMN home INTEGER; ALTER TABLE kept ADD COLUMN home_kid INTEGER;"
	"ALTER TABLE kept ADD COLUMN home_gid INTEGER; ALTER TABLE kept ADD COLUMN home_node TEXT;"
	"ALTER TABLE kept ADD COLUMN home_time INTEGER;"	/* when it was fetched */
	"CREATE INDEX kept_home ON kept(home_gid) WHERE home_gid IS NOT NULL;"
	"CREATE TABLE share_kept(seq INTEGER PRIMARY KEY AUTOINCREMENT, kid INTEGER NOT NULL UNIQUE,"
	" content INTEGER NOT NULL);"	/* its content too */
	"CREATE TABLE share_list(seq INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL, owner TEXT NOT NULL,"
	" what TEXT NOT NULL, UNIQUE(scope, owner, what));"
	"CREATE TABLE claim(token INTEGER PRIMARY KEY, kid INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"	/* enum claim_state */
	" final INTEGER, new_id INTEGER, by TEXT, decided INTEGER);"
	"CREATE INDEX claim_kid ON claim(kid);"
#define SHARING " AND EXISTS(SELECT 1 FROM setting WHERE name='sharing')"
	"CREATE TRIGGER kept_share_new AFTER INSERT ON kept WHEN new.home IS NULL" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_kept(kid, content) VALUES(new.kid, 1); END;"
	"CREATE TRIGGER kept_share AFTER UPDATE ON kept WHEN new.home IS NULL" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_kept(kid, content) VALUES(new.kid,"
	" coalesce((SELECT content FROM share_kept WHERE kid=new.kid), 0)); END;"
	"CREATE TRIGGER kept_share_gone AFTER DELETE ON kept WHEN old.home IS NULL" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_kept(kid, content) VALUES(old.kid, 0); END;"
	"CREATE TRIGGER kept_content_share AFTER UPDATE ON kept_content WHEN"	/* sealed with a new key */
	" EXISTS(SELECT 1 FROM kept WHERE kid=new.kid AND home IS NULL)" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_kept(kid, content) VALUES(new.kid, 1); END;"
	"CREATE TRIGGER list_share_new AFTER INSERT ON list_entry WHEN 1" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_list(scope, owner, what) VALUES(new.scope, new.owner, new.what); END;"
	"CREATE TRIGGER list_share AFTER UPDATE ON list_entry WHEN 1" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_list(scope, owner, what) VALUES(new.scope, new.owner, new.what); END;"
	"CREATE TRIGGER list_share_gone AFTER DELETE ON list_entry WHEN 1" SHARING " BEGIN"
	" INSERT OR REPLACE INTO share_list(scope, owner, what) VALUES(old.scope, old.owner, old.what); END;",
	/* Sessions of a directory's people are looked at again (people_again.c). */
	"ALTER TABLE session ADD COLUMN typed TEXT;"
	"ALTER TABLE session ADD COLUMN checked INTEGER;",
	/* Pages of kept messages walk those of one state and kind alone, whoever asks (kept_page.c). */
	"ALTER TABLE kept_rcpt ADD COLUMN state INTEGER;"	/* of its row in kept, as kind is */
	"ALTER TABLE kept_rcpt ADD COLUMN kind TEXT;"
	"UPDATE kept_rcpt SET (state, kind)=(SELECT state, kind FROM kept k WHERE k.kid=kept_rcpt.kid);"
	"DROP INDEX kept_kind; DROP INDEX kept_queue; DROP INDEX kept_class; DROP INDEX kept_sender;"
	"DROP INDEX kept_sender_domain; DROP INDEX kept_rcpt_address; DROP INDEX kept_rcpt_domain;"
	"CREATE INDEX kept_queue ON kept(queue, state, kind, kid);"
	"CREATE INDEX kept_class ON kept(class, state, kind, kid);"
	"CREATE INDEX kept_sender ON kept(sender COLLATE NOCASE, state, kind, kid);"
	"CREATE INDEX kept_sender_domain ON kept(sender_domain, state, kind, kid);"
	"CREATE INDEX kept_rcpt_address ON kept_rcpt(address COLLATE NOCASE, state, kind, kid);"
	"CREATE INDEX kept_rcpt_domain ON kept_rcpt(domain, state, kind, kid);"
	"CREATE TRIGGER kept_moves AFTER UPDATE OF state ON kept WHEN new.state<>old.state BEGIN"
	" UPDATE kept_rcpt SET state=new.state WHERE kid=new.kid; END;",
	/* Secrets of approvals and of second factors, sealed as contents are: by a row's number. */
	"CREATE TABLE approval_secret(one INTEGER PRIMARY KEY CHECK(one=1), bytes BLOB NOT NULL);"
	"INSERT INTO approval_secret(one, bytes) SELECT 1, value FROM secret WHERE name='approval';"
	"DELETE FROM secret WHERE name='approval';"
	"CREATE TABLE person_totp(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
	" totp BLOB NOT NULL);"
	"INSERT INTO person_totp(name, totp) SELECT name, totp FROM person WHERE length(totp)>0;"
	"UPDATE person SET totp=NULL WHERE totp IS NOT NULL;"
	"DELETE FROM setting WHERE name='sealed';",	/* these are to be */
	/* What belongs to a kept message goes with it; incidents have a term (retention.c). */
	"DELETE FROM kept_rcpt WHERE kid NOT IN (SELECT kid FROM kept);"
	"DELETE FROM approval WHERE kid NOT IN (SELECT kid FROM kept);"
	"DELETE FROM approver WHERE kid NOT IN (SELECT kid FROM kept);"
	"DELETE FROM vote WHERE kid NOT IN (SELECT kid FROM kept);"
	"DELETE FROM token WHERE kid NOT IN (SELECT kid FROM kept);"
	"DELETE FROM kept_request WHERE kid NOT IN (SELECT kid FROM kept);"
	"CREATE INDEX token_kid ON token(kid);"
	"CREATE TRIGGER kept_all_gone AFTER DELETE ON kept BEGIN"
	" DELETE FROM kept_rcpt WHERE kid=old.kid; DELETE FROM approval WHERE kid=old.kid;"
	" DELETE FROM approver WHERE kid=old.kid; DELETE FROM vote WHERE kid=old.kid;"
	" DELETE FROM token WHERE kid=old.kid; DELETE FROM kept_request WHERE kid=old.kid; END;"
	"CREATE INDEX kept_decided ON kept(decided) WHERE state IN (4, 5, 6);"
	"CREATE INDEX incident_decided ON incident(decided) WHERE state=2;",
	/* Who signed in at a provider (people_oidc.c): a name is one subject's, and stays his. */
	"CREATE TABLE oidc_person(issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
	" mail TEXT, roles INTEGER NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL,"
	" PRIMARY KEY(issuer, subject)) WITHOUT ROWID;",
	/* Verdict records that came together, in one frame (records.h). */
	"CREATE TABLE record_pack(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" first INTEGER NOT NULL, last INTEGER NOT NULL,"	/* ids */
	" n INTEGER NOT NULL, bytes BLOB NOT NULL);"	/* zstd */
	"CREATE INDEX record_pack_ids ON record_pack(last, first);",
};

int
schema_version(void)
{
	return (int)(sizeof(steps) / sizeof(steps[0]));
}

const char *
schema_step(int from)
{
	ASSERT(from >= 0 && from < schema_version());
	return steps[from];
}
