/* global afterEach, jest, test */
const { storeContract } = require('fastify-jwt-sessions/testing')
const { createSubject, pass } = require('./scenario.cjs')

afterEach(() => { jest.useRealTimers() })
storeContract(createSubject, { test })

for (const kind of ['MemoryStore', 'RedisStore']) {
  test(`${kind} under Jest, timers faked`, async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] })
    await pass(kind, (ms) => { jest.setSystemTime(ms) })
  })
}
