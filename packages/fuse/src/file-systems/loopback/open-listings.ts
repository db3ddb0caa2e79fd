import { Errno } from "../../protocol/errors.ts";
import type { Entry } from "../../protocol/replies.ts";
import type { ReaddirRequest } from "../../protocol/requests-files.ts";
import type { SourceCalls, SourceListing } from "./source-calls.ts";

/** Looks a listed name up, which counts as one lookup: an entry, or a negative error number. */
export type FindEntry = (name: string) => Entry | number;

interface OpenListing {
  readonly listing: SourceListing;
  /** The cookie of the last name that the kernel took. */
  position: number;
  /** The listing stands on a name for which there was no room. */
  waiting: boolean;
}

/** The directories that are open, by descriptor. */
export class OpenListings {
  readonly #calls: SourceCalls;
  readonly #open = new Map<number, OpenListing>();

  constructor(calls: SourceCalls) {
    this.#calls = calls;
  }

  add(descriptor: number): void {
    this.#open.set(descriptor, { listing: this.#calls.list(descriptor), position: 0, waiting: false });
  }

  remove(descriptor: number): void {
    this.#open.delete(descriptor);
  }

  /** Fills a reply from where the kernel wants it. `unused` hears of an entry that was found, and not taken. */
  fill(request: ReaddirRequest, find: FindEntry, unused: (entry: Entry) => void): Errno | undefined {
    const open = this.#open.get(request.handle);
    if (open === undefined) return Errno.EBADF;
    const { listing } = open;
    if (open.position !== request.offset) {
      listing.seek(request.offset);
      open.position = request.offset;
      open.waiting = false;
    }
    for (;;) {
      const more = open.waiting || listing.next();
      open.waiting = false;
      if (typeof more === "number") return more as Errno;
      if (!more) return undefined;
      const { name, cookie } = listing;
      const plus = request.listing.plus && name !== "." && name !== "..";
      const entry = plus ? find(name) : undefined;
      // It was removed meanwhile. What cannot be looked up for another reason is shown all the same, and looked up when it is used.
      if (entry === Errno.ENOENT) {
        open.position = cookie;
        continue;
      }
      if (entry === undefined || typeof entry === "number") {
        open.waiting = !request.listing.add(name, cookie, listing);
      } else {
        const outcome = request.listing.addEntry(name, cookie, entry);
        if (outcome !== "counted") unused(entry);
        open.waiting = outcome === "full";
      }
      if (open.waiting) return undefined;
      open.position = cookie;
    }
  }
}
