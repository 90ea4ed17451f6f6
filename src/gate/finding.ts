/** What a comparison finds, and the list that findings are gathered in as the rules say. */
import type { Kind, Severity } from './rule-table.ts'
import type { Rules, Subject } from './rules.ts'

/** Numbers of one run; names end with their unit. */
export type Figures = Readonly<Record<string, number>>

export interface EvidenceQuery {
  readonly language: 'promql' | 'logql' | 'traceql'
  readonly query: string
}

export interface Evidence {
  /** Of head. */
  readonly traceIds: readonly string[]
  /** Log lines, statements, values of labels. */
  readonly lines: readonly string[]
  /** To paste where base or head can be asked. */
  readonly queries: readonly EvidenceQuery[]
}

export interface Finding {
  readonly kind: Kind
  readonly severity: Severity
  readonly subject: Subject
  readonly sentence: string
  readonly base: Figures
  readonly head: Figures
  readonly evidence: Evidence
}

/** `isWeak`: what would fail is a warning. */
export interface Found {
  readonly kind: Kind
  readonly subject: Subject
  readonly sentence: string
  readonly base: Figures
  readonly head: Figures
  readonly evidence?: Partial<Evidence>
  readonly isWeak?: boolean
}

export class Findings {
  readonly #rules: Rules
  readonly #list: Finding[] = []
  readonly #counts = new Map<Kind, number>()
  ignored = 0

  constructor(rules: Rules) {
    this.#rules = rules
  }

  add({ kind, subject, sentence, base, head, evidence = {}, isWeak = false }: Found): void {
    const severity = this.#rules.severityOf(kind)
    if (severity === 'off') return
    if (this.#rules.isIgnored(kind, subject)) {
      this.ignored++
      return
    }
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    if (count > this.#rules.reading('findings_per_kind')) return
    this.#list.push({
      kind,
      severity: isWeak && severity === 'fail' ? 'warn' : severity,
      subject,
      sentence,
      base,
      head,
      evidence: { traceIds: [], lines: [], queries: [], ...evidence },
    })
  }

  /** Is there one of the kind about the same service and route? */
  has(kind: Kind, { service, route }: Subject): boolean {
    return this.#list.some(one => one.kind === kind && one.subject.service === service && one.subject.route === route)
  }

  hasAny(kind: Kind, isMeant: (subject: Subject) => boolean): boolean {
    return this.#list.some(one => one.kind === kind && isMeant(one.subject))
  }

  /** Those that fail first. */
  sorted(): Finding[] {
    const order: readonly Severity[] = ['fail', 'warn', 'info']
    return [...this.#list].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
  }

  /** Sentences about findings that are not in the list. */
  notes(): string[] {
    const most = this.#rules.reading('findings_per_kind')
    const notes = [...this.#counts]
      .filter(([, count]) => count > most)
      .map(([kind, count]) => `${kind}: ${count} findings, of which ${most} are listed`)
    if (this.ignored > 0) notes.push(`${this.ignored} findings are ignored, as the rules say`)
    return notes
  }
}
