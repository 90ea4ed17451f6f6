/** Every block of the documents is run, read or compiled; what can't be is in the table of elsewhere.ts. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse } from 'yaml'
import { loadConfig } from '../../src/app/config.ts'
import { isOptionName } from '../../src/app/options.ts'
import { parseTenants } from '../../src/app/tenants-file.ts'
import { parseRules } from '../../src/gate/rules.ts'
import { readStackFile } from '../../src/ops/stack-file.ts'
import { problemOfCommand, problemOfMention, tercetCommands } from './command-lines.ts'
import { commandsOf, difference, Sandbox } from './console.ts'
import { elsewhere, reasonOf } from './elsewhere.ts'
import { blocksOf, pages, type Block } from './pages.ts'

type Kind = 'console' | 'commands' | 'configuration' | 'program' | 'elsewhere'

const all = pages.flatMap(blocksOf)
const at = ({ page, line }: Block): string => `${page}:${line}`

function kindOf(block: Block): Kind | undefined {
  if (/^(js|ts)\b/.test(block.info)) return 'program'
  if (/^\$ /m.test(block.text)) return 'console'
  if (reasonOf(block) !== undefined) return 'elsewhere'
  if (/^((npx )?tercet |export OTEL_|SOPS_AGE_KEY_FILE=|curl )/.test(block.text)) return 'commands'
  return checkerOf(block) === undefined ? undefined : 'configuration'
}

const blocks = (kind: Kind): Block[] => all.filter(block => kindOf(block) === kind)
const temporary = mkdtempSync(join(tmpdir(), 'tercet-docs-files-'))
after(() => {
  rmSync(temporary, { recursive: true, force: true })
})

test('every block is of a kind that is checked, and no entry of the table is left over', t => {
  const counts = Map.groupBy(all, block => kindOf(block) ?? 'unknown')
  t.diagnostic([...counts].map(([kind, some]) => `${some.length} ${kind}`).join(', '))
  assert.deepEqual((counts.get('unknown') ?? []).map(at), [])
  const unused = elsewhere.filter(
    one => !all.some(({ page, text }) => page === one.page && text.startsWith(one.begins)),
  )
  assert.deepEqual(unused, [])
})

test('the command reads every line that calls it', async t => {
  const problems: string[] = []
  let lines = 0
  for (const block of all)
    for (const words of tercetCommands(block.text)) {
      lines++
      const isSketch = words.some(word => word === '…' || word.includes('|'))
      const problem = await (isSketch ? problemOfMention(words) : problemOfCommand(words))
      if (problem !== undefined) problems.push(`${at(block)}: ${problem}`)
    }
  t.diagnostic(`${lines} lines`)
  assert.deepEqual(problems, [])
})

test('what is printed otherwise is found', () => {
  const shown = ['up{job="a"} => 1 @[1796077208.645]', '…', 'end']
  assert.equal(difference(shown, 'up{job="a"} => 2 @[1796077300.1]\nmore\nend\n'), undefined)
  for (const printed of [
    '',
    'up{job="b"} => 1 @[1]\nend\n',
    'up{job="a"} => 1 @[1]\n',
    'x\nup{job="a"} => 1 @[1]\nend\n',
  ])
    assert.notEqual(difference(shown, printed), undefined, printed)
  assert.notEqual(difference([], 'something'), undefined)
})

test('no block of commands has a program that nobody looks at', () => {
  const known = /^(npx )?tercet |^export OTEL_|^SOPS_AGE_KEY_FILE=age.key tercet |^curl /
  for (const block of blocks('commands')) {
    const text = block.text.replaceAll(/\\\n\s*/g, ' ').replaceAll(/<<'(\w+)'[^]*?\n\s*\1/g, '')
    for (const line of text.split('\n')) assert.match(line, known, at(block))
  }
})

type Check = (block: Block) => void

const stackKeys = /^(engine|image|chart|s3|retention): /

function checkStack({ text }: Block): void {
  const file = join(temporary, 'stack.yaml')
  writeFileSync(
    file,
    /^engine:/m.test(text) ? text : `engine: tercet\n${text.replace('sha256:…', `sha256:${'0'.repeat(64)}`)}`,
  )
  readStackFile(file, undefined)
}

/** The rules of `tercet diff`. */
function checkGate({ text }: Block): void {
  parseRules(text, 'gate.yml')
}

function checkTercetFile({ text }: Block): void {
  loadConfig({ environment: {}, file: { path: 'tercet.yaml', text }, flags: [] })
}

/** What a process may do in a cluster: it reads. */
function checkRights({ text }: Block): void {
  const { rules } = parse(text) as { rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] }
  for (const { apiGroups, resources, verbs } of rules) {
    assert.ok(apiGroups.length > 0 && resources.length > 0)
    assert.deepEqual(
      verbs.filter(verb => !['get', 'list', 'watch'].includes(verb)),
      [],
    )
  }
}

function checkCompose({ text }: Block): void {
  const compose = parse(readFileSync('deploy/examples/compose-tercet/compose.yaml', 'utf8')) as {
    services: { grafana: { logging: unknown } }
  }
  assert.deepEqual((parse(text) as { logging: unknown }).logging, compose.services.grafana.logging)
}

function checkTenants({ text }: Block): void {
  parseTenants(text, 'tenants.yaml')
}

function checkerOf({ text }: Block): Check | undefined {
  if (stackKeys.test(text)) return checkStack
  if (text.startsWith('logging:')) return checkCompose
  if (text.startsWith('ignore:')) return checkGate
  if (text.startsWith('overrides:')) return checkTenants
  if (/^rules:\n {2}- \{ apiGroups/.test(text)) return checkRights
  const [key = ''] = text.split(':', 1)
  return isOptionName(key) ? checkTercetFile : undefined
}

test('every configuration is one', () => {
  for (const block of blocks('configuration'))
    assert.doesNotThrow(() => {
      checkerOf(block)!(block)
    }, at(block))
})

/** What a reader has beside an empty directory. */
const given: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'docs/start/buckets.md': {
    'mimir-blocks': 'fixtures/prometheus/blocks',
    'loki-chunks': 'fixtures/loki/bucket',
    'tempo-traces': 'fixtures/tempo/bucket',
  },
}

const consolePages = [...new Set(blocks('console').map(({ page }) => page))]

test('commands print what the documents show', { concurrency: 2 }, async t => {
  await Promise.all(
    consolePages.map(page =>
      t.test(page, async one => {
        const sandbox = new Sandbox()
        await sandbox.open()
        try {
          for (const [name, from] of Object.entries(given[page] ?? {}))
            cpSync(from, join(sandbox.directory, name), { recursive: true })
          for (const block of blocksOf(page)) {
            const [, file] = /^(?:js|ts) (\S+)/.exec(block.info) ?? []
            if (file !== undefined) writeFileSync(join(sandbox.directory, file), `${block.text}\n`)
            if (kindOf(block) !== 'console') continue
            for (const command of commandsOf(block.text)) {
              const problem = await sandbox.run(command)
              assert.equal(problem, undefined, `${at(block)}: ${command.text}\n${problem}`)
            }
          }
          one.diagnostic([`${sandbox.ran} commands`, ...sandbox.missing.map(why => `NOT TESTED: ${why}`)].join('; '))
        } finally {
          await sandbox.close()
        }
      }),
    ),
  )
})
