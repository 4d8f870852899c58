import { randomUUID } from 'node:crypto'
import { bound } from './contract/bound'
import { endings } from './contract/endings'
import { sessions } from './contract/sessions'
import { spentOnIssue } from './contract/spent-on-issue'
import { spentOnUse } from './contract/spent-on-use'
import type { Declare, Subject } from './contract/subject'

export type { Subject } from './contract/subject'

/** Declares a test: the `test` of `node:test`, tap or Vitest. */
export type Test = (title: string, body: () => Promise<void>) => unknown

/**
 * Holds a store to what every store promises: declares over fifty tests, each for a user of its
 * own. What is optional is tested if the store has it.
 * @param createStore called for each test; may hand out one store to all of them
 * @param options.test declares one test
 * @example storeContract(() => ({ store, pass: (ms) => clock.pass(ms) }), { test })
 */
export function storeContract (
  createStore: () => Promise<Subject> | Subject,
  { test }: { test: Test }
): void {
  const declare: Declare = (title, body) => {
    test(title, async () => { await body(await createStore(), randomUUID()) })
  }
  for (const part of [sessions, endings, spentOnIssue, spentOnUse, bound]) part(declare)
}
