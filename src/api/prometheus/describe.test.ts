/** Syntax trees as /api/v1/parse_query shows them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parsePromql } from '#lang/promql/parser.ts'
import { describeExpr } from './describe.ts'

const noModifiers = { offset: 0, offsetExpr: null, timestamp: null, startOrEnd: null }
const selector = (name: string, more: object = {}): object => ({
  type: 'vectorSelector',
  name,
  matchers: [{ name: '__name__', value: name, type: '=' }],
  ...noModifiers,
  anchored: false,
  smoothed: false,
  ...more,
})

const subquery = (more: object): object => ({
  type: 'subquery',
  expr: selector('up'),
  range: 300_000,
  rangeExpr: null,
  stepExpr: null,
  ...noModifiers,
  ...more,
})

/** A duration that is computed. */
const computed = (op: string, lhs: object | null, rhs: object | null, wrapped = false): object => ({
  type: 'durationExpr',
  op,
  lhs,
  rhs,
  wrapped,
})
const literal = (val: string, duration: boolean): object => ({ type: 'numberLiteral', val, duration })

test('each kind of expression has its node', () => {
  const cases: [query: string, node: object][] = [
    ['1.5', { type: 'numberLiteral', val: '1.5' }],
    ['"text"', { type: 'stringLiteral', val: 'text' }],
    ['up', selector('up')],
    ['up offset 5m', selector('up', { offset: 300_000 })],
    ['up @ 1.5', selector('up', { timestamp: 1500 })],
    ['up @ end()', selector('up', { startOrEnd: 'end' })],
    ['up[5m]', selector('up', { type: 'matrixSelector', range: 300_000, rangeExpr: null })],
    ['up[5m:1m]', subquery({ step: 60_000 })],
    [
      'up[5m:step() * 2]',
      subquery({ step: 0, stepExpr: computed('*', computed('step', null, null), literal('2', false)) }),
    ],
    [
      'up offset -(1m + max_of(1, range()))',
      selector('up', {
        offsetExpr: computed(
          '-',
          null,
          computed(
            '+',
            literal('60', true),
            computed('max_of', literal('1', false), computed('range', null, null)),
            true,
          ),
        ),
      }),
    ],
    ['up[5m:]', subquery({ step: 0 })],
    [
      'rate(up[1m])',
      {
        type: 'call',
        func: { name: 'rate', argTypes: ['matrix'], variadic: 0, returnType: 'vector' },
        args: [selector('up', { type: 'matrixSelector', range: 60_000, rangeExpr: null })],
      },
    ],
    [
      'sum by (a) (up)',
      { type: 'aggregation', op: 'sum', expr: selector('up'), param: null, grouping: ['a'], without: false },
    ],
    [
      'topk without (a) (3, up)',
      {
        type: 'aggregation',
        op: 'topk',
        expr: selector('up'),
        param: { type: 'numberLiteral', val: '3' },
        grouping: ['a'],
        without: true,
      },
    ],
    ['-up', { type: 'unaryExpr', op: '-', expr: selector('up') }],
    ['(up)', { type: 'parenExpr', expr: selector('up') }],
    [
      '1 > bool 2',
      {
        type: 'binaryExpr',
        op: '>',
        lhs: { type: 'numberLiteral', val: '1' },
        rhs: { type: 'numberLiteral', val: '2' },
        bool: true,
        matching: null,
      },
    ],
    [
      'up * on (a) group_left (b) up',
      {
        type: 'binaryExpr',
        op: '*',
        lhs: selector('up'),
        rhs: selector('up'),
        bool: false,
        matching: {
          card: 'many-to-one',
          labels: ['a'],
          on: true,
          include: ['b'],
          fillValues: { lhs: null, rhs: null },
        },
      },
    ],
  ]
  for (const [query, node] of cases)
    // As JSON: a member that is undefined is left out.
    assert.deepEqual(JSON.parse(JSON.stringify(describeExpr(parsePromql(query)))), node, query)
})
