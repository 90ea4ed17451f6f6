/** `tercet tail`: follows log lines. */
import { BadDataError } from '#core/errors.ts'
import { terminalOutput } from '#ops/output.ts'
import { levelsFrom } from '#ops/terminal.ts'
import { jsonFlag, serverFlags, serverOf } from './common-flags.ts'
import { makeVerb } from './verb.ts'

export const tail = makeVerb({
  name: 'tail',
  summary: 'Follows log lines, the last ten first, until it is ended.',
  flags: [
    ...serverFlags,
    jsonFlag,
    { name: 'level', kind: 'text', placeholder: 'LEVEL', help: 'Lines of this level and graver ones.' },
    { name: 'contains', kind: 'text', help: 'Lines that hold this text.' },
    {
      name: 'color',
      kind: ['auto', 'always', 'never'],
      fallback: 'auto',
      help: 'Colours by level; auto: in a terminal.',
    },
  ],
  words: { shown: 'SELECTOR', expected: 'one query; quote it', least: 1, most: 1 },
  examples: [
    `tercet tail '{app="web"} |= "error"'`,
    `tercet tail --json --url=http://127.0.0.1:8428 '{env="prod"}'`,
    `tercet tail --level=warn --contains=timeout '{app="web"}'`,
  ],
  async run(given) {
    const level = given.optional('level')
    const levels = level === undefined ? undefined : levelsFrom(level)
    if (level !== undefined && levels === undefined)
      throw new BadDataError(`--level=${level} is not one of trace, debug, info, warn, error, critical`)
    const contains = given.optional('contains')
    const query =
      (given.words[0] ?? '') +
      (contains === undefined ? '' : ` |= ${JSON.stringify(contains)}`) +
      (levels === undefined ? '' : ` | detected_level=~"${levels.join('|')}"`)
    const color = given.text('color')
    const isColorWanted = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
    const { tailLogs } = await import('#ops/log-queries.ts')
    return tailLogs(
      {
        server: serverOf(given),
        query,
        isJson: given.isOn('json'),
        isColored: color === 'always' || (color === 'auto' && isColorWanted),
      },
      terminalOutput,
    )
  },
})
