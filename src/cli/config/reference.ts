import type { z } from "zod";
import { type FieldInfo, infoOf, type NodeInfo } from "../../core/config/fields.ts";
import { documentedVariables } from "./load.ts";
import { configSchema } from "./schema.ts";

/** The reference page of the configuration file, made from the schema that checks it. */
export function configReference(): string {
  const variables = new Map(documentedVariables().map(({ name, path }) => [path, name]));
  const parts = [
    `# Configuration

A YAML file, passed with \`--config\`. \`globalfs config init\` writes a starter, \`globalfs config validate FILE\` checks one, and
\`globalfs config show FILE\` prints what holds after defaults and environment. Unknown keys are errors.

- **Durations** carry a unit: \`250ms\`, \`30s\`, \`1m30s\`, \`2h\`; \`0\` needs none.
- **Sizes** are bytes, or carry a unit: \`64MiB\`, \`1GB\`.
- **Relative paths** start from the directory of the file.
- **Environment variables** stand above the file. The table of each section names them; lists are separated by commas. A field of
  a site has one too, by the site's name: \`GLOBALFS_SITES_ONPREM_STORE_SECRET_ACCESS_KEY\`.
- \`GLOBALFS_API_KEY\` adds one more API key to the coordinator, whatever \`security.api_keys\` says.
- Fields marked *reserved* are accepted and have no effect; setting one gives a warning.
`,
  ];
  describeSection(configSchema, "", "", variables, parts);
  return `${parts.join("\n").trimEnd()}\n`;
}

function describeNode(info: NodeInfo, path: string, variables: ReadonlyMap<string, string>, parts: string[]): void {
  if (info.node === "items") {
    if (infoOf(info.item).node !== "field") describeSection(info.item, `${path}[]`, info.help, variables, parts);
  } else if (info.node === "variants") {
    for (const [name, fields] of Object.entries(info.options)) {
      parts.push(`## \`${path}\` with \`${info.by}: ${name}\`\n`, table(Object.entries(fields), path, variables));
    }
  }
}

function describeSection(
  schema: z.ZodType,
  path: string,
  help: string,
  variables: ReadonlyMap<string, string>,
  parts: string[],
): void {
  const info = infoOf(schema);
  if (info.node !== "section") return;
  const entries = Object.entries(info.fields);
  if (path !== "") parts.push(`## \`${path}\`\n`);
  if (help !== "" && path !== "") parts.push(`${help}\n`);
  const fields = entries.filter(([, inner]) => infoOf(inner).node === "field");
  if (fields.length > 0) parts.push(table(fields, path, variables));
  for (const [name, inner] of entries) {
    const innerInfo = infoOf(inner);
    const innerPath = path === "" ? name : `${path}.${name}`;
    if (innerInfo.node === "section") describeSection(inner, innerPath, innerInfo.help, variables, parts);
    else describeNode(innerInfo, innerPath, variables, parts);
  }
}

function table(
  fields: readonly (readonly [string, z.ZodType])[],
  path: string,
  variables: ReadonlyMap<string, string>,
): string {
  const rows = fields.map(([name, schema]) => {
    const info = infoOf(schema) as FieldInfo;
    const variable = variables.get(`${path}.${name}`);
    const notes = `${info.help}${info.reserved ? " *(reserved)*" : ""}${info.secret ? " *(secret)*" : ""}`;
    const cells = [`\`${name}\``, info.kind, defaultOf(info), variable === undefined ? "" : `\`${variable}\``, notes];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return `| Field | Type | Default | Environment | Meaning |\n|---|---|---|---|---|\n${rows.join("\n")}\n`;
}

function defaultOf({ required, defaultText, kind, expected }: FieldInfo): string {
  const choices = kind === "choice" ? ` (${expected})` : "";
  if (required) return `required${choices}`;
  return defaultText === undefined ? choices.trim() : `\`${defaultText}\`${choices}`;
}
