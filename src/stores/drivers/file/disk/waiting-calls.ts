import { Semaphore } from "../../../../core/async/semaphore.ts";

/** The library of C calls throws at its 257th call at a time, and threads that wait for a disk are needed by others, too. */
export const waitingCalls = new Semaphore(32);
