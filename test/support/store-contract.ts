import { randomUUID } from 'node:crypto'
import { bound } from './contract/bound'
import { endings } from './contract/endings'
import { sessions } from './contract/sessions'
import { spentOnIssue } from './contract/spent-on-issue'
import { spentOnUse } from './contract/spent-on-use'
import type { Declare, Subject } from './contract/subject'

export type { Subject } from './contract/subject'

/** Declares a test: that of `node:test`, tap or vitest. */
export type Test = (title: string, body: () => Promise<void>) => unknown

/**
 * Holds a store to what every store promises.
 * @param createStore creates a fresh store for each test, or hands out one that others use
 */
export function storeContract (createStore: () => Promise<Subject> | Subject, { test }: { test: Test }): void {
  const declare: Declare = (title, body) => {
    test(title, async () => { await body(await createStore(), randomUUID()) })
  }
  for (const part of [sessions, endings, spentOnIssue, spentOnUse, bound]) part(declare)
}
