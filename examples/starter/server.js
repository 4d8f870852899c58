import { buildApp } from './app.js'

const { AUTH_SECRET, REDIS_URL = 'redis://localhost', HOST = '127.0.0.1', PORT = '3000', TRUST_PROXY = 'false' } = process.env
if (AUTH_SECRET === undefined) throw new Error('AUTH_SECRET is missing: openssl rand -base64 48')

const app = await buildApp({ secret: AUTH_SECRET, redisUrl: REDIS_URL, logger: true, trustProxy: TRUST_PROXY === 'true' })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
await app.listen({ host: HOST, port: Number(PORT) })
