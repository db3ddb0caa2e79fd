import { readFile } from "node:fs/promises";
import { applyEnvironment, type Environment, environmentNames, strayVariables } from "../../core/config/environment.ts";
import { type ConfigProblem, configError, problemsOf } from "../../core/config/problems.ts";
import { REDACTED, renderYaml, resolvedTree } from "../../core/config/render.ts";
import { pathText, valueAt, visitFields } from "../../core/config/walk.ts";
import { parseYamlSource } from "../../core/config/yaml-source.ts";
import { fromErrno, GfsError } from "../../core/errors.ts";
import { assembleConfig, type Written } from "./assemble.ts";
import type { Config, StoreConfig } from "./config.ts";
import { problemsAcross } from "./rules-across.ts";
import { configSchema } from "./schema.ts";

const ENVIRONMENT_PREFIX = "GLOBALFS";

export interface LoadedConfig {
  readonly config: Config;
  /** Sentences for the log and the terminal: what was accepted and has no effect. */
  readonly warnings: readonly string[];
  /** For every value that is no default, by path (`cache.ttl`): `line 12` or the name of the environment variable. */
  readonly sources: ReadonlyMap<string, string>;
  /** The file with all defaults filled in, as `config show` prints it; secrets are left out. */
  readonly resolvedYaml: string;
}

export interface LoadOptions {
  /** Absent: defaults and environment only. */
  readonly path?: string;
  /** Instead of the file's content. */
  readonly content?: string;
  readonly env: Environment;
}

/** Reads, checks and completes the configuration. All that is wrong is said at once, in one `ConfigInvalid`. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { path, env } = options;
  const label = path ?? "given by the environment";
  const content = options.content ?? (path === undefined ? "" : await readConfigFile(path));
  const source = parseYamlSource(content);
  if (source.problems.length > 0) throw configError(label, source.problems);

  const { root, from } = applyEnvironment(configSchema, source.root, env, ENVIRONMENT_PREFIX);
  const origin = { lineOf: source.lineOf, environment: from };
  const parsed = configSchema.safeParse(root);
  const problems: ConfigProblem[] = parsed.success ? [] : problemsOf(configSchema, root, parsed.error, origin);
  problems.push(...problemsAcross(root, origin));
  if (!parsed.success || problems.length > 0) throw configError(label, problems);

  const written: Written = parsed.data;
  const sources = new Map(from);
  visitFields(configSchema, source.root, (at, _info, value) => {
    const name = pathText(at);
    if (value !== undefined && !sources.has(name)) sources.set(name, `line ${source.lineOf(at) ?? 0}`);
  });
  return {
    config: assembleConfig(written, path, nonEmpty(env["GLOBALFS_API_KEY"])),
    warnings: [
      ...warningsOf(root, written, sources),
      ...strayVariables(configSchema, root, env, ENVIRONMENT_PREFIX, []),
    ],
    sources,
    resolvedYaml: renderYaml(resolvedTree(configSchema, written, { secrets: false })),
  };
}

async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") {
      const message = `There is no configuration file at ${path}; write one with \`globalfs config init --output ${path}\`.`;
      throw new GfsError("ConfigInvalid", message, { op: "config.load", cause: error });
    }
    const reason = fromErrno(error, "config.load").message;
    throw new GfsError("ConfigInvalid", `The configuration file ${path} cannot be read: ${reason}`, { cause: error });
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function warningsOf(root: unknown, written: Written, sources: ReadonlyMap<string, string>): string[] {
  const warnings: string[] = [];
  const say = (name: string, message: string): void => {
    const where = sources.get(name);
    warnings.push(where === undefined ? message : `${where}: ${message}`);
  };
  visitFields(configSchema, root, (at, info, value) => {
    if (!info.reserved || value === undefined) return;
    const name = pathText(at);
    const written = Array.isArray(value) ? `[${value.join(", ")}]` : JSON.stringify(value).replaceAll('"', "");
    if (written !== info.defaultText)
      say(name, `\`${name}\` is accepted for compatibility and has no effect in this version.`);
  });
  if (!written.sites.some(({ role }) => role === "primary")) {
    warnings.push("No site has the role primary, so no copy is authoritative.");
  }
  const poll = written.resilience.health_poll_interval;
  const check = valueAt(root, ["coordinator", "health_check_interval"]);
  if (poll !== undefined && check !== undefined && poll !== written.coordinator.health_check_interval) {
    say(
      "coordinator.health_check_interval",
      "`coordinator.health_check_interval` has no effect, because `resilience.health_poll_interval` is set.",
    );
  }
  if (written.coordinator.kv.engine === "memory") {
    warnings.push("`coordinator.kv.engine` is memory: the catalog is forgotten when the coordinator stops.");
  }
  return warnings;
}

/** The same configuration without anything that opens a door; fit for logs. */
export function redactConfig(config: Config): Config {
  const { environmentApiKey, ...security } = config.security;
  return {
    ...config,
    ...(config.s3 === undefined
      ? {}
      : {
          s3: {
            ...config.s3,
            webhooks: config.s3.webhooks.map(({ name, secret }) => ({
              name,
              url: REDACTED,
              ...(secret === undefined ? {} : { secret: REDACTED }),
            })),
          },
        }),
    sites: config.sites.map((site) => ({ ...site, store: redactStore(site.store) })),
    security: {
      ...security,
      apiKeys: security.apiKeys.map((key) => ({ ...key, hash: REDACTED })),
      ...(environmentApiKey === undefined ? {} : { environmentApiKey: REDACTED }),
    },
  };
}

const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "secretAccessKey",
  "sessionToken",
  "accountKey",
  "sas",
  "connectionString",
]);

function redactStore(store: StoreConfig): StoreConfig {
  const entries = Object.entries(store).map(([name, value]) => [name, SECRET_FIELDS.has(name) ? REDACTED : value]);
  return Object.fromEntries(entries) as StoreConfig;
}

/** Every environment variable that stands for a field, sites aside, for the reference page. */
export function documentedVariables(): { readonly name: string; readonly path: string }[] {
  return environmentNames(configSchema, {}, ENVIRONMENT_PREFIX).map(({ name, path }) => ({
    name,
    path: pathText(path),
  }));
}
