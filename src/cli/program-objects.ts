import { type Command, InvalidArgumentError } from "commander";
import { type Action, examples, positive } from "./action.ts";
import type { GlobalOptions } from "./context.ts";

type Options<T> = GlobalOptions & T;

/** Keys may be written plain or as `gfs:key`. */
const KEY = "the object's key, plain or as gfs:key";

export function addObjectCommands(program: Command, action: Action): void {
  const object = program.command("object").description("objects by key");
  object
    .command("get")
    .description("download an object to stdout or a file")
    .argument("<key>", KEY)
    .option("-o, --output <file>", "file to write; stdout when absent or -")
    .addHelpText("after", examples("globalfs object get my-key", "globalfs object get data/a.bin --output a.bin"))
    .action(
      action(async (context, options: Options<{ output?: string }>, [key]) =>
        (await import("./commands/object-get.ts")).objectGet(context, key as string, options),
      ),
    );
  object
    .command("put")
    .description("upload an object from stdin or a file")
    .argument("<key>", KEY)
    .option("-i, --input <file>", "file to read; stdin when absent or -")
    .option("--content-type <type>", "media type kept with the object")
    .option("--meta <name=value>", "metadata kept with the object; may be repeated", collectPairs)
    .option("--no-clobber", "fail when the object exists")
    .addHelpText(
      "after",
      examples(
        'echo "hello world" | globalfs object put my-key --input -',
        "globalfs object put data/a.bin --input a.bin",
      ),
    )
    .action(
      action(
        async (
          context,
          options: Options<{ input?: string; contentType?: string; meta?: Record<string, string>; clobber: boolean }>,
          [key],
        ) => (await import("./commands/object-put.ts")).objectPut(context, key as string, options),
      ),
    );
  object
    .command("delete")
    .description("delete an object from all sites")
    .argument("<key>", KEY)
    .addHelpText("after", examples("globalfs object delete my-key"))
    .action(
      action(async (context, _options, [key]) =>
        (await import("./commands/object-delete.ts")).objectDelete(context, key as string),
      ),
    );
  object
    .command("head")
    .description("show object metadata: size, ETag, last modified")
    .argument("<key>", KEY)
    .addHelpText("after", examples("globalfs object head my-key --json"))
    .action(
      action(async (context, _options, [key]) =>
        (await import("./commands/object-head.ts")).objectHead(context, key as string),
      ),
    );
  object
    .command("list")
    .description("list objects across all sites")
    .option("--prefix <prefix>", "only keys that begin with it")
    .option("--limit <n>", "at most so many", positive)
    .addHelpText("after", examples("globalfs object list", "globalfs object list --prefix datasets/ --limit 20"))
    .action(
      action(async (context, options: Options<{ prefix?: string; limit?: number }>) =>
        (await import("./commands/object-list.ts")).objectList(context, options),
      ),
    );

  program
    .command("ls")
    .description("list one directory of the namespace")
    .argument("[path]", "directory or key, plain or as gfs:path")
    .option("-l, --long", "sizes and times too")
    .option("-R, --recursive", "everything below")
    .addHelpText("after", examples("globalfs ls", "globalfs ls -l datasets", "globalfs ls -lR gfs:datasets/hot"))
    .action(
      action(async (context, options: Options<{ long?: boolean; recursive?: boolean }>, [path]) =>
        (await import("./commands/ls.ts")).ls(context, path ?? "", options),
      ),
    );
  program
    .command("cat")
    .description("write objects to stdout, one after the other")
    .argument("<key...>", KEY)
    .addHelpText("after", examples("globalfs cat my-key", "globalfs cat part-1 part-2 > whole"))
    .action(action(async (context, _options, keys) => (await import("./commands/cat.ts")).cat(context, keys)));
  program
    .command("cp")
    .description("copy between the local disk and GlobalFS, or within GlobalFS")
    .argument("<source>", "gfs:key, local path, or - for stdin")
    .argument("<target>", "gfs:key, local path, or - for stdout")
    .option("-r, --recursive", "copy everything below the source")
    .addHelpText(
      "after",
      `
gfs: marks keys; /, ./ and ../ begin local paths. A word without a mark is taken for what the other side is not.
With -r, what lies below the source goes below the target.
${examples(
  "globalfs cp ./results.csv gfs:runs/1/results.csv",
  "globalfs cp gfs:runs/1/results.csv .",
  "globalfs cp -r ./runs gfs:runs",
  "tar c dir | globalfs cp - gfs:dir.tar",
)}`,
    )
    .action(
      action(async (context, options: Options<{ recursive?: boolean }>, [source, target]) =>
        (await import("./commands/cp.ts")).cp(context, source as string, target as string, options),
      ),
    );
  program
    .command("mv")
    .description("rename an object, or with a trailing / on both a whole directory")
    .argument("<from>", "key now")
    .argument("<to>", "key then")
    .option("-f, --force", "replace the target when it exists")
    .addHelpText("after", examples("globalfs mv draft.txt final.txt", "globalfs mv runs/1/ archive/run-1/"))
    .action(
      action(async (context, options: Options<{ force?: boolean }>, [from, to]) =>
        (await import("./commands/mv.ts")).mv(context, from as string, to as string, options),
      ),
    );
  program
    .command("rm")
    .description("delete objects")
    .argument("<key...>", KEY)
    .option("-r, --recursive", "everything below each key")
    .addHelpText("after", examples("globalfs rm my-key", "globalfs rm -r runs/1"))
    .action(
      action(async (context, options: Options<{ recursive?: boolean }>, keys) =>
        (await import("./commands/rm.ts")).rm(context, keys, options),
      ),
    );
  program
    .command("du")
    .description("how many objects and bytes lie below a path, and at which sites")
    .argument("[path]", "directory, plain or as gfs:path")
    .option("--bytes", "exact numbers of bytes")
    .addHelpText("after", examples("globalfs du", "globalfs du datasets/ --bytes"))
    .action(
      action(async (context, options: Options<{ bytes?: boolean }>, [path]) =>
        (await import("./commands/du.ts")).du(context, path ?? "", options),
      ),
    );
}

function collectPairs(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [name = "", ...value] = text.split("=");
  if (!/^[A-Za-z0-9_-]+$/.test(name) || value.length === 0) throw new InvalidArgumentError("Write name=value.");
  return { ...before, [name.toLowerCase()]: value.join("=") };
}
