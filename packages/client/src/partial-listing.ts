import { GlobalFsError } from "./errors.ts";
import type { FailedSite } from "./types.ts";

/** Sites that could not be asked while something was listed: whoever wants to hear of them does so at once, and else the listing ends with an error. */
export class PartialListing {
  readonly #failed = new Map<string, FailedSite>();
  readonly #onPartial: ((site: FailedSite) => void) | undefined;

  constructor(onPartial: ((site: FailedSite) => void) | undefined) {
    this.#onPartial = onPartial;
  }

  tell(sites: readonly FailedSite[]): void {
    for (const site of sites) {
      if (!this.#failed.has(site.site)) this.#onPartial?.(site);
      this.#failed.set(site.site, site);
    }
  }

  end(): void {
    if (this.#failed.size === 0 || this.#onPartial !== undefined) return;
    const names = [...this.#failed.values()].map(({ site, error }) => `${site}: ${error}`).join("; ");
    throw new GlobalFsError("Partial", `The listing is not complete, because sites could not be asked (${names}).`, {
      status: 207,
    });
  }
}
