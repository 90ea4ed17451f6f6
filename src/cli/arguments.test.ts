/** How a command line is read: spellings of flags, keys of the configuration, VictoriaMetrics' flags. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { readArguments } from './arguments.ts'
import { makeVerb } from './verb.ts'

const verb = makeVerb({
  name: 'try',
  summary: '',
  flags: [
    { name: 'output', short: 'o', kind: 'text', help: '' },
    { name: 'who', kind: 'text', isRepeatable: true, help: '' },
    { name: 'json', kind: 'switch', help: '' },
    { name: 'wait', kind: 'duration', fallback: '2s', help: '' },
  ],
  words: { shown: '[WORD…]', expected: 'words', least: 0, most: Infinity },
  configuration: 'taken',
  examples: [],
})

/** `flags | words | keys of the configuration`. */
function read(line: string): string {
  const given = readArguments(verb, line === '' ? [] : line.split(' '))
  const flags = [
    given.optional('output') ?? '-',
    given.all('who').join('+') || '-',
    String(given.isOn('json')),
    String(given.durationMs('wait')),
  ]
  return [flags, given.words, given.configuration].map(part => part.join(' ')).join(' | ')
}

const lines: readonly (readonly [line: string, read: string])[] = [
  ['', '- - false 2000 |  | '],
  ['-o dir', 'dir - false 2000 |  | '],
  ['-o=dir', 'dir - false 2000 |  | '],
  ['--o dir a', 'dir - false 2000 | a | '],
  ['--output=a=b', 'a=b - false 2000 |  | '],
  ['--json a', '- - true 2000 | a | '],
  ['--json=false a', '- - false 2000 | a | '],
  ['--who=x --who y', '- x+y false 2000 |  | '],
  ['--wait 1m30s', '- - false 90000 |  | '],
  ['a -5 - b', '- - false 2000 | a -5 - b | '],
  ['-- --json -o', '- - false 2000 | --json -o | '],
  ['--data_dir=/x', '- - false 2000 |  | data_dir=/x'],
  ['--data_dir /x a', '- - false 2000 | a | data_dir=/x'],
  ['--take_back a', '- - false 2000 | a | take_back=true'],
  ['--take_back false a', '- - false 2000 | a | take_back=false'],
  ['-retentionPeriod=3', '- - false 2000 |  | metrics.retention=93d'],
  ['-retentionPeriod=7d -storageDataPath=/x', '- - false 2000 |  | metrics.retention=7d data_dir=/x'],
  ['-loggerLevel=INFO -loggerFormat=JSON', '- - false 2000 |  | log.level=info log.format=json'],
]
for (const [line, expected] of lines)
  test(`${line || 'nothing'} is read as ${expected}`, () => {
    assert.equal(read(line), expected)
  })

const wrong: readonly (readonly [line: string, problem: string])[] = [
  ['-o', '-o takes a value'],
  ['-o --json', '-o takes a value'],
  ['--data_dir', '--data_dir takes a value'],
  ['-o a --output b', 'try takes --output once, and it is given twice'],
  ['--outputs=x', 'flag --outputs: unknown key "outputs"; the nearest is --output'],
  [
    '--metrics.retenton=1d',
    'flag --metrics.retenton: unknown key "metrics.retenton"; the nearest is --metrics.retention',
  ],
  ['--port=80', 'flag --port: unknown key "port"; here it is --listen.http=127.0.0.1:PORT'],
  ['--quux=80', 'flag --quux: unknown key "quux"; tercet try --help lists all'],
  [
    '-dedup.minScrapeInterval=1s',
    "unknown flag -dedup.minScrapeInterval; options begin with two dashes, and of VictoriaMetrics' own " +
      '-retentionPeriod, ' +
      '-storageDataPath, -httpListenAddr, -promscrape.config, -loggerFormat, -loggerLevel, ' +
      '-envflag.enable, -envflag.prefix are known',
  ],
]
for (const [line, message] of wrong)
  test(`${line} is refused`, () => {
    assert.throws(
      () => read(line),
      (error: unknown) => error instanceof BadDataError && error.message === message,
    )
  })

test("VictoriaMetrics' flags from variables, where -envflag.enable says so; the command line wins", () => {
  const environment = {
    VM_retentionPeriod: '3',
    VM_promscrape_config: '/etc/p.yml',
    VM_other: 'x',
    VM_PORT: 'tcp://10.0.0.1:8428',
    storageDataPath: '/d',
  }
  const keys = (...argv: string[]): readonly string[] => readArguments(verb, argv, environment).configuration
  assert.deepEqual(keys('-envflag.prefix=VM_'), [])
  assert.deepEqual(keys('-envflag.enable'), ['data_dir=/d'])
  assert.deepEqual(keys('-envflag.enable=true', '-envflag.prefix=VM_', '-retentionPeriod=7d'), [
    'metrics.retention=93d',
    'scrape_config_file=/etc/p.yml',
    'metrics.retention=7d',
  ])
  assert.throws(
    () => readArguments(verb, ['-envflag.enable', '-envflag.prefix=VM_'], { VM_retentionPeriod: 'soon' }),
    /environment variable VM_retentionPeriod: metrics\.retention: "soon" is not a duration/,
  )
})
