import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import { decodeKey } from "../../kv/index.ts";
import type { Scan } from "../../namespace/index.ts";
import { decodeSetAside, keyRow, keySpace, setAsideKey, setAsideSpace } from "./set-aside.ts";
import { ageKey, agesSpace, bytesAt, bytesSpace, takenBy } from "./set-aside-space.ts";

/** Holds what was set aside against what protects it from the sweep, and against the room that it is said to take. */
export async function checkSetAside(scan: Scan): Promise<void> {
  const { fault } = scan;
  const bytes = new Map<SiteName, number>();
  let kept = 0;
  await scan.rows(setAsideSpace, function* (tx, row) {
    const aside = decodeSetAside(row.value);
    kept += 1;
    if (Buffer.compare(setAsideKey(aside), row.key) !== 0)
      fault(`The row of what was set aside of ${aside.path} says that it is ${aside.versionId}, which it is not.`);
    if ((yield* tx.get(keyRow(aside.key))) === undefined)
      fault(`At ${aside.site} ${aside.key}, set aside for ${aside.path}, has no row that protects it from the sweep.`);
    if ((yield* tx.get(ageKey(aside))) === undefined) return;
    bytes.set(aside.site, (bytes.get(aside.site) ?? 0) + takenBy(aside));
  });
  await scan.rows(agesSpace, function* (tx, row) {
    const [site, versionId] = decodeKey(row.key, ["string", "tail"]);
    const path = Buffer.from(row.value).toString();
    if ((yield* tx.get(setAsideKey({ path: path as FilePath, versionId: versionId as VersionId }))) === undefined)
      fault(`At ${site} version ${versionId} of ${path} is said to take room, and is not set aside.`);
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(keySpace, function* () {
    kept -= 1;
  });
  if (kept < 0) fault(`${-kept} rows protect objects from the sweep that nobody has set aside.`);
  await scan.rows(bytesSpace, function* (tx, row) {
    const site = decodeKey(row.key, ["tail"])[0] as SiteName;
    const [said, found] = [yield* bytesAt(tx, site), bytes.get(site) ?? 0];
    bytes.delete(site);
    if (said !== found) fault(`At ${site} what is set aside is said to take ${said} bytes, and takes ${found}.`);
  });
  for (const [site, found] of bytes) fault(`At ${site} what is set aside is said to take 0 bytes, and takes ${found}.`);
}
