/** What somebody who has read something may rely on when somebody else changes it: `docs/semantics.md` says what each promises. */
export type Consistency = "strict" | "close-to-open" | "eventual";
