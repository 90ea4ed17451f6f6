/**
 * Mimir can't be run here: every key of its rendered configuration is one of its public reference, and its value of the
 * type that is named there; no default stays that writes to the working directory or hides what Tercet wrote.
 * req-008 req-036 req-040.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { mimirConfig } from '#deploy/lgtm.ts'
import { readStack } from '#deploy/stack.ts'
import { leavesOf } from './cortex.ts'

interface Reference {
  keys: Record<string, 'boolean' | 'int' | 'float' | 'duration' | 'string'>
  inWorkingDirectory: Record<string, string>
  mustNotStay: Record<string, string>
}

const reference = JSON.parse(readFileSync('fixtures/mimir/configuration-keys.json', 'utf8')) as Reference
/** Not a part of the target `all`. */
const otherTargets = ['alertmanager.data_dir']

const fits: Readonly<Record<Reference['keys'][string], (value: unknown) => boolean>> = {
  boolean: value => typeof value === 'boolean',
  int: value => Number.isInteger(value),
  float: value => typeof value === 'number',
  duration: value => typeof value === 'string' && /^([0-9]+(ns|us|ms|s|m|h|d|w|y))+$/.test(value),
  string: value => typeof value === 'string',
}

function problemsOf(config: Record<string, unknown>): string[] {
  return leavesOf(config).flatMap(([path, value]) => {
    const type = reference.keys[path]
    if (type === undefined) return [`${path} is no key of Mimir`]
    return fits[type](value) ? [] : [`${path}: ${JSON.stringify(value)} is no ${type}`]
  })
}

const s3 = 's3: { endpoint: "https://s3.example.net", region: minio }\n'
const stacks: Readonly<Record<string, string>> = {
  nothing: '',
  S3: s3,
  'S3 without TLS': 's3: { endpoint: "http://s3.example.net:9000", allow_insecure: true }\n',
  Amazon: 's3: { region: eu-west-1 }\n',
  retention: `${s3}retention: { metrics: 2w }\n`,
}

for (const [name, text] of Object.entries(stacks))
  test(`${name}: keys and types are those of Mimir's reference`, () => {
    const config = mimirConfig(readStack(text, 'stack.yaml', 'lgtm'))
    assert.deepEqual(problemsOf(config), [])
    const set = new Map(leavesOf(config))
    for (const path of Object.keys(reference.inWorkingDirectory))
      assert.ok(otherTargets.includes(path) || set.has(path), `${path} is in the working directory by default`)
    for (const [path, value] of Object.entries(reference.mustNotStay))
      assert.notEqual(String(set.get(path) ?? value), value, `${path} stays at ${value}`)
  })

test('a key that is none, and a value of another type, are found', () => {
  assert.deepEqual(problemsOf({ target: 'all', compactor: { data_directory: '/x', compaction_interval: 5 } }), [
    'compactor.data_directory is no key of Mimir',
    'compactor.compaction_interval: 5 is no duration',
  ])
})
