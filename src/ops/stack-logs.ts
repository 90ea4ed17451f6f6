/** `tercet check stack`: the logs. */
import { systemClock } from '#core/clock.ts'
import type { Marker, StackCheck } from './stack-check.ts'

const selector = '{job="tercet-check-stack"}'
const dayMs = 86_400_000

/** `isAfter`: the marker was sent by an earlier run. */
export async function checkLogs(
  check: StackCheck,
  base: string,
  { marker, isAfter }: { marker: Marker; isAfter: boolean },
): Promise<void> {
  if (!(await check.isAlive('logs', base))) return
  const isLoki = (await check.ask(`${base}/loki/api/v1/labels`)).status === 200
  const line = `tercet check stack ${marker.id}`
  if (!isAfter) await sendLine(check, `${base}${isLoki ? '' : '/insert'}`, marker, line)
  const url = isLoki ? lokiUrl(base, marker) : victoriaUrl(base, marker)
  await check.expectSoon(
    isAfter
      ? { rows: '#144 #53', check: 'logs: kept over the restart' }
      : { rows: '#46', check: 'logs: push, then query' },
    () => check.ask(url),
    reply => reply.status === 200 && reply.text.includes(line),
  )
  if (isLoki) await askAsGrafana(check, base)
  else
    check.report(
      { rows: '#6 #28', check: 'Grafana: health of the logs source' },
      'unseen',
      'no LogQL here; Grafana needs the plugin victoriametrics-logs-datasource',
    )
}

async function sendLine(check: StackCheck, base: string, { timeMs }: Marker, line: string): Promise<void> {
  const streams = [{ stream: { job: 'tercet-check-stack' }, values: [[`${timeMs}000000`, line]] }]
  const reply = await check.post(`${base}/loki/api/v1/push`, JSON.stringify({ streams }), {
    'content-type': 'application/json',
  })
  check.reportSent({ rows: '#45 #132', check: 'logs: push' }, reply, 'a line was taken')
}

/** The marker's line, from a minute before it was sent to a minute after. */
function lokiUrl(base: string, { id, timeMs }: Marker): string {
  const query = encodeURIComponent(`${selector} |= "${id}"`)
  return `${base}/loki/api/v1/query_range?query=${query}&start=${timeMs - 60_000}000000&end=${timeMs + 60_000}000000`
}

function victoriaUrl(base: string, { id, timeMs }: Marker): string {
  const range = `start=${(timeMs - 60_000) / 1000}&end=${(timeMs + 60_000) / 1000}`
  return `${base}/select/logsql/query?query=${encodeURIComponent(`"${id}"`)}&${range}`
}

async function askAsGrafana(check: StackCheck, base: string): Promise<void> {
  const two = encodeURIComponent('vector(1)+vector(1)')
  await check.expect(
    { rows: '#28 #29 #163', check: 'Grafana: health of the logs source' },
    { url: `${base}/loki/api/v1/query?query=${two}` },
    value => (value as { data?: { result?: { value?: [number, string] }[] } }).data?.result?.[0]?.value?.[1] === '2',
  )
  const now = systemClock.nowMs()
  const range = `start=${now - dayMs}000000&end=${now}000000&limit=100`
  await check.expect(
    { rows: '#57 #131 #146', check: 'logs: a query over 24 hours' },
    {
      url: `${base}/loki/api/v1/query_range?query=${encodeURIComponent(`${selector} |= "stack"`)}&${range}`,
      msMax: 1000,
    },
    value => (value as { status?: string }).status === 'success',
  )
}
