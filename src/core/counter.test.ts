/** The process's own metrics, as the text exposition shows them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Registry } from './counter.ts'

test('counters, gauges, read values and histograms are printed by family, with escapes', () => {
  const registry = new Registry()
  const requests = registry.counter('requests_total', 'Requests.', { path: 'a"b\\c\nd' })
  requests.increment()
  requests.add(2)
  registry.gauge('temperature', 'Back\\slash\nand line.').set(-Infinity)
  registry.read('now', 'A value.', 'gauge', () => 7, { x: 'y' })
  registry.counter('requests_total', 'Requests.', { path: 'e' })
  const seconds = registry.distribution('seconds', 'Time.', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 3]) seconds.observe(value)
  assert.equal(
    registry.expose(),
    [
      '# HELP requests_total Requests.',
      '# TYPE requests_total counter',
      'requests_total{path="a\\"b\\\\c\\nd"} 3',
      'requests_total{path="e"} 0',
      '# HELP temperature Back\\\\slash\\nand line.',
      '# TYPE temperature gauge',
      'temperature -Inf',
      '# HELP now A value.',
      '# TYPE now gauge',
      'now{x="y"} 7',
      '# HELP seconds Time.',
      '# TYPE seconds histogram',
      'seconds_bucket{le="0.1"} 2',
      'seconds_bucket{le="1"} 3',
      'seconds_bucket{le="+Inf"} 4',
      'seconds_sum 3.65',
      'seconds_count 4',
      '',
    ].join('\n'),
  )
})
