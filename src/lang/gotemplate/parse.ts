/**
 * Go's text/template as a tree. Source: the public text/template documentation. Errors are texts as Go gives them,
 * without the place.
 */
import { templateLimits } from '#core/limits.ts'
import { addAll } from '#core/lists.ts'
import { goEscapes, quote } from '#core/text.ts'
import { GoInt } from './values.ts'

/** A part of a template: where it begins, and how Go prints it. Errors name both. */
export interface Place {
  at: number
  text: string
}

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe }
  | { kind: 'if' | 'with'; pipe: Pipe; body: Node[]; otherwise: Node[] }
  | { kind: 'range'; pipe: Pipe; body: Node[]; otherwise: Node[] }
  | ({ kind: 'template'; name: string; pipe: Pipe | undefined } & Place)
  | { kind: 'break' | 'continue' }

/** Stages of a pipeline, each given the one before as its last argument; `declares` takes the result. */
export interface Pipe extends Place {
  declares: string[]
  isAssignment: boolean
  commands: Command[]
}
export interface Command extends Place {
  args: Argument[]
}

/** A number: what it is without a type asked for, and as a whole number where it is one. */
export interface NumberConstant {
  kind: 'number'
  /** Undefined: more than an int holds. */
  value: GoInt | number | undefined
  int: GoInt | undefined
  float: number
}
export type Argument = Place &
  (
    | { kind: 'dot' }
    | { kind: 'nil' }
    | { kind: 'field'; names: string[] }
    | { kind: 'variable'; name: string; names: string[] }
    | { kind: 'function'; name: string }
    | { kind: 'pipe'; pipe: Pipe }
    | { kind: 'chain'; of: Argument; names: string[] }
    | { kind: 'string'; value: string }
    | { kind: 'bool'; value: boolean }
    | NumberConstant
  )

export interface Template {
  nodes: Node[]
  defined: ReadonlyMap<string, Node[]>
}

export class TemplateError extends Error {
  override name = 'TemplateError'
  readonly kind = 'template'
}

interface Item {
  kind:
    | 'text'
    | 'open'
    | 'close'
    | 'word'
    | 'field'
    | 'variable'
    | 'string'
    | 'number'
    | 'char'
    | 'pipe'
    | 'assign'
    | 'declare'
    | 'left'
    | 'right'
    | 'comma'
    | 'dot'
    | 'space'
    | 'end'
  text: string
  at: number
}

interface Literal {
  kind: Item['kind']
  pattern: RegExp
  problem: string
}

/** Literals by the character that they begin with. */
const literals: Readonly<Partial<Record<string, Literal>>> = {
  '`': { kind: 'string', pattern: /^`[^`]*`/, problem: 'unterminated raw quoted string' },
  '"': { kind: 'string', pattern: /^"(?:[^"\\\n]|\\.)*"/, problem: 'unterminated quoted string' },
  "'": { kind: 'char', pattern: /^'(?:[^'\\\n]|\\.)*'/, problem: 'unterminated character constant' },
}

/** Everything else that an action has; the first that fits is it. */
const shapes: readonly { kind: Item['kind']; pattern: RegExp }[] = [
  { kind: 'space', pattern: /^[ \t\r\n]+/ },
  { kind: 'declare', pattern: /^:=/ },
  { kind: 'assign', pattern: /^=/ },
  { kind: 'pipe', pattern: /^\|/ },
  { kind: 'left', pattern: /^\(/ },
  { kind: 'right', pattern: /^\)/ },
  { kind: 'comma', pattern: /^,/ },
  { kind: 'number', pattern: /^[+-]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?\d+/ },
  { kind: 'number', pattern: /^[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+(?![.\d]))/ },
  { kind: 'number', pattern: /^[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/ },
  { kind: 'number', pattern: /^[+-]/ },
  { kind: 'field', pattern: /^\.[\p{L}_][\p{L}\p{Nd}_]*/u },
  { kind: 'dot', pattern: /^\./ },
  { kind: 'variable', pattern: /^\$[\p{L}\p{Nd}_]*/u },
  { kind: 'word', pattern: /^[\p{L}_][\p{L}\p{Nd}_]*/u },
]

/** `hasFunction` says which names may be called. Throws TemplateError. */
export function parseTemplate(name: string, source: string, hasFunction: (name: string) => boolean): Template {
  return new TemplateParser(name, source, hasFunction).parse()
}

/** `0x1.8p3` */
function hexFloat(text: string): number {
  const [, whole = '', part = '', power = '0'] = /^0[xX]([\da-fA-F]*)\.?([\da-fA-F]*)[pP]([+-]?\d+)$/.exec(text) ?? []
  return Number.parseInt(whole + part || '0', 16) * 2 ** (Number(power) - 4 * part.length)
}

class TemplateParser {
  readonly #name: string
  readonly #source: string
  readonly #hasFunction: (name: string) => boolean
  readonly #items: Item[] = []
  readonly #defined = new Map<string, Node[]>()
  #at = 0
  #variables: string[] = ['$']
  #rangeDepth = 0
  /** Blocks and parentheses around what is read. */
  #depth = 0

  constructor(name: string, source: string, hasFunction: (name: string) => boolean) {
    this.#name = name
    this.#source = source
    this.#hasFunction = hasFunction
  }

  #fail(message: string, at: number): never {
    const line = this.#source.slice(0, at).split('\n').length
    throw new TemplateError(`template: ${this.#name}:${line}: ${message}`)
  }

  parse(): Template {
    this.#lex()
    const { nodes, end } = this.#list(false)
    if (end !== undefined) this.#fail(`unexpected {{${end}}}`, this.#item.at)
    return { nodes, defined: this.#defined }
  }

  // --- Words ---

  #lex(): void {
    const source = this.#source
    let at = 0
    let trim = false
    while (at < source.length) {
      const open = source.indexOf('{{', at)
      let text = source.slice(at, open < 0 ? source.length : open)
      if (trim) text = text.replace(/^[ \t\r\n]+/, '')
      const trimsLeft = open >= 0 && /^\{\{-[ \t\r\n]/.test(source.slice(open, open + 4))
      if (trimsLeft) text = text.replace(/[ \t\r\n]+$/, '')
      if (text !== '') this.#items.push({ kind: 'text', text, at })
      if (open < 0) break
      const inside = open + 2 + (trimsLeft ? 1 : 0)
      const comment = /^[ \t\r\n]*\/\*/.exec(source.slice(inside, inside + 100))
      if (comment !== null) {
        const end = source.indexOf('*/', inside)
        if (end < 0) this.#fail('unclosed comment', open)
        const close = /^([ \t\r\n]-)?\}\}/.exec(source.slice(end + 2, end + 8))
        if (close === null) this.#fail('comment ends before closing delimiter', open)
        trim = close[1] !== undefined
        at = end + 2 + close[0].length
        continue
      }
      this.#items.push({ kind: 'open', text: '{{', at: open })
      const end = this.#lexAction(inside)
      trim = end.trims
      at = end.at
    }
    this.#items.push({ kind: 'end', text: '', at: source.length })
  }

  /** The items of an action, from behind its opening on; where it ends, and whether it trims the text behind it. */
  #lexAction(from: number): { at: number; trims: boolean } {
    let at = from
    let parentheses = 0
    for (;;) {
      const rest = this.#source.slice(at, at + 4096)
      const close = /^([ \t\r\n]+-)?\}\}/.exec(rest)
      if (close !== null) {
        if (parentheses > 0) this.#fail('unclosed left paren', at)
        this.#items.push({ kind: 'close', text: close[0], at })
        return { at: at + close[0].length, trims: close[1] !== undefined }
      }
      if (rest === '') this.#fail('unclosed action', from)
      const { kind, text } = this.#lexItem(rest, at)
      if (kind === 'left') parentheses++
      else if (kind === 'right' && --parentheses < 0) this.#fail('unexpected right paren', at)
      this.#items.push({ kind, text, at })
      at += text.length
    }
  }

  /** The item at the beginning of `rest`, which is the source from `at` on, or enough of it. */
  #lexItem(rest: string, at: number): { kind: Item['kind']; text: string } {
    const char = rest.slice(0, 1)
    const literal = literals[char]
    if (literal !== undefined) {
      const found = literal.pattern.exec(this.#source.slice(at))
      return found === null ? this.#fail(literal.problem, at) : { kind: literal.kind, text: found[0] }
    }
    for (const { kind, pattern } of shapes) {
      const found = pattern.exec(rest)
      if (found === null) continue
      const behind = rest.slice(found[0].length)
      if (kind === 'number' && /^[\p{L}_]/u.test(behind))
        this.#fail(`bad number syntax: ${JSON.stringify(found[0] + behind.slice(0, 1))}`, at)
      return { kind, text: found[0] }
    }
    return this.#fail(`unexpected ${JSON.stringify(char)} in command`, at)
  }

  get #item(): Item {
    return this.#items[this.#at]!
  }
  /** The next item that is no space. */
  get #next(): Item {
    this.#skipSpace()
    return this.#item
  }
  #isNext(kind: Item['kind']): boolean {
    return this.#item.kind === kind
  }
  #skipSpace(): void {
    while (this.#item.kind === 'space') this.#at++
  }

  // --- Tree ---

  /** Nodes up to an `end` or `else` (returned), or to the end of the text. */
  #list(isInner: boolean): { nodes: Node[]; end: string | undefined; at: number } {
    this.#enter(this.#item.at)
    const list = this.#nodes(isInner)
    this.#depth--
    return list
  }

  #enter(at: number): void {
    if (++this.#depth > templateLimits.depthMax)
      this.#fail(`blocks and parentheses nest deeper than ${templateLimits.depthMax} levels, which is the limit`, at)
  }

  #nodes(isInner: boolean): { nodes: Node[]; end: string | undefined; at: number } {
    const nodes: Node[] = []
    for (;;) {
      const item = this.#item
      if (item.kind === 'end') {
        if (isInner) this.#fail('unexpected EOF', item.at)
        return { nodes, end: undefined, at: item.at }
      }
      this.#at++
      if (item.kind === 'text') {
        nodes.push({ kind: 'text', text: item.text })
        continue
      }
      this.#skipSpace()
      const word = this.#item
      if (word.kind === 'word' && (word.text === 'end' || word.text === 'else'))
        return { nodes, end: word.text, at: word.at }
      const node = this.#action()
      if (node !== undefined) nodes.push(node)
    }
  }

  #action(): Node | undefined {
    const word = this.#item
    if (word.kind === 'word') {
      switch (word.text) {
        case 'if':
        case 'with':
        case 'range':
          return this.#control(word.text)
        case 'define':
          this.#define()
          return undefined
        case 'block':
          return this.#block()
        case 'template':
          return this.#template()
        case 'break':
        case 'continue':
          if (this.#rangeDepth === 0) this.#fail(`{{${word.text}}} outside {{range}}`, word.at)
          this.#at++
          this.#close(word.text)
          return { kind: word.text }
        default:
      }
    }
    const pipe = this.#pipe('close', 'command')
    return { kind: 'action', pipe }
  }

  #close(context: string): void {
    this.#skipSpace()
    if (this.#item.kind !== 'close') this.#fail(`unexpected ${this.#shown()} in ${context}`, this.#item.at)
    this.#at++
  }

  #shown(): string {
    const { kind, text } = this.#item
    if (kind === 'end') return 'EOF'
    if (kind === 'close') return '"}}"'
    return kind === 'word' || kind === 'variable' || kind === 'field' ? `<${text}>` : JSON.stringify(text)
  }

  #control(kind: 'if' | 'with' | 'range'): Node {
    this.#at++
    const depth = this.#variables.length
    const pipe = this.#pipe('close', kind)
    if (kind === 'range') this.#rangeDepth++
    const { nodes, end } = this.#list(true)
    if (kind === 'range') this.#rangeDepth--
    let otherwise: Node[] = []
    this.#at++
    if (end === 'else') {
      this.#skipSpace()
      const next = this.#item
      if (next.kind === 'word' && (next.text === 'if' || next.text === 'with') && kind !== 'range') {
        // `{{else if ...}}` shares the end of the outer one.
        this.#enter(next.at)
        otherwise = [this.#control(next.text)]
        this.#depth--
        this.#variables.length = depth
        return { kind, pipe, body: nodes, otherwise }
      }
      this.#close('else')
      const rest = this.#list(true)
      if (rest.end !== 'end') this.#fail('expected end; found {{else}}', rest.at)
      this.#at++
      otherwise = rest.nodes
    }
    this.#close('end')
    this.#variables.length = depth
    return { kind, pipe, body: nodes, otherwise }
  }

  #quoted(context: string): string {
    this.#skipSpace()
    const item = this.#item
    if (item.kind !== 'string') this.#fail(`unexpected ${this.#shown()} in ${context}`, item.at)
    this.#at++
    return this.#unquote(item)
  }

  #define(): void {
    this.#at++
    const name = this.#quoted('define clause')
    this.#close('define clause')
    this.#body(name)
  }

  #body(name: string): void {
    const outer = this.#variables
    this.#variables = ['$']
    const { nodes, end, at } = this.#list(true)
    if (end !== 'end') this.#fail('unexpected {{else}} in define clause', at)
    this.#at++
    this.#close('end')
    this.#variables = outer
    this.#defined.set(name, nodes)
  }

  #block(): Node {
    this.#at++
    const place = this.#next
    const name = this.#quoted('block clause')
    const pipe = this.#pipe('close', 'block clause')
    this.#body(name)
    return { kind: 'template', name, pipe, at: place.at, text: `{{template ${place.text} ${pipe.text}}}` }
  }

  #template(): Node {
    this.#at++
    const { at, text } = this.#next
    const name = this.#quoted('template clause')
    if (this.#next.kind === 'close') {
      this.#at++
      return { kind: 'template', name, pipe: undefined, at, text: `{{template ${text}}}` }
    }
    const pipe = this.#pipe('close', 'template clause')
    return { kind: 'template', name, pipe, at, text: `{{template ${text} ${pipe.text}}}` }
  }

  #pipe(until: 'close' | 'right', context: string): Pipe {
    this.#skipSpace()
    const at = this.#item.at
    const declares: string[] = []
    let isAssignment = false
    const mark = this.#at
    if (this.#isNext('variable')) {
      const names: string[] = []
      while (this.#isNext('variable')) {
        names.push(this.#item.text)
        this.#at++
        this.#skipSpace()
        if (this.#isNext('comma') && context === 'range' && names.length < 2) {
          this.#at++
          this.#skipSpace()
          continue
        }
        break
      }
      if (this.#isNext('declare') || this.#isNext('assign')) {
        isAssignment = this.#isNext('assign')
        this.#at++
        for (const name of names) {
          if (isAssignment) this.#use(name, at)
          else this.#pending.push(name)
        }
        addAll(declares, names)
      } else this.#at = mark
    }
    const commands: Command[] = []
    for (;;) {
      this.#skipSpace()
      const item = this.#item
      if (item.kind === until) {
        if (commands.length === 0) this.#fail(`missing value for ${context}`, item.at)
        this.#at++
        break
      }
      if (item.kind === 'end') this.#fail('unclosed action', item.at)
      commands.push(this.#command(until, context))
    }
    addAll(this.#variables, this.#pending.splice(0))
    commands.forEach((command, i) => {
      const first = command.args[0]!
      if (
        i > 0 &&
        (first.kind === 'string' ||
          first.kind === 'number' ||
          first.kind === 'bool' ||
          first.kind === 'nil' ||
          first.kind === 'dot')
      )
        this.#fail(`non executable command in pipeline stage ${i + 1}`, command.at)
    })
    const declared = declares.length === 0 ? '' : `${declares.join(', ')} ${isAssignment ? '=' : ':='} `
    return { declares, isAssignment, commands, at, text: declared + commands.map(c => c.text).join(' | ') }
  }
  readonly #pending: string[] = []

  #use(name: string, at: number): void {
    if (!this.#variables.includes(name)) this.#fail(`undefined variable ${JSON.stringify(name)}`, at)
  }

  #command(until: 'close' | 'right', context: string): Command {
    const at = this.#item.at
    const args: Argument[] = []
    for (;;) {
      this.#skipSpace()
      const item = this.#item
      if (item.kind === until || item.kind === 'end') break
      if (item.kind === 'pipe') {
        if (args.length === 0) this.#fail(`unexpected ${this.#shown()} in command`, item.at)
        this.#at++
        this.#skipSpace()
        break
      }
      args.push(this.#argument(context))
      const after = this.#item.kind
      if (after !== 'space' && after !== 'pipe' && after !== until && after !== 'end')
        this.#fail(`unexpected ${this.#shown()} in operand`, this.#item.at)
    }
    if (args.length === 0) this.#fail('empty command', at)
    return { args, at, text: args.map(arg => (arg.kind === 'pipe' ? `(${arg.text})` : arg.text)).join(' ') }
  }

  /** A term, and the fields that are taken from what it gives. */
  #argument(context: string): Argument {
    const term = this.#term(context)
    const { kind, at } = this.#item
    if (kind !== 'field') return term
    if (term.kind !== 'function' && term.kind !== 'pipe') this.#fail(`unexpected . after term ${quote(term.text)}`, at)
    const names = this.#fields()
    const text = `${term.kind === 'pipe' ? `(${term.text})` : term.text}.${names.join('.')}`
    return { kind: 'chain', of: term, names, at, text }
  }

  #term(context: string): Argument {
    const item = this.#item
    const { at, text } = item
    this.#at++
    switch (item.kind) {
      case 'dot':
        return { kind: 'dot', at, text }
      case 'field':
        return { kind: 'field', ...this.#chain(item, [item.text.slice(1)]) }
      case 'variable':
        this.#use(item.text, item.at)
        return { kind: 'variable', name: item.text, ...this.#chain(item, []) }
      case 'string':
        return { kind: 'string', value: this.#unquote(item), at, text }
      case 'char': {
        const characters = [...this.#unquote({ ...item, text: `"${item.text.slice(1, -1)}"` })]
        if (characters.length === 0) this.#fail('invalid syntax', item.at)
        if (characters.length > 1) this.#fail(`malformed character constant: ${item.text}`, item.at)
        const code = characters[0]!.codePointAt(0)!
        return { kind: 'number', value: new GoInt(code), int: new GoInt(code), float: code, at, text }
      }
      case 'number':
        return { ...this.#number(text, at), at, text }
      case 'word':
        if (item.text === 'true' || item.text === 'false') return { kind: 'bool', value: text === 'true', at, text }
        if (item.text === 'nil') return { kind: 'nil', at, text }
        if (!this.#hasFunction(item.text)) this.#fail(`function ${JSON.stringify(item.text)} not defined`, item.at)
        return { kind: 'function', name: text, at, text }
      case 'left': {
        this.#enter(item.at)
        const pipe = this.#pipe('right', 'parenthesized pipeline')
        this.#depth--
        return { kind: 'pipe', pipe, at: pipe.at, text: pipe.text }
      }
      default:
        this.#at--
        return this.#fail(`unexpected ${this.#shown()} in ${context}`, item.at)
    }
  }

  #number(text: string, at: number): NumberConstant {
    const plain = text.replaceAll('_', '')
    const [, sign = '', digits = ''] = /^([+-]?)(.*)$/.exec(plain)!
    const isHex = /^0[xX]/.test(digits)
    if (digits === '') this.#fail(`illegal number syntax: ${quote(text)}`, at)
    if (isHex ? /[pP]/.test(digits) : /[.eE]/.test(digits)) {
      const float = isHex ? hexFloat(digits) * (sign === '-' ? -1 : 1) : Number(plain)
      // A float without a fraction counts as a whole number where one is asked for.
      const int = Number.isInteger(float) && Math.abs(float) < 2 ** 63 ? new GoInt(float) : undefined
      return { kind: 'number', value: float, int, float }
    }
    const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits
    if (/^0\d+$/.test(octal)) this.#fail(`integer overflow: ${quote(text)}`, at)
    const size = BigInt(octal)
    const whole = sign === '-' ? -size : size
    if (whole >= 2n ** 64n || whole < -(2n ** 63n)) this.#fail(`integer overflow: ${quote(text)}`, at)
    const int = whole < 2n ** 63n ? new GoInt(whole) : undefined
    return { kind: 'number', value: int, int, float: Number(whole) }
  }

  /** Where a chain of fields goes wrong, Go names the place of its second name. */
  #chain(item: Item, names: string[]): { names: string[]; at: number; text: string } {
    const second = this.#item
    const all = [...names, ...this.#fields()]
    const end = this.#items[this.#at - 1]!
    return {
      names: all,
      at: second.kind === 'field' && all.length > names.length ? second.at : item.at,
      text: this.#source.slice(item.at, end.at + end.text.length),
    }
  }

  #fields(): string[] {
    const names: string[] = []
    while (this.#item.kind === 'field') {
      names.push(this.#item.text.slice(1))
      this.#at++
    }
    return names
  }

  #unquote(item: Item): string {
    if (item.text.startsWith('`')) return item.text.slice(1, -1)
    const body = item.text.slice(1, -1)
    let out = ''
    for (let i = 0; i < body.length;) {
      if (body[i] !== '\\') {
        out += body[i++]
        continue
      }
      const code = /^\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/.exec(body.slice(i, i + 10))
      if (code !== null) {
        const point = Number.parseInt(code[1] ?? code[2] ?? code[3] ?? code[4]!, code[4] === undefined ? 16 : 8)
        if (point > 0x10ffff) this.#fail('invalid syntax', item.at)
        out += String.fromCodePoint(point)
        i += code[0].length
        continue
      }
      const simple = goEscapes.get(body[i + 1] ?? '')
      if (simple === undefined) this.#fail('invalid syntax', item.at)
      out += simple
      i += 2
    }
    return out
  }
}
