/**
 * A real browser shows pages of other origins, and one whose name was made to lead to the server (DNS rebinding): what
 * they send is refused, what they ask is not read, and the server stands in none of their frames.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { chromium, type Browser, type Page } from 'playwright-core'
import { needs, programPath } from '../peers.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

const skip = needs('chromium').skip
let running: Running, browser: Browser, attacker: Server, foreign: string, rebound: string

const now = Date.now()
const pushes: Readonly<Record<string, string>> = {
  '/api/v1/import/prometheus': 'evil 1\n',
  '/write': 'evil value=1\n',
  '/loki/api/v1/push': JSON.stringify({ streams: [{ stream: { job: 'evil' }, values: [[`${now}000000`, 'line']] }] }),
  '/insert/jsonline': JSON.stringify({ _time: new Date(now).toISOString(), _msg: 'evil', job: 'evil' }),
  '/api/v2/alerts': JSON.stringify([{ labels: { alertname: 'Evil' } }]),
  '/-/flush': 'x',
  '/-/reload': 'x',
}

async function text(path: string): Promise<string> {
  return (await fetch(running.url + path)).text()
}

const tail = '/loki/api/v1/tail?query={job="x"}'

/** Nothing that a page sent is there. */
async function assertUntouched(): Promise<void> {
  assert.match(await text('/api/v1/series?match[]={__name__=~"evil.*"}'), /"data":\[\]/)
  assert.match(await text('/loki/api/v1/labels'), /^(?!.*"job")/)
  assert.equal((await text('/api/v2/alerts')).trim(), '[]')
}

/** What the pages do, by name. */
const functions = `
const outcome = promise => promise.then(() => 'read', () => 'refused')
async function answerTo(path, more) {
  const reply = await fetch(path, more)
  return reply.status + ' ' + (await reply.text()).slice(0, 38)
}
function asText(url, body) {
  const headers = { 'content-type': 'text/plain' }
  return outcome(fetch(url, { method: 'POST', mode: 'no-cors', headers, body }))
}
function asForm(action, body) {
  const frame = document.createElement('iframe')
  frame.name = 'below'
  const form = Object.assign(document.createElement('form'), { method: 'post', enctype: 'text/plain', action })
  form.target = 'below'
  // The name and the value of a field stand on both sides of a =.
  form.append(Object.assign(document.createElement('input'), { name: body, value: '' }))
  document.body.append(frame, form)
  form.submit()
}
function byFetch(url, more) {
  return outcome(fetch(url, more))
}
function byElement(tag, src) {
  return outcome(new Promise((resolve, reject) => {
    const element = document.createElement(tag)
    element.onload = resolve
    element.onerror = reject
    element.src = src
    document.body.append(element)
  }))
}
function byFrame(src) {
  return new Promise(resolve => {
    const frame = document.createElement('iframe')
    frame.onload = resolve
    frame.src = src
    document.body.replaceChildren(frame)
  }).then(() => 'loaded')
}
function bySocket(url) {
  return outcome(new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    socket.onopen = resolve
    socket.onclose = reject
  }))
}
`

function pageOf(title: string): string {
  return `<!doctype html><title>${title}</title><body><script>${functions}</script></body>`
}

/** What one of these functions answers. */
function run(page: Page, name: string, ...parameters: readonly unknown[]): Promise<string> {
  return page.evaluate(`${name}(${parameters.map(one => JSON.stringify(one)).join(', ')})`)
}

function portOf(url: string): string {
  return new URL(url).port
}

async function withPage(url: string, work: (page: Page) => Promise<void>): Promise<void> {
  const page = await browser.newPage()
  try {
    await page.goto(url)
    await work(page)
  } finally {
    await page.close()
  }
}

suite('pages of other origins', { skip }, () => {
  before(async () => {
    running = await runTercet()
    attacker = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(pageOf('another page'))
    })
    await new Promise<void>(resolve => {
      attacker.listen(0, '127.0.0.1', resolve)
    })
    foreign = `http://evil.example:${(attacker.address() as AddressInfo).port}`
    rebound = `http://rebind.example:${portOf(running.url)}`
    browser = await chromium.launch({
      executablePath: programPath('chromium')!,
      args: [
        '--no-sandbox',
        '--disable-dev-shm-usage',
        // Newer browsers ask the visitor first. That is no guard of the server's, and not what is tried here.
        '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
        '--host-resolver-rules=MAP rebind.example 127.0.0.1, MAP evil.example 127.0.0.1',
      ],
    })
  })
  after(async () => {
    await browser?.close()
    attacker?.close()
    await running?.stop()
  })

  test('a page whose name leads here reads nothing and does nothing', async () => {
    const page = await browser.newPage()
    // As it was served by another server, before its name led here.
    await page.route(`${rebound}/`, route => route.fulfill({ contentType: 'text/html', body: pageOf('rebinding') }))
    await page.goto(`${rebound}/`)
    const refusal = '403 403: this server does not answer to th'
    for (const [path, body] of Object.entries(pushes))
      assert.equal(await run(page, 'answerTo', path, { method: 'POST', body }), refusal, path)
    for (const path of ['/config', '/api/v1/query?query=1', '/ui', '/loki/api/v1/labels'])
      assert.equal(await run(page, 'answerTo', path), refusal, path)
    assert.equal(await run(page, 'bySocket', `${rebound.replace('http', 'ws')}${tail}`), 'refused')
    await page.close()
    await assertUntouched()
  })

  test('what another page posts, as text or as a form, is refused', async () => {
    for (const [path, body] of Object.entries(pushes))
      for (const way of ['asText', 'asForm'])
        await withPage(foreign, async page => {
          // A browser reports the answer as failed where the page may not have it.
          const isIt = (one: { url(): string }): boolean => one.url() === running.url + path
          const answered = Promise.race([
            page.waitForResponse(isIt).then(reply => reply.status()),
            page.waitForEvent('requestfailed', isIt).then(() => 'blocked'),
          ])
          const told = await run(page, way, running.url + path, body)
          assert.match(String(await answered), /^(403|blocked)$/, `${path} ${way}`)
          if (way === 'asText') assert.equal(told, 'refused')
        })
    await assertUntouched()
  })

  test('another page reads no answer: by fetch, as an image or a script, by WebSocket, in a frame', async () => {
    await withPage(foreign, async page => {
      const query = `${running.url}/api/v1/query?query=1`
      const json = { 'content-type': 'application/json' }
      const ways: readonly (readonly [name: string, ...parameters: unknown[]])[] = [
        ['byFetch', `${running.url}/config`],
        ['byFetch', query, { mode: 'no-cors' }],
        ['byFetch', `${running.url}/v1/traces`, { method: 'POST', headers: json, body: '{}' }],
        ['byFetch', `${running.url}/-/flush`, { method: 'PUT' }],
        ['byElement', 'script', query],
        ['byElement', 'img', query],
        ['bySocket', `${running.url.replace('http', 'ws')}${tail}`],
      ]
      for (const [name, ...parameters] of ways)
        assert.equal(await run(page, name, ...parameters), 'refused', JSON.stringify([name, ...parameters]))
      for (const path of ['/ui/metrics', '/config', '/']) {
        await run(page, 'byFrame', running.url + path)
        const isRefused = (): boolean =>
          page.frames().some(frame => frame !== page.mainFrame() && frame.url().startsWith('chrome-error:'))
        await untilTrue(isRefused, `a frame with ${path} shows the browser's own page`)
      }
    })
    await assertUntouched()
  })

  test('a page of a listed origin sends telemetry and reads answers', async () => {
    const listed = await runTercet([`cors_origins=${foreign}`])
    try {
      await withPage(foreign, async page => {
        const headers = { 'content-type': 'application/json', 'x-scope-orgid': 'a' }
        const sent = { method: 'POST', headers, body: '{"resourceLogs":[]}' }
        assert.match(await run(page, 'answerTo', `${listed.url}/v1/logs`, sent), /^200 /)
        assert.match(await run(page, 'answerTo', `${listed.url}/api/v1/query?query=1`), /^200 \{"status":"success"/)
      })
    } finally {
      await listed.stop()
    }
  })
})
