/** Credentials of receivers in stack.yaml: whatever is rendered from it has none of them in clear. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import type { SecretSpec } from './release.ts'
import { render } from './render.ts'
import { engines, readStack, targets } from './stack.ts'

/** Where receivers of alerts have a credential; `x` is one. */
const receivers: readonly string[] = [
  'webhook_configs: [{ url: "https://ntfy.sh/x" }]',
  'webhook_configs: [{ url: "https://me:x@am.example.net/" }]',
  'webhook_configs: [{ url: "http://a.example.net", http_config: { basic_auth: { username: a, password: x } } }]',
  'webhook_configs: [{ url: "http://a.example.net", http_config: { authorization: { credentials: x } } }]',
  'webhook_configs: [{ url: "http://a.example.net", http_config: { proxy_url: "http://me:x@proxy.example.net" } }]',
  'webhook_configs: [{ url: "http://a.example.net", http_config: { tls_config: { cert: a, key: x } } }]',
  'webhook_configs: [{ url: "http://a.example.net", http_config: { http_headers: { X: { secrets: [x] } } } }]',
  'email_configs: [{ to: a@b, auth_password: x }]',
  'email_configs: [{ to: a@b, auth_secret: x }]',
  'slack_configs: [{ api_url: "https://hooks.slack.com/services/x" }]',
  'slack_configs: [{ app_token: x }]',
  'pagerduty_configs: [{ routing_key: x }]',
  'pagerduty_configs: [{ service_key: x }]',
  'opsgenie_configs: [{ api_key: x }]',
  'telegram_configs: [{ chat_id: 1, bot_token: x }]',
  'discord_configs: [{ webhook_url: "https://discord.com/api/webhooks/x" }]',
  'msteams_configs: [{ webhook_url: "https://a.example.net/x" }]',
  'msteamsv2_configs: [{ webhook_url: "https://a.example.net/x" }]',
  'pushover_configs: [{ user_key: x, token: a }]',
  'pushover_configs: [{ user_key: "${USER_KEY}", token: x }]',
  'wechat_configs: [{ api_secret: x }]',
  'victorops_configs: [{ api_key: x, routing_key: a }]',
  'sns_configs: [{ sigv4: { access_key: a, secret_key: x } }]',
  'jira_configs: [{ http_config: { basic_auth: { password: x } } }]',
  'rocketchat_configs: [{ token: x, token_id: a }]',
  'incidentio_configs: [{ url: "https://a.example.net", alert_source_token: x }]',
  'mattermost_configs: [{ webhook_url: "https://a.example.net/x" }]',
]
const globals: readonly string[] = [
  'smtp_auth_password: x',
  'smtp_auth_password: 8123454321',
  'slack_api_url: "https://hooks.slack.com/services/x"',
  'opsgenie_api_key: x',
  'telegram_bot_token: x',
  'http_config: { oauth2: { client_id: a, client_secret: x, token_url: "https://a.example.net" } }',
]

const planted = 'planted8123454321'
const configOf = (receiver: string, global: string): string =>
  [
    `global: { ${global} }`,
    'route: { receiver: a }',
    `receivers: [{ name: a, ${receiver} }]`,
    `# An old one: ${planted}`,
  ]
    .join('\n')
    .replaceAll(/\bx\b/g, planted)

const configs: readonly string[] = [
  ...receivers.map(receiver => configOf(receiver, '')),
  ...globals.map(global => configOf('webhook_configs: []', global)),
]

for (const engine of engines)
  for (const target of targets)
    test(`${engine} for ${target}: receivers' credentials are in a Secret, or nowhere`, async () => {
      for (const config of configs) {
        const text = [
          `alerting: { alertmanager_config: ${JSON.stringify(config)} }`,
          's3: { endpoint: "https://s3.example.net" }',
          'external: ["host:a.example.net"]',
          ...(target === 'compose' ? ['development_s3: { enabled: true, image: minio }'] : []),
        ].join('\n')
        const stack = readStack(text, 'stack.yaml', engine)
        const sealed: SecretSpec[] = []
        const { tree } = await render({
          stack,
          target,
          ownChart: new Map(),
          seal: async (_path, secret) => {
            sealed.push(secret)
            return undefined
          },
          configText: text,
        })
        for (const [path, file] of tree) assert.ok(!file.includes('8123454321'), `${path}: ${config}`)
        // Mimir's stack has no Alertmanager that reads the file.
        if (target === 'flux' && engine !== 'lgtm')
          assert.ok(
            sealed.some(({ content }) => Object.values(content ?? {}).includes(config)),
            `no Secret has ${config}`,
          )
      }
    })

test('addresses with credentials are refused, without them in the message', () => {
  for (const text of [
    's3: { endpoint: "https://me:hunter2@s3.example.net" }',
    'chart: { git: { url: "https://hunter2@git.example.net/a.git" } }',
    'chart: { oci: "oci://me:hunter2@registry.example.net/a" }',
  ])
    assert.throws(
      () => readStack(text, 'stack.yaml', 'tercet'),
      (error: unknown) =>
        error instanceof BadDataError && /belong into a Secret/.test(error.message) && !/hunter2/.test(error.message),
    )
  assert.equal(readStack('chart: { git: { url: "ssh://git@git.example.net/a.git" } }', 'stack.yaml').chart.from, 'git')
})
