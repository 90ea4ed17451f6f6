/** Every verb as data: its help, and what it says about a command line that does not fit it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { optionNames } from '#app/options.ts'
import { BadDataError } from '#core/errors.ts'
import { readArguments } from './arguments.ts'
import { helpOf, usageOf } from './help.ts'
import { shownFlag, type Flag, type Verb, type VerbTable } from './verb.ts'
import { verbs } from './verbs.ts'

async function loadAll(table: VerbTable): Promise<Verb[]> {
  const loaded = await Promise.all(Object.values(table).map(load => load()))
  return [...loaded, ...(await Promise.all(loaded.map(verb => loadAll(verb.verbs ?? {})))).flat()]
}

const all = await loadAll(verbs)
const running = all.filter(verb => verb.run !== undefined)

/** A value that fits. */
function valueFor({ kind }: Flag): string {
  if (typeof kind !== 'string') return kind[0] ?? ''
  return { switch: 'true', text: 'x', file: 'package.json', address: 'http://127.0.0.1:1', duration: '1m' }[kind]
}

/** A command line of the verb that is right. */
function argumentsOf({ flags, words }: Verb): string[] {
  const required = flags.filter(flag => flag.isRequired === true).map(flag => `--${flag.name}=${valueFor(flag)}`)
  return [...required, ...Array.from({ length: words?.least ?? 0 }, () => 'package.json')]
}

function problemOf(verb: Verb, argv: readonly string[]): string {
  try {
    readArguments(verb, argv)
  } catch (error) {
    if (error instanceof BadDataError) return error.message
    throw error
  }
  return 'none'
}

test('the names of verbs are those that they are found by', async () => {
  const names = async (table: VerbTable, above: string): Promise<void> => {
    for (const [name, load] of Object.entries(table)) {
      const verb = await load()
      assert.equal(verb.name, above + name)
      await names(verb.verbs ?? {}, `${verb.name} `)
    }
  }
  await names(verbs, '')
  assert.equal(all.length, 31)
})

for (const verb of all)
  test(`tercet ${verb.name} --help lists its flags with defaults, its verbs and examples`, async () => {
    const help = helpOf(verb, await loadAll(verb.verbs ?? {}))
    const text = help.replaceAll(/\s+/g, ' ')
    assert.ok(text.startsWith(`tercet ${verb.name}: ${verb.summary}`))
    for (const flag of verb.flags) {
      assert.ok(help.includes(shownFlag(flag)), flag.name)
      if (flag.fallback !== undefined) assert.ok(text.includes(`Default ${flag.fallback}.`))
    }
    for (const name of Object.keys(verb.verbs ?? {})) assert.match(help, new RegExp(`^ {2}${verb.name} ${name} `, 'm'))
    if (verb.configuration === 'shown') for (const name of optionNames) assert.ok(help.includes(`  --${name}=`), name)
    assert.ok(verb.examples.length > 0)
    for (const example of verb.examples) {
      assert.ok(help.includes(example))
      assert.ok(example.includes(`tercet ${verb.name}`), example)
    }
    for (const line of help.split('\n')) assert.ok(line.length <= 120, line)
  })

test('tercet --help names every verb', async () => {
  const usage = usageOf(await Promise.all(Object.values(verbs).map(load => load())))
  for (const name of Object.keys(verbs)) assert.match(usage, new RegExp(`^ {2}tercet ${name} `, 'm'))
})

for (const verb of running) {
  test(`tercet ${verb.name}: a right command line is taken`, () => {
    assert.equal(problemOf(verb, argumentsOf(verb)), 'none')
    for (const flag of verb.flags.filter(f => f.isRequired !== true && f.kind !== 'switch')) {
      const argv = argumentsOf(verb)
      assert.equal(problemOf(verb, [`--${flag.name}=${valueFor(flag)}`, ...argv]), 'none')
      assert.equal(problemOf(verb, [`--${flag.name}`, valueFor(flag), ...argv]), 'none', 'the value behind a space')
    }
  })

  test(`tercet ${verb.name}: what does not fit is named in one line`, () => {
    const right = argumentsOf(verb)
    const [first] = verb.flags
    const cases: [argv: string[], problem: RegExp][] = [
      [['--zzz=1', ...right], /--zzz.*(--help lists all|it has no flags)/],
      ...(first === undefined
        ? []
        : [
            [[`--${first.name}x=1`, ...right], new RegExp(`the nearest is "?(--)?${first.name}`)] as [string[], RegExp],
          ]),
    ]
    if (verb.words === undefined) cases.push([[...right, 'extra'], /takes no arguments; "extra" is too much/])
    else if (verb.words.most < Infinity)
      cases.push([
        [...right, ...Array.from({ length: verb.words.most + 1 - verb.words.least }, () => 'package.json')],
        /takes one .*; "package\.json" is too much/,
      ])
    if ((verb.words?.least ?? 0) > 0)
      cases.push([right.slice(0, -1), new RegExp(`^${verb.name} takes .*: tercet ${verb.name} `)])
    if (verb.words?.areFiles === true)
      cases.push([[...right.slice(0, right.length - verb.words.least), 'nosuch.yml'], /: nosuch\.yml: no such file$/])
    for (const flag of verb.flags) cases.push(...wrongValuesOf(flag, right))
    for (const [argv, problem] of cases) {
      const found = problemOf(verb, argv)
      assert.match(found, problem, argv.join(' '))
      assert.ok(!found.includes('\n'), found)
    }
  })
}

function wrongValuesOf(flag: Flag, right: readonly string[]): [argv: string[], problem: RegExp][] {
  const { isRepeatable, isRequired, kind, name } = flag
  const others = right.filter(argument => !argument.startsWith(`--${name}=`))
  const cases: [string[], RegExp][] = []
  if (isRequired === true)
    cases.push([others, typeof kind === 'string' ? /takes .*=\w+: / : new RegExp(`--${name} is one of `)])
  if (isRepeatable !== true)
    cases.push([
      [`--${name}=${valueFor(flag)}`, `--${name}=${valueFor(flag)}`, ...others],
      /once, and it is given twice$/,
    ])
  if (kind === 'switch') cases.push([[`--${name}=maybe`, ...others], / is on or off: /])
  else cases.push([[...others, `--${name}`], new RegExp(`--${name} takes a value$`)])
  if (typeof kind !== 'string') cases.push([[`--${name}=zzz`, ...others], / is one of .*, not "zzz"$/])
  if (kind === 'file') {
    cases.push([[`--${name}=nosuch.yml`, ...others], new RegExp(`^--${name}=nosuch\\.yml: no such file$`)])
    cases.push([[`--${name}=src`, ...others], / is a directory/])
  }
  if (kind === 'address') cases.push([[`--${name}=localhost:8428`, ...others], / is no URL like http/])
  if (kind === 'duration') {
    cases.push([[`--${name}=soon`, ...others], / is no duration like 1h30m/])
    cases.push([[`--${name}=0s`, ...others], / is no duration like 1h30m/])
  }
  return cases
}
