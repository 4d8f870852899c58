import { random as randomFrom } from '../random'
import { hasDisk } from '../../support/servers/disk'
import { mastersOf, type Deployment } from './deployment'
import { around, onServers, type Scene, type Strike } from './faults'
import type { Fault } from './history'

/** Deals all faults in a random order, and then anew; now and then two of them together. */
export function createDeck ({ moveSlot }: Deployment, random: () => number) {
  let deck: [string, Strike][] = []
  const deal = (): [string, Strike] => {
    if (deck.length === 0) {
      deck = Object.entries({ ...onServers, ...around })
        .filter(([name]) => name !== 'slots move' || moveSlot !== undefined)
        .filter(([name]) => name !== 'a disk is full' || hasDisk)
        .map((fault) => ({ fault, at: random() }))
        .sort((a, b) => a.at - b.at)
        .map(({ fault }) => fault)
    }
    return deck.pop() as [string, Strike]
  }
  return (): [string, Strike][] => {
    const one = deal()
    const [next = ''] = deck.at(-1) ?? []
    return random() < 0.3 && next in around ? [one, deal()] : [one]
  }
}

/** Strikes with these faults; resolves once everything is whole again. */
export async function strike (scene: Scene, faults: [string, Strike][]): Promise<Fault> {
  const { deployment } = scene
  // Each has numbers of its own, so that the order of events changes none of them.
  const chosen = faults.map(([name, strike]) => {
    const random = randomFrom(Math.floor(scene.random() * 2 ** 32))
    return [name, async () => await strike({ ...scene, random })] as const
  })
  const before = await topology(deployment)
  const from = performance.now()
  const effects = await Promise.all(chosen.map(async ([, strike]) => await strike()))
  await deployment.ready()
  const isNew = await topology(deployment) !== before
  const isAsked = chosen.some(([name]) => name === 'a replica takes over')
  return {
    name: chosen.map(([name], i) =>
      [name, ...effects[i]?.detail ? [`(${effects[i].detail})`] : []].join(' ')).join(' and '),
    from,
    to: performance.now(),
    // A replica that was promoted unasked knows what had reached it.
    losesWrites: (isNew && !isAsked) || effects.some(({ losesWrites }) => losesWrites),
    stepsClock: effects.some(({ stepsClock }) => stepsClock),
    stepsRedis: effects.find(({ stepsRedis }) => stepsRedis !== undefined)?.stepsRedis,
    deafens: effects.flatMap(({ deafens }) => deafens ?? [])
  }
}

async function topology (deployment: Deployment): Promise<string> {
  return (await mastersOf(deployment)).map(({ port }) => port).sort().join()
}
