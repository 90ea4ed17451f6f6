/**
 * Notifications on their way out: what each kind of receiver is sent. Source: the receivers' public API
 * documentation.
 */
import { createHash } from 'node:crypto'
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf, UnavailableError } from '#core/errors.ts'
import type { Secret } from '#core/secret.ts'
import { yieldEvery } from '#core/yield.ts'
import type { HttpClient } from '#net/http-client.ts'
import type { Mail } from '#net/mail.ts'
import { retryAfterMs } from '#net/retry-after.ts'
import type { Integration } from './config.ts'
import type { ManagedAlert } from './store.ts'
import { commonPairs, statusOf, type TemplateData, type Templates } from './template-data.ts'

/** What senders use: a client, templates, secrets by name or file, mail. */
export interface SendWorld {
  clock: Clock
  client: HttpClient
  templates: Templates
  secret: (secret: Secret) => Promise<string>
  /** A text without the secrets that were used. */
  hide: (text: string) => string
  mail: (mail: Mail) => Promise<void>
}
/** A notification. `reason`: why it is sent, in words. */
export interface Outgoing {
  data: TemplateData
  groupKey: string
  reason: string
}

const timeoutMs = 30_000
const replyBytesMax = 1 << 20
/** Alerts that are printed between two pauses. */
const alertsAtOnce = 64
const zeroTime = '0001-01-01T00:00:00Z'

/** Cut to so many characters, with a mark. */
function cut(text: string, most: number): string {
  const runes = [...text]
  return runes.length <= most ? text : `${runes.slice(0, most - 1).join('')}\u2026`
}

/** An error that another try would meet again. */
export class GivenUpError extends BadDataError {
  override name = 'GivenUpError'
}

async function post(
  world: SendWorld,
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  limitMs = 0,
): Promise<string> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new GivenUpError('what the receiver has as its address is no URL')
  const reply = await world.client.send(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'Tercet', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    timeoutMs: limitMs > 0 ? limitMs : timeoutMs,
    bodyBytesMax: replyBytesMax,
    // Of most receivers the whole address is a secret.
    shownAs: new URL(url).host,
    // A notification that was taken must not go again because of what stands in the answer.
    isBodyOptional: true,
  })
  const text = Buffer.from(reply.body).toString('utf8')
  if (reply.status >= 200 && reply.status < 300) return text
  const shown = `${new URL(url).host} answered ${reply.status}: ${world.hide(text).slice(0, 200)}`
  if (reply.status === 429 || reply.status >= 500)
    throw new UnavailableError(shown, retryAfterMs(reply.header('retry-after'), world.clock.nowMs()) / 1000)
  throw new GivenUpError(shown)
}

function alertJson(alert: ManagedAlert, nowMs: number): Record<string, unknown> {
  const status = statusOf(alert, nowMs)
  return {
    status,
    labels: Object.fromEntries(alert.labels.entries()),
    annotations: Object.fromEntries(alert.annotations.entries()),
    startsAt: new Date(alert.startsMs).toISOString(),
    endsAt: status === 'resolved' ? new Date(alert.endsMs).toISOString() : zeroTime,
    generatorURL: alert.generatorUrl,
    fingerprint: alert.fingerprint,
  }
}

/** Elements of a list, printed with pauses. */
async function alertsJson(alerts: readonly ManagedAlert[], nowMs: number, clock: Clock): Promise<string> {
  const pause = yieldEvery(clock)
  const printed: string[] = []
  for (const alert of alerts) {
    printed.push(JSON.stringify(alertJson(alert, nowMs)))
    if (printed.length % alertsAtOnce === 0) await pause()
  }
  return printed.join(',')
}

/** A short key of a group, for receivers that want one. */
const hashed = (groupKey: string): string => createHash('sha256').update(groupKey).digest('hex')

/** A text that is JSON becomes its value. */
function structured(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** A setting that the kind's table of keys (config.ts) always fills in. */
function given<Value>(values: Readonly<Record<string, Value>>, name: string): Value {
  const value = values[name]
  assert(value !== undefined, `the setting ${name} is filled in`)
  return value
}

/** Every text of an entry of a list, with its templates run. */
function expanded(
  entry: Readonly<Record<string, string>>,
  { templates }: SendWorld,
  data: TemplateData,
): Record<string, string> {
  return Object.fromEntries(Object.entries(entry).map(([key, value]) => [key, templates.text(value, data)]))
}

type Sender = (integration: Integration, outgoing: Outgoing, world: SendWorld) => Promise<void>

const webhook: Sender = async ({ secrets, numbers }, { data, groupKey, reason }, world) => {
  const most = given(numbers, 'max_alerts')
  const alerts = most > 0 ? data.alerts.slice(0, most) : data.alerts
  const rest = JSON.stringify({
    groupLabels: Object.fromEntries(data.groupLabels.entries()),
    commonLabels: Object.fromEntries(commonPairs(data.alerts.map(a => a.labels))),
    commonAnnotations: Object.fromEntries(commonPairs(data.alerts.map(a => a.annotations))),
    externalURL: data.externalUrl,
    version: '4',
    groupKey,
    notification_reason: reason,
    truncatedAlerts: data.alerts.length - alerts.length,
  })
  const head = JSON.stringify({ receiver: data.receiver, status: data.status })
  const body = `${head.slice(0, -1)},"alerts":[${await alertsJson(alerts, data.nowMs, world.clock)}],${rest.slice(1)}`
  await post(world, (await world.secret(given(secrets, 'url'))).trim(), body, {}, numbers['timeout'])
}

const email: Sender = async ({ texts, secrets, flags, maps }, { data, groupKey }, { templates, secret, mail }) => {
  const headers = new Map(
    given(maps, 'headers').map(([name, value]): [string, string] => [name.toLowerCase(), templates.text(value, data)]),
  )
  const smarthost = given(texts, 'smarthost')
  const colon = smarthost.lastIndexOf(':')
  const subject = headers.get('subject') ?? templates.text('{{ template "email.default.subject" . }}', data)
  const from = templates.text(given(texts, 'from'), data)
  const to = templates.text(given(texts, 'to'), data)
  for (const name of ['subject', 'from', 'to']) headers.delete(name)
  await mail({
    host: smarthost.slice(0, colon),
    port: Number(smarthost.slice(colon + 1)),
    hello: given(texts, 'hello'),
    username: given(texts, 'auth_username'),
    password: await secret(given(secrets, 'auth_password')),
    requireTls: given(flags, 'require_tls'),
    implicitTls: given(flags, 'force_implicit_tls'),
    isUnverified: flags['insecure_skip_verify'] === true,
    from,
    to,
    subject,
    text: texts['text'] === '' ? '' : templates.text(given(texts, 'text'), data),
    html: texts['html'] === '' ? '' : templates.html(given(texts, 'html'), data),
    headers: { ...Object.fromEntries(headers), 'x-tercet-group': hashed(groupKey) },
  })
}

const slack: Sender = async ({ texts, secrets, flags, lists, numbers }, { data }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  const optional = (name: string, value: string): Record<string, string> => (value === '' ? {} : { [name]: value })
  const attachment = {
    ...optional('title', cut(t('title'), 1024)),
    ...optional('title_link', t('title_link')),
    ...optional('pretext', t('pretext')),
    ...optional('text', t('text')),
    ...optional('fallback', t('fallback')),
    ...optional('callback_id', t('callback_id')),
    ...optional('image_url', t('image_url')),
    ...optional('thumb_url', t('thumb_url')),
    ...optional('footer', t('footer')),
    ...optional('color', t('color')),
    mrkdwn_in: ['fallback', 'pretext', 'text'],
    ...(given(lists, 'fields').length === 0
      ? {}
      : {
          fields: given(lists, 'fields').map(f => ({
            title: world.templates.text(f['title'] ?? '', data),
            value: world.templates.text(f['value'] ?? '', data),
            short: f['short'] === undefined ? given(flags, 'short_fields') : f['short'] === 'true',
          })),
        }),
    ...(given(lists, 'actions').length === 0
      ? {}
      : {
          actions: given(lists, 'actions').map(a => expanded(a, world, data)),
        }),
  }
  const token = await world.secret(given(secrets, 'app_token'))
  const answer = await post(
    world,
    await world.secret(given(secrets, 'api_url')),
    {
      ...optional('channel', t('channel')),
      ...optional('username', t('username')),
      ...optional('icon_emoji', t('icon_emoji')),
      ...optional('icon_url', t('icon_url')),
      ...optional('text', t('message_text')),
      ...(flags['link_names'] === true ? { link_names: true } : {}),
      attachments: [attachment],
    },
    token === '' ? {} : { authorization: `Bearer ${token}` },
    numbers['timeout'],
  )
  if (!answer.startsWith('{')) return
  const { ok, error } = JSON.parse(answer) as { ok?: boolean; error?: string }
  if (ok === false) throw new GivenUpError(`Slack refused: ${error ?? 'no reason given'}`)
}

const pagerduty: Sender = async ({ texts, secrets, maps, lists, numbers }, { data, groupKey }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  const details = Object.fromEntries(
    given(maps, 'details').map(([name, value]) => [name, structured(world.templates.text(value, data))]),
  )
  const routingKey = await world.secret(given(secrets, 'routing_key'))
  const isFiring = data.status === 'firing'
  if (routingKey === '') {
    await post(
      world,
      given(texts, 'url'),
      {
        service_key: world.templates.text(await world.secret(given(secrets, 'service_key')), data),
        event_type: isFiring ? 'trigger' : 'resolve',
        incident_key: hashed(groupKey),
        description: cut(t('description'), 1024),
        details,
        ...(isFiring ? { client: t('client'), client_url: t('client_url') } : {}),
      },
      {},
      numbers['timeout'],
    )
    return
  }
  const items = (name: string): Record<string, string>[] => given(lists, name).map(item => expanded(item, world, data))
  await post(
    world,
    given(texts, 'url'),
    {
      routing_key: world.templates.text(routingKey, data),
      event_action: isFiring ? 'trigger' : 'resolve',
      dedup_key: hashed(groupKey),
      client: t('client'),
      client_url: t('client_url'),
      images: items('images'),
      links: items('links'),
      payload: {
        summary: cut(t('description'), 1024) || 'no description',
        source: t('source') || t('client'),
        severity: t('severity') || 'error',
        class: t('class'),
        component: t('component'),
        group: t('group'),
        custom_details: details,
      },
    },
    {},
    numbers['timeout'],
  )
}

const opsgenie: Sender = async ({ texts, secrets, maps, flags, lists }, { data, groupKey }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  const base = `${given(texts, 'api_url').replace(/\/$/, '')}/v2/alerts`
  const alias = hashed(groupKey)
  const headers = { authorization: `GenieKey ${await world.secret(given(secrets, 'api_key'))}` }
  if (data.status === 'resolved') {
    await post(world, `${base}/${alias}/close?identifierType=alias`, { source: t('source') }, headers)
    return
  }
  const details = {
    ...Object.fromEntries(commonPairs(data.alerts.map(a => a.labels))),
    ...Object.fromEntries(given(maps, 'details').map(([name, value]) => [name, world.templates.text(value, data)])),
  }
  const split = (name: string): string[] =>
    t(name)
      .split(',')
      .map(s => s.trim())
      .filter(Boolean)
  await post(
    world,
    base,
    {
      alias,
      message: cut(t('message'), 130),
      description: cut(t('description'), 15_000),
      details,
      source: t('source'),
      responders: given(lists, 'responders').map(r => expanded(r, world, data)),
      tags: split('tags'),
      note: t('note'),
      priority: t('priority'),
      entity: t('entity'),
      actions: split('actions'),
    },
    headers,
  )
  if (flags['update_alerts'] !== true) return
  await post(world, `${base}/${alias}/message?identifierType=alias`, { message: cut(t('message'), 130) }, headers)
  await post(
    world,
    `${base}/${alias}/description?identifierType=alias`,
    { description: cut(t('description'), 15_000) },
    headers,
  )
}

const telegram: Sender = async ({ texts, secrets, flags, numbers }, { data }, world) => {
  const mode = given(texts, 'parse_mode')
  const message =
    mode === 'HTML'
      ? world.templates.html(given(texts, 'message'), data)
      : world.templates.text(given(texts, 'message'), data)
  await post(
    world,
    `${given(texts, 'api_url').replace(/\/$/, '')}/bot${await world.secret(given(secrets, 'bot_token'))}/sendMessage`,
    {
      chat_id: await world.secret(given(secrets, 'chat_id')),
      text: cut(message, 4096),
      disable_notification: given(flags, 'disable_notifications'),
      ...(mode === '' ? {} : { parse_mode: mode }),
      ...(given(numbers, 'message_thread_id') > 0 ? { message_thread_id: given(numbers, 'message_thread_id') } : {}),
      disable_web_page_preview: true,
    },
  )
}

const discord: Sender = async ({ texts, secrets }, { data }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  await post(world, await world.secret(given(secrets, 'webhook_url')), {
    content: cut(t('content'), 2000),
    embeds: [
      {
        title: cut(t('title'), 256),
        description: cut(t('message'), 4096),
        color: data.status === 'firing' ? 0x992d22 : 0x2ecc71,
      },
    ],
    ...(texts['username'] === '' ? {} : { username: t('username') }),
    ...(texts['avatar_url'] === '' ? {} : { avatar_url: t('avatar_url') }),
  })
}

const msteams: Sender = async ({ texts, secrets }, { data }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  await post(world, await world.secret(given(secrets, 'webhook_url')), {
    '@context': 'http://schema.org/extensions',
    type: 'MessageCard',
    title: t('title'),
    summary: t('summary'),
    text: t('text'),
    themeColor: data.status === 'firing' ? '8C1A1A' : '2DC72D',
  })
}

const msteamsv2: Sender = async ({ texts, secrets }, { data }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  await post(world, await world.secret(given(secrets, 'webhook_url')), {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          msteams: { width: 'full' },
          body: [
            {
              type: 'TextBlock',
              text: t('title'),
              weight: 'Bolder',
              size: 'Medium',
              wrap: true,
              style: 'heading',
              color: data.status === 'firing' ? 'Attention' : 'Good',
            },
            { type: 'TextBlock', text: t('text'), wrap: true },
          ],
        },
      },
    ],
  })
}

const pushover: Sender = async ({ texts, secrets, flags, numbers }, { data }, world) => {
  const t = (name: string): string => world.templates.text(given(texts, name), data)
  const priority = t('priority')
  const message = flags['html'] === true ? world.templates.html(given(texts, 'message'), data) : t('message')
  const form = new URLSearchParams({
    token: await world.secret(given(secrets, 'token')),
    user: await world.secret(given(secrets, 'user_key')),
    title: cut(t('title'), 250),
    message: cut(message.trim(), 1024) || '(no details)',
    url: cut(t('url'), 512),
    url_title: t('url_title'),
    priority,
    ...(priority === '2'
      ? { retry: String(given(numbers, 'retry') / 1000), expire: String(given(numbers, 'expire') / 1000) }
      : {}),
    device: t('device'),
    sound: t('sound'),
  })
  if (flags['html'] === true) form.set('html', '1')
  if (flags['monospace'] === true) form.set('monospace', '1')
  for (const name of Array.from(form.keys())) if (form.get(name) === '') form.delete(name)
  await post(world, 'https://api.pushover.net/1/messages.json', form.toString(), {
    'content-type': 'application/x-www-form-urlencoded',
  })
}

const senders: Readonly<Record<Integration['kind'], Sender>> = {
  webhook,
  email,
  slack,
  pagerduty,
  opsgenie,
  telegram,
  discord,
  msteams,
  msteamsv2,
  pushover,
}

/** Throws GivenUpError when trying again won't help. */
export async function sendNotification(integration: Integration, outgoing: Outgoing, world: SendWorld): Promise<void> {
  try {
    await senders[integration.kind](integration, outgoing, world)
  } catch (error) {
    // A template that fails fails again.
    if (error instanceof Error && (error.name === 'ExecutionFailure' || error.name === 'TemplateError'))
      throw new GivenUpError(messageOf(error))
    throw error
  }
}
