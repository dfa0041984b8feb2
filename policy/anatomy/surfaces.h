/* surfaces.h -- the list of texts that detectors search. */
#ifndef ANATOMY_SURFACES_H
#define ANATOMY_SURFACES_H

#include "anatomy/mime.h"

/* Folds the parts' texts and fills out->surfaces. */
void surfaces_make(struct builder *b);

#endif
