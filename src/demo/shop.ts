/** The shop over time: requests are drawn second by second from a seed; a second is the same whenever it is made. */
import { seededRandom } from '#core/random.ts'
import { makeRequest, type Pods } from './requests.ts'
import { requestsPerSecond, type Story } from './story.ts'
import { TraceBuilder, type DemoTrace, type Pod, type ServiceName } from './trace-builder.ts'

const versions: Readonly<Record<Exclude<ServiceName, 'payment'>, string>> = { shop: 'v3.2.0', stock: 'v0.9.7' }

export class Shop {
  readonly #seed: number
  readonly #story: Story
  readonly #startMs: number

  /** `startMs`: when the first pods started. */
  constructor(seed: number, story: Story, startMs: number) {
    this.#seed = seed
    this.#story = story
    this.#startMs = startMs
  }

  /** The pods that answer at a moment. A release of `payment` has a pod of its own. */
  podsAt(ms: number): Pods {
    const { version, number, sinceMs } = this.#story.paymentAt(ms)
    return {
      shop: this.#pod('shop', versions.shop, 0, this.#startMs),
      payment: this.#pod('payment', version, number, Math.max(sinceMs, this.#startMs)),
      stock: this.#pod('stock', versions.stock, 0, this.#startMs),
    }
  }

  #pod(service: ServiceName, version: string, release: number, sinceMs: number): Pod {
    const name = mixed(mixed(this.#seed, release), service.length * 31 + 7)
      .toString(16)
      .padStart(8, '0')
    return { service, version, instance: `${service}-${name.slice(0, 5)}`, sinceMs }
  }

  /** All requests that begin in a second since the epoch, in order. They end within three seconds more. */
  requestsOf(second: number): DemoTrace[] {
    const random = seededRandom(mixed(this.#seed, second))
    const startMs = second * 1000
    const unit = (): number => random.u32() / 4294967296
    const wanted = requestsPerSecond(startMs)
    const count = Math.floor(wanted) + (unit() < wanted % 1 ? 1 : 0)
    const starts = Array.from({ length: count }, () => startMs + Math.floor(unit() * 1_000_000) / 1000)
    starts.sort((a, b) => a - b)
    return starts.map(ms => {
      const builder = new TraceBuilder(random)
      makeRequest(builder, this.podsAt(ms), ms)
      return builder.trace
    })
  }
}

/** Two numbers as one that neighbours of either don't share. */
export function mixed(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b | 0, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  return (h ^ (h >>> 13)) >>> 0
}
