import type { Pace } from "../../http/index.ts";
import type { GateSettings } from "./types.ts";

export function paceOf({ bodyIdleMs, minBytesPerSecond }: GateSettings): Pace {
  return { idleMs: bodyIdleMs, ...(minBytesPerSecond === undefined ? {} : { minBytesPerSecond }) };
}
