import type { Key, WatchBatch, WatchEvent } from "./kv.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { appendKey, positionAt } from "./position.ts";
import type { Staged } from "./staged.ts";
import type { TableWriter } from "./table.ts";

/** What a program staged, on its way into the table. */
export class Applied {
  readonly #staged: Staged;
  readonly #undo: (() => void)[] = [];
  readonly #events: WatchEvent[] = [];
  readonly batch: WatchBatch;

  constructor(staged: Staged, revision: number) {
    this.#staged = staged;
    this.batch = { revision, events: this.#events };
  }

  write(writer: TableWriter, leases: LeaseKeeper): void {
    const { revision } = this.batch;
    for (const { key, value, lease } of this.#staged.writes) {
      if (value === undefined) writer.delete(key);
      else writer.put(key, value);
      this.#events.push({ key, value });
      if (lease === undefined && !leases.hasBindings) continue;
      const undo = leases.bind(nameOf(key), key, lease);
      if (undo === undefined) continue;
      this.#undo.push(undo);
      writer.setEphemeral(key, lease !== undefined);
    }
    for (const [index, { prefix, value }] of this.#staged.appends.entries()) {
      const key = appendKey(prefix, positionAt(revision, index));
      writer.put(key, value);
      this.#events.push({ key, value });
    }
    writer.setRevision(revision);
  }

  /** Takes back what this process remembers of it. */
  undo(): void {
    for (const undo of this.#undo.toReversed()) undo();
  }
}

function nameOf(key: Key): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
