/**
 * Writes the declarations of the modules that other programs import into dist/types: those files alone that the
 * entries reach, with specifiers that need none of our settings.
 *
 *   node tools/build-declarations.ts            `--entry=src/….ts`, as often as wanted, in place of the entries
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { libraries, typesDirectory } from './program-entries.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The declarations of everything that `sources` import, in `out`, as the compiler writes them. */
function emit(sources: readonly string[], out: string): void {
  const project = join(out, 'tsconfig.json')
  // WebAssembly is declared with the browser's own.
  const lib = ['esnext', 'dom', 'dom.iterable']
  const options = { lib, noEmit: false, declaration: true, emitDeclarationOnly: true, stripInternal: true }
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        ...options,
        rootDir: join(root, 'src'),
        outDir: out,
        typeRoots: [join(root, 'node_modules/@types')],
      },
      files: sources.map(source => join(root, source)),
      include: [],
    }),
  )
  const { status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', project], { stdio: 'inherit' })
  if (status !== 0) throw new Error('the declarations have errors')
}

/** A specifier in the text of a declaration: of an import, of an export, of a type that is imported in place. */
const specifierForm = /((?:\bfrom|\bimport)\s*\(?\s*)(['"])([^'"]+)\2/g

/** `path` of the module that `specifier` means in the module at `path`, both below src/; none for modules of Node. */
function targetOf(specifier: string, path: string): string | undefined {
  if (specifier.startsWith('node:')) return undefined
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (specifier.startsWith('.')) return posix.join(posix.dirname(path), specifier)
  throw new Error(`the declarations of ${path} name ${specifier}, which the package does not bring along`)
}

function declarationPath(path: string): string {
  return path.replace(/\.ts$/, '.d.ts')
}

/** Comments may show how the package is imported; the compiler gives them lines of their own. */
const commentForm = /^\s*(?:\*|\/\*|\/\/)/

/** The text that the package has, and the modules that it names. */
function readDeclarations(text: string, path: string): { text: string; targets: string[] } {
  const targets: string[] = []
  const rewrite = (whole: string, before: string, quote: string, specifier: string): string => {
    const target = targetOf(specifier, path)
    if (target === undefined) return whole
    targets.push(target)
    const way = posix.relative(posix.dirname(path), target).replace(/\.ts$/, '.js')
    return `${before}${quote}${way.startsWith('.') ? way : `./${way}`}${quote}`
  }
  const lines = text.split('\n').map(line => (commentForm.test(line) ? line : line.replaceAll(specifierForm, rewrite)))
  return { text: lines.join('\n'), targets }
}

/** Copies what the entries reach from `from` into `to`; paths are those below src/. Gives the number of files. */
function copyReached(entries: readonly string[], from: string, to: string): number {
  const reached = new Set(entries)
  // A set gives what is added while it is read, too.
  for (const path of reached) {
    const { text, targets } = readDeclarations(readFileSync(join(from, declarationPath(path)), 'utf8'), path)
    const file = join(to, declarationPath(path))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    for (const target of targets) reached.add(target)
  }
  return reached.size
}

const { values } = parseArgs({ options: { entry: { type: 'string', multiple: true }, out: { type: 'string' } } })
const sources = values.entry ?? libraries.map(({ source }) => source)
const out = resolve(values.out ?? join(root, typesDirectory))
rmSync(out, { recursive: true, force: true })
if (sources.length > 0) {
  // Within the checkout: the compiler looks for packages in the directories above.
  mkdirSync(join(root, 'build'), { recursive: true })
  const emitted = mkdtempSync(join(root, 'build/declarations-'))
  try {
    emit(sources, emitted)
    const count = copyReached(
      sources.map(source => relative('src', source)),
      emitted,
      out,
    )
    console.log(`built ${relative(root, out)}: ${count} files`)
  } finally {
    rmSync(emitted, { recursive: true, force: true })
  }
}
