import { randomBytes } from "node:crypto";
import { BlobServiceClient, ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../src/core/context.ts";
import { createAzureStore } from "../../../src/stores/drivers/azure/index.ts";
import { GfsError } from "../../../src/core/errors.ts";
import type { PartInfo, Store } from "../../../src/stores/index.ts";
import { probeStore } from "../../../src/stores/probe.ts";
import { startAzurite } from "../../servers/azurite.ts";
import { part } from "./access.ts";
import { collect, putObject, readObject } from "./suite.ts";

const server = await startAzurite();
const ctx = backgroundCtx();
const MIB = 1024 ** 2;
const LARGE_BYTES = 20 * 1024 * 1024 + 1;

describe.skipIf(server === undefined)("blobs at Azurite", () => {
  let container: ContainerClient;
  let store: Store;

  beforeAll(async () => {
    if (server === undefined) throw new Error("there is no Azurite");
    const { endpoint, account, accountKey } = server;
    const name = `test-${randomBytes(8).toString("hex")}`;
    container = new ContainerClient(`${endpoint}/${name}`, new StorageSharedKeyCredential(account, accountKey));
    await container.create();
    store = await createAzureStore({ container: name, account, endpoint, accountKey });
  });
  afterAll(async () => {
    await store?.close();
    await container?.delete();
  });

  it.each([[0], [1_000], [LARGE_BYTES]])("of %i bytes are what the SDK reads", async (sizeBytes) => {
    const body = randomBytes(sizeBytes);
    const key = `own/${sizeBytes} é+&x`;
    await putObject(store, key, body, { contentType: "text/x-own", metadata: { "a-b": "grün" } });
    const blob = container.getBlobClient(key);
    expect((await blob.downloadToBuffer()).equals(body)).toBe(true);
    const facts = await blob.getProperties();
    expect(facts.contentType).toBe("text/x-own");
    expect(facts.metadata).toMatchObject({ a_2db: "=?UTF-8?B?Z3LDvG4=?=" });
  });

  it("that the SDK wrote are read, with their metadata as it is named there", async () => {
    await container.getBlockBlobClient("foreign/blob").upload("bytes", 5, { metadata: { my_name: "x", a_be: "y" } });
    expect((await readObject(store, "foreign/blob")).toString()).toBe("bytes");
    expect((await store.head(ctx, "foreign/blob")).metadata).toMatchObject({ my_name: "x" });
  });

  it("are made of parts that take several blocks each, of which none without the others counts", async () => {
    if (server === undefined) return;
    const { endpoint, account, accountKey } = server;
    const config = { container: container.containerName, account, endpoint, accountKey };
    const small = await createAzureStore(config, { streamedBlockBytes: 3 * MIB + 1 });
    const upload = await small.createMultipart(ctx, "blocks", {});
    const bodies = [randomBytes(10 * MIB), randomBytes(9 * MIB + 7), randomBytes(5)] as const;
    const broken = {
      sizeBytes: 10 * MIB,
      async *open() {
        yield randomBytes(8 * MIB);
        throw new GfsError("Canceled", "The client went away.");
      },
    };
    await expect(small.uploadPart(ctx, upload, 1, broken)).rejects.toMatchObject({ code: "Canceled" });
    expect(await small.listParts(ctx, upload)).toEqual([]);
    const parts: PartInfo[] = [];
    for (const [index, body] of bodies.entries())
      parts.push(await small.uploadPart(ctx, upload, index + 1, part(body)));
    expect(await small.listParts(ctx, upload)).toEqual(parts);
    expect((await small.completeMultipart(ctx, upload, parts)).sizeBytes).toBe(19 * MIB + 12);
    expect((await readObject(store, "blocks")).equals(Buffer.concat(bodies))).toBe(true);
    await small.close();
  });

  it("take checksums and metadata that come only at the end of a large write", async () => {
    const staged = await store.stage(ctx, "late");
    await staged.write(Buffer.alloc(LARGE_BYTES));
    await staged.seal({ sha256: "a".repeat(64), metadata: { late: "yes" } });
    expect(await staged.commit(ctx)).toMatchObject({ sha256: "a".repeat(64), metadata: { late: "yes" } });
    expect(await store.head(ctx, "late")).toMatchObject({
      sha256: "a".repeat(64),
      metadata: { late: "yes" },
      sizeBytes: LARGE_BYTES,
    });
  });

  it("of a large write keep their conditions", async () => {
    await putObject(store, "guarded", "first");
    const staged = await store.stage(ctx, "guarded");
    await staged.write(Buffer.alloc(LARGE_BYTES));
    await staged.seal();
    await expect(staged.commit(ctx, { ifNoneMatch: "*" })).rejects.toMatchObject({ code: "PreconditionFailed" });
    await staged.abort();
    expect((await readObject(store, "guarded")).toString()).toBe("first");
  });

  it("in parts larger than memory should hold are streamed", async () => {
    const bytes = randomBytes(9 * 1024 * 1024);
    const upload = await store.createMultipart(ctx, "streamed", { partSizeBytes: bytes.length });
    const body = {
      sizeBytes: bytes.length,
      async *open() {
        for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
      },
    };
    const part = await store.uploadPart(ctx, upload, 1, body);
    await store.completeMultipart(ctx, upload, [part]);
    expect((await collect((await store.get(ctx, "streamed")).stream)).equals(bytes)).toBe(true);
  });

  it("are reached by SAS and by connection string as well", async () => {
    if (server === undefined) throw new Error("there is no Azurite");
    const { endpoint, account, accountKey } = server;
    await putObject(store, "shared", "by many ways");
    const connectionString = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${accountKey};BlobEndpoint=${endpoint};`;
    const service = BlobServiceClient.fromConnectionString(connectionString);
    const sas = service.generateAccountSasUrl(new Date(Date.now() + 60_000), undefined, "sco").split("?")[1] ?? "";
    const name = container.containerName;
    for (const credentials of [{ connectionString }, { endpoint, sas }]) {
      const other = await createAzureStore({ container: name, ...credentials });
      expect((await readObject(other, "shared")).toString()).toBe("by many ways");
      expect(other.capabilities.presign).toBe("connectionString" in credentials);
      await other.close();
    }
  });

  it("of others stay out of reach without the right key", async () => {
    if (server === undefined) throw new Error("there is no Azurite");
    const { endpoint, account } = server;
    const accountKey = randomBytes(64).toString("base64");
    const thief = await createAzureStore({ container: container.containerName, account, endpoint, accountKey });
    await expect(thief.check(ctx)).rejects.toMatchObject({
      code: expect.stringMatching(/Unauthenticated|PermissionDenied/),
    });
    const absent = await createAzureStore({
      container: "no-such-container",
      account,
      endpoint,
      accountKey: server.accountKey,
    });
    await expect(absent.check(ctx)).rejects.toMatchObject({ code: "ConfigInvalid" });
    await expect(absent.head(ctx, "k")).rejects.toMatchObject({ code: "ConfigInvalid" });
  });

  it("are probed: all that is claimed is kept", async () => {
    const { store: probed, report } = await probeStore(ctx, store);
    expect(report.findings).toEqual([]);
    expect(probed.capabilities).toEqual(store.capabilities);
  });

  it.each([
    [{ container: "c" }],
    [{ container: "con", account: "a", accountKey: "k", sas: "s" }],
    [{ container: "con" }],
    [{ container: "con", accountKey: "k", endpoint: "http://x" }],
  ])("are not looked for with the configuration %j", async (config) => {
    await expect(createAzureStore(config)).rejects.toMatchObject({ code: "ConfigInvalid" });
  });

  it("that can not be reached are unavailable", async () => {
    const nowhere = await createAzureStore({
      container: "con",
      account: "a",
      accountKey: "a2V5",
      endpoint: "http://127.0.0.1:1/a",
    });
    await expect(nowhere.check(ctx)).rejects.toMatchObject({ code: "Unavailable", retry: "safe" });
  });
});
