/* arj.h -- the members of ARJ archives become parts. */
#ifndef ANATOMY_ARJ_H
#define ANATOMY_ARJ_H

#include "anatomy/mime.h"

void arj_unpack(struct builder *b, uint16_t index);

#endif
