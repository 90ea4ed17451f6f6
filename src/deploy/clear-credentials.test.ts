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
