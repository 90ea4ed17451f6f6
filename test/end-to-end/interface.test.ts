/** What the web interface is served and asks, and its twins on the command line. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RunningQueries } from '#api/tercet/running-queries.ts'
import { uiRoutes } from '#api/tercet/ui.ts'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { seededRandom } from '#core/random.ts'
import { everything } from '#net/access.ts'
import type { HttpReply, HttpRequest, Route } from '#net/route-table.ts'
import { QueryGate } from '#query/gate.ts'
import { topRows } from '../../src/ops/top.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

const request = (more: Partial<HttpRequest> & { headers?: Record<string, string> } = {}): HttpRequest => ({
  method: 'GET',
  path: '/',
  params: {},
  query: new URLSearchParams(),
  header: name => more.headers?.[name],
  grant: everything,
  body: () => Promise.resolve(new Uint8Array()),
  rawBody: () => Promise.resolve(new Uint8Array()),
  form: () => Promise.resolve(new URLSearchParams()),
  signal: new AbortController().signal,
  ...more,
})

test('the page comes with a policy and its own nonce, files with a tag, and nothing else of the disk', async () => {
  const files = new Map([
    ['index.html', Buffer.from('<meta content="__NONCE__">')],
    ['assets/a-1.js', Buffer.from('let a = 1\n'.repeat(100))],
  ])
  const routes = uiRoutes(files, 'welcome', seededRandom(1))
  const ask = (path: string, more: Parameters<typeof request>[0] = {}): Promise<HttpReply> =>
    routes.find(r => r.path === path)!.handler(request(more))
  assert.equal((await ask('/')).body, 'welcome', 'for who asks by hand')
  const [first, second] = [await ask('/', { headers: { accept: 'text/html' } }), await ask('/ui/*')]
  const nonce = /content="([^"]+)"/.exec(String(first.body))![1]!
  assert.match(
    first.headers!['content-security-policy']!,
    new RegExp(
      `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce.replaceAll(/[+/]/g, c => `\\${c}`)}'`,
    ),
  )
  assert.notEqual(first.body, second.body)
  const file = await ask('/assets/:file', { params: { file: 'a-1.js' }, headers: { 'accept-encoding': 'gzip' } })
  assert.deepEqual(
    [file.headers!['content-encoding'], file.headers!['content-type']],
    ['gzip', 'text/javascript; charset=utf-8'],
  )
  assert.equal(
    (await ask('/assets/:file', { params: { file: 'a-1.js' }, headers: { 'if-none-match': file.headers!['etag']! } }))
      .status,
    304,
  )
  for (const name of ['../index.html', '../../package.json', 'b.js', ''])
    assert.equal((await ask('/assets/:file', { params: { file: name } })).status, 404)
  assert.deepEqual(
    uiRoutes(new Map(), 'welcome', seededRandom(1)).map(r => r.path),
    ['/'],
    'without a build there is the text',
  )
})

test('running queries are listed and can be ended; those that are answered are gone', async () => {
  const running = new RunningQueries(systemClock, new QueryGate(systemClock, defaultLimits))
  const seen: AbortSignal[] = []
  const [route, other] = running.watched<Route>([
    {
      methods: ['GET'],
      path: '/api/v1/query',
      handler: async ({ signal }) => {
        seen.push(signal)
        await new Promise<void>(resolve => {
          signal.addEventListener('abort', () => {
            resolve()
          })
        })
        return { status: 499 }
      },
    },
    { methods: ['GET'], path: '/api/v1/labels', handler: async () => ({ status: 200 }) },
  ])
  const answer = route!.handler(request({ query: new URLSearchParams({ query: 'up' }) }))
  await new Promise(resolve => setImmediate(resolve))
  const [listed] = running.list()
  assert.deepEqual([listed!.language, listed!.text, running.list().length], ['PromQL', 'up', 1])
  assert.equal(running.cancel(listed!.id + 1), false)
  assert.equal(running.cancel(listed!.id), true)
  assert.equal((await answer).status, 499)
  assert.deepEqual(running.list(), [])
  assert.equal((await other!.handler(request())).status, 200)
})

test('a query that runs is found, and ended: its caller gets an error', async () => {
  const running = await runTercet([])
  try {
    // Long, with a turn for others between one series and the next.
    await postWrite(
      running.url,
      writeBody(
        Array.from({ length: 2000 }, (_, i) => ({
          labels: [
            ['__name__', 'x'],
            ['i', String(i)],
          ],
          samples: [[Date.now() - 5000, i]],
        })),
      ),
    )
    const answer = fetch(`${running.url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: 'sum_over_time((x * 2)[2h:1s])' }),
    })
    let id: number | undefined
    for (let i = 0; i < 2000 && id === undefined; i++)
      id = (
        (await (await fetch(`${running.url}/api/tercet/queries`)).json()) as { queries: { id: number; text: string }[] }
      ).queries.find(q => q.text.startsWith('sum_over_time'))?.id
    assert.ok(id !== undefined, 'it is on the list')
    assert.equal((await fetch(`${running.url}/api/tercet/queries/${id}`, { method: 'DELETE' })).status, 204)
    const reply = await answer
    assert.ok(reply.status >= 400, String(reply.status))
    assert.match(await reply.text(), /"errorType":"canceled".*query was canceled/)
    // The error of an unreadable body has the envelope of the route.
    const garbage = await fetch(`${running.url}/api/v1/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-encoding': 'gzip' },
      body: 'no gzip',
    })
    assert.match(await garbage.text(), /"status":"error"/)
  } finally {
    await running.stop()
  }
})

test('links of alerts and of a Prometheus lead to the pages', async () => {
  const running = await runTercet([])
  try {
    for (const [path, to] of [
      ['/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=1', '/ui/metrics?q=up%7Ba%3D%22b%22%7D&view=table'],
      ['/query?g0.expr=up&g0.range_input=2h', '/ui/metrics?q=up&range=2h'],
      ['/alerts', '/ui/alerts'],
      ['/rules', '/ui/rules'],
    ] as const) {
      const reply = await fetch(running.url + path, { redirect: 'manual' })
      assert.deepEqual([reply.status, reply.headers.get('location')], [302, to], path)
    }
  } finally {
    await running.stop()
  }
})

test('blocks, settings with their place, where an alert goes, dashboards from files', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-interface-'))
  mkdirSync(join(directory, 'd'))
  writeFileSync(join(directory, 'd/mine.json'), '{"title":"Mine","panels":[]}')
  writeFileSync(
    join(directory, 'am.yml'),
    'route: { receiver: all, group_by: [alertname], routes: [{ receiver: pager, ' +
      'matchers: [severity="page"], group_wait: 5s }] }\n' +
      'receivers: [{ name: all }, { name: pager }]\n',
  )
  const running = await runTercet([
    `dashboard_files=${directory}/d/*.json`,
    `alertmanager_config_file=${directory}/am.yml`,
  ])
  try {
    const get = async (path: string): Promise<unknown> => (await fetch(running.url + path)).json()
    assert.equal(
      (
        await postWrite(
          running.url,
          writeBody([
            {
              labels: [['__name__', 'a']],
              samples: [
                [Date.now(), 1],
                [Date.now() + 1, 2],
              ],
            },
          ]),
        )
      ).status,
      204,
    )
    await fetch(`${running.url}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [[`${Date.now()}000000`, 'x']] }] }),
    })
    await fetch(`${running.url}/-/flush`, { method: 'POST' })
    const { blocks } = (await get('/api/tercet/blocks')) as {
      blocks: { signal: string; count: number; bytes: number; level: number }[]
    }
    assert.deepEqual(blocks.map(b => b.signal).sort(), ['logs', 'metrics'])
    assert.equal(blocks.find(b => b.signal === 'metrics')!.count, 2)
    assert.ok(blocks.every(b => b.bytes > 0))
    await fetch(`${running.url}/-/refresh`, { method: 'POST' })
    assert.equal(((await get('/api/tercet/blocks')) as typeof blocks & { blocks: unknown[] }).blocks.length, 2)
    const { settings } = (await get('/api/tercet/settings')) as {
      settings: { name: string; value: string; source: string }[]
    }
    const of = (name: string): string => settings.find(s => s.name === name)!.source
    assert.deepEqual(
      [of('alertmanager_config_file'), of('metrics.retention')],
      ['flag --alertmanager_config_file', 'default'],
    )
    const { receivers } = (await get('/api/tercet/route?alertname=x&severity=page')) as {
      receivers: { receiver: string; groupWaitMs: number }[]
    }
    assert.deepEqual(
      receivers.map(r => [r.receiver, r.groupWaitMs]),
      [['pager', 5000]],
    )
    assert.deepEqual(await get('/api/tercet/dashboards'), {
      dashboards: [{ name: 'mine', text: '{"title":"Mine","panels":[]}' }],
    })
    assert.equal((await fetch(`${running.url}/api/tercet/queries/77`, { method: 'DELETE' })).status, 404)
  } finally {
    await running.stop()
    rmSync(directory, { recursive: true })
  }
})

test('the command line draws charts, follows by level, and shows rates', async () => {
  const running = await runTercet([])
  try {
    const now = Math.floor(Date.now() / 1000)
    await postWrite(
      running.url,
      writeBody([
        {
          labels: [
            ['__name__', 'ramp'],
            ['text', 'a\u001b[31mb'],
          ],
          samples: Array.from({ length: 100 }, (_, i): [number, number] => [(now - 3000 + i * 30) * 1000, i]),
        },
      ]),
    )
    const chart = await runCommand(['query', `--url=${running.url}`, '--since=50m', 'ramp'])
    assert.match(chart.out, /^▁+▂+▃+▄+▅+▆+▇+█+ {2}9\d \(\d to 9\d\) {2}ramp\{text="a\\u001b\[31mb"\}\n$/)
    assert.match(
      (await runCommand(['query', `--url=${running.url}`, '--since=nonsense', 'ramp'])).err,
      /no duration like 1h/,
    )
    const top = await runCommand(['top', `--url=${running.url}`, '--once', '--json', '--interval=100ms'])
    assert.equal((JSON.parse(top.out) as Record<string, string>)['active series'], '1')
    assert.match((await runCommand(['top', '--url=http://127.0.0.1:1', '--once'])).err, /can't be reached/)
    assert.match((await runCommand(['tail', '--level=loud', '{a="b"}'])).err, /--level=loud is not one of/)
    const push = (line: string): Promise<Response> =>
      fetch(`${running.url}/loki/api/v1/push`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ streams: [{ stream: { service_name: 'a' }, values: [[`${Date.now()}000000`, line]] }] }),
      })
    await push('level=info quiet')
    await push('level=error loud \u001b[2J')
    const child = spawn(
      process.execPath,
      ['src/app/main.ts', 'tail', `--url=${running.url}`, '--level=warn', '--color=always', '{service_name="a"}'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const ended = new Promise(resolve => {
      child.once('exit', resolve)
    })
    let out = ''
    await new Promise<void>(resolve => {
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString()
        if (out.includes('loud')) resolve()
      })
    })
    child.kill('SIGTERM')
    await ended
    assert.ok(out.includes('\u001b[31mlevel=error loud ␛[2J\u001b[0m'), out)
    assert.ok(!out.includes('quiet'))
  } finally {
    await running.stop().catch(() => undefined)
  }
  const rows = new Map(
    topRows(
      new Map([['tercet_samples_appended_total{signal="metrics"}', 100]]),
      new Map([
        ['tercet_samples_appended_total{signal="metrics"}', 4100],
        ['tercet_http_requests_total{path="/x",code="200"}', 20],
      ]),
      2,
    ),
  )
  assert.deepEqual([rows.get('samples'), rows.get('/x')], ['2k/s', '10/s'])
})
