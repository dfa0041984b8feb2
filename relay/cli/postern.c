/* postern.c -- the tool's program; everything is in cli_main.c. */
#include "cli/commands.h"

int
main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
