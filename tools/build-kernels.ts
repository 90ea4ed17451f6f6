/** Builds kernel/ into src/codec/*.wasm, all or those that are named. They are committed: a start needs no compiler. */
import { spawnSync } from 'node:child_process'

/** Files of kernel/ that are a program each; what else is there is a part of some. */
export const kernels = [
  'write-request',
  'series-key',
  'gram-bitmap',
  'block-columns',
  'block-lines',
  'xor-chunk',
  'crc32c',
  'line-search',
  'bloom-positions',
] as const

const compiler = 'node_modules/assemblyscript/bin/asc.js'
const flags = ['-O3', '--noAssert', '--enable', 'simd', '--runtime', 'stub', '--initialMemory', '16']

/** Writes the program to `path`. Throws what the compiler says. */
export function buildKernel(name: string, path: string): void {
  const argv = [compiler, `kernel/${name}.ts`, '-o', path, ...flags]
  const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

if (import.meta.main) {
  const named = process.argv.slice(2)
  for (const name of named.length > 0 ? named : kernels) buildKernel(name, `src/codec/${name}.wasm`)
}
