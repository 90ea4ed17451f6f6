/** The program as it is in a package and an image: benches measure what people run. */
import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'

let built: string | undefined

/** Value of an option of this process, if it has it. */
const option = (name: string): string | undefined =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.slice(name.length + 3)

/** The path of the built program, which is built once; `--program=src/app/main.ts` takes the sources instead. */
export function programUnderTest(): string {
  return (built ??= option('program') ?? build())
}

function build(): string {
  const out = resolve('dist/program')
  execFileSync(process.execPath, ['tools/build-program.ts', `--out=${out}`], { stdio: ['ignore', 'ignore', 'inherit'] })
  return join(out, 'main.js')
}

/** Flags of Node for the program: `--profile=DIR` has it write CPU profiles there. */
export function nodeFlags(): readonly string[] {
  const directory = option('profile')
  return directory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(directory)}`]
}
