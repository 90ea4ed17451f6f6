/** When a block is in the bucket, and when a process that only reads has it in its list. */
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'

export async function keysOf(client: S3Client, Bucket: string): Promise<string[]> {
  const keys: string[] = []
  for (let ContinuationToken: string | undefined; ;) {
    const page = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken }))
    for (const { Key } of page.Contents ?? []) keys.push(Key!)
    ContinuationToken = page.NextContinuationToken
    if (ContinuationToken === undefined) return keys
  }
}

/** Ids of blocks that are in the bucket as a whole, in the form of /api/tercet/blocks. */
function idsOf(keys: readonly string[]): string[] {
  return keys.flatMap(key => {
    const block = /([^/]+)\/meta\.json$/.exec(key)?.[1] ?? /^index\/.*\/([^/]+\.tsdb\.gz)$/.exec(key)?.[1]
    return block === undefined ? [] : [block]
  })
}

export class Freshness {
  readonly #client: S3Client
  readonly #buckets: readonly string[]
  readonly #readerUrl: string
  readonly #since = new Map<string, number>()
  readonly #seen = new Map<string, number>()
  #isStopped = false
  #looking: Promise<void> = Promise.resolve()

  constructor(client: S3Client, buckets: readonly string[], readerUrl: string) {
    this.#client = client
    this.#buckets = buckets
    this.#readerUrl = readerUrl
  }

  start(): void {
    this.#looking = this.#repeat()
  }

  async #repeat(): Promise<void> {
    while (!this.#isStopped) {
      for (const bucket of this.#buckets)
        for (const id of idsOf(await keysOf(this.#client, bucket)))
          if (!this.#since.has(id)) this.#since.set(id, performance.now())
      const reply = await fetch(`${this.#readerUrl}/api/tercet/blocks`)
      const listed = await reply.text()
      for (const id of this.#since.keys())
        if (!this.#seen.has(id) && listed.includes(id)) this.#seen.set(id, performance.now())
      await new Promise(resolve => setTimeout(resolve, 1000))
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#looking
  }

  /** Blocks that were seen, and the most seconds that one of them was in the bucket before. */
  get result(): { seen: number; secondsMost: number } {
    let most = 0
    for (const [id, at] of this.#seen) most = Math.max(most, at - this.#since.get(id)!)
    return { seen: this.#seen.size, secondsMost: Math.round(most / 1000) }
  }
}
