/**
 * Alerts, silences and the log of notifications of an Alertmanager: in memory, and in one file that is written whole.
 */
import { createHash } from 'node:crypto'
import { BadDataError, messageOf, NotFoundError } from '#core/errors.ts'
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

interface StateJson {
  silences: {
    id: string
    matchers: [string, string, string][]
    startsMs: number
    endsMs: number
    updatedMs: number
    createdBy: string
    comment: string
  }[]
  notifications: [string, NotificationEntry][]
}

/** Silences and the log of notifications. */
export class AlertmanagerState {
  readonly silences = new Map<string, Silence>()
  readonly notifications = new Map<string, NotificationEntry>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  /** The state as its file has it, without entries that expired before `nowMs`. */
  encode(nowMs: number): Uint8Array {
    for (const [id, silence] of this.silences) if (silence.endsMs + retentionMs < nowMs) this.silences.delete(id)
    for (const [key, entry] of this.notifications) if (entry.expiresMs < nowMs) this.notifications.delete(key)
    const state: StateJson = {
      silences: [...this.silences.values()].map(s => ({
        ...s,
        matchers: s.matchers.map(m => [m.kind, m.name, m.value]),
      })),
      notifications: [...this.notifications],
    }
    return Buffer.from(JSON.stringify(state))
  }

  /** Throws BadDataError. */
  decode(bytes: Uint8Array): void {
    try {
      const state = JSON.parse(Buffer.from(bytes).toString('utf8')) as StateJson
      for (const s of state.silences)
        this.silences.set(s.id, {
          ...s,
          matchers: s.matchers.map(([kind, name, value]) => matcherOf(kind as '=', name, value)),
        })
      for (const [key, entry] of state.notifications) this.notifications.set(key, entry)
    } catch (error) {
      throw new BadDataError(`the state of silences and notifications can't be read: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }

  newId(): string {
    const hex = createHash('sha256')
      .update(Uint8Array.from({ length: 16 }, () => this.#random.u32() & 255))
      .digest('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  }

  /**
   * Adds a silence, or changes one; a change that would rewrite the past ends the old one and begins another. Returns
   * the id. Throws BadDataError.
   */
  setSilence(wanted: Omit<Silence, 'id' | 'updatedMs'> & { id: string }, nowMs: number): string {
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

  /** Ids of the silences that an alert is under. */
  silencing(labels: Labels, nowMs: number): string[] {
    const ids: string[] = []
    for (const silence of this.silences.values())
      if (silenceState(silence, nowMs) === 'active' && silence.matchers.every(m => m.matches(labels.get(m.name))))
        ids.push(silence.id)
    return ids
  }
}
