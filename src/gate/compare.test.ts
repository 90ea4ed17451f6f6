/** Runs over unchanged code on noisy machines give no failure, and planted defects are found, whatever the seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { syntheticRun, type Defects } from '../../test/gate/synthetic-run.ts'
import { compareProfiles, type Report } from './compare.ts'
import type { Finding } from './finding.ts'
import type { Profile } from './profile.ts'
import type { Kind } from './rule-table.ts'
import { Rules } from './rules.ts'

const seeds = Array.from({ length: 30 }, (_, i) => i + 1)
/** Defects are planted in so many of them; SEEDS=30 plants them in all, and finds them. */
const plantedSeeds = seeds.slice(0, Number(process.env['SEEDS'] ?? 10))

/** Base of each seed is made once. */
const bases = new Map<number, Profile>()

function baseOf(seed: number): Profile {
  const base = bases.get(seed) ?? syntheticRun(seed)
  bases.set(seed, base)
  return base
}

function reportOf(seed: number, defects: Defects = {}): Report {
  return compareProfiles(baseOf(seed), syntheticRun(seed + 1000, defects), new Rules())
}

function failures({ findings }: Report): Finding[] {
  return findings.filter(({ severity }) => severity === 'fail')
}

test('30 pairs of runs of the same code on noisy machines have no failure', () => {
  for (const seed of seeds) {
    const report = reportOf(seed)
    assert.deepEqual(failures(report), [], `seed ${seed}`)
    assert.equal(report.verdict, 'pass')
  }
})

const planted: readonly (readonly [what: string, defects: Defects, kind: Kind, text: RegExp])[] = [
  ['five more queries for a request', { moreQueries: 5 }, 'queries', /GET \/orders\/:id \(shop\) makes 7 queries/],
  ['three more calls', { moreCalls: 3 }, 'calls', /POST \/checkout \(shop\) makes 4 calls/],
  ['an exception in a fifth of the requests', { failingShare: 0.2 }, 'new_errors', /TypeError: Cannot read/],
  ['a route that takes 100 ms more', { slowerMs: 100 }, 'latency', /the median of GET \/products/],
  ['a route that takes twice as long', { slowerFactor: 2 }, 'latency', /the median of GET \/products/],
  ['a metric that is gone', { isMetricMissing: true }, 'vanished_metrics', /orders_total/],
  ['users in a label', { bombSeries: 500 }, 'cardinality', /sessions has 502 series.*the label user has 500 values/],
  ['a new error in the log', { isLoggingErrors: true }, 'new_log_errors', /stock is negative/],
]

for (const [what, defects, kind, text] of planted)
  test(`found with each of ${plantedSeeds.length} seeds, and nothing else: ${what}`, () => {
    for (const seed of plantedSeeds) {
      const found = failures(reportOf(seed, defects))
      assert.deepEqual([...new Set(found.map(finding => finding.kind))], [kind], `seed ${seed}`)
      assert.match(found[0]!.sentence, text)
    }
  })

test('all defects together are all found', () => {
  for (const seed of seeds.slice(0, 5)) {
    const all = Object.assign({}, ...planted.map(([, defects]) => defects).filter(d => d.slowerFactor === undefined))
    const kinds = new Set(failures(reportOf(seed, all as Defects)).map(finding => finding.kind))
    assert.deepEqual([...kinds].sort(), [...new Set(planted.map(([, , kind]) => kind))].sort(), `seed ${seed}`)
  }
})

test('a label that is gone is a warning that names it', () => {
  const [found] = reportOf(1, { isLabelMissing: true }).findings.filter(({ kind }) => kind === 'vanished_labels')
  assert.equal(found?.severity, 'warn')
  assert.deepEqual(found.subject, { metric: 'http_requests_total', label: 'instance' })
})

test('the same runs have the same report', () => {
  assert.deepEqual(reportOf(7), reportOf(7))
})
