import { setMaxListeners } from "node:events";

const relieved = new WeakSet<AbortSignal>();

/** One signal may stop hundreds of requests at once; Node warns of a leak at eleven listeners unless told otherwise. */
export function allowManyListeners(signal: AbortSignal): AbortSignal {
  if (!relieved.has(signal)) {
    relieved.add(signal);
    setMaxListeners(0, signal);
  }
  return signal;
}
