/** `tercet deploy graduate`: to Mimir, Loki and Tempo on the same buckets. */
import { readFileSync } from 'node:fs'
import { BadDataError } from '#core/errors.ts'
import { targets } from '#deploy/stack.ts'
import { loadConfig } from '#app/config.ts'
import { makeLog } from '#app/logger.ts'
import { systemWorld } from '#app/world.ts'
import { terminalOutput } from '#ops/output.ts'
import { outputFlag } from './common-flags.ts'
import { printWarnings } from './configuration.ts'
import { makeVerb, oneOf } from './verb.ts'

export const deployGraduate = makeVerb({
  name: 'deploy graduate',
  summary: 'Renders Mimir, Loki and Tempo on the buckets of a running Tercet, and hands the buckets over.',
  flags: [
    { name: 'tercet-config', kind: 'file', isRequired: true, help: 'tercet.yaml of the running process.' },
    { name: 'config', kind: 'file', help: 'stack.yaml; without it the buckets of --tercet-config, and defaults.' },
    { name: 'target', kind: targets, fallback: 'flux', help: 'What the tree is for.' },
    outputFlag,
    { name: 'url', kind: 'address', help: 'Address of the running process, for --hand-over.' },
    {
      name: 'hand-over',
      kind: 'switch',
      help: 'The process flushes, and stops writing. Without it nothing changes there.',
    },
  ],
  examples: [
    'tercet deploy graduate --tercet-config=tercet.yaml -o lgtm   # to look at first',
    'tercet deploy graduate --tercet-config=tercet.yaml -o lgtm --url=http://127.0.0.1:8428 --hand-over',
  ],
  async run(given) {
    const tercetPath = given.text('tercet-config')
    const stackPath = given.optional('config')
    const url = given.optional('url')
    if (given.isOn('hand-over') && url === undefined)
      throw new BadDataError('--hand-over asks the running process to flush and stop writing: name its --url')
    const config = loadConfig({
      file: { path: tercetPath, text: readFileSync(tercetPath, 'utf8') },
      environment: process.env,
      flags: [],
    })
    printWarnings(config)
    const { graduate } = await import('#ops/graduate.ts')
    await graduate(
      {
        config,
        world: systemWorld(makeLog('logfmt', 'error')),
        stackPath,
        stackText: stackPath === undefined ? '' : readFileSync(stackPath, 'utf8'),
        target: oneOf(targets, given.text('target')),
        directory: given.text('output'),
        handOverUrl: given.isOn('hand-over') ? url : undefined,
      },
      terminalOutput,
    )
    return 0
  },
})
