/* show_route.h -- `postern route ADDRESS [--from A]`: which line decides, which servers in which order. */
#ifndef DELIVERY_SHOW_ROUTE_H
#define DELIVERY_SHOW_ROUTE_H

#include "delivery/dispatch.h"
#include "master/runtime.h"

/* Answers the request {"cmd":"route","address":…,"from":…} on fd. */
void show_route(struct runtime *rt, struct carrier *c, struct dispatch *dispatch, int fd,
    struct span request);

#endif
