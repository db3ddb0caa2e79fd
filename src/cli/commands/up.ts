import { join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, warn } from "../context.ts";
import type { RestKey } from "../daemons/rest-key.ts";
import type { RootKey } from "../daemons/root-key.ts";
import { CONFIG_FILE } from "../own-catalog.ts";
import { OPEN_HELP, WORKERS_HELP, workerCount } from "../options.ts";

interface Options {
  readonly dataDir: string;
  readonly listen: string;
  readonly s3Listen?: string;
  readonly workers?: number;
  readonly open?: boolean;
}

export function defineUp(program: Command, action: Action): void {
  program
    .command("up")
    .description("start everything on this machine: a coordinator with two local-disk sites")
    .option("--data-dir <directory>", "where the catalog and both sites are kept", ".globalfs")
    .option("--listen <addr>", "address to listen on", ":8090")
    .option("--s3-listen <addr>", "address of the S3 endpoint; the port after that of --listen when absent")
    .option("--workers <count>", WORKERS_HELP, workerCount)
    .option("--open", OPEN_HELP)
    .addHelpText("after", examples("globalfs up", "globalfs up --data-dir /tmp/try --listen 127.0.0.1:9000"))
    .action(action(up));
}

/** Everything on one machine: a durable catalog and two directories that play the two sites. */
async function up(context: CliContext, options: Options): Outcome {
  const directory = resolve(options.dataDir);
  // Whatever this process makes from here on is for its user alone: catalog, keys, and the objects of both sites.
  process.umask(0o077);
  const { findRestKey, writeRestKey } = await import("../daemons/rest-key.ts");
  const { hashApiKey, writeOwnFile } = await import("../../security/index.ts");
  const restFile = join(directory, "rest.env");
  const rest = options.open === true ? undefined : await findRestKey(restFile);
  const listen = onLoopback(options.listen);
  const site = (name: string, role: string) => ({ name, role, store: { driver: "file", path: join(directory, name) } });
  // The configuration takes the same way as one from a file, environment and checks included.
  const content = await yamlOf({
    global: { cluster_name: "local", metrics_port: 0 },
    coordinator: { listen_addr: listen, data_dir: join(directory, "catalog") },
    s3: {
      listen_addr: onLoopback(options.s3Listen ?? nextPort(listen)),
      region: REGION,
      workers: options.workers ?? 1,
    },
    sites: [site("onprem", "primary"), site("cloud", "burst")],
    resilience: { health_poll_interval: "5s", circuit_breaker: { enabled: true }, retry: { enabled: true } },
    cache: { enabled: true },
    security: rest === undefined ? { open: true } : { api_keys: [{ name: "owner", hash: hashApiKey(rest.key) }] },
  });
  const { loadConfig } = await import("../config/index.ts");
  const { config, warnings } = await loadConfig({ content, env: context.terminal.env });
  for (const warning of warnings) warn(context, warning);
  const { runCoordinator } = await import("../daemons/coordinator.ts");
  const { ensureRootKey } = await import("../daemons/root-key.ts");
  const file = join(directory, "s3.env");
  await runCoordinator({
    config,
    signal: context.signal,
    async onReady({ url, s3Url, service }) {
      const endpoint = s3Url as string;
      const key = await ensureRootKey(service, { file, endpoint, region: REGION });
      if (rest !== undefined) await writeRestKey(restFile, { key: rest.key, url });
      await writeOwnFile(join(directory, CONFIG_FILE), content);
      await print(context, welcome({ url, endpoint, directory, key, file, rest, restFile })).catch(() => undefined);
    },
  });
  return undefined;
}

const REGION = "us-east-1";

async function yamlOf(configuration: object): Promise<string> {
  const { renderYaml } = await import("../../core/config/render.ts");
  return `# What \`globalfs up\` runs with here; written anew at each start. \`globalfs coordinator start --config\` with a copy of it runs the same.\n${renderYaml(configuration)}`;
}

/** This machine only, where no host is named: that there is a key does not mean that others are wanted. */
function onLoopback(listen: string): string {
  return listen.startsWith(":") ? `127.0.0.1${listen}` : listen;
}

/** The S3 endpoint listens beside the API: on the same host, one port on. */
function nextPort(listen: string): string {
  const match = /^(.*):(\d{1,5})$/.exec(listen.trim());
  const port = Number(match?.[2]);
  if (match === null || port >= 65_535) return ":8091";
  return `${match[1] as string}:${port === 0 ? 0 : port + 1}`;
}

interface Welcome {
  readonly url: string;
  readonly endpoint: string;
  readonly directory: string;
  readonly key: RootKey;
  readonly file: string;
  /** Absent: open to everybody on this machine. */
  readonly rest: RestKey | undefined;
  readonly restFile: string;
}

function welcome({ url, endpoint, directory, key, file, rest, restFile }: Welcome): string {
  const shown = (path: string): string => {
    const below = relative(process.cwd(), path);
    return below.startsWith("..") ? path : below;
  };
  const made = rest?.made === true ? `\n    key         ${rest.key}   in the header X-GlobalFS-API-Key` : "";
  const secret = key.made ? `\n    secret key  ${key.secret}` : "";
  const keys =
    rest === undefined
      ? "OPEN: every user of this machine may read, change and delete everything, without a key"
      : `for this user alone in ${shown(restFile)}${rest.made || key.made ? "; they are printed only now" : ""}`;
  // Where the command line finds the file by itself, nothing has to be loaded.
  const found = resolve(".globalfs", "rest.env") === restFile;
  const usual = url === "http://localhost:8090";
  const flag = rest === undefined && !usual ? ` --coordinator-addr ${url}` : "";
  const where = rest === undefined ? "" : found ? ", in this directory" : `, after \`. ${shown(restFile)}\``;
  return `
GlobalFS is ready at ${url}

  data       ${directory}
  sites      onprem (primary), cloud (burst)
  API        ${url}/api/v1${made}
  S3         ${endpoint}
    access key  ${key.id}${secret}
  keys       ${keys}

In another terminal${where}:

  echo "hello world" | npx globalfs${flag} object put my-key --input -
  npx globalfs${flag} object get my-key
  npx globalfs${flag} explain my-key
  npx globalfs${flag} status

With any S3 tool:

  . ${shown(file)}
  aws --endpoint-url ${endpoint} s3 mb s3://my-bucket
  aws --endpoint-url ${endpoint} s3 ls

Ctrl-C stops it; the data stays.
`;
}
