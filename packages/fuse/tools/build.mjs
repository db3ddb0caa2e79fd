// Bundles the library, the thread that it starts, the file systems and the command. `--types` writes the declarations, too.
import { fileURLToPath } from "node:url";
import { buildPackage } from "../../../tools/lib/package-build.mjs";

await buildPackage(fileURLToPath(new URL("..", import.meta.url)), {
  entryPoints: {
    index: "src/index.ts",
    worker: "src/worker.ts",
    cli: "src/cli.ts",
    hello: "src/file-systems/hello.ts",
    memory: "src/file-systems/memory/index.ts",
    loopback: "src/file-systems/loopback/index.ts",
  },
  external: ["koffi"],
});
