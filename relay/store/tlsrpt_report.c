/* tlsrpt_report.c -- the report itself; see tlsrpt_report.h. */
#include <stdio.h>
#include <time.h>
#include <zlib.h>

#include "base64.h"
#include "clock.h"
#include "json.h"
#include "store/tlsrpt_report.h"

#define LINE 76			/* of base64 */

static struct tm
utc(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	return tm;
}

/* "2026-11-22T23:59:59Z" (RFC 3339) */
static void
stamp(int64_t seconds, char out[32])
{
	struct tm tm = utc(seconds);

	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void
report_id(const struct tls_report *r, char out[REPORT_ID_MAX])
{
	struct tm from = utc(r->begin), to = utc(r->end);
	char day[16], until[16] = "";

	strftime(day, sizeof(day), "%Y%m%d", &from);
	/* A day that is not over is told of once more when it is: those are two reports. */
	if ((r->end + 1) % 86400 != 0)
		strftime(until, sizeof(until), "T%H%M%S", &to);
	snprintf(out, REPORT_ID_MAX, "%s%s." SPAN_FMT "@" SPAN_FMT, day, until, SPAN_ARG(r->domain),
	    SPAN_ARG(r->hostname));
}

/* A list, from lines. */
static void
lines(struct json *j, const char *key, struct span text)
{
	json_key(j, key);
	json_array(j);
	while (text.n) {
		size_t eol = span_find(text, '\n');

		json_str(j, span_sub(text, 0, eol));
		text = span_from(text, eol + 1);
	}
	json_end_array(j);
}

static void
member(struct json *j, const char *key, struct span v)
{
	if (v.n)
		json_kstr(j, key, v);
}

static void
failure(struct json *j, const struct tls_failure_row *f)
{
	json_object(j);
	json_kstr(j, "result-type", f->result);
	member(j, "sending-mta-ip", f->local);
	member(j, "receiving-mx-hostname", f->host);
	member(j, "receiving-mx-helo", f->helo);
	member(j, "receiving-ip", f->remote);
	json_kint(j, "failed-session-count", f->count);
	member(j, "failure-reason-code", f->reason);
	json_end_object(j);
}

static void
policy(struct json *j, const struct tls_policy_row *p)
{
	json_object(j);
	json_key(j, "policy");
	json_object(j);
	json_kcstr(j, "policy-type", tls_kind_name(p->kind));
	if (p->policy.n)
		lines(j, "policy-string", p->policy);
	json_kstr(j, "policy-domain", p->domain);
	if (p->mx.n)
		lines(j, "mx-host", p->mx);
	json_end_object(j);
	json_key(j, "summary");
	json_object(j);
	json_kint(j, "total-successful-session-count", p->ok);
	json_kint(j, "total-failure-session-count", p->failed);
	json_end_object(j);
	if (p->nfailures) {
		json_key(j, "failure-details");
		json_array(j);
		for (size_t i = 0; i < p->nfailures; i++)
			failure(j, &p->failures[i]);
		json_end_array(j);
	}
	json_end_object(j);
}

void
report_json(struct buf *out, const struct tls_report *r)
{
	struct json j;
	char text[32];

	json_begin(&j, out);
	json_object(&j);
	json_kstr(&j, "organization-name", r->organization);
	json_key(&j, "date-range");
	json_object(&j);
	stamp(r->begin, text);
	json_kcstr(&j, "start-datetime", text);
	stamp(r->end, text);
	json_kcstr(&j, "end-datetime", text);
	json_end_object(&j);
	json_kstr(&j, "contact-info", r->contact);
	json_kcstr(&j, "report-id", r->id);
	json_key(&j, "policies");
	json_array(&j);
	for (size_t i = 0; i < r->nrows; i++)
		policy(&j, &r->rows[i]);
	json_end_array(&j);
	json_end_object(&j);
}

int
report_gzip(struct buf *out, struct span json, struct err *err)
{
	z_stream z = { 0 };
	size_t bound;
	char *room;
	int r;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16 /* gzip */, 8,
	    Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(err, 0, "zlib does not start");
	bound = deflateBound(&z, json.n);
	if ((room = buf_room(out, bound)) == NULL) {
		deflateEnd(&z);
		return err_set(err, 0, "the report is too large");
	}
	z.next_in = (Bytef *)(uintptr_t)json.p;
	z.avail_in = (uInt)json.n;
	z.next_out = (Bytef *)room;
	z.avail_out = (uInt)bound;
	r = deflate(&z, Z_FINISH);
	buf_commit(out, z.total_out);
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : err_set(err, 0, "zlib: %d", r);
}

static void
base64_lines(struct buf *out, struct span bytes)
{
	for (; bytes.n; bytes = span_from(bytes, LINE / 4 * 3)) {
		base64_encode(out, span_sub(bytes, 0, LINE / 4 * 3), true);
		buf_puts(out, "\r\n");
	}
}

static void
counts(struct buf *out, const struct tls_report *r)
{
	int64_t ok = 0, failed = 0;
	char from[32], to[32];

	for (size_t i = 0; i < r->nrows; i++) {
		ok += r->rows[i].ok;
		failed += r->rows[i].failed;
	}
	stamp(r->begin, from);
	stamp(r->end, to);
	buf_printf(out, "This is an aggregate TLS report (RFC 8460) from " SPAN_FMT " about " SPAN_FMT ",\r\n"
	    "%s to %s: %lld sessions over TLS as wanted, %lld that failed.\r\n"
	    "The details are in the attachment.\r\n", SPAN_ARG(r->submitter), SPAN_ARG(r->domain), from,
	    to, (long long)ok, (long long)failed);
}

void
report_message(struct buf *out, const struct tls_report *r, struct span gz, const char *to,
    int64_t date)
{
	char boundary[64], when[CLOCK_DATE_MAX];

	/* It stands in no line of base64, nor in the words below. */
	snprintf(boundary, sizeof(boundary), "=_tlsrpt_%lld_%lld", (long long)r->begin,
	    (long long)date);
	buf_printf(out, "From: <" SPAN_FMT ">\r\nTo: <%s>\r\nDate: %s\r\n"
	    "Subject: Report Domain: " SPAN_FMT "\r\n Submitter: " SPAN_FMT "\r\n Report-ID: <%s>\r\n",
	    SPAN_ARG(r->from), to, clock_date(date, when), SPAN_ARG(r->domain), SPAN_ARG(r->submitter),
	    r->id);
	buf_printf(out, "Message-ID: <tlsrpt.%lld.%s>\r\nTLS-Report-Domain: " SPAN_FMT "\r\n"
	    "TLS-Report-Submitter: " SPAN_FMT "\r\nAuto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
	    " boundary=\"%s\"\r\n\r\n", (long long)date, r->id, SPAN_ARG(r->domain),
	    SPAN_ARG(r->submitter), boundary);
	buf_printf(out, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\n", boundary);
	counts(out, r);
	buf_printf(out, "\r\n--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
	    " filename=\"" SPAN_FMT "!" SPAN_FMT "!%lld!%lld.json.gz\"\r\n\r\n", boundary,
	    SPAN_ARG(r->submitter), SPAN_ARG(r->domain), (long long)r->begin, (long long)r->end);
	base64_lines(out, gz);
	buf_printf(out, "--%s--\r\n", boundary);
}
