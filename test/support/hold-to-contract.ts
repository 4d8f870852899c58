import type { Subject } from '../../lib/testing/contract/subject'
import { storeContract } from '../../lib/testing/store-contract'

type Test = InstanceType<typeof import('tap').Test>

/** Holds a store to the contract of a store, under tap. */
export function holdToContract (
  t: Test, name: string, createStore: () => Promise<Subject> | Subject
): void {
  storeContract(createStore, {
    test: async (title, body) => await t.test(`${name}: ${title}`, async () => { await body() })
  })
}
