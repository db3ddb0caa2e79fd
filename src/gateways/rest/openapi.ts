import { z } from "zod";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { errorSchema, putSchema } from "./schemas.ts";

/** The API's description, made of the very schemas that check it. */
export function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of ROUTES) {
    const path = route.path.replace("{key...}", "{key}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  paths["/api/v1/objects/{key}"] = objectOperations();
  paths["/healthz"] = { get: plain("Whether all primary sites are well.", ["200", "503"]) };
  paths["/livez"] = { get: plain("Whether the process runs, however busy it is.", ["200"]) };
  paths["/readyz"] = { get: plain("Whether the coordinator has started.", ["200", "503"]) };
  paths["/metrics"] = { get: plain("Prometheus metrics.", ["200"]) };
  paths["/api/v1/openapi.json"] = { get: plain("This document.", ["200"]) };
  return {
    openapi: "3.1.0",
    info: {
      title: "GlobalFS",
      version,
      description:
        "One namespace over many object stores. Keys in addresses are percent-encoded; a slash may stand as it is.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    security: [{ apiKey: [] }, {}],
    paths,
    components: {
      securitySchemes: { apiKey: { type: "apiKey", in: "header", name: "X-GlobalFS-API-Key" } },
      schemas: { Error: toJsonSchema(errorSchema) },
    },
  };
}

function toJsonSchema(schema: z.ZodType, io: "input" | "output" = "output"): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io }) as Record<string, unknown>;
  return rest;
}

const errors = {
  default: {
    description: "Anything else.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
  },
};

function typeOf({ stream, follow }: Route): string {
  if (follow !== undefined) return "text/event-stream";
  return stream === undefined ? "application/json" : "application/x-ndjson";
}

interface QuerySchema {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

function operationOf(route: Route): Record<string, unknown> {
  const names = [...route.path.matchAll(/\{(\w+)(?:\.\.\.)?\}/g)].map((match) => match[1] as string);
  const parameters: unknown[] = names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
  if (route.query !== undefined) {
    const { properties, required = [] } = toJsonSchema(route.query, "input") as QuerySchema;
    for (const [name, schema] of Object.entries(properties))
      parameters.push({ name, in: "query", required: required.includes(name), schema });
  }
  const type = typeOf(route);
  const responses = Object.fromEntries(
    Object.entries(route.answers).map(([status, schema]) => [
      status,
      {
        description: DESCRIPTIONS[status] ?? "Done.",
        ...(schema === undefined ? {} : { content: { [type]: { schema: toJsonSchema(schema) } } }),
      },
    ]),
  );
  return {
    summary: route.summary,
    parameters,
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { "application/json": { schema: toJsonSchema(route.body, "input") } },
          },
        }),
    responses: { ...responses, ...errors },
  };
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  201: "Made.",
  202: "Queued.",
  204: "Done.",
  207: "In part: a site could not be asked.",
};

function plain(summary: string, statuses: readonly string[]): Record<string, unknown> {
  return { summary, responses: Object.fromEntries(statuses.map((status) => [status, { description: summary }])) };
}

function objectOperations(): Record<string, unknown> {
  const key = {
    name: "key",
    in: "path",
    required: true,
    schema: { type: "string" },
    description: "The rest of the path, slashes included.",
  };
  const header = (name: string, description: string) => ({
    name,
    in: "header",
    required: false,
    schema: { type: "string" },
    description,
  });
  const conditions = [header("If-Match", "ETags, or *."), header("If-None-Match", "ETags, or *.")];
  const times = [header("If-Modified-Since", "An HTTP date."), header("If-Unmodified-Since", "An HTTP date.")];
  const bytes = { "application/octet-stream": { schema: { type: "string", format: "binary" } } };
  const putAnswer = { content: { "application/json": { schema: toJsonSchema(putSchema) } } };
  return {
    parameters: [key],
    get: {
      summary: "The object's bytes.",
      parameters: [
        header("Range", "bytes=0-99, bytes=-100, or several."),
        header("If-Range", "An ETag or a date."),
        ...conditions,
        ...times,
      ],
      responses: {
        "200": { description: "The object.", content: bytes },
        "206": { description: "The ranges that were asked for.", content: bytes },
        "304": { description: "The caller's copy is current." },
        ...errors,
      },
    },
    head: {
      summary: "The object's headers.",
      parameters: [...conditions, ...times],
      responses: { "200": { description: "There." }, "304": { description: "Current." }, ...errors },
    },
    put: {
      summary: "Stores an object at all required sites, then answers.",
      parameters: [
        ...conditions,
        header("Content-MD5", "Base64."),
        header("X-GlobalFS-Checksum", "sha256:<hex>"),
        header("Content-Digest", "sha-256=:<base64>:"),
        header("X-GlobalFS-Meta-*", "Kept and given back."),
      ],
      requestBody: { required: true, content: bytes },
      responses: {
        "201": { description: "Stored.", ...putAnswer },
        "202": { description: "Stored; some sites wait for room in the queue.", ...putAnswer },
        ...errors,
      },
    },
    delete: {
      summary: "Deletes the object everywhere.",
      parameters: conditions,
      responses: { "204": { description: "Gone." }, ...errors },
    },
  };
}
