/** The figures of STYLE.md over the whole tree: node tools/tidy.ts --report [--long=N] [--bare]. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { readSource, type SourceFile } from './source-file.ts'

/** No line is wider, and no function taller. */
export const columnsMax = 120
export const functionLinesMax = 80

const codeFiles = '{src,test,tools,bench,kernel,ui/src}/**/*.{ts,tsx}'
/** Types of other languages' sources; AssemblyScript is not TypeScript. */
const isKernel = (path: string): boolean => path.startsWith('kernel/')
export const isTestFile = (path: string): boolean => /\.(test|bench|fuzz)\.tsx?$/.test(path) || path.startsWith('test/')

/** Every code file below `root`, sorted. */
export function readTree(root: string): SourceFile[] {
  return globSync(codeFiles, { cwd: root })
    .map(path => normalize(path))
    .sort()
    .map(path => {
      const text = readFileSync(join(root, path), 'utf8')
      if (!isKernel(path)) return readSource(path, text)
      const lines = text.split('\n')
      return { path, lines, functions: [], exports: 0, documented: 0, assertions: 0, indexAssertions: 0, casts: 0 }
    })
}

/** Lines over the limit, and functions over theirs, as `file:line: what`. Tests and benches may be tall, not wide. */
export function sizeProblems(files: readonly SourceFile[]): string[] {
  const problems: string[] = []
  for (const { path, lines, functions } of files) {
    for (const [i, line] of lines.entries())
      if (line.length > columnsMax)
        problems.push(`${path}:${i + 1}: ${line.length} columns, the limit is ${columnsMax}`)
    if (isTestFile(path)) continue
    for (const { name, line, lines: tall } of functions)
      if (tall > functionLinesMax)
        problems.push(`${path}:${line}: ${name} has ${tall} lines, the limit is ${functionLinesMax}`)
  }
  return problems
}

interface Figures {
  files: number
  lines: number
  wide: number
  veryWide: number
  functions: number
  median: number
  p90: number
  tallest: number
  tall: number
  exports: number
  documented: number
  assertions: number
  indexAssertions: number
  casts: number
}

function sum(files: readonly SourceFile[], of: (file: SourceFile) => number): number {
  return files.reduce((total, file) => total + of(file), 0)
}

function figuresOf(files: readonly SourceFile[]): Figures {
  const heights = files.flatMap(file => file.functions.map(f => f.lines)).sort((a, b) => a - b)
  const quantile = (share: number): number => heights[Math.floor((heights.length - 1) * share)] ?? 0
  return {
    files: files.length,
    lines: sum(files, file => file.lines.length),
    wide: sum(files, file => file.lines.filter(line => line.length > columnsMax).length),
    veryWide: sum(files, file => file.lines.filter(line => line.length > 200).length),
    functions: heights.length,
    median: quantile(0.5),
    p90: quantile(0.9),
    tallest: heights.at(-1) ?? 0,
    tall: heights.filter(height => height > functionLinesMax).length,
    exports: sum(files, file => file.exports),
    documented: sum(files, file => file.documented),
    assertions: sum(files, file => file.assertions),
    indexAssertions: sum(files, file => file.indexAssertions),
    casts: sum(files, file => file.casts),
  }
}

const columns: readonly (readonly [title: string, of: (figures: Figures) => number | string])[] = [
  ['files', f => f.files],
  ['lines', f => f.lines],
  ['>120', f => f.wide],
  ['>200', f => f.veryWide],
  ['functions', f => f.functions],
  ['median', f => f.median],
  ['p90', f => f.p90],
  ['tallest', f => f.tallest],
  ['>80', f => f.tall],
  ['docstrings', f => (f.exports === 0 ? '-' : `${Math.round((100 * f.documented) / f.exports)} %`)],
  ['x[i]!', f => f.indexAssertions],
  ['x!', f => f.assertions],
  ['as', f => f.casts],
]

function printTable(rows: readonly (readonly string[])[]): void {
  const widths =
    rows[0]?.map((_, column) => rows.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0)) ?? []
  for (const row of rows)
    console.log(
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
}

/** The folder that a file is counted in: `src/metrics`, `ui`, `test`. */
function placeOf(path: string): string {
  const [first = '', second = ''] = path.split('/')
  return first === 'src' ? `src/${second}` : first
}

/** Files without a test beside them: no test file in their folder imports them. */
export function untestedFiles(root: string, files: readonly SourceFile[]): string[] {
  const tested = new Set<string>()
  for (const { path, lines } of files) {
    if (!isTestFile(path)) continue
    for (const match of lines.join('\n').matchAll(/from '(\.[^']+)'/g))
      if (match[1] !== undefined) tested.add(normalize(join(dirname(path), match[1])))
  }
  return files
    .map(file => file.path)
    .filter(path => path.startsWith('src/') && !isTestFile(path) && !tested.has(path) && existsSync(join(root, path)))
}

/**
 * Prints the figures by folder; `longMin`: names every function of more lines; `isBare`: names files without a test
 * beside them.
 */
export function printReport(root: string, longMin: number, isBare: boolean): void {
  const files = readTree(root)
  const code = files.filter(file => !isTestFile(file.path))
  const tests = files.filter(file => isTestFile(file.path))
  const places = [...new Set(code.map(file => placeOf(file.path)))].sort()
  const rowOf = (name: string, some: readonly SourceFile[]): string[] => {
    const figures = figuresOf(some)
    return [name, ...columns.map(([, of]) => String(of(figures)))]
  }
  const source = code.filter(file => file.path.startsWith('src/'))
  printTable([
    ['', ...columns.map(([title]) => title)],
    ...places.map(place =>
      rowOf(
        place,
        code.filter(file => placeOf(file.path) === place),
      ),
    ),
    rowOf('src', source),
    rowOf('tests', tests),
    rowOf('all', files),
  ])
  const lines = (some: readonly SourceFile[]): number => sum(some, file => file.lines.length)
  const bare = untestedFiles(root, files)
  console.log(`\ntest : src = ${(lines(tests) / lines(source)).toFixed(2)} in lines`)
  console.log(
    `${source.length - bare.length} of ${source.length} files of src have a test in their folder that imports them`,
  )
  if (isBare) for (const path of bare) console.log(`  ${relative('.', path)}`)
  for (const file of longMin > 0 ? code : [])
    for (const { name, line, lines: tall } of file.functions)
      if (tall > longMin) console.log(`${tall}  ${file.path}:${line}  ${name}`)
}
