import { buildApp } from './app.js'

const { AUTH_SECRET, REDIS_URL = 'redis://localhost', HOST = '127.0.0.1' } = process.env
const { PORT = '3000', TRUST_PROXY = '0' } = process.env

if (AUTH_SECRET === undefined) stop('AUTH_SECRET is missing: openssl rand -hex 32')
// A number, since "all of them" would let every client invent its own address.
if (!/^\d$/.test(TRUST_PROXY)) {
  stop(`TRUST_PROXY is how many proxies are in front of this service, not ${TRUST_PROXY}`)
}

const app = await buildApp({
  secret: AUTH_SECRET, redisUrl: REDIS_URL, logger: true, proxies: Number(TRUST_PROXY)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
await app.listen({ host: HOST, port: Number(PORT) })

function stop (sentence) {
  console.error(sentence)
  process.exit(1)
}
