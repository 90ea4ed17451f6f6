/** Which alerts are under which silences: each alert is compared with each silence once. */
import { silenceState, type ManagedAlert, type Silence } from './store.ts'

/** Silences that an alert is compared with between two pauses. */
const comparedAtOnce = 32

/** How far an alert has been compared with the list of silences, and those whose matchers it satisfies. */
interface Compared {
  count: number
  readonly silences: Silence[]
}

/** So many removed silences stay in the list before it is built again. */
const staleMax = 1000

export class Silencing {
  readonly #silences: ReadonlyMap<string, Silence>
  /** In the order in which they came; some are not there any more. */
  #list: Silence[] = []
  #listed = new Set<Silence>()
  readonly #compared = new Map<string, Compared>()
  #isChanged = true

  constructor(silences: ReadonlyMap<string, Silence>) {
    this.#silences = silences
  }

  /** Silences came, or went. */
  changed(): void {
    this.#isChanged = true
  }

  /** The alert is not there any more. */
  forget({ fingerprint }: ManagedAlert): void {
    this.#compared.delete(fingerprint)
  }

  #update(): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    if (this.#list.length > 2 * this.#silences.size + staleMax) {
      this.#list = []
      this.#listed = new Set()
      this.#compared.clear()
    }
    for (const silence of this.#silences.values()) {
      if (this.#listed.has(silence)) continue
      this.#listed.add(silence)
      this.#list.push(silence)
    }
  }

  /** Ids of the silences that an alert is under. */
  async silencing(alert: ManagedAlert, nowMs: number, pause: () => Promise<void>): Promise<string[]> {
    for (;;) {
      this.#update()
      const list = this.#list
      const compared = this.#comparedOf(alert)
      while (compared.count < list.length && list === this.#list) {
        compare(alert, compared, list)
        if (compared.count < list.length) await pause()
      }
      if (list !== this.#list || this.#isChanged) continue
      return compared.silences
        .filter(one => this.#silences.get(one.id) === one && silenceState(one, nowMs) === 'active')
        .map(({ id }) => id)
    }
  }

  #comparedOf({ fingerprint }: ManagedAlert): Compared {
    let compared = this.#compared.get(fingerprint)
    if (compared === undefined) this.#compared.set(fingerprint, (compared = { count: 0, silences: [] }))
    return compared
  }
}

/** Some silences further. */
function compare({ labels }: ManagedAlert, compared: Compared, list: readonly Silence[]): void {
  const end = Math.min(compared.count + comparedAtOnce, list.length)
  while (compared.count < end) {
    const silence = list[compared.count++]!
    if (silence.matchers.every(m => m.matches(labels.get(m.name)))) compared.silences.push(silence)
  }
}
