/** Targets of scraping as Prometheus lists them, and their pages. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ask } from '#net/handler-kit.ts'
import { targetRoutes, type ActiveTarget, type TargetsSource } from './targets.ts'

function target(scrapePool: string, url: string, more: Partial<ActiveTarget> = {}): ActiveTarget {
  return {
    scrapePool,
    tenant: 'a',
    labels: [['job', scrapePool]],
    discovered: [['__address__', url]],
    url,
    intervalMs: 15_000,
    timeoutMs: 10_000,
    health: 'up',
    lastError: '',
    lastScrapeMs: Date.UTC(2026, 10, 28, 12),
    lastDurationMs: 12.34,
    lastSamples: 5,
    lastBodyBytes: 100,
    ...more,
  }
}

const source: TargetsSource = {
  pools: () => ['web', 'db'],
  active: () => [
    target('web', 'http://b'),
    target('web', 'http://a', { health: 'down', lastError: '<refused>', lastScrapeMs: 0 }),
    target('db', 'http://c'),
  ],
  dropped: () => [{ scrapePool: 'db', discovered: [['__address__', 'http://"d"']] }],
  droppedCounts: () => ({ db: 1 }),
}
const metric = (name: string) => ({ metric: name, type: 'gauge' as const, help: `help of ${name}`, unit: '' })
const metadata = new Map([
  ['m', metric('m')],
  ['n', metric('n')],
])
const routes = targetRoutes({ source, shownTo: () => undefined, metadataOf: () => metadata })

async function get(path: string, query = ''): Promise<{ status: number; body: string }> {
  const found = routes.find(r => r.path === path)
  assert.ok(found !== undefined)
  return ask(found.handler, { query })
}

interface Listed {
  activeTargets: { scrapeUrl: string; scrapeInterval: string; lastScrape: string; lastScrapeDuration: number }[]
  droppedTargets: { discoveredLabels: Record<string, string>; scrapePool: string }[]
  droppedTargetCounts: Record<string, number> | null
}

async function list(query: string): Promise<Listed> {
  return (JSON.parse((await get('/api/v1/targets', query)).body) as { data: Listed }).data
}

test('targets are chosen by state and pool, in the order of pool and URL', async () => {
  const cases: [query: string, active: string, dropped: number, counts: object | null][] = [
    ['', 'http://c http://a http://b', 1, { db: 1 }],
    ['state=any', 'http://c http://a http://b', 1, { db: 1 }],
    ['state=ACTIVE', 'http://c http://a http://b', 0, null],
    ['state=dropped', '', 1, { db: 1 }],
    ['state=odd', '', 0, null],
    ['scrapePool=web', 'http://a http://b', 0, { db: 1 }],
  ]
  for (const [query, active, dropped, counts] of cases) {
    const found = await list(query)
    assert.equal(found.activeTargets.map(t => t.scrapeUrl).join(' '), active, query)
    assert.equal(found.droppedTargets.length, dropped, query)
    assert.deepEqual(found.droppedTargetCounts, counts, query)
  }
})

test('a target is printed with its times; one that was never scraped has the zero time', async () => {
  const { activeTargets } = await list('scrapePool=web')
  assert.deepEqual(
    activeTargets.map(t => [t.scrapeInterval, t.lastScrape, t.lastScrapeDuration]),
    [
      ['15s', '0001-01-01T00:00:00Z', 0.01234],
      ['15s', '2026-11-28T12:00:00.000Z', 0.01234],
    ],
  )
  assert.equal((await get('/api/v1/scrape_pools')).body, '{"status":"success","data":{"scrapePools":["db","web"]}}')
})

test('metadata is listed by target, metric and limit', async () => {
  const cases: [query: string, rows: string[]][] = [
    ['', ['web m', 'web n', 'web m', 'web n', 'db m', 'db n']],
    ['match_target={job="db"}', ['db m', 'db n']],
    ['match_target={job="db"}&metric=m', ['db ']],
    ['limit=1', ['web m']],
    ['limit=0', []],
  ]
  for (const [query, rows] of cases) {
    const { data } = JSON.parse((await get('/api/v1/targets/metadata', query)).body) as {
      data: { target: { job: string }; metric?: string; type: string }[]
    }
    assert.deepEqual(
      data.map(row => `${row.target.job} ${row.metric ?? ''}`),
      rows,
      query,
    )
    assert.ok(data.every(row => row.type === 'gauge'))
  }
})

test('pages are HTML in which nothing that was scraped is markup', async () => {
  const targets = (await get('/targets')).body
  assert.match(targets, /<h2>web \(1 of 2 up\)<\/h2>.*<h2>db \(1 of 1 up\)<\/h2>/)
  assert.match(targets, /&lt;refused&gt;/)
  assert.match(targets, /<td>never<td>12\.3 ms<td>5<td>100/)
  assert.doesNotMatch(targets, /<refused>/)
  const discovery = (await get('/prometheus/service-discovery')).body
  assert.match(discovery, /<h2>db \(1 active, 1 dropped\)<\/h2>/)
  assert.match(discovery, /__address__="http:\/\/&quot;d&quot;"<\/code><td class="down">dropped/)
})
