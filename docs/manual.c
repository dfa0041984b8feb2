/* manual.c -- puts the tables of the program into a manual page, when it is built.
 *
 * Reads an mdoc page, writes it, and in place of each line `.\" TABLE name` puts
 * a table: `keys SECTION` the keys of that section, `outcomes`, `detectors`,
 * `packs`, `defects`, `types` of the policy; `configuration` the keys of postern.yaml, `milter` those of a listener that is one;
 * `commands` those of the tool, with their usage. So the page cannot say what the program
 * does not do. The pages themselves are docs/NAME.SECTION.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "config_keys.h"
#include "detect/detect.h"
#include "rules/load.h"

#define WIDTH 78

static FILE *out;		/* the page, before its lines are broken */

static void
put(char c)
{
	fputc(c, out);
}

static void
say(const char *line)
{
	fprintf(out, "%s\n", line);
}

#define MARK ".\\\" TABLE "

/* Running text: a backslash and a leading dot or quote are mdoc's own; a sentence begins a line. */
static void
text(const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (const char *p = s; *p; p++) {
		if (*p == '\\')
			fputs("\\e", out);
		else if (*p == '.' && p[1] == ' ' && p[2] >= 'A' && p[2] <= 'Z')
			fputs(".\n", out), p++;
		else
			put(*p);
	}
}

static void
sentence(const char *s)
{
	char first[2] = { *s >= 'a' && *s <= 'z' ? (char)(*s - 32) : *s, '\0' };
	size_t n = strlen(s);

	if (n == 0)
		return;
	text(first);
	text(s + 1);
	say(s[n - 1] == '.' ? "" : ".");
}

static void
item(const char *name)
{
	fprintf(out, ".It Cm ");
	text(name);
	put('\n');
}

static void
keys(const char *name)
{
	bool any = false;

	say(".Bl -tag -width Ds");
	for (size_t i = 0; i < npolicy_keys; i++) {
		const struct key *k = &policy_keys[i];

		if (k->later || strcmp(section_id(k->section), name) != 0)
			continue;
		any = true;
		item(k->name);
		sentence(k->help);
		fputs("Value: ", out);
		if (k->type == KEY_ENUM) {
			for (size_t n = 0; k->names[n]; n++) {
				fputs(n ? ", " : "", out);
				text(k->names[n]);
			}
		} else {
			text(k->shape ? k->shape : key_type_words(k->type));
		}
		say(".");
		if (k->deflt) {
			fputs("Default: ", out);
			text(k->deflt);
			say(".");
		}
	}
	say(".El");
	if (!any) {
		fprintf(stderr, "manual: no section %s\n", name);
		exit(1);
	}
}

static void
outcomes(void)
{
	say(".Bd -literal -offset indent");
	for (int o = OUTCOME_COUNT - 1; o >= OUTCOME_DELIVER; o--)
		fprintf(out, "%s%s", outcome_name((enum outcome)o), o > OUTCOME_DELIVER ? " > " : "\n");
	say(".Ed");
}

static void
detectors(void)
{
	const char *name, *help;

	say(".Bl -tag -width Ds");
	for (size_t i = 0; (name = detector_builtin(i, &help)) != NULL; i++) {
		item(name);
		sentence(help);
		fprintf(out, "Pack: %s.\n", pack_of_detector(name));
	}
	say(".El");
}

static void
packs(void)
{
	say(".Bl -item -compact -offset indent");
	for (size_t i = 0; pack_names[i]; i++)
		fprintf(out, ".It\n%s\n", pack_names[i]);
	say(".El");
}

static void
defects(void)
{
	say(".Bl -tag -width Ds");
#define X(name, bit, word, help) item(word); sentence(help);
	DEFECTS(X)
#undef X
	say(".El");
}

static void
signs(void)
{
	say(".Bl -tag -width Ds");
#define X(name, word, help) item(word); sentence(help);
	SIGNS(X)
#undef X
	say(".El");
}

static void
types(void)
{
	static const char *const classes[] = { "text", "document", "image", "audio", "video",
		"archive", "executable", "script", "message", "crypto" };

	say(".Bl -tag -width Ds");
	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++) {
		enum type_class class;
		bool first = true;

		if (!type_class_from_name(span_str(classes[c]), &class))
			continue;
		item(classes[c]);
		for (int t = 0; t < TYPE_COUNT; t++)
			if (part_type_class((enum part_type)t) == class) {
				fprintf(out, "%s%s", first ? "" : ", ", part_type_name((enum part_type)t));
				first = false;
			}
		say(".");
	}
	say(".El");
}

static void
config_item(const struct config_key *k)
{
	item(k->name);
	sentence(k->help);
	fputs("Value: ", out);
	text(k->value);
	say(".");
	if (k->deflt) {
		fputs("Default: ", out);
		text(k->deflt);
		say(".");
	}
}

/* Of the listeners, those that stand beside `milter`, or mean something else there. */
static void
milter(void)
{
	static const char *const names[] = { "milter", "mtas", "socket_mode", "socket_group", "direction", "allow",
		"hostname", "max_size", NULL };

	say(".Bl -tag -width Ds");
	for (size_t i = 0; names[i]; i++)
		for (const struct config_key *k = config_keys; k->name; k++)
			if (strcmp(k->section, "listeners[]") == 0 && strcmp(k->name, names[i]) == 0)
				config_item(k);
	say(".El");
}

static void
configuration(void)
{
	const char *section = NULL;

	for (const struct config_key *k = config_keys; k->name; k++) {
		if (section == NULL || strcmp(section, k->section) != 0) {
			if (section)
				say(".El");
			fprintf(out, ".Ss %s\\&\n.Bl -tag -width Ds\n", *k->section ? k->section : "Top level");
			section = k->section;
		}
		config_item(k);
	}
	say(".El");
}

static void
commands_of_tool(void)
{
	say(".Bl -tag -width Ds");
	for (const struct command *c = commands; c->name; c++) {
		fprintf(out, ".It Ic %s\n", c->name);
		sentence(c->help);
		say(".Bd -literal");
		for (const char *p = c->usage; *p; p++)
			if (*p == '\\')
				fputs("\\e", out);
			else
				put(*p);
		say("\n.Ed");
	}
	say(".El");
}

static void
table(const char *what)
{
	if (strncmp(what, "keys ", 5) == 0)
		keys(what + 5);
	else if (strcmp(what, "configuration") == 0)
		configuration();
	else if (strcmp(what, "milter") == 0)
		milter();
	else if (strcmp(what, "commands") == 0)
		commands_of_tool();
	else if (strcmp(what, "outcomes") == 0)
		outcomes();
	else if (strcmp(what, "detectors") == 0)
		detectors();
	else if (strcmp(what, "packs") == 0)
		packs();
	else if (strcmp(what, "defects") == 0)
		defects();
	else if (strcmp(what, "signs") == 0)
		signs();
	else if (strcmp(what, "types") == 0)
		types();
	else {
		fprintf(stderr, "manual: no table `%s`\n", what);
		exit(1);
	}
}

/* Running text is broken where it is too long; a line cannot begin with a dot or quote. */
static void
wrap(char *page)
{
	bool literal = false;

	for (char *line = page, *next; *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] != '\0');
		line[n] = '\0';

		if (strncmp(line, ".Bd", 3) == 0 || strncmp(line, ".Ed", 3) == 0)
			literal = line[1] == 'B';
		while (n > WIDTH && *line != '.' && !literal) {
			size_t at = WIDTH;

			while (at > 0 && (line[at] != ' ' || line[at + 1] == '.' || line[at + 1] == '\''))
				at--;
			if (at == 0)
				break;
			printf("%.*s\n", (int)at, line);
			line += at + 1;
			n -= at + 1;
		}
		puts(line);
	}
}

int
main(void)
{
	char line[4096], *page;
	size_t size;

	out = open_memstream(&page, &size);
	if (out == NULL)
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		if (strncmp(line, MARK, sizeof(MARK) - 1) != 0) {
			fputs(line, out);
			continue;
		}
		line[strcspn(line, "\n")] = '\0';
		table(line + sizeof(MARK) - 1);
	}
	fclose(out);
	wrap(page);
	free(page);
	return ferror(stdin) || ferror(stdout) ? 1 : 0;
}
