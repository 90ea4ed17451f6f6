/** alertmanager.yml. Source: Alertmanager's public configuration documentation. */
import { messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { noSecret, Secret } from '#core/secret.ts'
import { quote } from '#core/text.ts'
import { plainClient, readHttpClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'
import { matcherOf, matcherText, parseMatchers, type Matcher } from './matchers.ts'
import { readTimeIntervals, type TimeInterval } from './time-intervals.ts'

/** A node of the routing tree, with what it inherits from its parents filled in. Times are milliseconds. */
export interface RouteSettings {
  /** Identifies the route: its matchers and those of its parents. */
  key: string
  receiver: string
  /** undefined: by all labels. */
  groupBy: string[] | undefined
  groupWaitMs: number
  groupIntervalMs: number
  repeatIntervalMs: number
  matchers: Matcher[]
  isContinued: boolean
  muteIntervals: string[]
  activeIntervals: string[]
  routes: RouteSettings[]
}
/** Alerts that `source` matches suppress alerts that `target` matches when all `equal` labels are equal. */
export interface InhibitRule {
  source: Matcher[]
  target: Matcher[]
  equal: string[]
}

/** One way of one receiver: its kind, and its settings as they were written, defaults filled in. */
export interface Integration {
  kind: IntegrationKind
  sendResolved: boolean
  texts: Readonly<Record<string, string>>
  secrets: Readonly<Record<string, Secret>>
  flags: Readonly<Record<string, boolean>>
  numbers: Readonly<Record<string, number>>
  maps: Readonly<Record<string, [string, string][]>>
  lists: Readonly<Record<string, Record<string, string>[]>>
  client: HttpClientSettings
}
/** A receiver, with its integrations in the order of the table of kinds. */
export interface ReceiverSettings {
  name: string
  integrations: Integration[]
}

/** A whole alertmanager.yml; `text` is its source. */
export interface AlertmanagerConfig {
  text: string
  resolveTimeoutMs: number
  route: RouteSettings
  receivers: ReceiverSettings[]
  inhibitRules: InhibitRule[]
  timeIntervals: Map<string, TimeInterval>
  /** Globs, relative to the file's directory. */
  templates: string[]
  warnings: string[]
}

/** Kinds of integrations that Tercet sends to. */
export const integrationKinds = [
  'webhook',
  'email',
  'slack',
  'pagerduty',
  'opsgenie',
  'telegram',
  'discord',
  'msteams',
  'msteamsv2',
  'pushover',
] as const
/** One of the kinds. */
export type IntegrationKind = (typeof integrationKinds)[number]
const otherKinds = ['wechat', 'victorops', 'sns', 'webex', 'jira', 'rocketchat', 'incidentio', 'mattermost']

/** Keys of a kind of integration by their types, with defaults. */
interface Shape {
  texts: Readonly<Record<string, string>>
  secrets?: readonly string[]
  flags?: Readonly<Record<string, boolean>>
  numbers?: Readonly<Record<string, number>>
  durations?: Readonly<Record<string, number>>
  maps?: Readonly<Record<string, readonly [string, string][]>>
  lists?: readonly string[]
  required: readonly string[]
  sendResolved: boolean
  ignored?: readonly string[]
}

const shapes: Readonly<Record<IntegrationKind, Shape>> = {
  webhook: {
    texts: {},
    secrets: ['url'],
    numbers: { max_alerts: 0 },
    durations: { timeout: 0 },
    required: ['url'],
    sendResolved: true,
    ignored: ['payload'],
  },
  email: {
    texts: {
      to: '',
      from: '',
      hello: '',
      smarthost: '',
      auth_username: '',
      auth_identity: '',
      html: '{{ template "email.default.html" . }}',
      text: '',
    },
    secrets: ['auth_password', 'auth_secret'],
    flags: { require_tls: true, force_implicit_tls: false },
    maps: { headers: [] },
    required: ['to'],
    sendResolved: false,
    ignored: ['threading'],
  },
  slack: {
    texts: {
      channel: '',
      username: '{{ template "slack.default.username" . }}',
      color: '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}',
      title: '{{ template "slack.default.title" . }}',
      title_link: '{{ template "slack.default.titlelink" . }}',
      pretext: '{{ template "slack.default.pretext" . }}',
      text: '{{ template "slack.default.text" . }}',
      footer: '{{ template "slack.default.footer" . }}',
      fallback: '{{ template "slack.default.fallback" . }}',
      callback_id: '{{ template "slack.default.callbackid" . }}',
      icon_emoji: '{{ template "slack.default.iconemoji" . }}',
      icon_url: '{{ template "slack.default.iconurl" . }}',
      image_url: '',
      thumb_url: '',
      message_text: '',
    },
    secrets: ['api_url', 'app_token'],
    flags: { short_fields: false, link_names: false },
    lists: ['fields', 'actions'],
    required: [],
    sendResolved: false,
    durations: { timeout: 0 },
    ignored: ['mrkdwn_in', 'app_url', 'update_message'],
  },
  pagerduty: {
    texts: {
      url: '',
      client: '{{ template "pagerduty.default.client" . }}',
      client_url: '{{ template "pagerduty.default.clientURL" . }}',
      description: '{{ template "pagerduty.default.description" .}}',
      severity: 'error',
      source: '',
      class: '',
      component: '',
      group: '',
    },
    secrets: ['routing_key', 'service_key'],
    maps: {
      details: [
        ['firing', '{{ .Alerts.Firing | toJson }}'],
        ['resolved', '{{ .Alerts.Resolved | toJson }}'],
        ['num_firing', '{{ .Alerts.Firing | len }}'],
        ['num_resolved', '{{ .Alerts.Resolved | len }}'],
      ],
    },
    lists: ['images', 'links'],
    required: [],
    sendResolved: true,
    durations: { timeout: 0 },
  },
  opsgenie: {
    texts: {
      api_url: '',
      message: '{{ template "opsgenie.default.message" . }}',
      description: '{{ template "opsgenie.default.description" . }}',
      source: '{{ template "opsgenie.default.source" . }}',
      tags: '',
      note: '',
      priority: '',
      entity: '',
      actions: '',
    },
    secrets: ['api_key'],
    flags: { update_alerts: false },
    maps: { details: [] },
    lists: ['responders'],
    required: [],
    sendResolved: true,
  },
  telegram: {
    texts: { api_url: '', message: '{{ template "telegram.default.message" . }}', parse_mode: 'HTML' },
    secrets: ['bot_token', 'chat_id'],
    flags: { disable_notifications: false },
    numbers: { message_thread_id: 0 },
    required: [],
    sendResolved: true,
  },
  discord: {
    texts: {
      title: '{{ template "discord.default.title" . }}',
      message: '{{ template "discord.default.message" . }}',
      content: '{{ template "discord.default.content" . }}',
      username: '',
      avatar_url: '',
    },
    secrets: ['webhook_url'],
    required: ['webhook_url'],
    sendResolved: true,
  },
  msteams: {
    texts: {
      title: '{{ template "msteams.default.title" . }}',
      summary: '{{ template "msteams.default.summary" . }}',
      text: '{{ template "msteams.default.text" . }}',
    },
    secrets: ['webhook_url'],
    required: ['webhook_url'],
    sendResolved: true,
  },
  msteamsv2: {
    texts: { title: '{{ template "msteamsv2.default.title" . }}', text: '{{ template "msteamsv2.default.text" . }}' },
    secrets: ['webhook_url'],
    required: ['webhook_url'],
    sendResolved: true,
  },
  pushover: {
    texts: {
      title: '{{ template "pushover.default.title" . }}',
      message: '{{ template "pushover.default.message" . }}',
      url: '{{ template "pushover.default.url" . }}',
      url_title: '',
      device: '',
      sound: '',
      priority: '{{ if eq .Status "firing" }}2{{ else }}0{{ end }}',
    },
    secrets: ['user_key', 'token'],
    flags: { html: false, monospace: false },
    durations: { retry: 60_000, expire: 3_600_000, ttl: 0 },
    required: ['user_key', 'token'],
    sendResolved: true,
  },
}

interface Globals {
  resolveTimeoutMs: number
  client: HttpClientSettings
  smtp: Record<string, string>
  smtpSecrets: Record<string, Secret>
  smtpRequireTls: boolean
  slackUrl: Secret
  slackToken: Secret
  pagerdutyUrl: string
  opsgenieUrl: string
  opsgenieKey: Secret
  telegramUrl: string
  telegramToken: Secret
}

function secret(section: Section, name: string): Secret {
  const found = new Secret(section.text(name), section.text(`${name}_file`))
  if (found.reveal() !== '' && found.file !== '')
    section.refuse(`at most one of ${name} & ${name}_file must be configured`)
  return found
}
/** A secret that the file gives, inline or by the path of another file. */
const isSet = (secret: Secret | undefined): secret is Secret => secret?.isSet === true

function readGlobals(section: Section | undefined): Globals {
  const http = section?.section('http_config')
  const globals: Globals = {
    resolveTimeoutMs: section?.durationMs('resolve_timeout', 300_000) ?? 300_000,
    client: http === undefined ? plainClient : readHttpClient(http),
    smtp: Object.fromEntries(
      ['from', 'hello', 'smarthost', 'auth_username', 'auth_identity'].map(name => [
        name,
        section?.text(`smtp_${name}`) ?? '',
      ]),
    ),
    smtpSecrets: {
      auth_password: section === undefined ? noSecret : secret(section, 'smtp_auth_password'),
      auth_secret: section === undefined ? noSecret : secret(section, 'smtp_auth_secret'),
    },
    smtpRequireTls: section?.isOn('smtp_require_tls', true) ?? true,
    slackUrl: section === undefined ? noSecret : secret(section, 'slack_api_url'),
    slackToken: section === undefined ? noSecret : secret(section, 'slack_app_token'),
    pagerdutyUrl:
      section?.text('pagerduty_url', 'https://events.pagerduty.com/v2/enqueue') ??
      'https://events.pagerduty.com/v2/enqueue',
    opsgenieUrl: section?.text('opsgenie_api_url', 'https://api.opsgenie.com/') ?? 'https://api.opsgenie.com/',
    opsgenieKey: section === undefined ? noSecret : secret(section, 'opsgenie_api_key'),
    telegramUrl: section?.text('telegram_api_url', 'https://api.telegram.org') ?? 'https://api.telegram.org',
    telegramToken: section === undefined ? noSecret : secret(section, 'telegram_bot_token'),
  }
  http?.finish()
  section?.ignore(
    'wechat_api_url',
    'wechat_api_secret',
    'wechat_api_secret_file',
    'wechat_api_corp_id',
    'victorops_api_url',
    'victorops_api_key',
    'victorops_api_key_file',
    'webex_api_url',
    'jira_api_url',
    'rocketchat_api_url',
    'rocketchat_token',
    'rocketchat_token_file',
    'rocketchat_token_id',
    'rocketchat_token_id_file',
    'mattermost_webhook_url',
    'mattermost_webhook_url_file',
  )
  section?.notDone(['smtp_tls_config', 'smtp_force_implicit_tls', 'slack_app_url'])
  section?.finish()
  return globals
}

function readIntegration(kind: IntegrationKind, setting: Setting, globals: Globals): Integration {
  const section = setting.section()
  const shape = shapes[kind]
  const texts: Record<string, string> = {}
  const secrets: Record<string, Secret> = {}
  const flags: Record<string, boolean> = {}
  const numbers: Record<string, number> = {}
  const maps: Record<string, [string, string][]> = {}
  const lists: Record<string, Record<string, string>[]> = {}
  for (const [name, fallback] of Object.entries(shape.texts))
    texts[name] = section.stands(name) ? section.text(name) : fallback
  for (const name of shape.secrets ?? []) secrets[name] = secret(section, name)
  for (const [name, fallback] of Object.entries(shape.flags ?? {})) flags[name] = section.isOn(name, fallback)
  for (const [name, fallback] of Object.entries(shape.numbers ?? {})) numbers[name] = section.whole(name, fallback)
  for (const [name, fallback] of Object.entries(shape.durations ?? {}))
    numbers[name] = section.durationMs(name, fallback)
  for (const [name, fallback] of Object.entries(shape.maps ?? {})) {
    const own = section.textMap(name)
    // Keys that are not named keep their defaults.
    maps[name] = [...new Map([...fallback, ...own])]
  }
  for (const name of shape.lists ?? [])
    lists[name] = section
      .list(name)
      .map(item =>
        Object.fromEntries(
          item.entries().map(([key, value]) => [key, value.isSection ? JSON.stringify(value.textMap()) : value.text()]),
        ),
      )
  const http = section.section('http_config')
  const tls = section.section('tls_config')
  const client = http === undefined ? globals.client : readHttpClient(http)
  http?.finish()
  if (tls !== undefined) {
    tls.notDone(['ca', 'ca_file', 'cert', 'cert_file', 'key', 'key_file', 'server_name', 'min_version', 'max_version'])
    flags['insecure_skip_verify'] = tls.isOn('insecure_skip_verify', false)
    tls.finish()
  }
  const sendResolved = section.isOn('send_resolved', shape.sendResolved)
  section.notDone(shape.ignored ?? [])
  section.finish()
  for (const name of shape.required)
    if (!(secrets[name] !== undefined ? isSet(secrets[name]) : (texts[name] ?? '') !== ''))
      section.refuse(`missing ${name} in ${kind} config`)
  const filled: Integration = { kind, sendResolved, texts, secrets, flags, numbers, maps, lists, client }
  fillIn(filled, texts, secrets, flags, section, globals)
  return filled
}

/** Settings that the integration leaves out come from the global section. */
function fillIn(
  { kind }: Integration,
  texts: Record<string, string>,
  secrets: Record<string, Secret>,
  flags: Record<string, boolean>,
  section: Section,
  globals: Globals,
): void {
  switch (kind) {
    case 'email':
      for (const [name, value] of Object.entries(globals.smtp)) texts[name] = texts[name] || value
      for (const [name, value] of Object.entries(globals.smtpSecrets)) if (!isSet(secrets[name])) secrets[name] = value
      if (!section.has('require_tls')) flags['require_tls'] = globals.smtpRequireTls
      if (texts['smarthost'] === '') section.refuse('no global SMTP smarthost set')
      if (!/^.*:\w+$/.test(texts['smarthost'] ?? ''))
        section.refuse(`smarthost ${quote(texts['smarthost'] ?? '')} is no host:port`)
      if (texts['from'] === '') section.refuse('no global SMTP from set')
      return
    case 'slack':
      if (!isSet(secrets['api_url']))
        secrets['api_url'] = isSet(globals.slackUrl)
          ? globals.slackUrl
          : new Secret(
              isSet(secrets['app_token']) || isSet(globals.slackToken) ? 'https://slack.com/api/chat.postMessage' : '',
            )
      if (!isSet(secrets['app_token'])) secrets['app_token'] = globals.slackToken
      if (!isSet(secrets['api_url'])) section.refuse('no global Slack API URL set either inline or in a file')
      return
    case 'pagerduty':
      if (!isSet(secrets['routing_key']) && !isSet(secrets['service_key']))
        section.refuse('missing service or routing key in PagerDuty config')
      texts['url'] ||=
        isSet(secrets['service_key']) && globals.pagerdutyUrl.endsWith('/v2/enqueue')
          ? 'https://events.pagerduty.com/generic/2010-04-15/create_event.json'
          : globals.pagerdutyUrl
      return
    case 'opsgenie':
      texts['api_url'] ||= globals.opsgenieUrl
      if (!isSet(secrets['api_key'])) secrets['api_key'] = globals.opsgenieKey
      if (!isSet(secrets['api_key'])) section.refuse('no global OpsGenie API Key set either inline or in a file')
      return
    case 'telegram':
      texts['api_url'] ||= globals.telegramUrl
      if (!isSet(secrets['bot_token'])) secrets['bot_token'] = globals.telegramToken
      if (!isSet(secrets['bot_token'])) section.refuse('missing bot_token or bot_token_file on telegram_config')
      if (section.whole('chat_id', 0) === 0 && section.text('chat_id_file') === '')
        section.refuse('missing chat_id on telegram_config')
      if (!['', 'Markdown', 'MarkdownV2', 'HTML'].includes(texts['parse_mode'] ?? ''))
        section.refuse('unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string')
      return
    default:
  }
}

function readMatchers(section: Section, names: { plain?: string; regex?: string; list: string }): Matcher[] {
  const found: Matcher[] = []
  try {
    if (names.plain !== undefined)
      for (const [name, value] of section.textMap(names.plain)) found.push(matcherOf('=', name, value))
    if (names.regex !== undefined)
      for (const [name, value] of section.textMap(names.regex)) found.push(matcherOf('=~', name, value))
    for (const text of section.texts(names.list)) addAll(found, parseMatchers(text))
  } catch (error) {
    section.refuse(messageOf(error))
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.value < b.value ? -1 : 1))
}

function readRoute(
  setting: Setting,
  parent: RouteSettings | undefined,
  receivers: ReadonlySet<string>,
  intervals: ReadonlySet<string>,
): RouteSettings {
  const section = setting.section()
  const matchers = readMatchers(section, { plain: 'match', regex: 'match_re', list: 'matchers' })
  if (parent === undefined && matchers.length > 0) section.refuse('root route must not have any matchers')
  const groupTexts = section.has('group_by') ? section.texts('group_by') : undefined
  if (groupTexts?.includes('...') === true && groupTexts.length > 1)
    section.refuse('cannot have wildcard group_by (`...`) and other labels at the same time')
  if (groupTexts !== undefined && new Set(groupTexts).size < groupTexts.length)
    section.refuse('duplicated label in group_by')
  const shown = `{${matchers.map(matcherText).join(',')}}`
  const route: RouteSettings = {
    key: parent === undefined ? shown : `${parent.key}/${shown}`,
    receiver: section.text('receiver') || parent?.receiver || '',
    groupBy:
      groupTexts === undefined
        ? parent === undefined
          ? []
          : parent.groupBy
        : groupTexts.includes('...')
          ? undefined
          : [...groupTexts].sort(),
    groupWaitMs: section.durationMs('group_wait', parent?.groupWaitMs ?? 30_000),
    groupIntervalMs: section.durationMs('group_interval', parent?.groupIntervalMs ?? 300_000),
    repeatIntervalMs: section.durationMs('repeat_interval', parent?.repeatIntervalMs ?? 14_400_000),
    matchers,
    isContinued: section.isOn('continue', false),
    muteIntervals: section.texts('mute_time_intervals'),
    activeIntervals: section.texts('active_time_intervals'),
    routes: [],
  }
  if (route.groupIntervalMs === 0) section.refuse('group_interval cannot be zero')
  if (route.repeatIntervalMs === 0) section.refuse('repeat_interval cannot be zero')
  if (parent === undefined && route.receiver === '') section.refuse('root route must specify a default receiver')
  if (!receivers.has(route.receiver)) section.refuse(`undefined receiver ${quote(route.receiver)} used in route`)
  if (parent === undefined && (route.muteIntervals.length > 0 || route.activeIntervals.length > 0))
    section.refuse('root route must not have any mute or active time intervals')
  for (const name of [...route.muteIntervals, ...route.activeIntervals])
    if (!intervals.has(name)) section.refuse(`undefined time interval ${quote(name)} used in route`)
  route.routes = section.list('routes').map(child => readRoute(child, route, receivers, intervals))
  section.finish()
  return route
}

function readReceiver(setting: Setting, globals: Globals, warnings: string[]): ReceiverSettings {
  const section = setting.section()
  const name = section.text('name')
  if (name === '') section.refuse('missing name in receiver')
  const integrations = integrationKinds.flatMap(kind =>
    section.list(`${kind}_configs`).map(one => readIntegration(kind, one, globals)),
  )
  for (const kind of otherKinds)
    if (section.has(`${kind}_configs`))
      warnings.push(
        `receiver ${quote(name)}: ${kind}_configs is not supported and sends nothing; ` +
          `${integrationKinds.join(', ')} are`,
      )
  section.finish()
  return { name, integrations }
}

/** Reads alertmanager.yml. Throws BadDataError with file and line of the fault. */
export function readAlertmanagerConfig(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>> = {},
): AlertmanagerConfig {
  const setting = parseSettings(text, file, env)
  const section = setting.section()
  const warnings: string[] = []
  const globals = readGlobals(section.section('global'))
  const intervals = new Map<string, TimeInterval>()
  for (const interval of [
    ...readTimeIntervals(section.list('mute_time_intervals')),
    ...readTimeIntervals(section.list('time_intervals')),
  ]) {
    if (intervals.has(interval.name)) section.refuse(`time interval ${quote(interval.name)} is not unique`)
    intervals.set(interval.name, interval)
  }
  const receivers = section.list('receivers').map(r => readReceiver(r, globals, warnings))
  const names = new Set<string>()
  for (const { name } of receivers) {
    if (names.has(name)) section.refuse(`notification config name ${quote(name)} is not unique`)
    names.add(name)
  }
  const route = section.get('route') ?? section.refuse('no route provided in config')
  const config: AlertmanagerConfig = {
    text,
    resolveTimeoutMs: globals.resolveTimeoutMs,
    route: readRoute(route, undefined, names, new Set(intervals.keys())),
    receivers,
    timeIntervals: intervals,
    templates: section.texts('templates'),
    warnings,
    inhibitRules: section.list('inhibit_rules').map(one => {
      const s = one.section()
      const rule = {
        source: readMatchers(s, { plain: 'source_match', regex: 'source_match_re', list: 'source_matchers' }),
        target: readMatchers(s, { plain: 'target_match', regex: 'target_match_re', list: 'target_matchers' }),
        equal: s.texts('equal'),
      }
      s.ignore('name')
      s.notDone(['sources'])
      s.finish()
      return rule
    }),
  }
  section.notDone(['tracing'])
  section.finish()
  addAll(warnings, setting.notes)
  return config
}
