/* replay.c -- runs a fuzz target over files instead of a fuzzer: `make check`
 * proves that every input that was ever interesting still passes.
 *
 * Folders are read recursively, in a fixed order. No input at all is a
 * failure: a corpus that moved away must not look like a corpus that passes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs, failures;

static void
complain(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	failures++;
}

static void
replay_file(const char *path, size_t size)
{
	/* Exactly the size: one byte read behind the input must show. */
	uint8_t *data = malloc(size ? size : 1);
	size_t n = 0;
	FILE *f;

	if (data == NULL || (f = fopen(path, "rb")) == NULL) {
		complain(path);
		free(data);
		return;
	}
	n = fread(data, 1, size, f);
	fclose(f);
	if (n == size) {
		/* In the log before it runs: a crash names its input. */
		if (getenv("REPLAY_VERBOSE"))
			fprintf(stderr, "%s\n", path);
		LLVMFuzzerTestOneInput(data, size);
		inputs++;
	} else {
		errno = EIO;
		complain(path);
	}
	free(data);
}

static int
not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void
replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st) == -1) {
		complain(path);
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return;
	}
	if ((n = scandir(path, &names, not_hidden, alphasort)) == -1) {
		complain(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		char *sub;

		if (asprintf(&sub, "%s/%s", path, names[i]->d_name) == -1)
			abort();
		replay(sub);
		free(sub);
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%zu inputs\n", inputs);
	return inputs == 0 || failures ? 1 : 0;
}
