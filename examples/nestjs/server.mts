import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { MemoryStore } from 'fastify-jwt-sessions'
import { createApp } from './app.mjs'

const {
  AUTH_SECRET = 'a secret for a demo, and for nothing else',
  REDIS_URL,
  PORT = '3000'
} = process.env
const app = await createApp({
  secret: AUTH_SECRET,
  ...(REDIS_URL === undefined ? { store: new MemoryStore() } : { redis: new Redis(REDIS_URL) })
})
await app.listen(Number(PORT), '127.0.0.1')
console.log(`http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`)
