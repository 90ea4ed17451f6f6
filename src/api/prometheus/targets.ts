/** Targets of scraping: their API, and pages at /targets and /service-discovery. */
import { formatDuration } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { hiddenText, isCredentialName, maskUrls } from '#core/secret.ts'
import { parseSelector } from '#lang/promql/parser.ts'
import type { Metadata } from '#model/write-batch.ts'
import { readsProcess } from '#net/access.ts'
import {
  allowing,
  route,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import { withParameter } from './params.ts'
import { prometheusDialect, success } from './respond.ts'

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
const style =
  'body{font:14px system-ui;margin:2em;max-width:90em}table{border-collapse:collapse;margin-bottom:2em}' +
  'td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}' +
  'code{font-size:12px}.down{color:#b00}.up{color:#060}'

function page(title: string, sections: readonly string[]): HttpReply {
  return {
    status: 200,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body:
      `<!doctype html><meta charset="utf-8"><title>${title}</title><style>${style}</style>` +
      `<h1>${title}</h1>${sections.join('')}`,
  }
}

function section(title: string, columns: readonly string[], rows: readonly string[]): string {
  const head = columns.map(column => `<th>${column}`).join('')
  return `<h2>${title}</h2><table><tr>${head}</tr>${rows.join('')}</table>`
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const shown = (pairs: Pairs): string =>
  pairs.map(([name, value]) => `<code>${escaped(name)}="${escaped(value)}"</code>`).join(' ')

export function targetRoutes(
  source: TargetsSource,
  metadataOf: (request: HttpRequest) => ReadonlyMap<string, Metadata>,
): GuardedRoute[] {
  const get = (path: string, handler: Handler): Route => route(['GET'], path, handler)
  const routes = [
    get('/api/v1/targets', async request => targetsReply(source, await request.form())),
    get('/api/v1/scrape_pools', async () => success(JSON.stringify({ scrapePools: source.pools().sort() }))),
    get('/api/v1/targets/metadata', async request =>
      metadataReply(source.active(), await request.form(), () => metadataOf(request)),
    ),
    get('/targets', async () => targetsPage(source)),
    get('/service-discovery', async () => discoveryPage(source)),
  ]
  return allowing(readsProcess, prometheusDialect(routes))
}

/** Labels before relabelling: the address and the parameters of a request may have credentials. */
function withoutSecrets(labels: Pairs): Pairs {
  return labels.map(([name, value]) => {
    if (name === '__address__') return [name, maskUrls(`//${value}`).slice(2)]
    const parameter = /^__param_(.*)$/.exec(name)?.[1]
    if (parameter === undefined) return [name, maskUrls(value)]
    return [name, isCredentialName(parameter) ? hiddenText : maskUrls(value)]
  })
}

function discoveredOf({ discovered }: { discovered: Pairs }): Record<string, string> {
  return object(withoutSecrets(discovered))
}

function activeJson(t: ActiveTarget): Record<string, unknown> {
  return {
    discoveredLabels: discoveredOf(t),
    labels: object(t.labels),
    scrapePool: t.scrapePool,
    scrapeUrl: maskUrls(t.url),
    globalUrl: maskUrls(t.url),
    lastError: t.lastError,
    lastScrape: t.lastScrapeMs === 0 ? '0001-01-01T00:00:00Z' : new Date(t.lastScrapeMs).toISOString(),
    lastScrapeDuration: t.lastDurationMs / 1000,
    health: t.health,
    scrapeInterval: formatDuration(t.intervalMs),
    scrapeTimeout: formatDuration(t.timeoutMs),
  }
}

function byPoolAndUrl(a: ActiveTarget, b: ActiveTarget): number {
  if (a.scrapePool !== b.scrapePool) return a.scrapePool < b.scrapePool ? -1 : 1
  return a.url < b.url ? -1 : 1
}

function targetsReply(source: TargetsSource, form: URLSearchParams): HttpReply {
  const state = (form.get('state') ?? '').toLowerCase()
  const pool = form.get('scrapePool') ?? ''
  // No target is in a state that there is not.
  const wantsActive = ['', 'any', 'active'].includes(state)
  const wantsDropped = ['', 'any', 'dropped'].includes(state)
  const isIn = (t: { scrapePool: string }): boolean => pool === '' || t.scrapePool === pool
  const active = !wantsActive ? [] : source.active().filter(isIn).sort(byPoolAndUrl)
  const dropped = !wantsDropped ? [] : source.dropped().filter(isIn)
  return success(
    JSON.stringify({
      activeTargets: active.map(activeJson),
      droppedTargets: dropped.map(t => ({ discoveredLabels: discoveredOf(t), scrapePool: t.scrapePool })),
      droppedTargetCounts: wantsDropped ? source.droppedCounts() : null,
    }),
  )
}

/** All metadata of the tenant for each chosen target: which metrics a target has is not kept. */
function metadataReply(
  active: readonly ActiveTarget[],
  form: URLSearchParams,
  metadata: () => ReadonlyMap<string, Metadata>,
): HttpReply {
  const selector = form.get('match_target') ?? ''
  const metric = form.get('metric') ?? ''
  const limitText = form.get('limit') ?? ''
  if (limitText !== '' && !/^[+-]?\d+$/.test(limitText)) throw new BadDataError('limit must be a number')
  const limit = limitText === '' ? -1 : Number(limitText)
  const matchers = selector === '' ? [] : withParameter('match_target', () => parseSelector(selector))
  const wanted = [...metadata().values()].filter(m => metric === '' || m.metric === metric)
  const found = active
    .map(t => object(t.labels))
    .filter(labels => matchers.every(m => m.matches(labels[m.name] ?? '')))
    .flatMap(target =>
      wanted.map(m => ({
        target,
        ...(metric === '' ? { metric: m.metric } : {}),
        type: m.type,
        help: m.help,
        unit: m.unit,
      })),
    )
  return success(JSON.stringify(limit >= 0 ? found.slice(0, limit) : found))
}

function targetsPage(source: TargetsSource): HttpReply {
  const columns = ['endpoint', 'state', 'labels', 'last scrape', 'took', 'samples', 'bytes', 'error']
  const row = (t: ActiveTarget): string =>
    `<tr><td><a href="${escaped(maskUrls(t.url))}">${escaped(maskUrls(t.url))}</a><td class="${t.health}">${t.health}` +
    `<td>${shown(t.labels)}<td>${t.lastScrapeMs === 0 ? 'never' : new Date(t.lastScrapeMs).toISOString()}` +
    `<td>${t.lastDurationMs.toFixed(1)} ms<td>${t.lastSamples}<td>${t.lastBodyBytes}` +
    `<td class="down">${escaped(t.lastError)}</tr>`
  const sections = source.pools().map(pool => {
    const own = source.active().filter(t => t.scrapePool === pool)
    const up = own.filter(t => t.health === 'up').length
    return section(`${escaped(pool)} (${up} of ${own.length} up)`, columns, own.map(row))
  })
  return page('Targets', sections)
}

function discoveryPage(source: TargetsSource): HttpReply {
  const counts = source.droppedCounts()
  const sections = source.pools().map(pool => {
    const active = source.active().filter(t => t.scrapePool === pool)
    const dropped = source.dropped().filter(t => t.scrapePool === pool)
    const title = `${escaped(pool)} (${active.length} active, ${counts[pool] ?? 0} dropped)`
    return section(
      title,
      ['discovered', 'target'],
      [
        ...active.map(t => `<tr><td>${shown(withoutSecrets(t.discovered))}<td>${shown(t.labels)}</tr>`),
        ...dropped.map(t => `<tr><td>${shown(withoutSecrets(t.discovered))}<td class="down">dropped</tr>`),
      ],
    )
  })
  return page('Service discovery', sections)
}
