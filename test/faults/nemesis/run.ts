import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { random as randomFrom } from '../random'
import { resumption } from './checker'
import { createNode, dump, type Deployment } from './deployment'
import type { Fault, History, Key } from './history'
import { compile, type AppNode } from './nodes'
import { Population } from './population'
import { Site } from './site'
import { createDeck, strike } from './strike'

/** In ms. Longer than any fault: what the network holds back must not be taken for reuse. */
const gracePeriod = 8_000

/**
 * Lets users live, and strikes until so many seconds are over; resolves with what happened to each
 * of the two applications, by `spentOn`.
 */
export async function run (
  start: () => Promise<Deployment>, seed: number, seconds: number
): Promise<History[]> {
  const random = randomFrom(seed)
  const issue = random() < 0.5
  const given = { gracePeriod, durable: { issue, use: !issue } }
  const program = compile()
  const deployment = await start()
  const nodes: AppNode[] = []
  let population: Population | undefined
  try {
    for (let i = 0; i < 2; i++) nodes.push(await createNode(program, deployment, given))
    await Promise.all(nodes.map(async (node) => { await node.start() }))
    const sites = (['issue', 'use'] as const).map((spentOn) =>
      new Site(nodes, { spentOn, gracePeriod, durable: given.durable[spentOn] }))
    population = new Population(sites, random)
    await population.goesOn(resumption)
    const scene = { deployment, nodes, random }
    const deal = createDeck(deployment, random)
    const faults: Fault[] = []
    const dumps: Key[][] = []
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      faults.push(await strike(scene, deal()))
      await population.goesOn(resumption)
      dumps.push(await dump(deployment))
      // Long enough now and then to judge whether news of endings arrive.
      await delay(random() ** 3 * 6_000)
    }
    await population.stop()
    const end = performance.now()
    return sites.map(({ setting, entries }) => {
      const other = setting.spentOn === 'issue' ? 'use:' : 'issue:'
      const own = dumps.map((keys) => keys.filter(({ name }) => !name.startsWith(other)))
      const hearing = nodes.flatMap((each, node) =>
        each.hearing[setting.spentOn].map((change) => ({ node, ...change })))
      return { setting, entries, faults, dumps: own, hearing, end }
    })
  } finally {
    await population?.stop()
    await Promise.all(nodes.map(async (node) => { await node.stop() }))
    await deployment.stop()
    rmSync(program)
  }
}
