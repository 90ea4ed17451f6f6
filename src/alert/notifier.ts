/** Sends alerts to Alertmanagers: to the one of this process, and to foreign ones over API v2. */
import { Pauses } from '#core/backoff.ts'
import type { Clock } from '#core/clock.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { maskUrls } from '#core/secret.ts'
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
  send(alerts: readonly Alert[]): Promise<void>
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

/** A foreign Alertmanager. `url`: of its /api/v2/alerts. `send` throws when it answers anything but 2xx. */
export function remoteReceiver(
  url: string,
  client: HttpClient,
  timeoutMs: number,
  relabelRules: readonly RelabelRule[],
  clock: Clock,
): AlertReceiver {
  return {
    url,
    relabelRules,
    async send(alerts) {
      const reply = await client.send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(alerts.map(alertJson)),
        timeoutMs,
        bodyBytesMax: 1 << 20,
        isBodyOptional: true,
      })
      if (reply.status >= 200 && reply.status <= 299) return
      const said = client.hide(Buffer.from(reply.body).toString('utf8')).slice(0, 200)
      const answer = `${maskUrls(url)} answered ${reply.status}: ${said}`
      throw new UnavailableError(answer, retryAfterMs(reply.header('retry-after'), clock.nowMs()) / 1000)
    },
  }
}

/** What became of an alert: receivers that have not had their turn, and whether one took it. */
interface Fate {
  left: number
  isTaken: boolean
}

/** The alerts that wait for one receiver, in order. */
interface Lane {
  receiver: AlertReceiver
  queue: { alert: Alert; fate: Fate }[]
  sending: Promise<void> | undefined
}

/**
 * Queues alerts for each receiver and sends them in batches, in order; a full queue drops its oldest. A receiver that
 * is slow, or that asks to be left alone, keeps no other waiting. Alerts are relabelled on the way in, and once more
 * for each receiver.
 */
export class Notifier {
  readonly #log: Log
  readonly #pauses: Pauses
  /** By address: whoever is found again goes on with what waits for it. */
  #lanes = new Map<string, Lane>()
  #isStopped = false
  externalLabels: readonly (readonly [string, string])[] = []
  relabelRules: readonly RelabelRule[] = []
  /** Alerts that a receiver took, and those that none did: one that has them is enough, firing ones are sent again. */
  sent = 0
  dropped = 0
  errors = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#pauses = new Pauses(clock)
  }

  get receivers(): readonly AlertReceiver[] {
    return [...this.#lanes.values()].map(lane => lane.receiver)
  }
  set receivers(receivers: readonly AlertReceiver[]) {
    const before = this.#lanes
    this.#lanes = new Map()
    for (const receiver of receivers) {
      const lane = before.get(receiver.url) ?? { receiver, queue: [], sending: undefined }
      before.delete(receiver.url)
      lane.receiver = receiver
      this.#lanes.set(receiver.url, lane)
    }
    for (const gone of before.values()) this.#settle(gone.queue.splice(0), false)
  }

  readonly notify = (alerts: readonly Alert[]): void => {
    const lanes = [...this.#lanes.values()]
    for (const alert of alerts) {
      const labels = relabelled(alert.labels, this.externalLabels, this.relabelRules)
      if (labels === undefined) continue
      const fate: Fate = { left: lanes.length, isTaken: false }
      for (const lane of lanes) lane.queue.push({ alert: { ...alert, labels }, fate })
    }
    for (const lane of lanes) {
      const excess = lane.queue.length - queueMax
      if (excess > 0) {
        this.#log.warn('alerts were dropped: too many wait to be sent', {
          to: maskUrls(lane.receiver.url),
          dropped: excess,
        })
        this.#settle(lane.queue.splice(0, excess), false)
      }
      lane.sending ??= this.#send(lane).finally(() => {
        lane.sending = undefined
      })
    }
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
      const pauseMs = await this.#sendTo(lane.receiver, batch)
      if (pauseMs === 0 || this.#isStopped) continue
      await this.#pauses.wait(pauseMs)
    }
  }

  /** Milliseconds for which the receiver asks to be left alone. */
  async #sendTo(receiver: AlertReceiver, batch: readonly { alert: Alert; fate: Fate }[]): Promise<number> {
    const own = batch.flatMap(({ alert }) => {
      const labels = relabelled(alert.labels, [], receiver.relabelRules)
      return labels === undefined ? [] : [{ ...alert, labels }]
    })
    try {
      if (own.length > 0) await receiver.send(own)
      this.#settle(batch, true)
      return 0
    } catch (error) {
      this.errors++
      this.#settle(batch, false)
      this.#log.warn('alerts could not be sent', {
        to: maskUrls(receiver.url),
        count: own.length,
        error: messageOf(error),
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

/** A label of the alert wins over an external one. */
function relabelled(
  labels: Labels,
  external: readonly (readonly [string, string])[],
  rules: readonly RelabelRule[],
): Labels | undefined {
  const map = new Map<string, string>([...external, ...labels.entries()])
  return relabel(map, rules) ? Labels.from(map) : undefined
}
