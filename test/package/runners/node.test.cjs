const { test } = require('node:test')
const { storeContract } = require('fastify-jwt-sessions/testing')
const { createSubject, pass } = require('./scenario.cjs')

storeContract(createSubject, { test })

for (const kind of ['MemoryStore', 'RedisStore']) {
  for (const apis of [['Date'], ['Date', 'setTimeout', 'setInterval']]) {
    test(`${kind} under node:test, ${apis} faked`, async (t) => {
      t.mock.timers.enable({ apis, now: Date.now() })
      await pass(kind, (ms) => { t.mock.timers.setTime(ms) })
    })
  }
}
