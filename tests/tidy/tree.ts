import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");

export interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const SKIPPED: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", "coverage", ".globalfs", "results"]);

/** Every file of the project whose name ends in one of `endings`, below one of `directories` (`""` is the root). */
export function filesBelow(directories: readonly string[], endings: readonly string[]): SourceFile[] {
  const found: SourceFile[] = [];
  const go = (directory: string): void => {
    for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) go(path);
      else if (entry.isFile() && endings.some((ending) => entry.name.endsWith(ending))) {
        found.push({ path, text: readFileSync(join(ROOT, path), "utf8") });
      }
    }
  };
  for (const directory of directories) go(directory);
  return found;
}

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** Loaded only when that line runs. */
  readonly dynamic: boolean;
}

/** Static and dynamic imports, and exports from elsewhere. Comments and strings that only look like imports are left out. */
export function importsOf(text: string): Import[] {
  const code = text.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
  const found: Import[] = [];
  for (const [, type, specifier] of code.matchAll(
    /^\s*(?:import|export)(\s+type)?\b[^;"'`]*?from\s*["']([^"']+)["']/gm,
  )) {
    found.push({ specifier: specifier as string, typeOnly: type !== undefined, dynamic: false });
  }
  for (const [, specifier] of code.matchAll(/^\s*import\s*["']([^"']+)["']/gm)) {
    found.push({ specifier: specifier as string, typeOnly: false, dynamic: false });
  }
  for (const [, specifier] of code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']/g)) {
    found.push({ specifier: specifier as string, typeOnly: false, dynamic: true });
  }
  return found;
}
