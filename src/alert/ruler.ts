/**
 * Groups of rules that people set through the API of a ruler, by tenant, namespace and name: kept as objects, which
 * outlive the process. A group is stored before it is answered, shown or evaluated.
 */
import { backoffMs, Pauses } from '#core/backoff.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, ForbiddenError, LimitError, messageOf, NotFoundError, UnavailableError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { compareText, quote } from '#core/text.ts'
import type { StoredGroup } from '#model/rule-group.ts'
import { ruleGroupYaml } from './rule-group-yaml.ts'
import { readRuleGroup, type GroupOwner, type GroupSettings, type RuleLanguage } from './rules-file.ts'

/** Where groups are kept. */
export interface StoredGroups {
  /** Groups of all tenants; `onProblem` gets what can't be read. */
  list(onProblem: (place: string, error: unknown) => void): Promise<StoredGroup[]>
  put(group: StoredGroup): Promise<void>
  remove(tenant: string, namespace: string, name: string): Promise<void>
}

export interface RulerOptions {
  api: GroupOwner['api']
  language: RuleLanguage
  groups: StoredGroups
  clock: Clock
  log: Log
  /** Groups of one tenant. */
  groupsMax: (tenant: string) => number
  /** Characters of one group as it is sent. */
  groupCharactersMax: number
  /** Characters of all groups of all tenants. */
  allCharactersMax: number
  /** The groups have changed: evaluate these from now on. */
  onChange: () => void
  /** In a process that only reads: groups are read again for each list. */
  isReader: boolean
  /** Is the tenant being deleted? Then no group of it is set. Default: none is. */
  isDeleted?: (tenant: string) => boolean
}

/** Namespaces and names are base64 in file names of 255 bytes at most. */
const nameBytesMax = 180

/** So long `read` waits for a store that does not answer. */
const firstReadMs = 2000

/** Pauses between reads that fail. */
const readPause = { leastMs: 500, mostMs: 10_000 }

/** So many reads that fail one after the other are worth a line each. */
const noticesMax = 4

const retryAfterSeconds = 5

interface Entry {
  group: StoredGroup
  /** Undefined: it is stored and can't be evaluated. */
  settings: GroupSettings | undefined
  characters: number
}

/** The groups of one API. */
export class Ruler {
  readonly #options: RulerOptions
  /** By tenant, namespace and name as JSON. */
  #entries = new Map<string, Entry>()
  #changes: Promise<void> = Promise.resolve()
  #problems: string[] = []
  /** Why the groups were not read so far; undefined: they were. */
  #unread: string | undefined = 'the store has not answered yet'
  #reading: Promise<void> | undefined
  #isClosed = false
  readonly #pauses: Pauses

  constructor(options: RulerOptions) {
    this.#options = options
    this.#pauses = new Pauses(options.clock)
  }

  /** Have the stored groups been read? A process that only reads has nothing to read ahead. */
  get isRead(): boolean {
    return this.#unread === undefined || this.#options.isReader
  }

  /** What is stored and not evaluated, with the reasons. */
  get warnings(): string[] {
    const unread = this.#unread === undefined || this.isRead ? [] : [unreadText(this.#unread)]
    return [...unread, ...this.#problems.map(problem => `a stored rule is left out: ${problem}`)]
  }

  /**
   * Reads all groups from where they are kept, again and again where that fails. Resolves when they are read, or when
   * the store does not answer soon: it may be away, and rules must not keep a process from its start. A process that
   * only reads has nothing to read ahead.
   */
  async read(): Promise<void> {
    if (this.#options.isReader) return
    this.#reading ??= this.#readUntilRead().finally(() => (this.#reading = undefined))
    await Promise.race([this.#reading, this.#pauses.wait(firstReadMs)])
  }

  /** Reads no more. */
  close(): void {
    this.#isClosed = true
    this.#pauses.end()
  }

  async #readUntilRead(): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt++)
      try {
        await this.#load()
        this.#options.onChange()
        return
      } catch (error) {
        const { log, api } = this.#options
        const reason = messageOf(error)
        if (this.#unread !== undefined) this.#unread = reason
        if (attempt < noticesMax) log.warn('groups of rules could not be read; it is tried again', { api, reason })
        await this.#pauses.wait(backoffMs(attempt, readPause))
      }
  }

  /** A group that can't be read, or evaluated, is a problem. */
  #load(): Promise<void> {
    return this.#afterOthers(async () => {
      const problems: string[] = []
      const note = (place: string, error: unknown): void => {
        problems.push(`${place}: ${messageOf(error)}`)
      }
      const stored = await this.#options.groups.list(note)
      this.#entries = new Map(stored.map(group => [keyOf(group), this.#entryOf(group, note)]))
      for (const problem of problems)
        if (!this.#problems.includes(problem)) this.#options.log.warn('stored rules are left out', { problem })
      this.#problems = problems
      this.#unread = undefined
    })
  }

  #entryOf(group: StoredGroup, note: (place: string, error: unknown) => void): Entry {
    const text = ruleGroupYaml(group)
    try {
      return { group, settings: this.#read(text, group.tenant, group.namespace), characters: text.length }
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      note(`${group.tenant}, namespace ${quote(group.namespace)}, group ${quote(group.name)}`, error)
      return { group, settings: undefined, characters: text.length }
    }
  }

  #read(text: string, tenant: string, namespace: string): GroupSettings {
    const { api, language } = this.#options
    return readRuleGroup(text, language, { api, tenant }, namespace)
  }

  /** What is to be evaluated. */
  settings(): GroupSettings[] {
    return [...this.#entries.values()].flatMap(({ settings }) => settings ?? [])
  }

  /** A tenant's groups by namespace, in order of names; of one namespace, where it is given. */
  async list(tenant: string, namespace?: string): Promise<Map<string, StoredGroup[]>> {
    const found = (await this.#groupsOf(tenant)).filter(
      group => namespace === undefined || group.namespace === namespace,
    )
    return Map.groupBy(found, group => group.namespace)
  }

  /** Throws NotFoundError, UnavailableError. */
  async find(tenant: string, namespace: string, name: string): Promise<StoredGroup> {
    const found = (await this.#groupsOf(tenant)).find(group => group.namespace === namespace && group.name === name)
    return found ?? refuseMissing('group does not exist')
  }

  async #groupsOf(tenant: string): Promise<StoredGroup[]> {
    if (this.#options.isReader) await this.#load()
    else await this.#changes
    this.#refuseUnread()
    return [...this.#entries.values()]
      .map(({ group }) => group)
      .filter(group => group.tenant === tenant)
      .sort((a, b) => compareText(a.namespace, b.namespace) || compareText(a.name, b.name))
  }

  /** Throws UnavailableError. */
  #refuseUnread(): void {
    if (this.#unread !== undefined) throw new UnavailableError(unreadText(this.#unread), retryAfterSeconds)
  }

  /**
   * Sets a group, which is given as YAML. Throws BadDataError, LimitError, ForbiddenError, UnavailableError, and what
   * the store throws.
   */
  set(tenant: string, namespace: string, text: string): Promise<void> {
    const { groupCharactersMax } = this.#options
    if (text.length > groupCharactersMax)
      throw new LimitError(`a group of ${text.length} characters, ${groupCharactersMax} are allowed`, 413)
    const settings = this.#read(text, tenant, namespace)
    const group = storedOf(settings, tenant, namespace)
    for (const [what, name] of [
      ['namespace', namespace],
      ['group', group.name],
    ] as const)
      if (Buffer.byteLength(name) > nameBytesMax)
        throw new BadDataError(`the name of the ${what} has more than ${nameBytesMax} bytes`)
    const characters = ruleGroupYaml(group).length
    return this.#afterOthers(async () => {
      this.#refuseUnread()
      if (this.#options.isDeleted?.(tenant) === true)
        throw new ForbiddenError(`tenant ${quote(tenant)} is being deleted, no rules of it are set`)
      this.#refuseMany(group, characters)
      await this.#options.groups.put(group)
      this.#entries.set(keyOf(group), { group, settings, characters })
      this.#options.onChange()
    })
  }

  #refuseMany(group: StoredGroup, characters: number): void {
    const { allCharactersMax } = this.#options
    const groupsMax = this.#options.groupsMax(group.tenant)
    const others = [...this.#entries].filter(([key]) => key !== keyOf(group)).map(([, entry]) => entry)
    const own = others.filter(entry => entry.group.tenant === group.tenant).length
    if (own >= groupsMax)
      throw new LimitError(`the tenant has ${own} groups of rules, limits.rule_groups allows ${groupsMax}`, 400)
    const all = others.reduce((sum, entry) => sum + entry.characters, characters)
    if (all <= allCharactersMax) return
    // A tenant may have an equal part of them, whatever others have.
    const tenants = new Set(others.map(entry => entry.group.tenant)).add(group.tenant).size
    const ofTenant = others
      .filter(entry => entry.group.tenant === group.tenant)
      .reduce((sum, entry) => sum + entry.characters, characters)
    if (ofTenant > allCharactersMax / tenants)
      throw new LimitError(`all groups of rules would have ${all} characters, ${allCharactersMax} are allowed`, 400)
  }

  /**
   * Removes a group, or all of a namespace. Throws NotFoundError where there is none, UnavailableError, and what the
   * store throws.
   */
  remove(tenant: string, namespace: string, name?: string): Promise<void> {
    return this.#afterOthers(async () => {
      this.#refuseUnread()
      const gone = [...this.#entries.values()].filter(
        ({ group }) =>
          group.tenant === tenant && group.namespace === namespace && (name === undefined || group.name === name),
      )
      if (gone.length === 0)
        refuseMissing(name === undefined ? 'group namespace does not exist' : 'group does not exist')
      try {
        for (const { group } of gone) {
          await this.#options.groups.remove(tenant, namespace, group.name)
          this.#entries.delete(keyOf(group))
        }
      } finally {
        this.#options.onChange()
      }
    })
  }

  /** Changes happen one after the other: what is stored last is what is shown. */
  #afterOthers(change: () => Promise<void>): Promise<void> {
    const done = this.#changes.then(change)
    this.#changes = done.catch(() => {})
    return done
  }
}

function unreadText(reason: string): string {
  return `the groups of rules are not read yet: ${reason}`
}

function refuseMissing(what: string): never {
  throw new NotFoundError(what)
}

function keyOf({ tenant, namespace, name }: StoredGroup): string {
  return JSON.stringify([tenant, namespace, name])
}

function storedOf(settings: GroupSettings, tenant: string, namespace: string): StoredGroup {
  const { name, intervalMs = 0, queryOffsetMs, limit, labels } = settings
  const rules = settings.rules.map(rule => ({
    record: rule.kind === 'recording' ? rule.name : '',
    alert: rule.kind === 'alerting' ? rule.name : '',
    expr: rule.expr,
    forMs: rule.forMs,
    keepFiringForMs: rule.keepFiringForMs,
    labels: rule.labels,
    annotations: rule.annotations,
  }))
  return { tenant, namespace, name, intervalMs, queryOffsetMs, limit, labels, rules }
}
