/** `tercet check stack`: the metrics. */
import { encodeSnappy } from '#codec/snappy.ts'
import { systemClock } from '#core/clock.ts'
import { parseDurationMs } from '#core/duration.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest } from '#wire/remote-write/encode.ts'
import { form } from './client.ts'
import { jsonOf, shortText, type Marker, type Reply, type StackCheck } from './stack-check.ts'

interface VectorAnswer {
  status?: string
  error?: string
  data?: { result?: { value?: [number, string] }[] }
}

/**
 * `expectedRetention`: a duration, or undefined where it is not checked. `isAfter`: the marker was sent by an earlier
 * run.
 */
export async function checkMetrics(
  check: StackCheck,
  base: string,
  { marker, isAfter, expectedRetention }: { marker: Marker; isAfter: boolean; expectedRetention: string | undefined },
): Promise<void> {
  if (!(await check.isAlive('metrics', base))) return
  // Mimir has its queries below /prometheus.
  const prefix = (await check.ask(`${base}/api/v1/query?query=1`)).status === 404 ? '/prometheus' : ''
  const api = `${base}${prefix}/api/v1`
  if (!isAfter) await sendSample(check, base, marker)
  const selector = encodeURIComponent(`tercet_check_stack{run="${marker.id}"}`)
  await check.expectSoon(
    isAfter
      ? { rows: '#93 #111', check: 'metrics: kept over the restart' }
      : { rows: '#153', check: 'metrics: write, then query' },
    () => check.ask(`${api}/query?query=${selector}&time=${marker.timeMs / 1000 + 1}`),
    reply => Number((jsonOf(reply) as VectorAnswer | undefined)?.data?.result?.[0]?.value?.[1]) === marker.value,
  )
  await askAsGrafana(check, api, marker)
  await askAboutWeek(check, api)
  await askWrongly(check, api)
  await readOwnMetrics(check, base)
  if (expectedRetention !== undefined) await checkRetention(check, api, base, expectedRetention)
}

/** One sample, as remote write. */
async function sendSample(check: StackCheck, base: string, marker: Marker): Promise<void> {
  const builder = new BatchBuilder()
  const labels = Labels.fromObject({ __name__: 'tercet_check_stack', run: marker.id })
  builder.batch.addSample(builder.addSeries(labels), marker.timeMs, marker.value)
  const { bytes } = encodeWriteRequest(builder.batch, {
    labelsOf: undefined,
    added: [],
    isWithExemplars: false,
    isWithHistograms: false,
  })
  const body = Buffer.from(encodeSnappy(bytes))
  const headers = {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
  }
  let reply: Reply = await check.post(`${base}/api/v1/push`, body, headers)
  if (reply.status === 404 || reply.status === 405) reply = await check.post(`${base}/api/v1/write`, body, headers)
  check.reportSent({ rows: '#35 #127', check: 'metrics: remote write' }, reply, 'a sample was taken')
}

/** A scalar, or as VictoriaMetrics has it a vector of one. */
function isTwo(value: unknown): boolean {
  const result = (value as { data?: { result?: unknown[] } }).data?.result ?? []
  return result[1] === '2' || (result[0] as { value?: unknown[] } | undefined)?.value?.[1] === '2'
}

/** The questions of Grafana's test of a data source, and of its list of labels. */
async function askAsGrafana(check: StackCheck, api: string, { timeMs }: Marker): Promise<void> {
  await check.expect(
    { rows: '#27 #29 #163', check: 'Grafana: health of the metrics source' },
    { url: `${api}/query`, init: form({ query: '1+1' }) },
    isTwo,
  )
  const range = { start: String(Math.floor(timeMs / 1000) - 3600), end: String(Math.ceil(timeMs / 1000)) }
  await check.expect({ rows: '#27', check: 'Grafana: labels' }, { url: `${api}/labels`, init: form(range) }, value =>
    Array.isArray((value as { data?: unknown }).data),
  )
}

async function askAboutWeek(check: StackCheck, api: string): Promise<void> {
  const now = systemClock.nowMs() / 1000
  const range = { start: String(now - 7 * 86400), end: String(now), step: '3600' }
  await check.expect(
    { rows: '#56 #134 #156', check: 'metrics: a query over 7 days' },
    {
      url: `${api}/query_range`,
      init: form({ query: 'sum(count_over_time(up[1h]))', ...range }),
      msMax: 2000,
    },
    value => (value as VectorAnswer).status === 'success',
  )
}

async function askWrongly(check: StackCheck, api: string): Promise<void> {
  const reply = await check.ask(`${api}/query?query=${encodeURIComponent('sum(')}`)
  const answer = jsonOf(reply) as VectorAnswer | undefined
  const isExplained = [400, 422].includes(reply.status) && answer?.status === 'error' && (answer.error ?? '') !== ''
  check.report(
    { rows: '#164', check: 'metrics: a wrong query is explained' },
    isExplained ? 'ok' : 'fails',
    answer?.error ?? shortText(reply),
    reply.ms,
  )
}

async function readOwnMetrics(check: StackCheck, base: string): Promise<void> {
  const { status, text, ms } = await check.ask(`${base}/metrics`)
  const series = text.split('\n').filter(line => line !== '' && !line.startsWith('#')).length
  check.report(
    { rows: '#41', check: 'metrics: own metrics' },
    status === 200 && /^# TYPE |^[a-z_]+(\{.*\})? [0-9.e+-]+/m.test(text) ? 'ok' : 'fails',
    status === 200 ? `${series} series` : shortText({ status, text, ms }),
    ms,
  )
}

async function checkRetention(check: StackCheck, api: string, base: string, expected: string): Promise<void> {
  const name = { rows: '#37', check: 'metrics: retention' }
  const answer = jsonOf(await check.ask(`${api}/status/flags`)) as { data?: Record<string, string> } | undefined
  const flags = answer?.data ?? {}
  const victoriaText = (await check.ask(`${base}/flags`)).text
  const found =
    flags['metrics.retention'] ??
    flags['storage.tsdb.retention.time'] ??
    /-?retentionPeriod="?([^"\s]+)/.exec(victoriaText)?.[1]
  if (found === undefined) {
    const where = 'limits.compactor_blocks_retention_period'
    check.report(name, 'unseen', `this engine does not say; it is in its configuration (${where})`)
  } else if (parseDurationMs(found) === parseDurationMs(expected)) check.report(name, 'ok', found)
  else check.report(name, 'fails', `${found}; ${expected} was expected`)
}
