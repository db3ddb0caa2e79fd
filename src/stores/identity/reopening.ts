import { CALLS, TRANSFERS } from "../layers/delegate.ts";
import type { Store, StoreCapabilities } from "../store.ts";

export interface Reopening {
  /** Opens what is there; rejects while it is not. */
  readonly open: () => Promise<Store>;
  /** Makes what is missing first. */
  readonly make: () => Promise<Store>;
  readonly driver: string;
  /** What is assumed until it could be opened. */
  readonly capabilities: StoreCapabilities;
}

/** A store that could not be opened and is tried again whenever somebody asks for it. One that has been opened stays open. */
export function reopeningStore({ open, make, driver, capabilities }: Reopening): Store {
  let current: Store | undefined;
  let opening: Promise<Store> | undefined;
  let closed = false;

  const use = async (how: () => Promise<Store>): Promise<Store> => {
    if (current !== undefined) return current;
    opening ??= how().finally(() => {
      opening = undefined;
    });
    const opened = await opening;
    if (closed) await opened.close();
    current = opened;
    return opened;
  };
  const later = <Name extends keyof Store>(name: Name): Store[Name] =>
    (async (...args: readonly unknown[]) => {
      const store = await use(open);
      return await (store[name] as (...given: readonly unknown[]) => unknown)(...args);
    }) as Store[Name];

  const names = [...CALLS, ...TRANSFERS, "get", "stage", "check", "sweep"] as const;
  return {
    ...(Object.fromEntries(names.map((name) => [name, later(name)])) as Pick<Store, (typeof names)[number]>),
    driver,
    get capabilities() {
      return current?.capabilities ?? capabilities;
    },
    medium: {
      async stamp() {
        return (await (await use(open)).medium?.stamp()) ?? "";
      },
      async prepare() {
        if (current === undefined) await use(make);
        else await current.medium?.prepare();
      },
    },
    async close() {
      closed = true;
      await opening?.catch(() => undefined);
      await current?.close();
    },
  };
}
