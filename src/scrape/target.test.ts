/** From discovered groups to targets: defaults, relabelling, addresses, what makes a target unfit. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { readPrometheusConfig } from './config.ts'
import { makeTargets, type TargetSet } from './target.ts'

function targets(job: string, ...addresses: string[]): TargetSet {
  const [read] = readPrometheusConfig(`scrape_configs: [{ job_name: j, ${job} }]`, 'p.yml', { env: {} }).jobs
  assert.ok(read)
  const own = addresses.map((address): [string, string][] => [
    ['__address__', address],
    ['__meta_zone', 'z'],
  ])
  return makeTargets(read, [{ source: 's', targets: own, labels: [['team', 't']] }])
}

/** Job, address, then the URL and the labels of the target. */
const cases: readonly (readonly [string, string, string, string])[] = [
  ['', 'h:1', 'http://h:1/metrics', 'instance=h:1 job=j team=t'],
  ['scheme: https, metrics_path: /p', 'h', 'https://h/p', 'instance=h job=j team=t'],
  ['params: { a: [x, y], b: [] }', 'h:1', 'http://h:1/metrics?a=x&a=y', 'instance=h:1 job=j team=t'],
  ['metrics_path: "/p?q=1", params: { a: [x] }', 'h:1', 'http://h:1/p?q=1&a=x', 'instance=h:1 job=j team=t'],
  [
    'relabel_configs: [{ source_labels: [__meta_zone], target_label: zone }, { target_label: __param_t, ' +
      'replacement: v }]',
    'h:1',
    'http://h:1/metrics?t=v',
    'instance=h:1 job=j team=t zone=z',
  ],
  [
    'params: { t: [old] }, relabel_configs: [{ source_labels: [__address__], target_label: __param_t }, ' +
      '{ source_labels: [__param_t], target_label: instance }, { target_label: __address__, replacement: ' +
      '"prober:9115" }]',
    'h:1',
    'http://prober:9115/metrics?t=h%3A1',
    'instance=h:1 job=j team=t',
  ],
  [
    'relabel_configs: [{ target_label: job, replacement: other }]',
    '[::1]:9',
    'http://[::1]:9/metrics',
    'instance=[::1]:9 job=other team=t',
  ],
]
for (const [job, address, url, labels] of cases)
  test(`target: ${job} at ${address}`, () => {
    const [target] = targets(job, address).active
    assert.equal(target?.url, url)
    assert.equal(target?.labels.map(pair => pair.join('=')).join(' '), labels)
  })

/** Relabelling that makes a target unfit, and the reason. */
const problems: readonly (readonly [string, string])[] = [
  ['__address__, replacement: ""', 's: no address'],
  ['__address__, replacement: "h/x"', 's: "h/x" is not a valid hostname'],
  ['__scrape_interval__, replacement: soon', 's: error parsing scrape interval: "soon"'],
  ['__scrape_timeout__, replacement: 0s', 's: error parsing scrape timeout: "0s"'],
  ['__scrape_timeout__, replacement: 2m', 's: scrape timeout cannot be greater than scrape interval ("2m" > "1m")'],
  ['__scheme__, replacement: gopher', 's: unsupported scheme: "gopher"'],
]
for (const [rule, problem] of problems)
  test(`unfit: ${rule}`, () => {
    const set = targets(`relabel_configs: [{ target_label: ${rule} }]`, 'h:1')
    assert.deepEqual([set.active, set.problems, set.dropped.length], [[], [problem], 1])
  })

test('relabelling drops targets, whose labels from before are kept; equal targets are one', () => {
  const set = targets(
    'relabel_configs: [{ source_labels: [__address__], regex: "b.*", action: drop }]',
    'a:1',
    'b:1',
    'a:1',
  )
  assert.deepEqual([set.active.length, set.problems], [1, []])
  const [dropped] = set.dropped
  assert.deepEqual(dropped?.slice(0, 2), [
    ['__address__', 'b:1'],
    ['__meta_zone', 'z'],
  ])
})

test('an interval that relabelling sets is the interval of the target', () => {
  const [target] = targets('relabel_configs: [{ target_label: __scrape_interval__, replacement: 90s }]', 'h:1').active
  assert.deepEqual([target?.intervalMs, target?.timeoutMs], [90_000, 10_000])
})

test('with tenancy a target is the tenant that its job, or its label __tenant_id__, says', () => {
  const read = (job: string, hasTenancy = true): [tenant: string, problem: string, hasLabel: boolean] => {
    const text = `scrape_configs: [{ job_name: j, ${job} }]`
    const [read] = readPrometheusConfig(text, 'p.yml', { env: {}, hasTenants: true }).jobs
    const group = { source: 's', targets: [[['__address__', 'h:1']] as [string, string][]], labels: [] }
    const [target] = makeTargets(read!, [group], hasTenancy).active
    return [target!.tenant, target!.problem, target!.labels.some(([name]) => name === '__tenant_id__')]
  }
  const relabelled = (to: string): string =>
    `tenant: a, relabel_configs: [{ target_label: __tenant_id__, replacement: "${to}" }]`
  assert.deepEqual(read('tenant: a'), ['a', '', false])
  assert.deepEqual(read(relabelled('b')), ['b', '', false])
  assert.deepEqual(read(relabelled('b'), false), ['a', '', false])
  assert.match(read(relabelled('a|b'))[1], /names several tenants/)
  assert.throws(() => read('tenant: "a b"'), /p\.yml:1:\d+: .*tenant.* contains an unsupported character/)
  const without = readPrometheusConfig('scrape_configs: [{ job_name: j, tenant: a }]', 'p.yml', { env: {} })
  assert.deepEqual([without.jobs[0]?.tenant, without.warnings.length], ['', 1])
})
