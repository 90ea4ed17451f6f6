/** `tercet top`: what comes in and what waits, every two seconds. */
import { sleep, systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { maskUrls } from '#core/secret.ts'
import { request, type Server } from './client.ts'
import { readExposition, sumOf, type Numbers } from './exposition.ts'
import type { Output } from './output.ts'
import { shortNumber } from './terminal.ts'

async function readNumbers(server: Server): Promise<Numbers> {
  const reply = await request(server, '/metrics')
  if (!reply.ok) throw new BadDataError(`${server.url}/metrics answered ${reply.status}`)
  return readExposition(await reply.text())
}

/** Rows of a name and a shown value, from two readings `seconds` apart. */
export function topRows(before: Numbers, now: Numbers, seconds: number): [string, string][] {
  const growth = (name: string): number => sumOf(now, name) - sumOf(before, name)
  const rate = (name: string): string => `${shortNumber(Math.max(0, growth(name)) / seconds)}/s`
  const plain = (name: string): string => shortNumber(sumOf(now, name))
  const bytes = (name: string): string => `${plain(name)}B`
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
    ['CPU', `${shortNumber((growth('process_cpu_seconds_total') / seconds) * 100)} %`],
    ...busiestRoutes(before, now, seconds),
  ]
}

/** The eight routes with the most requests a second. */
function busiestRoutes(before: Numbers, now: Numbers, seconds: number): [string, string][] {
  const rates = new Map<string, number>()
  for (const [key, value] of now) {
    if (!key.startsWith('tercet_http_requests_total{')) continue
    const route = /path="([^"]*)"/.exec(key)?.[1] ?? key
    rates.set(route, (rates.get(route) ?? 0) + (value - (before.get(key) ?? 0)) / seconds)
  }
  return [...rates]
    .filter(([, rate]) => rate > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 8)
    .map(([route, rate]): [string, string] => [route, `${shortNumber(rate)}/s`])
}

export interface TopOptions {
  server: Server
  isOnce: boolean
  isJson: boolean
  intervalMs: number
}

/** Prints the rows again and again until SIGINT or SIGTERM, or once; the exit code. */
export async function showTop({ server, isOnce, isJson, intervalMs }: TopOptions, { out }: Output): Promise<number> {
  let isEnded = false
  const stop = (): void => {
    isEnded = true
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  let before = await readNumbers(server)
  for (let at = systemClock.monotonicMs(); !isEnded;) {
    await sleep(systemClock, intervalMs)
    const now = await readNumbers(server)
    const nowMs = systemClock.monotonicMs()
    const rows = topRows(before, now, (nowMs - at) / 1000)
    if (isJson) out(JSON.stringify(Object.fromEntries(rows)))
    else out(`${process.stdout.isTTY && !isOnce ? '\x1b[H\x1b[2J' : ''}${tableOf(server.url, rows)}`)
    if (isOnce) return 0
    before = now
    at = nowMs
  }
  return 0
}

function tableOf(url: string, rows: readonly [string, string][]): string {
  return `${maskUrls(url)}\n\n${rows.map(([name, value]) => `${name.padEnd(40)}${value.padStart(14)}`).join('\n')}`
}
