/** A record whose names others choose: `__proto__`, `constructor` and `toString` are names like all others, and none of them is in it before it is put there. */
export function emptyRecord<Value>(): Record<string, Value> {
  return Object.create(null) as Record<string, Value>;
}
