/* make_completion.c -- writes the completion of a shell from the table of commands: `make_completion bash|zsh|fish`.
 *
 * A program of the build; what it writes is installed, not kept in git.
 */
#include <stdio.h>
#include <string.h>

#include "cli/usage.h"

static void
put(struct span s)
{
	fwrite(s.p, 1, s.n, stdout);
}

static void
put_words(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		putchar(s.p[i] == '|' ? ' ' : s.p[i]);
}

/* Between single quotes of a shell: both kinds of ours have none that would end them. */
static void
put_help(const char *help)
{
	for (; *help; help++)
		if (*help != '\'' && *help != '`' && *help != '\\')
			putchar(*help);
}

/* name: of the variable that takes an option's words; `words` is zsh's own. */
static void
cases(const char *name)
{
	struct usage u;

	puts("\tcase \"$cmd $prev\" in");
	for (const struct command *c = commands; c->name; c++) {
		usage_parse(c, &u);
		for (size_t i = 0; i < u.noptions; i++) {
			const struct usage_option *o = &u.options[i];

			if (o->value == USAGE_NONE)
				continue;
			printf("\t\"%s ", c->name);
			put(o->name);
			printf("\") kind=%s", o->value == USAGE_FILE ? "files" : "value");
			if (o->value == USAGE_WORDS) {
				printf(" %s='", name);
				put_words(o->words);
				putchar('\'');
			}
			puts(" ;;");
		}
	}
	puts("\tesac\n\tcase \"$cmd\" in");
	for (const struct command *c = commands; c->name; c++) {
		usage_parse(c, &u);
		printf("\t%s) first='", c->name);
		if (strcmp(c->name, "help") == 0)
			for (const struct command *k = commands; k->name; k++)
				printf("%s%s", k == commands ? "" : " ", k->name);
		for (size_t i = 0; i < u.nwords; i++) {
			fputs(i ? " " : "", stdout);
			put(u.words[i]);
		}
		printf("' options='--json");
		for (size_t i = 0; i < u.noptions; i++) {
			putchar(' ');
			put(u.options[i].name);
		}
		printf("' files=%d ;;\n", u.files);
	}
	puts("\tesac");
}

static void
bash(void)
{
	puts("# Completion of postern for bash, made from its table of commands.\n"
	    "_postern() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= have= kind= words= first= options= files=0 i\n"
	    "\tCOMPREPLY=()\n"
	    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	    "\t\tcase ${COMP_WORDS[i]} in\n"
	    "\t\t-c) ((i++)) ;;\n"
	    "\t\t-*) ;;\n"
	    "\t\t*) if [ -z \"$cmd\" ]; then cmd=${COMP_WORDS[i]}; else have=1; fi ;;\n"
	    "\t\tesac\n"
	    "\tdone\n"
	    "\tif [ \"$prev\" = -c ]; then mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return; fi");
	printf("\tif [ -z \"$cmd\" ]; then mapfile -t COMPREPLY < <(compgen -W '");
	for (const struct command *c = commands; c->name; c++)
		printf("%s ", c->name);
	puts("-c --json --help --version' -- \"$cur\"); return; fi");
	cases("words");
	puts("\tif [ \"$kind\" = files ]; then mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return; fi\n"
	    "\tif [ \"$kind\" = value ]; then mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"); return; fi\n"
	    "\tcase $cur in\n"
	    "\t-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\") ;;\n"
	    "\t*)\n"
	    "\t\t[ -n \"$have\" ] || mapfile -t COMPREPLY < <(compgen -W \"$first\" -- \"$cur\")\n"
	    "\t\tif [ ${#COMPREPLY[@]} = 0 ] && [ $files = 1 ]; then mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); fi ;;\n"
	    "\tesac\n"
	    "}\n"
	    "complete -o filenames -F _postern postern");
}

static void
zsh(void)
{
	puts("#compdef postern\n"
	    "# Completion of postern for zsh, made from its table of commands.\n"
	    "_postern() {\n"
	    "\tlocal cur=$words[CURRENT] prev=$words[CURRENT-1] cmd= have= kind= choice= first= options= files=0 i\n"
	    "\tlocal -a commands\n"
	    "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	    "\t\tcase $words[i] in\n"
	    "\t\t-c) ((i++)) ;;\n"
	    "\t\t-*) ;;\n"
	    "\t\t*) if [[ -z $cmd ]]; then cmd=$words[i]; else have=1; fi ;;\n"
	    "\t\tesac\n"
	    "\tdone\n"
	    "\tif [[ $prev == -c ]]; then _files; return; fi\n"
	    "\tif [[ -z $cmd ]]; then\n"
	    "\t\tcommands=(");
	for (const struct command *c = commands; c->name; c++) {
		printf("\t\t\t'%s:", c->name);
		put_help(c->help);
		puts("'");
	}
	puts("\t\t)\n"
	    "\t\tif [[ $cur == -* ]]; then compadd -- -c --json --help --version; else _describe command commands; fi\n"
	    "\t\treturn\n"
	    "\tfi");
}

static void
zsh_end(void)
{
	puts("\tif [[ $kind == files ]]; then _files; return; fi\n"
	    "\tif [[ $kind == value ]]; then compadd -- ${=choice}; return; fi\n"
	    "\tif [[ $cur == -* ]]; then compadd -- ${=options}; return; fi\n"
	    "\tif [[ -z $have && -n $first ]]; then compadd -- ${=first}; fi\n"
	    "\tif [[ $files == 1 ]]; then _files; fi\n"
	    "}\n"
	    "_postern \"$@\"");
}

static void
fish(void)
{
	puts("# Completion of postern for fish, made from its table of commands.\n"
	    "# Words behind postern: not options, not the file of -c.\n"
	    "function __postern_words\n"
	    "\tset -l skip 0\n"
	    "\tfor t in (commandline -opc)[2..-1]\n"
	    "\t\tif test $skip = 1\n\t\t\tset skip 0\n\t\t\tcontinue\n\t\tend\n"
	    "\t\tswitch $t\n\t\tcase -c\n\t\t\tset skip 1\n\t\tcase '-*'\n\t\tcase '*'\n\t\t\techo $t\n\t\tend\n"
	    "\tend\n"
	    "end\n"
	    "function __postern_is\n\tset -l w (__postern_words)\n\ttest (count $w) -gt 0; and test $w[1] = $argv[1]\nend\n"
	    "function __postern_n\n\ttest (count (__postern_words)) = $argv[1]\nend\n"
	    "complete -c postern -f\n"
	    "complete -c postern -s c -r -F -d 'the configuration'\n"
	    "complete -c postern -l json -d 'answers as JSON, one object a line'");
	for (const struct command *c = commands; c->name; c++) {
		struct usage u;

		usage_parse(c, &u);
		printf("complete -c postern -n '__postern_n 0' -a %s -d '", c->name);
		put_help(c->help);
		puts("'");
		if (u.nwords) {
			printf("complete -c postern -n '__postern_is %s; and __postern_n 1' -a '", c->name);
			for (size_t i = 0; i < u.nwords; i++) {
				fputs(i ? " " : "", stdout);
				put(u.words[i]);
			}
			puts("'");
		}
		for (size_t i = 0; i < u.noptions; i++) {
			const struct usage_option *o = &u.options[i];

			printf("complete -c postern -n '__postern_is %s' -l ", c->name);
			put(span_from(o->name, 2));
			if (o->value == USAGE_WORDS) {
				printf(" -x -a '");
				put_words(o->words);
				putchar('\'');
			} else if (o->value != USAGE_NONE) {
				fputs(o->value == USAGE_FILE ? " -r -F" : " -x", stdout);
			}
			putchar('\n');
		}
		if (u.files)
			printf("complete -c postern -n '__postern_is %s' -F\n", c->name);
	}
	printf("complete -c postern -n '__postern_is help' -a '");
	for (const struct command *c = commands; c->name; c++)
		printf("%s%s", c == commands ? "" : " ", c->name);
	puts("'");
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "bash") == 0) {
		bash();
	} else if (argc == 2 && strcmp(argv[1], "zsh") == 0) {
		zsh();
		cases("choice");
		zsh_end();
	} else if (argc == 2 && strcmp(argv[1], "fish") == 0) {
		fish();
	} else {
		fputs("usage: make_completion bash|zsh|fish\n", stderr);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
