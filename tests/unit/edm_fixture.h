/* edm_fixture.h -- a small index of exact data, built from a text, for tests. */
#ifndef EDM_FIXTURE_H
#define EDM_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edm/edm.h"
#include "fs.h"
#include "postern/policy.h"

#define EDM_PATIENTS \
	"nir;last_name;first_name;birth_date;email;ipp\n" \
	"184127645108946;DE LA FONTAINE;Jean;07/12/1984;jean@fontaine.example;P-000123\n" \
	"269052A45108912;D\xe2\x80\x99" "Artagnan-L\xc3\xa9v\xc3\xaaque;Zo\xc3\xa9;1969-05-30;zoe@musket.example;P-000124\n" \
	"150019912345670;MARTIN;Paul;05/01/1950;;P-000125\n" \
	"250019912345634;MARTIN;Marie;14/07/1950;marie@martin.example;P-000126\n" \
	"155019912345666;M\xc3\xbcller;Paul;05/01/1955;;P-000127\n" \
	";BERNARD;Luc;05/01/1950;;P-000128\n"
#define EDM_COLUMNS "nir=nir last_name=name first_name=name birth_date=date email=email ipp=code"

struct edm_fixture {
	char dir[64], path[96];
	uint8_t key[EXACT_KEY];
	struct edm_report report;
	struct span map;
	struct err err;
};

/* columns: "NAME=TYPE[:HEADER] ..."; the result of edm_build(). */
__attribute__((unused)) static int
edm_fixture_build(struct edm_fixture *f, const char *csv, const char *columns, bool strict)
{
	struct edm_description d = { .strict = strict };
	char list[1024], *save = NULL;
	int fd = fs_memfd("csv", &f->err), r;

	if (!f->dir[0]) {
		snprintf(f->dir, sizeof(f->dir), "/tmp/edm-unit-XXXXXX");
		ASSERT(mkdtemp(f->dir) != NULL);
		snprintf(f->path, sizeof(f->path), "%s/x.idx", f->dir);
		memset(f->key, 7, sizeof(f->key));
	}
	ASSERT(fd != -1 && fs_write_all(fd, csv, strlen(csv), &f->err) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	snprintf(list, sizeof(list), "%s", columns);
	for (char *c = strtok_r(list, " ", &save); c; c = strtok_r(NULL, " ", &save))
		ASSERT(edm_column_add(&d, span_str(c), &f->err) == 0);
	r = edm_build(fd, strlen(csv), &d, f->key, f->path, NULL, &f->report, &f->err);
	close(fd);
	return r;
}

__attribute__((unused)) static void
edm_fixture_end(struct edm_fixture *f)
{
	edm_unmap(f->map);
	unlink(f->path);
	rmdir(f->dir);
	*f = (struct edm_fixture){ 0 };
}

static inline void
edm_fixture_bytes(const char *csv, const char *columns, struct span *out, uint8_t key[EXACT_KEY])
{
	struct edm_fixture f = { 0 };
	char *p;

	ASSERT(edm_fixture_build(&f, csv, columns, true) == 0);
	ASSERT(edm_map(f.path, &f.map, &f.err) == 0);
	p = malloc(f.map.n);
	ASSERT_MEMORY(p);
	memcpy(p, f.map.p, f.map.n);
	*out = span_make(p, f.map.n);
	memcpy(key, f.key, EXACT_KEY);
	edm_fixture_end(&f);
}

/* As policy_env.read_index: edm/patients.idx is there, with its key beside it, and edm/many.idx, 2,000
 * rows that have one of 20 names and a number of four digits; the others are broken. */
__attribute__((unused)) static int
edm_fixture_read(void *ctx, struct span path, struct span key, struct policy_index *out,
    struct err *err)
{
	static struct span patients, many;
	static uint8_t made_with[EXACT_KEY];

	if (patients.n == 0) {
		char csv[65536] = "number;name\n";
		size_t n = strlen(csv);

		for (int i = 0; i < 2000; i++)
			n += (size_t)snprintf(csv + n, sizeof(csv) - n, "%04d;name %c\n", i * 3, 'a' + i % 20);
		edm_fixture_bytes(csv, "number=digits name=name", &many, made_with);
		edm_fixture_bytes(EDM_PATIENTS, EDM_COLUMNS, &patients, made_with);
	}
	if (!span_is(key, "edm/patients.key") && !span_is(key, "edm/other.key") && !span_is(key, "edm/many.key"))
		return err_set(err, 2, SPAN_FMT ": No such file or directory", SPAN_ARG(key));
	memcpy(out->key, made_with, EXACT_KEY);
	out->key[0] ^= span_is(key, "edm/other.key");
	out->bytes = span_is(path, "edm/many.idx") ? many : patients;
	if (span_is(path, "edm/patients.idx") || span_is(path, "edm/many.idx"))
		return 0;
	if (span_is(path, "edm/header.idx")) {
		out->bytes.n = EXACT_HEADER;
		out->header_only = true;
		return 0;
	}
	if (span_is(path, "edm/short.idx")) {
		out->bytes.n -= 100;
		return 0;
	}
	if (span_is(path, "edm/text.idx")) {
		out->bytes = SPAN_LIT("nir;last_name\n");
		return 0;
	}
	return err_set(err, 2, SPAN_FMT ": No such file or directory", SPAN_ARG(path));
}

#endif
