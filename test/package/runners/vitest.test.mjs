import { afterEach, test, vi } from 'vitest'
import { storeContract } from 'fastify-jwt-sessions/testing'
import { createSubject, pass } from './scenario.cjs'

afterEach(() => { vi.useRealTimers() })
storeContract(createSubject, { test })

for (const kind of ['MemoryStore', 'RedisStore']) {
  for (const toFake of [['Date'], ['Date', 'setTimeout', 'setInterval']]) {
    test(`${kind} under Vitest, ${toFake} faked`, async () => {
      vi.useFakeTimers({ toFake })
      await pass(kind, (ms) => { vi.setSystemTime(ms) })
    })
  }
}
