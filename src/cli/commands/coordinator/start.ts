import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import type { Config } from "../../config/index.ts";
import { type CliContext, type Outcome, warn } from "../../context.ts";
import { UsageError } from "../../failure.ts";
import { OPEN_HELP, WORKERS_HELP, workerCount } from "../../options.ts";

interface Options {
  readonly config: string;
  readonly workers?: number;
  readonly open?: boolean;
}

export function defineCoordinatorStart(coordinator: Command, action: Action): void {
  coordinator
    .command("start")
    .description("run a coordinator in the foreground, until SIGTERM or Ctrl-C")
    .requiredOption("--config <file>", "configuration file")
    .option("--workers <count>", `${WORKERS_HELP}; instead of s3.workers`, workerCount)
    .option("--open", OPEN_HELP)
    .addHelpText(
      "after",
      examples(
        "GLOBALFS_API_KEY=... globalfs coordinator start --config config.yaml",
        "globalfs coordinator start --config config.yaml --workers 4",
        "globalfs-coordinator --config config.yaml",
      ),
    )
    .action(action(coordinatorStart));
}

async function coordinatorStart(context: CliContext, options: Options): Outcome {
  const { loadConfig } = await import("../../config/index.ts");
  const { config, warnings } = await loadConfig({ path: options.config, env: context.terminal.env });
  for (const warning of warnings) warn(context, warning);
  const { runCoordinator } = await import("../../daemons/coordinator.ts");
  await runCoordinator({
    config: withOpen(options.workers === undefined ? config : withWorkers(config, options.workers), options.open),
    configPath: options.config,
    signal: context.signal,
    onReady: () => undefined,
  });
  return undefined;
}

function withOpen(config: Config, open = config.security.open): Config {
  return { ...config, security: { ...config.security, open } };
}

function withWorkers(config: Config, workers: number): Config {
  if (config.s3 === undefined)
    throw new UsageError("--workers is for the S3 endpoint, which is off; write the section s3 to turn it on.");
  if (workers > 1 && config.coordinator.kv.engine === "memory")
    throw new UsageError(
      "--workers needs a catalog that several processes can read; set coordinator.kv.engine to lmdb.",
    );
  return { ...config, s3: { ...config.s3, workers } };
}
