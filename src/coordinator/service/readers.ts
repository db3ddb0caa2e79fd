import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import type { SiteHealth } from "../../placement/types.ts";

/** A copy that gave wrong bytes: which one, in words that can be sent to another process. */
export interface CopyCheck {
  readonly path: FilePath;
  readonly versionId: VersionId;
  readonly sizeBytes: number;
  readonly site: SiteName;
  readonly key: string;
}

/** What a process that writes the catalog and those that only read it tell each other. */
export interface ReaderService {
  /** A reader was given wrong bytes: the copy is read once more, and mended when it is rotten. */
  checkCopy(check: CopyCheck): Promise<void>;
  /** A reader found a site away: it is asked at once, and all hear of it. */
  doubtSite(site: SiteName): void;
  /** Told of what every site's last check found, at once and whenever a site was asked again, and of sites that were removed; the returned function ends it. */
  watchHealth(listener: (site: SiteName, health: SiteHealth | undefined) => void): () => void;
  /** A reader asks no site how it is, and routes by what it was told. Nothing: the site was removed. */
  learnHealth(site: SiteName, health: SiteHealth | undefined): Promise<void>;
}
