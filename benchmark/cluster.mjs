// What a refresh costs each of three masters of a Cluster, beside one master alone, with as many
// clients for each master and with as many for all; and beside a server that is no Cluster. All in
// turn. npm --prefix benchmark run cluster
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, freePort, start, startRedis } from './processes.mjs'
import { spread } from './report.mjs'

const [passes, ms] = [9, 1000]
const [file, name] = ['ours.mjs', 'ours HS256']
const slots = 16_384

/** Starts this many masters that share the slots. */
async function startCluster (size) {
  const nodes = await Promise.all(Array.from({ length: size }, async () => await startRedis(
    1,
    [
      '--cluster-enabled', 'yes',
      '--cluster-port', String(await freePort()),
      '--cluster-announce-ip', '127.0.0.1'
    ]
  )))
  const limit = (i) => Math.floor(slots * i / size)
  const [first, ...others] = nodes
  for (const [i, { client }] of nodes.entries()) {
    await client.cluster('ADDSLOTSRANGE', limit(i), limit(i + 1) - 1)
  }
  for (const { client, port } of others) {
    const [, bus] = /:\d+@(\d+)/.exec(await client.cluster('NODES'))
    await first.client.cluster('MEET', '127.0.0.1', port, bus)
  }
  for (const { client } of nodes) {
    while (!/cluster_state:ok[^]*cluster_slots_ok:16384/.test(await client.cluster('INFO'))) {
      await sleep(50)
    }
  }
  return nodes
}

/** The CPU that each node has used, in µs, and how many refreshes it has been asked for. */
const read = async (nodes) => await Promise.all(nodes.map(async ({ client, cpu }) => {
  const [, calls] = /cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats')) ?? [0, 0]
  return { cpu: await cpu(), calls: Number(calls) }
}))

const kinds = []
for (const [what, nodes, connections, kind] of [
  ['no Cluster, 63 clients', [await startRedis(1)], 63],
  ['three masters, 63 clients', await startCluster(3), 63, 'cluster'],
  ['one master, 21 clients', await startCluster(1), 21, 'cluster'],
  ['one master, 63 clients', await startCluster(1), 63, 'cluster']
]) {
  const server = start(0, 'server.mjs', file, name, nodes[0].port, ...kind ? [kind] : [])
  const [{ port }] = await once(server, 'message')
  const generator = start(1, 'load.mjs', file, name, port, connections)
  kinds.push({ what, nodes, server, generator, samples: [] })
}
for (const { generator } of kinds) await ask(generator, { load: 'refresh', ms: 2000, warmUp: true })
for (let pass = 0; pass < passes; pass++) {
  for (const { nodes, server, generator, samples } of kinds) {
    const before = { own: await ask(server), nodes: await read(nodes) }
    const { answered } = await ask(generator, { load: 'refresh', ms })
    const after = { own: await ask(server), nodes: await read(nodes) }
    const used = after.own.cpu.user + after.own.cpu.system
    const costs = after.nodes.map(({ cpu, calls }, i) => ({
      cpu: cpu - before.nodes[i].cpu, calls: calls - before.nodes[i].calls
    }))
    const all = costs.reduce((sum, { cpu }) => sum + cpu, 0)
    samples.push({
      server: (used - before.own.cpu.user - before.own.cpu.system) / answered,
      redis: all / answered,
      // What one refresh costs the master that is asked for it: one call each on a Cluster.
      masters: costs.map(({ cpu, calls }) => cpu / calls)
    })
  }
}

const show = (numbers, digits) => {
  const { median, min, max } = spread(numbers)
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
}
for (const { what, samples } of kinds) {
  const of = (part) => show(samples.map((sample) => sample[part]), 1)
  console.log(`${what}: a refresh costs ${of('server')} µs of the server, ${of('redis')} µs of Redis`)
}
const [, three, ...alone] = kinds
for (const { what, samples } of alone) {
  for (const i of three.nodes.keys()) {
    const ratios = three.samples.map(({ masters }, pass) => masters[i] / samples[pass].masters[0])
    console.log(`master ${i + 1} of three beside ${what}: ${show(ratios, 3)}`)
  }
}
for (const { nodes, server, generator } of kinds) {
  for (const child of [server, generator]) child.disconnect()
  for (const node of nodes) await node.stop()
}
