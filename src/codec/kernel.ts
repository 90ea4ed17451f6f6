/** The WASM kernels: built from kernel/ by `npm run build:kernel`, their programs lie beside this file. */
import { readFileSync } from 'node:fs'

type KernelName =
  | 'write-request'
  | 'series-key'
  | 'gram-bitmap'
  | 'block-columns'
  | 'block-lines'
  | 'xor-chunk'
  | 'crc32c'
  | 'line-search'
  | 'bloom-positions'

const compiled = new Map<KernelName, WebAssembly.Module>()

/** A new instance of a kernel, with a memory of its own. `Exports` is what its source exports. */
export function startKernel<Exports>(
  name: KernelName,
  imports: Record<string, Record<string, () => void>> = {},
): Exports {
  let program = compiled.get(name)
  if (program === undefined) {
    program = new WebAssembly.Module(readFileSync(new URL(`./${name}.wasm`, import.meta.url)))
    compiled.set(name, program)
  }
  return new WebAssembly.Instance(program, imports).exports as Exports
}
