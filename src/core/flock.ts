/** flock(2), which Node has no call for. Undefined where there is none. */
export type Flock = (descriptor: number, operation: number) => number;

export const LOCK_SHARED = 1;
export const LOCK_EXCLUSIVE = 2;
/** Fails instead of waiting. */
export const LOCK_NOW = 4;
export const LOCK_OFF = 8;

let loaded: Promise<Flock | undefined> | undefined;

export async function loadFlock(): Promise<Flock | undefined> {
  loaded ??= (async () => {
    const library = C_LIBRARIES[process.platform];
    if (library === undefined) return undefined;
    const { default: koffi } = await import("koffi");
    for (const name of library) {
      try {
        return koffi.load(name).func("int flock(int, int)");
      } catch {
        // The next name is that of another C library, such as musl's.
      }
    }
    return undefined;
  })();
  return await loaded;
}

const C_LIBRARIES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ["libc.so.6", "libc.so"],
  darwin: ["libSystem.dylib"],
};
