/**
 * npm run bench: the metrics table against whatever peers are on the PATH (Debian's `victoria-metrics` and `prometheus`
 * packages). Everybody gets the same bytes in the same run; ratios are what counts.
 *
 *   node bench/metrics.ts [--quick] [--only=steady,register,million,query] [--peers=tercet,prometheus]
 */
import { bodies, labelBytes, type Shape } from './load.ts'
import { directoryBytes, isInstalled, Peer, type PeerName } from './peers.ts'
import { dashboardQueries } from './queries.ts'
import { closeSenders, sendBodies } from './send-bodies.ts'

const flag = (name: string): string | undefined =>
  process.argv.find(arg => arg.startsWith(`--${name}=`))?.slice(name.length + 3)
const quick = process.argv.includes('--quick')
const only = flag('only')?.split(',')
const peers = (
  (flag('peers')?.split(',') as PeerName[] | undefined) ?? ['tercet', 'victoria-metrics', 'prometheus']
).filter(isInstalled)

interface Row {
  what: string
  unit: string
  values: Map<PeerName, number>
}
const rows: Row[] = []
function note(what: string, unit: string, peer: PeerName, value: number): void {
  let row = rows.find(r => r.what === what)
  if (row === undefined) rows.push((row = { what, unit, values: new Map() }))
  row.values.set(peer, value)
  console.error(`  ${peer}: ${what} = ${value.toPrecision(4)} ${unit}`)
}

const mib = 1024 * 1024

async function steady(): Promise<void> {
  const series = 10_000
  const steps = quick ? 100 : 300
  const keys = Array.from({ length: series }, (_, i) => labelBytes(i))
  const shape: Shape = {
    series,
    seriesPerBody: 2000,
    startMs: Math.floor(Date.now() / 15_000) * 15_000 - (steps + 20) * 15_000,
    stepMs: 15_000,
  }
  const warm = Array.from({ length: 10 }, (_, step) => [...bodies(keys, shape, step)]).flat()
  const load = Array.from({ length: steps }, (_, step) => [...bodies(keys, shape, step + 10)]).flat()
  for (const name of peers) {
    const peer = await Peer.start(name)
    const registerFrom = peer.cost().cpuSeconds
    await sendBodies(peer.writeUrl, warm)
    const before = peer.cost().cpuSeconds
    const startedMs = performance.now()
    const refused = await sendBodies(peer.writeUrl, load)
    const wall = (performance.now() - startedMs) / 1000
    const after = peer.cost()
    if (refused > 0) console.error(`  ${name}: ${refused} requests were refused`)
    note('remote write, steady: CPU-s per M samples', 's', name, (after.cpuSeconds - before) / ((series * steps) / 1e6))
    note('remote write, steady: wall-s per M samples', 's', name, wall / ((series * steps) / 1e6))
    // req-003: beside Prometheus and VictoriaMetrics; the ratio is printed, and no bar.
    note('peak RSS, 10 k series', 'MiB', name, after.peakBytes / mib)
    void registerFrom
    await peer.stop()
  }
}

async function register(): Promise<void> {
  const series = quick ? 100_000 : 300_000
  const keys = Array.from({ length: series }, (_, i) => labelBytes(i + 1_000_000))
  const shape: Shape = { series, seriesPerBody: 2000, startMs: Date.now() - 60_000, stepMs: 15_000 }
  const load = [...bodies(keys, shape, 0)]
  for (const name of peers) {
    const peer = await Peer.start(name)
    const before = peer.cost().cpuSeconds
    await sendBodies(peer.writeUrl, load)
    note('registering: CPU-s per M new series', 's', name, (peer.cost().cpuSeconds - before) / (series / 1e6))
    await peer.stop()
  }
}

async function million(): Promise<void> {
  const series = 1_000_000
  const shape: Shape = { series, seriesPerBody: 2000, startMs: Date.now() - 600_000, stepMs: 15_000 }
  for (const name of peers) {
    const peer = await Peer.start(name)
    for (let step = 0; step < 5; step++) {
      for (let from = 0; from < series; from += 50_000)
        await sendBodies(
          peer.writeUrl,
          bodies(
            Array.from({ length: 50_000 }, (_, i) => labelBytes(from + i)),
            { ...shape, series: 50_000 },
            step,
          ),
        )
    }
    note('peak RSS, 1 M active series', 'MiB', name, peer.cost().peakBytes / mib)
    await peer.stop()
  }
}

async function query(): Promise<void> {
  const series = quick ? 1000 : 10_000
  const days = quick ? 1 : 7
  const stepMs = quick ? 30_000 : 180_000
  const steps = Math.floor((days * 86_400_000) / stepMs)
  const endMs = Math.floor(Date.now() / stepMs) * stepMs
  const keys = Array.from({ length: series }, (_, i) => labelBytes(i))
  const shape: Shape = { series, seriesPerBody: 5000, startMs: endMs - steps * stepMs, stepMs }
  for (const name of peers) {
    let peer = await Peer.start(name)
    for (let step = 0; step < steps; step++) await sendBodies(peer.writeUrl, bodies(keys, shape, step))
    if (name === 'tercet') await fetch(`${peer.url}/-/flush`, { method: 'POST' })
    if (name === 'victoria-metrics') await fetch(`${peer.url}/internal/force_flush`)
    await peer.stop(true)
    note(
      'bytes on disk',
      'MB',
      name,
      directoryBytes(name === 'tercet' ? `${peer.directory}/bucket` : peer.directory) / 1e6,
    )
    peer = await Peer.start(name, peer.directory)
    const queries = dashboardQueries(endMs)
    for (const round of ['cold', 'warm'] as const) {
      const before = peer.cost().cpuSeconds
      const startedMs = performance.now()
      for (const { path, parameters } of queries) {
        const reply = await fetch(`${peer.url}${path}`, { method: 'POST', body: new URLSearchParams(parameters) })
        const text = await reply.text()
        if (!reply.ok) console.error(`  ${name}: ${parameters['query'] ?? ''}: ${reply.status} ${text.slice(0, 200)}`)
      }
      note(`${queries.length} dashboard queries, ${round}: CPU-s`, 's', name, peer.cost().cpuSeconds - before)
      note(`${queries.length} dashboard queries, ${round}: wall-s`, 's', name, (performance.now() - startedMs) / 1000)
    }
    note('peak RSS of the queries', 'MiB', name, peer.cost().peakBytes / mib)
    await peer.stop()
  }
}

const parts = { steady, register, million, query } as const
for (const [name, run] of Object.entries(parts)) {
  if (only !== undefined ? !only.includes(name) : quick && name === 'million') continue
  console.error(name)
  await run()
}
console.log(
  `| work | unit | ${peers.join(' | ')} | ${peers
    .filter(p => p !== 'tercet')
    .map(p => `tercet / ${p}`)
    .join(' | ')} |`,
)
console.log(
  `|---|---|${peers.map(() => '---|').join('')}${peers
    .filter(p => p !== 'tercet')
    .map(() => '---|')
    .join('')}`,
)
for (const { what, unit, values } of rows) {
  const ratio = (peer: PeerName): string => ((values.get('tercet') ?? NaN) / (values.get(peer) ?? NaN)).toFixed(2)
  console.log(
    `| ${what} | ${unit} | ${peers.map(p => values.get(p)?.toPrecision(3) ?? '').join(' | ')} | ${peers
      .filter(p => p !== 'tercet')
      .map(ratio)
      .join(' | ')} |`,
  )
}
closeSenders()
