// A contender's server in a process of its own:
// node server.mjs <file> <name> <Redis port> [cluster]
import { setTimeout as sleep } from 'node:timers/promises'

const [file, name, redisPort, kind] = process.argv.slice(2)
const { contenders } = await import(`./contenders/${file}`)

const port = await contenders[name].start(Number(redisPort), kind === 'cluster')

process.on('message', async () => {
  await sleep(5) // responses that are still on their way out
  process.send({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() })
})
process.on('disconnect', () => process.exit())
process.send({ port })
