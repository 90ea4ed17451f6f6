/** Which blocks of a signal are known to be damaged, and why: for the log, /metrics, and whoever looks at the state. */
import type { Log } from '#core/log.ts'
import type { SignalName } from '#core/signal-name.ts'

export interface DamagedBlock {
  tenant: string
  /** The block's id, or the key of the object where the format has no blocks. */
  id: string
  reason: string
  /** False: the rest of the block is served. */
  isWhole: boolean
  /** It could not be written, and was set aside so that others can be. */
  isSetAside?: true
  /** Perhaps it is only on its way into the bucket: a process that was killed goes on where it was. */
  isUncertain?: true
}

export class DamageList {
  readonly #log: Log
  readonly #signal: SignalName
  readonly #found = new Map<string, DamagedBlock>()
  /** Pieces of damage that were found since the start. */
  total = 0

  constructor(log: Log, signal: SignalName) {
    this.#log = log
    this.#signal = signal
  }

  /** How many blocks are damaged. */
  get size(): number {
    return this.#found.size
  }

  all(): DamagedBlock[] {
    return [...this.#found.values()]
  }

  of(tenant: string): DamagedBlock[] {
    return this.all().filter(block => block.tenant === tenant)
  }

  get(tenant: string, id: string): DamagedBlock | undefined {
    return this.#found.get(keyOf(tenant, id))
  }

  /** Is nothing of the block served? */
  isWhole(tenant: string, id: string): boolean {
    return this.get(tenant, id)?.isWhole === true
  }

  /** Notes damage and logs it, the first time. What was damaged in part may turn out to be so as a whole. */
  add(block: DamagedBlock): void {
    const key = keyOf(block.tenant, block.id)
    const known = this.#found.get(key)
    if (known !== undefined && (known.isWhole || !block.isWhole)) return
    this.#found.set(key, block)
    this.total++
    const level = block.isUncertain === true ? 'warn' : 'error'
    this.#log[level](messageFor(block), {
      signal: this.#signal,
      tenant: block.tenant,
      block: block.id,
      error: block.reason,
    })
  }

  /** The object is gone, whosever it was. */
  deleteId(id: string): void {
    for (const [key, block] of this.#found) if (block.id === id) this.#found.delete(key)
  }

  /** The block is gone, or can be read again. */
  delete(tenant: string, id: string): void {
    this.#found.delete(keyOf(tenant, id))
  }
}

function messageFor({ isSetAside, isUncertain, isWhole }: DamagedBlock): string {
  if (isUncertain === true) return 'a block is on its way into the bucket, or damaged'
  if (isSetAside === true) return 'something could not be written into a block and is set aside'
  return isWhole ? 'a block is damaged and is left out' : 'a block is damaged in part'
}

function keyOf(tenant: string, id: string): string {
  return JSON.stringify([tenant, id])
}
