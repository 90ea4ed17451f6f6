/** Alertmanager's API, version 2. Source: Alertmanager's public OpenAPI description. */
import type { Alertmanager, AlertStatus, IncomingAlert } from '#alert/alertmanager/alertmanager.ts'
import type { Alertmanagers } from '#alert/alertmanager/alertmanagers.ts'
import { isSameMatcher } from '#alert/alertmanager/matchers.ts'
import { silenceState, type ManagedAlert, type Silence } from '#alert/alertmanager/store.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, CanceledError, ForbiddenError, messageOf } from '#core/errors.ts'
import { Pace } from '#core/pace.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { yieldEvery } from '#core/yield.ts'
import { maskSettings } from '#lang/settings/mask.ts'
import { isSecretName, isSecretPlace } from '#lang/settings/secret-names.ts'
import type { Labels } from '#model/labels.ts'
import { readsAll, readsProcess, setsRules, writes } from '#net/access.ts'
import {
  allowing,
  inDialect,
  route,
  under,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
} from '#net/route-table.ts'
import type { TenantOf } from '../tenancy.ts'
import { alertFilter, bodyOf, filtersOf, readAlert, readSilence } from './params.ts'
import { alertmanagerErrors, json, jsonType } from './respond.ts'

export interface AlertmanagerOptions {
  clock: Clock
  alertmanagers: Alertmanagers
  tenantOf: TenantOf
  /** Is the tenant being deleted? Then nothing is taken in of it. Default: none is. */
  isDeleted?: (tenant: string) => boolean
  version: string
  startedMs: number
}

const iso = (ms: number): string => new Date(ms).toISOString()
/** Silences are listed in this order. */
const silenceOrder: readonly string[] = ['active', 'pending', 'expired']

/** What the documentation does not call secret, and is part of one. */
const shownNowhere = /^(access_key|values)$/

/** The text of a configuration file with its secrets masked, without comments, which may have old ones. */
export function withoutSecrets(text: string): string {
  return maskSettings(text, path => {
    const name = path.at(-1) ?? ''
    return isSecretName(name) || isSecretPlace(path) || shownNowhere.test(name)
  })
}

function silenceJson(silence: Silence, nowMs: number): Record<string, unknown> {
  return {
    id: silence.id,
    status: { state: silenceState(silence, nowMs) },
    updatedAt: iso(silence.updatedMs),
    comment: silence.comment,
    createdBy: silence.createdBy,
    startsAt: iso(silence.startsMs),
    endsAt: iso(silence.endsMs),
    matchers: silence.matchers.map(({ kind, name, value }) => ({
      name,
      value,
      isRegex: kind === '=~' || kind === '!~',
      isEqual: kind === '=' || kind === '=~',
    })),
  }
}

/** An alert that is shown. */
interface Shown {
  alert: ManagedAlert
  status: AlertStatus
  receivers: readonly string[]
}

interface ShownGroup {
  alerts: readonly Shown[]
  labels: Labels
  receiver: string
}

function alertJson({ alert, status, receivers }: Shown): Record<string, unknown> {
  return {
    annotations: alert.annotations.toObject(),
    endsAt: iso(alert.endsMs),
    fingerprint: alert.fingerprint,
    receivers: [...new Set(receivers)].map(name => ({ name })),
    startsAt: iso(alert.startsMs),
    status,
    updatedAt: iso(alert.updatedMs),
    generatorURL: alert.generatorUrl,
    labels: alert.labels.toObject(),
  }
}

/** Alerts, or silences, between two pauses: a millisecond of work. */
const alertsAtOnce = 64

type Pause = () => Promise<void>

/** Elements of a list, with what stands between them. */
async function* printed<T>(items: readonly T[], toJson: (item: T) => unknown, pause: Pause): AsyncGenerator<string> {
  for (let from = 0; from < items.length; from += alertsAtOnce) {
    const some = items.slice(from, from + alertsAtOnce).map(item => JSON.stringify(toJson(item)))
    yield (from === 0 ? '' : ',') + some.join(',')
    await pause()
  }
}

async function* groupPieces(groups: readonly ShownGroup[], pause: Pause): AsyncGenerator<string> {
  for (const [i, { alerts, labels, receiver }] of groups.entries()) {
    yield i === 0 ? '{"alerts":[' : ',{"alerts":['
    yield* printed(alerts, alertJson, pause)
    yield `],${JSON.stringify({ labels: labels.toObject(), receiver: { name: receiver } }).slice(1)}`
  }
}

/** A list of JSON, printed while it is sent. */
function listReply(elements: AsyncIterable<string>): HttpReply {
  async function* body(): AsyncGenerator<string> {
    yield '['
    yield* elements
    yield ']'
  }
  return { status: 200, headers: jsonType, body: body() }
}

export function alertmanagerRoutes(options: AlertmanagerOptions): GuardedRoute[] {
  const api = new AlertmanagerApi(options)
  const routes = [
    route(['GET'], '/alerts', api.alerts),
    route(['GET'], '/alerts/groups', api.groups),
    route(['GET'], '/silences', api.silences),
    route(['GET'], '/silence/:id', api.silence),
    route(['GET'], '/receivers', api.receivers),
    ...allowing(writes('metrics'), [route(['POST'], '/alerts', api.receive)]),
    ...allowing(setsRules('metrics'), [
      route(['POST'], '/silences', api.setSilence),
      route(['DELETE'], '/silence/:id', api.expireSilence),
    ]),
    ...allowing(readsProcess, [route(['GET'], '/status', api.status)]),
  ]
  const placed = under(['/api/v2', '/alertmanager/api/v2'], inDialect(alertmanagerErrors, routes))
  return allowing(readsAll('metrics'), placed)
}

function receiversOf(alertmanager: Alertmanager, labels: Labels): string[] {
  return alertmanager.routesOf(labels).map(r => r.receiver)
}

/** Of the alerts of a request that are wrong. */
const problemsShown = 50

class AlertmanagerApi {
  readonly #options: AlertmanagerOptions

  constructor(options: AlertmanagerOptions) {
    this.#options = options
  }

  /** The one of the caller's tenant. */
  #of(request: HttpRequest): Promise<Alertmanager> {
    const { alertmanagers, tenantOf } = this.#options
    return alertmanagers.of(tenantOf(request))
  }

  /** The same where something is to be kept. Throws ForbiddenError. */
  #toChange(request: HttpRequest): Promise<Alertmanager> {
    const { isDeleted = () => false, tenantOf } = this.#options
    const tenant = tenantOf(request)
    if (isDeleted(tenant))
      throw new ForbiddenError(`tenant ${JSON.stringify(tenant)} is being deleted, nothing is taken in of it`)
    return this.#of(request)
  }

  /** Gives way to others; ends the work of a client that has gone away. */
  #pauseFor({ signal }: HttpRequest): Pause {
    const pause = yieldEvery(this.#options.clock)
    return async () => {
      await pause()
      if (signal.aborted) throw new CanceledError('the client has gone away')
    }
  }

  readonly alerts: Handler = async request => {
    const { clock } = this.#options
    const alertmanager = await this.#of(request)
    const isChosen = alertFilter(await request.form())
    const pause = this.#pauseFor(request)
    const found: Shown[] = []
    for (const [i, alert] of alertmanager.alerts().entries()) {
      if (i % alertsAtOnce === alertsAtOnce - 1) await pause()
      const status = await alertmanager.statusOf(alert, undefined, pause)
      const receivers = receiversOf(alertmanager, alert.labels)
      if (isChosen(alert, status, receivers)) found.push({ alert, status, receivers })
    }
    await pacedSort(found, (a, b) => (a.alert.fingerprint < b.alert.fingerprint ? -1 : 1), new Pace(clock))
    return listReply(printed(found, alertJson, pause))
  }

  readonly receive: Handler = async request => {
    const alertmanager = await this.#toChange(request)
    const pause = this.#pauseFor(request)
    const body = await bodyOf(request, this.#options.clock)
    if (!Array.isArray(body)) throw new BadDataError('a list of alerts was expected')
    const problems: string[] = []
    let unread = 0
    const good: IncomingAlert[] = []
    for (const [i, one] of (body as unknown[]).entries()) {
      if (i % alertsAtOnce === alertsAtOnce - 1) await pause()
      try {
        good.push(readAlert(one))
      } catch (error) {
        unread++
        if (problems.length < problemsShown) problems.push(messageOf(error))
      }
    }
    const received = await alertmanager.receive(good)
    const shown = [...problems, ...received.problems].slice(0, problemsShown)
    if (shown.length === 0) return { status: 200, body: '' }
    const others = unread + received.refused - shown.length
    return json(shown.join('; ') + (others > 0 ? `; ${others} more` : ''), received.passes ? 429 : 400)
  }

  readonly groups: Handler = async request => {
    const alertmanager = await this.#of(request)
    const isChosen = alertFilter(await request.form())
    const pause = this.#pauseFor(request)
    const found: ShownGroup[] = []
    for (const { alerts, labels, receiver, route: own } of alertmanager.groups()) {
      const shown: Shown[] = []
      for (const [i, alert] of alerts.entries()) {
        if (i % alertsAtOnce === alertsAtOnce - 1) await pause()
        const status = await alertmanager.statusOf(alert, own, pause)
        if (isChosen(alert, status, [receiver]))
          shown.push({ alert, status, receivers: receiversOf(alertmanager, alert.labels) })
      }
      if (shown.length > 0) found.push({ alerts: shown, labels, receiver })
      await pause()
    }
    return listReply(groupPieces(found, pause))
  }

  readonly silences: Handler = async request => {
    const filters = filtersOf(await request.form())
    const pause = this.#pauseFor(request)
    const alertmanager = await this.#of(request)
    const { clock } = this.#options
    const nowMs = clock.nowMs()
    const rank = (silence: Silence): number => silenceOrder.indexOf(silenceState(silence, nowMs))
    const found: Silence[] = []
    for (const [i, silence] of [...alertmanager.silences.values()].entries()) {
      if (i % alertsAtOnce === alertsAtOnce - 1) await pause()
      if (filters.every(filter => silence.matchers.some(own => isSameMatcher(own, filter)))) found.push(silence)
    }
    await pacedSort(found, (a, b) => rank(a) - rank(b) || a.endsMs - b.endsMs, new Pace(clock))
    return listReply(printed(found, silence => silenceJson(silence, nowMs), pause))
  }

  readonly setSilence: Handler = async request => {
    const alertmanager = await this.#toChange(request)
    const silence = readSilence(await bodyOf(request, this.#options.clock))
    return json({ silenceID: await alertmanager.setSilence(silence) })
  }

  readonly silence: Handler = async request => {
    const { silences } = await this.#of(request)
    const { clock } = this.#options
    const id = request.params['id'] ?? ''
    const silence = silences.get(id)
    return silence === undefined ? json(`silence ${id} not found`, 404) : json(silenceJson(silence, clock.nowMs()))
  }

  readonly expireSilence: Handler = async request => {
    const alertmanager = await this.#of(request)
    await alertmanager.expireSilence(request.params['id'] ?? '')
    return { status: 200, body: '' }
  }

  readonly status: Handler = async () => {
    const { alertmanagers, version, startedMs } = this.#options
    return json({
      cluster: { name: 'tercet', status: 'disabled', peers: [] },
      versionInfo: { version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' },
      config: { original: withoutSecrets(alertmanagers.config.text) },
      uptime: iso(startedMs),
    })
  }

  readonly receivers: Handler = async request => {
    const { alertmanagers, tenantOf } = this.#options
    return json(alertmanagers.receiversOf(tenantOf(request)).map(name => ({ labels: { name }, name })))
  }
}
