/** Checks of the code as text: layers, cycles, stage symmetry, banned words, names. Run by `npm test`. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize, relative } from 'node:path'
import { banned, doors, insiders, mayImport, signals, stages } from './layers.ts'
import { printReport, readTree, sizeProblems } from './report.ts'
import { spreadCalls } from './spreads.ts'

/** Files that spread lists of a few blocks or ranges into calls, without a comment that says so. */
const spreadsOfFew: ReadonlySet<string> = new Set([
  'src/logs/open-chunk.ts',
  'src/metrics/block-life.ts',
  'src/metrics/engine.ts',
  'src/metrics/head.ts',
  'src/traces/block-life.ts',
])

const vagueNames = /^(utils?|helpers?|types|common|index|misc)\.ts$/

/** Everything that is wrong below `root`. */
export function findProblems(root: string): string[] {
  const problems: string[] = []
  const files = globSync('src/**/*.ts', { cwd: root })
    .map(f => normalize(f))
    .sort()
  const imports = new Map<string, string[]>()
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8')
    const isTest = /\.(test|bench|fuzz)\.ts$/.test(file)
    if (vagueNames.test(basename(file)) || !/^[a-z0-9.-]+$/.test(basename(file)))
      problems.push(`${file}: name it after what it exports, in kebab-case`)
    if (!isTest)
      for (const [word, instead, allowedIn] of banned)
        if (!allowedIn.test(file) && word.test(text)) problems.push(`${file}: ${word.source} is banned, use ${instead}`)
    if (!isTest && !spreadsOfFew.has(file)) checkSpreads(root, file, problems)
    imports.set(file, checkImports(root, file, text, isTest, problems))
  }
  for (const signal of signals.filter(s => existsSync(join(root, 'src', s)))) {
    for (const stage of stages)
      if (!existsSync(join(root, 'src', signal, stage)))
        problems.push(`src/${signal}/${stage}: missing; the signals have the same stages`)
  }
  findCycles(files, imports, problems)
  for (const file of globSync('ui/src/**/*.{ts,tsx}', { cwd: root })) checkSpreads(root, file, problems)
  for (const problem of sizeProblems(readTree(root))) problems.push(problem)
  return problems
}

function checkSpreads(root: string, file: string, problems: string[]): void {
  for (const line of spreadCalls(readFileSync(join(root, file), 'utf8')))
    problems.push(`${file}:${line}: a list is spread into a call, which long ones break; use core/lists.ts`)
}

function checkImports(root: string, file: string, text: string, isTest: boolean, problems: string[]): string[] {
  const targets: string[] = []
  for (const match of text.matchAll(/^(?:import|export)\s+[^'"]*?from '((?:#|\.)[^']+)'/gm)) {
    const spec = match[1]
    const target = spec!.startsWith('#') ? join('src', spec!.slice(1)) : normalize(join(dirname(file), spec!))
    const from = relative('src', file).split('/')[0]!
    const to = relative('src', target).split('/')[0]!
    const allowed = mayImport[from] ?? []
    if (from !== to && !allowed.includes('*') && !allowed.includes(to) && !isTest)
      problems.push(`${file}: ${from} must not import ${to} (tools/layers.ts)`)
    if (
      from !== to &&
      !insiders.includes(from) &&
      !isTest &&
      signals.includes(to) &&
      !doors[basename(target)]?.includes(from)
    )
      problems.push(`${file}: ${basename(target)} is not a door of ${to} for ${from}`)
    if (from !== to && spec!.startsWith('.') && !(isTest && target.startsWith('test/')))
      problems.push(`${file}: write '#${relative('src', target)}' when leaving the folder`)
    if (!existsSync(join(root, target))) problems.push(`${file}: no such file ${target}`)
    // Types too: files that need each other's types are one file, or need a third.
    if (!isTest) targets.push(target)
  }
  return targets
}

function findCycles(files: readonly string[], imports: ReadonlyMap<string, string[]>, problems: string[]): void {
  const state = new Map<string, 'open' | 'done'>()
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      problems.push(`import cycle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
      return
    }
    state.set(file, 'open')
    for (const target of imports.get(file) ?? []) visit(target, [...path, file])
    state.set(file, 'done')
  }
  for (const file of files) visit(file, [])
}

if (import.meta.main) {
  const flags = process.argv.slice(2)
  const long = flags.find(flag => flag.startsWith('--long='))?.slice('--long='.length)
  if (flags.includes('--report')) printReport(process.cwd(), Number(long ?? 0), flags.includes('--bare'))
  else {
    const problems = findProblems(process.cwd())
    for (const problem of problems) console.error(problem)
    process.exitCode = problems.length > 0 ? 1 : 0
  }
}
