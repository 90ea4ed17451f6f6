/** What was taken in and refused, from a process' own metrics. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takenOf } from './taken-counts.ts'

test('counts of signals are summed, and refused pushes are told by path and status', () => {
  const { counts, refused, requests, refusedRequests } = takenOf(`# HELP tercet_samples_appended_total x
tercet_samples_appended_total{signal="metrics"} 7
tercet_spans_appended_total 140
tercet_log_lines_appended_total 2
tercet_log_lines_refused_total{reason="old"} 1
tercet_log_lines_refused_total{reason="long"} 2
tercet_http_requests_total{path="/v1/traces",code="200"} 5
tercet_http_requests_total{path="/v1/traces",code="413"} 2
tercet_http_requests_total{path="/api/v1/query",code="400"} 9
tercet_http_requests_total{path="/metrics",code="200"} 90
`)
  assert.deepEqual(counts, { samples: 7, lines: 2, spans: 140 })
  assert.deepEqual(refused, { samples: 0, lines: 3, spans: 0 })
  assert.equal(requests, 7)
  assert.deepEqual([...refusedRequests], [['/v1/traces: 413', 2]])
})
