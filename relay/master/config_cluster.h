/* config_cluster.h -- the two files a configuration is made of; see config_cluster.c. */
#ifndef MASTER_CONFIG_CLUSTER_H
#define MASTER_CONFIG_CLUSTER_H

#include "master/config.h"

#define NODE_FILE "node.yaml"	/* beside postern.yaml: what this node says for itself */

/* postern.yaml, and node.yaml beside it when it is there, as the one text that config_parse takes. */
int config_text(struct arena *a, const char *path, struct span *text, struct err *err);
/* That text as one tree; NULL: the reasons are in d. */
struct conf_node *config_tree(struct arena *a, const char *shown, struct span text, struct diags *d);
/* Of the part that nodes share: 0 is none. */
uint64_t config_hash(struct span text);
/* Of the node with this number; "" when nobody has it. */
struct span config_node_name(const struct config *c, uint32_t number);

#endif
