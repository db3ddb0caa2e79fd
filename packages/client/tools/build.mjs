// Bundles the client. `--types` writes the declarations, too.
import { fileURLToPath } from "node:url";
import { buildPackage } from "../../../tools/lib/package-build.mjs";

await buildPackage(fileURLToPath(new URL("..", import.meta.url)), {
  entryPoints: { index: "src/index.ts" },
  external: ["undici"],
});
