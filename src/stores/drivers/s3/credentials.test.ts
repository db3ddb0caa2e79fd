import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { credentialSource, type CredentialProvider, ProvidedCredentials } from "./credentials.ts";

const MINUTE_MS = 60_000;

function clockAt(start: number): Clock & { nowAt: number } {
  return {
    ...systemClock,
    nowAt: start,
    nowMs() {
      return this.nowAt;
    },
  };
}

function provider(answers: CredentialProvider): {
  readonly asked: () => number;
  readonly load: () => Promise<CredentialProvider>;
} {
  let asked = 0;
  return {
    asked: () => asked,
    load: async () => () => {
      asked += 1;
      return answers();
    },
  };
}

describe("credentials from a provider", () => {
  it("are asked for once by many, and kept until shortly before they end", async () => {
    const clock = clockAt(0);
    const lent = provider(async () => ({
      accessKeyId: "a",
      secretAccessKey: "s",
      sessionToken: "t",
      expiration: new Date(clock.nowAt + 60 * MINUTE_MS),
    }));
    const source = new ProvidedCredentials(lent.load, clock);
    const all = await Promise.all([source.get(), source.get(), source.get()]);
    expect(all[0]).toEqual({ accessKeyId: "a", secretAccessKey: "s", sessionToken: "t", expiresMs: 60 * MINUTE_MS });
    clock.nowAt = 54 * MINUTE_MS;
    expect(await source.get()).toBe(all[0]);
    expect(lent.asked()).toBe(1);
    clock.nowAt = 56 * MINUTE_MS;
    expect((await source.get()).expiresMs).toBe(116 * MINUTE_MS);
    expect(lent.asked()).toBe(2);
  });

  it("are used to their end while the provider is out of order, and no longer", async () => {
    const clock = clockAt(0);
    let broken = false;
    const lent = provider(async () => {
      if (broken) throw new Error("no metadata service");
      return { accessKeyId: "a", secretAccessKey: "s", expiration: new Date(60 * MINUTE_MS) };
    });
    const source = new ProvidedCredentials(lent.load, clock);
    const first = await source.get();
    broken = true;
    clock.nowAt = 59 * MINUTE_MS;
    expect(await source.get()).toBe(first);
    clock.nowAt = 61 * MINUTE_MS;
    await expect(source.get()).rejects.toMatchObject({ code: "Unauthenticated" });
  });

  it("are asked for anew when the endpoint refused them", async () => {
    let serial = 0;
    const lent = provider(async () => ({ accessKeyId: `a${++serial}`, secretAccessKey: "s" }));
    const source = new ProvidedCredentials(lent.load, clockAt(0));
    const first = await source.get();
    expect(source.refuse(first)).toBe(true);
    expect((await source.get()).accessKeyId).toBe("a2");
  });
});

describe("credentials by name", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("come from the profile of that name", async () => {
    const directory = await mkdtemp(join(tmpdir(), "globalfs-profile-"));
    try {
      const file = join(directory, "credentials");
      await writeFile(
        file,
        "[other]\naws_access_key_id = x\naws_secret_access_key = y\n[mine]\naws_access_key_id = id\naws_secret_access_key = hush\n",
      );
      vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", file);
      vi.stubEnv("AWS_CONFIG_FILE", join(directory, "none"));
      const found = await credentialSource({ profile: "mine" }, systemClock).get();
      expect(found).toMatchObject({ accessKeyId: "id", secretAccessKey: "hush" });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("come from the environment when nothing else is said", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "from-env");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "hush");
    vi.stubEnv("AWS_SESSION_TOKEN", "token");
    vi.stubEnv("AWS_PROFILE", "");
    expect(await credentialSource(undefined, systemClock).get()).toMatchObject({
      accessKeyId: "from-env",
      sessionToken: "token",
    });
  });

  it("are none for public buckets", () => {
    expect(credentialSource("anonymous", systemClock).get()).toBeUndefined();
  });
});
