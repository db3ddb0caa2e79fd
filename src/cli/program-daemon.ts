import { type Command, InvalidArgumentError } from "commander";
import { type Action, examples } from "./action.ts";
import type { GlobalOptions } from "./context.ts";
import { addKeyCommands } from "./program-keys.ts";

interface UpOptions {
  readonly dataDir: string;
  readonly listen: string;
  readonly s3Listen?: string;
  readonly workers?: number;
}

const WORKERS_HELP = "processes that answer reads of S3 clients";
const MOST_WORKERS = 64;

function workerCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MOST_WORKERS)
    throw new InvalidArgumentError(`Give a number from 1 to ${MOST_WORKERS}.`);
  return count;
}

export function addDaemonCommands(program: Command, action: Action): void {
  program
    .command("up")
    .description("start everything on this machine: a coordinator with two local-disk sites")
    .option("--data-dir <directory>", "where the catalog and both sites are kept", ".globalfs")
    .option("--listen <addr>", "address to listen on", ":8090")
    .option("--s3-listen <addr>", "address of the S3 endpoint; the port after that of --listen when absent")
    .option("--workers <count>", WORKERS_HELP, workerCount)
    .addHelpText("after", examples("globalfs up", "globalfs up --data-dir /tmp/try --listen 127.0.0.1:9000"))
    .action(
      action(async (context, options: GlobalOptions & UpOptions) =>
        (await import("./commands/up.ts")).up(context, options),
      ),
    );

  const coordinator = program.command("coordinator").description("the daemon");
  coordinator
    .command("start")
    .description("run a coordinator in the foreground, until SIGTERM or Ctrl-C")
    .requiredOption("--config <file>", "configuration file")
    .option("--workers <count>", `${WORKERS_HELP}; instead of s3.workers`, workerCount)
    .addHelpText(
      "after",
      examples(
        "globalfs coordinator start --config config.yaml",
        "globalfs coordinator start --config config.yaml --workers 4",
        "globalfs-coordinator --config config.yaml",
      ),
    )
    .action(
      action(async (context, options: GlobalOptions & { readonly config: string; readonly workers?: number }) =>
        (await import("./commands/coordinator-start.ts")).coordinatorStart(context, options),
      ),
    );

  coordinator
    .command("worker", { hidden: true })
    .description("a process of a coordinator that answers reads of S3 clients; the coordinator starts it")
    .action(action(async (context) => (await import("./commands/coordinator-worker.ts")).coordinatorWorker(context)));

  const config = program.command("config").description("configuration files");
  config
    .command("init")
    .description("write a starter configuration to a file or stdout")
    .option("--output <file>", "file to write; stdout when absent")
    .option("--force", "replace the file when it exists")
    .addHelpText("after", examples("globalfs config init --output config.yaml"))
    .action(
      action(async (context, options: GlobalOptions & { readonly output?: string; readonly force?: boolean }) =>
        (await import("./commands/config-init.ts")).configInit(context, options),
      ),
    );
  config
    .command("validate")
    .description("check a configuration file and say all that is wrong with it")
    .argument("<file>", "configuration file")
    .addHelpText("after", examples("globalfs config validate config.yaml"))
    .action(
      action(async (context, _options, [file]) =>
        (await import("./commands/config-validate.ts")).configValidate(context, file as string),
      ),
    );
  config
    .command("show")
    .description("print the configuration that holds: file, environment and defaults; secrets are left out")
    .argument("<file>", "configuration file")
    .addHelpText("after", examples("globalfs config show config.yaml", "globalfs config show config.yaml --json"))
    .action(
      action(async (context, _options, [file]) =>
        (await import("./commands/config-show.ts")).configShow(context, file as string),
      ),
    );

  addKeyCommands(program, action);
  const meta = program.command("meta").description("the catalog of a stopped coordinator");
  meta
    .command("check")
    .description("hold every row of the catalog against the others; changes nothing")
    .option("--config <file>", "configuration file that names the catalog's directory")
    .option("--data-dir <directory>", "the catalog's directory itself")
    .addHelpText(
      "after",
      examples("globalfs meta check --config config.yaml", "globalfs meta check --data-dir .globalfs/catalog"),
    )
    .action(
      action(async (context, options: GlobalOptions & { readonly config?: string; readonly dataDir?: string }) =>
        (await import("./commands/meta-check.ts")).metaCheck(context, options),
      ),
    );

  program
    .command("version")
    .description("print the version")
    .addHelpText("after", examples("globalfs version"))
    .action(action(async (context) => (await import("./commands/version.ts")).version(context)));

  program
    .command("completion")
    .description("print a completion script for a shell")
    .argument("<shell>", "bash, zsh, fish or powershell", shellName)
    .addHelpText(
      "after",
      examples(
        "source <(globalfs completion bash)",
        "globalfs completion fish > ~/.config/fish/completions/globalfs.fish",
      ),
    )
    .action(
      action(async (context, _options, [shell]) =>
        (await import("./commands/completion.ts")).completion(context, shell as string),
      ),
    );
}

function shellName(text: string): string {
  if (["bash", "zsh", "fish", "powershell"].includes(text)) return text;
  throw new InvalidArgumentError("Known shells are bash, zsh, fish and powershell.");
}
