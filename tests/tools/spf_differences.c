/* spf_differences.c -- what libspf2 says otherwise than RFC 7208 over the cases of tests/corpus/spf.
 *
 *	build/tools/spf_differences		a table as docs/SPF.md has it
 */
#include "spf_cases.h"

int
main(int argc, char **argv)
{
	struct spf_suite suite = { 0 };
	unsigned differ = 0, false_pass = 0;

	spf_suite_load(&suite, argc > 1 ? argv[1] : "tests/corpus/spf/*.yml");
	printf("| case | RFC 7208 | strict | libspf2 | why |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < suite.n; i++) {
		const struct spf_case *c = &suite.cases[i];
		struct arena *a = arena_new(1 << 16);
		const struct spf_result *r = spf_case_run(a, c, SPF_BOTH, false, 0, NULL);

		if (r->compared && r->disagrees) {
			differ++;
			false_pass += r->second == AUTH_PASS;
			printf("| " SPAN_FMT " | " SPAN_FMT " | %s | %s | " SPAN_FMT " |\n", SPAN_ARG(c->id),
			    SPAN_ARG(c->rfc), auth_result_name(r->result), auth_result_name(r->second),
			    SPAN_ARG(c->why));
		}
		arena_free(&a);
	}
	printf("\nlibspf2 differs in %u of %zu cases; %u of them are a pass that is none.\n", differ, suite.n,
	    false_pass);
	return 0;
}
