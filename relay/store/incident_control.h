/* incident_control.h -- incidents, as people ask for them: see incident_control.c. */
#ifndef STORE_INCIDENT_CONTROL_H
#define STORE_INCIDENT_CONTROL_H

#include "store/asked.h"

/* incidents.*; false: no such command. */
bool incident_command(struct asked *q);

#endif
