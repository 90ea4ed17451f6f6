/** JSON bodies: what is counted before anything is parsed, and pieces that give what a whole gives. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { elementsMax } from './body-limits.ts'
import { BadDataError, LimitError } from './errors.ts'
import { checkJson, parseJsonBytes, parseJsonInPieces, readJsonBody } from './json-body.ts'
import { bodyDepthMax } from './limits.ts'
import { seededRandom } from './random.ts'

const noPause = (): Promise<void> => Promise.resolve()
const inPieces = (text: string, piece: number): Promise<unknown> => parseJsonInPieces(Buffer.from(text), noPause, piece)

test('empty elements are refused before they are parsed, with their limit and what to do', () => {
  for (const element of ['{},', '[],', '{"a":1},', '[[]],', '0,', '"",', 'null,']) {
    const body = Buffer.from(`[${element.repeat(4_000_000)}0]`)
    assert.throws(
      () => checkJson(body),
      (error: unknown) => {
        assert.ok(error instanceof LimitError, element)
        assert.equal(error.status, 400)
        const most = elementsMax('parts', body.length)
        assert.match(
          error.message,
          new RegExp(`^the body of ${body.length} bytes has more than ${most} elements by byte `),
        )
        assert.match(error.message, /which is the limit for its size; send smaller requests$/)
        return true
      },
      element,
    )
  }
})

test('what a collector sends at once is far below the limit of elements', () => {
  const attribute = '{"key":"http.method","value":{"stringValue":"GET"}}'
  const attributes = `${`${attribute},`.repeat(14)}${attribute}`
  const record = `{"timeUnixNano":"1700000000000000000","body":{"stringValue":"x"},"attributes":[${attributes}]}`
  checkJson(Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${`${record},`.repeat(8191)}${record}]}]}]}`))
})

test('lists and objects that are nested too deep are refused with the byte; brackets in texts are no lists', () => {
  const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
  checkJson(nested(bodyDepthMax))
  assert.throws(
    () => checkJson(nested(bodyDepthMax + 1)),
    new BadDataError('the JSON is nested more than 512 deep at byte 512, which is the limit'),
  )
  assert.throws(() => checkJson(Buffer.from('{"a":'.repeat(600))), /at byte 2560,/)
  checkJson(
    Buffer.from(JSON.stringify(['['.repeat(5000), `\\"${'{'.repeat(5000)}`, `${'\\'.repeat(99)}"${'['.repeat(999)}`])),
  )
})

test('a body of any form is the same in pieces of any size', async () => {
  const random = seededRandom(7)
  const below = (n: number): number => random.u32() % n
  const space = (): string => ['', '', ' ', '\n\t', '\r\n'][below(5)]!
  const value = (depth: number): string => {
    const kind = below(depth > 4 ? 5 : 9)
    const many = Array.from({ length: depth > 4 ? 0 : below(6) }, () => value(depth + 1))
    if (kind === 0) return JSON.stringify('\\"[{,'.repeat(below(20)) + '\\'.repeat(below(4)))
    if (kind === 1) return String(below(1000))
    if (kind === 2) return '9007199254740993'
    if (kind < 5) return ['true', 'null', '"ä€😀"', '"__proto__"', '-0.10'][below(5)]!
    if (kind < 7) return `[${space()}${many.join(`${space()},${space()}`)}${space()}]`
    const names = ['a', 'b', '__proto__', '7', 'ä', 'a,"b":{', '\\']
    const members = many.map(v => `${JSON.stringify(names[below(7)])}${space()}:${space()}${v}`)
    return `{${space()}${members.join(`,${space()}`)}${space()}}`
  }
  for (let round = 0; round < 3000; round++) {
    const text = space() + value(0) + space()
    const whole = parseJsonBytes(Buffer.from(text))
    for (const piece of [1, 7, 40]) {
      const pieces = await inPieces(text, piece)
      assert.deepEqual(pieces, whole, text)
      assert.equal(JSON.stringify(pieces), JSON.stringify(whole), text)
    }
  }
})

test('what is no JSON as a whole is none in pieces', async () => {
  const random = seededRandom(8)
  const below = (n: number): number => random.u32() % n
  const good = '{"a":[1,{"b":[2,[3,4],{}]},"x,]"],"c":{"d":{"e":[[],[5]]}},"f":[{"g":null},{"h":[true,false]}]}'
  let refused = 0
  for (let round = 0; round < 4000; round++) {
    const at = below(good.length)
    const text =
      good.slice(0, at) + ['', ',', ']', '}', '[', '{', ':', '"', ' ', '1'][below(10)] + good.slice(at + below(3))
    let whole: unknown
    try {
      whole = JSON.parse(text)
    } catch {
      refused++
      for (const piece of [1, 12]) await assert.rejects(inPieces(text, piece), SyntaxError, text)
      continue
    }
    for (const piece of [1, 12]) assert.deepEqual(await inPieces(text, piece), whole, text)
  }
  assert.ok(refused > 1000)
})

test('a long body is counted and parsed in pieces, with a pause after each', async () => {
  const body = Buffer.from(
    JSON.stringify({ a: Array.from({ length: 40_000 }, (_, i) => ({ i, text: 'x'.repeat(90) })) }),
  )
  let pauses = 0
  const pause = (): Promise<void> => {
    pauses++
    return Promise.resolve()
  }
  const value = (await readJsonBody(body, pause)) as { a: unknown[] }
  assert.equal(value.a.length, 40_000)
  assert.ok(pauses >= 2 * Math.floor(body.length / (1 << 20)), String(pauses))
})

test('what is wrong with a body is bad data', async () => {
  await assert.rejects(readJsonBody(Buffer.from('{"a":'), noPause), (error: unknown) => {
    assert.ok(error instanceof BadDataError)
    assert.match(error.message, /^the body is not JSON: /)
    return true
  })
  await assert.rejects(readJsonBody(Buffer.from('['.repeat(999)), noPause), /^BadDataError: the JSON is nested more/)
})
