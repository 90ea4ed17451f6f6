/**
 * Secrets that are planted in every field that may hold one: no page, no answer of the API, no line of the log and no
 * error has them, while everything that they are for fails.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { messageOf } from '#core/errors.ts'
import { runCommand } from '../../test/run-cli.ts'
import { runTercet, type Running } from '../../test/run-tercet.ts'
import { untilTrue } from '../../test/until.ts'
import { makeLog } from './logger.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-secrets-'))
/** Says back what it was sent, and refuses it: as a receiver that shows a wrong token. */
const echo: Server = createServer((incoming, reply) => {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const { authorization = '', ...headers } = incoming.headers
    const [scheme = '', rest = ''] = authorization.split(' ')
    const clear = scheme === 'Basic' ? Buffer.from(rest, 'base64').toString() : ''
    const body = Buffer.concat(chunks).toString('utf8')
    seen.push(`${authorization} ${clear} ${JSON.stringify(headers)} ${incoming.url ?? ''} ${body}`)
    reply
      .writeHead(401)
      .end(`no: ${clear} ${authorization} ${JSON.stringify(headers)} ${incoming.url ?? ''}`.slice(0, 900))
  })
})
const seen: string[] = []
let port = 0
before(async () => {
  await new Promise<void>(resolve => {
    echo.listen(0, '127.0.0.1', resolve)
  })
  port = (echo.address() as AddressInfo).port
})
after(() => {
  echo.close()
  echo.closeAllConnections()
  rmSync(directory, { recursive: true, force: true })
})

/** A secret that is recognised wherever it is shown, and what it is for. */
let planted = new Map<string, string>()
function plant(what: string): string {
  const text = `planted${planted.size}q`
  planted.set(text, what)
  return text
}
function assertHidden(text: string, where: string): void {
  for (const found of text.match(/planted\d+q/gi) ?? [])
    assert.fail(`${where} shows ${planted.get(found.toLowerCase()) ?? found}: ${around(text, found)}`)
}
const around = (text: string, found: string): string => {
  const at = text.indexOf(found)
  return text.slice(Math.max(0, at - 150), at + 100)
}

/** The paths that the documentation names. */
const documented = [
  ...new Set(
    (readFileSync('docs/http-api.md', 'utf8').match(/\/[a-z0-9_/-][^`\s,;)|{}<>[\]]*/gi) ?? []).map(path =>
      path.replace(/[.:*?=&].*$/, ''),
    ),
  ),
]

async function assertNothingShown({ url }: Running, log: readonly string[]): Promise<void> {
  const more = [
    '/config',
    '/config?mode=diff',
    '/status',
    '/status/config',
    '/services',
    '/targets',
    '/service-discovery',
    '/metrics',
    '/api/tercet/settings',
    '/api/tercet/trouble',
    '/api/v1/status/config',
    '/api/v1/status/flags',
    '/api/v1/targets?state=any',
    '/api/v1/alertmanagers',
    '/api/v1/rules',
    '/api/v1/alerts',
    '/api/v2/status',
    '/api/v2/receivers',
    '/api/v2/alerts/groups',
  ]
  let answered = 0
  for (const path of new Set([...more, ...documented.filter(one => !one.includes('tail'))])) {
    // Some stream, or wait for a store that is away.
    const signal = AbortSignal.timeout(1000)
    const { status, text } = await fetch(url + path, { signal })
      .then(async reply => ({ status: reply.status, text: await reply.text() }))
      .catch(() => ({ status: 0, text: '' }))
    if (status === 200) answered++
    assertHidden(text, path)
  }
  assert.ok(answered >= 6, `${answered} pages answered`)
  assertHidden(log.join(''), 'the log')
}

const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const yamlLog = (lines: string[]): ReturnType<typeof makeLog> =>
  makeLog('logfmt', 'debug', undefined, line => void lines.push(line))

/** Each way to identify oneself of an http_config, as flow mappings. */
function waysOf(): { name: string; text: string }[] {
  return [
    { name: 'basic', text: `basic_auth: { username: me, password: ${plant('basic_auth.password')} }` },
    {
      name: 'basic file',
      text: `basic_auth: { username: me, password_file: ${file('password', plant('basic_auth.password_file'))} }`,
    },
    { name: 'credentials', text: `authorization: { credentials: ${plant('authorization.credentials')} }` },
    {
      name: 'credentials file',
      text: `authorization: { credentials_file: ${file('credentials', plant('authorization.credentials_file'))} }`,
    },
    { name: 'bearer', text: `bearer_token: ${plant('bearer_token')}` },
    {
      name: 'oauth2',
      text:
        `oauth2: { client_id: me, client_secret: ${plant('oauth2.client_secret')}, ` +
        `token_url: "http://me:${plant('oauth2.token_url')}@127.0.0.1:${port}/token?key=${plant('token_url key')}", ` +
        `endpoint_params: { password: ${plant('oauth2.endpoint_params')} } }`,
    },
    { name: 'proxy', text: `proxy_url: "http://me:${plant('proxy_url')}@127.0.0.1:${port}"` },
    { name: 'dead proxy', text: `proxy_url: "http://me:${plant('a dead proxy_url')}@127.0.0.1:1"` },
    {
      name: 'headers',
      text:
        `http_headers: { X-Key: { secrets: [${plant('http_headers.secrets')}], ` +
        `values: [${plant('http_headers.values')}] } }`,
    },
    { name: 'tls key', text: `tls_config: { cert: "no certificate", key: ${plant('tls_config.key')} }` },
  ]
}

function prometheusText(): string {
  const host = `127.0.0.1:${port}`
  const userinfo = (what: string): string => `me:${plant(what)}@`
  const jobs = waysOf().map(
    ({ name, text }) => `  - { job_name: ${name}, ${text}, static_configs: [{ targets: ['${host}'] }] }`,
  )
  const discoveries = waysOf().map(
    ({ name, text }) => `  - { job_name: by ${name}, http_sd_configs: [{ url: 'http://${host}/sd', ${text} }] }`,
  )
  const remotes = waysOf().map(({ text }, i) => `  - { url: 'http://${host}/write${i}', ${text} }`)
  const managers = waysOf().map(({ text }) => `    - { ${text}, static_configs: [{ targets: ['${host}'] }] }`)
  return `
global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
scrape_configs:
${jobs.join('\n')}
${discoveries.join('\n')}
  - job_name: parameters
    params: { token: [${plant('params.token')}], module: [shown] }
    static_configs: [{ targets: ['${userinfo('a target')}${host}'] }]
  - job_name: path
    metrics_path: /metrics?api_key=${plant('metrics_path')}
    static_configs: [{ targets: ['127.0.0.1:1'] }]
  - job_name: dropped
    params: { password: [${plant('params of a dropped target')}] }
    relabel_configs: [{ action: drop, source_labels: [job], regex: dropped }]
    static_configs: [{ targets: ['${userinfo('a dropped target')}${host}'] }]
  - job_name: discovered
    http_sd_configs: [{ url: 'http://${userinfo('http_sd url')}${host}/sd?token=${plant('http_sd token')}' }]
    consul_sd_configs: [{ server: '${userinfo('consul server')}${host}', token: ${plant('consul token')} }]
    docker_sd_configs: [{ host: 'http://${userinfo('docker host')}${host}' }]
    kubernetes_sd_configs: [{ role: pod, api_server: 'http://${userinfo('api_server')}${host}' }]
alerting:
  alertmanagers:
${managers.join('\n')}
    - static_configs: [{ targets: ['${userinfo('an alertmanager')}${host}'] }]
      path_prefix: /p?secret=${plant('path_prefix')}
remote_write:
${remotes.join('\n')}
  - { url: 'http://${userinfo('remote_write url')}${host}/w?token=${plant('remote_write token')}' }
  - { url: 'http://${userinfo('a dead remote')}127.0.0.1:1/w', headers: { X-Key: ${plant('remote_write headers')} } }
rule_files: [${file('rules.yml', 'groups: [{ name: g, rules: [{ alert: A, expr: vector(1) }] }]')}]
`
}

function alertmanagerText(): string {
  const url = `http://127.0.0.1:${port}`
  const dead = 'http://127.0.0.1:1'
  const p = plant
  const secretFile = (name: string): string => file(name, p(`the file ${name}`))
  const ways = waysOf().map(
    ({ text }, i) => `      - { url: '${url}/h${i}/${p('a webhook with http_config')}', http_config: { ${text} } }`,
  )
  return `
# An old one: ${p('a comment')}
global:
  smtp_smarthost: 127.0.0.1:1
  smtp_from: a@b
  smtp_auth_username: me
  smtp_auth_password: ${p('smtp_auth_password')}
  smtp_auth_secret: ${p('smtp_auth_secret')}
  slack_api_url: ${url}/${p('slack_api_url')}
  slack_app_token: ${p('slack_app_token')}
  opsgenie_api_url: http://me:${p('opsgenie_api_url')}@127.0.0.1:${port}/
  opsgenie_api_key: ${p('opsgenie_api_key')}
  telegram_bot_token: ${p('telegram_bot_token')}
  pagerduty_url: ${url}/x?token=${p('pagerduty_url')}
  victorops_api_key: ${p('victorops_api_key')}
  wechat_api_secret: ${p('wechat_api_secret')}
  rocketchat_token: ${p('rocketchat_token')}
  mattermost_webhook_url: ${url}/${p('mattermost_webhook_url')}
  http_config: { basic_auth: { username: me, password: ${p('global http_config')} }, 
    tls_config: { cert: c, key: ${p('global key')} } }
route: { receiver: all, group_wait: 0s, group_interval: 1s }
receivers:
  - name: all
    webhook_configs:
      - { url: '${url}/${p('webhook url')}' }
      - { url: '${dead}/${p('a dead webhook url')}' }
      - { url: '${p('a webhook url that is none')}' }
      - { url_file: ${file('url', `${url}/${p('webhook url_file')}`)} }
${ways.join('\n')}
    email_configs:
      - { to: a@b, auth_password: ${p('auth_password')}, auth_secret: ${p('auth_secret')}, require_tls: false }
    slack_configs:
      - { channel: '#c', http_config: {} }
      - { channel: '#c', api_url: '${dead}/${p('slack api_url')}', http_config: {} }
      - { channel: '#c', api_url: '${url}', app_token: ${p('slack app_token')}, http_config: {} }
      - { channel: '#c', api_url_file: ${file('slack', `${url}/${p('slack api_url_file')}`)}, http_config: {} }
    pagerduty_configs:
      - { routing_key: ${p('routing_key')}, http_config: {} }
      - { service_key: ${p('service_key')}, url: '${dead}/${'x'}?key=${p('pagerduty url')}', http_config: {} }
      - { routing_key_file: ${secretFile('routing')}, http_config: {} }
    opsgenie_configs:
      - { http_config: {} }
      - { api_key: ${p('opsgenie api_key')}, api_url: '${dead}', http_config: {} }
    telegram_configs:
      - { chat_id: 1, api_url: '${url}', http_config: {} }
      - { chat_id: 1, api_url: '${dead}', bot_token: ${p('bot_token')}, http_config: {} }
      - chat_id_file: ${file('chat', '4711\n')}
        api_url: '${url}'
        bot_token_file: ${secretFile('bot')}
        http_config: {}
    discord_configs:
      - { webhook_url: '${url}/${p('discord webhook_url')}', http_config: {} }
      - { webhook_url: '${dead}/${p('a dead discord webhook_url')}', http_config: {} }
    msteams_configs: [{ webhook_url: '${url}/${p('msteams webhook_url')}', http_config: {} }]
    msteamsv2_configs: [{ webhook_url: '${dead}/${p('msteamsv2 webhook_url')}', http_config: {} }]
    pushover_configs:
      - user_key: ${p('user_key')}
        token: ${p('pushover token')}
        http_config: { proxy_url: 'http://me:${p('proxy of pushover')}@127.0.0.1:1' }
    wechat_configs: [{ api_secret: ${p('wechat api_secret')} }]
    victorops_configs: [{ api_key: ${p('victorops api_key')}, routing_key: ${p('victorops routing_key')} }]
    sns_configs: [{ sigv4: { access_key: ${p('sns access_key')}, secret_key: ${p('sns secret_key')} } }]
    webex_configs: [{ http_config: { authorization: { credentials: ${p('webex')} } } }]
    jira_configs: [{ http_config: { basic_auth: { username: a, password: ${p('jira')} } } }]
    rocketchat_configs: [{ token: ${p('rocketchat token')}, token_id: ${p('rocketchat token_id')} }]
    incidentio_configs: [{ url: '${url}/${p('incidentio url')}', alert_source_token: ${p('alert_source_token')} }]
    mattermost_configs: [{ webhook_url: '${url}/${p('mattermost webhook_url')}' }]
`
}

test('of scrapes, discovery, rules, alerts and notifications', async () => {
  planted = new Map()
  const log: string[] = []
  const run = await runTercet(
    [
      `scrape_config_file=${file('prometheus.yml', prometheusText())}`,
      `alertmanager_config_file=${file('am.yml', alertmanagerText())}`,
      `external_url=http://me:${plant('external_url')}@here.test/`,
    ],
    undefined,
    { log: yamlLog(log) },
  )
  try {
    // Everything was tried: what is inline has arrived, or its failure was told.
    const failures = (): number => log.filter(line => line.includes('a notification ')).length
    await untilTrue(() => failures() >= 25, 'notifications that fail')
    await untilTrue(() => log.some(line => line.includes('alerts could not be sent')), 'alerts that are not taken')
    await untilTrue(
      async () => !(await (await fetch(`${run.url}/api/v1/targets`)).text()).includes('"health":"unknown"'),
      'scrapes of all targets',
    )
    for (const what of ['basic_auth.password_file', 'authorization.credentials_file', 'consul token', 'routing_key'])
      await untilTrue(
        () => seen.some(text => [...planted].some(([s, name]) => name === what && text.includes(s))),
        what,
      )
    await untilTrue(() => seen.some(text => text.includes('"chat_id":"4711"')), 'the chat that a file names')
    await assertNothingShown(run, log)
    await run.tercet.reload()
    const series = await fetch(`${run.url}/api/v1/series?match[]=up`)
    assertHidden(await series.text(), 'a label of a series')
    await assertNothingShown(run, log)
  } finally {
    await run.stop()
  }
  assertHidden(log.join(''), 'the log of the end')
})

test('of an agent', async () => {
  planted = new Map()
  const log: string[] = []
  const of = (path: string, host = `127.0.0.1:${port}`): string =>
    `http://me:${plant(`${host}${path}`)}@${host}${path}?token=${plant(`${host}${path} token`)}`
  const flags = [
    `agent.remote_write=${of('/w')},${of('/w', '127.0.0.1:1')}`,
    `agent.loki=${of('/l')},${of('/l', '127.0.0.1:1')}`,
    `agent.otlp=${of('/o')}`,
    `agent.client_config_file=${file('client.yml', `authorization: { credentials: ${plant('client_config_file')} }`)}`,
    `scrape_config_file=${file('prometheus.yml', prometheusText())}`,
  ]
  const run = await runTercet(['role=agent', ...flags], undefined, { log: yamlLog(log) })
  try {
    const post = (path: string, body: string): Promise<Response> =>
      fetch(`${run.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    assert.equal((await post('/loki/api/v1/push', '{"streams":[]}')).status, 204)
    assert.equal((await post('/v1/traces', '{"resourceSpans":[]}')).status, 200)
    for (const name of ['loki', 'remote_write', 'otlp'])
      await untilTrue(() => log.some(line => line.includes(`remote="${name} 127.0.0.1:${port}`)), `failures of ${name}`)
    await untilTrue(() => log.some(line => line.includes('ECONNREFUSED')), 'a remote that is away')
    await assertNothingShown(run, log)
  } finally {
    await run.stop()
  }
  assertHidden(log.join(''), 'the log of the end')
})

test('of the bucket', async () => {
  planted = new Map()
  const log: string[] = []
  const s3 = [
    'bucket.s3.bucket=a',
    `bucket.s3.access_key_id=id`,
    `bucket.s3.secret_access_key=${plant('secret_access_key')}`,
    `logs.bucket.s3.secret_access_key=${plant('logs secret_access_key')}`,
    `traces.bucket.s3.endpoint=http://me:${plant('traces endpoint')}@127.0.0.1:1`,
  ]
  const endpoints = [`http://me:${plant('endpoint')}@127.0.0.1:${port}`, `http://me:${plant('a dead one')}@127.0.0.1:1`]
  for (const endpoint of endpoints)
    for (const insecure of ['true', 'false']) {
      const flags = [...s3, `bucket.s3.endpoint=${endpoint}`, `bucket.s3.allow_insecure=${insecure}`]
      const told = await runTercet(flags, undefined, { log: yamlLog(log) }).then(
        async run => {
          try {
            await assertNothingShown(run, log)
          } finally {
            await run.stop()
          }
          return ''
        },
        (error: unknown) => `${messageOf(error)} ${String((error as Error).stack)}`,
      )
      assertHidden(told, `the failure of a start with ${endpoint}`)
    }
  assertHidden(log.join(''), 'the log')
})

test('of addresses whose passwords are not escaped', async () => {
  planted = new Map()
  const log: string[] = []
  const of = (what: string, mark: string): string => `http://me:a${mark}${plant(what)}@127.0.0.1:1/x`
  const scrapes = `
scrape_configs:
  - { job_name: a, proxy_url: '${of('proxy_url', ' ')}', static_configs: [{ targets: ['127.0.0.1:1'] }] }
  - { job_name: b, proxy_url: '${of('another proxy_url', '/')}', static_configs: [{ targets: ['127.0.0.1:1'] }] }
  - { job_name: c, http_sd_configs: [{ url: '${of('http_sd_configs', ' ')}' }] }
`
  const flags = [
    `scrape_config_file=${file('prometheus.yml', scrapes)}`,
    `external_url=${of('external_url', '#')}`,
    'bucket.s3.bucket=a',
    `bucket.s3.endpoint=${of('bucket.s3.endpoint', '/').replace('http', 'https')}`,
  ]
  const run = await runTercet(flags, undefined, { log: yamlLog(log) })
  try {
    await assertNothingShown(run, log)
    const wrong: readonly string[] = [
      `scrape_configs: [{ job_name: a, static_configs: [{ targets: ['${of('a target', '?')}'] }] }]`,
      `scrape_configs: [{ job_name: a, http_sd_configs: [{ url: '${of('a URL', '/')}' }] }]`,
      `remote_write: [{ url: '${of('remote_write', '#')}' }]`,
    ]
    for (const text of wrong) {
      file('prometheus.yml', text)
      await assert.rejects(run.tercet.reload(), (error: Error) => {
        assertHidden(`${error.message} ${error.stack}`, 'a reload')
        return true
      })
    }
    await assertNothingShown(run, log)
  } finally {
    await run.stop()
  }
  for (const name of ['agent.remote_write', 'agent.loki', 'agent.otlp']) {
    const agent = runTercet(['role=agent', `${name}=${of(name, '/')}`])
    await assert.rejects(agent, (error: Error) => {
      assert.match(error.message, /agent.*: "http:\/\/<secret>@127.0.0.1:1\/x" is no URL like/)
      assertHidden(inspect(error), 'the failure of a start')
      return true
    })
  }
})

test('of what the command line prints', async () => {
  planted = new Map()
  const prometheus = file('prometheus.yml', prometheusText())
  const alertmanager = file('am.yml', alertmanagerText())
  const bad = file(
    'bad.yml',
    `remote_write: [{ url: "ftp://me:${plant('a bad URL')}@h/?token=${plant('its token')}" }]`,
  )
  const of = (name: string): string => `--${name}=http://me:${plant(name)}@127.0.0.1:1`
  const s3 = ['--bucket.s3.bucket=a', '--bucket.s3.allow_insecure', of('bucket.s3.endpoint')]
  const keys = ['--bucket.s3.access_key_id=a', `--bucket.s3.secret_access_key=${plant('secret_access_key')}`]
  for (const args of [
    ['check', 'config', prometheus],
    ['check', 'config', bad],
    ['check', 'alertmanager', alertmanager],
    ['check', `--scrape_config_file=${prometheus}`, `--alertmanager_config_file=${alertmanager}`],
    ['check', `--scrape_config_file=${bad}`],
    ['check', 'bucket', ...s3, ...keys],
    ['up', '--listen.http=127.0.0.1:0', `--data_dir=${directory}/up`, ...s3, ...keys, `--scrape_config_file=${bad}`],
    ['up', `--data_dir=${directory}/up`, `--agent.remote_write=//me:${plant('no URL')}@h`, '--role=agent'],
    ['query', 'metrics', 'up', `--url=http://me:${plant('--url')}@127.0.0.1:1`],
    ['query', 'up', `--url=http://me:${plant('--url')}@127.0.0.1:1`],
  ]) {
    const { out, err } = await runCommand(args)
    assertHidden(`${out}${err}`, `tercet ${args.slice(0, 2).join(' ')}`)
  }
})
