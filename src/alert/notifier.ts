/** Sends alerts to Alertmanagers: to the one of this process, and to foreign ones over API v2. */
import { Pauses } from '#core/backoff.ts'
import type { Clock } from '#core/clock.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { maskUrl } from '#core/secret.ts'
import { keyOfTexts } from '#core/text.ts'
import { tenantLabel } from '#lang/regex/constraint.ts'
import { relabel, type RelabelRule } from '#lang/relabel/relabel.ts'
import { Labels } from '#model/labels.ts'
import type { HttpClient } from '#net/http-client.ts'
import { retryAfterMs } from '#net/retry-after.ts'
import type { Alert } from './alert.ts'

/** An Alertmanager that takes alerts. */
export interface AlertReceiver {
  /** Shown in logs and at /api/v1/alertmanagers. */
  url: string
  relabelRules: readonly RelabelRule[]
  /** Alerts of one tenant. */
  send(alerts: readonly Alert[], tenant: string): Promise<void>
}

const queueMax = 10_000
const batchMax = 256

/** An alert as API v2 takes it. */
export function alertJson(alert: Alert): Record<string, unknown> {
  return {
    labels: Object.fromEntries(alert.labels.entries()),
    annotations: Object.fromEntries(alert.annotations.entries()),
    startsAt: new Date(alert.startsMs).toISOString(),
    endsAt: new Date(alert.endsMs).toISOString(),
    generatorURL: alert.generatorUrl,
  }
}

/**
 * A foreign Alertmanager. `url`: of its /api/v2/alerts. `send` throws when it answers anything but 2xx. With tenancy it
 * is told whose alerts they are, as Mimir's is.
 */
export function remoteReceiver(
  url: string,
  client: HttpClient,
  timeoutMs: number,
  relabelRules: readonly RelabelRule[],
  { clock, hasTenancy }: { clock: Clock; hasTenancy: boolean },
): AlertReceiver {
  return {
    url,
    relabelRules,
    async send(alerts, tenant) {
      const reply = await client.send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(hasTenancy ? { 'x-scope-orgid': tenant } : {}) },
        body: JSON.stringify(alerts.map(alertJson)),
        timeoutMs,
        bodyBytesMax: 1 << 20,
        isBodyOptional: true,
      })
      if (reply.status >= 200 && reply.status <= 299) return
      const said = client.hide(Buffer.from(reply.body).toString('utf8')).slice(0, 200)
      const answer = `${maskUrl(url)} answered ${reply.status}: ${said}`
      throw new UnavailableError(answer, retryAfterMs(reply.header('retry-after'), clock.nowMs()) / 1000)
    },
  }
}

/** What became of an alert: receivers that have not had their turn, and whether one took it. */
interface Fate {
  left: number
  isTaken: boolean
}

/** The alerts of one tenant that wait for one receiver, in order. */
interface Lane {
  /** By its address: the one that was found last is sent to. */
  url: string
  tenant: string
  queue: { alert: Alert; fate: Fate }[]
  sending: Promise<void> | undefined
}

function keyOf({ url, tenant }: Pick<Lane, 'url' | 'tenant'>): string {
  return keyOfTexts([url, tenant])
}

/**
 * Queues alerts for each receiver and tenant and sends them in batches, in order; a full queue drops its oldest. A
 * receiver that is slow, or that asks to be left alone, keeps no other waiting, and no other tenant. Alerts are
 * relabelled on the way in, and once more for each receiver.
 */
export class Notifier {
  readonly #log: Log
  readonly #pauses: Pauses
  readonly #hasTenancy: boolean
  /** By address. */
  #receivers = new Map<string, AlertReceiver>()
  /** Those in which something waits, or is sent: whoever is found again goes on with what waits for it. */
  readonly #lanes = new Map<string, Lane>()
  #isStopped = false
  externalLabels: readonly (readonly [string, string])[] = []
  relabelRules: readonly RelabelRule[] = []
  /** Alerts that a receiver took, and those that none did: one that has them is enough, firing ones are sent again. */
  sent = 0
  dropped = 0
  errors = 0

  constructor(log: Log, clock: Clock, hasTenancy = false) {
    this.#log = log
    this.#pauses = new Pauses(clock)
    this.#hasTenancy = hasTenancy
  }

  get receivers(): readonly AlertReceiver[] {
    return [...this.#receivers.values()]
  }
  set receivers(receivers: readonly AlertReceiver[]) {
    this.#receivers = new Map(receivers.map(receiver => [receiver.url, receiver]))
    for (const { url, queue } of this.#lanes.values())
      if (!this.#receivers.has(url)) this.#settle(queue.splice(0), false)
  }

  readonly notify = (alerts: readonly Alert[], tenant: string): void => {
    const lanes = [...this.#receivers.keys()].map(url => this.#laneOf(url, tenant))
    for (const alert of alerts) {
      const labels = this.#relabelled(alert.labels, tenant, this.externalLabels, this.relabelRules)
      if (labels === undefined) continue
      const fate: Fate = { left: lanes.length, isTaken: false }
      for (const lane of lanes) lane.queue.push({ alert: { ...alert, labels }, fate })
    }
    for (const lane of lanes) {
      const excess = lane.queue.length - queueMax
      if (excess > 0) {
        this.#log.warn('alerts were dropped: too many wait to be sent', {
          to: maskUrl(lane.url),
          dropped: excess,
          ...this.#shown(lane),
        })
        this.#settle(lane.queue.splice(0, excess), false)
      }
      this.#start(lane)
    }
  }

  #start(lane: Lane): void {
    lane.sending ??= this.#send(lane).finally(() => {
      lane.sending = undefined
      if (lane.queue.length > 0) this.#start(lane)
      else this.#lanes.delete(keyOf(lane))
    })
  }

  #laneOf(url: string, tenant: string): Lane {
    const key = keyOf({ url, tenant })
    let lane = this.#lanes.get(key)
    if (lane === undefined) this.#lanes.set(key, (lane = { url, tenant, queue: [], sending: undefined }))
    return lane
  }

  #shown({ tenant }: Lane): { tenant?: string } {
    return this.#hasTenancy ? { tenant } : {}
  }

  /**
   * A label of the alert wins over an external one. With tenancy, rules see the label `__tenant_id__`, which is not
   * sent: a plain Alertmanager is told whose an alert is where they make another label of it.
   */
  #relabelled(
    labels: Labels,
    tenant: string,
    external: readonly (readonly [string, string])[],
    rules: readonly RelabelRule[],
  ): Labels | undefined {
    const map = new Map<string, string>([...external, ...labels.entries()])
    if (!this.#hasTenancy) return relabel(map, rules) ? Labels.from(map) : undefined
    const before = map.get(tenantLabel)
    map.set(tenantLabel, tenant)
    if (!relabel(map, rules)) return undefined
    if (before === undefined) map.delete(tenantLabel)
    else map.set(tenantLabel, before)
    return Labels.from(map)
  }

  #settle(entries: readonly { fate: Fate }[], isTaken: boolean): void {
    for (const { fate } of entries) {
      fate.left--
      if (isTaken && !fate.isTaken) this.sent++
      fate.isTaken ||= isTaken
      if (fate.left === 0 && !fate.isTaken) this.dropped++
    }
  }

  async #send(lane: Lane): Promise<void> {
    while (lane.queue.length > 0) {
      const batch = lane.queue.splice(0, batchMax)
      const pauseMs = await this.#sendTo(lane, batch)
      if (pauseMs === 0 || this.#isStopped) continue
      await this.#pauses.wait(pauseMs)
    }
  }

  /** Milliseconds for which the receiver asks to be left alone. */
  async #sendTo(lane: Lane, batch: readonly { alert: Alert; fate: Fate }[]): Promise<number> {
    const { url, tenant } = lane
    const receiver = this.#receivers.get(url)
    if (receiver === undefined) {
      this.#settle(batch, false)
      return 0
    }
    const own = batch.flatMap(({ alert }) => {
      const labels = this.#relabelled(alert.labels, tenant, [], receiver.relabelRules)
      return labels === undefined ? [] : [{ ...alert, labels }]
    })
    try {
      if (own.length > 0) await receiver.send(own, tenant)
      this.#settle(batch, true)
      return 0
    } catch (error) {
      this.errors++
      this.#settle(batch, false)
      this.#log.warn('alerts could not be sent', {
        to: maskUrl(url),
        count: own.length,
        error: messageOf(error),
        ...this.#shown(lane),
      })
      return error instanceof UnavailableError ? error.retryAfterSeconds * 1000 : 0
    }
  }

  /** Waits for what is on its way; what waits is tried once more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#pauses.end()
    await Promise.all([...this.#lanes.values()].map(lane => lane.sending))
  }
}
