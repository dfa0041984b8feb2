/* fuzz_archive.c -- any bytes as an archive: zip of our own, and libarchive's formats. */
#include "fuzz_files.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_file(data, size, "a.bin");
	return 0;
}
