/** A process whose files ask it to connect to metadata addresses: it refuses by every way, and says why. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { runTercet } from '../../test/run-tercet.ts'
import { untilTrue } from '../../test/until.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-outgoing-'))
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Different spellings, so that a message says which way was refused. */
const prometheus = `
global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
scrape_configs:
  - job_name: plain
    static_configs: [{ targets: ['169.254.0.1:80'] }]
  - job_name: mapped
    static_configs: [{ targets: ['[::ffff:169.254.0.2]:80'] }]
  - job_name: proxied
    proxy_url: http://169.254.0.3:3128
    static_configs: [{ targets: ['127.0.0.1:80'] }]
  - job_name: behind a proxy
    proxy_url: http://127.0.0.1:1
    static_configs: [{ targets: ['169.254.0.4:80'] }]
  - job_name: token
    oauth2: { client_id: a, client_secret: b, token_url: 'http://169.254.0.5/token' }
    static_configs: [{ targets: ['127.0.0.1:80'] }]
  - job_name: discovered
    http_sd_configs: [{ url: 'http://169.254.0.6/targets' }]
  - job_name: consul
    consul_sd_configs: [{ server: '169.254.0.7:8500' }]
  - job_name: docker
    docker_sd_configs: [{ host: 'http://169.254.0.8:2375' }]
  - job_name: kubernetes
    kubernetes_sd_configs: [{ role: pod, api_server: 'http://169.254.0.9' }]
alerting:
  alertmanagers: [{ static_configs: [{ targets: ['169.254.0.10:9093'] }] }]
rule_files: [${directory}/rules.yml]
`
const rules = 'groups: [{ name: g, rules: [{ alert: A, expr: vector(1) }] }]'
const alertmanager = `
route: { receiver: all, group_wait: 0s }
receivers:
  - name: all
    webhook_configs: [{ url: 'http://169.254.0.11/hook' }]
    email_configs: [{ to: a@b, from: c@d, smarthost: '169.254.0.12:25', require_tls: false }]
`
const agent = `
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: self, static_configs: [{ targets: ['127.0.0.1:1'] }] }]
remote_write: [{ url: 'http://169.254.0.13/api/v1/write' }]
`

function keepingLog(): { log: Log; text: () => string } {
  const lines: string[] = []
  const keep = (message: string, fields = {}): void => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { log: { debug: keep, info: keep, warn: keep, error: keep }, text: () => lines.join('\n') }
}

test('scrapes, discovery, alerts and notifications', async () => {
  for (const [name, text] of Object.entries({
    'prometheus.yml': prometheus,
    'rules.yml': rules,
    'am.yml': alertmanager,
  }))
    writeFileSync(join(directory, name), text)
  const { log, text } = keepingLog()
  const run = await runTercet(
    [`scrape_config_file=${directory}/prometheus.yml`, `alertmanager_config_file=${directory}/am.yml`],
    undefined,
    { log },
  )
  try {
    const seen = async (): Promise<string> => `${text()}\n${await (await fetch(`${run.url}/api/v1/targets`)).text()}`
    for (let n = 1; n <= 12; n++) {
      const address =
        n === 2 ? /no connection to \[::ffff:a9fe:2\]: / : new RegExp(`no connection to 169\\.254\\.0\\.${n}: `)
      await untilTrue(async () => address.test(await seen()), `a refusal of way ${n}`)
    }
    assert.match(await seen(), /; outgoing\.allow allows it/)
    assert.match(text(), /; outgoing\.allow or limits\.notify_link_local allows it/)
  } finally {
    await run.stop()
  }
})

test('what an agent sends', async () => {
  writeFileSync(join(directory, 'agent.yml'), agent)
  const { log, text } = keepingLog()
  const run = await runTercet(
    [
      'role=agent',
      `scrape_config_file=${directory}/agent.yml`,
      'agent.remote_write=http://169.254.0.14/api/v1/write',
      'agent.loki=http://169.254.0.15/loki/api/v1/push',
      'agent.otlp=http://169.254.0.16',
    ],
    undefined,
    { log },
  )
  try {
    const post = (path: string, body: string): Promise<Response> =>
      fetch(`${run.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    assert.equal((await post('/loki/api/v1/push', '{"streams":[]}')).status, 204)
    assert.equal((await post('/v1/traces', '{"resourceSpans":[]}')).status, 200)
    for (let n = 13; n <= 16; n++)
      await untilTrue(() => new RegExp(`no connection to 169\\.254\\.0\\.${n}: `).test(text()), `a refusal of way ${n}`)
  } finally {
    await run.stop()
  }
})

test('outgoing.allow and outgoing.deny', async () => {
  let connections = 0
  const server = createServer(socket => {
    connections++
    socket.destroy()
  })
  await new Promise<void>(resolve => {
    server.listen(0, '0.0.0.0', resolve)
  })
  const { port } = server.address() as AddressInfo
  writeFileSync(
    join(directory, 'lists.yml'),
    `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: allowed
    static_configs: [{ targets: ['0.0.0.0:${port}'] }]
  - job_name: denied
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]`,
  )
  const run = await runTercet([
    `scrape_config_file=${directory}/lists.yml`,
    'outgoing.allow=169.254.20.0/24, 0.0.0.0',
    'outgoing.deny=127.0.0.0/8',
  ])
  try {
    const targets = async (): Promise<string> => (await fetch(`${run.url}/api/v1/targets`)).text()
    await untilTrue(
      async () => connections > 0 && /127\.0\.0\.1 is refused by outgoing\.deny/.test(await targets()),
      'one connection, one refusal',
    )
    assert.doesNotMatch(await targets(), /no connection to 0\.0\.0\.0/)
  } finally {
    await run.stop()
    server.close()
  }
  await assert.rejects(runTercet(['outgoing.allow=10.0.0.0/33']), (error: unknown) => {
    assert.ok(error instanceof BadDataError)
    assert.match(error.message, /outgoing\.allow: "10\.0\.0\.0\/33": the length of the prefix is at most 32/)
    return true
  })
})
