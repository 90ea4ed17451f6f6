/** `tercet top`: what comes in and what waits, every two seconds. */
import { holdProcess, sleep, systemClock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { readExposition, sumOf, type Numbers } from './exposition.ts'
import { shortNumber } from './terminal.ts'

async function look(url: string): Promise<Numbers> {
  let reply: Response
  try {
    reply = await fetch(`${url}/metrics`)
  } catch (error) {
    throw new BadDataError(
      `${url} can't be reached: ${messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error)}`,
    )
  }
  if (!reply.ok) throw new BadDataError(`${url}/metrics answered ${reply.status}`)
  return readExposition(await reply.text())
}

/** Rows of name and value, between two looks. */
export function topRows(before: Numbers, now: Numbers, seconds: number): [string, string][] {
  const rate = (name: string): string =>
      `${shortNumber(Math.max(0, sumOf(now, name) - sumOf(before, name)) / seconds)}/s`,
    plain = (name: string): string => shortNumber(sumOf(now, name)),
    bytes = (name: string): string => `${shortNumber(sumOf(now, name))}B`
  const requests = [...now]
      .filter(([key]) => key.startsWith('tercet_http_requests_total{'))
      .map(([key, value]): [string, number] => [
        /path="([^"]*)"/.exec(key)?.[1] ?? key,
        (value - (before.get(key) ?? 0)) / seconds,
      ]),
    routes = new Map<string, number>()
  for (const [route, each] of requests) routes.set(route, (routes.get(route) ?? 0) + each)
  return [
    ['samples', rate('tercet_samples_appended_total')],
    ['log lines', rate('tercet_log_lines_appended_total')],
    ['spans', rate('tercet_spans_appended_total')],
    ['active series', plain('tercet_head_series')],
    ['log streams', plain('tercet_log_streams')],
    ['live traces', plain('tercet_live_traces')],
    ['waits for the bucket', bytes('tercet_backlog_bytes')],
    ['in blocks', bytes('tercet_blocks_bytes')],
    ['failed uploads', plain('tercet_upload_failures_total')],
    ['memory', bytes('process_resident_memory_bytes')],
    [
      'CPU',
      `${shortNumber(((sumOf(now, 'process_cpu_seconds_total') - sumOf(before, 'process_cpu_seconds_total')) / seconds) * 100)} %`,
    ],
    ...[...routes]
      .filter(([, each]) => each > 0)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 8)
      .map(([route, each]): [string, string] => [route, `${shortNumber(each)}/s`]),
  ]
}

export async function top({
  url,
  isOnce,
  json,
  intervalMs,
}: {
  url: string
  isOnce: boolean
  json: boolean
  intervalMs: number
}): Promise<number> {
  const hold = holdProcess()
  let isEnded = false
  process.once('SIGINT', () => {
    isEnded = true
  })
  process.once('SIGTERM', () => {
    isEnded = true
  })
  try {
    for (let before = await look(url), at = systemClock.monotonicMs(); !isEnded;) {
      await sleep(systemClock, intervalMs)
      const now = await look(url),
        nowMs = systemClock.monotonicMs(),
        rows = topRows(before, now, (nowMs - at) / 1000)
      if (json) process.stdout.write(`${JSON.stringify(Object.fromEntries(rows))}\n`)
      else
        process.stdout.write(
          `${process.stdout.isTTY && !isOnce ? '\x1b[H\x1b[2J' : ''}${url}\n\n${rows.map(([name, value]) => `${name.padEnd(40)}${value.padStart(14)}`).join('\n')}\n`,
        )
      if (isOnce) return 0
      before = now
      at = nowMs
    }
    return 0
  } finally {
    hold.cancel()
  }
}
