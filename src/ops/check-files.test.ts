/** Files of rules and of Alertmanager, checked without starting anything: what is printed, and the exit code. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryFiles } from '#core/memory-files.ts'
import { checkAlertmanagerFiles, checkConfigFiles, checkRuleFiles, runRuleTests } from './check-files.ts'
import type { Output } from './output.ts'

const texts: Readonly<Record<string, string>> = {
  '/w/good.yml': 'groups: [{ name: g, rules: [{ record: "a:b", expr: sum(up) }, { alert: A, expr: up == 0 }] }]',
  '/w/bad.yml': 'groups: [{ name: g, rules: [{ record: a, expr: "sum(" }] }]',
  '/w/prometheus.yml': 'rule_files: [good.yml]\nscrape_configs: [{ job_name: x }]',
  '/w/missing.yml': 'rule_files: [gone.yml]',
  '/w/pattern.yml': 'rule_files: ["none*.yml"]',
  '/w/alertmanager.yml': 'route: { receiver: r }\nreceivers: [{ name: r }]',
  '/w/receiverless.yml': 'route: { receiver: r }',
  '/w/right.yml': unitTests('15'),
  '/w/wrong.yml': unitTests('16'),
}
/** Of /w/sum.yml, with the value that is expected at the end. */
function unitTests(value: string): string {
  return `rule_files: [sum.yml]
evaluation_interval: 1m
tests:
  - name: sums
    interval: 1m
    input_series: [{ series: 'x{i="1"}', values: '1 2 3 4 5' }, { series: 'x{i="2"}', values: '10x4' }]
    promql_expr_test: [{ expr: 'x:sum', eval_time: 4m, exp_samples: [{ labels: 'x:sum', value: ${value} }] }]
`
}

async function files(): Promise<MemoryFiles> {
  const memory = new MemoryFiles()
  const all = { ...texts, '/w/sum.yml': 'groups: [{ name: g, rules: [{ record: "x:sum", expr: sum(x) }] }]' }
  for (const [path, text] of Object.entries(all)) await memory.writeAtomic(path, Buffer.from(text))
  return memory
}

/** `exit code | what was printed | what was printed as an error`, without blanks around. */
async function shown(check: (memory: MemoryFiles, output: Output) => Promise<number>): Promise<string> {
  const out: string[] = []
  const err: string[] = []
  const output = { out: (text: string) => out.push(text.trim()), err: (text: string) => err.push(text.trim()) }
  const code = await check(await files(), output)
  return [code, out.join('; '), err.join('; ')].join(' | ')
}

const rules: readonly (readonly [paths: string[], shown: RegExp])[] = [
  [['/w/good.yml'], /^0 \| Checking \/w\/good\.yml; SUCCESS: 2 rules found \| $/],
  [['/w/bad.yml'], /^1 \| Checking \/w\/bad\.yml \| FAILED: \/w\/bad\.yml:1:\d+: .*$/],
  [
    ['/w/bad.yml', '/w/good.yml'],
    /^1 \| Checking \/w\/bad\.yml; Checking \/w\/good\.yml; SUCCESS: 2 rules found \| FAILED: /,
  ],
  [
    ['/w/nowhere.yml'],
    /^1 \| Checking \/w\/nowhere\.yml \| FAILED: \/w\/nowhere\.yml: no such file: \/w\/nowhere\.yml$/,
  ],
]
for (const [paths, expected] of rules)
  test(`check rules ${paths.join(' ')}`, async () => {
    assert.match(await shown((memory, output) => checkRuleFiles(paths, memory, output)), expected)
  })

const configs: readonly (readonly [path: string, shown: RegExp])[] = [
  [
    '/w/prometheus.yml',
    /^0 \| .*SUCCESS: \/w\/prometheus\.yml is valid prometheus config file syntax \(1 scrape jobs, 2 rules\) \| $/,
  ],
  ['/w/missing.yml', /^1 \| Checking \/w\/missing\.yml \| FAILED: \/w\/gone\.yml does not point to an existing file$/],
  ['/w/pattern.yml', /^0 \| .*SUCCESS: .*\(0 scrape jobs, 0 rules\) \| $/],
]
for (const [path, expected] of configs)
  test(`check config ${path}`, async () => {
    assert.match(await shown((memory, output) => checkConfigFiles([path], memory, output)), expected)
  })

const alertmanagers: readonly (readonly [path: string, shown: RegExp])[] = [
  ['/w/alertmanager.yml', /^0 \| .*SUCCESS: 0 inhibit rules, 1 receivers, 0 templates \| $/],
  ['/w/receiverless.yml', /^1 \| .* \| FAILED: .*receiver/],
]
for (const [path, expected] of alertmanagers)
  test(`check alertmanager ${path}`, async () => {
    assert.match(await shown((memory, output) => checkAlertmanagerFiles([path], memory, output)), expected)
  })

const unit: readonly (readonly [path: string, only: string[], shown: RegExp])[] = [
  ['/w/right.yml', [], /^0 \| Unit Testing: {2}\/w\/right\.yml; SUCCESS \| $/],
  ['/w/wrong.yml', [], /^1 \| Unit Testing: {2}\/w\/wrong\.yml \| FAILED:\n[\s\S]*x:sum[\s\S]*15/],
  ['/w/wrong.yml', ['another'], /^0 \| .*SUCCESS \| $/],
  ['/w/nowhere.yml', [], /^1 \| Unit Testing: {2}\/w\/nowhere\.yml \| FAILED:\n\s+\/w\/nowhere\.yml: no such file/],
]
for (const [path, only, expected] of unit)
  test(`check rules --test ${only.map(name => `--run=${name} `).join('')}${path}`, async () => {
    assert.match(await shown((memory, output) => runRuleTests([path], memory, only, output)), expected)
  })
