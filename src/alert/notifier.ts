/** Sends alerts to Alertmanagers: to the one of this process, and to foreign ones over API v2. */
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { relabel, type RelabelRule } from '#lang/relabel/relabel.ts'
import { Labels } from '#model/labels.ts'
import type { HttpClient } from '#net/http-client.ts'
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
      })
      if (reply.status < 200 || reply.status > 299)
        throw new Error(`${url} answered ${reply.status}: ${Buffer.from(reply.body.subarray(0, 200)).toString('utf8')}`)
    },
  }
}

/**
 * Queues alerts and sends them in batches; a full queue drops its oldest. Alerts are relabelled on the way in, and once
 * more for each receiver.
 */
export class Notifier {
  readonly #log: Log
  #queue: Alert[] = []
  #sending: Promise<void> | undefined
  receivers: readonly AlertReceiver[] = []
  externalLabels: readonly (readonly [string, string])[] = []
  relabelRules: readonly RelabelRule[] = []
  sent = 0
  dropped = 0
  errors = 0

  constructor(log: Log) {
    this.#log = log
  }

  readonly notify = (alerts: readonly Alert[]): void => {
    for (const alert of alerts) {
      const labels = relabelled(alert.labels, this.externalLabels, this.relabelRules)
      if (labels !== undefined) this.#queue.push({ ...alert, labels })
    }
    if (this.#queue.length > queueMax) {
      this.dropped += this.#queue.length - queueMax
      this.#log.warn('alerts were dropped: too many wait to be sent', { dropped: this.#queue.length - queueMax })
      this.#queue = this.#queue.slice(-queueMax)
    }
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  async #send(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, batchMax)
      const outcomes = await Promise.all(this.receivers.map(receiver => this.#sendTo(receiver, batch)))
      // One receiver that has them is enough: firing alerts are sent again in any case.
      if (outcomes.some(Boolean)) this.sent += batch.length
      else if (outcomes.length > 0) this.dropped += batch.length
    }
  }

  /** Whether the receiver took its alerts. */
  async #sendTo(receiver: AlertReceiver, batch: readonly Alert[]): Promise<boolean> {
    const own = batch.flatMap(alert => {
      const labels = relabelled(alert.labels, [], receiver.relabelRules)
      return labels === undefined ? [] : [{ ...alert, labels }]
    })
    try {
      if (own.length > 0) await receiver.send(own)
      return true
    } catch (error) {
      this.errors++
      this.#log.warn('alerts could not be sent', { to: receiver.url, count: own.length, error: messageOf(error) })
      return false
    }
  }

  async stop(): Promise<void> {
    await this.#sending
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
