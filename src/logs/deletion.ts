/** Deletion requests: kept in the bucket, applied by queries from the moment they are accepted. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Random } from '#core/random.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { makeUlid } from '#codec/ulid.ts'

export interface DeletionRequest {
  id: string
  tenant: string
  query: string
  fromMs: number
  throughMs: number
  createdMs: number
  status: 'received' | 'processed' | 'cancelled'
}

export class DeletionRequests {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #random: Random
  readonly #key: string
  #requests: DeletionRequest[] = []

  constructor(bucket: Bucket, clock: Clock, random: Random, defaultTenant: string) {
    this.#bucket = bucket
    this.#clock = clock
    this.#random = random
    this.#key = `${defaultTenant}/tercet/deletions.json`
  }

  /** Why the requests could not be read; answers may show lines then that were to be deleted. */
  problem: { key: string; reason: string } | undefined
  /** What could not be read: it is kept beside its place when requests are written again. */
  #damaged: Uint8Array | undefined

  async load(): Promise<void> {
    let bytes: Uint8Array
    try {
      bytes = await this.#bucket.get(this.#key)
    } catch (error) {
      if (error instanceof NotFoundError) return
      throw error
    }
    try {
      const requests: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
      if (!Array.isArray(requests)) throw new CorruptDataError('a list of requests was expected')
      this.#requests = requests as DeletionRequest[]
    } catch (error) {
      const reason = `requests for deletion can't be read, lines that were to be deleted may show: ${messageOf(error)}`
      this.problem = { key: this.#key, reason }
      this.#damaged = bytes
    }
  }

  of(tenant: string): readonly DeletionRequest[] {
    return this.#requests.filter(r => r.tenant === tenant)
  }

  async add(tenant: string, query: string, fromMs: number, throughMs: number): Promise<void> {
    const request: DeletionRequest = {
      id: makeUlid(this.#clock.nowMs(), this.#random).toLowerCase().slice(-8),
      tenant,
      query,
      fromMs,
      throughMs,
      createdMs: this.#clock.nowMs(),
      status: 'received',
    }
    await this.#change(requests => [...requests, request])
  }

  /** Requests made before the time that are not done. */
  due(madeBeforeMs: number): readonly DeletionRequest[] {
    return this.#requests.filter(r => r.status === 'received' && r.createdMs <= madeBeforeMs)
  }

  async finish({ tenant, id }: DeletionRequest): Promise<void> {
    await this.#change(requests =>
      requests.map(r => (r.tenant === tenant && r.id === id ? { ...r, status: 'processed' as const } : r)),
    )
  }

  /** False when there is no such request, or it is done. */
  async cancel(tenant: string, id: string): Promise<boolean> {
    let isThere = false
    await this.#change(requests => {
      const rest = requests.filter(r => r.tenant !== tenant || r.id !== id || r.status === 'processed')
      isThere = rest.length < requests.length
      return isThere ? rest : requests
    })
    return isThere
  }

  /** One change after the other: each keeps what the one before it wrote. */
  async #change(edit: (requests: DeletionRequest[]) => DeletionRequest[]): Promise<void> {
    const change = this.#changing.then(async () => {
      const requests = edit(this.#requests)
      if (requests !== this.#requests) await this.#save(requests)
    })
    this.#changing = change.catch(() => {})
    await change
  }
  #changing: Promise<void> = Promise.resolve()

  async #save(requests: DeletionRequest[]): Promise<void> {
    if (this.#damaged !== undefined) await this.#bucket.put(`${this.#key}.damaged`, this.#damaged)
    this.#damaged = undefined
    await this.#bucket.put(this.#key, encodeUtf8(JSON.stringify(requests)))
    this.#requests = requests
  }
}
