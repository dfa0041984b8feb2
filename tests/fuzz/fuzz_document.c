/* fuzz_document.c -- any bytes as a document: PDF, RTF, compound files, OOXML. The first byte is
 * part of the file; names play no role, except that a mail is told by its ending. */
#include "fuzz_files.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_file(data, size, "a.doc");
	return 0;
}
