/** `true` where both are the very same type; `any` is the same as nothing but itself. */
export type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Fails to compile unless the type given is `true`. */
export declare function same<T extends true> (holds: T): void
