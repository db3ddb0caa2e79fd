import { KeyedLock } from "../../core/async/keyed-lock.ts";

/**
 * Parts of one upload may arrive side by side, but none while the upload is completed or aborted: who ends it waits for the parts that are
 * about to land, and parts that come later wait for the end, to find that there is no upload any more.
 */
export class UploadGate {
  readonly #ends = new KeyedLock();
  readonly #uploads = new Map<
    string,
    { landing: number; closed: Promise<void> | undefined; emptied: (() => void) | undefined }
  >();

  async land<T>(uploadId: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      const closed = this.#uploads.get(uploadId)?.closed;
      if (closed === undefined) break;
      await closed;
    }
    const upload = this.#of(uploadId);
    upload.landing += 1;
    try {
      return await work();
    } finally {
      upload.landing -= 1;
      if (upload.landing === 0) upload.emptied?.();
      this.#forget(uploadId);
    }
  }

  async end<T>(uploadId: string, work: () => Promise<T>): Promise<T> {
    return await this.#ends.run(uploadId, async () => {
      const upload = this.#of(uploadId);
      let open!: () => void;
      upload.closed = new Promise<void>((resolve) => {
        open = resolve;
      });
      try {
        if (upload.landing > 0) {
          await new Promise<void>((resolve) => {
            upload.emptied = resolve;
          });
        }
        return await work();
      } finally {
        upload.closed = undefined;
        upload.emptied = undefined;
        this.#forget(uploadId);
        open();
      }
    });
  }

  #of(uploadId: string) {
    const known = this.#uploads.get(uploadId);
    if (known !== undefined) return known;
    const made = { landing: 0, closed: undefined, emptied: undefined };
    this.#uploads.set(uploadId, made);
    return made;
  }

  #forget(uploadId: string): void {
    const upload = this.#uploads.get(uploadId);
    if (upload?.landing === 0 && upload.closed === undefined) this.#uploads.delete(uploadId);
  }
}
