import { GfsError } from "../../core/errors.ts";

/** Who has proved who it is, who has not yet, or need not, and who stays for as long as there may be something new. */
export type Standing = "known" | "stranger" | "follower";

/** Whatever runs: where it has its place. */
export interface Admitted {
  standing: Standing | undefined;
}

/**
 * Places for requests that run. Strangers have few, of their own, so that however many of them there are and however long they take, those who are
 * known find a place.
 */
export class Admission {
  readonly #most: Readonly<Record<Standing, number>>;
  readonly #running: Record<Standing, number> = { known: 0, stranger: 0, follower: 0 };

  constructor(most: { readonly maxKnown: number; readonly maxStrangers: number; readonly maxFollowers?: number }) {
    this.#most = { known: most.maxKnown, stranger: most.maxStrangers, follower: most.maxFollowers ?? 0 };
  }

  /** Throws `Overloaded` when there is no place. Who has a place already changes it for one of the other kind. */
  admit(request: Admitted, standing: Standing): void {
    if (request.standing === standing) return;
    if (this.#running[standing] >= this.#most[standing]) throw overloaded();
    this.leave(request);
    this.#running[standing] += 1;
    request.standing = standing;
  }

  leave(request: Admitted): void {
    if (request.standing === undefined) return;
    this.#running[request.standing] -= 1;
    request.standing = undefined;
  }
}

function overloaded(): GfsError {
  return new GfsError("Overloaded", "Please reduce your request rate: too many requests run at once.", {
    retryAfterMs: 1_000,
  });
}
