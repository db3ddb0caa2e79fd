import { describe, expect, test } from "vitest";
import { Errno, type FuseError } from "../protocol/errors.ts";
import { Frame } from "../protocol/frame.ts";
import { Opcode } from "../protocol/opcodes.ts";
import type { Attributes, Entry } from "../protocol/replies.ts";
import { CreateIn, InitIn, InterruptIn, LkIn, ReadIn, WriteIn } from "../protocol/structs-in.ts";
import { requestBytes, structBytes } from "../testing/requests.ts";
import { Dispatcher } from "./dispatcher.ts";
import { DEFER, type FileSystem } from "./file-system.ts";

const FRAME_BYTES = 8192;
const ATTRIBUTES: Attributes = {
  inode: 5,
  sizeBytes: 0,
  blocks: 0,
  atimeSeconds: 0,
  atimeNanoseconds: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  ctimeSeconds: 0,
  ctimeNanoseconds: 0,
  mode: 0o100644,
  links: 1,
  uid: 0,
  gid: 0,
  device: 0,
  blockSizeBytes: 4096,
};
const ENTRY: Entry = { inode: 5, generation: 0, attributes: ATTRIBUTES, timeoutMs: 0, entryTimeoutMs: 0 };

/** A kernel that wants every answer until it is told not to. */
class Kernel {
  readonly answers = new Map<number, { readonly error: number; readonly body: Buffer }>();
  readonly problems: FuseError[] = [];
  readonly released: Frame[] = [];
  readonly dispatcher: Dispatcher;
  wantsAnswers = true;
  #unique = 10;

  constructor(fileSystem: Partial<FileSystem>, maxInFlight = 4) {
    const whole: FileSystem = { lookup: () => Errno.ENOENT, getattr: () => Errno.ESTALE, ...fileSystem };
    const port = {
      send: (reply: { bytes: Buffer; lengthBytes: number }, data: Uint8Array | undefined): boolean => {
        const bytes = Buffer.concat([reply.bytes.subarray(0, reply.lengthBytes), data ?? Buffer.alloc(0)]);
        this.answers.set(bytes.readUInt32LE(8), { error: bytes.readInt32LE(4), body: bytes.subarray(16) });
        return this.wantsAnswers;
      },
      onProblem: (error: FuseError) => void this.problems.push(error),
      onNegotiated: () => undefined,
      onRetrieved: () => undefined,
      releaseFrame: (frame: Frame) => void this.released.push(frame),
    };
    const limits = { maxInFlight, maxKept: maxInFlight, replyBytes: 131_072 };
    this.dispatcher = new Dispatcher({ fileSystem: whole, port }, { features: {}, limits });
    this.ask(Opcode.INIT, structBytes(InitIn, { major: 7, minor: 45 }));
  }

  /** Sends a request in a frame of its own, and returns its number. */
  ask(opcode: number, body: Buffer): number {
    const unique = this.#unique;
    this.#unique += 2;
    this.outcome(requestBytes(opcode, body, { unique: BigInt(unique) }));
    return unique;
  }

  outcome(bytes: Buffer): string {
    const frame = new Frame(Buffer.alloc(FRAME_BYTES), false);
    bytes.copy(frame.bytes);
    return this.dispatcher.dispatch(frame, bytes.length);
  }
}

const name = Buffer.from("name\0");
const read = structBytes(ReadIn, { size: 100 });

describe("an answer", () => {
  test("that the kernel does not want any more gives back what was counted and opened", () => {
    const back: string[] = [];
    const kernel = new Kernel({
      lookup: () => ENTRY,
      create: () => ({ entry: ENTRY, file: { handle: 9, flags: 0 } }),
      forget: (inode, lookups) => void back.push(`forget ${inode} ${lookups}`),
      release: ({ inode, handle }) => void back.push(`release ${inode} ${handle}`),
    });
    kernel.ask(Opcode.LOOKUP, name);
    expect(back).toEqual([]);
    kernel.wantsAnswers = false;
    kernel.ask(Opcode.LOOKUP, name);
    kernel.ask(Opcode.CREATE, Buffer.concat([structBytes(CreateIn, {}), name]));
    expect(back).toEqual(["forget 5 1", "release 5 9", "forget 5 1"]);
  });

  test("is ENOSYS for an operation that is not there, and for one that nobody knows", () => {
    const kernel = new Kernel({});
    expect(kernel.answers.get(kernel.ask(Opcode.READLINK, Buffer.alloc(0)))?.error).toBe(Errno.ENOSYS);
    expect(kernel.answers.get(kernel.ask(999, Buffer.alloc(0)))?.error).toBe(Errno.ENOSYS);
  });

  test("is EIO for a mistake of the file system, which is told", () => {
    const kernel = new Kernel({ read: ({ sizeBytes }) => sizeBytes + 1, write: () => 1e6 });
    expect(kernel.answers.get(kernel.ask(Opcode.READ, read))?.error).toBe(Errno.EIO);
    expect(kernel.answers.get(kernel.ask(Opcode.WRITE, structBytes(WriteIn, {})))?.error).toBe(Errno.EIO);
    expect(kernel.problems.map(({ message }) => message)).toEqual([
      expect.stringContaining("100 bytes were to be read, and 101 were answered"),
      expect.stringContaining("0 bytes were to be written"),
    ]);
  });

  test("is the error number of what was thrown, by code or by number", () => {
    const errors = [
      Object.assign(new Error("full"), { code: "ENOSPC" }),
      Object.assign(new Error("quota"), { errno: -122 }),
    ];
    const kernel = new Kernel({
      read: () => {
        throw errors.shift() as Error;
      },
    });
    expect(kernel.answers.get(kernel.ask(Opcode.READ, read))?.error).toBe(Errno.ENOSPC);
    expect(kernel.answers.get(kernel.ask(Opcode.READ, read))?.error).toBe(Errno.EDQUOT);
    expect(kernel.problems).toEqual([]);
  });
});

describe("promises", () => {
  test("keep their request and the memory of their reply while others are answered", async () => {
    const finish: (() => void)[] = [];
    const kernel = new Kernel({
      read: (request) => {
        const { into, unique } = request;
        return new Promise((resolve) => {
          finish.push(() => {
            expect(request.unique).toBe(unique);
            resolve(into.write(`answer to ${unique}`));
          });
        });
      },
    });
    const [first, second] = [kernel.ask(Opcode.READ, read), kernel.ask(Opcode.READ, read)];
    expect(kernel.dispatcher.pending).toBe(2);
    for (const one of finish.toReversed()) one();
    await kernel.dispatcher.drain();
    expect(kernel.answers.get(first)?.body.toString()).toBe(`answer to ${first}`);
    expect(kernel.answers.get(second)?.body.toString()).toBe(`answer to ${second}`);
  });

  test("keep the frame with their data until they settle", async () => {
    let settle: (written: number) => void = () => undefined;
    const kernel = new Kernel({ write: () => new Promise((resolve) => (settle = resolve)) });
    const body = Buffer.concat([structBytes(WriteIn, { size: 4 }), Buffer.from("data")]);
    expect(kernel.outcome(requestBytes(Opcode.WRITE, body, { unique: 50n }))).toBe("kept");
    expect(kernel.released).toEqual([]);
    settle(4);
    await kernel.dispatcher.drain();
    expect(kernel.released.length).toBe(1);
    expect(kernel.answers.get(50)).toMatchObject({ error: 0 });
  });

  test("are counted, and no more are taken on than the limit says", async () => {
    const settle: ((bytes: Buffer) => void)[] = [];
    const kernel = new Kernel({ read: () => new Promise((resolve) => void settle.push(resolve)) }, 2);
    kernel.ask(Opcode.READ, read);
    expect(kernel.dispatcher.full).toBe(false);
    kernel.ask(Opcode.READ, read);
    expect(kernel.dispatcher.full).toBe(true);
    settle[0]?.(Buffer.from("done"));
    await kernel.dispatcher.settled();
    expect(kernel.dispatcher.full).toBe(false);
    settle[1]?.(Buffer.from("done"));
    await kernel.dispatcher.drain();
  });

  test("that wait for locks have a limit of their own, and do not keep others out", async () => {
    const kernel = new Kernel(
      {
        setlk: ({ signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve(Errno.EINTR));
          }),
      },
      2,
    );
    const lock = structBytes(LkIn, { fh: 1n });
    kernel.ask(Opcode.SETLKW, lock);
    kernel.ask(Opcode.SETLKW, lock);
    expect(kernel.dispatcher.full).toBe(false);
    expect(kernel.answers.get(kernel.ask(Opcode.SETLKW, lock))?.error).toBe(Errno.ENOLCK);
    await kernel.dispatcher.drain();
  });

  test("hear of an interrupt, and one for nobody is left to other threads", async () => {
    const kernel = new Kernel({
      read: ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve(Errno.EINTR));
        }),
    });
    const waiting = kernel.ask(Opcode.READ, read);
    const interrupt = (unique: number): Buffer =>
      requestBytes(Opcode.INTERRUPT, structBytes(InterruptIn, { unique: BigInt(unique) }), {
        unique: BigInt(unique + 1),
      });
    expect(kernel.outcome(interrupt(9998))).toBe("deferred");
    expect(kernel.outcome(interrupt(waiting))).toBe("done");
    await kernel.dispatcher.drain();
    expect(kernel.answers.get(waiting)?.error).toBe(Errno.EINTR);
  });
});

test("what is deferred is not answered", () => {
  const kernel = new Kernel({ read: () => DEFER });
  expect(kernel.outcome(requestBytes(Opcode.READ, read, { unique: 70n }))).toBe("deferred");
  expect(kernel.answers.has(70)).toBe(false);
});
