/** Functions of notification templates: what they take, and how they fail for anything else. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import type { ManagedAlert } from './store.ts'
import { Templates, type TemplateData } from './template-data.ts'

const startsMs = Date.parse('2026-11-28T12:00:00Z')
const alert: ManagedAlert = {
  labels: Labels.fromObject({ alertname: 'Down', job: 'web' }),
  annotations: Labels.fromObject({ summary: 'a <b>' }),
  startsMs,
  endsMs: 0,
  generatorUrl: 'http://g',
  fingerprint: 'f1',
  updatedMs: startsMs,
  isTimeout: false,
  characters: 0,
}
const data: TemplateData = {
  receiver: 'team',
  status: 'firing',
  alerts: [alert],
  groupLabels: Labels.fromObject({ alertname: 'Down' }),
  externalUrl: 'http://am',
  nowMs: startsMs + 90_000,
}
const templates = new Templates([])

for (const [source, text] of [
  [
    '{{ .Status | toUpper }} {{ len .Alerts.Firing }} {{ .GroupLabels.SortedPairs.Values | join " " }}',
    'FIRING 1 Down',
  ],
  [
    '{{ .CommonLabels.Names | join "," }} {{ (.CommonLabels.Remove (stringSlice "job")).Names }}',
    'alertname,job [alertname]',
  ],
  [
    '{{ range .Alerts }}{{ .StartsAt.Format "15:04" }} {{ .StartsAt | date "2006" }} {{ since .StartsAt }}{{ end }}',
    '12:00 2026 1m 30s',
  ],
  ['{{ index (append (list 1) 2) 1 }} {{ (dict "a" 1).a }} {{ .CommonLabels.nosuch }}|', '2 1 |'],
] as const)
  test(`${source} prints ${text}`, () => {
    assert.equal(templates.text(source, data), text)
  })

for (const [source, problem] of [
  ['{{ toUpper }}', /wrong number of args for toUpper: want 1 got 0$/],
  ['{{ .Alerts | toUpper }}', /wrong type for value; expected string; got template\.Alerts$/],
  ['{{ "x" | safeHtml | toUpper }}', /wrong type for value; expected string; got template\.HTML$/],
  ['{{ join "," .Status }}', /wrong type for value; expected \[\]string; got string$/],
  ['{{ date "2006" .Status }}', /wrong type for value; expected time\.Time; got string$/],
  ['{{ .GroupLabels.Remove "a" }}', /can't handle "a" for arg of type \[\]string$/],
  ['{{ dict "a" }}', /error calling dict: dict takes a value for each key$/],
] as const)
  test(`${source} fails`, () => {
    assert.throws(() => templates.text(source, data), { name: 'ExecutionFailure', message: problem })
  })
