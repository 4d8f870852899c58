/**
 * Returns what a store's failure says that may be told. The arguments of a command are secret: a
 * client's error carries them, and Redis quotes those of a command that it does not know; only what
 * is said before them goes on.
 */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/, with args[^]*/, '') : 'the store failed'
