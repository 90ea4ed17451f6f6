/**
 * The Alertmanagers of all tenants: one configuration, and for each tenant alerts, groups, silences and a log of
 * notifications of its own. Each is opened when somebody asks for it, and closed again when it has nothing to keep.
 */
import { Repeater } from '#core/clock.ts'
import { LimitError } from '#core/errors.ts'
import type { AlertLimits } from '#core/limits.ts'
import type { Log, LogFields } from '#core/log.ts'
import type { Labels } from '#model/labels.ts'
import { Alertmanager, removeState, type AlertmanagerWorld, type AlertRooms } from './alertmanager.ts'
import type { AlertmanagerConfig, RouteSettings } from './config.ts'
import { receiverNames, routesOf, valuesFor } from './routing.ts'
import { SharedRoom } from './shared-room.ts'
import type { Templates } from './template-data.ts'

/** What all of them reach the world with, and where each keeps its state. */
export interface AlertmanagersWorld extends Omit<
  AlertmanagerWorld,
  'statePath' | 'backup' | 'tenant' | 'rooms' | 'limits'
> {
  placeOf: (tenant: string) => Pick<AlertmanagerWorld, 'statePath' | 'backup'>
  /** Without tenancy all alerts are those of one tenant. */
  hasTenancy: boolean
  limits: AlertLimits
  tenantsMax: number
}

interface Entry {
  readonly manager: Alertmanager
  readonly opened: Promise<void>
  usedMs: number
}

/** All tenants together may have so many times what one may have of alerts and silences. */
const tenantsShare = 10
const idleEveryMs = 60_000
/** One with nothing to keep is closed after this time; where the place is wanted, after the other one. */
const idleMs = 600_000
const idleLeastMs = 60_000

export function roomsOf({ alertsMax, silencesMax, allAlertsCharactersMax }: AlertLimits): AlertRooms {
  return {
    alerts: new SharedRoom(tenantsShare * alertsMax),
    characters: new SharedRoom(allAlertsCharactersMax),
    silences: new SharedRoom(tenantsShare * silencesMax),
  }
}

export class Alertmanagers {
  readonly #world: AlertmanagersWorld
  readonly #rooms: AlertRooms
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new Map<string, Promise<void>>()
  #config: AlertmanagerConfig
  #templates: Templates
  #maintenance: Repeater | undefined
  #staying: string | undefined
  /** Of those that are closed. */
  readonly #ended = { notifications: 0, failures: 0 }

  constructor(config: AlertmanagerConfig, templates: Templates, world: AlertmanagersWorld) {
    this.#config = config
    this.#templates = templates
    this.#world = world
    this.#rooms = roomsOf(world.limits)
  }

  get config(): AlertmanagerConfig {
    return this.#config
  }

  /** Those that are open. */
  get all(): Alertmanager[] {
    return [...this.#entries.values()].map(({ manager }) => manager)
  }

  /** Notifications that were sent, by all. */
  get notifications(): number {
    return this.all.reduce((sum, manager) => sum + manager.notifications, this.#ended.notifications)
  }

  get failures(): number {
    return this.all.reduce((sum, manager) => sum + manager.failures, this.#ended.failures)
  }

  /** Opens the Alertmanager of one tenant, which stays; others that have nothing to keep are closed from now on. */
  async start(tenant: string): Promise<void> {
    this.#staying = tenant
    await this.of(tenant)
    this.#maintenance = new Repeater(this.#world.clock, idleEveryMs, () => this.#closeIdle(idleMs))
  }

  /** With its state read. Throws LimitError where there are too many, and NewerFormatError. */
  async of(tenant: string): Promise<Alertmanager> {
    await this.#closed(tenant)
    let entry = this.#entries.get(tenant)
    if (entry === undefined) {
      if (this.#entries.size >= this.#world.tenantsMax) await this.#closeIdle(idleLeastMs)
      entry = this.#entries.get(tenant) ?? this.#open(tenant)
    }
    entry.usedMs = this.#world.clock.monotonicMs()
    await entry.opened
    return entry.manager
  }

  async #closed(tenant: string): Promise<void> {
    while (this.#closing.has(tenant)) await this.#closing.get(tenant)
  }

  #open(tenant: string): Entry {
    const { placeOf, hasTenancy, tenantsMax, log, clock } = this.#world
    if (this.#entries.size >= tenantsMax)
      throw new LimitError(
        `there are alerts or silences of ${this.#entries.size} tenants, which is the limit; raise limits.tenants`,
        429,
      )
    const own = hasTenancy ? { tenant, log: logOf(tenant, log) } : { tenant: undefined, log }
    const world: AlertmanagerWorld = { ...this.#world, ...placeOf(tenant), ...own, rooms: this.#rooms }
    const manager = new Alertmanager(this.#config, this.#templates, world)
    const opened = manager.open().catch(async (error: unknown) => {
      await this.#close(tenant)
      throw error
    })
    const entry: Entry = { manager, opened, usedMs: clock.monotonicMs() }
    this.#entries.set(tenant, entry)
    return entry
  }

  async #closeIdle(leastMs: number): Promise<void> {
    const nowMs = this.#world.clock.monotonicMs()
    const idle = [...this.#entries].filter(
      ([tenant, { usedMs, manager }]) => tenant !== this.#staying && usedMs + leastMs <= nowMs && manager.isIdle,
    )
    await Promise.all(idle.map(([tenant]) => this.#close(tenant)))
  }

  /** Whoever asks for it meanwhile waits, for what follows too: two of them would write the same file. */
  #close(tenant: string, then = (): Promise<void> => Promise.resolve()): Promise<void> {
    const manager = this.#entries.get(tenant)?.manager
    this.#entries.delete(tenant)
    const closed = this.#end(manager)
      .then(then)
      .finally(() => this.#closing.delete(tenant))
    this.#closing.set(tenant, closed)
    return closed
  }

  async #end(manager: Alertmanager | undefined): Promise<void> {
    if (manager === undefined) return
    await manager.stop().finally(() => {
      this.#ended.notifications += manager.notifications
      this.#ended.failures += manager.failures
    })
  }

  /** Forgets alerts, silences and notifications of a tenant, on disk and in the bucket; notifies nobody of it. */
  async forget(tenant: string): Promise<void> {
    await this.#closed(tenant)
    const { files, placeOf } = this.#world
    await this.#close(tenant, () => removeState({ files, ...placeOf(tenant) }))
    if (tenant === this.#staying) await this.of(tenant)
  }

  /** Goes on with another configuration. */
  apply(config: AlertmanagerConfig, templates: Templates): void {
    this.#config = config
    this.#templates = templates
    for (const manager of this.all) manager.apply(config, templates)
  }

  /** The routes that an alert of a tenant takes, in order. */
  routesOf(tenant: string, labels: Labels): RouteSettings[] {
    return routesOf(this.#config.route, labels, valuesFor(this.#labelOf(tenant)))
  }

  /** Names of the receivers that alerts of a tenant can reach. */
  receiversOf(tenant: string): string[] {
    return receiverNames(this.#config, this.#labelOf(tenant))
  }

  #labelOf(tenant: string): string | undefined {
    return this.#world.hasTenancy ? tenant : undefined
  }

  async stop(): Promise<void> {
    await this.#maintenance?.stop()
    await Promise.all([...this.#entries.keys()].map(tenant => this.#close(tenant)))
    await Promise.all(this.#closing.values())
  }
}

/** Says whose Alertmanager it is. */
function logOf(tenant: string, log: Log): Log {
  const withTenant = (fields?: LogFields): LogFields => ({ tenant, ...fields })
  return {
    debug: (message, fields) => {
      log.debug(message, withTenant(fields))
    },
    info: (message, fields) => {
      log.info(message, withTenant(fields))
    },
    warn: (message, fields) => {
      log.warn(message, withTenant(fields))
    },
    error: (message, fields) => {
      log.error(message, withTenant(fields))
    },
  }
}
