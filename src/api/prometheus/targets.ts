/** What is scraped: /api/v1/targets, /api/v1/scrape_pools, /api/v1/targets/metadata, /targets, /service-discovery. Every path also stands under /prometheus. */
import { formatDuration } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { selectorsOf } from '#lang/promql/ast.ts'
import type { Metadata } from '#model/write-batch.ts'
import type { Handler, HttpReply, HttpRequest, Route } from '#net/route-table.ts'
import { errorReply, success } from './respond.ts'

type Pairs = readonly (readonly [string, string])[]

export interface ActiveTarget {
  scrapePool: string
  labels: Pairs
  discovered: Pairs
  url: string
  intervalMs: number
  timeoutMs: number
  health: string
  lastError: string
  lastScrapeMs: number
  lastDurationMs: number
  lastSamples: number
  lastBodyBytes: number
}
export interface TargetsSource {
  pools(): string[]
  active(): ActiveTarget[]
  dropped(): { scrapePool: string; discovered: Pairs }[]
  droppedCounts(): Record<string, number>
}

const object = (pairs: Pairs): Record<string, string> => Object.fromEntries(pairs)
const html = (title: string, body: string): HttpReply => ({
  status: 200,
  headers: { 'content-type': 'text/html; charset=utf-8' },
  body: `<!doctype html><meta charset="utf-8"><title>${title}</title><style>body{font:14px system-ui;margin:2em;max-width:90em}table{border-collapse:collapse;margin-bottom:2em}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}code{font-size:12px}.down{color:#b00}.up{color:#060}</style>${body}`,
})
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const shown = (pairs: Pairs): string =>
  pairs.map(([name, value]) => `<code>${escaped(name)}="${escaped(value)}"</code>`).join(' ')

export function targetRoutes(
  source: TargetsSource,
  metadataOf: (request: HttpRequest) => ReadonlyMap<string, Metadata>,
): Route[] {
  const activeJson = (t: ActiveTarget): Record<string, unknown> => ({
    discoveredLabels: object(t.discovered),
    labels: object(t.labels),
    scrapePool: t.scrapePool,
    scrapeUrl: t.url,
    globalUrl: t.url,
    lastError: t.lastError,
    lastScrape: t.lastScrapeMs === 0 ? '0001-01-01T00:00:00Z' : new Date(t.lastScrapeMs).toISOString(),
    lastScrapeDuration: t.lastDurationMs / 1000,
    health: t.health,
    scrapeInterval: formatDuration(t.intervalMs),
    scrapeTimeout: formatDuration(t.timeoutMs),
  })
  const targets: Handler = async request => {
    const form = await request.form()
    const state = (form.get('state') ?? '').toLowerCase(),
      pool = form.get('scrapePool') ?? ''
    if (!['', 'any', 'active', 'dropped'].includes(state))
      throw new BadDataError(`invalid parameter "state": ${JSON.stringify(state)} is none of any, active, dropped`)
    const isIn = (t: { scrapePool: string }): boolean => pool === '' || t.scrapePool === pool
    const active =
      state === 'dropped'
        ? []
        : source
            .active()
            .filter(isIn)
            .sort((a, b) =>
              a.scrapePool < b.scrapePool ? -1 : a.scrapePool > b.scrapePool ? 1 : a.url < b.url ? -1 : 1,
            )
            .map(activeJson)
    const dropped =
      state === 'active'
        ? []
        : source
            .dropped()
            .filter(isIn)
            .map(t => ({ discoveredLabels: object(t.discovered), scrapePool: t.scrapePool }))
    return success(
      JSON.stringify({
        activeTargets: active,
        droppedTargets: dropped,
        droppedTargetCounts: state === 'active' ? null : source.droppedCounts(),
      }),
    )
  }
  /** Of the metrics that a target may have: names are not kept by target. */
  const metadata: Handler = async request => {
    const form = await request.form()
    const selector = form.get('match_target') ?? '',
      metric = form.get('metric') ?? '',
      limit = Number(form.get('limit') ?? '-1')
    const matchers = selector === '' ? [] : selectorsOf(parsePromql(selector)).flatMap(s => [...s.matchers])
    const chosen = source.active().filter(t => {
      const own = object(t.labels)
      return matchers.every(m => m.matches(own[m.name] ?? ''))
    })
    const all = metadataOf(request)
    const found = chosen.flatMap(t =>
      [...all.values()]
        .filter(m => metric === '' || m.metric === metric)
        .map(m => ({
          target: object(t.labels),
          ...(metric === '' ? { metric: m.metric } : {}),
          type: m.type,
          help: m.help,
          unit: m.unit,
        })),
    )
    return success(JSON.stringify(limit >= 0 ? found.slice(0, limit) : found))
  }
  const page: Handler = async () =>
    html(
      'Targets',
      `<h1>Targets</h1>${source
        .pools()
        .map(pool => {
          const own = source.active().filter(t => t.scrapePool === pool)
          return `<h2>${escaped(pool)} (${own.filter(t => t.health === 'up').length} of ${own.length} up)</h2><table><tr><th>endpoint<th>state<th>labels<th>last scrape<th>took<th>samples<th>bytes<th>error</tr>${own.map(t => `<tr><td><a href="${escaped(t.url)}">${escaped(t.url)}</a><td class="${t.health}">${t.health}<td>${shown(t.labels)}<td>${t.lastScrapeMs === 0 ? 'never' : new Date(t.lastScrapeMs).toISOString()}<td>${t.lastDurationMs.toFixed(1)} ms<td>${t.lastSamples}<td>${t.lastBodyBytes}<td class="down">${escaped(t.lastError)}</tr>`).join('')}</table>`
        })
        .join('')}`,
    )
  const discovery: Handler = async () =>
    html(
      'Service discovery',
      `<h1>Service discovery</h1>${source
        .pools()
        .map(pool => {
          const active = source.active().filter(t => t.scrapePool === pool),
            dropped = source.dropped().filter(t => t.scrapePool === pool)
          return `<h2>${escaped(pool)} (${active.length} active, ${source.droppedCounts()[pool] ?? 0} dropped)</h2><table><tr><th>discovered<th>target</tr>${[...active.map(t => `<tr><td>${shown(t.discovered)}<td>${shown(t.labels)}</tr>`), ...dropped.map(t => `<tr><td>${shown(t.discovered)}<td class="down">dropped</tr>`)].join('')}</table>`
        })
        .join('')}`,
    )
  const routes: [string, Handler][] = [
    ['/api/v1/targets', targets],
    ['/api/v1/scrape_pools', async () => success(JSON.stringify({ scrapePools: source.pools().sort() }))],
    ['/api/v1/targets/metadata', metadata],
    ['/targets', page],
    ['/service-discovery', discovery],
  ]
  const guarded =
    (handler: Handler): Handler =>
    async request => {
      try {
        return await handler(request)
      } catch (error) {
        return errorReply(error)
      }
    }
  return routes.flatMap(([path, handler]) =>
    ['', '/prometheus'].map((prefix): Route => ({
      methods: ['GET'],
      path: `${prefix}${path}`,
      handler: guarded(handler),
    })),
  )
}
