/** alertmanager.yml: inheritance of routes, defaults from `global`, and refusals with places. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { readAlertmanagerConfig } from './config.ts'

const head = 'receivers: [{ name: a }, { name: b }]\n'

test('routes inherit what they do not set; a key names the matchers of a route and of its parents', () => {
  const { route } = readAlertmanagerConfig(
    `${head}route: { receiver: a, group_by: [job], group_wait: 1s, routes: [
      { matchers: [z="1", a=~"b"], receiver: b, group_interval: 2m,
        routes: [{ match: { k: v }, group_by: ['...'] }] }] }`,
    'am.yml',
  )
  const [child] = route.routes
  const grandchild = child?.routes[0]
  assert.deepEqual([route.groupWaitMs, route.groupIntervalMs, route.repeatIntervalMs], [1000, 300_000, 14_400_000])
  assert.deepEqual(
    [child?.receiver, child?.groupBy, child?.groupWaitMs, child?.groupIntervalMs],
    ['b', ['job'], 1000, 120_000],
  )
  assert.deepEqual([grandchild?.receiver, grandchild?.groupBy, grandchild?.groupIntervalMs], ['b', undefined, 120_000])
  assert.deepEqual([route.key, child?.key, grandchild?.key], ['{}', '{}/{a=~"b",z="1"}', '{}/{a=~"b",z="1"}/{k="v"}'])
})

test('an integration takes its defaults from its kind and from `global`', () => {
  const { receivers, warnings } = readAlertmanagerConfig(
    `global: { smtp_smarthost: 'h:25', smtp_from: f@x, smtp_require_tls: false, slack_api_url: 'http://s' }
route: { receiver: a }
receivers:
  - name: a
    email_configs: [{ to: t@x }]
    slack_configs: [{ channel: c, title: own }]
    webhook_configs: [{ url_file: /u, send_resolved: false }]
    jira_configs: [{}]
`,
    'am.yml',
  )
  const [webhook, email, slack] = receivers[0]?.integrations ?? []
  assert.deepEqual([webhook?.kind, webhook?.sendResolved, webhook?.secrets['url']?.file], ['webhook', false, '/u'])
  assert.deepEqual(
    [email?.texts['smarthost'], email?.texts['from'], email?.flags['require_tls'], email?.sendResolved],
    ['h:25', 'f@x', false, false],
  )
  assert.deepEqual([slack?.secrets['api_url']?.reveal(), slack?.texts['title']], ['http://s', 'own'])
  assert.match(slack?.texts['footer'] ?? '', /slack\.default\.footer/)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /receiver "a": jira_configs is not supported/)
})

const root = (text: string): string => `${head}route: { receiver: a, ${text} }\n`
const receiver = (text: string): string => `route: { receiver: a }\nreceivers: [{ name: a, ${text} }]\n`
const refusals: readonly (readonly [string, RegExp])[] = [
  [head, /no route provided in config/],
  ['route: { receiver: a }\nreceivers: [{ name: a }, { name: a }]', /notification config name "a" is not unique/],
  [`${head}route: { receiver: c }`, /^am\.yml:2:\d+: .*undefined receiver "c" used in route/],
  [`${head}route: {}`, /root route must specify a default receiver/],
  [root('matchers: [a=b]'), /root route must not have any matchers/],
  [root('mute_time_intervals: [t]'), /root route must not have any mute or active time intervals/],
  [root('routes: [{ mute_time_intervals: [t] }]'), /undefined time interval "t" used in route/],
  [root('routes: [{ matchers: ["a=~("] }]'), /^am\.yml:2:\d+: /],
  [root('group_by: ["...", a]'), /cannot have wildcard group_by/],
  [root('group_by: [a, a]'), /duplicated label in group_by/],
  [root('group_interval: 0s'), /group_interval cannot be zero/],
  [root('repeat_interval: 0s'), /repeat_interval cannot be zero/],
  [root('nosuch: 1'), /^am\.yml:2:\d+: .*nosuch/],
  [receiver('webhook_configs: [{}]'), /missing url in webhook config/],
  [receiver('webhook_configs: [{ url: "http://x", url_file: y }]'), /at most one of url & url_file must be configured/],
  [receiver('email_configs: [{ to: a@b }]'), /no global SMTP smarthost set/],
  [receiver('email_configs: [{ to: a@b, smarthost: h }]'), /smarthost "h" is no host:port/],
  [receiver('email_configs: [{ to: a@b, smarthost: "h:1" }]'), /no global SMTP from set/],
  [receiver('slack_configs: [{ channel: c }]'), /no global Slack API URL set/],
  [receiver('pagerduty_configs: [{}]'), /missing service or routing key/],
  [receiver('opsgenie_configs: [{}]'), /no global OpsGenie API Key set/],
  [receiver('telegram_configs: [{ chat_id: 1 }]'), /missing bot_token or bot_token_file/],
  [receiver('telegram_configs: [{ bot_token: t }]'), /missing chat_id/],
  [receiver('telegram_configs: [{ bot_token: t, chat_id: 1, parse_mode: X }]'), /unknown parse_mode/],
  [`${head}route: { receiver: a }\ntime_intervals: [{ name: t }, { name: t }]`, /time interval "t" is not unique/],
]
for (const [text, message] of refusals)
  test(`refused: ${text.replaceAll(/\s+/g, ' ')}`, () => {
    assert.throws(
      () => readAlertmanagerConfig(text, 'am.yml'),
      (error: unknown) => error instanceof BadDataError && message.test(error.message),
    )
  })
