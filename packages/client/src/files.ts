import { asList, asRecord, camelFields, fileOf, parseJson } from "./decode.ts";
import { callOptions } from "./objects.ts";
import { PartialListing } from "./partial-listing.ts";
import type { Transport } from "./transport.ts";
import type {
  CallOptions,
  EntriesOptions,
  FailedSite,
  FileInfo,
  GiveOptions,
  MakeDirectoryOptions,
  SetAttributes,
  SetExtendedAttribute,
  TreeSpace,
} from "./types.ts";

const API = "/api/v1";

/** What a file system shows and keeps beside the content. No symbolic link is followed. */
export function createFileCalls(transport: Transport) {
  const get = async (address: string, call: CallOptions): Promise<unknown> =>
    parseJson(
      (await transport.text({ method: "GET", path: `${API}/${address}`, expect: [200, 207], ...callOptions(call) }))
        .text,
    );

  const post = async (address: string, body: object, call: CallOptions): Promise<unknown> => {
    const { text } = await transport.text({
      method: "POST",
      path: `${API}/${address}`,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      expect: [200, 201, 204],
      ...callOptions(call),
    });
    return text === "" ? undefined : parseJson(text);
  };

  return {
    async stat(path: string, call: CallOptions = {}): Promise<FileInfo> {
      return fileOf(await get(`stat?path=${encodeBytes(path)}`, call));
    },
    /** How much lies below a path or its nearest directory with a quota, and how much may still come. */
    async space(path = "", call: CallOptions = {}): Promise<TreeSpace> {
      const { sites, ...tree } = asRecord(await get(`statfs?path=${encodeBytes(path)}`, call));
      return { ...camelFields(tree), sites: asList(sites).map(camelFields) } as object as TreeSpace;
    },
    /**
     * Of a directory, in pages; what comes and goes meanwhile is neither skipped nor given twice. When a site could not be asked what it has there, `onPartial` hears of it; without
     * one the last thing that this does is to throw.
     */
    async *entries(path: string, { limit = 1_000, onPartial, ...call }: EntriesOptions = {}): AsyncGenerator<FileInfo> {
      let next: unknown;
      const partial = new PartialListing(onPartial);
      do {
        const after = typeof next === "string" ? `&after=${encodeBytes(next)}` : "";
        const page = asRecord(await get(`entries?path=${encodeBytes(path)}&limit=${limit}${after}`, call));
        partial.tell(asList(page["failed_sites"]) as FailedSite[]);
        for (const entry of page["entries"] as unknown[]) yield fileOf(entry);
        next = page["next"];
      } while (next !== undefined);
      partial.end();
    },
    async mkdir(path: string, { mode, uid, gid, parents, ...call }: MakeDirectoryOptions = {}): Promise<FileInfo> {
      return fileOf(await post("mkdir", { path, mode: modeText(mode), uid, gid, parents }, call));
    },
    async symlink(target: string, path: string, { uid, gid, ...call }: GiveOptions = {}): Promise<FileInfo> {
      return fileOf(await post("symlink", { path, target, uid, gid }, call));
    },
    /** One more name for a file. */
    async link(from: string, to: string, call: CallOptions = {}): Promise<FileInfo> {
      return fileOf(await post("link", { from, to }, call));
    },
    /** What is absent stays. */
    async setAttributes(
      path: string,
      { mode, uid, gid, accessedAt, modifiedAt, ...call }: SetAttributes,
    ): Promise<FileInfo> {
      const times = { accessed_at: timeText(accessedAt), modified_at: timeText(modifiedAt) };
      return fileOf(await post("attributes", { path, mode: modeText(mode), uid, gid, ...times }, call));
    },
    /** The extended attributes, by name. */
    async extended(path: string, call: CallOptions = {}): Promise<Record<string, Buffer>> {
      const { attributes } = asRecord(await get(`xattrs?path=${encodeBytes(path)}`, call));
      return Object.fromEntries(
        Object.entries(asRecord(attributes)).map(([name, value]) => [name, Buffer.from(String(value), "base64")]),
      );
    },
    async setExtended(path: string, { name, value, only, ...call }: SetExtendedAttribute): Promise<void> {
      const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value);
      await post("xattrs", { path, name, value: bytes.toString("base64"), only }, call);
    },
    async removeExtended(path: string, { name, ...call }: CallOptions & { readonly name: string }): Promise<void> {
      await transport.text({
        method: "DELETE",
        path: `${API}/xattrs?path=${encodeBytes(path)}&name=${encodeBytes(name)}`,
        expect: [204],
        ...callOptions(call),
      });
    },
  };
}

function modeText(mode: number | undefined): string | undefined {
  return mode?.toString(8);
}

function timeText(time: Date | string | undefined): string | undefined {
  return time instanceof Date ? time.toISOString() : time;
}

/** Names may be bytes that are no UTF-8: lone surrogates U+DC80 to U+DCFF stand for those. */
function encodeBytes(text: string): string {
  return text
    .split(/(?<![\ud800-\udbff])([\udc80-\udcff])/)
    .map((piece, index) =>
      index % 2 === 1 ? `%${(piece.charCodeAt(0) & 0xff).toString(16)}` : encodeURIComponent(piece),
    )
    .join("");
}
