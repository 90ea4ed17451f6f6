/**
 * Alerts, silences and the log of notifications of an Alertmanager: in memory, and in one file that is written whole.
 */
import { createHash } from 'node:crypto'
import { BadDataError, LimitError, messageOf, NotFoundError } from '#core/errors.ts'
import type { AlertLimits } from '#core/limits.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'
import type { Random } from '#core/random.ts'
import { Labels } from '#model/labels.ts'
import { matcherOf, type Matcher } from './matchers.ts'

/** An alert with its state in an Alertmanager. Times are milliseconds since the epoch. */
export interface ManagedAlert {
  labels: Labels
  annotations: Labels
  startsMs: number
  endsMs: number
  updatedMs: number
  generatorUrl: string
  /** The client gave no end: it is `resolve_timeout` after the alert was last received. */
  isTimeout: boolean
  fingerprint: string
  /** Of its labels, annotations and URL. */
  characters: number
}

const mask = (1n << 64n) - 1n

/** FNV-1a over names and values, as Prometheus fingerprints label sets. */
export function fingerprintOf(labels: Labels): string {
  let hash = 14_695_981_039_346_656_037n
  for (const part of labels.pairs) {
    for (const byte of Buffer.from(part, 'utf8')) hash = ((hash ^ BigInt(byte)) * 1_099_511_628_211n) & mask
    hash = ((hash ^ 255n) * 1_099_511_628_211n) & mask
  }
  return hash.toString(16).padStart(16, '0')
}

/** Suppresses alerts that all of its matchers match, from `startsMs` up to `endsMs`. */
export interface Silence {
  id: string
  matchers: Matcher[]
  startsMs: number
  endsMs: number
  updatedMs: number
  createdBy: string
  comment: string
}
/** States of a silence. */
export type SilenceState = 'pending' | 'active' | 'expired'
/** The state at a moment; the end is not part of a silence. */
export function silenceState({ startsMs, endsMs }: Silence, nowMs: number): SilenceState {
  return nowMs < startsMs ? 'pending' : nowMs < endsMs ? 'active' : 'expired'
}

/** The last notification of a group to an integration: fingerprints of its firing and resolved alerts. */
export interface NotificationEntry {
  atMs: number
  firing: string[]
  resolved: string[]
  expiresMs: number
}

/** Expired silences are kept this long. */
const retentionMs = 5 * 24 * 3_600_000

/** A silence as its file has it; matchers as kind, name, value. */
type SilenceJson = Omit<Silence, 'matchers'> & { matchers: [string, string, string][] }

/** Silences and the log of notifications. */
export class AlertmanagerState {
  readonly silences = new Map<string, Silence>()
  readonly notifications: Map<string, NotificationEntry>
  readonly #random: Random

  constructor(random: Random, notifications = new Map<string, NotificationEntry>()) {
    this.#random = random
    this.notifications = notifications
  }

  /** A state that can be changed, and taken over or let go: the log of notifications is the same one. */
  draft(): AlertmanagerState {
    const draft = new AlertmanagerState(this.#random, this.notifications)
    for (const [id, silence] of this.silences) draft.silences.set(id, silence)
    return draft
  }

  /** Takes over the silences of a draft. */
  adopt(draft: AlertmanagerState): void {
    this.silences.clear()
    for (const [id, silence] of draft.silences) this.silences.set(id, silence)
  }

  /** Takes over what another one knows and this one does not, or what is newer there. */
  merge(other: AlertmanagerState): void {
    for (const [id, silence] of other.silences)
      if ((this.silences.get(id)?.updatedMs ?? -Infinity) < silence.updatedMs) this.silences.set(id, silence)
    for (const [key, entry] of other.notifications)
      if ((this.notifications.get(key)?.atMs ?? -Infinity) < entry.atMs) this.notifications.set(key, entry)
  }

  forgetExpired(nowMs: number): void {
    for (const [id, silence] of this.silences) if (silence.endsMs + retentionMs < nowMs) this.silences.delete(id)
    for (const [key, entry] of this.notifications) if (entry.expiresMs < nowMs) this.notifications.delete(key)
  }

  /**
   * The state as its file has it, JSON with an entry a line, without entries that expired before `nowMs`. `pause` is
   * called between some entries: what changes meanwhile may be there or not.
   */
  async encode(nowMs: number, pause: () => Promise<void>): Promise<Uint8Array> {
    this.forgetExpired(nowMs)
    const silences = await lines(this.silences.values(), silenceLine, pause)
    const notifications = await lines(this.notifications, entry => JSON.stringify(entry), pause)
    return Buffer.from(`{"silences":${silences},\n"notifications":${notifications}}\n`)
  }

  /** Adds what can be read; returns what can't, in words. Throws NewerFormatError. */
  decode(bytes: Uint8Array): string[] {
    const problems: string[] = []
    const attempt = (work: () => void, what: string): void => {
      try {
        work()
      } catch (error) {
        problems.push(`${what}: ${messageOf(error)}`)
      }
    }
    for (const entry of entriesOf(Buffer.from(bytes).toString('utf8'), problems))
      if (Array.isArray(entry))
        attempt(() => {
          this.#addNotification(entry)
        }, 'a notification')
      else
        attempt(() => {
          this.#addSilence(entry as SilenceJson)
        }, 'a silence')
    return problems
  }

  #addSilence(json: SilenceJson): void {
    const { id, matchers, startsMs, endsMs, updatedMs, createdBy, comment } = json
    if (typeof id !== 'string' || ![startsMs, endsMs, updatedMs].every(Number.isFinite) || matchers.length === 0)
      throw new BadDataError('an id, matchers and times were expected')
    this.silences.set(id, {
      id,
      matchers: matchers.map(([kind, name, value]) => matcherOf(kind as '=', name, value)),
      startsMs,
      endsMs,
      updatedMs,
      createdBy,
      comment,
    })
  }

  #addNotification([key, entry]: readonly unknown[]): void {
    const { atMs, expiresMs, firing, resolved } = entry as NotificationEntry
    const isRight = typeof key === 'string' && Number.isFinite(atMs) && Number.isFinite(expiresMs)
    if (!isRight || !Array.isArray(firing) || !Array.isArray(resolved))
      throw new BadDataError('a key, times and fingerprints were expected')
    this.notifications.set(key, { atMs, expiresMs, firing, resolved })
  }

  newId(): string {
    const hex = createHash('sha256')
      .update(Uint8Array.from({ length: 16 }, () => this.#random.u32() & 255))
      .digest('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  }

  /**
   * Adds a silence, or changes one; a change that would rewrite the past ends the old one and begins another. Returns
   * the id. Throws BadDataError, and LimitError (429) for one silence too many.
   */
  setSilence(
    wanted: Omit<Silence, 'id' | 'updatedMs'> & { id: string },
    nowMs: number,
    { silencesMax }: Pick<AlertLimits, 'silencesMax'>,
  ): string {
    if (wanted.matchers.length === 0) throw new BadDataError('at least one matcher required')
    if (wanted.matchers.every(m => m.matches('')))
      throw new BadDataError('at least one matcher must not match the empty string')
    if (wanted.endsMs <= wanted.startsMs) throw new BadDataError('end time must not be before start time')
    const old = wanted.id === '' ? undefined : this.silences.get(wanted.id)
    if (wanted.id !== '' && old === undefined) throw new NotFoundError(`silence ${wanted.id} not found`)
    if (old === undefined && wanted.endsMs < nowMs) throw new BadDataError("end time can't be in the past")
    if (old !== undefined && this.#mayChange(old, wanted, nowMs)) {
      this.silences.set(old.id, {
        ...wanted,
        startsMs: silenceState(old, nowMs) === 'active' ? old.startsMs : wanted.startsMs,
        updatedMs: nowMs,
      })
      return old.id
    }
    if (this.silences.size >= silencesMax)
      throw new LimitError(
        `there are ${this.silences.size} silences, which is the limit, with those that ended in the last five ` +
          'days; raise limits.silences',
        429,
      )
    if (old !== undefined && silenceState(old, nowMs) !== 'expired') this.expireSilence(old.id, nowMs)
    const id = this.newId()
    this.silences.set(id, { ...wanted, id, startsMs: Math.max(wanted.startsMs, nowMs), updatedMs: nowMs })
    return id
  }

  #mayChange(old: Silence, wanted: Omit<Silence, 'updatedMs'>, nowMs: number): boolean {
    const shown = (matchers: readonly Matcher[]): string => JSON.stringify(matchers.map(m => [m.kind, m.name, m.value]))
    if (shown(old.matchers) !== shown(wanted.matchers)) return false
    switch (silenceState(old, nowMs)) {
      case 'active':
        return wanted.endsMs >= nowMs
      case 'pending':
        return wanted.startsMs >= nowMs
      case 'expired':
        return false
    }
  }

  /** Throws NotFoundError, and BadDataError when it is over already. */
  expireSilence(id: string, nowMs: number): void {
    const silence = this.silences.get(id)
    if (silence === undefined) throw new NotFoundError(`silence ${id} not found`)
    const state = silenceState(silence, nowMs)
    if (state === 'expired') throw new BadDataError(`silence ${id} already expired`)
    this.silences.set(id, {
      ...silence,
      startsMs: state === 'pending' ? nowMs : silence.startsMs,
      endsMs: nowMs,
      updatedMs: nowMs,
    })
  }
}

function silenceLine(silence: Silence): string {
  const json: SilenceJson = { ...silence, matchers: silence.matchers.map(m => [m.kind, m.name, m.value]) }
  return JSON.stringify(json)
}

/** Entries that are printed between two pauses. */
const printedAtOnce = 128

/** A list of JSON with an entry a line. */
async function lines<T>(entries: Iterable<T>, line: (entry: T) => string, pause: () => Promise<void>): Promise<string> {
  const printed: string[] = []
  for (const entry of Array.from(entries)) {
    printed.push(line(entry))
    if (printed.length % printedAtOnce === 0) await pause()
  }
  return printed.length === 0 ? '[]' : `[\n${printed.join(',\n')}\n]`
}

/**
 * Silences (objects) and notifications (pairs) of a file; of a damaged one those whose lines are whole. Throws
 * NewerFormatError.
 */
function entriesOf(text: string, problems: string[]): unknown[] {
  try {
    const state = JSON.parse(text) as { silences: unknown[]; notifications: unknown[] }
    refuseNewer('alertmanager-state', versionOfState(state), "the Alertmanager's state")
    const { silences, notifications } = state
    return [...silences, ...notifications]
  } catch (error) {
    if (error instanceof NewerFormatError) throw error
    problems.push(messageOf(error))
  }
  return text.split('\n').flatMap(line => {
    try {
      const entry: unknown = JSON.parse(line.replace(/,$/, ''))
      return typeof entry === 'object' && entry !== null && !(Array.isArray(entry) && entry.length !== 2) ? [entry] : []
    } catch {
      return []
    }
  })
}
