import { GfsError } from "../../core/errors.ts";
import type { FileOperation, ObjectOperation, OperationMeter } from "./meters.ts";
import type { FileService, ObjectRead, OpenedRange } from "../service/service.ts";

/** What is measured until its last byte, and what may answer without a promise. */

/** A read is measured from the request to the last byte of its first range, or to the answer when no byte is asked for. */
export async function measuredRead(
  meter: OperationMeter<ObjectOperation>,
  work: () => Promise<ObjectRead>,
): Promise<ObjectRead> {
  const end = meter.begin("get");
  try {
    const read = await work();
    if (read.notModified) end();
    return {
      ...read,
      async open(range) {
        try {
          const opened = await read.open(range);
          if (opened.bytes !== undefined) {
            end();
            return opened;
          }
          return measuredRange(opened, end);
        } catch (error) {
          end(error);
          throw error;
        }
      },
    };
  } catch (error) {
    end(error);
    throw error;
  }
}

function measuredRange(opened: OpenedRange, end: (error?: unknown) => void): OpenedRange {
  return {
    ...opened,
    stream: measuredStream(opened.stream, end),
    cancel() {
      end(new GfsError("Canceled", "The reader went away."));
      opened.cancel();
    },
  };
}

async function* measuredStream(
  stream: AsyncIterable<Uint8Array>,
  end: (error?: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
    end();
  } catch (error) {
    end(error);
    throw error;
  } finally {
    end(new GfsError("Canceled", "The reader went away."));
  }
}

type Anything = (...words: readonly unknown[]) => unknown;

/** Every operation; one that answers at once goes on to do so. */
export function measuredFiles(files: FileService, meter: OperationMeter<FileOperation>): FileService {
  const names = Object.keys(files) as FileOperation[];
  const measured = Object.fromEntries(
    names.map((name) => [name, measuredCall(files[name] as Anything, () => meter.begin(name))]),
  ) as object as FileService;
  return {
    ...measured,
    async read(ctx, request) {
      const end = meter.begin("read");
      try {
        return measuredRange(await files.read(ctx, request), end);
      } catch (error) {
        end(error);
        throw error;
      }
    },
  };
}

function measuredCall(call: Anything, begin: () => (error?: unknown) => void): Anything {
  return (...words) => {
    const end = begin();
    const failed = (error: unknown): never => {
      end(error);
      throw error;
    };
    let answer: unknown;
    try {
      answer = call(...words);
    } catch (error) {
      return failed(error);
    }
    if (!(answer instanceof Promise)) {
      end();
      return answer;
    }
    return answer.then((value: unknown) => {
      end();
      return value;
    }, failed);
  };
}
