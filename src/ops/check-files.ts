/**
 * tercet check config | rules | alertmanager: files of Prometheus and Alertmanager, without starting anything; unit
 * tests of rules.
 */
import { dirname, resolve } from 'node:path'
import { MemoryBucket } from '#bucket/memory.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { MetricsEngine } from '#metrics/engine.ts'
import { PromqlEngine } from '#query/promql/engine.ts'
import { readRulesFile } from '#alert/rules-file.ts'
import { readUnitTests, runUnitTests, type UnitTestStore } from '#alert/unit-tests.ts'
import { loadRules } from '#app/alerting.ts'
import { loadAlertmanagerConfig } from '#app/alertmanager.ts'
import { loadPrometheusConfig } from '#app/scraping.ts'
import type { Output } from './output.ts'

async function readText(files: Files, path: string): Promise<string> {
  try {
    return Buffer.from(await files.read(path)).toString('utf8')
  } catch (error) {
    throw new BadDataError(`${path}: ${messageOf(error)}`, { cause: error })
  }
}

/** Each file by itself; 1 when any is wrong. */
async function checkEach(
  paths: readonly string[],
  { out, err }: Output,
  check: (path: string) => Promise<string>,
): Promise<number> {
  let code = 0
  for (const path of paths) {
    out(`Checking ${path}`)
    try {
      out(`  SUCCESS: ${await check(path)}\n`)
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      err(`  FAILED: ${error.message.replaceAll('\n', '\n          ')}\n`)
      code = 1
    }
  }
  return code
}

function ruleCount(groups: readonly { rules: readonly unknown[] }[]): number {
  return groups.reduce((sum, group) => sum + group.rules.length, 0)
}

const env = (): Readonly<Record<string, string | undefined>> => process.env

/** Each file of rules by itself; 1 where one is wrong. */
export function checkRuleFiles(paths: readonly string[], files: Files, output: Output): Promise<number> {
  return checkEach(paths, output, async path => {
    const groups = readRulesFile(await readText(files, path), path, env())
    for (const { notes } of groups) for (const note of notes) output.out(`  WARNING: ${note}`)
    return `${ruleCount(groups)} rules found`
  })
}

/** prometheus.yml, the files that it names, and their rules. */
export function checkConfigFiles(paths: readonly string[], files: Files, output: Output): Promise<number> {
  return checkEach(paths, output, async path => {
    const config = await loadPrometheusConfig(path, files, env())
    const directory = dirname(resolve(path))
    const rules = await loadRules(config.ruleFiles, files, directory, env(), (missing, isPattern) => {
      if (!isPattern) throw new BadDataError(`${missing} does not point to an existing file`)
    })
    const notes = rules.flatMap(group => group.notes)
    for (const warning of [...config.warnings, ...notes]) output.out(`  WARNING: ${warning}`)
    const counts = `${config.jobs.length} scrape jobs, ${ruleCount(rules)} rules`
    return `${path} is valid prometheus config file syntax (${counts})`
  })
}

/** Each alertmanager.yml with its templates; 1 where one is wrong. */
export function checkAlertmanagerFiles(paths: readonly string[], files: Files, output: Output): Promise<number> {
  return checkEach(paths, output, async path => {
    const { config, templateCount } = await loadAlertmanagerConfig(path, files, env())
    for (const warning of config.warnings) output.out(`  WARNING: ${warning}`)
    const { inhibitRules, receivers } = config
    return `${inhibitRules.length} inhibit rules, ${receivers.length} receivers, ${templateCount} templates`
  })
}

/** A store in memory whose clock stands far ahead of every sample. */
async function openStore(): Promise<UnitTestStore> {
  const clock = new VirtualClock(4_000_000_000_000)
  const random = seededRandom(1)
  const limits = { ...defaultLimits, querySamplesMax: 50_000_000 }
  const engine = new MetricsEngine({
    clock,
    random,
    hashSeed: { a: 1, b: 2, c: 3, d: 4 },
    files: new MemoryFiles(),
    log: silentLog,
    bucket: new MemoryBucket(clock),
    limits,
    directory: '/test',
    defaultTenant: 'test',
    durability: 'local',
    syncAlways: false,
    blockMs: 7_200_000,
    outOfOrderMs: Infinity,
    retentionMs: Infinity,
    retentionBytesMax: Infinity,
    freeBytesMin: 0,
    readOnly: false,
    refreshMs: 3_600_000,
  })
  await engine.open()
  const promql = new PromqlEngine(
    {
      ...clock,
      nowMs: () => 0,
      monotonicMs: () => 0,
      after: () => ({
        cancel: () => {
          /* nothing is timed */
        },
      }),
      yield: () => Promise.resolve(),
    },
    limits,
  )
  return {
    appender: engine,
    async query(expr, atMs) {
      const { type, series } = await promql.instant(engine.reader('test'), expr, atMs)
      if (type !== 'vector' && type !== 'scalar') throw new BadDataError('rule result is not a vector or scalar')
      return series.map(s => ({ labels: s.labels, value: s.values[0] ?? 0, histogram: s.histograms[0] }))
    },
    close: () => engine.close(),
  }
}

/** Runs unit tests of rules; `only`: tests of these names, all where it is empty. 1 where one fails. */
export async function runRuleTests(
  paths: readonly string[],
  files: Files,
  only: readonly string[],
  { out, err }: Output,
): Promise<number> {
  let code = 0
  for (const path of paths) {
    out(`Unit Testing:  ${path}`)
    try {
      const file = readUnitTests(await readText(files, path), path)
      const groups = await loadRules(file.ruleFiles, files, dirname(resolve(path)), env(), missing => {
        out(`  WARNING: no file match pattern ${missing}`)
      })
      const problems = await runUnitTests(file, groups, openStore, name => only.length === 0 || only.includes(name))
      if (problems.length > 0) {
        code = 1
        err(`  FAILED:\n${problems.join('\n')}\n`)
      } else out('  SUCCESS\n')
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      code = 1
      err(`  FAILED:\n    ${error.message}\n`)
    }
  }
  return code
}
