type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

/** `T` with every property that may be undefined made absent instead. */
export type Defined<T> = {
  [K in Exclude<keyof T, OptionalKeys<T>>]: T[K];
} & { [K in OptionalKeys<T>]?: Exclude<T[K], undefined> };

/** Absent and undefined are different things in our types; this drops what is undefined. */
export function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Defined<T>;
}
