/**
 * What each dashboard query costs: milliseconds of CPU of the whole process, one query after the other over a week of
 * 10,000 series, when it was asked before, and nobody takes an answer from a cache.
 *
 *   node bench/query-costs.ts [--peers=tercet,victoria-metrics] [--rounds=10] [--only=23,25] [--data=DIR]
 *                             [--profile=DIR]
 *
 * `--data=` keeps the data for the next run, `--profile=` writes CPU profiles of Tercet.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bodies, labelBytes, type Shape } from './load.ts'
import { isInstalled, Peer, type PeerName } from './peers.ts'
import { dashboardQueries, type DashboardQuery, functionQueries } from './queries.ts'
import { closeSenders, sendBodies } from './send-bodies.ts'

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: 'tercet,victoria-metrics' },
    rounds: { type: 'string', default: '10' },
    data: { type: 'string' },
    only: { type: 'string' },
    profile: { type: 'string' },
    program: { type: 'string' },
  },
})
const peers = (values.peers.split(',') as PeerName[]).filter(isInstalled)
const rounds = Number(values.rounds)
const only = values.only?.split(',').map(Number)
const directory = values.data ?? mkdtempSync(join(tmpdir(), 'query-costs-'))
const stepMs = 180_000
const steps = (7 * 86_400_000) / stepMs
const series = 10_000

/** Of the data, which may be of an earlier run. */
function endOfData(): number {
  const path = join(directory, 'end-ms')
  mkdirSync(directory, { recursive: true })
  if (!existsSync(path)) writeFileSync(path, String(Math.floor(Date.now() / stepMs) * stepMs))
  return Number(readFileSync(path, 'utf8'))
}

const endMs = endOfData()

async function fill(name: PeerName, own: string): Promise<void> {
  const shape: Shape = { series, seriesPerBody: 5000, startMs: endMs - steps * stepMs, stepMs }
  const keys = Array.from({ length: series }, (_, i) => labelBytes(i))
  mkdirSync(own)
  const peer = await Peer.start(name, { directory: own })
  for (let step = 0; step < steps; step++)
    if ((await sendBodies(peer.writeUrl, bodies(keys, shape, step))) > 0) throw new Error(`${name} refused a body`)
  if (name === 'tercet') await fetch(`${peer.url}/-/flush`, { method: 'POST' })
  if (name === 'victoria-metrics') await fetch(`${peer.url}/internal/force_flush`)
  await peer.stop(true)
}

async function ask(peer: Peer, { path, parameters }: DashboardQuery): Promise<void> {
  const fields = { ...parameters, nocache: '1' }
  const reply = await fetch(`${peer.url}${path}`, { method: 'POST', body: new URLSearchParams(fields) })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${peer.name}: ${parameters['query'] ?? ''}: ${reply.status} ${text.slice(0, 200)}`)
}

/** Milliseconds of CPU a query, and the peak of the memory in MiB. */
async function measure(name: PeerName, queries: readonly DashboardQuery[]): Promise<{ costs: number[]; peak: number }> {
  const own = join(directory, name)
  if (!existsSync(own)) await fill(name, own)
  const peer = await Peer.start(name, { directory: own })
  const costs: number[] = []
  for (const query of queries) {
    await ask(peer, query)
    const before = peer.cost().cpuSeconds
    for (let round = 0; round < rounds; round++) await ask(peer, query)
    costs.push(((peer.cost().cpuSeconds - before) / rounds) * 1000)
  }
  const peak = peer.cost().peakBytes / (1024 * 1024)
  await peer.stop(true)
  return { costs, peak }
}

const all = [...dashboardQueries(endMs), ...functionQueries(endMs)]
const queries = only === undefined ? all : only.flatMap(i => all[i] ?? [])
const measured = new Map<PeerName, { costs: number[]; peak: number }>()
for (const name of peers) measured.set(name, await measure(name, queries))
if (values.data === undefined) rmSync(directory, { recursive: true, force: true })
closeSenders()

const ratios = peers.filter(name => name !== 'tercet')
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const numbersOf = (value: (name: PeerName) => number): string[] => [
  ...peers.map(name => value(name).toFixed(1)),
  ...ratios.map(name => (value('tercet') / value(name)).toFixed(2)),
]
console.log(row(['query', 'step', ...peers.map(name => `${name}, ms`), ...ratios.map(name => `tercet / ${name}`)]))
console.log(row(['---', '---', ...peers.map(() => '---'), ...ratios.map(() => '---')]))
for (const [i, { parameters }] of queries.entries()) {
  const step = parameters['step'] === undefined ? 'instant' : `${parameters['step']} s`
  const cells = numbersOf(name => measured.get(name)?.costs[i] ?? NaN)
  console.log(row([`\`${(parameters['query'] ?? '').replaceAll('|', '\\|')}\``, step, ...cells]))
}
const sumOf = (name: PeerName): number => measured.get(name)?.costs.reduce((sum, cost) => sum + cost, 0) ?? NaN
console.log(row(['all of them', '', ...numbersOf(sumOf)]))
console.log(row(['peak of the memory, MiB', '', ...numbersOf(name => measured.get(name)?.peak ?? NaN)]))
