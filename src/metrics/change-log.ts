/**
 * Since when which times of a tenant's samples have changed: who keeps answers asks it how much of them is still true.
 */
/** The answer to "what has changed since?". */
export interface Changes {
  /** To be asked with next time: whatever changes from now on has a later one. */
  version: number
  /** Nothing before this time has changed. -Infinity: all of it may have. */
  fromMs: number
}

/** Where nothing is known of changes. */
export const allChanged: Changes = { version: -1, fromMs: -Infinity }

interface Entry {
  version: number
  fromMs: number
}

/** More are joined, the oldest first: then a little more than what changed counts as changed. */
const entriesMax = 512

/** The blocks of a tenant, as far as what they show goes by it. */
interface ShownBlocks {
  readonly readers: Iterable<[id: string, block: ShownBlock]>
  readonly downsampled: Iterable<[id: string, meta: { minTime: number }]>
  /** Is the block left out of answers? */
  isLeftOut(id: string): boolean
}

interface ShownBlock {
  meta: { minTime: number }
  deletions: number
}

/** A block as it was looked at last. */
interface KnownBlock {
  id: string
  /** Another one in its place begins to count deletions again. */
  block: object
  /** What it shows, as a number that is another one when that changes. */
  state: number
  fromMs: number
}

const downsampledState = -1

export class ChangeLog {
  /** Both ascending: of entries that reach further back the newest alone counts. */
  readonly #entries: Entry[] = []
  readonly #firstVersion: number
  #version: number
  /** The earliest time that changed since the last version was given out. */
  #pendingMs = Infinity
  /** In the order in which they were looked at. */
  #blocks: KnownBlock[] = []

  /** `firstVersion`: above every version that was given out of an earlier log of the same tenant. */
  constructor(firstVersion: number) {
    this.#firstVersion = this.#version = firstVersion
  }

  /** Samples of this time came, went, or became others. */
  note(atMs: number): void {
    if (atMs < this.#pendingMs) this.#pendingMs = atMs
  }

  /** Notes what became of the blocks since they were looked at last: those that came, went, or show something else. */
  look(blocks: ShownBlocks): void {
    // Each query asks: where nothing has changed nothing is made.
    if (this.#isAsKnown(blocks)) return
    const before = new Map(this.#blocks.map(known => [known.id, known]))
    const now: KnownBlock[] = []
    for (const [id, block] of blocks.readers)
      now.push({ id, block, state: stateOf(id, block, blocks), fromMs: block.meta.minTime })
    for (const [id, meta] of blocks.downsampled)
      now.push({ id, block: meta, state: downsampledState, fromMs: meta.minTime })
    for (const { id, block, state, fromMs } of now) {
      const known = before.get(id)
      if (known?.block === block) before.delete(id)
      if (known?.block !== block || known.state !== state) this.note(fromMs)
    }
    // Blocks that are gone, or were replaced by one of the same name.
    for (const { fromMs } of before.values()) this.note(fromMs)
    this.#blocks = now
  }

  #isAsKnown(blocks: ShownBlocks): boolean {
    const known = this.#blocks
    let i = 0
    for (const [id, block] of blocks.readers) {
      const one = known[i++]
      if (one?.block !== block || one.state !== stateOf(id, block, blocks)) return false
    }
    for (const [, meta] of blocks.downsampled) if (known[i++]?.block !== meta) return false
    return i === known.length
  }

  /** What has changed since the version; since undefined, all has. */
  since(version: number | undefined): Changes {
    this.#close()
    if (version === undefined || version < this.#firstVersion) return { version: this.#version, fromMs: -Infinity }
    const first = this.#entries.find(entry => entry.version > version)
    return { version: this.#version, fromMs: first?.fromMs ?? Infinity }
  }

  /** What is pending becomes an entry. */
  #close(): void {
    const fromMs = this.#pendingMs
    if (fromMs === Infinity) return
    this.#pendingMs = Infinity
    const entries = this.#entries
    while (entries.length > 0 && entries.at(-1)!.fromMs >= fromMs) entries.pop()
    entries.push({ version: ++this.#version, fromMs })
    if (entries.length > entriesMax) entries.splice(0, 2, { version: entries[1]!.version, fromMs: entries[0]!.fromMs })
  }
}

function stateOf(id: string, { deletions }: ShownBlock, blocks: ShownBlocks): number {
  return deletions * 2 + (blocks.isLeftOut(id) ? 1 : 0)
}
