import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
    ['metrix: { retention: 7d }\n', [], /^tercet\.yaml:1:1: unknown key "metrix"; tercet up --help lists all$/],
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
})

test('unknown variables are warnings, those of Kubernetes for Services are none, bad values are errors', () => {
  const links = {
    TERCET_SERVICE_HOST: '10.0.0.1',
    TERCET_SERVICE_PORT: '8428',
    TERCET_SERVICE_PORT_OTLP_GRPC: '4317',
    TERCET_PORT: 'tcp://10.0.0.1:8428',
    TERCET_PORT_8428_TCP: 'tcp://10.0.0.1:8428',
    TERCET_PORT_8428_TCP_PROTO: 'tcp',
    TERCET_PORT_8428_TCP_PORT: '8428',
    TERCET_PORT_8428_TCP_ADDR: '10.0.0.1',
    TERCET_PORT_514_UDP_ADDR: '10.0.0.1',
    TERCET_LOGS_STORE_SERVICE_HOST: '10.0.0.2',
    TERCET_LOGS_STORE_PORT: 'tcp://10.0.0.2:3100',
    TERCET_LOGS_STORE_PORT_3100_TCP: 'tcp://10.0.0.2:3100',
  }
  assert.deepEqual(load('', [], { ...links, OTHER: 'x', TERCET_LOG_LEVEL: 'warn' }).warnings, [])
  const unknown: [variable: string, value: string, nearest: RegExp][] = [
    ['TERCET_METRICS_RETENTON', '1d', /TERCET_METRICS_RETENTION$/],
    ['TERCET_LISTEN_HTTPS', '8428', /TERCET_LISTEN_HTTP$/],
    // As those of Kubernetes, but for the value.
    ['TERCET_SERVICE_PORT', 'http', /TERCET_/],
    ['TERCET_HTTP_PORT', '8428', /TERCET_/],
    ['TERCET_CI_JOB', '1', /TERCET_/],
    ['TERCET_', '', /TERCET_/],
  ]
  for (const [variable, value, nearest] of unknown) {
    const [warning = '', ...others] = load('', [], { [variable]: value }).warnings
    assert.deepEqual(others, [])
    assert.ok(warning.startsWith(`environment variable ${variable} is no key and has no effect; the nearest`), warning)
    assert.match(warning, nearest)
  }
  assert.throws(
    () => load('', [], { TERCET_METRICS_RETENTION: 'soon' }),
    /environment variable TERCET_METRICS_RETENTION: metrics\.retention: "soon" is not a duration/,
  )
})

test('every verb that reads the environment starts with unknown variables, and says so', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-environment-'))
  try {
    const env = {
      ...process.env,
      TERCET_DATA_DIR: join(directory, 'data'),
      TERCET_PORT: 'tcp://10.0.0.1:8428',
      TERCET_CI_JOB: '7',
    }
    const run = (...args: string[]): { status: number | null; stderr: string } =>
      spawnSync(process.execPath, ['src/app/main.ts', ...args], { encoding: 'utf8', env })
    const said = /^tercet: warning: environment variable TERCET_CI_JOB is no key and has no effect; the nearest is/m
    const check = run('check')
    assert.equal(check.status, 0, check.stderr)
    assert.match(check.stderr, said)
    assert.doesNotMatch(check.stderr, /TERCET_PORT/)
    // Nobody listens at port 1; a probe says that alone.
    const health = run('healthcheck', '--listen.http=127.0.0.1:1')
    assert.equal(health.status, 1)
    assert.doesNotMatch(health.stderr, /TERCET_/)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
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
