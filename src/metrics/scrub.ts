/** Reads blocks again, one after another and slowly, so that damage is known before a query meets it. */
import type { Clock } from '#core/clock.ts'
import { messageOf, PlanStaleError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { nextKey, ScrubPace } from '#store/scrub-pace.ts'
import type { BlockBuilding } from './block-building.ts'
import type { Tenant } from './tenant.ts'

export class Scrub {
  readonly #tenants: ReadonlyMap<string, Tenant>
  readonly #log: Log
  readonly #building: BlockBuilding
  readonly #pace: ScrubPace
  #last = ''

  constructor(clock: Clock, log: Log, tenants: ReadonlyMap<string, Tenant>, building: BlockBuilding) {
    this.#tenants = tenants
    this.#log = log
    this.#building = building
    this.#pace = new ScrubPace(clock)
  }

  /** Verifies the next blocks, when their time has come. */
  step(): Promise<void> {
    return this.#pace.round(() => this.#next())
  }

  async #next(): Promise<void> {
    const keys = [...this.#tenants.values()].flatMap(({ name, blocks }) =>
      Array.from(blocks.readers.keys(), id => `${name}/${id}`),
    )
    const key = nextKey(keys, this.#last)
    if (key === undefined) {
      this.#pace.rest()
      return
    }
    if (key <= this.#last) {
      this.#last = ''
      this.#pace.passEnded()
      return
    }
    this.#last = key
    const slash = key.lastIndexOf('/')
    const tenant = this.#tenants.get(key.slice(0, slash))
    const reader = tenant?.blocks.readers.get(key.slice(slash + 1))
    if (tenant === undefined || reader === undefined) return
    const bytes = reader.meta.thanos?.files?.reduce((sum, file) => sum + (file.size_bytes ?? 0), 0) ?? 0
    this.#pace.spent(bytes)
    try {
      const damage = await tenant.blocks.findDamage(reader, this.#building)
      if (damage === undefined) tenant.blocks.quarantined.delete(tenant.name, reader.meta.ulid)
    } catch (error) {
      if (error instanceof PlanStaleError) return
      this.#log.warn('a block could not be verified', { block: key, error: messageOf(error) })
      this.#pace.rest()
    }
  }
}
