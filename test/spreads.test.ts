import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { spreadCalls } from '../tools/spreads.ts'

test('calls that a list is spread into are found, others are not', () => {
  const cases: [text: string, lines: number[]][] = [
    ['a.push(...b)', [1]],
    ['a\n  .push(\n    1,\n    ...(c ? d : e),\n  )', [4]],
    ['Math.max(0, ...a.map(b => b.c))', [1]],
    ['String.fromCharCode(...bytes)', [1]],
    ['a.splice(0, 1, ...b)', [1]],
    ['Object.assign({}, ...parts)', [1]],
    ['a.push([...b], { ...c }, f(...d))', []],
    ['const f = (...a: number[]) => g(...a)', []],
    ["// a.push(...b)\n'a.push(...b)'\n/* a.push(...b) */", []],
    ['// few: a label has two parts\na.push(...b)\n\na.push(...c) // few: also', []],
    ['a.push(...b) // few: so\nx()\na.push(...d)', [3]],
    ['const r = /[(\'"]/\na.push(...b)', [2]],
  ]
  for (const [text, lines] of cases) deepEqual(spreadCalls(text), lines, text)
})
