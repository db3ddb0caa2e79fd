import { existsSync } from "node:fs";

const bundle = new URL("../dist/globalfs.js", import.meta.url);

/** @param {string[]} words */
export async function launch(words) {
  if (!existsSync(bundle)) {
    process.stderr.write("globalfs has not been built yet; run `npm run build` in its directory first.\n");
    process.exitCode = 1;
    return;
  }
  const { main } = await import(bundle.href);
  process.exitCode = await main(words);
}
