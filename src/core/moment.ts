/**
 * A point in time to the nanosecond, in numbers that are quick to work with: whole milliseconds since 1970, negative before it, and the nanoseconds
 * after those, 0 to 999,999. So what is earlier has the smaller `ms`, and among equal ones the smaller `ns`.
 */
export interface Moment {
  readonly ms: number;
  readonly ns: number;
}

export function momentOf(ms: number): Moment {
  return { ms: Math.round(ms), ns: 0 };
}

export function isSameMoment(one: Moment, other: Moment): boolean {
  return one === other || (one.ms === other.ms && one.ns === other.ns);
}

export function laterOf(one: Moment, other: Moment): Moment {
  return other.ms > one.ms || (other.ms === one.ms && other.ns > one.ns) ? other : one;
}
