/* test_pdf_files.c -- files within PDF files, however they are named or not, and the links of a PDF. */
#include "test_anatomy.h"

#include "postern/url.h"

/* Objects without a cross-reference table, which is not believed anyway. */
static void
pdf(const char *objects)
{
	build_str(arena_printf(arena, "Subject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: application/pdf; name=a.pdf\r\n\r\n%%PDF-1.7\r\n"
	    "1 0 obj\r\n<</Type/Catalog/Pages 2 0 R>>\r\nendobj\r\n"
	    "2 0 obj\r\n<</Type/Pages/Kids[3 0 R]/Count 1>>\r\nendobj\r\n"
	    "3 0 obj\r\n<</Type/Page/Parent 2 0 R>>\r\nendobj\r\n%s"
	    "trailer\r\n<</Root 1 0 R>>\r\n%%%%EOF\r\n", objects));
}

static size_t
holding(const char *text)
{
	size_t n = 0;

	for (size_t i = 1; i < an.nparts; i++)
		n += an.parts[i].decoded.n && memmem(an.parts[i].decoded.p, an.parts[i].decoded.n, text,
		    strlen(text)) != NULL;
	return n;
}

#define STREAM(num, dict, bytes) num " 0 obj\r\n<<" dict "/Length 12>>\r\nstream\r\n" bytes "\r\nendstream\r\nendobj\r\n"

static void
test_files(void **state)
{
	static const struct {
		const char *what, *objects, *name;
	} t[] = {
		{ "name tree", "4 0 obj\r\n<</Type/Filespec/F(in.txt)/EF<</F 5 0 R>>>>\r\nendobj\r\n"
		    STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1"), "in.txt" },
		{ "attachment annotation", "4 0 obj\r\n<</Subtype/FileAttachment/FS<</F(in.txt)/EF<</F 5 0 R>>>>>>\r\nendobj\r\n"
		    STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1"), "in.txt" },
		{ "AF of the catalog", "4 0 obj\r\n<</AF[<</Type/Filespec/UF(in.txt)/EF<</UF 5 0 R>>>>]>>\r\nendobj\r\n"
		    STREAM("5", "", "quaggamarsh1"), "in.txt" },
		{ "AF of a stream", STREAM("4", "/AF[<</Type/Filespec/F(in.txt)/EF<</F 5 0 R>>>>]", "0 0 m 0 0 l ")
		    STREAM("5", "", "quaggamarsh1"), "in.txt" },
		{ "key of another system", "4 0 obj\r\n<</F(in.txt)/EF<</DOS 5 0 R>>>>\r\nendobj\r\n"
		    STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1"), "in.txt" },
		{ "nothing names it", STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1"), "" },
		{ "it says that it is a picture too", STREAM("5", "/Type/EmbeddedFile/Subtype/Image/Length1 9", "quaggamarsh1"), "" },
		{ "an older version of it", STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1")
		    STREAM("5", "/Type/EmbeddedFile", "other bytes."), "" },
		{ "a name that hides a type", STREAM("5", "/Typ#65/Embedded#46ile", "quaggamarsh1"), "" },
		{ "a name that hides a filter", STREAM("5", "/Type/EmbeddedFile/Filter/ASC#49IHexDecode", "313233343536"), NULL },
		{ "neither name nor type, but a program", STREAM("5", "", "\x7f" "ELF\x02\x01\x01quagg"), NULL },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		pdf(t[i].objects);
		if (holding(t[i].name ? "quaggamarsh1" : strstr(t[i].what, "filter") ? "123456" : "quagg") != 1) {
			for (size_t k = 0; k < an.nparts; k++)
				print_error("part %.*s %s, %zu bytes\n", SPAN_ARG(an.parts[k].number),
				    part_type_name(an.parts[k].type), an.parts[k].decoded.n);
			fail_msg("%s", t[i].what);
		}
		if (t[i].name && t[i].name[0])
			assert_span(an.parts[1].name, t[i].name);
	}
	/* What F and UF say may differ: a reader takes one, each is a part. */
	pdf("4 0 obj\r\n<</F(a.txt)/UF(b.txt)/EF<</F 5 0 R/UF 6 0 R>>>>\r\nendobj\r\n"
	    STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1") STREAM("6", "/Type/EmbeddedFile", "zebramarsh12"));
	assert_int_equal(holding("quaggamarsh1"), 1);
	assert_int_equal(holding("zebramarsh12"), 1);
	/* the same one under both keys is one part */
	pdf("4 0 obj\r\n<</F(a.txt)/UF(a.txt)/EF<</F 5 0 R/UF 5 0 R>>>>\r\nendobj\r\n"
	    STREAM("5", "/Type/EmbeddedFile", "quaggamarsh1"));
	assert_int_equal(an.nparts, 2);
	/* a content stream that no page shows is text, no file */
	pdf(STREAM("5", "", "BT (abc) Tj "));
	assert_int_equal(an.nparts, 1);
}

static void
test_links(void **state)
{
	pdf("4 0 obj\r\n<</Subtype/Link/A<</S/URI/URI(https://ev\\151l.example/x)>>>>\r\nendobj\r\n"
	    "5 0 obj\r\n<</S/SubmitForm/F<</FS/URL/F(https://form.example/y)>>>>\r\nendobj\r\n"
	    "6 0 obj\r\n<</S/GoToR/F(other.pdf)>>\r\nendobj\r\n");
	assert_int_equal(an.nurls, 2);
	pdf("4 0 obj\r\n<</Subtype/Link/A<</S/UR#49/UR#49(https://evil.example/x)>>>>\r\nendobj\r\n"
	    "5 0 obj\r\n<</S/SubmitForm/F<</FS/URL/F(https://form.example/y)>>>>\r\nendobj\r\n");
	assert_int_equal(an.nurls, 2);
	assert_span(an.urls[0].host, "evil.example");
	assert_int_equal(an.urls[0].kind, URL_DOCUMENT);
	assert_span(an.urls[1].host, "form.example");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_links, arena_setup, arena_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
