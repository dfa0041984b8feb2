/* counters.h -- what all processes count, in memory they share.
 *
 * One table; each entry is a relaxed atomic 64-bit number that survives the
 * process that counts. `postern status` and later /metrics read it.
 */
#ifndef MASTER_COUNTERS_H
#define MASTER_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "master/labelled.h"
#include "postern/err.h"

/* X(NAME, "metric_name", "help") */
#define COUNTERS(X) \
	X(CONNECTIONS, "smtpd_connections", "connections accepted") \
	X(CONNECTIONS_REFUSED, "smtpd_connections_refused", "connections refused: not permitted, or over a limit") \
	X(SESSIONS, "smtpd_sessions", "sessions open now") \
	X(TLS_SESSIONS, "smtpd_tls_sessions", "sessions with TLS open now") \
	X(TLS_FAILURES, "smtpd_tls_failures", "TLS handshakes of clients that failed") \
	X(LOGINS, "smtpd_logins", "clients that authenticated") \
	X(LOGIN_FAILURES, "smtpd_login_failures", "wrong names or passwords") \
	X(MEMORY, "smtpd_memory_bytes", "bytes of mail being received or judged now") \
	X(REFUSED, "smtpd_rejects", "commands and messages refused with 4xx or 5xx") \
	X(RECEIVED, "messages_received", "messages acknowledged with 250") \
	X(RECEIVED_INBOUND, "messages_received_inbound", "of them from the world") \
	X(RCPT_ASKED, "recipients_asked", "recipients of whom the server behind us or the directory was asked") \
	X(RCPT_REMEMBERED, "recipients_remembered", "recipients answered for from memory") \
	X(RCPT_DOUBTS, "recipients_unverified", "recipients of whom nobody could say whether they exist") \
	X(UNWELCOME, "recipients_deferred_by_experience", "recipients put off: our own experience with the client is very bad") \
	X(GREYLISTED, "recipients_greylisted", "recipients a stranger was told to come back for") \
	X(BOUNCES_PROVED, "bounces_proved", "recipients of bounces with a good tag (BATV)") \
	X(BOUNCES_UNPROVED, "bounces_unproved", "recipients of bounces with a bad tag or none") \
	X(LIMIT_HITS, "limit_hits", "times a limit refused something") \
	X(SCANS, "scans", "messages judged") \
	X(SCAN_ERRORS, "scan_errors", "scanners that died or did not answer") \
	X(AV_SCANS, "av_scans", "messages the antivirus engine looked at") \
	X(AV_REMEMBERED, "av_attachments_remembered", "attachments not looked at again: they had been clean") \
	X(AV_CANARIES_MISSED, "av_canaries_missed", "times the antivirus did not find the test file, or could not look") \
	X(AV_RELOADS, "av_signature_reloads", "new signatures taken into use") \
	X(AV_RELOADS_REFUSED, "av_signature_reloads_refused", "new signatures that could not be loaded") \
	X(AV_SIGNATURES_MADE, "av_signature_timestamp_seconds", "when the antivirus signatures were made") \
	X(AV_STAMPED, "av_stamps_made", "messages stamped as scanned") \
	X(AV_STAMPS_ACCEPTED, "av_stamps_accepted", "messages not scanned: a trusted hop had, with the same signatures") \
	X(AV_STAMPS_REFUSED, "av_stamps_refused", "stamps of trusted hops that did not fit: scanned") \
	X(AV_STAMPS_STRIPPED, "av_stamps_stripped", "stamps taken out: their senders are not trusted") \
	X(SIGNATURES, "dkim_signatures", "DKIM signatures made") \
	X(OUT_DELIVER, "outcome_deliver", "recipients judged deliver") \
	X(OUT_REJECT, "outcome_reject", "recipients judged reject") \
	X(OUT_DEFER, "outcome_defer", "recipients judged defer") \
	X(OUT_HOLD, "outcome_hold", "recipients judged hold") \
	X(OUT_QUARANTINE, "outcome_quarantine", "recipients judged quarantine") \
	X(OUT_DISCARD, "outcome_discard", "recipients judged discard") \
	X(OUT_REDIRECT, "outcome_redirect", "recipients judged redirect") \
	X(SYNCS, "spool_syncs", "fdatasync calls on the spool") \
	X(QUEUED, "queue_messages", "messages in the queue now") \
	X(DELIVERED, "deliveries_sent", "recipients delivered") \
	X(DEFERRED, "deliveries_deferred", "attempts put off") \
	X(FAILED, "deliveries_failed", "recipients failed for good") \
	X(BOUNCES, "bounces", "delivery status notifications queued") \
	X(OUT_CONNECTIONS, "smtp_connections", "outgoing connections opened") \
	X(OUT_TLS, "smtp_tls_connections", "outgoing connections with TLS") \
	X(OUT_TLS_RESUMED, "smtp_tls_resumed", "outgoing TLS connections that resumed an earlier session") \
	X(OUT_TLS_FAILED, "smtp_tls_required_failures", "attempts put off because TLS that is required could not be had") \
	X(HELD, "held_messages", "messages put on hold") \
	X(QUARANTINED, "quarantined_messages", "messages put in quarantine") \
	X(EVENTS, "journal_events", "events written to the journal") \
	X(EVENTS_LOST, "journal_events_lost", "refusals not journalled because the store was away") \
	X(BASES, "journal_records", "verdict records written to the journal") \
	X(BASES_LOST, "journal_records_lost", "verdict records not kept because the store was away") \
	X(DIRECTORY_LOOKUPS, "directory_lookups", "questions to directories") \
	X(DIRECTORY_HITS, "directory_cache_hits", "of them answered by the cache") \
	X(DIRECTORY_SEARCHES, "directory_searches", "of them that went to LDAP") \
	X(DIRECTORY_STALE, "directory_stale_answers", "answers from old knowledge, because LDAP could not be asked") \
	X(DIRECTORY_FAILURES, "directory_failures", "questions without an answer: the mail waits") \
	X(DIRECTORY_DOWN, "directories_down", "directories of which no server can be had now") \
	X(VERIFIED, "inbound_verified", "messages from the world whose sender was looked into") \
	X(VERIFIED_LATE, "inbound_unverified", "of them that could not be checked: the DNS failed or was late") \
	X(DMARC_FAILED, "inbound_dmarc_failed", "of them that failed DMARC") \
	X(UNRATED, "inbound_unrated", "of them that the spam filter should have rated and did not") \
	X(LISTS_ENTRIES, "lists_entries", "entries in the lists of senders") \
	X(LISTS_GENERATION, "lists_generation", "of the lists of senders that a receiver took last") \
	X(LISTS_REFUSED, "lists_refused", "recipients refused because the sender or client is blocked") \
	X(LISTS_BLOCKED, "lists_blocked", "messages a block list speaks of for somebody") \
	X(LISTS_ALLOWED, "lists_allowed", "messages an allow list speaks of for somebody") \
	X(LISTS_UNPROVED, "lists_unproved", "of them that nothing proves to come from who is allowed") \
	X(LISTS_EXPIRED, "lists_expired", "entries of lists that ran out") \
	X(LISTS_ABSENT, "lists_absent", "messages from the world judged before there were lists") \
	X(VERIFIER_DEATHS, "verifier_deaths", "verifiers that died or hung with messages under way") \
	X(SPF_COMPARED, "spf_compared", "senders that libspf2 judged beside the strict engine (spf engine: both)") \
	X(SPF_DISAGREEMENTS, "spf_disagreements", "of them judged otherwise; the strict result stood") \
	X(COUNT_DECISIONS, "counters_decisions", "decisions counted with the other nodes") \
	X(COUNT_ALONE, "counters_decisions_alone", "decisions within this node's own share: Redis was away or late") \
	X(COUNT_AWAY, "counters_away", "1 while what nodes count together cannot be asked") \
	X(COUNT_NODES, "counters_nodes", "nodes that count together") \
	X(COUNT_OWED, "counters_owed", "limits counted alone that Redis does not know of yet") \
	X(COUNT_LOST, "counters_lost", "counts that could not be kept for Redis: too many at once") \
	X(SHARED, "base_rows", "rows the shared base has taken") \
	X(SHARE_LOST, "base_rows_refused", "rows the shared base would not take, left out of it") \
	X(SHARE_BEHIND, "base_rows_waiting", "rows that wait for the shared base") \
	X(SHARE_THERE, "base_connected", "1 while the shared base can be had") \
	X(EXPORTED, "export_events", "events handed to webhooks and log servers") \
	X(EXPORT_FAILURES, "export_failures", "attempts to hand them over that failed and are made again") \
	X(EXPORT_LOST, "export_events_lost", "events that were not handed over: too many waited, or for too long") \
	X(EXPORT_WAITING, "export_events_waiting", "journal events that the slowest webhook or log server is behind") \
	X(RESTARTS, "role_restarts", "processes restarted after they died")

enum counter {
#define X(name, metric, help) COUNTER_##name,
	COUNTERS(X)
#undef X
	COUNTER_COUNT
};
/* Times, in buckets; each with its sum. X(NAME, "metric_name", "help") */
#define HISTOGRAMS(X) \
	X(ACCEPT, "accept_seconds", "from the end of DATA to the answer, of messages that were accepted") \
	X(COUNTING, "counters_seconds", "from the question to the answer of Redis") \
	X(DELAY, "delivery_delay_seconds", "from the 250 to the delivery of a message") \
	X(SCAN, "scan_seconds", "a message before a scanner: reading, antivirus, detectors and rules")
enum histogram {
#define X(name, metric, help) HISTOGRAM_##name,
	HISTOGRAMS(X)
#undef X
	HISTOGRAM_COUNT
};
#define HISTOGRAM_BUCKETS 16
extern const int64_t histogram_bounds[HISTOGRAM_BUCKETS - 1];	/* microseconds; the last bucket has none */

const char *counter_name(enum counter c);
const char *counter_help(enum counter c);

/* The shared mapping: counters first, then the receivers' limits and transcripts. */
#define LIMITS_BYTES ((size_t)8 << 20)
#define TRANSCRIPT_SHARE ((size_t)1 << 20)
#define RECALL_BYTES ((size_t)4 << 20)		/* half a million addresses */
#define REPUTATION_BYTES ((size_t)14 << 20)	/* 65,536 clients, networks and domains */
struct shared {
	uint64_t magic;
	_Alignas(64) uint64_t counters[128];
	_Alignas(64) struct { uint64_t n[HISTOGRAM_BUCKETS], sum; } histograms[HISTOGRAM_COUNT];
	_Alignas(64) struct label_table labels;
	_Alignas(4096) unsigned char limits[LIMITS_BYTES];
	_Alignas(4096) unsigned char transcript[TRANSCRIPT_SHARE];
	_Alignas(4096) unsigned char recall[RECALL_BYTES];
	_Alignas(4096) unsigned char reputation[REPUTATION_BYTES];
};

/* Creates the memfd (master) / maps it (roles). Unmapped: counting goes nowhere. */
int shared_create(struct err *err);
struct shared *shared_map(int fd, struct err *err);

void counter_add(enum counter c, int64_t n);
void counter_set(enum counter c, uint64_t n);	/* a gauge that is kept elsewhere */
uint64_t counter_get(enum counter c);
void histogram_add(enum histogram h, int64_t us);
/* n: of each bucket alone; sum: microseconds. */
void histogram_get(enum histogram h, uint64_t n[HISTOGRAM_BUCKETS], uint64_t *sum);
const char *histogram_name(enum histogram h);
const char *histogram_help(enum histogram h);

#endif
