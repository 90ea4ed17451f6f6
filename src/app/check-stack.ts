/** `tercet check stack`: what the documents want of a running stack, as questions that any of the three engines can be asked. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { encodeSnappy } from '#codec/snappy.ts'
import { holdProcess, sleep, systemClock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { systemRandom } from '#core/random.ts'
import { parseDurationMs } from '#core/duration.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest } from '#wire/remote-write/encode.ts'
import { noMoreFlags, takeFlag, type Arguments } from './arguments.ts'
import { readExposition, sumOf } from './exposition.ts'

type Level = 'ok' | 'fails' | 'unseen'
interface Finding {
  rows: string
  check: string
  level: Level
  found: string
  ms: number
}
interface Reply {
  status: number
  text: string
  ms: number
}

/** What a first run leaves for a second one, after a restart. */
interface Marker {
  id: string
  timeMs: number
  value: number
  traceId: string
}

const pollMs = 250

async function ask(url: string, init: RequestInit = {}): Promise<Reply> {
  const start = systemClock.monotonicMs()
  try {
    const reply = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) }),
      text = await reply.text()
    return { status: reply.status, text, ms: systemClock.monotonicMs() - start }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { status: 0, text: messageOf(cause), ms: systemClock.monotonicMs() - start }
  }
}
const json = (reply: Reply): unknown => {
  try {
    return JSON.parse(reply.text) as unknown
  } catch {
    return undefined
  }
}
const short = (reply: Reply): string =>
  `${reply.status === 0 ? '' : `${reply.status}: `}${reply.text.trim().replaceAll(/\s+/g, ' ').slice(0, 160)}`
const form = (fields: Record<string, string>): RequestInit => ({ method: 'POST', body: new URLSearchParams(fields) })

class StackCheck {
  readonly findings: Finding[] = []
  readonly #headers: Record<string, string>
  /** How long is waited for what was sent. */
  readonly #secondsMax: number
  constructor(headers: Record<string, string>, secondsMax: number) {
    this.#headers = headers
    this.#secondsMax = secondsMax
  }

  #with(init: RequestInit = {}): RequestInit {
    return { ...init, headers: { ...this.#headers, ...(init.headers as Record<string, string> | undefined) } }
  }
  tell(rows: string, check: string, level: Level, found: string, ms = 0): void {
    this.findings.push({ rows, check, level, found, ms })
  }
  ask(url: string, init?: RequestInit): Promise<Reply> {
    return ask(url, this.#with(init))
  }

  /** One request, judged by its status and whatever `isRight` wants of the body. */
  async one(
    rows: string,
    check: string,
    url: string,
    init: RequestInit | undefined,
    isRight: (value: unknown) => boolean,
    msMax = Infinity,
  ): Promise<boolean> {
    const reply = await this.ask(url, init),
      isFine = reply.status >= 200 && reply.status < 300 && isRight(json(reply) ?? reply.text)
    this.tell(
      rows,
      check,
      isFine && reply.ms <= msMax ? 'ok' : 'fails',
      isFine ? (reply.ms <= msMax ? 'answers' : `took ${Math.round(reply.ms)} ms; ${msMax} are allowed`) : short(reply),
      reply.ms,
    )
    return isFine
  }

  /** Asks again until the answer is there. */
  async until(
    rows: string,
    check: string,
    request: () => Promise<Reply>,
    isThere: (reply: Reply) => boolean,
    secondsWanted = Infinity,
  ): Promise<boolean> {
    const secondsAllowed = Math.min(secondsWanted, this.#secondsMax)
    const start = systemClock.monotonicMs()
    for (;;) {
      const reply = await request(),
        ms = systemClock.monotonicMs() - start
      if (isThere(reply)) {
        this.tell(rows, check, 'ok', `there after ${(ms / 1000).toFixed(1)} s`, ms)
        return true
      }
      if (ms > secondsAllowed * 1000) {
        this.tell(rows, check, 'fails', `not there after ${secondsAllowed} s; last answer ${short(reply)}`, ms)
        return false
      }
      await sleep(systemClock, pollMs)
    }
  }
}

async function health(check: StackCheck, name: string, base: string): Promise<boolean> {
  let reply: Reply | undefined
  for (const path of ['/health', '/ready', '/-/healthy']) {
    reply = await check.ask(base + path)
    if (reply.status === 0) break
    if (reply.status === 200) {
      check.tell('#58 #79', `${name}: health`, 'ok', `${path} answers`, reply.ms)
      return true
    }
  }
  check.tell('#58 #79', `${name}: health`, 'fails', reply === undefined ? '' : short(reply), reply?.ms)
  return reply !== undefined && reply.status !== 0
}

/** A scalar, or as VictoriaMetrics has it a vector of one. */
function isTwo(value: unknown): boolean {
  const result = (value as { data?: { result?: unknown[] } }).data?.result ?? []
  return result[1] === '2' || (result[0] as { value?: unknown[] } | undefined)?.value?.[1] === '2'
}

const vectorOf = (reply: Reply): [number, string] | undefined =>
  (json(reply) as { data?: { result?: { value?: [number, string] }[] } } | undefined)?.data?.result?.[0]?.value

async function metricsChecks(
  check: StackCheck,
  base: string,
  marker: Marker,
  isAfter: boolean,
  expectedRetention: string | undefined,
): Promise<void> {
  if (!(await health(check, 'metrics', base))) return
  // Mimir has its queries below /prometheus.
  const prefix = (await check.ask(`${base}/api/v1/query?query=1`)).status === 404 ? '/prometheus' : '',
    api = `${base}${prefix}/api/v1`
  const selector = `tercet_check_stack{run="${marker.id}"}`
  if (!isAfter) {
    const builder = new BatchBuilder()
    builder.batch.addSample(
      builder.addSeries(Labels.fromObject({ __name__: 'tercet_check_stack', run: marker.id })),
      marker.timeMs,
      marker.value,
    )
    const { bytes } = encodeWriteRequest(builder.batch, {
      labelsOf: undefined,
      added: [],
      isWithExemplars: false,
      isWithHistograms: false,
    })
    const body = Buffer.from(encodeSnappy(bytes)),
      headers = {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        'x-prometheus-remote-write-version': '0.1.0',
      }
    let reply = await check.ask(`${base}/api/v1/push`, { method: 'POST', body, headers })
    if (reply.status === 404 || reply.status === 405)
      reply = await check.ask(`${base}/api/v1/write`, { method: 'POST', body, headers })
    check.tell(
      '#35 #127',
      'metrics: remote write',
      reply.status >= 200 && reply.status < 300 ? 'ok' : 'fails',
      reply.status >= 200 && reply.status < 300 ? 'a sample was taken' : short(reply),
      reply.ms,
    )
  }
  await check.until(
    isAfter ? '#93 #111' : '#153',
    isAfter ? 'metrics: kept over the restart' : 'metrics: write, then query',
    () => check.ask(`${api}/query?query=${encodeURIComponent(selector)}&time=${marker.timeMs / 1000 + 1}`),
    reply => Number(vectorOf(reply)?.[1]) === marker.value,
  )
  await check.one(
    '#27 #29 #163',
    'Grafana: health of the metrics source',
    `${api}/query`,
    form({ query: '1+1' }),
    isTwo,
  )
  await check.one(
    '#27',
    'Grafana: labels',
    `${api}/labels`,
    form({ start: String(Math.floor(marker.timeMs / 1000) - 3600), end: String(Math.ceil(marker.timeMs / 1000)) }),
    value => Array.isArray((value as { data?: unknown }).data),
  )
  const now = systemClock.nowMs() / 1000
  await check.one(
    '#56 #134 #156',
    'metrics: a query over 7 days',
    `${api}/query_range`,
    form({ query: 'sum(count_over_time(up[1h]))', start: String(now - 7 * 86400), end: String(now), step: '3600' }),
    value => (value as { status?: string }).status === 'success',
    2000,
  )
  const wrong = await check.ask(`${api}/query?query=${encodeURIComponent('sum(')}`),
    envelope = json(wrong) as { status?: string; error?: string } | undefined
  check.tell(
    '#164',
    'metrics: a wrong query is explained',
    [400, 422].includes(wrong.status) && envelope?.status === 'error' && (envelope.error ?? '') !== '' ? 'ok' : 'fails',
    envelope?.error ?? short(wrong),
    wrong.ms,
  )
  const own = await check.ask(`${base}/metrics`)
  check.tell(
    '#41',
    'metrics: own metrics',
    own.status === 200 && /^# TYPE |^[a-z_]+(\{.*\})? [0-9.e+-]+/m.test(own.text) ? 'ok' : 'fails',
    own.status === 200
      ? `${own.text.split('\n').filter(l => l !== '' && !l.startsWith('#')).length} series`
      : short(own),
    own.ms,
  )
  if (expectedRetention !== undefined) await retention(check, api, base, expectedRetention)
}

async function retention(check: StackCheck, api: string, base: string, expected: string): Promise<void> {
  const flags = json(await check.ask(`${api}/status/flags`)) as { data?: Record<string, string> } | undefined,
    ofVictoria = (await check.ask(`${base}/flags`)).text
  const found =
    flags?.data?.['metrics.retention'] ??
    flags?.data?.['storage.tsdb.retention.time'] ??
    /-?retentionPeriod="?([^"\s]+)/.exec(ofVictoria)?.[1]
  if (found === undefined) {
    check.tell(
      '#37',
      'metrics: retention',
      'unseen',
      'this engine does not say; it is in its configuration (limits.compactor_blocks_retention_period)',
    )
    return
  }
  const isEqual = parseDurationMs(found) === parseDurationMs(expected)
  check.tell(
    '#37',
    'metrics: retention',
    isEqual ? 'ok' : 'fails',
    isEqual ? found : `${found}; ${expected} was expected`,
  )
}

async function logsChecks(check: StackCheck, base: string, marker: Marker, isAfter: boolean): Promise<void> {
  if (!(await health(check, 'logs', base))) return
  const isLoki = (await check.ask(`${base}/loki/api/v1/labels`)).status === 200,
    line = `tercet check stack ${marker.id}`,
    timeNs = `${marker.timeMs}000000`
  if (!isAfter) {
    const body = JSON.stringify({ streams: [{ stream: { job: 'tercet-check-stack' }, values: [[timeNs, line]] }] }),
      headers = { 'content-type': 'application/json' }
    const reply = await check.ask(`${base}${isLoki ? '' : '/insert'}/loki/api/v1/push`, {
        method: 'POST',
        body,
        headers,
      }),
      isTaken = reply.status >= 200 && reply.status < 300
    check.tell(
      '#45 #132',
      'logs: push',
      isTaken ? 'ok' : 'fails',
      isTaken ? 'a line was taken' : short(reply),
      reply.ms,
    )
  }
  const start = marker.timeMs - 60_000,
    end = marker.timeMs + 60_000
  const query = isLoki
    ? `${base}/loki/api/v1/query_range?query=${encodeURIComponent(`{job="tercet-check-stack"} |= "${marker.id}"`)}&start=${start}000000&end=${end}000000`
    : `${base}/select/logsql/query?query=${encodeURIComponent(`"${marker.id}"`)}&start=${start / 1000}&end=${end / 1000}`
  await check.until(
    isAfter ? '#144 #53' : '#46',
    isAfter ? 'logs: kept over the restart' : 'logs: push, then query',
    () => check.ask(query),
    reply => reply.status === 200 && reply.text.includes(line),
  )
  if (!isLoki) {
    check.tell(
      '#6 #28',
      'Grafana: health of the logs source',
      'unseen',
      'no LogQL here; Grafana needs the plugin victoriametrics-logs-datasource',
    )
    return
  }
  await check.one(
    '#28 #29 #163',
    'Grafana: health of the logs source',
    `${base}/loki/api/v1/query?query=${encodeURIComponent('vector(1)+vector(1)')}`,
    undefined,
    value => (value as { data?: { result?: { value?: [number, string] }[] } }).data?.result?.[0]?.value?.[1] === '2',
  )
  const now = systemClock.nowMs()
  await check.one(
    '#57 #131 #146',
    'logs: a query over 24 hours',
    `${base}/loki/api/v1/query_range?query=${encodeURIComponent('{job="tercet-check-stack"} |= "stack"')}&start=${now - 86_400_000}000000&end=${now}000000&limit=100`,
    undefined,
    value => (value as { status?: string }).status === 'success',
    1000,
  )
}

async function tracesChecks(
  check: StackCheck,
  base: string,
  otlp: string | undefined,
  marker: Marker,
  isAfter: boolean,
): Promise<void> {
  if (!(await health(check, 'traces', base))) return
  const isTempo = (await check.ask(`${base}/api/echo`)).status === 200
  if (!isAfter) {
    const spanId = marker.traceId.slice(0, 16),
      timeNs = `${marker.timeMs}000000`
    const body = JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'tercet-check-stack' } }] },
          scopeSpans: [
            {
              spans: [
                {
                  traceId: marker.traceId,
                  spanId,
                  name: `check ${marker.id}`,
                  kind: 2,
                  startTimeUnixNano: timeNs,
                  endTimeUnixNano: `${marker.timeMs + 5}000000`,
                },
              ],
            },
          ],
        },
      ],
    })
    // Tempo takes spans on a port of their own.
    const other = new URL(base)
    other.port = '4318'
    const places = otlp !== undefined ? [otlp] : isTempo ? [base, other.origin] : [`${base}/insert/opentelemetry`]
    let reply: Reply = { status: 0, text: 'nowhere to send to', ms: 0 }
    for (const place of places) {
      reply = await check.ask(`${place}/v1/traces`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      if (reply.status === 200) break
    }
    check.tell(
      '#126 #133',
      'traces: OTLP',
      reply.status === 200 ? 'ok' : 'fails',
      reply.status === 200 ? 'a span was taken' : short(reply),
      reply.ms,
    )
  }
  const path = isTempo ? `/api/traces/${marker.traceId}` : `/select/jaeger/api/traces/${marker.traceId}`
  await check.until(
    isAfter ? '#149' : '#133 #151',
    isAfter ? 'traces: kept over the restart' : 'traces: send, then by id',
    () => check.ask(base + path, { headers: { accept: 'application/json' } }),
    reply => reply.status === 200 && reply.text.includes(marker.id),
    15,
  )
  if (!isTempo) {
    check.tell('#133', 'Grafana: health of the traces source', 'unseen', 'no TraceQL here; Grafana asks as Jaeger')
    return
  }
  await check.one('#29 #163', 'Grafana: health of the traces source', `${base}/api/echo`, undefined, value =>
    String(value).includes('echo'),
  )
  const start = Math.floor(marker.timeMs / 1000) - 60,
    end = start + 120
  await check.until(
    '#151 #165',
    'traces: found by TraceQL',
    () =>
      check.ask(
        `${base}/api/search?q=${encodeURIComponent(`{ resource.service.name = "tercet-check-stack" && name = "check ${marker.id}" }`)}&start=${start}&end=${end}`,
      ),
    reply => (json(reply) as { traces?: unknown[] } | undefined)?.traces?.length === 1,
    30,
  )
}

/** Flushes what can be flushed, and looks at what the process says of its bucket. */
async function bucketChecks(check: StackCheck, base: string): Promise<void> {
  const flushed = await check.ask(`${base}/-/flush`, { method: 'POST' })
  if (flushed.status !== 204) {
    check.tell(
      '#39 #51',
      'bucket: what was taken is in it',
      'unseen',
      'this engine does not say from outside; list its bucket',
    )
    return
  }
  const own = await check.ask(`${base}/metrics`)
  const numbers = readExposition(own.text),
    failures = sumOf(numbers, 'tercet_upload_failures_total'),
    waiting = sumOf(numbers, 'tercet_backlog_bytes')
  check.tell(
    '#39 #51 #143 #148',
    'bucket: what was taken is in it',
    'ok',
    `flushed in ${Math.round(flushed.ms)} ms; ${waiting} bytes wait, ${failures} uploads failed since the start`,
    flushed.ms,
  )
}

export async function checkStackVerb({ flags, words, json: isJson }: Arguments): Promise<number> {
  const each = {
      metrics: takeFlag(flags, 'metrics'),
      logs: takeFlag(flags, 'logs'),
      traces: takeFlag(flags, 'traces'),
    },
    otlp = takeFlag(flags, 'otlp'),
    expected = takeFlag(flags, 'retention'),
    markerPath = takeFlag(flags, 'marker'),
    afterPath = takeFlag(flags, 'after'),
    patience = takeFlag(flags, 'timeout') ?? '60s',
    tenant = takeFlag(flags, 'tenant'),
    bearer = takeFlag(flags, 'bearer-token-file'),
    user = takeFlag(flags, 'username'),
    password = takeFlag(flags, 'password-file')
  noMoreFlags(flags, 'check stack')
  const [url, ...rest] = words.map(word => word.replace(/\/+$/, ''))
  if (rest.length > 0)
    throw new BadDataError(
      'check stack takes one URL for all three; where they differ: --metrics=URL --logs=URL --traces=URL',
    )
  const place = (own: string | undefined): string | undefined => own?.replace(/\/+$/, '') ?? url,
    metrics = place(each.metrics),
    logs = place(each.logs),
    traces = place(each.traces)
  if (metrics === undefined && logs === undefined && traces === undefined)
    throw new BadDataError('check stack takes a URL: tercet check stack http://127.0.0.1:8428')
  if (afterPath !== undefined && !existsSync(afterPath))
    throw new BadDataError(`${afterPath} is not there; a first run with --marker=${afterPath} writes it`)
  const marker: Marker =
    afterPath !== undefined
      ? (JSON.parse(readFileSync(afterPath, 'utf8')) as Marker)
      : {
          id: Buffer.from(systemRandom.bytes(6)).toString('hex'),
          timeMs: systemClock.nowMs(),
          value: systemRandom.u32() % 1000,
          traceId: Buffer.from(systemRandom.bytes(16)).toString('hex'),
        }
  const check = new StackCheck(
    {
      ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }),
      ...(bearer === undefined ? {} : { authorization: `Bearer ${readFileSync(bearer, 'utf8').trim()}` }),
      ...(user === undefined
        ? {}
        : {
            authorization: `Basic ${Buffer.from(`${user}:${password === undefined ? '' : readFileSync(password, 'utf8').trim()}`).toString('base64')}`,
          }),
    },
    (parseDurationMs(patience) ?? 60_000) / 1000,
  )
  const isAfter = afterPath !== undefined,
    hold = holdProcess()
  if (metrics !== undefined) await metricsChecks(check, metrics, marker, isAfter, expected)
  if (logs !== undefined) await logsChecks(check, logs, marker, isAfter)
  if (traces !== undefined) await tracesChecks(check, traces, otlp?.replace(/\/+$/, ''), marker, isAfter)
  for (const base of new Set([metrics, logs, traces]))
    if (base !== undefined && !check.findings.some(f => f.level === 'fails' && f.check.endsWith('health')))
      await bucketChecks(check, base)
  hold.cancel()
  if (markerPath !== undefined) writeFileSync(markerPath, JSON.stringify(marker))
  const isFine = check.findings.every(f => f.level !== 'fails')
  if (isJson) process.stdout.write(`${JSON.stringify({ ok: isFine, findings: check.findings })}\n`)
  else {
    for (const { rows, check: name, level, found, ms } of check.findings)
      process.stdout.write(
        `${{ ok: 'ok    ', fails: 'FAILS ', unseen: 'unseen' }[level]} ${rows.padEnd(18)} ${name.padEnd(38)} ${ms === 0 ? ''.padStart(8) : `${Math.round(ms)} ms`.padStart(8)}  ${found}\n`,
      )
    process.stdout.write(
      `${check.findings.filter(f => f.level === 'ok').length} hold, ${check.findings.filter(f => f.level === 'fails').length} fail, ${check.findings.filter(f => f.level === 'unseen').length} can't be seen from outside\n`,
    )
    if (markerPath !== undefined) process.stdout.write(`After a restart: tercet check stack --after=${markerPath} …\n`)
  }
  return isFine ? 0 : 1
}
