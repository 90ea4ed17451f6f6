/** `tercet version`. */
import { version } from '#app/version.ts'
import { jsonFlag } from './common-flags.ts'
import { makeVerb } from './verb.ts'

export const showVersion = makeVerb({
  name: 'version',
  summary: 'Prints the version.',
  flags: [jsonFlag],
  examples: ['tercet version'],
  run(given) {
    process.stdout.write(
      given.isOn('json')
        ? `${JSON.stringify({ version, node: process.version })}\n`
        : `tercet ${version} (node ${process.version})\n`,
    )
    return Promise.resolve(0)
  },
})
