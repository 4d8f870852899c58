import { setTimeout as delay } from 'node:timers/promises'
import { age } from '../../support/age'
import type { Fate } from '../../support/servers/proxy'
import { fillDisk, freeDisk } from '../../support/servers/disk'
import { until } from '../../support/servers/until'
import { dump, mastersOf, replicate, type Deployment } from './deployment'
import type { Fault } from './history'
import type { AppNode } from './nodes'

/** What a fault strikes, and what decides how. */
export interface Scene {
  deployment: Deployment
  nodes: readonly AppNode[]
  random: () => number
}

/** What is known of a fault, once it is over. */
export type Effect = Partial<Pick<Fault, 'losesWrites' | 'stepsClock' | 'stepsRedis' | 'deafens'>> & {
  /** How it struck, for who reads of it. */
  detail?: string
}
/** Strikes, and mends what it has broken. */
export type Strike = (scene: Scene) => Promise<Effect>

const within = (random: () => number, least: number, most: number): number =>
  least + random() * (most - least)
const pick = <T>(random: () => number, all: readonly T[]): T =>
  all[Math.floor(random() * all.length)] as T
const everyNode = [0, 1]

// Any of them, but only while its replica has all that was written before: what is lost is then
// what was written from now on.
async function pickServer ({ deployment, random }: Scene) {
  const server = pick(random, deployment.servers)
  for (const master of await mastersOf(deployment)) {
    await replicate(deployment.admin(master), await deployment.keyOn(master))
  }
  return server
}

async function onProxies (
  { nodes, random }: Scene, direction: 'requests' | 'replies' | 'both', fate: Fate, time: number
): Promise<Effect> {
  const at = Math.floor(random() * nodes.length)
  const proxies = nodes[at]?.proxies ?? []
  // All servers, or one.
  const struck = random() < 0.7 ? proxies : [pick(random, proxies)]
  for (const proxy of struck) {
    if (direction !== 'replies') proxy.requests = fate
    if (direction !== 'requests') proxy.replies = fate
  }
  await delay(time)
  for (const proxy of struck) proxy.heal()
  const detail = `node ${at}, ${struck.length} of ${proxies.length} servers, ${direction}, ` +
    JSON.stringify(fate)
  return { deafens: [at], detail }
}

/** What goes wrong with the servers of Redis: one at a time, so that no two copies are lost. */
export const onServers: Record<string, Strike> = {
  async 'a Redis is killed' (scene) {
    const server = await pickServer(scene)
    await server.kill()
    // Back before its replica is promoted, or after.
    await delay(within(scene.random, 0, 4_000))
    await scene.deployment.restart(server)
    return { deafens: everyNode }
  },

  async 'a Redis stands still' (scene) {
    const server = await pickServer(scene)
    await server.pause()
    await delay(within(scene.random, 200, 4_000))
    await server.resume()
    return { deafens: everyNode }
  },

  async 'a disk is full' (scene) {
    const { deployment, random } = scene
    const server = await pickServer(scene)
    await fillDisk(server, Math.floor(within(random, 0, 300)))
    await delay(within(random, 200, 2_500))
    await freeDisk(server)
    if (server.alive) return { deafens: everyNode }
    // A replica that cannot write what its master has written ends itself.
    await deployment.restart(server)
    return { deafens: everyNode, detail: 'and its server has ended' }
  },

  async 'a replica takes over' (scene) {
    await pickServer(scene)
    const master = pick(scene.random, await mastersOf(scene.deployment))
    const losesWrites = await scene.deployment.failOver(master, scene.random)
    return { losesWrites, deafens: everyNode }
  },

  async 'the clock of Redis steps' ({ deployment, random }) {
    const step = pick(random, [-1_500, 1_500])
    const masters = (await mastersOf(deployment)).map(deployment.admin)
    // What it comes to is that all sessions are older, or younger.
    for (const ms of [step, -step]) {
      await Promise.all(masters.map(async (master) => {
        await until('memory for it', async () => { await age(master, ms); return true })
      }))
      await delay(within(random, 500, 3_000))
    }
    return { stepsRedis: step }
  },

  async 'slots move' ({ deployment, random }) {
    const keys = (await dump(deployment)).map(({ name }) => name)
    for (let i = 0; i < 8; i++) await deployment.moveSlot?.(pick(random, keys), random)
    return {}
  }
}

/** What goes wrong around them, also at the same time. */
export const around: Record<string, Strike> = {
  async 'an application is killed' ({ nodes, random }) {
    const at = Math.floor(random() * nodes.length)
    await nodes[at]?.kill()
    await delay(within(random, 0, 500))
    await nodes[at]?.start()
    return { deafens: [at] }
  },

  async 'an application stands still' ({ nodes, random }) {
    const at = Math.floor(random() * nodes.length)
    nodes[at]?.pause()
    await delay(within(random, 200, 3_500))
    nodes[at]?.resume()
    return { deafens: [at] }
  },

  async 'what an application sends comes too late' (scene) {
    return await onProxies(scene, 'requests', 'hold', within(scene.random, 1_500, 3_500))
  },

  async 'an application is cut off' (scene) {
    const { random } = scene
    const direction = pick(random, ['requests', 'replies', 'both'] as const)
    const fate = pick<Fate>(random, ['hold', 'swallow', { cut: Math.floor(random() * 60) }])
    return await onProxies(scene, direction, fate, within(random, 200, 3_500))
  },

  async 'a slow network' (scene) {
    const { random } = scene
    const direction = pick(random, ['requests', 'replies', 'both'] as const)
    return await onProxies(scene, direction, { delay: pick(random, [30, 150, 600, 1_300]) },
      within(random, 500, 3_500))
  },

  async 'Redis refuses connections' ({ nodes, random }) {
    const at = Math.floor(random() * nodes.length)
    const proxies = nodes[at]?.proxies ?? []
    await Promise.all(proxies.map(async (proxy) => await proxy.close()))
    await delay(within(random, 0, 3_000))
    await Promise.all(proxies.map(async (proxy) => await proxy.open()))
    return { deafens: [at] }
  },

  async 'the clock of an application steps' ({ nodes, random }) {
    const node = pick(random, nodes)
    const minutes = pick(random, [-1440, -10, 10, 1440])
    await node.setClock(minutes * 60_000)
    await delay(within(random, 500, 3_000))
    await node.setClock(0)
    return { stepsClock: true }
  },

  async 'scripts are forgotten' ({ deployment, random }) {
    for (let i = 0; i < 5; i++) {
      for (const server of deployment.servers) {
        await deployment.admin(server).script('FLUSH')
      }
      await delay(within(random, 20, 300))
    }
    return {}
  },

  async 'memory is full' ({ deployment, random }) {
    const masters = await mastersOf(deployment)
    const struck = random() < 0.5 ? masters : [pick(random, masters)]
    for (const master of struck) await deployment.admin(master).config('SET', 'maxmemory', 1)
    await delay(within(random, 200, 2_500))
    for (const master of struck) await deployment.admin(master).config('SET', 'maxmemory', 0)
    return {}
  }
}
