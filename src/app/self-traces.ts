/** Own requests as traces in the own store: one a second at most, and those that were slow or failed, up to some. */
import type { Clock } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import { messageOf } from '#core/errors.ts'
import type { Random } from '#core/random.ts'
import type { Attribute, Trace } from '#model/trace.ts'
import type { TracesAppender } from '#traces/append.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'

const everyMs = 1000
const slowSeconds = 1
/** Slow and failed ones in a second. */
const noteworthyMax = 10

const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })

export class SelfTraces {
  readonly #traces: TracesAppender
  readonly #tenant: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Log
  readonly #resource: Trace['resources'][number]['resource']
  #lastMs = -Infinity
  #noteworthy = 0

  constructor(traces: TracesAppender, tenant: string, clock: Clock, random: Random, log: Log, version: string) {
    this.#traces = traces
    this.#tenant = tenant
    this.#clock = clock
    this.#random = random
    this.#log = log
    this.#resource = { attributes: [text('service.name', 'tercet'), text('service.version', version)], dropped: 0 }
  }

  /** A request that was answered just now. */
  note(route: string, status: number, seconds: number): void {
    const nowMs = this.#clock.nowMs()
    const isDue = nowMs - this.#lastMs >= everyMs
    if (isDue) this.#noteworthy = 0
    else if ((status < 500 && seconds < slowSeconds) || ++this.#noteworthy > noteworthyMax) return
    this.#lastMs = isDue ? nowMs : this.#lastMs
    const endNs = BigInt(Math.round(nowMs)) * 1_000_000n
    const trace: Trace = {
      resources: [
        {
          resource: this.#resource,
          schemaUrl: '',
          scopes: [
            {
              scope: { name: 'tercet/net', version: '', attributes: [], dropped: 0 },
              schemaUrl: '',
              spans: [
                {
                  traceId: this.#id(16),
                  spanId: this.#id(8),
                  parentSpanId: new Uint8Array(0),
                  traceState: '',
                  flags: 1,
                  name: route,
                  kind: 2,
                  startNs: endNs - BigInt(Math.round(seconds * 1e9)),
                  endNs,
                  attributes: [
                    text('http.route', route),
                    { key: 'http.response.status_code', value: { kind: 'int', value: BigInt(status) } },
                  ],
                  droppedAttributes: 0,
                  events: [],
                  droppedEvents: 0,
                  links: [],
                  droppedLinks: 0,
                  statusCode: status >= 500 ? 2 : 0,
                  statusMessage: '',
                },
              ],
            },
          ],
        },
      ],
    }
    this.#traces.append(this.#tenant, trace, encodeOtlpTraces(trace)).catch((error: unknown) => {
      this.#log.debug('an own request could not be stored as a trace', { error: messageOf(error) })
    })
  }

  #id(length: number): Uint8Array {
    const id = new Uint8Array(length),
      view = new DataView(id.buffer)
    for (let i = 0; i < length; i += 4) view.setUint32(i, this.#random.u32() | 1)
    return id
  }
}
