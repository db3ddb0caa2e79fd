import { type Command, Option } from "commander";
import { type Action, examples, positive } from "./action.ts";
import type { GlobalOptions } from "./context.ts";

type Options<T> = GlobalOptions & T;

export function addOperatorCommands(program: Command, action: Action): void {
  const site = program.command("site").description("the places that store data");
  site
    .command("list")
    .description("list registered sites with health and circuit state")
    .option("-l, --long", "also location, latency and error")
    .addHelpText("after", examples("globalfs site list", "globalfs site list --json"))
    .action(
      action(async (context, options: Options<{ long?: boolean }>) =>
        (await import("./commands/site-list.ts")).siteList(context, options),
      ),
    );
  site
    .command("add")
    .description("register a new site at run time")
    .requiredOption("--name <name>", "unique name of the site")
    .requiredOption("--uri <uri>", "s3://bucket[?region=R&endpoint=URL], gs://, azure://, file:// or memory://")
    .addOption(
      new Option("--role <role>", "role of the site").choices(["primary", "burst", "backup"]).makeOptionMandatory(),
    )
    .addHelpText(
      "after",
      examples('globalfs site add --name cloud2 --uri "s3://my-bucket?region=eu-west-1" --role burst'),
    )
    .action(
      action(async (context, options: Options<{ name: string; uri: string; role: "primary" | "burst" | "backup" }>) =>
        (await import("./commands/site-add.ts")).siteAdd(context, options),
      ),
    );
  site
    .command("remove")
    .description("deregister a site; its objects stay where they are")
    .requiredOption("--name <name>", "name of the site")
    .addHelpText("after", examples("globalfs site remove --name cloud2"))
    .action(
      action(async (context, options: Options<{ name: string }>) =>
        (await import("./commands/site-remove.ts")).siteRemove(context, options),
      ),
    );

  program
    .command("replicate")
    .description("copy an object from one site to another")
    .requiredOption("--key <key>", "the object's key")
    .requiredOption("--from <site>", "site to read from")
    .requiredOption("--to <site>", "site to write to")
    .option("--wait", "wait until it is done")
    .addHelpText("after", examples("globalfs replicate --key data/a.bin --from onprem --to cloud --wait"))
    .action(
      action(async (context, options: Options<{ key: string; from: string; to: string; wait?: boolean }>) =>
        (await import("./commands/replicate.ts")).replicate(context, options),
      ),
    );

  addJobCommands(program, action);

  program
    .command("import")
    .description("adopt what a site holds already; goes on where it was interrupted")
    .argument("<site>", "name of the site")
    .argument("[prefix]", "only keys that begin with it")
    .option("--restart", "begin again from the first key")
    .addHelpText("after", examples("globalfs import cloud", "globalfs import cloud datasets/"))
    .action(
      action(async (context, options: Options<{ restart?: boolean }>, [name, prefix]) =>
        (await import("./commands/import.ts")).importSite(context, name as string, prefix ?? "", options),
      ),
    );
  program
    .command("explain")
    .description("say where an object's copies are, which rules hold for it, and what it waits for")
    .argument("<key>", "the object's key, plain or as gfs:key")
    .addHelpText("after", examples("globalfs explain datasets/hot/a.bin"))
    .action(
      action(async (context, _options, [key]) =>
        (await import("./commands/explain.ts")).explain(context, key as string),
      ),
    );
  program
    .command("info")
    .description("print coordinator runtime statistics")
    .addHelpText("after", examples("globalfs info", "globalfs info --json"))
    .action(action(async (context) => (await import("./commands/info.ts")).info(context)));
  program
    .command("status")
    .description("print overall health; exits non-zero if any primary site is degraded")
    .addHelpText("after", examples("globalfs status", "globalfs status && echo all well"))
    .action(action(async (context) => (await import("./commands/status.ts")).status(context)));
}

const JOB_STATES = ["waiting", "running", "paused", "done", "failed", "canceled"] as const;

function addJobCommands(program: Command, action: Action): void {
  const jobs = program.command("jobs").description("background work: replication, repair, removal, relocation");
  jobs
    .command("list")
    .description("list jobs")
    .addOption(new Option("--state <state>", "only jobs in this state").choices(JOB_STATES))
    .option("--limit <n>", "at most so many", positive, 100)
    .addHelpText("after", examples("globalfs jobs list", "globalfs jobs list --state failed"))
    .action(
      action(async (context, options: Options<{ state?: (typeof JOB_STATES)[number]; limit: number }>) =>
        (await import("./commands/jobs-list.ts")).jobsList(context, options),
      ),
    );
  jobs
    .command("show")
    .description("show one job")
    .argument("<id>", "the job's id")
    .option("--watch", "follow it until it ends")
    .addHelpText("after", examples("globalfs jobs show 01J... --watch"))
    .action(
      action(async (context, options: Options<{ watch?: boolean }>, [id]) =>
        (await import("./commands/jobs-show.ts")).jobsShow(context, id as string, options),
      ),
    );
  for (const [verb, description] of [
    ["pause", "hold a job, or with --all everything that moves"],
    ["resume", "let a job go on, or with --all everything"],
  ] as const) {
    jobs
      .command(verb)
      .description(description)
      .argument("[id]", "the job's id")
      .option("--all", "all jobs")
      .addHelpText("after", examples(`globalfs jobs ${verb} 01J...`, `globalfs jobs ${verb} --all`))
      .action(
        action(async (context, options: Options<{ all?: boolean }>, [id]) =>
          (await import("./commands/jobs-change.ts")).jobsChange(context, verb, id, options),
        ),
      );
  }
  jobs
    .command("cancel")
    .description("give a job up")
    .argument("<id>", "the job's id")
    .addHelpText("after", examples("globalfs jobs cancel 01J..."))
    .action(
      action(async (context, _options, [id]) =>
        (await import("./commands/jobs-change.ts")).jobsChange(context, "cancel", id, {}),
      ),
    );
}
