/** Dashboards of Grafana as they are read here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { colorAt, fill, laidOut, legendOf, readDashboard } from './grafana.ts'

test('variables in every form that dashboards have', () => {
  const values = { job: ['a'], pods: ['a.b', 'c'], all: ['.*'] }
  const cases: [string, string][] = [
    ['up{job="$job"}', 'up{job="a"}'],
    ['up{job="${job}"}', 'up{job="a"}'],
    ['up{job="[[job]]"}', 'up{job="a"}'],
    ['up{pod=~"$pods"}', 'up{pod=~"(a\\\\.b|c)"}'],
    ['${pods:csv} ${pods:pipe}', 'a.b,c a.b|c'],
    ['rate(x[$__rate_interval])', 'rate(x[60s])'],
    ['x[$__interval] $__range', 'x[15s] 5m'],
    ['$unknown ${job:regex}', '$unknown a'],
  ]
  for (const [text, wanted] of cases) assert.equal(fill(text, values, '5m', 15), wanted)
})

test('rows are opened and panels repeated; what is no dashboard is said to be none', () => {
  const read = readDashboard(
    JSON.stringify({
      dashboard: {
        title: 'T',
        panels: [
          { id: 1, type: 'row', title: 'R', collapsed: true, panels: [{ id: 2, type: 'timeseries', repeat: 'job' }] },
          { id: 3, type: 'stat' },
        ],
      },
    }),
  )
  const out = laidOut(read.panels, { job: ['a', 'b'] })
  assert.deepEqual(
    out.map(o => [o.panel.type, o.values['job']]),
    [
      ['row', ['a', 'b']],
      ['timeseries', ['a']],
      ['timeseries', ['b']],
      ['stat', ['a', 'b']],
    ],
  )
  assert.equal(new Set(out.map(o => o.panel.id)).size, 4)
  assert.deepEqual(readDashboard('{"title":"old","rows":[{"panels":[{"id":1,"type":"graph"}]}]}').panels.length, 1)
  for (const text of ['{}', '[]', '{"panels":3}']) assert.throws(() => readDashboard(text), /no dashboard/)
  assert.throws(() => readDashboard('not json'))
})

test('legends and thresholds', () => {
  assert.equal(legendOf('{{job}} {{ code }}', { job: 'a', code: '200' }, 'x'), 'a 200')
  assert.equal(legendOf('__auto', {}, 'x'), 'x')
  const steps = [
    { color: 'green', value: null },
    { color: 'orange', value: 10 },
    { color: 'dark-red', value: 20 },
  ]
  assert.deepEqual(
    [5, 10, 25].map(v => colorAt(steps, v)),
    ['good', 'warn', 'bad'],
  )
})
