/** Takes batches as a store would, and puts them into the queues of remotes. */
import { encodeSnappy } from '#codec/snappy.ts'
import { UnavailableError, messageOf } from '#core/errors.ts'
import { relabel, type RelabelRule } from '#lang/relabel/relabel.ts'
import type { MetricsAppendOutcome, MetricsAppender } from '#metrics/append.ts'
import { Labels } from '#model/labels.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import {
  addedLabels,
  encodeWriteRequest,
  encodeWriteRequestV2,
  lanesOf,
  type AddedLabel,
  type EncodeOptions,
} from '#wire/remote-write/encode.ts'
import { packMessage, type Remote } from './remote.ts'

const contentTypes = {
  1: 'application/x-protobuf',
  2: 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
} as const

/** A remote of samples, with its write_relabel_configs and the version of the protocol that it speaks. */
export interface MetricsRemote {
  remote: Remote
  rules: readonly RelabelRule[]
  isWithExemplars: boolean
  isWithHistograms: boolean
  version: 1 | 2
}

/** An agent's door for samples. */
export class MetricsForwarder implements MetricsAppender {
  readonly readsAtOnce = true
  remotes: readonly MetricsRemote[] = []
  #externalLabels: readonly (readonly [string, string])[] = []
  #added: readonly AddedLabel[] = []
  samples = 0

  get externalLabels(): readonly (readonly [string, string])[] {
    return this.#externalLabels
  }
  set externalLabels(labels: readonly (readonly [string, string])[]) {
    this.#externalLabels = labels
    this.#added = addedLabels(labels)
  }

  /** Resolves when every queue has the batch on the disk. Throws UnavailableError when one can't be written. */
  async append(tenant: string, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    // Everything is encoded before the first wait: then the batch is the caller's again.
    const messages = this.remotes.flatMap(one =>
      this.#encode(one, tenant, batch).map(packed => one.remote.queue.put(packed)),
    )
    const result: MetricsAppendOutcome = {
      stored: batch.sampleCount + batch.histograms.length,
      histograms: batch.histograms.length,
      exemplars: batch.exemplars.length,
      refused: 0,
      problems: [],
    }
    const { sampleCount } = batch
    await kept(messages)
    this.samples += sampleCount
    return result
  }

  /** The batch as messages of a remote, one for each of its lanes; none when its rules drop every series. */
  #encode(
    { remote, rules, isWithExemplars, isWithHistograms, version }: MetricsRemote,
    tenant: string,
    batch: WriteBatch,
  ): Uint8Array[] {
    const { externalLabels } = this
    const labelsOf = (pairs: [string, string][]): Labels | undefined => {
      const labels = new Map<string, string>([...externalLabels, ...pairs])
      return relabel(labels, rules) ? Labels.from(labels) : undefined
    }
    const options: EncodeOptions = {
      labelsOf: rules.length === 0 ? undefined : labelsOf,
      added: this.#added,
      isWithExemplars,
      isWithHistograms,
    }
    const headers = {
      'content-type': contentTypes[version],
      'content-encoding': 'snappy',
      'x-prometheus-remote-write-version': version === 1 ? '0.1.0' : '2.0.0',
      'user-agent': 'Tercet',
      ...(tenant === '' ? {} : { 'x-scope-orgid': tenant }),
    }
    const { lanes } = remote
    const of = lanes > 1 ? lanesOf(batch, options, lanes) : undefined
    const messages: Uint8Array[] = []
    for (let number = 0; number < lanes; number++) {
      const lane = of === undefined ? undefined : { of, number }
      const { bytes, samples } = (version === 1 ? encodeWriteRequest : encodeWriteRequestV2)(batch, {
        ...options,
        ...(lane === undefined ? {} : { lane }),
      })
      if (bytes.length > 0) messages.push(packMessage({ headers, samples, lane: [number, lanes] }, encodeSnappy(bytes)))
    }
    return messages
  }
}

/** Waits until every queue has its message on the disk. Throws UnavailableError when one can't be written. */
export async function kept(puts: readonly Promise<void>[]): Promise<void> {
  // All of them: what is refused must not be on its way still.
  const outcomes = await Promise.allSettled(puts)
  const failed = outcomes.find(outcome => outcome.status === 'rejected')
  if (failed !== undefined) throw new UnavailableError(`the queue could not be written: ${messageOf(failed.reason)}`, 5)
}
