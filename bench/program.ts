/** The program as it is in a package and an image: benches measure what people run. */
import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'

let built: string | undefined

/** The path of the built program, which is built once; `--program=src/app/main.ts` takes the sources instead. */
export function programUnderTest(): string {
  const named = process.argv.find(a => a.startsWith('--program='))?.slice('--program='.length)
  return (built ??= named ?? build())
}

function build(): string {
  const out = resolve('dist/program')
  execFileSync(process.execPath, ['tools/build-program.ts', `--out=${out}`], { stdio: ['ignore', 'ignore', 'inherit'] })
  return join(out, 'main.js')
}
