/**
 * A real Alertmanager and Tercet with the same configuration and the same alerts send the same notifications; amtool
 * works; both accept the same files. Covers req-042, req-043.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { systemFiles } from '#core/files.ts'
import { checkAlertmanagerFiles } from '../../src/ops/check-files.ts'
import { needs, Peer, programPath } from '../peers.ts'
import { until } from '../until.ts'
import { urlOf } from '../url.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { listening } from '../listening.ts'
import { freePort } from '../free-port.ts'

interface Received {
  receiver: string
  status: string
  groupKey: string
  groupLabels: Record<string, string>
  commonLabels: Record<string, string>
  commonAnnotations: Record<string, string>
  alerts: {
    status: string
    labels: Record<string, string>
    annotations: Record<string, string>
    fingerprint: string
    endsAt: string
    startsAt: string
    generatorURL: string
  }[]
  version: string
  truncatedAlerts: number
}
const directory = temporaryDirectory()
const received: Record<string, { path: string; body: Received & Record<string, unknown> }[]> = { ours: [], theirs: [] }
let server: Server
let port = 0
let run: Running
let peer: Peer | undefined
let peerUrl = ''

const config = (who: string): string => `
global: { resolve_timeout: 1m, slack_api_url: 'http://127.0.0.1:${port}/${who}/slack',
    pagerduty_url: 'http://127.0.0.1:${port}/${who}/pagerduty',
    opsgenie_api_url: 'http://127.0.0.1:${port}/${who}/opsgenie/', opsgenie_api_key: k,
    telegram_api_url: 'http://127.0.0.1:${port}/${who}/telegram' }
templates: ['*.tmpl']
route:
  receiver: all
  group_by: [alertname, cluster]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - { matchers: ['team="db"'], receiver: db, group_by: ['...'], continue: true }
    - { matchers: ['team=~"db|web"', 'severity!="info"'], receiver: web, group_by: [] }
    - { match: { kind: many }, receiver: several, group_by: [alertname] }
    - { match_re: { kind: 'q.*' }, receiver: quiet }
    - { matchers: ['kind="muted"'], receiver: all, mute_time_intervals: [always] }
time_intervals: [{ name: always, time_intervals: [{ times: [{ start_time: '00:00', end_time: '24:00' }] }] }]
inhibit_rules: [{ source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [cluster] }]
receivers:
  - { name: all, webhook_configs: [{ url: 'http://127.0.0.1:${port}/${who}/all' }] }
  - { name: db, webhook_configs: [{ url: 'http://127.0.0.1:${port}/${who}/db', send_resolved: false, max_alerts: 1 }] }
  - { name: web, webhook_configs: [{ url: 'http://127.0.0.1:${port}/${who}/web' }] }
  - { name: quiet }
  - name: several
    slack_configs: [{ channel: '#c', send_resolved: true, title: '{{ template "own.title" . }}',
        fields: [{ title: F, value: '{{ .CommonLabels.alertname }}', short: true }] }]
    pagerduty_configs: [{ routing_key: r, severity: '{{ .CommonLabels.kind }}' }]
    opsgenie_configs: [{ tags: 'a,b' }]
    telegram_configs: [{ bot_token: t, chat_id: -5 }]
    discord_configs: [{ webhook_url: 'http://127.0.0.1:${port}/${who}/discord' }]
    msteamsv2_configs: [{ webhook_url: 'http://127.0.0.1:${port}/${who}/teams' }]
`
const template =
  '{{ define "own.title" }}{{ len .Alerts.Firing }}/{{ len .Alerts }} ' +
  '{{ range .GroupLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}{{ .CommonLabels.Names | ' +
  'join "," }} {{ .Status | toUpper }} {{ (index .Alerts 0).Annotations.summary }}{{ end }}'

before(async () => {
  server = createServer((request, reply) => {
    const parts: Buffer[] = []
    request
      .on('data', (part: Buffer) => {
        parts.push(part)
      })
      .on('end', () => {
        const [, who = '', ...path] = new URL(request.url!, 'http://x').pathname.split('/')
        received[who]?.push({
          path: path.join('/'),
          body: JSON.parse(Buffer.concat(parts).toString('utf8') || '{}') as Received & Record<string, unknown>,
        })
        if (path[0] === 'slack') reply.writeHead(200, { 'content-type': 'text/plain' }).end('ok')
        else
          reply
            .writeHead(200, { 'content-type': 'application/json' })
            .end(
              path[0] === 'telegram'
                ? '{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":-5,"type":"group"}}}'
                : '{"ok":true,"result":"Request will be processed","requestId":"1"}',
            )
      })
  })
  port = await listening(server)
  writeFileSync(`${directory}/own.tmpl`, template)
  writeFileSync(`${directory}/ours.yml`, config('ours'))
  writeFileSync(`${directory}/theirs.yml`, config('theirs'))
  run = await runTercet([`alertmanager_config_file=${directory}/ours.yml`, 'external_url=http://am.example'], directory)
  if (programPath('prometheus-alertmanager') === undefined) return
  const peerPort = await freePort()
  peerUrl = `http://127.0.0.1:${peerPort}`
  peer = new Peer(
    'prometheus-alertmanager',
    [
      `--config.file=${directory}/theirs.yml`,
      `--storage.path=${directory}/peer`,
      `--web.listen-address=127.0.0.1:${peerPort}`,
      '--cluster.listen-address=',
      '--web.external-url=http://am.example',
    ],
    directory,
  )
  await peer.ready(`${peerUrl}/-/ready`)
})
after(async () => {
  await peer?.stop()
  await run.stop()
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

async function post(path: string, body: unknown): Promise<void> {
  for (const url of peer === undefined ? [run.url] : [run.url, peerUrl]) {
    const reply = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.equal(reply.status, 200, `${url} ${await reply.text()}`)
  }
}
const alert = (labels: Record<string, string>, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  labels,
  annotations: { summary: `about ${labels['alertname']}` },
  generatorURL: 'http://p/graph',
  ...more,
})
/** What doesn't depend on the moment. */
/** Both were notified of an alert in that status. */
async function arrival(alertname: string, status: string): Promise<void> {
  for (const who of ['ours', 'theirs'])
    await until(
      () =>
        received[who]!.some(({ body }) => body.groupLabels?.['alertname'] === alertname && body.status === status)
          ? true
          : undefined,
      `${who}: ${alertname} ${status}`,
    )
}

const view = (who: string): unknown[] =>
  received[who]!.map(({ path, body }) => ({
    path,
    body: JSON.parse(
      JSON.stringify(body, (key, value: unknown) =>
        ['startsAt', 'endsAt'].includes(key)
          ? typeof value === 'string' && value.startsWith('0001')
            ? 'none'
            : 'some'
          : [
                'mrkdwn_in',
                'client',
                'images',
                'links',
                'class',
                'component',
                'group',
                'note',
                'entity',
                'actions',
                'responders',
                'priority',
                'username',
                'source',
                'callback_id',
                'image_url',
                'thumb_url',
                'pretext',
                'icon_emoji',
                'icon_url',
                'footer',
                'content',
                'disable_web_page_preview',
                'parse_mode',
                'disable_notification',
                'disable_web_page_preview',
              ].includes(key)
            ? undefined
            : key === 'text' && value === ''
              ? undefined
              : typeof value === 'string'
                ? value.replaceAll(/\s+/g, ' ').trim()
                : value,
      ),
    ) as unknown,
  })).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

test('the same alerts end in the same notifications (req-043)', needs('prometheus-alertmanager'), async () => {
  const now = Date.now()
  const at = (offsetMs: number): string => new Date(now + offsetMs).toISOString()
  await post('/api/v2/silences', {
    matchers: [{ name: 'instance', value: 'sil.*', isRegex: true }],
    startsAt: at(0),
    endsAt: at(3_600_000),
    createdBy: 'me',
    comment: 'c',
  })
  await post('/api/v2/alerts', [
    alert({ alertname: 'Down', cluster: 'a', instance: '1' }),
    alert({ alertname: 'Down', cluster: 'a', instance: '2' }),
    alert({ alertname: 'Down', cluster: 'b', instance: '3' }),
    alert({ alertname: 'Down', cluster: 'b', instance: 'silenced' }),
    alert({ alertname: 'Slow', team: 'db', severity: 'page', instance: '1' }),
    alert({ alertname: 'Slow', team: 'db', severity: 'info', instance: '2' }),
    alert({ alertname: 'Slow', team: 'web', severity: 'page' }),
    alert({ alertname: 'Broken', cluster: 'c', severity: 'critical' }),
    alert({ alertname: 'Sluggish', cluster: 'c', severity: 'warning' }),
    alert({ alertname: 'Sluggish', cluster: 'd', severity: 'warning' }),
    alert({ alertname: 'Many', kind: 'many', text: 'a<b>&"c"' }),
    alert({ alertname: 'Quiet', kind: 'quiet' }),
    alert({ alertname: 'Muted', kind: 'muted' }),
    alert({ alertname: 'Over' }, { startsAt: at(-60_000), endsAt: at(-1000) }),
  ])
  const count = 12
  for (const who of ['ours', 'theirs'])
    await until(
      async () => (received[who]!.length >= count ? true : undefined),
      `${who}: ${received[who]!.length} of ${count}: ${received[who]!.map(t => t.path)
        .sort()
        .join()}`,
      15,
    )
  // A group that begins now waits as long as those above: when its notification is there, each of them was flushed.
  await post('/api/v2/alerts', [alert({ alertname: 'Marker' })])
  await arrival('Marker', 'firing')
  assert.deepEqual(view('ours'), view('theirs'))
  for (const who of ['ours', 'theirs']) received[who]!.length = 0
  // Some end, some come, some stay: only news is received.
  await post('/api/v2/alerts', [
    alert({ alertname: 'Down', cluster: 'a', instance: '1' }, { startsAt: at(0), endsAt: new Date().toISOString() }),
    alert({ alertname: 'Down', cluster: 'b', instance: '4' }),
    alert(
      { alertname: 'Broken', cluster: 'c', severity: 'critical' },
      { startsAt: at(0), endsAt: new Date().toISOString() },
    ),
    alert(
      { alertname: 'Slow', team: 'db', severity: 'page', instance: '1' },
      { startsAt: at(0), endsAt: new Date().toISOString() },
    ),
    alert({ alertname: 'Many', kind: 'many', text: 'a<b>&"c"' }, { startsAt: at(0), endsAt: new Date().toISOString() }),
  ])
  const more = 11
  for (const who of ['ours', 'theirs'])
    await until(
      async () => (received[who]!.length >= more ? true : undefined),
      `${who}: ${received[who]!.length} of ${more}: ${received[who]!.map(t => t.path)
        .sort()
        .join()}`,
      15,
    )
  // A marker's end is notified one group_interval (2 s) after its beginning: by then every group was flushed again.
  await post('/api/v2/alerts', [alert({ alertname: 'Second marker' })])
  await arrival('Second marker', 'firing')
  await post('/api/v2/alerts', [
    alert({ alertname: 'Second marker' }, { startsAt: at(0), endsAt: new Date().toISOString() }),
  ])
  await arrival('Second marker', 'resolved')
  assert.deepEqual(view('ours'), view('theirs'))
  // Both show the same.
  const shown = async (url: string, path: string): Promise<unknown> =>
    JSON.parse(
      JSON.stringify(await (await fetch(`${url}${path}`)).json(), (key, value: unknown) =>
        ['startsAt', 'endsAt', 'updatedAt', 'id', 'uptime', 'silencedBy'].includes(key)
          ? undefined
          : Array.isArray(value)
            ? [...(value as unknown[])].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
            : value,
      ),
    )
  for (const path of [
    '/api/v2/alerts',
    '/api/v2/alerts?active=false',
    '/api/v2/alerts?silenced=false&inhibited=false',
    '/api/v2/alerts?filter=alertname="Down"&filter=cluster=~"a|b"',
    '/api/v2/alerts?receiver=w.*',
    '/api/v2/alerts/groups',
    '/api/v2/silences',
    '/api/v2/receivers',
  ])
    assert.deepEqual(await shown(run.url, path), await shown(peerUrl, path), path)

  // Filters are read alike, whether right or wrong; silences are found by their own matchers alone.
  const labels = ['alertname', 'cluster', 'node', 'team']
  const filters = labels.flatMap(name => [
    ...['=', '!=', '=~', '!~'].flatMap(kind => [`${name}${kind}"a"`, `${name}${kind}a|b`, `${name} ${kind} ".+", `]),
    `{${name}="a"}`,
    `${name}="a",b="c"`,
    `${name}=="a"`,
    `${name}="a`,
    `${name}`,
    `"${name}"="a"`,
    `${name}=~"("`,
  ])
  for (const path of ['/api/v2/silences', '/api/v2/alerts', '/api/v2/alerts/groups'])
    for (const filter of filters) {
      const asked = urlOf('', path, { filter })
      const [own, theirs] = await Promise.all([fetch(run.url + asked), fetch(peerUrl + asked)])
      assert.equal(own.status, theirs.status, asked)
      if (own.status === 200) assert.deepEqual(await shown(run.url, asked), await shown(peerUrl, asked), asked)
      else assert.equal((await own.text()).trim(), (await theirs.text()).trim(), asked)
    }
})

function amtool(args: readonly string[]): Promise<{ code: number; text: string }> {
  return new Promise(resolve => {
    execFile(programPath('amtool')!, args, { cwd: directory }, (error, out, err) => {
      resolve({ code: error === null ? 0 : 1, text: error === null ? out : out + err })
    })
  })
}

test('amtool: alerts, silences, routes', needs('amtool'), async () => {
  const am = async (...args: string[]): Promise<string> => {
    const { code, text } = await amtool([...args, `--alertmanager.url=${run.url}`])
    assert.equal(code, 0, text)
    return text
  }
  await am('alert', 'add', 'FromAmtool', 'node=x', '--annotation=summary=s')
  assert.match(await am('alert', 'query', 'FromAmtool'), /FromAmtool/)
  const id = (
    await am('silence', 'add', 'alertname=FromAmtool', '--comment=quiet', '--author=me', '--duration=1h')
  ).trim()
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.doesNotMatch(await am('alert', 'query', 'FromAmtool'), /FromAmtool/)
  assert.match(await am('silence', 'query', 'alertname=FromAmtool'), /quiet/)
  await am('silence', 'update', id, '--comment=louder', '--duration=2h')
  await am('silence', 'expire', ...(await am('silence', 'query', '-q')).trim().split('\n'))
  assert.match(await am('alert', 'query', 'FromAmtool'), /FromAmtool/)
  assert.equal((await am('config', 'routes', 'test', 'team=db', 'severity=page')).trim(), 'db,web')
  assert.equal((await am('config', 'routes', 'test', 'kind=quux')).trim(), 'quiet')
  assert.match(await am('config', 'routes', 'show'), /receiver: web/)
  assert.match(await am('cluster', 'show'), /disabled|Cluster Status/)
  assert.doesNotMatch(await am('config', 'show'), /opsgenie_api_key: k\b/)
})

const base = 'route: { receiver: a }\nreceivers: [{ name: a }]\n'
const route = (text: string): string =>
  `route: { receiver: a, routes: [{ ${text} }] }\n` +
  'receivers: [{ name: a }]\ntime_intervals: [{ name: t, time_intervals: [] }]\n'
const receiver = (text: string): string => `route: { receiver: a }\nreceivers: [{ name: a, ${text} }]\n`
const configs = [
  base,
  '',
  'route: {}',
  'receivers: []',
  'route: { receiver: b }\nreceivers: [{ name: a }]',
  'route: { receiver: a }\nreceivers: [{ name: a }, { name: a }]',
  'route: { receiver: a }\nreceivers: [{}]',
  `${base}unknown: 1`,
  `global: { resolve_timeout: 5m }\n${base}`,
  `global: { resolve_timeout: 5 }\n${base}`,
  `global: { what: 1 }\n${base}`,
  'route: { receiver: a, matchers: [x="y"] }\nreceivers: [{ name: a }]',
  'route: { receiver: a, mute_time_intervals: [t] }\nreceivers: [{ name: a }]\ntime_intervals: [{ name: t }]',
  route('matchers: [a="b"]'),
  route('matchers: ["a=b", "c=~d|e"]'),
  route('matchers: ["a=~("]'),
  route('matchers: ["a"]'),
  route('match: { a: b }'),
  route('match_re: { a: "b.*" }'),
  route('match_re: { a: "(" }'),
  route('receiver: c'),
  route('group_by: [a, b]'),
  route('group_by: [a, a]'),
  route('group_by: ["..."]'),
  route('group_by: ["...", a]'),
  route('group_wait: 1s, group_interval: 2s, repeat_interval: 3s'),
  route('group_interval: 0s'),
  route('repeat_interval: 0s'),
  route('group_wait: x'),
  route('continue: true'),
  route('continue: maybe'),
  route('mute_time_intervals: [t]'),
  route('active_time_intervals: [none]'),
  route('what: 1'),
  route('routes: [{ matchers: [a="b"], receiver: a }]'),
  receiver('webhook_configs: [{ url: "http://x" }]'),
  receiver('webhook_configs: [{}]'),
  receiver('webhook_configs: [{ url_file: f, max_alerts: 3, timeout: 5s, http_config: { bearer_token: x } }]'),
  receiver('webhook_configs: [{ url: "http://x", url_file: f }]'),
  receiver('webhook_configs: [{ urls: "http://x" }]'),
  receiver('slack_configs: [{ channel: c }]'),
  receiver('slack_configs: [{ channel: c, api_url: "http://x" }]'),
  receiver('slack_configs: [{ api_url: "http://x", fields: [{ title: a, value: b }] }]'),
  receiver('pagerduty_configs: [{ routing_key: x }]'),
  receiver('pagerduty_configs: [{}]'),
  receiver('pagerduty_configs: [{ routing_key: x, service_key: y }]'),
  receiver('email_configs: [{ to: a@b }]'),
  `global: { smtp_smarthost: "h:25", smtp_from: a@b }\n${receiver('email_configs: [{ to: a@b }]')}`,
  `global: { smtp_smarthost: "h:25", smtp_from: a@b }\n${receiver('email_configs: [{}]')}`,
  `global: { smtp_smarthost: h, smtp_from: a@b }\n${receiver('email_configs: [{ to: a@b }]')}`,
  receiver(
    'email_configs: [{ to: a@b, from: c@d, smarthost: "h:587", auth_username: u, auth_password: p, ' +
      'headers: { Subject: s } }]',
  ),
  receiver('opsgenie_configs: [{ api_key: k }]'),
  receiver('opsgenie_configs: [{}]'),
  receiver('telegram_configs: [{ bot_token: t, chat_id: 5 }]'),
  receiver('telegram_configs: [{ chat_id: 5 }]'),
  receiver('telegram_configs: [{ bot_token: t }]'),
  receiver('telegram_configs: [{ bot_token: t, chat_id: 5, parse_mode: XML }]'),
  receiver('discord_configs: [{ webhook_url: "http://x" }]'),
  receiver('discord_configs: [{}]'),
  receiver('msteams_configs: [{ webhook_url: "http://x" }]'),
  receiver('msteamsv2_configs: [{ webhook_url: "http://x" }]'),
  receiver('pushover_configs: [{ user_key: a, token: b }]'),
  receiver('pushover_configs: [{ user_key: a }]'),
  receiver('nothing_configs: []'),
  receiver('webex_configs: [{ room_id: r, http_config: { authorization: { credentials: x } } }]'),
  `${base}inhibit_rules: [{ source_matchers: [a="b"], target_matchers: [c="d"], equal: [e] }]`,
  `${base}inhibit_rules: [{ source_match: { a: b }, target_match_re: { c: "d.*" } }]`,
  `${base}inhibit_rules: [{ source: [a] }]`,
  `${base}inhibit_rules: [{ source_matchers: ["a~b"] }]`,
  `${base}templates: ["x/*.tmpl"]`,
  `${base}templates: x`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ times: [{ start_time: "09:00", ` +
    'end_time: "17:00" }], weekdays: ["monday:friday", sunday], days_of_month: ["1:5", "-3:-1"], ' +
    'months: ["january:march", "6", "7:8"], years: ["2020:2030", "2040"], location: Europe/Berlin }] }]',
  `${base}time_intervals: [{ name: a, time_intervals: [{ times: [{ start_time: "17:00", end_time: "09:00" }] }] }]`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ times: [{ start_time: "9:00", end_time: "17:00" }] }] }]`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ weekdays: [someday] }] }]`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ weekdays: ["friday:monday"] }] }]`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ days_of_month: ["0"] }] }]`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ days_of_month: ["40"] }] }]`,
  `${base}time_intervals: [{ name: a, time_intervals: [{ location: Nowhere }] }]`,
  `${base}time_intervals: [{ name: a }, { name: a }]`,
  `${base}time_intervals: [{}]`,
  `${base}mute_time_intervals: [{ name: a, time_intervals: [{ months: ["13"] }] }]`,
]

test('amtool check-config and ours agree', needs('amtool'), async () => {
  const differences: string[] = []
  for (const text of configs) {
    writeFileSync(`${directory}/check.yml`, text)
    const theirs = await amtool(['check-config', 'check.yml'])
    const lines: string[] = []
    const code = await checkAlertmanagerFiles([`${directory}/check.yml`], systemFiles, {
      out: line => {
        lines.push(line)
      },
      err: line => {
        lines.push(line)
      },
    })
    if (code !== theirs.code)
      differences.push(
        `${JSON.stringify(text)}\n  amtool: ${theirs.code} ${theirs.text.slice(0, 300)}\n` +
          `  tercet: ${code} ${lines.join(' ').slice(0, 300)}`,
      )
  }
  assert.deepEqual(differences, [])
})

test('silences and the log of notifications outlive a restart; mail; addresses that are off limits', async () => {
  const own = temporaryDirectory()
  const mails: string[] = []
  const smtp = createTcp(socket => {
    let isData = false
    let text = ''
    socket.write('220 test\r\n')
    socket
      .on('data', chunk => {
        for (const line of chunk.toString().split('\r\n')) {
          if (isData) {
            if (line === '.') {
              isData = false
              mails.push(text)
              text = ''
              socket.write('250 ok\r\n')
            } else text += `${line}\n`
            continue
          }
          if (line.startsWith('EHLO')) socket.write('250-test\r\n250 8BITMIME\r\n')
          else if (line.startsWith('DATA')) {
            isData = true
            socket.write('354 go\r\n')
          } else if (line.startsWith('QUIT')) socket.end('221 bye\r\n')
          else if (line !== '') socket.write('250 ok\r\n')
        }
      })
      .on('error', () => {
        /* gone */
      })
  })
  const smtpPort = await listening(smtp)
  writeFileSync(
    `${own}/am.yml`,
    `global: { smtp_smarthost: '127.0.0.1:${smtpPort}', smtp_from: am@x, smtp_require_tls: false }\n` +
      'route: { receiver: a, group_by: [alertname], group_wait: 100ms, group_interval: 1s }\n' +
      'receivers: [{ name: a, email_configs: [{ to: ops@x }], ' +
      `webhook_configs: [{ url: 'http://169.254.169.254/latest' }] }]\n`,
  )
  let second = await runTercet([`alertmanager_config_file=${own}/am.yml`], own)
  try {
    const send = (alertname = 'X<1>'): Promise<Response> =>
      fetch(`${second.url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([{ labels: { alertname }, annotations: { summary: 'über' } }, { labels: {} }]),
      })
    // What is good beside a wrong one is kept.
    assert.equal((await send()).status, 400)
    await until(async () => (mails.length > 0 ? true : undefined), 'a mail')
    assert.match(mails[0]!, /^To: ops@x$/m)
    assert.match(mails[0]!, /Subject: \[FIRING:1\]/)
    assert.match(mails[0]!.replaceAll('=\n', ''), /X&lt;1&gt;/)
    const body = {
      matchers: [{ name: 'a', value: 'b', isRegex: false }],
      startsAt: new Date().toISOString(),
      endsAt: new Date(Date.now() + 3_600_000).toISOString(),
      createdBy: 'm',
      comment: 'c',
    }
    const { silenceID } = (await (
      await fetch(`${second.url}/api/v2/silences`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    ).json()) as { silenceID: string }
    for (const wrong of [
      { ...body, matchers: [] },
      { ...body, endsAt: 'soon' },
      { ...body, endsAt: '2020-01-01T00:00:00Z' },
      { ...body, matchers: [{ name: 'a', value: '(', isRegex: true }] },
      { ...body, matchers: [{ name: 'a', value: '.*', isRegex: true }] },
      { ...body, id: silenceID.replace(/^./, 'g') },
    ]) {
      const reply = await fetch(`${second.url}/api/v2/silences`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(wrong),
      })
      assert.ok(reply.status === 400 || reply.status === 404, JSON.stringify(wrong))
    }
    // A new configuration applies at once, though a notification is under way; none is sent twice.
    writeFileSync(
      `${own}/am.yml`,
      readFileSync(`${own}/am.yml`, 'utf8').replace('group_wait: 100ms', 'group_wait: 150ms'),
    )
    assert.equal((await fetch(`${second.url}/-/reload`, { method: 'POST' })).status, 200)
    await second.tercet.close()
    second = await runTercet([`alertmanager_config_file=${own}/am.yml`], own)
    assert.equal(((await (await fetch(`${second.url}/api/v2/silences`)).json()) as { id: string }[])[0]!.id, silenceID)
    await send()
    // A group that begins later is flushed later: with its mail, the group before it was flushed.
    await send('Later')
    await until(() => (mails.some(mail => mail.includes('Later')) ? true : undefined), 'the mail of the later group')
    assert.equal(mails.filter(mail => !mail.includes('Later')).length, 1, 'no notification is sent twice')
  } finally {
    await second.stop()
    await new Promise(resolve => {
      smtp.close(resolve)
    })
  }
})
