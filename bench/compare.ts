/**
 * Asks a real `prometheus` on the PATH and Tercet the same questions over the same blocks, and prints what differs:
 * node bench/compare.ts [--all]. Series of instant vectors are compared as sets; everything else byte by byte.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runTercet } from '../test/run-tercet.ts'

const directory = mkdtempSync(join(tmpdir(), 'compare-'))
const port = await new Promise<number>(resolve => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const address = probe.address()
    probe.close(() => {
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
})
mkdirSync(`${directory}/data/bucket/metrics/anonymous`, { recursive: true })
for (const folder of ['blocks', 'blocks-native']) {
  cpSync(`fixtures/prometheus/${folder}`, `${directory}/data/bucket/metrics/anonymous`, { recursive: true })
  cpSync(`fixtures/prometheus/${folder}`, `${directory}/prometheus`, { recursive: true })
}
writeFileSync(`${directory}/empty.yml`, 'global: {}\n')
const child = spawn(
  'prometheus',
  [
    `--config.file=${directory}/empty.yml`,
    `--storage.tsdb.path=${directory}/prometheus`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--storage.tsdb.retention.time=100y',
    '--log.level=error',
    '--enable-feature=promql-experimental-functions,promql-duration-expr,promql-delayed-name-removal',
  ],
  { stdio: 'ignore' },
)
const prometheus = `http://127.0.0.1:${port}`
for (let i = 0; i < 200; i++) {
  if (
    await fetch(`${prometheus}/-/ready`).then(
      r => r.ok,
      () => false,
    )
  )
    break
  await new Promise(resolve => setTimeout(resolve, 50))
}
const tercet = await runTercet(['metrics.retention=inf'], directory)

const end = 1795093200
const names = ((await (await fetch(`${prometheus}/api/v1/label/__name__/values`)).json()) as { data: string[] }).data
const selector = (name: string): string =>
  /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : `{${JSON.stringify(name)}}`
const queries: string[] = []
const overTime = [
  'rate',
  'increase',
  'irate',
  'delta',
  'idelta',
  'avg_over_time',
  'sum_over_time',
  'min_over_time',
  'max_over_time',
  'count_over_time',
  'last_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'present_over_time',
  'changes',
  'resets',
  'deriv',
  'mad_over_time',
  'ts_of_max_over_time',
  'ts_of_min_over_time',
  'ts_of_last_over_time',
]
for (const name of names) {
  const s = selector(name)
  queries.push(
    s,
    `count(${s})`,
    `sum by (job) (${s})`,
    `avg without (instance) (${s})`,
    `topk(3, ${s})`,
    `quantile(0.7, ${s})`,
    `stddev(${s})`,
    `${s} > 10`,
    `${s} * 2 + 1`,
    `${s} / on (instance, job) group_left () count by (instance, job) (${s})`,
    `abs(${s}) ^ 0.5`,
    `ln(${s})`,
    `${s} offset 13m`,
    `count_values("v", ${s})`,
    `sort_desc(${s})`,
    `timestamp(${s})`,
    `label_replace(${s}, "x", "$1", "instance", "(.*):.*")`,
  )
  for (const f of overTime) queries.push(`${f}(${s}[7m])`)
  queries.push(
    `sum by (job) (rate(${s}[5m]))`,
    `max_over_time(rate(${s}[5m])[30m:1m])`,
    `predict_linear(${s}[20m], 600)`,
    `quantile_over_time(0.3, ${s}[15m])`,
    `double_exponential_smoothing(${s}[10m], 0.4, 0.3)`,
    `histogram_quantile(0.9, ${s})`,
    `histogram_quantile(0.9, sum by (le) (rate(${s}[5m])))`,
    `histogram_count(${s})`,
    `histogram_avg(rate(${s}[10m]))`,
    `absent(${s}{nope="x"})`,
    `${s} unless ${s} > 100`,
    `sum(${s}) by (job) or vector(1)`,
  )
}
const instants = queries.map(query => ({ path: '/api/v1/query', parameters: { query, time: String(end - 1234) } }))
const ranges = queries
  .filter((_, i) => i % 2 === 0)
  .map(query => ({
    path: '/api/v1/query_range',
    parameters: { query, start: String(end - 3600), end: String(end), step: '73' },
  }))

interface Answer {
  status: string
  data?: { resultType: string; result: { metric?: Record<string, string> }[] }
  warnings?: string[]
  infos?: string[]
  errorType?: string
  error?: string
}

function canonical(answer: Answer): string {
  const result = answer.data?.result
  const shown = Array.isArray(result)
    ? result.map(s =>
        s.metric === undefined ? JSON.stringify(s) : JSON.stringify({ ...s, metric: Object.entries(s.metric).sort() }),
      )
    : [JSON.stringify(result)]
  return JSON.stringify({
    status: answer.status,
    type: answer.data?.resultType,
    result: answer.data?.resultType === 'vector' ? shown.sort() : shown,
    warnings: answer.warnings?.toSorted(),
    infos: answer.infos?.toSorted(),
    errorType: answer.errorType,
    error: answer.error,
  })
}

let same = 0
const different: string[] = []
for (const { path, parameters } of [...instants, ...ranges]) {
  const ask = async (url: string): Promise<string> =>
    canonical(
      (await (await fetch(url + path, { method: 'POST', body: new URLSearchParams(parameters) })).json()) as Answer,
    )
  const [theirs, ours] = await Promise.all([ask(prometheus), ask(tercet.url)])
  if (theirs === ours) same++
  else {
    let at = 0
    while (theirs[at] === ours[at]) at++
    different.push(
      `${path} ${parameters.query}\n    prometheus: ${theirs.slice(Math.max(0, at - 120), at + 160)}\n` +
        `    tercet:     ${ours.slice(Math.max(0, at - 120), at + 160)}`,
    )
  }
}
console.log(`${same} of ${same + different.length} answers are the same (${names.length} metrics)`)
for (const text of process.argv.includes('--all') ? different : different.slice(0, 12)) console.log(text)
await tercet.stop()
child.kill('SIGTERM')
await new Promise(resolve => child.once('exit', resolve))
rmSync(directory, { recursive: true, force: true })
