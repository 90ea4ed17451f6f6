/** Fields of lines as they are stored: those that the readers of texts find, or the line is left to them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom, type Random } from '#core/random.ts'
import { readJsonFields, labelName, type FieldSink } from './json-line.ts'
import { readLogfmt } from './logfmt-line.ts'
import { StoredJson } from './stored-json.ts'
import { StoredLogfmt } from './stored-logfmt.ts'

const keys = ['status', 'user', 'id', 'msg', 'a-b', 'x.y', '_', '__error__', 'über', '1st', 'ok', ' pad', '']
const texts = [
  'x',
  '',
  'GET',
  'two words',
  'ä',
  'a\\"b',
  'back\\\\',
  '\\u0041',
  '}',
  ']',
  '{',
  '[',
  ',',
  '=',
  'null',
  '\\x',
]
const words = ['1', '-2.5e3', '0', 'true', 'false', 'null', 'nul', 'tru', '12a', '', '+1']

function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)]!
}

function jsonValue(random: Random, depth: number): string {
  switch (below(random, depth > 0 ? 6 : 4)) {
    case 0:
    case 1:
      return `"${pick(random, texts)}"`
    case 2:
    case 3:
      return pick(random, words)
    case 4:
      return `[${jsonValue(random, depth - 1)}, ${jsonValue(random, depth - 1)}]`
    default:
      return jsonObject(random, depth - 1)
  }
}

function jsonObject(random: Random, depth: number): string {
  const space = pick(random, ['', '', ' ', '\t'])
  const members = Array.from(
    { length: below(random, 5) },
    () => `"${pick(random, keys)}"${space}:${space}${jsonValue(random, depth)}`,
  )
  return `{${space}${members.join(`${space},${space}`)}${space}}`
}

function logfmtLine(random: Random): string {
  const pairs = Array.from({ length: below(random, 6) }, () => {
    const value = pick(random, [...texts, ...words])
    return pick(random, [
      `${pick(random, keys)}=${value}`,
      `${pick(random, keys)}="${value}"`,
      pick(random, keys),
      `${pick(random, keys)}=`,
    ])
  })
  return pairs.join(pick(random, [' ', '  ', '\t', '']))
}

/** Some lines are cut off, or have a character of another kind somewhere. */
function spoiled(random: Random, line: string): string {
  const at = below(random, line.length + 1)
  switch (below(random, 6)) {
    case 0:
      return line.slice(0, at)
    case 1:
      return line.slice(0, at) + pick(random, ['"', '{', '}', '=', '\\', 'é', '\u0000', ' ']) + line.slice(at)
    default:
      return line
  }
}

/** Collects wanted fields, each once, and stops behind the last one, as the parsers of a pipeline do. */
class Collected {
  readonly #wanted: ReadonlySet<string>
  fields: string[] = []

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted
  }

  readonly add: FieldSink = (name, value) => {
    if (!this.#wanted.has(name) || this.fields.some(field => field.startsWith(`${name}=`))) return true
    this.fields.push(`${name}=${value}`)
    return this.fields.length < this.#wanted.size
  }

  readonly restart = (): void => {
    this.fields = []
  }
}

const wantedSets = [
  ['status'],
  ['status', 'user_id'],
  ['a_b', 'x_y', 'ok'],
  ['nowhere'],
  ['_1st', 'msg', 'user_user_id'],
]

/** Compares many lines, some of them with a line in front and behind; returns how many were read as they are stored. */
function compare(
  lineOf: (random: Random) => string,
  readText: (line: string, into: Collected) => string | undefined,
  makeStored: (wanted: ReadonlySet<string>, sink: FieldSink) => StoredJson | StoredLogfmt,
): { lines: number; read: number } {
  const random = seededRandom(5)
  const count = 20_000
  let read = 0
  for (const names of wantedSets) {
    const wanted = new Set(names)
    let stored = new Collected(wanted)
    const reader = makeStored(wanted, (name, value) => stored.add(name, value))
    for (let i = 0; i < count; i++) {
      const line = spoiled(random, lineOf(random))
      const [before, behind] = [pick(random, ['', '{"', 'a=']), pick(random, ['', '"}', '=1 '])]
      const bytes = Buffer.from(before + line + behind)
      const from = Buffer.byteLength(before)
      stored = new Collected(wanted)
      if (!reader.read(bytes, from, from + Buffer.byteLength(line))) continue
      read++
      const byText = new Collected(wanted)
      assert.equal(readText(line, byText), undefined, line)
      assert.deepEqual(stored.fields, byText.fields, line)
    }
  }
  return { lines: count * wantedSets.length, read }
}

test('JSON', () => {
  const { lines, read } = compare(
    random => jsonObject(random, 2),
    (line, into) => readJsonFields(line, into.add, into.restart),
    (wanted, sink) => new StoredJson(wanted, sink),
  )
  assert.ok(read > lines / 5, `${read} of ${lines}`)
})

test('logfmt, strict and not', () => {
  for (const isStrict of [false, true]) {
    const { lines, read } = compare(
      logfmtLine,
      (line, into) => readLogfmt(line, isStrict, (key, value) => into.add(labelName(key), value)),
      (wanted, sink) => new StoredLogfmt(wanted, sink),
    )
    assert.ok(read > lines / 5, `${read} of ${lines}`)
  }
})
