/* postern_ocr.c -- the program that reads text in pictures: tesseract, behind the role `reader`.
 *
 * A program of its own, since libtesseract and leptonica bring two dozen libraries that no other
 * process needs; without them all else is built and this is not. It holds the engine only: reader.c is
 * the role, program.c says how it is run by hand.
 *
 * A picture is made grey and straight (up to seven degrees), and twice as large when it is small, for
 * letters of ten pixels are read badly. Its size is looked at before it is unpacked.
 */
#include <leptonica/allheaders.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tesseract/capi.h>
#include <unistd.h>

#include "clock.h"
#include "master/startup.h"
#include "reader/reader.h"

#define PAGES 16		/* of a TIFF */
#define SIDE_LEAST 12		/* pixels: less holds no line */
#define SMALL (1200 * 1000)	/* pixels: read at twice its size */
#define SIDE_MOST 32000

static TessBaseAPI *engine;

static bool
is_loaded(const char *name, size_t n)
{
	char **all = TessBaseAPIGetLoadedLanguagesAsVector(engine);
	bool found = false;

	for (size_t i = 0; all && all[i]; i++)
		found |= strlen(all[i]) == n && memcmp(all[i], name, n) == 0;
	TessDeleteTextArray(all);
	return found;
}

static int
engine_start(const char *languages, struct err *err)
{
	setMsgSeverity(L_SEVERITY_NONE);
	engine = TessBaseAPICreate();
	if (engine == NULL || TessBaseAPIInit3(engine, NULL, languages) != 0)
		return err_set(err, 0, "tesseract has not all the languages of `%s` (packages tesseract-ocr-…)",
		    languages);
	/* With one of several it is content; we are not. */
	for (const char *l = languages; l; l = strchr(l, '+') ? strchr(l, '+') + 1 : NULL)
		if (!is_loaded(l, strcspn(l, "+")))
			return err_set(err, 0, "tesseract has no language `%.*s` (package tesseract-ocr-…)",
			    (int)strcspn(l, "+"), l);
	TessBaseAPISetVariable(engine, "debug_file", "/dev/null");
	TessBaseAPISetPageSegMode(engine, PSM_AUTO);
	return 0;
}

/* Grey, straight, large enough. Takes pix. */
static PIX *
prepared(PIX *pix)
{
	PIX *grey = pixRemoveAlpha(pix), *next;

	pixDestroy(&pix);
	if (grey == NULL)
		return NULL;
	if (pixGetDepth(grey) != 1) {
		next = pixConvertTo8(grey, 0);
		pixDestroy(&grey);
		if ((grey = next) == NULL)
			return NULL;
	}
	if ((int64_t)pixGetWidth(grey) * pixGetHeight(grey) < SMALL && pixGetDepth(grey) == 8) {
		if ((next = pixScale(grey, 2, 2)) != NULL) {
			pixDestroy(&grey);
			grey = next;
		}
	}
	if ((next = pixDeskew(grey, 0)) != NULL) {
		pixDestroy(&grey);
		grey = next;
	}
	return grey;
}

static bool
append(char **text, size_t *n, const char *more)
{
	size_t k = strlen(more);
	char *p;

	if (*n + k + 1 > READER_TEXT)
		k = READER_TEXT - *n - 1;
	p = realloc(*text, *n + k + 1);
	if (p == NULL)
		return false;
	memcpy(p + *n, more, k);
	p[*n + k] = '\0';
	*text = p;
	*n += k;
	return true;
}

static bool
page_read(PIX *pix, int64_t by, char **text, size_t *n)
{
	ETEXT_DESC *watch = TessMonitorCreate();
	int64_t left = (by - clock_mono()) / 1000;
	bool whole;
	char *s;

	TessMonitorSetDeadlineMSecs(watch, left > 1 ? (int)left : 1);
	TessBaseAPISetImage2(engine, pix);
	if (pixGetXRes(pix) < 70)
		TessBaseAPISetSourceResolution(engine, 150);
	whole = TessBaseAPIRecognize(engine, watch) == 0 && clock_mono() < by;
	s = TessBaseAPIGetUTF8Text(engine);
	if (s)
		append(text, n, s);
	TessDeleteText(s);
	TessMonitorDelete(watch);
	return whole;
}

static enum picture_status
engine_read(const char *bytes, size_t size, uint64_t pixels, int64_t ms, char **text)
{
	const l_uint8 *data = (const l_uint8 *)bytes;
	l_int32 format, w, h, bits, samples, map, pages = 1;
	int64_t by = clock_mono() + ms * 1000;
	enum picture_status status = PICTURE_WHOLE;
	size_t n = 0;

	if (pixReadHeaderMem(data, size, &format, &w, &h, &bits, &samples, &map) != 0)
		return PICTURE_NOT;
	if (format >= IFF_TIFF && format <= IFF_TIFF_ZIP)
		pages = PAGES;
	for (l_int32 i = 0; i < pages; i++) {
		PIX *pix;

		if (i && readHeaderMemTiff(data, size, i, &w, &h, &bits, &samples, NULL, &map, &format) != 0)
			break;
		if (w < SIDE_LEAST || h < SIDE_LEAST)
			continue;
		if ((uint64_t)w * (uint64_t)h > pixels || w > SIDE_MOST || h > SIDE_MOST ||
		    clock_mono() >= by) {
			status = PICTURE_PART;
			continue;
		}
		pix = pages > 1 ? pixReadMemTiff(data, size, i) : pixReadMem(data, size);
		if (pix == NULL && i > 0)
			break;
		pix = pix ? prepared(pix) : NULL;
		if (pix == NULL)
			return n ? PICTURE_PART : PICTURE_NOT;
		if (!page_read(pix, by, text, &n))
			status = PICTURE_PART;
		pixDestroy(&pix);
	}
	return status;
}

static const struct reader_engine tesseract = { engine_start, engine_read };

static int
usage(void)
{
	fprintf(stderr, "usage: postern-ocr --check LANGUAGES\n"
	    "       postern-ocr --picture LANGUAGES PIXELS MS <&3\n");
	return 2;
}

int
main(int argc, char **argv)
{
	struct startup su = { 0 };
	struct err err;
	struct stat st;

	reader_engine = &tesseract;
	setMsgSeverity(L_SEVERITY_NONE);
	if (argc == 3 && strcmp(argv[1], "--check") == 0) {
		if (freopen("/dev/null", "w", stderr) != NULL && engine_start(argv[2], &err) == 0)
			return 0;
		fprintf(stdout, "%s\n", err.text);
		return 1;
	}
	if (argc == 5 && strcmp(argv[1], "--picture") == 0) {
		int64_t ms = strtoll(argv[4], NULL, 10);

		if (ms <= 0 || fstat(3, &st) == -1 || st.st_size <= 0 || engine_start(argv[2], &err) == -1)
			return 1;
		reader_child(3, (uint64_t)st.st_size, strtoull(argv[3], NULL, 10), ms, 1, UINT64_C(1) << 30);
	}
	if (argc < 3 || strcmp(argv[1], "--role") != 0)
		return usage();
	for (int i = 1; i < argc; i++) {
		const char *v = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--instance") == 0)
			su.instance = (uint32_t)strtoul(v, NULL, 10), i++;
		else if (strcmp(argv[i], "--config") == 0)
			su.config_path = v, i++;
		else if (strcmp(argv[i], "--foreground") == 0)
			su.foreground = true;
	}
	return runtime_main(&reader_ops, &su);
}
