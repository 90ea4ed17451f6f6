/** The gate with real processes: a shop is recorded, unchanged and with each defect, and compared by the verbs. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Report } from '../../src/gate/compare.ts'
import { readRecording } from '../../src/ops/recording.ts'
import { runCommand } from '../run-cli.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { defects, recordShop } from './recorded-shop.ts'

const directory = temporaryDirectory()
const base = join(directory, 'base')

before(async () => {
  await recordShop(base)
})
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('a recording says what it has, in a directory that has nothing else', async () => {
  const { command, exitCode, counts, refused, fromMs, toMs, state } = readRecording(base)
  assert.deepEqual(command, [process.execPath, 'test/gate/shop.ts'])
  assert.deepEqual([state, exitCode], ['complete', 0])
  assert.deepEqual(counts, { samples: 7, lines: 2, spans: 140 })
  assert.deepEqual(refused, { samples: 0, lines: 0, spans: 0 })
  assert.ok(toMs > fromMs)
  assert.deepEqual(readdirSync(base).sort(), ['logs', 'metric-types.json', 'metrics', 'recording.json', 'traces'])
})

test('unchanged runs pass, and two comparisons of one base can run at once', async () => {
  const heads = [join(directory, 'same-1'), join(directory, 'same-2')]
  for (const head of heads) await recordShop(head)
  const results = await Promise.all(heads.map(head => runCommand(['diff', base, head])))
  for (const { code, out, err } of results) {
    assert.equal(code, 0, out + err)
    assert.match(out, /^passed: /)
    assert.match(out, /base {2}\S+: 60 traces, 140 spans read, 2 log lines/)
  }
})

for (const [defect, kind] of Object.entries(defects))
  test(`a planted defect fails as ${kind}, and nothing else does: ${defect}`, async () => {
    const head = join(directory, defect)
    const { err } = await recordShop(head, defect)
    assert.match(err, /^tercet: recorded \d+ spans, \d+ samples and \d+ log lines in [\d.]+ s to /m)
    const { code, out } = await runCommand(['diff', '--format=json', base, head])
    const report = JSON.parse(out) as Report
    const failures = report.findings.filter(({ severity }) => severity === 'fail')
    assert.deepEqual([...new Set(failures.map(finding => finding.kind))], [kind], out)
    assert.equal(code, 1)
    assert.deepEqual(report.head.notes, [])
  })

test('rules ignore what they name, and a wrong file is refused with its place', async () => {
  const head = join(directory, 'metrics')
  const rules = join(directory, 'gate.yml')
  writeFileSync(rules, 'vanished_metrics:\n  ignore:\n    metric: [shop_.*]\n')
  const ignored = await runCommand(['diff', `--rules=${rules}`, base, head])
  assert.equal(ignored.code, 0, ignored.err)
  assert.match(ignored.out, /1 findings are ignored/)
  writeFileSync(rules, 'latency:\n  factr: 2\n')
  const wrong = await runCommand(['diff', `--rules=${rules}`, base, head])
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /gate\.yml:2:10: latency\.factr: unknown key; the nearest is "factor"/)
})

test('what can not be compared has the exit code 2', async () => {
  const empty = join(directory, 'empty')
  assert.equal((await runCommand(['record', '-o', empty, '--wait=1s', '--', 'true'])).code, 0)
  const nothing = await runCommand(['diff', base, empty])
  assert.equal(nothing.code, 2)
  assert.match(nothing.err, /head \(\S+\) has no telemetry/)
  const none = await runCommand(['diff', base, directory])
  assert.equal(none.code, 2)
  assert.match(none.err, /is no recording/)
  assert.equal((await runCommand(['diff', base])).code, 2)
  const away = ['--url=http://127.0.0.1:1', '--base=15m/2026-01-01T00:00:00Z', '--head=15m']
  const { code, err } = await runCommand(['diff', ...away])
  assert.equal(code, 2)
  assert.match(err, /http:\/\/127\.0\.0\.1:1 can't be reached/)
})

test('a recording that is damaged, or of which a part is missing, is no agreement', async () => {
  const damaged = join(directory, 'damaged')
  cpSync(base, damaged, { recursive: true })
  const files = readdirSync(join(damaged, 'traces'), { recursive: true, encoding: 'utf8' })
  const meta = files.find(name => name.endsWith('meta.json')) ?? ''
  const whole = readFileSync(join(damaged, 'traces', meta))
  writeFileSync(join(damaged, 'traces', meta), whole.subarray(0, 50))
  const broken = await runCommand(['diff', base, damaged])
  assert.equal(broken.code, 2, broken.out)
  assert.match(broken.err, /damaged: the recording is damaged: traces: .* meta\.json/)
  rmSync(join(damaged, 'traces'), { recursive: true })
  const missing = await runCommand(['diff', damaged, base])
  assert.equal(missing.code, 2, missing.out)
  assert.match(missing.err, /the recording is damaged: traces is missing in it/)
})

test('what a process that was left behind sends after the command is in the recording', async () => {
  const push = `setTimeout(() => fetch(process.env.TERCET_URL + '/api/v1/import/prometheus',
    { method: 'POST', body: 'left_behind 1' }), 700)`
  const head = join(directory, 'left-behind')
  const command = ['sh', '-c', '"$0" -e "$1" & exit 0', process.execPath, push]
  const { code, err } = await runCommand(['record', '-o', head, '--', ...command])
  assert.equal(code, 0, err)
  assert.match(err, /0 spans, 1 samples and 0 log lines/)
})

test('a command gives its exit code, and what is no command 127; a recording is not overwritten', async () => {
  const head = join(directory, 'codes')
  const record = (...command: string[]): ReturnType<typeof runCommand> =>
    runCommand(['record', '-o', head, '--wait=1s', '--', ...command])
  const missing = await record('no-such-command')
  assert.equal(missing.code, 127)
  assert.match(missing.err, /no-such-command: command not found/)
  assert.ok(!existsSync(join(head, 'recording.json')))
  assert.equal((await record('sh', '-c', 'exit 3')).code, 3)
  assert.equal(readRecording(head).exitCode, 3)
  const mistyped = await runCommand(['record', '--force', '-o', head, '--limits.active_series=many', '--', 'true'])
  assert.equal(mistyped.code, 2)
  assert.equal(readRecording(head).exitCode, 3)
  const again = await record('true')
  assert.equal(again.code, 2)
  assert.match(again.err, /holds a recording; --force replaces it/)
  const file = join(directory, 'a-file')
  writeFileSync(file, '')
  const refused = await runCommand(['record', '-o', file, '--', 'true'])
  assert.deepEqual([refused.code, refused.err.includes('a-file is no directory')], [2, true], refused.err)
  const killed = await runCommand(['record', '--force', '-o', head, '--wait=1s', '--', 'sh', '-c', 'kill -TERM $$'])
  assert.equal(killed.code, 143)
  const foreign = await runCommand(['record', '--force', '-o', directory, '--', 'true'])
  assert.equal(foreign.code, 2)
  assert.match(foreign.err, /is no part of a recording/)
})

test('what is set in the environment stays, and what is refused is said', async () => {
  const push = `
    const send = (path, body, type) => fetch(process.env.TERCET_URL + path,
      { method: 'POST', body, headers: { 'content-type': type } }).then(reply => reply.text())
    await send('/v1/traces', 'no protobuf', 'application/x-protobuf')
    await send('/api/v1/import/prometheus', 'one{a="1"} 1\\n', 'text/plain')
    console.log(process.env.OTEL_RESOURCE_ATTRIBUTES, process.env.OTEL_EXPORTER_OTLP_ENDPOINT)`
  const head = join(directory, 'refused')
  const { out, err, code } = await runCommand(
    ['record', '-o', head, '--wait=1s', '--', process.execPath, '--input-type=module', '-e', push],
    { env: { OTEL_RESOURCE_ATTRIBUTES: 'team=a', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' } },
  )
  assert.equal(code, 0, err)
  assert.equal(out, 'team=a,deployment.environment.name=test http://collector:4318\n')
  assert.match(err, /OTEL_EXPORTER_OTLP_ENDPOINT=http:\/\/collector:4318 is set and stays/)
  assert.match(err, /1 requests were refused: \/v1\/traces: 400/)
})
