/** The entry of the thread that talks to the kernel. */
import { runWorker } from "./session/worker-main.ts";

await runWorker();
