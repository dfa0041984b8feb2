/* volumes.h -- archives in several files of one message, put together. */
#ifndef ANATOMY_VOLUMES_H
#define ANATOMY_VOLUMES_H

#include "anatomy/unpack.h"

#define VOLUMES_MAX 999

/* Part `index` is one of several that are bytes of one file ("x.001", "x.z01" and "x.zip"): put
 * together it is a child of the one that leads. True: nothing is left to be done with this part. */
bool volumes_join(struct builder *b, uint16_t index);
/* The first volume of the RAR set that part `index` is one of by its name, or PART_NONE. */
uint16_t volumes_lead(struct builder *b, uint16_t index);
/* The volumes of the set that part `lead` leads, itself first, in order; 0: it leads none. */
size_t volumes_rar(struct builder *b, uint16_t lead, struct span **out, uint16_t **set);
/* The volume says that another follows. */
bool rar_goes_on(struct span volume);

#endif
