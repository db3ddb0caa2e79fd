import { join, resolve } from "node:path";
import { type CliContext, note, type Outcome, print } from "../context.ts";
import { loadConfig } from "../config/index.ts";

/** Everything on one machine: a durable catalog and two directories that play the two sites. */
export async function up(context: CliContext, options: { readonly dataDir: string; readonly listen: string }): Outcome {
  const directory = resolve(options.dataDir);
  const site = (name: string, role: string) => ({ name, role, store: { driver: "file", path: join(directory, name) } });
  // JSON is YAML: the configuration takes the same way as one from a file, environment and checks included.
  const content = JSON.stringify({
    global: { cluster_name: "local", metrics_port: 0 },
    coordinator: { listen_addr: options.listen, data_dir: join(directory, "catalog") },
    sites: [site("onprem", "primary"), site("cloud", "burst")],
    resilience: { health_poll_interval: "5s", circuit_breaker: { enabled: true }, retry: { enabled: true } },
    cache: { enabled: true },
  });
  const { config, warnings } = await loadConfig({ content, env: context.terminal.env });
  for (const warning of warnings) note(context, warning);
  const { runCoordinator } = await import("../daemons/coordinator.ts");
  await runCoordinator({
    config,
    signal: context.signal,
    onReady: ({ url }: { readonly url: string }) => void print(context, welcome(url, directory)).catch(() => undefined),
  });
  return undefined;
}

function welcome(url: string, directory: string): string {
  const flag = url === "http://localhost:8090" || url === "http://127.0.0.1:8090" ? "" : ` --coordinator-addr ${url}`;
  return `
GlobalFS is ready at ${url}

  data       ${directory}
  sites      onprem (primary), cloud (burst)
  metrics    ${url}/metrics
  API        ${url}/api/v1/openapi.json

In another terminal:

  echo "hello world" | npx globalfs${flag} object put my-key --input -
  npx globalfs${flag} object get my-key
  npx globalfs${flag} explain my-key
  npx globalfs${flag} status

Ctrl-C stops it; the data stays.
`;
}
