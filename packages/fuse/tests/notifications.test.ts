import { execFile } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { reasonToSkip, Served } from "./support/served.ts";

const run = promisify(execFile);
const LIMIT_MS = 5_000;
/** As in `support/notifying.mjs`. */
const MANY = 2000;
const LOCKED = 8;

describe.skipIf(reasonToSkip() !== undefined)("notifications", () => {
  let served: Served | undefined;
  afterEach(async () => {
    await served?.clean();
  });

  test("make the kernel ask again, put data into its cache and fetch it from there", async () => {
    served = await Served.start("cached");
    const path = join(served.directory, "count");
    const file = await open(path, "r");
    const look = async (): Promise<string> => {
      const { buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
      return buffer.toString().trim();
    };
    try {
      expect(await look()).toBe("1");
      expect(await look()).toBe("1");
      expect(await served.command("invalidate")).toBe("true");
      expect(await look()).toBe("2");
      expect(await served.command("store")).toBe("true");
      expect(await look()).toBe("stored by us");
      expect(await served.command("retrieve")).toBe("stored by us    ");
      expect(await served.command("invalidate-entry")).toBe("true");
      expect(await served.command("invalidate-unknown")).toBe("false");
    } finally {
      await file.close();
    }
  });

  const homes = ["worker", "main", "two-workers"] as const;
  describe.each(homes)("from operations of a file system: %s", (home) => {
    const mounted = async (): Promise<(name: string) => Promise<string>> => {
      const server = await Served.start(`notifying-${home}`);
      served = server;
      return async (name) => {
        const reading = readFile(join(server.directory, name), "utf8");
        const late = setTimeout(LIMIT_MS, undefined, { ref: false });
        const text = await Promise.race([reading, late]);
        if (text === undefined) throw new Error(`${name} was not read in time.`);
        return text.trim();
      };
    };

    /** Reads a file again and again until it says what is waited for. */
    const until = async (look: () => Promise<string>, holds: (text: string) => boolean): Promise<string> => {
      const deadline = performance.now() + LIMIT_MS;
      for (;;) {
        const text = await look();
        if (holds(text) || performance.now() > deadline) return text;
        await setTimeout(5);
      }
    };

    test("all come to an end, with what the kernel said", async () => {
      const read = await mounted();
      expect(await read("pending")).toBe("0");
      expect(await read("everything")).toBe("done");
      const results = await until(
        () => read("results"),
        (text) => text.split(",").length === 9,
      );
      const [epoch = "", ...others] = results.split(",").toSorted((left) => (left.startsWith("epoch") ? -1 : 1));
      // Linux before 6.16 does not know it.
      expect(epoch).toMatch(/^epoch (true|Unsupported)$/);
      expect(others.toSorted()).toEqual([
        "attributes true",
        "deleted false",
        "entry false",
        "expired true",
        "inode true",
        "store true",
        "unknown false",
        "wakeup true",
      ]);
    });

    test("may be awaited by an operation on another file", async () => {
      const read = await mounted();
      expect(await read("awaits")).toBe("false");
    });

    test("bring the data that the kernel has", async () => {
      const read = await mounted();
      expect(await read("retrieves")).toContain("done");
      const results = await until(
        () => read("results"),
        (text) => text !== "",
      );
      expect(results).toBe(`retrieved ${"r".repeat(16)}`);
    });

    test("are refused when too many wait", async () => {
      const read = await mounted();
      const total: Record<string, number> = {};
      const waiting = (): number => MANY - (total["many false"] ?? 0) - (total["many Busy"] ?? 0);
      expect(await read("many")).toBe("done");
      await until(
        async () => {
          const counts = JSON.parse(await read("counts")) as Record<string, number>;
          for (const [name, count] of Object.entries(counts)) total[name] = (total[name] ?? 0) + count;
          return String(waiting());
        },
        (text) => text === "0",
      );
      expect(total).toEqual({ "many false": 1024, "many Busy": MANY - 1024 });
    });

    test("about what the kernel has locked are carried out when the operation has been answered", async () => {
      const read = await mounted();
      const names = Array.from({ length: LOCKED }, (_, index) => `locked-${index}`);
      // By programs of their own, as whoever waits here would keep this one from ending.
      const { directory } = served as Served;
      const outputs = await Promise.all(
        names.map((name) => run("cat", [join(directory, name)], { timeout: LIMIT_MS, killSignal: "SIGKILL" })),
      );
      expect(outputs.map(({ stdout }) => stdout.trim())).toEqual(names.map(() => "done"));
      // Whether the kernel still knew the file, and how often it looked a name up, depends on when that was forgotten.
      const ended = (text: string): number => text.match(/(looked-up|locked) (true|false)/g)?.length ?? 0;
      const results = await until(
        () => read("results"),
        (text) => ended(text) >= 2 * LOCKED,
      );
      expect(ended(results)).toBeGreaterThanOrEqual(2 * LOCKED);
    });
  });
});
