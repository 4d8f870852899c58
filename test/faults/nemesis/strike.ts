import { random as randomFrom } from '../random'
import { mastersOf, type Deployment } from './deployment'
import { around, onServers, type Scene, type Strike } from './faults'
import type { Fault } from './history'

/** What strikes together: one of all faults, and now and then another one around the servers. */
function choose ({ deployment, random }: Scene): [string, Strike][] {
  const pick = (faults: Record<string, Strike>) => {
    const all = Object.entries(faults)
      .filter(([name]) => name !== 'slots move' || deployment.moveSlot !== undefined)
    return all[Math.floor(random() * all.length)] as [string, Strike]
  }
  const one = pick({ ...onServers, ...around })
  const other = pick(around)
  return random() < 0.3 && one[0] !== other[0] ? [one, other] : [one]
}

/** Strikes at random; resolves once everything is whole again. */
export async function strike (scene: Scene): Promise<Fault> {
  const { deployment } = scene
  // Each has numbers of its own, so that the order of events changes none of them.
  const chosen = choose(scene).map(([name, strike]) => {
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
    deafens: effects.flatMap(({ deafens }) => deafens ?? [])
  }
}

async function topology (deployment: Deployment): Promise<string> {
  return (await mastersOf(deployment)).map(({ port }) => port).sort().join()
}
