/** Microsoft's emulator of Azure Blob Storage, from npm, on loopback; what it keeps is in memory. */
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { freePort, missingServer, shareServer } from "./shared-server.ts";

export interface AzureServer {
  readonly endpoint: string;
  readonly account: string;
  readonly accountKey: string;
}

interface Address {
  readonly port: number;
  readonly account: string;
  readonly accountKey: string;
}

/** Undefined, with the reason printed, where the package is missing. */
export async function startAzurite(): Promise<AzureServer | undefined> {
  const program = programPath();
  if (program === undefined) return missingServer("no Azurite, as the package azurite is not installed");
  const { port, account, accountKey } = await shareServer<Address>({
    name: "azurite",
    prepare: async () => ({
      port: await freePort(),
      account: `test${randomBytes(4).toString("hex")}`,
      accountKey: randomBytes(64).toString("base64"),
    }),
    command: (address) => ({
      command: "/usr/bin/env",
      args: [
        `AZURITE_ACCOUNTS=${address.account}:${address.accountKey}`,
        process.execPath,
        program,
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        String(address.port),
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
        "--disableTelemetry",
      ],
    }),
    ready: (address) => answers(`http://127.0.0.1:${address.port}/`),
  });
  return { endpoint: `http://127.0.0.1:${port}/${account}`, account, accountKey };
}

function programPath(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve("azurite/dist/src/blob/main.js");
  } catch {
    return undefined;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
