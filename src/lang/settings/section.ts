/**
 * Configuration files in YAML: sections whose keys are known, values of known kinds. What is wrong is refused with
 * file, line and column. A key that stands in a section and is never asked for is unknown, and `finish` says so.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLMap,
} from 'yaml'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { maskUrls } from '#core/secret.ts'
import { quote } from '#core/text.ts'

interface Source {
  file: string
  lines: LineCounter
  document: Document.Parsed
  /** Null: texts are taken as they are written. */
  env: Readonly<Record<string, string | undefined>> | null
  /** Settings that are taken and not carried out, with their places. */
  notes: string[]
}

/** `%{NAME}` becomes the environment's value. */
function expanded(text: string, env: Source['env'], refuse: (message: string) => never): string {
  return env !== null && text.includes('%{')
    ? text.replaceAll(
        /%\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
        (_, name: string) => env[name] ?? refuse(`the environment has no variable ${name}`),
      )
    : text
}

/** A value with its place. */
export class Setting {
  readonly #source: Source
  readonly #node: Node | null | undefined
  readonly path: string

  constructor(source: Source, node: Node | null | undefined, path: string) {
    this.#source = source
    this.#node = isAlias(node) ? (node.resolve(source.document) as Node | undefined) : node
    this.path = path
  }

  get isNull(): boolean {
    return this.#node === null || this.#node === undefined || (isScalar(this.#node) && this.#node.value === null)
  }
  get isList(): boolean {
    return isSeq(this.#node)
  }
  get isSection(): boolean {
    return isMap(this.#node)
  }

  refuse(message: string): never {
    throw new BadDataError(this.#placed(message))
  }

  /** An address that is said back may have a password. */
  #placed(message: string): string {
    const offset = this.#node?.range?.[0]
    const place = offset === undefined ? '' : (({ line, col }) => `:${line}:${col}`)(this.#source.lines.linePos(offset))
    return `${this.#source.file}${place}: ${this.path === '' ? '' : `${this.path}: `}${maskUrls(message)}`
  }

  /** Says of the setting that nobody acts on it. */
  note(message: string): void {
    this.#source.notes.push(this.#placed(message))
  }

  /** What was noted of any setting of the file until now, in the order of reading. */
  get notes(): readonly string[] {
    return this.#source.notes
  }

  text(): string {
    if (this.isNull) return ''
    if (!isScalar(this.#node)) return this.refuse('a text was expected')
    // A number or a switch is taken as it is written.
    const { value, source } = this.#node
    return expanded(typeof value === 'string' ? value : (source ?? String(value)), this.#source.env, m =>
      this.refuse(m),
    )
  }

  durationMs(): number {
    const text = this.text()
    const ms = parseDurationMs(text)
    return ms ?? this.refuse(`not a valid duration string: ${quote(text)}; one like 30s, 1m30s or 2h was expected`)
  }

  whole(): number {
    const text = this.text()
    return /^[+-]?\d+$/.test(text) ? Number(text) : this.refuse(`${quote(text)} is no whole number`)
  }

  /** A whole number that is not negative. */
  count(): number {
    const value = this.whole()
    return value < 0 ? this.refuse(`${value} is negative`) : value
  }

  number(): number {
    const value = Number(this.text())
    return this.text() === '' || Number.isNaN(value) ? this.refuse(`${quote(this.text())} is no number`) : value
  }

  /** Bytes: a number, or one with KB, MB, GB, KiB ... (powers of 1024, as Prometheus reads them). */
  bytes(): number {
    const match = this.text() === '0' ? ['0', '0', ''] : /^(\d+(?:\.\d+)?)\s*([KMGTPE]?)i?B$/.exec(this.text())
    return match === null
      ? this.refuse(`${quote(this.text())} is no size like 10MB`)
      : Math.floor(Number(match[1]) * 1024 ** ['', 'K', 'M', 'G', 'T', 'P', 'E'].indexOf(match[2]!))
  }

  isOn(): boolean {
    const text = this.text()
    // As YAML 1.1 has it.
    return /^(?:true|yes|y|on)$/i.test(text)
      ? true
      : /^(?:false|no|n|off)$/i.test(text)
        ? false
        : this.refuse(`${quote(text)} is not true or false`)
  }

  list(): Setting[] {
    if (this.isNull) return []
    if (!isSeq(this.#node)) return this.refuse('a list was expected')
    return this.#node.items.map((item, i) => new Setting(this.#source, item as Node, `${this.path}[${i}]`))
  }

  texts(): string[] {
    return this.list().map(item => item.text())
  }

  /** Texts by name, in the file's order. */
  textMap(): [string, string][] {
    return this.entries().map(([name, value]) => [name, value.text()])
  }

  entries(): [string, Setting][] {
    if (this.isNull) return []
    if (!isMap(this.#node)) return this.refuse('a section (names with values) was expected')
    return (this.#node as YAMLMap<Node, Node>).items.map(pair => {
      const name = isScalar(pair.key) ? String(pair.key.value) : ''
      return [name, new Setting(this.#source, pair.value, this.path === '' ? name : `${this.path}.${name}`)]
    })
  }

  section(): Section {
    return new Section(this)
  }
}

export class Section {
  readonly #self: Setting
  readonly #values: ReadonlyMap<string, Setting>
  readonly #asked = new Set<string>()

  constructor(self: Setting) {
    this.#self = self
    this.#values = new Map(self.entries())
  }

  get names(): string[] {
    return [...this.#values.keys()]
  }
  /** The value; one that is null or absent is undefined. */
  get(name: string): Setting | undefined {
    this.#asked.add(name)
    const found = this.#values.get(name)
    return found === undefined || found.isNull ? undefined : found
  }
  has(name: string): boolean {
    return this.get(name) !== undefined
  }
  /** It is there, with or without a value. */
  stands(name: string): boolean {
    this.#asked.add(name)
    return this.#values.has(name)
  }
  text(name: string, fallback = ''): string {
    return this.get(name)?.text() ?? fallback
  }
  durationMs(name: string, fallback: number): number {
    return this.get(name)?.durationMs() ?? fallback
  }
  whole(name: string, fallback: number): number {
    return this.get(name)?.whole() ?? fallback
  }
  count(name: string, fallback: number): number {
    return this.get(name)?.count() ?? fallback
  }
  bytes(name: string, fallback: number): number {
    return this.get(name)?.bytes() ?? fallback
  }
  isOn(name: string, fallback: boolean): boolean {
    return this.get(name)?.isOn() ?? fallback
  }
  list(name: string): Setting[] {
    return this.get(name)?.list() ?? []
  }
  texts(name: string): string[] {
    return this.get(name)?.texts() ?? []
  }
  textMap(name: string): [string, string][] {
    return this.get(name)?.textMap() ?? []
  }
  section(name: string): Section | undefined {
    return this.get(name)?.section()
  }
  /** Notes each of these keys that the section has: nobody acts on them. `instead`: what does it, or why. */
  notDone(names: readonly string[], instead = ''): void {
    for (const name of names)
      this.get(name)?.note(`this setting is taken and not carried out${instead === '' ? '' : `: ${instead}`}`)
  }

  /** Keys that are known, and whose absence changes nothing. */
  ignore(...names: string[]): void {
    for (const name of names) this.#asked.add(name)
  }

  refuse(message: string): never {
    return this.#self.refuse(message)
  }

  /** Refuses a key that stands in the section, with its place. */
  refuseKey(name: string, message: string): never {
    return (this.#values.get(name) ?? this.#self).refuse(message)
  }

  /** Refuses the keys that nobody asked for. */
  finish(): void {
    for (const [name, value] of this.#values) {
      if (!this.#asked.has(name)) value.refuse(`unknown key; ${[...this.#asked].sort().join(', ')} are known here`)
    }
  }
}

/** The root of a file. Throws BadDataError for text that is no YAML. */
export function parseSettings(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>> | null = {},
): Setting {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new BadDataError(`${file}:${line}:${col}: ${error.message}`)
  }
  const anchors = new Set<string>()
  visit(document, {
    Node(_, node) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor)
        return
      }
      if (anchors.has(node.source)) return
      const { line, col } = lines.linePos(node.range?.[0] ?? 0)
      // What stands there may be a password.
      throw new BadDataError(
        `${file}:${line}:${col}: an alias without an anchor; a text that begins with * needs quotes`,
      )
    },
  })
  return new Setting({ file, lines, document, env, notes: [] }, document.contents, '')
}
