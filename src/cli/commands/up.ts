import { join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, print } from "../context.ts";
import type { RootKey } from "../daemons/root-key.ts";
import { WORKERS_HELP, workerCount } from "../options.ts";

interface Options {
  readonly dataDir: string;
  readonly listen: string;
  readonly s3Listen?: string;
  readonly workers?: number;
}

export function defineUp(program: Command, action: Action): void {
  program
    .command("up")
    .description("start everything on this machine: a coordinator with two local-disk sites")
    .option("--data-dir <directory>", "where the catalog and both sites are kept", ".globalfs")
    .option("--listen <addr>", "address to listen on", ":8090")
    .option("--s3-listen <addr>", "address of the S3 endpoint; the port after that of --listen when absent")
    .option("--workers <count>", WORKERS_HELP, workerCount)
    .addHelpText("after", examples("globalfs up", "globalfs up --data-dir /tmp/try --listen 127.0.0.1:9000"))
    .action(action(up));
}

/** Everything on one machine: a durable catalog and two directories that play the two sites. */
async function up(context: CliContext, options: Options): Outcome {
  const directory = resolve(options.dataDir);
  const site = (name: string, role: string) => ({ name, role, store: { driver: "file", path: join(directory, name) } });
  // JSON is YAML: the configuration takes the same way as one from a file, environment and checks included.
  const content = JSON.stringify({
    global: { cluster_name: "local", metrics_port: 0 },
    coordinator: { listen_addr: options.listen, data_dir: join(directory, "catalog") },
    s3: { listen_addr: options.s3Listen ?? nextPort(options.listen), region: REGION, workers: options.workers ?? 1 },
    sites: [site("onprem", "primary"), site("cloud", "burst")],
    resilience: { health_poll_interval: "5s", circuit_breaker: { enabled: true }, retry: { enabled: true } },
    cache: { enabled: true },
  });
  const { loadConfig } = await import("../config/index.ts");
  const { config, warnings } = await loadConfig({ content, env: context.terminal.env });
  for (const warning of warnings) note(context, warning);
  const { runCoordinator } = await import("../daemons/coordinator.ts");
  const { ensureRootKey } = await import("../daemons/root-key.ts");
  const file = join(directory, "s3.env");
  await runCoordinator({
    config,
    signal: context.signal,
    async onReady({ url, s3Url, service }) {
      const endpoint = s3Url as string;
      const key = await ensureRootKey(service, { file, endpoint, region: REGION });
      await print(context, welcome({ url, endpoint, directory, key, file })).catch(() => undefined);
    },
  });
  return undefined;
}

const REGION = "us-east-1";

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
}

function welcome({ url, endpoint, directory, key, file }: Welcome): string {
  const flag = url === "http://localhost:8090" || url === "http://127.0.0.1:8090" ? "" : ` --coordinator-addr ${url}`;
  const path = relative(process.cwd(), file);
  return `
GlobalFS is ready at ${url}

  data       ${directory}
  sites      onprem (primary), cloud (burst)
  metrics    ${url}/metrics
  API        ${url}/api/v1/openapi.json
  S3         ${endpoint}
    access key  ${key.id}
    secret key  ${key.secret}

In another terminal:

  echo "hello world" | npx globalfs${flag} object put my-key --input -
  npx globalfs${flag} object get my-key
  npx globalfs${flag} explain my-key
  npx globalfs${flag} status

With any S3 tool:

  . ${path.startsWith("..") ? file : path}
  aws --endpoint-url ${endpoint} s3 mb s3://my-bucket
  aws --endpoint-url ${endpoint} s3 ls

Ctrl-C stops it; the data stays.
`;
}
