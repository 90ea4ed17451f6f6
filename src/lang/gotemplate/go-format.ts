/** Values as Go's fmt prints them: by Print, Println and the verbs of Printf. Source: the public fmt documentation. */
import { templateLimits } from '#core/limits.ts'
import { formatFloat } from './go-digits.ts'
import { ExecutionFailure, GoInt, isObject, missing, refuseLong, typeName, type GoValue } from './values.ts'

const { charactersMax, runDepthMax } = templateLimits
/** Go knows no wider fields and no more digits. */
const widthMax = 1_000_000

/** As an action prints it. Throws ExecutionFailure for what prints more than one run may. */
export function printGo(value: GoValue): string {
  if (typeof value === 'string') return value
  return value === null || value === missing ? '<no value>' : new Printer().text(value, 'v')
}

function shown(value: GoValue): string {
  return typeof value === 'string' ? value : new Printer().text(value, 'v')
}

/** As Sprint: between two operands of which none is a string there is a space. */
export function sprint(values: readonly GoValue[]): string {
  let out = ''
  values.forEach((value, i) => {
    if (i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string') out += ' '
    out += shown(value)
  })
  return out
}

/** As Sprintln. */
export function sprintln(values: readonly GoValue[]): string {
  return `${values.map(shown).join(' ')}\n`
}

/** As Sprintf. Throws for a text that is longer than a value may be. */
export function sprintf(format: string, args: readonly GoValue[]): string {
  return new Format(format, args).run()
}

const unprintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u
const escapes: Readonly<Partial<Record<string, string>>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
}

/** Has the character a glyph? */
export function isPrintable(char: string): boolean {
  return !unprintable.test(char)
}

function quotedChar(char: string, mark: string, isAscii: boolean): string {
  if (char === mark) return `\\${char}`
  const simple = escapes[char]
  if (simple !== undefined) return simple
  const code = char.codePointAt(0)!
  if (code < 0x7f ? code >= 32 : !isAscii && isPrintable(char)) return char
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}

function quoted(text: string, mark: string, isAscii: boolean): string {
  let out = mark
  for (const char of text.toWellFormed()) out += quotedChar(char, mark, isAscii)
  return out + mark
}

/** The character of a code point; U+FFFD where there is none. */
function charOf(code: bigint): string {
  return code < 0n || code > 0x10ffffn ? '\ufffd' : String.fromCodePoint(Number(code)).toWellFormed()
}

/** Prints one value by a verb. */
class Printer {
  flags = ''
  width: number | undefined
  precision: number | undefined
  #characters = 0
  #isSyntax = false

  /** Throws ExecutionFailure. */
  text(value: GoValue, verb: string): string {
    if (value === null || value === missing)
      return verb === 'v' || verb === 'T' ? this.#pad('<nil>') : `%!${verb}(<nil>)`
    if (verb === 'T') return this.#string(typeName(value))
    if (verb === 'v') {
      // These flags mean Go's syntax and names of fields here, not signs and prefixes.
      this.#isSyntax = this.flags.includes('#')
      this.flags = this.flags.replaceAll(/[#+]/g, '')
    }
    return this.#value(value, verb, 0)
  }

  #value(value: GoValue, verb: string, depth: number): string {
    if (depth > runDepthMax) throw new ExecutionFailure(`a value nests deeper than ${runDepthMax} levels`)
    const out = this.#plain(value, verb, depth)
    // The lengths of lists and maps are those of what is in them; of a text alone the caller looks at the length.
    if (depth > 0 || typeof value !== 'string')
      this.#characters += 2 + (Array.isArray(value) || (value instanceof Map && !isObject(value)) ? 0 : out.length)
    if (this.#characters > charactersMax)
      throw new ExecutionFailure(`a value prints more than ${charactersMax} characters, which is the limit`)
    return out
  }

  #plain(value: GoValue, verb: string, depth: number): string {
    if (value === null || value === missing) return '<nil>'
    if (typeof value === 'string') return this.#byString(value, verb)
    if (typeof value === 'number') return this.#float(value, verb)
    if (typeof value === 'boolean')
      return verb === 't' || verb === 'v' ? this.#pad(String(value)) : this.#bad(value, verb)
    if (value instanceof GoInt) return this.#integer(value, verb)
    if (isObject(value))
      return 'vsxXq'.includes(verb) ? this.#byString(value.toGoString(), verb) : this.#bad(value, verb)
    const isSyntax = this.#isSyntax
    const gap = isSyntax ? ', ' : ' '
    if (Array.isArray(value)) {
      const items = (value as readonly GoValue[]).map(item => this.#item(item, verb, depth)).join(gap)
      return isSyntax ? `${typeName(value)}{${items}}` : `[${items}]`
    }
    const entries = [...(value as ReadonlyMap<string, GoValue>)]
      .sort((a, b) => (a[0] < b[0] ? -1 : 1))
      .map(([key, item]) => `${this.#value(key, verb, depth + 1)}:${this.#item(item, verb, depth)}`)
      .join(gap)
    return isSyntax ? `${typeName(value)}{${entries}}` : `map[${entries}]`
  }

  #item(item: GoValue, verb: string, depth: number): string {
    if (item === null && this.#isSyntax) return 'interface {}(nil)'
    return this.#value(item, verb, depth + 1)
  }

  #bad(value: GoValue, verb: string): string {
    return `%!${verb}(${typeName(value)}=${this.#plain(value, 'v', 0)})`
  }

  #pad(text: string, zero = this.flags.includes('0')): string {
    if (this.width === undefined) return text
    const count = this.width - [...text].length
    if (count <= 0) return text
    if (this.flags.includes('-')) return text + ' '.repeat(count)
    return (zero ? '0' : ' ').repeat(count) + text
  }

  #cut(text: string): string {
    return this.precision === undefined ? text : [...text].slice(0, this.precision).join('')
  }

  #string(text: string): string {
    return this.#pad(this.#cut(text))
  }

  #byString(text: string, verb: string): string {
    switch (verb) {
      case 'v':
        return this.#isSyntax ? this.#quotedString(text, false) : this.#string(text)
      case 's':
        return this.#string(text)
      case 'q':
        return this.#quotedString(text, this.flags.includes('#'))
      case 'x':
        return this.#hexString(text)
      case 'X':
        return this.#hexString(text).toUpperCase()
      default:
        return this.#bad(text, verb)
    }
  }

  #quotedString(text: string, isRaw: boolean): string {
    const cut = this.#cut(text)
    if (isRaw && !/[`\ufeff\ufffd]|(?!\t)\p{Cc}/u.test(cut)) return this.#pad(`\`${cut}\``)
    return this.#pad(quoted(cut, '"', this.flags.includes('+')))
  }

  #hexString(text: string): string {
    const bytes = Buffer.from(text).subarray(0, this.precision)
    const isSharp = this.flags.includes('#')
    const prefix = isSharp && bytes.length > 0 ? '0x' : ''
    const hex = this.flags.includes(' ')
      ? [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join(isSharp ? ' 0x' : ' ')
      : bytes.toString('hex')
    return this.#pad(prefix + hex)
  }

  #sign(isNegative: boolean): string {
    if (isNegative) return '-'
    return this.flags.includes('+') ? '+' : this.flags.includes(' ') ? ' ' : ''
  }

  #integer(value: GoInt, verb: string): string {
    switch (verb) {
      case 'v':
        return this.#isSyntax && value.goType === 'uint8'
          ? `0x${value.value.toString(16)}`
          : this.#digits(value.value, 10, verb)
      case 'd':
        return this.#digits(value.value, 10, verb)
      case 'b':
        return this.#digits(value.value, 2, verb)
      case 'o':
      case 'O':
        return this.#digits(value.value, 8, verb)
      case 'x':
        return this.#digits(value.value, 16, verb)
      case 'X':
        return this.#digits(value.value, 16, verb).toUpperCase()
      case 'c':
        return this.#pad(charOf(value.value))
      case 'q':
        return this.#pad(quoted(charOf(value.value), "'", this.flags.includes('+')))
      case 'U':
        return this.#unicode(BigInt.asUintN(64, value.value))
      default:
        return this.#bad(value, verb)
    }
  }

  #unicode(code: bigint): string {
    const hex = code
      .toString(16)
      .toUpperCase()
      .padStart(Math.max(4, this.precision ?? 0), '0')
    const char = code <= 0x10ffffn ? charOf(code) : ''
    const shownChar = this.flags.includes('#') && char !== '' && isPrintable(char) ? ` '${char}'` : ''
    return this.#pad(`U+${hex}${shownChar}`, false)
  }

  #digits(value: bigint, base: 2 | 8 | 10 | 16, verb: string): string {
    const isNegative = value < 0n
    const sign = this.#sign(isNegative)
    if (this.precision === 0 && value === 0n) return ' '.repeat(this.width ?? 0)
    let least = this.precision ?? 0
    if (this.precision === undefined && this.width !== undefined && this.flags.includes('0'))
      least = this.flags.includes('-') ? 0 : this.width - sign.length
    let text = (isNegative ? -value : value).toString(base).padStart(least, '0')
    if (this.flags.includes('#')) {
      if (base === 2) text = `0b${text}`
      else if (base === 16) text = `0x${text}`
      else if (base === 8 && !text.startsWith('0')) text = `0${text}`
    }
    if (verb === 'O') text = `0o${text}`
    return this.#pad(sign + text, false)
  }

  #float(value: number, verb: string): string {
    const known = verb === 'v' ? 'g' : verb === 'F' ? 'f' : verb
    if (!'bgGxXfeE'.includes(known)) return this.#bad(value, verb)
    let text = formatFloat(value, known, this.precision ?? ('feE'.includes(known) ? 6 : -1)).replace(/^\+/, '')
    const isNegative = text.startsWith('-')
    if (isNegative) text = text.slice(1)
    if (!Number.isFinite(value)) {
      const sign = this.#sign(isNegative)
      return this.#pad((text === 'Inf' && sign === '' ? '+' : sign) + text, false)
    }
    if (this.flags.includes('#') && known !== 'b') text = this.#withPoint(text, known)
    const sign = this.#sign(isNegative)
    const isZero = this.flags.includes('0') && !this.flags.includes('-')
    if (sign !== '' && isZero && this.width !== undefined) return sign + text.padStart(this.width - sign.length, '0')
    return this.#pad(sign + text)
  }

  /** With a point, and the zeros that the flag `#` keeps. */
  #withPoint(text: string, known: string): string {
    const [, body = '', tail = ''] = (known === 'x' || known === 'X' ? /^(.*?)(p.*)?$/i : /^(.*?)(e.*)?$/i).exec(text)!
    let out = body.includes('.') ? body : `${body}.`
    if (!'gGx'.includes(known)) return out + tail
    const significant = body.replace('.', '').replace(/^0+(?=.)/, '')
    const missingDigits = (this.precision ?? 6) - (significant === '0' ? 1 : significant.length)
    if (missingDigits > 0) out += '0'.repeat(missingDigits)
    return out + tail
  }
}

/** A run over the text of a format. */
class Format {
  readonly #format: string
  readonly #args: readonly GoValue[]
  #at = 0
  #next = 0
  #isReordered = false
  #isGoodIndex = true
  #isAfterIndex = false

  constructor(format: string, args: readonly GoValue[]) {
    this.#format = format
    this.#args = args
  }

  run(): string {
    const format = this.#format
    let out = ''
    for (;;) {
      const percent = format.indexOf('%', this.#at)
      out += format.slice(this.#at, percent < 0 ? format.length : percent)
      if (percent < 0) break
      this.#at = percent + 1
      out += this.#verb()
      refuseLong(out.length)
    }
    if (this.#isReordered || this.#next >= this.#args.length) return out
    const extra = this.#args
      .slice(this.#next)
      .map(arg => (arg === null ? '<nil>' : `${typeName(arg)}=${new Printer().text(arg, 'v')}`))
    return `${out}%!(EXTRA ${extra.join(', ')})`
  }

  /** What stands for the verb at the place. */
  #verb(): string {
    const printer = new Printer()
    this.#isGoodIndex = true
    while ('#0+- '.includes(this.#format[this.#at] ?? '.')) printer.flags += this.#format[this.#at++]!
    this.#isAfterIndex = false
    this.#index()
    const problems = this.#width(printer) + this.#precision(printer)
    if (!this.#isAfterIndex) this.#index()
    if (this.#at >= this.#format.length) return `${problems}%!(NOVERB)`
    const verb = String.fromCodePoint(this.#format.codePointAt(this.#at)!)
    this.#at += verb.length
    if (verb === '%') return `${problems}%`
    if (!this.#isGoodIndex) return `${problems}%!${verb}(BADINDEX)`
    if (this.#next >= this.#args.length) return `${problems}%!${verb}(MISSING)`
    return problems + printer.text(this.#args[this.#next++]!, verb)
  }

  /** `[n]`: the number of the argument that is next. */
  #index(): void {
    const format = this.#format
    if (format[this.#at] !== '[') return
    this.#isReordered = true
    const end = format.indexOf(']', this.#at)
    if (end < 0 || format.length - this.#at < 3) {
      this.#isGoodIndex = false
      this.#at++
      return
    }
    const inner = format.slice(this.#at + 1, end)
    const index = /^\d+$/.test(inner) && Number(inner) <= widthMax ? Number(inner) - 1 : -1
    this.#at = end + 1
    if (index < 0 || index >= this.#args.length) this.#isGoodIndex = false
    else this.#next = index
    this.#isAfterIndex = /^\d+$/.test(inner)
  }

  #number(): number | undefined {
    const digits = /^\d*/.exec(this.#format.slice(this.#at, this.#at + 20))![0]
    if (digits === '') return undefined
    if (Number(digits) > widthMax) {
      this.#at = this.#format.length
      return undefined
    }
    this.#at += digits.length
    return Number(digits)
  }

  #argument(): number | undefined {
    if (this.#next >= this.#args.length) return undefined
    const value = this.#args[this.#next++]
    return value instanceof GoInt && Math.abs(value.number) <= widthMax ? value.number : undefined
  }

  #width(printer: Printer): string {
    if (this.#format[this.#at] !== '*') {
      printer.width = this.#number()
      if (this.#isAfterIndex && printer.width !== undefined) this.#isGoodIndex = false
      return ''
    }
    this.#at++
    this.#isAfterIndex = false
    const width = this.#argument()
    if (width === undefined) return '%!(BADWIDTH)'
    if (width < 0) printer.flags = `${printer.flags.replaceAll('0', '')}-`
    printer.width = Math.abs(width)
    return ''
  }

  #precision(printer: Printer): string {
    if (this.#format[this.#at] !== '.' || this.#at + 1 >= this.#format.length) return ''
    this.#at++
    if (this.#isAfterIndex) this.#isGoodIndex = false
    this.#index()
    if (this.#format[this.#at] !== '*') {
      printer.precision = this.#number() ?? 0
      return ''
    }
    this.#at++
    this.#isAfterIndex = false
    const precision = this.#argument()
    if (precision === undefined) return '%!(BADPREC)'
    // A negative one counts as none.
    if (precision >= 0) printer.precision = precision
    return precision < 0 ? '%!(BADPREC)' : ''
  }
}
