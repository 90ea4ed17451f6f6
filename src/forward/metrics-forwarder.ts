/** Takes batches as a store would, and puts them into the queues of remotes. */
import { encodeSnappy } from '#codec/snappy.ts'
import { UnavailableError, messageOf } from '#core/errors.ts'
import { relabel, type RelabelRule } from '#lang/relabel/relabel.ts'
import type { MetricsAppendOutcome, MetricsAppender } from '#metrics/append.ts'
import { Labels } from '#model/labels.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import { addedLabels, encodeWriteRequest, encodeWriteRequestV2, type AddedLabel } from '#wire/remote-write/encode.ts'
import { packMessage, type Remote } from './remote.ts'

export interface MetricsRemote {
  remote: Remote
  rules: readonly RelabelRule[]
  isWithExemplars: boolean
  isWithHistograms: boolean
  version: 1 | 2
}

export class MetricsForwarder implements MetricsAppender {
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

  async append(tenant: string, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    const { externalLabels } = this
    // Everything is encoded before anything is waited for: the batch is the caller's again after this.
    const messages = this.remotes.map(({ remote, rules, isWithExemplars, isWithHistograms, version }) => {
      const labelsOf =
        rules.length === 0
          ? undefined
          : (pairs: [string, string][]): Labels | undefined => {
              const labels = new Map<string, string>([...externalLabels, ...pairs])
              return relabel(labels, rules) ? Labels.from(labels) : undefined
            }
      const { bytes, samples } = (version === 1 ? encodeWriteRequest : encodeWriteRequestV2)(batch, {
        labelsOf,
        added: this.#added,
        isWithExemplars,
        isWithHistograms,
      })
      return {
        remote,
        samples,
        packed:
          bytes.length === 0
            ? undefined
            : packMessage(
                {
                  headers: {
                    'content-type':
                      version === 1
                        ? 'application/x-protobuf'
                        : 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
                    'content-encoding': 'snappy',
                    'x-prometheus-remote-write-version': version === 1 ? '0.1.0' : '2.0.0',
                    'user-agent': 'Tercet',
                    ...(tenant === '' ? {} : { 'x-scope-orgid': tenant }),
                  },
                  samples,
                },
                encodeSnappy(bytes),
              ),
      }
    })
    const result: MetricsAppendOutcome = {
      stored: batch.sampleCount + batch.histograms.length,
      histograms: batch.histograms.length,
      exemplars: batch.exemplars.length,
      refused: 0,
      problems: [],
    }
    this.samples += batch.sampleCount
    try {
      await Promise.all(
        messages.map(({ remote, packed }) => (packed === undefined ? undefined : remote.queue.put(packed))),
      )
    } catch (error) {
      throw new UnavailableError(`the queue could not be written: ${messageOf(error)}`, 5)
    }
    return result
  }
}
