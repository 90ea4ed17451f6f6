/** LogsQL's filters of the field `_time`. Source: docs/logs.md (the VictoriaLogs part). */
import type { Filter } from './ast.ts'
import type { QueryLexer } from './lexer.ts'
import { durationOf } from './numbers.ts'
import { endOfMomentNs, leastNs, momentNs, mostNs } from './times.ts'

const dayNs = 86_400_000_000_000
const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']

interface Moment {
  ns: bigint
  text: string
}

export class TimeFilterParser {
  readonly #lexer: QueryLexer
  readonly #nowNs: bigint

  constructor(lexer: QueryLexer, nowNs: bigint) {
    this.#lexer = lexer
    this.#nowNs = nowNs
  }

  /** What stands behind `_time:`. */
  filter(): Filter {
    const lexer = this.#lexer
    if (lexer.take('day_range')) return this.#dayRange()
    if (lexer.take('week_range')) return this.#weekRange()
    const span = lexer.is('offset')
      ? { fromNs: leastNs, throughNs: this.#nowNs, shown: '' }
      : lexer.is('[', '(')
        ? this.#between()
        : this.#comparison()
    if (!lexer.is('offset')) return this.#time(span.fromNs, span.throughNs, span.shown)
    const { ns, text } = this.#offset()
    const offsetNs = BigInt(ns)
    const shown = span.shown === '' ? text : `${span.shown} ${text}`
    const fromNs = span.fromNs === leastNs ? leastNs : span.fromNs - offsetNs
    return this.#time(fromNs, span.throughNs === mostNs ? mostNs : span.throughNs - offsetNs, shown)
  }

  #time(fromNs: bigint, throughNs: bigint, shown: string): Filter {
    return { kind: 'time', span: { fromNs, throughNs }, shown }
  }

  #between(): { fromNs: bigint; throughNs: bigint; shown: string } {
    const lexer = this.#lexer
    const open = lexer.token
    lexer.next()
    const from = this.#moment()
    lexer.expect(',')
    const to = this.#moment()
    if (!lexer.is(']', ')')) lexer.fail('"]" or ")" was expected')
    const close = lexer.token
    lexer.next()
    return {
      fromNs: open === '(' ? from.ns + 1n : from.ns,
      throughNs: close === ']' ? endOfMomentNs(to.ns, to.text) : to.ns - 1n,
      shown: `${open}${from.text},${to.text}${close}`,
    }
  }

  /** `>`, `>=`, `<`, `<=`, `=` or nothing, then a moment or how long ago. */
  #comparison(): { fromNs: bigint; throughNs: bigint; shown: string } {
    const lexer = this.#lexer
    const sign = lexer.is('>', '<', '=') ? lexer.token : ''
    if (sign !== '') lexer.next()
    const isInclusive = sign !== '=' && sign !== '' && lexer.take('=')
    const shown = `${sign}${isInclusive ? '=' : ''}`
    if (lexer.is('now') || /^\d{4}(?:$|[-+Zz])/.test(lexer.token)) {
      const { ns, text } = this.#moment()
      if (sign === '>') return { fromNs: isInclusive ? ns : ns + 1n, throughNs: mostNs, shown: shown + text }
      const endNs = sign === '<' && !isInclusive ? ns - 1n : endOfMomentNs(ns, text)
      return { fromNs: sign === '<' ? leastNs : ns, throughNs: endNs, shown: shown + text }
    }
    const { ns, text } = this.#duration()
    const agoNs = BigInt(Math.abs(ns))
    if (sign === '>')
      return { fromNs: leastNs, throughNs: this.#nowNs - agoNs - (isInclusive ? 0n : 1n), shown: shown + text }
    const isOpen = sign === '<' && !isInclusive
    return { fromNs: this.#nowNs - agoNs + (isOpen ? 1n : 0n), throughNs: this.#nowNs, shown: shown + text }
  }

  #moment(): Moment {
    const lexer = this.#lexer
    const { from } = lexer
    const text = lexer.compound('a time')
    const ns = momentNs(text, this.#nowNs)
    if (ns === undefined)
      return lexer.fail(
        `the time ${JSON.stringify(text)} can't be read: RFC 3339, a Unix time or a duration was expected`,
        from,
      )
    return { ns, text }
  }

  #duration(): { ns: number; text: string } {
    const lexer = this.#lexer
    const { from } = lexer
    const text = lexer.compound('a duration')
    const ns = durationOf(text)
    if (Number.isNaN(ns)) lexer.fail(`${JSON.stringify(text)} is no duration such as 5m`, from)
    return { ns, text }
  }

  #offset(): { ns: number; text: string } {
    if (!this.#lexer.take('offset')) return { ns: 0, text: '' }
    const { ns, text } = this.#duration()
    return { ns, text: `offset ${text}` }
  }

  /** Two values in brackets or parentheses. */
  #pair(read: () => { value: number; text: string }): {
    from: number
    to: number
    isOpen: [boolean, boolean]
    shown: string
  } {
    const lexer = this.#lexer
    if (!lexer.is('[', '(')) lexer.fail('"[" or "(" was expected')
    const open = lexer.token
    lexer.next()
    const from = read()
    lexer.expect(',')
    const to = read()
    if (!lexer.is(']', ')')) lexer.fail('"]" or ")" was expected')
    const close = lexer.token
    lexer.next()
    const shown = `${open}${from.text}, ${to.text}${close}`
    return { from: from.value, to: to.value, isOpen: [open === '(', close === ')'], shown }
  }

  #dayRange(): Filter {
    const { from, to, isOpen, shown } = this.#pair(() => this.#hourAndMinute())
    const { ns, text } = this.#offset()
    return {
      kind: 'day-range',
      fromNs: from + (isOpen[0] ? 1 : 0),
      throughNs: to - (isOpen[1] ? 1 : 0),
      offsetNs: ns,
      shown: `day_range${shown}${text === '' ? '' : ` ${text}`}`,
    }
  }

  #hourAndMinute(): { value: number; text: string } {
    const lexer = this.#lexer
    const { from } = lexer
    const text = lexer.compound('a time of the day')
    const match = /^(\d\d):(\d\d)$/.exec(text)
    if (match === null || Number(match[1]) > 24 || Number(match[2]) > 60)
      return lexer.fail(`${JSON.stringify(text)} is no time of the day such as 08:30`, from)
    const value = (Number(match[1]) * 60 + Number(match[2])) * 60_000_000_000
    return { value: Math.min(value, dayNs - 1), text }
  }

  #weekRange(): Filter {
    const { from, to, isOpen, shown } = this.#pair(() => this.#day())
    const { ns, text } = this.#offset()
    return {
      kind: 'week-range',
      fromDay: from + (isOpen[0] ? 1 : 0),
      throughDay: to - (isOpen[1] ? 1 : 0),
      offsetNs: ns,
      shown: `week_range${shown}${text === '' ? '' : ` ${text}`}`,
    }
  }

  #day(): { value: number; text: string } {
    const lexer = this.#lexer
    const { from } = lexer
    const text = lexer.compound('a day of the week')
    const name = text.toLowerCase()
    const value = days.findIndex(day => day === name || day.slice(0, 3) === name)
    if (value < 0) lexer.fail(`${JSON.stringify(text)} is no day of the week such as Mon`, from)
    return { value, text }
  }
}
