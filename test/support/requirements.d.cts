/** A program that the tests need besides npm's packages. */
export type Program = 'redis-server' | 'chromium' | 'openssl' | 'curl' | 'nginx' | 'python3'

/** Returns the path of a program; undefined if it is missing. */
export function find (name: Program): string | undefined

/** Returns the sentence that says what to install; undefined if there is nothing to say. */
export function complaint (name: Program): string | undefined
