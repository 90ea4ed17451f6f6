/** Targets of scraping: their API, and pages at /targets and /service-discovery. */
import { formatDuration } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { hiddenText, isCredentialName, maskUrl, maskUrls } from '#core/secret.ts'
import { parseSelector } from '#lang/promql/parser.ts'
import type { Metadata } from '#model/write-batch.ts'
import { readsAll, type Caller } from '#net/access.ts'
import { allowing, route, type GuardedRoute, type HttpReply, type Route } from '#net/route-table.ts'
import type { ShownTenants } from '../tenancy.ts'
import { withParameter } from './params.ts'
import { prometheusDialect, success } from './respond.ts'

type Pairs = readonly (readonly [string, string])[]

export interface ActiveTarget {
  scrapePool: string
  tenant: string
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
/** Targets of some tenants. */
export interface TargetsSource {
  pools(tenants: ShownTenants): string[]
  active(tenants: ShownTenants): ActiveTarget[]
  dropped(tenants: ShownTenants): { scrapePool: string; discovered: Pairs }[]
  droppedCounts(tenants: ShownTenants): Record<string, number>
}

/** What one caller sees. */
interface ShownTargets {
  readonly pools: readonly string[]
  readonly active: readonly ActiveTarget[]
  readonly dropped: readonly { scrapePool: string; discovered: Pairs }[]
  readonly droppedCounts: Readonly<Record<string, number>>
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
const labelsHtml = (pairs: Pairs): string =>
  pairs.map(([name, value]) => `<code>${escaped(name)}="${escaped(value)}"</code>`).join(' ')

export interface TargetRouteOptions {
  source: TargetsSource
  shownTo: (caller: Caller) => ShownTenants
  /** What is known of the metrics of a tenant. */
  metadataOf: (tenant: string) => ReadonlyMap<string, Metadata>
}

export function targetRoutes({ source, shownTo, metadataOf }: TargetRouteOptions): GuardedRoute[] {
  const get = (path: string, answer: (shown: ShownTargets, form: URLSearchParams) => HttpReply): Route =>
    route(['GET'], path, async request => {
      const tenants = shownTo(request)
      const shown: ShownTargets = {
        pools: source.pools(tenants),
        active: source.active(tenants),
        dropped: source.dropped(tenants),
        droppedCounts: source.droppedCounts(tenants),
      }
      return answer(shown, await request.form())
    })
  const routes = [
    get('/api/v1/targets', targetsReply),
    get('/api/v1/scrape_pools', ({ pools }) => success(JSON.stringify({ scrapePools: pools.toSorted() }))),
    get('/api/v1/targets/metadata', ({ active }, form) => metadataReply(active, form, metadataOf)),
    get('/targets', targetsPage),
    get('/service-discovery', discoveryPage),
  ]
  return allowing(readsAll('metrics'), prometheusDialect(routes))
}

/** Labels before relabelling: the address and the parameters of a request may have credentials. */
function withoutSecrets(labels: Pairs): Pairs {
  return labels.map(([name, value]) => {
    if (name === '__address__') return [name, maskUrls(`//${value}`).slice(2)]
    const parameter = /^__param_(.*)$/.exec(name)?.[1]
    if (parameter === undefined) return [name, maskUrl(value)]
    return [name, isCredentialName(parameter) ? hiddenText : maskUrl(value)]
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
    scrapeUrl: maskUrl(t.url),
    globalUrl: maskUrl(t.url),
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

function targetsReply(shown: ShownTargets, form: URLSearchParams): HttpReply {
  const state = (form.get('state') ?? '').toLowerCase()
  const pool = form.get('scrapePool') ?? ''
  // No target is in a state that there is not.
  const wantsActive = ['', 'any', 'active'].includes(state)
  const wantsDropped = ['', 'any', 'dropped'].includes(state)
  const isIn = (t: { scrapePool: string }): boolean => pool === '' || t.scrapePool === pool
  const active = !wantsActive ? [] : shown.active.filter(isIn).sort(byPoolAndUrl)
  const dropped = !wantsDropped ? [] : shown.dropped.filter(isIn)
  return success(
    JSON.stringify({
      activeTargets: active.map(activeJson),
      droppedTargets: dropped.map(t => ({ discoveredLabels: discoveredOf(t), scrapePool: t.scrapePool })),
      droppedTargetCounts: wantsDropped ? shown.droppedCounts : null,
    }),
  )
}

/** All metadata of the tenant for each chosen target: which metrics a target has is not kept. */
function metadataReply(
  active: readonly ActiveTarget[],
  form: URLSearchParams,
  metadataOf: TargetRouteOptions['metadataOf'],
): HttpReply {
  const selector = form.get('match_target') ?? ''
  const metric = form.get('metric') ?? ''
  const limitText = form.get('limit') ?? ''
  if (limitText !== '' && !/^[+-]?\d+$/.test(limitText)) throw new BadDataError('limit must be a number')
  const limit = limitText === '' ? -1 : Number(limitText)
  const matchers = selector === '' ? [] : withParameter('match_target', () => parseSelector(selector))
  const ofTenants = new Map([...new Set(active.map(({ tenant }) => tenant))].map(one => [one, metadataOf(one)]))
  const wantedOf = (tenant: string): Metadata[] =>
    [...(ofTenants.get(tenant)?.values() ?? [])].filter(m => metric === '' || m.metric === metric)
  const found = active
    .map(({ labels, tenant }) => ({ target: object(labels), tenant }))
    .filter(({ target }) => matchers.every(m => m.matches(target[m.name] ?? '')))
    .flatMap(({ target, tenant }) =>
      wantedOf(tenant).map(m => ({
        target,
        ...(metric === '' ? { metric: m.metric } : {}),
        type: m.type,
        help: m.help,
        unit: m.unit,
      })),
    )
  return success(JSON.stringify(limit >= 0 ? found.slice(0, limit) : found))
}

function targetsPage({ pools, active }: ShownTargets): HttpReply {
  const columns = ['endpoint', 'state', 'labels', 'last scrape', 'took', 'samples', 'bytes', 'error']
  const row = (t: ActiveTarget): string =>
    `<tr><td><a href="${escaped(maskUrl(t.url))}">${escaped(maskUrl(t.url))}</a><td class="${t.health}">${t.health}` +
    `<td>${labelsHtml(t.labels)}<td>${t.lastScrapeMs === 0 ? 'never' : new Date(t.lastScrapeMs).toISOString()}` +
    `<td>${t.lastDurationMs.toFixed(1)} ms<td>${t.lastSamples}<td>${t.lastBodyBytes}` +
    `<td class="down">${escaped(t.lastError)}</tr>`
  const sections = pools.map(pool => {
    const own = active.filter(t => t.scrapePool === pool)
    const up = own.filter(t => t.health === 'up').length
    return section(`${escaped(pool)} (${up} of ${own.length} up)`, columns, own.map(row))
  })
  return page('Targets', sections)
}

function discoveryPage(shown: ShownTargets): HttpReply {
  const sections = shown.pools.map(pool => {
    const active = shown.active.filter(t => t.scrapePool === pool)
    const dropped = shown.dropped.filter(t => t.scrapePool === pool)
    const title = `${escaped(pool)} (${active.length} active, ${shown.droppedCounts[pool] ?? 0} dropped)`
    return section(
      title,
      ['discovered', 'target'],
      [
        ...active.map(t => `<tr><td>${labelsHtml(withoutSecrets(t.discovered))}<td>${labelsHtml(t.labels)}</tr>`),
        ...dropped.map(t => `<tr><td>${labelsHtml(withoutSecrets(t.discovered))}<td class="down">dropped</tr>`),
      ],
    )
  })
  return page('Service discovery', sections)
}
