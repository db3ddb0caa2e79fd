import { expect, it } from "vitest";
import { type AzureStoreConfig, checkConfig, serviceUrl } from "./config.ts";
import { createAzureStore } from "./index.ts";

const GOOD: AzureStoreConfig = { container: "container", account: "account", accountKey: "a2V5" };

it.each<[string, Partial<AzureStoreConfig>]>([
  ["the name of a container", { container: "Upper" }],
  ["the name of a container", { container: "a" }],
  ["the name of a container", { container: "a/b" }],
  ["the name of a storage account", { account: "evil.example/" }],
  ["the name of a storage account", { account: "ab" }],
  ["one of account key, SAS and connection string", { sas: "?sv=1" }],
  ["above zero", { partSizeBytes: 0 }],
  ["above zero", { parallelParts: 1.5 }],
  ["above zero", { uploadBufferBytes: -1 }],
  ["at most 4,000 MiB", { partSizeBytes: 4_001 * 1024 ** 2 }],
])("a configuration without %s is refused: %j", (sentence, change) => {
  expect(() => checkConfig({ ...GOOD, ...change })).toThrow(sentence);
});

it("an account is named, also for its key", () => {
  expect(() => checkConfig({ container: "container" })).toThrow("Name the storage account.");
  expect(() => checkConfig({ container: "container", endpoint: "http://x/a", accountKey: "a2V5" })).toThrow(
    "An account key needs the name of its account.",
  );
  checkConfig(GOOD);
  checkConfig({ container: "$root", account: "abc", sas: "?sv=1", partSizeBytes: 4_000 * 1024 ** 2 });
  checkConfig({ container: "$web", connectionString: "UseDevelopmentStorage=true" });
  // What an endpoint calls its account is its own business.
  checkConfig({ container: "abc", account: "An-Account", endpoint: "http://x/a" });
});

it.each([
  ["no address", "nowhere"],
  ["no web address", "ftp://x/a"],
  ["a user name", "https://me@x/a"],
  ["a password", "https://:secret@x/a"],
  ["a query", "https://x/a?sv=1"],
  ["a fragment", "https://x/a#b"],
])("an endpoint with %s is refused", (_what, endpoint) => {
  expect(() => serviceUrl({ ...GOOD, endpoint })).toThrow(expect.objectContaining({ code: "ConfigInvalid" }) as Error);
});

it("an endpoint is the account's own unless another is given", () => {
  expect([serviceUrl(GOOD), serviceUrl({ ...GOOD, endpoint: "http://x/a//" })]).toEqual([
    "https://account.blob.core.windows.net",
    "http://x/a",
  ]);
});

it("credentials that are none are told as what is wrong with the configuration", async () => {
  await expect(createAzureStore({ container: "container", connectionString: "nonsense" })).rejects.toMatchObject({
    code: "ConfigInvalid",
    message: "The Azure account, key or connection string is malformed.",
  });
  await expect(createAzureStore({ ...GOOD, endpoint: "nowhere" })).rejects.toMatchObject({
    code: "ConfigInvalid",
    message: expect.stringContaining("is not the address of a blob service") as string,
  });
});
