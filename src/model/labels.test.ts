/** Label sets. */
import { seededRandom } from '#core/random.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareLabels, isLegacyLabelName, isLegacyMetricName, Labels } from './labels.ts'

const of = (object: Record<string, string>): Labels => Labels.fromObject(object)

test('names in order, the last value of a name, no empty values', () => {
  const labels = Labels.from([
    ['b', '1'],
    ['a', '2'],
    ['b', '3'],
    ['c', ''],
  ])
  assert.deepEqual(labels.pairs, ['a', '2', 'b', '3'])
  assert.deepEqual(labels.toObject(), { a: '2', b: '3' })
  assert.deepEqual(
    [labels.size, labels.get('b'), labels.get('c'), labels.has('a'), labels.has('c')],
    [2, '3', '', true, false],
  )
})

test('names sort by their bytes, not by UTF-16', () => {
  assert.deepEqual(of({ '\u{10000}': '1', '\uffff': '2' }).pairs, ['\uffff', '2', '\u{10000}', '1'])
})

test('equal sets, and only those, have equal keys', () => {
  assert.ok(of({ a: '1', b: '2' }).equals(of({ b: '2', a: '1' })))
  assert.ok(!of({ a: '1b', b: '2' }).equals(of({ a: '1', bb: '2' })))
  assert.equal(Labels.empty.key, of({}).key)
})

test('with, keep and drop leave the set as it was', () => {
  const labels = of({ a: '1', c: '3' })
  assert.equal(labels.with('b', '2').toString(), '{a="1", b="2", c="3"}')
  assert.equal(labels.with('d', '4').toString(), '{a="1", c="3", d="4"}')
  assert.equal(labels.with('a', '').toString(), '{c="3"}')
  assert.equal(labels.with('c', '4').toString(), '{a="1", c="4"}')
  assert.equal(labels.keep(new Set(['a', 'x'])).toString(), '{a="1"}')
  assert.equal(labels.drop(new Set(['a', 'x'])).toString(), '{c="3"}')
  assert.equal(labels.keep(new Set(['a', 'c'])), labels)
  assert.equal(labels.drop(new Set(['x'])), labels)
  assert.equal(labels.toString(), '{a="1", c="3"}')
})

test('a projection is made once for its name', () => {
  const labels = of({ a: '1', c: '3' })
  let made = 0
  const project = (set: Labels): Labels => {
    made++
    return set.drop(new Set(['a']))
  }
  assert.equal(labels.memoized('drop a', project), labels.memoized('drop a', project))
  assert.equal(made, 1)
  labels.memoized('other', project)
  assert.equal(made, 2)
})

test('texts as PromQL prints them', () => {
  const cases: [labels: Record<string, string>, text: string][] = [
    [{}, '{}'],
    [{ __name__: 'up' }, 'up'],
    [{ __name__: 'up', job: 'a"b\\' }, 'up{job="a\\"b\\\\"}'],
    [{ __name__: 'with.dots', 'a-b': '1' }, '{__name__="with.dots", "a-b"="1"}'],
  ]
  for (const [labels, text] of cases) assert.equal(of(labels).toString(), text)
})

test('the order of series', () => {
  const sorted = [{}, { a: '1' }, { a: '1', b: '1' }, { a: '2' }, { b: '1' }].map(of)
  for (const [i, a] of sorted.entries())
    for (const [k, b] of sorted.entries()) assert.equal(Math.sign(compareLabels(a, b)), Math.sign(i - k))
})

test('names of the older rules', () => {
  assert.deepEqual(['a', '_1', '1a', 'a:b', 'a.b', ''].map(isLegacyLabelName), [true, true, false, false, false, false])
  assert.deepEqual(['a:b', '1a', 'a.b'].map(isLegacyMetricName), [true, false, false])
})

test('a label may have a name that every object has', () => {
  const labels = Labels.from([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ])
  assert.equal(JSON.stringify(labels.toObject()), '{"__proto__":"x","constructor":"y"}')
  assert.equal(Labels.fromObject(labels.toObject()).key, labels.key)
})

test('few labels are sorted as many are: the last value of a name wins, and an empty one takes the label away', () => {
  const random = seededRandom(5)
  const names = ['a', 'b', '', 'ä', '\u{1f600}', '\uffff', 'aa', 'B']
  const values = ['1', '2', '', 'x']
  for (let round = 0; round < 2000; round++) {
    const entries = Array.from({ length: random.u32() % 12 }, (): [string, string] => [
      names[random.u32() % names.length]!,
      values[random.u32() % values.length]!,
    ])
    assert.deepEqual(Labels.from(entries).pairs, Labels.from(entries.values()).pairs, JSON.stringify(entries))
  }
})
