import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { spawnSync } from 'node:child_process'
import { loadConfig } from './config.ts'

const load = (
  text: string,
  flags: string[] = [],
  environment: Record<string, string> = {},
): ReturnType<typeof loadConfig> => loadConfig({ file: { path: 'tercet.yaml', text }, environment, flags })

test('file, environment, flags: the later one wins', () => {
  const config = load(
    'metrics: { retention: 7d }\nlisten:\n  http: 127.0.0.1:1\nlimits: { body_size: 1MiB }\n',
    ['metrics.retention=90d'],
    { TERCET_LISTEN_HTTP: '127.0.0.1:2', HOME: '/root' },
  )
  assert.equal(config.durationMs('metrics.retention'), 90 * 86_400_000)
  assert.equal(config.text('listen.http'), '127.0.0.1:2')
  assert.equal(config.bytes('limits.body_size'), 1048576)
  assert.equal(load('metrics: { retention: inf }').durationMs('metrics.retention'), Infinity)
  assert.equal(
    load('bucket: { s3: { access_key_id: "${KEY}" } }', [], { KEY: 'abc' }).text('bucket.s3.access_key_id'),
    'abc',
  )
})

test('unknown keys and bad values: file, line, column and the nearest key', () => {
  const cases: [text: string, flags: string[], message: RegExp][] = [
    [
      'metrics:\n  retenton: 7d\n',
      [],
      /^tercet\.yaml:2:3: unknown key "metrics\.retenton"; the nearest is "metrics\.retention"$/,
    ],
    [
      'metrics:\n  retention: soon\n',
      [],
      /^tercet\.yaml:2:3: metrics\.retention: "soon" is not a duration like 30d, 1h30m or inf$/,
    ],
    ['metrix: { retention: 7d }\n', [], /^tercet\.yaml:1:1: unknown key "metrix"; the nearest is /],
    ['a: [\n', [], /^tercet\.yaml:/],
    ['x: ${NOPE}\n', [], /^tercet\.yaml:1:1: environment variable NOPE is not set$/],
    ['', ['durabilty=local'], /^flag --durabilty: unknown key "durabilty"; the nearest is "durability"$/],
    ['', ['durability=both'], /^flag --durability: durability: "both" is not one of local, bucket$/],
    ['', ['listen.http=here'], /^flag --listen\.http: listen\.http: "here" is not host:port or off$/],
  ]
  for (const [text, flags, message] of cases)
    assert.throws(
      () => load(text, flags),
      (error: Error) => message.test(error.message),
      `${text} ${flags}`,
    )
  assert.throws(
    () => load('', [], { TERCET_METRICS_RETENTON: '1d' }),
    /unknown key; the nearest is "TERCET_METRICS_RETENTION"/,
  )
})

test('docs/configuration.md is what the table says', () => {
  const { stdout } = spawnSync(process.execPath, ['tools/configuration-docs.ts'], { encoding: 'utf8' })
  assert.equal(readFileSync('docs/configuration.md', 'utf8'), stdout)
})

test('the command line: help, version, an unknown verb, a bad key', () => {
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, ['src/app/main.ts', ...args], { encoding: 'utf8' })
  assert.match(run('--help').stdout, /tercet up/)
  for (const verb of ['up', 'query', 'inspect', 'check', 'version'])
    assert.match(run(verb, '--help').stdout, new RegExp(`^tercet ${verb}`))
  assert.match(run('version').stdout, /^tercet \d+\.\d+\.\d+/)
  assert.equal(run('upp').status, 2)
  const bad = run('up', '--metrics.retenton=7d')
  assert.equal(bad.status, 2)
  assert.match(bad.stderr, /^tercet: flag --metrics\.retenton: unknown key/)
})
