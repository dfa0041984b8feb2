/* openapi.c -- /api/v1/openapi.json: OpenAPI 3.1, of the table of routes itself. */
#include <stdio.h>

#include "console/routes.h"

static const char *
type_of(char t)
{
	switch (t) {
	case 'i':
		return "{\"type\":\"integer\"}";
	case 'b':
		return "{\"type\":\"boolean\"}";
	case 'a':
		return "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"integer\"]},\"maxItems\":1000}";
	case 'o':
		return "{}";
	default:
		return "{\"type\":\"string\"}";
	}
}

static void
put_parameter(struct json *j, struct span name, const char *in, bool needed, char type)
{
	json_object(j);
	json_kstr(j, "name", name);
	json_kcstr(j, "in", in);
	json_kbool(j, "required", needed);
	json_key(j, "schema");
	json_raw(j, span_str(type_of(type)));
	json_end_object(j);
}

static bool
by_query(const struct route *r)
{
	return r->method == HTTP_GET || r->method == HTTP_DELETE;
}

static void
put_parameters(struct json *j, const struct route *r)
{
	struct span name = route_parameter(r);
	const char *members = r->members;
	struct member m;

	json_key(j, "parameters");
	json_array(j);
	if (name.n)
		put_parameter(j, name, "path", true, 's');
	while (by_query(r) && route_member(&members, &m))
		put_parameter(j, m.name, "query", m.needed, m.type);
	if (r->method != HTTP_GET && r->roles != BY_ANYBODY)
		put_parameter(j, SPAN_LIT("X-Postern-CSRF"), "header", true, 's');
	json_end_array(j);
}

static void
put_body(struct json *j, const struct route *r)
{
	const char *members = r->members;
	struct member m;
	char key[40];

	if (by_query(r) || *members == '\0')
		return;
	json_key(j, "requestBody");
	json_object(j);
	json_key(j, "content");
	json_object(j);
	json_key(j, "application/json");
	json_object(j);
	json_key(j, "schema");
	json_object(j);
	json_kcstr(j, "type", "object");
	json_kbool(j, "additionalProperties", false);
	json_key(j, "properties");
	json_object(j);
	while (route_member(&members, &m)) {
		snprintf(key, sizeof(key), SPAN_FMT, SPAN_ARG(m.name));
		json_key(j, key);
		json_raw(j, span_str(type_of(m.type)));
	}
	json_end_object(j);
	json_key(j, "required");
	json_array(j);
	for (members = r->members; route_member(&members, &m);)
		if (m.needed)
			json_str(j, m.name);
	json_end_array(j);
	for (int i = 0; i < 4; i++)
		json_end_object(j);
}

static void
put_answers(struct json *j, const struct route *r)
{
	static const char *const schemas[SHAPES] = { [SHAPE_OWN] = "Object", [SHAPE_OBJECT] = "Object", [SHAPE_OVERVIEW] = "Object",
		[SHAPE_ITEMS] = "List", [SHAPE_MESSAGE] = "Message" };
	char ref[64];

	json_key(j, "responses");
	json_object(j);
	json_key(j, "200");
	json_object(j);
	json_kcstr(j, "description", r->summary);
	json_key(j, "content");
	json_object(j);
	json_key(j, r->shape == SHAPE_LIVE ? "text/event-stream" : "application/json");
	json_object(j);
	if (schemas[r->shape]) {
		json_key(j, "schema");
		json_object(j);
		snprintf(ref, sizeof(ref), "#/components/schemas/%s", schemas[r->shape]);
		json_kcstr(j, "$ref", ref);
		json_end_object(j);
	}
	json_end_object(j);
	json_end_object(j);
	json_end_object(j);
	json_key(j, "default");
	json_raw(j, SPAN_LIT("{\"$ref\":\"#/components/responses/Error\"}"));
	json_end_object(j);
}

static void
put_route(struct json *j, const struct route *r)
{
	static const char *const verbs[HTTP_OTHER] = { [HTTP_GET] = "get", [HTTP_POST] = "post",
		[HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete" };

	json_key(j, verbs[r->method]);
	json_object(j);
	json_kcstr(j, "summary", r->summary);
	put_parameters(j, r);
	put_body(j, r);
	put_answers(j, r);
	if (r->roles == BY_ANYBODY) {
		json_key(j, "security");
		json_raw(j, SPAN_LIT("[]"));
	}
	json_key(j, "x-roles");
	json_array(j);
	for (int i = 0; i < PRINCIPAL_ROLE_COUNT; i++)
		if (r->roles != BY_ANYBODY && (r->roles | PRINCIPAL_BIT(ADMIN)) & (1u << i))
			json_cstr(j, principal_role_name((enum principal_role)i));
	json_end_array(j);
	json_end_object(j);
}

/* All methods of a path stand together, where its first is. */
static bool
stands_before(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(routes[k].path, routes[i].path) == 0)
			return true;
	return false;
}

void
openapi_write(struct buf *b)
{
	struct json j;

	json_begin(&j, b);
	json_object(&j);
	json_kcstr(&j, "openapi", "3.1.0");
	json_key(&j, "info");
	json_object(&j);
	json_kcstr(&j, "title", "Postern");
	json_kcstr(&j, "version", POSTERN_VERSION);
	json_kcstr(&j, "description", "What an answer's items hold is what the tool `postern` prints with --json.");
	json_end_object(&j);
	json_key(&j, "servers");
	json_raw(&j, SPAN_LIT("[{\"url\":\"/api/v1\"}]"));
	json_key(&j, "security");
	json_raw(&j, SPAN_LIT("[{\"session\":[]}]"));
	json_key(&j, "paths");
	json_object(&j);
	for (size_t i = 0; i < nroutes; i++) {
		if (stands_before(i))
			continue;
		json_key(&j, routes[i].path);
		json_object(&j);
		for (size_t k = i; k < nroutes; k++)
			if (strcmp(routes[k].path, routes[i].path) == 0)
				put_route(&j, &routes[k]);
		json_end_object(&j);
	}
	json_end_object(&j);
	json_key(&j, "components");
	json_raw(&j, SPAN_LIT("{\"securitySchemes\":{\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\","
	    "\"name\":\"postern_session\"}},\"schemas\":{"
	    "\"Object\":{\"type\":\"object\",\"properties\":{\"v\":{\"const\":1}}},"
	    "\"List\":{\"type\":\"object\",\"required\":[\"v\",\"items\",\"more\"],\"properties\":{"
	    "\"v\":{\"const\":1},\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
	    "\"more\":{\"type\":\"boolean\"},\"next\":{\"type\":[\"string\",\"integer\",\"null\"]}}},"
	    "\"Message\":{\"type\":\"object\",\"required\":[\"v\",\"message\",\"events\",\"explain\"],"
	    "\"properties\":{\"v\":{\"const\":1},\"message\":{\"type\":\"object\"},"
	    "\"events\":{\"type\":[\"array\",\"null\"]},\"explain\":{\"type\":[\"object\",\"null\"]}}},"
	    "\"Error\":{\"type\":\"object\",\"required\":[\"v\",\"error\",\"code\"],\"properties\":{"
	    "\"v\":{\"const\":1},\"error\":{\"type\":\"string\"},\"code\":{\"enum\":[\"not-found\","
	    "\"forbidden\",\"invalid\",\"conflict\",\"busy\",\"login\",\"totp\",\"csrf\",\"limit\","
	    "\"not-available\"]}}}},"
	    "\"responses\":{\"Error\":{\"description\":\"it was not done\",\"content\":{\"application/json\":"
	    "{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}}"));
	json_end_object(&j);
	buf_putc(b, '\n');
}
