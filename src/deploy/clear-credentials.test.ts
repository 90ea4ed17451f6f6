/** Which values of a configuration are credentials in clear (req-016 req-017 req-167). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { credentialsInClear } from './clear-credentials.ts'
import { secretProblems } from './sops.ts'

const inClear: readonly (readonly [text: string, path: string])[] = [
  ['global: { smtp_auth_password: hunter2 }', 'global.smtp_auth_password'],
  ['global: { slack_api_url: "https://hooks.example.net/T0/B0/x" }', 'global.slack_api_url'],
  [
    'receivers: [{ slack_configs: [{ api_url: "https://hooks.example.net/T0" }] }]',
    'receivers.0.slack_configs.0.api_url',
  ],
  ['receivers: [{ pagerduty_configs: [{ routing_key: abc }] }]', 'receivers.0.pagerduty_configs.0.routing_key'],
  ['receivers: [{ opsgenie_configs: [{ api_key: abc }] }]', 'receivers.0.opsgenie_configs.0.api_key'],
  ['receivers: [{ telegram_configs: [{ bot_token: "1:a" }] }]', 'receivers.0.telegram_configs.0.bot_token'],
  ['receivers: [{ pushover_configs: [{ user_key: a, token: b }] }]', 'receivers.0.pushover_configs.0.user_key'],
  [
    'receivers: [{ discord_configs: [{ webhook_url: "https://d.example.net/1" }] }]',
    'receivers.0.discord_configs.0.webhook_url',
  ],
  [
    'receivers: [{ webhook_configs: [{ url: "https://ntfy.example.net/x?token=abc" }] }]',
    'receivers.0.webhook_configs.0.url',
  ],
  [
    'receivers: [{ webhook_configs: [{ url: "https://chat.example.net/hooks/9f8e7d6c5b4a39281706" }] }]',
    'receivers.0.webhook_configs.0.url',
  ],
  ['remote_write: [{ url: "https://me:hunter2@store.example.net" }]', 'remote_write.0.url'],
  ['remote_write: [{ basic_auth: { username: me, password: hunter2 } }]', 'remote_write.0.basic_auth.password'],
  ['scrape_configs: [{ bearer_token: abc }]', 'scrape_configs.0.bearer_token'],
  ['scrape_configs: [{ authorization: { credentials: abc } }]', 'scrape_configs.0.authorization.credentials'],
  ['scrape_configs: [{ oauth2: { client_secret: abc } }]', 'scrape_configs.0.oauth2.client_secret'],
  ['spec: { values: { adminPassword: hunter2 } }', 'spec.values.adminPassword'],
  ['spec: { values: { s3: { secretAccessKey: abc } } }', 'spec.values.s3.secretAccessKey'],
  // Numbers, and texts that only look like references.
  ['global: { smtp_auth_password: 12345678 }', 'global.smtp_auth_password'],
  ["global: { smtp_auth_password: '$ecret-2024!' }", 'global.smtp_auth_password'],
  ["global: { smtp_auth_password: '${USER}hunter2' }", 'global.smtp_auth_password'],
  ['global: { smtp_auth_password: !!binary aHVudGVyMg== }', 'global.smtp_auth_password'],
  // Every other kind of receiver.
  ...(
    [
      ['email', 'auth_password'],
      ['email', 'auth_secret'],
      ['slack', 'app_token'],
      ['pagerduty', 'service_key'],
      ['msteams', 'webhook_url'],
      ['msteamsv2', 'webhook_url'],
      ['mattermost', 'webhook_url'],
      ['victorops', 'api_key'],
      ['wechat', 'api_secret'],
      ['rocketchat', 'token'],
      ['rocketchat', 'token_id'],
      ['incidentio', 'url'],
      ['incidentio', 'alert_source_token'],
    ] as const
  ).map(
    ([kind, name]) =>
      [`receivers: [{ ${kind}_configs: [{ ${name}: abc }] }]`, `receivers.0.${kind}_configs.0.${name}`] as const,
  ),
  ['receivers: [{ sns_configs: [{ sigv4: { secret_key: abc } }] }]', 'receivers.0.sns_configs.0.sigv4.secret_key'],
  ...[
    'https://ntfy.sh/my-alerts',
    'https://hooks.slack.com/services/T/B/x',
    'https://discord.com/api/webhooks/1/x',
    'https://a.webhook.office.com/webhookb2/x',
    'https://api.telegram.org/bot1:a/sendMessage',
    'https://oapi.dingtalk.com/robot/send?access_token=abc',
    'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc',
    'https://me:hunter2@am.example.net/',
    'https://chat.example.net/x/a1b2c3d4e5f6',
  ].map(url => [`receivers: [{ webhook_configs: [{ url: "${url}" }] }]`, 'receivers.0.webhook_configs.0.url'] as const),
  // How somebody is reached.
  ['scrape_configs: [{ tls_config: { key: abc } }]', 'scrape_configs.0.tls_config.key'],
  ['scrape_configs: [{ proxy_url: "http://me:hunter2@proxy" }]', 'scrape_configs.0.proxy_url'],
  ['scrape_configs: [{ params: { token: [abc] } }]', 'scrape_configs.0.params.token.0'],
  ['scrape_configs: [{ consul_sd_configs: [{ token: abc }] }]', 'scrape_configs.0.consul_sd_configs.0.token'],
  ['scrape_configs: [{ http_headers: { X: { secrets: [abc] } } }]', 'scrape_configs.0.http_headers.X.secrets.0'],
  [
    'scrape_configs: [{ http_headers: { Authorization: { values: [Bearer abcdef] } } }]',
    'scrape_configs.0.http_headers.Authorization.values.0',
  ],
  ['remote_write: [{ url: "https://token1234@store.example.net" }]', 'remote_write.0.url'],
  ['remote_write: [{ url: "https://store.example.net/?api_key=abc" }]', 'remote_write.0.url'],
  ['remote_write: [{ headers: { X-Api-Key: abc } }]', 'remote_write.0.headers.X-Api-Key'],
  ['remote_write: [{ headers: { X-Own: Bearer abcdef } }]', 'remote_write.0.headers.X-Own'],
  ['remote_write: [{ sigv4: { secret_key: abc } }]', 'remote_write.0.sigv4.secret_key'],
  ['remote_write: [{ azuread: { oauth: { client_secret: abc } } }]', 'remote_write.0.azuread.oauth.client_secret'],
  ['urls: "https://${A}:${B}@a.example.net https://me:hunter2@b.example.net"', 'urls'],
  // Containers: variables, flags, arguments.
  ['services: { a: { environment: { MINIO_ROOT_PASSWORD: abc } } }', 'services.a.environment.MINIO_ROOT_PASSWORD'],
  ['services: { a: { environment: [MINIO_ROOT_PASSWORD=abc] } }', 'services.a.environment.0'],
  ['services: { a: { command: ["--bucket.s3.secret_access_key=abc"] } }', 'services.a.command.0'],
  ['services: { a: { command: [--password, abc] } }', 'services.a.command.1'],
  ['services: { a: { command: ["--agent.loki=http://me:hunter2@loki"] } }', 'services.a.command.0'],
  ['env: [{ name: API_TOKEN, value: abc }]', 'env.0.value'],
  ['values: { extraArgs: { remoteWrite.basicAuth.password: abc } }', 'values.extraArgs.remoteWrite.basicAuth.password'],
  // Files within values.
  ['data: { a.yaml: "a: 1\\n---\\npassword: abc\\n" }', 'data.a.yaml.password'],
  ['data: { a.json: \'{"password": "abc"}\' }', 'data.a.json.password'],
  ['data: { grafana.ini: "[smtp]\\npassword = abc\\n" }', 'data.grafana.ini.password'],
  ['data: { .env: "export API_TOKEN=abc\\nA=b\\n" }', 'data..env.API_TOKEN'],
  ['data: { a.yaml: "{{ if .a }}\\nsmtp_auth_password: \\"abc\\"\\n{{ end }}\\n" }', 'data.a.yaml.smtp_auth_password'],
  ['data: { key: "-----BEGIN RSA PRIVATE KEY-----\\nabc\\n" }', 'data.key'],
  ['data: { note: xoxb-1234567890-abc }', 'data.note'],
  [
    'data: { alertmanager.yml: "global:\\n  opsgenie_api_key: abc\\n" }',
    'data.alertmanager.yml.global.opsgenie_api_key',
  ],
]
for (const [text, path] of inClear)
  test(`a credential: ${path}`, () => {
    assert.ok(credentialsInClear(parse(text)).includes(path), credentialsInClear(parse(text)).join())
  })

const fine: readonly string[] = [
  'global: { smtp_auth_password_file: /run/secrets/smtp }',
  'receivers: [{ slack_configs: [{ api_url_file: /run/secrets/slack, channel: "#alerts" }] }]',
  'receivers: [{ webhook_configs: [{ url: "http://alert-receiver.apps:8080/alerts" }] }]',
  'remote_write: [{ url: "https://store.example.net/api/v1/push" }]',
  'storage: { secret_access_key: "${S3_SECRET_ACCESS_KEY}" }',
  'values: { password: "{{ .Values.password }}" }',
  'values: { existingSecret: grafana, passwordKey: admin-password, userKey: admin-user }',
  'values: { secretKeyRef: { name: a, key: b }, automountServiceAccountToken: false }',
  'values: { secretAccessKey: null, accessKeyId: "" }',
  'env: [{ name: TOKEN, valueFrom: { secretKeyRef: { name: a, key: token } } }]',
  'password: "<secret>"',
  'auth_secret: tercet-auth',
  'receivers: [{ webhook_configs: [{ url: "http://alerts.apps.svc.cluster.local:8080/api/v1/alerts" }] }]',
  'remote_write: [{ url: "https://${USER}:${PASSWORD}@store.example.net/?token=${TOKEN}" }]',
  'source: { url: "ssh://git@github.com/a/b.git" }',
  'services: { a: { command: [--password-file, /run/secrets/a, --token, "${TOKEN}"] } }',
  'services: { a: { environment: [PASSWORD, "API_TOKEN=${API_TOKEN}"] } }',
  'env: [{ name: PASSWORD_FILE, value: /run/secrets/a }]',
  'expr: \'sum by (token) (rate(a{path="/b?x=y"}[5m]))\'',
]
for (const text of fine)
  test(`no credential: ${text}`, () => {
    assert.deepEqual(credentialsInClear(parse(text)), [])
  })

test('objects of every kind are looked at, but for those that name keys', async () => {
  const map =
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' +
    'data: {x.yaml: "global:\\n  slack_api_url: https://h.example.net\\n"}\n'
  assert.match((await secretProblems(map)).join(), /^ConfigMap a: data\.x\.yaml\.global\.slack_api_url is a credential/)
  const release =
    'kind: HelmRelease\nmetadata: {name: b}\n' +
    'spec: {values: {alertmanager: {config: {global: {smtp_auth_password: x}}}}}\n'
  assert.match((await secretProblems(release)).join(), /^HelmRelease b: spec\.values\.alertmanager/)
  assert.match((await secretProblems('global: {smtp_auth_password: x}\n')).join(), /^global\.smtp_auth_password/)
  const external =
    'kind: ExternalSecret\nmetadata: {name: c}\nspec: {data: [{secretKey: token, remoteRef: {key: a}}]}\n'
  assert.deepEqual(await secretProblems(external), [])
})

test('no form of a file hides them', async () => {
  const rows: [what: string, text: string, problem: RegExp][] = [
    ['a list', '- smtp_auth_password: abc\n', /^0\.smtp_auth_password/],
    ['a template of a chart', '{{- if .Values.a }}\nsmtp_auth_password: abc\n{{- end }}\n', /^smtp_auth_password/],
    ['documents with comments', 'a: 1\n--- # second\npassword: abc\n', /^password/],
    ['ends of lines of Windows', 'a: 1\r\n---\r\npassword: abc\r\n', /^password/],
    [
      'a List',
      'kind: List\nitems: [{ kind: Secret, metadata: { name: a }, data: { tls.key: YWJj } }]\n',
      /items\.0\.data\.tls\.key/,
    ],
    [
      'a configuration of Prometheus in values of a HelmRelease',
      'kind: HelmRelease\nmetadata: {name: b}\nspec: {values: {server: {prometheusYml: ' +
        '"remote_write:\\n- url: https://me:abc@a.example.net\\n"}}}\n',
      /^HelmRelease b: spec\.values\.server\.prometheusYml\.remote_write\.0\.url/,
    ],
  ]
  for (const [what, text, problem] of rows) assert.match((await secretProblems(text)).join('\n'), problem, what)
})
